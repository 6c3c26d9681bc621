"""UCWA's words for an end, translated in both directions.

UCWA has four vocabularies. The server explains ends with an ErrorCode and an ErrorSubcode, of which the subcode says
more, and with an InvitationState. The client gives a CallTerminationReason when it stops media, and a CallDeclineReason
when it refuses a call; the server never says either of them to a client.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from telco_bridge.provider import (
    CallDirection,
    CallView,
    Cause,
    Command,
    Confidence,
    EndedBy,
    Phase,
    ReasonRow,
    Refused,
    Reject,
    StreamView,
    Termination,
    TerminationReason,
    Transport,
)

__all__ = ["DECLINE", "OUTWARD", "REASONS", "decline_reason", "explain", "termination_reason"]

_R = TerminationReason
_By = EndedBy

_SUBCODES: Mapping[str, tuple[TerminationReason, EndedBy]] = {
    "Busy": (_R.BUSY, _By.REMOTE),
    "Declined": (_R.REJECTED, _By.REMOTE),
    "NotAcceptable": (_R.REJECTED, _By.REMOTE),
    "NotAllowed": (_R.REJECTED, _By.REMOTE),
    "Denied": (_R.REJECTED, _By.REMOTE),
    "RepliedWithOtherModality": (_R.REJECTED, _By.REMOTE),
    "TransferDeclined": (_R.REJECTED, _By.REMOTE),
    "TransferTargetDeclined": (_R.REJECTED, _By.REMOTE),
    "DoNotDisturb": (_R.DO_NOT_DISTURB, _By.REMOTE),
    "Missed": (_R.NO_ANSWER, _By.USER),
    "Timeout": (_R.NO_ANSWER, _By.NETWORK),
    "TemporarilyUnavailable": (_R.NO_ANSWER, _By.NETWORK),
    "Unreachable": (_R.UNREACHABLE, _By.NETWORK),
    "FederationRequired": (_R.UNREACHABLE, _By.PROVIDER),
    "NoDelegatesConfigured": (_R.UNREACHABLE, _By.PROVIDER),
    "NoTeamMembersConfigured": (_R.UNREACHABLE, _By.PROVIDER),
    "DestinationNotFound": (_R.UNALLOCATED_NUMBER, _By.NETWORK),
    "NormalizationFailed": (_R.INVALID_NUMBER, _By.PROVIDER),
    "PhoneNumberConflict": (_R.INVALID_NUMBER, _By.PROVIDER),
    "Canceled": (_R.CANCELLED, _By.UNKNOWN),
    "ConnectedElsewhere": (_R.ANSWERED_ELSEWHERE, _By.USER),
    "AutoAccepted": (_R.ANSWERED_ELSEWHERE, _By.USER),
    "Forwarded": (_R.REDIRECTED, _By.UNKNOWN),
    "Redirected": (_R.REDIRECTED, _By.UNKNOWN),
    "MediaFallback": (_R.REDIRECTED, _By.PROVIDER),
    "DerivedConversation": (_R.REPLACED, _By.PROVIDER),
    "Replaced": (_R.REPLACED, _By.UNKNOWN),
    "SessionSwitched": (_R.REPLACED, _By.UNKNOWN),
    "Transferred": (_R.TRANSFERRED, _By.UNKNOWN),
    "CallTerminated": (_R.NORMAL, _By.UNKNOWN),
    "Ended": (_R.NORMAL, _By.UNKNOWN),
    "Removed": (_R.NORMAL, _By.UNKNOWN),
    "Ejected": (_R.REMOVED, _By.REMOTE),
    "Demoted": (_R.REMOVED, _By.REMOTE),
    "DialoutNotAllowed": (_R.NOT_AUTHORIZED, _By.PROVIDER),
    "AttendeeNotAllowed": (_R.NOT_AUTHORIZED, _By.PROVIDER),
    "InviteesOnly": (_R.NOT_AUTHORIZED, _By.PROVIDER),
    "AnonymousNotAllowed": (_R.NOT_AUTHORIZED, _By.PROVIDER),
    "UserAgentNotAllowed": (_R.NOT_AUTHORIZED, _By.PROVIDER),
    "MediaFailure": (_R.MEDIA_SETUP, _By.UNKNOWN),
    "MediaNegotiationFailure": (_R.MEDIA_NEGOTIATION, _By.UNKNOWN),
    "MediaNegotiationTimeOut": (_R.MEDIA_NEGOTIATION, _By.UNKNOWN),
    "InvalidMediaDescription": (_R.MEDIA_NEGOTIATION, _By.UNKNOWN),
    "MediaEncryptionMismatch": (_R.MEDIA_NEGOTIATION, _By.UNKNOWN),
    "MediaEncryptionNotSupported": (_R.MEDIA_NEGOTIATION, _By.UNKNOWN),
    "MediaEncryptionRequired": (_R.MEDIA_NEGOTIATION, _By.UNKNOWN),
    "ModalityNotSupported": (_R.MEDIA_NEGOTIATION, _By.UNKNOWN),
    "UnsupportedMediaType": (_R.MEDIA_NEGOTIATION, _By.UNKNOWN),
    "IPv6NotSupported": (_R.MEDIA_NEGOTIATION, _By.UNKNOWN),
    "InsufficientBandwidth": (_R.CONGESTION, _By.NETWORK),
    "LimitExceeded": (_R.CONGESTION, _By.PROVIDER),
    "TooManyConversations": (_R.CONGESTION, _By.PROVIDER),
    "TooManyLobbyParticipants": (_R.CONGESTION, _By.PROVIDER),
    "TooManyOnlineMeetings": (_R.CONGESTION, _By.PROVIDER),
    "TooManyParticipants": (_R.CONGESTION, _By.PROVIDER),
    "Expired": (_R.NETWORK_LOST, _By.PROVIDER),
    "ApplicationNotFound": (_R.NETWORK_LOST, _By.PROVIDER),
    "InactiveApplicationExpired": (_R.NETWORK_LOST, _By.PROVIDER),
    "MaxEventCountReached": (_R.NETWORK_LOST, _By.PROVIDER),
    "PstnCallFailed": (_R.PROVIDER_ERROR, _By.NETWORK),
    "EscalationFailed": (_R.PROVIDER_ERROR, _By.PROVIDER),
    "Unavailable": (_R.PROVIDER_ERROR, _By.PROVIDER),
    "MigrationInProgress": (_R.PROVIDER_ERROR, _By.PROVIDER),
    "CallbackChannelError": (_R.PROVIDER_ERROR, _By.PROVIDER),
    "CallbackUriUnreachable": (_R.PROVIDER_ERROR, _By.PROVIDER),
    "CannotRedirect": (_R.PROVIDER_ERROR, _By.PROVIDER),
    "ExchangeTimeout": (_R.PROVIDER_ERROR, _By.PROVIDER),
    "InvalidExchangeServerVersion": (_R.PROVIDER_ERROR, _By.PROVIDER),
    "LisServiceUnavailable": (_R.PROVIDER_ERROR, _By.PROVIDER),
    "ProvisioningDataUnavailable": (_R.PROVIDER_ERROR, _By.PROVIDER),
    "TooManyApplications": (_R.PROVIDER_ERROR, _By.PROVIDER),
    "APIVersionNotSupported": (_R.INTERNAL_ERROR, _By.BRIDGE),
    "DeserializationFailure": (_R.INTERNAL_ERROR, _By.BRIDGE),
    "ParameterValidationFailure": (_R.INTERNAL_ERROR, _By.BRIDGE),
    "AlreadyExists": (_R.INTERNAL_ERROR, _By.BRIDGE),
    "AnotherOperationPending": (_R.INTERNAL_ERROR, _By.BRIDGE),
    "MakeMeAvailableRequired": (_R.INTERNAL_ERROR, _By.BRIDGE),
    "ThreadIdAlreadyExists": (_R.INTERNAL_ERROR, _By.BRIDGE),
    "PGetReplaced": (_R.NETWORK_LOST, _By.BRIDGE),
    "ConversationNotFound": (_R.NETWORK_LOST, _By.PROVIDER),
    "NewContentSharer": (_R.REPLACED, _By.REMOTE),
    "NoLocationFound": (_R.PROVIDER_ERROR, _By.PROVIDER),
    "OperationNotSupported": (_R.PROVIDER_ERROR, _By.PROVIDER),
    "TooManyContacts": (_R.CONGESTION, _By.PROVIDER),
    "TooManyGroups": (_R.CONGESTION, _By.PROVIDER),
}
_LOSSY_SUBCODES = frozenset(
    {
        "NotAcceptable",
        "NotAllowed",
        "Denied",
        "RepliedWithOtherModality",
        "TransferDeclined",
        "TransferTargetDeclined",
        "FederationRequired",
        "MediaFallback",
        "Removed",
        "Demoted",
        "Expired",
        # UCWA documents these for requests and for other media; of a call they can only be understood like this.
        "AlreadyExists",
        "AnotherOperationPending",
        "MakeMeAvailableRequired",
        "ThreadIdAlreadyExists",
        "PGetReplaced",
        "ConversationNotFound",
        "NewContentSharer",
        "NoLocationFound",
        "OperationNotSupported",
        "TooManyContacts",
        "TooManyGroups",
    }
)

_CODES: Mapping[str, tuple[TerminationReason, EndedBy]] = {
    "Timeout": (_R.NO_ANSWER, _By.NETWORK),
    "GatewayTimeout": (_R.NO_RESPONSE, _By.NETWORK),
    "ClientTimeout": (_R.NO_RESPONSE, _By.UNKNOWN),
    "NotAcceptable": (_R.REJECTED, _By.REMOTE),
    "Forbidden": (_R.NOT_AUTHORIZED, _By.PROVIDER),
    "NotFound": (_R.UNREACHABLE, _By.NETWORK),
    "Gone": (_R.UNREACHABLE, _By.NETWORK),
    "TooManyRequests": (_R.RATE_LIMITED, _By.PROVIDER),
    "ServiceFailure": (_R.PROVIDER_ERROR, _By.PROVIDER),
    "ServiceUnavailable": (_R.PROVIDER_ERROR, _By.PROVIDER),
    "ExchangeServiceFailure": (_R.PROVIDER_ERROR, _By.PROVIDER),
    "Conflict": (_R.PROVIDER_ERROR, _By.PROVIDER),
    "BadRequest": (_R.INTERNAL_ERROR, _By.BRIDGE),
    "MethodNotAllowed": (_R.INTERNAL_ERROR, _By.BRIDGE),
    "PreconditionFailed": (_R.INTERNAL_ERROR, _By.BRIDGE),
    "PreconditionRequired": (_R.INTERNAL_ERROR, _By.BRIDGE),
    "EntityTooLarge": (_R.INTERNAL_ERROR, _By.BRIDGE),
    "UnsupportedMediaType": (_R.INTERNAL_ERROR, _By.BRIDGE),
    "RemoteFailure": (_R.UNKNOWN, _By.REMOTE),
    # Either may stand beside any reason: alone, they tell neither what happened nor whose doing it was.
    "LocalFailure": (_R.UNKNOWN, _By.UNKNOWN),
    "Informational": (_R.UNKNOWN, _By.UNKNOWN),
}
"""What a code says where no subcode does: more than it was meant to, so that every line loses something."""

_INVITATION_STATES: Mapping[str, tuple[TerminationReason, EndedBy]] = {
    "Declined": (_R.REJECTED, _By.REMOTE),
    "Cancelled": (_R.CANCELLED, _By.UNKNOWN),
    "Forwarded": (_R.REDIRECTED, _By.UNKNOWN),
    "Failed": (_R.UNKNOWN, _By.UNKNOWN),
}

_LOST_CHANNEL: Mapping[str, tuple[TerminationReason, EndedBy]] = {
    "resume": (_R.NETWORK_LOST, _By.PROVIDER),
    "resync": (_R.NETWORK_LOST, _By.PROVIDER),
    "forgotten": (_R.NETWORK_LOST, _By.PROVIDER),
    "moved": (_R.NETWORK_LOST, _By.PROVIDER),
    "ended": (_R.NETWORK_LOST, _By.PROVIDER),
    "replaced": (_R.NETWORK_LOST, _By.UNKNOWN),
    "silent": (_R.NETWORK_LOST, _By.NETWORK),
}
"""How the event channel, or the application with it, lost the calls: in words of this plugin, for UCWA has none."""

_UNSAID = {
    # Events were missed, and afterwards the server did not know the call any more.
    "resync": Confidence.INFERRED,
    # Nobody said anything of the calls, and nothing more will be heard of them here.
    "replaced": Confidence.SYNTHETIC,
    "silent": Confidence.SYNTHETIC,
}
"""How calls are known to be lost, where the server said neither that it closed them nor what they were part of."""

_INBOUND = {
    _R.CANCELLED: _By.REMOTE,
    _R.REJECTED: _By.USER,
    _R.BUSY: _By.USER,
    _R.DO_NOT_DISTURB: _By.USER,
    _R.NO_ANSWER: _By.USER,
    _R.REDIRECTED: _By.USER,
}
"""Who ended a call that nobody had answered, where somebody else made it: the called party is the user."""

_MID_CALL = {
    _R.NO_ANSWER: _R.NETWORK_LOST,
    _R.NO_RESPONSE: _R.NETWORK_LOST,
    _R.UNREACHABLE: _R.NETWORK_LOST,
    _R.MEDIA_SETUP: _R.MEDIA_LOST,
    _R.CANCELLED: _R.NORMAL,
}
"""What the words of a failed set-up mean once media has flowed."""

_OURS = frozenset({_R.CANCELLED, _R.NORMAL, _R.UNKNOWN})
"""What an end that we asked for may be called by the server; any other word overtook our request."""

OUTWARD: Mapping[TerminationReason, tuple[str, bool]] = {
    _R.NORMAL: ("UserInitiatedAction", False),
    _R.CANCELLED: ("Cancel", False),
    _R.BUSY: ("UserInitiatedAction", True),
    _R.NO_ANSWER: ("UserInitiatedAction", True),
    _R.NO_RESPONSE: ("MediaTimeout", True),
    _R.REJECTED: ("UserInitiatedAction", True),
    _R.DO_NOT_DISTURB: ("UserInitiatedAction", True),
    _R.BLOCKED: ("UserInitiatedAction", True),
    _R.UNALLOCATED_NUMBER: ("Unknown", True),
    _R.INVALID_NUMBER: ("Unknown", True),
    _R.NUMBER_CHANGED: ("Unknown", True),
    _R.UNREACHABLE: ("Unknown", True),
    _R.CONGESTION: ("Unknown", True),
    _R.RATE_LIMITED: ("Unknown", True),
    _R.NOT_AUTHORIZED: ("Unknown", True),
    _R.MEDIA_NEGOTIATION: ("UnsupportedMedia", False),
    _R.MEDIA_SETUP: ("MediaConnectivityFailure", False),
    _R.MEDIA_LOST: ("MediaTimeout", False),
    _R.NETWORK_LOST: ("ConversationSuspendedLossNetwork", False),
    _R.TRANSFERRED: ("UserInitiatedAction", True),
    _R.REDIRECTED: ("UserInitiatedAction", True),
    _R.ANSWERED_ELSEWHERE: ("UserInitiatedAction", True),
    _R.REMOVED: ("UserInitiatedAction", True),
    _R.CONFERENCE_ENDED: ("UserInitiatedAction", True),
    _R.REPLACED: ("UserInitiatedAction", True),
    _R.TIME_LIMIT: ("UserInitiatedAction", True),
    _R.PROVIDER_ERROR: ("Unknown", True),
    _R.INTERNAL_ERROR: ("InternalFailure", False),
    _R.ORPHANED: ("Unknown", True),
    _R.UNKNOWN: ("Unknown", False),
}
"""The CallTerminationReason for each neutral reason, and whether that loses something."""

_ONLY_NATIVE = {
    "SharerLeftConference": _R.CONFERENCE_ENDED,
    "MidCallFailureOneInternalOneExternal": _R.MEDIA_LOST,
    "MidCallFailureBothInternal": _R.MEDIA_LOST,
    "CallEstablishFailureOneInternalOneExternal": _R.MEDIA_SETUP,
    "CallEstablishFailureBothInternal": _R.MEDIA_SETUP,
    "FailedStartAudioStream": _R.MEDIA_SETUP,
    "CodecMismatch": _R.MEDIA_NEGOTIATION,
    "InvalidMediaAnswer": _R.MEDIA_NEGOTIATION,
}
"""The termination reasons that no neutral one stands for; they are sent with `native={"reason": …}`."""

_TERMINATION_REASONS = frozenset(_ONLY_NATIVE) | {native for native, _ in OUTWARD.values()}

DECLINE: Mapping[TerminationReason, str] = {
    _R.MEDIA_NEGOTIATION: "CodecMismatch",
    _R.MEDIA_SETUP: "MediaConnectivityFailure",
    _R.CONGESTION: "InsufficientBandwidth",
    _R.UNKNOWN: "Unknown",
}
"""The CallDeclineReason for a neutral reason; every other one is `Global`: the user declines on every endpoint."""

_ONLY_NATIVE_DECLINE = {
    "Local": _R.REJECTED,
    "MediaAllocationFailure": _R.MEDIA_SETUP,
    "EncryptionMismatch": _R.MEDIA_NEGOTIATION,
    "IPv6NotSupported": _R.MEDIA_NEGOTIATION,
    "UnsupportedMedia": _R.MEDIA_NEGOTIATION,
    "InvalidMediaOffer": _R.MEDIA_NEGOTIATION,
    "InsufficientBandwidthRerouteOverPstn": _R.CONGESTION,
}
"""The decline reasons that no neutral one stands for; they are sent with `native={"reason": …}`."""

_DECLINE_REASONS = frozenset({"Global", *_ONLY_NATIVE_DECLINE, *DECLINE.values()})


def explain(cause: Cause, view: CallView) -> Termination:
    """Return why the call ended: what the server said, read together with the phase and with what we had asked."""
    told = _told(cause, view)
    asked = view.asked_to_end
    if asked is not None and (told.reason in _OURS or (isinstance(asked, Reject) and told.reason is _R.REJECTED)):
        return _as_asked(told, asked, view)
    if not cause.said:
        return _unsaid(view)
    return told


def _told(cause: Cause, view: CallView) -> Termination:
    if not cause.said:
        return Termination()
    code, _, subcode = (cause.code or "").partition("/")
    confidence = Confidence.REPORTED
    match cause.dialect:
        case "InvitationState":
            known = _INVITATION_STATES.get(code)
        case "EventChannel":
            known, confidence = _LOST_CHANNEL.get(code), _UNSAID.get(code, Confidence.DERIVED)
        case _:
            known = _SUBCODES.get(subcode)
            if known is None:
                known, confidence = _CODES.get(code), Confidence.DERIVED
    told = Termination(
        phase=view.phase,
        native=": ".join(part for part in (cause.code, cause.text) if part) or None,
        detail={"dialect": cause.dialect, **cause.detail},
        confidence=confidence if known is not None else Confidence.REPORTED,
    )
    if known is None:
        return told
    reason, by = known
    if view.phase is Phase.ESTABLISHED and not cause.detail.get("about", "").endswith("Invitation"):
        reason = _MID_CALL.get(reason, reason)
    if view.direction is CallDirection.INBOUND and view.phase is not Phase.ESTABLISHED:
        by = _INBOUND.get(reason, by)
    if reason is _R.NORMAL and by is _By.UNKNOWN:
        by = _left_by(view)
    return replace(told, reason=reason, by=by)


def _as_asked(told: Termination, asked: Command, view: CallView) -> Termination:
    if asked.by is EndedBy.BRIDGE and asked.reason is not None:
        reason = asked.reason
    elif isinstance(asked, Reject):
        reason = _R.REJECTED
    else:
        reason = _R.NORMAL if _was_answered(view) else _R.CANCELLED
    return replace(told, reason=reason, by=asked.by, phase=view.phase, confidence=Confidence.DERIVED)


def _unsaid(view: CallView) -> Termination:
    """Explain an end without a word. UCWA gives a reason where something failed, and none for an ordinary end."""
    last = _last_stream(view)
    if last is not None:
        stopped = last.termination
        if last.cause is not None and last.cause.said:
            return replace(_told(last.cause, view), confidence=Confidence.DERIVED)
        if stopped is not None and stopped.by in (EndedBy.APPLICATION, EndedBy.BRIDGE):
            # We stopped the last of the media, and the server ended the conversation that had none left.
            return Termination(reason=_R.NORMAL, by=stopped.by, phase=view.phase, confidence=Confidence.DERIVED)
    stops = [view.asked_to_stop(stream.id) for stream in view.live_streams]
    if stops and stops[-1] is not None and None not in stops:
        # The end of the conversation overtook the word that the last of its media has stopped, or took its place.
        return Termination(reason=_R.NORMAL, by=stops[-1].by, phase=view.phase, confidence=Confidence.DERIVED)
    if not _was_answered(view):
        return Termination(phase=view.phase)
    return Termination(reason=_R.NORMAL, by=_left_by(view), phase=view.phase, confidence=Confidence.DERIVED)


def _left_by(view: CallView) -> EndedBy:
    """Who left a call that we did not end: the other party, unless the user's own phone was in it."""
    on_a_phone = any(stream.transport is Transport.PSTN for stream in view.streams)
    return EndedBy.UNKNOWN if on_a_phone or not view.streams else EndedBy.REMOTE


