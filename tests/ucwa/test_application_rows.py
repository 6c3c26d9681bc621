"""The life of an application: how it is lost, what is done about each loss, and what keeps it alive."""

from __future__ import annotations

import json
from contextlib import asynccontextmanager

import anyio
import httpx
import pytest

from telco_bridge.provider import CallReport, CallState, CallView, Confidence, Gap, ProviderError, TerminationReason
from telco_bridge_ucwa.config import UcwaConfig
from telco_bridge_ucwa.reasons import explain
from telco_bridge_ucwa.session import open_session

from .test_session import (
    APPLICATION,
    COMMUNICATION,
    CONVERSATION,
    HOST,
    ME,
    PHONE,
    C,
    Host,
    ok,
    resource,
    signed_in,
    with_answers,
)
from .test_session import problem as refusal

FORGOTTEN = refusal(404, "ApplicationNotFound", "NotFound")
REPLACED = refusal(409, "PGetReplaced", "Conflict")
ACTIVE_ME = resource("/app/me", {"reportMyActivity": "/app/active"})


def events(*told, **links):
    senders = [{"rel": "communication", "href": "/app/communication", "events": list(told)}] if told else []
    return ok({"_links": {name: {"href": href} for name, href in links.items()}, "sender": senders})


def conversation_event(body=CONVERSATION):
    link = {"rel": "conversation", "href": body["_links"]["self"]["href"]}
    return {"link": link, "type": "updated", "_embedded": {"conversation": body}}


@asynccontextmanager
async def running(server, **settings):
    """A session that is run again whenever it has raised, as the core does, and what it raised."""
    failures = []
    async with signed_in(server, **settings) as (session, host), anyio.create_task_group() as tasks:

        async def keep_running():
            while True:
                try:
                    await session.run()
                except ProviderError as error:
                    failures.append(error)
                    await host.clock.sleep_until(host.clock.now() + 30.0)

        tasks.start_soon(keep_running)
        await host.clock.advance(0.0)
        await anyio.wait_all_tasks_blocked()
        yield session, host, failures
        tasks.cancel_scope.cancel()


def count(server, line):
    return [f"{r.method} {r.url.raw_path.decode()}" for r in server.requests].count(line)


def ends(host):
    return [fact for fact in host.facts if isinstance(fact, CallReport) and fact.state is CallState.ENDED]


def gaps(host):
    return [fact.why for fact in host.facts if isinstance(fact, Gap)]


def told(report):
    ended = explain(report.cause, CallView(id="c", reached=CallState.CONNECTED, answered=True))
    return ended.reason, ended.confidence


# Losing it


async def test_a_forgotten_application_is_made_again_and_the_user_made_available_again():
    server = with_answers(
        {
            "GET /app/events": [events(conversation_event(), next="/app/events?ack=2"), FORGOTTEN],
            "POST /app/available": httpx.Response(204),
        }
    )

    async with running(server, available=True) as (_, host, failures):
        (ended,) = ends(host)

    assert failures == []
    assert told(ended) == (TerminationReason.NETWORK_LOST, Confidence.DERIVED)
    assert gaps(host) == ["application lost: NotFound/ApplicationNotFound"]
    assert count(server, "POST /apps") == count(server, "POST /app/available") == 2


@pytest.mark.parametrize("subcode", ["TooManyApplications", "InactiveApplicationExpired", "UserAgentNotAllowed"])
async def test_an_application_that_is_gone_for_good_is_not_made_again_and_nothing_more_is_asked(subcode):
    server = with_answers(
        {"GET /app/events": [events(conversation_event(), next="/app/events"), refusal(410, subcode, "Gone")]}
    )

    async with running(server) as (_, host, failures):
        await host.clock.advance(3_700.0)
        (ended,) = ends(host)

    assert told(ended) == (TerminationReason.NETWORK_LOST, Confidence.DERIVED)
    assert len(failures) > 100
    assert {f"Gone/{subcode}"} == {failure.code for failure in failures}
    assert subcode in str(failures[0])
    assert count(server, "POST /apps") == 1
    assert count(server, "GET /app/events") == 1


