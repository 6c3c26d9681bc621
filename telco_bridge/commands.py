"""What an application asks: frozen values that travel down to a plugin."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from .capabilities import Capability
from .media import MediaDirection, Modality, StreamId, Transport
from .termination import EndedBy, TerminationReason

if TYPE_CHECKING:
    from typing import Self

    from .audio.wire import MediaEndpoint

__all__ = [
    "Answer",
    "Channels",
    "Command",
    "Dial",
    "HangUp",
    "Hold",
    "Mute",
    "PauseRecording",
    "Play",
    "Redirect",
    "Reject",
    "Resume",
    "ResumeRecording",
    "Say",
    "SendDigits",
    "StartMedia",
    "StartRecording",
    "StopMedia",
    "StopRecording",
    "StreamTarget",
    "Transfer",
    "Unmute",
    "new_id",
    "stop_capability",
]

_START = {
    Modality.AUDIO: Capability.START_AUDIO,
    Modality.VIDEO: Capability.START_VIDEO,
    Modality.SCREEN: Capability.START_SCREEN,
    Modality.MESSAGING: Capability.START_MESSAGING,
}
_STOP = {
    Modality.AUDIO: Capability.STOP_AUDIO,
    Modality.VIDEO: Capability.STOP_VIDEO,
    Modality.SCREEN: Capability.STOP_SCREEN,
    Modality.MESSAGING: Capability.STOP_MESSAGING,
}


def new_id() -> str:
    """Return a new identity: unique, impossible to guess, 32 characters."""
    return os.urandom(16).hex()


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """One thing asked of one call.

    `id` is minted by the core and unique. `call` is our identity of the call, `ref` the provider's (None while it has
    none). `reason` and `note` say why; `native` is passed to the provider in its own words. `by` is BRIDGE where the
    bridge itself asks (an emulated time limit), otherwise APPLICATION.
    """

    id: str
    call: str
    ref: str | None = None
    reason: TerminationReason | None = None
    note: str | None = None
    native: Mapping[str, object] = field(default_factory=dict[str, object], hash=False)
    by: EndedBy = EndedBy.APPLICATION

    @property
    def name(self) -> str:
        """The command's word in logs and errors."""
        return type(self).__name__

    @property
    def needs(self) -> frozenset[Capability]:
        """The capabilities without which the command is refused before anything is sent."""
        return frozenset()

    def same_as(self, other: Self) -> bool:
        """Whether the two ask the same thing of the same call, so that one of them in flight serves both."""
        return type(self) is type(other) and self.call == other.call


@dataclass(frozen=True, slots=True, kw_only=True)
class Dial(Command):
    """Call somebody. Its `id` equals `call`, because the token that finds the call is minted before dialling.

    `ring_timeout` and `max_duration` are in seconds. `offer` is an SDP body of the application's own media.
    """

    to: str
    caller_id: str | None = None
    modalities: frozenset[Modality] = frozenset({Modality.AUDIO})
    offer: str | None = None
    ring_timeout: float | None = None
    max_duration: float | None = None
    intent: str | None = None

    @property
    def needs(self) -> frozenset[Capability]:
        needed = {Capability.DIAL}
        if self.offer is not None or self.modalities != frozenset({Modality.AUDIO}):
            needed.add(Capability.DIAL_OFFER)
        return frozenset(needed)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer(Command):
    """Take an inbound call, with an SDP answer where the application brings the media."""

    sdp: str | None = None

    @property
    def needs(self) -> frozenset[Capability]:
        return frozenset({Capability.ANSWER})


class Reject(Command):
    """Refuse an inbound call."""

    __slots__ = ()

    @property
    def needs(self) -> frozenset[Capability]:
        return frozenset({Capability.REJECT})


@dataclass(frozen=True, slots=True, kw_only=True)
class Redirect(Command):
    """Send an inbound call that nobody has answered to another address."""

    to: str

    @property
    def needs(self) -> frozenset[Capability]:
        return frozenset({Capability.REDIRECT})


class HangUp(Command):
    """End the call for this side: cancel it while nobody has answered, leave it afterwards."""

    __slots__ = ()

    @property
    def needs(self) -> frozenset[Capability]:
        return frozenset({Capability.HANG_UP})


def stop_capability(modality: Modality) -> Capability | None:
    """Return what stopping that modality needs; None for an unknown one."""
    return _STOP.get(modality)


@dataclass(frozen=True, slots=True)
class StreamTarget:
    """A stream as a command names it."""

    id: StreamId
    modality: Modality
    transport: Transport
    name: str | None = None
    direction: MediaDirection = MediaDirection.UNKNOWN


@dataclass(frozen=True, slots=True, kw_only=True)
class StartMedia(Command):
    """Let media of one modality flow.

    `to` is the far end of a copy (`wss://…`), where the provider needs one. `endpoint` is the bridge's own place for
    the media: where they must go if it is `required`, and otherwise where they may go if nothing else names a place.
    """

    modality: Modality
    to: str | None = None
    offer: str | None = None
    stream_name: str | None = None
    direction: MediaDirection | None = None
    endpoint: MediaEndpoint | None = None

    @property
    def needs(self) -> frozenset[Capability]:
        needed = {_START[self.modality]} if self.modality in _START else set[Capability]()
        if self.endpoint is not None and self.endpoint.required:
            needed.add(Capability.RECEIVE_AUDIO)
            if self.endpoint.direction is MediaDirection.BOTH:
                needed.add(Capability.SEND_AUDIO)
        return frozenset(needed)

    def same_as(self, other: Command) -> bool:
        return isinstance(other, StartMedia) and self.asked == other.asked

    @property
    def asked(self) -> tuple[object, ...]:
        """What makes two starts the same; every stream that the application reads itself is another one."""
        endpoint = self.endpoint if self.endpoint is not None and self.endpoint.required else None
        return (self.call, self.modality, self.to, self.stream_name, endpoint)


