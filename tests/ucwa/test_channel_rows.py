"""What the event channel does with every special answer that UCWA documents, one test for each."""

from __future__ import annotations

import math
from contextlib import asynccontextmanager

import anyio
import httpx
import pytest

from telco_bridge.http import open_client, send
from telco_bridge.provider import CallReport, CallState, Gap, ProviderError
from telco_bridge.sandbox import SteppedClock
from telco_bridge_ucwa.channel import EventChannel
from telco_bridge_ucwa.poll import ApplicationLost, Loss
from telco_bridge_ucwa.resources import Resources
from telco_bridge_ucwa.wire import resource_in

HOST = "https://pool.example.org"
C = "/app/c1"
EVENTS = "/app/events?ack=1&key=k"
FIRST = f"{EVENTS}&timeout=300&medium=10&priority=1"
TIMING = {"timeout": 300, "medium": 10, "priority": 1}


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


class Channel:
    """An event channel, the answers that its GETs get one after the other, and what it did with them."""

    def __init__(self, *answers, **resources):
        self.host = Host()
        self.answers = list(answers)
        self.resources = resources
        self.polled = []
        self.read = []
        self.recovered = []
        self.renewed = 0
        self.known = Resources(HOST)

    async def handle(self, request):
        path = request.url.raw_path.decode()
        if path.rpartition("/")[2] in self.resources:
            self.read.append(path)
            return self.resources[path.rpartition("/")[2]]
        if path == C:
            return httpx.Response(404)
        self.polled.append(path)
        answer = self.answers.pop(0) if self.answers else None
        if answer is None:
            await anyio.sleep_forever()
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def renew(self):
        self.renewed += 1
        return "/app/events?ack=70&key=k"

    async def recover(self):
        self.recovered.append(len(self.host.facts))
        await anyio.lowlevel.checkpoint()

    @asynccontextmanager
    async def open(self):
        async with open_client(HOST, transport=httpx.MockTransport(self.handle)) as client:

            async def get(href):
                return await send(client, client.build_request("GET", self.known.url(href)), provider="ucwa")

            async def fetch(href, _):
                return await get(href)

            async def read(href, rel):
                answer = await get(href)
                if answer.status_code != 200:
                    raise ProviderError("it could not be read", status=answer.status_code)
                return resource_in(answer, rel=rel)

            yield EventChannel(
                events=EVENTS,
                renew=self.renew,
                fetch=fetch,
                read=read,
                resources=self.known,
                host=self.host,
                timing=TIMING,
                recover=self.recover,
            )

    async def run(self, *, seconds=0.0):
        """Run, for that long, again whenever it has failed, as the core does. Return how it failed."""
        failures = []
        async with self.open() as channel, anyio.create_task_group() as tasks:

            async def keep_running():
                while True:
                    try:
                        await channel.run()
                    except ProviderError as error:
                        failures.append(error)
                        if isinstance(error, ApplicationLost):
                            return

            tasks.start_soon(keep_running)
            await self.host.clock.advance(seconds)
            await anyio.wait_all_tasks_blocked()
            tasks.cancel_scope.cancel()
        return failures

    @property
    def gaps(self):
        return [fact.why for fact in self.host.facts if isinstance(fact, Gap)]

    @property
    def calls(self):
        return [(f.state, f.cause.code if f.cause else None) for f in self.host.facts if isinstance(f, CallReport)]


def conversation(state="Connected", reason=None):
    body = {"state": state, "activeModalities": ["Audio"], "_links": {"self": {"href": C}}}
    event = {"link": {"rel": "conversation", "href": C}, "type": "updated", "_embedded": {"conversation": body}}
    return event | ({"reason": reason} if reason else {})


def package(*events, **links):
    senders = [{"rel": "communication", "href": "/app/communication", "events": [event]} for event in events]
    named = {name: {"href": href} for name, href in links.items()}
    return httpx.Response(200, json={"_links": named, "sender": senders})


