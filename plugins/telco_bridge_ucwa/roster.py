"""Who is in a conversation, kept from its events. Real servers send most of those bare, to be read when asked for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import anyio

from .application import Application
from .participants import Participant, participant_of
from .resources import Resources
from .wire import Event, Resource

__all__ = ["Member", "Part", "Roster", "Rosters"]

_PARTIES = frozenset({"participant", "localParticipant"})
_MEDIA = ("participantAudio", "participantVideo")
_VIEWS = frozenset({"lobby", "leaders", "attendees"})
_NEVER_BUILT = -1
_SOME = 256
"""After how many conversations more the lost ones are looked for."""


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


class Roster:
    """The members of one conversation. Bodies are kept once somebody has asked for them."""

    def __init__(self, gaps: int) -> None:
        self.members: dict[str, Member] = {}
        self.gaps = gaps
        """How many gaps there had been when it was last built."""
        self.watched = False
        self.closed = False
        self._changed: anyio.Event | None = None

    def changed(self) -> anyio.Event:
        """Return what happens with the next change."""
        if self._changed is None:
            self._changed = anyio.Event()
        return self._changed

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
        if event.rel in _MEDIA:
            self._take_media(event, key, owner, body)
        elif event.member_rel in _VIEWS:
            self._take_membership(event, key, body)
        elif event.member_rel is not None and event.member_rel not in _PARTIES:
            # Who is typing, for instance, is nobody new.
            return
        elif event.type == "deleted":
            self.members.pop(key, None)
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
        member.own.hear(body)
        return member

    # Rebuilding and reading

    def begin_anew(self, members: dict[str, Member], gaps: int) -> None:
        """Take who was found in the views for everybody."""
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
        self._of: Resources | None = None
        self._gaps = 0
        self._rosters: dict[str, Roster] = {}
        application.observers.append(self._take)

    def of(self, ref: str) -> Roster:
        """Return the roster of that conversation; one of which no event has told has to be built."""
        self._keep_up()
        return self._rosters.setdefault(ref, Roster(_NEVER_BUILT))

    def _keep_up(self) -> None:
        """Where the server has lost the application, its conversations are over."""
        resources = self._application.resources
        if self._of is not resources:
            self._of, self._gaps = resources, resources.gaps
            for roster in self._rosters.values():
                roster.close()
            self._rosters.clear()
        elif self._gaps != resources.gaps:
            # Whoever waits looks again: what was missed may be what it waits for.
            self._gaps = resources.gaps
            for roster in self._rosters.values():
                roster.wake()

    def _forget_lost(self) -> None:
        """Drop the conversations of which nothing is known any more, whose end no event has told."""
        resources = self._application.resources
        for ref in [ref for ref in self._rosters if resources.get(ref) is None]:
            self._rosters.pop(ref).close()

    def _take(self, event: Event) -> None:
        self._keep_up()
        resources = self._application.resources
        if event.rel == "conversation" and event.type == "deleted":
            roster = self._rosters.pop(resources.key(event.href) or "", None)
            if roster is not None:
                roster.close()
            return
        if event.rel not in _PARTIES and event.rel not in _MEDIA:
            return
        linked = event.body.link("conversation") if event.body is not None else None
        ref = resources.key(linked or (event.sender_href if event.sender == "conversation" else None))
        key = resources.key(event.href)
        if ref is None or key is None:
            return
        roster = self._rosters.get(ref)
        if roster is None:
            if len(self._rosters) % _SOME == _SOME - 1:
                self._forget_lost()
            roster = self._rosters[ref] = Roster(resources.gaps)
        roster.take(event, key, resources.key(event.member_of))
