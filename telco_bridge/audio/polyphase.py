"""Changing the sample rate without a compiled extension: a windowed sinc, in two ways of doing the same sums.

Between 8, 16, 24, 32 and 48 kHz the sums are convolutions, and one product of two large integers is a whole
convolution: samples and coefficients are written into the integers side by side, far enough apart not to touch. That is
some twenty times as fast as adding them up one by one, which is what other ratios (44.1 kHz) get.

What to expect of either, as the tests measure it: up to 0.85 of the lower rate's half the level of a tone is kept
within 0.1 dB, and what the change of rate adds (images, aliases of whatever lies beyond 1.15 of that half) stays 60 dB
below it. Between the two is the filter's slope. Everything comes 16 samples of the lower rate late: 2 ms at 8 kHz.
"""

from __future__ import annotations

import math
import sys
from array import array
from functools import lru_cache
from operator import mul
from typing import Protocol

__all__ = ["Polyphase", "polyphase"]

_REACH = 16
"""How far the filter reaches to either side, in samples of the lower rate."""
_BETA = 7.0
"""The shape of the Kaiser window: 70 dB."""
_ONE = 1 << 16
"""What a coefficient of 1 is as an integer. A sample stands in the third and fourth byte of what is summed with it."""
_SLOT = 5
"""Bytes for each sum in a large integer: fraction (2), sample (2), overflow (1)."""
_BLOCK = 4000
"""Groups of samples that go into one large integer."""
_MOST_PHASES = 1000
_MOST_CONVOLUTIONS = 12

_OTHER_SIGN = bytes(code ^ 0x80 for code in range(256))
"""Turns the upper byte of a signed sample into that of the sample plus 32768, and back."""
_ZERO = (0x80 << 32) + (0x8000 << 16) + (_ONE >> 1)
"""What is added to each sum: it makes it positive, its sample unsigned, and rounds it."""


class Polyphase(Protocol):
    """A change of rate under way."""

    def resample(self, pcm: bytes) -> bytes:
        """Take whole samples, return what they allow to be said."""
        ...

    def flush(self) -> bytes:
        """Return what is left, and begin anew."""
        ...


def polyphase(source_rate: int, target_rate: int) -> Polyphase:
    """Return a change of rate.

    Raises `ValueError` where the two have so little in common that the filter would have more than 1000 phases.
    """
    common = math.gcd(source_rate, target_rate)
    up, down = target_rate // common, source_rate // common
    if up > _MOST_PHASES:
        raise ValueError(
            f"{source_rate} Hz cannot be made {target_rate} Hz without soxr: they have too little in common. "
            "Install telco-bridge[audio], or choose a multiple of 50 Hz."
        )
    return _Convolution(up, down) if up * down <= _MOST_CONVOLUTIONS else _Summation(up, down)


