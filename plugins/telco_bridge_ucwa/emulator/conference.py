"""A conference: the parties in it and in its lobby, and every conversation that shows them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Protocol

from telco_bridge.media import Modality
from telco_bridge.sandbox.exchange import Leg, LegEvent, LegState
from telco_bridge.sandbox.numbers import Behaviour

from .errors import JSON
from .outcomes import DENIED, EJECTED
from .party import Party, name_of
from .pool import Pool

__all__ = ["Conference", "Conferences", "Room", "Shown"]

_EMPTY_REMEMBERED = 100
"""How many meetings are known still, though nobody is in them."""
_FOCUS = Behaviour(what="takes everybody who calls in", rings_after=0.0, answers_after=0.1, video=True)


class Shown(Protocol):
    """A party as one room shows it."""

    def tell_media(self, modality: Modality, type: str) -> None: ...  # noqa: A002 - UCWA's own word


class Room(Protocol):
    """A conversation of a client, as far as the conference that it is in has to do with it."""

    def participant(self, party: Party) -> Shown: ...

    def shows(self, party: Party) -> None: ...

    def shows_no_more(self, party: Party) -> None: ...

    def shows_moved(self, party: Party, *, before: str) -> None: ...

    def admitted(self) -> None: ...

    def dismissed(self, reason: JSON) -> None: ...

    def capabilities_changed(self) -> None: ...

    def changed(self) -> None: ...


class Conferences:
    """The online meetings of one server: all that somebody is in, and the newest of the others."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._known: dict[str, Conference] = {}

    def __iter__(self) -> Iterator[Conference]:
        return iter(list(self._known.values()))

    def __contains__(self, uri: str) -> bool:
        return uri in self._known

    def hold(self, *, uri: str | None = None, subject: str = "") -> Conference:
        """Return a conference of the user's own: the one of that URI, else a new one."""
        own = self._pool.settings.uri
        if uri is None:
            uri = f"{own};gruu;opaque=app:conf:focus:id:{self._pool.directory.word(8).upper()}"
        if uri not in self._known:
            for empty in [one for one in self if not one.parties][:-_EMPTY_REMEMBERED]:
                self._known.pop(empty.uri).close()
            self._known[uri] = Conference(self._pool, uri=uri, organizer=own, subject=subject)
        return self._known[uri]


