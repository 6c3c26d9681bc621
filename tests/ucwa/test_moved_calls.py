"""Calls that others move, and media that change, from the emulated server through the bridge to the application."""

from __future__ import annotations

from contextlib import asynccontextmanager

import anyio
import pytest

import telco_bridge
from telco_bridge.events import OfferReceived
from telco_bridge.provider import CallState, StreamState
from telco_bridge.sandbox import Exchange
from telco_bridge.serving import Server
from telco_bridge_ucwa.emulator import UcwaEmulator
from telco_bridge_ucwa.emulator.handover import hand_over
from telco_bridge_ucwa.native import SessionState, UcwaApplication

BOB, CAROL = "sip:video@sandbox.test", "sip:carol@sandbox.test"
SDP = (
    "v=0\r\no=- 1 1 IN IP4 10.0.0.1\r\ns=-\r\nc=IN IP4 10.0.0.1\r\nt=0 0\r\n"
    "m=audio 4000 RTP/SAVP 0\r\nm=video 4002 RTP/SAVP 122\r\n"
)
AUDIO = SDP.partition("m=video")[0]


@pytest.fixture
def anyio_backend():
    """One is enough: what the backends do otherwise is tested with simpler calls."""
    return "asyncio"


@asynccontextmanager
async def desk(**options):
    with Exchange(speed=20.0) as exchange:
        emulator = UcwaEmulator(exchange, **options)
        with Server(emulator.app, started=emulator.started, stopped=emulator.stopped):
            async with telco_bridge.connect({**emulator.profile(), "available": True}) as bridge:
                yield emulator, bridge


def conversation(emulator, index=0):
    return emulator.applications[0].communication.conversations[index]


def active(*slots):
    """Whether exactly those streams flow."""

    def flow(view):
        live = {stream.id.slot: stream.state for stream in view.live_streams}
        return live == dict.fromkeys(slots, StreamState.ACTIVE)

    return flow


@pytest.mark.parametrize("embedded", [True, False])
async def test_a_call_that_somebody_else_answers_stays_one_call(embedded):
    async with desk(answered_by={"tel:+15550100": CAROL}, embedded=embedded) as (emulator, bridge):
        call = await bridge.dial("+15550100")
        await call.until(active("phoneAudio"))
        await call.until(lambda view: view.remote.address == CAROL)

        assert active("phoneAudio")(call.view)
        await call.hold()
        await call.hangup()
        assert emulator.exchange.legs == {}


@pytest.mark.parametrize("embedded", [True, False])
async def test_a_call_that_is_handed_over_stays_one_call(embedded):
    async with desk(embedded=embedded) as (emulator, bridge):
        call = await bridge.dial(BOB, offer=SDP, modalities={"audio", "video"})
        await call.until(active("audio", "video"))
        before = call.native_id
        emulator.post(lambda: hand_over(conversation(emulator).audio_video, CAROL, media=frozenset({"audio"})))
        media = bridge.native(UcwaApplication).conversation(call).audio_video
        while media.proposal is None:
            await anyio.lowlevel.checkpoint()
        assert media.proposal.replaces

        await media.answer(AUDIO)
        await call.until(lambda view: view.remote.address == CAROL)
        await call.until(active("audio"))

        assert call.native_id != before
        assert call.state is CallState.CONNECTED
        assert [other for other in bridge.calls if not other.view.over] == [call]
        await call.hangup()
        assert emulator.exchange.legs == {}


async def test_the_phone_takes_the_audio_of_the_same_call_over():
    async with desk() as (_, bridge):
        call = await bridge.dial("sip:answer@sandbox.test", offer=AUDIO)
        await call.until(active("audio"))
        native = call.native_id
        media = bridge.native(UcwaApplication).conversation(call).audio_video

        await media.replace_with_phone_audio(phone_number="+15550000001")
        await call.until(active("phoneAudio"))

        assert (call.native_id, call.state) == (native, CallState.CONNECTED)


async def test_both_parties_change_the_media_of_a_call():
    async with desk() as (emulator, bridge):
        call = await bridge.dial(BOB, offer=SDP, modalities={"audio", "video"})
        await call.until(active("audio", "video"))
        media = bridge.native(UcwaApplication).conversation(call).audio_video
        assert (await media.session()).state is SessionState.ESTABLISHED

        assert "a=inactive" in await media.renegotiate(AUDIO + "a=inactive\r\n")
        (leg,) = emulator.exchange.legs.values()
        assert leg.held
        await call.until(active("audio"))

        offers = (event async for event in call.events() if isinstance(event, OfferReceived))
        emulator.post(lambda: conversation(emulator).audio_video.session.propose(AUDIO))
        assert (await anext(offers)).sdp.startswith("v=0")
        await media.answer(AUDIO)
        assert media.proposal is None


async def test_a_phone_call_that_is_handed_over_is_picked_up_by_the_user_and_stays_one_call():
    async with desk() as (emulator, bridge):
        call = await bridge.dial("+15550100")
        await call.until(active("phoneAudio"))
        emulator.post(lambda: hand_over(conversation(emulator).phone_audio, "+15550177"))

        await call.until(lambda view: view.remote.address == "tel:+15550177")
        await call.until(active("phoneAudio"))

        assert call.state is CallState.CONNECTED
        assert [other for other in bridge.calls if not other.view.over] == [call]
