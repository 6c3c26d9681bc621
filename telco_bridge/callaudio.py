"""The audio of a call in the application's hands: what is said, and what is played."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable, Mapping
from types import TracebackType
from typing import TYPE_CHECKING

import anyio

from .audio.formats import AudioFormat
from .audio.frames import AudioFrame, AudioItem, AudioStats
from .audio.playback import Playback, Sound
from .audio.port import MediaPort, PortSettings
from .audio.wire import PressDigit
from .errors import NotPossibleNow, TelcoBridgeError, Unsupported
from .media import MediaDirection

if TYPE_CHECKING:
    from typing import Self

    from .call import Call
    from .mediastream import MediaStream

__all__ = ["CallAudio"]

_log = logging.getLogger("telco_bridge")

_NOT_ENTERED = "{}: use the audio inside `async with call.audio() as audio:`"
_ONE_WAY = "the audio was opened with direction='receive'; nothing can be {}: open it with direction='both'"


class CallAudio(AsyncIterator[AudioItem]):
    """The audio of one call, from entering to leaving. Made by `Call.audio`, entered once.

    Iterating gives `AudioFrame`s, `Digit`s and `PlaybackProgress`, in one order, until the stream or the call ends.
    Leaving stops the stream and nothing else.
    """

    def __init__(
        self,
        call: Call,
        settings: PortSettings,
        direction: MediaDirection,
        native: Mapping[str, object],
        *,
        close_timeout: float,
    ) -> None:
        self._call = call
        self._settings = settings
        self._direction = direction
        self._native = native
        self._close_timeout = close_timeout
        self._port: MediaPort | None = None
        self._stream: MediaStream | None = None

    def __repr__(self) -> str:
        state = "not entered" if self._stream is None else str(self._stream.state)
        return f"<CallAudio of {self._call.id}, {self._direction}, {self._settings.format}: {state}>"

    async def __aenter__(self) -> Self:
        if self._port is not None:
            raise NotPossibleNow("this audio was entered already; call.audio() makes another")
        self._port, self._stream = await self._call.start_audio(self._settings, self._direction, self._native)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        port, stream = self._opened("leave"), self.stream
        failure = f"it took longer than {self._close_timeout:g} s"
        try:
            with anyio.move_on_after(self._close_timeout, shield=True):
                try:
                    await stream.stop()
                except TelcoBridgeError as failed:
                    # An error that is leaving already is the user's, and goes first.
                    if error is None and not isinstance(failed, NotPossibleNow):
                        raise
                    failure = str(failed)
                else:
                    return
            _log.warning("%s: the audio of call %s could not be stopped: %s", stream, self._call.id, failure)
        finally:
            # Hangs up on the provider where it has not done so itself: no frame comes in any more.
            port.close()

    # Hearing ------------------------------------------------------------------------------------------------------

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> AudioItem:
        item = await self._opened("iterate").intake.fetch()
        if item is None:
            raise StopAsyncIteration
        return item

    @property
    def stream(self) -> MediaStream:
        """The stream that carries it, with its state and, in the end, its termination."""
        if self._stream is None:
            raise NotPossibleNow(_NOT_ENTERED.format("stream"))
        return self._stream

    @property
    def format(self) -> AudioFormat:
        """The format of the frames that are iterated over, and of the bytes that are played."""
        return self._settings.format

    @property
    def wire_format(self) -> AudioFormat:
        """The format in which the provider's connection carries it; frames are converted only where the two differ."""
        port = self._opened("wire_format")
        return port.format if port.format is not None else self._settings.format

    @property
    def stats(self) -> AudioStats:
        """What was counted so far."""
        return self._opened("stats").stats

    def divert(self, take: Callable[[AudioFrame], None]) -> None:
        """Give every frame to this function as it comes, and to no reader any more."""
        self._opened("divert").intake.tap = take

    # Speaking -----------------------------------------------------------------------------------------------------

    def play(self, sound: Sound) -> Playback:
        """Queue a sound behind those that are queued already, and return at once.

        `sound` is audio in `format`, as bytes or as they come from an async iterator, or the path of a WAV file of any
        rate. It is sent on an absolute schedule, a little ahead of being heard. Raises `Unsupported` where the audio
        goes one way. A sound that is queued when the stream ends is never heard, and its playback says so.
        """
        port = self._two_way("play", "played")
        if port.player is None:
            raise NotPossibleNow("play: the audio does not flow any more")
        return port.player.play(sound, self._settings.format)

    def clear(self) -> float:
        """Cut off whatever is being played, at once; return the milliseconds that were heard of it.

        By the clock: what the far end's own network does with the last few is not known.
        """
        player = self._two_way("clear", "cleared").player
        return player.clear() if player is not None else 0.0

    def send_digits(self, digits: str) -> None:
        """Press keys on the stream, at once. Raises `Unsupported` where the provider's stream has no words for it."""
        port = self._two_way("send_digits", "pressed")
        for digit in digits:
            if not port.send(PressDigit(digit)) and not port.over:
                raise Unsupported("send_digits: this provider's streams carry no digits; use call.send_digits()")

    def _two_way(self, what: str, done: str) -> MediaPort:
        port = self._opened(what)
        if self._direction is not MediaDirection.BOTH:
            raise Unsupported(f"{what}: {_ONE_WAY.format(done)}")
        return port

    def _opened(self, what: str) -> MediaPort:
        if self._port is None:
            raise NotPossibleNow(_NOT_ENTERED.format(what))
        return self._port