def problem(status, subcode, code="Some", **headers):
    return httpx.Response(status, json={"code": code, "subcode": subcode, "message": "words"}, headers=headers)


async def test_resync_is_followed_and_then_everything_is_read_again_before_the_gap_is_told():
    channel = Channel(
        package(conversation(), next="/e?ack=9"),
        package(resync="/e?ack=6", resume="/e?ack=7", next="/e?ack=10"),
        package(conversation("Disconnecting"), next="/e?ack=7"),
    )

    await channel.run()

    assert channel.polled == [FIRST, "/e?ack=9", "/e?ack=6", "/e?ack=7"]
    assert channel.calls == [(CallState.CONNECTED, None), (CallState.ENDING, None)]
    assert channel.recovered == [2]
    assert channel.gaps == ["resync"]


async def test_a_server_that_sends_back_again_and_again_is_not_asked_at_full_speed():
    channel = Channel(package(conversation(), next="/e?ack=9"), *[package(resync="/e?ack=6")] * 4, None)

    async with channel.open() as events:
        with pytest.raises(ProviderError, match="elsewhere 4 times in a row"):
            await events.run()

    assert channel.gaps == []


@pytest.mark.parametrize("lost", [package(resume="/e?ack=6"), problem(500, "MaxEventCountReached")])
async def test_a_server_that_begins_anew_again_and_again_is_not_asked_at_full_speed(lost):
    channel = Channel(package(conversation(), next="/e?ack=9"), *[lost] * 10)

    async with channel.open() as events:
        for _ in range(3):
            with pytest.raises(ProviderError, match="elsewhere 4 times in a row"):
                await events.run()

    assert len(channel.polled) == 1 + 4 + 2
    assert channel.calls == [(CallState.CONNECTED, None), (CallState.ENDED, "resume")]


@pytest.mark.parametrize("empty", [package(next="/e?ack=2"), package(conversation(), next="/e?ack=2")])
async def test_a_server_that_does_not_let_polls_wait_is_asked_ever_more_slowly(empty):
    channel = Channel(*[empty] * 1000)

    await channel.run(seconds=300.0)

    assert 15 < len(channel.polled) < 30


async def test_what_a_busy_hour_leaves_to_be_read_is_not_read_all_at_once():
    reading, most = 0, 0
    bare = [{"link": {"rel": "conversation", "href": f"/app/c{n}"}, "type": "updated"} for n in range(100)]
    channel = Channel(package(*bare, next="/e?ack=2"))
    handle = channel.handle

    async def handled(request):
        nonlocal reading, most
        if not request.url.path.startswith("/app/c"):
            return await handle(request)
        channel.read.append(request.url.path)
        reading += 1
        most = max(most, reading)
        await channel.host.clock.sleep_until(channel.host.clock.now() + 1.0)
        reading -= 1
        return httpx.Response(200, json={"state": "Connected", "activeModalities": ["Audio"]})

    channel.handle = handled
    await channel.run(seconds=20.0)

    connected = [state for state, _ in channel.calls if state is CallState.CONNECTED]
    assert len(set(channel.read)) == len(connected) == 100
    assert most <= 16


async def test_a_conversation_that_is_deleted_before_it_could_be_read_leaves_no_gap():
    bare = {"link": {"rel": "conversation", "href": C}, "type": "updated"}
    gone = {"link": {"rel": "conversation", "href": C}, "type": "deleted"}
    channel = Channel(package(conversation(), next="/e?ack=2"), package(bare, gone, next="/e?ack=3"))

    await channel.run()

    assert channel.gaps == []
    assert [state for state, _ in channel.calls] == [CallState.CONNECTED, CallState.ENDED]


async def test_resume_ends_local_calls_and_says_again_how_long_to_wait():
    channel = Channel(package(conversation(), next="/e?ack=2"), package(resume="/e?ack=3", next="/e?ack=4"))

    await channel.run()

    assert channel.polled[-1] == "/e?ack=3&timeout=300&medium=10&priority=1"
    assert channel.calls == [(CallState.CONNECTED, None), (CallState.ENDED, "resume")]
    assert channel.gaps == ["resume"]
    assert channel.recovered == [2]


