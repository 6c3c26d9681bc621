"""Inbound calls, one after another."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

from .call import Call
from .eventlog import Cursor
from .events import CallIncoming, GapDetected
from .reports import CallDirection, CallState
from .switchboard import CallRecord, Switchboard
from .views import CallView

__all__ = ["Arrivals"]


class Arrivals(AsyncIterator[Call]):
    """The calls that ring now, and then those that arrive; each once, whatever a slow reader missed."""

    def __init__(self, switchboard: Switchboard, events: Cursor, handle: Callable[[CallRecord], Call]) -> None:
        self._switchboard = switchboard
        self._events = events
        self._handle = handle
        self._told: set[str] = set()
        self._missed = self._waiting()

    async def __anext__(self) -> Call:
        while not self._missed:
            event = await anext(self._events)
            if isinstance(event, CallIncoming):
                record = self._switchboard.find(call=event.call.id)
                self._missed = [record] if record is not None and record.id not in self._told else []
            elif isinstance(event, GapDetected) and event.missed is not None:
                self._missed = self._waiting()
        record = self._missed.pop(0)
        self._told = {known.id for known in self._switchboard.live if known.id in self._told} | {record.id}
        return self._handle(record)

    def _waiting(self) -> list[CallRecord]:
        """The calls that wait for a decision and were not handed out."""
        return [record for record in self._switchboard.live if _waits(record.view) and record.id not in self._told]


def _waits(view: CallView) -> bool:
    return view.direction is CallDirection.INBOUND and view.state is CallState.RINGING