def _last_stream(view: CallView) -> StreamView | None:
    """The stream that ended last, if no other was left when the call ended."""
    if not view.streams or view.live_streams:
        return None
    return max(view.streams, key=lambda stream: stream.ended_as_of or 0.0)


def _was_answered(view: CallView) -> bool:
    return view.answered is True or view.phase is Phase.ESTABLISHED


def termination_reason(reason: TerminationReason | None, native: Mapping[str, object]) -> str | None:
    """Return the CallTerminationReason to send, `native["reason"]` first; None where nothing was asked.

    Raises `Refused` where the native word is none of UCWA's sixteen.
    """
    word = native.get("reason")
    if word is not None:
        return _checked(word, _TERMINATION_REASONS, "CallTerminationReason")
    return OUTWARD[reason][0] if reason is not None else None


def decline_reason(reason: TerminationReason | None, native: Mapping[str, object]) -> str | None:
    """Return the CallDeclineReason to send, `native["reason"]` first; None where nothing was asked.

    Raises `Refused` where the native word is none of UCWA's twelve.
    """
    word = native.get("reason")
    if word is not None:
        return _checked(word, _DECLINE_REASONS, "CallDeclineReason")
    return DECLINE.get(reason, "Global") if reason is not None else None


def _checked(word: object, known: frozenset[str], kind: str) -> str:
    if isinstance(word, str) and word in known:
        return word
    raise Refused(f"{word!r} is no {kind}; UCWA knows {', '.join(sorted(known))}. Nothing was sent.", provider="ucwa")


