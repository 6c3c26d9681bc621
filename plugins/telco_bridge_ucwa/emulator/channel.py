"""The event channel: packages of events, released to whoever polls, kept until they are acknowledged."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import cast

from telco_bridge.sandbox.clock import Timer
from telco_bridge.sandbox.emulator import Fault, WireRecord

from .answers import Answer, divert
from .directory import Owner, Place
from .errors import JSON, UcwaError, conflict
from .inputs import Ask
from .pool import Pool

__all__ = ["Channel", "Event", "Priority"]

_OPERATION = "GET events"


class Priority(StrEnum):
    """How long an event may wait for company."""

    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One event, with the body that its target had when it happened."""

    sender: Place
    target: Place
    type: str
    inside: Place | None = None
    title: str | None = None
    status: str | None = None
    reason: JSON | None = None
    body: JSON | None = None
    priority: Priority = Priority.HIGH

    @property
    def name(self) -> str:
        """The event as faults and the wire's record call it."""
        return f"event {self.target.rel} {self.type}"

    def wire(self) -> JSON:
        """Return the event as packages carry it."""
        link = {"rel": self.target.rel, **self.target.link()}
        if self.title is not None:
            link["title"] = self.title
        event: JSON = {"link": link}
        if self.inside is not None:
            event["in"] = {"rel": self.inside.rel, **self.inside.link()}
        event["type"] = self.type
        if self.status is not None:
            event["status"] = self.status
        if self.reason is not None:
            event["reason"] = self.reason
        if self.body is not None:
            event["_embedded"] = {self.target.rel: self.body}
        return event

    def fields(self) -> dict[str, str]:
        """Return what the wire's record says of it."""
        facts: dict[str, object] = {"status": self.status}
        for block, names in ((self.body, ("state", "operationId")), (self.reason, ("code", "subcode"))):
            facts |= {name: (block or {}).get(name) for name in names}
        return {name: str(value) for name, value in facts.items() if value is not None}


def _merged(first: Event, second: Event) -> Event | None:
    """Return what a slow reader sees of two events of one target: the newest state, and nothing of a short visit."""
    match first.type, second.type:
        case "added", "deleted":
            return None
        case (("added" | "started"), "updated"):
            return replace(second, type=first.type, inside=first.inside)
        case _:
            return second


@dataclass(slots=True, eq=False)
class _Parked:
    priority: float
    answer: asyncio.Future[JSON]
    empty: Timer | None = None


