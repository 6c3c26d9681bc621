"""Why a call or a stream ended, out of what SignalWire says and what we had asked.

The Compatibility API has no field for the reason of an end. There is a status, often a SIP code, and in callbacks
`HangupDirection` and `HangupBy`. On a call that we dialled, `HangupDirection=inbound` means that the far end ended it,
`outbound` that our side or the platform did.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from telco_bridge.provider import (
    CallDirection,
    CallView,
    Cause,
    Command,
    Confidence,
    EndedBy,
    ReasonRow,
    Redirect,
    Reject,
    Termination,
    TerminationReason,
    Transfer,
)
from telco_bridge_laml.decode import CALL, STREAM

__all__ = ["REASONS", "explain"]

_R = TerminationReason
_B = EndedBy


@dataclass(frozen=True, slots=True)
class _Meaning:
    reason: TerminationReason
    by: EndedBy = EndedBy.UNKNOWN
    confidence: Confidence = Confidence.DERIVED


_UNKNOWN = _Meaning(_R.UNKNOWN, _B.UNKNOWN, Confidence.UNKNOWN)

_STATUS = {
    "completed": _Meaning(_R.NORMAL),
    "canceled": _Meaning(_R.CANCELLED, _B.UNKNOWN, Confidence.REPORTED),
    "busy": _Meaning(_R.BUSY, _B.REMOTE, Confidence.REPORTED),
    "no-answer": _Meaning(_R.NO_ANSWER, _B.UNKNOWN, Confidence.REPORTED),
    # Whatever kept the call from being made. The SIP status, where there is one, tells more.
    "failed": _Meaning(_R.UNKNOWN, _B.UNKNOWN, Confidence.UNKNOWN),
}
"""What a status says by itself."""

_FAILED = {
    401: _Meaning(_R.NOT_AUTHORIZED, _B.NETWORK),
    403: _Meaning(_R.NOT_AUTHORIZED, _B.NETWORK),
    404: _Meaning(_R.UNALLOCATED_NUMBER, _B.NETWORK),
    407: _Meaning(_R.NOT_AUTHORIZED, _B.NETWORK),
    408: _Meaning(_R.NO_ANSWER, _B.NETWORK),
    410: _Meaning(_R.NUMBER_CHANGED, _B.NETWORK),
    480: _Meaning(_R.NO_ANSWER, _B.NETWORK),
    484: _Meaning(_R.INVALID_NUMBER, _B.NETWORK),
    486: _Meaning(_R.BUSY, _B.REMOTE),
    487: _Meaning(_R.NO_ANSWER, _B.PROVIDER),
    488: _Meaning(_R.MEDIA_NEGOTIATION, _B.REMOTE),
    503: _Meaning(_R.CONGESTION, _B.NETWORK),
    600: _Meaning(_R.BUSY, _B.REMOTE),
    603: _Meaning(_R.REJECTED, _B.REMOTE),
    604: _Meaning(_R.UNALLOCATED_NUMBER, _B.NETWORK),
    606: _Meaning(_R.MEDIA_NEGOTIATION, _B.REMOTE),
}
"""What the SIP code of a call with the status `failed` says."""

_REFUSED = (486, 603)

_SERVER_FAILURE = _Meaning(_R.PROVIDER_ERROR, _B.NETWORK)

_UNANSWERED_BY = {408: _B.NETWORK, 480: _B.NETWORK, 487: _B.PROVIDER}
"""Who gave up a call with the status `no-answer`: the network beyond, or SignalWire's own ring timer."""

_STREAM = {
    # Also the end of a stream that we stopped; the core then knows why.
    "stream-stopped": _UNKNOWN,
    "invalid_url": _Meaning(_R.MEDIA_SETUP, _B.PROVIDER),
    "missing_url": _Meaning(_R.MEDIA_SETUP, _B.PROVIDER),
    "invalid_track": _Meaning(_R.MEDIA_SETUP, _B.PROVIDER),
    "codec_error": _Meaning(_R.MEDIA_NEGOTIATION, _B.PROVIDER),
    "connection_refused": _Meaning(_R.MEDIA_SETUP, _B.PROVIDER),
    "connection_refused_timeout_or_ssl_error": _Meaning(_R.MEDIA_SETUP, _B.PROVIDER),
    # Connections that cannot be made have words of their own: this is one that was made and broke.
    "general_error": _Meaning(_R.MEDIA_LOST, _B.UNKNOWN),
    "Duplicated stream ID": _Meaning(_R.MEDIA_SETUP, _B.PROVIDER),
    "Duplicated stream name": _Meaning(_R.MEDIA_SETUP, _B.PROVIDER),
}
"""What a stream's event or error says, in SignalWire's spelling."""

_STREAM_BY_WORD = {word.lower(): meaning for word, meaning in _STREAM.items()}


def explain(cause: Cause, view: CallView) -> Termination:
    """Return why it ended, as far as the cause, the call and what we asked tell. Total: the rest stays UNKNOWN."""
    meaning = _of_stream(cause) if cause.dialect == STREAM else _of_call(cause, view)
    return Termination(
        reason=meaning.reason,
        by=meaning.by,
        phase=view.phase,
        sip=cause.sip,
        q850=cause.q850,
        detail=cause.detail,
        native=_native(cause),
        confidence=meaning.confidence,
    )


