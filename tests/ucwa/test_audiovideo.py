"""The typed door to audio, video and phone audio: every link, sessions, renegotiations, proposals and early media."""

from __future__ import annotations

import base64
import json
from collections import deque
from urllib.parse import parse_qs

import anyio
import httpx
import pytest

from telco_bridge.provider import AnswerLost, ProviderError, Refused, TooLate
from telco_bridge_ucwa.native import (
    MediaAnswer,
    ModalityState,
    RemoteProposal,
    RenegotiationDecline,
    SessionState,
    VideoSources,
)

from .test_native import CALL, SDP, C, Server, door, event, resource

AV, PHONE, SESSION = f"{C}/audioVideo", f"{C}/phoneAudio", f"{C}/session"
INVITATION, OFFERED = "/app/i1", "/app/r1"
HUB = "/app/communication"
ANSWER = "v=0\r\nm=audio 9 RTP/SAVP 0\r\n"
LINKS = (
    "addAudio",
    "addAudioVideo",
    "addVideo",
    "audioVideoPolicies",
    "replaceWithPhoneAudio",
    "reportMediaDiagnostics",
    "stopAudio",
    "stopAudioVideo",
    "stopVideo",
    "videoFreeze",
)


@pytest.fixture
def anyio_backend():
    return "trio"


def data(sdp=ANSWER):
    return {"href": "data:application/sdp;base64," + base64.b64encode(sdp.encode()).decode()}


def audio_video(links=LINKS, **more):
    named = {name: f"{AV}/{name}" for name in links} | {"conversation": C, "audioVideoSession": SESSION}
    return resource("audioVideo", AV, named, **{"state": "Connected", **more})


def phone(links=("addPhoneAudio",), state="Disconnected"):
    return resource("phoneAudio", PHONE, {"conversation": C} | {name: f"{PHONE}/{name}" for name in links}, state=state)


def session(links=("renegotiations",), state="Established", **more):
    return resource("session", SESSION, {name: f"{SESSION}/{name}" for name in links}, state=state, **more)


def invitation(links=(), offer=None, **more):
    named = {"conversation": C, "audioVideo": AV} | {name: f"{INVITATION}/{name}" for name in links}
    body = resource(
        "audioVideoInvitation", INVITATION, named, **{"direction": "Incoming", "state": "Connecting", **more}
    )
    if offer is not None:
        body["_links"]["mediaOffer"] = offer
    return body


def talks(server, av=None, extra=()):
    conversation = resource(
        "conversation", C, {"audioVideo": AV, "phoneAudio": PHONE}, state="Connected", activeModalities=["Audio"]
    )
    for body in (conversation, av or audio_video(), phone(), session(), *extra):
        server.shows(body)
    return [
        event("added", "conversation", C, conversation, sender=HUB),
        event("updated", "audioVideo", AV, av or audio_video()),
        event("updated", "phoneAudio", PHONE, phone()),
    ]


@pytest.fixture
def server():
    made = Server()
    yield made
    made.send.close()
    made.receive.close()


def sent(server, path):
    """What was posted there: the query, and the body."""
    request = next(r for r in server.requests if r.url.path == path and r.method == "POST")
    query = {name: values[0] for name, values in parse_qs(request.url.query.decode()).items()}
    kind = request.headers.get("content-type", "")
    body = request.content.decode() if kind == "application/sdp" else json.loads(request.content or b"null")
    return query, body


def rings(asked, kind, rel="audioVideoInvitation", *, links=(), **more):
    """What the server tells of the invitation that carries out what was asked."""
    named = {"conversation": C} | {name: f"/app/i9/{name}" for name in links}
    body = resource(rel, "/app/i9", named, direction="Outgoing", operationId=asked["operationId"], **more)
    status = {"Connected": "Success", "Failed": "Failure"}.get(more.get("state"))
    reason = "RemoteFailure/NotAcceptable" if status == "Failure" else None
    return event(kind, rel, "/app/i9", body, status=status, reason=reason, sender=HUB)


