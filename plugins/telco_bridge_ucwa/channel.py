"""The event channel: one parked GET after another, each issued before the package before it is processed."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

import anyio
import httpx
from anyio.abc import TaskGroup
from anyio.streams.memory import MemoryObjectReceiveStream

from telco_bridge.http import refusal, retry_after
from telco_bridge.provider import (
    AnswerLost,
    CallReport,
    CallState,
    Cause,
    Fact,
    Gap,
    Host,
    NotSent,
    ProviderError,
    Source,
)

from .decode import CALL_RELS, decode, standing
from .resources import Resources
from .wire import Event, Package, Resource, Unreadable, is_ucwa, parse_package, problem_in, with_query

__all__ = ["ApplicationLost", "EventChannel"]

Fetch = Callable[[str, float], Awaitable[httpx.Response]]
"""GETs a link within a read timeout."""
Read = Callable[[str, str], Awaitable[Resource]]
"""GETs the resource at a link, which is of that rel."""
Observe = Callable[[Event], None]
"""Is told of an event that the resources have taken."""

_TRIES = 3
"""Failed GETs in a row after which the application is told that the channel is down."""
_PAUSE = 1.0
"""Seconds between the first failed GET and the next; each further pause is twice as long."""
_MARGIN = 30.0
"""How much longer than the server's own release a parked GET is waited for."""


class ApplicationLost(ProviderError):
    """The server no longer knows the application, and with it every call. `again` says that a new one may be made."""

    def __init__(self, message: str, *, again: bool, code: str | None, status: int) -> None:
        super().__init__(message, provider="ucwa", code=code, status=status)
        self.again = again


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


class _Replaced(ProviderError):
    """Another parked GET has taken the place of this one."""


