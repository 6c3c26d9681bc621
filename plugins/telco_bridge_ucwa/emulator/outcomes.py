"""How an invitation ends when nobody takes it: what the network's clearing becomes in UCWA's words."""

from __future__ import annotations

from dataclasses import dataclass

from telco_bridge.sandbox.exchange import Clearing, Side

from .errors import JSON

__all__ = [
    "CALLER_GAVE_UP",
    "CANCELLED",
    "DECLINED_ELSEWHERE",
    "DECLINED_HERE",
    "DENIED",
    "DERIVED",
    "EJECTED",
    "ELSEWHERE",
    "ESCALATION_FAILED",
    "EXPIRED",
    "FORWARDED",
    "MISSED",
    "NOT_ACCEPTABLE",
    "REMOTE_HANG_UP",
    "REPLACED",
    "TARGET_DECLINED",
    "TIMEOUT",
    "Outcome",
    "of_clearing",
]


@dataclass(frozen=True, slots=True)
class Outcome:
    """The state in which an invitation ends without success, and the reason block of its last event."""

    state: str
    code: str
    subcode: str | None
    message: str

    def reason(self) -> JSON:
        """Return the reason block."""
        block: JSON = {"code": self.code}
        if self.subcode is not None:
            block["subcode"] = self.subcode
        block["message"] = self.message
        return block


# UCWA documents the subcode alone; that it is the caller's own side which gave up makes it a local failure.
CANCELLED = Outcome("Cancelled", "LocalFailure", "Canceled", "The invitation was cancelled.")
TIMEOUT = Outcome("Failed", "Timeout", None, "Nobody answered in time.")
NOT_ACCEPTABLE = Outcome("Failed", "RemoteFailure", "NotAcceptable", "The other party takes none of the offered media.")

# How an invitation from outside ends that is not taken here. UCWA documents the subcodes, not the codes beside them.
CALLER_GAVE_UP = Outcome("Cancelled", "RemoteFailure", "Canceled", "The caller gave up.")
MISSED = Outcome("Failed", "Timeout", "Missed", "The call was missed.")
ELSEWHERE = Outcome("Failed", "Informational", "ConnectedElsewhere", "The call was answered on another endpoint.")
FORWARDED = Outcome("Forwarded", "Informational", "Forwarded", "The call was forwarded.")
DECLINED_HERE = Outcome("Declined", "LocalFailure", "Declined", "The call was declined.")
DECLINED_ELSEWHERE = Outcome("Declined", "Informational", "Declined", "The call was declined on another endpoint.")

ESCALATION_FAILED = Outcome("Failed", "LocalFailure", "EscalationFailed", "The conversation became no conference.")
DENIED = Outcome("Failed", "RemoteFailure", "Denied", "A leader of the meeting did not let the user in.")
EJECTED: JSON = {"code": "RemoteFailure", "subcode": "Ejected", "message": "A leader removed the user."}
"""Why a conference is over for one. UCWA documents the subcodes, not the codes beside them."""

DERIVED: JSON = {
    "code": "Informational",
    "subcode": "DerivedConversation",
    "message": "Somebody else answered, in a conversation of their own.",
}
REPLACED: JSON = {"code": "Informational", "subcode": "Replaced", "message": "Another call took the place of this one."}
EXPIRED: JSON = {"code": "Informational", "subcode": "Expired", "message": "The session was suspended too long."}
TARGET_DECLINED: JSON = {
    "code": "RemoteFailure",
    "subcode": "TransferTargetDeclined",
    "message": "The target of the transfer declined.",
}
"""Why a call goes on elsewhere, or does not. UCWA documents the subcodes, not the codes beside them."""

REMOTE_HANG_UP: JSON = {"code": "Informational", "subcode": "CallTerminated", "message": "The other party hung up."}
"""Why an established call ended that this side did not end: an informational reason, since nothing failed."""

_BY_STATUS = {
    403: Outcome("Failed", "RemoteFailure", "NotAllowed", "The other party may not be called."),
    404: Outcome("Failed", "NotFound", "DestinationNotFound", "Nobody has that address."),
    408: TIMEOUT,
    480: Outcome("Failed", "RemoteFailure", "TemporarilyUnavailable", "The other party is not available now."),
    486: Outcome("Failed", "RemoteFailure", "Busy", "The other party is busy."),
    488: NOT_ACCEPTABLE,
    600: Outcome("Failed", "RemoteFailure", "Busy", "The other party is busy."),
    603: Outcome("Declined", "RemoteFailure", "Declined", "The other party declined."),
    604: Outcome("Failed", "NotFound", "DestinationNotFound", "Nobody has that address."),
    606: NOT_ACCEPTABLE,
}


def of_clearing(clearing: Clearing, *, pstn: bool) -> Outcome:
    """Return how an unanswered invitation ends when the network clears its call like that."""
    if clearing.sip == 487:
        # A caller who goes away before the answer, or a platform that does so for it.
        return CANCELLED if clearing.by is Side.CALLER else _BY_STATUS[480]
    known = _BY_STATUS.get(clearing.sip)
    if known is not None:
        return known
    subcode = "PstnCallFailed" if pstn else "Unavailable"
    return Outcome("Failed", "RemoteFailure", subcode, f"The call failed: {clearing.phrase}.")
