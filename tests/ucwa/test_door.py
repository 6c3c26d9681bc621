"""What holds for everything behind the typed door: patience, lost applications, lost answers, calls that move."""

from __future__ import annotations

import json
from collections import deque

import anyio
import httpx
import pytest

from telco_bridge.provider import AnswerLost, ProviderError, RateLimited, Refused, TooLate
from telco_bridge_ucwa.native import ConversationState, StillWaiting

from .test_native import (
    BOB,
    CALL,
    CLAIRE,
    INVITED,
    JOINED,
    TAKEN,
    URI,
    C,
    Server,
    conversation,
    door,
    event,
    hub,
    invitation,
    names,
    outcome,
    person,
    resource,
)

HUB = "/app/communication"
LATER = "/app/c2"


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


class Waiting:
    """Something that is awaited beside the test."""

    def __init__(self, tasks, asked):
        self.result = None
        """What came of it, or the `ProviderError` that it raised."""
        tasks.start_soon(self._run, asked)

    async def _run(self, asked):
        self.result = await outcome(asked)


def busy(after=None):
    headers = {} if after is None else {"Retry-After": str(after)}
    return httpx.Response(429, headers=headers, json={"code": "TooManyRequests"})


# Too many requests


async def test_what_was_not_executed_is_asked_for_again(server):
    server.answers[f"POST {BOB}/eject"] = deque([busy(3), busy(), httpx.Response(204)])
    async with door(server) as (native, host), anyio.create_task_group() as tasks:
        await server.tell(*JOINED)
        here = native.conversation(CALL)
        bob = (await here.participants())[1]
        asked = Waiting(tasks, here.eject(bob))
        for sent, pause in ((1, 2.9), (1, 0.2), (2, 2.1)):
            await anyio.wait_all_tasks_blocked()
            assert server.asked("POST").count(f"{BOB}/eject") == sent
            await host.clock.advance(pause)

        assert (asked.result, server.asked("POST").count(f"{BOB}/eject")) == (None, 3)


@pytest.mark.parametrize(("answers", "sent"), [([busy(0.0)] * 3, 3), ([busy(60)], 1)])
async def test_a_server_that_stays_busy_is_not_asked_for_ever(server, answers, sent):
    server.answers[f"POST {BOB}/eject"] = deque(answers)
    async with door(server) as (native, _):
        await server.tell(*JOINED)
        here = native.conversation(CALL)
        bob = (await here.participants())[1]
        with pytest.raises(RateLimited):
            await here.eject(bob)

    assert server.asked("POST").count(f"{BOB}/eject") == sent


async def test_reads_are_patient_too(server):
    server.answers[f"GET {C}"] = deque([busy(0), httpx.Response(200, json=conversation())])
    async with door(server) as (native, _):
        assert (await native.conversation(CALL).refresh()).state is ConversationState.CONFERENCED


# The application is lost


async def lose(server):
    application = json.loads(server.answers["POST /apps"].content)
    server.answers["POST /apps"] = httpx.Response(201, json=application)
    server.lost = True
    await server.tell()
    await server.tell()


async def test_a_conversation_of_a_lost_application_is_over_and_nothing_is_sent_for_it(server):
    async with door(server) as (native, _):
        await server.tell(*JOINED)
        here = native.conversation(CALL)
        sound = here.audio_video
        bob = (await here.participants())[1]
        await lose(server)
        before = len(server.requests)
        for asked in (here.eject(bob), here.leave(), here.refresh(), here.until(lambda _: True), sound.stop_audio()):
            with pytest.raises(TooLate, match="lost the application"):
                await asked
        with pytest.raises(TooLate, match="lost the application"):
            _ = here.view

        assert len(server.requests) == before
        assert (await native.conversation(CALL).refresh()).state is ConversationState.CONFERENCED


