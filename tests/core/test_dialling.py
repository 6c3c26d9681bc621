"""A dial is one call: never two, and never a lost one."""

from __future__ import annotations

import anyio
import pytest
from anyio.abc import TaskGroup

from telco_bridge import (
    AuthenticationFailed,
    Bridge,
    CallDirection,
    CallState,
    Modality,
    NotPossibleNow,
    OutcomeUnknown,
    Party,
    PluginContractError,
    RateLimited,
    Refused,
    TerminationReason,
    Unreachable,
    Unsupported,
)
from telco_bridge.provider import AnswerLost, Capability, Dial, HangUp, NotSent, Support, SupportLevel
from telco_bridge.sandbox import SteppedClock

from .conftest import TO, Opening, Script, Soon, history, known


async def test_a_dialled_call_is_known_by_our_token_and_the_providers_name(bridge: Bridge, script: Script) -> None:
    call = await bridge.dial(TO)

    assert call.id == script.executed[0].id == script.executed[0].call
    assert call.native_id == "c1"
    assert call.direction is CallDirection.OUTBOUND
    assert call.owned
    assert bridge.calls == (call,)


async def test_a_dial_that_is_done_is_no_longer_asked(bridge: Bridge, script: Script) -> None:
    call = await bridge.dial(TO)

    assert call.asked is None


async def test_a_dial_without_a_word_stays_asked_until_the_call_shows(bridge: Bridge, script: Script) -> None:
    script.on(Dial, script.ignore)
    call = await bridge.dial(TO)
    assert call.asked is not None

    script.push("c1", CallState.RINGING, command_id=call.id)

    assert call.asked is None


async def test_a_dial_whose_answer_was_lost_is_never_sent_again(
    bridge: Bridge, script: Script, clock: SteppedClock, tasks: TaskGroup
) -> None:
    script.on(Dial, AnswerLost("timeout"))
    dialling = Soon(tasks, bridge.dial, TO)

    await clock.advance(600)

    assert isinstance(dialling.error, OutcomeUnknown)
    assert script.sent == ["Dial"]
    assert len(history(bridge)) == 1


async def test_a_lost_dial_is_found_by_its_token_in_a_later_push(
    bridge: Bridge, script: Script, clock: SteppedClock, tasks: TaskGroup
) -> None:
    script.on(Dial, AnswerLost("timeout"))
    dialling = Soon(tasks, bridge.dial, TO)
    await clock.advance(3)

    script.push("c9", CallState.RINGING, command_id=script.executed[0].id)
    await clock.advance(0)

    assert dialling.value == bridge.calls[0]
    assert bridge.calls[0].native_id == "c9"
    assert bridge.calls[0].asked is None


async def test_a_lost_dial_is_found_by_its_token_in_a_list(
    bridge: Bridge, script: Script, clock: SteppedClock, tasks: TaskGroup
) -> None:
    script.on(Dial, AnswerLost("timeout"))
    dialling = Soon(tasks, bridge.dial, TO)
    await clock.advance(0)
    script.listing = [known("c9", CallState.RINGING, command_id=script.executed[0].id)]

    await clock.advance(1)

    assert dialling.value == bridge.calls[0]
    assert bridge.calls[0].native_id == "c9"


async def test_a_dial_given_up_for_unknown_is_still_found_by_its_token_in_a_sweep(
    bridge: Bridge, script: Script, clock: SteppedClock, tasks: TaskGroup
) -> None:
    script.on(Dial, AnswerLost("timeout"))
    script.listing = []
    dialling = Soon(tasks, bridge.dial, TO)
    await clock.advance(20)
    assert isinstance(dialling.error, OutcomeUnknown)

    script.listing = [known("c9", CallState.CONNECTED, command_id=script.executed[0].id)]
    await clock.advance(10)

    (call,) = bridge.calls
    assert (call.native_id, call.state, call.owned) == ("c9", CallState.CONNECTED, True)


async def test_calls_that_look_like_a_lost_dial_are_shown_and_not_adopted(
    bridge: Bridge, script: Script, clock: SteppedClock, tasks: TaskGroup
) -> None:
    own = await bridge.dial(TO)
    script.on(Dial, AnswerLost("timeout"))
    script.listing = [
        known("c1", CallState.RINGING, remote=Party(TO)),
        known("c8", CallState.RINGING, remote=Party(TO)),
        known("c9", CallState.RINGING, remote=Party("+15550199")),
    ]
    dialling = Soon(tasks, bridge.dial, TO)

    await clock.advance(10)

    assert isinstance(dialling.error, OutcomeUnknown)
    assert [candidate.ref for candidate in dialling.error.candidates] == ["c8"]
    assert [call.native_id for call in bridge.calls] == [own.native_id, None]
    assert dialling.error.command == script.executed[1]


