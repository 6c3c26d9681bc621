"""A phone call from the first request to the last event, as UCWA documents it."""

from __future__ import annotations

import json
from collections.abc import Callable

import httpx
import pytest

from telco_bridge.events import CallConnected, CallEnded, CallHeld, CallProgressed, CallResumed
from telco_bridge.media import Modality, StreamState, Transport
from telco_bridge.provider import CallState, Capability, Confidence, EndedBy, TerminationReason

from .phone_call import (
    AUDIO,
    HOLD,
    I77,
    MY_AUDIO,
    RESUME,
    START,
    THEM,
    THEM_HERE,
    answered,
    began,
    dialled,
    ended,
    invitation,
    phone,
)
from .server import POOL, A, C, Json, ScriptedServer, communication, conversation, desk, event, ok, resource

JSON = {"Content-Type": "application/json; charset=utf-8"}


def absolute(server: ScriptedServer, package: Json) -> httpx.Response:
    return httpx.Response(200, text=json.dumps(package).replace(f'"{A}', f'"{POOL}{A}'), headers=JSON)


def with_a_mark(server: ScriptedServer, package: Json) -> httpx.Response:
    return httpx.Response(200, content=b"\xef\xbb\xbf" + json.dumps(package).encode(), headers=JSON)


def with_more(server: ScriptedServer, package: Json) -> httpx.Response:
    """Words, links and events that no documentation knows, and what its samples have by mistake."""
    for sender in package.get("sender", ()):
        for told in sender["events"]:
            for body in told.get("_embedded", {}).values():
                body |= {
                    "colour": "blue",
                    "etag": "1",
                    "history": [1, {"x": None}],
                    "created": "\\/Date(1383784870271)\\/",
                }
                body.setdefault("_embedded", {})["startEmergencyCallInput"] = {"operationId": "x", "to": "sip : a@b"}
                body["_links"] |= {
                    "startTeleport": {"href": f"{A}/teleport", "revision": "3"},
                    "empty": [],
                    "none": None,
                }
        teleport = resource("teleport", f"{A}/teleport")
        sender["events"] += [event("started", teleport), {"type": "updated"}, {"link": {"rel": "phoneAudio"}}]
    return ok(package)


def one_by_one(server: ScriptedServer, package: Json) -> httpx.Response:
    """A sender may occur several times; and some have nothing to say."""
    apart = [sender | {"events": [told]} for sender in package.get("sender", ()) for told in sender["events"]]
    return ok(package | {"sender": [*apart, {"rel": "people", "href": f"{A}/people"}, {"rel": "me", "events": []}]})


def bare(server: ScriptedServer, package: Json) -> httpx.Response:
    """Nothing is embedded: everything has to be read, and is by then what the last event of the package made it."""
    for sender in package.get("sender", ()):
        for told in sender["events"]:
            for body in told.pop("_embedded", {}).values():
                server.tolerates(body["_links"]["self"]["href"], body)
    return ok(package)


@pytest.mark.parametrize("early", [False, True], ids=["after the 201", "before the 201"])
async def test_a_call_is_dialled_held_resumed_and_stopped(early: bool, operation: str) -> None:
    await dial_hold_resume_and_stop(operation, early=early)


@pytest.mark.parametrize("anyio_backend", ["trio"])
@pytest.mark.parametrize("dialect", [absolute, with_a_mark, with_more, one_by_one, bare])
async def test_however_the_server_writes_it_down_the_call_is_the_same(
    dialect: Callable[[ScriptedServer, Json], httpx.Response], operation: str
) -> None:
    await dial_hold_resume_and_stop(operation, dialect=dialect)


async def dial_hold_resume_and_stop(
    operation: str,
    *,
    early: bool = False,
    dialect: Callable[[ScriptedServer, Json], httpx.Response] | None = None,
) -> None:
    server = ScriptedServer()
    server.dialect = dialect or server.dialect
    server.signs_in()
    body = {
        "operationId": operation,
        "to": "tel:+14255550199",
        "phoneNumber": "+14255550101",
        "subject": "demo",
        "importance": "Normal",
    }

    async with desk(server) as here:
        created = httpx.Response(201, headers={"Location": I77})
        server.awaits("POST", START, created, json=body, after=began(operation) if early else [])
        if not early:
            # The answer names the invitation; whether its event is still to come cannot be known.
            server.tolerates(I77, invitation(operation, "Connecting"))
        call = await here.bridge.dial("+1 (425) 555-0199", native={"subject": "demo", "importance": "Normal"})
        if not early:
            await here.hears(*began(operation))
        await here.hears()
        assert (call.native_id, call.state) == (C, CallState.DIALING)
        assert call.remote is not None
        assert call.remote.address == "tel:+14255550199"
        assert [(s.view.state, s.view.transport) for s in call.streams] == [(StreamState.STARTING, Transport.PSTN)]

        await here.hears(communication(event("updated", invitation(operation, "Alerting"))))
        assert call.state is CallState.RINGING

        # That somebody has come is told without the resource, which is read by who wants to know them.
        server.tolerates(THEM, THEM_HERE)
        server.tolerates(f"{THEM}/audio", AUDIO)
        server.tolerates(f"{C}/participants/me/audio", MY_AUDIO)
        await here.hears(*answered(operation))
        assert (call.state, call.held, call.view.answered) == (CallState.CONNECTED, False, True)
        assert call.can(Capability.HOLD)

        server.awaits("POST", f"{C}/phoneAudio/hold")
        await here.asks(call.hold, conversation(event("updated", phone("Connected", RESUME))))
        assert (call.held, call.can(Capability.HOLD), call.can(Capability.RESUME)) == (True, False, True)

        server.awaits("POST", f"{C}/phoneAudio/resume")
        await here.asks(call.resume, conversation(event("updated", phone("Connected", HOLD))))
        assert call.held is False

        server.awaits("POST", f"{C}/phoneAudio/terminate")
        await here.asks(lambda: call.stop(Modality.AUDIO), *ended(disconnecting=not early))
        told = await call.ended()

        assert (told.reason, told.by) == (TerminationReason.NORMAL, EndedBy.APPLICATION)
        assert told.confidence is Confidence.DERIVED
        story = [type(told) for told in [told async for told in call.events()]]
        kinds = (CallProgressed, CallConnected, CallHeld, CallResumed, CallEnded)
        assert [kind for kind in story if kind in kinds] == [
            CallProgressed,
            CallProgressed,
            CallConnected,
            CallHeld,
            CallResumed,
            CallEnded,
        ]
        assert here.bridge.calls == ()


async def test_a_call_of_which_only_the_outcome_is_told_is_connected(operation: str) -> None:
    server = ScriptedServer()
    server.signs_in()

    async with desk(server) as here:
        call = await dialled(here, operation, *answered(operation)[1:])

        assert (call.state, call.view.answered, call.native_id) == (CallState.CONNECTED, True, C)
        await here.hears(*ended(disconnecting=False))
        # Whether the user's own phone or the other party was put down is not told.
        assert (await call.ended()).by is EndedBy.UNKNOWN
