"""What UCWA can do at all, and what its links allow now."""

from __future__ import annotations

from collections.abc import Mapping

from telco_bridge.provider import CallState, CallView, Capability, Modality, Support, SupportLevel, Transport

__all__ = ["SUPPORT", "possible", "together"]

_FULL = SupportLevel.FULL
_EMULATED = SupportLevel.EMULATED
_CANNOT = SupportLevel.PROVIDER_CANNOT

_NO_FRAMES = Support(
    _CANNOT, "audio flows between phones, or in the application's own media stack; UCWA itself never carries it"
)

_NO_SCREEN = Support(_CANNOT, "UCWA tells of a shared screen, and documents no way to start or stop sharing one")

SUPPORT: Mapping[Capability, Support] = {
    Capability.DIAL: Support(_FULL, "the server rings the user's own phone first, then the other party"),
    Capability.DIAL_OFFER: Support(_FULL, "with an SDP offer of Microsoft's ICE and SRTP flavour"),
    Capability.RING_TIMEOUT: Support(_EMULATED, "the bridge cancels the call"),
    Capability.MAX_DURATION: Support(_EMULATED, "the bridge hangs up"),
    Capability.ANSWER: Support(
        _FULL, "with an SDP answer, or on the user's phone; a call that rings the user's phone is answered there"
    ),
    Capability.REJECT: Support(_FULL, "declines on every endpoint of the user, or as native={'reason': 'Local'} here"),
    Capability.REDIRECT: Support(_CANNOT, "a ringing call cannot be forwarded; use the user's forwarding settings"),
    Capability.HANG_UP: Support(_FULL, "leaves the whole conversation; the reason stays on this side"),
    Capability.START_AUDIO: Support(_FULL, "phone audio, or VoIP audio with an SDP offer"),
    Capability.STOP_AUDIO: Support(_FULL, "the server usually ends a conversation that has no media left"),
    Capability.RECEIVE_AUDIO: _NO_FRAMES,
    Capability.SEND_AUDIO: _NO_FRAMES,
    Capability.START_VIDEO: Support(_FULL, "with an SDP offer"),
    Capability.STOP_VIDEO: Support(_FULL, "the server usually ends a conversation that has no media left"),
    Capability.START_SCREEN: _NO_SCREEN,
    Capability.STOP_SCREEN: _NO_SCREEN,
    Capability.START_MESSAGING: Support(_FULL, "what is written passes through `UcwaConversation.messaging`"),
    Capability.STOP_MESSAGING: Support(_FULL, "without a reason"),
    Capability.STOP_REASON: Support(
        _FULL, "for VoIP audio and video; stopping phone audio or messages carries no reason"
    ),
    Capability.HOLD: Support(_FULL, "phone audio only; VoIP hold is a renegotiation of the application's own media"),
    Capability.RESUME: Support(_FULL, "phone audio only"),
    Capability.MUTE: Support(
        _FULL, "in a conference, where the server does it; in a call of two, your own media can only be silent"
    ),
    Capability.UNMUTE: Support(_FULL, "in a conference, unless the audience is locked"),
    Capability.SEND_DIGITS: Support(_CANNOT, "UCWA has no DTMF; tones travel in the media"),
    Capability.HEAR_DIGITS: Support(_CANNOT, "UCWA has no DTMF; tones travel in the media"),
    Capability.SAY: Support(_CANNOT, "UCWA has no voice of its own"),
    Capability.PLAY: Support(_CANNOT, "UCWA plays nothing"),
    Capability.TRANSFER: Support(
        _CANNOT, "UCWA documents no transfer; a call that somebody else moves goes on as the same call"
    ),
    Capability.RECORD: Support(_CANNOT, "UCWA records nothing"),
    Capability.PAUSE_RECORDING: Support(_CANNOT, "UCWA records nothing"),
    Capability.LIST_CALLS: Support(_FULL, "the active conversations of this application"),
}
"""Every capability, with what a user should know about it."""

_ONE_LINK = {
    # UCWA's tables list `accept` for calls that ring the user's phone, and its text says that it cannot be used.
    Capability.ANSWER: ("acceptWithAnswer", "acceptWithPhoneAudio"),
    Capability.REJECT: ("decline",),
    Capability.START_AUDIO: ("addPhoneAudio", "addAudio"),
    Capability.START_VIDEO: ("addVideo",),
    Capability.START_MESSAGING: ("addMessaging",),
    Capability.STOP_MESSAGING: ("stopMessaging",),
    Capability.STOP_REASON: ("stopAudio", "stopVideo", "stopAudioVideo"),
    Capability.HOLD: ("holdPhoneAudio",),
    Capability.RESUME: ("resumePhoneAudio",),
    Capability.MUTE: ("muteAudio",),
    Capability.UNMUTE: ("unmuteAudio",),
}


def together(view: CallView) -> tuple[frozenset[Capability], ...]:
    """Return what may be asked of the call now only at once: a server may let both media be stopped, and neither alone.

    UCWA documents the three stops as three rights, of which it may give one.
    """
    both = frozenset({Capability.STOP_AUDIO, Capability.STOP_VIDEO})
    return (both,) if view.state is not CallState.ENDED and "stopAudioVideo" in view.offered else ()


def possible(view: CallView) -> frozenset[Capability]:
    """Return what may be asked of the call now: in UCWA, a link is a permission."""
    if view.state is CallState.ENDED:
        return frozenset()
    able = {capability for capability, links in _ONE_LINK.items() if view.offered.intersection(links)}
    able.add(Capability.HANG_UP)
    voip = {s.modality for s in view.live_streams if s.transport is not Transport.PSTN}
    both = "stopAudioVideo" in view.offered
    if view.offered & {"stopPhoneAudio", "stopAudio"} or (both and Modality.VIDEO not in voip):
        able.add(Capability.STOP_AUDIO)
    if "stopVideo" in view.offered or (both and Modality.AUDIO not in voip):
        able.add(Capability.STOP_VIDEO)
    return frozenset(able)
