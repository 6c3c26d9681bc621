"""The typed door: conversations with their participants, conferences and meetings, along a scripted server's links."""

from __future__ import annotations

import json
import math
from collections import deque
from contextlib import asynccontextmanager
from types import SimpleNamespace

import anyio
import httpx
import pytest

from telco_bridge.provider import AnswerLost, ProviderError, Refused, TerminationReason, TooLate
from telco_bridge.sandbox import SteppedClock
from telco_bridge_ucwa.config import UcwaConfig
from telco_bridge_ucwa.native import (
    Audience,
    ConversationState,
    Importance,
    MediaFlow,
    Role,
    SourceNetwork,
    UcwaApplication,
)
from telco_bridge_ucwa.session import open_session

HOST = "https://pool.example.org"
C = "/app/c1"
ME, BOB, CLAIRE = f"{C}/me", f"{C}/bob", f"{C}/claire"
CALL = SimpleNamespace(native_id=C)
SDP = "v=0\r\nm=audio 1 RTP/AVP 0\r\n"


class Host:
    def __init__(self):
        self.clock = SteppedClock()
        self.last = 0.0

    def stamp(self):
        self.last = max(self.clock.now(), math.nextafter(self.last, math.inf))
        return self.last

    def report(self, *facts):
        pass

    def url(self, path, **query):
        return None


def resource(rel, href, links=None, embedded=None, **properties):
    named = {
        name: [{"href": h} for h in to] if isinstance(to, list) else {"href": to} for name, to in (links or {}).items()
    }
    found = {"rel": rel, **properties, "_links": {"self": {"href": href}, **named}}
    return found | ({"_embedded": embedded} if embedded else {})


def event(kind, rel, href, body=None, *, inside=None, status=None, reason=None, sender=C):
    raw = {"link": {"rel": rel, "href": href}, "type": kind}
    if inside is not None:
        raw["in"] = {"rel": inside[0], "href": inside[1]}
    if status is not None:
        raw["status"] = status
    if reason is not None:
        code, subcode = reason.split("/")
        raw["reason"] = {"code": code, "subcode": subcode, "message": "because"}
    if body is not None:
        raw["_embedded"] = {rel: body}
    return raw, sender


def person(href, name, links=(), media=(), **more):
    named = {link: f"{href}/{link}" for link in (*links, *media)} | {"conversation": C}
    return resource("participant", href, named, uri=f"sip:{name}@example.org", name=name, **more)


def audio(href, links=("muteAudio",), **more):
    named = {link: f"{href}/participantAudio/{link}" for link in links} | {"participant": href}
    return resource("participantAudio", f"{href}/participantAudio", named, **more)


def conversation(links=(), state="Conferenced", **more):
    named = {name: f"{C}/{name}" for name in ("participants", "phoneAudio", "audioVideo", *links)}
    named |= {"localParticipant": ME}
    return resource("conversation", C, named, state=state, **{"activeModalities": ["Audio"], **more})


class Server:
    """A table of answers, and an event channel on which a test tells what it likes."""

    def __init__(self):
        links = {rel: f"/app/{rel}" for rel in ("joinOnlineMeeting", "startOnlineMeeting", "startPhoneAudio")}
        hub = {
            "me": resource("me", "/app/me", uri="sip:ada@example.org"),
            "communication": resource("communication", "/app/communication", links),
        }
        application = resource("application", "/app", {"events": "/app/events?ack=1"}, hub)
        self.requests = []
        self.lost = False
        self.send, self.receive = anyio.create_memory_object_stream(math.inf)
        self.answers = {
            "POST /apps": httpx.Response(201, json=application),
            "GET /app": httpx.Response(200, json=application),
            "DELETE /app": httpx.Response(204),
        }
        for body in (conversation(), person(ME, "ada", local=True), person(BOB, "bob", ["eject", "promote"])):
            self.shows(body)

    def shows(self, body):
        self.answers[f"GET {body['_links']['self']['href']}"] = httpx.Response(200, json=body)

    def accepts(self, *paths, status=204, **headers):
        for path in paths:
            self.answers[f"POST {path}"] = httpx.Response(status, headers=headers)

    async def handle(self, request):
        key = f"{request.method} {request.url.path}"
        if key == "GET /app/events":
            package = await self.receive.receive()
            if self.lost:
                self.lost = False
                return httpx.Response(404, json={"code": "NotFound", "subcode": "ApplicationNotFound"})
            return httpx.Response(200, json=package)
        self.requests.append(request)
        answer = self.answers.get(key)
        if isinstance(answer, deque):
            answer = answer.popleft()
        if callable(answer):
            answer = await answer(request)
        return answer or httpx.Response(404, json={"code": "NotFound"})

    async def tell(self, *events, resync=False):
        rel = "resync" if resync else "next"
        blocks = [
            {"rel": "communication" if at == "/app/communication" else "conversation", "href": at, "events": [raw]}
            for raw, at in events
        ]
        self.send.send_nowait({"_links": {rel: {"href": "/app/events?ack=2"}}, "sender": blocks})
        await anyio.wait_all_tasks_blocked()

    def asked(self, method="GET"):
        return [request.url.path for request in self.requests if request.method == method]

    def body(self, path):
        return next(json.loads(r.content) for r in self.requests if r.url.path == path and r.method == "POST")


