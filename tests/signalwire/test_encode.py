from __future__ import annotations

from urllib.parse import unquote
from xml.etree.ElementTree import fromstring

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from telco_bridge.audio.formats import PCM16_16K
from telco_bridge.provider import (
    CallState,
    ConfigError,
    Dial,
    HangUp,
    MediaDirection,
    MediaEndpoint,
    Modality,
    Refused,
    Say,
    StartMedia,
    StopMedia,
    StreamId,
    StreamTarget,
    Transport,
    Unsupported,
)
from telco_bridge_laml import encode


def dialled(**fields) -> Dial:
    return Dial(**{"id": "call-1", "call": "call-1", "to": "+15550100002", **fields})


def started(**fields) -> StartMedia:
    return StartMedia(**{"id": "cmd-1", "call": "call-1", "ref": "C", "modality": Modality.AUDIO, **fields})


AUDIO = StreamTarget(StreamId("S", 1), Modality.AUDIO, Transport.WEBSOCKET)


def test_a_dial_names_both_ends_a_document_and_every_progress_event(config, host):
    request = encode.dial(dialled(ring_timeout=30.0), config, host.url)

    assert request.method == "POST"
    assert request.path == ("Calls",)
    assert request.form == (
        ("To", "+15550100002"),
        ("From", "+15550100001"),
        ("Url", "https://app.example.net/voice?call=call-1"),
        ("StatusCallback", "https://app.example.net/status?call=call-1"),
        ("StatusCallbackEvent", "initiated"),
        ("StatusCallbackEvent", "ringing"),
        ("StatusCallbackEvent", "answered"),
        ("StatusCallbackEvent", "completed"),
        ("Timeout", "30"),
    )


def test_a_dial_without_a_public_url_uses_the_configured_document(configure, deaf_host):
    config = configure(document_url="https://example.signalwire.com/laml-bins/1")

    request = encode.dial(dialled(), config, deaf_host.url)

    assert ("Url", "https://example.signalwire.com/laml-bins/1") in request.form
    assert "StatusCallback" not in dict(request.form)
    assert "StatusCallbackEvent" not in dict(request.form)


def test_a_dial_without_any_document_names_both_remedies(config, deaf_host):
    with pytest.raises(ConfigError, match=r"public URL, or set `document_url`"):
        encode.dial(dialled(), config, deaf_host.url)


@pytest.mark.parametrize("name", ["Url", "ApplicationSid", "Laml", "Twiml"])
def test_a_native_document_replaces_ours(config, deaf_host, name):
    request = encode.dial(dialled(native={name: "x"}), config, deaf_host.url)

    assert [pair for pair in request.form if pair[0] in ("Url", "ApplicationSid", "Laml", "Twiml")] == [(name, "x")]


def test_a_dial_without_a_caller_says_where_to_set_one(configure, host):
    with pytest.raises(ConfigError, match="caller_id"):
        encode.dial(dialled(), configure(caller_id=...), host.url)


def test_the_caller_of_a_dial_goes_before_the_configured_one(config, host):
    form = dict(encode.dial(dialled(caller_id="sip:me@example.net"), config, host.url).form)

    assert form["From"] == "sip:me@example.net"


@pytest.mark.parametrize(
    "to", ["+15550100", "+442079460000", "sip:answer@sandbox.test", "SIP:Bob@Example.org;transport=tls"]
)
def test_numbers_and_sip_addresses_are_dialled_as_they_are(config, host, to):
    assert ("To", to) in encode.dial(dialled(to=to), config, host.url).form


@pytest.mark.parametrize(
    "to",
    [
        "",
        "5550100",
        "+0123",
        "+1 555 0100",
        "+1555010000000000",
        "tel:+15550100",
        "sip:nobody",
        "sip:a b@c",
        "sips:a@b",
        "client:bob",
        "+1555010\n",
        "+\u0661\u0665\u0665",
    ],
)
def test_anything_else_is_refused_before_sending_with_the_forms_that_are_taken(config, host, to):
    with pytest.raises(Refused, match=r"E\.164.*sip:user@host") as refused:
        encode.dial(dialled(to=to), config, host.url)

    assert refused.value.code is None
    assert refused.value.status is None