_Table = Mapping[str, tuple[TerminationReason, EndedBy]]

_CONVERSATION = {"about": "conversation"}
_INVITATION = {"about": "phoneAudioInvitation"}
"""What the words of the rows are said of: the end of a call, and its invitation, which alone has a state."""


def _subcodes(table: _Table, lossy: frozenset[str]) -> Iterator[ReasonRow]:
    for word, (reason, _) in table.items():
        # The subcode means the same beside every code, and without one.
        cause = Cause(dialect="ErrorSubcode", code=f"/{word}", detail=_CONVERSATION)
        yield ReasonRow("ErrorSubcode", word, reason, lossy=word in lossy, cause=cause)


def _codes(table: _Table) -> Iterator[ReasonRow]:
    for word, (reason, _) in table.items():
        cause = Cause(dialect="ErrorSubcode", code=word, detail=_CONVERSATION)
        yield ReasonRow("ErrorCode", word, reason, lossy=True, cause=cause)


def _states(table: _Table) -> Iterator[ReasonRow]:
    for word, (reason, _) in table.items():
        cause = Cause(dialect="InvitationState", code=word, detail=_INVITATION)
        # Failed is every end that has no state of its own.
        yield ReasonRow("InvitationState", word, reason, lossy=word == "Failed", cause=cause)


