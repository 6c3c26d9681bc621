"""How audio is written as bytes: the encoding of a sample, and how many of them make a second. Always mono."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

__all__ = ["ALAW_8K", "MULAW_8K", "PCM16_8K", "PCM16_16K", "PCM16_24K", "AudioFormat", "Encoding"]

RATES = range(8_000, 48_001)
"""The sample rates that a format may have, in hertz."""


class Encoding(StrEnum):
    """How one sample is written."""

    PCM16 = "pcm16"
    """Linear, 16 bits, signed, little-endian."""
    MULAW = "mulaw"
    """G.711 mu-law, 8 bits."""
    ALAW = "alaw"
    """G.711 A-law, 8 bits."""

    @property
    def bytes_per_sample(self) -> int:
        """How many bytes one sample takes."""
        return 2 if self is Encoding.PCM16 else 1


_SILENCE = {Encoding.PCM16: b"\0\0", Encoding.MULAW: b"\xff", Encoding.ALAW: b"\xd5"}


@dataclass(frozen=True, slots=True)
class AudioFormat:
    """Mono audio in one encoding, at `rate` samples per second.

    Raises `ValueError` for a rate outside 8000 to 48000 Hz, and for an encoding that there is not.
    """

    encoding: Encoding
    rate: int

    def __post_init__(self) -> None:
        try:
            object.__setattr__(self, "encoding", Encoding(self.encoding))
        except ValueError:
            raise ValueError(f"{self.encoding!r} is no encoding; there are {', '.join(Encoding)}") from None
        if type(self.rate) is not int or self.rate not in RATES:
            raise ValueError(f"a rate of {self.rate!r} is not possible: give a whole number of hertz, 8000 to 48000")

    def __str__(self) -> str:
        return f"{self.encoding} at {self.rate} Hz"

    @property
    def bytes_per_sample(self) -> int:
        """How many bytes one sample takes."""
        return self.encoding.bytes_per_sample

    def size(self, milliseconds: float) -> int:
        """Return the bytes that so much audio takes, to the nearest whole sample."""
        return round(milliseconds * self.rate / 1000.0) * self.encoding.bytes_per_sample

    def milliseconds(self, size: int) -> float:
        """Return how long so many bytes last."""
        return size * 1000.0 / (self.rate * self.encoding.bytes_per_sample)

    def silence(self, milliseconds: float) -> bytes:
        """Return so much silence."""
        sample = _SILENCE[self.encoding]
        return sample * (self.size(milliseconds) // len(sample))


PCM16_8K = AudioFormat(Encoding.PCM16, 8_000)
PCM16_16K = AudioFormat(Encoding.PCM16, 16_000)
PCM16_24K = AudioFormat(Encoding.PCM16, 24_000)
MULAW_8K = AudioFormat(Encoding.MULAW, 8_000)
ALAW_8K = AudioFormat(Encoding.ALAW, 8_000)
