"""From events and snapshots to facts about calls. Pure, and total over whatever a server may send."""

from __future__ import annotations

from dataclasses import replace

from telco_bridge.provider import (
    CallReport,
    CallState,
    Cause,
    Fact,
    Invitation,
    RemoteOffer,
    Source,
)

from .invitations import (
    cause_of,
    invitation_facts,
    invitation_state,
    local_party,
    native_of,
    origin_of,
    remote_party,
)
from .modalities import (
    held_by,
    is_incoming,
    messaging_streams,
    muted_by,
    offered_by,
    phone_stream,
    telling,
    voip_streams,
)
from .resources import INVITATIONS, MODALITIES, Change, Resources
from .successions import KeptEnd
from .wire import Event, Resource, sdp_in

__all__ = ["CALL_RELS", "cause_of", "decode", "must_be_read", "snapshot", "standing"]

CALL_RELS = frozenset(
    {
        "conversation",
        *MODALITIES,
        *INVITATIONS,
        "audioVideoNegotiation",
        "audioVideoRenegotiation",
        "participantAudio",
    }
)
"""The resources whose events tell of calls."""

_CONVERSATION_STATES = {
    "Connecting": CallState.DIALING,
    "Incoming": CallState.RINGING,
    "Connected": CallState.CONNECTED,
    "Conferencing": CallState.CONNECTED,
    "Conferenced": CallState.CONNECTED,
    "Disconnecting": CallState.ENDING,
    "Disconnected": CallState.ENDED,
}


def decode(event: Event, change: Change, resources: Resources, as_of: float) -> tuple[Fact, ...]:
    """Return what one event says, `resources` having taken it already."""
    facts = _said(event, change, resources, as_of)
    if change.released is not None:
        facts = (*facts, *_released(change.released, resources, as_of))
    if change.moved_from is not None:
        facts = (*facts, *standing(resources.current(change.moved_from), resources))
    return facts


def _said(event: Event, change: Change, resources: Resources, as_of: float) -> tuple[Fact, ...]:
    if event.rel not in CALL_RELS or change.stranger or change.held:
        return ()
    if event.rel in INVITATIONS:
        facts = invitation_facts(event, change, resources, as_of)
        if change.late and change.ref is not None:
            return (*facts, _deleted(change.ref, as_of, None))
    elif event.rel == "audioVideoNegotiation":
        facts = _negotiation(event, change, resources, as_of)
    elif change.ref is None:
        return ()
    elif event.rel == "conversation":
        return (_conversation(event, change, resources, as_of, change.ref),)
    elif event.rel == "participantAudio":
        return (_own_audio(change, resources, as_of, change.ref),)
    elif event.rel == "phoneAudio":
        facts = (_phone_audio(event, change, resources, as_of, change.ref),)
    elif event.rel == "audioVideo":
        facts = (_audio_video(event, change, resources, as_of, change.ref),)
    elif event.rel == "messaging":
        facts = (_messaging(event, change, resources, as_of, change.ref),)
    else:
        return _renegotiation(event, change, as_of, change.ref)
    if change.joined and change.ref is not None and (conversation := resources.get(change.ref)) is not None:
        # What the conversation had said before it showed that it carries a call.
        report = _conversation_report(conversation, change.ref, resources, as_of, Source.PUSH)
        facts = (*facts, replace(report, streams=telling(messaging_streams(change.ref, resources))))
    return facts


def must_be_read(event: Event, resources: Resources) -> bool:
    """Whether an event that came without its resource is about one that has to be read to know what it says."""
    if event.rel == "message":
        # UCWA documents that the sender is told when what was written is not fetched in 30 seconds.
        return True
    return event.rel in CALL_RELS and (event.rel != "participantAudio" or resources.tells_mute(event))