class Channel:
    """The events of one application.

    `ack=N` says that the client has every package up to N. The package that was released last is kept, and released
    again to who asks with the same number, until the next number acknowledges it; any other number is sent to `resync`.
    """

    def __init__(self, pool: Pool, owner: Owner, *, idle: Callable[[float], bool], abandon: Callable[[], None]) -> None:
        self._pool = pool
        self._key = pool.directory.word(12)
        self._idle = idle
        self._abandon = abandon
        self.place = pool.directory.place(
            "events", owner=owner, query={"key": self._key}, absolute=False, get=self._poll
        )
        self._ack = 1
        self._kept: tuple[int, JSON] | None = None
        self._queue: list[Event] = []
        self._due = False
        self._parked: _Parked | None = None
        self._hold: Timer | None = None
        self._stalled = False
        self._flushing = False
        self._merging: dict[Place, Event] = {}
        self._arrivals: list[asyncio.Future[None]] = []
        self._timing = {"low": 15.0, "medium": 5.0, "timeout": 180.0, "priority": 0.0}
        self._closed: UcwaError | None = None
        self._released_at = pool.now()

    def link(self, ack: int | None = None) -> dict[str, str]:
        """Return the link that acknowledges everything up to a number, by default the first link to follow."""
        return {"href": f"{self.place.path}?ack={self._ack if ack is None else ack}&key={self._key}"}

    @property
    def polled_at(self) -> float | None:
        """When the last poll was released; None while one is parked."""
        return None if self._parked is not None else self._released_at

    # What happens in the application.

    def emit(self, event: Event) -> None:
        """Queue an event. It goes out with everything else that happens in this turn of the loop."""
        if self._closed is not None:
            return
        faults = self._pool.faults
        if faults.take(Fault.LOSE_EVENT, event.name) is not None:
            return
        event = self._spoil(event)
        earlier = self._merging.pop(event.target, None)
        if earlier is not None:
            merged = _merged(earlier, event)
            if merged is None:
                return
            event = merged
        options = faults.take(Fault.MERGE_EVENTS, event.name) if event.type != "deleted" else None
        if options is not None:
            self._merging[event.target] = held = event
            self._pool.after(_seconds(options, 5.0), lambda: self._unmerged(held))
            return
        options = faults.take(Fault.DELAY_EVENT, event.name)
        if options is not None and not self._stalled:
            self._flush()
            self._stalled = True
            self._pool.after(_seconds(options, 1.0), self._unstall)
        doubled = faults.take(Fault.DOUBLE_EVENT, event.name) is not None
        self._enqueue(event, copies=2 if doubled else 1)

    def _spoil(self, event: Event) -> Event:
        """Make the troubles that change an event's content."""
        if event.body is None:
            return event
        faults = self._pool.faults
        if "state" in event.body:
            options = faults.take(Fault.UNKNOWN_STATE, event.name)
            if options is not None:
                event = replace(event, body=event.body | {"state": str(options.get("state", "Levitating"))})
        options = faults.take(Fault.FOREIGN_LINK, event.name)
        if options is not None:
            rel = options.get("rel")
            # A body holds links and embedded resources of its own making, so that changing it changes nobody else's.
            divert(event.body, str(options.get("host", "elsewhere.invalid")), rel=None if rel is None else str(rel))
        return event

    def _enqueue(self, event: Event, *, copies: int = 1) -> None:
        self._queue += [event] * copies
        if event.priority is Priority.HIGH:
            self._due = True
        elif self._hold is None or self._hold.cancelled:
            self._hold = self._pool.after(self._timing[event.priority.value], self._held_long_enough)
        self._flush_soon()

    def _unmerged(self, event: Event) -> None:
        """No newer event came in time: the one that waited for it goes out as it is."""
        if self._merging.get(event.target) is event:
            del self._merging[event.target]
            self._enqueue(event)

    def _unstall(self) -> None:
        self._stalled = False
        self._flush_soon()

    def _held_long_enough(self) -> None:
        self._hold = None
        self._due = True
        self._flush_soon()

    # What goes out.

    def _flush_soon(self) -> None:
        if not self._flushing and self._parked is not None:
            self._flushing = True
            asyncio.get_running_loop().call_soon(self._flush)

    def _flush(self) -> None:
        self._flushing = False
        if self._parked is not None and self._queue and self._due and not self._stalled:
            self._release(self._package())

    def _package(self) -> JSON:
        """Return the queued events as a body: in their order, in blocks of one sender each."""
        senders: list[JSON] = []
        for event in self._queue:
            self._pool.wire.add(WireRecord(self._pool.now(), "provider", event.name, "", event.fields()))
            if not senders or senders[-1]["href"] != event.sender.href:
                senders.append({"rel": event.sender.rel, "href": event.sender.href, "events": []})
            cast("list[JSON]", senders[-1]["events"]).append(event.wire())
        self._queue = []
        self._due = False
        if self._hold is not None:
            self._hold.cancel()
            self._hold = None
        return {"sender": senders}

    def _release(self, content: JSON, *, onward: str = "next") -> None:
        parked = self._parked
        assert parked is not None  # noqa: S101 - every caller has checked
        links = {"self": self.link(), onward: self.link(self._ack + 1)}
        body: JSON = {"_links": links, **content}
        self._kept = (self._ack, body)
        self._ack += 1
        self._unpark(parked)
        if not parked.answer.done():
            parked.answer.set_result(body)

    def _unpark(self, parked: _Parked) -> None:
        if parked.empty is not None:
            parked.empty.cancel()
        if self._parked is parked:
            self._parked = None
            self._released_at = self._pool.now()

    # Who asks.

    async def _poll(self, ask: Ask) -> Answer:
        ack = ask.number("ack", minimum=0)
        if ack is None or not ack.is_integer():
            ask.wrong("ack")
        self._remember(ask)
        ask.check()
        if self._closed is not None:
            raise self._closed.with_traceback(None)
        take = self._pool.faults.take
        options = take(Fault.OVERFLOW_EVENTS, _OPERATION)
        if options is not None:
            raise self._overflow(options)
        astray = take(Fault.RESYNC_EVENTS, _OPERATION) is not None
        if self._kept is not None and ack == self._kept[0] and not astray:
            return Answer(200, self._kept[1])
        if ack != self._ack or astray:
            first = self._kept[0] if self._kept is not None else self._ack
            return Answer(
                200, {"_links": {"self": self.link(int(ack or 0)), "resync": self.link(first)}}, note="resync"
            )
        self._kept = None
        resuming = take(Fault.RESUME_EVENTS, _OPERATION) is not None
        resuming |= self._parked is None and self._idle(self._pool.now() - self._released_at)
        if resuming:
            self._abandon()
        return await self._park(ask, resuming=resuming)

    def _overflow(self, options: Mapping[str, object]) -> UcwaError:
        """Lose what waits. UCWA documents the subcode alone, and not where it is said."""
        self._abandon()
        self._queue, self._due = [], False
        status, code = int(str(options.get("status", 409))), str(options.get("code", "Conflict"))
        return UcwaError(status, code, "MaxEventCountReached", "There were too many events.")

    def _usurp(self, parked: _Parked) -> None:
        """Let another program poll instead of the one that waits."""
        if self._parked is parked and not parked.answer.done():
            self._unpark(parked)
            parked.answer.set_exception(_replaced())

    def _remember(self, ask: Ask) -> None:
        """Keep the timing for as long as the channel lives."""
        limits = {"low": (5.0, 1800.0), "medium": (5.0, 1800.0), "timeout": (180.0, 1800.0)}
        given = {name: ask.number(name, minimum=low, maximum=high) for name, (low, high) in limits.items()}
        given["priority"] = ask.number("priority", minimum=0.0)
        self._timing |= {name: value for name, value in given.items() if value is not None}

    async def _park(self, ask: Ask, *, resuming: bool) -> Answer:
        priority = self._timing["priority"]
        waiting = self._parked
        if waiting is not None:
            if priority < waiting.priority:
                raise _replaced()
            self._unpark(waiting)
            if not waiting.answer.done():
                waiting.answer.set_exception(_replaced())
        parked = _Parked(priority, asyncio.get_running_loop().create_future())
        self._parked = parked
        self._arrived()
        if resuming:
            self._release(self._package() if self._queue else {}, onward="resume")
        else:
            parked.empty = self._pool.after(self._timing["timeout"], lambda: self._release_empty(parked))
            self._flush()
            # Who is answered at once does not wait, and nobody can take the place.
            waits = self._parked is parked
            options = self._pool.faults.take(Fault.REPLACE_READER, _OPERATION) if waits else None
            if options is not None and "seconds" in options:
                self._pool.after(_seconds(options, 0.0), lambda: self._usurp(parked))
            elif options is not None:
                self._usurp(parked)
        gone: asyncio.Future[None] = asyncio.create_task(ask.disconnected())
        waited: set[asyncio.Future[JSON] | asyncio.Future[None]] = {parked.answer, gone}
        try:
            await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
        finally:
            gone.cancel()
            self._unpark(parked)
        if not parked.answer.done():
            parked.answer.cancel()
            return Answer(204, note="client gone")
        return Answer(200, parked.answer.result())

    def _release_empty(self, parked: _Parked) -> None:
        if self._parked is parked:
            self._release({})

    def _arrived(self) -> None:
        waiting, self._arrivals = self._arrivals, []
        for arrival in waiting:
            if not arrival.done():
                arrival.set_result(None)

    async def caught_up(self) -> None:
        """Return when the client has polled again after everything that was emitted until now."""
        for _ in range(3):
            # What the network does at once reaches the queue within a turn or two of the loop.
            await asyncio.sleep(0)
        while self._closed is None and (self._queue or self._kept is not None):
            arrival: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._arrivals.append(arrival)
            await arrival

    def close(self, error: UcwaError) -> None:
        """Answer whoever polls, now and from now on, with that refusal."""
        self._closed = error
        self._queue = []
        parked = self._parked
        if parked is not None:
            self._unpark(parked)
            if not parked.answer.done():
                parked.answer.set_exception(error)
        self._arrived()


def _replaced() -> UcwaError:
    return conflict("Another request for events has taken its place.", "PGetReplaced")


def _seconds(options: Mapping[str, object], default: float) -> float:
    return float(str(options.get("seconds", default)))
