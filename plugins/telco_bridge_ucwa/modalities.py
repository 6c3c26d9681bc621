"""From the snapshots of a conversation's modalities to its streams. Pure."""

from __future__ import annotations

from functools import lru_cache

from telco_bridge.provider import Cause, Modality, StreamReport, StreamState, Transport

from .resources import AUDIO, MESSAGING, MODALITIES, PHONE, VIDEO, Purpose, Resources
from .wire import Resource

__all__ = [
    "held_by",
    "is_incoming",
    "messaging_streams",
    "muted_by",
    "offered_by",
    "phone_stream",
    "stream_report",
    "telling",
    "voip_streams",
]

_STREAM_STATES = {
    "Connecting": StreamState.STARTING,
    "Connected": StreamState.ACTIVE,
    "Disconnected": StreamState.ENDED,
}
_KNOWN_CALL_STATES = frozenset({*_STREAM_STATES, "Disconnecting", "Transferring"})
_VOIP = {AUDIO: "Audio", VIDEO: "Video"}
_KINDS = {
    PHONE: (Modality.AUDIO, Transport.PSTN),
    AUDIO: (Modality.AUDIO, Transport.VOIP),
    VIDEO: (Modality.VIDEO, Transport.VOIP),
    MESSAGING: (Modality.MESSAGING, Transport.UNKNOWN),
}

_PLACES = frozenset(
    {
        "acceptedByContact",
        "acceptedByParticipant",
        "applicationSharing",
        "attendees",
        "audioVideo",
        "audioVideoPolicies",
        "audioVideoSession",
        "conversation",
        "customContent",
        "dataCollaboration",
        "delegator",
        "derivedAudioVideo",
        "derivedConversation",
        "derivedMessaging",
        "derivedPhoneAudio",
        "forwardedBy",
        "from",
        "leaders",
        "lobby",
        "localParticipant",
        "mediaOffer",
        "messaging",
        "onBehalfOf",
        "onlineMeeting",
        "participant",
        "participants",
        "phoneAudio",
        "replacesAudioVideo",
        "replacesPhoneAudio",
        "self",
        "to",
        "transferredBy",
        "typingParticipants",
        "videoLockedOnParticipant",
    }
)
"""Links that lead somewhere; every other one is something that may be done."""


def is_incoming(invitation: Resource) -> bool:
    """Whether somebody else sent the invitation."""
    return invitation.text("direction") == "Incoming"


def stream_report(
    slot: str,
    state: StreamState | None,
    *,
    native_state: str | None = None,
    command_id: str | None = None,
    cause: Cause | None = None,
) -> StreamReport:
    """Return what is said of the stream in that slot."""
    modality, transport = _KINDS[slot]
    return StreamReport(
        slot=slot,
        modality=modality,
        transport=transport,
        state=state,
        native_state=native_state,
        command_id=command_id,
        cause=cause,
    )


def telling(streams: tuple[StreamReport, ...]) -> tuple[StreamReport, ...]:
    """Return those of the streams of which something is said."""
    return tuple(stream for stream in streams if stream.state is not None or stream.native_state is not None)


def _started_by(ref: str, slot: str, resources: Resources) -> str | None:
    """The start of ours whose invitation is under way for that stream."""
    pending = resources.pending(ref, slot)
    operation = resources.operation(pending) if pending is not None else None
    return operation.id if operation is not None and operation.purpose is Purpose.START else None


def offered_by(ref: str, resources: Resources) -> frozenset[str]:
    """Return everything that the conversation, its modalities, its pending invitation and the own audio offer to do."""
    modalities = (resources.modality(ref, rel) for rel in MODALITIES)
    known = (resources.get(ref), *modalities, resources.pending(ref), resources.voice(ref))
    return _abilities(tuple(rel for resource in known if resource is not None for rel in resource.links))


@lru_cache(maxsize=1024)
def _abilities(rels: tuple[str, ...]) -> frozenset[str]:
    """Most calls offer the same as others: they share one set."""
    return frozenset(rels) - _PLACES


def phone_stream(
    ref: str, phone: Resource, resources: Resources, *, before: str | None = None, cause: Cause | None = None
) -> StreamReport:
    """Return the phone audio. `before` is the modality's last state, `cause` why it changed."""
    state, native_state = _modality_state(phone.text("state"))
    if state is StreamState.STARTING:
        state = _begins(ref, resources.pending(ref, PHONE), resources)
    return _only_stream(PHONE, "phoneAudio", state, native_state, ref, resources, before=before, cause=cause)


def messaging_streams(
    ref: str,
    resources: Resources,
    *,
    lost: frozenset[str] = frozenset(),
    before: str | None = None,
    cause: Cause | None = None,
) -> tuple[StreamReport, ...]:
    """The messages, as their modality tells, or the conversation as long as nothing is known of that.

    `before` is the modality's last state, `cause` why it changed; `lost` is what the conversation has ceased to carry.
    """
    messaging = resources.modality(ref, "messaging")
    if messaging is None:
        return telling((stream_report(MESSAGING, _listed(ref, resources, lost=lost)),))
    state, native_state = _modality_state(messaging.text("state"))
    if state is StreamState.STARTING:
        state = _invited(resources.pending(ref, MESSAGING))
    return (_only_stream(MESSAGING, "messaging", state, native_state, ref, resources, before=before, cause=cause),)