async def test_another_program_keeps_the_application_and_we_take_one_of_our_own():
    server = with_answers(
        {"GET /app/events": [events(conversation_event(), next="/app/events?ack=1"), REPLACED, REPLACED]}
    )

    async with running(server, endpoint_id="desk") as (_, host, failures):
        (ended,) = ends(host)
        assert count(server, "DELETE /app") == 0

    made = [json.loads(request.content)["endpointId"] for request in server.requests if request.url.path == "/apps"]
    assert failures == []
    assert made[0] == "desk"
    assert made[1] != "desk"
    assert told(ended) == (TerminationReason.NETWORK_LOST, Confidence.SYNTHETIC)
    assert gaps(host) == ["application lost: Conflict/PGetReplaced"]


async def test_programs_do_not_take_turns_for_ever():
    server = with_answers({"GET /app/events": [REPLACED] * 100})

    async with running(server) as (_, host, failures):
        await host.clock.advance(600.0)

    assert count(server, "POST /apps") == 4
    assert count(server, "GET /app/events?ack=1&timeout=180") == 8
    assert "endpoint_id" in str(failures[-1])


async def test_after_a_quarter_of_an_hour_of_silence_the_old_application_is_deleted_and_a_new_one_made():
    down = httpx.ConnectError("down")
    server = with_answers({"GET /app/events": [events(conversation_event(), next="/app/events"), *[down] * 30]})

    async with running(server) as (_, host, failures):
        await host.clock.advance(800.0)
        assert ends(host) == []
        server.answers["GET /app/events"] = [down] * 5
        await host.clock.advance(200.0)
        (ended,) = ends(host)
        sent = server.sent()
        assert sent[sent.index("POST /apps") - 1] == "DELETE /app"

    assert told(ended) == (TerminationReason.NETWORK_LOST, Confidence.SYNTHETIC)
    assert "failed 3 times" in str(failures[0])
    assert gaps(host)[-1] == "application lost: silent"


async def test_a_call_of_a_forgotten_application_is_lost_and_not_ended_by_whoever_reads_it():
    server = with_answers({f"GET {C}": FORGOTTEN})

    async with signed_in(server) as (session, _):
        with pytest.raises(ProviderError, match="ApplicationNotFound"):
            await session.read(C)


# Missing events


async def test_after_a_resync_everything_is_read_again_and_what_has_vanished_ends():
    gone, held = "/app/c2", {**PHONE, "_links": {"self": {"href": f"{C}/phone"}, "resumePhoneAudio": {"href": "/r"}}}
    other = resource(gone, {}, state="Connected", activeModalities=["Audio"])
    server = with_answers(
        {
            "GET /app/events": [
                events(conversation_event(), conversation_event(other), next="/app/events?ack=9"),
                events(resync="/app/events?ack=6"),
                events(next="/app/events?ack=7"),
            ],
            "GET /app": ok(APPLICATION),
            "GET /app/conversations": ok({"_links": {"conversation": [{"href": C}]}}),
            f"GET {C}/phone": ok(held),
        }
    )

    async with running(server) as (_, host, failures):
        (ended,) = ends(host)

    assert failures == []
    assert ended.ref == gone
    assert told(ended) == (TerminationReason.NETWORK_LOST, Confidence.INFERRED)
    read = server.sent()
    assert read[read.index("GET /app") :][:6] == [
        "GET /app",
        "GET /app/conversations?filter=active",
        f"GET {C}",
        f"GET {C}/phone",
        f"GET {C}/av",
        f"GET {gone}",
    ]
    report = next(fact for fact in host.facts if isinstance(fact, CallReport) and fact.held is not None)
    assert (report.ref, report.held) == (C, True)
    assert host.facts.index(ended) < len(host.facts) - 1
    assert gaps(host) == ["resync"]


