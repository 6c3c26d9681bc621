"""Signals that are known exactly, and what is left of them."""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass

import pytest

from telco_bridge.audio.resampling import Engine


@dataclass(frozen=True)
class Found:
    """A tone in a signal: how loud it is against what was put in, and how loud all the rest is, both in dB."""

    level: float
    rest: float


class Signals:
    """Makes tones, and finds them again."""

    AMPLITUDE = 12_000.0

    def tone(self, frequency: float, rate: int, seconds: float = 0.3) -> bytes:
        turn = 2.0 * math.pi * frequency / rate
        return self.pcm([round(self.AMPLITUDE * math.sin(turn * at)) for at in range(round(seconds * rate))])

    def pcm(self, samples: list[int]) -> bytes:
        return struct.pack(f"<{len(samples)}h", *samples)

    def samples(self, pcm: bytes) -> list[int]:
        return list(struct.unpack(f"<{len(pcm) // 2}h", pcm))

    def find(self, frequency: float, rate: int, pcm: bytes) -> Found:
        """Look for a tone of a multiple of 5 Hz in the last fifth of a second: a whole number of its periods."""
        samples = self.samples(pcm)[-rate // 5 :]
        turn, count = 2.0 * math.pi * frequency / rate, len(samples)
        cosines, sines = [math.cos(turn * at) for at in range(count)], [math.sin(turn * at) for at in range(count)]
        real = 2.0 / count * math.fsum(map(float.__mul__, cosines, map(float, samples)))
        imaginary = 2.0 / count * math.fsum(map(float.__mul__, sines, map(float, samples)))
        rest = [at - real * c - imaginary * s for at, c, s in zip(samples, cosines, sines, strict=True)]
        return Found(
            level=self.decibel(math.hypot(real, imaginary)),
            rest=self.decibel(math.sqrt(2.0 * math.fsum(left * left for left in rest) / count)),
        )

    def loudness(self, rate: int, pcm: bytes) -> float:
        """Return how loud the last fifth of a second is against a tone, in dB."""
        samples = self.samples(pcm)[-rate // 5 :]
        return self.decibel(math.sqrt(2.0 * math.fsum(at * at for at in samples) / len(samples)))

    def decibel(self, amplitude: float) -> float:
        return 20.0 * math.log10(max(amplitude, 1e-9) / self.AMPLITUDE)


@pytest.fixture(scope="session")
def signals() -> Signals:
    return Signals()


@pytest.fixture(params=[Engine.SOXR, Engine.POLYPHASE])
def engine(request: pytest.FixtureRequest) -> Engine:
    """Each engine, where it is installed."""
    if request.param is Engine.SOXR:
        pytest.importorskip("soxr")
    return request.param
