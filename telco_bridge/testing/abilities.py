"""Promises about the table of support: what is declared works, and what is not is refused before anything is sent."""

from __future__ import annotations

import anyio
import pytest

from ..call import Call
from ..commands import (
    Answer,
    Command,
    Dial,
    Hold,
    Mute,
    PauseRecording,
    Play,
    Redirect,
    Reject,
    Resume,
    Say,
    SendDigits,
    StartMedia,
    StartRecording,
    StopMedia,
    StreamTarget,
    Transfer,
    Unmute,
    new_id,
)
from ..errors import NotPossibleNow, Unsupported
from ..events import CallHeld, CallResumed, CallUpdated, DigitReceived
from ..media import Modality, StreamId, Transport
from ..provider import Capability, SupportLevel, TerminationReason
from ..reports import CallState
from .calls import history
from .harness import FarEnd, Harness
from .promises import Level, promise, skip
from .tap import trial

__all__ = ["AbilityPromises"]

_R = TerminationReason
_OUTBOUND = (Capability.DIAL, Capability.HANG_UP)
_KEPT_BY_THE_CORE = (Capability.RING_TIMEOUT, Capability.MAX_DURATION, Capability.LIST_CALLS)
_ASKED_FOR_BY_NOBODY = (Capability.HEAR_DIGITS, Capability.STOP_REASON)
_ASKED_FOR_WITH_OTHERS = (Capability.RECEIVE_AUDIO, Capability.SEND_AUDIO)
_NOT_ASKED_ALONE = (*_OUTBOUND, *_KEPT_BY_THE_CORE, *_ASKED_FOR_BY_NOBODY, *_ASKED_FOR_WITH_OTHERS)
_ASKED_ALONE = [c for c in Capability if c not in _NOT_ASKED_ALONE]
"""What a command asks for, and nothing else with it."""


class AbilityPromises:
    """What every provider promises of its own declarations."""

    @promise(Level.BASIC)
    async def test_every_capability_is_declared(self, harness: Harness) -> None:
        """Every capability is declared, and whatever is not simply supported says what a user should know."""
        support = harness.plugin.support

        assert not [str(capability) for capability in Capability if capability not in support]
        emulated = [str(c) for c, s in support.items() if s.level is SupportLevel.EMULATED and not s.note]
        assert not emulated, f"a note must say how these are emulated: {', '.join(emulated)}"

    @promise(Level.BASIC, needs=_OUTBOUND, tells=_ASKED_ALONE)
    async def test_what_is_not_declared_is_refused_and_nothing_is_sent(self, harness: Harness) -> None:
        """What the provider does not declare is refused by its plugin too, and nothing is sent."""
        support = harness.plugin.support
        lacking = [c for c in _ASKED_ALONE if c not in support or not support[c].usable]
        if not lacking:
            skip("everything is declared")
        async with trial(harness) as line:
            call = await line.bridge.dial(harness.address(FarEnd.ANSWERS))
            await call.answered()
            sent = harness.sent()

            for capability in lacking:
                command = _asking_for(capability, call, harness.address(FarEnd.ANSWERS))
                try:
                    await line.tap.session.execute(command)
                except Unsupported:
                    continue
                raise AssertionError(f"{capability}: {command.name} was not refused")

            assert harness.sent() == sent
            await call.hangup()

    @promise(Level.BASIC, needs=(*_OUTBOUND, Capability.RING_TIMEOUT))
    async def test_nobody_rings_longer_than_the_ring_timeout(self, harness: Harness) -> None:
        """A call that nobody answers within the ring timeout ends, and says so."""
        async with trial(harness) as line:
            call = await line.bridge.dial(harness.address(FarEnd.RINGS), ring_timeout=1)
            # Some time later the network itself gives up, with the same reason.
            with anyio.fail_after(harness.patience / 2):
                told = await call.ended()

        assert told.reason is _R.NO_ANSWER
        assert harness.up() == 0

    @promise(Level.BASIC, needs=(*_OUTBOUND, Capability.MAX_DURATION))
    async def test_no_call_is_longer_than_its_longest_duration(self, harness: Harness) -> None:
        """A call that reaches its longest duration ends, and says so."""
        async with trial(harness) as line:
            call = await line.bridge.dial(harness.address(FarEnd.ANSWERS), max_duration=1)
            told = await call.ended()

        assert told.reason is _R.TIME_LIMIT
        assert harness.up() == 0

    @promise(Level.BASIC, needs=(*_OUTBOUND, Capability.LIST_CALLS))
    async def test_live_calls_are_listed(self, harness: Harness) -> None:
        """A list of calls holds those that are up, with the state that they have, and not those that have ended."""
        async with trial(harness) as line:
            call = await line.bridge.dial(harness.address(FarEnd.ANSWERS))
            await call.answered()
            during = await line.tap.session.list_calls()
            await call.hangup()
            after = await line.tap.session.list_calls()

        listed = {report.ref: report for report in during.reports}
        assert call.native_id in listed
        assert listed[call.native_id].state in (None, call.view.reached)
        assert call.native_id not in {report.ref for report in after.reports if report.state is not call.state}

    @promise(Level.FULL, needs=(*_OUTBOUND, Capability.HOLD, Capability.RESUME))
    async def test_a_held_call_says_so_until_it_is_resumed(self, harness: Harness) -> None:
        """A call that is put on hold is held, says so once, and is held until it is resumed."""
        async with trial(harness) as line:
            call = await line.bridge.dial(harness.address(FarEnd.ANSWERS))
            await call.answered()
            await call.until(lambda _: call.can(Capability.HOLD))
            for _ in range(2):
                await call.hold()
                assert call.held
                await line.tap.session.read(call.native_id or "")
                assert call.held
                assert call.can(Capability.RESUME)
                await call.resume()
                assert not call.held
            await call.hangup()
            told = [type(event) for event in await history(call) if isinstance(event, CallHeld | CallResumed)]

        assert told == [CallHeld, CallResumed] * 2

    @promise(Level.FULL, needs=(*_OUTBOUND, Capability.MUTE, Capability.UNMUTE))
    async def test_a_muted_call_says_so_until_it_is_unmuted(self, harness: Harness) -> None:
        """A call that is muted says so until it is unmuted, and goes on meanwhile."""
        async with trial(harness) as line:
            call = await line.bridge.dial(harness.address(FarEnd.ANSWERS))
            await call.answered()
            await harness.enable(Capability.MUTE, line.bridge, call)
            await call.until(lambda _: call.can(Capability.MUTE))
            for _ in range(2):
                await call.mute()
                assert call.muted
                assert call.can(Capability.UNMUTE)
                await call.unmute()
                assert not call.muted
            assert call.state is CallState.CONNECTED
            await call.hangup()
            events = [e for e in await history(call) if isinstance(e, CallUpdated) and "muted" in e.changed]

        # That it was not muted before may be told, too.
        told = [event.call.muted for event in events]
        assert told[told.index(True) :] == [True, False] * 2

    @promise(Level.FULL, needs=(*_OUTBOUND, Capability.SEND_DIGITS))
    async def test_digits_are_heard_by_the_far_end(self, harness: Harness) -> None:
        """Digits that are sent are heard by the far end, once and in order."""
        async with trial(harness) as line:
            call = await line.bridge.dial(harness.address(FarEnd.ANSWERS))
            await call.answered()
            await call.send_digits("12")
            await call.send_digits("3#")

            assert harness.heard(call) == "123#"
            await call.hangup()

    @promise(Level.FULL, needs=(*_OUTBOUND, Capability.HEAR_DIGITS))
    async def test_digits_of_the_far_end_are_told(self, harness: Harness) -> None:
        """Keys that the far end presses are told, each once and in order."""
        async with trial(harness) as line:
            call = await line.bridge.dial(harness.address(FarEnd.ANSWERS))
            await call.answered()
            await harness.press(call, "42#")
            async for event in call.events():
                if isinstance(event, DigitReceived) and event.digit == "#":
                    break
            await call.hangup()
            heard = [event.digit for event in await history(call) if isinstance(event, DigitReceived)]

        assert heard == ["4", "2", "#"]

    @promise(Level.BASIC, needs=_OUTBOUND)
    async def test_what_the_state_forbids_is_not_possible_now(self, harness: Harness) -> None:
        """Nothing can be asked of a call that has ended, and nothing is sent."""
        async with trial(harness) as line:
            call = await line.bridge.dial(harness.address(FarEnd.BUSY))
            await call.ended()
            sent = harness.sent()

            assert not [str(capability) for capability in Capability if call.can(capability)]
            for ask in (call.hold(), call.start(Modality.AUDIO)):
                with pytest.raises((NotPossibleNow, Unsupported)):
                    await ask
            assert harness.sent() == sent


