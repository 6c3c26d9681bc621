"""Why calls end: every word that baresip is known to say, and any other."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from telco_bridge.provider import (
    Asked,
    CallDirection,
    CallState,
    CallView,
    Cause,
    Confidence,
    EndedBy,
    HangUp,
    Reject,
    Termination,
    TerminationReason,
)

from telco_bridge_baresip.decode import cause_of_close, cause_of_death
from telco_bridge_baresip.reasons import REASONS, explain

R = TerminationReason
B = EndedBy
OUT = CallDirection.OUTBOUND
IN = CallDirection.INBOUND
SETUP, ALERTING, UP = CallState.DIALING, CallState.RINGING, CallState.CONNECTED


def view(direction: CallDirection = OUT, reached: CallState = SETUP, asked: HangUp | Reject | None = None) -> CallView:
    return CallView(
        id="1",
        direction=direction,
        reached=reached,
        answered=True if reached is UP else None,
        asked=(Asked(asked, 0.0),) if asked is not None else (),
    )


def told(text: str | None, where: CallView) -> tuple[TerminationReason, EndedBy]:
    termination = explain(cause_of_close(text), where)
    return termination.reason, termination.by


@pytest.mark.parametrize("row", REASONS, ids=lambda row: f"{row.dialect} {row.native}")
def test_every_row_is_what_is_told(row: object) -> None:
    from telco_bridge.provider import ReasonRow

    assert isinstance(row, ReasonRow)
    assert row.cause is not None
    assert explain(row.cause, view()).reason is row.neutral


@pytest.mark.parametrize(
    ("text", "reason", "by"),
    [
        ("486 Busy Here", R.BUSY, B.REMOTE),
        ("600 Busy Everywhere", R.BUSY, B.REMOTE),
        ("603 Decline", R.REJECTED, B.REMOTE),
        ("404 Not Found", R.UNALLOCATED_NUMBER, B.NETWORK),
        ("480 Temporarily Unavailable", R.NO_ANSWER, B.NETWORK),
        ("487 Request Terminated", R.CANCELLED, B.NETWORK),
        ("408 Request Timeout", R.NO_RESPONSE, B.NETWORK),
        ("500 Server Internal Error", R.PROVIDER_ERROR, B.NETWORK),
        ("503 Service Unavailable", R.CONGESTION, B.NETWORK),
        ("699 Odd", R.REJECTED, B.REMOTE),
        ("499 Odd", R.UNKNOWN, B.UNKNOWN),
        ("302 Moved Temporarily", R.UNKNOWN, B.UNKNOWN),
        ("Connection timed out", R.NO_RESPONSE, B.NETWORK),
        ("Operation not supported", R.MEDIA_SETUP, B.PROVIDER),
        ("mediaenc failed Protocol error", R.MEDIA_NEGOTIATION, B.PROVIDER),
        ("A sentence that nobody knows", R.UNKNOWN, B.UNKNOWN),
        (None, R.UNKNOWN, B.UNKNOWN),
    ],
)
def test_a_dialled_call_that_was_not_answered(text: str | None, reason: TerminationReason, by: EndedBy) -> None:
    assert told(text, view()) == (reason, by)


@pytest.mark.parametrize(
    ("direction", "reached", "reason", "by"),
    [
        (OUT, UP, R.NORMAL, B.REMOTE),
        (IN, UP, R.NORMAL, B.REMOTE),
        (IN, ALERTING, R.CANCELLED, B.REMOTE),
        (OUT, ALERTING, R.UNREACHABLE, B.NETWORK),
    ],
)
def test_reset_by_peer_depends_on_how_far_the_call_had_come(
    direction: CallDirection, reached: CallState, reason: TerminationReason, by: EndedBy
) -> None:
    assert told("Connection reset by peer", view(direction, reached)) == (reason, by)


@pytest.mark.parametrize(
    ("direction", "reached", "reason"),
    [(OUT, UP, R.NORMAL), (OUT, ALERTING, R.CANCELLED), (IN, ALERTING, R.REJECTED), (IN, UP, R.NORMAL)],
)
def test_reset_by_user_is_us_where_we_asked_and_the_user_where_we_did_not(
    direction: CallDirection, reached: CallState, reason: TerminationReason
) -> None:
    asked = HangUp(id="2", call="1")

    assert told("Connection reset by user", view(direction, reached, asked)) == (reason, B.APPLICATION)
    assert told("Connection reset by user", view(direction, reached)) == (reason, B.USER)


def test_a_time_limit_of_the_bridge_is_the_reason() -> None:
    asked = HangUp(id="2", call="1", by=B.BRIDGE, reason=R.NO_ANSWER)

    assert told("Connection reset by user", view(OUT, ALERTING, asked)) == (R.NO_ANSWER, B.BRIDGE)


def test_an_end_without_a_word_is_ours_where_we_asked_for_it() -> None:
    assert told(None, view(OUT, UP, HangUp(id="2", call="1"))) == (R.NORMAL, B.APPLICATION)
    assert explain(Cause(dialect="none", said=False), view()).confidence is Confidence.UNKNOWN


def test_a_far_end_that_was_faster_than_our_hang_up_is_the_reason() -> None:
    asked = HangUp(id="2", call="1")

    assert told("486 Busy Here", view(OUT, ALERTING, asked)) == (R.BUSY, B.REMOTE)
    assert told("Connection reset by peer", view(OUT, UP, asked)) == (R.NORMAL, B.REMOTE)


def test_a_call_that_is_up_is_lost_where_the_far_end_no_longer_answers() -> None:
    assert told("481 Call Does Not Exist", view(OUT, UP)) == (R.NETWORK_LOST, B.NETWORK)
    assert told("Connection timed out", view(OUT, UP)) == (R.NETWORK_LOST, B.NETWORK)
    assert told("408 Request Timeout", view(OUT, ALERTING)) == (R.NO_ANSWER, B.NETWORK)


def test_the_end_of_the_program_is_nobodys_wish() -> None:
    termination = explain(cause_of_death(-9), view(OUT, UP, HangUp(id="2", call="1")))

    assert (termination.reason, termination.by) == (R.PROVIDER_ERROR, B.PROVIDER)
    assert termination.native == "baresip was killed by signal 9"


def test_the_status_and_the_words_are_kept() -> None:
    termination = explain(cause_of_close("486 Busy Here"), view())

    assert (termination.sip, termination.native) == (486, "486 Busy Here")
    assert termination.confidence is Confidence.REPORTED


@given(
    dialect=st.text() | st.sampled_from(("SIP", "baresip.closed", "baresip.process")),
    code=st.none() | st.text(),
    text=st.none() | st.text(),
    sip=st.none() | st.integers(),
    said=st.booleans(),
    direction=st.sampled_from(CallDirection),
    reached=st.sampled_from(CallState),
    asked=st.none() | st.sampled_from((HangUp(id="2", call="1"), Reject(id="2", call="1"))),
)
def test_every_cause_is_explained(
    dialect: str,
    code: str | None,
    text: str | None,
    sip: int | None,
    said: bool,
    direction: CallDirection,
    reached: CallState,
    asked: HangUp | Reject | None,
) -> None:
    cause = Cause(dialect=dialect, code=code, text=text, sip=sip, said=said)

    termination = explain(cause, view(direction, reached, asked))

    assert isinstance(termination, Termination)
    assert termination.sip == sip
    assert (termination.confidence is Confidence.UNKNOWN) == (termination.reason is R.UNKNOWN)


@given(st.text())
def test_every_text_of_a_close_is_explained(text: str) -> None:
    assert explain(cause_of_close(text), view()).phase is view().phase
