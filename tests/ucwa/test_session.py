"""One application on a UCWA server: signing in and out, commands, reads, lists, and losing it."""

from __future__ import annotations

import json
import math
from contextlib import asynccontextmanager

import anyio
import httpx
import pytest

from telco_bridge.http import ForeignOrigin
from telco_bridge.provider import (
    AnswerLost,
    AuthenticationFailed,
    CallReport,
    CallState,
    Dial,
    Dialled,
    Gap,
    Gone,
    HangUp,
    Hold,
    Modality,
    NotSent,
    Party,
    ProviderError,
    RateLimited,
    Refused,
    Source,
    StartMedia,
    StopMedia,
    StreamId,
    StreamState,
    StreamTarget,
    TerminationReason,
    TooLate,
    Transport,
)
from telco_bridge.sandbox import SteppedClock
from telco_bridge_ucwa.config import UcwaConfig
from telco_bridge_ucwa.session import open_session

HOST = "https://pool.example.org"
C = "/app/c1"
PASSWORD = "s3cret"


class Host:
    """Keeps what is reported, and has a clock that stands still."""

    def __init__(self):
        self.clock = SteppedClock()
        self.last = 0.0
        self.facts = []

    def stamp(self):
        self.last = max(self.clock.now(), math.nextafter(self.last, math.inf))
        return self.last

    def report(self, *facts):
        self.facts += facts

    def url(self, path, **query):
        return None


def resource(href, links=None, embedded=None, **properties):
    named = {name: {"href": target} for name, target in (links or {}).items()}
    found = {**properties, "_links": {"self": {"href": href}, **named}}
    return found | ({"_embedded": embedded} if embedded else {})


def ok(body, status=200, **headers):
    return httpx.Response(status, json=body, headers=headers)


def problem(status, subcode=None, code="Some"):
    return ok({"code": code, "subcode": subcode, "message": "words", "parameters": [{"name": "to"}]}, status)


ME = resource("/app/me", {"makeMeAvailable": "/app/available"}, uri="sip:ada@example.org", name="Ada")
COMMUNICATION = resource("/app/communication", {"startPhoneAudio": "/app/start", "conversations": "/app/conversations"})
APPLICATION = resource("/app", {"events": "/app/events?ack=1"}, {"me": ME, "communication": COMMUNICATION})
CONVERSATION = resource(
    C, {"phoneAudio": f"{C}/phone", "audioVideo": f"{C}/av"}, state="Connected", activeModalities=["Audio"]
)
PHONE = resource(f"{C}/phone", {"conversation": C, "holdPhoneAudio": f"{C}/hold"}, state="Connected")
IDLE = resource(f"{C}/av", {"conversation": C, "addAudio": f"{C}/add"}, state="Disconnected")
INVITATION = resource(
    "/app/i1",
    {"conversation": C, "cancel": "/app/i1/cancel"},
    rel="phoneAudioInvitation",
    state="Connecting",
    direction="Outgoing",
    operationId="call-1",
)


class Server:
    """A table of answers: `METHOD path` to an answer, a list of them, or a trouble. Polls are parked."""

    def __init__(self):
        self.requests = []
        self.answers = {
            "GET /user": ok(resource("/user", {"applications": f"{HOST}/apps"})),
            "POST /apps": ok(APPLICATION, 201),
            "DELETE /app": httpx.Response(204),
            f"GET {C}": ok(CONVERSATION),
            f"GET {C}/phone": ok(PHONE),
            f"GET {C}/av": ok(IDLE),
        }

    async def handle(self, request):
        key = f"{request.method} {request.url.path}"
        self.requests.append(request)
        answer = self.answers.get(key)
        if isinstance(answer, list):
            answer = answer.pop(0) if answer else None
        if answer is None and key == "GET /app/events":
            await anyio.sleep_forever()
        if isinstance(answer, Exception):
            raise answer
        return answer if answer is not None else problem(404, code="NotFound")

    def sent(self, *, after="POST /apps"):
        keys = [f"{request.method} {request.url.raw_path.decode()}" for request in self.requests]
        return keys[keys.index(after) + 1 :]


