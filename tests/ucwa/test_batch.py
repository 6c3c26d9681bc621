"""Several reads in one request, from the client through the emulated server and back."""

from __future__ import annotations

import json
import math

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from telco_bridge.provider import (
    AnswerLost,
    AuthenticationFailed,
    Dial,
    NotSent,
    ProviderError,
    RateLimited,
    Refused,
    StreamState,
)
from telco_bridge.sandbox import Fault, SteppedClock
from telco_bridge_ucwa.auth import SignedClient
from telco_bridge_ucwa.batch import BatchRequest, read_batch, write_batch
from telco_bridge_ucwa.body import Unreadable
from telco_bridge_ucwa.config import UcwaConfig
from telco_bridge_ucwa.emulator import batch as served_batch
from telco_bridge_ucwa.emulator.errors import UcwaError
from telco_bridge_ucwa.hosts import open_hosts
from telco_bridge_ucwa.links import Links
from telco_bridge_ucwa.reads import Reads
from telco_bridge_ucwa.session import open_session
from telco_bridge_ucwa.wire import Resource

POOL = "https://pool.example.org"
JSON = "application/json"
ANSWERED = (
    b"a preamble\r\n--b1\r\nContent-Type: application/http; msgtype=response\r\n\r\n"
    b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 999\r\n\r\n\xef\xbb\xbf{"rel":"me"}'
    b"\r\n--b1\r\nContent-Type: application/http; msgtype=response\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n"
    b"\r\n--b1\r\n\r\nHTTP/1.1 404\r\nContent-Type: application/json\r\n\r\n{}\r\n--b1--\r\nan epilogue"
)


def multipart(content: bytes, boundary: str = "b1") -> httpx.Response:
    return httpx.Response(200, content=content, headers={"Content-Type": f'multipart/batching; boundary="{boundary}"'})


# Bodies


@pytest.mark.parametrize("content", [ANSWERED, ANSWERED.replace(b"\r\n", b"\n")])
def test_every_answer_has_its_own_status_and_comes_in_its_place(content):
    parts = read_batch(content, "multipart/batching;boundary=b1")

    assert [part.status_code for part in parts] == [200, 204, 404]
    assert json.loads(parts[0].content.decode("utf-8-sig")) == {"rel": "me"}
    assert [part.content for part in parts[1:]] == [b"", b"{}"]


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (ANSWERED, "application/json"),
        (ANSWERED, "multipart/batching"),
        (ANSWERED.replace(b"--b1--", b"--b2--"), "multipart/batching; boundary=b1"),
        (ANSWERED.replace(b"HTTP/1.1 404", b"hello"), "multipart/batching; boundary=b1"),
        (b"", "multipart/batching; boundary=b1"),
    ],
)
def test_what_is_no_batch_is_unreadable(content, kind):
    with pytest.raises(Unreadable):
        read_batch(content, kind)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.sampled_from([b"--b1", b"--", b"\r\n", b"\n", b"HTTP/1.1 200 OK", b"Content-Type: \xe9", b"x", b":", b"\0"])
    )
)
def test_whatever_comes_is_a_batch_or_unreadable(pieces):
    try:
        parts = read_batch(b"".join(pieces), "multipart/batching; boundary=b1")
    except Unreadable:
        return
    assert all(part.status_code == 200 for part in parts)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.sampled_from([200, 404, 429, 500]), st.binary(max_size=30)), max_size=4))
def test_answers_come_through_whole(given_answers):
    told = [served_batch.Told(status, [("Content-Type", JSON)], body) for status, body in given_answers]
    content, kind = served_batch.write_batch(told, "0c7e-guid-of-no-answer")

    parts = read_batch(content, kind)

    assert [(part.status_code, part.content) for part in parts] == given_answers
    assert all(part.headers["content-type"] == JSON for part in parts)


def test_requests_name_address_host_and_form():
    content, kind = write_batch([BatchRequest(url=f"{POOL}:8443/c/1?x=a%20b", accept=JSON)] * 2, "b1")

    parts = served_batch.read_batch(content, kind)

    part = served_batch.Part("GET", "/c/1?x=a%20b", {"host": "pool.example.org:8443", "accept": JSON}, b"")
    assert parts == [part, part]


