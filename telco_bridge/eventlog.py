"""The log of events: written at once, read by cursors that nobody has to wait for."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from time import perf_counter

import anyio
import anyio.lowlevel

from .events import CallEnded, Event, GapDetected

__all__ = ["Cursor", "EventLog"]


_TURN = 0.001
"""Seconds that a reader who is behind may go on reading before others get their turn.

A turn of the event loop costs more than an event: one for each would let a burst overtake the readers.
"""


class EventLog:
    """A bounded sequence of events that only grows at its end.

    The writer never waits. A reader that is overtaken, because more than `capacity` events came while it was busy, is
    told so by a `GapDetected` with the number of events it missed.
    """

    def __init__(self, *, capacity: int) -> None:
        # A deque would be five times as large for a call of which little is told.
        self._events: list[Event] = []
        self._capacity = capacity
        self._written = 0
        self._grown: anyio.Event | None = None
        self.closed = False

    @property
    def written(self) -> int:
        """How many events were ever written; the position of the next one."""
        return self._written

    def append(self, events: Iterable[Event]) -> None:
        """Write the events and wake everybody who waits."""
        before = self._written
        for event in events:
            self._events.append(event)
            self._written += 1
        if len(self._events) > self._capacity + self._capacity // 8:
            del self._events[: -self._capacity]
        if self._written != before:
            self.wake()

    def wake(self) -> None:
        """Let everybody who waits look again."""
        if self._grown is not None:
            self._grown.set()
            self._grown = None

    def close(self) -> None:
        """End every cursor once it has read what is written."""
        self.closed = True
        self.wake()

    def grown(self) -> anyio.Event:
        """An event that is set at the next change."""
        if self._grown is None:
            self._grown = anyio.Event()
        return self._grown

    def at(self, position: int) -> Event | int:
        """The event at a position, or how many from there on are no longer kept."""
        first = self._written - min(len(self._events), self._capacity)
        return self._events[position - self._written] if position >= first else first - position


class Cursor(AsyncIterator[Event]):
    """A place in a log. Iterating waits for the next event and ends when the log is closed."""

    def __init__(self, log: EventLog, position: int, *, until_call_ends: bool = False) -> None:
        self._log = log
        self._position = position
        self._until_call_ends = until_call_ends
        self._done = False
        self._turn_ends = 0.0

    def __aiter__(self) -> Cursor:
        return self

    async def __anext__(self) -> Event:
        # Here and not at the end: whoever is cancelled has not taken the event yet.
        if self._position >= self._log.written or perf_counter() >= self._turn_ends:
            await anyio.lowlevel.checkpoint()
            self._turn_ends = perf_counter() + _TURN
        else:
            await anyio.lowlevel.checkpoint_if_cancelled()
        if self._done:
            raise StopAsyncIteration
        if self._position > self._log.written:
            # A number from another bridge's life: nothing is known of what came between.
            self._position = self._log.written
            return GapDetected(seq=self._position, why="no event has had that number yet; the log starts anew")
        while self._position >= self._log.written:
            if self._log.closed:
                raise StopAsyncIteration
            await self._log.grown().wait()
        found = self._log.at(self._position)
        if isinstance(found, int):
            self._position += found
            kept = self._log.at(self._position)
            # Numbered as the last one missed, so that a reader who comes back with `since` goes on behind the gap.
            seq, at = (kept.seq - 1, kept.at) if isinstance(kept, Event) else (0, 0.0)
            return GapDetected(seq=seq, at=at, why="this reader was overtaken by the log", missed=found)
        self._position += 1
        if self._until_call_ends and isinstance(found, CallEnded):
            self._done = True
        return found
