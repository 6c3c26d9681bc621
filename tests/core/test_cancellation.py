"""Whoever waits may be cancelled; what is on the wire, and the end of every owned call, may not."""

from __future__ import annotations

import anyio
import anyio.lowlevel
import pytest
from anyio.abc import TaskGroup

from telco_bridge import Bridge, Call, CallState, EndedBy, Modality, OutcomeUnknown, TerminationReason
from telco_bridge.provider import Answer, AnswerLost, Dial, HangUp, NotSent, Refused, StopMedia
from telco_bridge.sandbox import SteppedClock

from .conftest import TO, Opening, Script, Soon, ended_stream, history


async def test_a_dial_that_is_cancelled_is_hung_up_as_soon_as_it_is_accepted(
    bridge: Bridge, script: Script, clock: SteppedClock, tasks: TaskGroup
) -> None:
    accepted = anyio.Event()

    async def slowly(command: Dial) -> None:
        await accepted.wait()
        await script.obey(command)

    script.on(Dial, slowly)
    dialling = Soon(tasks, bridge.dial, TO)
    await clock.advance(1)
    (call,) = bridge.calls
    dialling.scope.cancel()
    await clock.advance(1)
    assert script.sent == ["Dial"]

    accepted.set()
    await clock.advance(0)

    (hang_up,) = script.asked_for(HangUp)
    assert (hang_up.ref, hang_up.by, hang_up.reason) == ("c1", EndedBy.APPLICATION, TerminationReason.CANCELLED)
    assert call.view.over


async def test_a_cancelled_dial_whose_answer_is_lost_is_hung_up_when_its_name_comes(
    bridge: Bridge, script: Script, clock: SteppedClock, tasks: TaskGroup
) -> None:
    script.on(Dial, AnswerLost("timeout"))
    script.on(HangUp, Refused("not named yet"), Refused("not named yet"))
    dialling = Soon(tasks, bridge.dial, TO)
    await clock.advance(1)
    (call,) = bridge.calls
    dialling.scope.cancel()
    await clock.advance(60)
    assert not call.view.over

    script.push("c9", CallState.RINGING, command_id=call.id)
    await clock.advance(30)

    assert script.asked_for(HangUp)[-1].ref == "c9"
    assert call.view.over


async def test_a_cancelled_dial_whose_hang_up_fails_is_hung_up_later(
    bridge: Bridge, script: Script, clock: SteppedClock, tasks: TaskGroup
) -> None:
    async def slowly(command: Dial) -> None:
        await clock.sleep_until(clock.now() + 1)
        await script.obey(command)

    script.on(Dial, slowly)
    script.on(HangUp, *[NotSent("down")] * 7)
    dialling = Soon(tasks, bridge.dial, TO)
    await clock.advance(0)
    (call,) = bridge.calls
    dialling.scope.cancel()

    await clock.advance(60)

    assert call.view.over


async def test_a_cancelled_dial_that_is_refused_leaves_nothing_behind(
    bridge: Bridge, script: Script, clock: SteppedClock, tasks: TaskGroup
) -> None:
    async def slowly(command: Dial) -> None:
        await clock.sleep_until(clock.now() + 1)
        raise Refused("no")

    script.on(Dial, slowly)
    dialling = Soon(tasks, bridge.dial, TO, intent="order-4711")
    await clock.advance(0)
    dialling.scope.cancel()

    await clock.advance(5)

    assert bridge.calls == ()
    assert script.sent == ["Dial"]
    assert (await bridge.dial(TO, intent="order-4711")).native_id == "c1"


async def test_a_dial_that_is_cancelled_before_it_left_is_not_sent_any_more(
    bridge: Bridge, script: Script, clock: SteppedClock, tasks: TaskGroup
) -> None:
    script.on(Dial, NotSent("down"))
    dialling = Soon(tasks, bridge.dial, TO)
    await clock.advance(0)
    dialling.scope.cancel()

    await clock.advance(60)

    assert script.sent == ["Dial"]
    assert bridge.calls == ()


async def test_one_of_two_who_dial_an_intent_is_cancelled_and_the_other_keeps_the_call(
    bridge: Bridge, script: Script, clock: SteppedClock, tasks: TaskGroup
) -> None:
    async def slowly(command: Dial) -> None:
        await clock.sleep_until(clock.now() + 5)
        await script.obey(command)

    script.on(Dial, slowly)
    first, second = (Soon(tasks, bridge.dial, TO, intent="order-4711") for _ in range(2))
    await clock.advance(1)
    first.scope.cancel()

    await clock.advance(60)

    assert second.value == bridge.calls[0]
    assert script.sent == ["Dial"]


