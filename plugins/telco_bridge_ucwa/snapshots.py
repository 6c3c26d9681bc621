"""The newest snapshot of each protocol resource, and who belongs to whom. Resources, never beliefs about calls."""

from __future__ import annotations

from dataclasses import dataclass

from .identities import Identities
from .operations import Operation, Operations
from .successions import Successions
from .wire import Resource, sdp_in

__all__ = [
    "AUDIO",
    "CALL_INVITATIONS",
    "CALL_MODALITIES",
    "INVITATIONS",
    "MESSAGING",
    "MODALITIES",
    "PHONE",
    "VIDEO",
    "Snapshots",
]

PHONE = "phoneAudio"
AUDIO = "audio"
VIDEO = "video"
MESSAGING = "messaging"

CALL_INVITATIONS = ("phoneAudioInvitation", "audioVideoInvitation")
CALL_MODALITIES = ("phoneAudio", "audioVideo")
INVITATIONS = (*CALL_INVITATIONS, "messagingInvitation")
MODALITIES = (*CALL_MODALITIES, "messaging")
"""Messages may go beside a call, and are none: a conversation that carries nothing else is not told of."""
_KEPT = ("conversation", *MODALITIES, *INVITATIONS, "communication", "me")
_SETTLED = ("Connected", "Failed", "Declined", "Cancelled")
_INVITATIONS = 16
"""More than so many invitations of one conversation are not kept once they are over."""
_NEVER = float("-inf")
_MEDIA = frozenset({"Audio", "Video", "PanoramicVideo"})
_CONFERENCE = frozenset({"Conferencing", "Conferenced"})


@dataclass(slots=True)
class _Snapshot:
    resource: Resource
    as_of: float
    first_as_of: float
    down_as_of: float = _NEVER
    """When this modality was last said to be disconnected."""


