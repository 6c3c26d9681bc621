"""Why a call ended, out of what baresip says and what we had asked.

baresip tells an end in one line of text. Where the far side gave a SIP status, the line begins with it. All other lines
are its own, or the operating system's words for an error of the SIP stack; what they mean depends on how far the call
had come: "Connection reset by peer" is a hang-up on a call that is up, and a caller who gave up on one that rings here.
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
    Phase,
    ReasonRow,
    Termination,
    TerminationReason,
)

from .decode import CLOSED, PROCESS, SIP

__all__ = ["REASONS", "explain"]

_R = TerminationReason
_B = EndedBy


@dataclass(frozen=True, slots=True)
class _Meaning:
    reason: TerminationReason
    by: EndedBy
    confidence: Confidence = Confidence.REPORTED
    lossy: bool = False


_UNKNOWN = _Meaning(_R.UNKNOWN, _B.UNKNOWN, Confidence.UNKNOWN)

_STATUS = {
    301: _Meaning(_R.NUMBER_CHANGED, _B.NETWORK, lossy=True),
    401: _Meaning(_R.NOT_AUTHORIZED, _B.NETWORK, lossy=True),
    403: _Meaning(_R.NOT_AUTHORIZED, _B.NETWORK, lossy=True),
    404: _Meaning(_R.UNALLOCATED_NUMBER, _B.NETWORK, lossy=True),
    406: _Meaning(_R.MEDIA_NEGOTIATION, _B.REMOTE, lossy=True),
    407: _Meaning(_R.NOT_AUTHORIZED, _B.NETWORK, lossy=True),
    408: _Meaning(_R.NO_RESPONSE, _B.NETWORK, lossy=True),
    410: _Meaning(_R.NUMBER_CHANGED, _B.NETWORK, lossy=True),
    414: _Meaning(_R.INVALID_NUMBER, _B.NETWORK, lossy=True),
    415: _Meaning(_R.MEDIA_NEGOTIATION, _B.REMOTE, lossy=True),
    416: _Meaning(_R.INVALID_NUMBER, _B.NETWORK, lossy=True),
    # "Temporarily unavailable": not registered, not answering or not to be disturbed. Most often nobody answered.
    480: _Meaning(_R.NO_ANSWER, _B.NETWORK, lossy=True),
    482: _Meaning(_R.UNREACHABLE, _B.NETWORK, lossy=True),
    483: _Meaning(_R.UNREACHABLE, _B.NETWORK, lossy=True),
    484: _Meaning(_R.INVALID_NUMBER, _B.NETWORK, lossy=True),
    485: _Meaning(_R.INVALID_NUMBER, _B.NETWORK, lossy=True),
    # A baresip that is called and let ring says the same.
    486: _Meaning(_R.BUSY, _B.REMOTE, lossy=True),
    # Not ours: a call that this side cancels is closed before the far side says so.
    487: _Meaning(_R.CANCELLED, _B.NETWORK),
    488: _Meaning(_R.MEDIA_NEGOTIATION, _B.REMOTE, lossy=True),
    502: _Meaning(_R.UNREACHABLE, _B.NETWORK, lossy=True),
    503: _Meaning(_R.CONGESTION, _B.NETWORK, lossy=True),
    504: _Meaning(_R.NO_RESPONSE, _B.NETWORK, lossy=True),
    580: _Meaning(_R.MEDIA_SETUP, _B.REMOTE),
    600: _Meaning(_R.BUSY, _B.REMOTE, lossy=True),
    603: _Meaning(_R.REJECTED, _B.REMOTE),
    604: _Meaning(_R.UNALLOCATED_NUMBER, _B.NETWORK, lossy=True),
    606: _Meaning(_R.MEDIA_NEGOTIATION, _B.REMOTE, lossy=True),
    607: _Meaning(_R.BLOCKED, _B.REMOTE, lossy=True),
    608: _Meaning(_R.BLOCKED, _B.NETWORK, lossy=True),
}
"""What a SIP status says that ended a call."""

_CLASSES = {
    5: _Meaning(_R.PROVIDER_ERROR, _B.NETWORK, lossy=True),
    6: _Meaning(_R.REJECTED, _B.REMOTE, lossy=True),
}
"""What the class of any other status says."""

_LOST = frozenset({408, 481, 504})
"""What a call that is up ends with where the far side no longer knows it, or no longer answers."""

_BY_USER = "connection reset by user"
_BY_PEER = "connection reset by peer"
_TIMED_OUT = "connection timed out"

_WORDS = {
    # This side, by the control port or by hand; who asked for it tells more.
    _BY_USER: _Meaning(_R.CANCELLED, _B.USER, Confidence.DERIVED),
    # Before the answer only the connection that carries the signalling can break so.
    _BY_PEER: _Meaning(_R.UNREACHABLE, _B.NETWORK, Confidence.DERIVED, lossy=True),
    # Half a minute without any reply.
    _TIMED_OUT: _Meaning(_R.NO_RESPONSE, _B.NETWORK, Confidence.DERIVED, lossy=True),
    "connection refused": _Meaning(_R.UNREACHABLE, _B.NETWORK, lossy=True),
    "no route to host": _Meaning(_R.UNREACHABLE, _B.NETWORK, lossy=True),
    "network is unreachable": _Meaning(_R.UNREACHABLE, _B.NETWORK, lossy=True),
    # The name of the host leads nowhere.
    "destination address required": _Meaning(_R.UNREACHABLE, _B.NETWORK, Confidence.DERIVED, lossy=True),
    "local timeout": _Meaning(_R.NO_ANSWER, _B.PROVIDER),
    "rtp stream error": _Meaning(_R.MEDIA_LOST, _B.NETWORK, lossy=True),
    # The recording that is played to the far end is over, and baresip hangs up.
    "end of file": _Meaning(_R.MEDIA_LOST, _B.PROVIDER, lossy=True),
    "no audio codecs": _Meaning(_R.MEDIA_NEGOTIATION, _B.PROVIDER, lossy=True),
    "wrong address family": _Meaning(_R.MEDIA_NEGOTIATION, _B.PROVIDER, lossy=True),
    "bad message": _Meaning(_R.MEDIA_NEGOTIATION, _B.PROVIDER, Confidence.DERIVED, lossy=True),
    "mediaenc failed": _Meaning(_R.MEDIA_NEGOTIATION, _B.PROVIDER, lossy=True),
    # The words for an audio device or file that cannot be used.
    "operation not supported": _Meaning(_R.MEDIA_SETUP, _B.PROVIDER, Confidence.DERIVED, lossy=True),
    "no such device": _Meaning(_R.MEDIA_SETUP, _B.PROVIDER, Confidence.DERIVED, lossy=True),
    "no such file or directory": _Meaning(_R.MEDIA_SETUP, _B.PROVIDER, Confidence.DERIVED, lossy=True),
    "call transfered": _Meaning(_R.TRANSFERRED, _B.REMOTE),
}
"""What baresip's own words say of a call that was dialled and not answered, by their beginning."""

