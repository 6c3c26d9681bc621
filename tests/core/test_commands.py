"""Stop, hang up and the other commands: done when a fact says so, and asked no more often than it takes."""

from __future__ import annotations

import pytest
from anyio.abc import TaskGroup

from telco_bridge import (
    Bridge,
    Call,
    CallState,
    Confidence,
    Modality,
    NotPossibleNow,
    OutcomeUnknown,
    PluginContractError,
    Refused,
    Source,
    StreamState,
    TerminationReason,
    Unreachable,
    Unsupported,
)
from telco_bridge.provider import (
    AnswerLost,
    CallReport,
    Capability,
    CommandFailed,
    Continues,
    Dial,
    Gone,
    HangUp,
    Hold,
    NotSent,
    RateLimited,
    SendDigits,
    StartMedia,
    StopMedia,
    TooLate,
)
from telco_bridge.sandbox import SteppedClock

from .conftest import TO, Script, Soon, cause, ended_stream, known, stream

R = TerminationReason


# Stop -----------------------------------------------------------------------------------------------------------------


async def test_a_stop_ends_the_streams_of_that_modality_and_nothing_else(bridge: Bridge, script: Script) -> None:
    call = await bridge.dial(TO)
    script.connected("c1", "audio", "audio:2", "video")

    result = await call.stop(Modality.AUDIO, reason=R.BLOCKED, note="consent withdrawn")

    assert {s.id.slot for s in result.streams} == {"audio", "audio:2"}
    assert result.call_ended is False
    assert result.confirmed_by is Source.ANSWER
    (stop,) = script.asked_for(StopMedia)
    assert isinstance(stop, StopMedia)
    assert {target.id.slot for target in stop.streams} == {"audio", "audio:2"}
    assert [target.id.slot for target in stop.keep] == ["video"]
    assert (stop.reason, stop.note) == (R.BLOCKED, "consent withdrawn")
    assert [s.state for s in call.streams if s.modality is Modality.VIDEO] == [StreamState.ACTIVE]
    assert call.asked is None


async def test_two_modalities_are_stopped_in_one_request(bridge: Bridge, script: Script) -> None:
    call = await bridge.dial(TO)
    script.connected("c1", "audio", "video")

    result = await call.stop(Modality.AUDIO, Modality.VIDEO)

    assert len(result.streams) == 2
    assert script.sent == ["Dial", "StopMedia"]


async def test_one_stream_is_stopped_alone(bridge: Bridge, script: Script) -> None:
    call = await bridge.dial(TO)
    script.connected("c1", "audio", "audio:2")
    first, second = call.streams

    result = await second.stop(reason=R.NORMAL)

    assert result.streams == (second,)
    assert first.state is StreamState.ACTIVE
    assert (await second.ended()).requested is R.NORMAL


async def test_a_stop_of_what_has_stopped_sends_nothing(script: Script, call: Call) -> None:
    await call.stop(Modality.AUDIO)
    (audio,) = call.streams

    again, also = await call.stop(Modality.AUDIO), await audio.stop()

    assert again.streams == ()
    assert also.streams == (audio,)
    assert again.confirmed_by is also.confirmed_by is None
    assert script.sent == ["Dial", "StopMedia"]


async def test_a_stop_with_nothing_running_is_empty(bridge: Bridge, script: Script, call: Call) -> None:
    result = await call.stop(Modality.VIDEO)

    assert (result.streams, result.call_ended, result.confirmed_by) == ((), False, None)
    assert script.sent == ["Dial"]


async def test_a_stop_of_nothing_in_particular_is_a_mistake(call: Call) -> None:
    with pytest.raises(ValueError, match="name the modalities"):
        await call.stop()


async def test_two_stops_at_once_are_one(script: Script, call: Call, clock: SteppedClock, tasks: TaskGroup) -> None:
    script.on(StopMedia, script.ignore)
    stops = [Soon(tasks, call.stop, Modality.AUDIO) for _ in range(3)]
    await clock.advance(0)

    script.push("c1", streams=(ended_stream("audio"),))
    await clock.advance(0)

    assert [stop.error for stop in stops] == [None] * 3
    assert script.sent == ["Dial", "StopMedia"]