async def test_a_call_that_cannot_be_read_after_a_resync_is_left_to_the_next_who_asks():
    server = with_answers(
        {
            "GET /app/events": [
                events(conversation_event(), next="/app/events?ack=9"),
                events(resync="/app/events?ack=6"),
                events(next="/app/events?ack=7"),
            ],
            "GET /app": httpx.Response(500),
            "GET /app/conversations": ok({"_links": {}}),
            f"GET {C}": httpx.Response(503),
        }
    )

    async with running(server) as (_, host, _):
        assert ends(host) == []

    assert gaps(host) == ["resync"]


async def test_after_a_resume_the_user_is_made_available_again_where_the_server_asks_for_it():
    server = with_answers(
        {
            "GET /app/events": [events(resume="/app/events?ack=3")],
            "GET /app": ok(APPLICATION),
            "POST /app/available": httpx.Response(204),
            "GET /app/conversations": ok({"_links": {}}),
        }
    )

    async with running(server, available=True) as (_, host, _):
        assert gaps(host) == ["resume"]

    assert count(server, "POST /app/available") == 2
    assert count(server, "GET /app/events?ack=3&timeout=180") == 1


async def test_after_an_overflow_the_application_says_where_its_events_are_now():
    renewed = resource("/app", {"events": "/app/events?ack=70"}, {"me": ME, "communication": COMMUNICATION})
    server = with_answers(
        {
            "GET /app/events": [refusal(409, "MaxEventCountReached", "Conflict")] * 2,
            "GET /app": [ok(resource("/app")), ok(renewed), ok(renewed)],
            "GET /app/conversations": ok({"_links": {}}),
        }
    )

    async with running(server) as (_, host, failures):
        assert [str(failure) for failure in failures] == ["GET application: the application has no events link"]
        await host.clock.advance(30.0)
        await anyio.wait_all_tasks_blocked()

    assert count(server, "GET /app/events?ack=70&timeout=180") == 1
    assert gaps(host)[0] == "the event channel was down"
    assert "resume" in gaps(host)


# Tokens


async def test_a_token_that_another_request_renews_leaves_the_parked_poll_alone():
    challenge = f'MsRtcOAuth href="{HOST}/token",grant_type="password"'
    server = with_answers(
        {
            f"GET {C}": [httpx.Response(401, headers={"WWW-Authenticate": challenge}), ok(CONVERSATION)],
            "POST /token": ok({"access_token": "cwt=1", "expires_in": 28800}),
        }
    )

    async with running(server) as (session, _, failures):
        await session.read(C)
        await anyio.wait_all_tasks_blocked()

    assert failures == []
    assert count(server, "POST /token") == 1
    assert count(server, "GET /app/events?ack=1&timeout=180") == 1


async def test_a_poll_whose_token_has_expired_is_repeated_with_another():
    challenge = f'MsRtcOAuth href="{HOST}/token",grant_type="password"'
    server = with_answers(
        {
            "GET /app/events": [httpx.Response(403, headers={"WWW-Authenticate": challenge})],
            "POST /token": ok({"access_token": "cwt=1", "expires_in": 28800}),
        }
    )

    async with running(server) as (_, _, failures):
        pass

    assert failures == []
    polls = [request for request in server.requests if request.url.path == "/app/events"]
    assert polls[0].url == polls[1].url
    assert polls[1].headers["authorization"] == "Bearer cwt=1"


# Staying alive


def available(**answers):
    app = resource("/app", {"events": "/app/events?ack=1"}, {"me": ACTIVE_ME, "communication": COMMUNICATION})
    lurking = resource("/app", {"events": "/app/events?ack=1"}, {"me": ME, "communication": COMMUNICATION})
    return with_answers(
        {
            "POST /apps": ok(lurking, 201),
            "POST /app/available": httpx.Response(204),
            "GET /app": ok(app),
            "POST /app/active": [httpx.Response(204)] * 9,
        }
        | answers
    )


