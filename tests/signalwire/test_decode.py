from __future__ import annotations

import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telco_bridge.provider import (
    CallState,
    CallView,
    Dialled,
    Invitation,
    MediaDirection,
    Modality,
    Party,
    RecordingState,
    Source,
    StreamState,
    TerminationReason,
    Transport,
)
from telco_bridge.recordings import fold_recording
from telco_bridge_laml.decode import (
    CALL,
    STREAM,
    ErrorAnswer,
    decode_call,
    decode_error,
    decode_invitation,
    decode_recording,
    decode_recording_event,
    decode_status,
    decode_stream,
    decode_stream_event,
    ended_stream,
    transfer_failure,
)
from telco_bridge_laml.wire import (
    CallPage,
    CallResource,
    DocumentRequest,
    RecordingCallback,
    RecordingResource,
    StatusCallback,
    StreamCallback,
    StreamResource,
    Unreadable,
    form_pairs,
    json_pairs,
    read_answer,
    read_callback,
)
from telco_bridge_signalwire.reasons import explain


def call_report(**fields):
    resource = CallResource.model_validate({"sid": "C", "status": "queued", **fields})
    return decode_call(resource, source=Source.READ, as_of=7.0)


def status_report(**fields):
    callback = StatusCallback.model_validate({"CallSid": "C", "CallStatus": "ringing", **fields})
    return decode_status(callback, as_of=7.0, call_id="call-1")


def stream_event(**fields):
    callback = StreamCallback.model_validate({"StreamSid": "S", "StreamEvent": "stream-started", **fields})
    return decode_stream_event(callback, as_of=7.0, call_id="call-1", command_id="cmd-1")


STATUSES = [
    ("queued", CallState.QUEUED, None),
    ("initiated", CallState.DIALING, None),
    ("ringing", CallState.RINGING, None),
    ("in-progress", CallState.CONNECTED, True),
    ("completed", CallState.ENDED, True),
    ("busy", CallState.ENDED, False),
    ("no-answer", CallState.ENDED, False),
    ("failed", CallState.ENDED, False),
    ("canceled", CallState.ENDED, False),
]


@pytest.mark.parametrize(("status", "state", "answered"), STATUSES)
def test_every_documented_status_has_a_state_and_says_whether_the_call_was_answered(status, state, answered):
    for report in (call_report(status=status), status_report(CallStatus=status)):
        assert (report.state, report.answered, report.native_state) == (state, answered, None)
        assert (report.cause is not None) == (state is CallState.ENDED)


@pytest.mark.parametrize("status", ["ringing_forwarded", "Completed", "paused", "0"])
def test_an_unknown_status_stays_unknown_with_its_word(status):
    for report in (call_report(status=status), status_report(CallStatus=status)):
        assert report.state is CallState.UNKNOWN
        assert report.native_state == status
        assert report.answered is None
        assert report.cause is None


def test_a_call_object_says_who_called_whom():
    report = call_report(direction="outbound", to="+15550100002", **{"from": "+15550100001"})

    assert report.source is Source.READ
    assert (report.ref, report.as_of, report.command_id) == ("C", 7.0, None)
    assert report.origin == Dialled()
    assert report.remote == Party("+15550100002")
    assert report.local == Party("+15550100001")


def test_an_inbound_call_object_has_its_ends_the_other_way_round():
    report = call_report(direction="inbound", to="+15550100001", caller_name="Ann", **{"from": "+15550100002"})

    assert report.origin == Invitation()
    assert report.remote == Party("+15550100002", "Ann")
    assert report.local == Party("+15550100001")


def test_an_inbound_call_object_may_lack_its_ends():
    report = call_report(direction="inbound")

    assert (report.remote, report.local) == (None, None)


@pytest.mark.parametrize("direction", [None, "", "sideways", 3])
def test_a_call_object_without_a_known_direction_says_nothing_of_its_ends(direction):
    report = call_report(direction=direction, to="+15550100002")

    assert (report.origin, report.remote, report.local) == (None, None, None)


