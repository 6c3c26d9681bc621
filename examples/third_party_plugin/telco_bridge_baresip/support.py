"""What baresip 1.0 can do at all by its control port, and what the state of a call allows."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from telco_bridge.provider import CallDirection, CallState, CallView, Capability, Support, SupportLevel

__all__ = ["SUPPORT", "possible"]

_NO_AUDIO_SWITCH = Support(
    SupportLevel.PROVIDER_CANNOT,
    "The audio of a call starts with the answer and ends with the call: mute silences our side, hold the other.",
)
_NO_FRAMES = Support(
    SupportLevel.PROVIDER_CANNOT,
    "The control port carries no audio: baresip plays `audio_source`, and gives what it hears to `audio_player`.",
)
_NO_VIDEO = Support(SupportLevel.PROVIDER_CANNOT, "Video is a property of the build, not of a call.")
_NO_SCREEN = Support(SupportLevel.PROVIDER_CANNOT, "baresip shares no screens.")
_NO_MESSAGES = Support(SupportLevel.PROVIDER_CANNOT, "Messages are not part of a call of baresip's.")
_NO_PROMPTS = Support(SupportLevel.PROVIDER_CANNOT, "baresip speaks and plays nothing on command but `audio_source`.")
_NO_RECORDINGS = Support(SupportLevel.PROVIDER_CANNOT, "The control port starts and stops no recordings.")

SUPPORT: Mapping[Capability, Support] = MappingProxyType(
    {
        Capability.DIAL: Support(
            SupportLevel.FULL, "A SIP address; numbers need `domain`. The caller id is one of baresip's accounts."
        ),
        Capability.DIAL_OFFER: Support(SupportLevel.PROVIDER_CANNOT, "baresip writes its own SDP."),
        Capability.RING_TIMEOUT: Support(
            SupportLevel.EMULATED, "The bridge hangs up; baresip itself lets the far end ring for ever."
        ),
        Capability.MAX_DURATION: Support(SupportLevel.EMULATED, "The bridge hangs up."),
        Capability.ANSWER: Support(
            SupportLevel.FULL, "baresip holds another call while it answers; the plugin takes it back at once."
        ),
        Capability.REJECT: Support(SupportLevel.FULL, "Always with SIP 486."),
        Capability.REDIRECT: Support(SupportLevel.PROVIDER_CANNOT, "baresip 1.0 has no command for it."),
        Capability.HANG_UP: Support(SupportLevel.FULL, "Cancels while it rings, says BYE afterwards."),
        Capability.START_AUDIO: _NO_AUDIO_SWITCH,
        Capability.STOP_AUDIO: _NO_AUDIO_SWITCH,
        Capability.RECEIVE_AUDIO: _NO_FRAMES,
        Capability.SEND_AUDIO: _NO_FRAMES,
        Capability.START_VIDEO: _NO_VIDEO,
        Capability.STOP_VIDEO: _NO_VIDEO,
        Capability.START_SCREEN: _NO_SCREEN,
        Capability.STOP_SCREEN: _NO_SCREEN,
        Capability.START_MESSAGING: _NO_MESSAGES,
        Capability.STOP_MESSAGING: _NO_MESSAGES,
        Capability.STOP_REASON: Support(
            SupportLevel.PROVIDER_CANNOT, "`hangup` takes no reason in baresip 1.0: it is kept on our side."
        ),
        Capability.HOLD: Support(
            SupportLevel.FULL,
            "baresip does not tell whether the far end agreed. It takes a held call back when another call ends; the "
            "plugin then holds it again.",
        ),
        Capability.RESUME: Support(SupportLevel.FULL, "baresip does not tell whether the far end agreed."),
        Capability.MUTE: Support(SupportLevel.FULL, "Silence is sent. A read cannot tell whether a call is muted."),
        Capability.UNMUTE: Support(SupportLevel.FULL),
        Capability.SEND_DIGITS: Support(
            SupportLevel.FULL, "In the audio stream (RFC 4733), where the far end takes it."
        ),
        Capability.HEAR_DIGITS: Support(SupportLevel.FULL, "From the audio stream (RFC 4733), and by SIP INFO."),
        Capability.SAY: _NO_PROMPTS,
        Capability.PLAY: _NO_PROMPTS,
        Capability.TRANSFER: Support(
            SupportLevel.NOT_IMPLEMENTED, "baresip can send a REFER; whether the far end follows is not told reliably."
        ),
        Capability.RECORD: _NO_RECORDINGS,
        Capability.PAUSE_RECORDING: _NO_RECORDINGS,
        Capability.LIST_CALLS: Support(SupportLevel.FULL, "All calls of all accounts of this baresip."),
    }
)
"""Every capability, with its level and what a user should know."""

_UP = frozenset(
    {
        Capability.HANG_UP,
        Capability.HOLD,
        Capability.RESUME,
        Capability.MUTE,
        Capability.UNMUTE,
        Capability.SEND_DIGITS,
    }
)
_RINGS_HERE = frozenset({Capability.ANSWER, Capability.REJECT, Capability.HANG_UP})


def possible(view: CallView) -> frozenset[Capability]:
    """Return what baresip carries out for a call in this state; much more it takes without doing it."""
    if view.over or view.state is CallState.ENDED:
        return frozenset()
    if view.state is CallState.CONNECTED:
        return _UP
    if view.direction is CallDirection.INBOUND and view.state is CallState.RINGING:
        return _RINGS_HERE
    return frozenset({Capability.HANG_UP})
