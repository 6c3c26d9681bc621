"""From the events of invitations to facts about the calls that they make. Pure."""

from __future__ import annotations

from collections.abc import Mapping

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

from .modalities import held_by, is_incoming, offered_by, phone_stream, stream_report, telling, voip_streams
from .problems import Problem
from .resources import PHONE, Change, Operation, Purpose, Resources
from .wire import Event, Resource, sdp_in
from .words import Words

__all__ = [
    "cause_of",
    "failure_cause",
    "invitation_facts",
    "invitation_state",
    "local_party",
    "native_of",
    "origin_of",
    "outcome_of",
    "remote_party",
]

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


def cause_of(problem: Problem | None, *, about: str) -> Cause | None:
    """Return the server's reason as a cause; None where it gave none. `about` is the resource it was said of."""
    if problem is None:
        return None
    detail = {"about": about, **{f"parameter.{name}": reason for name, reason in problem.parameters.items()}}
    code = f"{problem.code or ''}/{problem.subcode}" if problem.subcode else problem.code
    return Cause(dialect="ErrorSubcode", code=code, text=problem.message, detail=detail)


def native_of(resource: Resource | None) -> Mapping[str, object] | None:
    """Return the resource's own words, for who wants more than is told neutrally."""
    if resource is None:
        return None
    by = resource.part("transferredBy")
    mover = by.text("uri") if by is not None else resource.link("transferredBy")
    moved = {"transferredBy": mover} if mover is not None else {}
    return Words(resource, moved)


def invitation_facts(event: Event, change: Change, resources: Resources, as_of: float) -> tuple[Fact, ...]:
    """Return what an event says about the call that its invitation makes, or adds media to."""
    invitation = change.body if change.body is not None else Resource(rel=event.rel, href=event.href)
    operation = resources.operation(invitation)
    if change.moved_from is not None:
        return (_moved(change.moved_from, invitation, resources, as_of),)
    if change.replaces is not None:
        return _proposed(event, change, change.replaces, as_of)
    success, failure = outcome_of(event, invitation)
    cause = failure_cause(event, invitation) if failure else None
    ours_to_start = operation is not None and operation.purpose is not Purpose.DIAL
    derived = resources.key(invitation.link("derivedConversation"))
    ref = change.ref
    origin, command_id = origin_of(invitation, resources)
    if invitation.rel == "messagingInvitation":
        if success and invitation.link("derivedMessaging") is not None:
            said = cause_of(event.reason, about=event.rel)
            cause = said if said is not None else _elsewhere(event.rel)
        return _added(event, invitation, operation, cause, ref, resources, as_of)
    if success and ours_to_start and derived not in (None, ref):
        return _taken_elsewhere(event, invitation, operation, ref, resources, as_of)
    if ours_to_start or _joins_a_call(invitation, ref, resources):
        return _added(event, invitation, operation, cause, ref, resources, as_of)
    if ref is None and command_id is None:
        return ()
    state, native_state = invitation_state(invitation)
    phone = resources.modality(ref, "phoneAudio") if ref is not None else None
    if success:
        state = CallState.CONNECTED
    elif failure and resources.get(ref) is None and (operation is not None or change.joined):
        # Its conversation came and went between two packages, which tell of neither: no word of its end will come.
        state = CallState.ENDED
    elif failure or event.type == "completed":
        state = None
    if operation is not None and operation.ref is not None and not success:
        # The conversation was there before the call, may outlive the attempt, and is not its name before that succeeds.
        ref = None
        state = CallState.ENDED if failure or event.type == "completed" else state
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
            local=local_party(resources),
            held=held_by(phone) if success and phone is not None else None,
            streams=(
                _taken_streams(ref, invitation, resources)
                if success and ref is not None
                else _invited_streams(invitation, cause, resources, failed=failure)
            ),
            offered=offered_by(ref, resources) if ref is not None else None,
            cause=cause,
            remote_sdp=sdp_in(invitation.data("mediaOffer")) if is_incoming(invitation) else None,
            native=native_of(change.body),
        ),
    )


def _moved(old: str, invitation: Resource, resources: Resources, as_of: float) -> CallReport:
    """The call of one conversation goes on in another: another party answered, or took the place of the first."""
    new = resources.current(old)
    replaced = resources.key(invitation.link("conversation")) == new
    slots = resources.slots(invitation) if replaced else frozenset[str]()
    return CallReport(
        source=Source.PUSH,
        as_of=as_of,
        ref=new,
        command_id=origin_of(invitation, resources)[1],
        origin=Continues(old),
        state=CallState.CONNECTED,
        answered=True,
        remote=_party_of(invitation, resources),
        # What was not offered anew was left behind with the conversation before.
        streams=tuple(stream_report(slot, None) for slot in sorted(slots)),
        streams_complete=bool(slots),
        offered=offered_by(new, resources),
        native=native_of(invitation),
    )


