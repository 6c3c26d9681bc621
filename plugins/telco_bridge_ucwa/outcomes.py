"""What becomes of operations that are no calls: invitations of participants, and into meetings."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace

import anyio
import httpx

from telco_bridge.provider import AnswerLost, CallDirection, CallState, CallView, Cause, Clock, ProviderError, Refused

from .application import Application
from .body import Unreadable
from .invitations import failure_cause, outcome_of
from .patience import happens_by
from .reasons import explain
from .wire import Event, Resource, resource_in

__all__ = ["Operation", "Outcomes"]


@dataclass(slots=True, eq=False)
class Operation:
    """An operation that was asked for: its operationId, where it is once that is known, and how it ended."""

    id: str
    key: str | None = None
    ended: Event | None = None
    over: anyio.Event = field(default_factory=anyio.Event)

    def end(self, event: Event) -> None:
        """The outcome has come."""
        if self.ended is None:
            self.ended = event
            self.over.set()


class Outcomes:
    """The operations of one session that wait for their outcome, which only events tell.

    An event may overtake the answer that says where the operation is. So it is known by its operationId, and where an
    event does not carry that, by its address, as soon as the answer or another event has told it.
    """

    def __init__(self, application: Application, clock: Clock) -> None:
        self._application = application
        self._clock = clock
        self._waiting: dict[str, Operation] = {}
        self._unclaimed: dict[str, Event] = {}
        application.observers.append(self.take)

    @contextmanager
    def expect(self, operation_id: str) -> Generator[Operation]:
        """Listen for the outcome of an operation that is about to be asked for."""
        operation = self._waiting[operation_id] = Operation(operation_id)
        try:
            yield operation
        finally:
            del self._waiting[operation_id]
            if not self._waiting:
                self._unclaimed.clear()

    def place(self, operation: Operation, answer: httpx.Response) -> None:
        """The answer tells where the operation is: by its Location, or by being the operation itself."""
        href: str | None = answer.headers.get("location")
        if href is None and answer.content:
            with suppress(Unreadable):
                href = resource_in(answer, rel="").href
        if href is None:
            return
        operation.key = self._application.resources.key(href)
        ended = self._unclaimed.pop(operation.key or "", None)
        if ended is not None:
            operation.end(ended)

    def take(self, event: Event) -> None:
        """Hear what an event says of an operation that waits."""
        if not self._waiting or not event.rel.endswith("Invitation"):
            return
        key = self._application.resources.key(event.href)
        said = event.body.text("operationId") if event.body is not None else None
        operation = self._waiting.get(said or "") or self._at(key)
        if operation is not None:
            operation.key = key
        if event.type != "completed" and not any(_outcome(event)):
            return
        if operation is not None:
            operation.end(event)
        elif key is not None:
            self._unclaimed[key] = event

    def _at(self, key: str | None) -> Operation | None:
        return next((found for found in self._waiting.values() if key is not None and found.key == key), None)

    async def success(self, operation: Operation, *, what: str, rel: str, timeout: float) -> Resource:
        """Return the invitation once it has succeeded, read again where the event came without it.

        `timeout` is in seconds; then the invitation is asked once. Raises `Refused`, with the reason as its
        `termination`, where it has failed, and `AnswerLost` where nothing tells its outcome in time.
        """
        await happens_by(self._clock, operation.over, self._clock.now() + timeout)
        event = operation.ended
        if event is None or event.body is None:
            event = await self._ask(operation, rel)
        success, failure = _outcome(event) if event is not None else (False, False)
        if event is None or not (success or failure):
            raise AnswerLost(
                f"{what}: accepted, and nothing told its outcome within {timeout:g} s. It may still come about: look "
                "at the roster before asking again.",
                provider="ucwa",
            )
        invitation = event.body if event.body is not None else Resource(rel=rel, href=event.href)
        if success:
            return invitation
        cause = failure_cause(event, invitation) or Cause(dialect="ErrorSubcode", said=False)
        dialled = CallView(id=operation.id, direction=CallDirection.OUTBOUND, reached=CallState.RINGING)
        told = explain(cause, dialled)
        said = ": ".join(part for part in (cause.code, cause.text) if part) or "no reason was given"
        raise Refused(f"{what}: it came to nothing ({said})", termination=told, provider="ucwa", code=cause.code)

    async def _ask(self, operation: Operation, rel: str) -> Event | None:
        """Read the invitation, of which the event was lost or came without it."""
        if operation.key is None:
            return operation.ended
        try:
            body = await self._application.links.get(operation.key, rel)
        except ProviderError:
            return operation.ended
        ended = operation.ended if operation.ended is not None else Event(rel=rel, href=operation.key, type="completed")
        return replace(ended, body=body)


def _outcome(event: Event) -> tuple[bool, bool]:
    return outcome_of(event, event.body or Resource(rel=event.rel))