async def test_the_modality_is_read_as_it_is_told(server):
    async with door(server) as (native, _):
        await server.tell(*talks(server, audio_video(supportsReplaces="Enabled", videoSourcesAllowed="PresentersOnly")))
        media = native.conversation(CALL).audio_video

        view = media.view
        assert (view.state, view.supports_replaces, view.video_sources) == (
            ModalityState.CONNECTED,
            True,
            VideoSources.PRESENTERS_ONLY,
        )
        assert view.offered == {*LINKS, "audioVideoSession"}
        server.shows(audio_video((), state="Transferring", supportsReplaces="None", videoSourcesAllowed="Odd"))
        view = await media.refresh()
        assert (view.state, view.supports_replaces) == (ModalityState.TRANSFERRING, False)
        assert (view.video_sources, view.native_video_sources) == (VideoSources.UNKNOWN, "Odd")
        assert media.view == view


async def test_what_nobody_has_told_of_is_read_and_what_is_over_is_too_late(server):
    async with door(server) as (native, _):
        media = native.conversation(CALL).audio_video
        with pytest.raises(TooLate, match="nothing was heard"):
            _ = media.view
        with pytest.raises(TooLate, match="is over"):
            await media.refresh()
        talks(server)

        assert (await media.refresh()).state is ModalityState.CONNECTED


@pytest.mark.parametrize(
    ("method", "rel", "slots"),
    [
        ("add_audio", "addAudio", {"join_audio_muted": True}),
        ("add_video", "addVideo", {"join_video_muted": True}),
        ("add_audio_video", "addAudioVideo", {"join_audio_muted": True, "join_video_muted": False}),
    ],
)
async def test_media_is_added_once_the_other_party_has_taken_it(server, method, rel, slots):
    async with door(server) as (native, _), anyio.create_task_group() as tasks:
        await server.tell(*talks(server))
        server.accepts(f"{AV}/{rel}", status=201, location="/app/i9")
        done = anyio.Event()

        async def add():
            media = native.conversation(CALL).audio_video
            await getattr(media, method)(SDP, to="sip:bob@example.org", session_context="sc-1", **slots)
            done.set()

        tasks.start_soon(add)
        await anyio.wait_all_tasks_blocked()
        _, asked = sent(server, f"{AV}/{rel}")
        assert (asked["to"], asked["sessionContext"]) == ("sip:bob@example.org", "sc-1")
        assert asked["_links"]["mediaOffer"]["href"].startswith("data:application/sdp;base64,")
        assert asked | {"joinAudioMuted": True} == asked or asked["joinVideoMuted"] is True
        await server.tell(rings(asked, "started", state="Connecting"))
        assert not done.is_set()

        await server.tell(rings(asked, "completed", state="Connected"))
        await done.wait()


async def test_media_that_the_other_party_does_not_take_is_refused(server):
    async with door(server) as (native, _), anyio.create_task_group() as tasks:
        await server.tell(*talks(server))
        server.accepts(f"{AV}/addVideo", status=201, location="/app/i9")
        media = native.conversation(CALL).audio_video
        caught = []

        async def add():
            with pytest.raises(Refused) as refused:
                await media.add_video(SDP, to="sip:bob@example.org")
            caught.append(refused.value)

        tasks.start_soon(add)
        await anyio.wait_all_tasks_blocked()
        await server.tell(rings(sent(server, f"{AV}/addVideo")[1], "completed", state="Failed"))
        await anyio.wait_all_tasks_blocked()

        assert caught[0].code == "RemoteFailure/NotAcceptable"


async def test_inputs_are_checked_before_anything_is_sent(server):
    async with door(server) as (native, _):
        await server.tell(*talks(server))
        media = native.conversation(CALL).audio_video

        with pytest.raises(Refused, match="sessionContext has 51 characters"):
            await media.add_audio(SDP, to="sip:bob@example.org", session_context="x" * 51)
        with pytest.raises(Refused, match="give it as `to`"):
            await media.add_audio(SDP)
        with pytest.raises(Refused, match="no number"):
            await media.replace_with_phone_audio(to="sip:bob@example.org", phone_number="abc")
        with pytest.raises(Refused, match="no CallTerminationReason"):
            await media.stop_audio("Bored")
        with pytest.raises(Refused, match="no ErrorCode"):
            await media.report_media_diagnostics("Broken")
        assert server.asked("POST") == ["/apps"]