async def test_a_stop_is_done_when_an_event_says_so(
    script: Script, call: Call, clock: SteppedClock, tasks: TaskGroup
) -> None:
    script.on(StopMedia, script.ignore)
    stopping = Soon(tasks, call.stop, Modality.AUDIO)
    await clock.advance(0.5)
    assert not stopping.done
    assert call.asked is not None
    assert call.streams[0].state is StreamState.ACTIVE

    script.push("c1", streams=(ended_stream("audio"),))
    await clock.advance(0)

    assert stopping.error is None
    assert stopping.value.confirmed_by is Source.PUSH  # type: ignore[attr-defined]


async def test_a_stop_that_was_too_late_because_it_is_done_succeeds(script: Script, call: Call) -> None:
    script.on(StopMedia, TooLate("404"))
    script.truth["c1"] = known("c1", CallState.CONNECTED, streams=(), streams_complete=True)

    result = await call.stop(Modality.AUDIO)

    assert result.confirmed_by is Source.READ
    assert result.call_ended is False


async def test_a_stop_that_was_too_late_because_the_far_end_hung_up_succeeds(script: Script, call: Call) -> None:
    script.on(StopMedia, TooLate("409"))
    script.truth["c1"] = known("c1", CallState.ENDED, cause=cause("hangup"))

    result = await call.stop(Modality.AUDIO)

    assert result.call_ended is True
    assert call.termination is not None
    assert call.streams[0].state is StreamState.ENDED


async def test_a_stop_that_is_too_late_for_no_visible_reason_is_not_possible(script: Script, call: Call) -> None:
    script.on(StopMedia, TooLate("409"))
    script.truth["c1"] = known("c1", CallState.CONNECTED, streams=(stream("audio"),), streams_complete=True)

    with pytest.raises(NotPossibleNow, match="too late: 409"):
        await call.stop(Modality.AUDIO)

    assert call.asked is None


async def test_what_the_state_allows_only_at_once_is_sent_at_once(script: Script, call: Call) -> None:
    both = frozenset({Capability.STOP_AUDIO, Capability.STOP_VIDEO})
    up = (stream("audio"), stream("video", modality=Modality.VIDEO))
    script.possible = lambda view: frozenset({Capability.HANG_UP, Capability.STOP_REASON})
    script.together = (both,)
    script.truth["c1"] = known("c1", CallState.CONNECTED, streams=up, streams_complete=True)
    script.report(script.truth["c1"])

    with pytest.raises(NotPossibleNow):
        await call.stop(Modality.AUDIO)
    script.truth["c1"] = known("c1", CallState.CONNECTED, streams=(), streams_complete=True)
    script.on(StopMedia, AnswerLost("reset"))
    await call.stop(Modality.AUDIO, Modality.VIDEO)

    assert script.sent == ["Dial", "StopMedia"]
    assert not call.can(Capability.STOP_AUDIO)


async def test_a_stop_whose_answer_was_lost_is_settled_by_a_read(script: Script, call: Call) -> None:
    script.on(StopMedia, AnswerLost("reset"))
    script.truth["c1"] = known("c1", CallState.CONNECTED, streams=(), streams_complete=True)

    result = await call.stop(Modality.AUDIO)

    assert result.confirmed_by is Source.READ
    assert script.sent == ["Dial", "StopMedia"]


async def test_a_stop_whose_answer_was_lost_before_it_was_executed_is_sent_again(
    script: Script, call: Call, clock: SteppedClock, tasks: TaskGroup
) -> None:
    script.on(StopMedia, AnswerLost("reset"))
    script.truth["c1"] = known("c1", CallState.CONNECTED, streams=(stream("audio"),), streams_complete=True)
    stopping = Soon(tasks, call.stop, Modality.AUDIO)

    await clock.advance(1)

    assert stopping.error is None
    assert stopping.done
    assert script.sent == ["Dial", "StopMedia", "StopMedia"]


async def test_a_stop_without_a_fact_is_unknown_at_the_deadline_and_stays_asked(
    script: Script, call: Call, clock: SteppedClock, tasks: TaskGroup
) -> None:
    script.on(StopMedia, script.ignore)
    stopping = Soon(tasks, call.stop, Modality.AUDIO)

    await clock.advance(9.9)
    assert not stopping.done
    await clock.advance(0.1)

    assert isinstance(stopping.error, OutcomeUnknown)
    assert isinstance(stopping.error.command, StopMedia)
    assert call.asked is not None
    assert call.asked.command == stopping.error.command
    assert len(script.reads) == 4


