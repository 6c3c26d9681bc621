"""A call that comes in with audio and video, is answered, loses its audio, and ends; as UCWA documents it."""

from __future__ import annotations

import pytest

from telco_bridge import Call
from telco_bridge.errors import Refused
from telco_bridge.events import CallConnected, CallEnded, CallIncoming, StreamActive, StreamEnded
from telco_bridge.media import Modality, StreamState
from telco_bridge.provider import CallDirection, CallState, Capability, EndedBy, TerminationReason

from .server import (
    C2,
    TOKEN,
    A,
    Desk,
    Json,
    ScriptedServer,
    communication,
    conversation,
    desk,
    event,
    refused,
    resource,
)

I90 = f"{A}/communication/audioVideoInvitations/i90"
AV = f"{C2}/audioVideo"
BOB = resource("participant", f"{C2}/participants/bob", uri="sip:bob@example.org", name="Bob", local=False)
ME_HERE = resource("participant", f"{C2}/participants/me", uri="sip:ada@example.org", local=True)
OFFER = (
    "--b1%0d%0aContent-Type%3a+application%2fsdp%0d%0aContent-ID%3a+%3cold%40example.org%3e%0d%0a"
    "Content-Disposition%3a+session%3b+handling%3doptional%3b+ms-proxy-2007fallback%0d%0a%0d%0a"
    "v%3d0%0d%0am%3daudio+1+RTP%2fSAVP+0%0d%0a"
    "--b1%0d%0aContent-Type%3a+application%2fsdp%0d%0aContent-ID%3a+%3cabc%40example.org%3e%0d%0a%0d%0a"
    "v%3d0%0d%0aa%3dice-ufrag%3abob%0d%0am%3daudio+1+RTP%2fSAVP+0%0d%0am%3dvideo+2+RTP%2fSAVP+122%0d%0a--b1--"
)
ANSWER = "v=0\r\nm=audio 4000 RTP/SAVP 0\r\nm=video 4002 RTP/SAVP 122\r\n"
BOTH = {
    "conversation": C2,
    "stopAudio": f"{C2}/av/terminateAudio?leg=1",
    "stopVideo": f"{C2}/av/terminateVideo",
    "stopAudioVideo": f"{C2}/av/terminate",
    "audioVideoSession": f"{C2}/av/session",
    "escalateAudioVideo": f"{A}/audioVideoInvitations?conversation=c0ffee2&context=escalate",
    "replaceWithPhoneAudio": f"{C2}/av/replace",
}


def invitation(state: str, *, open_to_answers: bool = False) -> Json:
    links: Json = {"conversation": C2, "audioVideo": AV, "to": f"{A}/people/ada"}
    if open_to_answers:
        links |= {
            "mediaOffer": {"href": f"data:multipart/alternative;charset=utf-8;boundary=b1,{OFFER}"},
            "acceptWithAnswer": f"{I90}/acceptWithAnswer",
            "sendProvisionalAnswer": f"{I90}/sendProvisionalAnswer",
            "decline": f"{I90}/decline",
            "reportMediaDiagnostics": f"{A}/callMediaDiagnostics?callId=7&mediaType=Audio",
        }
    words = {"threadId": "t2", "importance": "Normal", "subject": "", "bandwidthControlId": "7", "privateLine": False}
    return resource("audioVideoInvitation", I90, links, {"from": BOB}, state=state, direction="Incoming", **words)


def talk(state: str, *active: str) -> Json:
    links = {"audioVideo": AV, "phoneAudio": f"{C2}/phoneAudio"}
    return resource("conversation", C2, links, state=state, activeModalities=list(active), recording=False)


def av(state: str, links: dict[str, str]) -> Json:
    words = {"supportsReplaces": "Enabled", "videoSourcesAllowed": "PresentersOnly"}
    return resource("audioVideo", AV, links, state=state, **words)


RINGS = communication(
    event("started", invitation("Connecting", open_to_answers=True)),
    event("added", talk("Incoming", "Audio", "Video")),
)


def theirs(kind: str, *rels: str) -> list[Json]:
    """What both participants use now, or no longer."""
    who = (BOB["_links"]["self"]["href"], ME_HERE["_links"]["self"]["href"])
    return [event(kind, resource(rel, f"{one}/{rel}"), bare=True, member_of=one) for rel in rels for one in who]


def answered() -> list[Json]:
    session = resource("session", f"{C2}/av/session", {"audioVideo": AV}, state="Established")
    return [
        communication(event("updated", invitation("Connecting"))),
        conversation(event("updated", av("Connected", BOTH)), href=C2),
        communication(event("added", session, rel="audioVideoSession")),
        conversation(*theirs("added", "participantAudio", "participantVideo"), href=C2),
        communication(
            event("updated", talk("Connected", "Audio", "Video")),
            event("completed", invitation("Connected"), status="Success"),
        ),
    ]


async def answered_call(here: Desk, call: Call) -> None:
    """Take it, and be connected."""
    asked = f"{I90}/acceptWithAnswer?sessionContext=sc-41&processedOfferId=%3Cabc%40example.org%3E"
    here.server.awaits("POST", asked, sdp=ANSWER)
    for one in theirs("added", "participantAudio", "participantVideo"):
        href = one["link"]["href"]
        here.server.tolerates(href, resource(one["link"]["rel"], href))
    await here.asks(lambda: call.answer(sdp=ANSWER), *answered())