class _Convolution:
    """Every output phase is a sum of convolutions, one with each input phase."""

    def __init__(self, up: int, down: int) -> None:
        self._up = up
        self._down = down
        self._filters, self._reach = _integer_filters(up, down)
        self._carries = [0] * up
        """What the samples so far add to later ones, for each output phase."""
        self._pending = b""

    def resample(self, pcm: bytes) -> bytes:
        pending = self._pending + pcm if self._pending else pcm
        group = 2 * self._down
        count = len(pending) // group
        if not count:
            self._pending = pending
            return b""
        self._pending = pending[count * group :]
        if count <= _BLOCK:
            return self._convolve(pending, count)
        blocks = range(0, count, _BLOCK)
        return b"".join(self._convolve(pending[at * group :], min(_BLOCK, count - at)) for at in blocks)

    def flush(self) -> bytes:
        due = 2 * _due(len(self._pending) // 2, self._up, self._down)
        self._pending += bytes(-len(self._pending) % (2 * self._down))
        left = self.resample(bytes(2 * self._down * (self._reach + 1)))[:due]
        self._carries, self._pending = [0] * self._up, b""
        return left

    def _convolve(self, pcm: bytes, count: int) -> bytes:
        size, shift = count * _SLOT, 8 * count * _SLOT
        offset, zero = _repeated(0x8000, count), _repeated(_ZERO, count)
        step, end = 2 * self._down, 2 * self._down * count
        inputs: list[int] = []
        for phase in range(0, step, 2):
            slots = bytearray(size)
            slots[::_SLOT] = pcm[phase:end:step]
            slots[1::_SLOT] = pcm[phase + 1 : end : step].translate(_OTHER_SIGN)
            inputs.append(int.from_bytes(slots, "little") - offset)
        step = 2 * self._up
        result = bytearray(step * count)
        for phase, filters in enumerate(self._filters):
            total = self._carries[phase] + zero
            for samples, coefficients in zip(inputs, filters, strict=True):
                total += samples * coefficients
            self._carries[phase] = carry = total >> shift
            slots = bytearray((total - (carry << shift)).to_bytes(size, "little"))
            if slots[4::_SLOT].count(0x80) != count:
                _clip(slots)
            result[2 * phase :: step] = slots[2::_SLOT]
            result[2 * phase + 1 :: step] = slots[3::_SLOT].translate(_OTHER_SIGN)
        return bytes(result)


def _clip(slots: bytearray) -> None:
    for at in range(4, len(slots), _SLOT):
        if slots[at] != 0x80:
            slots[at - 2 : at] = b"\xff\xff" if slots[at] > 0x80 else b"\0\0"


class _Summation:
    """Every output sample is a sum of its own."""

    def __init__(self, up: int, down: int) -> None:
        self._up = up
        self._down = down
        self._filters = _phases(up, down)
        self._taps = len(self._filters[0])
        self._samples = [0.0] * (self._taps - 1)
        self._at = 0
        """Where the next output sample stands, in steps of 1/up from the first of `_samples`."""

    def resample(self, pcm: bytes) -> bytes:
        samples, at, up, down, taps = self._samples, self._at, self._up, self._down, self._taps
        samples += map(float, _read(pcm))
        result = array("h")
        while (first := at // up) + taps <= len(samples):
            total = round(sum(map(mul, self._filters[at % up], samples[first : first + taps])))
            result.append(max(-0x8000, min(0x7FFF, total)))
            at += down
        used = min(at // up, len(samples))
        del samples[:used]
        self._at = at - used * up
        return _written(result)

    def flush(self) -> bytes:
        due = 2 * _due(0, self._up, self._down)
        left = self.resample(bytes(2 * (self._taps + self._down)))[:due]
        self._samples, self._at = [0.0] * (self._taps - 1), 0
        return left


def _due(samples: int, up: int, down: int) -> int:
    """Return how many samples are still to come at the end of a signal whose last `samples` have not been used yet."""
    return -(-samples * up // down) + -(-_REACH * max(up, down) // down)


def _read(pcm: bytes) -> array[int]:
    samples = array("h", pcm)
    if sys.byteorder == "big":
        samples.byteswap()
    return samples


def _written(samples: array[int]) -> bytes:
    if sys.byteorder == "big":
        samples.byteswap()
    return samples.tobytes()


@lru_cache(maxsize=64)
def _repeated(value: int, count: int) -> int:
    """Return that value in each of `count` slots."""
    return int.from_bytes(value.to_bytes(_SLOT, "little") * count, "little")


@lru_cache(maxsize=32)
def _integer_filters(up: int, down: int) -> tuple[list[list[int]], int]:
    """Return, for each output and each input phase, the coefficients between them; and how many groups they reach."""
    # Output i*up + l needs input j*down + m with the coefficient at (i - j)*up*down + l*down - m*up.
    prototype = _prototype(up, down)
    stride = up * down
    reach = (len(prototype) - 1 + (down - 1) * up) // stride
    filters: list[list[int]] = []
    for output in range(up):
        places = [[group * stride + output * down - phase * up for group in range(reach + 1)] for phase in range(down)]
        values = [[round(_ONE * _at(prototype, place)) for place in row] for row in places]
        # Each phase passes a constant unchanged: rounding would make it a faint tone of its own.
        row = max(range(down), key=lambda phase: max(values[phase]))
        values[row][values[row].index(max(values[row]))] += _ONE - sum(map(sum, values))
        filters.append([sum(value << 8 * _SLOT * group for group, value in enumerate(line)) for line in values])
    return filters, reach


@lru_cache(maxsize=8)
def _phases(up: int, down: int) -> list[list[float]]:
    """Return the coefficients of each output phase, for samples from the oldest to the newest."""
    prototype = _prototype(up, down)
    taps = -(-len(prototype) // up)
    phases: list[list[float]] = []
    for phase in range(up):
        values = [_at(prototype, phase + up * tap) for tap in reversed(range(taps))]
        total = sum(values)
        phases.append([value / total for value in values])
    return phases


def _at(values: list[float], place: int) -> float:
    return values[place] if 0 <= place < len(values) else 0.0


def _prototype(up: int, down: int) -> list[float]:
    """Return the filter at the lowest rate that is a multiple of both, cut off at half of the lower one."""
    width = max(up, down)
    length = _REACH * width
    half = [up / width * _sinc(place / width) * _kaiser(place / length) for place in range(length + 1)]
    return [*reversed(half), *half[1:]]


def _sinc(x: float) -> float:
    return math.sin(math.pi * x) / (math.pi * x) if x else 1.0


def _kaiser(x: float) -> float:
    return _bessel(_BETA * math.sqrt(1.0 - x * x)) / _bessel(_BETA)


def _bessel(x: float) -> float:
    """Return the modified Bessel function of the first kind, of order 0."""
    total = term = 1.0
    k = 1
    while term > 1e-9 * total:
        term *= (x / (2 * k)) ** 2
        total += term
        k += 1
    return total