def _proposed(event: Event, change: Change, ref: str, as_of: float) -> tuple[Fact, ...]:
    """Somebody would take the place of a call's other party: for the call, that is an offer of other media."""
    offer = sdp_in(change.body.data("mediaOffer")) if change.body is not None and event.type == "started" else None
    return (RemoteOffer(as_of=as_of, ref=ref, sdp=offer),) if offer is not None else ()


def _taken_elsewhere(
    event: Event,
    invitation: Resource,
    operation: Operation | None,
    ref: str | None,
    resources: Resources,
    as_of: float,
) -> tuple[Fact, ...]:
    """Somebody else took the media that were offered to a call, and talks in a conversation of their own."""
    said = cause_of(event.reason, about=event.rel)
    cause = said if said is not None else _elsewhere(event.rel)
    derived = resources.key(invitation.link("derivedConversation"))
    other = CallReport(
        source=Source.PUSH,
        as_of=as_of,
        ref=derived,
        origin=Dialled(),
        state=CallState.CONNECTED,
        remote=_party_of(invitation, resources),
    )
    return (*_added(event, invitation, operation, cause, ref, resources, as_of), other)


def _elsewhere(rel: str) -> Cause:
    return Cause(dialect="ErrorSubcode", code="/DerivedConversation", detail={"about": rel})


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
        streams = _invited_streams(invitation, cause, resources, failed=cause is not None)
        offered = offered_by(ref, resources)
        facts.append(CallReport(source=Source.PUSH, as_of=as_of, ref=ref, streams=streams, offered=offered))
    if operation is not None and operation.purpose is Purpose.START and cause is not None:
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


def outcome_of(event: Event, invitation: Resource) -> tuple[bool, bool]:
    """Whether the invitation succeeded, and whether it failed; neither where its words contradict each other."""
    state = invitation.text("state")
    success = event.status in _SUCCESS or state == "Connected"
    failure = event.status in _FAILURE or state in _REFUSED_STATES
    return success and not failure, failure and not success


def failure_cause(event: Event, invitation: Resource) -> Cause | None:
    """Return why the invitation failed: the event's reason, else its state; None where neither says."""
    cause = cause_of(event.reason, about=event.rel)
    state = invitation.text("state")
    if cause is None and state in _REFUSED_STATES and event.type == "completed":
        # Before that, the reason is still to come: what is read for an earlier event may be what came of it later.
        cause = Cause(dialect="InvitationState", code=state, detail={"about": event.rel})
    return cause


def invitation_state(invitation: Resource) -> tuple[CallState | None, str | None]:
    """Return how far the call of the invitation has come; a word that is no state is kept beside."""
    word = invitation.text("state")
    if word is None:
        return None, None
    if word not in _KNOWN_INVITATION_STATES:
        return CallState.UNKNOWN, word
    state = _INVITATION_STATES.get(word)
    if state is CallState.DIALING and is_incoming(invitation):
        state = CallState.RINGING
    return state, None if state is not None else word


def origin_of(invitation: Resource, resources: Resources) -> tuple[Origin | None, str | None]:
    """Return who began the call of the invitation, and with which command where we did."""
    if is_incoming(invitation):
        return Invitation(), None
    operation = resources.operation(invitation)
    if operation is not None and operation.purpose is not Purpose.DIAL:
        return None, None
    outgoing = operation is not None or invitation.text("direction") == "Outgoing"
    return (Dialled() if outgoing else None), resources.operation_id(invitation)


def _invited_streams(
    invitation: Resource, cause: Cause | None, resources: Resources, *, failed: bool
) -> tuple[StreamReport, ...]:
    operation = resources.operation(invitation)
    started_by = operation.id if operation is not None and operation.purpose is Purpose.START else None
    if failed:
        state = StreamState.ENDED
    elif resources.is_pending(invitation):
        # Not only when it is told of as started: of merged events the newest is left.
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
    # What the phone audio said may have come before anything that showed whose call it is.
    on_phone = telling((phone_stream(ref, phone, resources),)) if phone is not None else ()
    if phone is None or phone.text("state") != "Connected" or (voip is not None and voip.text("state") == "Connected"):
        return (*on_phone, *telling(streams))
    slots = resources.slots(invitation) - {PHONE}
    return (*on_phone, *(stream_report(slot, StreamState.ENDED) for slot in sorted(slots)))


def _party_of(invitation: Resource, resources: Resources) -> Party | None:
    address = resources.remote(invitation)
    if address is None:
        return None
    name = "from" if is_incoming(invitation) else "acceptedByParticipant"
    person = invitation.part(name)
    known = person is not None and (is_incoming(invitation) or person.text("uri") == address)
    return Party(address, person.text("name") if person is not None and known else None)


def remote_party(ref: str, resources: Resources) -> Party | None:
    """Return the other party, as the invitations tell it."""
    parties = (_party_of(invitation, resources) for invitation in resources.invitations(ref))
    return next((party for party in parties if party is not None), None)


def local_party(resources: Resources) -> Party | None:
    """Return the signed-in user."""
    me = resources.only("me")
    uri = me.text("uri") if me is not None else None
    return Party(uri, me.text("name")) if me is not None and uri is not None else None
