"""Every rule by which reports become state and events, one sentence each."""

from dataclasses import FrozenInstanceError, fields, replace

import pytest

from telco_bridge.commands import (
    Answer,
    Dial,
    HangUp,
    Hold,
    Mute,
    PauseRecording,
    Redirect,
    Reject,
    Resume,
    ResumeRecording,
    SendDigits,
    StartMedia,
    StartRecording,
    StopMedia,
    StopRecording,
    StreamTarget,
    Transfer,
    Unmute,
)
from telco_bridge.events import (
    CallConnected,
    CallEnded,
    CallHeld,
    CallIncoming,
    CallMoved,
    CallProgressed,
    CallResumed,
    CallUpdated,
    EndContradicted,
    StreamActive,
    StreamEnded,
    StreamStarting,
)
from telco_bridge.media import MediaDirection, Modality, RecordingState, StreamId, StreamState, Transport
from telco_bridge.reports import (
    CallDirection,
    CallReport,
    CallState,
    Continues,
    Dialled,
    Invitation,
    Party,
    Source,
    StreamReport,
)
from telco_bridge.termination import Cause, Confidence, EndedBy, Phase, Scope, Termination, TerminationReason
from telco_bridge.transitions import ask, conclude, defeated, fold, fulfilled, mark_done, settle
from telco_bridge.views import Asked, CallView, RecordingView, StreamView

ENDED, ACTIVE, STARTING, OFFERED = StreamState.ENDED, StreamState.ACTIVE, StreamState.STARTING, StreamState.OFFERED
BUSY = Cause(dialect="wire", code="busy", sip=486)
BYE = Cause(dialect="wire", code="bye", sip=200, q850=16)
UNSAID = Cause(dialect="wire", said=False)
REASONS = {"busy": TerminationReason.BUSY, "bye": TerminationReason.NORMAL}


def explain(cause, view):
    """A plugin whose tables know two words."""
    reason = REASONS.get(cause.code, TerminationReason.UNKNOWN)
    return Termination(reason=reason, native=cause.code, confidence=Confidence.REPORTED)


def report(as_of, *streams, source=Source.PUSH, **said):
    return CallReport(**({"source": source, "as_of": as_of, "ref": "ref", "streams": streams} | said))


def audio(state=None, **said):
    return StreamReport(slot="phone", modality=Modality.AUDIO, state=state, **said)


def fork(life, state=None, **said):
    return StreamReport(slot="fork", life=life, state=state, **said)


def told(*reports, view=None):
    """The view and the events after these reports."""
    view = view if view is not None else CallView(id="call")
    events = []
    for one in reports:
        view, new = fold(view, one, explain)
        events.extend(new)
    return view, events


def after(*reports, view=None):
    return told(*reports, view=view)[0]


def events_of(*reports, view=None):
    return told(*reports, view=view)[1]


def kinds(events):
    return [type(event) for event in events]


def target(view, slot):
    return view.live_in(slot).target


def stop(*targets, reason=None, note=None):
    return StopMedia(id="stop", call="call", streams=targets, reason=reason, note=note)


def hang_up(**said):
    return HangUp(id="bye", call="call", **said)


# Lifecycle


def test_states_advance_one_by_one_and_are_told_in_order():
    states = [
        CallState.QUEUED,
        CallState.DIALING,
        CallState.RINGING,
        CallState.CONNECTED,
        CallState.ENDING,
        CallState.ENDED,
    ]
    view, events = told(*(report(i, state=state) for i, state in enumerate(states)), report(9, cause=BYE))

    assert [getattr(event, "state", type(event)) for event in events] == [
        CallState.QUEUED,
        CallState.DIALING,
        CallState.RINGING,
        CallConnected,
        CallState.ENDING,
        CallEnded,
    ]
    assert view.over


def test_a_late_report_of_a_lower_state_changes_nothing():
    view, events = told(report(5, state=CallState.CONNECTED), report(9, state=CallState.RINGING))

    assert view.state is CallState.CONNECTED
    assert kinds(events) == [CallConnected]


def test_a_higher_state_is_believed_however_old_its_report_is():
    view, events = told(report(5, state=CallState.RINGING), report(1, state=CallState.CONNECTED))

    assert view.state is CallState.CONNECTED
    assert kinds(events) == [CallProgressed, CallConnected]


def test_skipped_states_are_not_made_up():
    events = events_of(report(1, state=CallState.QUEUED), report(2, state=CallState.CONNECTED))

    assert kinds(events) == [CallProgressed, CallConnected]


def test_unknown_never_replaces_a_known_state_and_its_word_is_kept():
    view, events = told(
        report(1, state=CallState.RINGING), report(2, state=CallState.UNKNOWN, native_state="pondering")
    )

    assert view.state is CallState.RINGING
    assert view.native_state == "pondering"
    assert kinds(events) == [CallProgressed]


def test_the_same_report_twice_gives_no_event_and_the_same_view():
    full = report(
        1,
        audio(ACTIVE),
        state=CallState.CONNECTED,
        origin=Invitation(),
        held=True,
        muted=True,
        remote=Party("+1"),
        offered=frozenset({"x"}),
        streams_complete=True,
    )
    view = after(full)

    assert fold(view, full, explain) == (view, ())


def test_every_event_of_a_report_carries_the_call_as_it_left_it():
    view, events = told(report(1, audio(ACTIVE), state=CallState.CONNECTED, held=True, source=Source.READ))

    assert kinds(events) == [CallConnected, CallHeld, StreamActive]
    assert all(event.call is view and event.source is Source.READ for event in events)


