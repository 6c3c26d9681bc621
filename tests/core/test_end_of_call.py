"""Exactly one end for every call, whatever the provider says, forgets or loses."""

from __future__ import annotations

import anyio
import pytest
from anyio.abc import TaskGroup

from telco_bridge import Bridge, Call, CallState, Confidence, EndedBy, TerminationReason
from telco_bridge.provider import (
    AnswerLost,
    CallReport,
    Continues,
    Dial,
    Gap,
    Gone,
    HangUp,
    NotSent,
    RateLimited,
    StreamState,
    Unreachable,
)
from telco_bridge.sandbox import SteppedClock

from .conftest import TO, Opening, Script, Soon, cause, history, known, stream

R = TerminationReason


async def test_a_lost_end_is_found_by_a_sweep(bridge: Bridge, script: Script, call: Call, clock: SteppedClock) -> None:
    script.truth["c1"] = known("c1", CallState.ENDED, cause=cause("hangup"))

    await clock.advance(29)
    assert not call.view.over
    await clock.advance(1)

    assert call.termination is not None
    assert call.termination.reason is R.NORMAL
    assert history(bridge, call).count("CallEnded") == 1


async def test_a_lost_end_is_found_by_a_list_without_reading_calls_that_live(
    bridge: Bridge, script: Script, clock: SteppedClock
) -> None:
    first, second = await bridge.dial(TO), await bridge.dial(TO)
    script.connected("c1")
    script.connected("c2")
    script.listing = [known("c2", CallState.CONNECTED)]
    script.truth["c1"] = known("c1", CallState.ENDED, cause=cause("hangup"))

    await clock.advance(30)

    assert first.view.over
    assert not second.view.over
    assert script.reads == ["c1"]


async def test_a_list_that_cannot_be_had_hides_no_end(
    bridge: Bridge, script: Script, call: Call, clock: SteppedClock
) -> None:
    script.listing = AnswerLost("the list breaks off, every time")
    script.truth["c1"] = known("c1", CallState.ENDED, cause=cause("hangup"))

    await clock.advance(30)

    assert call.view.over
    assert bridge.health.error is None


async def test_absence_from_an_incomplete_list_means_nothing(script: Script, call: Call, clock: SteppedClock) -> None:
    script.listing = []
    script.complete = False
    script.truth["c1"] = Gone(0.0)

    await clock.advance(300)

    assert not call.view.over
    assert script.reads == []


async def test_absence_from_a_complete_list_is_checked_by_a_read(
    script: Script, call: Call, clock: SteppedClock
) -> None:
    script.listing = []
    script.truth["c1"] = known("c1", CallState.CONNECTED)

    await clock.advance(30)

    assert script.reads == ["c1"]
    assert not call.view.over


async def test_an_end_without_a_cause_waits_and_then_ends(
    bridge: Bridge, script: Script, call: Call, clock: SteppedClock
) -> None:
    script.ended("c1", code=None)

    await clock.advance(1.9)
    assert call.state is CallState.ENDED
    assert call.termination is None
    await clock.advance(0.1)

    assert call.termination is not None
    assert call.termination.reason is R.UNKNOWN
    assert history(bridge, call).count("CallEnded") == 1


async def test_a_cause_that_comes_in_time_is_used(
    bridge: Bridge, script: Script, call: Call, clock: SteppedClock
) -> None:
    script.ended("c1", code=None)
    await clock.advance(1.5)

    script.push("c1", cause=cause("busy"))
    await clock.advance(10)

    assert call.termination is not None
    assert call.termination.reason is R.BUSY
    assert history(bridge, call).count("CallEnded") == 1


async def test_a_cause_that_comes_too_late_changes_nothing(
    bridge: Bridge, script: Script, call: Call, clock: SteppedClock
) -> None:
    script.ended("c1", code=None)
    await clock.advance(3)
    told = call.termination

    script.ended("c1", code="busy")

    assert call.termination == told
    assert history(bridge, call).count("CallEnded") == 1


