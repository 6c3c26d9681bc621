"""Audio and video apart, on the providers where the application brings the media."""

from __future__ import annotations

import anyio
import pytest

from telco_bridge import Capability, Modality, Refused, StreamState, TerminationReason, connect
from telco_bridge_ucwa.emulator import UcwaEmulator

from .conftest import Place

OFFER = (
    "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
    "m=audio 50000 RTP/SAVP 0\r\na=rtpmap:0 PCMU/8000\r\nm=video 50002 RTP/SAVP 122\r\na=rtpmap:122 X-H264UC/90000\r\n"
)
BOTH = (Modality.AUDIO, Modality.VIDEO)
CALL_TERMINATION_REASONS = (
    "Unknown",
    "UserInitiatedAction",
    "SharerLeftConference",
    "ConversationSuspendedLossNetwork",
    "MidCallFailureOneInternalOneExternal",
    "MidCallFailureBothInternal",
    "InternalFailure",
    "CallEstablishFailureOneInternalOneExternal",
    "CallEstablishFailureBothInternal",
    "FailedStartAudioStream",
    "Cancel",
    "MediaTimeout",
    "MediaConnectivityFailure",
    "CodecMismatch",
    "UnsupportedMedia",
    "InvalidMediaAnswer",
)


@pytest.mark.parametrize(("stopped", "kept"), [BOTH, BOTH[::-1]])
async def test_stopping_one_modality_keeps_the_other(ucwa: Place, stopped: Modality, kept: Modality) -> None:
    async with connect(ucwa.settings) as bridge:
        call = await bridge.dial("sip:video@sandbox.test", modalities=BOTH, offer=OFFER)
        await call.answered()
        await call.until(lambda view: len([s for s in view.live_streams if s.state is StreamState.ACTIVE]) == 2)

        result = await call.stop(stopped, reason=TerminationReason.MEDIA_LOST)

        assert [stream.modality for stream in result.streams] == [stopped]
        assert [stream.modality for stream in call.view.live_streams] == [kept]
        assert result.call_ended is False
        assert call.remote_sdp is not None
        await call.hangup()


async def test_stopping_both_is_one_request(ucwa: Place) -> None:
    async with connect(ucwa.settings) as bridge:
        call = await bridge.dial("sip:video@sandbox.test", modalities=BOTH, offer=OFFER)
        await call.answered()
        await call.until(lambda view: len([s for s in view.live_streams if s.state is StreamState.ACTIVE]) == 2)

        result = await call.stop(*BOTH)

        assert {stream.modality for stream in result.streams} == set(BOTH)
        assert [record.line for record in ucwa.sent() if "stop" in record.line] == ["POST stopAudioVideo"]


async def test_every_reason_that_the_provider_knows_can_be_sent(ucwa: Place) -> None:
    assert isinstance(ucwa.emulator, UcwaEmulator)
    before = len(ucwa.emulator.stops)

    async with connect(ucwa.settings) as bridge:

        async def stop_with(reason: str) -> None:
            call = await bridge.dial("sip:video@sandbox.test", modalities=BOTH, offer=OFFER)
            await call.answered()
            await call.until(lambda view: len([s for s in view.live_streams if s.state is StreamState.ACTIVE]) == 2)
            await call.stop(Modality.AUDIO, native={"reason": reason})
            await call.hangup()

        async with anyio.create_task_group() as tasks:
            for reason in CALL_TERMINATION_REASONS:
                tasks.start_soon(stop_with, reason)

    assert sorted(stop.reason for stop in ucwa.emulator.stops[before:]) == sorted(CALL_TERMINATION_REASONS)


async def test_a_reason_that_the_provider_does_not_know_is_refused_before_anything_is_sent(ucwa: Place) -> None:
    async with connect(ucwa.settings) as bridge:
        call = await bridge.dial("sip:video@sandbox.test", modalities=BOTH, offer=OFFER)
        await call.answered()
        await call.until(lambda view: len([s for s in view.live_streams if s.state is StreamState.ACTIVE]) == 2)
        sent = len(ucwa.sent())

        with pytest.raises(Refused, match="Bored"):
            await call.stop(Modality.AUDIO, native={"reason": "Bored"})

        assert len(ucwa.sent()) == sent
        assert call.asked is None
        await call.hangup()


async def test_a_held_call_says_so_until_it_is_resumed(ucwa: Place) -> None:
    async with connect(ucwa.settings) as bridge:
        call = await bridge.dial("+15550100")
        await call.answered()
        await call.until(lambda view: "holdPhoneAudio" in view.offered)

        await call.hold()
        assert call.held
        assert call.can(Capability.RESUME)
        assert not call.can(Capability.HOLD)

        await call.resume()
        assert not call.held
        await call.hangup()