@pytest.mark.parametrize("status", [200, 404, 409, 410, 500])
async def test_an_overflow_is_a_resume_in_whatever_answer_it_comes(status):
    channel = Channel(package(conversation(), next="/e?ack=2"), problem(status, "MaxEventCountReached"))

    await channel.run()

    assert channel.polled[-1] == "/app/events?ack=70&key=k&timeout=300&medium=10&priority=1"
    assert channel.calls == [(CallState.CONNECTED, None), (CallState.ENDED, "resume")]
    assert channel.gaps == ["resume"]
    assert channel.renewed == 1


async def test_an_overflow_that_an_event_gives_as_its_reason_is_a_resume():
    lost = {"code": "LocalFailure", "subcode": "MaxEventCountReached"}
    channel = Channel(package(conversation(), next="/e?ack=2"), package(conversation(reason=lost), next="/e?ack=3"))

    await channel.run()

    assert channel.polled[-1] == "/e?ack=3"
    assert channel.calls[-1] == (CallState.ENDED, "resume")
    assert channel.gaps == ["resume"]


async def test_a_poll_that_is_replaced_twice_has_lost_to_another_program():
    channel = Channel(package(next="/e?ack=2"), problem(409, "PGetReplaced"), problem(409, "PGetReplaced"))

    (lost,) = await channel.run()

    assert lost.loss is Loss.REPLACED
    assert lost.again
    assert "endpoint_id" in str(lost)
    assert channel.polled == [FIRST, "/e?ack=2", "/e?ack=2"]


async def test_a_poll_that_is_replaced_once_is_repeated():
    channel = Channel(problem(409, "PGetReplaced"), package(next="/e?ack=2"), problem(409, "PGetReplaced"))

    assert await channel.run() == []
    assert channel.polled == [FIRST, FIRST, "/e?ack=2", "/e?ack=2"]


async def test_a_conflict_of_another_kind_says_nothing_of_other_readers():
    channel = Channel(problem(409, "AlreadyExists"))

    (refused,) = await channel.run()

    assert not isinstance(refused, ApplicationLost)


@pytest.mark.parametrize(
    "trouble",
    [problem(408, None), httpx.Response(500), problem(503, None), httpx.Response(504), httpx.ReadError("reset")],
    ids=["408", "500", "503", "504", "reset"],
)
async def test_the_same_poll_is_repeated_after_growing_pauses_up_to_half_a_minute(trouble):
    channel = Channel(*[trouble] * 9, package(next="/e?ack=2"))
    came = []

    async with channel.open() as events, anyio.create_task_group() as tasks:

        async def keep_running():
            while True:
                try:
                    await events.run()
                except ProviderError:
                    came.append(channel.host.clock.now())

        start = channel.host.clock.now()
        tasks.start_soon(keep_running)
        await channel.host.clock.advance(1 + 2 + 4 + 8 + 16 + 30 * 4)
        await anyio.wait_all_tasks_blocked()
        tasks.cancel_scope.cancel()

    # The first two failures are nobody's business; the application is told of each one after them.
    assert [at - start for at in came] == [3, 7, 15, 31, 61, 91, 121]
    assert channel.polled == [FIRST] * 10 + ["/e?ack=2"]
    assert channel.gaps == ["the event channel was down"]


async def test_a_channel_that_fails_for_a_quarter_of_an_hour_has_lost_the_application():
    channel = Channel(package(conversation(), next="/e?ack=2"), *[httpx.ConnectError("down")] * 60)

    failures = await channel.run(seconds=890)
    assert not any(isinstance(failure, ApplicationLost) for failure in failures)

    again = Channel(*[httpx.ConnectError("down")] * 60)
    lost = (await again.run(seconds=960))[-1]

    assert lost.loss is Loss.SILENT
    assert lost.again


