"""Invitations into meetings that come in, from the event that tells of one to its end."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping
from dataclasses import replace

import anyio

from telco_bridge.provider import TooLate

from ..application import Application
from ..invitations import outcome_of
from ..modalities import is_incoming
from ..reasons import decline_reason
from ..wire import Event, Resource
from .admission import REL, enter
from .conversation import UcwaConversation
from .door import Door
from .roster import Rosters

__all__ = ["MeetingInvitation", "MeetingInvitations"]

_KEPT = 256
"""How many invitations are kept whose end was perhaps missed."""


class MeetingInvitation:
    """Somebody invites the user into a meeting: from `UcwaApplication.meeting_invitations`.

    None is what the server did not say; `native` are all of the invitation's properties.
    """

    def __init__(
        self, door: Door, rosters: Rosters, invitations: MeetingInvitations, place: str, body: Resource
    ) -> None:
        self._door = door
        self._invitations = invitations
        self._rosters = rosters
        self._place = place
        self._body = body

    @property
    def uri(self) -> str | None:
        """What the meeting is joined by."""
        return self._body.text("onlineMeetingUri")

    @property
    def subject(self) -> str | None:
        """What the meeting is about."""
        return self._body.text("subject")

    @property
    def importance(self) -> str | None:
        """How much it matters, in the server's word."""
        return self._body.text("importance")

    @property
    def thread_id(self) -> str | None:
        """What the meeting has in common with earlier conversations."""
        return self._body.text("threadId")

    @property
    def inviter(self) -> str | None:
        """The address of whoever invites."""
        sender = self._body.part("from")
        return sender.text("uri") if sender is not None else None

    @property
    def inviter_name(self) -> str | None:
        """The name of whoever invites."""
        sender = self._body.part("from")
        return sender.text("name") if sender is not None else None

    @property
    def available_modalities(self) -> frozenset[str]:
        """The media of the meeting, in the server's words."""
        return self._body.words("availableModalities") or frozenset()

    @property
    def native(self) -> Mapping[str, object]:
        """All properties of the invitation."""
        return dict(self._body.properties)

    def __str__(self) -> str:
        return f"the invitation of {self.inviter_name or self.inviter or 'somebody unnamed'}"

    @property
    def is_open(self) -> bool:
        """Whether nobody has decided it, as far as events have told."""
        return self._invitations.knows(self._place)

    async def decided(self) -> None:
        """Return once it is open no longer: it was taken or declined, here or elsewhere, withdrawn, or missed."""
        while self.is_open:
            await self._invitations.changed.wait()

    async def accept(self, *, timeout: float = 45.0) -> UcwaConversation:
        """Go into the meeting, and return once the user is in its roster. The conversation has no media yet.

        Raises `TooLate` where it was taken elsewhere, withdrawn or missed, and else what `UcwaApplication.join_meeting`
        raises.
        """
        what = f"accept of {self}"
        with self._door.outcomes.expect(key=self._door.resources.key(self._place)) as awaited:
            await self._door.ask(awaited, await self._newest("accept"), "accept", of=str(self))
            return await enter(self._door, self._rosters, awaited, what=what, timeout=timeout)

    async def decline(self, reason: str | None = None) -> None:
        """Refuse it. `reason` is one of UCWA's CallDeclineReason: `Global` speaks for all of the user's programs.

        Raises `Refused` for any other word, and `TooLate` where it was taken elsewhere, withdrawn or missed.
        """
        word = decline_reason(None, {"reason": reason})
        body = {"reason": word} if word is not None else None
        await self._door.post(await self._newest("decline"), "decline", of=str(self), body=body)

    async def _newest(self, rel: str) -> Resource:
        """The invitation, read where what came with it does not offer that link."""
        if self._body.link(rel) is not None:
            return self._body
        body = await self._door.get(self._place, REL)
        if body is None:
            raise TooLate(f"{rel} of {self}: it is over. Nothing was sent.", provider="ucwa")
        return body


class MeetingInvitations:
    """The undecided invitations into meetings of one session, as events tell them."""

    def __init__(self, application: Application) -> None:
        self._application = application
        self._open: dict[str, Event] = {}
        self.changed = anyio.Event()
        """Is set with the next change, and is another one then."""
        application.observers.append(self._take)
        application.losses.append(self._lose)

    async def each(self, door: Callable[[], Door], rosters: Rosters) -> AsyncGenerator[MeetingInvitation]:
        """Yield every invitation once: those that are undecided now, and those to come."""
        given: set[str] = set()
        while True:
            changed = self.changed
            for key, event in list(self._open.items()):
                body = None if key in given else await self._read(event, door())
                if body is not None and key in self._open:
                    given.add(key)
                    yield MeetingInvitation(door(), rosters, self, key, body)
            given &= self._open.keys()
            await changed.wait()

    def _lose(self) -> None:
        """The server has lost the application, and every invitation with it."""
        self._open.clear()
        self._wake()

    def knows(self, key: str) -> bool:
        """Whether the invitation at that address is undecided."""
        return key in self._open

    def _wake(self) -> None:
        changed, self.changed = self.changed, anyio.Event()
        changed.set()

    def doubt(self) -> None:
        """Events were missed: what is open has to be read before anybody is told of it."""
        self._open = {key: replace(event, body=None) for key, event in self._open.items()}

    async def _read(self, event: Event, door: Door) -> Resource | None:
        """Return the invitation of the event; None where it is over, or is the user's own."""
        body = event.body
        if body is None:
            try:
                body = await door.get(event.href, REL)
            except TooLate:
                return None
        if body is None or not is_incoming(body) or any(outcome_of(event, body)):
            self._open.pop(door.resources.key(event.href) or "", None)
            self._wake()
            return None
        return body

    def _take(self, event: Event) -> None:
        key = self._application.resources.key(event.href)
        if event.rel != REL or key is None:
            return
        if event.type == "completed" or any(outcome_of(event, event.body or Resource(rel=REL))):
            self._open.pop(key, None)
            self._wake()
        elif event.body is None or is_incoming(event.body):
            self._open[key] = event
            if len(self._open) > _KEPT:
                del self._open[next(iter(self._open))]
            self._wake()