@asynccontextmanager
async def signed_in(server, **settings):
    entry = {} if "application_url" in settings else {"user_url": f"{HOST}/user"}
    config = UcwaConfig.model_validate({"username": "ada", "password": PASSWORD, **entry, **settings})
    host = Host()
    async with open_session(config, host, transport=httpx.MockTransport(server.handle)) as session:
        yield session, host


def with_answers(answers):
    server = Server()
    server.answers |= answers
    return server


DIAL = Dial(id="call-1", call="call-1", to="+14255550199")
HANG_UP = HangUp(id="h-1", call="call-1", ref=C)
HOLD = Hold(id="h-2", call="call-1", ref=C)
STARTED = {"POST /app/start": httpx.Response(201, headers={"Location": "/app/i1"}), "GET /app/i1": ok(INVITATION)}


# Signing in and out


async def test_signing_in_makes_an_application_and_signing_out_deletes_it():
    server = Server()

    async with signed_in(server, endpoint_id="e-1"):
        pass

    assert server.sent(after="GET /user") == ["POST /apps", "DELETE /app"]
    body = json.loads(server.requests[1].content)
    assert body == {"userAgent": "telco_bridge", "endpointId": "e-1", "culture": "en-US"}


async def test_every_connection_is_an_endpoint_of_its_own():
    server = Server()

    for _ in range(2):
        async with signed_in(server, application_url=f"{HOST}/apps"):
            pass

    made = [json.loads(r.content)["endpointId"] for r in server.requests if r.method == "POST"]
    assert len(set(made)) == 2


async def test_a_user_may_be_redirected_within_the_allowed_hosts():
    server = with_answers({"GET /user": [ok(resource("/user", {"redirect": "/user"})), Server().answers["GET /user"]]})

    async with signed_in(server):
        pass

    assert server.sent(after="GET /user")[0] == "GET /user"


@pytest.mark.parametrize(
    ("answers", "error", "words"),
    [
        ({"GET /user": ok(resource("/user", {"redirect": "/user"}))}, ProviderError, "more than 5"),
        ({"GET /user": ok(resource("/user"))}, ProviderError, "applications link"),
        ({"GET /user": ok(resource("/user", {"applications": "https://evil.net/a"}))}, ForeignOrigin, "evil"),
        (
            {"GET /user": ok(resource("/user", {"applications": "https://pool.example.org:port/?k=s3cret"}))},
            ProviderError,
            "applications: .*no URL",
        ),
        (
            {"POST /apps": ok(resource("/app", {"events": "/e", "me": "https://pool.example.org:port/"}), 201)},
            ProviderError,
            "me: .*no URL",
        ),
        ({"GET /user": httpx.Response(200, text="<html/>")}, ProviderError, "neither JSON nor XML"),
        ({"GET /user": httpx.Response(401)}, AuthenticationFailed, "MsRtcOAuth"),
        ({"POST /apps": problem(403)}, AuthenticationFailed, "403"),
        ({"POST /apps": httpx.Response(201, text="<html/>")}, AnswerLost, "neither JSON nor XML"),
        ({"POST /apps": ok(resource("/app"), 201)}, ProviderError, "events link"),
        ({"POST /apps": ok({"_links": {"events": {"href": "/e"}}}, 201)}, ProviderError, "no address"),
        ({"POST /apps": httpx.ConnectError("down")}, NotSent, "down"),
    ],
)
async def test_a_sign_in_that_fails_says_what_failed(answers, error, words):
    server = with_answers(answers)

    with pytest.raises(error, match=words) as caught:
        async with signed_in(server):
            pass

    assert type(caught.value) is error
    assert PASSWORD not in str(caught.value)


async def test_an_application_is_not_left_behind_by_a_sign_in_that_failed():
    bare = resource("/app", {"events": "/app/events", "communication": "/app/communication"})
    server = with_answers({"POST /apps": ok(bare, 201), "GET /app/communication": httpx.Response(500)})

    with pytest.raises(AnswerLost):
        async with signed_in(server):
            pass

    assert server.sent() == ["GET /app/communication", "DELETE /app"]


async def test_resources_that_are_not_embedded_are_read():
    bare = resource("/app", {"events": "/app/events", "communication": "/app/communication", "me": "/app/me"})
    server = with_answers(
        {"POST /apps": ok(bare, 200), "GET /app/communication": ok(COMMUNICATION), "GET /app/me": ok(ME)} | STARTED
    )

    async with signed_in(server) as (session, _):
        await session.execute(DIAL)

    assert server.sent()[:3] == ["GET /app/communication", "GET /app/me", "POST /app/start"]