def test_a_caller_that_is_no_number_is_refused(config, host):
    with pytest.raises(Refused, match="cannot call from 'Anonymous'"):
        encode.dial(dialled(caller_id="Anonymous"), config, host.url)


@pytest.mark.parametrize(("seconds", "sent"), [(1, "1"), (1.0, "1"), (60.0, "60"), (600, "600")])
def test_a_ring_timeout_is_sent_in_whole_seconds(config, host, seconds, sent):
    assert ("Timeout", sent) in encode.dial(dialled(ring_timeout=seconds), config, host.url).form


@pytest.mark.parametrize("seconds", [0, 0.5, 30.5, 601, -1, float("inf"), float("nan")])
def test_other_ring_timeouts_are_refused(config, host, seconds):
    with pytest.raises(Refused, match="whole seconds from 1 to 600"):
        encode.dial(dialled(ring_timeout=seconds), config, host.url)


@pytest.mark.parametrize("fields", [{"offer": "v=0"}, {"modalities": frozenset({Modality.AUDIO, Modality.VIDEO})}])
def test_a_dial_with_own_media_is_unsupported(config, host, fields):
    with pytest.raises(Unsupported, match="audio of its own"):
        encode.dial(dialled(**fields), config, host.url)


def test_native_parameters_are_passed_through_in_their_forms(config, host):
    native = {"Record": True, "Trim": "do-not-trim", "MachineDetectionTimeout": 20, "Example": ["a", "b"]}

    form = encode.dial(dialled(native=native), config, host.url).form

    assert form[-5:] == (
        ("Record", "true"),
        ("Trim", "do-not-trim"),
        ("MachineDetectionTimeout", "20"),
        ("Example", "a"),
        ("Example", "b"),
    )


@pytest.mark.parametrize("name", ["ring_timeout", "machineDetection", "", "To=x", "StartTime<"])
def test_a_native_name_that_is_not_pascal_case_is_refused(config, host, name):
    with pytest.raises(Refused, match="PascalCase"):
        encode.dial(dialled(native={name: "x"}), config, host.url)


@pytest.mark.parametrize("name", ["To", "From", "Timeout", "StatusCallback", "StatusCallbackEvent"])
def test_a_native_name_that_the_bridge_sets_is_refused(config, host, name):
    with pytest.raises(Refused, match=f"{name}: the bridge sets it"):
        encode.dial(dialled(native={name: "x"}), config, host.url)


def test_a_native_value_without_a_form_is_refused_without_quoting_it(config, host):
    with pytest.raises(Refused, match="SipAuthPassword: dict") as refused:
        encode.dial(dialled(native={"SipAuthPassword": {"secret": 1}}), config, host.url)

    assert "secret" not in str(refused.value)


@pytest.mark.parametrize(
    ("state", "words"),
    [
        (CallState.QUEUED, ("canceled", "completed")),
        (CallState.DIALING, ("canceled", "completed")),
        (CallState.RINGING, ("canceled", "completed")),
        (CallState.CONNECTED, ("completed", "canceled")),
        (None, ("completed", "canceled")),
    ],
)
def test_a_call_is_cancelled_before_the_answer_and_completed_otherwise(state, words):
    assert encode.end_words(state) == words


def test_a_hang_up_updates_the_call():
    request = encode.hang_up(HangUp(id="h", call="call-1", ref="C"), status="completed")

    assert (request.method, request.path, request.form) == ("POST", ("Calls", "C"), (("Status", "completed"),))


def test_a_call_without_a_name_cannot_be_hung_up():
    with pytest.raises(Refused, match="has not named the call"):
        encode.hang_up(HangUp(id="h", call="call-1"), status="completed")