def test_the_end_in_a_call_object_keeps_the_sip_code_as_reported():
    report = call_report(status="failed", sip_result_code="404")

    assert report.cause is not None
    assert (report.cause.dialect, report.cause.code, report.cause.sip) == (CALL, "failed", 404)
    assert report.cause.said


@pytest.mark.parametrize(
    ("code", "sip", "detail"),
    [
        (486, 486, {}),
        ("weird", None, {"SipResultCode": "weird"}),
        ("²²²", None, {"SipResultCode": "²²²"}),
        (None, None, {}),
        ([], None, {}),
    ],
)
def test_a_sip_code_may_be_a_number_or_anything(code, sip, detail):
    report = call_report(status="busy", sip_result_code=code)

    assert report.cause is not None
    assert report.cause.sip == sip
    assert report.cause.detail == detail


def test_a_status_callback_binds_by_the_token_of_our_url_and_by_its_sid():
    report = status_report(Direction="outbound-api", To="+15550100002", From="+15550100001")

    assert report.source is Source.PUSH
    assert (report.ref, report.command_id, report.as_of) == ("C", "call-1", 7.0)
    assert report.origin == Dialled()
    assert report.remote == Party("+15550100002")


def test_a_status_callback_alone_opens_no_inbound_call():
    report = status_report(Direction="inbound", From="+15550100002")

    assert report.origin is None
    assert report.remote == Party("+15550100002")


def test_the_end_in_a_callback_keeps_who_hung_up():
    report = status_report(
        CallStatus="busy",
        SipResultCode="486",
        SipInviteResultPhrase="Busy Here",
        HangupDirection="inbound",
        HangupBy="sip:+15550100002@carrier.example",
    )

    assert report.cause is not None
    assert (report.cause.code, report.cause.text, report.cause.sip) == ("busy", "Busy Here", 486)
    assert report.cause.detail == {"HangupDirection": "inbound", "HangupBy": "sip:+15550100002@carrier.example"}


def test_everything_that_came_is_kept_beside_the_report():
    assert call_report(price=None, annotation="x").native == {
        "sid": "C",
        "status": "queued",
        "price": None,
        "annotation": "x",
    }
    assert status_report(**{"Unique-ID": "U"}).native == {"CallSid": "C", "CallStatus": "ringing", "Unique-ID": "U"}


@pytest.mark.parametrize(
    ("status", "state"),
    [
        ("queued", StreamState.STARTING),
        ("in-progress", StreamState.ACTIVE),
        ("stopped", StreamState.ENDED),
        ("paused", StreamState.UNKNOWN),
    ],
)
@pytest.mark.parametrize("observable", [True, False])
def test_the_answer_to_a_start_or_stop_tells_of_one_stream(status, state, observable):
    resource = StreamResource.model_validate({"sid": "S", "status": status, "name": "tap"})

    report = decode_stream(resource, ref="C", as_of=7.0, observable=observable, command_id="cmd-1")

    assert (report.source, report.ref, report.state, report.streams_complete) == (Source.ANSWER, "C", None, False)
    (stream,) = report.streams
    assert (stream.slot, stream.life, stream.command_id, stream.name) == ("S", 1, "cmd-1", "tap")
    assert (stream.modality, stream.transport) == (Modality.AUDIO, Transport.WEBSOCKET)
    assert stream.direction is MediaDirection.RECEIVE
    assert (stream.state, stream.observable) == (state, observable)
    assert stream.native_state == (status if state is StreamState.UNKNOWN else None)
    assert stream.cause is None


def test_a_started_stream_is_active():
    report = stream_event(CallSid="C", StreamName="tap")

    assert (report.source, report.ref, report.command_id) == (Source.PUSH, "C", "call-1")
    (stream,) = report.streams
    assert (stream.slot, stream.life, stream.command_id, stream.name) == ("S", 1, "cmd-1", "tap")
    assert (stream.state, stream.cause) == (StreamState.ACTIVE, None)


