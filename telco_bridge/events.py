"""What happened, in order: the values an application iterates over."""

from __future__ import annotations

from dataclasses import dataclass

from .media import Modality, RecordingState, StreamId, StreamState
from .reports import CallState, Source
from .termination import Cause, Termination
from .views import CallView

__all__ = [
    "CallConnected",
    "CallEnded",
    "CallEvent",
    "CallHeld",
    "CallIncoming",
    "CallMoved",
    "CallProgressed",
    "CallResumed",
    "CallUpdated",
    "ChannelFailed",
    "CommandFailedLater",
    "DigitReceived",
    "EndContradicted",
    "Event",
    "GapDetected",
    "OfferReceived",
    "RecordingChanged",
    "StreamActive",
    "StreamEnded",
    "StreamStarting",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One thing that happened. `seq` grows by one per event of a bridge; `at` is when we learnt it, in seconds."""

    seq: int = 0
    at: float = 0.0

    @property
    def name(self) -> str:
        """The event's word in logs and tables."""
        return type(self).__name__


@dataclass(frozen=True, slots=True, kw_only=True)
class CallEvent(Event):
    """An event of one call, with the call as the report that caused the event left it."""

    call: CallView
    source: Source | None = None


class CallIncoming(CallEvent):
    """Somebody calls."""

    __slots__ = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CallProgressed(CallEvent):
    """The call advanced to `state` (queued, dialing, ringing or ending)."""

    state: CallState


@dataclass(frozen=True, slots=True, kw_only=True)
class CallConnected(CallEvent):
    """The far end answered. `inferred` says that a later report proved it; the answer itself was never reported."""

    inferred: bool = False


class CallHeld(CallEvent):
    """The call is on hold."""

    __slots__ = ()


class CallResumed(CallEvent):
    """The call is no longer on hold."""

    __slots__ = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CallMoved(CallEvent):
    """The call goes on under another native identity."""

    previous: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CallUpdated(CallEvent):
    """Something else became known; `changed` names the fields of the view."""

    changed: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingChanged(CallEvent):
    """A recording that the provider makes has come to another state. It may come after the end of the call."""

    recording: str
    """Our identity of it; `call.recording(…)` has the rest."""
    state: RecordingState


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamStarting(CallEvent):
    """A stream exists and does not flow yet."""

    stream: StreamId
    modality: Modality
    state: StreamState


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamActive(CallEvent):
    """A stream flows."""

    stream: StreamId
    modality: Modality


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamEnded(CallEvent):
    """A stream ended, and why. The call may go on."""

    stream: StreamId
    modality: Modality
    termination: Termination


@dataclass(frozen=True, slots=True, kw_only=True)
class CallEnded(CallEvent):
    """The call is over, and why. Exactly one per call; nothing about the call follows, but a contradiction."""

    termination: Termination


class EndContradicted(CallEvent):
    """The provider shows life in a call whose end had only been concluded."""

    __slots__ = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class DigitReceived(CallEvent):
    """The far end pressed a key."""

    digit: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OfferReceived(CallEvent):
    """The far end proposes other media."""

    sdp: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandFailedLater(CallEvent):
    """A command that the provider had accepted failed afterwards."""

    command_id: str
    cause: Cause


@dataclass(frozen=True, slots=True, kw_only=True)
class GapDetected(Event):
    """Events may be missing before this one: the provider's (`since` is a time) or, for a slow reader, the log's."""

    why: str
    since: float | None = None
    missed: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelFailed(Event):
    """The provider's event channel keeps failing. It is being retried; until it works, facts come by reads only."""

    error: str
    attempts: int