def snapshot(ref: str, resources: Resources, as_of: float, *, complete: bool) -> CallReport:
    """Return what the known resources of a conversation say together, as the answer to a read.

    `complete` says that the conversation and all its call modalities have just been read.
    """
    conversation = resources.get(ref)
    if conversation is None or resources.awaits_successor(ref):
        return CallReport(source=Source.READ, as_of=as_of, ref=ref)
    report = _conversation_report(conversation, ref, resources, as_of, Source.READ)
    state, native_state, origin, cause = report.state, report.native_state, report.origin, None
    command_id: str | None = None
    pending = resources.pending(ref)
    if pending is not None and state in (CallState.DIALING, CallState.RINGING):
        state, native_state = invitation_state(pending)
    for first in resources.invitations(ref)[:1]:
        origin, command_id = origin_of(first, resources)
        outcome = first.text("state")
        if state is CallState.ENDED and outcome in ("Declined", "Cancelled"):
            cause = Cause(dialect="InvitationState", code=outcome, detail={"about": first.rel})
    streams = (*voip_streams(ref, resources, complete=complete), *messaging_streams(ref, resources))
    phone = resources.modality(ref, "phoneAudio")
    if phone is not None:
        streams = (phone_stream(ref, phone, resources), *streams)
    return replace(
        report,
        state=state,
        native_state=native_state,
        origin=origin,
        command_id=command_id,
        cause=cause,
        remote=remote_party(ref, resources),
        held=held_by(phone) if phone is not None else None,
        muted=muted_by(resources.voice(ref)),
        streams=streams,
        streams_complete=complete,
    )


def standing(ref: str, resources: Resources) -> tuple[CallReport, ...]:
    """Return what the newest snapshots of a conversation say together.

    What was read for one event may be older than what another has told since, and some facts need both. They are as of
    the newest snapshot, because every other one is the newest of its own kind.
    """
    as_of = resources.as_of(ref)
    if as_of is None or not resources.is_call(ref) or resources.awaits_successor(ref):
        return ()
    phone = resources.modality(ref, "phoneAudio")
    streams = (*voip_streams(ref, resources), *messaging_streams(ref, resources))
    if phone is not None:
        streams = (phone_stream(ref, phone, resources), *streams)
    return (
        CallReport(
            source=Source.PUSH,
            as_of=as_of,
            ref=ref,
            held=held_by(phone) if phone is not None else None,
            muted=muted_by(resources.voice(ref)),
            streams=telling(streams),
            offered=offered_by(ref, resources),
        ),
    )


# Conversation


def _conversation(event: Event, change: Change, resources: Resources, as_of: float, ref: str) -> CallReport:
    cause = cause_of(event.reason, about="conversation")
    if event.type == "deleted":
        return _deleted(ref, as_of, cause)
    if change.body is None:
        return CallReport(source=Source.PUSH, as_of=as_of, ref=ref)
    report = _conversation_report(change.body, ref, resources, as_of, Source.PUSH)
    if report.state not in (CallState.ENDING, CallState.ENDED):
        cause = None
    streams = (
        *voip_streams(ref, resources, lost=change.lost),
        *messaging_streams(ref, resources, lost=change.lost),
    )
    return replace(report, cause=cause, streams=telling(streams))


def _deleted(ref: str, as_of: float, cause: Cause | None) -> CallReport:
    """A deleted conversation is the last that is heard of a call: if it has no reason, none will come."""
    said = cause if cause is not None else Cause(dialect="ErrorSubcode", said=False)
    return CallReport(source=Source.PUSH, as_of=as_of, ref=ref, state=CallState.ENDED, cause=said)


def _released(kept: KeptEnd, resources: Resources, as_of: float) -> tuple[Fact, ...]:
    """The end of a conversation that was kept back while another one might have taken its call over."""
    cause = cause_of(kept.reason, about="conversation")
    conversation = resources.get(kept.ref)
    if kept.deleted or conversation is None:
        return (_deleted(kept.ref, as_of, cause),)
    report = _conversation_report(conversation, kept.ref, resources, as_of, Source.PUSH)
    return (replace(report, cause=cause), *standing(kept.ref, resources))


