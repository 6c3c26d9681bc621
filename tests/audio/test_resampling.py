"""Changing the rate: what is kept, what is added, and that it does not matter how a stream is cut."""

import math
import random
import sys
from fractions import Fraction
from itertools import pairwise, permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from telco_bridge.audio.resampling import Engine, Resampler

PAIRS = list(permutations([8_000, 16_000, 24_000, 48_000], 2))
TELEPHONE_FREQUENCIES = [100, 300, 1_000, 2_000, 3_000, 3_400]
NOISE = random.Random(711).randbytes(2 * 2_400)


def in_pieces(resampler, pcm, cuts):
    places = [0, *sorted(cuts), len(pcm)]
    pieces = [resampler.resample(pcm[begin:end]) for begin, end in pairwise(places)]
    return b"".join(pieces) + resampler.flush()


@pytest.mark.parametrize(("source", "target"), PAIRS)
@pytest.mark.parametrize("frequency", TELEPHONE_FREQUENCIES)
def test_what_a_telephone_carries_is_kept_and_nothing_is_added(engine, source, target, frequency, signals):
    resampler = Resampler(source, target, engine=engine)
    found = signals.find(frequency, target, resampler.resample(signals.tone(frequency, source)))
    assert abs(found.level) < 0.1
    # Images, aliases, distortion and noise together.
    assert found.rest < -60.0


@pytest.mark.parametrize(("source", "target"), PAIRS)
def test_the_edge_of_what_is_kept_is_where_the_page_says(source, target, signals):
    frequency = 0.85 * min(source, target) / 2 // 5 * 5
    resampler = Resampler(source, target, engine=Engine.POLYPHASE)
    found = signals.find(frequency, target, resampler.resample(signals.tone(frequency, source)))
    assert abs(found.level) < 0.1
    assert found.rest < -60.0


@pytest.mark.parametrize(("source", "target"), [(source, target) for source, target in PAIRS if source > target])
@pytest.mark.parametrize("part", [0.0, 0.3, 0.6, 0.95])
def test_what_the_lower_rate_cannot_carry_does_not_come_back_as_something_else(engine, source, target, part, signals):
    lowest = 1.15 * target / 2
    frequency = math.ceil(lowest + part * (source / 2 - lowest))
    resampler = Resampler(source, target, engine=engine)
    assert signals.loudness(target, resampler.resample(signals.tone(frequency, source))) < -60.0


@pytest.mark.parametrize(("source", "target"), [(44_100, 8_000), (22_050, 16_000), (11_025, 8_000), (44_100, 48_000)])
def test_rates_of_music_are_converted_as_well(engine, source, target, signals):
    resampler = Resampler(source, target, engine=engine)
    found = signals.find(1_000, target, resampler.resample(signals.tone(1_000, source)))
    assert abs(found.level) < 0.1
    assert found.rest < -60.0


