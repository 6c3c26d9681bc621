"""Trouble on demand, and by chance."""

from __future__ import annotations

import pytest

from telco_bridge.sandbox import Fault, Faults

KNOWN = frozenset({Fault.LOSE_EVENT, Fault.DROP_ANSWER})


def fates(faults: Faults, count: int = 1000, operation: str = "POST Calls") -> list[bool]:
    return [faults.take(Fault.LOSE_EVENT, operation) is not None for _ in range(count)]


def test_in_bad_weather_every_known_trouble_strikes_at_its_rate() -> None:
    faults = Faults(KNOWN)
    faults.weather(0.05, seed=1)

    assert faults.ordered
    assert 25 < sum(fates(faults)) < 80
    assert faults.take(Fault.SERVER_ERROR, "POST Calls") is None


def test_the_same_seed_makes_the_same_weather_whatever_happens_elsewhere() -> None:
    one, other = Faults(KNOWN), Faults(KNOWN)
    one.weather(0.05, seed=1)
    other.weather(0.05, seed=1)
    fates(other, operation="GET Calls")

    assert fates(one) == fates(other)
    other.weather(0.05, seed=2)
    assert fates(one) != fates(other)


def test_what_was_ordered_goes_before_the_weather_and_clearing_ends_both() -> None:
    faults = Faults(KNOWN)
    faults.weather(0.0, seed=1)
    faults.inject(Fault.LOSE_EVENT, seconds=3)

    assert faults.take(Fault.LOSE_EVENT, "x") == {"seconds": 3}
    faults.weather(1.0, seed=1, faults=[Fault.DROP_ANSWER])
    assert faults.take(Fault.LOSE_EVENT, "x") is None
    assert faults.take(Fault.DROP_ANSWER, "x") == {}
    faults.clear()
    assert faults.take(Fault.DROP_ANSWER, "x") is None
    assert not faults.ordered


def test_weather_that_cannot_be_made_is_refused() -> None:
    faults = Faults(KNOWN)

    with pytest.raises(ValueError, match="share from 0 to 1"):
        faults.weather(5, seed=1)
    with pytest.raises(ValueError, match="cannot make server_error"):
        faults.weather(0.1, seed=1, faults=[Fault.SERVER_ERROR])