@pytest.fixture
def anyio_backend():
    """One is enough: what waits here is anyio's, and the plugin's other tests run on both."""
    return "trio"


@pytest.fixture
def server():
    made = Server()
    yield made
    made.send.close()
    made.receive.close()


@asynccontextmanager
async def door(server):
    config = UcwaConfig.model_validate({"username": "ada", "password": "s3cret", "application_url": f"{HOST}/apps"})
    host = Host()
    async with (
        open_session(config, host, transport=httpx.MockTransport(server.handle)) as session,
        anyio.create_task_group() as tasks,
    ):
        tasks.start_soon(session.run)
        await anyio.wait_all_tasks_blocked()
        assert isinstance(session.native, UcwaApplication)
        yield session.native, host
        tasks.cancel_scope.cancel()


JOINED = [
    event("added", "conversation", C, conversation(), sender="/app/communication"),
    event("added", "localParticipant", ME, person(ME, "ada", local=True)),
    event("added", "participant", BOB),
]


def names(participants):
    return [participant.name for participant in participants]


# The conversation


async def test_a_conversation_shows_what_the_server_says_of_it(server):
    said = {"subject": "demo", "threadId": "t", "importance": "Urgent", "recording": True, "participantCount": 3}
    body = conversation(["addParticipant"], audienceMute="Enabled", audienceMessaging="Sometimes", **said)
    async with door(server) as (native, _):
        here = native.conversation(CALL)
        with pytest.raises(TooLate, match="nothing was heard"):
            _ = here.view
        await server.tell(event("added", "conversation", C, body, sender="/app/communication"))
        view = here.view

    assert (view.state, view.active_modalities) == (ConversationState.CONFERENCED, {"Audio"})
    assert (view.subject, view.thread_id, view.importance) == ("demo", "t", "Urgent")
    assert (view.recording, view.participant_count) == (True, 3)
    assert (view.audience_mute, view.audience_messaging) == (Audience.ENABLED, Audience.UNKNOWN)
    assert view.native["audienceMessaging"] == "Sometimes"
    assert "addParticipant" in view.offered


async def test_a_conversation_is_read_when_it_is_asked_for(server):
    server.shows(conversation(state="Levitating"))
    async with door(server) as (native, _):
        view = await native.conversation(CALL).refresh()
        del server.answers[f"GET {C}"]
        with pytest.raises(TooLate, match="over"):
            await native.conversation(CALL).refresh()

    assert (view.state, view.native_state) == (ConversationState.UNKNOWN, "Levitating")


async def test_a_call_without_a_conversation_has_no_door(server):
    async with door(server) as (native, _):
        with pytest.raises(TooLate, match="no conversation yet"):
            native.conversation(SimpleNamespace(native_id=None))


# The roster


