"""Why a call ended, out of what Acme says and what we had asked. Open `session.py` next."""

from __future__ import annotations

from collections.abc import Sequence

from telco_bridge.provider import CallView, Cause, Confidence, EndedBy, ReasonRow, Termination, TerminationReason

__all__ = ["ENDED", "REASONS", "explain"]

ENDED = "acme.ended"
"""The dialect of a call's `ended`. A provider that has several vocabularies has a dialect and a table for each."""

_R = TerminationReason

_REASONS = {
    200: _R.NORMAL,
    404: _R.UNALLOCATED_NUMBER,
    408: _R.NO_ANSWER,
    480: _R.NO_ANSWER,
    486: _R.BUSY,
    487: _R.CANCELLED,
    603: _R.REJECTED,
}
"""What Acme's codes mean. Only what Acme documents belongs here: any other code stays UNKNOWN, its words kept."""

_SIDES = {"far": EndedBy.REMOTE, "network": EndedBy.NETWORK}


def explain(cause: Cause, view: CallView) -> Termination:
    """Return why the call ended. Pure and total: the core may ask with any cause, in any state of the call."""
    known = cause.dialect == ENDED and cause.sip in _REASONS
    reason = _REASONS[cause.sip] if known and cause.sip is not None else _R.UNKNOWN
    by = _SIDES.get(cause.detail.get("by", ""), EndedBy.UNKNOWN)
    asked = view.asked_to_end
    if asked is not None and cause.detail.get("by") == "near":
        # Our side ended it, and we know what was asked: by the application, or by the bridge for a time limit.
        by = asked.by
        if asked.by is EndedBy.BRIDGE and asked.reason is not None:
            reason = asked.reason
    return Termination(
        reason=reason,
        by=by,
        phase=view.phase,
        # As reported, never computed.
        sip=cause.sip,
        q850=cause.q850,
        detail=cause.detail,
        native=" ".join(word for word in (cause.code, cause.text) if word) or None,
        confidence=Confidence.REPORTED if known else Confidence.UNKNOWN,
    )


REASONS: Sequence[ReasonRow] = tuple(
    ReasonRow(ENDED, str(sip), reason, cause=Cause(dialect=ENDED, code=str(sip), sip=sip))
    for sip, reason in _REASONS.items()
)
"""The table, for documentation, for comparing providers, and for the contract test."""
