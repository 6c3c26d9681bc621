"""What is known of a call, as a frozen value that cannot change under its reader."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from .commands import Command, HangUp, Redirect, Reject, StartMedia, StopMedia, StreamTarget, Transfer
from .media import MediaDirection, Modality, RecordingState, StreamId, StreamState, Transport
from .reports import CallDirection, CallState, Party, Source
from .termination import Cause, Phase, Termination

__all__ = ["Asked", "CallView", "RecordingView", "StreamView"]

_PHASES = {
    CallState.QUEUED: Phase.SETUP,
    CallState.DIALING: Phase.SETUP,
    CallState.RINGING: Phase.ALERTING,
    CallState.CONNECTED: Phase.ESTABLISHED,
}


@dataclass(frozen=True, slots=True)
class Asked:
    """A command that was sent and neither refused nor settled.

    `done` says that the provider has done it, where that is known and the command stays because it explains the end.
    """

    command: Command
    since: float
    done: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamView:
    """What is known of one stream."""

    id: StreamId
    modality: Modality = Modality.UNKNOWN
    transport: Transport = Transport.UNKNOWN
    direction: MediaDirection = MediaDirection.UNKNOWN
    name: str | None = None
    state: StreamState = StreamState.UNKNOWN
    native_state: str | None = None
    observable: bool = True
    command_id: str | None = None
    started_as_of: float = 0.0
    ended_as_of: float | None = None
    confirmed_by: Source | None = None
    cause: Cause | None = None
    termination: Termination | None = None
    stamps: Mapping[str, float] = field(default_factory=dict[str, float], repr=False, hash=False)

    @property
    def live(self) -> bool:
        """Whether it has not ended."""
        return self.state is not StreamState.ENDED

    @property
    def target(self) -> StreamTarget:
        """The stream as a command names it."""
        return StreamTarget(self.id, self.modality, self.transport, self.name, self.direction)


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingView:
    """What is known of one recording that the provider makes.

    `id` is our identity of it, `slot` the provider's. `seconds` is how much was recorded, `url` where the provider
    keeps it.
    """

    id: str
    slot: str
    state: RecordingState = RecordingState.UNKNOWN
    native_state: str | None = None
    seconds: float | None = None
    channels: int | None = None
    url: str | None = None
    error: str | None = None
    as_of: float = 0.0

    @property
    def live(self) -> bool:
        """Whether something may still be recorded."""
        return not self.state.settled and self.state is not RecordingState.STOPPED


@dataclass(frozen=True, slots=True, kw_only=True)
class CallView:
    """What is known of one call at one moment.

    `state` is only what was reported. `reached` is the furthest state before the end,
    `announced` the furthest that events have told of. `asked` are the commands that are
    under way. `termination` is set once the call is over, and then nothing changes any more but its `recordings`.
    """

    id: str
    provider: str = ""
    ref: str | None = None
    direction: CallDirection = CallDirection.UNKNOWN
    state: CallState = CallState.UNKNOWN
    native_state: str | None = None
    reached: CallState = CallState.UNKNOWN
    announced: CallState = CallState.UNKNOWN
    answered: bool | None = None
    remote: Party | None = None
    local: Party | None = None
    held: bool | None = None
    muted: bool | None = None
    streams: tuple[StreamView, ...] = ()
    recordings: tuple[RecordingView, ...] = ()
    offered: frozenset[str] = frozenset()
    cause: Cause | None = None
    decide_by: float | None = None
    remote_sdp: str | None = None
    asked: tuple[Asked, ...] = ()
    termination: Termination | None = None
    confirmed_by: Source | None = None
    contradicted: bool = False
    created_at: float = 0.0
    ended_as_of: float | None = None
    stamps: Mapping[str, float] = field(default_factory=dict[str, float], repr=False, hash=False)
    native: Mapping[str, object] = field(default_factory=dict[str, object], repr=False, compare=False)

    @property
    def over(self) -> bool:
        """Whether the end and its reason are settled."""
        return self.termination is not None

    @property
    def live_streams(self) -> tuple[StreamView, ...]:
        """The streams that have not ended."""
        return tuple(stream for stream in self.streams if stream.live)

    @property
    def phase(self) -> Phase:
        """How far the call has come, its end left out of account."""
        return _PHASES.get(self.reached, Phase.UNKNOWN)

    def stream(self, stream_id: StreamId) -> StreamView | None:
        """That stream, or None."""
        return next((stream for stream in self.streams if stream.id == stream_id), None)

    def recording(self, recording_id: str) -> RecordingView | None:
        """That recording, by our identity, or None."""
        return next((recording for recording in self.recordings if recording.id == recording_id), None)

    def live_in(self, slot: str) -> StreamView | None:
        """The stream that lives in that slot now, or None."""
        return next((stream for stream in self.streams if stream.id.slot == slot and stream.live), None)

    @property
    def asked_to_end(self) -> Command | None:
        """The command of ours that ends the whole call, if one was sent and not refused."""
        for asked in reversed(self.asked):
            if isinstance(asked.command, HangUp | Reject | Redirect):
                return asked.command
            if isinstance(asked.command, Transfer) and asked.done:
                return asked.command
        return None

    def done(self, command: Command) -> bool:
        """Whether the provider has said that this command of ours is done."""
        return any(asked.command.id == command.id and asked.done for asked in self.asked)

    def asked_to_stop(self, stream_id: StreamId) -> StopMedia | None:
        """The command of ours that stops that stream, if one was sent and not refused."""
        for asked in reversed(self.asked):
            if isinstance(asked.command, StopMedia) and any(s.id == stream_id for s in asked.command.streams):
                return asked.command
        return None

    def started_by(self, command: StartMedia) -> StreamView | None:
        """The stream that this start caused: by its id where the provider tells, else the newest that fits."""
        for stream in reversed(self.streams):
            if stream.command_id == command.id:
                return stream
        if command.endpoint is not None and command.endpoint.required:
            # Other media of the same kind are not those that come to the bridge.
            return None
        for stream in reversed(self.streams):
            if stream.command_id is None and stream.modality is command.modality and stream.live:
                return stream
        return None
