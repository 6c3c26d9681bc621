"""Entering a bridge, leaving it, and what holds in between."""

from __future__ import annotations

import itertools
import logging
import time
from typing import Any

import anyio
import pytest
from anyio.abc import TaskGroup

from telco_bridge import (
    AuthenticationFailed,
    Bridge,
    Call,
    CallState,
    Capability,
    ChannelFailed,
    ConfigError,
    GapDetected,
    Modality,
    NotAnswered,
    NotPossibleNow,
    OutcomeUnknown,
    SupportLevel,
    TerminationReason,
    Unreachable,
)
from telco_bridge.provider import Dial, HangUp, NotSent, Refused
from telco_bridge.sandbox import SteppedClock

from .conftest import TO, Opening, Script, Soon, history, known


class Interrupt(BaseException):
    """Like `KeyboardInterrupt`, and known to nobody."""


async def test_a_bridge_tells_what_the_provider_can_before_it_is_entered(opening: Opening) -> None:
    bridge = opening()

    assert bridge.provider == "scripted"
    assert set(bridge.support) == set(Capability)
    assert bridge.support[Capability.MAX_DURATION].level is SupportLevel.EMULATED
    assert bridge.health.channel == "closed"
    assert bridge.calls == ()
    assert "new" in repr(bridge)


@pytest.mark.parametrize("what", ["dial", "incoming", "serve", "recover"])
async def test_a_bridge_that_is_not_open_says_so(opening: Opening, what: str) -> None:
    async def use(bridge: Bridge) -> None:
        match what:
            case "dial":
                await bridge.dial(TO)
            case "incoming":
                await anext(aiter(bridge.incoming()))
            case "serve":
                await bridge.serve(Call.hangup)
            case _:
                await bridge.recover()

    bridge = opening()
    with pytest.raises(NotPossibleNow, match=f"{what}: the bridge is new"):
        await use(bridge)
    async with bridge:
        pass
    with pytest.raises(NotPossibleNow, match=f"{what}: the bridge is closed"):
        await use(bridge)


async def test_a_bridge_is_entered_once(opening: Opening) -> None:
    async with opening() as bridge:
        with pytest.raises(NotPossibleNow, match="entered once"):
            async with bridge:
                pytest.fail("twice")
        assert bridge.health.channel == "open"
        assert (await bridge.dial(TO)).native_id == "c1"

    with pytest.raises(NotPossibleNow, match="this bridge is closed"):
        async with bridge:
            pytest.fail("again")


async def test_a_call_outlives_its_bridge_as_a_record(opening: Opening, script: Script) -> None:
    async with opening() as bridge:
        call = await bridge.dial(TO)
        released = await bridge.dial(TO)
        released.release()
        script.connected("c2", "audio")

    await call.hangup()
    assert (await call.ended()).by == "bridge"
    assert [type(event).__name__ async for event in call.events()][-1] == "CallEnded"
    with pytest.raises(NotPossibleNow):
        await released.hold()
    with pytest.raises(NotAnswered):
        await call.answered()
    assert bridge.calls == ()


async def test_waiting_for_a_call_that_was_refused_ends(
    bridge: Bridge, script: Script, clock: SteppedClock, tasks: TaskGroup
) -> None:
    async def refuse(command: Dial) -> None:
        await clock.sleep_until(clock.now() + 1)
        raise Refused("no")

    script.on(Dial, refuse)
    Soon(tasks, bridge.dial, TO)
    await clock.advance(0)
    (call,) = bridge.calls
    waiting = Soon(tasks, call.ended)

    await clock.advance(1)

    assert isinstance(waiting.error, NotPossibleNow)


async def test_an_error_of_the_users_leaves_as_it_is_and_the_call_is_hung_up(opening: Opening, script: Script) -> None:
    mistake = RuntimeError("mine")

    with pytest.raises(RuntimeError) as caught:  # noqa: PT012 - what leaves the bridge is the point
        async with opening() as bridge:
            await bridge.dial(TO)
            raise mistake

    assert caught.value is mistake
    assert script.sent == ["Dial", "HangUp"]
    assert script.signed_out == 1