def test_a_view_is_frozen_and_folding_leaves_the_old_one_alone():
    view = after(report(1, audio(STARTING), held=False))
    stamps = dict(view.stamps)

    fold(view, report(2, audio(ACTIVE), held=True), explain)
    assert (view.held, view.stamps, view.streams[0].state) == (False, stamps, STARTING)
    with pytest.raises(FrozenInstanceError):
        view.held = True


# Answering


def test_an_answer_that_was_reported_is_not_inferred():
    assert events_of(report(1, state=CallState.CONNECTED))[0].inferred is False


def test_evidence_of_an_answer_connects_the_call_and_says_so():
    view, events = told(report(1, state=CallState.RINGING), report(2, answered=True))

    assert view.state is CallState.CONNECTED
    assert kinds(events) == [CallProgressed, CallConnected]
    assert events[1].inferred is True


def test_an_end_with_evidence_of_an_answer_tells_the_answer_first():
    view, events = told(report(1, state=CallState.ENDED, answered=True, cause=BYE))

    assert kinds(events) == [CallConnected, CallEnded]
    assert events[0].inferred is True
    assert view.termination.phase is Phase.ESTABLISHED


def test_a_ringing_call_that_vanishes_was_not_answered():
    view, events = told(
        report(1, state=CallState.RINGING), report(2, state=CallState.ENDED, answered=False, cause=BUSY)
    )

    assert kinds(events) == [CallProgressed, CallEnded]
    assert view.answered is False
    assert view.termination.phase is Phase.ALERTING


@pytest.mark.parametrize("order", [(True, False), (False, True)])
def test_evidence_of_an_answer_goes_before_evidence_against_it(order):
    assert after(*(report(i, answered=answered) for i, answered in enumerate(order))).answered is True


def test_ending_does_not_prove_an_answer():
    view, events = told(report(1, state=CallState.RINGING), report(2, state=CallState.ENDING))

    assert kinds(events) == [CallProgressed, CallProgressed]
    assert view.answered is None
    assert view.reached is CallState.RINGING


def test_an_answer_that_is_learnt_while_the_end_waits_for_its_cause_is_told():
    view, events = told(report(5, state=CallState.ENDED), report(2, state=CallState.CONNECTED), report(6, cause=BYE))

    assert kinds(events) == [CallConnected, CallEnded]
    assert view.termination.phase is Phase.ESTABLISHED


def test_an_answer_that_is_learnt_after_the_call_was_told_as_ending_is_known_and_not_told():
    view, events = told(report(5, state=CallState.ENDING), report(2, state=CallState.CONNECTED))

    assert kinds(events) == [CallProgressed]
    assert (view.answered, view.reached, view.state) == (True, CallState.CONNECTED, CallState.ENDING)


# Identity and origin


def test_an_invitation_announces_the_call_as_ringing():
    view, events = told(report(1, origin=Invitation(), ref="r", remote=Party("+1")))

    assert kinds(events) == [CallIncoming, CallUpdated]
    assert (view.direction, view.state, view.ref) == (CallDirection.INBOUND, CallState.RINGING, "r")


def test_an_invitation_is_announced_once():
    invitation = report(1, origin=Invitation())

    assert kinds(events_of(invitation, replace(invitation, as_of=2))) == [CallIncoming]


def test_an_invitation_that_comes_after_the_ringing_is_still_announced():
    events = events_of(report(2, state=CallState.RINGING), report(1, origin=Invitation()))

    assert kinds(events) == [CallProgressed, CallIncoming]


def test_an_invitation_that_comes_after_the_answer_only_tells_the_direction():
    view, events = told(
        report(2, state=CallState.CONNECTED),
        report(1, origin=Invitation()),
        report(3, state=CallState.CONNECTED),
    )

    assert kinds(events) == [CallConnected, CallUpdated]
    assert events[1].changed == {"direction"}
    assert view.direction is CallDirection.INBOUND


def test_an_invitation_that_has_already_ended_had_been_ringing():
    view, events = told(report(1, origin=Invitation(), state=CallState.ENDED, cause=BUSY))

    assert kinds(events) == [CallIncoming, CallEnded]
    assert view.termination.phase is Phase.ALERTING


def test_a_dialled_call_is_outbound():
    assert after(report(1, origin=Dialled())).direction is CallDirection.OUTBOUND


@pytest.mark.parametrize("origins", [(Dialled(), Invitation()), (Invitation(), Dialled())])
def test_the_direction_never_turns(origins):
    first, both = after(report(1, origin=origins[0])), after(*(report(i, origin=o) for i, o in enumerate(origins)))

    assert both.direction is first.direction


def test_a_call_that_continues_elsewhere_has_moved_once():
    moved = report(2, ref="new", origin=Continues("old"))
    view, events = told(report(1, ref="old"), moved, moved)

    assert view.ref == "new"
    assert kinds(events) == [CallMoved]
    assert events[0].previous == "old"


@pytest.mark.parametrize(
    "move",
    [
        report(2, ref="new", origin=Continues("another")),
        report(2, ref=None, command_id="dial", origin=Continues("old")),
        report(2, ref="old", origin=Continues("old")),
    ],
)
def test_a_continuation_of_another_call_or_to_nowhere_moves_nothing(move):
    view, events = told(report(1, ref="old"), move)

    assert view.ref == "old"
    assert events == []


def test_only_a_continuation_changes_the_providers_identity():
    assert after(report(1, ref="old"), report(2, ref="new")).ref == "old"


