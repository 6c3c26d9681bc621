"""From events and snapshots to facts about calls. Pure, and total over whatever a server may send."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from telco_bridge.provider import (
    CallReport,
    CallState,
    Cause,
    CommandFailed,
    Continues,
    Dialled,
    Fact,
    Invitation,
    Origin,
    Party,
    RemoteOffer,
    Source,
    StreamReport,
    StreamState,
)

from .modalities import held_by, is_incoming, phone_stream, stream_report, telling, voip_streams
from .resources import INVITATIONS, MODALITIES, PHONE, Change, Operation, Purpose, Resources
from .wire import Event, Problem, Resource, sdp_in

__all__ = ["CALL_RELS", "cause_of", "decode", "snapshot", "standing"]

CALL_RELS = frozenset({"conversation", *MODALITIES, *INVITATIONS, "audioVideoNegotiation", "audioVideoRenegotiation"})
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
_INVITATION_STATES = {
    "Connecting": CallState.DIALING,
    "Alerting": CallState.RINGING,
    "TeamRing": CallState.RINGING,
    "Connected": CallState.CONNECTED,
}
_KNOWN_INVITATION_STATES = frozenset({*_INVITATION_STATES, "Failed", "Declined", "Cancelled", "Forwarded"})
_SUCCESS = frozenset({"Success", "Succeeded"})
_FAILURE = frozenset({"Failure", "Failed"})
_REFUSED_STATES = frozenset({"Failed", "Declined", "Cancelled"})
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
        "participants",
        "phoneAudio",
        "replacesAudioVideo",
        "replacesPhoneAudio",
        "self",
        "to",
        "transferredBy",
        "videoLockedOnParticipant",
    }
)
"""Links that lead somewhere; every other one is something that may be done."""


def decode(event: Event, change: Change, resources: Resources, as_of: float) -> tuple[Fact, ...]:
    """Return what one event says, `resources` having taken it already."""
    if event.rel not in CALL_RELS or change.stranger:
        return ()
    if event.rel in INVITATIONS:
        facts = _invitation(event, change, resources, as_of)
        if change.late and change.ref is not None:
            return (*facts, _deleted(change.ref, as_of, None))
    elif event.rel == "audioVideoNegotiation":
        facts = _negotiation(event, change, resources, as_of)
    elif change.ref is None:
        return ()
    elif event.rel == "conversation":
        return (_conversation(event, change, resources, as_of, change.ref),)
    elif event.rel == "phoneAudio":
        facts = (_phone_audio(event, change, resources, as_of, change.ref),)
    elif event.rel == "audioVideo":
        facts = (_audio_video(event, change, resources, as_of, change.ref),)
    else:
        return _renegotiation(change, as_of, change.ref)
    if change.joined and change.ref is not None and (conversation := resources.get(change.ref)) is not None:
        # What the conversation had said before it showed that it carries a call.
        facts = (*facts, _conversation_report(conversation, change.ref, resources, as_of, Source.PUSH))
    return facts


def snapshot(ref: str, resources: Resources, as_of: float, *, complete: bool) -> CallReport:
    """Return what the known resources of a conversation say together, as the answer to a read.

    `complete` says that the conversation and all its call modalities have just been read.
    """
    conversation = resources.get(ref)
    if conversation is None:
        return CallReport(source=Source.READ, as_of=as_of, ref=ref)
    report = _conversation_report(conversation, ref, resources, as_of, Source.READ)
    state, native_state, origin, cause = report.state, report.native_state, report.origin, None
    command_id: str | None = None
    pending = resources.pending(ref)
    if pending is not None and state in (CallState.DIALING, CallState.RINGING):
        state, native_state = _invitation_state(pending)
    for first in resources.invitations(ref)[:1]:
        origin, command_id = _origin(first, resources)
        outcome = first.text("state")
        if state is CallState.ENDED and outcome in ("Declined", "Cancelled"):
            cause = Cause(dialect="InvitationState", code=outcome, detail={"about": first.rel})
    streams = voip_streams(ref, resources, complete=complete)
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
        remote=_remote(ref, resources),
        held=held_by(phone) if phone is not None else None,
        streams=streams,
        streams_complete=complete,
    )


def standing(ref: str, resources: Resources) -> tuple[CallReport, ...]:
    """Return what the newest snapshots of a conversation say together.

    What was read for one event may be older than what another has told since, and some facts need both. They are as of
    the newest snapshot, because every other one is the newest of its own kind.
    """
    as_of = resources.as_of(ref)
    if as_of is None or not resources.is_call(ref):
        return ()
    phone = resources.modality(ref, "phoneAudio")
    streams = voip_streams(ref, resources)
    if phone is not None:
        streams = (phone_stream(ref, phone, resources), *streams)
    return (
        CallReport(
            source=Source.PUSH,
            as_of=as_of,
            ref=ref,
            held=held_by(phone) if phone is not None else None,
            streams=telling(streams),
            offered=_offered(ref, resources),
        ),
    )


def cause_of(problem: Problem | None, *, about: str) -> Cause | None:
    """Return the server's reason as a cause; None where it gave none. `about` is the resource it was said of."""
    if problem is None:
        return None
    detail = {"about": about, **{f"parameter.{name}": reason for name, reason in problem.parameters.items()}}
    code = f"{problem.code or ''}/{problem.subcode}" if problem.subcode else problem.code
    return Cause(dialect="ErrorSubcode", code=code, text=problem.message, detail=detail)