@pytest.mark.parametrize(
    ("content", "kind", "status"),
    [
        (b"{}", "application/json", 415),
        (b"{}", "multipart/batching; boundary=b1", 400),
        (b"--b1\r\n\r\nGET / HTTP/1.1\r\n\r\n\r\n--b1--\r\n", "multipart/batching; boundary=b1", 400),
    ],
)
def test_the_emulator_refuses_what_is_no_batch(content, kind, status):
    with pytest.raises(UcwaError) as caught:
        served_batch.read_batch(content, kind)
    assert caught.value.status == status


# Reads


class Clock(SteppedClock):
    """Passes the time that is slept at once, and remembers it."""

    def __init__(self):
        super().__init__()
        self.slept = []

    async def sleep_until(self, instant):
        self.slept.append(instant - self.now())


class Pool:
    """Answers batches by answering their parts; `troubles` are what batches meet with first."""

    def __init__(self, *troubles):
        self.troubles = list(troubles)
        self.sent = []
        self.single = {}

    def handle(self, request):
        if request.url.path != "/batch":
            self.sent.append(request.url.path)
            return self.read(request.url.path)
        parts = served_batch.read_batch(request.content, request.headers["content-type"])
        assert request.headers["accept"] == "multipart/batching"
        self.sent.append(len(parts))
        trouble = self.troubles.pop(0) if self.troubles else None
        if isinstance(trouble, Exception):
            raise trouble
        if trouble is not None:
            return trouble
        answers = [self.single.get(part.target) or self.read(part.target) for part in parts]
        told = [served_batch.Told(a.status_code, list(a.headers.items()), a.content) for a in answers]
        return multipart(served_batch.write_batch(told, "b2")[0], "b2")

    @staticmethod
    def read(path):
        return httpx.Response(200, json={"_links": {"self": {"href": path}}})


async def read(pool, wanted, *, batch="/batch"):
    """Read those links; return what came, and how long was waited before each further attempt."""
    settings = {"application_url": f"{POOL}/apps", "username": "ada", "password": "s3cret"}
    config = UcwaConfig.model_validate(settings)
    clock = Clock()
    async with open_hosts(config, transport=httpx.MockTransport(pool.handle)) as hosts:
        client = SignedClient(hosts, config, clock)
        links = Links(client, clock, base=f"{POOL}/apps")
        reads = Reads(client, links, clock, batch=batch, accept=JSON)
        return await reads.all([(href, "conversation") for href in wanted]), clock.slept, reads


def many(count):
    return [f"/c/{n}" for n in range(count)]


def throttled(**headers):
    return httpx.Response(429, json={"code": "TooManyRequests"}, headers=headers)


async def test_many_links_are_read_in_batches_of_bounded_size_and_in_order():
    pool = Pool()

    found, _, _ = await read(pool, many(45))

    assert pool.sent == [20, 20, 5]
    assert [part.href for part in found] == many(45)


@pytest.mark.parametrize(("count", "batch"), [(3, "/batch"), (5, None), (5, "https://pool.example.org:port/")])
async def test_few_links_are_read_one_by_one_and_so_are_all_without_a_batch_link(count, batch):
    pool = Pool()

    found, _, _ = await read(pool, many(count), batch=batch)

    assert pool.sent == many(count)
    assert [part.href for part in found] == many(count)


async def test_a_server_that_is_gone_is_not_asked_hundreds_of_times():
    pool = Pool()

    def gone(path):
        raise httpx.ReadTimeout(path)

    pool.read = gone
    found, _, _ = await read(pool, many(300), batch=None)

    assert len(pool.sent) == 3
    assert {type(answer) for answer in found} == {AnswerLost}


async def test_a_throttled_batch_is_made_smaller_and_sent_again_when_the_server_says():
    pool = Pool(throttled(**{"Retry-After": "7"}), throttled(**{"Retry-After": "2"}))

    found, slept, _ = await read(pool, many(20))

    assert pool.sent == [20, 10, 5, 5, 5, 5]
    assert slept == [7.0, 2.0]
    assert [part.href for part in found] == many(20)


