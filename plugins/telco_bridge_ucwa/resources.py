"""The newest snapshot of each protocol resource, and who belongs to whom. Resources, never beliefs about calls."""

from __future__ import annotations

from dataclasses import dataclass, replace

from .changes import Change, Operation, Purpose
from .identities import Identities
from .successions import KeptEnd, Successions
from .voices import Voices
from .wire import Event, Resource, sdp_in

__all__ = ["AUDIO", "PHONE", "VIDEO", "Change", "Operation", "Purpose", "Resources"]

PHONE = "phoneAudio"
AUDIO = "audio"
VIDEO = "video"

INVITATIONS = ("phoneAudioInvitation", "audioVideoInvitation")
MODALITIES = ("phoneAudio", "audioVideo")
_KEPT = ("conversation", *MODALITIES, *INVITATIONS, "communication", "me")
_SETTLED = ("Connected", "Failed", "Declined", "Cancelled")
_REMEMBERED = 1024
"""How many deleted conversations are remembered, against what was read for them before and comes after their end."""
_NEVER = float("-inf")
_LIVE = frozenset({"Connected", "Transferring"})
_ENDS = frozenset({"Disconnecting", "Disconnected"})
_MOVES = frozenset({"DerivedConversation", "Replaced"})
"""The reasons for which a modality ends whose call goes on elsewhere."""
_REPLACED = {"phoneAudio": "replacesPhoneAudio", "audioVideo": "replacesAudioVideo"}
_MEDIA = frozenset({"Audio", "Video", "PanoramicVideo"})
_CONFERENCE = frozenset({"Conferencing", "Conferenced"})


@dataclass(slots=True)
class _Snapshot:
    resource: Resource
    as_of: float
    first_as_of: float
    down_as_of: float = _NEVER
    """When this modality was last said to be disconnected."""


