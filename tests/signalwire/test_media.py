"""SignalWire's media messages, translated: what it documents, what it leaves open, and what nobody should send."""

from __future__ import annotations

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telco_bridge.audio.formats import ALAW_8K, MULAW_8K, PCM16_8K, PCM16_16K, PCM16_24K, AudioFormat, Encoding
from telco_bridge.provider import (
    Clear,
    MediaHeard,
    MediaOpened,
    MediaStopped,
    PlayAudio,
    PlayMark,
    PressDigit,
    ReachedMark,
    RemoteDigit,
    Track,
    Unintelligible,
)
from telco_bridge_laml.media import LamlMedia
from telco_bridge_signalwire.dialect import codec

SID = "5d2f7e0a-0f0e-4a51-9d5a-1f6b6b1d1c11"


def start(**form: object) -> str:
    """The message that begins a stream."""
    media = {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1, **form}
    inner = {"streamSid": SID, "accountSid": "a", "callSid": "c", "tracks": ["inbound"], "mediaFormat": media}
    return json.dumps({"event": "start", "sequenceNumber": "1", "start": inner})


def wire() -> LamlMedia:
    """A connection that has begun."""
    begun = LamlMedia()
    begun.decode(start())
    return begun


def said(message: dict[str, object] | str) -> tuple[object, ...]:
    return tuple(wire().decode(message if isinstance(message, str) else json.dumps(message)))


def sent(order: PlayAudio | PlayMark | Clear | PressDigit) -> object:
    message = wire().encode(order)
    assert message is not None
    return json.loads(message)


@pytest.mark.parametrize(
    ("form", "given"),
    [
        ({}, MULAW_8K),
        ({"encoding": "audio/x-l16", "sampleRate": 16000}, PCM16_16K),
        ({"encoding": "audio/x-L16", "sampleRate": 24000}, PCM16_24K),
        ({"encoding": "audio/x-alaw"}, ALAW_8K),
        ({"sampleRate": "8000"}, MULAW_8K),
    ],
)
def test_a_start_tells_the_streams_identity_and_format(form: dict[str, object], given: AudioFormat) -> None:
    assert tuple(LamlMedia().decode(start(**form))) == (MediaOpened(given, SID),)


def test_audio_has_its_track_its_number_and_its_place_which_are_strings_on_the_wire() -> None:
    payload = bytes(range(160))
    media = {"track": "outbound", "chunk": "7", "timestamp": "120", "payload": base64.b64encode(payload).decode()}

    assert said({"event": "media", "sequenceNumber": "9", "media": media}) == (
        MediaHeard(payload, Track.OUTBOUND, 120, 7),
    )


def test_a_track_that_nobody_has_documented_is_unknown() -> None:
    media = {"track": "sideways", "chunk": "1", "timestamp": "0", "payload": ""}

    assert said({"event": "media", "media": media}) == (MediaHeard(b"", Track.UNKNOWN, 0, 1),)


@pytest.mark.parametrize(
    ("message", "fact"),
    [
        ({"event": "dtmf", "sequenceNumber": "3", "streamSid": SID, "dtmf": {"digit": "#", "duration": 2000}}, "#"),
        ({"event": "dtmf", "dtmf": {"digit": "A"}}, "A"),
    ],
)
def test_a_key_is_told(message: dict[str, object], fact: str) -> None:
    assert said(message) == (RemoteDigit(fact),)


def test_a_mark_and_the_end_are_told() -> None:
    assert said({"event": "mark", "streamSid": SID, "mark": {"name": "m"}}) == (ReachedMark("m"),)
    assert said({"event": "stop", "sequenceNumber": "99"}) == (MediaStopped("stop"),)


@pytest.mark.parametrize("event", ["connected", "something new", ""])
def test_what_does_not_matter_says_nothing(event: str) -> None:
    assert said({"event": event, "whatever": {"it": "is"}}) == ()


@pytest.mark.parametrize(
    "message",
    [
        "",
        "no JSON",
        "[]",
        "7",
        "null",
        "{}",
        '{"event": "media"}',
        '{"event": "media", "media": {"track": "inbound", "chunk": "one", "timestamp": "0", "payload": ""}}',
        '{"event": "media", "media": {"track": "inbound", "chunk": "1", "timestamp": "0", "payload": "%%%"}}',
        '{"event": "media", "media": {"track": "inbound", "chunk": "1", "timestamp": "0", "payload": 7}}',
        '{"event": "media", "media": {"track": [], "chunk": "1", "timestamp": "0", "payload": ""}}',
        '{"event": "start"}',
        '{"event": "start", "start": {"streamSid": 7}}',
        '{"event": "dtmf"}',
        '{"event": "mark", "mark": {}}',
    ],
)
def test_what_cannot_be_read_says_so_and_quotes_nothing(message: str) -> None:
    with pytest.raises(Unintelligible, match="no message of a LaML stream") as refused:
        said(message)
    assert "payload" not in str(refused.value)


@pytest.mark.parametrize("form", [{"encoding": "audio/opus"}, {"sampleRate": 0}, {"sampleRate": "fast"}])
def test_a_format_that_nobody_can_decode_says_so(form: dict[str, object]) -> None:
    with pytest.raises(Unintelligible):
        LamlMedia().decode(start(**form))


def test_orders_name_the_stream_in_signalwires_words() -> None:
    payload = bytes(range(160))

    assert sent(PlayAudio(payload)) == {
        "event": "media",
        "streamSid": SID,
        "media": {"payload": base64.b64encode(payload).decode()},
    }
    assert sent(PlayMark("playback-1")) == {"event": "mark", "streamSid": SID, "mark": {"name": "playback-1"}}
    assert sent(Clear()) == {"event": "clear", "streamSid": SID}
    assert sent(PressDigit("d")) == {"event": "dtmf", "streamSid": SID, "dtmf": {"digit": "D"}}


def test_a_pause_is_no_key_of_a_stream() -> None:
    assert wire().encode(PressDigit("w")) is None


@pytest.mark.parametrize(
    ("wanted", "word"),
    [
        (PCM16_8K, "PCMU@8000h"),
        (MULAW_8K, "PCMU@8000h"),
        (PCM16_16K, "L16@16000h"),
        (PCM16_24K, "L16@24000h"),
        (AudioFormat(Encoding.PCM16, 48_000), "L16@24000h"),
    ],
)
def test_the_codec_is_the_nearest_that_signalwire_documents(wanted: AudioFormat, word: str) -> None:
    assert codec(wanted) == word


@given(payload=st.binary(max_size=2000))
def test_audio_comes_through_as_it_is(payload: bytes) -> None:
    there = json.loads(wire().encode(PlayAudio(payload)) or "")
    there["media"] |= {"track": "inbound", "chunk": "1", "timestamp": "0"}

    assert said(there) == (MediaHeard(payload, Track.INBOUND, 0, 1),)


@given(
    message=st.one_of(
        st.text(),
        st.binary(),
        st.recursive(
            st.one_of(st.none(), st.integers(), st.text(max_size=8), st.sampled_from(["media", "start", "dtmf"])),
            lambda inner: st.one_of(
                st.lists(inner, max_size=3),
                st.dictionaries(
                    st.sampled_from(["event", "media", "start", "dtmf", "mark", "payload", "track", "digit"]), inner
                ),
            ),
            max_leaves=12,
        ).map(json.dumps),
    )
)
def test_whatever_comes_is_a_fact_nothing_or_unintelligible(message: str | bytes) -> None:
    try:
        facts = tuple(wire().decode(message))
    except Unintelligible:
        return
    assert len(facts) <= 1
