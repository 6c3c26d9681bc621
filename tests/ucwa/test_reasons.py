"""UCWA's words for an end, in both directions."""

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
    Refused,
    Reject,
    StopMedia,
    StreamId,
    StreamState,
    StreamView,
    Termination,
    TerminationReason,
    Transport,
)
from telco_bridge_ucwa.decode import cause_of
from telco_bridge_ucwa.problems import parse_problem
from telco_bridge_ucwa.reasons import REASONS, decline_reason, explain, termination_reason

R = TerminationReason
RINGING = CallView(id="c", direction=CallDirection.OUTBOUND, reached=CallState.RINGING)
TALKING = CallView(id="c", direction=CallDirection.OUTBOUND, reached=CallState.CONNECTED, answered=True)
SILENCE = Cause(dialect="ErrorSubcode", said=False)
CANCELED = Cause(dialect="ErrorSubcode", code="LocalFailure/Canceled")


def said(code, *, dialect="ErrorSubcode", about="conversation"):
    return Cause(dialect=dialect, code=code, text="because", detail={"about": about})


def asking(view, kind=HangUp, **command):
    return CallView(
        id="c",
        direction=view.direction,
        reached=view.reached,
        answered=view.answered,
        asked=(Asked(kind(id="x", call="c", **command), 0.0),),
    )


def stream(slot, **more):
    transport = Transport.PSTN if slot == "phoneAudio" else Transport.VOIP
    return StreamView(id=StreamId(slot, 1), transport=transport, state=StreamState.ENDED, **more)


def with_streams(*streams):
    return CallView(id="c", reached=CallState.CONNECTED, answered=True, streams=streams)


@pytest.mark.parametrize(
    ("code", "reason", "by"),
    [
        ("RemoteFailure/Busy", R.BUSY, EndedBy.REMOTE),
        ("RemoteFailure/Declined", R.REJECTED, EndedBy.REMOTE),
        ("RemoteFailure/DoNotDisturb", R.DO_NOT_DISTURB, EndedBy.REMOTE),
        ("NotFound/DestinationNotFound", R.UNALLOCATED_NUMBER, EndedBy.NETWORK),
        ("BadRequest/NormalizationFailed", R.INVALID_NUMBER, EndedBy.PROVIDER),
        ("Timeout/Timeout", R.NO_ANSWER, EndedBy.NETWORK),
        ("RemoteFailure/TemporarilyUnavailable", R.NO_ANSWER, EndedBy.NETWORK),
        ("RemoteFailure/Unreachable", R.UNREACHABLE, EndedBy.NETWORK),
        ("Informational/Canceled", R.CANCELLED, EndedBy.UNKNOWN),
        ("Informational/ConnectedElsewhere", R.ANSWERED_ELSEWHERE, EndedBy.USER),
        ("Informational/Missed", R.NO_ANSWER, EndedBy.USER),
        ("LocalFailure/PstnCallFailed", R.PROVIDER_ERROR, EndedBy.NETWORK),
        ("Nonsense/Busy", R.BUSY, EndedBy.REMOTE),
    ],
)
def test_the_subcode_says_why_whatever_the_code(code, reason, by):
    told = explain(said(code), RINGING)

    assert (told.reason, told.by, told.confidence) == (reason, by, Confidence.REPORTED)
    assert told.native == f"{code}: because"
    assert told.phase is Phase.ALERTING


@pytest.mark.parametrize(
    ("code", "reason"),
    [("Timeout", R.NO_ANSWER), ("TooManyRequests", R.RATE_LIMITED), ("ServiceFailure/Brandnew", R.PROVIDER_ERROR)],
)
def test_the_code_stands_in_where_the_subcode_is_missing_or_unknown(code, reason):
    told = explain(said(code), RINGING)

    assert (told.reason, told.confidence) == (reason, Confidence.DERIVED)


@given(code=st.none() | st.text(), dialect=st.sampled_from(["ErrorSubcode", "InvitationState", "EventChannel", ""]))
def test_every_cause_is_explained_and_unknown_ones_keep_their_words(code, dialect):
    for view in (RINGING, TALKING, asking(TALKING)):
        told = explain(Cause(dialect=dialect, code=code), view)

        assert isinstance(told, Termination)
        assert told.native == (code or None)


def test_an_unknown_word_is_unknown():
    told = explain(said("Zorp/Blub"), RINGING)

    assert (told.reason, told.by) == (R.UNKNOWN, EndedBy.UNKNOWN)
    assert told.native == "Zorp/Blub: because"
    assert told.detail == {"dialect": "ErrorSubcode", "about": "conversation"}


@pytest.mark.parametrize(
    ("dialect", "code", "reason"),
    [
        ("InvitationState", "Declined", R.REJECTED),
        ("InvitationState", "Failed", R.UNKNOWN),
        ("EventChannel", "resume", R.NETWORK_LOST),
        ("EventChannel", "forgotten", R.NETWORK_LOST),
    ],
)
def test_the_other_vocabularies_are_read(dialect, code, reason):
    assert explain(said(code, dialect=dialect), RINGING).reason is reason


