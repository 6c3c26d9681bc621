"""The cache of one application, as events change it. Resources, never beliefs about calls."""

from __future__ import annotations

from dataclasses import replace

from .changes import Change
from .moves import Moves
from .operations import Operation, Purpose
from .snapshots import (
    AUDIO,
    CALL_INVITATIONS,
    CALL_MODALITIES,
    INVITATIONS,
    MESSAGING,
    MODALITIES,
    PHONE,
    VIDEO,
    Snapshots,
)
from .voices import Voices
from .wire import Event, Resource

__all__ = [
    "AUDIO",
    "CALL_INVITATIONS",
    "CALL_MODALITIES",
    "INVITATIONS",
    "MESSAGING",
    "MODALITIES",
    "PHONE",
    "VIDEO",
    "Change",
    "Operation",
    "Purpose",
    "Resources",
]

_REMEMBERED = 1024
"""How many deleted conversations are remembered, against what was read for them before and comes after their end."""


class Resources(Snapshots):
    """The cache of one application. Links in it resolve against `base`."""

    def __init__(self, base: str) -> None:
        super().__init__(base)
        self._voices = Voices()
        self._moves = Moves(self)
        self.gaps = 0
        """How often events were missed, so that what was built from events has to be read again."""

    # What was asked

    def expect(self, operation: Operation) -> None:
        """Remember an operation before it is sent, because its events may overtake the answer."""
        self._operations.expect(operation)

    def forget_operation(self, operation_id: str) -> None:
        """The operation was refused; nothing will come of it."""
        self._operations.forget(operation_id)

    def place(self, operation_id: str, href: str) -> None:
        """The answer to the operation told where its invitation is."""
        key = self.key(href)
        if key is not None:
            self._operations.place(operation_id, key)

    @property
    def dials(self) -> tuple[str, ...]:
        """The dials that the server has taken, of whose calls no conversation is known."""
        taken = self._operations.taken(Purpose.DIAL)
        return tuple(known for known in taken if self.invitation_by(known) is None)

    # What was seen

    def take(self, event: Event, as_of: float) -> Change:
        """Let one event change the resources, and say what it did."""
        key = self.key(event.href)
        body = event.body
        if body is not None and (body.href is None or self.key(body.href) != key):
            body = replace(body, href=event.href)
        known = self._snapshots.get(key or "")
        seen = body if body is not None else known.resource if known is not None else None
        ref = self._conversation_of(event, key, seen)
        familiar = ref in self._calls
        if self.successions.has_moved(ref):
            gone = event.rel == "conversation" and event.type == "deleted"
            return Change(body=seen, ref=ref, stranger=True, over=(ref,) if gone and ref is not None else ())
        if event.rel == "participantAudio":
            return self._take_voice(event, body, ref, as_of)
        if ref in self._deleted:
            late = event.rel in CALL_INVITATIONS and not self.successions.hides(ref or "")
            return Change(body=seen, ref=ref, late=late, stranger=not late)
        if event.rel == "conversation" and event.type == "deleted":
            stranger = ref in self._snapshots and not familiar
            return self._moves.succeed(event, Change(body=seen, ref=ref, stranger=stranger))
        if body is not None and body.link("conversation") is None and event.rel in MODALITIES and ref is not None:
            body = seen = replace(body, links={**body.links, "conversation": (ref,)})
        previous = self.put(body, as_of) if body is not None else None
        over: tuple[str, ...] = ()
        if event.rel in INVITATIONS and event.type == "completed" and key is not None:
            self.complete(key, ref, as_of)
            if ref is None and event.body is not None:
                # There is no conversation with which it could be forgotten.
                over = (key,)
        lost: frozenset[str] = frozenset()
        if event.rel == "conversation" and previous is not None and body is not None:
            lost = (previous.words("activeModalities") or frozenset()) - (body.words("activeModalities") or frozenset())
            if body.words("activeModalities") is None:
                lost = frozenset()
        change = Change(
            body=seen,
            ref=ref,
            before=previous.text("state") if previous is not None else None,
            lost=lost,
            joined=not familiar and ref in self._calls,
            stranger=ref is not None and ref not in self._calls,
            over=over,
        )
        return self._moves.succeed(event, change)

    def _conversation_of(self, event: Event, key: str | None, seen: Resource | None) -> str | None:
        if event.rel == "conversation":
            return key
        linked = seen.link("conversation") if seen is not None else None
        if linked is None and event.sender == "conversation":
            linked = event.sender_href
        return self.key(linked)

    def is_over(self, event: Event) -> bool:
        """Whether the event is of a conversation that has been deleted."""
        return self._conversation_of(event, self.key(event.href), None) in self._deleted

    # The user's own audio

    def _take_voice(self, event: Event, body: Resource | None, ref: str | None, as_of: float) -> Change:
        if ref is None or ref in self._deleted or not self._is_own_voice(event, ref):
            return Change(body=body, ref=ref, stranger=True)
        if event.type == "deleted":
            self._voices.forget(ref)
        elif body is not None:
            self.put_voice(ref, body, as_of)
        return Change(body=self.voice(ref), ref=ref, stranger=ref not in self._calls)

    def _is_own_voice(self, event: Event, ref: str) -> bool:
        if event.member_rel == "localParticipant" or self._voices.is_known(ref, self.key(event.href)):
            return True
        conversation = self.get(ref)
        own = self.key(conversation.link("localParticipant")) if conversation is not None else None
        return own is not None and own == self.key(event.member_of)

    def tells_mute(self, event: Event) -> bool:
        """Whether the event is about the user's own audio in a conference, where the server can mute it."""
        ref = self._conversation_of(event, self.key(event.href), event.body)
        return ref is not None and self.is_conference(ref) and self._is_own_voice(event, ref)

    def put_voice(self, ref: str, audio: Resource, as_of: float) -> None:
        """Keep the user's own participantAudio in that conversation, unless a newer one is known."""
        key = self.key(audio.href)
        if key is not None:
            self._voices.put(ref, key, audio, as_of)

    def voice(self, ref: str) -> Resource | None:
        """The user's own participantAudio in that conversation."""
        return self._voices.get(ref)

    # Calls that move from one conversation to another

    def current(self, ref: str) -> str:
        """The conversation in which the call of that one goes on."""
        return self.successions.current(ref)

    def replacing(self, ref: str) -> Resource | None:
        """The undecided invitation that would take the place of the call in that conversation."""
        new = self.successions.replaced(ref)
        return self.pending(new) if new is not None else None

    def awaits_successor(self, ref: str) -> bool:
        """Whether the end of the call is kept back, because another conversation may take it over."""
        return self.successions.holds(ref)

    # What is over

    def forget(self, ref: str) -> None:
        """The conversation was deleted, and with it those that its call has left: nothing of them is asked for again.

        So is an invitation that came to nothing before there was a conversation.
        """
        for key in (*self._invitations.pop(ref, ()), ref):
            self._forget_invitation(key)
        for rel in MODALITIES:
            self._snapshots.pop(self._modalities.pop((ref, rel), ""), None)
        self._snapshots.pop(ref, None)
        self._voices.forget(ref)
        self._calls.discard(ref)
        for slot in (PHONE, AUDIO, VIDEO, MESSAGING):
            self._settled.pop((ref, slot), None)
        before = self.successions.left_for(ref)
        self.successions.forget(ref)
        self._deleted.pop(ref, None)
        self._deleted[ref] = None
        if len(self._deleted) > _REMEMBERED:
            del self._deleted[next(iter(self._deleted))]
        for old in before:
            self.forget(old)

    def drop_calls(self) -> None:
        """Forget what was seen of conversations, because events were missed.

        Which conversations carry calls stays, and so do operations without an outcome: their events may still come.
        So do invitations without one, which only their own address tells of: they are `doubtful` until they are read.
        """
        pending = {
            key: snapshot.resource
            for key, snapshot in self._snapshots.items()
            if snapshot.resource.rel in INVITATIONS and self.is_pending(snapshot.resource)
        }
        for key, snapshot in list(self._snapshots.items()):
            if snapshot.resource.rel in INVITATIONS and key not in pending:
                self._operations.forget(self.operation_id(snapshot.resource) or "")
            if snapshot.resource.rel not in ("communication", "me") and key not in pending:
                del self._snapshots[key]
        for index in (self._invitations, self._modalities, self._completed, self._settled):
            index.clear()
        self._operations.drop_carriers()
        self._doubtful = set(pending)
        for key, invitation in pending.items():
            self._index(invitation, key)
        self._voices.clear()
        self.gaps += 1