@pytest.mark.parametrize("mistake", [Interrupt(), SystemExit(3), StopAsyncIteration(), TimeoutError()])
async def test_whatever_the_user_raises_leaves_as_it_is(
    opening: Opening, script: Script, mistake: BaseException
) -> None:
    with pytest.raises(type(mistake)) as caught:  # noqa: PT012 - what leaves the bridge is the point
        async with opening() as bridge:
            await bridge.dial(TO)
            raise mistake

    assert caught.value is mistake
    assert script.sent == ["Dial", "HangUp"]
    assert script.signed_out == 1


async def test_an_error_inside_a_call_leaves_as_it_is_and_the_call_is_hung_up(opening: Opening, script: Script) -> None:
    mistake = RuntimeError("mine")
    async with opening() as bridge:
        with pytest.raises(RuntimeError) as caught:
            async with await bridge.dial(TO):
                raise mistake

        assert caught.value is mistake
        assert script.sent == ["Dial", "HangUp"]


async def test_an_error_inside_a_call_goes_before_the_failure_to_hang_up(
    opening: Opening, script: Script, caplog: pytest.LogCaptureFixture
) -> None:
    mistake = RuntimeError("mine")
    script.on(HangUp, Refused("no"))
    async with opening() as bridge:
        with pytest.raises(RuntimeError) as caught:
            async with await bridge.dial(TO):
                raise mistake

        assert caught.value is mistake
    assert "could not be hung up: no" in caplog.text


async def test_the_failure_to_hang_up_leaves_a_call_that_nothing_else_leaves(opening: Opening, script: Script) -> None:
    script.on(HangUp, Refused("no"))
    async with opening() as bridge:
        with pytest.raises(Refused):
            async with await bridge.dial(TO):
                pass


async def test_a_released_call_is_not_hung_up(opening: Opening, script: Script) -> None:
    async with opening() as bridge:
        async with await bridge.dial(TO) as call:
            call.release()
        assert not call.view.over

    assert script.sent == ["Dial"]


async def test_a_call_that_has_ended_is_left_without_a_word(bridge: Bridge, script: Script) -> None:
    async with await bridge.dial(TO):
        script.ended("c1")

    assert script.sent == ["Dial"]


@pytest.mark.parametrize("wrapped", [False, True])
@pytest.mark.parametrize("failure", [AuthenticationFailed("who?"), ConfigError("no such space")])
async def test_an_error_while_signing_in_leaves_as_it_is(
    opening: Opening, script: Script, failure: Exception, wrapped: bool
) -> None:
    async def enter() -> None:
        if wrapped:
            async with anyio.create_task_group():
                raise failure
        raise failure

    script.enter = enter
    bridge = opening()

    with pytest.raises(type(failure)) as caught:
        async with bridge:
            pytest.fail("nobody is signed in")

    assert caught.value is failure
    assert bridge.health.channel == "closed"


async def test_a_provider_that_is_not_there_is_unreachable(opening: Opening, script: Script) -> None:
    async def enter() -> None:
        raise NotSent("connection refused")

    script.enter = enter

    with pytest.raises(Unreachable, match="scripted cannot be reached: connection refused") as caught:
        async with opening():
            pytest.fail("nobody is signed in")

    assert isinstance(caught.value.__cause__, NotSent)


async def test_a_sign_out_that_fails_is_logged_and_harms_nobody(
    opening: Opening, script: Script, caplog: pytest.LogCaptureFixture
) -> None:
    async def leave() -> None:
        raise OSError("gone")

    script.leave = leave

    async with opening() as bridge:
        await bridge.dial(TO)

    assert script.sent == ["Dial", "HangUp"]
    assert "signing out failed: gone" in caplog.text


