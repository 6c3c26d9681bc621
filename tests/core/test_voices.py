"""Far ends speak and hear: voices at any rate, ears that remember, and the network's numbers and calls."""

from __future__ import annotations

import threading
import wave
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telco_bridge.sandbox import DIRECTORY, Behaviour, Exchange, Leg, LegEvent, Side, SteppedClock
from telco_bridge.sandbox.voices import SILENCE, Ear, Spoken, Tone

from ..sounds import likeness, samples, strength

CALLER, CALLEE = "+15550001", "+15550002"


def ignore(leg: Leg, event: LegEvent) -> None:
    pass


@pytest.fixture
def exchange(clock: SteppedClock) -> Exchange:
    return Exchange(clock=clock)


def connected(exchange: Exchange, callee: str = "+15550106") -> Leg:
    leg = exchange.call(caller=CALLER, callee=callee, watcher=ignore)
    leg.answer()
    return leg


@pytest.mark.parametrize("rate", [8000, 16000, 24000])
@pytest.mark.parametrize("frequency", [1, 50, 440, 697, 1000, 3999])
def test_a_tone_is_that_tone_at_every_rate(rate: int, frequency: int) -> None:
    pcm = Tone(frequency, level=-6.0).pcm(0, rate, rate)

    assert len(pcm) == 2 * rate
    assert strength(pcm, rate, frequency) > 0.999
    if rate > 20 * frequency:
        assert max(samples(pcm)) == pytest.approx(32767 * 10 ** (-6 / 20), rel=0.02)


@given(start=st.integers(0, 10**9), cuts=st.lists(st.integers(0, 700), min_size=1, max_size=5))
def test_a_voice_is_the_same_however_it_is_cut(start: int, cuts: list[int]) -> None:
    said = Tone(300).pcm(0, 900, 16000)
    for voice in (Tone(440), SILENCE, Spoken(said, rate=16000), Spoken(said, rate=16000, repeated=True)):
        pieces, place = [], start % 2000
        for count in cuts:
            pieces.append(voice.pcm(place, count, 16000))
            place += count
        assert b"".join(pieces) == voice.pcm(start % 2000, sum(cuts), 16000)
        assert len(voice.pcm(start, 160, 8000)) == 320


def test_a_tone_that_cannot_be_is_refused() -> None:
    with pytest.raises(ValueError, match="1 Hz"):
        Tone(0)
    with pytest.raises(ValueError, match="clipped"):
        Tone(440, level=1.0)


def test_a_recording_is_said_once_between_silences() -> None:
    said = Tone(500).pcm(0, 100, 8000)
    spoken = Spoken(said, rate=8000)

    assert spoken.pcm(-50, 200, 8000) == bytes(100) + said + bytes(100)
    assert spoken.pcm(-50, 20, 8000) == bytes(40)
    assert spoken.pcm(100, 20, 8000) == bytes(40)


def test_a_recording_may_be_repeated() -> None:
    said = Tone(500).pcm(0, 100, 8000)

    assert Spoken(said, rate=8000, repeated=True).pcm(50, 300, 8000) == said[100:] + said + said + said[:100]


@pytest.mark.parametrize("rate", [8000, 16000, 24000])
def test_a_recording_is_read_from_a_file_and_said_at_any_rate(tmp_path: Path, rate: int) -> None:
    path = tmp_path / "tone.wav"
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16000)
        file.writeframes(Tone(440).pcm(0, 16000, 16000))
    spoken = Spoken.read(path)

    assert strength(spoken.pcm(0, rate, rate), rate, 440) > 0.99
    assert set(spoken.pcm(rate, 100, rate)) == {0}


def test_a_recording_that_cannot_be_is_refused() -> None:
    with pytest.raises(ValueError, match="3 bytes"):
        Spoken(b"odd", rate=8000)
    with pytest.raises(ValueError, match="repeated"):
        Spoken(b"", rate=8000, repeated=True)


def test_an_ear_remembers_what_it_heard_and_when() -> None:
    ear = Ear()
    one, two = Tone(440).pcm(0, 160, 8000), Tone(440).pcm(160, 160, 8000)
    ear.hear(one, rate=8000, at=5.0)
    ear.hear(b"", rate=8000, at=5.02)
    ear.hear(two, rate=8000, at=6.0)

    assert [(piece.at, piece.pcm, piece.seconds) for piece in ear.pieces] == [(5.0, one, 0.02), (6.0, two, 0.02)]
    assert ear.pcm(rate=8000) == one + two
    assert ear.seconds == pytest.approx(0.04)


def test_an_ear_gives_what_it_heard_at_another_rate() -> None:
    ear = Ear()
    for number in range(50):
        ear.hear(Tone(440).pcm(number * 160, 160, 8000), rate=8000, at=number * 0.02)
    pcm = ear.pcm(rate=24000)

    assert len(pcm) == 48000
    assert likeness(pcm, Tone(440).pcm(0, 24000, 24000)) > 0.99


