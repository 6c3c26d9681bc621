from __future__ import annotations

from dataclasses import replace

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
    Phase,
    Redirect,
    Reject,
    Termination,
    TerminationReason,
    Transfer,
)
from telco_bridge_laml.decode import decode_status, decode_stream_event
from telco_bridge_laml.wire import StatusCallback, StreamCallback, read_callback
from telco_bridge_signalwire.reasons import CALL, REASONS, STREAM, explain

R = TerminationReason
B = EndedBy

NOT_ASKED = CallView(id="c", direction=CallDirection.OUTBOUND)


def call_cause(status, sip=None, direction=None, **detail):
    if direction is not None:
        detail["HangupDirection"] = direction
    return Cause(dialect=CALL, code=status, sip=sip, detail=detail)


def asked_to(command, **fields):
    return CallView(**{"id": "c", "direction": CallDirection.OUTBOUND, "asked": (Asked(command, 1.0),), **fields})


def hang_up(**fields):
    return HangUp(id="h", call="c", ref="C", **fields)


@pytest.mark.parametrize(
    ("status", "sip", "direction", "reason", "by", "confidence"),
    [
        ("completed", None, None, R.NORMAL, B.UNKNOWN, Confidence.DERIVED),
        ("completed", 200, "outbound", R.NORMAL, B.UNKNOWN, Confidence.DERIVED),
        ("completed", 200, "inbound", R.NORMAL, B.REMOTE, Confidence.DERIVED),
        ("canceled", None, None, R.CANCELLED, B.UNKNOWN, Confidence.REPORTED),
        ("busy", None, None, R.BUSY, B.REMOTE, Confidence.REPORTED),
        ("busy", 486, "inbound", R.BUSY, B.REMOTE, Confidence.REPORTED),
        ("busy", 603, "inbound", R.REJECTED, B.REMOTE, Confidence.DERIVED),
        ("no-answer", None, None, R.NO_ANSWER, B.UNKNOWN, Confidence.REPORTED),
        ("no-answer", 487, "outbound", R.NO_ANSWER, B.PROVIDER, Confidence.REPORTED),
        ("no-answer", 487, None, R.NO_ANSWER, B.PROVIDER, Confidence.REPORTED),
        ("no-answer", 480, None, R.NO_ANSWER, B.NETWORK, Confidence.REPORTED),
        ("no-answer", 408, None, R.NO_ANSWER, B.NETWORK, Confidence.REPORTED),
        ("no-answer", 480, "inbound", R.NO_ANSWER, B.NETWORK, Confidence.REPORTED),
        ("no-answer", 500, None, R.NO_ANSWER, B.UNKNOWN, Confidence.REPORTED),
        ("no-answer", 603, "inbound", R.REJECTED, B.REMOTE, Confidence.DERIVED),
        ("failed", None, None, R.UNKNOWN, B.UNKNOWN, Confidence.UNKNOWN),
        ("failed", 401, None, R.NOT_AUTHORIZED, B.NETWORK, Confidence.DERIVED),
        ("failed", 403, None, R.NOT_AUTHORIZED, B.NETWORK, Confidence.DERIVED),
        ("failed", 407, None, R.NOT_AUTHORIZED, B.NETWORK, Confidence.DERIVED),
        ("failed", 404, None, R.UNALLOCATED_NUMBER, B.NETWORK, Confidence.DERIVED),
        ("failed", 604, None, R.UNALLOCATED_NUMBER, B.NETWORK, Confidence.DERIVED),
        ("failed", 410, None, R.NUMBER_CHANGED, B.NETWORK, Confidence.DERIVED),
        ("failed", 484, None, R.INVALID_NUMBER, B.NETWORK, Confidence.DERIVED),
        ("failed", 486, None, R.BUSY, B.REMOTE, Confidence.DERIVED),
        ("failed", 600, None, R.BUSY, B.REMOTE, Confidence.DERIVED),
        ("failed", 408, None, R.NO_ANSWER, B.NETWORK, Confidence.DERIVED),
        ("failed", 487, None, R.NO_ANSWER, B.PROVIDER, Confidence.DERIVED),
        ("failed", 488, None, R.MEDIA_NEGOTIATION, B.REMOTE, Confidence.DERIVED),
        ("failed", 503, None, R.CONGESTION, B.NETWORK, Confidence.DERIVED),
        ("failed", 500, None, R.PROVIDER_ERROR, B.NETWORK, Confidence.DERIVED),
        ("failed", 599, None, R.PROVIDER_ERROR, B.NETWORK, Confidence.DERIVED),
        ("failed", 603, "inbound", R.REJECTED, B.REMOTE, Confidence.DERIVED),
        ("failed", 499, None, R.UNKNOWN, B.UNKNOWN, Confidence.UNKNOWN),
        ("vanished", 603, None, R.UNKNOWN, B.UNKNOWN, Confidence.UNKNOWN),
    ],
)
def test_an_end_that_nobody_here_asked_for(status, sip, direction, reason, by, confidence):
    termination = explain(call_cause(status, sip, direction), NOT_ASKED)

    assert (termination.reason, termination.by, termination.confidence) == (reason, by, confidence)
    assert termination.sip == sip


