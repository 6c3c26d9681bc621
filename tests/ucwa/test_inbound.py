"""Calls that come in, from the network through the emulated server to the application."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import asynccontextmanager

import anyio.to_thread
import pytest

import telco_bridge
from telco_bridge import Bridge, Call
from telco_bridge.errors import NotPossibleNow
from telco_bridge.media import Modality
from telco_bridge.provider import CallState, Capability, EndedBy, TerminationReason
from telco_bridge.sandbox import Exchange, Fault, Leg, LegState
from telco_bridge.sandbox.exchange import Side
from telco_bridge.serving import Server
from telco_bridge_ucwa.emulator import UcwaEmulator

_R = TerminationReason
ADA = "sip:ada@sandbox.test"
BOTH = frozenset({Modality.AUDIO, Modality.VIDEO})
ANSWER = (
    "v=0\r\no=- 1 1 IN IP4 10.0.0.1\r\ns=-\r\nc=IN IP4 10.0.0.1\r\nt=0 0\r\n"
    "m=audio 4000 RTP/SAVP 0\r\nm=video 4002 RTP/SAVP 122\r\n"
)


class Desk:
    """A bridge to an emulated server, and the network that calls it."""

    def __init__(self, emulator: UcwaEmulator, bridge: Bridge) -> None:
        self.emulator = emulator
        self.bridge = bridge

    async def rung(self, *, media: frozenset[Modality] = frozenset({Modality.AUDIO})) -> tuple[Call, Leg]:
        exchange = self.emulator.exchange
        leg = await anyio.to_thread.run_sync(lambda: exchange.call_in(caller="+15550177", callee=ADA, media=media))
        return await anext(aiter(self.bridge.incoming())), leg


@pytest.fixture
def exchange() -> Iterator[Exchange]:
    with Exchange(speed=20.0) as network:
        yield network


@pytest.fixture
def desk(exchange):
    @asynccontextmanager
    async def opened(*, phone_only=False, **options):
        emulator = UcwaEmulator(exchange, **options)
        if phone_only:
            # An older server, which takes no modality but phone audio.
            emulator.faults.inject(
                Fault.SERVER_ERROR, on="POST makeMeAvailable", times=1, status=403, code="Forbidden", subcode=None
            )
        with Server(emulator.app, started=emulator.started, stopped=emulator.stopped):
            settings = {**emulator.profile(), "available": True}
            async with telco_bridge.connect(settings) as bridge:
                yield Desk(emulator, bridge)

    return opened


async def test_a_call_is_answered_with_the_applications_own_media(desk):
    async with desk() as here:
        call, leg = await here.rung(media=BOTH)
        assert call.can(Capability.ANSWER)
        assert call.can(Capability.REJECT)
        assert call.remote.address == "tel:+15550177"
        assert "m=video" in call.view.remote_sdp
        await call.answer(sdp=ANSWER)

        assert call.state is CallState.CONNECTED
        assert leg.media == BOTH
        await call.until(lambda view: len(view.live_streams) == 2)
        sent = here.emulator.wire.records(containing="POST acceptWithAnswer")
        assert [record.answer for record in sent] == ["204"]


async def test_a_call_that_is_answered_on_the_phone_has_that_stream_alone(desk):
    async with desk() as here:
        call, _ = await here.rung()
        await call.answer()
        await call.until(lambda view: [stream.id.slot for stream in view.live_streams] == ["phoneAudio"])

        assert call.can(Capability.HOLD)


async def test_a_call_that_rings_the_phone_can_be_declined_and_not_answered(desk):
    async with desk(phone_only=True, own_phone_answers_after=None) as here:
        call, leg = await here.rung()
        assert not call.can(Capability.ANSWER)
        with pytest.raises(NotPossibleNow):
            await call.answer()
        told = await call.reject()

        assert (told.reason, told.by) == (_R.REJECTED, EndedBy.APPLICATION)
        assert leg.clearing.sip == 603


async def test_a_call_that_the_user_picks_up_on_the_phone_is_connected(desk):
    async with desk(phone_only=True) as here:
        call, leg = await here.rung()
        await call.until(lambda view: view.state is CallState.CONNECTED)

        assert leg.state is LegState.UP


async def test_a_call_that_is_declined_here_alone_rings_nowhere_else(desk):
    async with desk() as here:
        call, leg = await here.rung()
        told = await call.reject(native={"reason": "Local"})

        assert (told.reason, told.by) == (_R.REJECTED, EndedBy.APPLICATION)
        assert leg.clearing.sip == 480


@pytest.mark.parametrize(
    ("happens", "reason", "by"),
    [
        ("caller gives up", _R.CANCELLED, EndedBy.REMOTE),
        ("nobody answers", _R.NO_ANSWER, EndedBy.USER),
        ("answered elsewhere", _R.ANSWERED_ELSEWHERE, EndedBy.USER),
        ("declined elsewhere", _R.REJECTED, EndedBy.USER),
        ("forwarded", _R.REDIRECTED, EndedBy.USER),
    ],
)
async def test_a_call_that_others_decide_ends_with_the_right_reason(desk, happens, reason, by):
    async with desk(ring_timeout=4.0 if happens == "nobody answers" else 60.0) as here:
        call, leg = await here.rung()
        other = here.emulator.applications[0].communication.conversations[0].audio_video.arrival
        match happens:
            case "caller gives up":
                await anyio.to_thread.run_sync(lambda: leg.hang_up(by=Side.CALLER))
            case "answered elsewhere":
                here.emulator.post(other.answer_elsewhere)
            case "declined elsewhere":
                here.emulator.post(other.decline_elsewhere)
            case "forwarded":
                here.emulator.post(other.forward)
            case _:
                pass
        told = await call.ended()

        assert (told.reason, told.by) == (reason, by)
        assert call.view.answered is not True
