"""What arrives, in order, for one reader."""

from __future__ import annotations

import anyio
from hypothesis import given
from hypothesis import strategies as st

from telco_bridge.audio.formats import MULAW_8K, PCM16_8K, PCM16_16K, AudioFormat
from telco_bridge.audio.frames import AudioFrame, Digit, Overflow
from telco_bridge.audio.g711 import encode_mulaw
from telco_bridge.audio.intake import Intake
from telco_bridge.audio.wire import MediaHeard, Track


def intake(
    *,
    wanted: AudioFormat = PCM16_8K,
    given: AudioFormat = PCM16_8K,
    capacity: float = 1000.0,
    overflow: Overflow = Overflow.DROP_OLDEST,
) -> Intake:
    made = Intake(wanted=wanted, capacity=capacity, overflow=overflow, now=lambda: 0.0)
    made.open(given)
    return made


def piece(number: int, *, track: Track = Track.INBOUND, form: AudioFormat = PCM16_8K) -> MediaHeard:
    """The piece of that number, from 1, of 20 ms: its samples are its number."""
    return MediaHeard(number.to_bytes(2, "little") * (form.size(20) // 2), track, (number - 1) * 20, number)


async def fetched(made: Intake) -> list[object]:
    made.close()
    items: list[object] = []
    while (item := await made.fetch()) is not None:
        items.append(item)
    return items


async def test_frames_and_digits_come_out_in_the_order_in_which_they_came_in() -> None:
    made = intake()
    made.add(piece(1))
    made.add_item(Digit("5"))
    made.add(piece(2))

    first, digit, second = await fetched(made)

    assert (first, digit, second) == (
        AudioFrame(piece(1).payload, PCM16_8K, 0, Track.INBOUND),
        Digit("5"),
        AudioFrame(piece(2).payload, PCM16_8K, 20, Track.INBOUND),
    )


async def test_audio_in_the_wanted_format_is_not_touched() -> None:
    made = intake()
    payload = piece(1).payload
    made.add(MediaHeard(payload, Track.INBOUND, 0, 1))

    (frame,) = await fetched(made)

    assert isinstance(frame, AudioFrame)
    assert frame.data is payload


async def test_audio_in_another_format_is_converted() -> None:
    made = intake(wanted=PCM16_16K, given=MULAW_8K)
    for number in range(1, 11):
        made.add(MediaHeard(encode_mulaw(bytes(320)), Track.INBOUND, (number - 1) * 20, number))

    frames = await fetched(made)

    heard = b"".join(frame.data for frame in frames if isinstance(frame, AudioFrame))
    assert all(frame.format == PCM16_16K and frame.rate == 16_000 for frame in frames if isinstance(frame, AudioFrame))
    assert 160 <= PCM16_16K.milliseconds(len(heard)) <= 200


async def test_a_reader_waits_for_what_has_not_come_yet() -> None:
    made = intake()
    found: list[object] = []

    async def read() -> None:
        found.append(await made.fetch())

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(read)
        await anyio.wait_all_tasks_blocked()
        assert not found
        made.add(piece(1))

    assert len(found) == 1


async def test_a_reader_that_waits_is_told_of_the_end() -> None:
    made = intake()
    found: list[object] = []

    async def read() -> None:
        found.append(await made.fetch())

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(read)
        await anyio.wait_all_tasks_blocked()
        made.close()

    assert found == [None]


async def test_the_oldest_frames_are_dropped_and_counted_and_no_digit_is() -> None:
    made = intake(capacity=100)
    made.add_item(Digit("1"))
    for number in range(1, 11):
        made.add(piece(number))

    assert (made.frames, made.dropped, made.depth) == (10, 5, 5)
    digit, *frames = await fetched(made)
    assert digit == Digit("1")
    assert [frame.timestamp for frame in frames if isinstance(frame, AudioFrame)] == [100, 120, 140, 160, 180]


async def test_whoever_chose_to_block_loses_nothing_and_is_full_until_somebody_reads() -> None:
    made = intake(capacity=40, overflow=Overflow.BLOCK)
    made.add(piece(1))
    assert not made.full
    made.add(piece(2))
    assert made.full

    await made.fetch()

    assert not made.full
    assert made.dropped == 0


def test_what_is_closed_is_never_full() -> None:
    made = intake(capacity=20, overflow=Overflow.BLOCK)
    made.add(piece(1))
    made.close()

    assert not made.full


def test_digits_that_nobody_fetches_do_not_grow_for_ever() -> None:
    made = intake()
    for _ in range(3000):
        made.add_item(Digit("1"))

    assert made.dropped == 2000


def test_whoever_diverts_the_frames_gets_all_of_them() -> None:
    made = intake(capacity=20)
    taken: list[AudioFrame] = []
    made.tap = taken.append
    for number in range(1, 6):
        made.add(piece(number))

    assert len(taken) == 5
    assert (made.dropped, made.depth) == (0, 0)


def test_what_is_missing_is_counted_for_each_track() -> None:
    made = intake()
    for number in (1, 2, 5):
        made.add(piece(number))
    for number in (1, 2, 3):
        made.add(piece(number, track=Track.OUTBOUND))

    assert (made.gaps, made.late) == (2, 0)


def test_what_comes_late_after_all_is_not_missing() -> None:
    made = intake()
    for number in (1, 3, 2, 4):
        made.add(piece(number))

    assert (made.gaps, made.late) == (0, 1)


def test_a_provider_without_numbers_is_counted_by_its_time_line() -> None:
    made = intake()
    for number in (1, 2, 5, 4):
        heard = piece(number)
        made.add(MediaHeard(heard.payload, heard.track, heard.at, None))

    assert (made.gaps, made.late) == (1, 1)


async def test_a_provider_without_a_time_line_gets_one_by_the_lengths() -> None:
    made = intake()
    for _ in range(3):
        made.add(MediaHeard(bytes(320)))

    assert [frame.timestamp for frame in await fetched(made) if isinstance(frame, AudioFrame)] == [0, 20, 40]


def test_jitter_is_how_unevenly_frames_come() -> None:
    instants = iter([0.000, 0.020, 0.050, 0.060])
    made = Intake(wanted=PCM16_8K, capacity=1000, overflow=Overflow.DROP_OLDEST, now=lambda: next(instants))
    made.open(PCM16_8K)
    made.add(piece(1))
    made.add(piece(2))
    assert made.jitter == 0.0

    made.add(piece(3))
    made.add(piece(4))

    # RFC 3550: a sixteenth of each deviation, 10 ms twice.
    assert abs(made.jitter - (10 / 16 + (10 - 10 / 16) / 16)) < 1e-6


@given(order=st.permutations(range(1, 13)), lost=st.sets(st.integers(1, 12), max_size=5))
def test_however_they_come_each_frame_is_counted_once(order: list[int], lost: set[int]) -> None:
    made = intake()
    arrived = [number for number in order if number not in lost]
    for number in arrived:
        made.add(piece(number))

    assert made.frames == len(arrived)
    if arrived:
        between = [n for n in range(arrived[0], max(arrived) + 1) if n not in arrived]
        assert made.gaps <= len(between) + made.late
    assert made.late == sum(number < max(arrived[:index], default=0) for index, number in enumerate(arrived))
