"""The log of events: in order, replayed, bounded, and never in the writer's way."""

from __future__ import annotations

import pytest
from anyio.abc import TaskGroup

from telco_bridge import Bridge, Call, CallEvent, CallIncoming, CallState, Event, GapDetected
from telco_bridge.eventlog import Cursor
from telco_bridge.provider import DigitHeard, Gap, Modality, Notice, Party, RemoteOffer
from telco_bridge.sandbox import SteppedClock

from .conftest import TO, Opening, Script, Soon, history, stream


async def read(cursor: Cursor, count: int) -> list[Event]:
    return [await anext(cursor) for _ in range(count)]


async def test_every_event_has_the_next_number(bridge: Bridge, script: Script, call: Call) -> None:
    script.invite("in1")
    script.report(Gap(as_of=script.host.stamp(), since=1.0, why="resync"))
    script.ended("c1")

    events = await read(bridge.events(since=0), len(history(bridge)))

    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    assert {event.at for event in events} == {script.host.clock.now()}


async def test_events_come_from_now_on(bridge: Bridge, script: Script, call: Call) -> None:
    reader = bridge.events()

    script.ended("c1")

    assert type(await anext(reader)).__name__ == "StreamEnded"


async def test_events_are_replayed_from_behind_a_number(bridge: Bridge, script: Script, call: Call) -> None:
    (third,) = await read(bridge.events(since=2), 1)

    assert third.seq == 3


async def test_a_number_below_the_first_is_refused(bridge: Bridge) -> None:
    with pytest.raises(ValueError, match="since"):
        bridge.events(since=-1)


async def test_a_number_that_no_event_has_had_yet_is_a_gap_and_then_the_present(
    bridge: Bridge, script: Script, call: Call
) -> None:
    reader = bridge.events(since=1_000_000)

    gap = await anext(reader)
    script.ended("c1")

    assert isinstance(gap, GapDetected)
    assert type(await anext(reader)).__name__ == "StreamEnded"


async def test_events_end_with_the_bridge_and_can_be_read_afterwards(
    opening: Opening, script: Script, tasks: TaskGroup
) -> None:
    async def collect(cursor: Cursor) -> list[Event]:
        return [event async for event in cursor]

    async with opening() as bridge:
        live = Soon(tasks, collect, bridge.events())
        await bridge.dial(TO)

    again = await collect(bridge.events(since=0))
    assert live.value == again
    assert type(again[-1]).__name__ == "CallEnded"


async def test_a_reader_that_is_overtaken_is_told_how_much_it_missed_and_where_to_go_on(
    opening: Opening, script: Script
) -> None:
    async with opening(event_capacity=100) as bridge:
        await bridge.dial(TO)
        slow = bridge.events(since=0)
        before = await anext(slow)
        for number in range(200):
            script.push("c1", remote=Party(f"+1555{number}"))

        gap, after = await read(slow, 2)

        assert isinstance(gap, GapDetected)
        assert gap.missed == len(history_numbers(bridge)) - 100 - 1
        assert before.seq + gap.missed == gap.seq == after.seq - 1
        assert (await anext(bridge.events(since=gap.seq))) == after


def history_numbers(bridge: Bridge) -> range:
    return range(bridge._switchboard.log.written)


async def test_a_reader_that_never_reads_holds_nothing_up(opening: Opening, script: Script) -> None:
    async with opening(event_capacity=100) as bridge:
        forgotten = [bridge.events(since=0) for _ in range(10)]
        call = await bridge.dial(TO)
        for number in range(1000):
            script.push("c1", remote=Party(f"+1555{number}"))

        await call.hangup()

        assert isinstance(await anext(forgotten[0]), GapDetected)


async def test_a_calls_events_go_from_its_beginning_to_its_end(bridge: Bridge, script: Script, call: Call) -> None:
    script.ended("c1")
    script.push("c1", CallState.CONNECTED)

    names = [type(event).__name__ async for event in call.events()]

    assert names == ["CallProgressed", "CallUpdated", "CallConnected", "StreamActive", "StreamEnded", "CallEnded"]


async def test_a_calls_events_are_only_its_own(bridge: Bridge, script: Script, call: Call) -> None:
    other = await bridge.dial(TO)
    script.ended("c2")

    assert {event.call.id async for event in other.events() if isinstance(event, CallEvent)} == {other.id}


async def test_an_event_holds_the_call_as_it_was(bridge: Bridge, script: Script, call: Call) -> None:
    events = [e for e in await read(bridge.events(since=0), 3) if isinstance(e, CallEvent)]
    script.ended("c1")

    assert [event.call.state for event in events] == [CallState.DIALING, CallState.DIALING, CallState.CONNECTED]


async def test_notices_become_events(bridge: Bridge, script: Script, call: Call) -> None:
    now = script.host.stamp()
    script.report(DigitHeard(as_of=now, ref="c1", digit="5"), RemoteOffer(as_of=now, command_id=call.id, sdp="v=0"))
    script.report(Gap(as_of=now, since=3.0, why="resync"))

    digit, offer, gap = (await read(bridge.events(since=0), 7))[-3:]

    assert digit.digit == "5"  # type: ignore[attr-defined]
    assert offer.sdp == "v=0"  # type: ignore[attr-defined]
    assert (gap.why, gap.since) == ("resync", 3.0)  # type: ignore[attr-defined]


async def test_notices_that_nobody_can_place_are_logged_and_change_nothing(
    bridge: Bridge, script: Script, call: Call, caplog: pytest.LogCaptureFixture
) -> None:
    class Song(Notice):
        """Something that a later version knows."""

    before = history(bridge)
    script.report(DigitHeard(as_of=0.0, ref="nobody", digit="5"), Song(as_of=0.0, ref="c1"))
    assert history(bridge) == before
    assert "nobody here knows" in caplog.text
    assert "unknown kind: Song" in caplog.text

    script.ended("c1")
    ended = history(bridge)
    script.report(DigitHeard(as_of=script.host.stamp(), ref="c1", digit="5"))
    assert history(bridge) == ended