async def test_a_sign_out_that_never_returns_is_cut_off(opening: Opening, script: Script) -> None:
    script.leave = anyio.sleep_forever
    began = time.monotonic()

    async with opening(close_timeout=0.05):
        pass

    assert time.monotonic() - began < 1.0


@pytest.mark.parametrize("kind", [Dial, HangUp])
async def test_a_command_that_never_returns_does_not_hang_the_exit(
    opening: Opening, script: Script, tasks: TaskGroup, kind: type[Dial | HangUp]
) -> None:
    script.on(kind, script.block)
    began = time.monotonic()

    async with opening(close_timeout=0.05) as bridge:
        dialling = Soon(tasks, bridge.dial, TO)
        await anyio.wait_all_tasks_blocked()
        (call,) = bridge.calls

    await anyio.wait_all_tasks_blocked()
    assert time.monotonic() - began < 1.0
    assert dialling.done
    assert call.termination is not None
    assert call.termination.reason is TerminationReason.ORPHANED
    assert history(bridge).count("CallEnded") == 1
    if kind is Dial:
        assert isinstance(dialling.error, OutcomeUnknown)


async def test_leaving_a_call_whose_hang_up_never_returns_is_bounded_and_told(
    opening: Opening, script: Script, caplog: pytest.LogCaptureFixture
) -> None:
    script.on(HangUp, script.block)

    async with opening(close_timeout=0.05) as bridge, await bridge.dial(TO):
        pass

    assert "could not be hung up" in caplog.text


# The channel ----------------------------------------------------------------------------------------------------------


async def test_a_broken_channel_is_a_gap_and_is_tried_again_with_growing_pauses(
    opening: Opening, script: Script, clock: SteppedClock
) -> None:
    async def broken() -> None:
        raise OSError("reset by peer")

    script.run = broken
    async with opening() as bridge:
        await clock.advance(120)

        pauses = [later - earlier for earlier, later in itertools.pairwise(script.runs)]
        assert pauses[:8] == [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0]
        assert history(bridge)[:4] == ["GapDetected", "GapDetected", "GapDetected", "ChannelFailed"]


async def test_a_broken_channel_shows_in_health_until_it_has_been_steady(
    opening: Opening, script: Script, clock: SteppedClock
) -> None:
    broken = [OSError("reset"), OSError("reset"), OSError("reset"), None]

    async def run() -> None:
        trouble = broken.pop(0)
        if trouble is not None:
            raise trouble
        await anyio.sleep_forever()

    script.run = run
    async with opening() as bridge:
        await clock.advance(3)
        assert bridge.health.channel == "failing"
        assert bridge.health.error == "OSError: reset"
        failed = [e async for e in _so_far(bridge) if isinstance(e, ChannelFailed)]
        assert [(e.error, e.attempts) for e in failed] == [("OSError: reset", 3)]
        await clock.advance(61)

        assert bridge.health.channel == "open"
        assert bridge.health.error == "OSError: reset"


async def _so_far(bridge: Bridge):
    reader = bridge.events(since=0)
    for _ in range(bridge._switchboard.log.written):
        yield await anext(reader)


async def test_a_channel_that_ends_is_broken_too(opening: Opening, script: Script, clock: SteppedClock) -> None:
    async def run() -> None:
        if len(script.runs) > 1:
            await anyio.sleep_forever()

    script.run = run
    async with opening() as bridge:
        await clock.advance(1)

        (gap,) = [e async for e in _so_far(bridge) if isinstance(e, GapDetected)]
        assert gap.why == "the event channel ended"
        assert len(script.runs) == 2


async def test_refused_credentials_fail_the_channel_at_once(
    opening: Opening, script: Script, clock: SteppedClock
) -> None:
    async def run() -> None:
        raise AuthenticationFailed("expired")

    script.run = run
    async with opening() as bridge:
        await clock.advance(0)

        assert history(bridge) == ["GapDetected", "ChannelFailed"]


