"""The far side of the UCWA benchmarks: a pool whose event channel says what it is told to.

Prints `{"port": PORT}`, then reads orders from standard input, one JSON object a line, and answers each in a line:
`{"live": N}` connects N calls; `{"flips": N, "together": K}` puts them on hold and takes them back, N events in
packages of K; `{"lives": N, "together": K}` has N calls come, connect and end; `{"pings": N, "every": S}` flips one at
a time, each released to a GET that is parked, with the instant of its release in the property `sentAt`.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import re
import sys
import time
from collections import deque
from collections.abc import Iterator

APP = "/ucwa/oauth/v1/applications/10233"
HUB = f"{APP}/communication"
_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)

Json = dict[str, object]


def link(href: str) -> Json:
    return {"href": href}


APPLICATION: Json = {
    "rel": "application",
    "_links": {"self": link(APP), "events": link(f"{APP}/events?ack=1")},
    "_embedded": {
        "me": {"rel": "me", "uri": "sip:ada@example.org", "name": "Ada", "_links": {"self": link(f"{APP}/me")}},
        "communication": {
            "rel": "communication",
            "supportedModalities": [],
            "_links": {"self": link(HUB), "conversations": link(f"{HUB}/conversations?filter=active")},
        },
    },
}


def event(rel: str, href: str, kind: str, body: Json | None = None, **more: object) -> Json:
    told: Json = {"link": {"rel": rel, "href": href}, "type": kind, **more}
    if body is not None:
        told["_embedded"] = {rel: {"rel": rel, **body}}
    return told


class Conversation:
    """One call on the user's phone, and the events that tell of it, each with the rel of its sender."""

    numbers = itertools.count(1)

    def __init__(self) -> None:
        number = next(self.numbers)
        self.href = f"{HUB}/conversations/{number:08x}-4f1d-4c3b-9a51-6b7d2a9c0e13"
        self.invitation = f"{HUB}/phoneAudioInvitations/{number}"
        self.caller = f"sip:+1555010{number % 10_000:04}@example.org;user=phone"
        self.held = False

    def _modality(self, state: str, *links: str, **more: object) -> Json:
        shown = {name: link(f"{self.href}/phoneAudio/{name}") for name in links}
        around = {"self": link(f"{self.href}/phoneAudio"), "conversation": link(self.href)}
        return {"state": state, **more, "_links": {**around, **shown}}

    def _body(self, state: str, *active: str) -> Json:
        return {
            "state": state,
            "threadId": "AdPzmBdE3nPwPFhXSpaLVWFD0yZ2XQ==",
            "subject": "",
            "activeModalities": list(active),
            "importance": "Normal",
            "recording": False,
            "_links": {
                "self": link(self.href),
                "localParticipant": link(f"{self.href}/localParticipant"),
                "participants": link(f"{self.href}/participants"),
                "phoneAudio": link(f"{self.href}/phoneAudio"),
                "audioVideo": link(f"{self.href}/audioVideo"),
            },
        }

    def _invited(self, state: str, *links: str) -> Json:
        shown = {name: link(f"{self.invitation}/{name}") for name in links}
        return {
            "direction": "Incoming",
            "importance": "Normal",
            "threadId": "AdPzmBdE3nPwPFhXSpaLVWFD0yZ2XQ==",
            "state": state,
            "subject": "",
            "_links": {
                "self": link(self.invitation),
                "conversation": link(self.href),
                "phoneAudio": link(f"{self.href}/phoneAudio"),
                "to": link(f"{HUB}/contacts/ada"),
                **shown,
            },
            "_embedded": {"from": {"rel": "participant", "uri": self.caller, "name": "Bob", "anonymous": False}},
        }

    def connect(self) -> Iterator[tuple[str, Json]]:
        yield (
            "communication",
            event("phoneAudioInvitation", self.invitation, "started", self._invited("Connecting", "decline")),
        )
        yield "communication", event("conversation", self.href, "added", self._body("Incoming", "Audio"))
        talking = self._modality("Connected", "stopPhoneAudio", "holdPhoneAudio")
        yield "conversation", event("phoneAudio", f"{self.href}/phoneAudio", "updated", talking)
        yield "communication", event("conversation", self.href, "updated", self._body("Connected", "Audio"))
        outcome = self._invited("Connected")
        yield (
            "communication",
            event("phoneAudioInvitation", self.invitation, "completed", outcome, status="Success"),
        )

    def flip(self, **more: object) -> Iterator[tuple[str, Json]]:
        self.held = not self.held
        verb = "resumePhoneAudio" if self.held else "holdPhoneAudio"
        body = self._modality("Connected", "stopPhoneAudio", verb, **more)
        yield "conversation", event("phoneAudio", f"{self.href}/phoneAudio", "updated", body)

    def end(self) -> Iterator[tuple[str, Json]]:
        yield "conversation", event("phoneAudio", f"{self.href}/phoneAudio", "updated", self._modality("Disconnected"))
        yield "communication", event("conversation", self.href, "updated", self._body("Disconnected"))
        yield "communication", event("conversation", self.href, "deleted")

    def life(self) -> Iterator[tuple[str, Json]]:
        yield from self.connect()
        yield from self.end()