async def test_activity_is_reported_within_four_minutes_however_often_the_channel_breaks():
    server = available(**{"GET /app/events": [httpx.ConnectError("down")] * 60})

    async with running(server, available=True) as (_, host, failures):
        times = []
        for _ in range(80):
            await host.clock.advance(10.0)
            times.append(count(server, "POST /app/active"))

    assert len(failures) > 10
    assert times[-1] == 4
    assert all(times[at + 24] > times[at] for at in range(len(times) - 24))


async def test_nobody_who_only_looks_on_is_reported_active():
    server = available()

    async with running(server) as (_, host, _):
        await host.clock.advance(600.0)

    assert count(server, "POST /app/active") == 0


async def test_a_report_of_activity_that_failed_is_repeated_in_time():
    server = available(**{"POST /app/active": [httpx.Response(500), httpx.Response(204)]})

    async with running(server, available=True) as (_, host, _):
        await host.clock.advance(200.0)

    assert count(server, "POST /app/active") == 2


async def test_a_link_that_has_changed_is_looked_for():
    moved = resource("/app", {}, {"me": resource("/app/me", {"reportMyActivity": "/app/active2"})})
    server = available(
        **{
            "POST /app/active": [refusal(404, None, "NotFound")],
            "POST /app/active2": httpx.Response(204),
            "GET /app": [available().answers["GET /app"], ok(moved)],
        }
    )

    async with running(server, available=True) as (_, host, _):
        await host.clock.advance(200.0)

    assert count(server, "POST /app/active2") == 1


async def test_a_user_whom_the_server_has_made_unavailable_is_made_available_again():
    lurking = resource("/app", {}, {"me": ME})
    server = available(
        **{
            "POST /app/active": [refusal(409, "MakeMeAvailableRequired", "Conflict")],
            "GET /app": [available().answers["GET /app"], ok(lurking)],
        }
    )

    async with running(server, available=True) as (_, host, _):
        await host.clock.advance(180.0)

    assert count(server, "POST /app/available") == 2


async def test_a_server_that_offers_no_report_of_activity_is_asked_for_it_now_and_then():
    bare = resource(
        "/app", {"events": "/app/events?ack=1"}, {"me": resource("/app/me"), "communication": COMMUNICATION}
    )
    server = available(**{"POST /apps": ok(bare, 201), "GET /app": ok(bare)})

    async with running(server, available=True) as (_, host, failures):
        await host.clock.advance(400.0)

    assert failures == []
    assert count(server, "GET /app") == 3


async def test_the_user_is_read_once_the_application_has_been_started():
    app = resource("/app", {"events": "/app/events?ack=1", "me": "/app/me"}, {"communication": COMMUNICATION})
    starting = refusal(409, None, "Conflict")
    server = with_answers(
        {
            "POST /apps": ok(app, 201),
            "GET /app/me": [starting, starting, ok(ME)],
            "POST /app/available": httpx.Response(204),
        }
    )
    signed = anyio.Event()

    async with anyio.create_task_group() as tasks:
        host = Host()
        config = UcwaConfig.model_validate(
            {"username": "ada", "password": "s3cret", "user_url": f"{HOST}/user", "available": True}
        )

        async def sign_in():
            async with open_session(config, host, transport=httpx.MockTransport(server.handle)):
                signed.set()

        tasks.start_soon(sign_in)
        await host.clock.advance(3.0)
        with anyio.fail_after(5):
            await signed.wait()

    assert count(server, "GET /app/me") == 3
    assert count(server, "POST /app/available") == 1


# Leaving


async def test_the_application_is_deleted_once_however_often_it_is_left():
    server = with_answers({})

    async with signed_in(server) as (session, _):
        await session._application.sign_out()
        await session._application.sign_out()

    assert count(server, "DELETE /app") == 1
