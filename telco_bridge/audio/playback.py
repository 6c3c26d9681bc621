"""Playing sounds to the far end: in order, on an absolute schedule, and cut off at once when somebody speaks."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Callable, Coroutine
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, cast

import anyio
import anyio.to_thread

from .conversion import Conversion
from .formats import AudioFormat
from .wire import Clear, MediaOrder, PlayAudio, PlayMark

if TYPE_CHECKING:
    from ..clock import Clock

__all__ = ["Heard", "HeardBy", "Playback", "PlaybackState", "Player", "Sound"]

Sound = bytes | bytearray | memoryview | AsyncIterable[bytes] | str | Path
"""What can be played: audio in the stream's format, at once or as it comes, or the path of a WAV file."""

FRAME = 20.0
"""Milliseconds that are sent at a time."""
_GRACE = 2.0
"""Seconds that a provider may take to say that something has been heard, before the clock is believed."""
_READ_AHEAD = 2000.0
"""Milliseconds of a sound that are kept ready."""


class PlaybackState(StrEnum):
    """How far a playback has come."""

    QUEUED = "queued"
    PLAYING = "playing"
    FINISHED = "finished"
    CUT = "cut"
    """It was cleared, or the stream ended, before all of it was heard."""
    FAILED = "failed"
    """Its source broke."""


