"""Who is in a conversation, kept from its events. Real servers send most of those bare, to be read when asked for."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import anyio

from ..application import Application
from ..wire import Event, Resource
from .participants import Participant, participant_of

__all__ = ["Member", "Part", "Roster", "Rosters"]

_PARTIES = frozenset({"participant", "localParticipant"})
_MEDIA = ("participantAudio", "participantVideo")
_VIEWS = frozenset({"lobby", "leaders", "attendees"})
_NEVER_BUILT = -1
_SOME = 256
"""After how many conversations more the lost ones are looked for, and how many are remembered that are over."""


@dataclass(slots=True, eq=False)
class Part:
    """One resource of a member: where it is, and what was last known of it.

    `told` counts what was heard of it and `read` how much of that the body shows, so that what changes while it is
    being read is read again.
    """

    rel: str
    href: str
    body: Resource | None = None
    told: int = 1
    read: int = 0

    @property
    def stale(self) -> bool:
        """Whether the body does not show everything that was heard of."""
        return self.read < self.told

    def hear(self, body: Resource | None) -> None:
        """It has changed, to that if it was sent along."""
        self.told += 1
        if body is not None:
            self.show(body, self.told)

    def show(self, body: Resource, as_of: int) -> None:
        """Take a body that shows what had been heard by then."""
        if as_of >= self.read:
            self.body, self.read = body, as_of


@dataclass(slots=True, eq=False)
class Member:
    """A participant, the media that it uses, and whether those are known from links only."""

    own: Part
    local: bool
    media: dict[str, Part] = field(default_factory=dict[str, Part])
    by_links: bool = False
    heard: int = 0
    """The number of the last event about it."""


class Roster:
    """The members of one conversation. Bodies are kept once somebody has asked for them."""

    def __init__(self, gaps: int) -> None:
        self.members: dict[str, Member] = {}
        self.gaps = gaps
        """How many gaps there had been when it was last built."""
        self.watched = False
        self.closed = False
        self.heard = 0
        """The number of the last event."""
        self._left: dict[str, int] = {}
        self._rebuilding = 0
        self._changed: anyio.Event | None = None

    def changed(self) -> anyio.Event:
        """Return what happens with the next change."""
        if self._changed is None:
            self._changed = anyio.Event()
        return self._changed

    @property
    def awaited(self) -> bool:
        """Whether somebody waits for a change."""
        return self._changed is not None

    def close(self) -> None:
        """The conversation is over."""
        self.closed = True
        self.wake()

    def wake(self) -> None:
        """Let whoever waits for a change look again."""
        changed, self._changed = self._changed, None
        if changed is not None:
            changed.set()

    def take(self, event: Event, key: str, owner: str | None) -> None:
        """Take an event about a participant or its media; `key` is its address, `owner` that of what it belongs to."""
        body = event.body if self.watched else None
        self.heard += 1
        if event.rel in _MEDIA:
            self._take_media(event, key, owner, body)
        elif event.member_rel in _VIEWS:
            self._take_membership(event, key, body)
        elif event.member_rel is not None and event.member_rel not in _PARTIES:
            # Who is typing, for instance, is nobody new.
            return
        elif event.type == "deleted":
            self.members.pop(key, None)
            if self._rebuilding:
                self._left[key] = self.heard
        else:
            self._hear(key, event.href, body, local=event.rel == "localParticipant")
        self.wake()

    def _take_membership(self, event: Event, key: str, body: Resource | None) -> None:
        """Its role, or whether it waits in the lobby, has changed. Who leaves a view may have left altogether."""
        if event.type != "deleted":
            self._hear(key, event.href, body, local=False)
        elif key in self.members:
            self.members[key].own.hear(body)

    def _take_media(self, event: Event, key: str, owner: str | None, body: Resource | None) -> None:
        if event.type == "deleted":
            for member in self.members.values():
                if any(part.href == key for part in member.media.values()):
                    member.media = {rel: part for rel, part in member.media.items() if part.href != key}
            return
        if owner is None:
            return
        member = self.members.get(owner) or self._hear(owner, owner, None, local=event.member_rel == "localParticipant")
        part = member.media.get(event.rel)
        if part is None or part.href != key:
            part = member.media[event.rel] = Part(event.rel, key)
        part.hear(body)

    def _hear(self, key: str, href: str, body: Resource | None, *, local: bool) -> Member:
        member = self.members.get(key)
        if member is None:
            part = Part("localParticipant" if local else "participant", href)
            member = self.members[key] = Member(part, local)
        member.heard = self.heard
        member.own.hear(body)
        return member

    # Rebuilding and reading

    @contextmanager
    def rebuilding(self) -> Generator[None]:
        """Remember who leaves while the views are read."""
        self._rebuilding += 1
        try:
            yield
        finally:
            self._rebuilding -= 1
            if not self._rebuilding:
                self._left.clear()

    def begin_anew(self, members: dict[str, Member], gaps: int, *, since: int) -> None:
        """Take who was found in the views for everybody, but for what events have told `since` they were asked for."""
        members |= {key: member for key, member in self.members.items() if member.heard > since}
        for key, left in self._left.items():
            if left > since and key not in self.members:
                members.pop(key, None)
        self.members, self.gaps = members, gaps
        self.wake()

    def stale(self) -> Iterator[tuple[str, Member, Part]]:
        """Everything that has to be read, with its member and the member's address."""
        for key, member in list(self.members.items()):
            if member.own.stale:
                yield key, member, member.own
            for part in list(member.media.values()):
                if part.stale:
                    yield key, member, part

    def take_body(self, key: str, member: Member, part: Part, body: Resource | None, as_of: int) -> None:
        """Take what was read of a part after that much had been heard of it; None where it is not there any more."""
        if self.members.get(key) is not member:
            return
        if body is None:
            if part is member.own:
                del self.members[key]
            elif member.media.get(part.rel) is part:
                del member.media[part.rel]
            return
        part.show(body, as_of)
        if part is member.own and member.by_links:
            member.by_links = False
            for rel in _MEDIA:
                href = body.link(rel)
                if href is not None:
                    member.media.setdefault(rel, Part(rel, href))

    def participants(self) -> tuple[Participant, ...]:
        """Everybody of whom something was read, the user first, then in the order of joining."""
        found = [
            participant_of(
                key,
                member.own.body,
                local=member.local,
                audio=_body(member, "participantAudio"),
                video=_body(member, "participantVideo"),
            )
            for key, member in self.members.items()
            if member.own.body is not None
        ]
        return tuple(sorted(found, key=lambda participant: not participant.local))