async def test_who_waits_for_an_outcome_is_told_when_the_application_is_lost(server):
    server.shows(conversation(["addParticipant"]))
    server.accepts(f"{C}/addParticipant", status=201, Location=INVITED)
    async with door(server) as (native, _), anyio.create_task_group() as tasks:
        await server.tell(*JOINED)
        here = native.conversation(CALL)
        added, seen = (
            Waiting(tasks, here.add_participant("sip:claire@example.org")),
            Waiting(tasks, here.until(lambda _: False)),
        )
        await anyio.wait_all_tasks_blocked()
        await lose(server)

        assert isinstance(added.result, TooLate)
        assert isinstance(seen.result, TooLate)
        assert server.asked().count(INVITED) == 0


# Answers that are lost


async def never(_):
    raise httpx.ReadError("reset")


async def test_events_tell_what_became_of_a_request_whose_answer_was_lost(server):
    async def lost(request):
        operation = json.loads(request.content)["operationId"]
        body = invitation("Connected", "onlineMeetingInvitation", operationId=operation)
        tasks.start_soon(server.tell, hub("completed", "onlineMeetingInvitation", body, status="Success"))
        raise httpx.ReadError("reset")

    server.answers["POST /app/joinOnlineMeeting"] = lost
    async with door(server) as (native, _), anyio.create_task_group() as tasks:
        assert (await native.join_meeting(URI)).native == {"conversation": C}


async def test_a_request_of_which_nothing_is_heard_is_in_doubt_before_long(server):
    server.answers["POST /app/joinOnlineMeeting"] = never
    async with door(server) as (native, host), anyio.create_task_group() as tasks:
        joined = Waiting(tasks, native.join_meeting(URI, timeout=3600.0))
        await anyio.wait_all_tasks_blocked()
        await host.clock.advance(21.0)

        assert isinstance(joined.result, AnswerLost)
        assert not isinstance(joined.result, StillWaiting)
        assert isinstance(joined.result.__cause__, AnswerLost)


@pytest.mark.parametrize(("status", "subcode"), [(404, "DestinationNotFound"), (409, "AlreadyExists")])
async def test_a_meeting_that_cannot_be_joined_is_refused_and_not_too_late(server, status, subcode):
    server.answers["POST /app/joinOnlineMeeting"] = httpx.Response(status, json={"code": "No", "subcode": subcode})
    async with door(server) as (native, _):
        with pytest.raises(Refused, match=subcode):
            await native.join_meeting(URI)


async def test_an_answer_that_cannot_be_read_is_waited_for_like_any(server):
    session = resource("session", f"{C}/session", {"renegotiations": f"{C}/session/renegotiations"})
    server.shows(resource("audioVideo", f"{C}/audioVideo", {"audioVideoSession": f"{C}/session"}, state="Connected"))
    server.shows(session)
    page = httpx.Response(201, text="<html>", headers={"Content-Type": "text/html"})
    server.answers[f"POST {C}/session/renegotiations"] = page
    async with door(server) as (native, host), anyio.create_task_group() as tasks:
        await server.tell(*JOINED)
        asked = Waiting(tasks, native.conversation(CALL).audio_video.renegotiate("v=0\r\n"))
        await anyio.wait_all_tasks_blocked()
        await host.clock.advance(46.0)

        assert isinstance(asked.result, AnswerLost)


@pytest.mark.parametrize("heard", [True, False])
async def test_an_offer_whose_answer_was_lost_is_told_by_its_event_or_in_doubt(server, heard):
    async def lost(request):
        asked = request.url.params["operationId"]
        said = {"operationId": asked, "direction": "Outgoing", "mediaAnswer": "data:application/sdp,v=0"}
        body = resource("audioVideoRenegotiation", "/app/r1", {"conversation": C}, **said)
        if heard:
            tasks.start_soon(server.tell, event("completed", "audioVideoRenegotiation", "/app/r1", body, sender=HUB))
        raise httpx.ReadError("reset")

    server.shows(resource("audioVideo", f"{C}/audioVideo", {"audioVideoSession": f"{C}/session"}, state="Connected"))
    server.shows(resource("session", f"{C}/session", {"renegotiations": f"{C}/session/renegotiations"}))
    server.answers[f"POST {C}/session/renegotiations"] = lost
    async with door(server) as (native, host), anyio.create_task_group() as tasks:
        await server.tell(*JOINED)
        asked = Waiting(tasks, native.conversation(CALL).audio_video.renegotiate("v=0\r\n"))
        await anyio.wait_all_tasks_blocked()
        await host.clock.advance(21.0)

        assert asked.result == "v=0" if heard else isinstance(asked.result, AnswerLost)