class Pool:
    """What the connections share: the packages that wait, and the GET that waits for one."""

    def __init__(self) -> None:
        self.live: list[Conversation] = []
        self._packages: deque[bytes] = deque()
        self._ack = 1
        self._parked: Connection | None = None
        self._arrived = asyncio.Event()

    def poll(self, connection: Connection) -> None:
        if self._packages:
            connection.send(200, self._packages.popleft())
        else:
            self._parked = connection
            self._arrived.set()

    def queue(self, events: Iterator[tuple[Conversation, str, Json]]) -> None:
        """Put events into one package, in blocks of one sender each."""
        senders: list[Json] = []
        blocks: list[list[Json]] = []
        for conversation, rel, told in events:
            href = HUB if rel == "communication" else conversation.href
            if not senders or senders[-1]["href"] != href:
                blocks.append([])
                senders.append({"rel": rel, "href": href, "events": blocks[-1]})
            blocks[-1].append(told)
        self._ack += 1
        links = {"self": link(f"{APP}/events?ack={self._ack - 1}"), "next": link(f"{APP}/events?ack={self._ack}")}
        self._packages.append(json.dumps({"_links": links, "sender": senders}).encode())

    def release(self) -> None:
        parked, self._parked = self._parked, None
        if parked is not None and self._packages:
            self._arrived.clear()
            parked.send(200, self._packages.popleft())

    async def parked(self) -> None:
        await self._arrived.wait()

    async def order(self, order: Json) -> Json:
        if "live" in order:
            self.live = [Conversation() for _ in range(_number(order, "live"))]
            self._aggregate(((c, *told) for c in self.live for told in c.connect()), 500)
            self.release()
        elif "flips" in order:
            flips = ((c, *told) for c in itertools.cycle(self.live) for told in c.flip())
            self._aggregate(itertools.islice(flips, _number(order, "flips")), _number(order, "together"))
            self.release()
        elif "lives" in order:
            callers = [Conversation() for _ in range(_number(order, "lives"))]
            self._aggregate(((c, *told) for c in callers for told in c.life()), _number(order, "together"))
            self.release()
        elif "pings" in order:
            every = float(str(order["every"]))
            for index in range(_number(order, "pings")):
                await self.parked()
                await asyncio.sleep(every)
                conversation = self.live[index % len(self.live)]
                self.queue((conversation, *told) for told in conversation.flip(sentAt=time.monotonic_ns()))
                self.release()
        return {}

    def _aggregate(self, events: Iterator[tuple[Conversation, str, Json]], together: int) -> None:
        while package := list(itertools.islice(events, together)):
            self.queue(iter(package))


def _number(order: Json, name: str) -> int:
    return int(str(order[name]))


class Connection(asyncio.Protocol):
    """One connection to the pool."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._buffer = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            found = _LENGTH.search(self._buffer, 0, end)
            whole = end + 4 + (int(found[1]) if found else 0)
            if len(self._buffer) < whole:
                return
            head, self._buffer = self._buffer[:end], self._buffer[whole:]
            method, target, _ = head.split(b"\r\n", 1)[0].decode().split(" ")
            self._answer(method, target.partition("?")[0], signed=b"\r\nauthorization:" in head.lower())

    def _answer(self, method: str, path: str, *, signed: bool) -> None:
        if method == "POST" and path == "/WebTicket/oauthtoken":
            self.send(200, b'{"access_token":"cwt=AAEB","token_type":"Bearer","expires_in":28700}')
        elif not signed:
            self.send(401, b"", b'WWW-Authenticate: MsRtcOAuth href="/WebTicket/oauthtoken",grant_type="password"\r\n')
        elif method == "POST" and path.endswith("/applications"):
            self.send(201, json.dumps(APPLICATION).encode())
        elif method == "DELETE":
            self.send(204, b"")
        elif path == f"{APP}/events":
            self._pool.poll(self)
        else:
            self.send(200, json.dumps({"rel": "conversations", "_links": {"self": link(path)}}).encode())

    def send(self, status: int, body: bytes, more: bytes = b"") -> None:
        if self._transport is not None:
            kind = b"content-type: application/json\r\n" + more
            self._transport.write(b"HTTP/1.1 %d X\r\n%scontent-length: %d\r\n\r\n" % (status, kind, len(body)) + body)


async def main() -> None:
    loop = asyncio.get_running_loop()
    pool = Pool()
    server = await loop.create_server(lambda: Connection(pool), "127.0.0.1", 0)
    print(json.dumps({"port": server.sockets[0].getsockname()[1]}), flush=True)
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        print(json.dumps(await pool.order(json.loads(line))), flush=True)
    server.close()


if __name__ == "__main__":
    asyncio.run(main())