@pytest.mark.parametrize(
    ("code", "confidence"),
    [
        ("resume", Confidence.DERIVED),
        ("forgotten", Confidence.DERIVED),
        ("resync", Confidence.INFERRED),
        ("replaced", Confidence.SYNTHETIC),
        ("silent", Confidence.SYNTHETIC),
    ],
)
def test_a_lost_call_says_honestly_how_that_is_known(code, confidence):
    told = explain(said(code, dialect="EventChannel"), TALKING)

    assert (told.reason, told.confidence) == (R.NETWORK_LOST, confidence)


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("LocalFailure", R.UNKNOWN),
        ("Informational", R.UNKNOWN),
        ("Conflict", R.PROVIDER_ERROR),
        ("PreconditionRequired", R.INTERNAL_ERROR),
    ],
)
def test_a_code_that_hardly_speaks_of_calls_is_marked_as_losing_something(code, reason):
    (row,) = [row for row in REASONS if (row.dialect, row.native) == ("ErrorCode", code)]

    assert (row.neutral, row.lossy) == (reason, True)
    assert explain(said(code), RINGING).native == f"{code}: because"


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("RemoteFailure/MediaFailure", R.MEDIA_LOST),
        ("RemoteFailure/Unreachable", R.NETWORK_LOST),
        ("Timeout", R.NETWORK_LOST),
        ("RemoteFailure/Busy", R.BUSY),
    ],
)
def test_the_words_of_a_failed_set_up_mean_something_else_once_people_talk(code, reason):
    assert explain(said(code), TALKING).reason is reason


def test_a_failed_invitation_to_a_talking_call_keeps_its_meaning():
    assert explain(said("Timeout", about="phoneAudioInvitation"), TALKING).reason is R.NO_ANSWER


def test_a_caller_who_gives_up_cancelled():
    view = CallView(id="c", direction=CallDirection.INBOUND, reached=CallState.RINGING)

    told = explain(CANCELED, view)

    assert (told.reason, told.by) == (R.CANCELLED, EndedBy.REMOTE)


@pytest.mark.parametrize("cause", [SILENCE, CANCELED, said("Informational/CallTerminated"), said("LocalFailure")])
@pytest.mark.parametrize(("view", "reason"), [(RINGING, R.CANCELLED), (TALKING, R.NORMAL)])
def test_our_own_hang_up_is_ours(cause, view, reason):
    told = explain(cause, asking(view, reason=R.BUSY))

    assert (told.reason, told.by, told.confidence) == (reason, EndedBy.APPLICATION, Confidence.DERIVED)


def test_a_word_that_overtook_our_hang_up_stands():
    told = explain(said("RemoteFailure/Busy"), asking(RINGING))

    assert (told.reason, told.by) == (R.BUSY, EndedBy.REMOTE)


def test_the_bridges_own_limits_are_its_doing_and_their_reason():
    told = explain(CANCELED, asking(RINGING, by=EndedBy.BRIDGE, reason=R.NO_ANSWER))

    assert (told.reason, told.by) == (R.NO_ANSWER, EndedBy.BRIDGE)


def test_our_own_rejection_is_a_rejection():
    told = explain(SILENCE, asking(RINGING, kind=Reject))

    assert (told.reason, told.by) == (R.REJECTED, EndedBy.APPLICATION)


def test_an_unanswered_call_that_vanishes_without_a_word_stays_unknown():
    told = explain(SILENCE, RINGING)

    assert (told.reason, told.by, told.confidence) == (R.UNKNOWN, EndedBy.UNKNOWN, Confidence.UNKNOWN)


@pytest.mark.parametrize(
    ("slots", "by"),
    [(["audio", "video"], EndedBy.REMOTE), (["phoneAudio"], EndedBy.UNKNOWN), ([], EndedBy.UNKNOWN)],
)
@pytest.mark.parametrize("cause", [SILENCE, said("Informational/CallTerminated")])
def test_an_ordinary_end_is_the_other_partys_unless_the_user_has_a_phone_in_it(slots, by, cause):
    told = explain(cause, with_streams(*(stream(slot) for slot in slots)))

    assert (told.reason, told.by) == (R.NORMAL, by)


def test_a_call_that_ends_with_its_last_stream_ends_for_that_streams_reason():
    lost = stream("audio", cause=said("RemoteFailure/MediaFailure", about="audioVideo"), ended_as_of=2.0)

    told = explain(SILENCE, with_streams(stream("video", ended_as_of=1.0), lost))

    assert (told.reason, told.confidence) == (R.MEDIA_LOST, Confidence.DERIVED)


