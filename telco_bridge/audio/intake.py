"""What arrives, in order, for one reader: converted, counted, and never more than was agreed."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import anyio

from .conversion import Conversion
from .formats import AudioFormat
from .frames import AudioFrame, AudioItem, Digit, Overflow, PlaybackProgress
from .wire import MediaHeard, Track

__all__ = ["Intake"]


_MOST_ITEMS = 1000


class Intake:
    """Takes what the provider sends and keeps up to `capacity` milliseconds of it.

    `now` is the time in seconds. Used from one event loop; `add` never waits.
    """

    def __init__(self, *, wanted: AudioFormat, capacity: float, overflow: Overflow, now: Callable[[], float]) -> None:
        self.frames = self.gaps = self.late = self.dropped = self.blocked = self.depth = 0
        self.jitter = 0.0
        self.tap: Callable[[AudioFrame], None] | None = None
        """Is given every frame as it comes, where one is set; then none is kept for a reader."""
        self._wanted = wanted
        self._capacity = wanted.size(capacity)
        self._overflow = overflow
        self._now = now
        self._given: AudioFormat | None = None
        self._tracks: dict[Track, _TrackState] = {}
        self._items: deque[AudioItem] = deque()
        self._kept = 0
        self._arrived: anyio.Event | None = None
        self._closed = False

    @property
    def full(self) -> bool:
        """Whether reading should pause: only where the reader chose to block."""
        return self._overflow is Overflow.BLOCK and self._kept >= self._capacity and not self._closed

    def open(self, given: AudioFormat) -> None:
        """The provider's audio comes in that format."""
        self._given = given

    def add(self, heard: MediaHeard) -> None:
        """Take a piece of audio."""
        given = self._given
        if given is None:
            return
        state = self._tracks.get(heard.track)
        if state is None:
            state = self._tracks[heard.track] = _TrackState(Conversion(given, self._wanted))
        length = given.milliseconds(len(heard.payload))
        at = heard.at if heard.at is not None else round(state.next_at)
        self.frames += 1
        self._count(state, heard.number, at, length)
        data = state.conversion.convert(heard.payload)
        if not data:
            # A resampler that has not heard enough yet has nothing to say.
            return
        frame = AudioFrame(data, self._wanted, at, heard.track)
        if self.tap is not None:
            self.tap(frame)
            return
        if self._kept >= self._capacity and self._overflow is Overflow.DROP_OLDEST:
            self._drop_oldest()
        self.depth += 1
        self._kept += len(data)
        self._put(frame)

    def add_item(self, item: Digit | PlaybackProgress) -> None:
        """Take something that is no audio, in its place among it. It is lost only where nobody fetches at all."""
        if len(self._items) - self.depth >= _MOST_ITEMS:
            oldest = next(old for old in self._items if type(old) is not AudioFrame)
            self._items.remove(oldest)
            self.dropped += 1
        self._put(item)

    def close(self) -> None:
        """Nothing comes any more; what is there can still be fetched."""
        self._closed = True
        self._wake()

    async def fetch(self) -> AudioItem | None:
        """Wait for the next item; None at the end."""
        items = self._items
        while not items:
            if self._closed:
                return None
            if self._arrived is None:
                self._arrived = anyio.Event()
            await self._arrived.wait()
        item = items.popleft()
        if type(item) is AudioFrame:
            self._forget(item)
        return item

    def _count(self, state: _TrackState, number: int | None, at: int, length: float) -> None:
        if number is not None:
            if state.next_number is None or number >= state.next_number:
                self.gaps += number - state.next_number if state.next_number is not None else 0
                state.next_number = number + 1
            else:
                self.late += 1
                self.gaps = max(0, self.gaps - 1)
        elif length > 0:
            if at >= state.next_at - length / 2:
                # A provider that does not number its frames still has a time line.
                self.gaps += round((at - state.next_at) / length)
            else:
                self.late += 1
                self.gaps = max(0, self.gaps - 1)
        state.next_at = max(state.next_at, at + length)
        transit = self._now() * 1000.0 - at
        if state.transit is not None:
            self.jitter += (abs(transit - state.transit) - self.jitter) / 16.0
        state.transit = transit

    def _drop_oldest(self) -> None:
        kept: list[AudioItem] = []
        while self._items:
            item = self._items.popleft()
            if type(item) is AudioFrame:
                self._forget(item)
                self.dropped += 1
                break
            kept.append(item)
        self._items.extendleft(reversed(kept))

    def _forget(self, frame: AudioFrame) -> None:
        self.depth -= 1
        self._kept -= len(frame.data)

    def _put(self, item: AudioItem) -> None:
        self._items.append(item)
        if self._arrived is not None:
            self._wake()

    def _wake(self) -> None:
        if self._arrived is not None:
            self._arrived.set()
            self._arrived = None


@dataclass(slots=True)
class _TrackState:
    """How far one track has come."""

    conversion: Conversion
    next_number: int | None = None
    next_at: float = 0.0
    transit: float | None = None