async def test_the_quality_of_the_media_is_told_to_the_server(server):
    server.shows(resource("audioVideo", f"{C}/audioVideo", {"audioVideoSession": f"{C}/session"}, state="Connected"))
    server.shows(resource("session", f"{C}/session", {"publishCallQualityFeedback": f"{C}/quality"}))
    server.accepts(f"{C}/quality")
    async with door(server) as (native, _):
        await server.tell(*JOINED)
        sound = native.conversation(CALL).audio_video
        with pytest.raises(Refused, match="not empty"):
            await sound.publish_quality(experience="")
        await sound.publish_quality(experience="<VQReportEvent/>")

    assert server.body(f"{C}/quality") == {"mediaQualityOfExperience": "<VQReportEvent/>"}


# The roster


async def test_who_comes_and_goes_while_the_views_are_read_is_not_missed(server):
    async def answer(_):
        await server.tell(event("added", "participant", CLAIRE), event("deleted", "participant", BOB))
        return httpx.Response(200, json=view)

    view = resource("attendees", f"{C}/attendees", {"participant": [BOB]})
    server.shows(person(CLAIRE, "claire"))
    server.shows(conversation(["attendees"]))
    server.answers[f"GET {C}/attendees"] = answer
    async with door(server) as (native, _):
        assert names(await native.conversation(CALL).participants()) == ["ada", "claire"]


async def test_who_waits_learns_that_a_meeting_was_closed_while_events_were_missed(server):
    async with door(server) as (native, _), anyio.create_task_group() as tasks:
        await server.tell(*JOINED)
        seen = Waiting(tasks, native.conversation(CALL).until(lambda _: False))
        await anyio.wait_all_tasks_blocked()
        del server.answers[f"GET {C}"]
        server.send.send_nowait({"_links": {"resume": {"href": "/app/events?ack=9"}}})
        await anyio.wait_all_tasks_blocked()

        assert isinstance(seen.result, TooLate)


async def test_the_roster_follows_a_call_into_another_conversation(server):
    derived = {"conversation": C, "derivedConversation": LATER, "derivedPhoneAudio": f"{LATER}/phoneAudio"}
    dialled = resource("phoneAudioInvitation", INVITED, {"conversation": C}, direction="Outgoing", state="Alerting")
    taken = resource("phoneAudioInvitation", INVITED, derived, direction="Outgoing", state="Connected")
    there = person(f"{LATER}/eve", "eve")
    there["_links"]["conversation"] = {"href": LATER}
    server.shows(there)
    async with door(server) as (native, _), anyio.create_task_group() as tasks:
        here = native.conversation(CALL)
        await server.tell(*JOINED, event("started", "phoneAudioInvitation", INVITED, dialled, sender=HUB))
        seen = Waiting(tasks, here.until(lambda present: names(present) == ["eve"]))
        await anyio.wait_all_tasks_blocked()
        reason = {"reason": "Informational/DerivedConversation"}
        await server.tell(
            event("completed", "phoneAudioInvitation", INVITED, taken, sender=HUB, status="Success", **reason),
            event("deleted", "conversation", C, sender=HUB),
            event("added", "participant", f"{LATER}/eve", sender=LATER),
        )

        assert seen.result is True


async def test_a_conversation_that_is_over_stays_so_whatever_comes_late(server):
    async with door(server) as (native, _):
        await server.tell(*JOINED)
        await server.tell(event("deleted", "conversation", C, sender=HUB), event("updated", "participant", BOB))
        with pytest.raises(TooLate, match="over"):
            await native.conversation(CALL).participants()


