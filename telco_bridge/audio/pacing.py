"""One watch for everything that is played: whoever is due is called, and says when next."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable
from typing import TYPE_CHECKING

import anyio
import anyio.lowlevel

if TYPE_CHECKING:
    from ..clock import Clock

__all__ = ["Pacer"]

Turn = Callable[[float], float | None]
"""Does what is due at that time; returns when it is due again, in seconds, None for never."""

_LOOK = 0.005
"""Seconds between two looks at the watch while anything is due at all: so much later than now something may begin."""
_BREATH = 0.001
"""Seconds of the shortest sleep: uvloop's timers count milliseconds, and for less it would wake at once, for ever."""
_AT_ONCE = 32
"""So many turns are taken before everybody else in the loop has one."""


class Pacer:
    """Calls turns when they are due. A task and a timer for every stream would cost more than its frames.

    A turn must not raise.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._due: list[tuple[float, int, Turn]] = []
        self._order = itertools.count()
        self._more = anyio.Event()

    def start(self, turn: Turn) -> None:
        """Take a turn as soon as may be, and then whenever it asks for another."""
        heapq.heappush(self._due, (self._clock.now(), next(self._order), turn))
        self._more.set()

    async def run(self) -> None:
        """Call what is due, for ever."""
        clock, due = self._clock, self._due
        while True:
            if not due:
                self._more = anyio.Event()
                await self._more.wait()
            taken = 0
            now = clock.now()
            while due and due[0][0] <= now:
                _, _, turn = heapq.heappop(due)
                again = turn(now)
                if again is not None:
                    heapq.heappush(due, (again, next(self._order), turn))
                taken += 1
                if taken % _AT_ONCE == 0:
                    await anyio.lowlevel.checkpoint()
                now = clock.now()
            if due:
                await clock.sleep_until(min(max(due[0][0], now + _BREATH), now + _LOOK))