async def test_a_fresh_call_that_is_gone_must_be_gone_twice(
    opening: Opening, script: Script, clock: SteppedClock
) -> None:
    async with opening(sweep_interval=2) as bridge:
        call = await bridge.dial(TO)
        script.truth["c1"] = Gone(0.0, "404")

        await clock.advance(2)
        assert script.reads == ["c1"]
        assert not call.view.over
        await clock.advance(2)

        assert call.termination is not None
        assert call.termination.confidence is Confidence.INFERRED


async def test_a_fresh_call_that_is_gone_is_looked_at_again_before_the_next_sweep_is_due(
    opening: Opening, script: Script, clock: SteppedClock
) -> None:
    async with opening(sweep_interval=600) as bridge:
        call = await bridge.dial(TO)
        script.truth["c1"] = Gone(0.0, "404")
        script.report(Gap(as_of=script.host.stamp(), since=1.0, why="resync"))
        await clock.advance(0)
        assert script.reads == ["c1"]

        await clock.advance(2)

        assert script.reads == ["c1", "c1"]
        assert call.view.over


async def test_a_fresh_call_that_was_gone_once_and_then_shows_life_goes_on(
    opening: Opening, script: Script, clock: SteppedClock
) -> None:
    async with opening(sweep_interval=2) as bridge:
        call = await bridge.dial(TO)
        script.truth["c1"] = Gone(0.0, "404")
        await clock.advance(2)

        script.truth["c1"] = known("c1", CallState.CONNECTED)
        await clock.advance(10)

        assert call.state is CallState.CONNECTED


async def test_a_call_that_is_gone_later_has_ended_by_inference(
    bridge: Bridge, script: Script, call: Call, clock: SteppedClock
) -> None:
    script.truth["c1"] = Gone(0.0, "404")

    await clock.advance(30)

    assert call.termination is not None
    assert call.termination.confidence is Confidence.INFERRED
    assert call.termination.reason is R.UNKNOWN
    assert history(bridge, call)[-2:] == ["StreamEnded", "CallEnded"]


@pytest.mark.parametrize("failure", [Unreachable("down"), NotSent("down"), AnswerLost("502"), RateLimited("429")])
async def test_a_failed_read_proves_nothing(
    script: Script, call: Call, clock: SteppedClock, failure: Exception
) -> None:
    script.truth["c1"] = failure

    await clock.advance(600)

    assert len(script.reads) > 3
    assert call.state is CallState.CONNECTED


async def test_a_read_that_breaks_in_the_plugin_proves_nothing_and_harms_nobody(
    bridge: Bridge, script: Script, call: Call, clock: SteppedClock
) -> None:
    script.truth["c1"] = KeyError("sid")
    await clock.advance(60)
    assert call.state is CallState.CONNECTED

    script.truth["c1"] = known("c1", CallState.ENDED, cause=cause("hangup"))
    await clock.advance(60)

    assert call.view.over
    assert bridge.health.channel == "open"


async def test_a_list_that_breaks_in_the_plugin_harms_nobody(script: Script, call: Call, clock: SteppedClock) -> None:
    script.listing = ValueError("not a list")
    await clock.advance(60)
    assert call.state is CallState.CONNECTED

    script.listing = []
    script.truth["c1"] = known("c1", CallState.ENDED, cause=cause("hangup"))
    await clock.advance(60)

    assert call.view.over


async def test_an_explanation_that_breaks_in_the_plugin_leaves_the_reason_unknown(
    bridge: Bridge, script: Script, call: Call
) -> None:
    def explain(*_: object) -> None:
        raise LookupError("no such code")

    script.explain = explain  # type: ignore[assignment]

    script.ended("c1")

    assert call.termination is not None
    assert call.termination.reason is R.UNKNOWN
    assert call.termination.native == "hangup"
    assert history(bridge, call).count("CallEnded") == 1