async def test_what_events_came_without_is_read_when_it_is_asked_for(server):
    server.shows(audio(BOB, ["muteAudio"], audioDirection="SendReceive", audioMuted=False, audioSourceId=7))
    said = {"role": "Attendee", "sourceNetwork": "Mars", "anonymous": False, "workPhoneNumber": "tel:+1"}
    server.shows(person(BOB, "bob", ["eject", "contact"], **said))
    async with door(server) as (native, _):
        await server.tell(
            *JOINED, event("added", "participantAudio", f"{BOB}/participantAudio", inside=("participant", BOB))
        )
        assert server.asked() == []
        ada, bob = await native.conversation(CALL).participants()
        before = len(server.requests)
        assert await native.conversation(CALL).participants() == (ada, bob)
        assert len(server.requests) == before

    assert (ada.name, ada.local, bob.name, bob.local) == ("ada", True, "bob", False)
    assert (bob.role, bob.source_network, bob.native_source_network) == (Role.ATTENDEE, SourceNetwork.UNKNOWN, "Mars")
    assert (bob.anonymous, bob.in_lobby, bob.work_phone_number) == (False, None, "tel:+1")
    assert (bob.audio.direction, bob.audio.muted, bob.audio.source_id) == (MediaFlow.SEND_RECEIVE, False, "7")
    assert bob.video is None
    assert bob.offered == {"eject", "muteAudio"}


async def test_the_roster_follows_its_events(server):
    muted = audio(BOB, ["unmuteAudio"], audioMuted=True)
    async with door(server) as (native, _):
        here = native.conversation(CALL)
        await server.tell(*JOINED)
        assert names(await here.participants()) == ["ada", "bob"]
        at = ("participant", BOB)
        await server.tell(event("added", "participantAudio", f"{BOB}/participantAudio", audio(BOB), inside=at))
        assert (await here.participants())[1].audio.muted is None
        await server.tell(event("updated", "participantAudio", f"{BOB}/participantAudio", muted, inside=at))
        bob = (await here.participants())[1]
        assert (bob.audio.muted, "unmuteAudio" in bob.offered) == (True, True)
        await server.tell(event("deleted", "participantAudio", f"{BOB}/participantAudio", inside=at))
        assert (await here.participants())[1].audio is None
        await server.tell(event("updated", "participant", BOB, person(BOB, "robert")))
        assert names(await here.participants()) == ["ada", "robert"]
        await server.tell(event("deleted", "participant", BOB))

        assert names(await here.participants()) == ["ada"]


async def test_views_tell_of_roles_and_the_lobby_and_are_no_joining(server):
    async with door(server) as (native, _):
        here = native.conversation(CALL)
        await server.tell(*JOINED)
        await here.participants()
        server.shows(person(BOB, "bob", role="Leader"))
        server.shows(person(CLAIRE, "claire", ["admit", "reject"], inLobby=True))
        await server.tell(
            event("deleted", "participant", BOB, inside=("attendees", f"{C}/attendees")),
            event("added", "participant", BOB, inside=("leaders", f"{C}/leaders")),
            event("added", "participant", BOB, inside=("typingParticipants", f"{C}/typing")),
            event("added", "participant", CLAIRE, inside=("lobby", f"{C}/lobby")),
        )
        _, bob, claire = await here.participants()
        assert (bob.role, claire.in_lobby, claire.offered) == (Role.LEADER, True, {"admit", "reject"})
        del server.answers[f"GET {CLAIRE}"]
        await server.tell(event("deleted", "participant", CLAIRE, inside=("lobby", f"{C}/lobby")))

        assert names(await here.participants()) == ["ada", "bob"]


async def test_after_a_gap_the_roster_is_rebuilt_from_the_views(server):
    async with door(server) as (native, _):
        here = native.conversation(CALL)
        await server.tell(*JOINED)
        await here.participants()
        server.shows(conversation(["leaders", "attendees", "lobby"]))
        server.shows(resource("leaders", f"{C}/leaders", {"participant": [ME]}))
        server.shows(resource("attendees", f"{C}/attendees", {"participant": [CLAIRE]}))
        server.shows(resource("lobby", f"{C}/lobby", embedded={"participant": [person(BOB, "bob", inLobby=True)]}))
        server.shows(person(CLAIRE, "claire", media=["participantAudio", "participantVideo"]))
        server.shows(audio(CLAIRE, audioMuted=True))
        await server.tell(resync=True)
        ada, claire, bob = await here.participants()

    assert names([ada, claire, bob]) == ["ada", "claire", "bob"]
    assert (claire.audio.muted, claire.video) == (True, None)


async def test_after_a_gap_in_a_call_of_two_who_was_there_is_asked_again(server):
    async with door(server) as (native, _):
        here = native.conversation(CALL)
        await server.tell(*JOINED)
        await here.participants()
        del server.answers[f"GET {BOB}"]
        await server.tell(resync=True)

        assert names(await here.participants()) == ["ada"]


