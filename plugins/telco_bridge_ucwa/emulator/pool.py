"""What everything inside one emulated server shares: the network, the addresses, the faults, the chance."""

from __future__ import annotations

import random
import uuid
from collections import deque
from collections.abc import Callable

from telco_bridge.sandbox.clock import Timer
from telco_bridge.sandbox.emulator import Emulator

from .directory import Directory
from .settings import Settings, Stop

__all__ = ["Pool"]

_RECORDED = 10_000


class Pool:
    """One front-end pool. Everything in it runs in the emulator's event loop; the network's news come in by `post`."""

    def __init__(self, emulator: Emulator, settings: Settings, *, seed: int, absolute_links: float) -> None:
        self.settings = settings
        self.exchange = emulator.exchange
        self.faults = emulator.faults
        self.wire = emulator.wire
        self.post = emulator.post
        self.chance = random.Random(seed)  # noqa: S311 - addresses that nobody guesses by accident, reproducible
        self._emulator = emulator
        self.directory = Directory(self.chance, self.base, absolute_links=absolute_links)
        self.stops: deque[Stop] = deque(maxlen=_RECORDED)
        self.diagnoses: deque[tuple[str | None, str | None]] = deque(maxlen=_RECORDED)
        """What clients reported of their media: error codes with their subcodes, oldest first."""
        self.host = settings.pool_host
        self._left: set[str] = set()

    def entry(self) -> str:
        """Return scheme, host and port of discovery."""
        return self._emulator.url

    def base(self) -> str:
        """Return scheme, host and port of the pool."""
        url = self._emulator.url
        if self.host is None:
            return url
        scheme, _, host = url.partition("://")
        return f"{scheme}://{self.host}:{host.rpartition(':')[2]}"

    def move(self, host: str) -> None:
        """Be on another host name from now on."""
        self._left.add(self.base().partition("://")[2])
        self.host = host
        self._left.discard(self.base().partition("://")[2])

    def has_left(self, host: str) -> bool:
        """Whether the pool was on that host and port once, and is not now."""
        return host in self._left

    def now(self) -> float:
        """The network's time."""
        return self.exchange.now()

    def after(self, seconds: float, action: Callable[[], None]) -> Timer:
        """Run the action in the emulator's loop, that many network seconds from now, unless cancelled before."""

        def run() -> None:
            if not timer.cancelled:
                action()

        timer = self.exchange.after(seconds, lambda: self.post(run))
        return timer

    def guid(self) -> str:
        """Return a GUID."""
        return str(uuid.UUID(int=self.chance.getrandbits(128), version=4))

    def digits(self) -> str:
        """Return a number as UCWA's etags are."""
        return str(self.chance.randrange(10**9, 10**10))

    def offers(self, rels: tuple[str, ...]) -> tuple[str, ...]:
        """Return those of the links that this server offers at all."""
        return tuple(rel for rel in rels if rel not in self.settings.withheld)