def _listed(ref: str, resources: Resources, *, lost: frozenset[str]) -> StreamState | None:
    conversation = resources.get(ref)
    if conversation is None or conversation.text("state") in ("Connecting", "Incoming"):
        # It lists what is offered.
        return None
    if "Messaging" in (conversation.words("activeModalities") or ()):
        return StreamState.ACTIVE
    return StreamState.ENDED if "Messaging" in lost else None


def _invited(pending: Resource | None) -> StreamState | None:
    if pending is None:
        return None
    return StreamState.OFFERED if is_incoming(pending) else StreamState.STARTING


def _only_stream(
    slot: str,
    rel: str,
    state: StreamState | None,
    native_state: str | None,
    ref: str,
    resources: Resources,
    *,
    before: str | None,
    cause: Cause | None,
) -> StreamReport:
    """Return the stream of a modality that has a single one."""
    if state is StreamState.ENDED and not _has_ended(rel, slot, ref, resources, before=before):
        state = None
    return stream_report(
        slot,
        state,
        native_state=native_state,
        command_id=_started_by(ref, slot, resources) if state is not StreamState.ENDED else None,
        cause=cause if state is StreamState.ENDED else None,
    )


def _begins(ref: str, pending: Resource | None, resources: Resources) -> StreamState | None:
    """How phone audio begins. The modality may be told of before its invitation, and before its conversation."""
    conversation = resources.get(ref)
    if pending is not None:
        return _invited(pending)
    if conversation is None:
        return None
    return StreamState.OFFERED if conversation.text("state") == "Incoming" else StreamState.STARTING


def _modality_state(word: str | None) -> tuple[StreamState | None, str | None]:
    if word is None:
        return None, None
    if word not in _KNOWN_CALL_STATES:
        return StreamState.UNKNOWN, word
    state = _STREAM_STATES.get(word)
    return state, word if state is None else None


def held_by(phone: Resource) -> bool | None:
    """UCWA has no state for hold: what may be done next tells it."""
    if phone.text("state") != "Connected":
        return None
    resume, hold = "resumePhoneAudio" in phone.links, "holdPhoneAudio" in phone.links
    return resume if resume != hold else None


def muted_by(audio: Resource | None) -> bool | None:
    """Whether the participant of that participantAudio is muted; None where nothing was said."""
    return audio.flag("audioMuted") if audio is not None else None


def voip_streams(
    ref: str,
    resources: Resources,
    *,
    lost: frozenset[str] = frozenset(),
    before: str | None = None,
    cause: Cause | None = None,
    complete: bool = False,
) -> tuple[StreamReport, ...]:
    """The audio and video of the audioVideo modality, whose one state says nothing about either of them alone."""
    modality = resources.modality(ref, "audioVideo")
    if modality is None:
        return ()
    word = modality.text("state")
    _, native_state = _modality_state(word)
    streams: list[StreamReport] = []
    for slot in (AUDIO, VIDEO):
        state = _voip_state(slot, modality, ref, resources, lost=lost, before=before, complete=complete)
        streams.append(
            stream_report(
                slot,
                state,
                native_state=native_state,
                command_id=_started_by(ref, slot, resources) if state is not StreamState.ENDED else None,
                cause=cause if state is StreamState.ENDED else None,
            )
        )
    return tuple(streams)


def _voip_state(
    slot: str,
    modality: Resource,
    ref: str,
    resources: Resources,
    *,
    lost: frozenset[str],
    before: str | None,
    complete: bool,
) -> StreamState | None:
    state, _ = _modality_state(modality.text("state"))
    pending = resources.pending(ref, slot)
    if state is StreamState.ENDED:
        return state if _has_ended("audioVideo", slot, ref, resources, before=before) else None
    if state is StreamState.STARTING:
        return _invited(pending)
    if state is not StreamState.ACTIVE:
        return None
    flows = _flows(slot, modality, ref, resources, lost=lost, complete=complete)
    if flows:
        return StreamState.ACTIVE
    return StreamState.ENDED if flows is False and pending is None else None


def _has_ended(rel: str, slot: str, ref: str, resources: Resources, *, before: str | None) -> bool:
    """Whether a disconnected modality means that the stream has ended, and not that it has not begun yet."""
    if before == "Connected":
        return True
    return resources.pending(ref, slot) is None and resources.tells_absence(ref, slot, rel)


def _flows(
    slot: str, modality: Resource, ref: str, resources: Resources, *, lost: frozenset[str], complete: bool
) -> bool | None:
    """Whether that medium of a connected audioVideo modality flows; None where the snapshots do not tell.

    The conversation tells, but its update and the modality's come in either order. So what it does not call active has
    ended only if it was active before, or if the links agree, or if both have just been read.
    """
    word = _VOIP[slot]
    by_links = _by_links(word, modality)
    active = resources.active(ref)
    if active is None:
        return by_links if resources.get(ref) is None else None
    if slot == AUDIO and _on_the_phone(ref, resources):
        return by_links  # phone audio is called Audio too
    if word in active:
        return True
    absent = (by_links is False or complete) and resources.tells_absence(ref, slot, "conversation", "audioVideo")
    return False if word in lost or absent else None


def _by_links(word: str, modality: Resource) -> bool | None:
    stop, add = f"stop{word}" in modality.links, f"add{word}" in modality.links
    return stop if stop != add else None


def _on_the_phone(ref: str, resources: Resources) -> bool:
    phone = resources.modality(ref, "phoneAudio")
    return phone is not None and phone.text("state") not in (None, "Disconnected")