async def test_what_comes_true_after_its_outcome_was_unknown_is_no_longer_asked(
    script: Script, call: Call, clock: SteppedClock, tasks: TaskGroup
) -> None:
    script.on(StopMedia, script.ignore)
    stopping = Soon(tasks, call.stop, Modality.AUDIO)
    await clock.advance(10.0)
    assert isinstance(stopping.error, OutcomeUnknown)

    script.push("c1", streams=(ended_stream("audio"),))

    assert call.asked is None


async def test_a_stream_that_is_starting_is_waited_for_and_not_started_twice(
    script: Script, call: Call, clock: SteppedClock, tasks: TaskGroup
) -> None:
    script.push("c1", streams=(stream("video", StreamState.STARTING),))
    starting = Soon(tasks, call.start, Modality.VIDEO)
    await clock.advance(1.0)
    assert not starting.done

    script.push("c1", streams=(stream("video"),))
    await clock.advance(0.1)

    assert starting.done
    assert starting.error is None
    assert script.sent == ["Dial"]


async def test_a_stream_that_never_tells_that_it_flows_is_unknown_at_the_deadline(
    script: Script, call: Call, clock: SteppedClock, tasks: TaskGroup
) -> None:
    script.push("c1", streams=(stream("video", StreamState.STARTING),))
    starting = Soon(tasks, call.start, Modality.VIDEO)

    await clock.advance(10.1)

    assert isinstance(starting.error, OutcomeUnknown)
    assert script.sent == ["Dial"]


async def test_the_providers_end_of_the_call_after_the_last_stream_is_told(
    script: Script, call: Call, clock: SteppedClock
) -> None:
    async def no_media_no_call(command: StopMedia) -> None:
        script.push("c1", streams=(ended_stream("audio"),))
        script.truth["c1"] = known("c1", CallState.ENDED, cause=cause("hangup"))

    script.on(StopMedia, no_media_no_call)

    result = await call.stop(Modality.AUDIO)

    assert result.call_ended is True
    assert call.termination is not None


async def test_whether_the_call_outlives_its_media_is_unknown_where_it_cannot_be_read(call: Call) -> None:
    assert (await call.stop(Modality.AUDIO)).call_ended is None


async def test_what_the_provider_cannot_stop_is_refused_before_anything_is_sent(
    bridge: Bridge, script: Script, call: Call
) -> None:
    with pytest.raises(Unsupported, match="scripted does not support stop_screen"):
        await call.stop(Modality.SCREEN)
    with pytest.raises(Unsupported, match="start_messaging"):
        await call.start(Modality.MESSAGING)

    assert script.sent == ["Dial"]
    assert call.asked is None
    assert not call.can(Capability.START_SCREEN)


async def test_what_the_state_forbids_is_read_once_and_refused_before_anything_is_sent(
    bridge: Bridge, script: Script
) -> None:
    call = await bridge.dial(TO)

    with pytest.raises(NotPossibleNow, match="the call is dialing"):
        await call.hold()

    assert script.sent == ["Dial"]
    assert script.reads == ["c1"]
    assert not call.can(Capability.HOLD)


async def test_what_a_read_shows_to_be_allowed_is_sent(bridge: Bridge, script: Script) -> None:
    call = await bridge.dial(TO)
    script.truth["c1"] = known("c1", CallState.CONNECTED)

    await call.hold()

    assert call.held is True
    assert script.sent == ["Dial", "Hold"]


async def test_nothing_is_asked_of_a_call_that_is_over(script: Script, call: Call) -> None:
    script.ended("c1")

    with pytest.raises(NotPossibleNow, match=r"the call has ended \(normal\)"):
        await call.start(Modality.AUDIO)
    with pytest.raises(NotPossibleNow):
        await call.hold()
    with pytest.raises(NotPossibleNow):
        await call.send_digits("1")

    assert script.sent == ["Dial"]
    assert not call.can(Capability.HANG_UP)


# Hang up --------------------------------------------------------------------------------------------------------------


async def test_a_hang_up_is_a_fact_and_keeps_what_was_asked(script: Script, call: Call) -> None:
    await call.hangup(reason=R.TIME_LIMIT, note="shift is over")

    assert call.termination is not None
    assert (call.termination.requested, call.termination.note) == (R.TIME_LIMIT, "shift is over")
    assert call.termination.by == "application"


