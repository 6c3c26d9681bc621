"""What is to be heard in the simulated network: voices of far ends, and the ears that remember what was played."""

from __future__ import annotations

import math
import os
import sys
import threading
from abc import ABC, abstractmethod
from array import array
from collections import deque
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby

from ..audio.conversion import Conversion
from ..audio.formats import AudioFormat, Encoding

__all__ = ["SILENCE", "Ear", "Heard", "Silence", "Spoken", "Tone", "Voice", "resampled"]

_KEPT_SECONDS = 600.0
"""How much an ear remembers."""


class Voice(ABC):
    """What a far end says from its answer on, for as long as anybody listens."""

    @abstractmethod
    def pcm(self, start: int, count: int, rate: int) -> bytes:
        """Return `count` samples from sample `start` on, at `rate` hertz: PCM16, little-endian, mono.

        Safe from any thread, and cheap: it is asked for every frame of every call.
        """


@dataclass(frozen=True, slots=True)
class Silence(Voice):
    """Nothing is said."""

    def pcm(self, start: int, count: int, rate: int) -> bytes:
        return bytes(2 * count)


SILENCE = Silence()


@dataclass(frozen=True, slots=True)
class Tone(Voice):
    """A sine, for ever. `frequency` is in whole hertz, `level` that of its peaks in dB of full scale."""

    frequency: int
    level: float = -12.0

    def __post_init__(self) -> None:
        if self.frequency < 1:
            raise ValueError(f"frequency is {self.frequency}; it must be 1 Hz or more")
        if self.level > 0:
            raise ValueError(f"level is {self.level} dB; above 0 dB a tone is clipped")

    def pcm(self, start: int, count: int, rate: int) -> bytes:
        period = _period(self.frequency, self.level, rate)
        begin = 2 * start % len(period)
        end = begin + 2 * count
        if end <= len(period):
            return period[begin:end]
        return (period * (end // len(period) + 1))[begin:end]


class Spoken(Voice):
    """A recording: PCM16 (little-endian, mono) at `rate` hertz, said once, or again and again where it is `repeated`.

    What comes before and after it is silence.
    """

    def __init__(self, pcm: bytes, *, rate: int, repeated: bool = False) -> None:
        if len(pcm) % 2:
            raise ValueError(f"{len(pcm)} bytes are no whole number of 16-bit samples")
        if repeated and not pcm:
            raise ValueError("a recording without a sample cannot be repeated")
        self.rate = rate
        self.repeated = repeated
        self._lock = threading.Lock()
        self._at_rate = {rate: pcm}

    @classmethod
    def read(cls, path: str | os.PathLike[str], *, repeated: bool = False) -> Spoken:
        """Return what a WAV file says. Raises `OSError` or `ValueError` where it cannot be read."""
        from ..audio.wav import WavReader

        with WavReader(path) as reader:
            return cls(b"".join(reader), rate=reader.format.rate, repeated=repeated)

    def __repr__(self) -> str:
        return f"<Spoken {len(self._at_rate[self.rate]) / (2 * self.rate):.2f} s at {self.rate} Hz>"

    def pcm(self, start: int, count: int, rate: int) -> bytes:
        said = self._said(rate)
        begin, size = 2 * start, 2 * count
        if self.repeated:
            begin %= len(said)
            piece = said[begin : begin + size]
            while len(piece) < size:
                piece += said[: size - len(piece)]
            return piece
        if begin < 0:
            before = min(size, -begin)
            return bytes(before) + said[: size - before].ljust(size - before, b"\0")
        return said[begin : begin + size].ljust(size, b"\0")

    def _said(self, rate: int) -> bytes:
        """The whole of it at that rate: converted once, and kept."""
        said = self._at_rate.get(rate)
        if said is None:
            with self._lock:
                said = self._at_rate.get(rate)
                if said is None:
                    said = self._at_rate[rate] = resampled(self._at_rate[self.rate], self.rate, rate)
        return said


@dataclass(frozen=True, slots=True)
class Heard:
    """A piece that was played to a far end: PCM16 (little-endian, mono), and when its first sample was heard.

    `at` is in seconds of the exchange's `media_now()`.
    """

    at: float
    rate: int
    pcm: bytes

    @property
    def seconds(self) -> float:
        """How long it lasts."""
        return len(self.pcm) / (2 * self.rate)


class Ear:
    """What a far end has heard: the latest ten minutes of it. Safe from any thread."""

    def __init__(self, *, kept: float = _KEPT_SECONDS) -> None:
        self._kept = kept
        self._pieces: deque[Heard] = deque()
        self._seconds = 0.0
        self._grown = threading.Condition()

    def __repr__(self) -> str:
        return f"<Ear {self.seconds:.2f} s>"

    @property
    def pieces(self) -> tuple[Heard, ...]:
        """What was heard, piece by piece, in order."""
        with self._grown:
            return tuple(self._pieces)

    @property
    def seconds(self) -> float:
        """How much of what was heard is remembered. Silence in between, when nothing was played, is not counted."""
        with self._grown:
            return self._seconds

    def hear(self, pcm: bytes, *, rate: int, at: float) -> None:
        """Take a piece that begins to be heard at that instant."""
        if not pcm:
            return
        piece = Heard(at, rate, pcm)
        with self._grown:
            self._pieces.append(piece)
            self._seconds += piece.seconds
            while self._seconds > self._kept and len(self._pieces) > 1:
                self._seconds -= self._pieces.popleft().seconds
            self._grown.notify_all()

    def pcm(self, *, rate: int = 16_000) -> bytes:
        """Return everything that was played, end to end, at that rate: the pauses between are left out."""
        parts: list[bytes] = []
        for source, pieces in groupby(self.pieces, key=lambda piece: piece.rate):
            parts.append(resampled(b"".join(piece.pcm for piece in pieces), source, rate))
        return b"".join(parts)

    def wait_for(self, seconds: float, *, timeout: float = 10.0) -> bool:
        """Block until so much is remembered; False where it is not within so many real seconds."""
        with self._grown:
            return self._grown.wait_for(lambda: self._seconds >= seconds - 1e-6, timeout)


@lru_cache(maxsize=64)
def _period(frequency: int, level: float, rate: int) -> bytes:
    """Whole periods of a sine in whole samples, so that they can be repeated: some 20 ms at least."""
    samples = rate // math.gcd(rate, frequency)
    samples *= max(1, math.ceil(rate / 50 / samples))
    peak = 32_767 * 10 ** (level / 20)
    values = array("h", (round(peak * math.sin(2 * math.pi * frequency * n / rate)) for n in range(samples)))
    if sys.byteorder == "big":
        values.byteswap()
    return values.tobytes()


def resampled(pcm: bytes, source: int, target: int) -> bytes:
    """Return the whole of it at another rate, without the delay of a conversion that does not know what follows."""
    conversion = Conversion(AudioFormat(Encoding.PCM16, source), AudioFormat(Encoding.PCM16, target))
    converted = conversion.convert(pcm) + conversion.flush()
    wanted = 2 * round(len(pcm) // 2 * target / source)
    return converted[max(0, len(converted) - wanted) :].ljust(wanted, b"\0")