@pytest.mark.parametrize(("source", "target"), PAIRS)
def test_every_frame_gives_a_frame_at_once(engine, source, target):
    resampler = Resampler(source, target, engine=engine)
    frame = bytes(2 * source // 50)
    assert [len(resampler.resample(frame)) for _ in range(10)] == [2 * target // 50] * 10


@pytest.mark.parametrize(("source", "target"), PAIRS)
def test_it_is_late_by_as_much_as_it_says(engine, source, target):
    # A click in silence comes out as the filter's shape around the place where it belongs.
    click = bytes(2 * source // 10) + (20_000).to_bytes(2, "little") + bytes(2 * source // 10)
    resampler = Resampler(source, target, engine=engine)
    samples = memoryview(resampler.resample(click) + resampler.flush()).cast("h")
    loudest = max(range(len(samples)), key=lambda at: abs(samples[at]))
    late = 1000.0 * (loudest / target - 0.1)
    if engine is Engine.POLYPHASE:
        assert late == pytest.approx(16_000 / min(source, target), abs=600 / target)
    else:
        assert 5.0 < late < 32.0


@pytest.mark.parametrize(("source", "target"), PAIRS)
def test_nothing_is_lost_at_the_end(engine, source, target, signals):
    tone = signals.tone(1_000, source)
    resampler = Resampler(source, target, engine=engine)
    whole = resampler.resample(tone)
    assert len(whole) == len(tone) * target // source
    rest = resampler.flush()
    assert 0 < len(rest) <= 2 * target * 32 // 1000
    # The rest completes the tone, and what was late is over with it.
    assert abs(signals.find(1_000, target, (whole + rest)[: -2 * target // 200]).level) < 0.3


@pytest.mark.parametrize(("source", "target"), [*PAIRS, (44_100, 8_000), (22_050, 24_000)])
def test_a_stream_may_be_cut_anywhere(source, target):
    whole = in_pieces(Resampler(source, target, engine=Engine.POLYPHASE), NOISE, [])

    @settings(max_examples=10, deadline=None)
    @given(st.lists(st.integers(0, len(NOISE)), max_size=8))
    def cut(places):
        assert in_pieces(Resampler(source, target, engine=Engine.POLYPHASE), NOISE, places) == whole

    cut()


@pytest.mark.parametrize(("source", "target"), PAIRS)
def test_a_stream_may_be_cut_anywhere_for_soxr_too(source, target, signals):
    pytest.importorskip("soxr")
    whole = signals.samples(in_pieces(Resampler(source, target, engine=Engine.SOXR), NOISE, []))
    cuts = random.Random(5).choices(range(len(NOISE)), k=9)
    pieces = signals.samples(in_pieces(Resampler(source, target, engine=Engine.SOXR), NOISE, cuts))
    assert len(pieces) == len(whole)
    # soxr adds a noise of its own below the last bit, anew for each piece.
    assert max(abs(one - other) for one, other in zip(pieces, whole, strict=True)) <= 3


@pytest.mark.parametrize(("source", "target"), PAIRS)
def test_both_ways_of_doing_the_sums_come_to_the_same(source, target, signals):
    from telco_bridge.audio.polyphase import _Convolution, _Summation

    ratio = Fraction(target, source)
    convolution = _Convolution(ratio.numerator, ratio.denominator)
    summation = _Summation(ratio.numerator, ratio.denominator)
    one = signals.samples(convolution.resample(NOISE) + convolution.flush())
    other = signals.samples(summation.resample(NOISE) + summation.flush())
    assert max(abs(a - b) for a, b in zip(one, other, strict=True)) <= 10


@pytest.mark.parametrize(("source", "target"), [*PAIRS, (11_025, 8_000)])
def test_what_is_too_loud_is_clipped_and_does_not_wrap(engine, source, target, signals):
    # A square wave at full scale overshoots behind every filter.
    half = source // 400
    square = signals.pcm(([32_767] * half + [-32_768] * half) * 20)
    resampler = Resampler(source, target, engine=engine)
    samples = signals.samples(resampler.resample(square))[target // 25 :]
    assert max(samples) == 32_767
    assert min(samples) == -32_768
    # What wraps has the wrong sign in between.
    changes = sum((one < 0) != (other < 0) for one, other in pairwise(samples))
    assert changes == pytest.approx(400 * len(samples) / target, abs=1)


@pytest.mark.parametrize("pcm", [NOISE[:1], NOISE[:2], NOISE[:4], NOISE[:2002]])
def test_after_the_end_a_new_source_begins_afresh(engine, pcm, signals):
    resampler = Resampler(24_000, 16_000, engine=engine)
    first = resampler.resample(pcm) + resampler.flush()
    again = resampler.resample(pcm) + resampler.flush()
    assert len(first) == len(again)
    assert all(abs(one - other) <= 3 for one, other in zip(signals.samples(first), signals.samples(again), strict=True))


def test_a_constant_stays_what_it_is(signals):
    for source, target in PAIRS:
        resampler = Resampler(source, target, engine=Engine.POLYPHASE)
        samples = signals.samples(resampler.resample(signals.pcm([-12_345] * source)))
        assert set(samples[target // 100 :]) == {-12_345}


def test_equal_rates_have_nothing_done_to_them():
    resampler = Resampler(16_000, 16_000)
    pcm = b"any thing"
    assert resampler.engine is Engine.NONE
    assert resampler.resample(pcm) is pcm
    assert resampler.flush() == b""


def test_half_a_sample_at_the_end_is_dropped(engine):
    resampler = Resampler(8_000, 16_000, engine=engine)
    assert resampler.resample(b"\1") == b""
    resampler.flush()
    assert len(resampler.resample(bytes(320))) == 640


def test_soxr_is_used_where_it_is_installed():
    pytest.importorskip("soxr")
    assert Resampler(8_000, 16_000).engine is Engine.SOXR


def test_without_soxr_the_library_does_it_itself(monkeypatch):
    monkeypatch.setitem(sys.modules, "soxr", None)
    assert Resampler(8_000, 16_000).engine is Engine.POLYPHASE
    with pytest.raises(ValueError, match=r"install telco-bridge\[audio\]"):
        Resampler(8_000, 16_000, engine=Engine.SOXR)


def test_a_soxr_that_would_be_too_late_is_not_used(monkeypatch):
    soxr = pytest.importorskip("soxr")

    def of_old(in_rate, out_rate, num_channels, dtype="float32", quality="HQ"):
        raise AssertionError("called without vr")

    monkeypatch.setattr(soxr, "ResampleStream", of_old)
    assert Resampler(8_000, 16_000).engine is Engine.POLYPHASE


def test_rates_without_anything_in_common_need_soxr():
    with pytest.raises(ValueError, match="8001 Hz cannot be made 48000 Hz without soxr"):
        Resampler(8_001, 48_000, engine=Engine.POLYPHASE)


@pytest.mark.parametrize("rates", [(0, 8_000), (8_000, 96_000)])
def test_rates_that_no_format_has_are_refused(rates):
    with pytest.raises(ValueError, match="8000 to 48000"):
        Resampler(*rates)
