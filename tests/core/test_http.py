"""The client of plugins: inside one origin, bounded, and its failures are facts, whoever makes the connections."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import anyio
import httpx
import pytest
from anyio.abc import SocketAttribute, SocketStream, TaskStatus

from telco_bridge import http
from telco_bridge.http import MAX_BODY, ForeignOrigin, SpreadTransport, open_client, send
from telco_bridge.provider import AnswerLost, NotSent

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


class Far:
    """A server that does with each request, in turn, what a list of answers says; None closes the connection."""

    def __init__(self, answers: list[bytes | None]) -> None:
        self.answers = answers
        self.requests: list[bytes] = []
        self.connections = 0
        self.streams: list[SocketStream] = []
        self.url = ""

    async def take(self, stream: SocketStream) -> None:
        self.connections += 1
        self.streams.append(stream)
        async with stream:
            try:
                while True:
                    await self._serve(stream)
            except (anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError):
                return

    async def _serve(self, stream: SocketStream) -> None:
        request = b""
        while b"\r\n\r\n" not in request:
            request += await stream.receive()
        head, _, body = request.partition(b"\r\n\r\n")
        length = next(
            (int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")), 0
        )
        while len(body) < length:
            body += await stream.receive()
        self.requests.append(head + b"\r\n\r\n" + body)
        answer = self.answers.pop(0)
        if answer is not None:
            await stream.send(answer)
        if answer is None or not answer.endswith(b"ok"):
            await stream.aclose()


@pytest.fixture
async def far() -> AsyncIterator[Callable[..., Awaitable[Far]]]:
    """Builds servers in the test's own loop."""
    async with anyio.create_task_group() as tasks:

        async def build(*answers: bytes | None) -> Far:
            served = Far(list(answers))
            served.url = await tasks.start(_serve, served.take)
            return served

        yield build
        tasks.cancel_scope.cancel()


async def _serve(handler: Callable[[SocketStream], Awaitable[None]], *, task_status: TaskStatus[str]) -> None:
    async with await anyio.create_tcp_listener(local_host="127.0.0.1") as listener:
        task_status.started(f"http://127.0.0.1:{listener.extra(SocketAttribute.local_port)}")
        await listener.serve(handler)


Opened = Callable[..., AbstractAsyncContextManager[httpx.AsyncClient]]


@pytest.fixture(params=["usual", "spread"])
def opened(request: pytest.FixtureRequest, anyio_backend: str) -> Opened:
    """Opens a client with the connections that this event loop gets, and with httpx's own."""

    @asynccontextmanager
    async def build(*origins: str, **options: object) -> AsyncIterator[httpx.AsyncClient]:
        if request.param == "spread":
            options["transport"] = SpreadTransport()
        async with open_client(*origins, **options) as client:  # type: ignore[arg-type]
            yield client

    return build


async def post(client: httpx.AsyncClient, url: str, content: bytes = b"a=1") -> httpx.Response:
    return await send(client, client.build_request("POST", url, content=content), provider="test")


async def test_where_asyncio_runs_and_aiohttp_is_installed_it_makes_the_connections(anyio_backend: str) -> None:
    pytest.importorskip("aiohttp")
    made = http._connections()

    assert type(made).__name__ == ("AiohttpTransport" if anyio_backend == "asyncio" else "SpreadTransport")
    await made.aclose()


async def test_an_answer_is_read_whole_and_the_connection_is_kept(opened: Opened, far) -> None:
    server = await far(OK, OK)
    async with opened(server.url, auth=("name", "secret")) as client:
        first = await post(client, f"{server.url}/a%2Fb?x=%20")
        second = await post(client, server.url)

    assert (first.status_code, first.text, second.text) == (200, "ok", "ok")
    assert first.request.url == f"{server.url}/a%2Fb?x=%20"
    assert server.requests[0].startswith(b"POST /a%2Fb?x=%20 HTTP/1.1\r\n")
    assert server.requests[0].endswith(b"\r\n\r\na=1")
    assert b"authorization: basic bmftztpzzwnyzxq=" in server.requests[0].lower()
    assert server.requests[0].lower().count(b"user-agent:") == 1
    assert server.connections == 1


async def test_nobody_there_is_not_sent(opened: Opened) -> None:
    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    url = f"http://127.0.0.1:{listener.extra(SocketAttribute.local_port)}"
    await listener.aclose()
    async with opened(url) as client:
        with pytest.raises(NotSent, match=f"POST {url} was not sent"):
            await post(client, url)


async def test_a_host_without_an_address_is_not_sent(opened: Opened) -> None:
    async with opened("http://nobody.invalid") as client:
        with pytest.raises(NotSent):
            await post(client, "http://nobody.invalid/")


async def test_a_handshake_that_fails_is_not_sent(opened: Opened) -> None:
    async def hang_up(stream: SocketStream) -> None:
        await stream.receive()
        await stream.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await stream.aclose()

    async with anyio.create_task_group() as tasks:
        url = (await tasks.start(_serve, hang_up)).replace("http:", "https:")
        async with opened(url) as client:
            with pytest.raises(NotSent):
                await post(client, url)
        tasks.cancel_scope.cancel()


