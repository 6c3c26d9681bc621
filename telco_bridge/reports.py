"""What a plugin tells the core: facts about calls, each as complete or as partial as the wire made it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from .media import MediaDirection, Modality, RecordingState, StreamState, Transport
from .termination import Cause

__all__ = [
    "CallDirection",
    "CallReport",
    "CallState",
    "CommandDone",
    "CommandFailed",
    "Continues",
    "Dialled",
    "DigitHeard",
    "Fact",
    "Gap",
    "Invitation",
    "Notice",
    "Origin",
    "Party",
    "RecordingReport",
    "RemoteOffer",
    "Source",
    "StreamReport",
]


class CallState(StrEnum):
    """The life of a call. It only advances; being held is a flag beside it."""

    UNKNOWN = "unknown"
    QUEUED = "queued"
    DIALING = "dialing"
    RINGING = "ringing"
    CONNECTED = "connected"
    ENDING = "ending"
    ENDED = "ended"

    @property
    def rank(self) -> int:
        """The position in the life; a report of a lower one changes nothing."""
        return _RANKS[self]


_RANKS = {state: rank for rank, state in enumerate(CallState)}


class CallDirection(StrEnum):
    """Who started the call, seen from this application."""

    INBOUND = "inbound"
    OUTBOUND = "outbound"
    UNKNOWN = "unknown"


class Source(StrEnum):
    """How a fact reached us."""

    PUSH = "push"
    """An event or callback of the provider's."""
    ANSWER = "answer"
    """The answer to a command."""
    READ = "read"
    """The answer to a question that the core asked."""


@dataclass(frozen=True, slots=True)
class Party:
    """One end of a call: its address in the provider's form, and a display name where one was given."""

    address: str
    name: str | None = None


@dataclass(frozen=True, slots=True)
class Dialled:
    """The call was started from this side."""


@dataclass(frozen=True, slots=True)
class Invitation:
    """Somebody calls this side."""


@dataclass(frozen=True, slots=True)
class Continues:
    """The call that was known as `ref` goes on under the report's own `ref`."""

    ref: str


Origin = Dialled | Invitation | Continues


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamReport:
    """Everything one report says about one stream; None says nothing.

    `slot` is the provider's place for it. `life` is set only where the provider itself tells one use of a slot from
    the next. `command_id` is the start that caused it. `observable=False` says that the provider will never tell when
    the stream begins to flow.
    """

    slot: str
    life: int | None = None
    command_id: str | None = None
    modality: Modality | None = None
    transport: Transport | None = None
    direction: MediaDirection | None = None
    name: str | None = None
    state: StreamState | None = None
    native_state: str | None = None
    cause: Cause | None = None
    observable: bool = True


_NAMELESS = (
    "{} does not say which call it is about: set `ref` to the provider's identity of the call, or `command_id` to the "
    "`id` of the command that caused it; where the wire names neither, report nothing"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class CallReport:
    """Everything one report says about one call; None says nothing and changes nothing.

    At least one of `ref` (the provider's identity) and `command_id` (the command that caused it) is set; without both
    it cannot be made (`ValueError`), because nobody could tell which call it is about. `as_of` is the
    time from which it was true, on the host's clock: for reads and answers when they were sent, for pushes when they
    arrived or the provider's order, for replays the start of the gap. `answered` is evidence that the far end did, or
    did not, answer. `streams_complete` says that a stream not mentioned is gone. `offered` holds provider words (links)
    that say what is possible now. `native_state` keeps a state word that has no neutral one.
    """

    source: Source
    as_of: float
    ref: str | None = None
    command_id: str | None = None
    origin: Origin | None = None
    state: CallState | None = None
    native_state: str | None = None
    answered: bool | None = None
    remote: Party | None = None
    local: Party | None = None
    held: bool | None = None
    muted: bool | None = None
    streams: tuple[StreamReport, ...] = ()
    streams_complete: bool = False
    offered: frozenset[str] | None = None
    cause: Cause | None = None
    decide_by: float | None = None
    remote_sdp: str | None = None
    native: Mapping[str, object] | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        if not self.ref and not self.command_id:
            raise ValueError(_NAMELESS.format(type(self).__name__))


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """A fact that is not state."""

    as_of: float
    ref: str | None = None
    command_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DigitHeard(Notice):
    """The far end pressed a key. Made only with `ref` or `command_id` (`ValueError`)."""

    digit: str

    def __post_init__(self) -> None:
        if not self.ref and not self.command_id:
            raise ValueError(_NAMELESS.format(type(self).__name__))


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteOffer(Notice):
    """The far end proposes other media. Made only with `ref` or `command_id` (`ValueError`)."""

    sdp: str

    def __post_init__(self) -> None:
        if not self.ref and not self.command_id:
            raise ValueError(_NAMELESS.format(type(self).__name__))


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandDone(Notice):
    """What a command asked for has been done to its end: said, played, or taken over by somebody else.

    `command_id` names it (`ValueError` where it does not).
    """

    def __post_init__(self) -> None:
        if not self.command_id:
            raise ValueError(
                "CommandDone does not say which command is done: set `command_id` to the `id` of the command that "
                "`execute` was given"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandFailed(Notice):
    """A command that had been accepted failed afterwards. `command_id` names it (`ValueError` where it does not)."""

    cause: Cause

    def __post_init__(self) -> None:
        if not self.command_id:
            raise ValueError(
                "CommandFailed does not say which command failed: set `command_id` to the `id` of the command that "
                "`execute` was given"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap(Notice):
    """Events may have been missed between `since` and `as_of`; `why` is the evidence. It names no call."""

    since: float
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingReport:
    """Everything one report says about one recording; None says nothing.

    `slot` is the provider's identity of the recording. `ref` is the provider's identity of its call, `command_id` the
    start that caused it; one of them is set (`ValueError`). `seconds` is how much was recorded, `url` where the
    provider keeps it.
    """

    source: Source
    as_of: float
    slot: str
    ref: str | None = None
    command_id: str | None = None
    state: RecordingState | None = None
    native_state: str | None = None
    seconds: float | None = None
    channels: int | None = None
    url: str | None = None
    error: str | None = None

    def __post_init__(self) -> None:
        if not self.ref and not self.command_id:
            raise ValueError(
                "RecordingReport does not say which call it is about: set `ref` to the provider's identity of the "
                "call, or `command_id` to the `id` of the command that started the recording"
            )


Fact = CallReport | RecordingReport | Notice