def test_an_origin_of_an_unknown_kind_is_a_mistake_in_the_plugin():
    with pytest.raises(AssertionError, match="unreachable"):
        fold(CallView(id="call"), report(1, origin="invitation"), explain)


# Fields


@pytest.mark.parametrize(
    ("field", "early", "late"),
    [
        ("remote", Party("+1"), Party("+1", "Ann")),
        ("local", Party("+2"), Party("+3")),
        ("muted", True, False),
        ("held", True, False),
        ("offered", frozenset({"a"}), frozenset()),
        ("decide_by", 5.0, 6.0),
        ("remote_sdp", "v=0", "v=1"),
        ("native_state", "odd", "unknown"),
        ("native", {"a": 1}, {}),
    ],
)
def test_a_field_yields_only_to_a_report_that_is_not_older(field, early, late):
    old, new = report(1, **{field: early}), report(2, **{field: late})

    assert getattr(after(old, new), field) == late
    assert getattr(after(new, old), field) == late
    assert getattr(after(old, replace(new, as_of=1)), field) == late
    assert getattr(after(new, report(9, state=CallState.RINGING)), field) == late


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("remote", Party("+1")),
        ("local", Party("+2")),
        ("muted", False),
        ("offered", frozenset({"a"})),
        ("decide_by", 5.0),
        ("remote_sdp", "v=0"),
    ],
)
def test_a_field_that_becomes_known_is_told_by_name(field, value):
    events = events_of(report(1, **{field: value}), report(2, **{field: value}))

    assert kinds(events) == [CallUpdated]
    assert events[0].changed == {field}


def test_holding_and_resuming_are_told_and_not_being_held_at_first_is_not():
    events = events_of(report(1, held=False), report(2, held=True), report(3, held=True), report(4, held=False))

    assert kinds(events) == [CallHeld, CallResumed]


# Streams


def test_a_stream_advances_through_its_life():
    view, events = told(
        report(1, audio(OFFERED)),
        report(2, audio(STARTING)),
        report(3, audio(ACTIVE)),
        report(4, audio(STARTING)),
        report(5, audio(ENDED)),
    )

    assert [getattr(event, "state", type(event)) for event in events] == [OFFERED, STARTING, StreamActive, StreamEnded]
    assert {event.stream for event in events} == {StreamId("phone", 1)}
    assert {event.modality for event in events} == {Modality.AUDIO}
    assert (view.streams[0].started_as_of, view.streams[0].ended_as_of) == (1, 5)


@pytest.mark.parametrize("state", [None, StreamState.UNKNOWN, ENDED])
def test_a_word_that_shows_no_life_opens_no_stream(state):
    view, events = told(report(1, audio(state)))

    assert view.streams == ()
    assert events == []


@pytest.mark.parametrize("state", [None, StreamState.UNKNOWN])
def test_a_numbered_life_of_which_nothing_is_known_opens_no_stream(state):
    assert told(report(1, fork(1, state), streams_complete=True)) == (after(report(1, streams_complete=True)), [])


def test_a_stream_that_is_not_mentioned_goes_on():
    assert after(report(1, audio(ACTIVE)), report(2, state=CallState.CONNECTED)).live_in("phone") is not None


def test_a_stream_that_a_complete_report_does_not_mention_has_ended():
    view, events = told(
        report(1, audio(ACTIVE), fork(1, ACTIVE)), report(2, audio(), source=Source.READ, streams_complete=True)
    )

    assert kinds(events) == [StreamActive, StreamActive, StreamEnded]
    assert [stream.id.slot for stream in view.live_streams] == ["phone"]
    assert view.stream(StreamId("fork", 1)).confirmed_by is Source.READ


@pytest.mark.parametrize("stream", [audio(ACTIVE), fork(1, ACTIVE)])
def test_a_late_complete_report_ends_no_stream_that_has_lived_since(stream):
    assert after(report(5, stream), report(3, streams_complete=True)).live_streams


@pytest.mark.parametrize("stream", [audio(ACTIVE), fork(1, ACTIVE)])
def test_a_live_word_from_before_a_complete_report_that_lacks_the_stream_opens_nothing(stream):
    assert not after(report(5, streams_complete=True), report(3, stream)).streams


def test_a_complete_report_ends_a_former_life_of_a_slot_that_it_mentions():
    view = after(report(1, fork(1, ACTIVE)), report(3, fork(2, ACTIVE), streams_complete=True))

    assert [stream.id for stream in view.live_streams] == [StreamId("fork", 2)]


def test_a_slot_that_is_used_again_is_a_new_stream():
    view, events = told(report(1, audio(ACTIVE)), report(2, audio(ENDED)), report(3, audio(STARTING)))

    assert [event.stream.life for event in events] == [1, 1, 2]
    assert [stream.live for stream in view.streams] == [False, True]


@pytest.mark.parametrize("end", [audio(ENDED), None])
def test_a_late_end_of_the_former_life_does_not_end_the_new_one(end):
    former = report(3, end) if end is not None else report(3, streams_complete=True)

    assert after(report(5, audio(ACTIVE)), report(2, audio(ACTIVE)), former).live_in("phone") is not None
    assert after(report(5, audio(ACTIVE)), former, report(2, audio(ACTIVE)), former).live_in("phone").started_as_of == 5


def test_a_late_live_word_of_the_former_life_opens_nothing():
    view, events = told(report(3, audio(ENDED)), report(2, audio(ACTIVE)))

    assert view.streams == ()
    assert events == []