class HeardBy(StrEnum):
    """How it is known what was heard."""

    MARK = "mark"
    """The provider said so."""
    CLOCK = "clock"
    """By the time that has passed; the way to the far end's ear is not known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """What the far end has heard of a playback, in milliseconds; `complete` where that is all of it."""

    milliseconds: float
    complete: bool
    by: HeardBy


class Playback:
    """One sound on its way to the far end. Made by `CallAudio.play`."""

    _numbers = itertools.count(1)

    def __init__(self, player: Player) -> None:
        self.id = f"playback-{next(self._numbers)}"
        self.state = PlaybackState.QUEUED
        self._player = player
        self._over = anyio.Event()
        self._heard: Heard | None = None
        self._failure: Exception | None = None

    def __repr__(self) -> str:
        return f"<Playback {self.id}: {self.state}, {self.heard:.0f} ms heard>"

    @property
    def heard(self) -> float:
        """The milliseconds that have been heard so far, by the clock while it plays."""
        return self._heard.milliseconds if self._heard is not None else self._player.heard(self)

    @property
    def over(self) -> bool:
        """Whether nothing more of it will be heard."""
        return self._heard is not None

    async def silent(self) -> None:
        """Wait until nothing more of it will be heard, for whatever reason."""
        await self._over.wait()

    async def finished(self) -> Heard:
        """Wait until it has been heard, or was cut off; return how much was heard, and how that is known.

        Raises what its source raised.
        """
        await self._over.wait()
        if self._failure is not None or self._heard is None:
            raise self._failure or AssertionError("what is over has been heard")
        return self._heard

    def end(self, state: PlaybackState, heard: Heard, failure: Exception | None = None) -> None:
        """Nothing more of it will be heard."""
        if self._heard is None:
            self.state, self._heard, self._failure = state, heard, failure
            self._over.set()


class _Voice:
    """A playback's sound, read ahead and in the wire's format."""

    def __init__(self, playback: Playback, sound: Sound, given: AudioFormat, wire: AudioFormat) -> None:
        self.playback = playback
        self.done = False
        """Whether everything has been read."""
        self.failure: Exception | None = None
        self.started_at: float | None = None
        """When its first frame is heard, in seconds."""
        self.sent = 0.0
        """Milliseconds."""
        self.ends_at = 0.0
        self._given_up = False
        self._scope: anyio.CancelScope | None = None
        self._sound = sound
        self._given = given
        self._wire = wire
        self._ready = bytearray()
        self._raw: deque[memoryview] = deque()
        """What is read and not yet converted, which is done a frame at a time, because it takes time."""
        self._kept = 0
        """Bytes that are read and not yet converted."""
        self._read = False
        self._conversion = Conversion(given, wire)
        self._room = anyio.Event()
        if isinstance(sound, bytes | bytearray | memoryview):
            self._raw.append(memoryview(bytes(sound)))
            self._kept = len(self._raw[0])
            self._read = True

    @property
    def needs_feeding(self) -> bool:
        """Whether `feed` must run beside the player."""
        return not self._read

    def frame(self, size: int) -> bytes | None:
        """Take the next frame, a shorter one at the end; None where nothing is ready."""
        ready = self._ready
        while len(ready) < size and self._raw:
            piece = self._raw.popleft()
            step = self._given.size(FRAME)
            if len(piece) > step:
                self._raw.appendleft(piece[step:])
                piece = piece[:step]
            self._kept -= len(piece)
            ready += self._conversion.convert(bytes(piece))
        if self._kept < self._given.size(_READ_AHEAD) // 2:
            self._room.set()
        if self._read and not self._raw and not self.done:
            self.done = True
            ready += self._conversion.flush()
        if len(ready) < size and not self.done:
            return None
        frame = bytes(ready[:size])
        del ready[:size]
        return frame

    @property
    def empty(self) -> bool:
        """Whether everything has been taken."""
        return self.done and not self._ready

    def give_up(self) -> None:
        """Read no more of it: nobody will hear it."""
        self._given_up = True
        if self._scope is not None:
            self._scope.cancel()

    async def feed(self) -> None:
        """Read the sound ahead of the player."""
        if self._given_up:
            return
        with anyio.CancelScope() as self._scope:
            try:
                if isinstance(self._sound, str | Path):
                    await self._feed_file(Path(self._sound))
                else:
                    await self._feed_pieces(aiter(cast("AsyncIterable[bytes]", self._sound)))
            except Exception as error:  # noqa: BLE001 - the source is the application's; whoever awaits the playback is told
                self.failure = error
            self._read = True

    async def _feed_pieces(self, pieces: AsyncIterator[bytes]) -> None:
        try:
            async for piece in pieces:
                await self._put(piece)
        finally:
            if isinstance(pieces, AsyncGenerator):
                # Nobody else will read it on: it is told so now, and not when it is collected.
                with anyio.CancelScope(shield=True):
                    await cast("AsyncGenerator[bytes, None]", pieces).aclose()

    async def _feed_file(self, path: Path) -> None:
        from .wav import WavReader

        reader = await anyio.to_thread.run_sync(WavReader, path)
        try:
            self._given = reader.format
            self._conversion = Conversion(reader.format, self._wire)
            blocks = iter(reader)
            while (block := await anyio.to_thread.run_sync(next, blocks, b"")) != b"":
                await self._put(block)
        finally:
            reader.close()

    async def _put(self, piece: bytes) -> None:
        self._raw.append(memoryview(bytes(piece)))
        self._kept += len(piece)
        if self._kept > self._given.size(_READ_AHEAD):
            self._room = anyio.Event()
            await self._room.wait()


class Player:
    """Sends sounds to the far end, `lead` milliseconds ahead of the moment in which they are heard.

    Used from one event loop. `pace` calls `turn` as often as it asks; `spawn` starts a task beside it; `tell` is told
    of every playback that begins or is over.
    """

    def __init__(
        self,
        *,
        wire: AudioFormat,
        clock: Clock,
        send: Callable[[MediaOrder], bool],
        marks: bool,
        lead: float,
        pace: Callable[[Callable[[float], float | None]], None],
        spawn: Callable[[Callable[[], Coroutine[object, object, None]]], None],
        tell: Callable[[Playback], None],
    ) -> None:
        self.sent = self.underruns = 0
        self._wire = wire
        self._size = wire.size(FRAME)
        self._clock = clock
        self._send = send
        self._marks = marks
        self._lead = lead / 1000.0
        self._pace = pace
        self._pacing = False
        self._spawn = spawn
        self._tell = tell
        self._queue: deque[_Voice] = deque()
        self._sent: deque[_Voice] = deque()
        """Sent to the last frame, and not yet known to be heard."""
        self._head_at = 0.0
        """When the next frame is heard, in seconds: the absolute schedule."""
        self._starved = False
        self._closed = False

    def play(self, sound: Sound, given: AudioFormat) -> Playback:
        """Queue a sound; return at once. Raises `TypeError` for what is none."""
        if not isinstance(cast("object", sound), bytes | bytearray | memoryview | str | Path | AsyncIterable):
            kind = type(sound).__name__
            raise TypeError(f"a {kind} cannot be played: give bytes, an async iterator of them, or the path of a WAV")
        playback = Playback(self)
        if self._closed:
            playback.end(PlaybackState.CUT, Heard(milliseconds=0.0, complete=False, by=HeardBy.CLOCK))
            return playback
        voice = _Voice(playback, sound, given, self._wire)
        self._queue.append(voice)
        if voice.needs_feeding:
            self._spawn(voice.feed)
        if not self._pacing:
            self._pacing = True
            self._pace(self.turn)
        elif len(self._queue) == 1:
            # The next turn is only to see whether the last sound has been heard.
            self.turn(self._clock.now())
        return playback

    def clear(self) -> float:
        """Cut everything off; return the milliseconds that were heard of what was cut."""
        now = self._clock.now()
        cut = [*self._sent, *self._queue]
        self._sent.clear()
        self._queue.clear()
        cleared = bool(cut) and self._send(Clear())
        heard = 0.0
        for voice in cut:
            # What cannot be called back is heard to its end.
            heard += self._cut(voice, now if cleared else now + self._lead)
        self._head_at = now if cleared else max(now, min(self._head_at, now + self._lead))
        return heard

    def reached(self, mark: str) -> None:
        """The provider says that everything before this mark has been heard."""
        while any(voice.playback.id == mark for voice in self._sent):
            voice = self._sent.popleft()
            self._finish(voice, HeardBy.MARK)

    def heard(self, playback: Playback) -> float:
        """The milliseconds of a playback that have been heard by now."""
        for voice in (*self._sent, *self._queue):
            if voice.playback is playback:
                return _heard(voice, self._clock.now())
        return 0.0

    def close(self) -> None:
        """The stream is over: whatever has not been heard never will be."""
        self._closed = True
        now = self._clock.now()
        for voice in (*self._sent, *self._queue):
            self._cut(voice, now)
        self._sent.clear()
        self._queue.clear()

    def turn(self, now: float) -> float | None:
        """Send what is due at that time; return when more is, None while there is nothing to play."""
        while not self._closed:
            self._settle(now)
            if not self._queue:
                if self._sent:
                    return now + FRAME / 1000.0
                break
            due = self._head_at - self._lead
            if now < due:
                return due
            try:
                ready = self._send_frame(now)
            except Exception as error:  # noqa: BLE001 - a plugin's words are foreign code, and the watch is everybody's
                self._fail(error, now)
                continue
            if not ready:
                return now + FRAME / 4000.0
        self._pacing = False
        return None

    def _send_frame(self, now: float) -> bool:
        """Send the next frame; False where its source has nothing to say yet."""
        voice = self._queue[0]
        frame = voice.frame(self._size)
        if frame is None:
            if voice.started_at is not None and now >= self._head_at and not self._starved:
                self._starved = True
                self.underruns += 1
            return False
        # What came late delays everything after it: a schedule that could not be kept is given up.
        self._head_at = max(self._head_at, now)
        if frame:
            self._starved = False
            if voice.started_at is None:
                voice.started_at = self._head_at
                voice.playback.state = PlaybackState.PLAYING
                self._tell(voice.playback)
            self._send(PlayAudio(frame))
            self.sent += 1
            length = self._wire.milliseconds(len(frame))
            voice.sent += length
            self._head_at += length / 1000.0
        if voice.empty:
            self._queue.popleft()
            voice.ends_at = self._head_at
            self._sent.append(voice)
            if self._marks:
                self._send(PlayMark(voice.playback.id))
        return True

    def _fail(self, error: Exception, now: float) -> None:
        """Give up the sound that is being sent."""
        voice = self._queue.popleft()
        voice.give_up()
        heard = Heard(milliseconds=_heard(voice, now), complete=False, by=HeardBy.CLOCK)
        voice.playback.end(PlaybackState.FAILED, heard, error)
        self._tell(voice.playback)

    def _settle(self, now: float) -> None:
        """Believe the clock where the provider does not say what has been heard."""
        while self._sent and now >= self._sent[0].ends_at + (_GRACE if self._marks else 0.0):
            self._finish(self._sent.popleft(), HeardBy.CLOCK)

    def _finish(self, voice: _Voice, by: HeardBy) -> None:
        heard = Heard(milliseconds=voice.sent, complete=voice.failure is None, by=by)
        state = PlaybackState.FINISHED if voice.failure is None else PlaybackState.FAILED
        voice.playback.end(state, heard, voice.failure)
        self._tell(voice.playback)

    def _cut(self, voice: _Voice, now: float) -> float:
        voice.give_up()
        heard = _heard(voice, now)
        voice.playback.end(
            PlaybackState.CUT, Heard(milliseconds=heard, complete=voice.empty and heard >= voice.sent, by=HeardBy.CLOCK)
        )
        self._tell(voice.playback)
        return heard


def _heard(voice: _Voice, now: float) -> float:
    if voice.started_at is None:
        return 0.0
    return min(voice.sent, max(0.0, (now - voice.started_at) * 1000.0))