async def test_the_phone_takes_the_audio_of_the_call_over(server):
    async with door(server) as (native, _), anyio.create_task_group() as tasks:
        await server.tell(*talks(server))
        server.accepts(f"{AV}/replaceWithPhoneAudio", status=201)
        media = native.conversation(CALL).audio_video

        async def replace():
            await media.replace_with_phone_audio(to="+14255550199", phone_number="+1 425 555 0101")
            tasks.cancel_scope.cancel()

        tasks.start_soon(replace)
        await anyio.wait_all_tasks_blocked()
        _, asked = sent(server, f"{AV}/replaceWithPhoneAudio")
        assert (asked["to"], asked["phoneNumber"]) == ("tel:+14255550199", "+14255550101")
        await server.tell(rings(asked, "completed", "phoneAudioInvitation", state="Connected"))


@pytest.mark.parametrize("rel", ["stopAudio", "stopVideo", "stopAudioVideo"])
async def test_media_is_stopped_with_the_reason_where_the_server_wants_it(server, rel):
    method = {"stopAudio": "stop_audio", "stopVideo": "stop_video"}.get(rel, "stop_audio_video")
    async with door(server) as (native, _):
        await server.tell(*talks(server))
        server.accepts(f"{AV}/{rel}")
        stop = getattr(native.conversation(CALL).audio_video, method)

        await stop("MediaTimeout")
        assert sent(server, f"{AV}/{rel}") == ({"reason": "MediaTimeout"}, None)
        server.requests.clear()
        await stop("MediaTimeout", in_body=True)
        assert sent(server, f"{AV}/{rel}") == ({}, {"reason": "MediaTimeout"})
        server.requests.clear()
        await stop()
        assert sent(server, f"{AV}/{rel}") == ({}, None)


async def test_what_is_not_offered_is_too_late_and_nothing_is_sent(server):
    async with door(server) as (native, _):
        await server.tell(*talks(server, audio_video(())))
        media = native.conversation(CALL).audio_video

        for ask in (media.stop_audio, media.freeze_video, media.policies):
            with pytest.raises(TooLate):
                await ask()
        with pytest.raises(TooLate, match="proposes nothing"):
            await media.answer(SDP)
        with pytest.raises(TooLate, match="no call rings"):
            await media.send_provisional_answer(SDP)
        assert server.asked("POST") == ["/apps"]


async def test_diagnostics_policies_and_the_freeze_follow_their_links(server):
    async with door(server) as (native, _):
        policies = resource("audioVideoPolicies", f"{AV}/audioVideoPolicies", multiView="Enabled")
        await server.tell(*talks(server, extra=(policies,)))
        server.accepts(f"{AV}/reportMediaDiagnostics", f"{AV}/videoFreeze")
        media = native.conversation(CALL).audio_video

        await media.report_media_diagnostics("LocalFailure", "MediaFailure")
        assert sent(server, f"{AV}/reportMediaDiagnostics")[1] == {
            "errorCode": "LocalFailure",
            "errorSubcode": "MediaFailure",
        }
        await media.freeze_video()
        told = await media.policies()
        assert (told.multi_view, told.join_scheduled_online_meeting) == ("Enabled", None)


async def test_why_a_transfer_came_to_nothing_is_told(server):
    async with door(server) as (native, _):
        await server.tell(*talks(server, audio_video((), state="Transferring")))
        media = native.conversation(CALL).audio_video
        assert (media.view.state, media.reason) == (ModalityState.TRANSFERRING, None)

        back = event("updated", "audioVideo", AV, audio_video(), reason="RemoteFailure/TransferTargetDeclined")
        await server.tell(back)

        assert media.view.state is ModalityState.CONNECTED
        assert media.reason.code == "RemoteFailure/TransferTargetDeclined"


# Sessions and renegotiations


async def test_the_session_tells_its_state_and_its_far_end(server):
    async with door(server) as (native, _):
        await server.tell(*talks(server))
        server.shows(session(state="Suspended", remoteEndpoint="sip:bob;epid=1", sessionContext="sc-1"))

        told = await native.conversation(CALL).audio_video.session()

        assert (told.state, told.remote_endpoint, told.session_context) == (
            SessionState.SUSPENDED,
            "sip:bob;epid=1",
            "sc-1",
        )
        assert told.offered == {"renegotiations"}