@pytest.mark.parametrize(
    ("status", "sip", "answered", "reason"),
    [
        ("canceled", 487, False, R.CANCELLED),
        ("canceled", None, None, R.CANCELLED),
        ("completed", 200, True, R.NORMAL),
        ("completed", None, None, R.CANCELLED),
        ("no-answer", None, False, R.CANCELLED),
        ("no-answer", 487, False, R.CANCELLED),
        ("failed", 487, False, R.CANCELLED),
    ],
)
def test_an_end_that_we_asked_for_is_ours_and_says_whether_the_call_was_answered(status, sip, answered, reason):
    view = asked_to(hang_up(reason=R.BUSY), answered=answered)

    termination = explain(call_cause(status, sip, "outbound"), view)

    assert (termination.reason, termination.by) == (reason, B.APPLICATION)
    assert termination.confidence is Confidence.DERIVED


@pytest.mark.parametrize(
    ("status", "sip", "direction", "reason", "by"),
    [
        ("completed", 200, "inbound", R.NORMAL, B.REMOTE),
        ("canceled", None, "inbound", R.CANCELLED, B.UNKNOWN),
        ("busy", 486, None, R.BUSY, B.REMOTE),
        ("no-answer", 480, None, R.NO_ANSWER, B.NETWORK),
        ("no-answer", 603, None, R.REJECTED, B.REMOTE),
        ("failed", 404, None, R.UNALLOCATED_NUMBER, B.NETWORK),
        ("failed", None, None, R.UNKNOWN, B.UNKNOWN),
    ],
)
def test_what_the_far_end_did_first_stays_its_own_although_we_asked(status, sip, direction, reason, by):
    termination = explain(call_cause(status, sip, direction), asked_to(hang_up()))

    assert (termination.reason, termination.by) == (reason, by)


@pytest.mark.parametrize("reason", [R.TIME_LIMIT, R.NO_ANSWER])
def test_an_end_that_the_bridge_asked_for_has_the_bridges_reason(reason):
    view = asked_to(hang_up(by=B.BRIDGE, reason=reason), answered=True)

    termination = explain(call_cause("completed", 200, "outbound"), view)

    assert (termination.reason, termination.by) == (reason, B.BRIDGE)


def test_an_end_that_the_bridge_asked_for_without_a_reason_is_an_ordinary_one():
    termination = explain(call_cause("completed"), asked_to(hang_up(by=B.BRIDGE), answered=True))

    assert (termination.reason, termination.by) == (R.NORMAL, B.BRIDGE)


@pytest.mark.parametrize("status", ["no-answer", "busy", "canceled"])
def test_our_own_refusal_of_an_inbound_call_is_a_rejection(status):
    view = asked_to(Reject(id="r", call="c", ref="C"), direction=CallDirection.INBOUND)

    termination = explain(call_cause(status), view)

    assert (termination.reason, termination.by) == (R.REJECTED, B.APPLICATION)


def test_our_refusal_does_not_explain_a_call_that_was_completed():
    view = asked_to(Reject(id="r", call="c", ref="C"), direction=CallDirection.INBOUND)

    assert explain(call_cause("completed"), view).reason is R.NORMAL


def test_on_an_inbound_call_the_direction_of_the_hang_up_says_nothing():
    view = CallView(id="c", direction=CallDirection.INBOUND)

    assert explain(call_cause("completed", 200, "inbound"), view).by is B.UNKNOWN


def test_an_end_without_any_cause_is_ours_if_we_asked_for_it():
    nothing = Cause(dialect="none", said=False)

    assert explain(nothing, asked_to(hang_up(), answered=True)).by is B.APPLICATION
    assert explain(nothing, NOT_ASKED) == Termination(native=None, confidence=Confidence.UNKNOWN)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        ("stream-stopped", R.UNKNOWN),
        ("stream-error", R.UNKNOWN),
        ("invalid_url", R.MEDIA_SETUP),
        ("missing_url", R.MEDIA_SETUP),
        ("invalid_track", R.MEDIA_SETUP),
        ("codec_error", R.MEDIA_NEGOTIATION),
        ("connection_refused", R.MEDIA_SETUP),
        ("connection_refused_timeout_or_ssl_error", R.MEDIA_SETUP),
        ("general_error", R.MEDIA_LOST),
        ("Duplicated stream ID", R.MEDIA_SETUP),
        ("Duplicated stream name", R.MEDIA_SETUP),
        (None, R.UNKNOWN),
    ],
)
def test_every_documented_stream_error_has_a_reason(error, reason):
    cause = Cause(dialect=STREAM, code=error, detail={"StreamEvent": "stream-error"})

    assert explain(cause, NOT_ASKED).reason is reason