async def test_the_limits_of_a_lost_dial_hold_for_the_call_that_shows_later(
    bridge: Bridge, script: Script, clock: SteppedClock, tasks: TaskGroup
) -> None:
    script.on(Dial, AnswerLost("timeout"))
    Soon(tasks, bridge.dial, TO, max_duration=60)
    await clock.advance(20)
    (call,) = bridge.calls
    script.push("c9", CallState.CONNECTED, command_id=call.id)

    await clock.advance(60)

    assert [command.ref for command in script.asked_for(HangUp)] == ["c9"]


async def test_one_intent_is_one_call(bridge: Bridge, script: Script) -> None:
    first = await bridge.dial(TO, intent="order-4711")
    second = await bridge.dial(TO, intent="order-4711")
    other = await bridge.dial(TO, intent="order-4712")

    assert first == second != other
    assert script.sent == ["Dial", "Dial"]


async def test_one_intent_is_one_call_also_at_the_same_time(
    bridge: Bridge, script: Script, clock: SteppedClock, tasks: TaskGroup
) -> None:
    script.on(Dial, NotSent("later"))
    dials = [Soon(tasks, bridge.dial, TO, intent="order-4711") for _ in range(3)]

    await clock.advance(5)

    assert [dial.value for dial in dials] == [bridge.calls[0]] * 3
    assert script.sent == ["Dial", "Dial"]


async def test_a_refusal_is_told_to_everybody_who_dialled_the_intent_and_leaves_nothing_behind(
    bridge: Bridge, script: Script, clock: SteppedClock, tasks: TaskGroup
) -> None:
    script.on(Dial, NotSent("later"), Refused("21211", code="21211"))
    dials = [Soon(tasks, bridge.dial, TO, intent="order-4711") for _ in range(2)]
    await clock.advance(5)

    assert [type(dial.error) for dial in dials] == [Refused, Refused]
    assert bridge.calls == ()
    assert history(bridge) == []
    assert (await bridge.dial(TO, intent="order-4711")).state is CallState.DIALING


async def test_an_intent_whose_outcome_is_unknown_is_not_dialled_again(
    bridge: Bridge, script: Script, clock: SteppedClock, tasks: TaskGroup
) -> None:
    script.on(Dial, AnswerLost("timeout"))
    Soon(tasks, bridge.dial, TO, intent="order-4711")
    await clock.advance(20)

    again = await bridge.dial(TO, intent="order-4711")

    assert again == bridge.calls[0]
    assert script.sent == ["Dial"]


async def test_what_was_not_sent_is_sent_again_within_bounds(
    bridge: Bridge, script: Script, clock: SteppedClock, tasks: TaskGroup
) -> None:
    script.on(Dial, NotSent("down"), NotSent("down"))
    dialling = Soon(tasks, bridge.dial, TO)
    await clock.advance(5)
    assert dialling.value is not None

    script.on(Dial, *[NotSent("down")] * 9)
    failing = Soon(tasks, bridge.dial, TO)
    await clock.advance(60)

    assert isinstance(failing.error, Unreachable)
    assert isinstance(failing.error.__cause__, NotSent)
    assert script.sent == ["Dial"] * 6
    assert len(bridge.calls) == 1


async def test_too_many_requests_are_repeated_after_the_pause_that_was_asked_for(
    bridge: Bridge, script: Script, clock: SteppedClock, tasks: TaskGroup
) -> None:
    script.on(Dial, RateLimited("429", retry_after=7.0))
    dialling = Soon(tasks, bridge.dial, TO)

    await clock.advance(6.9)
    assert not dialling.done
    await clock.advance(0.1)

    assert dialling.value == bridge.calls[0]


async def test_a_pause_that_is_too_long_is_the_applications_to_wait(
    bridge: Bridge, script: Script, tasks: TaskGroup
) -> None:
    script.on(Dial, RateLimited("429", retry_after=3600.0))

    with pytest.raises(RateLimited) as limited:
        await bridge.dial(TO)

    assert limited.value.retry_after == 3600.0
    assert bridge.calls == ()


