"""The bridge's web application: in the bridge's loop, closed when the bridge is, and silent about its insides."""

from __future__ import annotations

import socket
import threading

import anyio
import httpx
import pytest
from anyio import to_thread
from starlette.applications import Starlette
from starlette.routing import Mount

from telco_bridge import Bridge, ConfigError, NotPossibleNow
from telco_bridge.provider import WebRequest, WebResponse
from telco_bridge.serving import Server
from telco_bridge.web import MAX_BODY

from .conftest import Opening, Script

LISTEN = {"listen": "127.0.0.1:0"}


def direct(bridge: Bridge) -> httpx.AsyncClient:
    """A client that calls the application in the test's own loop."""
    return httpx.AsyncClient(transport=httpx.ASGITransport(bridge.asgi), base_url="http://bridge.test")


async def post(url: str, content: bytes = b"") -> httpx.Response:
    """A request from another thread, as a server's would be."""
    return await to_thread.run_sync(lambda: httpx.post(url, content=content, timeout=5.0))


@pytest.fixture
def seen(script: Script) -> list[tuple[WebRequest, int]]:
    """Every request that the plugin received, and in which thread."""
    requests: list[tuple[WebRequest, int]] = []

    async def receive(request: WebRequest) -> WebResponse:
        requests.append((request, threading.get_ident()))
        await anyio.lowlevel.checkpoint()
        return WebResponse(status=201, body=b"<Response/>", content_type="text/xml", headers={"x-answer": "42"})

    script.receive = receive
    return requests


async def test_a_bridge_that_is_not_open_answers_503(opening: Opening, seen: list[tuple[WebRequest, int]]) -> None:
    bridge = opening()
    async with direct(bridge) as client:
        assert (await client.post("/status")).status_code == 503
        async with bridge:
            assert (await client.post("/status")).status_code == 201
        assert (await client.post("/status")).status_code == 503

    assert len(seen) == 1


async def test_a_request_arrives_as_it_was_sent_and_is_answered_as_the_plugin_says(
    opening: Opening, seen: list[tuple[WebRequest, int]]
) -> None:
    bridge = opening(web={"public_url": "https://public.example.net/telco/"})
    async with direct(bridge) as client, bridge:
        answer = await client.post("/status/c1?call=7&x=%20", content=b"a=1", headers={"X-Signature": "S"})

    ((request, _),) = seen
    assert (request.method, request.path, request.query) == ("POST", "status/c1", "call=7&x=%20")
    assert request.url == "https://public.example.net/telco/status/c1?call=7&x=%20"
    assert (request.headers["x-signature"], request.body) == ("S", b"a=1")
    assert (answer.status_code, answer.text) == (201, "<Response/>")
    assert (answer.headers["content-type"], answer.headers["x-answer"]) == ("text/xml", "42")


async def test_it_can_be_mounted_below_a_path(opening: Opening, seen: list[tuple[WebRequest, int]]) -> None:
    bridge = opening()
    application = Starlette(routes=[Mount("/telco", app=bridge.asgi)])
    transport = httpx.ASGITransport(application)
    async with httpx.AsyncClient(transport=transport, base_url="http://bridge.test") as client, bridge:
        await client.get("/telco/status?x=1")

    ((request, _),) = seen
    assert (request.path, request.url) == ("status", "http://bridge.test/telco/status?x=1")


async def test_it_serves_itself_and_receives_in_the_bridges_own_loop(
    opening: Opening, script: Script, seen: list[tuple[WebRequest, int]]
) -> None:
    async with opening(web=LISTEN):
        url = script.host.url("status", call="7")
        assert url is not None
        assert url.startswith("http://127.0.0.1:")

        answer = await post(url, b"a=1")

    ((request, thread),) = seen
    assert answer.status_code == 201
    assert request.url == url
    assert thread == threading.get_ident()


async def test_another_server_can_serve_it(opening: Opening, seen: list[tuple[WebRequest, int]]) -> None:
    bridge = opening()
    with Server(bridge.asgi) as server:
        assert (await post(server.url)).status_code == 503
        async with bridge:
            assert (await post(server.url)).status_code == 201
        assert (await post(server.url)).status_code == 503

    assert seen[0][1] == threading.get_ident()


@pytest.mark.parametrize(("size", "status"), [(MAX_BODY, 201), (MAX_BODY + 1, 413)])
async def test_a_body_that_is_too_large_is_refused(
    opening: Opening, script: Script, seen: list[tuple[WebRequest, int]], size: int, status: int
) -> None:
    async with opening(web=LISTEN):
        url = script.host.url("status")
        assert url is not None
        assert (await post(url, b"x" * size)).status_code == status


