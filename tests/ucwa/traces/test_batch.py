"""Reads that are made together, and a server that has no time for so many; as UCWA documents it."""

from __future__ import annotations

import re

import anyio
import httpx
import pytest

from telco_bridge import Call

from .server import TOKEN, A, Json, ScriptedServer, desk, ok, refused, resource

CONVERSATIONS = f"{A}/communication/conversations?filter=active"
OTHERS = [f"{A}/communication/conversations/other{number}" for number in range(4)]
MARK = "\ufeff"


def at(href: str) -> Json:
    """The conversation of the traces, somewhere else."""
    links = {"phoneAudio": f"{href}/phoneAudio", "audioVideo": f"{href}/audioVideo"}
    return resource("conversation", href, links, state="Connected", activeModalities=["Audio"])


class Batching(ScriptedServer):
    """Answers the parts of a batch one by one, and the first batch not at all."""

    def __init__(self) -> None:
        super().__init__()
        self.batches: list[list[str]] = []

    async def handle(self, request: httpx.Request) -> httpx.Response:
        if request.url.path != f"{A}/batch":
            return await super().handle(request)
        headers, body = request.headers, request.content.decode()
        assert (request.method, headers["authorization"]) == ("POST", f"Bearer {TOKEN}")
        assert headers["accept"] == "multipart/batching"
        kind = re.fullmatch(r'multipart/batching; ?boundary="?([^"]+)"?', headers["content-type"])
        assert kind is not None
        first, *parts, last = body.split(f"--{kind[1]}")
        assert (first, last) == ("", "--\r\n")
        asked = [re.fullmatch(PART, part) for part in parts]
        assert None not in asked, body
        self.batches.append([part[1] for part in asked if part is not None])
        if len(self.batches) == 1:
            return refused(429, "TooManyRequests")
        return httpx.Response(200, content=self.answer(), headers={"Content-Type": 'multipart/batching; boundary="b7"'})

    def answer(self) -> bytes:
        parts = [
            "--b7\r\nContent-Type: application/http; msgtype=response\r\n\r\n"
            "HTTP/1.1 200 OK\r\nCache-Control: no-cache\r\nContent-Type: application/json; charset=utf-8\r\n\r\n"
            f"{MARK}{ok(at(href)).text}\r\n"
            for href in self.batches[-1]
        ]
        return ("".join(parts) + "--b7--\r\n").encode()


PART = (
    r"\r\nContent-Type: application/http; msgtype=request\r\n\r\n"
    r"GET (/\S+) HTTP/1\.1\r\nHost: pool2\.example\.org\r\nAccept: application/json\r\n\r\n\r\n"
)


@pytest.mark.parametrize("anyio_backend", ["trio"])
async def test_a_batch_for_which_the_server_has_no_time_is_split_and_sent_later() -> None:
    server = Batching()
    server.signs_in()
    for href in OTHERS:
        for rel in ("phoneAudio", "audioVideo"):
            body = resource(rel, f"{href}/{rel}", {"conversation": href}, state="Disconnected")
            server.tolerates(f"{href}/{rel}", body)
    recovered: list[Call] = []

    async with desk(server) as here:
        links = {"conversation": [{"href": href} for href in OTHERS]}
        server.awaits("GET", CONVERSATIONS, ok(resource("conversations", CONVERSATIONS, links)))

        async def recover() -> None:
            recovered.extend(await here.bridge.recover())

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(recover)
            await here.settle()
            assert server.batches == [OTHERS], "and nothing of it was executed"
            assert recovered == []
            await here.clock.advance(3.0)

        assert [len(batch) for batch in server.batches][:3] == [4, 2, 2]
        assert server.batches[1] + server.batches[2] == OTHERS
        assert sorted(call.native_id or "" for call in recovered) == sorted(OTHERS)
