"""What an application can rely on, whatever the provider."""

from __future__ import annotations

import logging
import re

import anyio
import anyio.lowlevel
import pytest

from telco_bridge import (
    Call,
    CallConnected,
    CallEnded,
    CallState,
    Capability,
    EndedBy,
    Modality,
    NotAnswered,
    NotPossibleNow,
    Phase,
    Refused,
    StreamEnded,
    StreamState,
    TerminationReason,
    Unsupported,
    connect,
)
from telco_bridge.sandbox import Behaviour

from .conftest import Place

R = TerminationReason


async def history(call: Call) -> list[str]:
    return [event.name async for event in call.events()]


async def test_an_answered_call_that_we_hang_up_ended_normally_by_the_application(place: Place) -> None:
    async with connect(place.settings) as bridge:
        call = await bridge.dial("+15550100")
        await call.answered()
        await call.hangup(note="done")
        termination = await call.ended()

    assert (termination.reason, termination.by, termination.phase) == (R.NORMAL, EndedBy.APPLICATION, Phase.ESTABLISHED)
    assert (termination.requested, termination.note) == (R.NORMAL, "done")
    assert not place.exchange.legs


@pytest.mark.parametrize(
    ("number", "reason", "phase"),
    [
        ("+15550101", R.BUSY, None),
        ("+15550102", R.REJECTED, Phase.ALERTING),
        ("+15550105", R.UNALLOCATED_NUMBER, None),
    ],
)
async def test_a_call_that_nobody_takes_says_why(
    place: Place, number: str, reason: TerminationReason, phase: Phase | None
) -> None:
    async with connect(place.settings) as bridge:
        call = await bridge.dial(number)

        with pytest.raises(NotAnswered) as refusal:
            await call.answered()

        termination = refusal.value.termination
        assert termination.reason is reason
        if place.name != "signalwire-polling":  # a look now and then may miss the ringing
            assert phase in (None, termination.phase)
        assert termination.native
        assert (await history(call)).count("CallEnded") == 1
        assert "CallConnected" not in await history(call)


async def test_nobody_answers_within_the_time_to_ring(place: Place) -> None:
    async with connect(place.settings) as bridge:
        call = await bridge.dial("+15550103", ring_timeout=1)

        termination = await call.ended()

    assert termination.reason is R.NO_ANSWER
    assert not place.exchange.legs


async def test_the_far_end_hangs_up(place: Place) -> None:
    async with connect(place.settings) as bridge:
        call = await bridge.dial("+15550104")
        await call.answered()

        termination = await call.ended()

    assert termination.reason is R.NORMAL
    assert termination.by in (EndedBy.REMOTE, EndedBy.UNKNOWN)
    assert termination.phase is Phase.ESTABLISHED


async def test_the_events_of_a_call_are_in_order_and_end_once(place: Place) -> None:
    async with connect(place.settings) as bridge:
        call = await bridge.dial("+15550100")
        await call.answered()
        await call.start(Modality.AUDIO)
        await call.hangup()
        await call.ended()
        events = [event async for event in call.events()]

    sequence = [event.seq for event in events]
    assert sequence == sorted(set(sequence))
    assert sum(isinstance(event, CallConnected) for event in events) == 1
    assert [event.name for event in events].count("CallEnded") == 1
    assert isinstance(events[-1], CallEnded)
    assert any(isinstance(event, StreamEnded) for event in events)


async def test_stopped_audio_is_a_stream_that_ended_with_our_reason(place: Place) -> None:
    async with connect(place.settings) as bridge:
        call = await bridge.dial("+15550100")
        await call.answered()
        stream = await call.start(Modality.AUDIO)

        result = await call.stop(Modality.AUDIO, reason=R.MEDIA_LOST, note="enough heard")

        assert result.streams == (stream,)
        assert stream.state is StreamState.ENDED
        assert stream.termination is not None
        assert stream.termination.requested is R.MEDIA_LOST
        assert stream.termination.note == "enough heard"
        assert not [s for s in call.streams if s.modality is Modality.AUDIO and s.state is not StreamState.ENDED]


async def test_stopping_what_has_stopped_sends_nothing(place: Place) -> None:
    async with connect(place.settings) as bridge:
        call = await bridge.dial("+15550100")
        await call.answered()
        stream = await call.start(Modality.AUDIO)
        await stream.stop()
        sent = len(place.sent())

        again = await stream.stop()
        nothing = await call.stop(Modality.AUDIO)

        assert again.confirmed_by is None
        assert nothing.streams == ()
        assert nothing.call_ended is (call.state is CallState.ENDED)
        assert len(place.sent()) == sent


async def test_audio_can_start_again_where_the_provider_offers_it(place: Place) -> None:
    async with connect(place.settings) as bridge:
        call = await bridge.dial("+15550100")
        await call.answered()
        first = await call.start(Modality.AUDIO)
        result = await first.stop()
        if result.call_ended or not call.can(Capability.START_AUDIO):
            assert place.name == "ucwa", "only UCWA ends a call that has no media left"
            return

        second = await call.start(Modality.AUDIO)

        assert second != first
        assert second.id.life > first.id.life or second.id.slot != first.id.slot
        await call.hangup()


async def test_starting_what_flows_returns_it_and_sends_nothing(place: Place) -> None:
    async with connect(place.settings) as bridge:
        call = await bridge.dial("+15550100")
        await call.answered()
        first = await call.start(Modality.AUDIO)
        sent = len(place.sent())

        second = await call.start(Modality.AUDIO)

        assert second == first
        assert len(place.sent()) == sent