def _body(member: Member, rel: str) -> Resource | None:
    part = member.media.get(rel)
    return part.body if part is not None else None


class Rosters:
    """The rosters of one session's conversations, from the first event on."""

    def __init__(self, application: Application) -> None:
        self._application = application
        self._rosters: dict[str, Roster] = {}
        self._ending: set[str] = set()
        self._over: dict[str, Roster] = {}
        application.observers.append(self._take)
        application.losses.append(self._lose)

    def of(self, ref: str) -> Roster:
        """Return the roster of that conversation; one of which no event has told has to be built."""
        return self._over.get(ref) or self._rosters.setdefault(ref, Roster(_NEVER_BUILT))

    def recover(self) -> None:
        """Events were missed: whoever waits looks again, and what is not heard of any more is forgotten."""
        for roster in self._rosters.values():
            roster.wake()
        self._forget_lost()

    def _lose(self) -> None:
        """The server has lost the application: its conversations are over."""
        for roster in self._rosters.values():
            roster.close()
        self._rosters.clear()
        self._ending.clear()
        self._over.clear()

    def _forget_lost(self) -> None:
        """Drop the conversations of which nothing is known, whose end no event has told, unless somebody waits."""
        resources = self._application.resources
        for ref, roster in list(self._rosters.items()):
            if resources.get(ref) is None and not roster.awaited:
                del self._rosters[ref]

    def _close(self, ref: str) -> None:
        roster = self._rosters.pop(ref, None) or Roster(_NEVER_BUILT)
        self._ending.discard(ref)
        roster.close()
        roster.members.clear()
        self._over[ref] = roster
        if len(self._over) > _SOME:
            del self._over[next(iter(self._over))]

    def _take(self, event: Event) -> None:
        resources = self._application.resources
        if event.rel == "conversation" and event.type == "deleted":
            self._ending.add(resources.key(event.href) or "")
        for ended in [ended for ended in self._ending if not resources.awaits_successor(ended)]:
            # Until it is known whether the call goes on elsewhere, nobody can say where its roster is.
            self._close(ended)
        if event.rel not in _PARTIES and event.rel not in _MEDIA:
            return
        linked = event.body.link("conversation") if event.body is not None else None
        ref = resources.key(linked or (event.sender_href if event.sender == "conversation" else None))
        key = resources.key(event.href)
        if ref is None or key is None or ref in self._over:
            return
        roster = self._rosters.get(ref)
        if roster is None:
            if len(self._rosters) % _SOME == _SOME - 1:
                self._forget_lost()
            roster = self._rosters[ref] = Roster(resources.gaps)
        roster.take(event, key, resources.key(event.member_of))
