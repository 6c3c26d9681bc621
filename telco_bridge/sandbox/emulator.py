"""What every emulator shares: faults on demand, a record of the wire, and a way back into its event loop."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from dataclasses import dataclass, field
from typing import Any

from .exchange import Exchange
from .faults import Fault, Faults

__all__ = ["ASGIApp", "Emulator", "Fault", "Faults", "WireLog", "WireRecord"]

_REMEMBERED = 100_000

Scope = MutableMapping[str, Any]
ASGIApp = Callable[
    [Scope, Callable[[], Awaitable[MutableMapping[str, Any]]], Callable[[MutableMapping[str, Any]], Awaitable[None]]],
    Awaitable[None],
]


@dataclass(frozen=True, slots=True)
class WireRecord:
    """One exchange on a provider's wire, as a person would jot it down. No secrets."""

    at: float
    sent_by: str
    """`bridge` or `provider`."""
    line: str
    """For example `POST startPhoneAudio`, or `status callback: ringing`."""
    answer: str = ""
    fields: Mapping[str, str] = field(default_factory=dict[str, str])


class WireLog:
    """What went over an emulator's wire, in order: the newest hundred thousand records. Safe from any thread."""

    def __init__(self) -> None:
        self._records: deque[WireRecord] = deque(maxlen=_REMEMBERED)
        self._listeners: list[Callable[[WireRecord], None]] = []
        self._grown = threading.Condition()

    def add(self, record: WireRecord) -> None:
        with self._grown:
            self._records.append(record)
            self._grown.notify_all()
        for listener in list(self._listeners):
            listener(record)

    def listen(self, listener: Callable[[WireRecord], None]) -> None:
        """Be told of every record from now on, in the thread that makes it."""
        self._listeners.append(listener)

    def wait_for(self, line: str, *, timeout: float = 10.0) -> bool:
        """Block until that line has been recorded; False where it was not in so many real seconds."""
        with self._grown:
            return self._grown.wait_for(lambda: any(record.line == line for record in self._records), timeout)

    def records(self, *, sent_by: str | None = None, containing: str = "") -> list[WireRecord]:
        """What was recorded, filtered."""
        with self._grown:
            recorded = list(self._records)
        return [r for r in recorded if (sent_by is None or r.sent_by == sent_by) and containing in r.line]


class Emulator(ABC):
    """A provider's own protocol in front of an exchange.

    `app` is served by a loopback server whose event loop calls `started` with the server's URL. What the network tells
    (in its own thread) is brought into that loop by `post`.
    """

    known_faults: frozenset[Fault] = frozenset()

    def __init__(self, exchange: Exchange) -> None:
        self.exchange = exchange
        self.faults = Faults(self.known_faults)
        self.wire = WireLog()
        self.url = ""
        self.stream_url: str | None = None
        """A loopback WebSocket that media streams may be sent to, where the sandbox has one."""
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    @abstractmethod
    def app(self) -> ASGIApp:
        """The ASGI application that speaks the provider's protocol."""

    @abstractmethod
    def profile(self) -> dict[str, object]:
        """The settings with which the provider's plugin finds this emulator. Valid once it is served."""

    async def started(self, url: str) -> None:
        """The application is being served at that URL, in the running loop."""
        self.url = url
        self._loop = asyncio.get_running_loop()

    async def stopped(self) -> None:
        """The server is about to stop. End every task that is still running."""
        self._loop = None

    def post(self, action: Callable[[], None]) -> None:
        """Run the action soon in the emulator's loop; nothing happens once it has stopped. Safe from any thread."""
        loop = self._loop
        if loop is not None:
            try:
                # In a context of its own: that of a caller on trio would make all in this loop believe it were trio's.
                loop.call_soon_threadsafe(action, context=contextvars.Context())
            except RuntimeError:
                # The loop was closed between the check and the call: the emulator is gone, and so is its news.
                self._loop = None