async def test_who_waits_looks_again_after_a_gap(server):
    async with door(server) as (native, _):
        here = native.conversation(CALL)
        await server.tell(*JOINED)
        seen = []

        async def wait():
            seen.append(await here.until(lambda present: names(present) == ["ada"]))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(wait)
            await anyio.wait_all_tasks_blocked()
            del server.answers[f"GET {BOB}"]
            await server.tell(resync=True)
            assert seen == []
            await server.tell(event("updated", "conversation", C, conversation(), sender="/app/communication"))

    assert seen == [True]


async def test_a_conversation_of_another_application_has_no_roster_any_more(server):
    again = json.loads(server.answers["POST /apps"].content)
    async with door(server) as (native, _):
        here = native.conversation(CALL)
        await server.tell(*JOINED)
        await here.participants()
        server.lost = True
        server.answers["POST /apps"] = httpx.Response(201, json=again)
        await server.tell()
        await server.tell(event("added", "conversation", "/app/c2", conversation(), sender="/app/communication"))
        del server.answers[f"GET {C}"]
        with pytest.raises(TooLate):
            await here.participants()


async def test_what_changes_while_it_is_read_is_read_again(server):
    told = iter(["Attendee", "Leader"])

    async def answer(_):
        role = next(told)
        if role == "Attendee":
            await server.tell(event("updated", "participant", BOB))
        return httpx.Response(200, json=person(BOB, "bob", role=role))

    server.answers[f"GET {BOB}"] = answer
    async with door(server) as (native, _):
        await server.tell(*JOINED)

        assert (await native.conversation(CALL).participants())[1].role is Role.LEADER


async def test_who_waits_for_the_roster_is_told_when_it_is_as_wanted_or_time_is_up(server):
    async with door(server) as (native, host):
        here = native.conversation(CALL)
        await server.tell(*JOINED)
        seen = []

        async def wait(count):
            seen.append(await here.until(lambda present: len(present) == count, timeout=30.0))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(wait, 1)
            tasks.start_soon(wait, 7)
            await anyio.wait_all_tasks_blocked()
            await server.tell(event("deleted", "participant", BOB))
            assert seen == [True]
            await host.clock.advance(31.0)
        assert seen == [True, False]

        with pytest.raises(ZeroDivisionError):
            await here.until(lambda _: 1 / 0)


async def test_a_conversation_that_ends_has_nobody_left_to_wait_for(server):
    async with door(server) as (native, _):
        here = native.conversation(CALL)
        await server.tell(*JOINED)
        raised = []

        async def wait():
            try:
                await here.until(lambda _: False)
            except TooLate as error:
                raised.append(error)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(wait)
            await anyio.wait_all_tasks_blocked()
            await server.tell(event("deleted", "conversation", C, sender="/app/communication"))

    assert len(raised) == 1


async def test_the_spotlight_is_the_participant_on_whom_video_is_locked(server):
    locked = f"{C}/audioVideo/lock"
    server.shows(resource("audioVideo", f"{C}/audioVideo", {"videoLockedOnParticipant": locked}, state="Connected"))
    async with door(server) as (native, _):
        here = native.conversation(CALL)
        await server.tell(*JOINED)
        assert await here.spotlight() is None
        server.answers[f"GET {locked}"] = httpx.Response(200, json=person(BOB, "bob"))

        assert (await here.spotlight()).name == "bob"


# What may be done


@pytest.mark.parametrize(
    ("method", "link"),
    [
        ("mute", f"{BOB}/participantAudio/muteAudio"),
        ("unmute", f"{BOB}/participantAudio/unmuteAudio"),
        ("mute_video", f"{BOB}/participantVideo/muteVideo"),
        ("unmute_video", f"{BOB}/participantVideo/unmuteVideo"),
        ("eject", f"{BOB}/eject"),
        ("admit", f"{BOB}/admit"),
        ("reject", f"{BOB}/reject"),
        ("promote", f"{BOB}/promote"),
        ("demote", f"{BOB}/demote"),
    ],
)
async def test_what_the_server_offers_is_done_along_its_link(server, method, link):
    video = f"{BOB}/participantVideo"
    server.shows(person(BOB, "bob", ["eject", "admit", "reject", "promote", "demote"]))
    server.shows(audio(BOB, ["muteAudio", "unmuteAudio"]))
    server.shows(resource("participantVideo", video, {rel: f"{video}/{rel}" for rel in ("muteVideo", "unmuteVideo")}))
    server.accepts(link)
    media = [event("added", "participantAudio", f"{BOB}/participantAudio", inside=("participant", BOB))]
    media += [event("added", "participantVideo", video, inside=("participant", BOB))]
    async with door(server) as (native, _):
        here = native.conversation(CALL)
        await server.tell(*JOINED, *media)
        bob = (await here.participants())[1]
        await getattr(here, method)(bob)

    assert server.asked("POST") == ["/apps", link]
    assert server.requests[-2].content == b""