@pytest.mark.parametrize("refusal", [Refused("no"), AuthenticationFailed("who?"), Unsupported("not that")])
async def test_a_refusal_leaves_nothing_behind(bridge: Bridge, script: Script, refusal: Exception) -> None:
    script.on(Dial, refusal)

    with pytest.raises(type(refusal)) as caught:
        await bridge.dial(TO, intent="order-4711")

    assert caught.value is refusal
    assert bridge.calls == ()
    assert bridge.health.live == 0
    await bridge.dial(TO, intent="order-4711")
    assert script.sent == ["Dial", "Dial"]


async def test_a_plugin_that_breaks_on_a_dial_is_named(bridge: Bridge, script: Script) -> None:
    script.on(Dial, KeyError("sid"))

    with pytest.raises(PluginContractError, match="scripted raised KeyError") as caught:
        await bridge.dial(TO)

    assert isinstance(caught.value.__cause__, KeyError)


async def test_what_the_provider_cannot_express_is_refused_before_anything_is_sent(
    script: Script, opening: Opening
) -> None:
    script.support = {
        Capability.DIAL_OFFER: Support(SupportLevel.PROVIDER_CANNOT),
        Capability.MAX_DURATION: Support(SupportLevel.UNKNOWN),
    }
    async with opening() as bridge:
        with pytest.raises(Unsupported, match="dial_offer"):
            await bridge.dial(TO, modalities={Modality.AUDIO, Modality.VIDEO})
        with pytest.raises(Unsupported, match="max_duration"):
            await bridge.dial(TO, max_duration=5)

        assert script.sent == []
        assert bridge.calls == ()


@pytest.mark.parametrize("limit", ["ring_timeout", "max_duration"])
@pytest.mark.parametrize("seconds", [0, -1, float("inf"), float("nan")])
async def test_a_limit_that_is_no_time_is_refused(bridge: Bridge, script: Script, limit: str, seconds: float) -> None:
    with pytest.raises(ValueError, match=limit):
        await bridge.dial(TO, **{limit: seconds})  # type: ignore[arg-type]

    assert script.sent == []


async def test_a_call_that_is_not_answered_in_time_is_hung_up(
    bridge: Bridge, script: Script, clock: SteppedClock
) -> None:
    call = await bridge.dial(TO, ring_timeout=20)
    await clock.advance(19)
    assert script.sent == ["Dial"]

    await clock.advance(1)

    (hang_up,) = script.asked_for(HangUp)
    assert (hang_up.by, hang_up.reason) == ("bridge", TerminationReason.NO_ANSWER)
    assert call.termination is not None
    assert call.termination.requested is TerminationReason.NO_ANSWER


async def test_a_call_that_is_answered_in_time_is_left_alone(
    bridge: Bridge, script: Script, clock: SteppedClock
) -> None:
    await bridge.dial(TO, ring_timeout=20)
    script.connected("c1")

    await clock.advance(600)

    assert script.sent == ["Dial"]


async def test_a_call_ends_at_its_longest_duration_counted_from_the_answer(
    bridge: Bridge, script: Script, clock: SteppedClock
) -> None:
    await bridge.dial(TO, max_duration=60)
    await clock.advance(100)
    script.connected("c1")
    await clock.advance(59)
    assert script.sent == ["Dial"]

    await clock.advance(1)

    (hang_up,) = script.asked_for(HangUp)
    assert (hang_up.by, hang_up.reason) == ("bridge", TerminationReason.TIME_LIMIT)


async def test_a_limit_is_kept_although_the_provider_cannot_be_reached_at_first(
    bridge: Bridge, script: Script, clock: SteppedClock
) -> None:
    call = await bridge.dial(TO, max_duration=60)
    script.connected("c1")
    script.on(HangUp, *[NotSent("down")] * 10)

    await clock.advance(180)

    assert call.view.over


async def test_a_report_that_overtakes_the_answer_finds_its_call_by_token(bridge: Bridge, script: Script) -> None:
    async def overtaken(command: Dial) -> None:
        script.push("c1", CallState.RINGING, command_id=command.id)
        await anyio.lowlevel.checkpoint()
        script.answer("c1", CallState.QUEUED, command_id=command.id)

    script.on(Dial, overtaken)
    call = await bridge.dial(TO)

    assert call.state is CallState.RINGING
    assert history(bridge, call)[0] == "CallProgressed"


