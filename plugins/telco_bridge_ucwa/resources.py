"""The newest snapshot of each protocol resource, and who belongs to whom. Resources, never beliefs about calls."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from urllib.parse import SplitResult, urljoin, urlsplit

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
_MEDIA = frozenset({"Audio", "Video", "PanoramicVideo"})


class Purpose(StrEnum):
    """What an operation of ours was for."""

    DIAL = "dial"
    START = "start"


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """An invitation that this side asked for. `id` is the operationId, `slots` the streams that it offers."""

    id: str
    purpose: Purpose
    slots: frozenset[str]
    to: str
    ref: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What one event did to the resources.

    `body` is the event's resource: as sent, else as last known. `lost` are the active modalities that the conversation
    had and has no longer. `before` is the state word that a newer snapshot replaced. `joined` says that only now the
    conversation showed that it carries a call; `stranger` that it never did. `late` is what was read for an invitation
    after its conversation had been deleted.
    """

    body: Resource | None = None
    ref: str | None = None
    before: str | None = None
    lost: frozenset[str] = frozenset()
    joined: bool = False
    stranger: bool = False
    late: bool = False


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
        self._base = base
        self._snapshots: dict[str, _Snapshot] = {}
        self._operations: dict[str, Operation] = {}
        self._placed: dict[str, str] = {}
        self._invitations: dict[str, list[str]] = {}
        self._modalities: dict[tuple[str, str], str] = {}
        self._carriers: dict[str, str] = {}
        self._single: dict[str, str] = {}
        self._completed: set[str] = set()
        self._calls: set[str] = set()
        self._deleted: dict[str, None] = {}
        self._left: dict[str, str] = {}
        self._settled: dict[str, dict[str, float]] = {}

    def url(self, href: str) -> str:
        """The absolute address of a link."""
        return urljoin(self._base, href)

    def key(self, href: str | None) -> str | None:
        """The identity of a resource: its absolute path, with the host only where it is another one."""
        if href is None:
            return None
        try:
            parts, base = urlsplit(self.url(href)), urlsplit(self._base)
            here = _origin(parts) == _origin(base)
        except ValueError:
            return None
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        return path if here else parts.geturl()

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
        if key is None or resource.rel not in _KEPT:
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
        self._index(resource, key)
        return previous

    def _index(self, resource: Resource, key: str) -> None:
        ref = key if resource.rel == "conversation" else self.key(resource.link("conversation"))
        if resource.rel in ("communication", "me"):
            self._single[resource.rel] = key
            return
        if ref is None:
            return
        if _carries_call(resource):
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
        if ref in self._left:
            return Change(body=seen, ref=ref, stranger=True)
        if ref in self._deleted:
            late = event.rel in INVITATIONS
            return Change(body=seen, ref=ref, late=late, stranger=not late)
        if event.rel == "conversation" and event.type == "deleted":
            stranger = ref in self._snapshots and not familiar
            return Change(body=seen, ref=ref, stranger=stranger)
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
        if event.rel in INVITATIONS and body is not None and ref is not None:
            answered = event.status in ("Success", "Succeeded") or body.text("state") == "Connected"
            self._follow(body, ref, answered=answered)
        return change

    def _follow(self, invitation: Resource, ref: str, *, answered: bool) -> None:
        """The call of an invitation goes on in the conversation that was derived from its own, whose end is no end."""
        derived, operation = self.key(invitation.link("derivedConversation")), self.operation(invitation)
        ours_to_start = operation is not None and operation.purpose is Purpose.START
        if derived is None or derived == ref or not answered or ours_to_start:
            return
        self._left[ref] = derived
        self._calls.discard(ref)
        self._calls.add(derived)
        self._invitations.setdefault(derived, []).extend(self._invitations.pop(ref, []))

    def _complete(self, key: str, ref: str | None, as_of: float) -> None:
        self._completed.add(key)
        snapshot = self._snapshots.get(key)
        if snapshot is None or ref is None:
            return
        slots = self.slots(snapshot.resource)
        since = as_of if len(slots) == 1 else snapshot.first_as_of
        self._settled.setdefault(ref, {}).update(dict.fromkeys(slots, since))

    def tells_absence(self, ref: str, slot: str, *rels: str) -> bool:
        """Whether those snapshots are new enough to show by what they say, or lack, that a stream is not there.

        The outcome of an invitation may come before the updates that it causes. One that offered a single stream was
        about that stream; of several offered together, some may not have been taken.
        """
        since = self._settled.get(ref, {}).get(slot, _NEVER)
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
        if ref not in self._deleted:
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
        self._calls.discard(ref)
        self._settled.pop(ref, None)
        self._left = {left: now for left, now in self._left.items() if now != ref}
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
        """
        for key, snapshot in list(self._snapshots.items()):
            if snapshot.resource.rel in INVITATIONS and not self.is_pending(snapshot.resource):
                self._forget_operation_of(snapshot.resource)
            if snapshot.resource.rel not in ("communication", "me"):
                del self._snapshots[key]
        for index in (self._invitations, self._modalities, self._carriers, self._completed, self._settled):
            index.clear()

    # What is known

    def get(self, href: str | None) -> Resource | None:
        """The newest snapshot of the resource at that address."""
        snapshot = self._snapshots.get(self.key(href) or "")
        return snapshot.resource if snapshot is not None else None

    def only(self, rel: str) -> Resource | None:
        """The newest snapshot of a resource of which an application has one."""
        return self.get(self._single.get(rel))

    def modality(self, ref: str, rel: str) -> Resource | None:
        """That modality of the conversation."""
        return self.get(self._modalities.get((ref, rel)))

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
        found = (self.get(key) for key in self._invitations.get(ref, ()))
        return tuple(invitation for invitation in found if invitation is not None)

    def is_pending(self, invitation: Resource) -> bool:
        """Whether the invitation has no outcome yet."""
        return self.key(invitation.href) not in self._completed and invitation.text("state") not in _SETTLED

    def settle(self, invitation: Resource) -> None:
        """The invitation is over: its outcome came, or the server knows it no more."""
        key = self.key(invitation.href)
        if key is not None:
            self._completed.add(key)

    def pending(self, ref: str, slot: str | None = None) -> Resource | None:
        """The newest invitation of the conversation that has no outcome yet (and offers that stream)."""
        for invitation in reversed(self.invitations(ref)):
            if self.is_pending(invitation) and (slot is None or slot in self.slots(invitation)):
                return invitation
        return None

    def invitation_by(self, operation_id: str) -> Resource | None:
        """The invitation that carries out that operation."""
        return self.get(self._carriers.get(operation_id))

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
        operation = self.operation(invitation)
        return invitation.text("to") or (operation.to if operation is not None else None)


def _carries_call(resource: Resource) -> bool:
    if resource.rel == "conversation":
        return bool(_MEDIA.intersection(resource.words("activeModalities") or ()))
    if resource.rel in MODALITIES:
        return resource.text("state") not in (None, "Disconnected")
    return True


def _origin(parts: SplitResult) -> tuple[str, str | None, int | None]:
    return parts.scheme, parts.hostname, parts.port or {"http": 80, "https": 443}.get(parts.scheme)
