"""The event channel: what is polled, in which order, and what trouble does to it."""

from __future__ import annotations

import math
from contextlib import asynccontextmanager

import anyio
import httpx
import pytest

from telco_bridge.http import ForeignOrigin, open_client, send
from telco_bridge.provider import (
    AuthenticationFailed,
    CallReport,
    CallState,
    Gap,
    ProviderError,
    Refused,
)
from telco_bridge.sandbox import SteppedClock
from telco_bridge_ucwa.channel import EventChannel
from telco_bridge_ucwa.poll import ApplicationLost, Loss
from telco_bridge_ucwa.resources import Resources
from telco_bridge_ucwa.wire import resource_in

HOST = "https://pool.example.org"
C = "/app/conversations/c1"
EVENTS = "/app/events?ack=1&key=k"
TIMED = f"{EVENTS}&timeout=180"


class Host:
    """Keeps what is reported, and has a clock that stands still."""

    def __init__(self):
        self.clock = SteppedClock()
        self.last = 0.0
        self.batches = []
        self.told = anyio.Event()

    def stamp(self):
        self.last = max(self.clock.now(), math.nextafter(self.last, math.inf))
        return self.last

    def report(self, *facts):
        self.batches.append(facts)
        told, self.told = self.told, anyio.Event()
        told.set()

    def url(self, path, **query):
        return None

    @property
    def facts(self):
        return [fact for batch in self.batches for fact in batch]


class Script:
    """Answers each GET with the next of its answers; the last poll is parked for ever."""

    def __init__(self, *answers, **resources):
        self.answers = list(answers)
        self.resources = resources
        self.polled = []
        self.reported_when_polled = []
        self.host = Host()
        self.parked = anyio.Event()

    async def handle(self, request):
        path = request.url.raw_path.decode()
        rel = path.rsplit("/", 1)[-1]
        if rel in self.resources:
            answer = self.resources[rel]
            return await answer() if callable(answer) else answer
        self.polled.append(path)
        self.reported_when_polled.append(len(self.host.batches))
        if not self.answers:
            self.parked.set()
            await anyio.sleep_forever()
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


@asynccontextmanager
async def reading(script):
    """A channel that is not running yet."""
    resources = Resources(f"{HOST}/apps")
    async with open_client(HOST, transport=httpx.MockTransport(script.handle)) as client:

        async def fetch(href, read_timeout):
            assert read_timeout == 210.0
            return await send(client, client.build_request("GET", resources.url(href)), provider="ucwa")

        async def read(href, rel):
            answer = await send(client, client.build_request("GET", resources.url(href)), provider="ucwa")
            if answer.status_code != 200:
                raise ProviderError("no")
            return resource_in(answer, rel=rel)

        async def renew():
            return "/app/events?ack=70&key=k"

        yield EventChannel(
            events=EVENTS,
            renew=renew,
            fetch=fetch,
            read=read,
            resources=resources,
            host=script.host,
            timing={"timeout": 180},
        )


async def run(script, *, seconds=0.0):
    """Run the channel until its last poll is parked, with the clock advanced where it waits."""
    async with reading(script) as channel, anyio.create_task_group() as tasks:
        tasks.start_soon(channel.run)
        await anyio.wait_all_tasks_blocked()
        if seconds:
            await script.host.clock.advance(seconds)
        with anyio.fail_after(5):
            await script.parked.wait()
            await anyio.wait_all_tasks_blocked()
        tasks.cancel_scope.cancel()
    return script.host.facts


async def running(script, channel, *seconds):
    """Run a channel until it fails or its last poll is parked, with the clock advanced by each of the pauses."""

    async def advance():
        for pause in seconds:
            await anyio.wait_all_tasks_blocked()
            await script.host.clock.advance(pause)

    failure = None
    async with anyio.create_task_group() as tasks:

        async def read():
            nonlocal failure
            try:
                await channel.run()
            except ProviderError as error:
                failure = error
                tasks.cancel_scope.cancel()

        tasks.start_soon(read)
        await advance()
        with anyio.fail_after(5):
            await script.parked.wait()
            await anyio.wait_all_tasks_blocked()
        tasks.cancel_scope.cancel()
    if failure is not None:
        raise failure


def conversation(state="Connected", kind="updated", *, bare=False, href=C, **more):
    raw = {"link": {"rel": "conversation", "href": href}, "type": kind, **more}
    if not bare:
        body = {"state": state, "activeModalities": ["Audio"], "_links": {"self": {"href": href}}}
        raw["_embedded"] = {"conversation": body}
    return raw


def package(*events, **links):
    named = {"self": {"href": "x"}, **{rel: {"href": href} for rel, href in links.items()}}
    senders = [{"rel": "communication", "href": "/app/communication", "events": [event]} for event in events]
    return httpx.Response(200, json={"_links": named, **({"sender": senders} if senders else {})})


def problem(status, subcode=None, code="Some"):
    return httpx.Response(status, json={"code": code, "subcode": subcode, "message": "words"})


def states(facts):
    return [fact.state for fact in facts if isinstance(fact, CallReport)]