def test_an_ear_forgets_the_oldest() -> None:
    ear = Ear(kept=1.0)
    for number in range(100):
        ear.hear(bytes(320), rate=8000, at=number * 0.02)

    assert 0.97 < ear.seconds <= 1.0
    assert 1.0 <= ear.pieces[0].at < 1.03


def test_an_ear_is_waited_for_from_another_thread() -> None:
    ear = Ear()
    talker = threading.Thread(target=lambda: [ear.hear(bytes(320), rate=8000, at=0.0) for _ in range(50)])
    talker.start()

    assert ear.wait_for(1.0)
    talker.join()
    assert not ear.wait_for(2.0, timeout=0.0)


def test_the_number_that_speaks_says_a_tone_and_the_others_nothing(exchange: Exchange) -> None:
    assert {a for a, b in DIRECTORY.items() if b.voice is not SILENCE} == {"+15550106", "sip:speak@sandbox.test"}
    for address in ("+15550106", "sip:speak@sandbox.test", "tel:+15550106"):
        assert connected(exchange, address).voice == Tone(440)
    assert connected(exchange, "+15550100").voice is SILENCE


def test_the_network_may_lend_the_number_another_voice(clock: SteppedClock) -> None:
    exchange = Exchange(clock=clock, voice=Tone(800))
    exchange.set_behaviour("+15550188", Behaviour(what="hums", answers_after=0.0, voice=Tone(200)))

    assert connected(exchange).voice == Tone(800)
    assert connected(exchange, "+15550188").voice == Tone(200)
    assert connected(exchange, "+15550100").voice is SILENCE


def test_a_party_that_calls_in_has_its_own_voice(exchange: Exchange) -> None:
    taken: list[Leg] = []
    exchange.register(CALLEE, taken.append)
    exchange.call_in(caller="+15550106", callee=CALLEE)

    assert [leg.voice for leg in taken] == [Tone(440)]


async def test_the_far_end_begins_to_speak_at_its_answer(exchange: Exchange, clock: SteppedClock) -> None:
    leg = exchange.call(caller=CALLER, callee="+15550106", watcher=ignore)
    before = exchange.media_now()
    assert leg.speech(before, 0, 160, rate=8000) == bytes(320)
    await clock.advance(10.0)
    assert leg.answered_at is not None
    answered = round((leg.answered_at - before) * 8000)

    tone = Tone(440)
    assert leg.speech(before, answered - 80, 160, rate=8000) == bytes(160) + tone.pcm(0, 80, 8000)
    assert leg.speech(leg.answered_at, 0, 160, rate=8000) == tone.pcm(0, 160, 8000)
    assert leg.speech(leg.answered_at + 1.0, 5, 160, rate=8000) == tone.pcm(8005, 160, 8000)
    assert leg.speech(before, 0, 160, rate=8000) == bytes(320)


def test_the_far_end_hears_what_the_platform_plays_unless_it_may_not(exchange: Exchange) -> None:
    leg = exchange.call(caller=CALLER, callee="+15550100", watcher=ignore)
    said = Tone(440).pcm(0, 160, 8000)
    leg.play(said, rate=8000, at=1.0)
    assert leg.ear.pieces == ()
    leg.answer()
    leg.play(said, rate=8000, at=2.0)
    leg.set_muted(True)
    leg.play(said, rate=8000, at=3.0)
    leg.set_muted(False)
    leg.set_held(True)
    leg.play(said, rate=8000, at=4.0)
    leg.set_held(False)
    leg.play(said, rate=8000, at=5.0)
    leg.hang_up(by=Side.CALLEE)
    leg.play(said, rate=8000, at=6.0)

    assert [piece.at for piece in leg.ear.pieces] == [2.0, 5.0]
    assert likeness(leg.ear.pcm(rate=8000), said + said) == pytest.approx(1.0)


def test_the_latest_hundred_cleared_calls_stay_readable(exchange: Exchange) -> None:
    legs = [connected(exchange) for _ in range(130)]
    for leg in legs:
        leg.play(bytes(320), rate=8000, at=0.0)
        leg.hang_up(by=Side.CALLER)

    assert exchange.cleared == tuple(legs[-100:])
    assert exchange.legs == {}
    assert exchange.cleared[-1].ear.seconds == pytest.approx(0.02)


def test_audio_keeps_real_time_in_a_fast_network(clock: SteppedClock) -> None:
    fast = Exchange(speed=1000)
    network, media = fast.now(), fast.media_now()
    while fast.now() - network < 10.0:
        pass

    assert 0.0 < fast.media_now() - media < 5.0
    assert not fast.stepped
    stepped = Exchange(clock=clock)
    assert stepped.stepped
    assert stepped.media_now() == clock.now()