class EventChannel:
    """Reads the events of one application. `run` may be called again after it has raised: it goes on where it was."""

    def __init__(
        self,
        *,
        events: str,
        fetch: Fetch,
        read: Read,
        resources: Resources,
        host: Host,
        poll_timeout: int,
        observe: Observe = lambda _: None,
    ) -> None:
        self._poll_timeout = poll_timeout
        self._next: str = self._timed(events)
        self._fetch = fetch
        self._read = read
        self._observe = observe
        self._resources = resources
        self._host = host
        self.heard_as_of = host.stamp()
        """When the server last answered with a package."""
        self._not_before = 0.0
        self._broke = False
        self._replaying_since: float | None = None

    async def run(self) -> None:
        """Poll for ever. Raises `ProviderError` where repeating has not helped, having processed what had come.

        The first package after that is followed by a `Gap`.
        """
        send, receive = anyio.create_memory_object_stream[_Parcel](math.inf)
        failure: ProviderError | None = None
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._process_all, receive, tasks)
            with send:
                try:
                    await self._host.clock.sleep_until(self._not_before)
                    while True:
                        # Putting a parcel away does not let the processing task run; the next GET does.
                        send.send_nowait(await self._poll())
                except ProviderError as error:
                    failure = error
                    self._broke = True
        if failure is not None:
            raise failure

    # Polling

    async def _poll(self) -> _Parcel:
        package = await self._persist(self._next)
        parcel = _Parcel(package, self.heard_as_of, self._replaying_since, self._broke)
        self._replaying_since, self._broke = None, False
        if package.resync is not None:
            self._next = package.resync
            self._replaying_since = self.heard_as_of
        elif package.resume is not None:
            self._next = self._timed(package.resume)
        elif package.next is not None:
            self._next = package.next
        self.heard_as_of = self._host.stamp()
        return parcel

    async def _persist(self, href: str) -> Package:
        """Repeat the same GET, which is harmless, a few times until it is answered with a package."""
        clock = self._host.clock
        failures = 0
        replaced = False
        while True:
            try:
                return await self._get(href)
            except _Replaced:
                # Our own GET, given up on this side, may still have been parked on the server; once is no evidence.
                if replaced:
                    raise
                replaced = True
                continue
            except (_Later, NotSent, AnswerLost) as error:
                failure = error
            failures += 1
            asked = failure.pause if isinstance(failure, _Later) else None
            if failures == _TRIES:
                self._not_before = clock.now() + (asked or 0.0)
                raise ProviderError(
                    f"the event channel failed {failures} times in a row; the last events came "
                    f"{clock.now() - self.heard_as_of:.0f} s ago: {failure}",
                    provider="ucwa",
                    code=failure.code,
                    status=failure.status,
                ) from failure
            await clock.sleep_until(clock.now() + (asked or _PAUSE * 2 ** (failures - 1)))

    async def _get(self, href: str) -> Package:
        response = await self._fetch(href, self._poll_timeout + _MARGIN)
        if response.status_code == 200:
            try:
                return parse_package(response)
            except Unreadable as error:
                raise _Later(f"GET events: {error}", provider="ucwa") from error
        problem = problem_in(response)
        code = problem.name if problem is not None else None
        status = response.status_code
        if status in (408, 429) or (status in (404, 410) and not is_ucwa(response)):
            raise _Later(f"GET events: HTTP {status}", pause=retry_after(response, now=self._host.clock.now()))
        if status == 409 and problem is not None and problem.subcode == "PGetReplaced":
            raise _Replaced(
                "another program reads the events of this application; give each its own endpoint_id",
                provider="ucwa",
                code=code,
                status=status,
            )
        if status in (404, 410):
            raise ApplicationLost(
                f"GET events: the server has ended the application: {code}. Its calls are lost.",
                again=status == 404,
                code=code,
                status=status,
            )
        raise refusal(
            response,
            provider="ucwa",
            what="GET events",
            code=code,
            message=problem.words if problem is not None else "",
            now=self._host.clock.now(),
        )

    def _timed(self, href: str) -> str:
        """The server remembers the time after which it releases an empty GET until it closes the channel."""
        try:
            return with_query(href, (("timeout", str(self._poll_timeout)),))
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
        for event in package.events:
            # Replayed events happened at some time in the gap; what was read meanwhile is newer.
            as_of = self._host.stamp() if parcel.replays_since is None else math.nextafter(as_of or 0.0, math.inf)
            bare = event.body is None and event.rel in CALL_RELS and event.type != "deleted"
            if not bare or event.status is not None or event.reason is not None:
                facts += self.take(event, as_of)
            if bare:
                tasks.start_soon(self._look_up, event)
        if package.resync is not None:
            self._resources.drop_calls()
        elif package.resume is not None:
            facts += self._lose_calls("resume")
            facts.append(Gap(as_of=self._host.stamp(), since=parcel.since, why="resume"))
        if parcel.replays_since is not None:
            facts.append(Gap(as_of=self._host.stamp(), since=parcel.replays_since, why="resync"))
        if parcel.after_trouble:
            facts.append(Gap(as_of=self._host.stamp(), since=parcel.since, why="the event channel was down"))
        if facts:
            self._host.report(*facts)

    def take(self, event: Event, as_of: float) -> tuple[Fact, ...]:
        """Let an event change the resources, and return what it says."""
        change = self._resources.take(event, as_of)
        self._observe(event)
        facts = decode(event, change, self._resources, as_of)
        if event.rel == "conversation" and event.type == "deleted" and change.ref is not None:
            self._resources.forget(change.ref)
        if change.late and change.body is not None:
            self._resources.forget_operation(self._resources.operation_id(change.body) or "")
        return facts

    async def _look_up(self, event: Event) -> None:
        """Read the resource that an event came without; as of before the question, for later events may be newer."""
        as_of = self._host.stamp()
        try:
            body = await self._read(event.href, event.rel)
        except ProviderError as error:
            gap = Gap(as_of=self._host.stamp(), since=as_of, why=f"{event.rel} could not be read: {error}")
            self._host.report(*self.take(event, as_of), gap)
        else:
            facts = self.take(replace(event, body=body), as_of)
            refs = dict.fromkeys(fact.ref for fact in facts if fact.ref is not None)
            self._host.report(*facts, *(fact for ref in refs for fact in standing(ref, self._resources)))

    def lose_calls(self, why: str) -> None:
        """Report that every call known here has ended, because the server has dropped them."""
        facts = self._lose_calls(why)
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


class _Later(ProviderError):
    """No package now; the same GET will be answered later."""

    def __init__(self, message: str, *, pause: float | None = None, provider: str = "ucwa") -> None:
        super().__init__(message, provider=provider)
        self.pause = pause