class Resources:
    """The cache of one application. Links in it resolve against `base`."""

    def __init__(self, base: str) -> None:
        self._identities = Identities(base)
        self._snapshots: dict[str, _Snapshot] = {}
        self._operations: dict[str, Operation] = {}
        self._placed: dict[str, str] = {}
        self._invitations: dict[str, list[str]] = {}
        self._modalities: dict[tuple[str, str], str] = {}
        self._carriers: dict[str, str] = {}
        self._voices = Voices()
        self._single: dict[str, str] = {}
        self._completed: set[str] = set()
        self._doubtful: set[str] = set()
        self._calls: set[str] = set()
        self._deleted: dict[str, None] = {}
        self._successions = Successions()
        self.gaps = 0
        """How often events were missed, so that what was built from events has to be read again."""
        self._settled: dict[tuple[str, str], float] = {}

    def url(self, href: str) -> str:
        """The absolute address of a link."""
        return self._identities.url(href)

    def key(self, href: str | None) -> str | None:
        """The identity of a resource: its absolute path, with the host only where it is another one."""
        return self._identities.of(href)

    # What was asked

    def expect(self, operation: Operation) -> None:
        """Remember an operation before it is sent, because its events may overtake the answer."""
        self._operations[operation.id] = operation

    def forget_operation(self, operation_id: str) -> None:
        """The operation was refused; nothing will come of it."""
        self._operations.pop(operation_id, None)

    def place(self, operation_id: str, href: str) -> None:
        """The answer to the operation told where its invitation is."""
        key = self.key(href)
        if key is not None and operation_id in self._operations:
            self._placed[key] = operation_id

    def operation(self, invitation: Resource) -> Operation | None:
        """The operation of ours that this invitation carries out."""
        return self._operations.get(self.operation_id(invitation) or "")

    def operation_id(self, invitation: Resource) -> str | None:
        """The invitation's operationId: as it says itself, else as the answer to the operation told."""
        return invitation.text("operationId") or self._placed.get(self.key(invitation.href) or "")

    # What was seen

    def put(self, resource: Resource, as_of: float) -> Resource | None:
        """Keep the resource and those inside it, unless a newer snapshot is known. Returns the one it replaces."""
        for parts in resource.embedded.values():
            for part in parts:
                self.put(part, as_of)
        key = self.key(resource.href)
        if key is None or resource.rel not in _KEPT or key in self._deleted:
            # A conversation that was read together with others may have ended before their answers came.
            return None
        known = self._snapshots.get(key)
        if known is not None and as_of < known.as_of:
            return None
        previous = known.resource if known is not None else None
        snapshot = _Snapshot(resource, as_of, first_as_of=as_of)
        if known is not None:
            snapshot.first_as_of, snapshot.down_as_of = known.first_as_of, known.down_as_of
        if resource.rel in MODALITIES and resource.text("state") == "Disconnected":
            snapshot.down_as_of = as_of
        self._snapshots[key] = snapshot
        self._doubtful.discard(key)
        self._index(resource, key)
        return previous

    def _index(self, resource: Resource, key: str) -> None:
        ref = key if resource.rel == "conversation" else self.key(resource.link("conversation"))
        if resource.rel in ("communication", "me"):
            self._single[resource.rel] = key
            return
        if ref is None:
            return
        if _carries_call(resource) and not self._successions.hides(ref):
            self._calls.add(ref)
        if resource.rel in MODALITIES:
            self._modalities[ref, resource.rel] = key
        elif resource.rel == "conversation":
            for rel in MODALITIES:
                linked = self.key(resource.link(rel))
                if linked is not None:
                    self._modalities[ref, rel] = linked
        else:
            placed = self._invitations.setdefault(ref, [])
            if key not in placed:
                placed.append(key)
            operation_id = self.operation_id(resource)
            if operation_id is not None:
                self._carriers[operation_id] = key

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
        if self._successions.has_moved(ref):
            return Change(body=seen, ref=ref, stranger=True)
        if event.rel == "participantAudio":
            return self._take_voice(event, body, ref, as_of)
        if ref in self._deleted:
            late = event.rel in INVITATIONS and not self._successions.hides(ref or "")
            return Change(body=seen, ref=ref, late=late, stranger=not late)
        if event.rel == "conversation" and event.type == "deleted":
            stranger = ref in self._snapshots and not familiar
            return self._succeed(event, Change(body=seen, ref=ref, stranger=stranger))
        if body is not None and body.link("conversation") is None and event.rel in MODALITIES and ref is not None:
            body = seen = replace(body, links={**body.links, "conversation": (ref,)})
        previous = self.put(body, as_of) if body is not None else None
        if event.rel in INVITATIONS and event.type == "completed" and key is not None:
            self._complete(key, ref, as_of)
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
        )
        return self._succeed(event, change)

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

    def is_conference(self, ref: str) -> bool:
        """Whether the conversation is, or becomes, a conference."""
        conversation = self.get(ref)
        return conversation is not None and conversation.text("state") in _CONFERENCE

    def put_voice(self, ref: str, audio: Resource, as_of: float) -> None:
        """Keep the user's own participantAudio in that conversation, unless a newer one is known."""
        key = self.key(audio.href)
        if key is not None:
            self._voices.put(ref, key, audio, as_of)

    def voice(self, ref: str) -> Resource | None:
        """The user's own participantAudio in that conversation."""
        return self._voices.get(ref)

    # Calls that move from one conversation to another

    def _succeed(self, event: Event, change: Change) -> Change:
        """Add to the change what it means for a call that one conversation takes over from another."""
        ref, moves = change.ref, self._successions
        if ref is None:
            return change
        if event.rel in INVITATIONS:
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
        return replace(change, stranger=stranger, over=(ref,) if deleted else ())

    def _ends_elsewhere(self, event: Event, body: Resource | None, ref: str) -> bool:
        """Whether this tells an end that may be a move: of the conversation, or for such a reason of a modality."""
        if event.rel not in ("conversation", *MODALITIES) or self._successions.hides(ref):
            return False
        if event.type != "deleted" and (body is None or body.text("state") not in _ENDS):
            return False
        pending, subcode = self.pending(ref), _subcode(event)
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
            self._calls.discard(ref)
        old = moves.replaced_by(ref)
        success = event.status in ("Success", "Succeeded") or invitation.text("state") == "Connected"
        if old is not None:
            change = replace(change, replaces=old, stranger=False, joined=False)
            if success:
                return self._move(old, ref, change)
            over = event.type == "completed" or not self.is_pending(invitation)
            return _with_end(change, self._give_up(ref, old)) if over else change
        if moves.hides(ref):
            return replace(change, stranger=True)
        derived = self.key(invitation.link("derivedConversation"))
        if derived is not None and derived != ref and success and not self._stays(invitation, ref):
            self._invitations.setdefault(derived, []).extend(self._invitations.pop(ref, []))
            return self._move(ref, derived, change)
        if event.body is None and _subcode(event) == "DerivedConversation" and moves.leave(ref):
            return change
        if self.is_pending(invitation) or moves.replaced(ref) is not None:
            return change
        return _with_end(change, moves.release(ref))

    def _to_be_replaced(self, invitation: Resource, ref: str) -> str | None:
        """The conversation of the call that the invitation would take the place of, or has, where that is news."""
        if self._successions.hides(ref):
            return None
        for rel, name in _REPLACED.items():
            link = self.key(invitation.link(name))
            if link is None:
                continue
            for (old, of), key in self._modalities.items():
                if of == rel and key == link and old != ref and old in self._calls:
                    return old
        return None

    def _stays(self, invitation: Resource, ref: str) -> bool:
        """Whether the call has media left in its conversation, so that what was added elsewhere is another call."""
        operation = self.operation(invitation)
        if operation is None or operation.purpose is not Purpose.START:
            return False
        known = (self.modality(ref, rel) for rel in MODALITIES)
        return any(modality is not None and modality.text("state") in _LIVE for modality in known)

    def _move(self, old: str, new: str, change: Change) -> Change:
        kept = self._successions.release(old)
        self._successions.move(old, new)
        self._calls.discard(old)
        self._calls.add(new)
        over = (old,) if kept is not None and kept.deleted else ()
        return replace(change, moved_from=old, stranger=False, joined=False, over=over)

    def _give_up(self, new: str, old: str) -> KeptEnd | None:
        """Nobody takes the call over from there; return its end where that was kept back and nobody else may."""
        moves = self._successions
        moves.give_up(new)
        return moves.release(old) if moves.replaced(old) is None else None

    def current(self, ref: str) -> str:
        """The conversation in which the call of that one goes on."""
        return self._successions.current(ref)

    def replacing(self, ref: str) -> Resource | None:
        """The undecided invitation that would take the place of the call in that conversation."""
        new = self._successions.replaced(ref)
        return self.pending(new) if new is not None else None

    def awaits_successor(self, ref: str) -> bool:
        """Whether the end of the call is kept back, because another conversation may take it over."""
        return self._successions.holds(ref)

    def _complete(self, key: str, ref: str | None, as_of: float) -> None:
        self._completed.add(key)
        snapshot = self._snapshots.get(key)
        if snapshot is None or ref is None:
            return
        slots = self.slots(snapshot.resource)
        since = as_of if len(slots) == 1 else snapshot.first_as_of
        self._settled.update(dict.fromkeys(((ref, slot) for slot in slots), since))

    def tells_absence(self, ref: str, slot: str, *rels: str) -> bool:
        """Whether those snapshots are new enough to show by what they say, or lack, that a stream is not there.

        The outcome of an invitation may come before the updates that it causes. One that offered a single stream was
        about that stream; of several offered together, some may not have been taken.
        """
        since = self._settled.get((ref, slot), _NEVER)
        keys = (ref if rel == "conversation" else self._modalities.get((ref, rel), "") for rel in rels)
        return all(key in self._snapshots and self._snapshots[key].as_of > since for key in keys)

    def _conversation_of(self, event: Event, key: str | None, seen: Resource | None) -> str | None:
        if event.rel == "conversation":
            return key
        linked = seen.link("conversation") if seen is not None else None
        if linked is None and event.sender == "conversation":
            linked = event.sender_href
        return self.key(linked)

    def adopt(self, ref: str) -> None:
        """The core knows this conversation as a call."""
        if ref not in self._deleted and not self._successions.hides(ref) and not self._successions.has_moved(ref):
            self._calls.add(ref)

    def is_call(self, ref: str) -> bool:
        """Whether the conversation has shown that it carries audio or video."""
        return ref in self._calls

    @property
    def calls(self) -> tuple[str, ...]:
        """The conversations that carry calls and have not been deleted."""
        return tuple(sorted(self._calls))

    def forget(self, ref: str) -> None:
        """The conversation was deleted: nothing of it will be asked for again."""
        for key in self._invitations.pop(ref, []):
            snapshot = self._snapshots.pop(key, None)
            if snapshot is not None:
                self._forget_operation_of(snapshot.resource)
            self._placed.pop(key, None)
            self._completed.discard(key)
        for rel in MODALITIES:
            self._snapshots.pop(self._modalities.pop((ref, rel), ""), None)
        self._snapshots.pop(ref, None)
        self._voices.forget(ref)
        self._calls.discard(ref)
        for slot in (PHONE, AUDIO, VIDEO):
            self._settled.pop((ref, slot), None)
        self._successions.forget(ref)
        self._deleted[ref] = None
        if len(self._deleted) > _REMEMBERED:
            del self._deleted[next(iter(self._deleted))]

    def _forget_operation_of(self, invitation: Resource) -> None:
        operation_id = self.operation_id(invitation) or ""
        self._operations.pop(operation_id, None)
        self._carriers.pop(operation_id, None)

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
                self._forget_operation_of(snapshot.resource)
            if snapshot.resource.rel not in ("communication", "me") and key not in pending:
                del self._snapshots[key]
        for index in (self._invitations, self._modalities, self._carriers, self._completed, self._settled):
            index.clear()
        self._doubtful = set(pending)
        for key, invitation in pending.items():
            self._index(invitation, key)
        self._voices.clear()
        self.gaps += 1

    # What is known

    def get(self, href: str | None) -> Resource | None:
        """The newest snapshot of the resource at that address."""
        return self._at(self.key(href))

    def _at(self, key: str | None) -> Resource | None:
        snapshot = self._snapshots.get(key) if key is not None else None
        return snapshot.resource if snapshot is not None else None

    def only(self, rel: str) -> Resource | None:
        """The newest snapshot of a resource of which an application has one."""
        return self._at(self._single.get(rel))

    def modality(self, ref: str, rel: str) -> Resource | None:
        """That modality of the conversation."""
        return self._at(self._modalities.get((ref, rel)))

    def as_of(self, ref: str) -> float | None:
        """The age of the newest of the conversation's snapshots; None where there is none."""
        keys = (ref, *(self._modalities.get((ref, rel), "") for rel in MODALITIES), *self._invitations.get(ref, ()))
        return max((self._snapshots[key].as_of for key in keys if key in self._snapshots), default=None)

    def active(self, ref: str) -> frozenset[str] | None:
        """The modalities that the conversation calls active, None where that is not known any more.

        A conversation that is not connected lists what is offered, and a list from before the audioVideo modality was
        disconnected says nothing about what has been started since.
        """
        snapshot = self._snapshots.get(ref)
        if snapshot is None or snapshot.resource.text("state") in ("Connecting", "Incoming"):
            return None
        modality = self._snapshots.get(self._modalities.get((ref, "audioVideo"), ""))
        if modality is not None and modality.down_as_of >= snapshot.as_of:
            return None
        return snapshot.resource.words("activeModalities")

    def invitations(self, ref: str) -> tuple[Resource, ...]:
        """The invitations of the conversation, oldest first."""
        found = (self._at(key) for key in self._invitations.get(ref, ()))
        return tuple(invitation for invitation in found if invitation is not None)

    def is_pending(self, invitation: Resource) -> bool:
        """Whether the invitation has no outcome yet."""
        return self.key(invitation.href) not in self._completed and invitation.text("state") not in _SETTLED

    def settle(self, invitation: Resource) -> None:
        """The invitation is over: its outcome came, or the server knows it no more."""
        key = self.key(invitation.href)
        if key is not None:
            self._completed.add(key)
            self._doubtful.discard(key)

    def doubtful(self, ref: str) -> tuple[Resource, ...]:
        """The invitations of the conversation of which it is not known whether they still have no outcome."""
        return tuple(invitation for invitation in self.invitations(ref) if self.key(invitation.href) in self._doubtful)

    def pending(self, ref: str, slot: str | None = None) -> Resource | None:
        """The newest invitation of the conversation that has no outcome yet (and offers that stream)."""
        for invitation in reversed(self.invitations(ref)):
            if self.is_pending(invitation) and (slot is None or slot in self.slots(invitation)):
                return invitation
        return None

    def invitation_by(self, operation_id: str) -> Resource | None:
        """The invitation that carries out that operation."""
        return self._at(self._carriers.get(operation_id))

    def placed(self, operation_id: str) -> str | None:
        """Where the answer to the operation said that its invitation is."""
        return next((key for key, placed in self._placed.items() if placed == operation_id), None)

    def slots(self, invitation: Resource) -> frozenset[str]:
        """The streams that the invitation offers; empty where nothing tells."""
        operation = self.operation(invitation)
        if operation is not None:
            return operation.slots
        if invitation.rel == "phoneAudioInvitation":
            return frozenset({PHONE})
        offer = sdp_in(invitation.data("mediaOffer"))
        if offer is not None:
            lines = offer.splitlines()
            return frozenset(slot for slot in (AUDIO, VIDEO) if any(line.startswith(f"m={slot} ") for line in lines))
        conversation = self.get(self.key(invitation.link("conversation")))
        offered = conversation.words("activeModalities") if conversation is not None else None
        return frozenset(slot for slot, word in ((AUDIO, "Audio"), (VIDEO, "Video")) if word in (offered or ()))

    def partner(self, ref: str) -> str | None:
        """The address of the other party, as the invitations tell it."""
        for invitation in self.invitations(ref):
            address = self.remote(invitation)
            if address is not None:
                return address
        return None

    def remote(self, invitation: Resource) -> str | None:
        """The address of the invitation's other party."""
        if invitation.text("direction") == "Incoming":
            sender = invitation.part("from")
            return sender.text("uri") if sender is not None else None
        if invitation.link("derivedConversation") is not None:
            # Somebody else answered, and the two talk in a conversation of their own.
            taker = invitation.part("acceptedByParticipant")
            if taker is not None and taker.text("uri") is not None:
                return taker.text("uri")
        operation = self.operation(invitation)
        return invitation.text("to") or (operation.to if operation is not None else None)


def _carries_call(resource: Resource) -> bool:
    if resource.rel == "conversation":
        return bool(_MEDIA.intersection(resource.words("activeModalities") or ()))
    if resource.rel in MODALITIES:
        return resource.text("state") not in (None, "Disconnected")
    return True


def _subcode(event: Event) -> str | None:
    return event.reason.subcode if event.reason is not None else None


def _with_end(change: Change, kept: KeptEnd | None, *over: str) -> Change:
    """Return the change with an end that is kept back no longer."""
    deleted = (kept.ref,) if kept is not None and kept.deleted else ()
    return replace(change, released=kept, over=(*over, *deleted))
