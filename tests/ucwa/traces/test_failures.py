"""What goes wrong, as UCWA documents it: with a call, with a request, with the event channel, with the application."""

from __future__ import annotations

import httpx
import pytest

from telco_bridge.errors import NotAnswered, NotPossibleNow, Refused
from telco_bridge.events import CallEnded, GapDetected
from telco_bridge.provider import CallState, Confidence, EndedBy, TerminationReason

from .phone_call import (
    BODY,
    RESUME,
    START,
    began,
    connected,
    dialled,
    ended,
    invitation,
    phone,
    talk,
)
from .server import (
    APPLICATIONS,
    CHALLENGE,
    PASSWORD,
    POOL,
    A,
    C,
    Desk,
    ScriptedServer,
    application,
    communication,
    conversation,
    desk,
    event,
    failure,
    ok,
    refused,
    resource,
    ticket,
)

_R = TerminationReason
CONVERSATIONS = f"{A}/communication/conversations?filter=active"
SILENT = resource("messaging", f"{C}/messaging", {"conversation": C}, state="Disconnected")
IDLE = resource("audioVideo", f"{C}/audioVideo", {"conversation": C, "addAudio": f"{C}/av/add"}, state="Disconnected")


@pytest.fixture
def server() -> ScriptedServer:
    scripted = ScriptedServer()
    scripted.signs_in()
    return scripted


# (a) the other party does not take the call

DECLINED = {"state": "Declined", "pending": False}


@pytest.mark.parametrize("first", ["invitation", "conversation"])
@pytest.mark.parametrize(
    ("subcode", "code", "state", "reason", "by"),
    [
        ("Declined", "RemoteFailure", "Declined", _R.REJECTED, EndedBy.REMOTE),
        ("Busy", "RemoteFailure", "Failed", _R.BUSY, EndedBy.REMOTE),
        ("DestinationNotFound", "NotFound", "Failed", _R.UNALLOCATED_NUMBER, EndedBy.NETWORK),
        (None, "Timeout", "Failed", _R.NO_ANSWER, EndedBy.NETWORK),
    ],
)
@pytest.mark.parametrize("anyio_backend", ["trio"])
async def test_a_call_that_is_not_taken_says_why(
    server: ScriptedServer,
    operation: str,
    first: str,
    subcode: str | None,
    code: str,
    state: str,
    reason: TerminationReason,
    by: EndedBy,
) -> None:
    refusal = event("completed", invitation(operation, state, pending=False), **failure(subcode, code))
    told = [communication(refusal), *ended(disconnecting=False)]

    async with desk(server) as here:
        call = await dialled(here, operation, *began(operation))
        if first == "conversation":
            # The end may be told before the reason: then the reason is waited for.
            told[1:] = [told[1], communication(event("updated", talk("Disconnected")))]
            await here.hears(*told[1:])
            assert call.state is CallState.ENDED
            assert call.termination is None
            told = [told[0], communication(event("deleted", talk("Disconnected"), bare=True))]
        await here.hears(*told)

        with pytest.raises(NotAnswered):
            await call.answered()
        ending = await call.ended()
        sure = Confidence.REPORTED if subcode is not None else Confidence.DERIVED
        assert (ending.reason, ending.by, ending.confidence) == (reason, by, sure)
        assert (ending.native or "").endswith(": The call was not taken.")


# (b) a link that has gone stale


@pytest.mark.parametrize("answer", [refused(409, "Conflict"), refused(404, "NotFound")], ids=["409", "404"])
async def test_a_stale_link_is_looked_after_and_not_followed_again(
    server: ScriptedServer, operation: str, answer: httpx.Response
) -> None:
    async with desk(server) as here:
        call = await connected(here, operation)
        server.awaits("POST", f"{C}/phoneAudio/hold", answer)
        server.awaits("GET", C, ok(talk("Disconnecting")))
        server.awaits("GET", f"{C}/phoneAudio", ok(phone("Disconnecting", {"conversation": C})))
        server.awaits("GET", f"{C}/audioVideo", ok(IDLE))
        server.awaits("GET", f"{C}/messaging", ok(SILENT))
        with pytest.raises(NotPossibleNow, match="holdPhoneAudio"):
            await call.hold()
        await here.settle()
        assert (server.script, call.state, call.held) == ([], CallState.ENDING, False)

        await here.hears(*ended())
        assert (await call.ended()).reason is _R.NORMAL


async def test_a_stale_link_of_a_call_that_is_gone_ends_it(server: ScriptedServer, operation: str) -> None:
    async with desk(server) as here:
        call = await connected(here, operation)
        await here.clock.advance(6.0)
        server.awaits("POST", f"{C}/phoneAudio/hold", refused(404, "NotFound"))
        server.awaits("GET", C, refused(404, "NotFound"))
        with pytest.raises(NotPossibleNow):
            await call.hold()

        assert (await call.ended()).confidence is Confidence.INFERRED
        await here.hears(*ended())


