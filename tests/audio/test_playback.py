"""Playing sounds to the far end, on a clock that a test moves by hand."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from typing import cast

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from telco_bridge.audio.formats import MULAW_8K, PCM16_8K, PCM16_16K, AudioFormat
from telco_bridge.audio.playback import Heard, HeardBy, Playback, PlaybackState, Player
from telco_bridge.audio.wav import StereoWavWriter
from telco_bridge.audio.wire import Clear, MediaOrder, PlayAudio, PlayMark

Work = Callable[[], Coroutine[object, object, None]]


class FarEnd:
    """A far end that notes what it is sent and when, and a player for it."""

    def __init__(
        self, *, wire: AudioFormat = PCM16_8K, marks: bool = True, lead: float = 0.0, clears: bool = True
    ) -> None:
        self.time = 100.0
        self.orders: list[tuple[float, MediaOrder]] = []
        self.told: list[tuple[Playback, PlaybackState]] = []
        self.work: list[Work] = []
        self._clears = clears
        self._turn: Callable[[float], float | None] | None = None
        self._due = 0.0
        self.player = Player(
            wire=wire,
            clock=self,
            send=self._send,
            marks=marks,
            lead=lead,
            pace=self._pace,
            spawn=self.work.append,
            tell=lambda playback: self.told.append((playback, playback.state)),
        )

    def now(self) -> float:
        return self.time

    async def sleep_until(self, instant: float) -> None:
        raise AssertionError("a player never sleeps itself")

    def pass_time(self, milliseconds: float) -> None:
        """Let that much time pass, with a turn at every instant that the player asked for."""
        target = self.time + milliseconds / 1000.0
        while self._turn is not None and self._due <= target:
            self.time = max(self.time, self._due)
            self._take_turn()
        self.time = target

    @property
    def sent(self) -> list[tuple[float, int]]:
        """When each frame was sent, in milliseconds from the beginning, and its bytes."""
        return [
            (round((at - 100.0) * 1000.0, 3), len(order.payload))
            for at, order in self.orders
            if isinstance(order, PlayAudio)
        ]

    @property
    def audio(self) -> bytes:
        return b"".join(order.payload for _, order in self.orders if isinstance(order, PlayAudio))

    @property
    def marks(self) -> list[str]:
        return [order.name for _, order in self.orders if isinstance(order, PlayMark)]

    def _pace(self, turn: Callable[[float], float | None]) -> None:
        self._turn, self._due = turn, self.time
        self._take_turn()

    def _take_turn(self) -> None:
        assert self._turn is not None
        turn, self._turn = self._turn, None
        due = turn(self.time)
        if due is not None:
            assert due > self.time
            self._turn, self._due = turn, due

    def _send(self, order: MediaOrder) -> bool:
        if isinstance(order, Clear) and not self._clears:
            return False
        self.orders.append((self.time, order))
        return True


def tone(milliseconds: int, form: AudioFormat = PCM16_8K) -> bytes:
    return bytes(range(1, 251)) * (form.size(milliseconds) // 250 + 1)


def sound(milliseconds: int, form: AudioFormat = PCM16_8K) -> bytes:
    return tone(milliseconds, form)[: form.size(milliseconds)]


def test_a_sound_is_sent_frame_by_frame_on_an_even_schedule() -> None:
    far = FarEnd()
    far.player.play(sound(100), PCM16_8K)
    far.pass_time(200)

    assert far.sent == [(0, 320), (20, 320), (40, 320), (60, 320), (80, 320)]
    assert far.audio == sound(100)


def test_the_lead_is_sent_at_once_and_then_kept() -> None:
    far = FarEnd(lead=60)
    far.player.play(sound(140), PCM16_8K)
    far.pass_time(200)

    assert [at for at, _ in far.sent] == [0, 0, 0, 0, 20, 40, 60]


def test_the_last_frame_is_as_long_as_what_is_left() -> None:
    far = FarEnd()
    far.player.play(sound(50), PCM16_8K)
    far.pass_time(100)

    assert [size for _, size in far.sent] == [320, 320, 160]


def test_sounds_follow_one_another_without_a_pause() -> None:
    far = FarEnd()
    far.player.play(sound(50), PCM16_8K)
    far.player.play(sound(40), PCM16_8K)
    far.pass_time(200)

    assert [at for at, _ in far.sent] == [0, 20, 40, 50, 70]


def test_a_sound_that_is_queued_while_the_last_one_still_plays_follows_it() -> None:
    far = FarEnd(lead=100)
    far.player.play(sound(60), PCM16_8K)
    far.pass_time(30)
    second = far.player.play(sound(20), PCM16_8K)
    far.pass_time(20)

    assert second.heard == 0
    far.pass_time(20)
    assert second.heard == pytest.approx(10)


def test_a_pause_shifts_the_schedule() -> None:
    far = FarEnd()
    far.player.play(sound(20), PCM16_8K)
    far.pass_time(500)
    far.player.play(sound(20), PCM16_8K)
    far.pass_time(500)

    assert [at for at, _ in far.sent] == [0, 500]


def test_a_late_turn_makes_up_for_lost_time_and_the_schedule_does_not_drift() -> None:
    far = FarEnd(lead=100)
    far.player.play(sound(1000), PCM16_8K)
    far.time += 0.095
    far.pass_time(1000)

    assert [at for at, _ in far.sent][-1] == 880


def test_a_sound_in_another_format_is_converted() -> None:
    far = FarEnd(wire=MULAW_8K)
    far.player.play(sound(100, PCM16_16K), PCM16_16K)
    far.pass_time(300)

    # A resampler adds what it is late by.
    assert 100 <= MULAW_8K.milliseconds(len(far.audio)) <= 135


async def test_a_mark_says_that_it_was_heard() -> None:
    far = FarEnd()
    playback = far.player.play(sound(40), PCM16_8K)
    far.pass_time(50)
    assert (playback.state, playback.over) == (PlaybackState.PLAYING, False)
    assert far.marks == [playback.id]

    far.player.reached(playback.id)

    assert await playback.finished() == Heard(milliseconds=40.0, complete=True, by=HeardBy.MARK)
    assert far.told == [(playback, PlaybackState.PLAYING), (playback, PlaybackState.FINISHED)]


async def test_a_mark_that_never_comes_back_is_not_waited_for_for_ever() -> None:
    far = FarEnd()
    playback = far.player.play(sound(40), PCM16_8K)
    far.pass_time(2500)

    assert (await playback.finished()).by is HeardBy.CLOCK


def test_a_mark_that_nobody_knows_changes_nothing() -> None:
    far = FarEnd()
    playback = far.player.play(sound(40), PCM16_8K)
    far.pass_time(50)
    far.player.reached("somebody else's")

    assert not playback.over


async def test_without_marks_the_clock_says_that_it_was_heard() -> None:
    far = FarEnd(marks=False, lead=100)
    playback = far.player.play(sound(60), PCM16_8K)
    far.pass_time(50)
    assert not playback.over
    far.pass_time(40)

    assert await playback.finished() == Heard(milliseconds=60.0, complete=True, by=HeardBy.CLOCK)
    assert far.marks == []


async def test_clearing_cuts_everything_off_and_tells_what_was_heard() -> None:
    far = FarEnd(lead=100)
    first = far.player.play(sound(100), PCM16_8K)
    second = far.player.play(sound(1000), PCM16_8K)
    third = far.player.play(sound(1000), PCM16_8K)
    far.pass_time(300)
    far.player.reached(first.id)

    heard = far.player.clear()

    assert heard == pytest.approx(200)
    assert (await first.finished()).complete
    assert await second.finished() == Heard(
        milliseconds=pytest.approx(200),  # type: ignore[arg-type]
        complete=False,
        by=HeardBy.CLOCK,
    )
    assert await third.finished() == Heard(milliseconds=0.0, complete=False, by=HeardBy.CLOCK)
    assert [playback.state for playback in (first, second, third)] == ["finished", "cut", "cut"]
    before = len(far.sent)
    far.pass_time(500)
    assert len(far.sent) == before


def test_after_clearing_the_next_sound_is_heard_at_once() -> None:
    far = FarEnd(lead=100)
    far.player.play(sound(1000), PCM16_8K)
    far.pass_time(300)
    far.player.clear()
    far.pass_time(1)
    far.player.play(sound(20), PCM16_8K)
    far.pass_time(19)

    assert far.sent[-1][0] == 301


def test_where_the_provider_cannot_clear_what_was_sent_is_heard_to_its_end() -> None:
    far = FarEnd(lead=100, clears=False)
    far.player.play(sound(1000), PCM16_8K)
    far.pass_time(300)

    assert far.player.clear() == pytest.approx(400)


def test_clearing_nothing_sends_nothing() -> None:
    far = FarEnd()

    assert far.player.clear() == 0
    assert far.orders == []


async def test_a_sound_that_the_end_of_the_stream_cuts_off_says_so() -> None:
    far = FarEnd(lead=100)
    playback = far.player.play(sound(1000), PCM16_8K)
    far.pass_time(300)
    far.player.close()

    told = await playback.finished()

    assert (round(told.milliseconds), told.complete, playback.state) == (300, False, PlaybackState.CUT)
    after = far.player.play(sound(20), PCM16_8K)
    assert (after.state, after.heard) == (PlaybackState.CUT, 0.0)


async def test_an_empty_sound_is_finished_at_once() -> None:
    far = FarEnd(marks=False)
    playback = far.player.play(b"", PCM16_8K)
    far.pass_time(0)

    assert await playback.finished() == Heard(milliseconds=0.0, complete=True, by=HeardBy.CLOCK)


@pytest.mark.parametrize("wrong", [7, None, [b"list"], iter([b"iterator"])])
def test_what_is_no_sound_is_refused(wrong: object) -> None:
    with pytest.raises(TypeError, match="cannot be played: give bytes"):
        FarEnd().player.play(cast("bytes", wrong), PCM16_8K)


class Speech:
    """An async iterator that says what a test gives it, when the test gives it."""

    def __init__(self) -> None:
        self._send, self._receive = anyio.create_memory_object_stream[bytes](100)

    def say(self, piece: bytes) -> None:
        self._send.send_nowait(piece)

    def end(self) -> None:
        self._send.close()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async with self._receive:
            async for piece in self._receive:
                yield piece


async def test_a_sound_is_played_as_it_comes() -> None:
    far, speech = FarEnd(marks=False), Speech()
    playback = far.player.play(speech, PCM16_8K)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(far.work[0])
        speech.say(sound(30))
        await anyio.wait_all_tasks_blocked()
        far.pass_time(5)
        assert [size for _, size in far.sent] == [320]
        speech.say(sound(30))
        speech.end()
        await anyio.wait_all_tasks_blocked()
        far.pass_time(200)

    assert far.audio == sound(30) + sound(30)
    assert (await playback.finished()).milliseconds == 60
    assert far.player.underruns == 0


async def test_a_sound_that_does_not_come_in_time_is_counted_and_goes_on_later() -> None:
    far, speech = FarEnd(marks=False), Speech()
    far.player.play(speech, PCM16_8K)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(far.work[0])
        speech.say(sound(20))
        await anyio.wait_all_tasks_blocked()
        far.pass_time(300)
        assert far.player.underruns == 1
        speech.say(sound(20))
        speech.end()
        await anyio.wait_all_tasks_blocked()
        far.pass_time(200)

    assert len(far.sent) == 2
    assert far.sent[1][0] >= 300


async def test_a_source_is_read_ahead_and_no_further() -> None:
    far, speech = FarEnd(), Speech()
    far.player.play(speech, PCM16_8K)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(far.work[0])
        for _ in range(10):
            speech.say(sound(500))
        await anyio.wait_all_tasks_blocked()
        read = 10 - speech._receive.statistics().current_buffer_used
        assert 4 <= read <= 6
        far.player.close()
    speech.end()


async def test_what_a_source_raises_whoever_waits_is_told() -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield sound(20)
        raise ValueError("the voice is gone")

    far = FarEnd(marks=False)
    playback = far.player.play(broken(), PCM16_8K)
    await far.work[0]()
    far.pass_time(200)

    with pytest.raises(ValueError, match="the voice is gone"):
        await playback.finished()
    await playback.silent()
    assert (playback.state, playback.heard) == (PlaybackState.FAILED, 20)


async def test_a_file_is_played(tmp_path: Path) -> None:
    path = tmp_path / "prompt.wav"
    writer = StereoWavWriter(path, rate=16_000)
    writer.write(bytes(32_000), bytes(32_000))
    writer.close()
    far = FarEnd(wire=MULAW_8K, marks=False)
    playback = far.player.play(path, PCM16_8K)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(far.work[0])
        while not far.player.heard(playback) and not playback.over:
            await anyio.wait_all_tasks_blocked()
            far.pass_time(10)
    far.pass_time(1100)

    assert 1000 <= (await playback.finished()).milliseconds <= 1035


async def test_a_file_that_is_not_there_is_told_to_whoever_waits(tmp_path: Path) -> None:
    far = FarEnd(marks=False)
    playback = far.player.play(str(tmp_path / "nothing.wav"), PCM16_8K)
    await far.work[0]()
    far.pass_time(10)

    with pytest.raises(FileNotFoundError):
        await playback.finished()


async def test_the_way_to_a_sound_that_was_cut_off_is_given_up() -> None:
    closed: list[bool] = []

    async def endless() -> AsyncIterator[bytes]:
        try:
            while True:
                await anyio.sleep_forever()
                yield b""
        finally:
            closed.append(True)

    far = FarEnd()
    far.player.play(endless(), PCM16_8K)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(far.work[0])
        await anyio.wait_all_tasks_blocked()
        far.player.clear()

    assert closed == [True]


@given(
    lengths=st.lists(st.integers(1, 200), min_size=1, max_size=6),
    steps=st.lists(st.integers(1, 90), min_size=1, max_size=40),
    lead=st.integers(0, 200),
)
def test_whenever_turns_come_all_is_sent_once_in_order_and_never_ahead_of_the_lead(
    lengths: list[int], steps: list[int], lead: int
) -> None:
    far = FarEnd(marks=False, lead=lead)
    playbacks = [far.player.play(sound(length), PCM16_8K) for length in lengths]
    for step in steps:
        far.pass_time(step)
    far.pass_time(sum(lengths) + 1000)

    assert far.audio == b"".join(sound(length) for length in lengths)
    assert all(playback.state is PlaybackState.FINISHED for playback in playbacks)
    before = 0.0
    for at, size in far.sent:
        assert before - at <= lead + 1e-6
        before += PCM16_8K.milliseconds(size)
