"""What a provider can do at all, and how well."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

__all__ = ["Capability", "Support", "SupportLevel"]


class Capability(StrEnum):
    """One thing an application may ask of a call."""

    DIAL = "dial"
    DIAL_OFFER = "dial_offer"
    """Dial with the application's own SDP offer."""
    RING_TIMEOUT = "ring_timeout"
    MAX_DURATION = "max_duration"
    ANSWER = "answer"
    REJECT = "reject"
    REDIRECT = "redirect"
    HANG_UP = "hang_up"
    START_AUDIO = "start_audio"
    STOP_AUDIO = "stop_audio"
    RECEIVE_AUDIO = "receive_audio"
    """What is said in the call reaches the application, frame by frame."""
    SEND_AUDIO = "send_audio"
    """The application plays sounds to the far end, frame by frame."""
    START_VIDEO = "start_video"
    STOP_VIDEO = "stop_video"
    START_SCREEN = "start_screen"
    STOP_SCREEN = "stop_screen"
    START_MESSAGING = "start_messaging"
    STOP_MESSAGING = "stop_messaging"
    STOP_REASON = "stop_reason"
    """The reason of a stop travels to the provider."""
    HOLD = "hold"
    RESUME = "resume"
    MUTE = "mute"
    """The far end no longer hears this side, and the call goes on."""
    UNMUTE = "unmute"
    SEND_DIGITS = "send_digits"
    HEAR_DIGITS = "hear_digits"
    """Keys that the far end presses are told."""
    SAY = "say"
    """The provider speaks a text to the far end."""
    PLAY = "play"
    """The provider plays a sound file to the far end."""
    TRANSFER = "transfer"
    """The far end is connected with somebody else, without asking first."""
    RECORD = "record"
    """The provider records the call."""
    PAUSE_RECORDING = "pause_recording"
    """A recording of the provider's is paused and resumed."""
    LIST_CALLS = "list_calls"


class SupportLevel(StrEnum):
    """How far a provider supports a capability."""

    FULL = "full"
    EMULATED = "emulated"
    """Done by the bridge, or by a detour that the note describes."""
    PROVIDER_CANNOT = "provider_cannot"
    NOT_IMPLEMENTED = "not_implemented"
    """The provider could; the plugin does not yet."""
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Support:
    """A level, and a sentence that says what a user should know about it."""

    level: SupportLevel
    note: str = ""

    @property
    def usable(self) -> bool:
        """Whether a command that needs this may be sent."""
        return self.level in (SupportLevel.FULL, SupportLevel.EMULATED)