# (c), (d) what the server does not take


async def test_a_number_that_the_server_cannot_read_is_refused(server: ScriptedServer, operation: str) -> None:
    async with desk(server) as here:
        server.awaits(
            "POST", START, refused(400, "BadRequest", "NormalizationFailed"), json=BODY | {"operationId": operation}
        )
        with pytest.raises(Refused, match="startPhoneAudio") as caught:
            await here.bridge.dial("tel:+14255550199")
        assert (caught.value.code, caught.value.status) == ("BadRequest/NormalizationFailed", 400)
        # What is no number at all is not even sent.
        with pytest.raises(Refused, match="'tel:abc'"):
            await here.bridge.dial("tel:abc")
        assert here.bridge.calls == ()


# (j) a token that has expired


async def test_a_token_that_has_expired_is_replaced_and_the_request_repeated_once(
    server: ScriptedServer, operation: str
) -> None:
    old, new = server.token, "cwt=AAEB-new"
    expired = httpx.Response(401, headers=CHALLENGE, html="<html></html>")

    async with desk(server) as here:
        call = await connected(here, operation)
        server.awaits("POST", f"{C}/phoneAudio/hold", expired, token=old)
        form = {"grant_type": "password", "username": "ada@example.org", "password": PASSWORD}
        server.awaits("POST", "/WebTicket/oauthtoken", ticket(new), form=form, token=None)
        server.token = new
        server.awaits("POST", f"{C}/phoneAudio/hold")
        await here.asks(call.hold, conversation(event("updated", phone("Connected", RESUME))))
        assert call.held is True

        # The poll that was parked kept the old token; its next one, with the new one, was checked above.
        await here.hears(*ended())
        await call.ended()


async def test_a_poll_whose_token_has_expired_is_repeated_with_another(server: ScriptedServer, operation: str) -> None:
    async with desk(server) as here:
        call = await connected(here, operation)
        form = {"grant_type": "password", "username": "ada@example.org", "password": PASSWORD}
        server.awaits("POST", "/WebTicket/oauthtoken", ticket("cwt=AAEB-new"), form=form, token=None)
        server.token = "cwt=AAEB-new"
        server.release_as(httpx.Response(401, headers=CHALLENGE, html="<html></html>"))
        await here.settle()
        assert server.polls[-1] == server.polls[-2]

        await here.hears(*ended())
        await call.ended()
        assert not [told for told in await _written(here) if isinstance(told, GapDetected)]


# (e), (f), (i) an application that is lost


async def _written(here: Desk) -> list[object]:
    """Everything that was told so far."""
    cursor = here.bridge.events(since=0)
    return [await anext(cursor) for _ in range(here.bridge._switchboard.log.written)]


async def test_an_application_that_the_server_forgot_is_made_again_and_its_calls_are_over(
    server: ScriptedServer, operation: str
) -> None:
    again, available = f"{APPLICATIONS}/10234", {"supportedModalities": ["Audio", "Video", "PhoneAudio"]}
    available |= {"audioPreference": "VoipAudio", "phoneNumber": "+14255550101", "signInAs": "Online"}
    server.awaits("POST", f"{A}/me/makeMeAvailable", json=available)

    async with desk(server, available=True) as here:
        call = await connected(here, operation)
        body = {"userAgent": "telephony/1.0", "endpointId": "6b0c", "culture": "en-US"}
        server.awaits("POST", APPLICATIONS, ok(application(again), 201), json=body)
        server.awaits("POST", f"{A}/me/makeMeAvailable", json=available)
        # What the bridge knew is compared with what the new application has: nothing.
        server.tolerates(CONVERSATIONS, resource("conversations", CONVERSATIONS))
        server.release_as(refused(404, "NotFound", "ApplicationNotFound"))
        told = await call.ended()
        await here.settle()

        assert (told.reason, told.by) == (_R.NETWORK_LOST, EndedBy.PROVIDER)
        assert told.confidence is Confidence.DERIVED
        assert server.polls[-1] == f"{again}/events?ack=1&timeout=180"
        gaps = [told for told in await _written(here) if isinstance(told, GapDetected)]
        assert len(gaps) == 1
        assert here.bridge.calls == ()
        here.application = again