@pytest.mark.parametrize(
    "answer",
    [
        None,
        b"HTTP/1.1 200 OK\r\ncontent-length: 20\r\n\r\nhalf",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n",
        b"HTTP/1.1 200 O",
        b"what is this?\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\ncontent-encoding: gzip\r\n\r\nhalf",
    ],
)
async def test_an_answer_that_breaks_off_is_lost_and_nothing_is_sent_again(opened: Opened, far, answer) -> None:
    server = await far(answer, OK, OK)
    async with opened(server.url) as client:
        with pytest.raises(AnswerLost, match="no whole answer came"):
            await post(client, f"{server.url}/Calls?token=secret")

    assert len(server.requests) == 1


async def test_a_kept_connection_that_breaks_under_a_request_is_a_lost_answer(opened: Opened, far) -> None:
    server = await far(OK, None, OK)
    async with opened(server.url) as client:
        await post(client, server.url)
        with pytest.raises(AnswerLost):
            await post(client, server.url)

    assert len(server.requests) == 2


async def test_even_a_question_is_not_sent_again_behind_the_callers_back(opened: Opened, far) -> None:
    server = await far(OK, None, OK)
    async with opened(server.url) as client:
        await post(client, server.url)
        with pytest.raises(AnswerLost):
            await send(client, client.build_request("GET", server.url), provider="acme")

    assert len(server.requests) == 2


async def test_a_kept_connection_that_was_closed_before_is_not_used_again(opened: Opened, far) -> None:
    server = await far(OK, OK)
    async with opened(server.url) as client:
        await post(client, server.url)
        await server.streams[0].aclose()
        answer = await post(client, server.url)

    assert answer.text == "ok"
    assert (server.connections, len(server.requests)) == (2, 2)


async def test_an_answer_that_takes_too_long_is_lost(opened: Opened) -> None:
    async with await anyio.create_tcp_listener(local_host="127.0.0.1") as silent:
        url = f"http://127.0.0.1:{silent.extra(SocketAttribute.local_port)}"
        async with opened(url, timeout=0.1) as client:
            with pytest.raises(AnswerLost, match="ReadTimeout"):
                await post(client, url)


async def test_a_redirect_is_not_followed(opened: Opened, far) -> None:
    server = await far(b"HTTP/1.1 302 Found\r\nlocation: /elsewhere\r\ncontent-length: 2\r\n\r\nok")
    async with opened(server.url) as client:
        assert (await post(client, server.url)).status_code == 302

    assert len(server.requests) == 1


async def test_another_origin_is_refused_before_anything_is_sent(opened: Opened, far) -> None:
    server, other = await far(OK), await far(OK)
    async with opened(server.url) as client:
        with pytest.raises(ForeignOrigin):
            await post(client, other.url)

    assert other.connections == 0


def _gzipped(size: int) -> bytes:
    packed = gzip.compress(bytes(size))
    return b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: %d\r\n\r\n%b" % (len(packed), packed)


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % (MAX_BODY + 1) + bytes(MAX_BODY + 1),
        b"HTTP/1.1 200 OK\r\n\r\n" + bytes(MAX_BODY + 1),
        _gzipped(MAX_BODY + 1),
    ],
    ids=["announced", "unannounced", "packed"],
)
async def test_a_body_that_is_too_large_is_not_read(opened: Opened, far, answer: bytes) -> None:
    server = await far(answer)
    async with opened(server.url) as client:
        with pytest.raises(AnswerLost, match=f"exceeds {MAX_BODY} bytes"):
            await post(client, server.url)


async def test_a_packed_body_is_unpacked(opened: Opened, far) -> None:
    server = await far(_gzipped(1000))
    async with opened(server.url) as client:
        answer = await post(client, server.url)

    assert answer.content == bytes(1000)
    assert "content-encoding" not in answer.headers
    assert zlib.crc32(answer.content) == zlib.crc32(bytes(1000))


async def test_cookies_are_kept(opened: Opened, far) -> None:
    server = await far(b"HTTP/1.1 200 OK\r\nset-cookie: node=7; Path=/\r\ncontent-length: 2\r\n\r\nok", OK)
    async with opened(server.url) as client:
        await post(client, server.url)
        await post(client, server.url)

    assert b"cookie: node=7" in server.requests[1].lower()


async def test_many_requests_are_under_way_at_once(opened: Opened, far) -> None:
    server = await far(*[OK] * 200)
    statuses: list[int] = []
    async with opened(server.url) as client:

        async def ask() -> None:
            statuses.append((await post(client, server.url)).status_code)

        async with anyio.create_task_group() as tasks:
            for _ in range(200):
                tasks.start_soon(ask)

    assert statuses == [200] * 200


async def test_a_closed_client_sends_nothing(opened: Opened, far) -> None:
    server = await far(OK)
    async with opened(server.url) as client:
        pass
    with pytest.raises(NotSent, match="closed"):
        await post(client, server.url)

    assert server.connections == 0