def _native(resource: Resource | None) -> Mapping[str, object] | None:
    return None if resource is None else {"rel": resource.rel, "href": resource.href, **resource.properties}


# Invitations


def _invitation(event: Event, change: Change, resources: Resources, as_of: float) -> tuple[Fact, ...]:
    invitation = change.body if change.body is not None else Resource(rel=event.rel, href=event.href)
    operation = resources.operation(invitation)
    success, failure = _outcome(event, invitation)
    cause = _failure_cause(event, invitation) if failure else None
    ours_to_start = operation is not None and operation.purpose is Purpose.START
    derived = resources.key(invitation.link("derivedConversation"))
    ref = change.ref
    origin, command_id = _origin(invitation, resources)
    if ours_to_start or _joins_a_call(invitation, ref, resources):
        return _added(event, invitation, operation, cause, ref, resources, as_of)
    if ref is None and command_id is None:
        return ()
    state, native_state = _invitation_state(invitation)
    if success:
        state = CallState.CONNECTED
        if derived is not None and ref is not None and derived != ref:
            origin, ref = Continues(ref), derived
    elif failure or event.type == "completed":
        state = None
    return (
        CallReport(
            source=Source.PUSH,
            as_of=as_of,
            ref=ref,
            command_id=command_id,
            origin=origin,
            state=state,
            native_state=native_state,
            answered=True if success else False if failure else None,
            remote=_party_of(invitation, resources),
            local=_local(resources),
            streams=(
                _taken_streams(ref, invitation, resources)
                if success and ref is not None
                else _invited_streams(event, invitation, cause, resources, failed=failure)
            ),
            offered=_offered(ref, resources) if ref is not None else None,
            cause=cause,
            remote_sdp=sdp_in(invitation.data("mediaOffer")) if is_incoming(invitation) else None,
            native=_native(change.body),
        ),
    )


def _added(
    event: Event,
    invitation: Resource,
    operation: Operation | None,
    cause: Cause | None,
    ref: str | None,
    resources: Resources,
    as_of: float,
) -> tuple[Fact, ...]:
    """Media offered to a call that goes on: its failure is the stream's, never the call's."""
    if ref is None:
        ref = operation.ref if operation is not None else None
    facts: list[Fact] = []
    if ref is not None:
        streams = _invited_streams(event, invitation, cause, resources, failed=cause is not None)
        offered = _offered(ref, resources)
        facts.append(CallReport(source=Source.PUSH, as_of=as_of, ref=ref, streams=streams, offered=offered))
    if operation is not None and cause is not None:
        facts.append(CommandFailed(as_of=as_of, ref=ref, command_id=operation.id, cause=cause))
    return tuple(facts)


def _joins_a_call(invitation: Resource, ref: str | None, resources: Resources) -> bool:
    """Whether an invitation that is not ours came into a conversation that another invitation had connected."""
    if ref is None or resources.operation(invitation) is not None:
        return False
    earlier = resources.invitations(ref)
    if not earlier or resources.key(earlier[0].href) == resources.key(invitation.href):
        return False
    return not resources.is_pending(earlier[0])


def _outcome(event: Event, invitation: Resource) -> tuple[bool, bool]:
    """Whether the invitation succeeded, and whether it failed; neither where its words contradict each other."""
    state = invitation.text("state")
    success = event.status in _SUCCESS or state == "Connected"
    failure = event.status in _FAILURE or state in _REFUSED_STATES
    return success and not failure, failure and not success


def _failure_cause(event: Event, invitation: Resource) -> Cause | None:
    cause = cause_of(event.reason, about=event.rel)
    state = invitation.text("state")
    if cause is None and state in _REFUSED_STATES:
        cause = Cause(dialect="InvitationState", code=state, detail={"about": event.rel})
    return cause