def test_a_late_word_of_the_former_life_is_no_word_about_the_new_one():
    view = after(
        report(1, audio(ACTIVE)), report(3, audio(ENDED)), report(4, audio(ACTIVE)), report(2, audio(name="former"))
    )

    assert view.live_in("phone").name is None


@pytest.mark.parametrize(
    ("live", "end"),
    [
        (report(3, audio(ACTIVE)), report(3, audio(ENDED))),
        (report(3, audio(ACTIVE)), report(3, streams_complete=True)),
        (report(3, fork(1, ACTIVE)), report(3, streams_complete=True)),
    ],
)
def test_of_an_end_and_a_live_word_from_one_instant_the_end_is_believed(live, end):
    assert not after(live, end).live_streams
    assert not after(end, live).live_streams
    assert not after(live, end, live).live_streams


def test_a_word_of_the_instant_of_a_former_end_is_no_word_about_the_new_life():
    view = after(report(3, audio(ENDED)), report(4, audio(ACTIVE)), report(3, audio(name="former")))

    assert view.live_in("phone").name is None


def test_a_word_that_shows_no_life_does_not_outlive_an_end():
    view = after(report(1, audio(ACTIVE)), report(5, audio(StreamState.UNKNOWN)), report(3, audio(ENDED)))

    assert not view.live_streams


def test_an_end_without_a_life_is_not_the_end_of_a_life_that_began_after_it():
    view = after(report(3, audio(ENDED)), report(4, audio(ACTIVE)), report(3, audio(ENDED)))

    assert [stream.id.life for stream in view.live_streams] == [1]


def test_a_numbered_life_ends_at_any_age_and_stays_ended():
    view, events = told(report(5, fork(1, ACTIVE)), report(2, fork(1, ENDED)), report(9, fork(1, ACTIVE)))

    assert kinds(events) == [StreamActive, StreamEnded]
    assert not view.live_streams
    assert view.streams[0].started_as_of == 5


def test_the_end_of_a_numbered_life_that_overtakes_its_start_is_told_and_the_start_opens_nothing():
    view, events = told(report(5, fork(1, ENDED, cause=BYE)), report(9, fork(1, ACTIVE, command_id="start")))

    assert kinds(events) == [StreamEnded]
    assert view.streams[0].command_id == "start"
    assert defeated(StartMedia(id="start", call="call", modality=Modality.AUDIO), view)


def test_the_next_numbered_life_of_a_slot_proves_the_end_of_the_former_one():
    view, events = told(report(1, fork(1, ACTIVE)), report(2, fork(2, STARTING)))

    assert kinds(events) == [StreamActive, StreamEnded, StreamStarting]
    assert [stream.id.life for stream in view.live_streams] == [2]


def test_a_former_life_keeps_its_own_cause_beside_its_successor():
    events = events_of(report(1, fork(1, ACTIVE)), report(2, fork(2, STARTING), fork(1, ENDED, cause=BYE)))

    assert events[1].termination.reason is TerminationReason.NORMAL


def test_a_numbered_life_below_the_newest_one_opens_nothing():
    assert [s.id.life for s in after(report(2, fork(2, ACTIVE)), report(1, fork(1, ACTIVE))).streams] == [2]


def test_a_former_numbered_life_that_ends_late_leaves_the_newer_one_alone():
    view = after(report(2, fork(2, ACTIVE)), report(1, fork(1, ENDED)))

    assert [(stream.id.life, stream.live) for stream in view.streams] == [(2, True), (1, False)]


@pytest.mark.parametrize(
    ("field", "early", "late"),
    [
        ("modality", Modality.AUDIO, Modality.VIDEO),
        ("transport", Transport.VOIP, Transport.PSTN),
        ("direction", MediaDirection.SEND, MediaDirection.BOTH),
        ("name", "one", "unknown"),
        ("native_state", "odd", "unknown"),
        ("command_id", "c1", "c2"),
        ("cause", BUSY, BYE),
    ],
)
def test_a_field_of_a_stream_yields_only_to_a_report_that_is_not_older(field, early, late):
    old, new = report(1, fork(1, ACTIVE, **{field: early})), report(2, fork(1, ACTIVE, **{field: late}))

    assert getattr(after(old, new).streams[0], field) == late
    assert getattr(after(new, old).streams[0], field) == late
    assert getattr(after(new, report(3, fork(1, ACTIVE))).streams[0], field) == late


@pytest.mark.parametrize(
    ("field", "known", "unknown"),
    [
        ("modality", Modality.AUDIO, Modality.UNKNOWN),
        ("transport", Transport.VOIP, Transport.UNKNOWN),
        ("direction", MediaDirection.SEND, MediaDirection.UNKNOWN),
        ("state", ACTIVE, StreamState.UNKNOWN),
    ],
)
def test_unknown_never_replaces_what_is_known_of_a_stream(field, known, unknown):
    view = after(
        report(1, replace(fork(1, ACTIVE), **{field: known})), report(2, replace(fork(1, ACTIVE), **{field: unknown}))
    )

    assert getattr(view.streams[0], field) is known


def test_a_stream_that_cannot_be_observed_stays_so():
    view = after(report(1, audio(STARTING, observable=False)), report(2, audio(STARTING)))

    assert view.streams[0].observable is False


# Why a stream ended


