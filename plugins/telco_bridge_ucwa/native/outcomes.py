"""What becomes of operations that are no calls: invitations of participants, and into meetings, and messages."""

from __future__ import annotations

import uuid
from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace

import anyio
import httpx

from telco_bridge.provider import (
    AnswerLost,
    CallDirection,
    CallState,
    CallView,
    Cause,
    Clock,
    ProviderError,
    Refused,
    TooLate,
    happens_by,
)

from ..application import Application
from ..body import Unreadable
from ..invitations import failure_cause, outcome_of
from ..reasons import explain
from ..wire import Event, Resource, resource_in

__all__ = ["Awaited", "Outcomes"]

_DOUBT = 20.0
"""Seconds for which an operation is waited for that the server may never have heard of."""


@dataclass(slots=True, eq=False)
class Awaited:
    """An operation that was asked for: its operationId, where it is once that is known, and how it ended.

    `doubt` is set where no answer came to what was asked, `lost` where the server has lost the application.
    """

    id: str
    key: str | None = None
    doubt: AnswerLost | None = None
    ended: Event | None = None
    lost: bool = False
    over: anyio.Event = field(default_factory=anyio.Event)

    def end(self, event: Event) -> None:
        """The outcome has come."""
        if self.ended is None:
            self.ended = event
            self.over.set()

    def lose(self) -> None:
        """No outcome will come."""
        self.lost = True
        self.over.set()


class Outcomes:
    """The operations of one session that wait for their outcome, which only events tell.

    An event may overtake the answer that says where the operation is. So it is known by its operationId, and where an
    event does not carry that, by its address, as soon as the answer or another event has told it.
    """

    def __init__(self, application: Application, clock: Clock) -> None:
        self._application = application
        self._clock = clock
        self._waiting: dict[str, Awaited] = {}
        self._unclaimed: dict[str, Event] = {}
        application.observers.append(self.take)
        application.losses.append(self._lose)

    @contextmanager
    def expect(self, operation_id: str | None = None, *, key: str | None = None) -> Generator[Awaited]:
        """Listen for the outcome of an operation: one that is about to be asked for, or is at that address."""
        awaited = Awaited(operation_id or uuid.uuid4().hex, key)
        self._waiting[awaited.id] = awaited
        try:
            yield awaited
        finally:
            self._waiting.pop(awaited.id, None)
            self._forget_unclaimed()

    def place(self, awaited: Awaited, answer: httpx.Response) -> str | None:
        """The answer tells where the operation is, by its Location or by being the operation itself; return that."""
        href: str | None = answer.headers.get("location")
        if href is None and answer.content:
            with suppress(Unreadable):
                href = resource_in(answer, rel="").href
        key = self._application.resources.key(href)
        if key is None:
            return None
        awaited.key = key
        ended = self._unclaimed.pop(key, None)
        if ended is not None:
            awaited.end(ended)
        self._forget_unclaimed()
        return href

    def settle(self, awaited: Awaited, invitation: Resource) -> None:
        """Take what was read of it: the outcome may have come while nobody waited."""
        read = Event(rel=invitation.rel, href=awaited.key or "", type="updated", body=invitation)
        if any(_outcome(read)):
            awaited.end(read)

    def take(self, event: Event) -> None:
        """Hear what an event says of an operation that waits."""
        if not self._waiting or not (event.rel.endswith("Invitation") or event.rel == "message"):
            return
        key = self._application.resources.key(event.href)
        said = event.body.text("operationId") if event.body is not None else None
        awaited = self._waiting.get(said or "") or self._at(key)
        if awaited is not None:
            awaited.key = key
        if event.type != "completed" and not any(_outcome(event)):
            return
        if awaited is not None:
            awaited.end(event)
        elif key is not None and said is None and self._seek_places():
            self._unclaimed[key] = event

    def _at(self, key: str | None) -> Awaited | None:
        return next((found for found in self._waiting.values() if key is not None and found.key == key), None)

    def _seek_places(self) -> bool:
        """Whether an answer may still tell where something is of which an event has told already."""
        return any(awaited.key is None for awaited in self._waiting.values())

    def _forget_unclaimed(self) -> None:
        if not self._seek_places():
            self._unclaimed.clear()

    def _lose(self) -> None:
        """The server has lost the application, and all of its operations."""
        self._unclaimed.clear()
        for awaited in self._waiting.values():
            awaited.lose()

    async def success(self, awaited: Awaited, *, what: str, rel: str, timeout: float) -> Resource:
        """Return the invitation once it has succeeded, read again where the event came without it.

        `timeout` is in seconds; then the invitation is asked once. Raises `Refused`, with the reason as its
        `termination`, where it has failed, `AnswerLost` where nothing tells its outcome in time, and `TooLate` where
        the server loses the application.
        """
        patience = timeout if awaited.doubt is None else min(timeout, _DOUBT)
        await happens_by(self._clock, awaited.over, self._clock.now() + patience)
        if awaited.lost:
            raise TooLate(f"{what}: it came to nothing, the server has lost the application", provider="ucwa")
        event = awaited.ended
        if event is None or event.body is None:
            event = await self._ask(awaited, rel)
        success, failure = _outcome(event) if event is not None else (False, False)
        if event is None or not (success or failure):
            raise self._open(awaited, what, patience)
        invitation = event.body if event.body is not None else Resource(rel=rel, href=event.href)
        if success:
            return invitation
        cause = failure_cause(event, invitation) or Cause(dialect="ErrorSubcode", said=False)
        dialled = CallView(id=awaited.id, direction=CallDirection.OUTBOUND, reached=CallState.RINGING)
        told = explain(cause, dialled)
        said = ": ".join(part for part in (cause.code, cause.text) if part) or "no reason was given"
        raise Refused(f"{what}: it came to nothing ({said})", termination=told, provider="ucwa", code=cause.code)

    def _open(self, awaited: Awaited, what: str, patience: float) -> AnswerLost:
        asked = "accepted" if awaited.doubt is None else "no answer came to it"
        lost = AnswerLost(
            f"{what}: {asked}, and nothing told its outcome within {patience:g} s. It may still come about: look "
            "for it in the conversation before asking again.",
            provider="ucwa",
        )
        lost.__cause__ = awaited.doubt
        return lost

    async def _ask(self, awaited: Awaited, rel: str) -> Event | None:
        """Read the invitation, of which the event was lost or came without it."""
        if awaited.key is None:
            return awaited.ended
        try:
            body = await self._application.links.get(awaited.key, rel)
        except ProviderError:
            return awaited.ended
        ended = awaited.ended if awaited.ended is not None else Event(rel=rel, href=awaited.key, type="completed")
        return replace(ended, body=body)


def _outcome(event: Event) -> tuple[bool, bool]:
    body = event.body or Resource(rel=event.rel)
    if event.rel == "message" and event.status is None:
        # A message that is read says itself what has become of it.
        event = replace(event, status=body.text("status"))
    return outcome_of(event, body)