async def test_a_gone_of_a_former_name_is_no_end(
    bridge: Bridge, script: Script, call: Call, clock: SteppedClock
) -> None:
    asked, answer = anyio.Event(), anyio.Event()

    async def read(ref: str) -> CallReport | Gone:
        asked.set()
        await answer.wait()
        return Gone(script.host.stamp(), "404")

    await clock.advance(10)
    script.read = read
    await clock.advance(20)
    assert asked.is_set()

    script.push("c2", CallState.CONNECTED, origin=Continues("c1"))
    answer.set()
    await clock.advance(1)

    assert call.native_id == "c2"
    assert not call.view.over


async def test_a_call_that_never_shows_after_a_lost_answer_is_orphaned(
    bridge: Bridge, script: Script, clock: SteppedClock, tasks: TaskGroup
) -> None:
    script.on(Dial, AnswerLost("timeout"))
    dialling = Soon(tasks, bridge.dial, TO)
    await clock.advance(10)
    assert dialling.done
    (call,) = bridge.calls

    await clock.advance(119)
    assert not call.view.over
    await clock.advance(2)

    assert call.termination is not None
    assert call.termination.reason is R.ORPHANED
    assert call.termination.confidence is Confidence.SYNTHETIC
    assert history(bridge, call) == ["CallEnded"]


async def test_an_accepted_call_that_never_shows_is_orphaned(
    bridge: Bridge, script: Script, clock: SteppedClock
) -> None:
    script.on(Dial, script.ignore)
    call = await bridge.dial(TO)

    await clock.advance(121)

    assert call.termination is not None
    assert call.termination.reason is R.ORPHANED


async def test_an_accepted_call_that_shows_in_time_is_no_orphan(
    bridge: Bridge, script: Script, clock: SteppedClock
) -> None:
    script.on(Dial, script.ignore)
    call = await bridge.dial(TO)
    await clock.advance(100)
    script.push("c1", CallState.CONNECTED, command_id=call.id)

    await clock.advance(600)

    assert call.state is CallState.CONNECTED


async def test_life_after_an_inferred_end_is_a_contradiction_and_is_hung_up(
    bridge: Bridge, script: Script, call: Call, clock: SteppedClock
) -> None:
    script.truth["c1"] = Gone(0.0)
    await clock.advance(30)

    script.push("c1", CallState.CONNECTED)
    await clock.advance(0)

    assert history(bridge, call)[-2:] == ["CallEnded", "EndContradicted"]
    (hang_up,) = script.asked_for(HangUp)
    assert (hang_up.ref, hang_up.by) == ("c1", EndedBy.BRIDGE)
    assert history(bridge, call).count("CallEnded") == 1


async def test_an_orphan_that_shows_life_is_hung_up_by_its_name(
    bridge: Bridge, script: Script, clock: SteppedClock, tasks: TaskGroup
) -> None:
    script.on(Dial, AnswerLost("timeout"))
    Soon(tasks, bridge.dial, TO)
    await clock.advance(10)
    (call,) = bridge.calls
    await clock.advance(121)
    assert call.view.over

    script.push("c7", CallState.RINGING, command_id=call.id)
    await clock.advance(0)

    (hang_up,) = script.asked_for(HangUp)
    assert hang_up.ref == "c7"


@pytest.mark.parametrize("failure", [NotSent("down"), AnswerLost("reset"), RateLimited("429", retry_after=1.0)])
async def test_the_hang_up_of_a_revenant_is_tried_again(
    bridge: Bridge, script: Script, call: Call, clock: SteppedClock, failure: Exception
) -> None:
    script.truth["c1"] = Gone(0.0)
    await clock.advance(30)
    script.on(HangUp, failure)

    script.push("c1", CallState.CONNECTED)
    await clock.advance(5)

    assert script.sent.count("HangUp") == 2