async def test_a_stop_after_the_far_end_hung_up_succeeds_and_says_that_the_call_has_ended(place: Place) -> None:
    talkative = Behaviour(what="talks for a while, then hangs up", answers_after=1.0, hangs_up_after=30.0)
    place.exchange.set_behaviour("+15550119", talkative)
    async with connect(place.settings) as bridge:
        call = await bridge.dial("+15550119")
        await call.answered()
        stream = await call.start(Modality.AUDIO)
        await call.ended()
        sent = len(place.sent())

        result = await stream.stop()

        assert result.call_ended is True
        assert len(place.sent()) == sent


async def test_hanging_up_twice_and_at_the_same_time_sends_one_request(place: Place) -> None:
    async with connect(place.settings) as bridge:
        call = await bridge.dial("+15550100")
        await call.answered()
        sent = len(place.sent())

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(call.hangup)
            tasks.start_soon(call.hangup)
        await call.hangup()

        assert call.state is CallState.ENDED
        assert len(place.sent()) - sent == (0 if place.emulator is None else 1)


async def test_hanging_up_a_ringing_call_cancels_it(place: Place) -> None:
    async with connect(place.settings) as bridge:
        call = await bridge.dial("+15550103")
        await call.until(lambda view: view.state in (CallState.DIALING, CallState.RINGING))

        await call.hangup()
        termination = await call.ended()

    assert (termination.reason, termination.by) == (R.CANCELLED, EndedBy.APPLICATION)
    assert not place.exchange.legs


async def test_hanging_up_inside_the_loop_over_its_own_events_does_not_deadlock(place: Place) -> None:
    seen: list[str] = []
    async with connect(place.settings) as bridge:
        call = await bridge.dial("+15550100")
        async for event in call.events():
            seen.append(event.name)
            if isinstance(event, CallConnected):
                await call.hangup()

    assert seen[-1] == "CallEnded"


async def test_leaving_the_call_hangs_it_up(place: Place) -> None:
    async with connect(place.settings) as bridge:
        async with await bridge.dial("+15550100") as call:
            await call.answered()

        assert call.state is CallState.ENDED


async def test_leaving_the_bridge_hangs_up_what_it_dialled(place: Place) -> None:
    async with connect(place.settings) as bridge:
        call = await bridge.dial("+15550100")
        await call.answered()

    assert call.termination is not None
    assert not place.exchange.legs


async def test_an_error_of_the_users_leaves_unwrapped_and_the_call_is_hung_up(place: Place) -> None:
    mistake = RuntimeError("mine")

    with pytest.raises(RuntimeError) as caught:  # noqa: PT012 - what leaves the bridge is the point
        async with connect(place.settings) as bridge:
            call = await bridge.dial("+15550100")
            await call.answered()
            raise mistake

    assert caught.value is mistake
    assert not place.exchange.legs


async def test_a_cancelled_dial_leaves_no_call_ringing(place: Place) -> None:
    async with connect(place.settings) as bridge:
        with anyio.CancelScope() as scope:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(bridge.dial, "+15550103")
                await anyio.lowlevel.checkpoint()
                scope.cancel()

    assert not place.exchange.legs


async def test_a_cancelled_hang_up_hangs_up_all_the_same(place: Place) -> None:
    async with connect(place.settings) as bridge:
        call = await bridge.dial("+15550100")
        await call.answered()
        with anyio.CancelScope() as scope:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(call.hangup)
                await anyio.lowlevel.checkpoint()
                scope.cancel()

        termination = await call.ended()

    assert termination.by is EndedBy.APPLICATION


async def test_a_number_that_is_no_number_is_refused_before_anything_is_sent(place: Place) -> None:
    async with connect(place.settings) as bridge:
        sent = len(place.sent())

        for nonsense in ("call me", "", "+", "++1555", "tel:abc"):
            with pytest.raises(Refused, match=re.escape(repr(nonsense))):
                await bridge.dial(nonsense)

        assert len(place.sent()) == sent
        assert bridge.calls == ()


async def test_what_the_provider_cannot_do_is_refused_before_anything_is_sent(place: Place) -> None:
    async with connect(place.settings) as bridge:
        call = await bridge.dial("+15550100")
        await call.answered()
        sent = len(place.sent())

        with pytest.raises(Unsupported):
            await call.start(Modality.SCREEN)
        with pytest.raises(Unsupported):
            await call.stop(Modality.MESSAGING)

        assert len(place.sent()) == sent


async def test_what_the_state_forbids_is_refused_before_anything_is_sent(place: Place) -> None:
    async with connect(place.settings) as bridge:
        call = await bridge.dial("+15550104")
        await call.ended()
        sent = len(place.sent())

        with pytest.raises(NotPossibleNow):
            await call.start(Modality.AUDIO)

        assert len(place.sent()) == sent


async def test_two_calls_at_once_do_not_mix(place: Place) -> None:
    async with connect(place.settings) as bridge:
        answered = await bridge.dial("+15550100")
        busy = await bridge.dial("+15550101")

        assert (await busy.ended()).reason is R.BUSY
        await answered.answered()
        assert answered.termination is None
        assert answered.native_id != busy.native_id
        await answered.hangup()


async def test_one_intent_is_one_call(place: Place) -> None:
    async with connect(place.settings) as bridge:
        first = await bridge.dial("+15550100", intent="order-4711")

        second = await bridge.dial("+15550100", intent="order-4711")

        assert second == first
        assert len(place.exchange.legs) <= 1


async def test_no_secret_is_shown(place: Place, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    secrets = [str(place.settings[name]) for name in ("password", "token", "signing_key") if name in place.settings]

    async with connect(place.settings) as bridge:
        call = await bridge.dial("+15550100")
        await call.answered()
        await call.hangup()
        shown = [caplog.text, repr(bridge), repr(call), repr(call.view), repr(bridge.health)]

    assert not [secret for secret in secrets for text in shown if secret in text]