async def test_hanging_up_twice_sends_one_hang_up(script: Script, call: Call) -> None:
    await call.hangup()
    await call.hangup()

    assert script.sent == ["Dial", "HangUp"]


async def test_hanging_up_at_the_same_time_sends_one_hang_up(
    script: Script, call: Call, clock: SteppedClock, tasks: TaskGroup
) -> None:
    script.on(HangUp, script.ignore)
    hang_ups = [Soon(tasks, call.hangup) for _ in range(3)]
    await clock.advance(0)

    script.ended("c1")
    await clock.advance(0)

    assert [(h.done, h.error) for h in hang_ups] == [(True, None)] * 3
    assert script.sent == ["Dial", "HangUp"]


async def test_hanging_up_after_the_far_end_did_sends_nothing(script: Script, call: Call) -> None:
    script.ended("c1")

    await call.hangup()

    assert script.sent == ["Dial"]


async def test_a_hang_up_that_the_far_end_overtook_succeeds(script: Script, call: Call) -> None:
    script.on(HangUp, TooLate("404"))
    script.truth["c1"] = known("c1", CallState.ENDED, cause=cause("hangup"))

    await call.hangup()

    assert call.view.over


async def test_a_hang_up_is_verified_by_reads_when_events_are_lost(
    script: Script, call: Call, clock: SteppedClock, tasks: TaskGroup
) -> None:
    script.on(HangUp, script.ignore)
    hanging_up = Soon(tasks, call.hangup)
    await clock.advance(0.5)
    assert not hanging_up.done

    script.truth["c1"] = known("c1", CallState.ENDED, cause=cause("hangup"))
    await clock.advance(1)

    assert hanging_up.done
    assert hanging_up.error is None
    assert call.view.confirmed_by is Source.READ


async def test_a_hang_up_is_repeated_after_a_lost_answer(
    script: Script, call: Call, clock: SteppedClock, tasks: TaskGroup
) -> None:
    script.on(HangUp, AnswerLost("reset"), AnswerLost("502"))
    hanging_up = Soon(tasks, call.hangup)

    await clock.advance(5)

    assert hanging_up.done
    assert hanging_up.error is None
    assert script.sent.count("HangUp") == 3


async def test_a_hang_up_whose_answer_was_lost_and_that_was_executed_is_not_repeated(
    script: Script, call: Call
) -> None:
    script.on(HangUp, AnswerLost("reset"))
    script.truth["c1"] = known("c1", CallState.ENDED, cause=cause("hangup"))

    await call.hangup()

    assert script.sent == ["Dial", "HangUp"]


async def test_a_hang_up_of_a_fresh_call_that_the_provider_no_longer_knows_succeeds(
    bridge: Bridge, script: Script, clock: SteppedClock, tasks: TaskGroup
) -> None:
    call = await bridge.dial(TO)
    script.on(HangUp, TooLate("404"))
    script.truth["c1"] = Gone(0.0, "404")
    hanging_up = Soon(tasks, call.hangup)

    await clock.advance(1.5)

    assert hanging_up.done
    assert hanging_up.error is None
    assert call.termination is not None
    assert call.termination.confidence is Confidence.INFERRED


async def test_a_hang_up_that_is_too_late_where_nothing_can_be_read_is_unknown(
    script: Script, call: Call, clock: SteppedClock, tasks: TaskGroup
) -> None:
    script.on(HangUp, TooLate("404"))
    hanging_up = Soon(tasks, call.hangup)

    await clock.advance(10)

    assert isinstance(hanging_up.error, OutcomeUnknown)
    assert "too late" in str(hanging_up.error)
    assert call.asked is not None


async def test_a_hang_up_that_cannot_be_sent_is_withdrawn_and_can_be_tried_again(
    script: Script, call: Call, clock: SteppedClock, tasks: TaskGroup
) -> None:
    script.on(HangUp, *[NotSent("down")] * 3)
    hanging_up = Soon(tasks, call.hangup)
    await clock.advance(5)
    assert isinstance(hanging_up.error, Unreachable)
    assert call.asked is None

    await call.hangup()

    assert call.view.over


async def test_a_hang_up_without_a_cause_is_done_before_the_cause_is_known(
    script: Script, call: Call, clock: SteppedClock
) -> None:
    async def silently(command: HangUp) -> None:
        script.answer("c1", CallState.ENDED)

    script.on(HangUp, silently)

    await call.hangup()
    assert call.termination is None
    await clock.advance(2)

    assert call.termination is not None
    assert call.termination.by == "application"


