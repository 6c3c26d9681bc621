"""What a format says about bytes and time."""

from dataclasses import FrozenInstanceError

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telco_bridge.audio import ALAW_8K, MULAW_8K, PCM16_8K, PCM16_16K, PCM16_24K, AudioFormat, Encoding
from telco_bridge.audio.g711 import decode_alaw, decode_mulaw

FORMATS = st.builds(AudioFormat, st.sampled_from(Encoding), st.integers(8_000, 48_000))


@pytest.mark.parametrize(
    ("audio", "size"), [(PCM16_8K, 320), (PCM16_16K, 640), (PCM16_24K, 960), (MULAW_8K, 160), (ALAW_8K, 160)]
)
def test_a_frame_of_20_ms_has_the_size_that_the_field_knows(audio, size):
    assert audio.size(20) == size
    assert audio.milliseconds(size) == 20.0
    assert len(audio.silence(20)) == size


def test_a_format_says_what_it_is():
    assert str(PCM16_16K) == "pcm16 at 16000 Hz"
    assert str(MULAW_8K) == "mulaw at 8000 Hz"
    assert (PCM16_24K.bytes_per_sample, ALAW_8K.bytes_per_sample) == (2, 1)


def test_the_name_of_an_encoding_will_do():
    assert AudioFormat("alaw", 8000) == ALAW_8K
    assert AudioFormat("alaw", 8000).encoding is Encoding.ALAW


def test_an_encoding_that_there_is_not_is_refused_with_those_there_are():
    with pytest.raises(ValueError, match="'opus' is no encoding; there are pcm16, mulaw, alaw"):
        AudioFormat("opus", 8000)


@pytest.mark.parametrize("rate", [0, -8000, 7999, 48001, 8000.0, True, "8000", None])
def test_a_rate_that_no_phone_system_has_is_refused(rate):
    with pytest.raises(ValueError, match="8000 to 48000"):
        AudioFormat(Encoding.PCM16, rate)


def test_a_format_is_a_value():
    assert AudioFormat(Encoding.MULAW, 8000) == MULAW_8K
    assert hash(AudioFormat(Encoding.MULAW, 8000)) == hash(MULAW_8K)
    with pytest.raises(FrozenInstanceError):
        MULAW_8K.rate = 16000


def test_silence_is_silent_in_every_encoding():
    assert PCM16_8K.silence(10) == bytes(160)
    assert decode_mulaw(MULAW_8K.silence(10)) == bytes(160)
    # A-law has no zero. Of the two values next to it, this is the positive one, as G.711 has it.
    assert decode_alaw(ALAW_8K.silence(10)) == b"\x08\0" * 80


@given(FORMATS, st.floats(0, 10_000))
def test_a_size_is_whole_samples_and_as_long_as_was_asked_to_the_nearest(audio, milliseconds):
    size = audio.size(milliseconds)
    assert size % audio.bytes_per_sample == 0
    assert abs(audio.milliseconds(size) - milliseconds) <= 501 / audio.rate
    assert len(audio.silence(milliseconds)) == size


@given(FORMATS, st.integers(0, 100_000))
def test_whole_samples_survive_the_way_through_time(audio, samples):
    size = samples * audio.bytes_per_sample
    assert audio.size(audio.milliseconds(size)) == size
