"""Reasons, without a network."""

from __future__ import annotations

import pytest

from telco_bridge.provider import Asked, CallView, Cause, EndedBy, HangUp, TerminationReason
from telco_bridge_acme.reasons import ENDED, explain

CALL = CallView(id="c")


def ended(sip: int, by: str) -> Cause:
    """What Acme says of an end."""
    return Cause(dialect=ENDED, code=str(sip), text="words", sip=sip, detail={"by": by})


@pytest.mark.parametrize(
    ("cause", "reason", "by"),
    [
        (ended(486, "far"), TerminationReason.BUSY, EndedBy.REMOTE),
        (ended(408, "network"), TerminationReason.NO_ANSWER, EndedBy.NETWORK),
        (ended(299, "somebody"), TerminationReason.UNKNOWN, EndedBy.UNKNOWN),
    ],
)
def test_a_cause_means_what_the_table_says(cause: Cause, reason: TerminationReason, by: EndedBy) -> None:
    told = explain(cause, CALL)

    assert (told.reason, told.by, told.sip) == (reason, by, cause.sip)
    assert told.native == f"{cause.sip} words"


def test_what_our_side_ended_was_ended_by_whoever_asked() -> None:
    limit = HangUp(id="h", call="c", reason=TerminationReason.TIME_LIMIT, by=EndedBy.BRIDGE)

    told = explain(ended(200, "near"), CallView(id="c", asked=(Asked(limit, 0.0),)))

    assert (told.reason, told.by) == (TerminationReason.TIME_LIMIT, EndedBy.BRIDGE)