def renegotiation(operation_id=None, *, answer=None, offer=None, links=()):
    named = {"conversation": C} | {name: f"{OFFERED}/{name}" for name in links}
    direction = "Outgoing" if operation_id else "Incoming"
    body = resource("audioVideoRenegotiation", OFFERED, named, direction=direction)
    body |= {"operationId": operation_id} if operation_id else {}
    for name, value in (("mediaAnswer", answer), ("mediaOffer", offer)):
        if value is not None:
            body["_links"][name] = data(value)
    return body


def tells(kind, body=None, **more):
    return event(kind, "audioVideoRenegotiation", OFFERED, body, sender=HUB, **more)


async def renegotiated(server, tasks, media, *, method="renegotiate", path="renegotiations", timeout=45.0):
    outcome = []

    async def offer():
        try:
            outcome.append(await getattr(media, method)(SDP, timeout=timeout))
        except ProviderError as error:
            outcome.append(error)

    tasks.start_soon(offer)
    await anyio.wait_all_tasks_blocked()
    query, body = sent(server, f"{SESSION}/{path}")
    assert body == SDP
    return query["operationId"], outcome


@pytest.mark.parametrize("told", ["at once", "in the end", "by its address", "bare"])
async def test_an_offer_for_the_session_returns_what_the_other_party_answers(server, told):
    async with door(server) as (native, _), anyio.create_task_group() as tasks:
        await server.tell(*talks(server))
        server.accepts(f"{SESSION}/renegotiations", status=201, location=OFFERED)
        operation_id, outcome = await renegotiated(server, tasks, native.conversation(CALL).audio_video)
        whole = renegotiation(operation_id, answer=ANSWER)
        server.shows(whole)
        nameless = {name: value for name, value in whole.items() if name != "operationId"}
        await server.tell(tells("started", renegotiation(operation_id)))
        assert outcome == []
        match told:
            case "at once":
                await server.tell(tells("updated", whole))
            case "in the end":
                await server.tell(tells("completed", whole, status="Success"))
            case "by its address":
                await server.tell(tells("completed", nameless, status="Success"))
            case _:
                await server.tell(tells("completed", status="Success"))

        await anyio.wait_all_tasks_blocked()
        assert outcome == [ANSWER]


async def test_events_that_overtake_the_answer_are_not_lost(server):
    async with door(server) as (native, _), anyio.create_task_group() as tasks:
        await server.tell(*talks(server))
        go = anyio.Event()

        async def late(request):
            await go.wait()
            return httpx.Response(201, json=renegotiation())

        server.answers[f"POST {SESSION}/renegotiations"] = late
        _, outcome = await renegotiated(server, tasks, native.conversation(CALL).audio_video)
        body = renegotiation(answer=ANSWER) | {"direction": "Outgoing"}
        await server.tell(tells("completed", body, status="Success"))
        go.set()
        await anyio.wait_all_tasks_blocked()

        assert outcome == [ANSWER]


async def test_an_offer_that_is_not_taken_is_refused_in_the_servers_words(server):
    async with door(server) as (native, _), anyio.create_task_group() as tasks:
        await server.tell(*talks(server))
        server.accepts(f"{SESSION}/renegotiations", status=201, location=OFFERED)
        operation_id, outcome = await renegotiated(server, tasks, native.conversation(CALL).audio_video)
        failed = tells(
            "completed", renegotiation(operation_id), status="Failure", reason="RemoteFailure/MediaNegotiationFailure"
        )
        await server.tell(failed)
        await anyio.wait_all_tasks_blocked()

        (error,) = outcome
        assert isinstance(error, Refused)
        assert "RemoteFailure/MediaNegotiationFailure" in str(error)


async def test_an_offer_of_which_nothing_is_told_is_in_doubt(server):
    async with door(server) as (native, host), anyio.create_task_group() as tasks:
        await server.tell(*talks(server))
        server.accepts(f"{SESSION}/renegotiations", status=201)
        _, outcome = await renegotiated(server, tasks, native.conversation(CALL).audio_video, timeout=5.0)
        await host.clock.advance(6.0)
        await anyio.wait_all_tasks_blocked()

        assert isinstance(outcome[0], AnswerLost)


