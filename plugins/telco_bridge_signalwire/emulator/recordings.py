"""The Recording resource: what is known of one recording, and how the API shows it."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from .callbacks import Lane
from .calls import API_VERSION
from .dates import rfc2822
from .recording_sound import Sound
from .space import Space
from .streams import Streamed
from .webhooks import Webhook

__all__ = ["Recorded", "Recording", "RecordingOrder", "RecordingSource", "RecordingStatus", "RecordingTrack"]


class Recorded(Streamed, Protocol):
    """What can be recorded: a call or a conference."""

    recorded: dict[str, str]
    """What the callback of its end tells of its recording."""


class RecordingStatus(StrEnum):
    """How far a recording has come. `stopped` is what it is called until its file is ready."""

    QUEUED = "queued"
    IN_PROGRESS = "in-progress"
    PAUSED = "paused"
    STOPPED = "stopped"
    COMPLETED = "completed"
    ABSENT = "absent"


class RecordingSource(StrEnum):
    """What made a recording."""

    DIAL = "DialVerb"
    CONFERENCE = "Conference"
    OUTBOUND_API = "OutBoundApi"
    RECORD = "RecordVerb"
    CALL_API = "StartCallRecordingApi"
    CONFERENCE_API = "StartConferenceRecording"


class RecordingTrack(StrEnum):
    """What of a call is recorded: what SignalWire receives from it, what it plays to it, or both."""

    INBOUND = "inbound"
    OUTBOUND = "outbound"
    BOTH = "both"


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingOrder:
    """A recording to be made."""

    source: RecordingSource
    channels: int = 1
    track: RecordingTrack = RecordingTrack.BOTH
    trim: bool = False
    """Silence at its beginning and end is taken away."""
    callback: Webhook | None = None
    events: frozenset[str] = frozenset({"completed"})


@dataclass(slots=True, kw_only=True, eq=False)
class Recording:
    """One recording of a call or a conference, which it may outlast. The emulator's loop is its only writer.

    Its length is told in the network's time, as everything in the API is. Its sound keeps to that of audio, which is
    the machine's however fast the network's runs.
    """

    number: int
    sid: str
    owner: Recorded
    order: RecordingOrder
    lane: Lane
    created: float
    updated: float
    status: RecordingStatus = RecordingStatus.QUEUED
    started: float | None = None
    ended: float | None = None
    seconds: float = 0.0
    """How much was recorded until it was interrupted for the last time, or what trimming has left of that."""
    since: float | None = None
    """From when on it has gone on without an interruption that is left out; None while it does not."""
    sound: Sound | None = field(default=None, repr=False)
    """What is recorded, until there is a file."""
    file: bytes | None = field(default=None, repr=False)
    """The WAV file, once there is one."""

    @property
    def running(self) -> bool:
        """Whether it can be paused, resumed and stopped."""
        return self.status in (RecordingStatus.IN_PROGRESS, RecordingStatus.PAUSED)

    def begin(self, now: float, sound: Sound) -> None:
        """Start to record."""
        self.started = self.since = now
        self.sound = sound
        self._enter(RecordingStatus.IN_PROGRESS, now)

    def pause(self, now: float, *, skip: bool) -> None:
        """Record silence until it is resumed, or nothing at all (`skip`)."""
        if self.sound is not None:
            self.sound.pause(skip=skip)
        if skip:
            self._count(now)
        self._enter(RecordingStatus.PAUSED, now)

    def resume(self, now: float) -> None:
        """Go on."""
        if self.sound is not None:
            self.sound.resume()
        if self.since is None:
            self.since = now
        self._enter(RecordingStatus.IN_PROGRESS, now)

    def end(self, now: float) -> None:
        """Record nothing more. There is no file yet."""
        if self.sound is not None:
            self.sound.end()
        self._count(now)
        self.ended = now
        self._enter(RecordingStatus.STOPPED, now)

    def settle(self, now: float, file: bytes | None, left: float) -> None:
        """There is a file, of which so great a part is left; or there is nothing that could be heard."""
        self.file, self.sound = file, None
        self.seconds *= left
        self._enter(RecordingStatus.COMPLETED if file is not None else RecordingStatus.ABSENT, now)

    def resource(self, space: Space) -> dict[str, object]:
        """Return the recording as the API shows it."""
        of_call = self.owner.resource_word == "Call"
        path, channels = f"Recordings/{self.sid}", str(self.order.channels)
        return {
            "sid": self.sid,
            "account_sid": space.project,
            "api_version": API_VERSION,
            "call_sid": self.owner.sid if of_call else None,
            "conference_sid": None if of_call else self.owner.sid,
            "channel": channels,
            "channels": channels,
            "date_created": rfc2822(self.created),
            "date_updated": rfc2822(self.updated),
            "start_time": None if self.started is None else rfc2822(self.started),
            "end_time": None if self.ended is None else rfc2822(self.ended),
            "duration": int(self.seconds) if self.ended is not None else 0,
            "price": None,
            "price_unit": "USD",
            "source": self.order.source.value,
            "status": self._word(space),
            "error_code": None,
            "uri": space.uri(f"{path}.json"),
            "subresource_uris": {"transcriptions": space.uri(f"{path}/Transcriptions.json")},
            "encryption_details": None,
            "trim": "trim-silence" if self.order.trim else "do-not-trim",
        }

    def callback_fields(self, space: Space) -> dict[str, str]:
        """Return what its callback is told."""
        return {
            "AccountSid": space.project,
            f"{self.owner.resource_word}Sid": self.owner.sid,
            "RecordingSid": self.sid,
            "RecordingUrl": self.url(space),
            "RecordingStatus": self.status.value,
            "RecordingDuration": str(int(self.seconds) if self.ended is not None else 0),
            "RecordingChannels": str(self.order.channels),
            "RecordingSource": self.order.source.value,
        }

    def told(self, space: Space) -> dict[str, str]:
        """Return what the end of its call or conference tells of it."""
        if self.owner.resource_word != "Call":
            return {"RecordingUrl": self.url(space)}
        duration = str(int(self.seconds))
        return {"RecordingSid": self.sid, "RecordingUrl": self.url(space), "RecordingDuration": duration}

    def url(self, space: Space) -> str:
        """Return where its sound is to be had."""
        return space.absolute(f"Recordings/{self.sid}")

    def _word(self, space: Space) -> str:
        resumed = self.status is RecordingStatus.IN_PROGRESS and self.updated != self.started
        return space.switches.resumed_recording if resumed else self.status.value

    def _count(self, now: float) -> None:
        if self.since is not None:
            self.seconds += now - self.since
            self.since = None

    def _enter(self, status: RecordingStatus, now: float) -> None:
        self.status = status
        self.updated = now
