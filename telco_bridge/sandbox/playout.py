"""Audio on its way to the far end: what the application has sent is queued, and heard in real time."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from telco_bridge.audio.conversion import Conversion
from telco_bridge.audio.formats import AudioFormat, Encoding

__all__ = ["Playout", "Speaker", "Tap"]

_COPY_DELAY = 0.02
"""Seconds by which an outbound track lags behind, so that no sample is missing where rates are converted."""


@dataclass(slots=True)
class _Queued:
    """Audio that waits, and the marks behind it."""

    pcm: bytes
    marks: list[str] = field(default_factory=list[str])


@dataclass(slots=True)
class Speaker:
    """What is played to one call's far end, and the copies that are made of it."""

    playouts: list[Playout] = field(default_factory=list["Playout"])
    taps: list[Tap] = field(default_factory=list["Tap"])

    def catch_up(self) -> None:
        """Play what is due by now, whoever has not come to it yet."""
        for playout in self.playouts:
            playout.catch_up()


class Tap:
    """An outbound track: what the speaker plays, on the time line of a stream that began at that instant."""

    def __init__(self, speaker: Speaker, *, began: float, rate: int) -> None:
        self._speaker = speaker
        self._began = began
        self._rate = rate
        self._line = bytearray()
        self._taken = 0
        """How many samples of the time line are gone."""
        self._conversion: Conversion | None = None
        """From what is played; None until something is."""
        self._source_rate = 0
        self._source_place = 0
        """How far, in samples of the source, the time line has been told."""

    def feed(self, pcm: bytes, rate: int, at: float) -> None:
        """Take a piece that began to be heard at that instant."""
        if self._conversion is None or rate != self._source_rate:
            place = round((at + _COPY_DELAY - self._began) * self._rate) - self._taken
            self._line += bytes(max(0, 2 * place - len(self._line)))
            self._source_rate = rate
            self._source_place = round((at - self._began) * rate)
            self._conversion = Conversion(AudioFormat(Encoding.PCM16, rate), AudioFormat(Encoding.PCM16, self._rate))
        self._rest_until(at, self._conversion)
        self._line += self._conversion.convert(pcm)
        self._source_place += len(pcm) // 2

    def pcm(self, start: int, count: int) -> bytes:
        """Return the samples; silence where nothing was played."""
        self._speaker.catch_up()
        end = start + count
        if self._conversion is not None:
            self._rest_until(self._began + end / self._rate, self._conversion)
        size = 2 * count
        piece = bytes(self._line[:size])
        del self._line[:size]
        self._taken = end
        return piece.ljust(size, b"\0")

    def _rest_until(self, instant: float, conversion: Conversion) -> None:
        """Nothing was played up to then."""
        missing = round((instant - self._began) * self._source_rate) - self._source_place
        # A single sample is no pause: it comes of rounding.
        if missing > 1:
            self._line += conversion.convert(bytes(2 * missing))
            self._source_place += missing


class Playout:
    """The queue of one two-way stream. `now` is a clock in seconds; `heard` is given PCM16, and when it was heard."""

    def __init__(
        self, *, rate: int, now: Callable[[], float], heard: Callable[[bytes, float], None], speaker: Speaker
    ) -> None:
        self._rate = rate
        self._now = now
        self._heard = heard
        self._speaker = speaker
        self._queue: deque[_Queued] = deque()
        self._reached: list[str] = []
        self._began: float | None = None
        """When what is being played without a pause began; None in a pause."""
        self._done = 0
        """How many samples were played since."""
        self._given = 0
        """How many samples were queued since, played or not."""
        self._offset = 0
        """How many bytes of the queue's first piece were played."""

    def add(self, pcm: bytes) -> None:
        """Queue audio."""
        now = self._now()
        if self._began is not None and now > self._began + self._given / self._rate:
            # It was played to its end, and nothing was heard since.
            self.catch_up()
        if pcm:
            if self._began is None:
                self._began, self._done, self._given = now, 0, 0
            self._given += len(pcm) // 2
            self._queue.append(_Queued(pcm))

    def mark(self, name: str) -> None:
        """Put a mark behind everything that is queued. It is reached at once where nothing is."""
        self.catch_up()
        (self._queue[-1].marks if self._queue else self._reached).append(name)

    def clear(self) -> None:
        """Drop everything that was not heard until now. With that every mark is reached."""
        self.catch_up()
        for queued in self._queue:
            self._reached += queued.marks
        self._queue.clear()
        self._began, self._offset = None, 0

    def reached(self) -> list[str]:
        """Return the marks that were reached until now, each once."""
        self.catch_up()
        reached, self._reached = self._reached, []
        return reached

    def catch_up(self) -> None:
        """Play what is due by now."""
        if self._began is None:
            return
        due = 2 * (round((self._now() - self._began) * self._rate) - self._done)
        at = self._began + self._done / self._rate
        pieces: list[bytes] = []
        size = 0
        while self._queue and size < due:
            first = self._queue[0]
            piece = first.pcm[self._offset : self._offset + due - size]
            pieces.append(piece)
            size += len(piece)
            self._offset += len(piece)
            if self._offset == len(first.pcm):
                self._reached += first.marks
                self._queue.popleft()
                self._offset = 0
        if size:
            self._done += size // 2
            pcm = b"".join(pieces)
            self._heard(pcm, at)
            for tap in self._speaker.taps:
                tap.feed(pcm, self._rate, at)
        if not self._queue:
            self._began = None
