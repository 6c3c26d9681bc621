"""Two tracks side by side on one time line."""

from __future__ import annotations

from array import array

from hypothesis import given
from hypothesis import strategies as st

from telco_bridge.audio.mixdown import Mixdown
from telco_bridge.audio.wire import Track


def sound(value: int, milliseconds: int = 20) -> bytes:
    return value.to_bytes(2, "little") * (8 * milliseconds)


def values(pcm: bytes) -> list[int]:
    """The value of each 20 ms."""
    return list(array("h", pcm))[::160]


def test_the_far_end_is_on_the_left_and_what_it_hears_on_the_right() -> None:
    mixdown = Mixdown(rate=8000)
    mixdown.add(sound(1), Track.INBOUND, 0)
    mixdown.add(sound(2), Track.OUTBOUND, 0)

    assert mixdown.take() == (sound(1), sound(2))
    assert mixdown.take() == (b"", b"")


def test_one_track_waits_for_the_other() -> None:
    mixdown = Mixdown(rate=8000)
    for number in range(10):
        mixdown.add(sound(1), Track.INBOUND, number * 20)

    assert mixdown.take() == (b"", b"")
    mixdown.add(sound(2), Track.OUTBOUND, 0)
    assert mixdown.take() == (sound(1), sound(2))


def test_a_track_that_says_nothing_for_half_a_second_is_silent() -> None:
    mixdown = Mixdown(rate=8000)
    for number in range(30):
        mixdown.add(sound(1), Track.INBOUND, number * 20)

    left, right = mixdown.take()

    assert (values(left), values(right)) == ([1] * 5, [0] * 5)


def test_what_never_came_is_silence() -> None:
    mixdown = Mixdown(rate=8000)
    mixdown.add(sound(1), Track.INBOUND, 0)
    mixdown.add(sound(3), Track.INBOUND, 40)

    assert [values(side) for side in mixdown.rest()] == [[1, 0, 3], [0, 0, 0]]


def test_what_comes_in_disorder_stands_in_its_place() -> None:
    mixdown = Mixdown(rate=8000)
    for number in (3, 1, 2):
        mixdown.add(sound(number), Track.INBOUND, (number - 1) * 20)

    assert values(mixdown.rest()[0]) == [1, 2, 3]


def test_what_comes_after_its_place_was_given_away_is_lost_and_counted() -> None:
    mixdown = Mixdown(rate=8000)
    mixdown.add(sound(1), Track.INBOUND, 0)
    mixdown.add(sound(2), Track.OUTBOUND, 0)
    mixdown.take()
    mixdown.add(sound(9), Track.INBOUND, 0)

    assert mixdown.lost == 1
    assert mixdown.rest() == (b"", b"")


def test_of_what_comes_half_too_late_the_other_half_is_kept() -> None:
    mixdown = Mixdown(rate=8000)
    mixdown.add(sound(1), Track.INBOUND, 0)
    mixdown.add(sound(2), Track.OUTBOUND, 0)
    mixdown.take()
    mixdown.add(sound(9, 40), Track.INBOUND, 0)

    assert mixdown.rest() == (sound(9), sound(0))


_PIECES = st.lists(
    st.tuples(st.sampled_from([Track.INBOUND, Track.OUTBOUND, Track.UNKNOWN]), st.integers(0, 80)), max_size=60
)


@given(pieces=_PIECES)
def test_whatever_comes_the_sides_are_of_one_length_and_nothing_is_said_twice(pieces: list[tuple[Track, int]]) -> None:
    mixdown = Mixdown(rate=8000)
    left = right = b""
    for track, place in pieces:
        mixdown.add(sound(place + 1), track, place * 20)
        for_left, for_right = mixdown.take()
        assert len(for_left) == len(for_right)
        left, right = left + for_left, right + for_right
    for_left, for_right = mixdown.rest()
    left, right = left + for_left, right + for_right

    assert len(left) == len(right)
    for said in (values(left), values(right)):
        assert all(value in {0, place + 1} for place, value in enumerate(said))
