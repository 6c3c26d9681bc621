"""The far side of the SignalWire benchmarks: a space that answers at once, and a sender of signed webhooks.

Prints `{"port": PORT}`, then reads orders from standard input, one JSON object a line, and answers each in a line:
`{"invent": N, "url": URL}` makes up N live calls, beside those that were dialled at the space;
`{"webhooks": PORT, "key": KEY, "connections": C, "words": [...]}` sends each call those statuses, and tells how long
it took; `{"count": true}` tells how many requests the space has had.
"""

from __future__ import annotations

import asyncio
import base64
import hmac
import itertools
import json
import re
import sys
import time
from collections import Counter, deque
from hashlib import sha1
from urllib.parse import unquote, urlencode, urlsplit

CALL = {
    "account_sid": "5a1c0c1e-7f65-4d0b-8a7c-3b9c2f0d4e21",
    "annotation": None,
    "answered_by": None,
    "api_version": "2010-04-01",
    "audio_in_mos": None,
    "caller_name": None,
    "date_created": "Tue, 03 Mar 2026 09:15:42 +0000",
    "date_updated": "Tue, 03 Mar 2026 09:15:44 +0000",
    "direction": "outbound",
    "duration": 2,
    "end_time": "Tue, 03 Mar 2026 09:15:44 +0000",
    "forwarded_from": None,
    "from": "+15550100001",
    "from_formatted": "(555) 010-0001",
    "group_sid": None,
    "parent_call_sid": None,
    "phone_number_sid": None,
    "price": None,
    "price_unit": "USD",
    "sip_result_code": "200",
    "start_time": "Tue, 03 Mar 2026 09:15:42 +0000",
    "subresource_uris": {"notifications": None, "recordings": None},
    "to": "+15550100002",
    "to_formatted": "(555) 010-0002",
    "uri": "/api/laml/2010-04-01/Accounts/5a1c0c1e-7f65-4d0b-8a7c-3b9c2f0d4e21/Calls/",
}
_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
_PAGE = b'{"calls":[],"next_page_uri":null,"page":0,"page_size":50}'


class Space(asyncio.Protocol):
    """One connection to the space."""

    calls: list[tuple[str, str]]
    """The SID of every call that was dialled, and where its callbacks go."""
    requests = 0
    _numbers = itertools.count(1)
    _template = json.dumps({**CALL, "sid": "%s", "status": "%t"}).encode()

    def __init__(self) -> None:
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
            line, body = self._buffer[: self._buffer.index(b"\r\n")], self._buffer[end + 4 : whole]
            self._buffer = self._buffer[whole:]
            answer = self._answer(line, body)
            head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(answer)
            if self._transport is not None:
                self._transport.write(head + answer)

    def _answer(self, line: bytes, body: bytes) -> bytes:
        Space.requests += 1
        method, target, _ = line.split(b" ")
        if method == b"GET":
            return _PAGE
        last = target.rpartition(b"/")[2].removesuffix(b".json")
        if last == b"Calls":
            last = b"6f0b7c2e-1d43-4a58-9a55-%012x" % next(self._numbers)
            for pair in body.split(b"&"):
                if pair.startswith(b"StatusCallback="):
                    Space.calls.append((last.decode(), unquote(pair[15:].decode())))
            status = b"queued"
        else:
            status = b"completed"
        return self._template.replace(b"%s", last).replace(b"%t", status)


class Sender(asyncio.Protocol):
    """One kept connection to the application, with one request on its way at a time."""

    def __init__(self, requests: deque[bytes], statuses: Counter[int], done: asyncio.Future[None]) -> None:
        self._requests = requests
        self._statuses = statuses
        self._done = done
        self._buffer = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._next()

    def _next(self) -> None:
        assert self._transport is not None
        if self._requests:
            self._transport.write(self._requests.popleft())
        else:
            self._transport.close()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            return
        found = _LENGTH.search(self._buffer, 0, end)
        whole = end + 4 + (int(found[1]) if found else 0)
        if len(self._buffer) < whole:
            return
        self._statuses[int(self._buffer[9:12])] += 1
        self._buffer = self._buffer[whole:]
        self._next()

    def connection_lost(self, error: Exception | None) -> None:
        if not self._done.done():
            self._done.set_result(None)


def callback(key: str, sid: str, url: str, word: str, number: int) -> bytes:
    """A status callback as SignalWire sends it, whole."""
    fields = {
        "CallSid": sid,
        "AccountSid": CALL["account_sid"],
        "ApiVersion": "2010-04-01",
        "Direction": "outbound-api",
        "From": "+15550100001",
        "To": "+15550100002",
        "Timestamp": "Tue, 03 Mar 2026 09:15:42 +0000",
        "CallStatus": word,
        "CallbackSource": "call-progress-events",
        "SequenceNumber": str(number),
        **({"CallDuration": "17", "SipResultCode": "200", "HangupBy": "caller"} if word == "completed" else {}),
    }
    text = url + "".join(f"{name}{fields[name]}" for name in sorted(fields))
    signature = base64.b64encode(hmac.digest(key.encode(), text.encode(), sha1)).decode()
    body = urlencode(fields)
    parts = urlsplit(url)
    return (
        f"POST {parts.path}?{parts.query} HTTP/1.1\r\nHost: {parts.netloc}\r\nUser-Agent: SignalWire\r\nAccept: */*\r\n"
        f"X-SignalWire-Signature: {signature}\r\nContent-Type: application/x-www-form-urlencoded\r\n"
        f"Content-Length: {len(body)}\r\n\r\n{body}"
    ).encode()


async def send(port: int, key: str, connections: int, words: list[str]) -> dict[str, object]:
    """Send every call its statuses: all calls the first, then all the second, and so on."""
    requests = deque(
        callback(key, sid, url, word, number) for number, word in enumerate(words) for sid, url in Space.calls
    )
    total = len(requests)
    loop = asyncio.get_running_loop()
    statuses: Counter[int] = Counter()
    ends = [loop.create_future() for _ in range(connections)]
    began = time.perf_counter()
    for end in ends:
        await loop.create_connection(lambda end=end: Sender(requests, statuses, end), "127.0.0.1", port)
    await asyncio.gather(*ends)
    took = time.perf_counter() - began
    return {"sent": total, "seconds": took, "statuses": dict(statuses)}


async def main() -> None:
    loop = asyncio.get_running_loop()
    Space.calls = []
    server = await loop.create_server(Space, "127.0.0.1", 0)
    print(json.dumps({"port": server.sockets[0].getsockname()[1]}), flush=True)
    while order := await loop.run_in_executor(None, sys.stdin.readline):
        wanted = json.loads(order)
        answer: dict[str, object] = {}
        if "invent" in wanted:
            Space.calls += [(f"sid-{n}", f"{wanted['url']}/status?call=call-{n}") for n in range(wanted["invent"])]
        elif "webhooks" in wanted:
            answer = await send(wanted["webhooks"], wanted["key"], wanted["connections"], wanted["words"])
        elif "count" in wanted:
            answer = {"requests": Space.requests}
        print(json.dumps(answer), flush=True)
    server.close()


if __name__ == "__main__":
    asyncio.run(main())