async def test_links_are_followed_and_only_the_first_is_timed():
    script = Script(package(next="/e?ack=2"), package(next=f"{HOST}/e?ack=3"))

    await run(script)

    assert script.polled == [TIMED, "/e?ack=2", "/e?ack=3"]


async def test_the_next_poll_is_under_way_before_a_package_is_processed():
    script = Script(package(conversation(), next="/e?ack=2"), package(conversation("Disconnected"), next="/e?ack=3"))

    facts = await run(script)

    assert script.reported_when_polled[1] == 0
    assert states(facts) == [CallState.CONNECTED, CallState.ENDED]


async def test_a_package_is_reported_at_once_and_in_its_order():
    script = Script(package(conversation("Connected"), conversation("Disconnecting"), next="/e?ack=2"))

    await run(script)

    (batch,) = script.host.batches
    assert states(batch) == [CallState.CONNECTED, CallState.ENDING]
    assert [fact.as_of for fact in batch] == sorted({fact.as_of for fact in batch})


async def test_an_empty_release_reports_nothing():
    empty = httpx.Response(200, json={"_links": {"next": {"href": "/e?ack=2"}}, "sender": []})

    assert await run(Script(empty, package(next="/e?ack=3"))) == []


@pytest.mark.parametrize(
    "trouble",
    [
        httpx.Response(500),
        httpx.Response(503, text="<html/>"),
        httpx.Response(504),
        httpx.Response(408),
        httpx.Response(429),
        httpx.Response(404, text="<html/>"),
        httpx.Response(200, text="<html>"),
        httpx.Response(200, content=b'{"_li', headers={"content-type": "application/json"}),
        httpx.Response(200, json=[]),
        httpx.Response(200, json={"_links": {}}),
        httpx.ConnectError("down"),
        httpx.RemoteProtocolError("reset"),
    ],
    ids=lambda trouble: getattr(trouble, "status_code", None) or type(trouble).__name__,
)
async def test_trouble_repeats_the_same_poll_with_growing_pauses_and_is_then_told(trouble):
    once = package(conversation("Disconnected"), next="/e?ack=3")
    script = Script(trouble, trouble, package(conversation(), next="/e?ack=2"), *[trouble] * 3, once)

    async with reading(script) as channel:
        with pytest.raises(ProviderError, match="failed 3 times in a row; the last events came 3 s ago") as caught:
            await running(script, channel, 1 + 2, 1 + 2)
        assert type(caught.value) is ProviderError
        assert script.polled == [TIMED] * 3 + ["/e?ack=2"] * 3
        assert states(script.host.facts) == [CallState.CONNECTED]
        assert not any(isinstance(fact, Gap) for fact in script.host.facts)

        await running(script, channel, 4)

    assert script.polled[6:] == ["/e?ack=2", "/e?ack=3"]
    _, ended, gap = script.host.facts
    assert ended.state is CallState.ENDED
    assert isinstance(gap, Gap)
    assert gap.since < ended.as_of < gap.as_of


async def test_the_server_may_ask_for_a_longer_pause():
    script = Script(httpx.Response(429, headers={"retry-after": "50"}), package(next="/e?ack=2"))

    await run(script, seconds=50)

    assert script.polled == [TIMED, TIMED, "/e?ack=2"]


async def test_a_pause_that_the_server_asks_for_is_kept_by_the_next_run():
    busy = httpx.Response(429, headers={"retry-after": "50"})
    script = Script(busy, busy, busy, package(next="/e?ack=2"))

    async with reading(script) as channel:
        with pytest.raises(ProviderError, match="429"):
            await running(script, channel, 50, 50)
        assert script.polled == [TIMED] * 3
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(channel.run)
            await anyio.wait_all_tasks_blocked()
            assert len(script.polled) == 3
            await script.host.clock.advance(50)
            await script.parked.wait()
            tasks.cancel_scope.cancel()

    assert script.polled == [TIMED] * 4 + ["/e?ack=2"]


async def test_a_resync_replays_what_was_missed_as_of_the_gap():
    script = Script(
        package(conversation(), next="/e?ack=9"),
        package(next="/e?ack=1", resume="/e?resume", resync="/e?ack=6"),
        package(conversation("Disconnecting"), conversation("Disconnected"), next="/e?ack=7"),
    )

    facts = await run(script)

    assert script.polled[-2:] == ["/e?ack=6", "/e?ack=7"]
    before, first, second, gap = facts
    assert isinstance(gap, Gap)
    assert gap.why == "resync"
    assert gap.since < first.as_of < second.as_of < gap.as_of
    assert before.as_of < gap.as_of
    assert second.as_of - gap.since < 1e-6


async def test_a_resume_goes_on_with_every_call_lost():
    script = Script(
        package(conversation(), next="/e?ack=2"),
        package(resume="/e?ack=3", next="/e?ack=4"),
    )

    facts = await run(script)

    assert script.polled[-1] == "/e?ack=3&timeout=180"
    _, ended, gap = facts
    assert (ended.ref, ended.state, ended.cause.code) == (C, CallState.ENDED, "resume")
    assert gap.why == "resume"


