"""What tests ask of audio: which tone is in it, and whether it is what was sent."""

from __future__ import annotations

import math
from array import array


def samples(pcm: bytes) -> array[int]:
    """PCM16 as numbers, on the little-endian machines that run the tests."""
    return array("h", pcm)


def strength(pcm: bytes, rate: int, frequency: float) -> float:
    """The share of the power at that frequency, by Goertzel: 1 is a pure tone, 0 none at all."""
    values = samples(pcm)
    total = sum(value * value for value in values)
    if not total:
        return 0.0
    factor = 2 * math.cos(2 * math.pi * frequency / rate)
    before, last = 0.0, 0.0
    for value in values:
        before, last = last, value + factor * last - before
    power = before * before + last * last - factor * before * last
    return 2 * power / (len(values) * total)


def likeness(one: bytes, other: bytes) -> float:
    """The correlation of two pieces of the same length: 1 where they differ in loudness at most."""
    left, right = samples(one), samples(other)
    assert len(left) == len(right)
    both = sum(a * b for a, b in zip(left, right, strict=True))
    return both / math.sqrt(sum(a * a for a in left) * sum(b * b for b in right))