async def test_what_the_server_does_not_offer_is_not_sent(server):
    async with door(server) as (native, _):
        here = native.conversation(CALL)
        await server.tell(*JOINED)
        bob = (await here.participants())[1]
        with pytest.raises(TooLate, match="demote of bob"):
            await here.demote(bob)
        with pytest.raises(TooLate, match="uses no participantAudio"):
            await here.mute(bob)
        await server.tell(event("deleted", "participant", BOB))
        with pytest.raises(TooLate, match="has left"):
            await here.eject(bob)
        with pytest.raises(TooLate, match="enableAudienceMuteLock"):
            await here.lock_audience_mute()

    assert server.asked("POST") == ["/apps"]


@pytest.mark.parametrize(
    ("method", "rel"),
    [
        ("lock_audience_mute", "enableAudienceMuteLock"),
        ("unlock_audience_mute", "disableAudienceMuteLock"),
        ("enable_audience_messaging", "enableAudienceMessaging"),
        ("disable_audience_messaging", "disableAudienceMessaging"),
        ("acknowledge", "userAcknowledged"),
    ],
)
async def test_the_whole_conversation_is_commanded_along_its_links(server, method, rel):
    server.shows(conversation([rel]))
    server.accepts(f"{C}/{rel}")
    async with door(server) as (native, _):
        await server.tell(*JOINED)
        await getattr(native.conversation(CALL), method)()

    assert server.asked("POST")[-1] == f"{C}/{rel}"


async def test_leaving_deletes_the_conversation_and_may_be_too_late(server):
    server.answers[f"DELETE {C}"] = deque([httpx.Response(204), None])
    async with door(server) as (native, _):
        await native.conversation(CALL).leave()
        await native.conversation(CALL).leave()

    assert server.asked("DELETE")[:2] == [C, C]


@pytest.mark.parametrize(
    ("status", "error"),
    [(404, TooLate), (409, TooLate), (410, TooLate), (408, AnswerLost), (400, Refused), (503, AnswerLost)],
)
async def test_a_refused_command_says_what_was_tried(server, status, error):
    server.answers[f"POST {BOB}/eject"] = httpx.Response(status, json={"code": "Some", "subcode": "Words"})
    async with door(server) as (native, _):
        here = native.conversation(CALL)
        await server.tell(*JOINED)
        bob = (await here.participants())[1]
        with pytest.raises(error, match=f"eject of bob: HTTP {status}"):
            await here.eject(bob)


# Invitations


INVITED = "/app/invitations/p1"


def invitation(state="Connected", rel="participantInvitation", links=None, **more):
    return resource(rel, INVITED, {"conversation": C, **(links or {})}, state=state, direction="Outgoing", **more)


def hub(kind, rel="participantInvitation", body=None, **more):
    return event(kind, rel, INVITED, body, sender="/app/communication", **more)


async def outcome(asked):
    """What comes of it: task groups would wrap an error."""
    try:
        return await asked
    except ProviderError as error:
        return error


async def add(server, told, *, location=True, early=False):
    """Add a participant to a server that tells this for the operation."""
    headers = {"Location": INVITED} if location else {}

    async def answer(request):
        operation = json.loads(request.content)["operationId"]
        if early:
            await server.tell(*told(operation))
        else:
            tasks.start_soon(server.tell, *told(operation))
        return httpx.Response(201, headers=headers)

    server.shows(conversation(["addParticipant"]))
    server.answers[f"POST {C}/addParticipant"] = answer
    async with anyio.create_task_group() as tasks, door(server) as (native, _):
        await server.tell(*JOINED)
        server.shows(person(CLAIRE, "claire"))
        return await outcome(native.conversation(CALL).add_participant("+1 425 555 0199"))


