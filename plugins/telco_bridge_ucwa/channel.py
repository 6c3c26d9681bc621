"""The event channel: one parked GET after another, each issued before the package before it is processed."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace

import anyio
from anyio.abc import TaskGroup
from anyio.streams.memory import MemoryObjectReceiveStream

from telco_bridge.provider import CallReport, CallState, Cause, Fact, Gap, Host, ProviderError, Source

from .decode import decode, must_be_read, standing
from .poll import OVERFLOW, Fetch, Overflowed, Poll
from .resources import Resources
from .wire import Event, Package, Resource, with_query

__all__ = ["EventChannel"]

Read = Callable[[str, str], Awaitable[Resource]]
"""GETs the resource at a link, which is of that rel."""
Observe = Callable[[Event], None]
"""Is told of an event that the resources have taken."""

Renew = Callable[[], Awaitable[str]]
"""Returns the link to the events anew."""
Recover = Callable[[], Awaitable[None]]
"""Reads again what events may have told that were missed, and reports it."""

_OWN = frozenset({"me", "communication"})
_RESTARTS = 3
"""How often in a row the server may send its reader elsewhere before that counts as trouble."""
_READS = 16
"""How many resources are read at once, so that commands need not wait behind what a busy hour leaves to be read."""


_GRACE = 10.0
"""Seconds that reads may still take once the channel has failed: what they miss is asked for after the gap."""


async def _nothing() -> None:
    """Read nothing."""


@dataclass(frozen=True, slots=True)
class _Parcel:
    """A package on its way to being processed. `since` is when the one before it came.

    `replays_since` is set where the package repeats what was missed since then, and `after_trouble` where the channel
    had broken meanwhile.
    """

    package: Package
    since: float
    replays_since: float | None = None
    after_trouble: bool = False

    @property
    def resumes(self) -> bool:
        """Whether the server has closed what was open, or lost what it could not keep."""
        reasons = (event.reason for event in self.package.events)
        return self.package.resume is not None or any(r is not None and r.subcode == OVERFLOW for r in reasons)


class EventChannel:
    """Reads the events of one application. `run` may be called again after it has raised: it goes on where it was."""

    def __init__(
        self,
        *,
        events: str,
        renew: Renew,
        fetch: Fetch,
        read: Read,
        resources: Resources,
        host: Host,
        timing: Mapping[str, int],
        observe: Observe = lambda _: None,
        recover: Recover = _nothing,
    ) -> None:
        self._timing = tuple((name, str(seconds)) for name, seconds in timing.items())
        self._next: str = self._timed(events)
        self._renew = renew
        self._polls = Poll(fetch=fetch, clock=host.clock, timeout=timing["timeout"])
        self._read = read
        self._observe = observe
        self._recover = recover
        self._resources = resources
        self._host = host
        self.heard_as_of = host.stamp()
        """When the server last answered with a package."""
        self._broke = False
        self._replaying_since: float | None = None
        self._restarts = 0
        self._reads = anyio.CapacityLimiter(_READS)

    async def run(self) -> None:
        """Poll for ever. Raises `ProviderError` where repeating has not helped, having processed what had come.

        The first package after that is followed by a `Gap`. `ApplicationLost` is the end: nothing more will come.
        """
        send, receive = anyio.create_memory_object_stream[_Parcel](math.inf)
        failure: ProviderError | None = None
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._process_all, receive, tasks)
            with send:
                try:
                    while True:
                        # Putting a parcel away does not let the processing task run; the next GET does.
                        send.send_nowait(await self._poll())
                except ProviderError as error:
                    failure = error
                    self._broke = True
                    tasks.cancel_scope.deadline = anyio.current_time() + _GRACE
        if failure is not None:
            raise failure

    # Polling

    async def _poll(self) -> _Parcel:
        if self._restarts > _RESTARTS:
            # What the last one said has been taken; each further one counts as trouble again.
            self._restarts = _RESTARTS
            raise ProviderError(f"GET events: sent elsewhere {_RESTARTS + 1} times in a row", provider="ucwa")
        try:
            package = await self._polls.package(self._next)
        except Overflowed:
            package = Package(resume=await self._renew())
        parcel = _Parcel(package, self.heard_as_of, self._replaying_since, self._broke)
        self._replaying_since, self._broke = None, False
        restarts = package.resync is not None or package.resume is not None
        self._restarts = self._restarts + 1 if restarts else 0
        if package.resync is not None:
            self._next = package.resync
            self._replaying_since = self.heard_as_of if parcel.replays_since is None else parcel.replays_since
        elif package.resume is not None:
            self._next = self._timed(package.resume)
        elif package.next is not None:
            self._next = package.next
        self.heard_as_of = self._host.stamp()
        return parcel

    def _timed(self, href: str) -> str:
        """The server remembers how long it holds a GET until it closes the channel."""
        try:
            return with_query(href, self._timing)
        except ValueError:
            # No URL at all; following it says so.
            return href

    # Processing

    async def _process_all(self, parcels: MemoryObjectReceiveStream[_Parcel], tasks: TaskGroup) -> None:
        with parcels:
            async for parcel in parcels:
                self._process(parcel, tasks)

    def _process(self, parcel: _Parcel, tasks: TaskGroup) -> None:
        """Report a package at once and in its order. What has to be read first is reported when it has been read."""
        package, as_of = parcel.package, parcel.replays_since
        facts: list[Fact] = []
        unread: dict[str, Event] = {}
        for event in package.events:
            # Replayed events happened at some time in the gap; what was read meanwhile is newer.
            as_of = self._host.stamp() if parcel.replays_since is None else math.nextafter(as_of or 0.0, math.inf)
            bare = event.body is None and event.type != "deleted" and must_be_read(event, self._resources)
            if not bare or event.status is not None or event.reason is not None:
                facts += self.take(event, as_of)
            if bare:
                # Read once, for the last word about it: what is read is not older than that.
                unread.pop(event.href, None)
                unread[event.href] = event
            elif event.rel in _OWN and event.body is None and event.type == "updated":
                tasks.start_soon(self._refresh, event)
        for event in unread.values():
            tasks.start_soon(self._look_up, event)
        if package.resync is not None:
            self._resources.drop_calls()
        elif parcel.resumes:
            facts += self._lose_calls("resume")
            # What was open and no call, such as a meeting, has been closed as well.
            self._resources.drop_calls()
            tasks.start_soon(self._make_up, parcel.since, "resume")
        if parcel.replays_since is not None and package.resync is None:
            tasks.start_soon(self._make_up, parcel.replays_since, "resync")
        if parcel.after_trouble:
            facts.append(Gap(as_of=self._host.stamp(), since=parcel.since, why="the event channel was down"))
        if facts:
            self._host.report(*facts)

    async def _make_up(self, since: float, why: str) -> None:
        """Read what was missed, and then say that something was."""
        # What cannot be read now is read by whoever hears of the gap.
        with suppress(ProviderError):
            await self._recover()
        self._host.report(Gap(as_of=self._host.stamp(), since=since, why=why))

    def take(self, event: Event, as_of: float) -> tuple[Fact, ...]:
        """Let an event change the resources, and return what it says."""
        change = self._resources.take(event, as_of)
        self._observe(event)
        facts = decode(event, change, self._resources, as_of)
        for ref in change.over:
            self._resources.forget(ref)
        if change.late and change.body is not None:
            self._resources.forget_operation(self._resources.operation_id(change.body) or "")
        return facts

    async def _look_up(self, event: Event) -> None:
        """Read the resource that an event came without; as of before the question, for later events may be newer."""
        async with self._reads:
            as_of = self._host.stamp()
            try:
                body = await self._read(event.href, event.rel)
            except ProviderError as error:
                over = error.status == 404 and self._resources.is_over(event)
                gap = Gap(as_of=self._host.stamp(), since=as_of, why=f"{event.rel} could not be read: {error}")
                # What was deleted meanwhile has said all that it had to say.
                self._host.report(*self.take(event, as_of), *(() if over else (gap,)))
                return
        facts = self.take(replace(event, body=body), as_of)
        refs = dict.fromkeys(fact.ref for fact in facts if fact.ref is not None)
        self._host.report(*facts, *(fact for ref in refs for fact in standing(ref, self._resources)))

    async def _refresh(self, event: Event) -> None:
        """Read one of the application's own resources again, because its links have changed."""
        async with self._reads:
            as_of = self._host.stamp()
            # Nothing is lost with it: a link that is not known is looked for when it is needed.
            with suppress(ProviderError):
                self._resources.put(await self._read(event.href, event.rel), as_of)

    def lose_calls(self, why: str) -> None:
        """Report that every call known here has ended, because the server has dropped them."""
        facts = self._lose_calls(why)
        for dialled in self._resources.dials:
            # No event has told of its conversation, and none will.
            self._resources.forget_operation(dialled)
            lost = Cause(dialect="EventChannel", code=why)
            state, as_of = CallState.ENDED, self._host.stamp()
            facts.append(CallReport(source=Source.PUSH, as_of=as_of, command_id=dialled, state=state, cause=lost))
        if facts:
            self._host.report(*facts)

    def _lose_calls(self, why: str) -> list[Fact]:
        cause = Cause(dialect="EventChannel", code=why)
        refs = self._resources.calls
        for ref in refs:
            self._resources.forget(ref)
        return [
            CallReport(source=Source.PUSH, as_of=self._host.stamp(), ref=ref, state=CallState.ENDED, cause=cause)
            for ref in refs
        ]