def test_a_stream_ends_for_the_reason_that_was_reported():
    view = after(
        report(1, audio(ACTIVE), state=CallState.CONNECTED), report(2, audio(ENDED, cause=BYE), source=Source.ANSWER)
    )
    termination = view.streams[0].termination

    assert (termination.reason, termination.scope) == (TerminationReason.NORMAL, Scope.STREAM)
    assert (termination.sip, termination.q850, termination.phase) == (200, 16, Phase.ESTABLISHED)
    assert view.streams[0].confirmed_by is Source.ANSWER
    assert not view.over


@pytest.mark.parametrize("cause", [None, UNSAID])
def test_a_stream_that_nobody_explains_ends_for_an_unknown_reason(cause):
    termination = after(report(1, audio(ACTIVE)), report(2, audio(ENDED, cause=cause))).streams[0].termination

    assert termination.reason is TerminationReason.UNKNOWN
    assert (termination.requested, termination.confidence) == (None, Confidence.UNKNOWN)


def test_what_we_asked_explains_the_end_of_a_stream():
    view = after(report(1, audio(ACTIVE), state=CallState.CONNECTED))
    view = ask(view, stop(target(view, "phone"), reason=TerminationReason.TIME_LIMIT, note="order 1"), since=1.0)
    termination = after(report(2, audio(ENDED)), view=view).streams[0].termination

    assert termination == Termination(
        reason=TerminationReason.TIME_LIMIT,
        by=EndedBy.APPLICATION,
        phase=Phase.ESTABLISHED,
        scope=Scope.STREAM,
        requested=TerminationReason.TIME_LIMIT,
        note="order 1",
        confidence=Confidence.DERIVED,
    )


def test_a_stop_without_a_reason_is_a_normal_end():
    view = after(report(1, audio(ACTIVE)))
    view = ask(view, stop(target(view, "phone")), since=1.0)
    termination = after(report(2, audio(ENDED)), view=view).streams[0].termination

    assert (termination.reason, termination.requested) == (TerminationReason.NORMAL, None)


def test_a_reported_reason_goes_before_what_we_asked_and_what_we_asked_stays_beside_it():
    view = after(report(1, audio(ACTIVE)))
    view = ask(view, stop(target(view, "phone"), reason=TerminationReason.TIME_LIMIT, note="n"), since=1.0)
    termination = after(report(2, audio(ENDED, cause=BUSY)), view=view).streams[0].termination

    assert (termination.reason, termination.by) == (TerminationReason.BUSY, EndedBy.UNKNOWN)
    assert (termination.requested, termination.note) == (TerminationReason.TIME_LIMIT, "n")
    assert termination.confidence is Confidence.REPORTED


def test_a_stop_of_one_stream_does_not_explain_the_end_of_another():
    view = after(report(1, audio(ACTIVE), fork(1, ACTIVE)))
    view = ask(view, stop(target(view, "phone"), reason=TerminationReason.TIME_LIMIT), since=1.0)

    assert after(report(2, fork(1, ENDED)), view=view).streams[1].termination.reason is TerminationReason.UNKNOWN


def test_hanging_up_explains_the_end_of_every_stream():
    view = ask(after(report(1, audio(ACTIVE))), hang_up(reason=TerminationReason.TRANSFERRED), since=1.0)
    termination = after(report(2, audio(ENDED)), view=view).streams[0].termination

    assert termination.reason is TerminationReason.TRANSFERRED


# The end


def test_an_end_with_its_cause_ends_the_call_after_its_streams():
    view, events = told(
        report(1, audio(ACTIVE), fork(1, STARTING), state=CallState.CONNECTED),
        report(2, state=CallState.ENDED, cause=BYE, source=Source.READ),
    )

    assert kinds(events[-3:]) == [StreamEnded, StreamEnded, CallEnded]
    assert (view.termination.reason, view.termination.scope) == (TerminationReason.NORMAL, Scope.CALL)
    assert (view.termination.sip, view.termination.q850) == (200, 16)
    assert (view.confirmed_by, view.ended_as_of, view.live_streams) == (Source.READ, 2, ())
    for stream in view.streams:
        assert (stream.ended_as_of, stream.confirmed_by) == (2, Source.READ)
        assert (stream.termination.scope, stream.termination.confidence) == (Scope.STREAM, Confidence.DERIVED)


def test_a_stream_that_has_ended_before_does_not_end_again():
    view, events = told(report(1, audio(ACTIVE)), report(2, audio(ENDED)), report(3, state=CallState.ENDED, cause=BYE))

    assert kinds(events) == [StreamActive, StreamEnded, CallEnded]
    assert view.streams[0].ended_as_of == 2


def test_a_report_that_ends_a_stream_and_the_call_gives_each_its_own_reason():
    events = events_of(report(1, audio(ACTIVE)), report(2, audio(ENDED, cause=BUSY), state=CallState.ENDED, cause=BYE))

    assert [event.termination.reason for event in events[1:]] == [TerminationReason.BUSY, TerminationReason.NORMAL]


def test_an_end_without_its_cause_waits_for_it():
    view, events = told(report(1, audio(ACTIVE)), report(2, state=CallState.ENDED))

    assert view.state is CallState.ENDED
    assert not view.over
    assert kinds(events) == [StreamActive]
    assert kinds(events_of(report(3, cause=BYE), view=view)) == [StreamEnded, CallEnded]


def test_an_end_that_is_reported_again_keeps_its_first_source_and_time():
    view = after(report(2, state=CallState.ENDED), report(3, state=CallState.ENDED, source=Source.READ))

    assert (view.ended_as_of, view.confirmed_by) == (2, Source.PUSH)


