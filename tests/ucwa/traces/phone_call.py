"""The resources and packages of a phone call that is dialled."""

from __future__ import annotations

import httpx

from telco_bridge import Call

from .server import A, C, Desk, Json, communication, conversation, event, resource

I77 = f"{A}/communication/phoneAudioInvitations/i77"
START = f"{A}/communication/phoneAudioInvitations"
THEM = f"{C}/participants/bob"
STOP = {"conversation": C, "stopPhoneAudio": f"{C}/phoneAudio/terminate"}
HOLD = STOP | {"holdPhoneAudio": f"{C}/phoneAudio/hold"}
RESUME = STOP | {"resumePhoneAudio": f"{C}/phoneAudio/resume"}


def invitation(operation: str, state: str, *, pending: bool = True, **more: object) -> Json:
    links = {"conversation": C, "phoneAudio": f"{C}/phoneAudio", "to": f"{A}/people/bob", "from": f"{A}/me"}
    if pending:
        links["cancel"] = f"{C}/phoneAudio/terminate"
    return resource(
        "phoneAudioInvitation",
        I77,
        links,
        state=state,
        direction="Outgoing",
        operationId=operation,
        importance="Normal",
        subject="demo",
        threadId="t1",
        to="tel:+14255550199",
        **more,
    )


def talk(state: str, *active: str, **links: str) -> Json:
    always = {"phoneAudio": f"{C}/phoneAudio", "audioVideo": f"{C}/audioVideo", "messaging": f"{C}/messaging"}
    return resource(
        "conversation",
        C,
        always | links,
        state=state,
        activeModalities=list(active),
        threadId="t1",
        subject="demo",
        importance="Normal",
        recording=False,
    )


def phone(state: str, links: dict[str, str]) -> Json:
    return resource("phoneAudio", f"{C}/phoneAudio", links, state=state)


ME_HERE = resource("participant", f"{C}/participants/me", uri="sip:ada@example.org", local=True)
THEM_HERE = resource("participant", THEM, {"conversation": C}, uri="tel:+14255550199", name="Bob", local=False)
AUDIO = resource("participantAudio", f"{THEM}/audio", audioDirection="SendReceive", audioMuted=False)
MY_AUDIO = resource("participantAudio", f"{C}/participants/me/audio", audioDirection="SendReceive", audioMuted=False)


def began(operation: str) -> list[Json]:
    return [
        communication(event("started", invitation(operation, "Connecting")), event("added", talk("Connecting"))),
        conversation(event("added", ME_HERE, rel="localParticipant"), event("updated", phone("Connecting", STOP))),
    ]


def answered(operation: str) -> list[Json]:
    taken = invitation(operation, "Connected", pending=False) | {
        "_embedded": {"acceptedByParticipant": [THEM_HERE]},
    }
    return [
        conversation(
            event("added", THEM_HERE, bare=True),
            event("added", AUDIO, bare=True, member_of=THEM),
            event("added", MY_AUDIO, bare=True, member_of=f"{C}/participants/me"),
            event("updated", phone("Connected", HOLD)),
        ),
        communication(
            event("updated", talk("Connected", "Audio", addParticipant=f"{A}/participantInvitations?conversation=1")),
            event("completed", taken, status="Success"),
        ),
    ]


def ended(*, disconnecting: bool = True) -> list[Json]:
    leaving = [event("updated", phone("Disconnecting", {"conversation": C}))] if disconnecting else []
    idle = {"conversation": C, "addPhoneAudio": f"{A}/communication/phoneAudioInvitations?conversation=c0ffee1"}
    return [
        conversation(
            *leaving,
            event("updated", phone("Disconnected", idle)),
            event("deleted", AUDIO, bare=True, member_of=THEM),
            event("deleted", MY_AUDIO, bare=True, member_of=f"{C}/participants/me"),
            event("deleted", THEM_HERE, bare=True),
        ),
        communication(event("updated", talk("Disconnected")), event("deleted", talk("Disconnected"), bare=True)),
    ]


BODY = {"to": "tel:+14255550199", "phoneNumber": "+14255550101"}


async def dialled(here: Desk, operation: str, *senders: Json) -> Call:
    """Dial; what these senders tell overtakes the answer."""
    created = httpx.Response(201, headers={"Location": I77})
    here.server.awaits("POST", START, created, json=BODY | {"operationId": operation}, after=list(senders))
    for body in (THEM_HERE, AUDIO, MY_AUDIO):
        here.server.tolerates(body["_links"]["self"]["href"], body)
    call = await here.bridge.dial("tel:+14255550199")
    await here.settle()
    return call


async def connected(here: Desk, operation: str) -> Call:
    """Dial, and be answered."""
    call = await dialled(here, operation, *began(operation), *answered(operation))
    assert call.held is False
    return call
