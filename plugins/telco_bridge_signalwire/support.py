"""What SignalWire's Compatibility API can do at all, and what the state of a call allows."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from telco_bridge.provider import CallState, CallView, Capability, MediaDirection, Support, SupportLevel

__all__ = ["SUPPORT", "possible"]

_NO_VIDEO = Support(SupportLevel.PROVIDER_CANNOT, "A call of this API carries audio only.")
_NO_MESSAGES = Support(SupportLevel.PROVIDER_CANNOT, "Messages are not part of a call of this API.")
_NO_INBOUND = Support(
    SupportLevel.NOT_IMPLEMENTED, "SignalWire asks for a document when a call comes in; the plugin refuses it so far."
)
_NO_HOLD = Support(SupportLevel.NOT_IMPLEMENTED, "A plain call cannot be held; a participant of a conference could be.")
_NO_MUTE = Support(
    SupportLevel.NOT_IMPLEMENTED, "A plain call cannot be muted; a participant of a conference could be."
)

SUPPORT: Mapping[Capability, Support] = MappingProxyType(
    {
        Capability.DIAL: Support(
            SupportLevel.FULL, "Needs a public URL or `document_url`: SignalWire fetches a document on answer."
        ),
        Capability.DIAL_OFFER: Support(
            SupportLevel.PROVIDER_CANNOT, "Media are SignalWire's own; there is no SDP in this API."
        ),
        Capability.RING_TIMEOUT: Support(
            SupportLevel.FULL, "Whole seconds from 1 to 600. Time in SignalWire's queue does not count."
        ),
        Capability.MAX_DURATION: Support(
            SupportLevel.EMULATED, "The bridge hangs up; the API has no time limit for a call."
        ),
        Capability.ANSWER: _NO_INBOUND,
        Capability.REJECT: _NO_INBOUND,
        Capability.REDIRECT: _NO_INBOUND,
        Capability.HANG_UP: Support(SupportLevel.FULL, "Cancels while queued or ringing, completes afterwards."),
        Capability.START_AUDIO: Support(
            SupportLevel.FULL, "Copies the call's audio to a WebSocket, one way. The call's own audio is untouched."
        ),
        Capability.STOP_AUDIO: Support(
            SupportLevel.FULL, "Stops the copy to the WebSocket. The call goes on, and the parties still hear it."
        ),
        Capability.RECEIVE_AUDIO: Support(
            SupportLevel.FULL, "Needs a public URL: a copy comes to the bridge by WebSocket, both tracks or one."
        ),
        Capability.SEND_AUDIO: Support(
            SupportLevel.FULL,
            "Needs a public URL. The call's own document is replaced by one that connects it to the bridge, and "
            "afterwards by one that keeps it open; one two-way stream at a time, which hears the far end only.",
        ),
        Capability.START_VIDEO: _NO_VIDEO,
        Capability.STOP_VIDEO: _NO_VIDEO,
        Capability.START_SCREEN: _NO_VIDEO,
        Capability.STOP_SCREEN: _NO_VIDEO,
        Capability.START_MESSAGING: _NO_MESSAGES,
        Capability.STOP_MESSAGING: _NO_MESSAGES,
        Capability.STOP_REASON: Support(
            SupportLevel.PROVIDER_CANNOT, "The wire has no field for a reason: it is kept on our side."
        ),
        Capability.HOLD: _NO_HOLD,
        Capability.RESUME: _NO_HOLD,
        Capability.MUTE: _NO_MUTE,
        Capability.UNMUTE: _NO_MUTE,
        Capability.SEND_DIGITS: Support(
            SupportLevel.NOT_IMPLEMENTED,
            "Digits can be sent on answer, as the native parameter `SendDigits` of a dial; later they need a document.",
        ),
        Capability.HEAR_DIGITS: Support(
            SupportLevel.NOT_IMPLEMENTED, "A document could gather digits; the keep-alive document does not."
        ),
        Capability.LIST_CALLS: Support(SupportLevel.FULL, "The project's queued, ringing and answered calls."),
    }
)
"""Every capability, with its level and what a user should know."""

_UNANSWERED = frozenset({Capability.HANG_UP})
_ANSWERED = frozenset({Capability.HANG_UP, Capability.START_AUDIO, Capability.STOP_AUDIO, Capability.RECEIVE_AUDIO})


def possible(view: CallView) -> frozenset[Capability]:
    """Return what the API accepts for a call in this state: streams only while it is answered (error 21220)."""
    if view.over or view.state is CallState.ENDED:
        return frozenset()
    if view.state is not CallState.CONNECTED:
        return _UNANSWERED
    # A second document that connects the call would end the first, and with it a stream that nobody asked to stop.
    connected = any(stream.direction is MediaDirection.BOTH for stream in view.live_streams)
    return _ANSWERED if connected else _ANSWERED | {Capability.SEND_AUDIO}