class Conference:
    """An online meeting on the server. It goes on when a user leaves it, for as long as anybody is in it.

    `rooms` are the conversations of clients in it, each with its user's own party; all other parties were called.
    """

    def __init__(self, pool: Pool, *, uri: str, organizer: str, subject: str = "") -> None:
        self._pool = pool
        self.uri = uri
        self.organizer = organizer
        self.subject = subject
        self.id = uri.rpartition(":")[2]
        self.parties: list[Party] = []
        self.rooms: dict[Room, Party] = {}
        self.audience_locked = False
        self.audience_writes = True
        pool.exchange.set_behaviour(uri, _FOCUS)
        pool.exchange.register(uri, lambda leg: pool.post(lambda: self._dialled_in(leg)))

    def close(self) -> None:
        """Nobody can call it any more."""
        self._pool.exchange.forget(self.uri)

    # Who comes and goes

    def attend(self, room: Room, party: Party) -> None:
        """A client's user comes in, or waits in the lobby."""
        self.rooms[room] = party
        self.enter(party)

    def enter(self, party: Party) -> None:
        """Somebody is there: everybody else is told. Who waits in the lobby is shown to leaders alone."""
        self.parties.append(party)
        for room, own in self.rooms.items():
            if own is not party and party in self.people(room):
                room.shows(party)

    def people(self, room: Room) -> list[Party]:
        """Whom that conversation shows."""
        own = self.rooms.get(room)
        if own is None or own.in_lobby:
            return [] if own is None else [own]
        return [party for party in self.parties if not party.in_lobby or own.role == "Leader"]

    def _dialled_in(self, leg: Leg) -> None:
        """Somebody outside calls the meeting, and is in it."""
        leg.answer()
        caller = leg.caller if ":" in leg.caller else f"tel:{leg.caller}"
        party = Party(caller, name_of(caller), uses=set(leg.media))
        self.enter(party)
        self.call(party, leg)

    def call(self, party: Party, *legs: Leg) -> None:
        """Somebody is in it by these calls, for as long as one of them is up: made by it, or before there was one."""
        with self._pool.exchange.lock:
            for leg in legs:
                leg.watcher = lambda leg, event: self._watch(party, leg, event)
            party.legs += [leg for leg in legs if leg.state is not LegState.DOWN]
        if not party.legs:
            self.leave(party)

    def _watch(self, party: Party, leg: Leg, event: LegEvent) -> None:
        if event is LegEvent.CLEARED:
            self._pool.post(lambda: self._cleared(party, leg))

    def _cleared(self, party: Party, leg: Leg) -> None:
        party.legs = [other for other in party.legs if other is not leg]
        if not party.legs:
            self.leave(party)

    def leave(self, party: Party) -> None:
        """Somebody is not there any more."""
        if party not in self.parties:
            return
        self.parties.remove(party)
        party.legs = []
        for room in list(self.rooms):
            if self.rooms[room] is not party:
                room.shows_no_more(party)
        party.uses.clear()
        party.muted.clear()

    def vacate(self, room: Room) -> None:
        """A client's user leaves."""
        party = self.rooms.pop(room, None)
        if party is not None:
            self.leave(party)

    def eject(self, party: Party) -> None:
        """Remove somebody."""
        self._dismiss(party, EJECTED)

    def _dismiss(self, party: Party, reason: JSON) -> None:
        room = next((room for room, own in self.rooms.items() if own is party), None)
        legs = party.legs
        self.leave(party)
        for leg in legs:
            leg.hang_up(by=leg.ours)
        if room is not None:
            room.dismissed(reason)

    def admit(self, party: Party) -> None:
        """Let somebody in who waits."""
        if not party.in_lobby:
            return
        party.in_lobby = False
        for room, own in self.rooms.items():
            if own is party:
                room.admitted()
            elif own.role == "Leader":
                room.shows_moved(party, before="lobby")
            else:
                room.shows(party)

    def reject(self, party: Party) -> None:
        """Turn somebody away who waits."""
        if party.in_lobby:
            self._dismiss(party, DENIED.reason())

    # What they may do

    def set_role(self, party: Party, role: str) -> None:
        """Make somebody a leader or an attendee."""
        if party.role == role:
            return
        before = party.role
        party.role = role
        for room, own in self.rooms.items():
            room.shows_moved(party, before=f"{before.lower()}s")
            if own is party:
                room.capabilities_changed()

    def mute(self, party: Party, modality: Modality) -> None:
        """Let nobody hear or see somebody."""
        if modality not in party.muted:
            party.muted.add(modality)
            self._tell_media(party, modality)

    def unmute(self, party: Party, modality: Modality) -> None:
        """Let somebody be heard or seen again."""
        if modality in party.muted:
            party.muted.discard(modality)
            self._tell_media(party, modality)

    def lock_audience(self, *, locked: bool) -> None:
        """Mute the attendees and keep them so, or let them unmute themselves."""
        self.audience_locked = locked
        for party in self.parties:
            if party.role == "Attendee" and Modality.AUDIO in party.uses:
                if locked:
                    party.muted.add(Modality.AUDIO)
                self._tell_media(party, Modality.AUDIO)
        self.changed()

    def let_audience_write(self, *, allowed: bool) -> None:
        """Let attendees write messages, or not."""
        self.audience_writes = allowed
        self.changed()

    def changed(self) -> None:
        """Tell every conversation of what they all show."""
        for room in self.rooms:
            room.changed()

    def _tell_media(self, party: Party, modality: Modality) -> None:
        if modality in party.uses:
            self.everywhere(lambda room: room.participant(party).tell_media(modality, "updated"), party)

    def everywhere(self, tell: Callable[[Room], None], party: Party) -> None:
        """Tell every conversation that shows somebody."""
        for room in list(self.rooms):
            if party in self.people(room):
                tell(room)