async def test_a_revenant_that_breaks_the_plugin_harms_nobody(
    bridge: Bridge, script: Script, call: Call, clock: SteppedClock
) -> None:
    script.truth["c1"] = Gone(0.0)
    await clock.advance(30)
    script.on(HangUp, ZeroDivisionError())

    script.push("c1", CallState.CONNECTED)
    await clock.advance(5)

    assert (await bridge.dial(TO)).state is CallState.DIALING


async def test_a_released_call_that_shows_life_again_is_left_alone(
    bridge: Bridge, script: Script, call: Call, clock: SteppedClock
) -> None:
    call.release()
    script.truth["c1"] = Gone(0.0)
    await clock.advance(30)

    script.push("c1", CallState.CONNECTED)
    await clock.advance(5)

    assert "EndContradicted" in history(bridge, call)
    assert script.sent == ["Dial"]


async def test_a_reported_end_is_never_contradicted(bridge: Bridge, script: Script, call: Call) -> None:
    script.ended("c1")
    before = history(bridge)

    script.push("c1", CallState.CONNECTED)

    assert history(bridge) == before


async def test_streams_end_before_their_call(bridge: Bridge, script: Script) -> None:
    call = await bridge.dial(TO)
    script.connected("c1", "audio", "video")

    script.ended("c1")

    assert history(bridge, call)[-3:] == ["StreamEnded", "StreamEnded", "CallEnded"]
    assert all(s.state is StreamState.ENDED for s in call.view.streams)


async def test_duplicates_change_nothing(bridge: Bridge, script: Script) -> None:
    call = await bridge.dial(TO)
    facts = [
        script.fact("c1", CallState.RINGING),
        script.fact("c1", CallState.CONNECTED, streams=(stream(),), streams_complete=True),
        script.fact("c1", CallState.ENDED, cause=cause("hangup")),
    ]
    for fact in facts:
        script.report(fact)
    once = history(bridge, call)

    for fact in (*facts, *reversed(facts)):
        script.report(fact)

    assert history(bridge, call) == once


async def test_an_end_that_came_while_signing_in_is_concluded_as_well(
    opening: Opening, script: Script, clock: SteppedClock
) -> None:
    script.at_sign_in = lambda: (script.invite("in1"), script.ended("in1", code=None))

    async with opening() as bridge:
        await clock.advance(2)

        assert history(bridge)[-1] == "CallEnded"


async def test_after_a_gap_that_the_provider_tells_every_call_is_looked_at(
    script: Script, call: Call, clock: SteppedClock
) -> None:
    script.truth["c1"] = known("c1", CallState.ENDED, cause=cause("hangup"))
    await clock.advance(0)
    assert not call.view.over

    script.report(Gap(as_of=script.host.stamp(), since=1.0, why="resync"))
    await clock.advance(0)

    assert call.view.over


async def test_a_call_that_ended_unexplained_is_no_orphan_when_the_bridge_closes(
    opening: Opening, script: Script
) -> None:
    async with opening() as bridge:
        script.invite("in1")
        (call,) = bridge.calls
        script.ended("in1", code=None)

    assert call.termination is not None
    assert call.termination.reason is R.UNKNOWN
    assert call.termination.confidence is not Confidence.SYNTHETIC


async def test_every_call_has_ended_once_when_the_bridge_is_closed(opening: Opening, script: Script) -> None:
    async with opening() as bridge:
        dialled, released = await bridge.dial(TO), await bridge.dial(TO)
        script.invite("in1")
        calls = bridge.calls
        released.release()

    assert [call.view.over for call in calls] == [True] * 3
    assert history(bridge).count("CallEnded") == 3
    assert dialled.termination is not None
    assert dialled.termination.by is EndedBy.BRIDGE
    assert [hang_up.ref for hang_up in script.asked_for(HangUp)] == ["c1"]
    assert released.termination is not None
    assert released.termination.reason is R.ORPHANED
