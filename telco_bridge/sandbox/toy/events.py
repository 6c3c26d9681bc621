"""The toy carrier's events: numbered, kept, handed out to whoever polls, and spoilt on demand."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from ..clock import Timer
from ..faults import Fault, Faults

__all__ = ["EventLog", "ToyEvent"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ToyEvent:
    """One event: its number, its name, and the call as it was then."""

    n: int
    name: str
    call: Mapping[str, object]


class EventLog:
    """Every event of the carrier. Used from the emulator's loop only.

    `note` writes a line into the wire's record; `after` runs something in the loop after so many network seconds.
    """

    def __init__(
        self,
        faults: Faults,
        *,
        note: Callable[[str, str, Mapping[str, object]], None],
        after: Callable[[float, Callable[[], None]], Timer],
    ) -> None:
        self.last = 0
        """The number of the newest event."""
        self._faults = faults
        self._note = note
        self._after = after
        self._events: list[ToyEvent] = []
        self._late: tuple[str, Mapping[str, object]] | None = None
        self._taken = 0
        self._changed = asyncio.Event()

    def tell(self, name: str, call: Mapping[str, object]) -> None:
        """Add an event, unless it is to be lost, late, doubled, or said in a word that nobody knows."""
        operation = f"event {name}"
        unknown = self._faults.take(Fault.UNKNOWN_STATE, operation)
        if unknown is not None:
            call = {**call, "status": str(unknown.get("word", "levitating"))}
        reordered = self._faults.take(Fault.REORDER_EVENTS, operation)
        if reordered is not None and self._late is None:
            self._late = (name, call)
            self._after(float(str(reordered.get("seconds", 2.0))), self._let_the_late_one_out)
            return
        self._add(name, call)
        self._let_the_late_one_out()

    def since(self, n: int) -> tuple[ToyEvent, ...]:
        """Return the events after that number."""
        return tuple(event for event in self._events if event.n > n)

    async def more_than(self, n: int) -> None:
        """Return when there is an event after that number, which whoever asks has taken up to there."""
        self._taken = max(self._taken, n)
        self._wake()
        while not self.since(n):
            await self._changed.wait()

    async def taken_of(self, call_id: object, *, since: int) -> None:
        """Return when somebody has taken an event of that call after that number."""
        while not any(since < e.n <= self._taken and e.call["id"] == call_id for e in self._events):
            await self._changed.wait()

    def _add(self, name: str, call: Mapping[str, object]) -> None:
        self.last += 1
        operation = f"event {name}"
        if self._faults.take(Fault.LOSE_EVENT, operation) is not None:
            # It has its number: a reader who counts sees that one is missing.
            self._note(operation, "lost", call)
            return
        copies = 2 if self._faults.take(Fault.DOUBLE_EVENT, operation) is not None else 1
        self._events += [ToyEvent(n=self.last, name=name, call=call)] * copies
        self._wake()

    def _let_the_late_one_out(self) -> None:
        if self._late is not None:
            (name, call), self._late = self._late, None
            self._add(name, call)

    def _wake(self) -> None:
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()
