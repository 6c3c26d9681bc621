"""What travels on one media connection, in words that are the same for every provider."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

from ..media import MediaDirection
from .formats import AudioFormat

if TYPE_CHECKING:
    from pydantic import SecretStr

__all__ = [
    "Clear",
    "MediaEndpoint",
    "MediaFact",
    "MediaHeard",
    "MediaOpened",
    "MediaOrder",
    "MediaReply",
    "MediaStopped",
    "MediaWire",
    "PlayAudio",
    "PlayMark",
    "PressDigit",
    "ReachedMark",
    "RemoteDigit",
    "Track",
    "Unintelligible",
]


class Track(StrEnum):
    """Whose audio it is, in the words of the field."""

    INBOUND = "inbound"
    """What the far end says."""
    OUTBOUND = "outbound"
    """What the far end is given to hear."""
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaEndpoint:
    """The bridge's own place for the media of one stream, as a `StartMedia` carries it to the plugin.

    `url` is the WebSocket address, which takes a connection that shows `bearer` as `Authorization: Bearer …`;
    `secret_url` takes one without, for providers that send no headers, and is itself the secret. Both are None where
    the bridge has no public URL. `format` is what the application would like to have, where the provider has a choice.
    Where it is not `required`, nobody waits for media here: it is a place for providers that must be given one.
    """

    id: str
    url: str | None
    bearer: SecretStr = field(repr=False)
    secret_url: SecretStr | None = field(repr=False)
    direction: MediaDirection
    format: AudioFormat
    required: bool = True


@dataclass(frozen=True, slots=True)
class MediaOpened:
    """Media flow from here on, in that format. `ref` is the provider's identity of the stream."""

    format: AudioFormat
    ref: str | None = None


class MediaHeard(NamedTuple):
    """Audio in the connection's format.

    `at` is its place on the stream's time line, in milliseconds from the start; `number` counts the pieces of its track
    from 1. None where the provider does not say.
    """

    payload: bytes
    track: Track = Track.INBOUND
    at: int | None = None
    number: int | None = None


@dataclass(frozen=True, slots=True)
class RemoteDigit:
    """The far end has pressed a key."""

    digit: str


@dataclass(frozen=True, slots=True)
class ReachedMark:
    """Everything that was played before the mark of that name has been heard, or was cut off by a `Clear`."""

    name: str


@dataclass(frozen=True, slots=True)
class MediaReply:
    """Something that the provider wants to be answered at once, in its own words."""

    message: str | bytes


@dataclass(frozen=True, slots=True)
class MediaStopped:
    """The provider says that this stream is over. `native` is how it says so."""

    native: str = ""


MediaFact = MediaOpened | MediaHeard | RemoteDigit | ReachedMark | MediaReply | MediaStopped
"""What a provider can say on a media connection."""


class PlayAudio(NamedTuple):
    """Let the far end hear this, in the connection's format, after what was sent before."""

    payload: bytes


@dataclass(frozen=True, slots=True)
class PlayMark:
    """Say so when everything that was sent before has been heard."""

    name: str


@dataclass(frozen=True, slots=True)
class Clear:
    """Drop what was sent and has not been heard."""


@dataclass(frozen=True, slots=True)
class PressDigit:
    """Let the far end hear a key."""

    digit: str


MediaOrder = PlayAudio | PlayMark | Clear | PressDigit
"""What can be asked of a provider on a media connection."""


class Unintelligible(ValueError):
    """A message that is none of this wire. It is counted, and the connection goes on."""


class MediaWire(ABC):
    """One media connection in a provider's words: translation only, without I/O, tasks or clocks.

    The core holds the socket, the time, and whatever waits. An instance belongs to one connection and may remember what
    it was told on it, such as the identity that its own messages must carry. `decode` and `encode` each run one at a
    time, though not always in the same thread.
    """

    marks: bool = False
    """Whether `PlayMark` is answered by a `ReachedMark`."""

    @abstractmethod
    def decode(self, message: str | bytes) -> Iterable[MediaFact]:
        """Return what the message says; nothing for words that do not matter. Raises `Unintelligible` for the rest."""

    @abstractmethod
    def encode(self, order: MediaOrder) -> str | bytes | None:
        """Return the message that asks for it; None where this wire has no word for it."""