async def test_signing_out_of_a_lost_server_is_quiet():
    async with signed_in(with_answers({"DELETE /app": httpx.ConnectError("down")})):
        pass


@pytest.mark.parametrize("answer", [httpx.Response(204), problem(409, "AlreadyExists")])
async def test_an_available_user_is_made_so(answer):
    server = with_answers({"POST /app/available": answer})

    async with signed_in(server, available=True, phone_number="+14255550101"):
        pass

    assert json.loads(server.requests[2].content) == {
        "supportedModalities": ["Audio", "Video", "PhoneAudio"],
        "audioPreference": "VoipAudio",
        "signInAs": "Online",
        "phoneNumber": "+14255550101",
    }


async def test_a_server_that_takes_only_phone_audio_is_asked_again_for_that():
    server = with_answers({"POST /app/available": [problem(403), httpx.Response(204)]})

    async with signed_in(server, available=True):
        pass

    asked = json.loads(server.requests[3].content)
    assert (asked["supportedModalities"], asked["audioPreference"]) == (["PhoneAudio"], "PhoneAudio")


async def test_a_user_who_may_not_be_available_is_told():
    server = with_answers({"POST /app/available": problem(403)})

    with pytest.raises(AuthenticationFailed, match="makeMeAvailable"):
        async with signed_in(server, available=True):
            pass

    assert server.sent() == ["POST /app/available", "POST /app/available", "DELETE /app"]


async def test_a_stranger_is_not_asked_twice_to_be_available():
    server = with_answers({"POST /app/available": problem(403, "AnonymousNotAllowed")})

    with pytest.raises(AuthenticationFailed, match="makeMeAvailable"):
        async with signed_in(server, available=True):
            pass

    assert server.sent() == ["POST /app/available", "DELETE /app"]


async def test_an_available_user_is_reported_active():
    active = resource("/app/me", {"reportMyActivity": "/app/active"})
    server = with_answers(
        {
            "POST /app/available": httpx.Response(204),
            "GET /app": ok(resource("/app", {"me": "/app/me"})),
            "GET /app/me": ok(active),
            "POST /app/active": httpx.Response(204),
        }
    )

    async with signed_in(server, available=True) as (session, host), anyio.create_task_group() as tasks:
        tasks.start_soon(session.run)
        await anyio.wait_all_tasks_blocked()
        await host.clock.advance(400.0)
        tasks.cancel_scope.cancel()

    assert server.sent().count("POST /app/active") == 2
    assert server.sent().count("GET /app/me") == 1


# Dialling


async def test_a_dial_is_reported_as_accepted_and_then_as_its_invitation_says():
    server = with_answers(STARTED)

    async with signed_in(server) as (session, host):
        await session.execute(DIAL)

    accepted, invited = host.facts
    assert accepted == CallReport(
        source=Source.ANSWER,
        as_of=accepted.as_of,
        command_id="call-1",
        origin=Dialled(),
        state=CallState.DIALING,
        remote=Party("tel:+14255550199"),
    )
    assert (invited.ref, invited.command_id) == (C, "call-1")
    assert server.requests[2].headers["accept"] == "application/json"


@pytest.mark.parametrize("invitation", [httpx.Response(500), problem(404), ok(resource("/app/i1", rel="other"))])
async def test_a_dial_is_accepted_even_where_its_invitation_cannot_be_read(invitation):
    async with signed_in(with_answers(STARTED | {"GET /app/i1": invitation})) as (session, host):
        await session.execute(DIAL)

    assert [fact.command_id for fact in host.facts] == ["call-1"]


async def test_a_dial_without_a_location_is_accepted():
    async with signed_in(with_answers({"POST /app/start": httpx.Response(201)})) as (session, host):
        await session.execute(DIAL)

    assert len(host.facts) == 1