def test_a_cause_that_comes_before_the_end_waits_for_it():
    view, events = told(report(1, cause=BUSY), report(2, state=CallState.ENDED))

    assert kinds(events) == [CallEnded]
    assert view.termination.reason is TerminationReason.BUSY


def test_an_end_for_which_no_cause_will_ever_come_does_not_wait():
    view, events = told(report(1, state=CallState.ENDED, cause=UNSAID))

    assert kinds(events) == [CallEnded]
    assert view.termination.reason is TerminationReason.UNKNOWN


@pytest.mark.parametrize(
    ("first", "second", "kept"),
    [
        (report(1, cause=BUSY), report(2, cause=BYE), BYE),
        (report(2, cause=BYE), report(1, cause=BUSY), BYE),
        (report(1, cause=BYE), report(2, cause=UNSAID), BYE),
        (report(2, cause=UNSAID), report(1, cause=BYE), BYE),
    ],
)
def test_the_newest_cause_that_says_something_is_kept(first, second, kept):
    assert after(first, second).cause == kept


def test_a_phase_that_the_plugin_knows_better_is_kept():
    def knowing(cause, view):
        return Termination(reason=TerminationReason.BUSY, phase=Phase.ENDING)

    view, _ = fold(CallView(id="call"), report(1, audio(ACTIVE), state=CallState.ENDED, cause=BUSY), knowing)

    assert view.termination.phase is Phase.ENDING
    assert view.streams[0].termination.phase is Phase.ENDING


def test_protocol_codes_are_those_that_were_reported_and_no_others():
    def inventive(cause, view):
        return Termination(sip=603, q850=21)

    view, _ = fold(
        CallView(id="call"), report(1, audio(ACTIVE), state=CallState.ENDED, cause=Cause(dialect="wire")), inventive
    )

    assert (view.termination.sip, view.termination.q850) == (None, None)


def test_what_we_asked_of_the_call_is_part_of_its_termination():
    view = ask(after(report(1, state=CallState.RINGING)), hang_up(reason=TerminationReason.CANCELLED, note="n"), 1.0)
    termination = after(report(2, state=CallState.ENDED, cause=BYE), view=view).termination

    assert (termination.requested, termination.note) == (TerminationReason.CANCELLED, "n")


def test_what_we_asked_of_a_stream_is_part_of_its_termination_when_the_call_ends_with_it():
    view = after(report(1, audio(ACTIVE)))
    view = ask(view, stop(target(view, "phone"), reason=TerminationReason.TIME_LIMIT, note="n"), since=1.0)
    view = after(report(2, state=CallState.ENDED, cause=UNSAID), view=view)

    assert view.termination.requested is None
    assert view.streams[0].termination.requested is TerminationReason.TIME_LIMIT
    assert view.streams[0].termination.reason is TerminationReason.TIME_LIMIT


def test_nothing_follows_the_end_of_a_call():
    view = after(report(1, audio(ACTIVE)), report(2, state=CallState.ENDED, cause=BYE))
    late = report(
        9,
        audio(ACTIVE),
        state=CallState.CONNECTED,
        held=True,
        remote=Party("+1"),
        cause=BUSY,
        origin=Invitation(),
    )

    assert told(late, view=view) == (view, [])
    assert told(report(9, state=CallState.ENDED, cause=BUSY), view=view) == (view, [])
    assert conclude(view, explain) == (view, ())
    assert ask(view, hang_up(), since=9.0) is view
    assert settle(view, "any") is view


# Concluding


def test_an_end_whose_cause_never_came_is_concluded_as_unexplained():
    view = after(report(1, audio(ACTIVE)), report(2, state=CallState.ENDED))
    view, events = conclude(view, explain)

    assert kinds(events) == [StreamEnded, CallEnded]
    assert all(event.source is None and event.call is view for event in events)
    assert view.termination.reason is TerminationReason.UNKNOWN
    assert view.termination.confidence is Confidence.REPORTED


@pytest.mark.parametrize("confidence", [Confidence.INFERRED, Confidence.SYNTHETIC])
def test_a_concluded_end_says_how_sure_it_is_of_the_call_and_its_streams(confidence):
    view, _ = conclude(after(report(1, audio(ACTIVE), state=CallState.CONNECTED)), explain, confidence=confidence)

    assert view.state is CallState.ENDED
    assert view.termination.confidence is confidence
    assert view.streams[0].termination.confidence is confidence
    assert view.streams[0].confirmed_by is None


def test_a_stream_that_we_asked_to_stop_is_no_surer_ended_than_its_call():
    view = after(report(1, audio(ACTIVE)))
    view = ask(view, stop(target(view, "phone")), since=1.0)
    view, _ = conclude(view, explain, confidence=Confidence.SYNTHETIC)

    assert view.streams[0].termination.confidence is Confidence.SYNTHETIC


def test_a_cause_that_is_known_explains_a_concluded_end():
    view, _ = conclude(after(report(1, cause=BUSY)), explain, confidence=Confidence.INFERRED)

    assert view.termination.reason is TerminationReason.BUSY
    assert view.termination.sip == 486


def test_a_concluded_end_can_be_given_its_reason():
    orphaned = Termination(reason=TerminationReason.ORPHANED, by=EndedBy.BRIDGE, confidence=Confidence.SYNTHETIC)
    view, _ = conclude(after(report(1, state=CallState.RINGING)), explain, override=orphaned)

    assert view.termination == replace(orphaned, phase=Phase.ALERTING)


