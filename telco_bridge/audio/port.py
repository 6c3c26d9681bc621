"""The place where the media of one stream come in and go out."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import anyio

from ..clock import happens_by
from ..media import MediaDirection, Transport
from .formats import AudioFormat
from .frames import AudioStats, Digit, Overflow, PlaybackProgress
from .intake import Intake
from .playback import Playback, Player
from .wire import (
    MediaEndpoint,
    MediaFact,
    MediaHeard,
    MediaOpened,
    MediaOrder,
    MediaStopped,
    ReachedMark,
    RemoteDigit,
)

if TYPE_CHECKING:
    from ..clock import Clock

__all__ = ["MediaLine", "MediaPort", "PortSettings"]


class MediaLine(Protocol):
    """The way from a port to its provider: a WebSocket, or whatever else a plugin has."""

    @property
    def marks(self) -> bool:
        """Whether the provider says when a mark has been reached."""
        ...

    def send(self, order: MediaOrder) -> bool:
        """Take an order to be sent soon, without waiting; False where the provider has no word for it."""
        ...

    def close(self) -> None:
        """Hang up, soon; the port wants no more."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class PortSettings:
    """How a port treats its audio. `buffer` and `lead` are in milliseconds."""

    format: AudioFormat
    overflow: Overflow = Overflow.DROP_OLDEST
    buffer: float = 5000.0
    lead: float = 100.0


class MediaPort:
    """One stream's media, from the order of the stream to its end.

    The provider's side is `attach`, `receive`, `misread` and `close`; everything is called in the bridge's event loop
    and never waits. `opened` and `closed` are called at the first and the last word of the provider, with what broke
    the connection where something did.
    """

    def __init__(
        self,
        endpoint: MediaEndpoint,
        settings: PortSettings,
        *,
        clock: Clock,
        pace: Callable[[Callable[[float], float | None]], None],
        spawn: Callable[[Callable[[], Coroutine[object, object, None]]], None],
        opened: Callable[[MediaPort, MediaOpened], None],
        closed: Callable[[MediaPort, str | None], None],
    ) -> None:
        self.endpoint = endpoint
        self.format: AudioFormat | None = None
        """The connection's format, once it flows."""
        self.ref: str | None = None
        """The provider's identity of the stream, once it is known."""
        self.transport = Transport.UNKNOWN
        """What carries the media, once the provider has connected."""
        self.over = False
        self.lost: str | None = None
        """What broke the connection, where it was not ended."""
        self.player: Player | None = None
        """How sounds are played, once it flows; None for good where the stream goes one way."""
        self.intake = Intake(
            wanted=settings.format, capacity=settings.buffer, overflow=settings.overflow, now=clock.now
        )
        self._settings = settings
        self._clock = clock
        self._pace = pace
        self._spawn = spawn
        self._opened = opened
        self._closed = closed
        self._line: MediaLine | None = None
        self._unreadable = 0
        self._changed = anyio.Event()

    # The provider's side ------------------------------------------------------------------------------------------

    def attach(self, line: MediaLine, *, transport: Transport) -> None:
        """The provider has connected. Media flow as soon as it says `MediaOpened`."""
        self._line, self.transport = line, transport
        if self.over:
            line.close()

    def receive(self, *facts: MediaFact) -> None:
        """Take what the provider said, in order."""
        for fact in facts:
            if type(fact) is MediaHeard:
                self.intake.add(fact)
            else:
                self._take(fact)

    def misread(self) -> None:
        """Count a message that nobody could read."""
        self._unreadable += 1

    def close(self, lost: str | None = None) -> None:
        """The provider sends nothing any more; `lost` says what broke, where it did not end the stream itself."""
        if self.over:
            return
        self.over, self.lost = True, lost
        if self.player is not None:
            self.player.close()
        self.intake.close()
        if self._line is not None:
            self._line.close()
        self._changed.set()
        self._closed(self, lost)

    # The application's side ---------------------------------------------------------------------------------------

    @property
    def stats(self) -> AudioStats:
        """What was counted so far."""
        intake, player = self.intake, self.player
        return AudioStats(
            frames=intake.frames,
            gaps=intake.gaps,
            late=intake.late,
            dropped=intake.dropped,
            blocked=intake.blocked,
            unreadable=self._unreadable,
            jitter=intake.jitter,
            depth=intake.depth,
            sent=player.sent if player is not None else 0,
            underruns=player.underruns if player is not None else 0,
        )

    @property
    def full(self) -> bool:
        """Whether the provider should not be read for the moment."""
        return self.intake.full

    async def flows_by(self, instant: float) -> bool:
        """Wait until media flow or never will, but no longer than until that instant; return whether they do."""
        if not self._changed.is_set():
            await happens_by(self._clock, self._changed, instant)
        return self.format is not None and not self.over

    def send(self, order: MediaOrder) -> bool:
        """Send an order soon; False where that cannot be done."""
        return self._line is not None and not self.over and self._line.send(order)

    # How ----------------------------------------------------------------------------------------------------------

    def _take(self, fact: MediaFact) -> None:
        match fact:
            case MediaOpened():
                self._open(fact)
            case RemoteDigit():
                self.intake.add_item(Digit(fact.digit))
            case ReachedMark():
                if self.player is not None:
                    self.player.reached(fact.name)
            case MediaStopped():
                self.close()
            case _:
                self.misread()

    def _open(self, opened: MediaOpened) -> None:
        if self.format is not None or self.over:
            return
        self.format, self.ref = opened.format, opened.ref
        self.intake.open(opened.format)
        if self.endpoint.direction is MediaDirection.BOTH:
            self.player = Player(
                wire=opened.format,
                clock=self._clock,
                send=self.send,
                marks=self._line is not None and self._line.marks,
                lead=self._settings.lead,
                pace=self._pace,
                spawn=self._spawn,
                tell=self._tell,
            )
        self._changed.set()
        self._opened(self, opened)

    def _tell(self, playback: Playback) -> None:
        self.intake.add_item(PlaybackProgress(playback))