async def test_a_dial_that_events_overtook_asks_nothing_more():
    event = {
        "link": {"rel": "phoneAudioInvitation", "href": "/app/i1"},
        "type": "started",
        "_embedded": {"phoneAudioInvitation": INVITATION},
    }
    events = {
        "_links": {"next": {"href": "/app/events?ack=2"}},
        "sender": [{"rel": "communication", "events": [event]}],
    }
    server = with_answers(STARTED | {"GET /app/events": [ok(events)]})

    async with signed_in(server) as (session, _), anyio.create_task_group() as tasks:
        tasks.start_soon(session.run)
        await anyio.wait_all_tasks_blocked()
        await session.execute(DIAL)
        tasks.cancel_scope.cancel()

    assert "GET /app/i1" not in server.sent()


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (problem(400, "NormalizationFailed", "BadRequest"), Refused),
        (problem(409, "AlreadyExists"), Refused),
        (problem(403), AuthenticationFailed),
        (ok({"code": "TooManyRequests"}, 429, **{"retry-after": "7"}), RateLimited),
        (httpx.Response(503), AnswerLost),
        (problem(408), AnswerLost),
        (httpx.Response(200, text="<html/>"), AnswerLost),
        (httpx.Response(201, content=b'{"_l', headers={"content-type": "application/json"}), AnswerLost),
        (httpx.Response(201, content=b"{}", headers={"content-type": "text/plain"}), AnswerLost),
        (httpx.ReadTimeout("slow"), AnswerLost),
        (httpx.ConnectError("down"), NotSent),
        (httpx.Response(302, headers={"location": "https://evil.net"}), Refused),
    ],
)
async def test_an_answer_to_a_dial_is_a_fact(answer, error):
    async with signed_in(with_answers({"POST /app/start": answer})) as (session, host):
        with pytest.raises(error) as caught:
            await session.execute(DIAL)

    assert type(caught.value) is error
    assert host.facts == []


async def test_a_refusal_carries_the_servers_words():
    answer = problem(400, "NormalizationFailed", "BadRequest")
    async with signed_in(with_answers({"POST /app/start": answer})) as (session, _):
        with pytest.raises(Refused, match=r"startPhoneAudio: HTTP 400 .*words \(to: Unknown\)") as caught:
            await session.execute(DIAL)

    assert (caught.value.code, caught.value.status) == ("BadRequest/NormalizationFailed", 400)


async def test_a_dial_reads_the_communication_resource_where_it_is_missing():
    bare = resource("/app", {"events": "/app/events"}, {"me": ME})
    for application, error in ((APPLICATION, None), (bare, TooLate)):
        server = with_answers({"POST /apps": ok(bare, 201), "GET /app": ok(application)} | STARTED)
        async with signed_in(server) as (session, _):
            if error is None:
                await session.execute(DIAL)
            else:
                with pytest.raises(error):
                    await session.execute(DIAL)


# Other commands


async def test_a_command_reads_what_events_have_not_told():
    server = with_answers({f"POST {C}/hold": httpx.Response(204)})

    async with signed_in(server) as (session, host):
        await session.execute(HOLD)

    assert server.sent()[:4] == [f"GET {C}", f"GET {C}/phone", f"GET {C}/av", f"POST {C}/hold"]
    assert server.requests[-2].headers["content-length"] == "0"
    assert host.facts == []


async def test_a_command_to_a_call_that_is_gone_is_too_late():
    async with signed_in(with_answers({f"GET {C}": problem(404)})) as (session, _):
        with pytest.raises(TooLate, match="does not know"):
            await session.execute(HOLD)


async def test_a_command_to_a_modality_that_is_not_there_is_too_late():
    bare = resource(C, state="Connected", activeModalities=["Audio"])
    async with signed_in(with_answers({f"GET {C}": ok(bare)})) as (session, _):
        with pytest.raises(TooLate, match="phoneAudio"):
            await session.execute(HOLD)


@pytest.mark.parametrize("status", [404, 409, 410])
async def test_an_answer_that_comes_too_late_says_so(status):
    async with signed_in(with_answers({f"POST {C}/hold": problem(status, code="Conflict")})) as (session, _):
        with pytest.raises(TooLate, match=f"holdPhoneAudio: HTTP {status} Conflict") as caught:
            await session.execute(HOLD)

    assert (caught.value.code, caught.value.status) == ("Conflict", status)


