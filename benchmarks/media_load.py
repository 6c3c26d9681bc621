"""The far side of the media benchmarks: plays SignalWire on any number of WebSockets, at a few microseconds a frame.

Reads orders from standard input, one JSON object a line, and writes answers to standard output:
`{"open": URL, "bearer": TOKEN}` connects and begins to send, `{"report": true}` tells what has arrived, `{"end": true}`
ends. Frames are sent on an absolute schedule of 50 per second; those that arrive are stamped and not looked at.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import statistics
import sys
import time
from urllib.parse import urlsplit

FRAME = 0.02


def masked(message: bytes) -> bytes:
    """A WebSocket text frame as clients send it; a mask of zeros is a mask."""
    length = len(message)
    head = bytes([0x81, 0x80 | length]) if length < 126 else b"\x81\xfe" + length.to_bytes(2, "big")
    return head + b"\0\0\0\0" + message


class Line(asyncio.Protocol):
    """One connection: an HTTP upgrade, and then frames both ways."""

    def __init__(self, url: str, bearer: str, number: int) -> None:
        parts = urlsplit(url)
        self.request = (
            f"GET {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            f"Sec-WebSocket-Key: {base64.b64encode(os.urandom(16)).decode()}\r\nSec-WebSocket-Version: 13\r\n"
            f"Authorization: Bearer {bearer}\r\n\r\n"
        )
        self.sid = f"stream-{number}"
        self.sent = 0
        self.arrivals: list[float] = []
        self.open = asyncio.get_running_loop().create_future()
        self.payload = base64.b64encode(bytes((number + i) % 256 for i in range(160))).decode()
        self._transport: asyncio.Transport | None = None
        self._buffer = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.write(self.request.encode())

    def data_received(self, data: bytes) -> None:
        now = time.monotonic()
        buffer = self._buffer
        buffer += data
        if not self.open.done():
            head, end, rest = bytes(buffer).partition(b"\r\n\r\n")
            if not end:
                return
            del buffer[: len(buffer) - len(rest)]
            if b" 101 " not in head.split(b"\r\n")[0]:
                self.open.set_exception(RuntimeError(head.decode()))
                return
            self._start()
            self.open.set_result(None)
        while len(buffer) >= 2:
            length, at = buffer[1] & 0x7F, 2
            if length == 126:
                if len(buffer) < 4:
                    return
                length, at = int.from_bytes(buffer[2:4], "big"), 4
            if len(buffer) < at + length:
                return
            if length > 100:
                self.arrivals.append(now)
            elif buffer[0] & 0x0F == 9 and self._transport is not None:
                self._transport.write(bytes([0x8A, 0x80 | length]) + b"\0\0\0\0" + bytes(buffer[at : at + length]))
            del buffer[: at + length]

    def connection_lost(self, error: Exception | None) -> None:
        self._transport = None

    def say(self) -> None:
        """Send the next frame."""
        self.sent += 1
        message = (
            f'{{"event":"media","sequenceNumber":"{self.sent + 1}","media":{{"track":"inbound","chunk":"{self.sent}",'
            f'"timestamp":"{(self.sent - 1) * 20}","payload":"{self.payload}"}}}}'
        )
        if self._transport is not None:
            self._transport.write(masked(message.encode()))

    def _start(self) -> None:
        start = {
            "event": "start",
            "sequenceNumber": "1",
            "start": {
                "streamSid": self.sid,
                "accountSid": "benchmark",
                "callSid": "benchmark",
                "tracks": ["inbound"],
                "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
            },
        }
        connected = {"event": "connected", "protocol": "Call", "version": "0.2.0"}
        if self._transport is not None:
            self._transport.write(b"".join(masked(json.dumps(one).encode()) for one in (connected, start)))

    def pacing(self) -> tuple[list[float], float]:
        """How far each arrival was from an even 20 ms, and by how much the last were later than the first, in ms."""
        offsets = [(at - index * FRAME) * 1000.0 for index, at in enumerate(self.arrivals)][10:]
        if len(offsets) < 200:
            return [], 0.0
        middle = statistics.median(offsets)
        drift = statistics.median(offsets[-50:]) - statistics.median(offsets[:50])
        return [abs(offset - middle) for offset in offsets], drift


async def talk(line: Line, phase: float) -> None:
    """Send on an absolute schedule, each line a little after the one before."""
    due = time.monotonic() + phase
    while line._transport is not None:  # noqa: SLF001 - it is this file's own
        await asyncio.sleep(max(0.0, due - time.monotonic()))
        line.say()
        due += FRAME


def report(lines: list[Line]) -> dict[str, object]:
    """What has arrived on all lines together."""
    errors: list[float] = []
    drifts: list[float] = []
    for line in lines:
        found, drift = line.pacing()
        errors += found
        if found:
            drifts.append(abs(drift))
    errors.sort()
    return {
        "lines": len(lines),
        "alive": sum(line._transport is not None for line in lines),  # noqa: SLF001
        "sent": sum(line.sent for line in lines),
        "arrived": sum(len(line.arrivals) for line in lines),
        "error_p99": errors[int(len(errors) * 0.99)] if errors else None,
        "drift_max": max(drifts) if drifts else None,
    }


async def main() -> None:
    loop = asyncio.get_running_loop()
    lines: list[Line] = []
    tasks: list[asyncio.Task[None]] = []
    while order := await loop.run_in_executor(None, sys.stdin.readline):
        wanted = json.loads(order)
        if "open" in wanted:
            line = Line(wanted["open"], wanted["bearer"], len(lines))
            parts = urlsplit(wanted["open"])
            await loop.create_connection(lambda line=line: line, parts.hostname, parts.port)
            await line.open
            lines.append(line)
            if wanted.get("talk", True):
                tasks.append(asyncio.create_task(talk(line, FRAME * (len(lines) % 20) / 20)))
            answer: dict[str, object] = {"opened": len(lines)}
        elif "report" in wanted:
            answer = report(lines)
            for line in lines:
                line.arrivals.clear()
        else:
            break
        print(json.dumps(answer), flush=True)
    for task in tasks:
        task.cancel()


if __name__ == "__main__":
    asyncio.run(main())