async def test_both_who_dial_an_intent_are_cancelled_and_the_call_is_hung_up(
    bridge: Bridge, script: Script, clock: SteppedClock, tasks: TaskGroup
) -> None:
    async def slowly(command: Dial) -> None:
        await clock.sleep_until(clock.now() + 5)
        await script.obey(command)

    script.on(Dial, slowly)
    for dialling in [Soon(tasks, bridge.dial, TO, intent="order-4711") for _ in range(2)]:
        await clock.advance(1)
        dialling.scope.cancel()

    await clock.advance(60)

    assert script.sent == ["Dial", "HangUp"]
    assert bridge.calls == ()


async def test_a_cancelled_intent_that_is_dialled_again_in_time_is_kept(
    bridge: Bridge, script: Script, clock: SteppedClock, tasks: TaskGroup
) -> None:
    async def slowly(command: Dial) -> None:
        await clock.sleep_until(clock.now() + 5)
        await script.obey(command)

    script.on(Dial, slowly)
    first = Soon(tasks, bridge.dial, TO, intent="order-4711")
    await clock.advance(1)
    first.scope.cancel()
    await clock.advance(1)
    again = Soon(tasks, bridge.dial, TO, intent="order-4711")

    await clock.advance(60)

    assert again.value == bridge.calls[0]
    assert script.sent == ["Dial"]


async def test_a_cancelled_hang_up_hangs_up_all_the_same(
    bridge: Bridge, script: Script, call: Call, clock: SteppedClock, tasks: TaskGroup
) -> None:
    finished: list[str] = []

    async def slowly(command: HangUp) -> None:
        await clock.sleep_until(clock.now() + 1)
        finished.append(command.name)
        await script.obey(command)

    script.on(HangUp, slowly)
    hanging_up = Soon(tasks, call.hangup)
    await clock.advance(0)
    hanging_up.scope.cancel()

    await clock.advance(1)

    assert finished == ["HangUp"]
    assert call.view.over


async def test_a_cancelled_stop_stops_all_the_same(
    script: Script, call: Call, clock: SteppedClock, tasks: TaskGroup
) -> None:
    async def slowly(command: StopMedia) -> None:
        await clock.sleep_until(clock.now() + 1)
        script.push("c1", streams=(ended_stream("audio"),))

    script.on(StopMedia, slowly)
    stopping = Soon(tasks, call.stop, Modality.AUDIO)
    await clock.advance(0)
    stopping.scope.cancel()

    await clock.advance(1)

    assert call.view.live_streams == ()
    assert call.asked is None


async def test_one_of_two_who_hang_up_is_cancelled_and_the_other_waits_on(
    script: Script, call: Call, clock: SteppedClock, tasks: TaskGroup
) -> None:
    script.on(HangUp, script.ignore)
    first, second = Soon(tasks, call.hangup), Soon(tasks, call.hangup)
    await clock.advance(0)
    first.scope.cancel()
    await clock.advance(0)
    assert not second.done

    script.ended("c1")
    await clock.advance(0)

    assert second.done
    assert second.error is None


async def test_a_call_whose_answer_was_cancelled_half_way_is_owned_and_hung_up(
    opening: Opening, script: Script, clock: SteppedClock, tasks: TaskGroup
) -> None:
    async def slowly(command: Answer) -> None:
        await clock.sleep_until(clock.now() + 1)
        await script.obey(command)

    async with opening() as bridge:
        script.invite("in1")
        (call,) = bridge.calls
        script.on(Answer, slowly)
        answering = Soon(tasks, call.answer)
        await clock.advance(0)
        answering.scope.cancel()
        await clock.advance(1)
        assert call.state is CallState.CONNECTED
        assert call.owned

    assert script.asked_for(HangUp)[0].ref == "in1"


async def test_a_call_whose_answer_was_refused_is_not_owned(bridge: Bridge, script: Script) -> None:
    script.invite("in1")
    (call,) = bridge.calls
    script.on(Answer, Refused("busy elsewhere"))

    with pytest.raises(Refused):
        await call.answer()

    assert not call.owned