@pytest.mark.parametrize("early", [False, True], ids=["after the answer", "before the answer"])
@pytest.mark.parametrize(
    "told",
    [
        lambda operation: [hub("completed", body=invitation(operationId=operation, links=TAKEN), status="Success")],
        lambda _: [hub("completed", body=invitation(links=TAKEN), status="Success")],
        lambda operation: [hub("started", body=invitation("Connecting", operationId=operation)), hub("completed")],
        lambda operation: [hub("updated", body=invitation(operationId=operation, links=TAKEN))],
        lambda _: [hub("completed", status="Success")],
    ],
    ids=["by its id", "by its place", "bare", "by its state", "bare with its outcome"],
)
async def test_the_outcome_is_found_however_it_is_told(server, told, early):
    server.shows(invitation(links=TAKEN))
    arrived = [event("added", "participant", CLAIRE)]
    found = await add(server, lambda operation: [*arrived, *told(operation)], early=early)

    sent = server.body(f"{C}/addParticipant")
    assert sent["to"] == "tel:+14255550199"
    assert len(sent["operationId"]) <= 50
    assert found is None or found.name == "claire"


TAKEN = {"participant": CLAIRE}


async def test_who_has_joined_is_returned(server):
    def told(operation):
        body = invitation(operationId=operation, links=TAKEN)
        return [event("added", "participant", CLAIRE), hub("completed", body=body, status="Success")]

    assert (await add(server, told)).name == "claire"


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({"reason": "RemoteFailure/Busy"}, TerminationReason.BUSY),
        ({"reason": "RemoteFailure/Declined"}, TerminationReason.REJECTED),
        ({}, TerminationReason.UNKNOWN),
    ],
)
async def test_an_invitation_that_comes_to_nothing_says_why(server, more, reason):
    refused = await add(server, lambda _: [hub("completed", status="Failure", **more)])

    assert isinstance(refused, Refused)
    assert refused.termination.reason is reason
    assert "addParticipant of tel:+14255550199" in str(refused)


async def test_what_is_no_address_is_not_sent(server):
    async with door(server) as (native, _):
        with pytest.raises(Refused, match="no number and no SIP address"):
            await native.conversation(CALL).add_participant("sip : claire")


@pytest.mark.parametrize(("shown", "found"), [("Connected", True), ("Connecting", False)])
async def test_an_outcome_that_nobody_told_is_asked_for_once(server, shown, found):
    server.shows(conversation(["addParticipant"]))
    server.accepts(f"{C}/addParticipant", status=201, Location=INVITED)
    server.shows(invitation(shown))
    results = []

    async def run(here):
        try:
            results.append(await here.add_participant("sip:claire@example.org", timeout=30.0))
        except AnswerLost as error:
            results.append(error)

    async with door(server) as (native, host):
        await server.tell(*JOINED)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(run, native.conversation(CALL))
            await anyio.wait_all_tasks_blocked()
            await host.clock.advance(31.0)

    assert [result is None for result in results] == [found]
    assert server.asked().count(INVITED) == 1


# Conferences


ESCALATION = "/app/invitations/p1"


async def escalate(server, told, *, video=False, answer=None):
    rel = "escalateAudioVideo" if video else "escalateAudio"
    server.shows(resource("audioVideo", f"{C}/audioVideo", {rel: f"{C}/escalate?context=escalate"}, state="Connected"))

    async def accept(request):
        operation = request.url.params["operationId"]
        body = invitation("Connecting", "audioVideoInvitation")
        tasks.start_soon(server.tell, *told(operation))
        return answer or httpx.Response(201, json=body)

    server.answers[f"POST {C}/escalate"] = accept
    async with anyio.create_task_group() as tasks, door(server) as (native, _):
        await server.tell(*JOINED)
        return await outcome(native.conversation(CALL).escalate(SDP, video=video))


@pytest.mark.parametrize("video", [False, True])
async def test_a_call_becomes_a_conference_with_the_media_of_the_application(server, video):
    told = [hub("completed", "audioVideoInvitation", status="Success")]
    assert await escalate(server, lambda _: told, video=video) is None
    sent = next(request for request in server.requests if request.url.path == f"{C}/escalate")

    assert sent.url.params["context"] == "escalate"
    assert sent.url.params["sessionContext"]
    assert (sent.headers["content-type"], sent.content.decode()) == ("application/sdp", SDP)


