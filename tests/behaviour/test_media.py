"""Audio and video in the words of a provider where the application brings the media."""

from __future__ import annotations

import anyio
import pytest

from telco_bridge import Modality, Refused, StreamState, connect
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


async def test_both_are_answered_with_sdp_and_stopped_with_one_request(ucwa: Place) -> None:
    async with connect(ucwa.settings) as bridge:
        call = await bridge.dial("sip:video@sandbox.test", modalities=BOTH, offer=OFFER)
        await call.answered()
        await call.until(lambda view: len([s for s in view.live_streams if s.state is StreamState.ACTIVE]) == 2)
        assert call.remote_sdp is not None

        await call.stop(*BOTH)

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