async def test_without_a_word_from_the_server_the_pauses_grow_and_an_end_is_made():
    pool = Pool(*[throttled()] * 9)

    found, slept, _ = await read(pool, many(8))

    assert pool.sent == [8, 4, 2, 1, 1, 1]
    assert all(2**n <= pause <= 1.5 * 2**n for n, pause in enumerate(slept))
    assert len(slept) == 5
    assert all(isinstance(error, RateLimited) for error in found)


async def test_a_pause_of_hours_is_not_waited_for():
    found, slept, _ = await read(Pool(throttled(**{"Retry-After": "7200"})), many(5))

    assert slept == []
    assert [error.retry_after for error in found] == [7200.0] * 5


@pytest.mark.parametrize(
    ("trouble", "again"),
    [
        (httpx.Response(409, json={"code": "Conflict"}), False),
        (httpx.Response(200, html="<html>"), False),
        (multipart(ANSWERED), False),
        (httpx.Response(500, json={"code": "ServiceFailure"}), True),
        (httpx.ReadError("reset"), True),
    ],
)
async def test_what_a_batch_did_not_bring_is_read_one_by_one(trouble, again):
    pool = Pool(trouble)

    found, _, reads = await read(pool, many(5))

    assert pool.sent == [5, *many(5)]
    assert [part.href for part in found] == many(5)
    assert (reads._batch is not None) is again


async def test_what_keeps_a_batch_from_being_sent_would_keep_its_parts():
    pool = Pool(httpx.ConnectError("no route"))

    found, _, _ = await read(pool, many(5))

    assert pool.sent == [5]
    assert all(isinstance(error, NotSent) for error in found)


async def test_a_part_that_needs_more_than_reading_is_read_alone():
    pool = Pool()
    gone = httpx.Response(404, json={"code": "NotFound"})
    pool.single = {"/c/0": throttled(), "/c/1": httpx.Response(401), "/c/2": gone}

    found, _, _ = await read(pool, ["https://evil.net/c", *many(5)])

    assert pool.sent == [5, "/c/0", "/c/1"]
    assert isinstance(found[0], ProviderError)
    assert isinstance(found[3], Refused)
    assert [part.href for part in (*found[1:3], *found[4:])] == ["/c/0", "/c/1", "/c/3", "/c/4"]


# The emulated server


def post(client, *targets, host=None, boundary="b1"):
    host = host or httpx.URL(client.pool).netloc.decode()
    parts = "".join(
        f"--{boundary}\r\nContent-Type: application/http; msgtype=request\r\n\r\n"
        f"GET {target} HTTP/1.1\r\nHost: {host}\r\nAccept: {JSON}\r\n\r\n\r\n"
        for target in targets
    )
    kind = {"Content-Type": f"multipart/batching;boundary={boundary}", "Accept": "multipart/batching"}
    batch = client.url(client.application["_links"]["batch"]["href"])
    return client.http.post(batch, content=f"{parts}--{boundary}--\r\n", headers=kind)


def paths(client, *rels):
    found = {**client.application["_links"], **client.application["_embedded"]["me"]["_links"]}
    return [httpx.URL(client.url(found[rel]["href"])).raw_path.decode() for rel in rels]


def test_the_emulator_executes_every_part_under_the_token_of_the_batch(client):
    me, events, batch = paths(client, "self", "events", "batch")
    answer = post(client, me, events, batch, "/nowhere")

    parts = read_batch(answer.content, answer.headers["content-type"])
    assert [part.status_code for part in parts] == [200, 400, 400, 404]
    assert parts[0].content.startswith(b"\xef\xbb\xbf")
    assert json.loads(parts[0].content.decode("utf-8-sig"))["rel"] == "me"


def test_a_part_for_another_host_needs_another_token(client):
    answer = post(client, *paths(client, "self"), host="elsewhere.invalid")

    (part,) = read_batch(answer.content, answer.headers["content-type"])
    assert part.status_code == 401


