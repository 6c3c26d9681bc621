"""A WebSocket server that takes whatever media streams are sent to it, and remembers it."""

from __future__ import annotations

import asyncio
import hmac
import json
import threading
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Mapping, MutableMapping
from contextlib import suppress
from typing import Any, cast

__all__ = ["SinkConnection", "StreamSink"]

_KEPT = 10_000
_Message = MutableMapping[str, Any]
_Receive = Callable[[], Awaitable[_Message]]
_Send = Callable[[_Message], Awaitable[None]]


class SinkConnection:
    """One WebSocket, from its acceptance to its end. Safe to read from any thread."""

    def __init__(self, sink: StreamSink, path: str, headers: Mapping[str, str], send: _Send) -> None:
        self._sink = sink
        self._send = send
        self._messages: deque[Mapping[str, object]] = deque(maxlen=_KEPT)
        self.path = path
        self.headers = headers
        """By lower-case name."""
        self.closed = False
        self.close_code: int | None = None
        """With which code the far side closed; None while it is open, or after `close()`."""

    @property
    def messages(self) -> tuple[Mapping[str, object], ...]:
        """The latest JSON objects, in order: a minute's or more. Anything else that arrives is under the key `raw`."""
        with self._sink.changed:
            return tuple(self._messages)

    @property
    def events(self) -> tuple[object, ...]:
        """The `event` of each message, in order."""
        return tuple(message.get("event") for message in self.messages)

    def send(self, message: Mapping[str, object]) -> None:
        """Send a JSON object to the far side, soon."""
        self._sink.run(self.emit({"type": "websocket.send", "text": json.dumps(message)}))

    def close(self, code: int = 1000) -> None:
        """Close the connection, soon."""
        self._sink.run(self.emit({"type": "websocket.close", "code": code}))

    async def emit(self, message: _Message) -> None:
        """Send an ASGI message, in the sink's loop; nothing is sent once the connection is closed."""
        if not self.closed:
            if message["type"] == "websocket.close":
                self.ended(None)
            # The far side may be gone already, and then there is nobody to tell.
            with suppress(OSError):
                await self._send(message)

    def received(self, message: Mapping[str, object]) -> None:
        with self._sink.changed:
            self._messages.append(message)
            self._sink.changed.notify_all()

    def ended(self, code: int | None) -> None:
        with self._sink.changed:
            if not self.closed:
                self.closed, self.close_code = True, code
                self._sink.changed.notify_all()


class StreamSink:
    """An ASGI application for `telco_bridge.serving.Server`: pass it `started` and `stopped` as the server's callbacks.

    It accepts WebSockets on every path; with a `bearer` only those that show it. While `refusing` is True it accepts
    none. `changed` is notified of every message and every end.
    """

    def __init__(self, *, bearer: str | None = None) -> None:
        self.refusing = False
        self.changed = threading.Condition()
        self._bearer = bearer
        self._connections: list[SinkConnection] = []
        self._url = ""
        self._loop: asyncio.AbstractEventLoop | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        """Where streams are taken, as `ws://host:port/media`. Empty until it is served."""
        return self._url

    @property
    def connections(self) -> tuple[SinkConnection, ...]:
        """Every connection that was accepted, in order."""
        with self.changed:
            return tuple(self._connections)

    def wait_for(self, condition: Callable[[StreamSink], bool], *, timeout: float = 10.0) -> bool:
        """Block until the condition holds, looking again at every change; False where it does not in time."""
        with self.changed:
            return self.changed.wait_for(lambda: condition(self), timeout)

    async def started(self, url: str) -> None:
        """The application is being served at that URL, in the running loop."""
        self._loop = asyncio.get_running_loop()
        self._url = f"ws{url.removeprefix('http')}/media"

    async def stopped(self) -> None:
        """The server is about to stop."""
        self._loop = None
        for connection in self.connections:
            await connection.emit({"type": "websocket.close", "code": 1001})

    def run(self, work: Coroutine[object, object, None]) -> None:
        """Run the work soon in the sink's loop; nothing happens once it has stopped. Safe from any thread."""
        loop = self._loop
        if loop is None:
            work.close()
            return
        loop.call_soon_threadsafe(self._spawn, loop, work)

    def _spawn(self, loop: asyncio.AbstractEventLoop, work: Coroutine[object, object, None]) -> None:
        task = loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def __call__(self, scope: _Message, receive: _Receive, send: _Send) -> None:
        if scope["type"] != "websocket":
            await send({"type": "http.response.start", "status": 426, "headers": [(b"content-length", b"0")]})
            await send({"type": "http.response.body", "body": b""})
            return
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        await receive()
        if self.refusing or not self._admitted(headers):
            await send({"type": "websocket.close", "code": 1008})
            return
        connection = SinkConnection(self, scope["path"], headers, send)
        with self.changed:
            # Before accepting: whoever hears from the far side that it is connected finds the connection here.
            self._connections.append(connection)
        await send({"type": "websocket.accept"})
        with self.changed:
            self.changed.notify_all()
        while (message := await receive())["type"] == "websocket.receive":
            connection.received(_parsed(message))
        connection.ended(message.get("code"))

    def _admitted(self, headers: Mapping[str, str]) -> bool:
        if self._bearer is None:
            return True
        return hmac.compare_digest(headers.get("authorization", "").encode(), f"Bearer {self._bearer}".encode())


def _parsed(message: _Message) -> Mapping[str, object]:
    text: object = message.get("text")
    if isinstance(text, str):
        try:
            parsed: object = json.loads(text)
        except ValueError:
            return {"raw": text}
        if isinstance(parsed, dict):
            return cast("dict[str, object]", parsed)
        return {"raw": text}
    return {"raw": message.get("bytes")}