@pytest.mark.parametrize("subcode", ["InactiveApplicationExpired", "TooManyApplications", "UserAgentNotAllowed"])
async def test_an_application_that_the_server_ended_takes_its_calls_along_and_is_not_made_again(
    server: ScriptedServer, operation: str, subcode: str
) -> None:
    async with desk(server) as here:
        call = await connected(here, operation)
        server.release_as(refused(410, "Gone", subcode))
        told = await call.ended()
        await here.settle()

        assert (told.reason, told.by) == (_R.NETWORK_LOST, EndedBy.PROVIDER)
        assert here.bridge.health.channel == "failing"
        assert subcode in (here.bridge.health.error or "")
        asked = len(server.polls)
        await here.clock.advance(120.0)
        assert (server.wrong, len(server.polls)) == ([], asked), "nobody asks a server that has said no"


async def test_a_user_whose_pool_has_moved_is_looked_for_after_a_pause(server: ScriptedServer, operation: str) -> None:
    user, other = "https://web1.example.org/user", "https://pool3.example.org"
    again = f"{APPLICATIONS}/20001"
    body = {"userAgent": "telephony/1.0", "endpointId": "6b0c", "culture": "en-US"}
    server.script.insert(0, server.found(user, POOL))

    async with desk(server, application_url=None, domain="example.org", user_url=user) as here:
        call = await connected(here, operation)
        server.script.append(server.found(user, other))
        server.awaits("POST", f"{other}{APPLICATIONS}", ok(application(again), 201), json=body, token=None)
        server.release_as(refused(410, "Gone", "CannotRedirect"))
        told = await call.ended()
        assert (told.reason, told.by) == (_R.NETWORK_LOST, EndedBy.PROVIDER)
        await here.settle()
        assert len(server.script) == 2, "the servers need some time to move a user"

        server.token = None  # no other pool is shown the token of the first
        await here.clock.advance(10.0)
        assert server.script == []
        here.application = f"{other}{again}"


# (g) a second reader


async def test_a_poll_of_our_own_that_was_replaced_is_repeated_once(server: ScriptedServer, operation: str) -> None:
    async with desk(server) as here:
        call = await connected(here, operation)
        server.release_as(refused(409, "Conflict", "PGetReplaced"))
        await here.settle()
        assert server.polls[-1] == server.polls[-2]

        await here.hears(*ended())
        assert (await call.ended()).reason is _R.NORMAL


async def test_an_application_that_another_program_reads_is_left_to_it(server: ScriptedServer, operation: str) -> None:
    again = f"{APPLICATIONS}/10234"

    async with desk(server) as here:
        call = await connected(here, operation)
        server.awaits("POST", APPLICATIONS, ok(application(again), 201), fresh_endpoint="6b0c")
        for _ in range(2):
            server.release_as(refused(409, "Conflict", "PGetReplaced"))
        await call.ended()
        await here.settle()

        assert server.polls[-1] == f"{again}/events?ack=1&timeout=180"
        assert [told for told in await _written(here) if isinstance(told, GapDetected)]
        here.application = again


# (h) a channel that was lost


@pytest.mark.parametrize("survives", [True, False], ids=["the call lives", "the call is gone"])
async def test_a_channel_that_comes_back_with_a_resync_is_made_up_for_by_reads(
    server: ScriptedServer, operation: str, survives: bool
) -> None:
    async with desk(server) as here:
        call = await connected(here, operation)
        acked = server.polls[-1]
        listed = {"conversation": [talk("Connected", "Audio")]} if survives else {}
        server.tolerates(A, application())
        server.tolerates(CONVERSATIONS, resource("conversations", CONVERSATIONS, {}, listed))
        if survives:
            # What happened meanwhile: the far end was put on hold.
            server.tolerates(C, talk("Connected", "Audio"))
            server.tolerates(f"{C}/phoneAudio", phone("Connected", RESUME))
            server.tolerates(f"{C}/audioVideo", IDLE)
            server.tolerates(f"{C}/messaging", SILENT)
        else:
            server.harmless[C] = refused(404, "NotFound")
        server.polls.clear()
        while here.clock.now() < 1_000_040.0:
            server.release_as(httpx.ReadError("connection reset"))
            await here.clock.advance(8.0)
        assert set(server.polls) == {acked}, "nothing was acknowledged meanwhile"

        server.release(on="resync", href=f"{A}/events?ack=6")
        await here.clock.advance(30.0)
        assert server.polls[-1] == f"{A}/events?ack=6"
        server.release(on="next", href=f"{A}/events?ack=7")
        await here.settle()
        await here.clock.advance(5.0)
        assert server.polls[-1] == f"{A}/events?ack=7"
        assert [told for told in await _written(here) if isinstance(told, GapDetected)]
        assert server.wrong == []

        if survives:
            assert (call.state, call.held) == (CallState.CONNECTED, True)
            server.acked = 7
            await here.hears(*ended())
        told = await call.ended()
        assert told.confidence is (Confidence.DERIVED if survives else Confidence.INFERRED)
        assert len([told for told in await _written(here) if isinstance(told, CallEnded)]) == 1
