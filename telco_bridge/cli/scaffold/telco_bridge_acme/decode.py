"""What Acme says, as facts: pure, and total over everything that `wire` lets through. Open `reasons.py` next."""

from __future__ import annotations

from telco_bridge.provider import CallReport, CallState, Cause, Dialled, Party, Source

from .reasons import ENDED
from .wire import CallResource, Ended

__all__ = ["decode_call"]

_STATES = {
    "dialing": CallState.DIALING,
    "ringing": CallState.RINGING,
    "up": CallState.CONNECTED,
    "over": CallState.ENDED,
}

_ORIGINS = {
    "out": Dialled(),
    # To offer inbound calls: "in": Invitation(). A call with that origin is given to the application to be answered;
    # without it, it is somebody else's. Then `session.execute`.
}


def decode_call(call: CallResource, *, source: Source, as_of: float) -> CallReport:
    """Return what a call says of itself. `None` says nothing: leave out what the wire leaves out."""
    state = _STATES.get(call.status, CallState.UNKNOWN)
    ours, theirs = (call.to, call.from_) if call.direction == "in" else (call.from_, call.to)
    return CallReport(
        source=source,
        as_of=as_of,
        ref=call.id,
        command_id=call.token,
        origin=_ORIGINS.get(call.direction or ""),
        state=state,
        # A word that is not in the table stays UNKNOWN, and is kept: never guess.
        native_state=call.status if state is CallState.UNKNOWN else None,
        # Nobody has answered *yet* says nothing; nobody ever did is a fact of a call that is over.
        answered=call.answered if call.answered or state is CallState.ENDED else None,
        remote=Party(theirs) if theirs is not None else None,
        local=Party(ours) if ours is not None else None,
        # To offer media: `streams=(StreamReport(slot="audio", ...),) if audio else ()`, and `streams_complete=True`
        # where the answer always says whether audio flows. Then `session.execute`.
        cause=_cause(call.ended) if call.ended is not None else None,
        native=call.raw,
    )


def _cause(ended: Ended) -> Cause:
    """The provider's own words. What they mean is said in `reasons.py`, when the core asks."""
    code = str(ended.sip) if ended.sip is not None else None
    detail = {"by": ended.by} if ended.by is not None else {}
    return Cause(dialect=ENDED, code=code, text=ended.phrase, sip=ended.sip, detail=detail)
