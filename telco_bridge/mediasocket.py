"""A media WebSocket of a provider's, between the web application and the port of its stream."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections import deque
from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Protocol

import anyio

from .audio.wire import MediaOrder, MediaReply, Unintelligible
from .media import Transport

if TYPE_CHECKING:
    from anyio.from_thread import BlockingPortal

    from .audio.port import MediaPort
    from .audio.wire import MediaFact, MediaWire

__all__ = ["LANE", "MAX_MESSAGE", "Crossing", "MediaLane", "MediaSocket"]

_log = logging.getLogger("telco_bridge")

MAX_MESSAGE = 64 * 1024
"""The largest message that is read, in bytes. Twenty milliseconds of audio are about a kilobyte."""

LANE = "telco_bridge.media"
"""The name of the ASGI extension with which a server offers its fast lane."""

_MAX_WAITING = 1000
"""So many messages may wait to be sent; beyond, the provider does not read, and the connection is given up."""

_LOOK_AGAIN = 0.01

# ASGI's own types: whatever the server puts into a message.
Message = MutableMapping[str, Any]


class MediaLane(Protocol):
    """A server's fast lane: messages without a queue and a task in between."""

    def listen(self, hear: Callable[[str | bytes], bool]) -> None:
        """Hand every message to this function; while it returns False, read no more. An empty one only asks."""
        ...

    def write(self, message: str | bytes) -> bool:
        """Send a message at once; False where it cannot be, and has to be sent in the ordinary way."""
        ...


class Crossing:
    """The way into the bridge's event loop: work is done there in order, from whichever thread it comes.

    In the loop itself it is done at once. From another thread all that has come since the last turn is done in one.
    """

    def __init__(self, portal: BlockingPortal) -> None:
        self._portal = portal
        self._home = threading.get_ident()
        self._lock = threading.Lock()
        self._waiting: deque[Callable[[], None]] = deque()
        self._called = False

    @property
    def home(self) -> bool:
        """Whether the calling thread is the bridge's own."""
        return threading.get_ident() == self._home

    def do(self, work: Callable[[], None]) -> None:
        """Do it soon. Nothing is done once the bridge is closed."""
        if threading.get_ident() == self._home:
            work()
            return
        with self._lock:
            self._waiting.append(work)
            if self._called:
                return
            self._called = True
        try:
            self._portal.start_task_soon(self._catch_up)
        except RuntimeError:
            # The bridge has closed: nobody is left to do it for.
            self._swap()

    def _catch_up(self) -> None:
        for work in self._swap():
            try:
                work()
            except Exception:  # noqa: BLE001
                # One connection's trouble must not be that of the others that wait behind it.
                _log.exception("what a media connection brought could not be taken")

    def _swap(self) -> deque[Callable[[], None]]:
        with self._lock:
            self._called = False
            waiting, self._waiting = self._waiting, deque()
        return waiting