async def test_an_escalation_that_fails_says_so(server):
    failed = hub("completed", "audioVideoInvitation", status="Failure", reason="LocalFailure/EscalationFailed")
    refused = await escalate(server, lambda _: [failed])

    assert isinstance(refused, Refused)
    assert "EscalationFailed" in str(refused)


async def test_an_escalation_that_is_refused_is_nothing_to_wait_for(server):
    refused = httpx.Response(
        400,
        json={
            "code": "BadRequest",
            "subcode": "ParameterValidationFailure",
            "parameters": [{"name": "sdp", "reason": "Invalid"}],
        },
    )

    assert "sdp: Invalid" in str(await escalate(server, lambda _: [], answer=refused))


async def test_the_meeting_behind_a_conference_can_be_read(server):
    uri = "sip:ada@example.org;gruu;opaque=app:conf:focus:id:1"
    async with door(server) as (native, _):
        here = native.conversation(CALL)
        with pytest.raises(TooLate, match="no conference"):
            await here.online_meeting()
        server.shows(conversation(["onlineMeeting"]))
        server.shows(
            resource(
                "onlineMeeting", f"{C}/onlineMeeting", onlineMeetingUri=uri, leaders=["sip:ada"], accessLevel="Everyone"
            )
        )
        meeting = await here.online_meeting()

    assert (meeting.uri, meeting.leaders, meeting.access_level) == (uri, {"sip:ada"}, "Everyone")
    assert meeting.native["onlineMeetingUri"] == uri


# Meetings


URI = "sip:bob@example.org;gruu;opaque=app:conf:focus:id:GH4T8KJ2"


async def enter(server, rel, act, *, state="Connected", **answered):
    async def accept(request):
        operation = json.loads(request.content)["operationId"]
        body = invitation(state, "onlineMeetingInvitation", operationId=operation)
        tasks.start_soon(server.tell, hub("completed", "onlineMeetingInvitation", body, **answered))
        return httpx.Response(201, headers={"Location": INVITED})

    server.answers[f"POST /app/{rel}"] = accept
    async with anyio.create_task_group() as tasks, door(server) as (native, _):
        return await outcome(act(native))


async def test_a_meeting_is_joined_by_its_address(server):
    here = await enter(
        server,
        "joinOnlineMeeting",
        lambda native: native.join_meeting(URI, subject="demo", importance=Importance.URGENT, display_name="Guest"),
        status="Success",
    )
    sent = server.body("/app/joinOnlineMeeting")

    assert here.native == {"conversation": C}
    assert sent.pop("operationId")
    assert sent == {"onlineMeetingUri": URI, "subject": "demo", "importance": "Urgent", "anonymousDisplayName": "Guest"}


async def test_a_meeting_is_started(server):
    here = await enter(
        server, "startOnlineMeeting", lambda native: native.start_meeting(subject="demo"), status="Success"
    )

    assert here.native == {"conversation": C}
    assert server.body("/app/startOnlineMeeting")["subject"] == "demo"


async def test_who_is_turned_away_at_the_lobby_is_told_so(server):
    denied = {"status": "Failure", "reason": "RemoteFailure/Denied", "state": "Failed"}
    refused = await enter(server, "joinOnlineMeeting", lambda native: native.join_meeting(URI), **denied)

    assert isinstance(refused, Refused)
    assert refused.termination.reason is TerminationReason.REJECTED


@pytest.mark.parametrize(
    ("inputs", "words"), [({"uri": "https://meet"}, "no conference URI"), ({"subject": "x" * 251}, "250")]
)
async def test_what_a_meeting_does_not_take_is_not_sent(server, inputs, words):
    async with door(server) as (native, _):
        with pytest.raises(Refused, match=words):
            await native.join_meeting(**inputs)

    assert server.asked("POST") == ["/apps"]


async def test_a_user_who_may_not_start_meetings_is_told_so(server):
    application = json.loads(server.answers["POST /apps"].content)
    del application["_embedded"]["communication"]["_links"]["startOnlineMeeting"]
    for key, status in (("POST /apps", 201), ("GET /app", 200)):
        server.answers[key] = httpx.Response(status, json=application)
    async with door(server) as (native, _):
        with pytest.raises(Refused, match="does not offer startOnlineMeeting"):
            await native.start_meeting()