async def test_a_report_that_names_no_call_is_logged_and_changes_nothing(
    bridge: Bridge, script: Script, caplog: pytest.LogCaptureFixture
) -> None:
    script.push(None, CallState.CONNECTED, command_id="somebody else's")

    assert history(bridge) == []
    assert bridge.health.foreign == 0
    assert "somebody else's" in caplog.text


async def test_streams_show_what_is_known_of_them(bridge: Bridge, script: Script, call: Call) -> None:
    script.push("c1", streams=(stream("audio", name="coach"),))
    (audio,) = call.streams

    assert (audio.modality, audio.transport, audio.name) == (Modality.AUDIO, "voip", "coach")
    assert audio.direction == "unknown"
    assert audio.termination is None
    assert audio in {*call.streams}
    assert "audio#1" in repr(audio)


# Inbound --------------------------------------------------------------------------------------------------------------


async def test_an_invitation_is_a_call_that_rings(bridge: Bridge, script: Script) -> None:
    script.invite("in1", local=Party("+15550111"), decide_by=5.0)

    event = await anext(bridge.events(since=0))
    (call,) = bridge.calls

    assert isinstance(event, CallIncoming)
    assert (call.direction, call.state, call.owned) == ("inbound", CallState.RINGING, False)
    assert (call.remote, call.local, call.decide_by) == (Party("+15550199"), Party("+15550111"), 5.0)


async def test_an_invitation_that_is_over_already_is_no_call(bridge: Bridge, script: Script) -> None:
    from telco_bridge.provider import Invitation

    script.push("in1", CallState.ENDED, origin=Invitation())

    assert history(bridge) == []


async def test_calls_that_arrive_between_asking_and_iterating_are_not_lost(bridge: Bridge, script: Script) -> None:
    calls = bridge.incoming()
    script.invite("in1")

    call = await anext(aiter(calls))

    assert call.native_id == "in1"


async def test_every_incoming_call_comes_once(bridge: Bridge, script: Script) -> None:
    calls = aiter(bridge.incoming())
    for ref in ("in1", "in1", "in2"):
        script.invite(ref)

    assert [(await anext(calls)).native_id for _ in range(2)] == ["in1", "in2"]


async def test_a_slow_reader_of_incoming_calls_still_gets_those_that_ring(opening: Opening, script: Script) -> None:
    async with opening(event_capacity=100) as bridge:
        calls = aiter(bridge.incoming())
        script.invite("in1")
        script.invite("in2")
        script.ended("in2")
        for number in range(200):
            script.push("in1", remote=Party(f"+1555{number}"))
        script.invite("in3")

        assert [(await anext(calls)).native_id for _ in range(2)] == ["in1", "in3"]


async def test_an_answered_call_is_owned_and_hung_up_with_the_bridge(opening: Opening, script: Script) -> None:
    async with opening() as bridge:
        script.invite("in1")
        (call,) = bridge.calls
        assert (await call.answer()) is call
        assert call.state is CallState.CONNECTED
        assert call.owned

    assert script.sent == ["Answer", "HangUp"]


async def test_an_incoming_call_is_rejected_with_a_reason(bridge: Bridge, script: Script) -> None:
    script.invite("in1")
    (call,) = bridge.calls

    termination = await call.reject(note="night")

    assert (termination.reason, termination.note) == ("rejected", "night")
    assert script.sent == ["Reject"]


async def test_an_incoming_call_is_redirected(bridge: Bridge, script: Script) -> None:
    script.invite("in1")
    (call,) = bridge.calls

    termination = await call.redirect("+15550122")

    assert termination.requested == "redirected"
    assert script.executed[0].to == "+15550122"  # type: ignore[attr-defined]


async def test_a_handler_that_fails_ends_its_own_call_only(
    bridge: Bridge, script: Script, clock: SteppedClock, tasks: TaskGroup, caplog: pytest.LogCaptureFixture
) -> None:
    async def handler(call: Call) -> None:
        await call.answer()
        if call.native_id == "in1":
            raise LookupError("mine")
        await call.ended()

    serving = Soon(tasks, bridge.serve, handler)
    await clock.advance(0)
    script.invite("in1")
    script.invite("in2")
    await clock.advance(0)

    assert [call.native_id for call in bridge.calls] == ["in2"]
    assert not serving.done
    assert "LookupError: mine" in caplog.text
    assert [command.ref for command in script.executed if command.name == "HangUp"] == ["in1"]


async def test_no_more_handlers_run_at_once_than_the_limit(
    bridge: Bridge, script: Script, clock: SteppedClock, tasks: TaskGroup
) -> None:
    handled: list[str | None] = []

    async def handler(call: Call) -> None:
        handled.append(call.native_id)
        await call.ended()

    Soon(tasks, bridge.serve, handler, limit=1)
    await clock.advance(0)
    script.invite("in1")
    script.invite("in2")
    await clock.advance(0)
    assert handled == ["in1"]

    script.ended("in1")
    await clock.advance(0)

    assert handled == ["in1", "in2"]


async def test_serving_ends_with_the_bridge(opening: Opening, script: Script, tasks: TaskGroup) -> None:
    async with opening() as bridge:
        serving = Soon(tasks, bridge.serve, Call.ended)
        clock = script.host.clock
        assert isinstance(clock, SteppedClock)
        await clock.advance(0)
        script.invite("in1")
        await clock.advance(0)

    await clock.advance(0)
    assert serving.done
    assert serving.error is None
