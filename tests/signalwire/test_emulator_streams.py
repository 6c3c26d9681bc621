"""Streams: REST and cXML orders, the WebSocket, the callbacks."""

from __future__ import annotations

import pytest

from telco_bridge.sandbox.emulator import Fault
from telco_bridge.sandbox.sink import StreamSink
from telco_bridge.serving import Server
from telco_bridge_signalwire.emulator import Switches


def start(rest, call, url, **form):
    form = {"Url": url, "StatusCallback": f"{rest.application.url}/stream", **form}
    return rest.post(f"Calls/{call}/Streams", **form)


def test_a_stream_is_queued_then_connects_and_starts(rest, application, sink):
    call = rest.answered()
    answer = start(rest, call, sink.url, Name="tap1", **{"Parameter1.Name": "room", "Parameter1.Value": "7"})

    stream = answer.json()
    assert answer.status_code == 200
    assert stream.keys() == {"sid", "account_sid", "call_sid", "name", "status", "date_updated", "uri"}
    assert (stream["status"], stream["name"], stream["call_sid"]) == ("queued", "tap1", call)
    told = application.wait("/stream", "stream-started").fields
    assert told.keys() == {
        *("AccountSid", "CallSid", "StreamSid", "StreamName", "StreamEvent", "StreamTrack", "Timestamp", "Unique-ID"),
    }
    assert (told["StreamSid"], told["StreamTrack"], told["Unique-ID"]) == (stream["sid"], "both_tracks", call)
    assert told["Timestamp"].endswith("Z")
    assert sink.wait_for(lambda s: s.connections and len(s.connections[0].messages) >= 2)
    connected, started = sink.connections[0].messages[:2]
    assert connected == {"event": "connected", "protocol": "Call", "version": "0.2.0"}
    assert started["sequenceNumber"] == "1"
    assert started["start"] == {
        "streamSid": stream["sid"],
        "accountSid": rest.emulator.project,
        "callSid": call,
        "tracks": ["inbound", "outbound"],
        "customParameters": {"room": "7"},
        "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
    }


def test_a_stream_shows_its_bearer_token(rest, application):
    guarded = StreamSink(bearer="open-sesame")
    with Server(guarded, started=guarded.started, stopped=guarded.stopped):
        call = rest.answered()
        start(rest, call, guarded.url, Name="with", AuthorizationBearerToken="open-sesame")
        application.wait("/stream", "stream-started")
        start(rest, call, guarded.url, Name="without")

        refused = application.wait("/stream", "stream-error").fields
    assert guarded.connections[0].headers["authorization"] == "Bearer open-sesame"
    assert (refused["StreamName"], refused["StreamError"]) == ("without", "connection_refused")
    assert "open-sesame" not in repr(rest.emulator.wire.records())


@pytest.mark.parametrize("key", ["sid", "name"])
def test_a_stream_is_stopped_by_sid_or_name_and_the_call_goes_on(rest, application, sink, key):
    call = rest.answered()
    stream = start(rest, call, sink.url, Name="tap1").json()
    application.wait("/stream", "stream-started")
    answer = rest.post(f"Calls/{call}/Streams/{stream[key]}", Status="stopped")

    assert (answer.status_code, answer.json()["status"], answer.json()["sid"]) == (200, "stopped", stream["sid"])
    application.wait("/stream", "stream-stopped")
    assert sink.wait_for(lambda s: s.connections[0].closed)
    last = sink.connections[0].messages[-1]
    assert last == {"event": "stop", "sequenceNumber": str(len(sink.connections[0].messages) - 1)}
    assert rest.call(call)["status"] == "in-progress"


def test_a_stream_without_a_name_is_named_by_its_sid(rest, sink):
    stream = start(rest, rest.answered(), sink.url).json()

    assert stream["name"] == stream["sid"]


@pytest.mark.parametrize("form", [{}, {"Status": ""}, {"Status": "paused"}])
def test_a_stop_without_the_only_status_is_refused(rest, sink, form):
    call = rest.answered()
    stream = start(rest, call, sink.url).json()
    answer = rest.post(f"Calls/{call}/Streams/{stream['sid']}", **form)

    assert (answer.status_code, answer.json()["code"]) == (422, 10000)


def test_the_status_may_be_in_the_query(rest, sink):
    call = rest.answered()
    stream = start(rest, call, sink.url).json()
    answer = rest.http.post(f"{rest.base}/Calls/{call}/Streams/{stream['sid']}", params={"Status": "stopped"})

    assert answer.json()["status"] == "stopped"


@pytest.mark.parametrize(("code", "status"), [(20404, 404), (21220, 422), (10000, 422)])
def test_stopping_a_stopped_stream_is_refused_as_switched(rest_with, sink, code, status):
    rest = rest_with(switches=Switches(stopped_stream=code))
    call = rest.answered()
    path = f"Calls/{call}/Streams/{start(rest, call, sink.url).json()['sid']}"
    rest.post(path, Status="stopped")
    again = rest.post(path, Status="stopped")

    assert (again.status_code, again.json()["code"]) == (status, code)