def test_life_after_a_concluded_end_contradicts_it_once():
    view, _ = conclude(after(report(1, state=CallState.RINGING)), explain, confidence=Confidence.INFERRED)
    view, events = told(report(5, state=CallState.CONNECTED), report(6, state=CallState.CONNECTED), view=view)

    assert kinds(events) == [EndContradicted]
    assert events[0].call is view
    assert (view.contradicted, view.state) == (True, CallState.ENDED)


@pytest.mark.parametrize(
    "late",
    [
        report(3, state=CallState.CONNECTED),
        report(2, state=CallState.CONNECTED),
        report(9, state=CallState.ENDED),
        report(9, state=CallState.UNKNOWN),
        report(9, held=True),
    ],
)
def test_only_life_that_is_newer_than_all_that_was_known_contradicts(late):
    view, _ = conclude(after(report(3, state=CallState.CONNECTED)), explain, confidence=Confidence.INFERRED)

    assert told(late, view=view) == (view, [])


def test_life_from_before_the_moment_of_the_end_does_not_contradict_it():
    view, _ = conclude(after(report(5, state=CallState.ENDED)), explain, confidence=Confidence.SYNTHETIC)

    assert events_of(report(5, state=CallState.ENDING), view=view) == []
    assert kinds(events_of(report(6, state=CallState.ENDING), view=view)) == [EndContradicted]


def test_a_reported_end_is_never_contradicted():
    view = after(report(1, state=CallState.ENDED, cause=BYE))

    assert events_of(report(9, state=CallState.CONNECTED), view=view) == []


# Asked


def test_what_was_asked_is_remembered_until_it_is_settled():
    view = ask(ask(CallView(id="call"), Hold(id="h", call="call"), 1.0), hang_up(), 2.0)

    assert [(asked.command.id, asked.since) for asked in view.asked] == [("h", 1.0), ("bye", 2.0)]
    assert [asked.command.id for asked in settle(view, "h").asked] == ["bye"]


def test_settling_what_was_not_asked_changes_nothing():
    view = ask(CallView(id="call"), hang_up(), 1.0)

    assert settle(view, "another") is view


def test_a_refused_hang_up_explains_nothing():
    view = settle(ask(after(report(1, audio(ACTIVE))), hang_up(), 1.0), "bye")

    assert after(report(2, audio(ENDED)), view=view).streams[0].termination.reason is TerminationReason.UNKNOWN


def test_asking_is_not_happening():
    view = ask(after(report(1, state=CallState.CONNECTED)), hang_up(), 1.0)

    assert view.state is CallState.CONNECTED


# Fulfilled and defeated

NEW = CallView(id="call")
NAMED = after(report(1, ref="r"))
RINGING = after(report(1, state=CallState.RINGING))
TALKING = after(report(1, audio(ACTIVE), state=CallState.CONNECTED))
HELD = after(report(2, held=True), view=TALKING)
RESUMED = after(report(3, held=False), view=HELD)
MUTED = after(report(2, muted=True), view=TALKING)
UNMUTED = after(report(3, muted=False), view=MUTED)
WAITING = after(report(4, state=CallState.ENDED), view=HELD)
DONE = after(report(4, state=CallState.ENDED, cause=BYE), view=RESUMED)
MISSED = after(report(4, state=CallState.ENDED, cause=BUSY), view=RINGING)
VIEWS = {
    "new": NEW,
    "named": NAMED,
    "ringing": RINGING,
    "talking": TALKING,
    "held": HELD,
    "resumed": RESUMED,
    "muted": MUTED,
    "unmuted": UNMUTED,
    "waiting": WAITING,
    "done": DONE,
    "missed": MISSED,
}
PHONE = StreamTarget(StreamId("phone", 1), Modality.AUDIO, Transport.UNKNOWN)
FLOWING = "talking held resumed muted unmuted"
OVER = "waiting done missed"
COMMANDS = [
    (Dial(id="call", call="call", to="+1"), "named ringing talking held resumed muted unmuted waiting done missed", ""),
    (Answer(id="x", call="call"), "talking held resumed muted unmuted waiting done", "missed"),
    (Reject(id="x", call="call"), OVER, ""),
    (Redirect(id="x", call="call", to="+1"), OVER, ""),
    (hang_up(), OVER, ""),
    (stop(PHONE), "new named ringing waiting done missed", ""),
    (StartMedia(id="x", call="call", modality=Modality.AUDIO), FLOWING, OVER),
    (StartMedia(id="x", call="call", modality=Modality.VIDEO), "", OVER),
    (Hold(id="x", call="call"), "held", OVER),
    (Resume(id="x", call="call"), "resumed", OVER),
    (Mute(id="x", call="call"), "muted", OVER),
    (Unmute(id="x", call="call"), "unmuted", OVER),
    (SendDigits(id="x", call="call", digits="1"), "", OVER),
]


@pytest.mark.parametrize(("command", "true_in", "lost_in"), COMMANDS, ids=lambda value: getattr(value, "name", None))
@pytest.mark.parametrize("name", VIEWS)
def test_a_command_is_fulfilled_by_facts_and_defeated_by_the_end(command, true_in, lost_in, name):
    assert fulfilled(command, VIEWS[name]) is (name in true_in.split())
    assert defeated(command, VIEWS[name]) is (name in lost_in.split())