def _invitation_state(invitation: Resource) -> tuple[CallState | None, str | None]:
    word = invitation.text("state")
    if word is None:
        return None, None
    if word not in _KNOWN_INVITATION_STATES:
        return CallState.UNKNOWN, word
    state = _INVITATION_STATES.get(word)
    if state is CallState.DIALING and is_incoming(invitation):
        state = CallState.RINGING
    return state, None if state is not None else word


def _origin(invitation: Resource, resources: Resources) -> tuple[Origin | None, str | None]:
    if is_incoming(invitation):
        return Invitation(), None
    operation = resources.operation(invitation)
    if operation is not None and operation.purpose is Purpose.START:
        return None, None
    outgoing = operation is not None or invitation.text("direction") == "Outgoing"
    return (Dialled() if outgoing else None), resources.operation_id(invitation)


def _invited_streams(
    event: Event, invitation: Resource, cause: Cause | None, resources: Resources, *, failed: bool
) -> tuple[StreamReport, ...]:
    operation = resources.operation(invitation)
    started_by = operation.id if operation is not None and operation.purpose is Purpose.START else None
    if failed:
        state = StreamState.ENDED
    elif event.type == "started" and resources.is_pending(invitation):
        state = StreamState.OFFERED if is_incoming(invitation) else StreamState.STARTING
    else:
        return ()
    return tuple(
        stream_report(slot, state, command_id=started_by, cause=cause) for slot in sorted(resources.slots(invitation))
    )


def _taken_streams(ref: str, invitation: Resource, resources: Resources) -> tuple[StreamReport, ...]:
    """What was offered and not taken has ended: some of several media, or all that were taken on the phone instead."""
    streams = voip_streams(ref, resources)
    voip, phone = (resources.modality(ref, rel) for rel in ("audioVideo", "phoneAudio"))
    if phone is None or phone.text("state") != "Connected" or (voip is not None and voip.text("state") == "Connected"):
        return telling(streams)
    slots = resources.slots(invitation) - {PHONE}
    return tuple(stream_report(slot, StreamState.ENDED) for slot in sorted(slots))


def _party_of(invitation: Resource, resources: Resources) -> Party | None:
    address = resources.remote(invitation)
    if address is None:
        return None
    sender = invitation.part("from") if is_incoming(invitation) else None
    return Party(address, sender.text("name") if sender is not None else None)


def _remote(ref: str, resources: Resources) -> Party | None:
    parties = (_party_of(invitation, resources) for invitation in resources.invitations(ref))
    return next((party for party in parties if party is not None), None)


def _local(resources: Resources) -> Party | None:
    me = resources.only("me")
    uri = me.text("uri") if me is not None else None
    return Party(uri, me.text("name")) if me is not None and uri is not None else None


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
    streams = telling(voip_streams(ref, resources, lost=change.lost))
    return replace(report, cause=cause, streams=streams)


def _deleted(ref: str, as_of: float, cause: Cause | None) -> CallReport:
    """A deleted conversation is the last that is heard of a call: if it has no reason, none will come."""
    said = cause if cause is not None else Cause(dialect="ErrorSubcode", said=False)
    return CallReport(source=Source.PUSH, as_of=as_of, ref=ref, state=CallState.ENDED, cause=said)


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
    return CallReport(
        source=source,
        as_of=as_of,
        ref=ref,
        origin=Invitation() if word == "Incoming" else None,
        state=state,
        native_state=native_state,
        local=_local(resources),
        offered=_offered(ref, resources),
        native=_native(conversation),
    )


def _offered(ref: str, resources: Resources) -> frozenset[str]:
    """Everything that the conversation, its modalities and its pending invitation offer to do."""
    known = (resources.get(ref), *(resources.modality(ref, rel) for rel in MODALITIES), resources.pending(ref))
    return frozenset(rel for resource in known if resource is not None for rel in resource.links) - _PLACES


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
        offered=_offered(ref, resources),
        native=_native(phone),
    )


def _audio_video(event: Event, change: Change, resources: Resources, as_of: float, ref: str) -> CallReport:
    cause = cause_of(event.reason, about=event.rel)
    return CallReport(
        source=Source.PUSH,
        as_of=as_of,
        ref=ref,
        streams=telling(voip_streams(ref, resources, before=change.before, cause=cause)),
        offered=_offered(ref, resources),
        native=_native(change.body),
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
    command_id = _origin(invitation, resources)[1]
    if ref is None and command_id is None:
        return ()
    return (CallReport(source=Source.PUSH, as_of=as_of, ref=ref, command_id=command_id, remote_sdp=sdp),)


def _renegotiation(change: Change, as_of: float, ref: str) -> tuple[Fact, ...]:
    body = change.body
    sdp = sdp_in(body.data("mediaOffer")) if body is not None and is_incoming(body) else None
    return (RemoteOffer(as_of=as_of, ref=ref, sdp=sdp),) if sdp is not None else ()