async def test_an_answer_of_the_proxys_is_too_late_as_well():
    async with signed_in(with_answers({f"POST {C}/hold": httpx.Response(404, text="<html/>")})) as (session, _):
        with pytest.raises(TooLate):
            await session.execute(HOLD)


async def test_hanging_up_leaves_the_conversation():
    server = with_answers({f"DELETE {C}": httpx.Response(204)})

    async with signed_in(server) as (session, _):
        await session.execute(HANG_UP)

    assert server.sent() == [f"DELETE {C}", "DELETE /app"]


async def test_a_dial_without_a_conversation_is_cancelled_through_its_invitation():
    invitations = [httpx.Response(500), ok(INVITATION)]
    server = with_answers(STARTED | {"GET /app/i1": invitations, "POST /app/i1/cancel": httpx.Response(204)})

    async with signed_in(server) as (session, _):
        await session.execute(DIAL)
        await session.execute(HangUp(id="h", call="call-1"))

    assert server.sent()[-3:] == ["GET /app/i1", "POST /app/i1/cancel", "DELETE /app"]


async def test_a_call_that_nobody_knows_cannot_be_hung_up():
    async with signed_in(Server()) as (session, _):
        with pytest.raises(TooLate):
            await session.execute(HangUp(id="h", call="call-1"))


async def test_a_stop_carries_its_reason_beside_the_servers_own_parameters():
    links = {"conversation": C, "stopAudio": f"{C}/stop?key=a%2Fb"}
    server = with_answers(
        {f"GET {C}/av": ok(resource(f"{C}/av", links, state="Connected")), f"POST {C}/stop": httpx.Response(204)}
    )
    target = StreamTarget(StreamId("audio", 1), Modality.AUDIO, Transport.VOIP)
    stop = StopMedia(id="s", call="call-1", ref=C, streams=(target,), reason=TerminationReason.NORMAL)

    async with signed_in(server) as (session, _):
        await session.execute(stop)

    assert server.sent()[-2] == f"POST {C}/stop?key=a%2Fb&reason=UserInitiatedAction"


async def test_a_start_is_remembered_so_that_its_stream_knows_it():
    added = resource(
        "/app/i2", {"conversation": C}, rel="phoneAudioInvitation", state="Connecting", operationId="add-1"
    )
    server = with_answers(
        {
            f"GET {C}/phone": ok(resource(f"{C}/phone", {"conversation": C, "addPhoneAudio": f"{C}/add"})),
            f"POST {C}/add": httpx.Response(201, headers={"Location": "/app/i2"}),
            "GET /app/i2": ok(added),
        }
    )
    start = StartMedia(id="add-1", call="call-1", ref=C, modality=Modality.AUDIO, native={"to": "sip:bob@example.org"})

    async with signed_in(server) as (session, host):
        await session.execute(start)

    (told,) = host.facts
    assert (told.command_id, told.state) == (None, None)
    assert [(s.command_id, s.state) for s in told.streams] == [("add-1", StreamState.STARTING)]


async def test_a_foreign_link_is_not_followed():
    links = {"conversation": C, "holdPhoneAudio": "https://evil.example.net/hold"}
    server = with_answers({f"GET {C}/phone": ok(resource(f"{C}/phone", links, state="Connected"))})

    async with signed_in(server) as (session, _):
        with pytest.raises(ForeignOrigin):
            await session.execute(HOLD)


async def test_a_broken_link_is_not_followed():
    links = {"conversation": C, "holdPhoneAudio": "http://[broken"}
    server = with_answers({f"GET {C}/phone": ok(resource(f"{C}/phone", links, state="Connected"))})

    async with signed_in(server) as (session, _):
        with pytest.raises(ProviderError, match=r"holdPhoneAudio: .*no URL") as caught:
            await session.execute(HOLD)

    assert type(caught.value) is ProviderError


# Reads


async def test_a_read_takes_the_conversation_and_its_modalities():
    server = Server()

    async with signed_in(server) as (session, _):
        report = await session.read(C)

    assert isinstance(report, CallReport)
    assert (report.ref, report.state, report.held, report.streams_complete) == (C, CallState.CONNECTED, False, True)
    assert {s.slot: s.state for s in report.streams} == {
        "phoneAudio": StreamState.ACTIVE,
        "audio": StreamState.ENDED,
        "video": StreamState.ENDED,
    }
    assert report.offered == {"holdPhoneAudio", "addAudio"}