# The lobby


async def waits(server, tasks, native, host):
    """Join a meeting, and be kept waiting for longer than one waits."""
    server.accepts("/app/joinOnlineMeeting", status=201, Location=INVITED)
    server.shows(invitation("Connecting", "onlineMeetingInvitation", links={"cancel": f"{INVITED}/cancel"}))
    joined = Waiting(tasks, native.join_meeting(URI, timeout=30.0))
    await anyio.wait_all_tasks_blocked()
    await host.clock.advance(31.0)
    assert isinstance(joined.result, StillWaiting)
    return joined.result.admission


@pytest.mark.parametrize("early", [True, False], ids=["while nobody waits", "while somebody waits"])
async def test_who_waited_too_long_in_the_lobby_can_wait_on(server, early):
    async with door(server) as (native, host), anyio.create_task_group() as tasks:
        admission = await waits(server, tasks, native, host)
        admitted = invitation("Connected", "onlineMeetingInvitation")
        if early:
            server.shows(admitted)
        entered = Waiting(tasks, admission.wait())
        await anyio.wait_all_tasks_blocked()
        await server.tell(hub("completed", "onlineMeetingInvitation", admitted, status="Success"))

        assert entered.result.native == {"conversation": C}


async def test_whoever_waits_in_the_lobby_may_wait_in_vain_again_and_withdraw(server):
    server.accepts(f"{INVITED}/cancel")
    async with door(server) as (native, host), anyio.create_task_group() as tasks:
        admission = await waits(server, tasks, native, host)
        again = Waiting(tasks, admission.wait(timeout=5.0))
        await anyio.wait_all_tasks_blocked()
        await host.clock.advance(6.0)
        assert isinstance(again.result, StillWaiting)
        await again.result.admission.withdraw()
        assert server.asked("POST")[-1] == f"{INVITED}/cancel"
        del server.answers[f"GET {INVITED}"]
        with pytest.raises(TooLate, match="Join again"):
            await admission.wait()


# Invitations into meetings


MEETING = {"rel": "onlineMeetingInvitation", "onlineMeetingUri": URI, "subject": "demo", "importance": "Urgent"}


def invited(state="Connecting", links=("accept", "decline"), **more):
    sender = resource("participant", f"{C}/bob", uri="sip:bob@example.org", name="Bob")
    named = {"conversation": C} | {link: f"{INVITED}/{link}" for link in links}
    said = {**MEETING, "direction": "Incoming", "state": state, "availableModalities": ["Audio"], **more}
    rel = said.pop("rel")
    return resource(rel, INVITED, named, {"from": sender}, **said)


async def coming(native):
    """The next invitation."""
    invitations = native.meeting_invitations()
    try:
        return await anext(invitations)
    finally:
        await invitations.aclose()


@pytest.mark.parametrize("bare", [False, True], ids=["with its body", "bare"])
async def test_an_invitation_into_a_meeting_is_told_and_accepted(server, bare):
    server.shows(invited())
    server.accepts(f"{INVITED}/accept")
    async with door(server) as (native, _), anyio.create_task_group() as tasks:
        first = Waiting(tasks, coming(native))
        await anyio.wait_all_tasks_blocked()
        assert first.result is None
        await server.tell(hub("started", "onlineMeetingInvitation", None if bare else invited()))
        one = first.result
        assert (one.uri, one.subject, one.importance, one.inviter, one.inviter_name, one.available_modalities) == (
            URI,
            "demo",
            "Urgent",
            "sip:bob@example.org",
            "Bob",
            {"Audio"},
        )
        assert (one.thread_id, one.native["onlineMeetingUri"]) == (None, URI)
        accepted = Waiting(tasks, one.accept())
        await anyio.wait_all_tasks_blocked()
        assert accepted.result is None
        await server.tell(hub("completed", "onlineMeetingInvitation", invited("Connected", ()), status="Success"))

        assert accepted.result.native == {"conversation": C}