def test_a_stopped_stream_has_ended():
    (stream,) = stream_event(StreamEvent="stream-stopped").streams

    assert stream.state is StreamState.ENDED
    assert stream.cause is not None
    assert (stream.cause.dialect, stream.cause.code) == (STREAM, "stream-stopped")


@pytest.mark.parametrize(("error", "code"), [("connection_refused", "connection_refused"), ("", "stream-error")])
def test_a_broken_stream_has_ended_with_its_error(error, code):
    (stream,) = stream_event(StreamEvent="stream-error", StreamError=error).streams

    assert stream.state is StreamState.ENDED
    assert stream.cause is not None
    assert stream.cause.code == code


def test_an_unknown_stream_event_stays_unknown_with_its_word():
    (stream,) = stream_event(StreamEvent="stream-paused").streams

    assert (stream.state, stream.native_state) == (StreamState.UNKNOWN, "stream-paused")


@pytest.mark.parametrize(
    ("body", "code", "messages"),
    [
        ({"code": 20404, "message": "Not found.", "more_info": "https://x", "status": 404}, "20404", ("Not found.",)),
        ({"errors": [{"code": "30010", "message": "Too dear", "more_info": "x"}]}, "30010", ("Too dear",)),
        ({"errors": ["Name is taken", "Url is invalid"]}, None, ("Name is taken", "Url is invalid")),
        ({"code": "21717", "message": "No", "status": 400}, "21717", ("No",)),
        (
            {"errors": [{"type": "validation_error", "code": "invalid_parameter", "message": "m"}]},
            "invalid_parameter",
            ("m",),
        ),
        ({"errors": [{"code": "1", "message": "a"}, {"code": "2", "message": "b"}]}, "1", ("a", "b")),
        ({"errors": {}, "message": " "}, None, ()),
        ({"code": True, "message": 5}, None, ()),
        ({"code": -1}, None, ()),
        ({"code": "  "}, None, ()),
        ({"code": "9" * 65}, None, ()),
        ([], None, ()),
        ("text", None, ()),
    ],
)
def test_every_shape_of_an_error_body_is_read(body, code, messages):
    assert decode_error(json.dumps(body).encode()) == ErrorAnswer(code, messages)


@pytest.mark.parametrize("body", [b"", b"<html>Bad Gateway</html>", b'{"code": 10000, "mess', b"\xff\xfe"])
def test_a_body_that_is_no_json_says_nothing(body):
    assert decode_error(body).empty


def test_messages_become_one_line():
    assert ErrorAnswer(None, ("a\n b", "c")).message == "a b c"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
NAMES = [
    "sid",
    "status",
    "direction",
    "to",
    "from",
    "name",
    "sip_result_code",
    "code",
    "message",
    "errors",
    "calls",
    "next_page_uri",
    "CallSid",
    "CallStatus",
    "Direction",
    "StreamSid",
    "StreamEvent",
    "StreamError",
    "SipResultCode",
    "HangupDirection",
    "ParentCallSid",
    "raw",
]
WORDS = st.sampled_from(
    [status for status, _, _ in STATUSES] + ["stopped", "stream-error", "stream-started", "inbound"]
)
OBJECTS = st.dictionaries(st.sampled_from(NAMES), JSON | WORDS)


@given(st.binary() | JSON.map(lambda value: json.dumps(value).encode()) | OBJECTS.map(lambda o: json.dumps(o).encode()))
def test_reading_and_decoding_answers_is_total(body):
    decode_error(body)
    for model in (CallResource, StreamResource, CallPage):
        try:
            answer = read_answer(model, "application/json", body)
        except Unreadable:
            continue
        if isinstance(answer, CallResource):
            decode_call(answer, source=Source.READ, as_of=0.0)
        elif isinstance(answer, StreamResource):
            decode_stream(answer, ref="C", as_of=0.0, observable=True)


