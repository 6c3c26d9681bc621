"""Another application in place of a lost one, while something of the old one is still under way."""

from __future__ import annotations

import json

import anyio
import httpx
import pytest

from telco_bridge.provider import AnswerLost, CallReport, CallState, HangUp, NotSent, ProviderError

from .test_application_rows import FORGOTTEN, ends, gaps
from .test_session import APPLICATION, CONVERSATION, DIAL, HOST, INVITATION, ok, signed_in
from .test_session import problem as refusal
from .test_session import with_answers as answering

TAKEN = httpx.Response(201, headers={"Location": "/app/i1"})


def elsewhere(body, place="/two"):
    """The same, of the other application."""
    return json.loads(json.dumps(body).replace("/app", place))


class Pool:
    """A server whose application is lost when the test says so; some of its answers are late."""

    def __init__(self, **answers):
        self.server = answering({"POST /apps": [ok(APPLICATION, 201), ok(elsewhere(APPLICATION), 201)]})
        self.server.answers |= {key.replace("_", " /", 1).replace("_", "/"): value for key, value in answers.items()}
        self.lost, self.asked, self.go = anyio.Event(), anyio.Event(), anyio.Event()
        self.late = ""
        self.again = anyio.Event()
        self.parked = anyio.Event()

    async def handle(self, request):
        key = f"{request.method} {request.url.path}"
        if key == "GET /app/events":
            await self.lost.wait()
            return FORGOTTEN
        if key == "GET /two/events":
            self.again.set()
            await anyio.sleep_forever()
        if key == self.late:
            self.asked.set()
            await self.go.wait()
        return await self.server.handle(request)


async def replaced_while(pool, session, act):
    """Lose the application while something is being asked, and let the answer come once there is another."""
    raised = []
    async with anyio.create_task_group() as tasks:

        async def acting():
            try:
                await act()
            except ProviderError as error:
                raised.append(error)
            pool.parked.set()

        tasks.start_soon(session.run)
        tasks.start_soon(acting)
        with anyio.fail_after(5):
            await pool.asked.wait()
            pool.lost.set()
            await pool.again.wait()
            pool.go.set()
            await pool.parked.wait()
        await anyio.wait_all_tasks_blocked()
        tasks.cancel_scope.cancel()
    return raised


async def test_links_of_a_lost_application_are_not_taken_for_those_of_the_next_one():
    pool = Pool(GET_app=ok(APPLICATION), POST_two_start=TAKEN)
    pool.late = "GET /app"

    async with signed_in(pool) as (session, _):
        await replaced_while(pool, session, lambda: session._application.refresh("communication", "me"))
        resources = session._application.resources

    assert resources.only("communication").link("startPhoneAudio") == "/two/start"
    assert resources.only("me").href == "/two/me"


async def test_a_dial_that_is_taken_by_an_application_that_is_lost_meanwhile_has_no_known_outcome():
    pool = Pool(POST_app_start=TAKEN, GET_app_i1=ok(INVITATION))
    pool.late = "POST /app/start"

    async with signed_in(pool) as (session, host):
        (lost,) = await replaced_while(pool, session, lambda: session.execute(DIAL))

    assert isinstance(lost, AnswerLost)
    assert [fact for fact in host.facts if isinstance(fact, CallReport)] == []


async def test_an_invitation_of_a_lost_application_is_no_call_of_the_next_one():
    pool = Pool(POST_app_start=TAKEN, GET_app_i1=ok(INVITATION))
    pool.late = "GET /app/i1"

    async with signed_in(pool) as (session, host):
        assert await replaced_while(pool, session, lambda: session.execute(DIAL)) == []
        assert session._application.resources.calls == ()

    told = [(fact.command_id, fact.state) for fact in host.facts if isinstance(fact, CallReport)]
    assert told == [("call-1", CallState.DIALING), ("call-1", CallState.ENDED)]


async def test_nothing_is_sent_while_the_server_knows_no_application_of_ours():
    pool = Pool()
    pool.server.answers["POST /apps"] = [ok(APPLICATION, 201), httpx.Response(503), ok(elsewhere(APPLICATION), 201)]
    pool.lost.set()

    async with signed_in(pool) as (session, _):
        with pytest.raises(ProviderError, match="503"):
            await session.run()
        for command in (DIAL, HangUp(id="h-1", call="call-1", ref="/app/c1")):
            with pytest.raises(NotSent, match="no application now"):
                await session.execute(command)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(session.run)
            with anyio.fail_after(5):
                await pool.again.wait()
            tasks.cancel_scope.cancel()
        with pytest.raises(ProviderError, match="404"):
            await session.execute(DIAL)

    assert pool.server.sent()[-2:] == ["POST /two/start", "DELETE /two"]


async def test_calls_are_not_given_up_before_the_pool_that_the_user_has_moved_to_takes_the_user():
    other = "https://other.example.org"
    user = ok({"_links": {"self": {"href": "/user"}, "applications": {"href": f"{other}/apps"}}})
    home = ok({"_links": {"self": {"href": "/user"}, "applications": {"href": f"{HOST}/apps"}}})
    told = {"link": {"rel": "conversation", "href": "/app/c1"}, "type": "updated"}
    sender = {"rel": "communication", "href": "/app/communication", "events": [told]}
    told["_embedded"] = {"conversation": CONVERSATION}
    package = ok({"_links": {"next": {"href": "/app/events?ack=2"}}, "sender": [sender]})
    trouble = refusal(403, "NotAllowed", "Forbidden")
    server = answering({"GET /app/events": [package, trouble, None]})
    server.answers["GET /user"] = [home, user, home]
    made = [ok(APPLICATION, 201), httpx.Response(503)]
    server.answers["POST /apps"] = made

    async with signed_in(server, allowed_hosts=["other.example.org"]) as (session, host):
        with pytest.raises(ProviderError, match="403"):
            await session.run()
        with pytest.raises(ProviderError, match="503"):
            await session.run()

    assert (ends(host), gaps(host)) == ([], [])


async def test_a_dial_that_reaches_an_application_that_is_lost_was_never_executed():
    pool = Pool(POST_app_start=refusal(404, "ApplicationNotFound", "NotFound"))

    async with signed_in(pool) as (session, _):
        with pytest.raises(NotSent, match="ApplicationNotFound"):
            await session.execute(DIAL)
        assert session._application.resources.dials == ()