def test_a_stream_is_a_copy_of_both_tracks_under_the_commands_name(config, host):
    request = encode.start(started(), config, host.url)

    assert request.method == "POST"
    assert request.path == ("Calls", "C", "Streams")
    assert request.form == (
        ("Url", "wss://media.example.net/in"),
        ("Name", "cmd-1"),
        ("Track", "both_tracks"),
        ("StatusCallback", "https://app.example.net/stream?call=call-1&command=cmd-1"),
    )


def test_a_stream_goes_where_the_command_says_under_the_name_it_gives(config, deaf_host):
    form = encode.start(started(to="wss://other.example.net/x", stream_name="tap"), config, deaf_host.url).form

    assert form == (("Url", "wss://other.example.net/x"), ("Name", "tap"), ("Track", "both_tracks"))


def test_a_native_track_replaces_the_default(config, deaf_host):
    native = {"Track": "inbound_track", "Parameter1.Name": "room", "Parameter1.Value": 7}

    form = encode.start(started(native=native), config, deaf_host.url).form

    assert form[2:] == (("Track", "inbound_track"), ("Parameter1.Name", "room"), ("Parameter1.Value", "7"))


@pytest.mark.parametrize("direction", [None, MediaDirection.RECEIVE, MediaDirection.UNKNOWN])
def test_a_copy_is_received(config, host, direction):
    assert ("Track", "both_tracks") in encode.start(started(direction=direction), config, host.url).form


@pytest.mark.parametrize("direction", [MediaDirection.SEND, MediaDirection.BOTH, MediaDirection.NONE])
def test_a_copy_cannot_send(config, host, direction):
    with pytest.raises(Unsupported, match="a copy of its audio"):
        encode.start(started(direction=direction), config, host.url)


@pytest.mark.parametrize("fields", [{"modality": Modality.VIDEO}, {"offer": "v=0"}])
def test_other_media_cannot_be_started(config, host, fields):
    with pytest.raises(Unsupported, match="audio only"):
        encode.start(started(**fields), config, host.url)


def test_a_stream_to_nowhere_is_unsupported_with_the_remedy(configure, host):
    with pytest.raises(Unsupported, match="stream_url"):
        encode.start(started(), configure(stream_url=...), host.url)


@pytest.mark.parametrize(
    ("to", "why"),
    [
        ("ws://media.example.net/in", "must be wss://"),
        ("https://media.example.net/in", "not an absolute wss://"),
        ("/relative", "not an absolute wss://"),
        ("wss://[broken/in", "not an absolute wss://"),
        ("wss://media.example.net/in?a=1", "query string"),
        ("wss://media.example.net/in#a", "query string"),
        ("wss://media.example.net/i n", "white space"),
    ],
)
def test_a_stream_address_that_signalwire_refuses_is_not_sent(config, host, to, why):
    with pytest.raises(Refused, match=why):
        encode.start(started(to=to), config, host.url)


@pytest.mark.parametrize("to", ["ws://127.0.0.1:9000/in", "ws://localhost/in", "ws://[::1]:1/in"])
def test_a_stream_may_go_unencrypted_to_loopback(config, host, to):
    assert ("Url", to) in encode.start(started(to=to), config, host.url).form


def test_a_stop_names_the_stream_by_its_sid():
    command = StopMedia(id="s", call="call-1", ref="C", streams=(AUDIO,))

    request = encode.stop(command, AUDIO)

    assert request.method == "POST"
    assert request.path == ("Calls", "C", "Streams", "S")
    assert request.form == (("Status", "stopped"),)


def test_a_stop_of_video_is_unsupported():
    video = StreamTarget(StreamId("S", 1), Modality.VIDEO, Transport.UNKNOWN)

    with pytest.raises(Unsupported, match="no video"):
        encode.stop(StopMedia(id="s", call="call-1", ref="C", streams=(video,)), video)