def _conversation_report(
    conversation: Resource, ref: str, resources: Resources, as_of: float, source: Source
) -> CallReport:
    word = conversation.text("state")
    state = _CONVERSATION_STATES.get(word or "")
    native_state = word if state is None else None
    if state is None and word is not None and word != "InLobby":
        state = CallState.UNKNOWN
    active = conversation.words("activeModalities")
    if state is CallState.CONNECTED and active is not None and not active & {"Audio", "Video", "PanoramicVideo"}:
        # It is connected for something else, such as messaging; that nobody has answered the call yet is possible.
        state = None
    # An invitation that is heard of later may say that it takes the place of another call; without one, ask again.
    told = source is Source.READ or bool(resources.invitations(ref))
    return CallReport(
        source=source,
        as_of=as_of,
        ref=ref,
        origin=Invitation() if word == "Incoming" and told else None,
        state=state,
        native_state=native_state,
        local=local_party(resources),
        offered=offered_by(ref, resources),
        native=native_of(conversation),
    )


# Modalities


def _phone_audio(event: Event, change: Change, resources: Resources, as_of: float, ref: str) -> CallReport:
    phone = change.body
    if phone is None:
        return CallReport(source=Source.PUSH, as_of=as_of, ref=ref)
    stream = phone_stream(ref, phone, resources, before=change.before, cause=cause_of(event.reason, about=event.rel))
    return CallReport(
        source=Source.PUSH,
        as_of=as_of,
        ref=ref,
        held=held_by(phone),
        streams=telling((stream,)),
        offered=offered_by(ref, resources),
        native=native_of(phone),
    )


def _audio_video(event: Event, change: Change, resources: Resources, as_of: float, ref: str) -> CallReport:
    cause = cause_of(event.reason, about=event.rel)
    return CallReport(
        source=Source.PUSH,
        as_of=as_of,
        ref=ref,
        streams=telling(voip_streams(ref, resources, before=change.before, cause=cause)),
        offered=offered_by(ref, resources),
        native=native_of(change.body),
    )


def _messaging(event: Event, change: Change, resources: Resources, as_of: float, ref: str) -> CallReport:
    cause = cause_of(event.reason, about=event.rel)
    return CallReport(
        source=Source.PUSH,
        as_of=as_of,
        ref=ref,
        streams=telling(messaging_streams(ref, resources, before=change.before, cause=cause)),
        offered=offered_by(ref, resources),
    )


def _own_audio(change: Change, resources: Resources, as_of: float, ref: str) -> CallReport:
    return CallReport(
        source=Source.PUSH,
        as_of=as_of,
        ref=ref,
        muted=muted_by(change.body),
        offered=offered_by(ref, resources),
    )


# Media descriptions


def _negotiation(event: Event, change: Change, resources: Resources, as_of: float) -> tuple[Fact, ...]:
    """The far end's answer to an offer of ours. Provisional ones are left out: there may be several."""
    sdp = sdp_in(change.body.data("mediaAnswer")) if change.body is not None else None
    place = change.body.link("audioVideoInvitation") if change.body is not None else None
    invitation = resources.get(place if place is not None else event.sender_href)
    if sdp is None or invitation is None:
        return ()
    ref = resources.key(invitation.link("conversation"))
    command_id = origin_of(invitation, resources)[1]
    if ref is None and command_id is None:
        return ()
    return (CallReport(source=Source.PUSH, as_of=as_of, ref=ref, command_id=command_id, remote_sdp=sdp),)


def _renegotiation(event: Event, change: Change, as_of: float, ref: str) -> tuple[Fact, ...]:
    body = change.body
    proposed = body is not None and is_incoming(body) and event.type != "completed"
    sdp = sdp_in(body.data("mediaOffer")) if body is not None and proposed else None
    return (RemoteOffer(as_of=as_of, ref=ref, sdp=sdp),) if sdp is not None else ()