@pytest.mark.parametrize("answer", [httpx.Response(403, json={"code": "Forbidden"}), ok(resource(f"{C}/im", {}))])
async def test_a_read_tells_of_a_call_whose_user_may_not_write_messages(answer):
    whole = resource(C, {"messaging": f"{C}/im"}, {"phoneAudio": PHONE}, state="Connected", activeModalities=["Audio"])
    server = with_answers({f"GET {C}": ok(whole), f"GET {C}/im": answer})

    async with signed_in(server) as (session, _):
        report = await session.read(C)

    assert [s.slot for s in report.streams if s.state is not None] == ["phoneAudio"]
    assert f"GET {C}/im" in server.sent()


async def test_a_read_uses_what_is_embedded():
    whole = resource(C, {}, {"phoneAudio": PHONE}, state="Connected", activeModalities=["Audio"])
    server = with_answers({f"GET {C}": ok(whole)})

    async with signed_in(server) as (session, _):
        report = await session.read(C)

    assert [s.slot for s in report.streams] == ["phoneAudio"]
    assert server.sent() == [f"GET {C}", "DELETE /app"]


async def test_a_modality_that_does_not_name_its_conversation_belongs_to_it():
    server = with_answers({f"GET {C}/phone": ok({"state": "Connected"})})

    async with signed_in(server) as (session, _):
        report = await session.read(C)

    assert report.streams[0].state is StreamState.ACTIVE


@pytest.mark.parametrize(("answer", "state"), [(problem(404), CallState.DIALING), (None, CallState.RINGING)])
async def test_a_read_of_a_call_that_rings_takes_its_invitation(answer, state):
    ringing = resource(C, state="Connecting", activeModalities=[])
    alerting = ok(INVITATION | {"state": "Alerting"})
    invitations = [ok(INVITATION), answer if answer is not None else alerting]
    server = with_answers(STARTED | {f"GET {C}": ok(ringing), "GET /app/i1": invitations})

    async with signed_in(server) as (session, _):
        await session.execute(DIAL)
        report = await session.read(C)

    assert report.state is state


async def test_a_conversation_that_the_server_does_not_know_is_gone():
    async with signed_in(with_answers({f"GET {C}": problem(404, code="NotFound")})) as (session, _):
        gone = await session.read(C)

    assert isinstance(gone, Gone)
    assert gone.native == "NotFound"


@pytest.mark.parametrize(
    "answers",
    [
        {f"GET {C}": httpx.Response(404, text="<html/>")},
        {f"GET {C}": problem(410, "CannotRedirect")},
        {f"GET {C}": httpx.Response(200, text="<html/>")},
        {f"GET {C}": httpx.Response(200, content=b"{", headers={"content-type": "application/json"})},
        {f"GET {C}": httpx.ReadError("reset")},
        {f"GET {C}/phone": problem(500)},
    ],
)
async def test_a_read_that_fails_proves_nothing(answers):
    async with signed_in(with_answers(answers)) as (session, _):
        with pytest.raises(ProviderError):
            await session.read(C)


async def test_a_read_is_as_of_the_time_before_it_was_asked():
    server = Server()
    async with signed_in(server) as (session, host):
        before = host.stamp()
        report = await session.read(C)
        assert before < report.as_of < host.stamp()


# Lists


@pytest.mark.parametrize("href", ["/app/conversations", "/app/conversations?filter=active"])
async def test_the_active_conversations_are_listed(href):
    communication = resource("/app/communication", {"conversations": href})
    application = resource("/app", {"events": "/e"}, {"communication": communication})
    links = {"conversation": [{"href": C}, {"href": "/app/im"}, {"href": "/app/broken"}, {"href": "http://[b"}]}
    listed = {"_links": {"self": {"href": href}, **links}}
    messages = resource("/app/im", state="Connected", activeModalities=["Messaging"])
    server = with_answers(
        {
            "POST /apps": ok(application, 201),
            "GET /app/conversations": ok(listed),
            "GET /app/im": ok(messages),
            "GET /app/broken": httpx.Response(500),
        }
    )

    async with signed_in(server) as (session, _):
        first = await session.list_calls()
        again = await session.list_calls()

    assert [report.ref for report in first.reports] == [C]
    assert not first.complete
    assert not first.reports[0].streams_complete
    assert [report.ref for report in again.reports] == [C]
    assert server.sent().count("GET /app/conversations?filter=active") == 2
    assert server.sent().count(f"GET {C}") == 2
    assert first.as_of < first.reports[0].as_of < again.reports[0].as_of


