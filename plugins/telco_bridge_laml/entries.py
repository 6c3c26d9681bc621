"""Entries of a project's records: frozen, and in the carrier's own words."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from .wire import CallResource, ConferenceResource, ParticipantResource, RecordingResource, StreamResource

__all__ = [
    "CallEntry",
    "Conference",
    "ConferenceStatus",
    "Participant",
    "RecordingEntry",
    "StreamEntry",
    "call_entry",
    "conference_entry",
    "participant_entry",
    "recording_entry",
    "stream_entry",
]


class ConferenceStatus(StrEnum):
    """How far a conference has come."""

    UNKNOWN = "unknown"
    INIT = "init"
    IN_PROGRESS = "in-progress"
    COMPLETED = "completed"


@dataclass(frozen=True, slots=True, kw_only=True)
class CallEntry:
    """A call in the project's records, in the carrier's own words. `duration` is in seconds, `start` is RFC 2822."""

    sid: str
    status: str
    direction: str | None
    from_: str | None
    to: str | None
    start: str | None
    duration: float | None
    parent_sid: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingEntry:
    """A recording in the project's records. `duration` is in seconds, None while it is not known."""

    sid: str
    status: str
    call_sid: str | None
    conference_sid: str | None
    duration: float | None
    source: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamEntry:
    """A copy of a conference on its way to a WebSocket, in the carrier's own words."""

    sid: str
    name: str | None
    status: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Conference:
    """A conference: it exists from its first participant on."""

    sid: str
    name: str | None
    status: ConferenceStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class Participant:
    """A call that takes part in a conference."""

    call_sid: str
    conference_sid: str
    muted: bool
    hold: bool


def _seconds(text: str | None) -> float | None:
    try:
        value = float(text) if text is not None else -1.0
    except ValueError:
        return None
    return value if 0 <= value < float("inf") else None


def call_entry(call: CallResource) -> CallEntry:
    """Return a call as the API tells of it."""
    return CallEntry(
        sid=call.sid,
        status=call.status,
        direction=call.direction,
        from_=call.from_,
        to=call.to,
        start=call.start_time,
        duration=_seconds(call.duration),
        parent_sid=call.parent_call_sid,
    )


def recording_entry(recording: RecordingResource) -> RecordingEntry:
    """Return a recording as the API tells of it."""
    return RecordingEntry(
        sid=recording.sid,
        status=recording.status,
        call_sid=recording.call_sid,
        conference_sid=recording.conference_sid,
        duration=_seconds(recording.duration),
        source=recording.source,
    )


def stream_entry(stream: StreamResource) -> StreamEntry:
    """Return a stream as the API tells of it."""
    return StreamEntry(sid=stream.sid, name=stream.name, status=stream.status)


def conference_entry(found: ConferenceResource) -> Conference:
    """Return a conference as the API tells of it."""
    known = found.status in list(ConferenceStatus)
    status = ConferenceStatus(found.status) if known else ConferenceStatus.UNKNOWN
    return Conference(sid=found.sid, name=found.friendly_name, status=status)


def participant_entry(found: ParticipantResource) -> Participant:
    """Return a participant as the API tells of it."""
    return Participant(
        call_sid=found.call_sid,
        conference_sid=found.conference_sid or "",
        muted=found.muted == "true",
        hold=found.hold == "true",
    )