def test_lists_ask_for_full_pages_of_one_status():
    assert encode.list_calls(status="in-progress").query == (("Status", "in-progress"), ("PageSize", "1000"))
    assert encode.list_calls(page_size=1).query == (("PageSize", "1"),)


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1))
def test_an_identity_stays_one_part_of_the_path(sid):
    path = encode.read(sid).encoded_path

    assert path.startswith("Calls/")
    part = path.removeprefix("Calls/")
    assert not set(part) & set("/?#.&= ")
    assert unquote(part) == sid


def endpoint(*, direction=MediaDirection.RECEIVE, required=True, url="wss://app.example.net/media/7f", form=PCM16_16K):
    return MediaEndpoint(
        id="7f",
        url=url,
        bearer=SecretStr("the-bearer"),
        secret_url=None,
        direction=direction,
        format=form,
        required=required,
    )


def test_a_copy_to_the_bridge_shows_its_token(config, host):
    request = encode.start(started(endpoint=endpoint()), config, host.url)

    assert ("Url", "wss://app.example.net/media/7f") in request.form
    assert ("AuthorizationBearerToken", "the-bearer") in request.form
    assert "the-bearer" not in repr(request)


def test_the_application_itself_hears_even_where_another_place_is_configured(configure, host):
    config = configure(stream_url="wss://media.example.net/in")

    assert ("Url", "wss://app.example.net/media/7f") in encode.start(
        started(endpoint=endpoint()), config, host.url
    ).form


def test_a_place_that_nobody_waits_at_is_used_where_there_is_no_other(configure, host):
    nobody = endpoint(required=False)

    def url(config, **fields):
        return dict(encode.start(started(endpoint=nobody, **fields), config, host.url).form)["Url"]

    assert url(configure(stream_url="wss://media.example.net/in")) == "wss://media.example.net/in"
    assert url(configure(stream_url=...), to="wss://other.example.net/x") == "wss://other.example.net/x"
    assert url(configure(stream_url=...)) == "wss://app.example.net/media/7f"


def test_audio_cannot_come_to_a_bridge_that_nobody_can_reach(config, deaf_host):
    with pytest.raises(ConfigError, match=r"Set web\.public_url"):
        encode.start(started(endpoint=endpoint(url=None)), config, deaf_host.url)
    both = endpoint(url=None, direction=MediaDirection.BOTH)
    with pytest.raises(ConfigError, match=r"Set web\.public_url"):
        encode.connection(started(endpoint=both), both, config, deaf_host.url)


def test_a_call_is_connected_both_ways_by_a_document_of_ours(config, host):
    both = endpoint(direction=MediaDirection.BOTH)

    verb = encode.connection(started(endpoint=both), both, config, host.url)

    stream = fromstring(str(verb)).find("Stream")
    assert stream is not None
    assert stream.attrib == {
        "url": "wss://app.example.net/media/7f",
        "name": "cmd-1",
        "codec": "L16@16000h",
        "realtime": "true",
        "authBearerToken": "the-bearer",
        "statusCallback": "https://app.example.net/stream?call=call-1&command=cmd-1",
    }


def test_a_document_takes_no_parameters_of_a_request(config, host):
    both = endpoint(direction=MediaDirection.BOTH)

    with pytest.raises(Refused, match="no native parameters"):
        encode.connection(started(endpoint=both, native={"Track": "inbound_track"}), both, config, host.url)


def test_a_call_is_not_connected_to_an_address_that_signalwire_refuses(config, host):
    both = endpoint(direction=MediaDirection.BOTH, url="ws://app.example.net/media/7f")

    with pytest.raises(Refused, match="must be wss://"):
        encode.connection(started(endpoint=both), both, config, host.url)


def test_a_call_fetches_another_document_of_the_bridge(host, deaf_host):
    command = Say(id="s", call="call-1", ref="C", text="hello")

    request = encode.fetch(command, host.url, command="s")

    assert request.path == ("Calls", "C")
    assert request.form == (("Url", "https://app.example.net/voice?call=call-1&command=s"), ("Method", "POST"))
    with pytest.raises(ConfigError, match=r"set web\.public_url"):
        encode.fetch(command, deaf_host.url)