async def test_after_a_broken_channel_every_call_is_looked_at(
    opening: Opening, script: Script, clock: SteppedClock
) -> None:
    broken = anyio.Event()

    async def run() -> None:
        if len(script.runs) == 1:
            await broken.wait()
            raise OSError("reset")
        await anyio.sleep_forever()

    script.run = run
    async with opening() as bridge:
        call = await bridge.dial(TO)
        script.connected("c1")
        script.truth["c1"] = known("c1", CallState.ENDED)
        broken.set()

        await clock.advance(1)

        assert call.state is CallState.ENDED


async def test_a_provider_that_is_only_read_and_cannot_be_read_is_in_trouble_and_recovers(
    opening: Opening, script: Script, clock: SteppedClock
) -> None:
    script.max_staleness = 1.0
    async with opening() as bridge:
        await bridge.dial(TO)
        await clock.advance(10)
        assert "ChannelFailed" in history(bridge)
        assert bridge.health.channel == "failing"
        assert bridge.health.error == "reads of calls fail"

        script.truth["c1"] = known("c1", CallState.CONNECTED)
        await clock.advance(60)

        assert bridge.health.channel == "open"
        assert history(bridge).count("GapDetected") == 1


async def test_reads_keep_within_their_budget(opening: Opening, script: Script, clock: SteppedClock) -> None:
    async with opening(reads_per_second=2.0, sweep_interval=10.0) as bridge:
        for number in range(1, 41):
            await bridge.dial(TO)
            script.connected(f"c{number}")
            script.truth[f"c{number}"] = known(f"c{number}", CallState.CONNECTED)

        await clock.advance(20)

        assert 20 <= len(script.reads) <= 24


async def test_health_counts_live_and_foreign_calls(bridge: Bridge, script: Script) -> None:
    await bridge.dial(TO)
    script.push("x1", CallState.CONNECTED)

    assert (bridge.health.live, bridge.health.foreign) == (1, 1)
    assert bridge.health.error is None


async def test_nothing_of_this_is_logged_as_an_error(
    bridge: Bridge, call: Call, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "telco_bridge"):
        await call.hangup()

    assert caplog.records == []


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"to": None}, TypeError),
        ({"to": 5}, TypeError),
        ({"to": TO, "caller_id": 5}, TypeError),
        ({"to": TO, "intent": 5}, TypeError),
        ({"to": TO, "ring_timeout": "5"}, TypeError),
        ({"to": TO, "ring_timeout": True}, TypeError),
        ({"to": TO, "modalities": ["smell"]}, ValueError),
        ({"to": ""}, Refused),
        ({"to": f"{TO}\n"}, Refused),
        ({"to": "+1" + "5" * 5000}, Refused),
    ],
)
async def test_a_bad_argument_of_a_dial_is_told_to_the_caller_and_nothing_is_sent(
    bridge: Bridge, script: Script, arguments: dict[str, Any], error: type[Exception]
) -> None:
    with pytest.raises(error) as told:
        await bridge.dial(**arguments)

    assert len(str(told.value)) < 300
    assert script.sent == []
    assert bridge.calls == ()


@pytest.mark.parametrize("modality", [None, 5, "AUDIO", [Modality.AUDIO], Modality.UNKNOWN])
async def test_a_modality_that_is_none_is_not_stopped_in_silence(call: Call, modality: Any) -> None:
    with pytest.raises(ValueError, match="there are audio, messaging, screen, video"):
        await call.stop(modality)
    with pytest.raises(ValueError, match="is no modality"):
        await call.start(modality)


async def test_calls_that_cannot_be_listed_because_nobody_is_there_are_unreachable(
    bridge: Bridge, script: Script
) -> None:
    script.listing = NotSent("no route")

    with pytest.raises(Unreachable, match="recover: scripted cannot be reached"):
        await bridge.recover()