def test_a_call_that_ends_because_we_stopped_its_media_is_our_doing():
    stopped = Termination(by=EndedBy.APPLICATION, requested=R.MEDIA_LOST, note="enough")

    told = explain(SILENCE, with_streams(stream("audio", termination=stopped, ended_as_of=1.0)))

    assert (told.reason, told.by) == (R.NORMAL, EndedBy.APPLICATION)
    assert told.requested is None, "nobody had asked for the end of the call"


@pytest.mark.parametrize(("slots", "by"), [(["audio", "video"], EndedBy.APPLICATION), (["audio"], EndedBy.REMOTE)])
def test_a_call_whose_end_overtakes_that_of_the_media_we_stop_is_our_doing(slots, by):
    live = [
        StreamView(id=StreamId(slot, 1), transport=Transport.VOIP, state=StreamState.ACTIVE)
        for slot in ("audio", "video")
    ]
    stop = StopMedia(id="x", call="c", streams=tuple(one.target for one in live if one.id.slot in slots))

    told = explain(SILENCE, replace(with_streams(*live), asked=(Asked(stop, 0.0),)))

    assert (told.reason, told.by) == (R.NORMAL, by)


def test_an_earlier_stream_does_not_explain_a_call_with_live_media():
    failed = stream("video", cause=said("RemoteFailure/Busy"), ended_as_of=1.0)
    live = StreamView(id=StreamId("audio", 1), transport=Transport.VOIP, state=StreamState.ACTIVE)

    assert explain(SILENCE, with_streams(failed, live)).reason is R.NORMAL


@pytest.mark.parametrize("reason", list(TerminationReason))
def test_every_reason_can_be_sent(reason):
    assert termination_reason(reason, {})
    assert decline_reason(reason, {})


def test_no_reason_is_made_up():
    assert termination_reason(None, {}) is None
    assert decline_reason(None, {}) is None


def test_all_sixteen_and_all_twelve_words_can_be_passed_through():
    sixteen = {row.native for row in REASONS if row.dialect == "CallTerminationReason"}

    assert len(sixteen) == 16
    assert {termination_reason(R.NORMAL, {"reason": word}) for word in sixteen} == sixteen
    twelve = {row.native for row in REASONS if row.dialect == "CallDeclineReason"}
    assert len(twelve) == 12
    assert {decline_reason(R.NORMAL, {"reason": word}) for word in twelve} == twelve


@pytest.mark.parametrize(
    ("code", "reason", "by"),
    [
        ("Timeout/Missed", R.NO_ANSWER, EndedBy.USER),
        ("Informational/ConnectedElsewhere", R.ANSWERED_ELSEWHERE, EndedBy.USER),
        ("Informational/Forwarded", R.REDIRECTED, EndedBy.USER),
        ("Informational/Declined", R.REJECTED, EndedBy.USER),
        ("RemoteFailure/Canceled", R.CANCELLED, EndedBy.REMOTE),
    ],
)
def test_a_call_from_outside_that_is_not_answered_here_was_somebody_elses_decision(code, reason, by):
    ringing = CallView(id="c", direction=CallDirection.INBOUND, reached=CallState.RINGING, state=CallState.ENDED)

    told = explain(said(code), ringing)

    assert (told.reason, told.by) == (reason, by)


@pytest.mark.parametrize("word", ["Bored", 3, ["Cancel"]])
@pytest.mark.parametrize("check", [termination_reason, decline_reason])
def test_a_word_that_ucwa_does_not_know_is_refused(word, check):
    with pytest.raises(Refused, match="Nothing was sent"):
        check(None, {"reason": word})


def test_every_exact_word_comes_back_as_itself():
    exact = [row for row in REASONS if row.outbound and not row.lossy and row.dialect == "CallTerminationReason"]

    assert len({row.native for row in exact}) == len(exact)
    assert all(termination_reason(row.neutral, {}) == row.native for row in exact)


DIALLED = CallView(id="c", direction=CallDirection.OUTBOUND, reached=CallState.DIALING, state=CallState.ENDED)
INWARD = [row for row in REASONS if not row.outbound]


def test_the_rows_for_documentation_agree_with_the_explanation():
    for row in INWARD:
        assert explain(row.cause, DIALLED).reason is row.neutral, row
    assert [row for row in REASONS if row.outbound and row.cause is not None] == []
    assert len({(row.dialect, row.native) for row in INWARD}) == len(INWARD)


@pytest.mark.parametrize("dialect", ["ErrorSubcode", "ErrorCode"])
def test_the_cause_of_a_row_is_what_a_reason_block_makes(dialect):
    name = "subcode" if dialect == "ErrorSubcode" else "code"
    for row in INWARD:
        if row.dialect == dialect:
            problem = parse_problem({name: row.native})
            assert cause_of(problem, about="conversation") == row.cause


def test_a_word_beside_another_means_what_its_row_says():
    for row in INWARD:
        if row.dialect == "ErrorSubcode":
            told = explain(replace(row.cause, code=f"RemoteFailure{row.cause.code}"), DIALLED)
            assert told.reason is row.neutral, row
