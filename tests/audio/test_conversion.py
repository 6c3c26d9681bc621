"""From any format to any other."""

import random
from itertools import pairwise, product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from telco_bridge.audio import ALAW_8K, MULAW_8K, PCM16_8K, PCM16_16K, PCM16_24K, AudioFormat, Encoding
from telco_bridge.audio.conversion import Conversion
from telco_bridge.audio.g711 import decode_alaw, decode_mulaw, encode_alaw, encode_mulaw
from telco_bridge.audio.resampling import Engine

FORMATS = [PCM16_8K, PCM16_16K, PCM16_24K, MULAW_8K, ALAW_8K, AudioFormat(Encoding.MULAW, 16_000)]
PAIRS = list(product(FORMATS, FORMATS))
DECODERS = {Encoding.PCM16: bytes, Encoding.MULAW: decode_mulaw, Encoding.ALAW: decode_alaw}
ENCODERS = {Encoding.PCM16: bytes, Encoding.MULAW: encode_mulaw, Encoding.ALAW: encode_alaw}
NOISE = random.Random(8).randbytes(1_601)


@pytest.fixture
def without_soxr(monkeypatch):
    """The library's own change of rate, which is the same to the bit every time."""
    from telco_bridge.audio import resampling

    monkeypatch.setattr(resampling, "_Soxr", lambda *_: (_ for _ in ()).throw(ImportError))


@pytest.mark.parametrize("audio", FORMATS, ids=str)
def test_equal_formats_are_passed_through_untouched(audio):
    conversion = Conversion(audio, AudioFormat(audio.encoding, audio.rate))
    piece = b"an odd piece."
    assert conversion.direct
    assert conversion.convert(piece) is piece
    assert conversion.flush() == b""


@pytest.mark.parametrize(("source", "target"), PAIRS, ids=str)
def test_every_frame_becomes_a_frame_at_once(source, target):
    conversion = Conversion(source, target)
    assert conversion.direct is (source == target)
    assert [len(conversion.convert(source.silence(20))) for _ in range(5)] == [target.size(20)] * 5


@pytest.mark.parametrize(("source", "target"), PAIRS, ids=str)
def test_a_tone_stays_a_tone(source, target, signals):
    conversion = Conversion(source, target)
    tone = ENCODERS[source.encoding](signals.tone(1_000, source.rate))
    found = signals.find(1_000, target.rate, DECODERS[target.encoding](conversion.convert(tone)))
    linear = {source.encoding, target.encoding} == {Encoding.PCM16}
    assert abs(found.level) < 0.2
    # G.711 itself leaves a noise of some 37 dB below the tone, each time.
    assert found.rest < (-60.0 if linear else -33.0)


@pytest.mark.parametrize(("source", "target"), PAIRS, ids=str)
def test_silence_stays_silence(source, target):
    conversion = Conversion(source, target)
    heard = DECODERS[target.encoding](conversion.convert(source.silence(100)) + conversion.flush())
    samples = memoryview(heard).cast("h")
    # The smallest values of A-law are 8 and -8.
    assert max(map(abs, samples)) <= 16


def test_only_the_encoding_changes_where_the_rates_are_equal():
    codes = bytes(range(256))
    assert Conversion(MULAW_8K, PCM16_8K).convert(codes) == decode_mulaw(codes)
    assert Conversion(ALAW_8K, PCM16_8K).convert(codes) == decode_alaw(codes)
    assert Conversion(PCM16_8K, MULAW_8K).convert(decode_alaw(codes)) == encode_mulaw(decode_alaw(codes))
    assert Conversion(MULAW_8K, ALAW_8K).convert(codes) == encode_alaw(decode_mulaw(codes))


@pytest.mark.parametrize(("source", "target"), PAIRS, ids=str)
def test_a_stream_may_be_cut_anywhere(source, target, without_soxr):
    conversion = Conversion(source, target)
    whole = conversion.convert(NOISE) + conversion.flush()

    @settings(max_examples=20, deadline=None)
    @given(st.lists(st.integers(0, len(NOISE)), max_size=8))
    def cut(places):
        cuts = [0, *sorted(places), len(NOISE)]
        again = Conversion(source, target)
        assert b"".join(again.convert(NOISE[begin:end]) for begin, end in pairwise(cuts)) + again.flush() == whole

    cut()


def test_half_a_sample_waits_for_its_other_half_and_is_dropped_at_the_end():
    conversion = Conversion(PCM16_8K, MULAW_8K)
    assert conversion.convert(b"\0") == b""
    assert conversion.convert(b"\0\0") == b"\xff"
    assert conversion.convert(b"\0") == b"\xff"
    assert conversion.convert(b"\7") == b""
    assert conversion.flush() == b""
    assert conversion.convert(b"\0\0") == b"\xff"


def test_the_rest_is_in_the_target_format_too(engine, monkeypatch):
    from telco_bridge.audio import conversion as module
    from telco_bridge.audio.resampling import Resampler

    monkeypatch.setattr(module, "Resampler", lambda source, target: Resampler(source, target, engine=engine))
    conversion = Conversion(PCM16_16K, MULAW_8K)
    conversion.convert(bytes(3200))
    rest = conversion.flush()
    assert set(rest) <= {0xFF, 0x7F, 0xFE, 0x7E}
    assert len(rest) == 16 if engine is Engine.POLYPHASE else 40 <= len(rest) <= 256
