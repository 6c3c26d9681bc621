"""What a call tells its status callback, and its document's address."""

from __future__ import annotations

from .callbacks import Callback
from .calls import API_VERSION, Call, CallStatus, Direction
from .dates import rfc2822
from .space import Space
from .webhooks import Webhook

__all__ = ["document_fields", "tell_detection", "tell_progress"]

_RICH_ONLY = ("SequenceNumber", "CallDuration", "SipInviteResultPhrase")
"""Documented, but absent from captured traffic."""

_NUMBER_STATUSES = (CallStatus.COMPLETED, CallStatus.FAILED)
"""The only ends that a phone number's own callback is told of."""


def document_fields(call: Call, space: Space) -> dict[str, str]:
    """Return the standard parameters of a request for a document."""
    parent = {} if call.parent is None else {"ParentCallSid": call.parent}
    placed = "outbound-api" if call.parent is None else "outbound-dial"
    return {
        "CallSid": call.sid,
        "AccountSid": space.project,
        "From": call.from_,
        "To": call.to,
        "CallStatus": call.status.value,
        "ApiVersion": API_VERSION,
        "Direction": placed if call.direction is Direction.OUTBOUND else "inbound",
        **parent,
        **({} if call.answered_by is None else {"AnsweredBy": call.answered_by}),
    }


def tell_progress(call: Call, space: Space, event: str, word: str | None = None) -> None:
    """Tell the call's status callback of an event, if it has asked for that one. `word` is the status if not REST's."""
    subscription = call.subscription
    if subscription.webhook is None or event not in subscription.events:
        return
    status = word if word is not None else call.status.value
    if subscription.of_number:
        if call.status not in _NUMBER_STATUSES:
            return
        fields = _number_fields(call, space)
    else:
        fields = _call_fields(call, space, status)
        call.told += 1
    call.lane.tell(
        Callback(
            name=f"callback {event}" if event == status else f"callback {event} ({status})",
            webhook=subscription.webhook,
            fields=fields,
            word_field="CallStatus",
        )
    )


def tell_detection(call: Call, space: Space, webhook: Webhook, seconds: float) -> None:
    """Tell who has answered, found out in the background. SignalWire documents no fields; they are Twilio's."""
    fields = {
        "CallSid": call.sid,
        "AccountSid": space.project,
        "AnsweredBy": call.answered_by or "unknown",
        "MachineDetectionDuration": str(round(1000 * seconds)),
    }
    call.lane.tell(Callback(name="callback detection", webhook=webhook, fields=fields, word_field="AnsweredBy"))


def _number_fields(call: Call, space: Space) -> dict[str, str]:
    return {
        "CallSid": call.sid,
        "AccountSid": space.project,
        "From": call.from_,
        "To": call.to,
        "Timestamp": rfc2822(call.created),
        "CallStatus": call.status.value,
        "CallDuration": str(call.duration),
    }


def _call_fields(call: Call, space: Space, status: str) -> dict[str, str]:
    fields = document_fields(call, space) | {
        "CallStatus": status,
        "CallbackSource": "call-progress-events",
        "Timestamp": rfc2822(space.now()),
        "SequenceNumber": str(call.told),
    }
    clearing = call.clearing
    if clearing is not None:
        # An outbound call that the far end ended says "inbound"; our side or the platform, "outbound". What the
        # network itself refuses reaches SignalWire from the far end's direction.
        by_us = clearing.by is call.ours
        own, far = (call.from_, call.to) if call.direction is Direction.OUTBOUND else (call.to, call.from_)
        fields |= {
            "CallDuration": str(call.duration),
            "HangupBy": own if by_us else far,
            "HangupDirection": "outbound" if by_us else "inbound",
            "SipResultCode": str(clearing.sip),
            "SipInviteResultPhrase": clearing.phrase,
        }
        fields |= call.recorded
        if call.answered is not None:
            fields |= _audio_fields(call.duration)
    if not space.switches.rich_callbacks:
        fields = {
            name: value for name, value in fields.items() if name not in _RICH_ONLY and not name.startswith("Audio")
        }
    return fields


def _audio_fields(duration: int) -> dict[str, str]:
    """The statistics of a flawless call: 50 packets a second, none late."""
    packets = str(duration * 50)
    return {
        "AudioInMos": "4.5",
        "AudioInAveragePtime": "20",
        "AudioInDtmfPacketCount": "0",
        "AudioInFlushPacketCount": "0",
        "AudioInJitterMaxVariance": "0.0",
        "AudioInJitterMinVariance": "0.0",
        "AudioInLargestJbSize": "0",
        "AudioInMediaPacketCount": packets,
        "AudioInSkipPacketCount": "0",
        "AudioOutDtmfPacketCount": "0",
        "AudioOutMediaPacketCount": packets,
    }
