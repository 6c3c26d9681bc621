"""What is played to the far end, by a clock that a test turns: the queue, its marks, the copies for other streams."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telco_bridge.sandbox.playout import Playout, Speaker, Tap
from telco_bridge.sandbox.voices import Tone

from ..sounds import likeness, samples, strength

RATE = 16000


class Bench:
    def __init__(self) -> None:
        self.now = 1000.0
        self.heard: list[tuple[float, bytes]] = []
        self.speaker = Speaker()
        self.playout = Playout(rate=RATE, now=lambda: self.now, heard=self.hear, speaker=self.speaker)
        self.speaker.playouts.append(self.playout)

    def hear(self, pcm: bytes, at: float) -> None:
        self.heard.append((at, pcm))

    @property
    def pcm(self) -> bytes:
        return b"".join(pcm for _, pcm in self.heard)

    def tap(self, rate: int = RATE) -> Tap:
        tap = Tap(self.speaker, began=self.now, rate=rate)
        self.speaker.taps.append(tap)
        return tap


def sound(milliseconds: int) -> bytes:
    return Tone(440).pcm(0, RATE * milliseconds // 1000, RATE)


def test_what_is_queued_is_heard_as_time_passes():
    bench = Bench()
    bench.playout.add(sound(50))
    assert bench.pcm == b""
    bench.now += 0.02
    bench.playout.catch_up()
    assert bench.pcm == sound(50)[:640]
    bench.now += 5.0
    bench.playout.catch_up()

    assert bench.pcm == sound(50)
    assert [at for at, _ in bench.heard] == [pytest.approx(1000.0), pytest.approx(1000.02)]


def test_after_a_pause_it_is_heard_from_its_arrival_on():
    bench = Bench()
    bench.playout.add(sound(20))
    bench.now += 1.0
    bench.playout.add(sound(20))
    bench.now += 1.0
    bench.playout.catch_up()

    assert [at for at, _ in bench.heard] == [pytest.approx(1000.0), pytest.approx(1001.0)]


def test_what_arrives_in_time_is_joined_without_a_gap():
    bench = Bench()
    bench.playout.add(sound(30))
    for _ in range(10):
        bench.now += 0.025
        bench.playout.add(sound(25))
    bench.now += 1.0
    bench.playout.catch_up()

    assert len(bench.pcm) == 2 * RATE * 280 // 1000
    place = 1000.0
    for at, pcm in bench.heard:
        assert at == pytest.approx(place, abs=1e-6)
        place += len(pcm) / (2 * RATE)


def test_marks_are_reached_in_their_order_and_each_once():
    bench = Bench()
    bench.playout.mark("first")
    assert bench.playout.reached() == ["first"]
    bench.playout.add(sound(20))
    bench.playout.mark("second")
    bench.playout.mark("third")
    bench.playout.add(sound(20))
    bench.playout.mark("fourth")
    bench.now += 0.019
    assert bench.playout.reached() == []
    bench.now += 0.001
    assert bench.playout.reached() == ["second", "third"]
    bench.now += 0.02
    assert bench.playout.reached() == ["fourth"]
    assert bench.playout.reached() == []


def test_a_clear_lets_what_was_heard_stand():
    bench = Bench()
    bench.playout.add(sound(100))
    bench.playout.mark("cut")
    bench.now += 0.03
    bench.playout.clear()
    assert bench.playout.reached() == ["cut"]
    bench.now += 1.0
    bench.playout.catch_up()
    bench.playout.add(sound(20))
    bench.now += 1.0
    bench.playout.catch_up()

    assert bench.pcm == sound(100)[:960] + sound(20)


@given(
    sent=st.lists(st.tuples(st.integers(0, 60), st.integers(0, 700)), max_size=20),
    looks=st.lists(st.integers(0, 50), max_size=10),
)
def test_nothing_is_lost_doubled_or_early(sent: list[tuple[int, int]], looks: list[int]):
    bench = Bench()
    voice, said = Tone(440), b""
    for pause, count in sent:
        piece = voice.pcm(len(said) // 2, count, RATE)
        bench.playout.add(piece)
        said += piece
        bench.now += pause / 1000
        if looks:
            bench.now += looks.pop() / 1000
            bench.playout.catch_up()
        assert len(bench.pcm) <= 2 * (round((bench.now - 1000.0) * RATE) + 1)
    bench.now += 10.0
    bench.playout.mark("end")

    assert bench.pcm == said
    assert bench.playout.reached() == ["end"]


@pytest.mark.parametrize("rate", [8000, 16000, 24000])
@pytest.mark.parametrize("late", [0.0, 0.15])
def test_a_copy_has_what_is_played_at_its_place_however_late_it_is_asked(rate: int, late: float):
    bench = Bench()
    tap = bench.tap(rate)
    count = rate // 50
    copied = b""
    for frame in range(100):
        if frame == 25:
            bench.playout.add(Tone(440).pcm(0, RATE, RATE))
        bench.now = 1000.0 + (frame + 1) * 0.02 + (late if frame % 10 else 0.0)
        copied += tap.pcm(frame * count, count)

    loud = [place for place, value in enumerate(samples(copied)) if abs(value) > 500]
    assert 0.5 <= loud[0] / rate < 0.75
    assert loud[-1] - loud[0] == pytest.approx(rate, rel=0.01)
    assert strength(copied[2 * loud[0] : 2 * loud[-1]], rate, 440) > 0.99


def test_a_copy_survives_pauses_and_another_rate():
    bench = Bench()
    tap = bench.tap(8000)
    other = Playout(rate=24000, now=lambda: bench.now, heard=bench.hear, speaker=bench.speaker)
    bench.speaker.playouts.append(other)
    copied = b""
    for frame in range(150):
        if frame == 10:
            bench.playout.add(Tone(500).pcm(0, RATE, RATE))
        if frame == 90:
            other.add(Tone(500).pcm(0, 24000 // 2, 24000))
        bench.now = 1000.0 + (frame + 1) * 0.02
        copied += tap.pcm(frame * 160, 160)

    assert strength(copied[2 * 160 * 15 : 2 * 160 * 55], 8000, 500) > 0.99
    assert max(map(abs, samples(copied[2 * 160 * 70 : 2 * 160 * 90]))) < 5
    assert strength(copied[2 * 160 * 95 : 2 * 160 * 113], 8000, 500) > 0.99


def test_nothing_played_is_silence():
    assert Bench().tap().pcm(0, 320) == bytes(640)


def test_the_same_rate_is_copied_as_it_is():
    bench = Bench()
    tap = bench.tap()
    bench.playout.add(sound(100))
    copied = b""
    for frame in range(10):
        bench.now = 1000.0 + (frame + 1) * 0.02
        copied += tap.pcm(frame * 320, 320)

    assert likeness(copied[640:3840], sound(100)) == pytest.approx(1.0)
