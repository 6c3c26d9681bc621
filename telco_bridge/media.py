"""The words for media: what flows, how, which way, and how far it has come."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

__all__ = [
    "MediaDirection",
    "Modality",
    "RecordingState",
    "StreamId",
    "StreamState",
    "Transport",
    "modality_named",
]


class Modality(StrEnum):
    """What a stream carries."""

    AUDIO = "audio"
    VIDEO = "video"
    SCREEN = "screen"
    MESSAGING = "messaging"
    UNKNOWN = "unknown"


def modality_named(value: object) -> Modality:
    """Return the modality of that value. Raises `ValueError` with those there are."""
    try:
        modality = Modality(str(value))
    except ValueError:
        modality = Modality.UNKNOWN
    if modality is Modality.UNKNOWN:
        known = ", ".join(sorted(known for known in Modality if known is not Modality.UNKNOWN))
        raise ValueError(f"{value!r} is no modality; there are {known}")
    return modality


class Transport(StrEnum):
    """What carries a stream."""

    PSTN = "pstn"
    VOIP = "voip"
    WEBSOCKET = "websocket"
    UNKNOWN = "unknown"


class MediaDirection(StrEnum):
    """Which way media flows, seen from the application or its user."""

    SEND = "send"
    RECEIVE = "receive"
    BOTH = "both"
    NONE = "none"
    UNKNOWN = "unknown"


class StreamState(StrEnum):
    """The life of one stream. It only advances; restarted media is a new stream."""

    UNKNOWN = "unknown"
    OFFERED = "offered"
    STARTING = "starting"
    ACTIVE = "active"
    ENDED = "ended"

    @property
    def rank(self) -> int:
        """The position in the life; a report of a lower one changes nothing."""
        return _RANKS[self]


_RANKS = {state: rank for rank, state in enumerate(StreamState)}


class RecordingState(StrEnum):
    """The life of a recording that the provider makes. It may go on after the call."""

    UNKNOWN = "unknown"
    STARTING = "starting"
    RECORDING = "recording"
    PAUSED = "paused"
    STOPPED = "stopped"
    """Nothing more is recorded; the file is not ready yet."""
    COMPLETED = "completed"
    """The file is ready."""
    ABSENT = "absent"
    """There was nothing to record."""
    FAILED = "failed"

    @property
    def settled(self) -> bool:
        """Whether nothing more will happen to it."""
        return self in (RecordingState.COMPLETED, RecordingState.ABSENT, RecordingState.FAILED)


@dataclass(frozen=True, slots=True)
class StreamId:
    """Which stream of a call: the provider's slot, and which life of it.

    A provider may use one slot again and again (UCWA has a single `phoneAudio` per conversation); every use is a stream
    of its own, counted from 1.
    """

    slot: str
    life: int

    def __str__(self) -> str:
        return f"{self.slot}#{self.life}"