@pytest.mark.parametrize(
    ("answer", "pending"),
    [
        (ok(INVITATION), True),
        (ok({**INVITATION, "state": "Failed"}), False),
        (problem(404, code="NotFound"), False),
        (problem(500), True),
        (httpx.Response(404, html="<p>"), True),
    ],
)
async def test_an_invitation_is_read_again_where_events_were_missed(answer, pending):
    listed = ok(resource("/app/conversations", embedded={"conversation": [CONVERSATION]}))
    server = with_answers({**STARTED, "GET /app/conversations": listed})

    async with signed_in(server) as (session, _):
        await session.execute(DIAL)
        resources = session._application.resources
        resources.drop_calls()
        server.answers["GET /app/i1"] = answer
        await session.list_calls()

    assert (resources.pending(C) is not None) is pending
    assert resources.modality(C, "phoneAudio") is not None
    assert (resources.doubtful(C) != ()) is (answer.status_code == 500 or "html" in answer.headers["content-type"])


@pytest.mark.parametrize("trouble", [httpx.Response(500), httpx.ReadTimeout("slow"), problem(404)])
async def test_what_is_known_of_a_listed_call_is_not_passed_off_as_an_answer(trouble):
    listed = {"_links": {"self": {"href": "/x"}, "conversation": [{"href": C}]}}
    ending = ok(CONVERSATION | {"state": "Disconnecting"})
    server = with_answers({"GET /app/conversations": ok(listed), f"GET {C}": [ok(CONVERSATION), trouble, ending]})

    async with signed_in(server) as (session, _):
        lists = [await session.list_calls() for _ in range(3)]

    assert [[report.state for report in calls.reports] for calls in lists] == [
        [CallState.CONNECTED],
        [],
        [CallState.ENDING],
    ]
    assert [calls.complete for calls in lists] == [True, False, True]


async def test_embedded_conversations_are_listed_without_being_read_again():
    listed = {"_links": {"self": {"href": "/x"}}, "_embedded": {"conversation": [CONVERSATION]}}
    server = with_answers({"GET /app/conversations": ok(listed)})

    async with signed_in(server) as (session, _):
        calls = await session.list_calls()

    assert [(report.ref, report.state) for report in calls.reports] == [(C, CallState.CONNECTED)]
    assert f"GET {C}" not in server.sent()


async def test_a_server_without_a_list_says_so():
    application = resource("/app", {"events": "/e"})
    async with signed_in(with_answers({"POST /apps": ok(application, 201)})) as (session, _):
        with pytest.raises(ProviderError, match="no list"):
            await session.list_calls()


# Losing the application


@pytest.mark.parametrize("links", [{"events": "http://[broken"}, {"events": "https://pool.example.org:port/?k=s3cret"}])
async def test_an_event_channel_that_cannot_be_followed_says_so(links):
    async with signed_in(with_answers({"POST /apps": ok(resource("/app", links), 201)})) as (session, _):
        with pytest.raises(ProviderError, match=r"^events: .*no URL") as caught:
            await session.run()

    assert type(caught.value) is ProviderError
    assert PASSWORD not in str(caught.value)


async def test_a_forgotten_application_is_made_again_a_few_times_an_hour():
    lost = [problem(404, "ApplicationNotFound", "NotFound")] * 10
    server = with_answers({"GET /app/events": lost})

    async with signed_in(server) as (session, host):
        await session.read(C)
        with pytest.raises(ProviderError, match="ApplicationNotFound"):
            await session.run()
        made = server.sent(after="GET /user").count("POST /apps")
        await host.clock.advance(3600.0)
        with pytest.raises(ProviderError):
            await session.run()

    assert made == 4
    assert server.sent(after="GET /user").count("POST /apps") == 7
    ended, gap = host.facts[:2]
    assert (ended.ref, ended.state, ended.cause.dialect) == (C, CallState.ENDED, "EventChannel")
    assert isinstance(gap, Gap)