class Snapshots:
    """What is known of one application. Links in it resolve against `base`."""

    def __init__(self, base: str) -> None:
        self._identities = Identities(base)
        self._snapshots: dict[str, _Snapshot] = {}
        self._operations = Operations()
        self._invitations: dict[str, list[str]] = {}
        self._modalities: dict[tuple[str, str], str] = {}
        self._single: dict[str, str] = {}
        self._completed: set[str] = set()
        self._doubtful: set[str] = set()
        self._calls: set[str] = set()
        self._deleted: dict[str, None] = {}
        self._settled: dict[tuple[str, str], float] = {}
        self.successions = Successions()

    def url(self, href: str) -> str:
        """The absolute address of a link."""
        return self._identities.url(href)

    def key(self, href: str | None) -> str | None:
        """The identity of a resource: its absolute path, with the host only where it is another one."""
        return self._identities.of(href)

    # What was asked

    def operation(self, invitation: Resource) -> Operation | None:
        """The operation of ours that this invitation carries out."""
        return self._operations.get(self.operation_id(invitation) or "")

    def operation_id(self, invitation: Resource) -> str | None:
        """The invitation's operationId: as it says itself, else as the answer to the operation told."""
        return invitation.text("operationId") or self._operations.placed_at(self.key(invitation.href) or "")

    def invitation_by(self, operation_id: str) -> Resource | None:
        """The invitation that carries out that operation."""
        return self._at(self._operations.carrier(operation_id))

    def placed(self, operation_id: str) -> str | None:
        """Where the answer to the operation said that its invitation is."""
        return self._operations.place_of(operation_id)

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
        if _carries_call(resource) and not self.successions.hides(ref):
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
                self._operations.carry(operation_id, key)

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

    def tells_absence(self, ref: str, slot: str, *rels: str) -> bool:
        """Whether those snapshots are new enough to show by what they say, or lack, that a stream is not there.

        The outcome of an invitation may come before the updates that it causes. One that offered a single stream was
        about that stream; of several offered together, some may not have been taken.
        """
        since = self._settled.get((ref, slot), _NEVER)
        keys = (ref if rel == "conversation" else self._modalities.get((ref, rel), "") for rel in rels)
        return all(key in self._snapshots and self._snapshots[key].as_of > since for key in keys)

    def is_conference(self, ref: str) -> bool:
        """Whether the conversation is, or becomes, a conference."""
        conversation = self.get(ref)
        return conversation is not None and conversation.text("state") in _CONFERENCE

    # Invitations

    def invitations(self, ref: str) -> tuple[Resource, ...]:
        """The invitations of the conversation to audio and video, oldest first."""
        return tuple(invitation for invitation in self._invited(ref) if invitation.rel in CALL_INVITATIONS)

    def _invited(self, ref: str) -> tuple[Resource, ...]:
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
        return tuple(invitation for invitation in self._invited(ref) if self.key(invitation.href) in self._doubtful)

    def pending(self, ref: str, slot: str | None = None) -> Resource | None:
        """The newest invitation of the conversation that has no outcome yet (and offers that stream).

        One to exchange messages has to be asked for.
        """
        rels = INVITATIONS if slot == MESSAGING else CALL_INVITATIONS
        for key in reversed(self._invitations.get(ref, ())):
            invitation = self._at(key) if key not in self._completed else None
            if invitation is None or invitation.rel not in rels or invitation.text("state") in _SETTLED:
                continue
            if slot is None or slot in self.slots(invitation):
                return invitation
        return None

    def slots(self, invitation: Resource) -> frozenset[str]:
        """The streams that the invitation offers; empty where nothing tells."""
        operation = self.operation(invitation)
        if operation is not None:
            return operation.slots
        if invitation.rel == "phoneAudioInvitation":
            return frozenset({PHONE})
        if invitation.rel == "messagingInvitation":
            return frozenset({MESSAGING})
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

    def complete(self, key: str, ref: str | None, as_of: float) -> None:
        """The outcome of that invitation has come; `ref` is its conversation."""
        self._completed.add(key)
        snapshot = self._snapshots.get(key)
        if snapshot is None or ref is None:
            return
        slots = self.slots(snapshot.resource)
        since = as_of if len(slots) == 1 else snapshot.first_as_of
        self._settled.update(dict.fromkeys(((ref, slot) for slot in slots), since))
        invited = self._invitations.get(ref, [])
        if len(invited) > _INVITATIONS:
            # The first one tells how the call began, and of those between it and the last ones nobody asks any more.
            old = [known for known in invited[1 : -_INVITATIONS // 2] if known in self._completed]
            for known in old:
                invited.remove(known)
                self._forget_invitation(known)

    def _forget_invitation(self, key: str) -> None:
        snapshot = self._snapshots.get(key)
        if snapshot is not None and snapshot.resource.rel in INVITATIONS:
            self._operations.forget(self.operation_id(snapshot.resource) or "")
            del self._snapshots[key]
        self._completed.discard(key)
        self._doubtful.discard(key)

    # Which conversations carry calls

    def adopt(self, ref: str) -> None:
        """The core knows this conversation as a call."""
        if ref not in self._deleted and not self.successions.hides(ref) and not self.successions.has_moved(ref):
            self._calls.add(ref)

    def is_call(self, ref: str) -> bool:
        """Whether the conversation has shown that it carries audio or video."""
        return ref in self._calls

    @property
    def calls(self) -> tuple[str, ...]:
        """The conversations that carry calls and have not been deleted."""
        return tuple(sorted(self._calls))

    def disown(self, ref: str) -> None:
        """The conversation carries no call of its own."""
        self._calls.discard(ref)

    def hand_over(self, old: str, new: str) -> None:
        """The call of one conversation goes on in another."""
        self._calls.discard(old)
        self._calls.add(new)

    def hand_over_invitations(self, old: str, new: str) -> None:
        """The invitations of one conversation tell of another from now on."""
        self._invitations.setdefault(new, []).extend(self._invitations.pop(old, []))

    def call_with(self, rel: str, key: str, *, but: str) -> str | None:
        """The conversation that carries a call and has its modality at that address; not that one."""
        for (ref, of), known in self._modalities.items():
            if of == rel and known == key and ref != but and ref in self._calls:
                return ref
        return None


def _carries_call(resource: Resource) -> bool:
    if resource.rel == "conversation":
        return bool(_MEDIA.intersection(resource.words("activeModalities") or ()))
    if resource.rel in CALL_MODALITIES:
        return resource.text("state") not in (None, "Disconnected")
    return resource.rel in CALL_INVITATIONS