@pytest.mark.parametrize(
    "url",
    [
        "https://media.example.net/in",
        "ws://media.example.net/in",
        "wss://media.example.net/a b",
        "wss://media.example.net/in?room=7",
        "wss://",
        "in",
    ],
)
def test_a_stream_to_a_bad_address_is_refused(rest, url):
    answer = start(rest, rest.answered(), url)

    assert (answer.status_code, answer.json()["code"]) == (422, 31922)


def test_an_unencrypted_stream_is_refused_without_the_setting(rest_with, sink):
    rest = rest_with(allow_loopback_ws=False)

    assert start(rest, rest.answered(), sink.url).json()["code"] == 31922


@pytest.mark.parametrize("form", [{"Url": ""}, {"Track": "left"}])
def test_other_bad_parameters_are_refused(rest, sink, form):
    answer = start(rest, rest.answered(), form.pop("Url", sink.url), **form)

    assert (answer.status_code, answer.json()["code"]) == (422, 10000)


def test_a_live_name_is_taken(rest, sink):
    call = rest.answered()
    first = start(rest, call, sink.url, Name="tap1").json()
    taken = start(rest, call, sink.url, Name="tap1")
    rest.post(f"Calls/{call}/Streams/{first['sid']}", Status="stopped")

    assert taken.json()["code"] == 10000
    assert start(rest, call, sink.url, Name="tap1").status_code == 200


def test_only_an_answered_call_streams(rest, application, sink):
    call = rest.dial("+15550103")
    application.wait("/status", "ringing")
    answer = start(rest, call, sink.url)

    assert (answer.status_code, answer.json()["code"]) == (422, 21220)


def test_streams_cannot_be_read(rest, sink):
    call = rest.answered()
    stream = start(rest, call, sink.url).json()

    assert rest.get(f"Calls/{call}/Streams").status_code == 404
    assert rest.get(f"Calls/{call}/Streams/{stream['sid']}").json()["code"] == 20404
    assert rest.post(f"Calls/{call}/Streams/nobody", Status="stopped").json()["code"] == 20404
    assert rest.post("Calls/nobody/Streams", Url=sink.url).json()["code"] == 20404


def test_the_end_of_the_call_stops_its_streams(rest, application, sink):
    call = rest.answered()
    start(rest, call, sink.url)
    application.wait("/stream", "stream-started")
    rest.post(f"Calls/{call}", Status="completed")

    application.wait("/stream", "stream-stopped")
    assert sink.wait_for(lambda s: s.connections[0].events[-1:] == ("stop",))
    assert sink.connections[0].events[:2] == ("connected", "start")


@pytest.mark.parametrize(("code", "word"), [(1000, "stream-stopped"), (1011, "stream-error")])
def test_a_stream_closed_by_the_application_leaves_the_call(rest, application, sink, code, word):
    call = rest.answered()
    start(rest, call, sink.url)
    application.wait("/stream", "stream-started")
    sink.connections[0].close(code)

    application.wait("/stream", word)
    assert rest.call(call)["status"] == "in-progress"


def test_a_refused_upgrade_is_a_stream_error(rest, application, sink):
    sink.refusing = True
    answer = start(rest, rest.answered(), sink.url)

    assert answer.json()["status"] == "queued"
    assert application.wait("/stream", "stream-error").fields["StreamError"] == "connection_refused"


def test_nobody_listening_is_a_stream_error(rest, application):
    start(rest, rest.answered(), "ws://127.0.0.1:9/media")

    assert application.wait("/stream", "stream-error").fields["StreamError"] == "connection_refused"


def test_the_network_can_refuse_the_stream(rest, application, sink):
    rest.emulator.faults.inject(Fault.REFUSE_STREAM, on="POST Streams")
    start(rest, rest.answered(), sink.url)

    application.wait("/stream", "stream-error")
    assert sink.connections == ()


def test_a_document_starts_and_stops_streams(rest, application, sink):
    application.documents["/voice"] = (
        f'<Response><Start><Stream url="{sink.url}" name="tap" statusCallback="{application.url}/stream">'
        '<Parameter name="room" value="7"/></Stream></Start><Pause length="4"/>'
        '<Stop><Stream name="tap"/></Stop><Pause length="3600"/></Response>'
    )
    call = rest.answered()

    started = application.wait("/stream", "stream-started").fields
    assert started["StreamTrack"] == "inbound_track"
    application.wait("/stream", "stream-stopped")
    assert sink.wait_for(lambda s: len(s.connections[0].messages) >= 2)
    assert sink.connections[0].messages[1]["start"]["tracks"] == ["inbound"]
    assert sink.connections[0].messages[1]["start"]["customParameters"] == {"room": "7"}
    assert rest.call(call)["status"] == "in-progress"


@pytest.mark.parametrize(
    ("attributes", "error"),
    [
        ("", "missing_url"),
        ('url="http://127.0.0.1/in"', "invalid_url"),
        ('url="wss://media.example.net/in" track="left"', "invalid_track"),
    ],
)
def test_a_bad_stream_of_a_document_is_a_stream_error(rest, application, attributes, error):
    callback = f'statusCallback="{application.url}/stream"'
    application.documents["/voice"] = (
        f'<Response><Start><Stream {attributes} {callback}/></Start><Pause length="3600"/></Response>'
    )
    rest.dial()

    assert application.wait("/stream", "stream-error").fields["StreamError"] == error
