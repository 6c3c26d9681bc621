"""Two tracks side by side on one time line, in whatever order and however late their pieces come."""

from __future__ import annotations

from .wire import Track

__all__ = ["Mixdown"]

_PATIENCE = 500.0
"""Milliseconds that one track waits for the other, before what is missing is silence."""


class Mixdown:
    """Takes pieces of PCM16 with their places, and gives pairs of equal length: inbound left, outbound right.

    What never comes is silence. What comes after its place has been given away is lost, and counted in `lost`.
    """

    def __init__(self, *, rate: int) -> None:
        self.lost = 0
        self._rate = rate
        self._given = 0
        """Samples of each track that have been given away."""
        self._left = bytearray()
        self._right = bytearray()

    def add(self, pcm: bytes, track: Track, timestamp: float) -> None:
        """Take a piece that belongs at that many milliseconds from the start."""
        at = round(timestamp * self._rate / 1000.0) - self._given
        if at < 0:
            self.lost += 1
            pcm = pcm[-2 * at :]
            at = 0
        if not pcm:
            return
        side = self._right if track is Track.OUTBOUND else self._left
        begin = 2 * at
        if begin > len(side):
            side += bytes(begin - len(side))
        side[begin : begin + len(pcm)] = pcm

    def take(self) -> tuple[bytes, bytes]:
        """Give what is complete: as far as both tracks are known, or have been waited for."""
        patience = 2 * round(self._rate * _PATIENCE / 1000.0)
        longer = max(len(self._left), len(self._right))
        return self._take(max(min(len(self._left), len(self._right)), longer - patience))

    def rest(self) -> tuple[bytes, bytes]:
        """Give everything that is left."""
        return self._take(max(len(self._left), len(self._right)))

    def _take(self, size: int) -> tuple[bytes, bytes]:
        left, right = bytes(self._left[:size]).ljust(size, b"\0"), bytes(self._right[:size]).ljust(size, b"\0")
        del self._left[:size]
        del self._right[:size]
        self._given += size // 2
        return left, right