def test_too_many_parts_are_throttled_and_none_is_executed(serve):
    served = serve(batch_limit=2)
    client = served.connect()
    client.sign_in()
    me = paths(client, "self")
    before = len(served.emulator.wire.records(containing="GET me"))

    assert post(client, *me * 3).status_code == 429
    assert len(served.emulator.wire.records(containing="GET me")) == before
    assert post(client, *me * 2).status_code == 200


class Host:
    """Takes what is reported."""

    def __init__(self):
        self.clock = SteppedClock()
        self.last = 0.0

    def stamp(self):
        self.last = math.nextafter(max(self.last, self.clock.now()), math.inf)
        return self.last

    def report(self, *facts):
        """Nobody asks for them."""

    def url(self, path, **query):
        return None


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.parametrize("form", ["json", "xml"])
async def test_calls_that_are_only_linked_are_listed_with_two_batches(serve, anyio_backend, form):
    served = serve(embedded=False, own_phone_answers_after=None)
    config = UcwaConfig.model_validate({**_settings(served.emulator.profile()), "format": form})
    async with open_session(config, Host()) as session:
        for n in range(4):
            await session.execute(Dial(id=f"call-{n}", call=f"call-{n}", to=f"+1425555010{n}"))
        listed = await session.list_calls()

    posted = [record.answer for record in served.emulator.wire.records(containing="POST batch")]
    assert (listed.complete, len(listed.reports)) == (True, 4)
    assert posted == ["200", "200"]
    assert len(served.emulator.wire.records(containing="GET phoneAudio")) >= 4


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.parametrize(
    ("fault", "options", "batches"),
    [
        (Fault.RATE_LIMIT, {"retry_after": 0.0}, 4),
        (Fault.SERVER_ERROR, {"status": 409, "code": "Conflict"}, 1),
        (Fault.MALFORMED_JSON, {}, 1),
        (Fault.DROP_ANSWER, {}, 2),
    ],
)
async def test_calls_are_listed_whatever_happens_to_a_batch(serve, anyio_backend, fault, options, batches):
    served = serve(embedded=False, own_phone_answers_after=None)
    async with open_session(UcwaConfig.model_validate(_settings(served.emulator.profile())), Host()) as session:
        for n in range(4):
            await session.execute(Dial(id=f"call-{n}", call=f"call-{n}", to=f"+1425555010{n}"))
        served.emulator.faults.inject(fault, on="POST batch", times=1, **options)
        listed = await session.list_calls()

    assert (listed.complete, len(listed.reports)) == (True, 4)
    assert len(served.emulator.wire.records(containing="POST batch")) == batches


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_what_was_forgotten_because_events_were_missed_is_read_again_together(serve, anyio_backend):
    served = serve(own_phone_answers_after=None)
    async with open_session(UcwaConfig.model_validate(_settings(served.emulator.profile())), Host()) as session:
        for n in range(2):
            await session.execute(Dial(id=f"call-{n}", call=f"call-{n}", to=f"+1425555010{n}"))
        session._application.resources.drop_calls()
        listed = await session.list_calls()

    told = [{stream.slot: stream.state for stream in report.streams} for report in listed.reports]
    assert [streams["phoneAudio"] for streams in told] == [StreamState.STARTING] * 2
    assert len(served.emulator.wire.records(containing="POST batch")) == 1
    # Once when it was made, and once now.
    assert len(served.emulator.wire.records(containing="GET phoneAudioInvitation")) == 4
    assert served.emulator.wire.records(containing="GET conversation") == served.emulator.wire.records(
        containing="GET conversations"
    )


def _settings(profile):
    return {name: value for name, value in profile.items() if name != "provider"}


async def test_a_token_that_no_part_can_use_is_an_error_of_each():
    pool = Pool()
    pool.single = {path: httpx.Response(401) for path in many(4)}
    pool.read = lambda path: httpx.Response(401)

    found, _, _ = await read(pool, many(4))

    assert all(isinstance(error, AuthenticationFailed) and not isinstance(error, Resource) for error in found)