async def test_a_server_that_is_down_does_not_use_up_the_new_applications():
    lost = [problem(404, "ApplicationNotFound", "NotFound")]
    made = [ok(APPLICATION, 201), *[httpx.ConnectError("down")] * 3, ok(APPLICATION, 201)]
    server = with_answers({"GET /app/events": lost, "POST /apps": made})

    async with signed_in(server) as (session, host):
        for _ in range(3):
            with pytest.raises(NotSent):
                await session.run()
            await host.clock.advance(10.0)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(session.run)
            await anyio.wait_all_tasks_blocked()
            tasks.cancel_scope.cancel()

    (gap,) = host.facts
    assert isinstance(gap, Gap)
    assert gap.as_of - gap.since >= 30.0
    assert server.sent(after="GET /user").count("POST /apps") == 5


async def test_a_new_application_that_cannot_be_read_is_deleted_and_made_again():
    old = resource("/app", {"events": "/app/events"}, {"me": ME})
    bare = resource("/app2", {"events": "/app2/events", "communication": "/app2/communication"})
    server = with_answers(
        {
            "GET /app/events": [problem(404, "ApplicationNotFound", "NotFound")],
            "POST /apps": [ok(old, 201), ok(bare, 201), ok(APPLICATION, 201)],
            "GET /app2/communication": httpx.Response(500),
            "DELETE /app2": httpx.Response(204),
        }
    )

    async with signed_in(server) as (session, _):
        with pytest.raises(AnswerLost):
            await session.run()
        with pytest.raises(ProviderError, match="no application"):
            await session.execute(DIAL)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(session.run)
            await anyio.wait_all_tasks_blocked()
            tasks.cancel_scope.cancel()

    assert server.sent().count("DELETE /app2") == 1
    assert server.sent()[-1] == "DELETE /app"


async def test_an_expired_application_is_not_made_again():
    server = with_answers({"GET /app/events": problem(410, "TooManyApplications", "Gone")})

    async with signed_in(server) as (session, _):
        with pytest.raises(ProviderError, match="TooManyApplications"):
            await session.run()

    assert server.sent(after="GET /user").count("POST /apps") == 1


@pytest.mark.parametrize(
    ("word", "kept", "told"),
    [
        ("Connecting", True, []),
        ("Connected", True, [CallState.CONNECTED, None]),
        ("Declined", True, [CallState.ENDED]),
        (None, False, []),
    ],
)
async def test_a_conversation_that_has_gone_says_nothing_of_a_call_that_another_may_take_over(word, kept, told):
    av = resource(f"{C}/av", {"conversation": C}, state="Connected")
    named = {"conversation": "/app/c2", "replacesAudioVideo": f"{C}/av"}
    invited = resource("/app/i2", named, rel="audioVideoInvitation", state="Connecting", direction="Incoming")
    happened = [
        ("added", "conversation", C, CONVERSATION),
        ("updated", "audioVideo", f"{C}/av", av),
        ("started", "audioVideoInvitation", "/app/i2", invited),
        ("deleted", "conversation", C, None),
    ]
    events = [
        {"type": kind, "link": {"rel": rel, "href": href}, **({"_embedded": {rel: body}} if body else {})}
        for kind, rel, href, body in happened
    ]
    sender = {"rel": "communication", "href": "/app/communication", "events": events}
    package = {"_links": {"next": {"href": "/app/events?ack=2"}}, "sender": [sender]}
    server = with_answers({"GET /app/events": [ok(package)], f"GET {C}": problem(404, code="NotFound")})
    if word is not None:
        server.answers["GET /app/i2"] = ok({**invited, "state": word})

    async with signed_in(server) as (session, host), anyio.create_task_group() as tasks:
        tasks.start_soon(session.run)
        await anyio.wait_all_tasks_blocked()
        before = len(host.facts)
        read = await session.read(C)
        again = await session.read(C)
        tasks.cancel_scope.cancel()

    assert isinstance(read, CallReport if kept else Gone)
    assert isinstance(again, CallReport if word == "Connecting" else Gone)
    assert not kept or (read.ref, read.state) == (C, None)
    assert [fact.state for fact in host.facts[before:] if isinstance(fact, CallReport)] == told