@pytest.mark.parametrize(
    ("left", "stop"),
    [
        (("stopVideo", "stopAudioVideo"), f"{C2}/av/terminateVideo"),
        # A server may offer just the one that ends both.
        (("stopAudioVideo",), f"{C2}/av/terminate"),
    ],
)
async def test_a_call_is_answered_loses_its_audio_and_then_its_video(
    left: tuple[str, ...], stop: str, operation: str
) -> None:
    server = ScriptedServer()
    server.signs_in()

    async with desk(server) as here:
        incoming = aiter(here.bridge.incoming())
        await here.hears(RINGS, conversation(event("added", ME_HERE, rel="localParticipant"), href=C2))
        # Somebody has come; who it is stands in the invitation already.
        server.tolerates(BOB["_links"]["self"]["href"], BOB)
        await here.hears(conversation(event("added", BOB, bare=True), href=C2))
        call = await anext(incoming)
        assert (call.direction, call.state) == (CallDirection.INBOUND, CallState.RINGING)
        assert call.remote is not None
        assert (call.remote.address, call.remote.name) == ("sip:bob@example.org", "Bob")
        assert {str(s.id): s.view.state for s in call.streams} == {
            "audio#1": StreamState.OFFERED,
            "video#1": StreamState.OFFERED,
        }
        assert call.remote_sdp is not None
        assert "ice-ufrag" in call.remote_sdp, "the last alternative is the one to answer"
        assert call.can(Capability.ANSWER)
        assert call.can(Capability.REJECT)

        await answered_call(here, call)
        assert (call.state, call.view.answered) == (CallState.CONNECTED, True)
        assert not call.can(Capability.ANSWER)
        assert [s.view.state for s in call.streams] == [StreamState.ACTIVE, StreamState.ACTIVE]

        server.awaits("POST", f"{C2}/av/terminateAudio?leg=1&reason=UserInitiatedAction")
        links = {"conversation": C2, "addAudio": f"{C2}/av/add"} | {rel: BOTH[rel] for rel in left}
        await here.asks(
            lambda: call.stop(Modality.AUDIO),
            conversation(theirs("deleted", "participantAudio")[1], event("updated", av("Connected", links)), href=C2),
            communication(event("updated", talk("Connected", "Video"))),
        )
        assert call.state is CallState.CONNECTED
        assert [str(s.id) for s in call.streams if s.view.live] == ["video#1"]
        dropped = call.streams[0].termination
        assert dropped is not None
        assert (dropped.reason, dropped.by) == (TerminationReason.NORMAL, EndedBy.APPLICATION)

        server.awaits("POST", f"{stop}?reason=UserInitiatedAction")
        idle = {rel: f"{C2}/av/{rel}" for rel in ("addAudio", "addVideo", "addAudioVideo")} | {"conversation": C2}
        await here.asks(
            lambda: call.stop(Modality.VIDEO),
            conversation(event("updated", av("Disconnected", idle)), href=C2),
            communication(event("updated", talk("Disconnected")), event("deleted", talk("Disconnected"), bare=True)),
        )
        told = await call.ended()

        assert (told.reason, told.by) == (TerminationReason.NORMAL, EndedBy.APPLICATION)
        story = [type(event) for event in [event async for event in call.events()]]
        kinds = (CallIncoming, CallConnected, StreamActive, StreamEnded, CallEnded)
        assert [kind for kind in story if kind in kinds] == [
            CallIncoming,
            CallConnected,
            StreamActive,
            StreamActive,
            StreamEnded,
            StreamEnded,
            CallEnded,
        ]


async def test_a_reason_that_the_server_does_not_take_is_refused(operation: str) -> None:
    server = ScriptedServer()
    server.signs_in()

    async with desk(server) as here:
        incoming = aiter(here.bridge.incoming())
        await here.hears(RINGS)
        call = await anext(incoming)
        await answered_call(here, call)
        wrong = [{"name": "reason", "reason": "Invalid"}]
        answer = refused(400, "BadRequest", "ParameterValidationFailure", parameters=wrong, debugInfo={"who": TOKEN})
        server.awaits("POST", f"{C2}/av/terminateAudio?leg=1&reason=MediaTimeout", answer)
        with pytest.raises(Refused, match=r"stopAudio: .*reason: Invalid") as caught:
            await call.stop(Modality.AUDIO, native={"reason": "MediaTimeout"})
        assert caught.value.code == "BadRequest/ParameterValidationFailure"
        assert TOKEN not in str(caught.value)
        # What UCWA's sixteen reasons do not have is not even sent.
        with pytest.raises(Refused, match="CallTerminationReason"):
            await call.stop(Modality.AUDIO, native={"reason": "Bored"})
        assert [s.view.state for s in call.streams] == [StreamState.ACTIVE, StreamState.ACTIVE]

        server.awaits("DELETE", C2)
        gone = communication(event("deleted", talk("Disconnected"), bare=True))
        await here.asks(call.hangup, gone)
        assert (await call.ended()).by is EndedBy.APPLICATION