async def test_a_time_limit_around_the_whole_bridge_still_hangs_up_and_signs_out(
    opening: Opening, script: Script
) -> None:
    with anyio.move_on_after(0.05) as limit:
        async with opening() as bridge:
            call = await bridge.dial(TO)
            script.connected("c1")
            await anyio.sleep_forever()

    assert limit.cancelled_caught
    assert script.sent == ["Dial", "HangUp"]
    assert script.signed_out == 1
    assert call.termination is not None
    assert call.termination.by is EndedBy.BRIDGE


async def test_a_time_limit_in_the_middle_of_a_dial_leaves_no_call_ringing(opening: Opening, script: Script) -> None:
    async def slowly(command: Dial) -> None:
        limit.cancel()
        await anyio.wait_all_tasks_blocked()
        await script.obey(command)

    script.on(Dial, slowly)
    with anyio.CancelScope() as limit:
        async with opening(close_timeout=5.0) as bridge:
            await bridge.dial(TO)

    assert script.sent == ["Dial", "HangUp"]
    assert script.signed_out == 1
    assert history(bridge).count("CallEnded") == 1


async def test_a_time_limit_in_the_middle_of_a_hang_up_does_not_send_another(opening: Opening, script: Script) -> None:
    async def slowly(command: HangUp) -> None:
        limit.cancel()
        await anyio.wait_all_tasks_blocked()
        await script.obey(command)

    script.on(HangUp, slowly)
    with anyio.CancelScope() as limit:
        async with opening(close_timeout=5.0) as bridge:
            call = await bridge.dial(TO)
            await call.hangup()

    assert script.sent == ["Dial", "HangUp"]


async def test_a_time_limit_inside_a_call_hangs_it_up(bridge: Bridge, script: Script) -> None:
    with anyio.move_on_after(0.01):
        async with await bridge.dial(TO) as call:
            await call.answered()

    assert call.view.over
    assert script.sent == ["Dial", "HangUp"]


async def test_a_time_limit_while_signing_in_leaves_at_once(opening: Opening, script: Script) -> None:
    script.enter = anyio.sleep_forever

    with anyio.move_on_after(0.01) as limit:
        async with opening():
            pytest.fail("nobody is signed in")

    assert limit.cancelled_caught


async def test_a_cancelled_reader_of_events_misses_nothing(bridge: Bridge, script: Script, call: Call) -> None:
    reader = bridge.events(since=0)
    first = await anext(reader)

    with anyio.CancelScope() as scope:
        scope.cancel()
        await anext(reader)

    assert (await anext(reader)).seq == first.seq + 1


async def test_a_cancelled_task_group_of_the_applications_hangs_up_and_leaves_its_error(
    opening: Opening, script: Script
) -> None:
    async def fail() -> None:
        raise LookupError("mine")

    with pytest.raises(ExceptionGroup) as caught:  # noqa: PT012 - what leaves the bridge is the point
        async with opening() as bridge, anyio.create_task_group() as own:
            await bridge.dial(TO)
            own.start_soon(fail)
            await anyio.sleep_forever()

    assert isinstance(caught.value.exceptions[0], LookupError)
    assert script.sent == ["Dial", "HangUp"]


async def test_a_bridge_inside_a_task_of_a_cancelled_group_hangs_up(opening: Opening, script: Script) -> None:
    async def application() -> None:
        async with opening() as bridge:
            await bridge.dial(TO)
            await anyio.sleep_forever()

    async with anyio.create_task_group() as group:
        group.start_soon(application)
        await anyio.wait_all_tasks_blocked()
        group.cancel_scope.cancel()

    assert script.sent == ["Dial", "HangUp"]
    assert script.signed_out == 1


async def test_the_outcome_of_a_command_that_the_closing_bridge_cuts_off_is_unknown(
    opening: Opening, script: Script, tasks: TaskGroup
) -> None:
    async with opening(close_timeout=0.05) as bridge:
        call = await bridge.dial(TO)
        script.connected("c1", "audio")
        script.on(StopMedia, script.block)
        script.on(HangUp, script.block)
        stopping = Soon(tasks, call.stop, Modality.AUDIO)
        await anyio.wait_all_tasks_blocked()

    await anyio.wait_all_tasks_blocked()
    assert isinstance(stopping.error, OutcomeUnknown)
    assert "closed" in str(stopping.error)