def busy():
    return httpx.Response(409, json={"code": "Conflict", "subcode": "AlreadyExists"})


async def test_an_offer_is_repeated_while_another_one_runs(server):
    async with door(server) as (native, host), anyio.create_task_group() as tasks:
        await server.tell(*talks(server))
        accepted = httpx.Response(201, headers={"location": OFFERED})
        server.answers[f"POST {SESSION}/renegotiations"] = deque([busy(), busy(), accepted])
        _, outcome = await renegotiated(server, tasks, native.conversation(CALL).audio_video)
        await host.clock.advance(10.0)
        await anyio.wait_all_tasks_blocked()
        await host.clock.advance(10.0)
        await anyio.wait_all_tasks_blocked()
        posts = [r for r in server.requests if r.url.path == f"{SESSION}/renegotiations"]
        assert len(posts) == 3
        assert len({r.url.query for r in posts}) == 3
        last = parse_qs(posts[-1].url.query.decode())["operationId"][0]
        await server.tell(tells("completed", renegotiation(last, answer=ANSWER)))
        await anyio.wait_all_tasks_blocked()

        assert outcome == [ANSWER]


async def test_a_server_that_stays_busy_makes_it_too_late(server):
    async with door(server) as (native, host), anyio.create_task_group() as tasks:
        await server.tell(*talks(server))
        server.answers[f"POST {SESSION}/renegotiations"] = deque(busy() for _ in range(4))
        _, outcome = await renegotiated(server, tasks, native.conversation(CALL).audio_video)
        for _ in range(3):
            await host.clock.advance(20.0)
            await anyio.wait_all_tasks_blocked()

        assert isinstance(outcome[0], TooLate)


@pytest.mark.parametrize(
    ("method", "rel"), [("resume_audio", "resumeAudio"), ("resume_audio_video", "resumeAudioVideo")]
)
async def test_a_suspended_session_is_resumed(server, method, rel):
    async with door(server) as (native, _), anyio.create_task_group() as tasks:
        await server.tell(*talks(server))
        server.shows(session(("resumeAudio", "resumeAudioVideo"), state="Suspended"))
        server.accepts(f"{SESSION}/{rel}", status=201, location=OFFERED)
        operation_id, outcome = await renegotiated(
            server, tasks, native.conversation(CALL).audio_video, method=method, path=rel
        )
        await server.tell(tells("completed", renegotiation(operation_id, answer=ANSWER)))
        await anyio.wait_all_tasks_blocked()

        assert outcome == [ANSWER]


@pytest.mark.parametrize("bare", [False, True])
async def test_what_the_other_party_proposes_is_answered(server, bare):
    async with door(server) as (native, _):
        await server.tell(*talks(server))
        body = renegotiation(offer=SDP, links=("answer", "dismiss"))
        server.shows(body)
        server.accepts(f"{OFFERED}/answer")
        await server.tell(tells("started", None if bare else body))
        media = native.conversation(CALL).audio_video
        assert media.proposal == RemoteProposal(sdp=SDP)

        await media.answer(ANSWER)

        assert sent(server, f"{OFFERED}/answer") == ({}, ANSWER)
        assert media.proposal is None


async def test_what_the_other_party_proposes_is_dismissed_with_a_reason(server):
    async with door(server) as (native, _):
        await server.tell(*talks(server), tells("started", renegotiation(offer=SDP, links=("answer", "dismiss"))))
        server.accepts(f"{OFFERED}/dismiss")
        media = native.conversation(CALL).audio_video

        await media.dismiss(RenegotiationDecline.CONFLICT)

        assert sent(server, f"{OFFERED}/dismiss") == ({}, {"reason": "Conflict"})
        assert media.proposal is None


@pytest.mark.parametrize("bare", [False, True])
async def test_a_proposal_that_is_over_is_forgotten(server, bare):
    async with door(server) as (native, _):
        body = renegotiation(offer=SDP, links=("answer",))
        server.shows(body)
        await server.tell(*talks(server), tells("started", body))
        media = native.conversation(CALL).audio_video
        assert media.proposal is not None

        await server.tell(tells("completed", None if bare else body, status="Failure"))

        assert media.proposal is None