async def test_an_invitation_is_declined_in_ucwas_words(server):
    server.accepts(f"{INVITED}/decline")
    async with door(server) as (native, _):
        await server.tell(hub("started", "onlineMeetingInvitation", invited()))
        one = await coming(native)
        with pytest.raises(Refused, match="CallDeclineReason"):
            await one.decline("Bored")
        await one.decline("Global")
        assert server.body(f"{INVITED}/decline") == {"reason": "Global"}


async def test_an_invitation_that_is_over_is_too_late_and_not_told_again(server):
    server.answers[f"POST {INVITED}/accept"] = httpx.Response(409, json={"code": "Conflict"})
    async with door(server) as (native, _), anyio.create_task_group() as tasks:
        await server.tell(hub("started", "onlineMeetingInvitation", invited()))
        one = await coming(native)
        with pytest.raises(TooLate, match="accept of the invitation of Bob: HTTP 409"):
            await one.accept()
        await server.tell(hub("completed", "onlineMeetingInvitation", status="Failure"))
        again = Waiting(tasks, coming(native))
        await anyio.wait_all_tasks_blocked()
        assert again.result is None
        tasks.cancel_scope.cancel()


@pytest.mark.parametrize(
    "shown", [None, invited("Failed", ()), invited(direction="Outgoing")], ids=["gone", "over", "the user's own"]
)
async def test_what_turns_out_to_be_no_open_invitation_is_not_told(server, shown):
    if shown is not None:
        server.shows(shown)
    async with door(server) as (native, _), anyio.create_task_group() as tasks:
        await server.tell(hub("started", "onlineMeetingInvitation"))
        told = Waiting(tasks, coming(native))
        await anyio.wait_all_tasks_blocked()
        assert (told.result, server.asked().count(INVITED)) == (None, 1)
        tasks.cancel_scope.cancel()


async def test_an_invitation_that_cannot_be_read_now_can_be_read_later(server):
    server.answers[f"GET {INVITED}"] = deque([httpx.Response(503), httpx.Response(200, json=invited())])
    async with door(server) as (native, _):
        await server.tell(hub("started", "onlineMeetingInvitation"))
        with pytest.raises(ProviderError):
            await coming(native)
        assert (await coming(native)).uri == URI


async def test_an_invitation_from_before_a_gap_is_asked_for_again(server):
    async with door(server) as (native, _), anyio.create_task_group() as tasks:
        await server.tell(hub("started", "onlineMeetingInvitation", invited()))
        await server.tell(resync=True)
        await server.tell()
        told = Waiting(tasks, coming(native))
        await anyio.wait_all_tasks_blocked()
        assert (told.result, server.asked().count(INVITED)) == (None, 1)
        tasks.cancel_scope.cancel()


async def test_a_lost_application_takes_its_invitations_along(server):
    async with door(server) as (native, _), anyio.create_task_group() as tasks:
        await server.tell(hub("started", "onlineMeetingInvitation", invited()))
        one = await coming(native)
        await lose(server)
        with pytest.raises(TooLate, match="lost the application"):
            await one.accept()
        told = Waiting(tasks, coming(native))
        await anyio.wait_all_tasks_blocked()
        assert told.result is None
        tasks.cancel_scope.cancel()


async def test_nothing_is_kept_for_whoever_waits_no_longer(server):
    server.shows(conversation(["addParticipant"]))
    server.accepts(f"{C}/addParticipant", status=201, Location=INVITED)
    async with door(server) as (native, _):
        await server.tell(*JOINED)
        async with anyio.create_task_group() as tasks:
            Waiting(tasks, native.conversation(CALL).add_participant("sip:claire@example.org"))
            await anyio.wait_all_tasks_blocked()
            assert len(native._door.outcomes._waiting) == 1
            tasks.cancel_scope.cancel()
        late = invitation("Connected", "participantInvitation", links=TAKEN)
        await server.tell(hub("completed", body=late, status="Success"))
        outcomes = native._door.outcomes
        assert (outcomes._waiting, outcomes._unclaimed) == ({}, {})