@given(st.binary() | OBJECTS.map(lambda o: json.dumps(o).encode()))
def test_reading_and_decoding_callbacks_is_total(body):
    for read_pairs in (form_pairs, json_pairs):
        for model in (StatusCallback, StreamCallback):
            try:
                callback = read_callback(model, read_pairs(body))
            except Unreadable:
                continue
            if isinstance(callback, StatusCallback):
                decode_status(callback, as_of=0.0, call_id=None)
                continue
            with suppress(Unreadable):
                decode_stream_event(callback, as_of=0.0, call_id=None, command_id=None)


@pytest.mark.parametrize("fields", [{}, {"CallSid": ""}, {"CallSid": None}])
@pytest.mark.parametrize("call_id", [None, ""])
def test_a_stream_callback_that_names_no_call_is_unreadable(fields, call_id):
    callback = read_callback(StreamCallback, (("StreamSid", "S"), ("StreamEvent", "stream-started"), *fields.items()))

    with pytest.raises(Unreadable, match="neither CallSid nor our own token"):
        decode_stream_event(callback, as_of=0.0, call_id=call_id, command_id=None)


def test_huge_numbers_are_no_text():
    assert json_pairs(b'{"CallSid": 1' + b"0" * 40 + b', "b": 1.5, "c": true, "d": null}') == (
        ("b", "1.5"),
        ("c", "true"),
    )


def test_of_a_repeated_name_the_first_value_counts():
    callback = read_callback(StatusCallback, form_pairs(b"CallSid=C&CallStatus=busy&CallStatus=completed"))

    assert callback.status == "busy"


@pytest.mark.parametrize(
    ("content_type", "body", "why"),
    [
        ("text/html", b'{"sid":"C","status":"queued"}', "text/html, not JSON"),
        (None, b'{"sid":"C","status":"queued"}', "of no content type"),
        ("application/json", b'{"sid":"C","sta', "not valid JSON"),
        ("application/json", b"[]", "not an object but list"),
        ("application/json", b'{"sid":"C"}', "status"),
        ("application/json", b'{"sid":"","status":"queued"}', "sid"),
    ],
)
def test_an_unreadable_answer_says_how(content_type, body, why):
    with pytest.raises(Unreadable, match=why):
        read_answer(CallResource, content_type, body)


@pytest.mark.parametrize(
    "content_type", ["application/json", "Application/JSON; charset=utf-8", "application/problem+json"]
)
def test_json_is_known_by_its_content_type(content_type):
    assert read_answer(CallResource, content_type, b'{"sid":"C","status":"queued"}').sid == "C"


def test_a_form_that_is_not_utf8_or_too_large_is_unreadable():
    for body in (b"a=\xff", b"a=%FF", b"&".join([b"a=1"] * 2000)):
        with pytest.raises(Unreadable):
            form_pairs(body)


def test_a_page_of_something_else_is_unreadable():
    with pytest.raises(Unreadable, match=r"calls\.0"):
        read_answer(CallPage, "application/json", b'{"calls": [5]}')


def test_a_json_callback_that_is_no_object_is_unreadable():
    with pytest.raises(Unreadable, match="not a JSON object"):
        json_pairs(b"[]")


def test_a_stream_that_is_unknown_has_ended_and_nothing_else_is_said_of_it():
    report = ended_stream("S", ref="C", as_of=5.0)

    (stream,) = report.streams
    assert (stream.slot, stream.life, stream.state, stream.modality) == ("S", 1, StreamState.ENDED, None)
    assert (report.ref, report.as_of, report.state) == ("C", 5.0, None)