async def test_a_report_without_a_token_that_overtakes_the_answer_is_held_for_its_call(
    bridge: Bridge, script: Script
) -> None:
    async def overtaken(command: Dial) -> None:
        script.push("other", CallState.CONNECTED)
        script.push("c1", CallState.RINGING)
        assert bridge.health.foreign == 0
        script.answer("c1", CallState.QUEUED, command_id=command.id)

    script.on(Dial, overtaken)
    call = await bridge.dial(TO)

    assert call.state is CallState.RINGING
    assert bridge.health.foreign == 1


async def test_what_was_held_for_a_dial_that_was_orphaned_is_foreign(
    bridge: Bridge, script: Script, clock: SteppedClock
) -> None:
    script.on(Dial, script.ignore)
    await bridge.dial(TO)
    script.push("other", CallState.CONNECTED)
    assert bridge.health.foreign == 0

    await clock.advance(121)

    assert bridge.health.foreign == 1


async def test_calls_that_nobody_here_knows_are_counted_until_they_end(bridge: Bridge, script: Script) -> None:
    script.push("x1", CallState.CONNECTED)
    script.push("x2", CallState.RINGING)
    script.push("x1", CallState.CONNECTED)
    assert bridge.health.foreign == 2

    script.ended("x1")

    assert bridge.health.foreign == 1
    assert bridge.calls == ()
    assert history(bridge) == []


async def test_recovered_calls_are_watched_and_controlled_and_not_owned(script: Script, opening: Opening) -> None:
    async with opening() as bridge:
        own = await bridge.dial(TO)
        script.push("x1", CallState.CONNECTED)
        script.listing = [known("c1", CallState.RINGING), known("x1", CallState.CONNECTED), known("x2")]

        recovered = await bridge.recover()

        assert [call.native_id for call in recovered] == ["x1", "x2"]
        assert bridge.health.foreign == 0
        assert own.state is CallState.RINGING
        assert not any(call.owned for call in recovered)
        await recovered[0].hold()
        assert await bridge.recover() == ()

    assert [command.ref for command in script.asked_for(HangUp)] == ["c1"]


async def test_recovery_gives_a_lost_dial_back_to_its_own_call(
    bridge: Bridge, script: Script, clock: SteppedClock, tasks: TaskGroup
) -> None:
    script.on(Dial, AnswerLost("timeout"))
    script.listing = []
    Soon(tasks, bridge.dial, TO)
    await clock.advance(15)
    (lost,) = bridge.calls
    script.listing = [known("c9", CallState.CONNECTED, command_id=lost.id)]

    assert await bridge.recover() == ()

    assert lost.native_id == "c9"
    assert bridge.calls == (lost,)


async def test_a_provider_that_cannot_list_cannot_recover(bridge: Bridge) -> None:
    with pytest.raises(Unsupported, match="cannot list"):
        await bridge.recover()


async def test_a_list_that_breaks_in_the_plugin_is_the_plugins_fault(bridge: Bridge, script: Script) -> None:
    script.listing = TypeError("none")

    with pytest.raises(PluginContractError, match="TypeError"):
        await bridge.recover()


async def test_nothing_is_dialled_while_the_bridge_closes(opening: Opening, script: Script, tasks: TaskGroup) -> None:
    bridge = opening()
    dialled: list[BaseException] = []

    async def dial(command: HangUp) -> None:
        try:
            await bridge.dial(TO)
        except NotPossibleNow as error:
            dialled.append(error)
        await script.obey(command)

    async with bridge:
        await bridge.dial(TO)
        script.on(HangUp, dial)

    assert len(dialled) == 1
    assert script.sent == ["Dial", "HangUp"]


async def test_a_dial_with_limits_that_the_closing_bridge_cuts_off_is_unknown(
    opening: Opening, script: Script, tasks: TaskGroup
) -> None:
    script.on(Dial, script.block)
    async with opening(close_timeout=0.05) as bridge:
        dialling = Soon(tasks, bridge.dial, TO, ring_timeout=5, max_duration=5)
        await anyio.wait_all_tasks_blocked()

    await anyio.wait_all_tasks_blocked()
    assert isinstance(dialling.error, OutcomeUnknown)