@pytest.mark.parametrize(
    ("cause", "line"),
    [
        (call_cause("busy", 486, "inbound"), "busy / SIP 486 / HangupDirection=inbound"),
        (call_cause("failed", None, SipResultCode="4o4"), "failed / SIP 4o4"),
        (call_cause("no-\nanswer"), "no- answer"),
        (
            Cause(dialect=STREAM, code="codec_error", detail={"StreamEvent": "stream-error"}),
            "stream-error / codec_error",
        ),
        (Cause(dialect=STREAM, code="stream-stopped", detail={"StreamEvent": "stream-stopped"}), "stream-stopped"),
        (Cause(dialect="none"), None),
    ],
)
def test_the_providers_words_are_kept_in_one_line(cause, line):
    assert explain(cause, NOT_ASKED).native == line


def test_the_phase_is_that_of_the_call():
    assert explain(call_cause("busy"), CallView(id="c", reached=CallState.RINGING)).phase is Phase.ALERTING


@given(
    cause=st.builds(
        Cause,
        dialect=st.sampled_from([CALL, STREAM, "none", ""]),
        code=st.none() | st.text() | st.sampled_from(["completed", "busy", "no-answer", "failed", "canceled"]),
        sip=st.none() | st.integers(),
        detail=st.dictionaries(st.sampled_from(["HangupDirection", "StreamEvent", "SipResultCode"]), st.text()),
    ),
    command=st.none()
    | st.sampled_from([hang_up(), hang_up(by=B.BRIDGE, reason=R.TIME_LIMIT), Reject(id="r", call="c")]),
    direction=st.sampled_from(CallDirection),
    answered=st.none() | st.booleans(),
)
def test_explaining_is_total_and_sip_codes_are_only_passed_on(cause, command, direction, answered):
    asked = () if command is None else (Asked(command, 1.0),)

    termination = explain(cause, CallView(id="c", direction=direction, answered=answered, asked=asked))

    assert termination.sip == cause.sip
    assert termination.q850 is None
    assert termination.native is None or "\n" not in termination.native


def test_the_rows_for_documentation_agree_with_the_explanation():
    failed = replace(NOT_ASKED, reached=CallState.DIALING, state=CallState.ENDED)

    assert all(explain(row.cause, failed).reason is row.neutral for row in REASONS)
    assert len({(row.dialect, row.native) for row in REASONS}) == len(REASONS)


@pytest.mark.parametrize("row", [row for row in REASONS if row.dialect == CALL], ids=lambda row: row.native)
def test_the_cause_of_a_row_is_what_a_status_callback_makes(row):
    status, _, sip = row.native.partition(" / SIP ")
    fields = {"CallSid": "C", "CallStatus": status} | ({"SipResultCode": sip.replace("xx", "00")} if sip else {})

    report = decode_status(read_callback(StatusCallback, tuple(fields.items())), as_of=0.0, call_id=None)

    assert report.cause == row.cause


@pytest.mark.parametrize("row", [row for row in REASONS if row.dialect == STREAM], ids=lambda row: row.native)
def test_the_cause_of_a_row_is_what_a_stream_callback_makes(row):
    event = "stream-stopped" if row.native == "stream-stopped" else "stream-error"
    fields = {"StreamSid": "S", "CallSid": "C", "StreamEvent": event}
    if event != row.native:
        fields["StreamError"] = row.native

    callback = read_callback(StreamCallback, tuple(fields.items()))

    (stream,) = decode_stream_event(callback, as_of=0.0, call_id=None, command_id=None).streams
    assert stream.cause == row.cause


@pytest.mark.parametrize(("command", "reason"), [(Transfer, R.TRANSFERRED), (Redirect, R.REDIRECTED)])
@pytest.mark.parametrize("status", ["completed", "no-answer", "canceled"])
@pytest.mark.parametrize("direction", ["inbound", "outbound", None])
def test_a_call_that_was_passed_on_ends_so_whoever_hangs_up(command, reason, status, direction):
    asked = command(id="t", call="c", ref="C", to="+1555")
    view = CallView(id="c", direction=CallDirection.OUTBOUND, asked=(Asked(asked, 1.0, done=True),), answered=True)

    told = explain(call_cause(status, 200, direction), view)

    assert (told.reason, told.by) == (reason, B.APPLICATION)


def test_a_far_end_that_does_not_wait_to_be_redirected_has_given_up():
    asked = Redirect(id="t", call="c", ref="C", to="+1555")
    view = CallView(id="c", direction=CallDirection.INBOUND, asked=(Asked(asked, 1.0),))

    assert explain(call_cause("no-answer", 487), view).reason is R.NO_ANSWER


@pytest.mark.parametrize(("sip", "status", "reason"), [(603, "no-answer", R.REJECTED), (486, "busy", R.BUSY)])
def test_a_call_that_comes_in_is_refused_by_nobody_but_a_document_of_ours(sip, status, reason):
    view = CallView(id="c", direction=CallDirection.INBOUND)

    told = explain(call_cause(status, sip, "outbound"), view)

    assert (told.reason, told.by) == (reason, B.BRIDGE)