async def test_a_call_that_has_no_name_yet_is_hung_up_as_soon_as_it_has_one(
    bridge: Bridge, script: Script, clock: SteppedClock, tasks: TaskGroup
) -> None:
    script.on(Dial, script.ignore)
    call = await bridge.dial(TO)
    script.on(HangUp, Refused("not named yet"))
    hanging_up = Soon(tasks, call.hangup)
    await clock.advance(3)
    assert not hanging_up.done

    script.push("c9", CallState.RINGING, command_id=call.id)
    await clock.advance(0)

    assert hanging_up.done
    assert hanging_up.error is None
    assert [command.ref for command in script.asked_for(HangUp)] == [None, "c9"]
    assert call.view.over


async def test_a_command_goes_to_the_name_that_the_call_has_by_then(script: Script, call: Call) -> None:
    async def move(ref: str) -> CallReport:
        script.push("c2", CallState.CONNECTED, origin=Continues("c1"), offered=frozenset())
        raise Unreachable("down")

    script.push("c1", CallState.CONNECTED)
    script.read = move
    script.possible = lambda view: frozenset({Capability.HOLD} if view.ref == "c2" else ())

    await call.hold()

    assert script.reads == ["c1"]
    assert script.executed[-1].ref == "c2"


async def test_hanging_up_inside_the_calls_own_events_does_not_deadlock(script: Script, call: Call) -> None:
    names: list[str] = []

    async for event in call.events():
        names.append(type(event).__name__)
        if names[-1] == "CallConnected":
            await call.hangup()

    assert names[-1] == "CallEnded"


async def test_hanging_up_inside_the_bridges_events_does_not_deadlock(
    bridge: Bridge, script: Script, call: Call
) -> None:
    names: list[str] = []

    async for event in bridge.events(since=0):
        names.append(type(event).__name__)
        if names[-1] == "CallConnected":
            await call.hangup()
        if names[-1] == "CallEnded":
            break

    assert script.sent == ["Dial", "HangUp"]


# The others -----------------------------------------------------------------------------------------------------------


async def test_media_that_flows_already_is_not_started_again(script: Script, call: Call) -> None:
    audio = await call.start(Modality.AUDIO)

    assert audio == call.streams[0]
    assert script.sent == ["Dial"]


@pytest.mark.parametrize("another", [{"to": "wss://media.example.net"}, {"name": "copy"}])
async def test_a_copy_is_asked_for_although_media_flow_already(script: Script, call: Call, another) -> None:
    script.on(StartMedia, Refused("no copies here"))

    with pytest.raises(Refused, match="no copies here"):
        await call.start(Modality.AUDIO, **another)

    assert script.sent == ["Dial", "StartMedia"]


async def test_a_start_returns_the_stream_that_it_caused(script: Script, call: Call) -> None:
    video = await call.start(Modality.VIDEO)

    assert (video.modality, video.state) == (Modality.VIDEO, StreamState.ACTIVE)
    assert call.asked is None


async def test_a_start_that_was_accepted_and_then_failed_is_refused_with_the_reason(
    script: Script, call: Call, clock: SteppedClock, tasks: TaskGroup
) -> None:
    script.on(StartMedia, script.ignore)
    starting = Soon(tasks, call.start, Modality.VIDEO)
    await clock.advance(0)

    failed = script.asked_for(StartMedia)[0].id
    script.report(CommandFailed(as_of=script.host.stamp(), ref="c1", command_id=failed, cause=cause("busy")))
    await clock.advance(0)

    assert isinstance(starting.error, Refused)
    assert starting.error.termination is not None
    assert starting.error.termination.reason is R.BUSY
    assert call.asked is None


async def test_a_start_that_rings_somebody_is_waited_for_as_long_as_people_take(
    script: Script, call: Call, clock: SteppedClock, tasks: TaskGroup
) -> None:
    script.patience = 90.0
    script.on(StartMedia, script.ignore)
    starting = Soon(tasks, call.start, Modality.VIDEO)
    await clock.advance(89.0)
    assert not starting.done

    started = stream("video", command_id=script.asked_for(StartMedia)[0].id, modality=Modality.VIDEO)
    script.push("c1", streams=(started,))
    await clock.advance(0)

    assert starting.error is None
    assert starting.done