class MediaSocket:
    """One accepted WebSocket. `run` lives in the server's event loop; `send` and `close` come from the bridge's."""

    def __init__(
        self,
        port: MediaPort,
        wire: MediaWire,
        crossing: Crossing,
        receive: Callable[[], Awaitable[Message]],
        send: Callable[[Message], Awaitable[None]],
        lane: MediaLane | None = None,
    ) -> None:
        self.marks = wire.marks
        self._port = port
        self._wire = wire
        self._crossing = crossing
        self._receive = receive
        self._send = send
        self._lane = lane
        self._at_home = crossing.home
        self._lost: str | None = None
        self._waiting: deque[Message] = deque()
        self._more = anyio.Event()
        self._thread = threading.get_ident()
        self._loop = asyncio.get_running_loop() if not crossing.home else None
        self._closing = False
        self._reading = anyio.CancelScope()

    def send(self, order: MediaOrder) -> bool:
        message = self._wire.encode(order)
        if message is None:
            return False
        if (
            self._lane is None
            or self._waiting
            or threading.get_ident() != self._thread
            or not self._lane.write(message)
        ):
            self._put(_sent(message))
        return True

    def close(self) -> None:
        if not self._closing:
            self._closing = True
            self._put({"type": "websocket.close", "code": 1000})

    async def run(self) -> None:
        """Carry messages both ways until one side ends it."""
        lost: str | None = "the bridge's web server was stopped"
        self._crossing.do(lambda: self._port.attach(self, transport=Transport.WEBSOCKET))
        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._write)
                with self._reading:
                    lost = await self._read()
                if self._reading.cancel_called:
                    lost = self._lost
                tasks.cancel_scope.cancel()
        finally:
            self._closing = True
            self._crossing.do(lambda: self._port.close(lost))

    async def _read(self) -> str | None:
        """Hand over what comes; return what broke the connection, None where it was ended."""
        if self._lane is not None:
            self._lane.listen(self._hear)
        while True:
            message = await self._receive()
            if message["type"] != "websocket.receive":
                code = message.get("code")
                if self._lost is not None:
                    return self._lost
                return None if self._closing or code == 1000 else f"the WebSocket broke ({code})"
            text: str | None = message.get("text")
            if not self._hear(text if text is not None else message.get("bytes") or b""):
                while self._port.full:  # noqa: ASYNC110 - the reader may live in another thread
                    await anyio.sleep(_LOOK_AGAIN)

    def _hear(self, message: str | bytes) -> bool:
        """Take one message; return whether there is room for more. An empty one only asks."""
        if message:
            self._take(message)
        if not self._port.full:
            return True
        if message:
            self._port.intake.blocked += 1
        return False

    def _take(self, message: str | bytes) -> None:
        if self._lost is not None:
            return
        if len(message) > MAX_MESSAGE:
            self._lost = f"a message of {len(message)} bytes is too large"
            self._put({"type": "websocket.close", "code": 1009})
            return
        try:
            facts = tuple(self._wire.decode(message))
        except Unintelligible:
            self._crossing.do(self._port.misread)
            return
        except Exception:  # noqa: BLE001
            # A plugin is foreign code: what it breaks on is one message, and not the connection.
            _log.exception("a media message could not be translated")
            self._crossing.do(self._port.misread)
            return
        if self._at_home:
            self._port.receive(*facts)
        elif facts:
            self._crossing.do(_Delivery(self._port, facts))
        for fact in facts:
            if type(fact) is MediaReply:
                self._put(_sent(fact.message))

    async def _write(self) -> None:
        waiting, send = self._waiting, self._send
        while True:
            while waiting:
                message = waiting.popleft()
                try:
                    await send(message)
                except OSError:
                    # The far side is gone; reading tells how.
                    return
                if message["type"] == "websocket.close":
                    self._reading.cancel()
                    return
            self._more = anyio.Event()
            if not waiting:
                await self._more.wait()

    def _put(self, message: Message) -> None:
        waiting = self._waiting
        if len(waiting) >= _MAX_WAITING and message["type"] == "websocket.send":
            if not self._closing:
                _log.warning("a media connection is given up: %d messages wait to be sent", len(waiting))
                self._port.close("the provider no longer reads its media connection")
                # What waits to be sent is in the way of the close too.
                self._in_the_loop(self._reading.cancel)
            return
        waiting.append(message)
        self._in_the_loop(self._wake)

    def _wake(self) -> None:
        self._more.set()

    def _in_the_loop(self, work: Callable[[], None]) -> None:
        if threading.get_ident() == self._thread:
            work()
        elif self._loop is not None:
            # A loop that is closed has closed the connection too.
            with suppress(RuntimeError):
                self._loop.call_soon_threadsafe(work)


class _Delivery:
    """Facts on their way into the bridge's loop."""

    __slots__ = ("_facts", "_port")

    def __init__(self, port: MediaPort, facts: tuple[MediaFact, ...]) -> None:
        self._port = port
        self._facts = facts

    def __call__(self) -> None:
        self._port.receive(*self._facts)


def _sent(message: str | bytes) -> Message:
    kind = "text" if isinstance(message, str) else "bytes"
    return {"type": "websocket.send", kind: message}