async def test_a_plugin_that_breaks_answers_500_and_tells_nothing(opening: Opening, script: Script) -> None:
    async def receive(request: WebRequest) -> WebResponse:
        raise LookupError("token=hunter2")

    script.receive = receive
    bridge = opening()
    async with direct(bridge) as client, bridge:
        answer = await client.post("/status")

    assert (answer.status_code, answer.text) == (500, "")


async def test_a_request_that_the_plugin_parks_does_not_hang_the_exit(opening: Opening, script: Script) -> None:
    parked = anyio.Event()

    async def receive(request: WebRequest) -> WebResponse:
        parked.set()
        await anyio.sleep_forever()
        raise AssertionError

    script.receive = receive
    bridge = opening()
    answers: list[httpx.Response] = []

    async def ask(url: str) -> None:
        answers.append(await post(url))

    with Server(bridge.asgi) as server, anyio.fail_after(3):
        async with anyio.create_task_group() as tasks, bridge:
            tasks.start_soon(ask, server.url)
            await parked.wait()

    assert answers[0].status_code == 503


async def test_a_websocket_that_nobody_expects_is_refused(opening: Opening) -> None:
    sent: list[object] = []

    async def send(message: object) -> None:
        sent.append(message)

    async def receive() -> dict[str, object]:
        return {"type": "websocket.connect"}

    scope = {"type": "websocket", "path": "/media/0123/secret", "headers": [], "query_string": b"", "scheme": "ws"}
    await opening().asgi(scope, receive, send)  # type: ignore[arg-type]

    assert sent == [{"type": "websocket.close", "code": 1008}]


async def test_an_address_that_is_taken_is_told_with_its_setting(opening: Opening) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]

        with pytest.raises(ConfigError, match=rf"web\.listen: cannot listen on 127\.0\.0\.1:{port}: Address already"):
            async with opening(web={"listen": f"127.0.0.1:{port}"}):
                pytest.fail("it is taken")


async def test_without_a_public_address_there_are_no_urls(opening: Opening, script: Script) -> None:
    async with opening():
        assert script.host.url("status") is None


async def test_the_application_is_asked_for_before_the_bridge_is_entered(opening: Opening) -> None:
    async with opening() as bridge:
        with pytest.raises(NotPossibleNow, match="before the bridge is entered"):
            _ = bridge.asgi


async def test_urls_are_quoted(opening: Opening, script: Script) -> None:
    async with opening(web={"public_url": "https://public.example.net"}):
        assert script.host.url("/status", to="a b&c") == "https://public.example.net/status?to=a+b%26c"


async def test_a_request_that_waits_holds_up_none_behind_it(opening: Opening, script: Script) -> None:
    decided, passed = anyio.Event(), anyio.Event()
    answered: list[str] = []

    async def receive(request: WebRequest) -> WebResponse:
        if request.path == "parked":
            await decided.wait()
        return WebResponse(body=request.path.encode())

    async def ask(url: str) -> None:
        answered.append((await post(url)).text)
        if len(answered) == 8:
            passed.set()

    script.receive = receive
    async with opening(web=LISTEN):
        base = script.host.url("")
        with anyio.fail_after(5):
            async with anyio.create_task_group() as tasks:
                for number in range(8):
                    tasks.start_soon(ask, f"{base}parked")
                    tasks.start_soon(ask, f"{base}quick-{number}")
                await passed.wait()
                assert set(answered) == {f"quick-{number}" for number in range(8)}
                decided.set()

    assert answered.count("parked") == 8


async def test_requests_that_come_while_the_bridge_closes_are_answered(opening: Opening, script: Script) -> None:
    statuses: list[int] = []
    some = anyio.Event()

    async def receive(request: WebRequest) -> WebResponse:
        await anyio.lowlevel.checkpoint()
        return WebResponse(status=204)

    async def ask(url: str) -> None:
        while 503 not in statuses:
            statuses.append((await post(url)).status_code)
            some.set()

    script.receive = receive
    bridge = opening()
    with Server(bridge.asgi) as server, anyio.fail_after(10):
        async with anyio.create_task_group() as tasks, bridge:
            for _ in range(6):
                tasks.start_soon(ask, server.url)
            await some.wait()

    assert set(statuses) == {204, 503}


async def test_a_plugin_that_breaks_for_a_request_from_elsewhere_harms_no_other(
    opening: Opening, script: Script
) -> None:
    async def receive(request: WebRequest) -> WebResponse:
        if request.path == "broken":
            raise LookupError("token=hunter2")
        return WebResponse(status=204)

    script.receive = receive
    async with opening(web=LISTEN):
        base = script.host.url("")
        assert (await post(f"{base}broken")).status_code == 500
        assert (await post(f"{base}whole")).status_code == 204