@dataclass(frozen=True, slots=True, kw_only=True)
class StopMedia(Command):
    """Stop exactly these streams.

    `keep` are the other live streams of the call: a verb that would end one of them must not be used.
    """

    streams: tuple[StreamTarget, ...]
    keep: tuple[StreamTarget, ...] = ()

    @property
    def modalities(self) -> frozenset[Modality]:
        """What the streams to stop carry."""
        return frozenset(stream.modality for stream in self.streams)

    @property
    def needs(self) -> frozenset[Capability]:
        return frozenset(_STOP[modality] for modality in self.modalities if modality in _STOP)

    def same_as(self, other: Command) -> bool:
        return (
            isinstance(other, StopMedia)
            and self.call == other.call
            and {stream.id for stream in self.streams} == {stream.id for stream in other.streams}
        )


class Hold(Command):
    """Put the far end on hold."""

    __slots__ = ()

    @property
    def needs(self) -> frozenset[Capability]:
        return frozenset({Capability.HOLD})


class Resume(Command):
    """Take the far end back from hold."""

    __slots__ = ()

    @property
    def needs(self) -> frozenset[Capability]:
        return frozenset({Capability.RESUME})


class Mute(Command):
    """Let the far end hear nothing of this side."""

    __slots__ = ()

    @property
    def needs(self) -> frozenset[Capability]:
        return frozenset({Capability.MUTE})


class Unmute(Command):
    """Let the far end hear this side again."""

    __slots__ = ()

    @property
    def needs(self) -> frozenset[Capability]:
        return frozenset({Capability.UNMUTE})


@dataclass(frozen=True, slots=True, kw_only=True)
class SendDigits(Command):
    """Send DTMF digits (`0-9 * # A-D`, `w` for half a second of silence)."""

    digits: str

    @property
    def needs(self) -> frozenset[Capability]:
        return frozenset({Capability.SEND_DIGITS})

    def same_as(self, other: Command) -> bool:
        """Never: digits sent twice are two different things."""
        return False


@dataclass(frozen=True, slots=True, kw_only=True)
class Say(Command):
    """Let the provider speak a text to the far end. `language` is a BCP 47 tag, `voice` the provider's own word."""

    text: str
    language: str | None = None
    voice: str | None = None

    @property
    def needs(self) -> frozenset[Capability]:
        return frozenset({Capability.SAY})

    def same_as(self, other: Command) -> bool:
        """Never: what is said twice is heard twice."""
        return False


@dataclass(frozen=True, slots=True, kw_only=True)
class Play(Command):
    """Let the provider fetch a sound file and play it to the far end, so many times."""

    url: str
    times: int = 1

    @property
    def needs(self) -> frozenset[Capability]:
        return frozenset({Capability.PLAY})

    def same_as(self, other: Command) -> bool:
        """Never: what is played twice is heard twice."""
        return False


@dataclass(frozen=True, slots=True, kw_only=True)
class Transfer(Command):
    """Connect the far end with another address, without asking there first. `ring_timeout` is in seconds."""

    to: str
    caller_id: str | None = None
    ring_timeout: float | None = None

    @property
    def needs(self) -> frozenset[Capability]:
        return frozenset({Capability.TRANSFER})


class Channels(StrEnum):
    """How the two sides of a call are laid into a recording."""

    MIXED = "mixed"
    """Both in one channel."""
    SEPARATE = "separate"
    """Each in a channel of its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StartRecording(Command):
    """Let the provider record the call. Its `id` is our identity of the recording."""

    channels: Channels = Channels.MIXED

    @property
    def needs(self) -> frozenset[Capability]:
        return frozenset({Capability.RECORD})

    def same_as(self, other: Command) -> bool:
        """Never: a call may have several recordings."""
        return False


@dataclass(frozen=True, slots=True, kw_only=True)
class _OfRecording(Command):
    """A command about one recording: `recording` is our identity of it, `slot` the provider's."""

    recording: str
    slot: str

    def same_as(self, other: Command) -> bool:
        return type(self) is type(other) and isinstance(other, _OfRecording) and self.recording == other.recording


class PauseRecording(_OfRecording):
    """Record nothing until the recording is resumed."""

    __slots__ = ()

    @property
    def needs(self) -> frozenset[Capability]:
        return frozenset({Capability.PAUSE_RECORDING})


class ResumeRecording(_OfRecording):
    """Go on with a recording that is paused."""

    __slots__ = ()

    @property
    def needs(self) -> frozenset[Capability]:
        return frozenset({Capability.PAUSE_RECORDING})


class StopRecording(_OfRecording):
    """End a recording; the call goes on."""

    __slots__ = ()

    @property
    def needs(self) -> frozenset[Capability]:
        return frozenset({Capability.RECORD})