def test_a_late_word_of_the_beginning_does_not_end_a_pause():
    began = RecordingCallback.model_validate({"RecordingSid": "R", "RecordingStatus": "in-progress", "CallSid": "C"})
    paused = RecordingResource.model_validate({"sid": "R", "status": "paused", "duration": -1, "channels": "2"})
    view = CallView(id="call")

    for report in (
        decode_recording(paused, call="C", source=Source.ANSWER, as_of=5.0, command_id="cmd-1"),
        decode_recording_event(began, as_of=6.0, command_id="cmd-1"),
    ):
        view, _ = fold_recording(view, report)

    (recording,) = view.recordings
    assert (recording.id, recording.state, recording.seconds, recording.channels) == (
        "cmd-1",
        RecordingState.PAUSED,
        None,
        2,
    )


@pytest.mark.parametrize(
    ("status", "state"),
    [
        ("queued", RecordingState.STARTING),
        ("in-progress", RecordingState.RECORDING),
        ("resumed", RecordingState.RECORDING),
        ("paused", RecordingState.PAUSED),
        ("stopped", RecordingState.STOPPED),
        ("completed", RecordingState.COMPLETED),
        ("absent", RecordingState.ABSENT),
        ("failed", RecordingState.FAILED),
        ("levitating", RecordingState.UNKNOWN),
    ],
)
def test_every_status_of_a_recording_has_its_state(status, state):
    told = {"RecordingSid": "R", "RecordingStatus": status, "CallSid": "C", "RecordingDuration": "7"}
    report = decode_recording_event(RecordingCallback.model_validate(told), as_of=1.0, command_id=None)

    assert (report.state, report.seconds, report.ref) == (state, 7.0, "C")
    assert report.native_state == (status if state is RecordingState.UNKNOWN else None)


def test_a_recording_of_nothing_is_unreadable():
    nobody = RecordingCallback.model_validate({"RecordingSid": "R", "RecordingStatus": "completed"})

    with pytest.raises(Unreadable, match="which call"):
        decode_recording_event(nobody, as_of=1.0, command_id=None)


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"DialCallStatus": "completed"}, None),
        ({"DialCallStatus": "answered"}, None),
        ({"ReferCallStatus": "in-progress"}, None),
        ({"DialCallStatus": "busy"}, "busy"),
        ({"DialCallStatus": "no-answer", "DialSipResponseCode": "480"}, "no-answer"),
        ({"ReferCallStatus": "failed", "ReferSipResponseCode": "603"}, "failed"),
    ],
)
def test_a_transfer_has_failed_only_where_signalwire_says_so(fields, code):
    cause = transfer_failure(DocumentRequest.model_validate(fields))

    assert (cause.code if cause else None) == code
    if cause is not None:
        assert explain(cause, CallView(id="call")).reason is not TerminationReason.NORMAL


def test_a_transfer_of_which_nothing_is_said_was_taken_by_nobody_known():
    cause = transfer_failure(DocumentRequest.model_validate({}))

    assert cause is not None
    assert explain(cause, CallView(id="call")).reason is TerminationReason.UNKNOWN


def test_an_invitation_says_who_calls_whom_and_until_when_to_decide():
    fields = {"CallSid": "I", "CallStatus": "ringing", "From": "+15550199", "To": "+15550100001"}
    report = decode_invitation(StatusCallback.model_validate(fields), as_of=1.0, decide_by=21.0)

    assert (report.origin, report.state, report.decide_by) == (Invitation(), CallState.RINGING, 21.0)
    assert (report.remote, report.local) == (Party("+15550199"), Party("+15550100001"))


@pytest.mark.parametrize(
    ("duration", "seconds"), [("12", 12.0), ("-1", None), ("soon", None), ("inf", None), (None, None)]
)
def test_a_duration_that_is_none_is_unknown(duration, seconds):
    told = {"sid": "R", "status": "completed", "duration": duration}

    report = decode_recording(RecordingResource.model_validate(told), call="C", source=Source.READ, as_of=1.0)
    assert report.seconds == seconds