def _channel(table: _Table) -> Iterator[ReasonRow]:
    for word, (reason, _) in table.items():
        yield ReasonRow("EventChannel", word, reason, cause=Cause(dialect="EventChannel", code=word))


REASONS: tuple[ReasonRow, ...] = (
    *_subcodes(_SUBCODES, _LOSSY_SUBCODES),
    *_codes(_CODES),
    *_states(_INVITATION_STATES),
    *_channel(_LOST_CHANNEL),
    *(
        ReasonRow("CallTerminationReason", native, reason, outbound=True, lossy=lossy)
        for reason, (native, lossy) in OUTWARD.items()
    ),
    *(
        ReasonRow("CallTerminationReason", native, reason, outbound=True, lossy=True)
        for native, reason in _ONLY_NATIVE.items()
    ),
    *(
        ReasonRow(
            "CallDeclineReason", DECLINE.get(reason, "Global"), reason, outbound=True, lossy=reason not in DECLINE
        )
        for reason in TerminationReason
    ),
    *(
        ReasonRow("CallDeclineReason", native, reason, outbound=True, lossy=True)
        for native, reason in _ONLY_NATIVE_DECLINE.items()
    ),
)
"""Every line of the tables above, for documentation. Where the meaning depends on the phase, it is that of the set-up:
once people talk, `_MID_CALL` says what becomes of it."""
