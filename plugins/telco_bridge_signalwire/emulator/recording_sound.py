"""The sound of recordings: taken from what is said in the simulated network, kept as WAV files."""

from __future__ import annotations

import io
import wave
from array import array
from collections.abc import Sequence

from telco_bridge.sandbox.exchange import Exchange, Leg
from telco_bridge.sandbox.tape import Tape

__all__ = ["Sound", "trimmed"]

_RATE = 8000
_LONGEST = 3600.0
"""Seconds that a file holds at most."""


class Sound:
    """What is recorded of a leg, and of those that it is connected with; without any leg, silence.

    `far` and `near` say which sides of the leg are taken: what its far end says, and what it hears. What the connected
    ones say counts as heard. A file has either side on a channel of its own (`channels` 2), or both on one.
    """

    def __init__(
        self,
        exchange: Exchange,
        leg: Leg | None,
        *,
        connected: Sequence[Leg] = (),
        channels: int = 1,
        far: bool = True,
        near: bool = True,
    ) -> None:
        self._tape = Tape(exchange, leg) if leg is not None else None
        self._connected = [Tape(exchange, other) for other in connected]
        self._channels = channels
        self._far = far
        self._near = near

    def pause(self, *, skip: bool) -> None:
        """Take silence until `resume`, or nothing at all (`skip`)."""
        for tape in self._tapes:
            tape.pause(skip=skip)

    def resume(self) -> None:
        """Go on."""
        for tape in self._tapes:
            tape.resume()

    def end(self) -> None:
        """Take nothing more."""
        for tape in self._tapes:
            tape.end()

    def wav(self, seconds: float) -> bytes:
        """Return the WAV file. It takes its time: use a thread. `seconds` is how long it is where there is no leg."""
        if self._tape is None:
            return _wav(bytes(2 * self._channels * round(min(seconds, _LONGEST) * _RATE)), self._channels)
        if not self._connected:
            return self._tape.wav(channels=self._channels, rate=_RATE, far=self._far, near=self._near)
        both = _samples(self._tape.wav(channels=2, rate=_RATE, far=self._far, near=self._near))
        left, right = both[0::2], both[1::2]
        if self._near:
            for tape in self._connected:
                right = _mixed(right, _samples(tape.wav(rate=_RATE, near=False)))
        if self._channels == 1:
            return _wav(_mixed(left, right).tobytes(), 1)
        both[1::2] = right
        return _wav(both.tobytes(), 2)

    @property
    def _tapes(self) -> Sequence[Tape]:
        return [*([self._tape] if self._tape is not None else []), *self._connected]


def trimmed(file: bytes) -> tuple[bytes | None, float]:
    """Return a WAV file without the silence at its beginning and end, and how great a part of it that is.

    None where nothing is left. Silence is that of the simulation: no sound at all.
    """
    with wave.open(io.BytesIO(file)) as reader:
        channels, count = reader.getnchannels(), reader.getnframes()
        data = reader.readframes(count)
    size = 2 * channels
    begin = (len(data) - len(data.lstrip(b"\0"))) // size * size
    end = -(-len(data.rstrip(b"\0")) // size) * size
    if begin >= end:
        return None, 0.0
    return _wav(data[begin:end], channels), (end - begin) / len(data)


def _samples(file: bytes) -> array[int]:
    with wave.open(io.BytesIO(file)) as reader:
        return array("h", reader.readframes(reader.getnframes()))


def _mixed(one: array[int], other: array[int]) -> array[int]:
    """The sum of both, as long as the first: the tapes of one recording may differ by a sample."""
    other = other[: len(one)]
    other.extend([0] * (len(one) - len(other)))
    return array("h", (max(-32768, min(32767, x + y)) for x, y in zip(one, other, strict=True)))


def _wav(frames: bytes, channels: int) -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(channels)
        writer.setsampwidth(2)
        writer.setframerate(_RATE)
        writer.writeframes(frames)
    return file.getvalue()