_DEATHS = ("killed", "exited", "lost")
_DEATH = _Meaning(_R.PROVIDER_ERROR, _B.PROVIDER, Confidence.DERIVED, lossy=True)


def explain(cause: Cause, view: CallView) -> Termination:
    """Return why it ended, as far as the cause, the call and what we asked tell. Total: the rest stays UNKNOWN."""
    meaning = _meaning(cause, view)
    words = " ".join(word for word in (str(cause.sip or ""), cause.text or "") if word)
    return Termination(
        reason=meaning.reason,
        by=meaning.by,
        phase=view.phase,
        sip=cause.sip,
        detail=cause.detail,
        native=" ".join(words.split()) or None,
        confidence=meaning.confidence,
    )


def _meaning(cause: Cause, view: CallView) -> _Meaning:
    if cause.dialect == SIP and cause.sip is not None:
        return _of_status(cause.sip, view)
    if cause.dialect == PROCESS:
        return _DEATH if cause.code in _DEATHS else _UNKNOWN
    words = (cause.text or "").lower()
    asked = view.asked_to_end
    if asked is not None and (words == _BY_USER or not cause.said):
        return _ours(asked, view)
    if cause.dialect != CLOSED:
        return _UNKNOWN
    return _of_words(words, view)


def _of_status(status: int, view: CallView) -> _Meaning:
    if view.phase is Phase.ESTABLISHED and status in _LOST:
        return _Meaning(_R.NETWORK_LOST, _B.NETWORK, Confidence.DERIVED)
    if view.phase is Phase.ALERTING and status == 408:
        return _Meaning(_R.NO_ANSWER, _B.NETWORK)
    return _STATUS.get(status) or _CLASSES.get(status // 100) or _UNKNOWN


def _of_words(words: str, view: CallView) -> _Meaning:
    up = view.phase is Phase.ESTABLISHED
    inbound = view.direction is CallDirection.INBOUND
    if words == _BY_USER and up:
        return _Meaning(_R.NORMAL, _B.USER, Confidence.DERIVED)
    if words == _BY_USER and inbound:
        return _Meaning(_R.REJECTED, _B.USER, Confidence.DERIVED)
    if words == _BY_PEER and up:
        return _Meaning(_R.NORMAL, _B.REMOTE, Confidence.DERIVED)
    if words == _BY_PEER and inbound:
        return _Meaning(_R.CANCELLED, _B.REMOTE, Confidence.DERIVED)
    if words == _TIMED_OUT and up:
        return _Meaning(_R.NETWORK_LOST, _B.NETWORK, Confidence.DERIVED)
    return next((meaning for beginning, meaning in _WORDS.items() if words.startswith(beginning)), _UNKNOWN)


def _ours(asked: Command, view: CallView) -> _Meaning:
    """Say what an end is that we asked for."""
    if asked.by is _B.BRIDGE and asked.reason is not None:
        return _Meaning(asked.reason, asked.by, Confidence.DERIVED)
    if view.answered is True or view.phase is Phase.ESTABLISHED:
        return _Meaning(_R.NORMAL, asked.by, Confidence.DERIVED)
    refused = view.direction is CallDirection.INBOUND
    return _Meaning(_R.REJECTED if refused else _R.CANCELLED, asked.by, Confidence.DERIVED)


def _rows() -> Iterator[ReasonRow]:
    for status, meaning in _STATUS.items():
        yield _row(SIP, str(status), meaning, Cause(dialect=SIP, code=str(status), sip=status))
    for first, meaning in _CLASSES.items():
        yield _row(SIP, f"{first}xx", meaning, Cause(dialect=SIP, code=f"{first}99", sip=first * 100 + 99))
    for words, meaning in _WORDS.items():
        yield _row(CLOSED, words, meaning, Cause(dialect=CLOSED, text=words))
    for code in _DEATHS:
        yield _row(PROCESS, code, _DEATH, Cause(dialect=PROCESS, code=code, text=f"baresip was {code}"))


def _row(dialect: str, native: str, meaning: _Meaning, cause: Cause) -> ReasonRow:
    return ReasonRow(dialect, native, meaning.reason, lossy=meaning.lossy, cause=cause)


REASONS: Sequence[ReasonRow] = tuple(_rows())
"""The tables of this module, for documentation."""
