"""What is said in a simulated call, kept: the far end's words, and what it hears."""

from __future__ import annotations

import io
import wave
from array import array

from .exchange import Exchange, Leg
from .voices import Heard, resampled

__all__ = ["Tape"]

_LONGEST = 3600.0
"""Seconds that a tape holds at most, so that a forgotten one does not fill the memory."""


class Tape:
    """A tape of one call, which runs from its making until it is ended. Safe from any thread.

    Its time is that of audio, the exchange's `media_now()`.
    """

    def __init__(self, exchange: Exchange, leg: Leg) -> None:
        self._exchange = exchange
        self._leg = leg
        self._pieces: list[tuple[float, float | None, bool]] = [(exchange.media_now(), None, True)]
        """From when until when, and whether anything was taken."""

    @property
    def seconds(self) -> float:
        """How long it is by now."""
        now = self._exchange.media_now()
        return min(_LONGEST, sum((end if end is not None else now) - begin for begin, end, _ in self._pieces))

    def pause(self, *, skip: bool = False) -> None:
        """Take nothing until `resume`: silence, or nothing at all (`skip`)."""
        self._cut()
        if not skip:
            self._pieces.append((self._exchange.media_now(), None, False))

    def resume(self) -> None:
        """Go on."""
        self._cut()
        self._pieces.append((self._exchange.media_now(), None, True))

    def end(self) -> None:
        """Take nothing more."""
        self._cut()

    def wav(self, *, channels: int = 1, rate: int = 8000, far: bool = True, near: bool = True) -> bytes:
        """Return a WAV file of 16 bits: both sides mixed in one channel, or the far end's left and ours right.

        `far` and `near` say which of the sides were taken.
        """
        heard = self._leg.ear.pieces
        left, right = bytearray(), bytearray()
        for begin, end, taken in self._pieces:
            until = end if end is not None else self._exchange.media_now()
            count = max(0, min(round((until - begin) * rate), round(_LONGEST * rate) - len(left) // 2))
            silence = bytes(2 * count)
            left += self._leg.speech(begin, 0, count, rate=rate) if taken and far else silence
            right += _played(heard, begin, count, rate) if taken and near else silence
        file = io.BytesIO()
        with wave.open(file, "wb") as out:
            out.setnchannels(channels)
            out.setsampwidth(2)
            out.setframerate(rate)
            out.writeframes(_laid(left, right, channels))
        return file.getvalue()

    def _cut(self) -> None:
        begin, end, taken = self._pieces[-1]
        if end is None:
            self._pieces[-1] = (begin, self._exchange.media_now(), taken)


def _played(heard: tuple[Heard, ...], begin: float, count: int, rate: int) -> bytes:
    """What the far end has heard in that time, silence where nothing was played."""
    track = bytearray(2 * count)
    for piece in heard:
        at = round((piece.at - begin) * rate) * 2
        if at >= len(track) or at + 2 * rate * piece.seconds < 0:
            continue
        said = piece.pcm if piece.rate == rate else resampled(piece.pcm, piece.rate, rate)
        said = said[-at:] if at < 0 else said
        at = max(0, at)
        said = said[: max(0, len(track) - at)]
        track[at : at + len(said)] = said
    return bytes(track)


def _laid(left: bytes | bytearray, right: bytes | bytearray, channels: int) -> bytes:
    a, b = array("h", bytes(left)), array("h", bytes(right))
    if channels == 1:
        return array("h", (max(-32768, min(32767, x + y)) for x, y in zip(a, b, strict=True))).tobytes()
    both = array("h", bytes(2 * len(left)))
    both[0::2], both[1::2] = a, b
    return both.tobytes()
