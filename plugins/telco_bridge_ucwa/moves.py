"""Calls that go on in another conversation: what each event means for that, in whatever order they come."""

from __future__ import annotations

from dataclasses import replace

from .changes import Change
from .operations import Purpose
from .snapshots import CALL_INVITATIONS, CALL_MODALITIES, Snapshots
from .successions import KeptEnd
from .wire import Event, Resource

__all__ = ["Moves"]

_LIVE = frozenset({"Connected", "Transferring"})
_ENDS = frozenset({"Disconnecting", "Disconnected"})
_MOVES = frozenset({"DerivedConversation", "Replaced"})
"""The reasons for which a modality ends whose call goes on elsewhere."""
_REPLACED = {"phoneAudio": "replacesPhoneAudio", "audioVideo": "replacesAudioVideo"}


class Moves:
    """Follows the calls of one application from one conversation to another."""

    def __init__(self, known: Snapshots) -> None:
        self._known = known
        self._successions = known.successions

    def succeed(self, event: Event, change: Change) -> Change:
        """Add to the change what it means for a call that one conversation takes over from another."""
        ref, moves = change.ref, self._successions
        if ref is None:
            return change
        if event.rel in CALL_INVITATIONS:
            return self._follow(event, change.body, ref, change) if change.body is not None else change
        deleted = event.rel == "conversation" and event.type == "deleted"
        old = moves.replaced_by(ref)
        if deleted and old is not None:
            # Its invitation can have no outcome any more.
            return _with_end(replace(change, stranger=True), self._give_up(ref, old), ref)
        if (deleted and moves.awaited(ref)) or self._ends_elsewhere(event, change.body, ref):
            moves.hold(ref, deleted=deleted, reason=event.reason)
            return replace(change, held=True)
        stranger = change.stranger or moves.hides(ref)
        if not deleted and stranger is change.stranger:
            return change
        return replace(change, stranger=stranger, over=(ref,) if deleted else ())

    def _ends_elsewhere(self, event: Event, body: Resource | None, ref: str) -> bool:
        """Whether this tells an end that may be a move: of the conversation, or for such a reason of a modality."""
        if event.rel not in ("conversation", *CALL_MODALITIES) or self._successions.hides(ref):
            return False
        if event.type != "deleted" and (body is None or body.text("state") not in _ENDS):
            return False
        pending, subcode = self._known.pending(ref), _subcode(event)
        if pending is not None and subcode == "DerivedConversation":
            return True
        derived = pending is not None and pending.link("derivedConversation") is not None
        awaited = derived or self._successions.awaited(ref)
        return awaited and (event.rel == "conversation" or subcode in _MOVES)

    def _follow(self, event: Event, invitation: Resource, ref: str, change: Change) -> Change:
        """Take what an invitation says of the conversation that its call was in before, or is in now."""
        moves = self._successions
        replaced = self._to_be_replaced(invitation, ref)
        if replaced is not None:
            moves.expect(ref, replaced)
            self._known.disown(ref)
        old = moves.replaced_by(ref)
        success = event.status in ("Success", "Succeeded") or invitation.text("state") == "Connected"
        if old is not None:
            change = replace(change, replaces=old, stranger=False, joined=False)
            if success:
                return self._move(old, ref, change)
            over = event.type == "completed" or not self._known.is_pending(invitation)
            return _with_end(change, self._give_up(ref, old)) if over else change
        if moves.hides(ref):
            return replace(change, stranger=True)
        derived = self._known.key(invitation.link("derivedConversation"))
        if derived is not None and derived != ref and success and not self._stays(invitation, ref):
            self._known.hand_over_invitations(ref, derived)
            return self._move(ref, derived, change)
        if event.body is None and _subcode(event) == "DerivedConversation" and moves.leave(ref):
            return change
        if self._known.is_pending(invitation) or moves.replaced(ref) is not None:
            return change
        return _with_end(change, moves.release(ref))

    def _to_be_replaced(self, invitation: Resource, ref: str) -> str | None:
        """The conversation of the call that the invitation would take the place of, or has, where that is news."""
        if self._successions.hides(ref):
            return None
        for rel, name in _REPLACED.items():
            link = self._known.key(invitation.link(name))
            old = self._known.call_with(rel, link, but=ref) if link is not None else None
            if old is not None:
                return old
        return None

    def _stays(self, invitation: Resource, ref: str) -> bool:
        """Whether the call has media left in its conversation, so that what was added elsewhere is another call."""
        operation = self._known.operation(invitation)
        if operation is None or operation.purpose is not Purpose.START:
            return False
        known = (self._known.modality(ref, rel) for rel in CALL_MODALITIES)
        return any(modality is not None and modality.text("state") in _LIVE for modality in known)

    def _move(self, old: str, new: str, change: Change) -> Change:
        kept = self._successions.release(old)
        self._successions.move(old, new)
        self._known.hand_over(old, new)
        over = (old,) if kept is not None and kept.deleted else ()
        return replace(change, moved_from=old, stranger=False, joined=False, over=over)

    def _give_up(self, new: str, old: str) -> KeptEnd | None:
        """Nobody takes the call over from there; return its end where that was kept back and nobody else may."""
        moves = self._successions
        moves.give_up(new)
        return moves.release(old) if moves.replaced(old) is None else None


def _subcode(event: Event) -> str | None:
    return event.reason.subcode if event.reason is not None else None


def _with_end(change: Change, kept: KeptEnd | None, *over: str) -> Change:
    """Return the change with an end that is kept back no longer."""
    deleted = (kept.ref,) if kept is not None and kept.deleted else ()
    return replace(change, released=kept, over=(*over, *deleted))