_STARTS = {
    Capability.START_AUDIO: Modality.AUDIO,
    Capability.START_VIDEO: Modality.VIDEO,
    Capability.START_SCREEN: Modality.SCREEN,
    Capability.START_MESSAGING: Modality.MESSAGING,
}
_STOPS = {
    Capability.STOP_AUDIO: Modality.AUDIO,
    Capability.STOP_VIDEO: Modality.VIDEO,
    Capability.STOP_SCREEN: Modality.SCREEN,
    Capability.STOP_MESSAGING: Modality.MESSAGING,
}
_OFFER = "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\nm=audio 50000 RTP/AVP 0\r\n"


def _asking_for(capability: Capability, call: Call, to: str) -> Command:
    """The command that needs this capability alone."""
    token, ref = new_id(), call.native_id
    match capability:
        case Capability.DIAL_OFFER:
            return Dial(id=token, call=token, to=to, offer=_OFFER)
        case Capability.ANSWER:
            return Answer(id=token, call=call.id, ref=ref)
        case Capability.REJECT:
            return Reject(id=token, call=call.id, ref=ref)
        case Capability.REDIRECT:
            return Redirect(id=token, call=call.id, ref=ref, to=to)
        case Capability.HOLD:
            return Hold(id=token, call=call.id, ref=ref)
        case Capability.RESUME:
            return Resume(id=token, call=call.id, ref=ref)
        case Capability.MUTE:
            return Mute(id=token, call=call.id, ref=ref)
        case Capability.UNMUTE:
            return Unmute(id=token, call=call.id, ref=ref)
        case Capability.SEND_DIGITS:
            return SendDigits(id=token, call=call.id, ref=ref, digits="1")
        case Capability.SAY:
            return Say(id=token, call=call.id, ref=ref, text="one")
        case Capability.PLAY:
            return Play(id=token, call=call.id, ref=ref, url="https://app.example.net/one.wav")
        case Capability.TRANSFER:
            return Transfer(id=token, call=call.id, ref=ref, to=to)
        case Capability.RECORD:
            return StartRecording(id=token, call=call.id, ref=ref)
        case Capability.PAUSE_RECORDING:
            return PauseRecording(id=token, call=call.id, ref=ref, recording=token, slot="recording")
        case _ if capability in _STARTS:
            return StartMedia(id=token, call=call.id, ref=ref, modality=_STARTS[capability])
        case _ if capability in _STOPS:
            modality = _STOPS[capability]
            target = StreamTarget(StreamId(f"{modality}", 1), modality, Transport.UNKNOWN)
            return StopMedia(id=token, call=call.id, ref=ref, streams=(target,))
        case _:
            raise LookupError(f"no command asks for {capability} alone")
