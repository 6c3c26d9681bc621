"""Netstrings and JSON, in whatever pieces they arrive."""

import itertools
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telco_bridge_baresip.wire import Event, Frames, Reply, Unreadable, frame, read_message, request


@given(payloads=st.lists(st.binary(max_size=300), max_size=8), cuts=st.lists(st.integers(0, 3000), max_size=12))
def test_payloads_come_out_as_they_went_in_however_the_stream_is_cut(payloads: list[bytes], cuts: list[int]) -> None:
    stream = b"".join(frame(payload) for payload in payloads)
    places = sorted({0, len(stream), *(cut for cut in cuts if cut < len(stream))})

    frames = Frames()
    heard = [p for a, b in itertools.pairwise(places) for p in frames.feed(stream[a:b])]

    assert heard == payloads


@given(st.binary(max_size=200))
def test_any_bytes_are_payloads_or_unreadable_and_nothing_else(data: bytes) -> None:
    try:
        payloads = list(Frames().feed(data))
    except Unreadable:
        return

    assert data.startswith(b"".join(frame(payload) for payload in payloads))


@pytest.mark.parametrize("data", [b"x:", b"01:a,", b"3:abc;", b"9999999:", b"12345678901", b"-1:,"])
def test_what_is_no_netstring_is_unreadable(data: bytes) -> None:
    with pytest.raises(Unreadable):
        list(Frames().feed(data))


def test_what_was_complete_before_the_damage_is_still_told() -> None:
    heard: list[bytes] = []

    with pytest.raises(Unreadable):
        heard.extend(Frames().feed(b"2:ab,?"))
    frames = Frames().feed(b"2:ab,?")

    assert next(frames) == b"ab"


def test_a_request_is_one_netstring_with_strings_only() -> None:
    (payload,) = Frames().feed(request("dial", "sip:a@b", "7"))

    assert json.loads(payload) == {"command": "dial", "params": "sip:a@b", "token": "7"}


def test_a_request_without_parameters_has_none() -> None:
    (payload,) = Frames().feed(request("hangup", None, "8"))

    assert json.loads(payload) == {"command": "hangup", "token": "8"}


@pytest.mark.parametrize("params", ["sip:a@b\r\nhangup", "sip:ä@b", "sip:" + "a" * 1000, "\x00"])
def test_what_baresip_would_read_otherwise_is_not_sent(params: str) -> None:
    with pytest.raises(Unreadable):
        request("dial", params, "1")


def test_a_reply_says_whether_it_is_ok_and_what_it_answers() -> None:
    assert read_message(b'{"response":true,"ok":false,"data":"Invalid argument","token":"3"}') == Reply(
        ok=False, data="Invalid argument", token="3"
    )


def test_an_event_keeps_its_fields_and_the_rest() -> None:
    event = read_message(
        b'{"event":true,"type":"CALL_CLOSED","class":"call","accountaor":"sip:us@h","direction":"incoming",'
        b'"peeruri":"sip:bob@h","peerdisplayname":"Bob","id":"73a1","param":"Connection reset by peer"}'
    )

    assert isinstance(event, Event)
    assert (event.type, event.id, event.account, event.direction) == ("CALL_CLOSED", "73a1", "sip:us@h", "incoming")
    assert (event.peer, event.peer_name, event.param) == ("sip:bob@h", "Bob", "Connection reset by peer")
    assert event.raw["class"] == "call"


def test_a_name_in_another_encoding_does_not_hide_the_event() -> None:
    event = read_message(b'{"event":true,"type":"CALL_INCOMING","id":"1","peerdisplayname":"J\xf6rg"}')

    assert isinstance(event, Event)
    assert event.peer_name == "J\N{REPLACEMENT CHARACTER}rg"


@pytest.mark.parametrize(
    "payload", [b"", b"[]", b"{", b'{"response":true}', b'{"event":true}', b'{"event":false}', b"3", b"[" * 5000]
)
def test_what_is_neither_reply_nor_event_is_unreadable(payload: bytes) -> None:
    with pytest.raises(Unreadable):
        read_message(payload)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: (
            st.lists(inner) | st.dictionaries(st.sampled_from(("response", "event", "ok", "type", "id")), inner)
        ),
    )
)
def test_any_json_is_a_message_or_unreadable(value: object) -> None:
    try:
        message = read_message(json.dumps(value).encode())
    except Unreadable:
        return

    assert isinstance(message, Reply | Event)
