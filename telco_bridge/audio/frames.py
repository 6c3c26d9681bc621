"""What an application meets when it iterates over the audio of a call, and what is counted meanwhile."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from .formats import AudioFormat
from .wire import Track

if TYPE_CHECKING:
    from .playback import Playback

__all__ = ["AudioFrame", "AudioItem", "AudioStats", "Digit", "Overflow", "PlaybackProgress"]


@dataclass(frozen=True, slots=True)
class AudioFrame:
    """A piece of audio, most often 20 ms of it.

    `data` is mono, in `format` (PCM16 is little-endian). `timestamp` is its place on the stream's time line, in
    milliseconds from the start. The length is the provider's and may vary.
    """

    data: bytes
    format: AudioFormat
    timestamp: int
    track: Track

    @property
    def rate(self) -> int:
        """Samples per second, in hertz."""
        return self.format.rate

    @property
    def milliseconds(self) -> float:
        """How long it lasts."""
        return self.format.milliseconds(len(self.data))


@dataclass(frozen=True, slots=True)
class Digit:
    """The far end has pressed a key."""

    digit: str


@dataclass(frozen=True, slots=True)
class PlaybackProgress:
    """A playback has begun, or is over; its own properties say how far it has come."""

    playback: Playback


AudioItem = AudioFrame | Digit | PlaybackProgress


class Overflow(StrEnum):
    """What happens to audio that nobody fetches in time."""

    DROP_OLDEST = "drop_oldest"
    """The oldest frames are thrown away, and counted; digits and progress never are."""
    BLOCK = "block"
    """The provider's connection is no longer read until there is room; what it does with that is its own affair."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AudioStats:
    """What was counted since the audio began."""

    frames: int = 0
    """Frames that arrived."""
    gaps: int = 0
    """Frames that are missing, by the provider's numbering or time line. One that comes late is taken off again."""
    late: int = 0
    """Frames that came after a later one of their track, or twice."""
    dropped: int = 0
    """Frames thrown away, because nobody fetched them in time."""
    blocked: int = 0
    """How often reading was stopped, because nobody fetched what was there."""
    unreadable: int = 0
    """Messages that nobody could read."""
    jitter: float = 0.0
    """How unevenly frames arrive, in milliseconds: the mean deviation as RFC 3550 defines it."""
    depth: int = 0
    """Frames that wait to be fetched."""
    sent: int = 0
    """Frames that were sent to the far end."""
    underruns: int = 0
    """How often a playback's source had nothing to say in time."""