async def test_a_poll_that_was_replaced_is_tried_once_more():
    script = Script(problem(409, "PGetReplaced"), package(next="/e?ack=2"))

    await run(script)

    assert script.polled == [TIMED, TIMED, "/e?ack=2"]


@pytest.mark.parametrize(
    ("answers", "error", "words"),
    [
        ([problem(409, "PGetReplaced")] * 2, ApplicationLost, "endpoint_id"),
        ([problem(409, "AlreadyExists")], Refused, "AlreadyExists"),
        ([problem(403)], AuthenticationFailed, "403"),
        ([problem(400)], Refused, "words"),
        ([httpx.Response(400, text="<html/>")], Refused, "400"),
        ([package(next="https://evil.example.net/e")], ForeignOrigin, "evil"),
    ],
)
async def test_what_is_hopeless_is_raised(answers, error, words):
    script = Script(*answers)

    async with reading(script) as channel:
        with pytest.raises(error, match=words):
            await channel.run()


@pytest.mark.parametrize(
    ("status", "subcode", "loss", "again"),
    [
        (404, "ApplicationNotFound", Loss.FORGOTTEN, True),
        (410, "CannotRedirect", Loss.MOVED, True),
        (410, "TooManyApplications", Loss.ENDED, False),
        (410, "InactiveApplicationExpired", Loss.ENDED, False),
        (410, "UserAgentNotAllowed", Loss.ENDED, False),
    ],
)
async def test_a_lost_application_says_how_and_whether_another_may_be_made(status, subcode, loss, again):
    async with reading(Script(problem(status, subcode))) as channel:
        with pytest.raises(ApplicationLost, match=f"{subcode} words; ") as caught:
            await channel.run()

    assert (caught.value.loss, caught.value.again, caught.value.status) == (loss, again, status)


async def test_what_had_come_is_processed_before_an_error_and_reading_goes_on_where_it_was():
    script = Script(package(conversation(), next="/e?ack=2"), problem(400), package(next="/e?ack=3"))

    async with reading(script) as channel:
        with pytest.raises(Refused):
            await channel.run()
        assert states(script.host.facts) == [CallState.CONNECTED]
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(channel.run)
            await script.host.clock.advance(1)
            await script.parked.wait()
            tasks.cancel_scope.cancel()

    assert script.polled == [TIMED, "/e?ack=2", "/e?ack=2", "/e?ack=3"]


async def test_a_body_that_was_not_sent_is_read_without_holding_up_the_channel():
    asked, answered = anyio.Event(), anyio.Event()

    async def slow():
        asked.set()
        await answered.wait()
        body = {"state": "Connected", "activeModalities": ["Audio"], "_links": {"self": {"href": C}}}
        return httpx.Response(200, json=body)

    script = Script(
        package(conversation(bare=True), next="/e?ack=2"),
        package(conversation("Disconnected"), next="/e?ack=3"),
        c1=slow,
    )

    async with reading(script) as channel, anyio.create_task_group() as tasks:
        tasks.start_soon(channel.run)
        with anyio.fail_after(5):
            await asked.wait()
            await script.parked.wait()
            await anyio.wait_all_tasks_blocked()
            (ended,) = script.host.facts
            answered.set()
            await script.host.told.wait()
        tasks.cancel_scope.cancel()

    late = script.host.facts[1]
    assert (ended.state, late.state) == (CallState.ENDED, CallState.CONNECTED)
    standing = script.host.facts[2]
    assert standing.as_of >= late.as_of


async def test_a_body_that_cannot_be_read_is_a_gap_and_the_event_still_counts():
    invitation = {
        "link": {"rel": "phoneAudioInvitation", "href": "/app/i1"},
        "type": "completed",
        "status": "Failure",
        "reason": {"code": "RemoteFailure", "subcode": "Busy"},
    }
    script = Script(package(conversation(), invitation, next="/e?ack=2"), i1=httpx.Response(500))

    facts = await run(script)

    assert states(facts) == [CallState.CONNECTED]
    assert isinstance(facts[-1], Gap)


async def test_a_deleted_conversation_is_forgotten():
    script = Script(package(conversation(), conversation(kind="deleted", bare=True), next="/e?ack=2"))

    async with reading(script) as channel, anyio.create_task_group() as tasks:
        tasks.start_soon(channel.run)
        await script.parked.wait()
        await anyio.wait_all_tasks_blocked()
        before = len(script.host.facts)
        channel.lose_calls("forgotten")
        tasks.cancel_scope.cancel()

    assert len(script.host.facts) == before == 2


async def test_losing_the_application_ends_its_calls():
    script = Script(package(conversation(), next="/e?ack=2"))

    async with reading(script) as channel, anyio.create_task_group() as tasks:
        tasks.start_soon(channel.run)
        await script.parked.wait()
        await anyio.wait_all_tasks_blocked()
        channel.lose_calls("forgotten")
        tasks.cancel_scope.cancel()

    assert states(script.host.facts) == [CallState.CONNECTED, CallState.ENDED]