async def test_a_proposal_ends_with_its_conversation(server):
    async with door(server) as (native, _):
        await server.tell(*talks(server), tells("started", renegotiation(offer=SDP, links=("answer",))))
        await server.tell(event("deleted", "conversation", C, sender=HUB))

        assert native.conversation(CALL).audio_video.proposal is None


# Invitations


async def test_early_media_is_answered_before_the_call_is(server):
    part = "--b%0d%0aContent-Type: application/sdp%0d%0aContent-ID: <x@y>%0d%0a%0d%0av=0%0d%0am=audio 1 RTP/AVP 0%0d%0a"
    alternatives = {"href": f"data:multipart/alternative;boundary=b,{part}--b--"}
    ringing = invitation(("sendProvisionalAnswer", "reportMediaDiagnostics"), alternatives)
    async with door(server) as (native, _):
        await server.tell(*talks(server), event("started", "audioVideoInvitation", INVITATION, ringing, sender=HUB))
        server.accepts(f"{INVITATION}/sendProvisionalAnswer", f"{INVITATION}/reportMediaDiagnostics")
        media = native.conversation(CALL).audio_video

        await media.send_provisional_answer(ANSWER)
        await media.report_media_diagnostics("LocalFailure")

        query, body = sent(server, f"{INVITATION}/sendProvisionalAnswer")
        assert body == ANSWER
        assert query["processedOfferId"] == "<x@y>"
        assert len(query["sessionContext"]) <= 50
        assert sent(server, f"{INVITATION}/reportMediaDiagnostics")[1] == {"errorCode": "LocalFailure"}


async def test_every_endpoint_that_answers_an_offer_is_told(server):
    dialled = invitation(direction="Outgoing", operationId="call-1")
    async with door(server) as (native, _):
        await server.tell(*talks(server), event("started", "audioVideoInvitation", INVITATION, dialled, sender=HUB))
        for endpoint, name in (("a", "mediaProvisionalAnswer"), ("b", "mediaProvisionalAnswer"), ("b", "mediaAnswer")):
            body = resource(
                "audioVideoNegotiation",
                "/app/n1",
                {},
                remoteEndpoint=endpoint,
                sessionContext="sc",
                msAcceptedContentId="1",
            )
            body["_links"][name] = data()
            await server.tell(event("updated", "audioVideoNegotiation", "/app/n1", body, sender=INVITATION))

        answers = native.conversation(CALL).audio_video.answers

        assert [(answer.remote_endpoint, answer.provisional) for answer in answers] == [
            ("a", True),
            ("b", True),
            ("b", False),
        ]
        assert answers[0] == MediaAnswer(
            sdp=ANSWER, provisional=True, remote_endpoint="a", session_context="sc", accepted_content_id="1"
        )


def handed_over():
    """Carol's invitation in place of the call: the other party hands it over to her."""
    carol = resource("participant", "/app/carol", uri="sip:carol@example.org", name="Carol")
    bob = resource("contact", "/app/people/bob", uri="sip:bob@example.org")
    body = invitation(("acceptWithAnswer", "decline"), data(SDP))
    text = json.dumps(body).replace(C, "/app/c2")
    body = json.loads(text)
    body["_links"]["replacesAudioVideo"] = {"href": AV}
    return body | {"_embedded": {"from": carol, "transferredBy": bob}}


async def test_who_takes_the_other_partys_place_is_answered_like_any_proposal(server):
    async with door(server) as (native, _):
        started = event("started", "audioVideoInvitation", INVITATION, handed_over(), sender=HUB)
        await server.tell(*talks(server), started)
        server.accepts(f"{INVITATION}/acceptWithAnswer")
        media = native.conversation(CALL).audio_video
        assert media.proposal == RemoteProposal(sdp=SDP, replaces=True, transferred_by="sip:bob@example.org")

        await media.answer(ANSWER)

        assert sent(server, f"{INVITATION}/acceptWithAnswer")[1] == ANSWER
        done = handed_over() | {"state": "Connected"}
        await server.tell(event("completed", "audioVideoInvitation", INVITATION, done, status="Success", sender=HUB))
        assert media.proposal is None
        server.shows(json.loads(json.dumps(audio_video()).replace(C, "/app/c2")))
        await server.tell(event("updated", "audioVideo", "/app/c2/audioVideo", sender="/app/c2"))
        assert media.view.state is ModalityState.CONNECTED