@pytest.mark.parametrize(("patience", "lost", "seconds"), [(90.0, False, 90), (1.0, False, 10), (90.0, True, 10)])
async def test_a_start_of_which_nothing_is_heard_is_unknown_in_the_end(
    script: Script, call: Call, clock: SteppedClock, tasks: TaskGroup, patience: float, *, lost: bool, seconds: int
) -> None:
    script.patience = patience
    script.on(StartMedia, AnswerLost("reset") if lost else script.ignore)
    starting = Soon(tasks, call.start, Modality.VIDEO)
    await clock.advance(seconds - 1.0)
    assert not starting.done

    await clock.advance(1.0)

    assert isinstance(starting.error, OutcomeUnknown)
    assert f"no fact within {seconds} s" in str(starting.error)


async def test_a_start_that_the_end_of_the_call_overtakes_is_not_possible(
    script: Script, call: Call, clock: SteppedClock, tasks: TaskGroup
) -> None:
    script.on(StartMedia, script.ignore)
    starting = Soon(tasks, call.start, Modality.VIDEO)
    await clock.advance(0)

    script.ended("c1")
    await clock.advance(0)

    assert isinstance(starting.error, NotPossibleNow)


async def test_a_start_is_never_repeated_after_a_lost_answer(
    script: Script, call: Call, clock: SteppedClock, tasks: TaskGroup
) -> None:
    script.on(StartMedia, AnswerLost("reset"))
    starting = Soon(tasks, call.start, Modality.VIDEO)

    await clock.advance(10)

    assert isinstance(starting.error, OutcomeUnknown)
    assert isinstance(starting.error.__cause__, AnswerLost)
    assert script.sent == ["Dial", "StartMedia"]


async def test_holding_what_is_held_sends_nothing(script: Script, call: Call) -> None:
    await call.hold()
    await call.hold()
    await call.resume()
    await call.resume()

    assert script.sent == ["Dial", "Hold", "Resume"]
    assert call.held is False


async def test_muting_what_is_muted_sends_nothing(script: Script, call: Call) -> None:
    await call.mute()
    await call.mute()
    assert call.muted is True
    await call.unmute()
    await call.unmute()

    assert script.sent == ["Dial", "Mute", "Unmute"]
    assert call.muted is False


@pytest.mark.parametrize("command", ["hangup", "reject", "stop"])
async def test_a_reason_that_is_none_is_refused_before_anything_is_sent(
    script: Script, call: Call, command: str
) -> None:
    what = (Modality.AUDIO,) if command == "stop" else ()

    with pytest.raises(ValueError, match=r"'bored' is no reason; there are answered_elsewhere, .*busy"):
        await getattr(call, command)(*what, reason="bored")

    assert script.sent == ["Dial"]


async def test_digits_are_sent_every_time(script: Script, call: Call) -> None:
    await call.send_digits("12#")
    await call.send_digits("12#")

    assert script.sent == ["Dial", "SendDigits", "SendDigits"]
    assert call.asked is None


async def test_digits_whose_answer_was_lost_are_never_repeated(
    script: Script, call: Call, clock: SteppedClock, tasks: TaskGroup
) -> None:
    script.on(SendDigits, AnswerLost("reset"))
    sending = Soon(tasks, call.send_digits, "1")

    await clock.advance(10)

    assert isinstance(sending.error, OutcomeUnknown)
    assert script.sent == ["Dial", "SendDigits"]


@pytest.mark.parametrize("digits", ["", "12x", "+1", "1 2"])
async def test_digits_that_are_none_are_refused(call: Call, digits: str) -> None:
    with pytest.raises(ValueError, match="no digits"):
        await call.send_digits(digits)


async def test_a_command_that_the_plugin_breaks_on_is_an_error_of_the_plugins(script: Script, call: Call) -> None:
    script.on(Hold, IndexError("links"))

    with pytest.raises(PluginContractError, match=r"Hold: scripted raised IndexError"):
        await call.hold()

    assert call.asked is None


async def test_too_many_requests_are_repeated_after_a_pause_of_our_own_where_none_is_named(
    script: Script, call: Call, clock: SteppedClock, tasks: TaskGroup
) -> None:
    script.on(Hold, RateLimited("429"), RateLimited("429"), RateLimited("429"))
    holding = Soon(tasks, call.hold)

    await clock.advance(10)

    assert isinstance(holding.error, RateLimited)
    assert script.sent == ["Dial", "Hold", "Hold", "Hold"]