@pytest.mark.parametrize(
    ("state", "observable", "flows"),
    [
        (OFFERED, True, False),
        (OFFERED, False, False),
        (STARTING, True, False),
        (STARTING, False, True),
        (ACTIVE, True, True),
        (ACTIVE, False, True),
    ],
)
def test_a_start_is_fulfilled_when_its_stream_flows_or_when_that_can_never_be_seen(state, observable, flows):
    start = StartMedia(id="s", call="call", modality=Modality.AUDIO)
    view = after(report(1, audio(state, observable=observable, command_id="s"), state=CallState.CONNECTED))

    assert fulfilled(start, view) is flows
    assert not defeated(start, view)


def test_a_start_is_not_fulfilled_by_the_stream_of_another_start():
    start = StartMedia(id="s", call="call", modality=Modality.AUDIO)

    assert not fulfilled(start, after(report(1, audio(ACTIVE, command_id="another"))))


def test_a_start_is_defeated_by_the_end_of_its_own_stream_only():
    start = StartMedia(id="s", call="call", modality=Modality.AUDIO)
    view = after(report(1, audio(STARTING, command_id="s")), report(2, audio(ENDED)))
    other = after(report(1, audio(STARTING, command_id="another")), report(2, audio(ENDED)))

    assert defeated(start, view)
    assert not defeated(start, other)


def test_a_stop_is_fulfilled_when_the_last_of_its_streams_has_ended():
    view = after(report(1, audio(ACTIVE), fork(1, ACTIVE)))
    command = stop(target(view, "phone"), target(view, "fork"))
    one_left = after(report(2, audio(ENDED)), view=view)

    assert not fulfilled(command, one_left)
    assert fulfilled(command, after(report(3, fork(1, ENDED)), view=one_left))


def test_a_stop_is_fulfilled_though_its_slot_lives_again():
    view = after(report(1, audio(ACTIVE)))

    assert fulfilled(stop(target(view, "phone")), after(report(2, audio(ENDED)), report(3, audio(ACTIVE)), view=view))


def test_a_report_that_says_nothing_takes_nothing_away() -> None:
    """Every field of the view survives a report that is silent about it."""
    silent = CallReport(source=Source.PUSH, as_of=9.0, ref="c1")
    known = CallView(
        id="call",
        provider="acme",
        ref="c1",
        direction=CallDirection.INBOUND,
        state=CallState.CONNECTED,
        native_state="up",
        reached=CallState.CONNECTED,
        announced=CallState.CONNECTED,
        answered=True,
        remote=Party("+1555"),
        local=Party("+1556"),
        held=False,
        muted=True,
        streams=(StreamView(id=StreamId("audio", 1)),),
        recordings=(RecordingView(id="r", slot="r"),),
        offered=frozenset({"hold"}),
        cause=Cause(dialect="words", code="busy"),
        decide_by=5.0,
        remote_sdp="v=0",
        asked=(Asked(HangUp(id="h", call="call"), 1.0),),
        confirmed_by=Source.READ,
        contradicted=True,
        created_at=1.0,
        ended_as_of=2.0,
        native={"status": "up"},
    )
    said_nothing_of = {field.name for field in fields(known) if getattr(known, field.name) == field.default}
    assert said_nothing_of == {"termination"}, "a new field of the view has no value here"

    view, events = fold(known, silent, explain)

    assert events == ()
    assert replace(view, stamps=known.stamps) == known
    assert view.native == known.native


def recorded(state: RecordingState, recording_id: str = "rec") -> CallView:
    return CallView(
        id="call", state=CallState.CONNECTED, recordings=(RecordingView(id=recording_id, slot="r1", state=state),)
    )


_OF = {"id": "x", "call": "call", "recording": "rec", "slot": "r1"}


@pytest.mark.parametrize(
    ("command", "true_in"),
    [
        (StartRecording(id="rec", call="call"), {"recording", "paused", "stopped", "completed"}),
        (PauseRecording(**_OF), {"paused"}),
        (ResumeRecording(**_OF), {"recording"}),
        (StopRecording(**_OF), {"stopped", "completed", "absent", "failed"}),
    ],
)
@pytest.mark.parametrize("state", list(RecordingState))
def test_a_command_about_a_recording_is_fulfilled_by_its_state(command, true_in, state) -> None:
    assert fulfilled(command, recorded(state)) is (state.value in true_in)
    assert not fulfilled(command, recorded(state, "another"))


@pytest.mark.parametrize("state", list(RecordingState))
def test_what_has_ended_is_neither_paused_nor_begun(state) -> None:
    view = recorded(state)
    over = state in (RecordingState.STOPPED, *(s for s in RecordingState if s.settled))

    assert defeated(PauseRecording(**_OF), view) is over
    assert defeated(StartRecording(id="rec", call="call"), view) is (
        state in (RecordingState.ABSENT, RecordingState.FAILED)
    )
    assert not defeated(StopRecording(**_OF), recorded(state, "another"))


def test_a_call_that_ends_defeats_what_was_not_begun() -> None:
    ended = replace(recorded(RecordingState.RECORDING, "another"), state=CallState.ENDED)

    assert defeated(StartRecording(id="rec", call="call"), ended)


def test_what_is_done_is_remembered_while_it_explains_the_end() -> None:
    transfer = Transfer(id="t", call="call", to="+1555", reason=TerminationReason.TRANSFERRED)
    view = ask(ask(CallView(id="call"), transfer, 1.0), Hold(id="h", call="call"), 2.0)
    assert view.asked_to_end is None

    done = mark_done(view, "t")

    assert done.done(transfer)
    assert done.asked_to_end is transfer
    assert [asked.done for asked in done.asked] == [True, False]
    assert mark_done(view, "nobody's") is view
    over = replace(view, termination=Termination())
    assert mark_done(over, "t") is over