@pytest.mark.parametrize(
    ("reason", "told"),
    [(None, None), (RenegotiationDecline.CONFLICT, None), (RenegotiationDecline.UNSUPPORTED_MEDIA, "UnsupportedMedia")],
)
async def test_who_would_take_the_other_partys_place_is_declined(server, reason, told):
    async with door(server) as (native, _):
        started = event("started", "audioVideoInvitation", INVITATION, handed_over(), sender=HUB)
        await server.tell(*talks(server), started)
        server.accepts(f"{INVITATION}/decline")

        await native.conversation(CALL).audio_video.dismiss(reason)

        assert sent(server, f"{INVITATION}/decline")[1] == ({"reason": told} if told else None)


# Phone audio, and what media need of the server


async def test_phone_audio_is_driven_by_its_links(server):
    async with door(server) as (native, _):
        await server.tell(*talks(server))
        await server.tell(
            event("updated", "phoneAudio", PHONE, phone(("stopPhoneAudio", "holdPhoneAudio"), "Connected"))
        )
        server.accepts(f"{PHONE}/holdPhoneAudio", f"{PHONE}/resumePhoneAudio", f"{PHONE}/stopPhoneAudio")
        audio = native.conversation(CALL).phone_audio
        assert (audio.view.state, audio.view.held) == (ModalityState.CONNECTED, False)

        await audio.hold()
        server.shows(phone(("stopPhoneAudio", "resumePhoneAudio"), "Connected"))
        await audio.resume()
        await audio.stop()

        assert server.asked("POST")[1:] == [f"{PHONE}/{rel}PhoneAudio" for rel in ("hold", "resume", "stop")]
        assert (await audio.refresh()).held is True


async def test_phone_audio_is_added_to_the_call(server):
    async with door(server) as (native, _), anyio.create_task_group() as tasks:
        await server.tell(*talks(server))
        server.accepts(f"{PHONE}/addPhoneAudio", status=201, location="/app/i9")

        async def add():
            await native.conversation(CALL).phone_audio.add(to="+14255550199")
            tasks.cancel_scope.cancel()

        tasks.start_soon(add)
        await anyio.wait_all_tasks_blocked()
        asked = sent(server, f"{PHONE}/addPhoneAudio")[1]
        await server.tell(rings(asked, "completed", "phoneAudioInvitation", state="Connected"))


async def test_a_refused_start_is_forgotten(server):
    async with door(server) as (native, _):
        await server.tell(*talks(server))
        server.answers[f"POST {PHONE}/addPhoneAudio"] = httpx.Response(
            400, json={"code": "BadRequest", "subcode": "NormalizationFailed"}
        )

        with pytest.raises(Refused, match="NormalizationFailed"):
            await native.conversation(CALL).phone_audio.add(to="+14255550199")


async def test_relays_and_policies_are_read_where_the_server_has_them(server):
    async with door(server) as (native, _):
        assert await native.media_relays() is None
        assert await native.media_policies() is None
        hub = resource("communication", HUB, {"mediaRelayAccessToken": "/app/token", "mediaPolicies": "/app/policies"})
        relay = {"host": "turn.example.org", "tcpPort": 443, "udpPort": -1, "location": "Internet"}
        token = resource("mediaRelayAccessToken", "/app/token", userName="u", password="s3cret", duration=480)
        server.shows(token | {"_embedded": {"mediaRelay": [relay]}})
        server.shows(resource("mediaPolicies", "/app/policies", minimumAudioPort=50000))
        await server.tell(event("updated", "communication", HUB, hub, sender=HUB))

        access = await native.media_relays()

        assert (access.user_name, access.password.get_secret_value(), access.minutes) == ("u", "s3cret", 480)
        assert "s3cret" not in repr(access)
        (found,) = access.relays
        assert (found.host, found.tcp_port, found.udp_port) == ("turn.example.org", 443, None)
        assert (await native.media_policies())["minimumAudioPort"] == 50000