def _of_stream(cause: Cause) -> _Meaning:
    return _STREAM_BY_WORD.get((cause.code or "").lower(), _UNKNOWN)


def _of_call(cause: Cause, view: CallView) -> _Meaning:
    status = cause.code if cause.dialect == CALL else None
    asked = view.asked_to_end
    said = _STATUS.get(status or "", _UNKNOWN)
    if asked is not None and _may_be_ours(status, cause, view):
        return _ours(asked, view)
    if view.direction is CallDirection.INBOUND and cause.sip in _REFUSED and status in ("busy", "no-answer"):
        # Only a document of ours refuses a call that comes in: here the one for which nobody has decided.
        return _Meaning(_FAILED[cause.sip].reason, _B.BRIDGE)
    if cause.sip == 603 and status in ("busy", "no-answer", "failed"):
        return _FAILED[603]
    if status == "completed" and _far_end_ended(cause, view):
        return _Meaning(said.reason, _B.REMOTE)
    if status == "no-answer":
        return _Meaning(said.reason, _unanswered_by(cause), said.confidence)
    if status == "failed" and cause.sip is not None:
        server = _SERVER_FAILURE if 500 <= cause.sip < 600 else said
        return _FAILED.get(cause.sip, server)
    return said


def _may_be_ours(status: str | None, cause: Cause, view: CallView) -> bool:
    """Whether this is how an end that we asked for looks.

    What a call that rings becomes when it is told to complete is not documented: canceled, no-answer and completed are
    all possible. A busy line, a declining party and a far end that hung up first are facts against our request.
    """
    if isinstance(view.asked_to_end, Reject):
        return status in ("busy", "no-answer", "canceled", None)
    if isinstance(view.asked_to_end, Transfer | Redirect):
        # Whoever of the two hangs up afterwards: for this side the call had ended with their conversation.
        return view.done(view.asked_to_end) and status in ("completed", "no-answer", "canceled", None)
    if _far_end_ended(cause, view):
        return False
    if status == "no-answer":
        return cause.sip in (None, 487)
    return status in ("completed", "canceled", None) or (status == "failed" and cause.sip == 487)


def _ours(asked: Command, view: CallView) -> _Meaning:
    if asked.by is _B.BRIDGE and asked.reason is not None:
        return _Meaning(asked.reason, asked.by)
    if isinstance(asked, Reject):
        return _Meaning(_R.REJECTED, asked.by)
    if isinstance(asked, Transfer | Redirect):
        return _Meaning(_R.TRANSFERRED if isinstance(asked, Transfer) else _R.REDIRECTED, asked.by)
    return _Meaning(_R.NORMAL if view.answered is True else _R.CANCELLED, asked.by)


def _far_end_ended(cause: Cause, view: CallView) -> bool:
    """Whether SignalWire says so. What the field means on an inbound call is not documented."""
    return view.direction is CallDirection.OUTBOUND and cause.detail.get("HangupDirection") == "inbound"


def _unanswered_by(cause: Cause) -> EndedBy:
    match cause.detail.get("HangupDirection"):
        case "inbound":
            return _B.NETWORK
        case "outbound":
            return _B.PROVIDER
        case _:
            return _UNANSWERED_BY.get(cause.sip, _B.UNKNOWN) if cause.sip is not None else _B.UNKNOWN


def _native(cause: Cause) -> str | None:
    """The provider's words in one line, such as `busy / SIP 486 / HangupDirection=inbound`."""
    sip = str(cause.sip) if cause.sip is not None else cause.detail.get("SipResultCode")
    direction = cause.detail.get("HangupDirection")
    event = cause.detail.get("StreamEvent")
    parts = (
        event if event != cause.code else None,
        cause.code,
        f"SIP {sip}" if sip is not None else None,
        f"HangupDirection={direction}" if direction is not None else None,
    )
    return " / ".join(" ".join(part.split()) for part in parts if part) or None


def _rows() -> Iterator[ReasonRow]:
    for status, meaning in _STATUS.items():
        yield _call_row(status, None, meaning)
    for status in ("busy", "no-answer"):
        yield _call_row(status, 603, _FAILED[603])
    for sip, meaning in _FAILED.items():
        yield _call_row("failed", sip, meaning, lossy=_shared(meaning.reason))
    yield _call_row("failed", 500, _SERVER_FAILURE, words="5xx", lossy=True)
    for word, meaning in _STREAM.items():
        # Errors come with the event of their own.
        event = word if word.startswith("stream-") else "stream-error"
        cause = Cause(dialect=STREAM, code=word, detail={"StreamEvent": event})
        yield ReasonRow(STREAM, word, meaning.reason, lossy=meaning.reason is _R.MEDIA_SETUP, cause=cause)


def _call_row(
    status: str, sip: int | None, meaning: _Meaning, *, words: str | None = None, lossy: bool = False
) -> ReasonRow:
    native = status if sip is None else f"{status} / SIP {words or sip}"
    return ReasonRow(CALL, native, meaning.reason, lossy=lossy, cause=Cause(dialect=CALL, code=status, sip=sip))


def _shared(reason: TerminationReason) -> bool:
    """Whether several SIP codes become this one word."""
    return sum(meaning.reason is reason for meaning in _FAILED.values()) > 1


REASONS: Sequence[ReasonRow] = tuple(_rows())
"""The tables of this module, for documentation."""