async def test_a_poll_that_times_out_here_is_no_failure():
    slow = httpx.ReadTimeout("slow")
    channel = Channel(slow, package(next="/e?ack=2"), slow, package(next="/e?ack=3"), slow, package(next="/e?ack=4"))

    assert await channel.run() == []
    assert channel.polled == [FIRST, FIRST, "/e?ack=2", "/e?ack=2", "/e?ack=3", "/e?ack=3", "/e?ack=4"]


async def test_a_server_that_never_answers_a_poll_is_told_of_all_the_same():
    channel = Channel(*[httpx.ReadTimeout("slow")] * 4)

    (failure,) = await channel.run(seconds=3)

    assert "failed 3 times" in str(failure)


async def test_no_server_can_silence_the_channel_until_the_application_is_dropped():
    busy = httpx.Response(429, headers={"retry-after": "86400"})
    channel = Channel(busy, package(next="/e?ack=2"))

    await channel.run(seconds=300)

    assert channel.polled == [FIRST, FIRST, "/e?ack=2"]


async def test_one_answer_makes_the_pauses_short_again():
    down = httpx.ConnectError("down")
    channel = Channel(down, down, package(next="/e?ack=2"), down, package(next="/e?ack=3"))

    assert await channel.run(seconds=4) == []
    assert channel.polled[-1] == "/e?ack=3"


@pytest.mark.parametrize("rel", ["me", "communication"])
async def test_a_resource_of_the_application_that_changed_is_read_again(rel):
    changed = {"link": {"rel": rel, "href": f"/app/{rel}"}, "type": "updated"}
    body = {"_links": {"self": {"href": f"/app/{rel}"}, "reportMyActivity": {"href": "/app/active2"}}}
    channel = Channel(package(changed, next="/e?ack=2"), **{rel: httpx.Response(200, json=body)})

    await channel.run()

    assert channel.read == [f"/app/{rel}"]
    assert channel.known.only(rel).link("reportMyActivity") == "/app/active2"
    assert channel.host.facts == []


async def test_a_resource_of_the_application_that_cannot_be_read_is_no_gap():
    changed = {"link": {"rel": "me", "href": "/app/me"}, "type": "updated"}
    channel = Channel(package(changed, next="/e?ack=2"), me=httpx.Response(500))

    assert await channel.run() == []
    assert channel.gaps == []


async def test_what_every_sender_block_says_is_taken_from_the_top_to_the_bottom():
    def block(sender, *events):
        return {"rel": sender, "href": f"/app/{sender}", "events": list(events)}

    states = ["Connecting", "Connected", "Disconnecting", "Disconnected"]
    events = [conversation(state) for state in states]
    blocks = [block("communication", *events[:2]), block("me"), block("conversation", events[2])]
    blocks.append(block("communication", events[3]))
    answer = httpx.Response(200, json={"_links": {"next": {"href": "/e?ack=2"}}, "sender": blocks})
    channel = Channel(answer)

    await channel.run()

    assert [state for state, _ in channel.calls] == [
        CallState.DIALING,
        CallState.CONNECTED,
        CallState.ENDING,
        CallState.ENDED,
    ]


async def test_a_lost_application_is_told_however_long_what_was_to_be_read_takes(monkeypatch):
    monkeypatch.setattr("telco_bridge_ucwa.channel._GRACE", 0.01)
    bare = {"link": {"rel": "conversation", "href": "/app/slow"}, "type": "updated"}
    channel = Channel(package(conversation(), bare, next="/e?ack=2"), problem(404, "ApplicationNotFound"))
    handle = channel.handle

    async def handled(request):
        if request.url.path == "/app/slow":
            await anyio.sleep_forever()
        return await handle(request)

    channel.handle = handled
    async with channel.open() as events:
        with pytest.raises(ApplicationLost), anyio.fail_after(5):
            await events.run()

    assert channel.calls == [(CallState.CONNECTED, None)]
