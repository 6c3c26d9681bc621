"""What SignalWire's Compatibility API can do at all, and what the state of a call allows."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from telco_bridge.provider import CallDirection, CallState, CallView, Capability, MediaDirection, Support, SupportLevel
from telco_bridge_laml.dialect import HOLD

__all__ = ["SUPPORT", "possible"]

_NO_VIDEO = Support(SupportLevel.PROVIDER_CANNOT, "A call of this API carries audio only.")
_NO_MESSAGES = Support(SupportLevel.PROVIDER_CANNOT, "Messages are not part of a call of this API.")
_BY_CONFERENCE = Support(
    SupportLevel.EMULATED,
    "Off unless `hold_by_conference` is set: the far end waits in a conference of its own. A two-way stream is ended.",
)
_NO_MUTE = Support(
    SupportLevel.PROVIDER_CANNOT,
    "This side is heard by what it plays and by two-way streams, which it can end. Muting a participant of a "
    "conference silences the far end instead: that is in the native SignalWireSpace.",
)
_DOCUMENT = "Needs a public URL; not while a two-way stream runs, which it would end."

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
        Capability.ANSWER: Support(
            SupportLevel.FULL, "Needs a public URL, to which the number points; `decide_within` seconds to decide."
        ),
        Capability.REJECT: Support(SupportLevel.FULL, "As busy where that is the reason, otherwise as rejected."),
        Capability.REDIRECT: Support(
            SupportLevel.FULL,
            "SignalWire stays in the path: the call ends here, as redirected, when the two have spoken to each other.",
        ),
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
        Capability.HOLD: _BY_CONFERENCE,
        Capability.RESUME: _BY_CONFERENCE,
        Capability.MUTE: _NO_MUTE,
        Capability.UNMUTE: _NO_MUTE,
        Capability.SEND_DIGITS: Support(
            SupportLevel.FULL, f"0-9 * # and w, W to wait; returns when they have been sent. {_DOCUMENT}"
        ),
        Capability.HEAR_DIGITS: Support(
            SupportLevel.FULL,
            "Off unless `hear_digits` is set, and not while something is said or played. Told a second after the last "
            "key. A two-way stream tells every key at once, among its audio.",
        ),
        Capability.SAY: Support(SupportLevel.FULL, f"4096 characters at most. {_DOCUMENT}"),
        Capability.PLAY: Support(SupportLevel.FULL, f"A file that SignalWire can fetch. {_DOCUMENT}"),
        Capability.TRANSFER: Support(
            SupportLevel.FULL,
            "SignalWire stays in the path: the call ends when the two have spoken to each other. `native={'Refer': "
            f"True}}` lets a SIP endpoint call somebody else itself. {_DOCUMENT}",
        ),
        Capability.RECORD: Support(SupportLevel.FULL, "Mixed, or each side in a channel of its own; WAV files."),
        Capability.PAUSE_RECORDING: Support(
            SupportLevel.FULL, "`native={'PauseBehavior': 'skip'}` leaves the pause out of the file."
        ),
        Capability.LIST_CALLS: Support(SupportLevel.FULL, "The project's queued, ringing and answered calls."),
    }
)
"""Every capability, with its level and what a user should know."""

_UNANSWERED = frozenset({Capability.HANG_UP})
_RINGS_HERE = frozenset({Capability.HANG_UP, Capability.ANSWER, Capability.REJECT, Capability.REDIRECT})
_ANSWERED = frozenset(
    {
        Capability.HANG_UP,
        Capability.START_AUDIO,
        Capability.STOP_AUDIO,
        Capability.RECEIVE_AUDIO,
        Capability.RECORD,
        Capability.PAUSE_RECORDING,
    }
)
_DOCUMENTED = frozenset(
    {Capability.SEND_AUDIO, Capability.SAY, Capability.PLAY, Capability.SEND_DIGITS, Capability.TRANSFER}
)


def possible(view: CallView) -> frozenset[Capability]:
    """Return what the API accepts for a call in this state: streams only while it is answered (error 21220)."""
    if view.over or view.state is CallState.ENDED:
        return frozenset()
    if view.state is CallState.RINGING and view.direction is CallDirection.INBOUND:
        return _RINGS_HERE
    if view.state is not CallState.CONNECTED:
        return _UNANSWERED
    if any(stream.direction is MediaDirection.BOTH for stream in view.live_streams):
        # Another document would end the one that connects the call, and a stream that nobody asked to stop.
        return _ANSWERED
    if view.held:
        return _ANSWERED | {Capability.RESUME}
    return _ANSWERED | _DOCUMENTED | ({Capability.HOLD} if HOLD in view.offered else set[Capability]())
