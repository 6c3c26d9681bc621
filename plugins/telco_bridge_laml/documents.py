"""cXML documents: what a call does next, built from the verbs that this plugin uses, each typed and escaped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from xml.sax.saxutils import escape, quoteattr

__all__ = [
    "XML",
    "RejectReason",
    "Verb",
    "conference",
    "connect_stream",
    "dial",
    "document",
    "gather_digits",
    "hangup",
    "pause",
    "play",
    "play_digits",
    "redirect",
    "refer",
    "reject",
    "say",
]

XML = "text/xml; charset=utf-8"
"""The content type of a document."""


class RejectReason(StrEnum):
    """How an inbound call is refused: as `no-answer`, which the carrier makes of `rejected`, or as `busy`."""

    REJECTED = "rejected"
    BUSY = "busy"


@dataclass(frozen=True, slots=True)
class Verb:
    """One element of a document: a verb, or a noun within one. Attributes that are None are left out."""

    name: str
    attributes: Mapping[str, str | None] = field(default_factory=dict[str, "str | None"], repr=False)
    text: str = field(default="", repr=False)
    children: Sequence[Verb] = ()

    def __str__(self) -> str:
        """The element as XML."""
        said = "".join(f" {name}={_quoted(value)}" for name, value in self.attributes.items() if value is not None)
        inside = _escaped(self.text) + "".join(map(str, self.children))
        return f"<{self.name}{said}>{inside}</{self.name}>" if inside else f"<{self.name}{said}/>"


def document(*verbs: Verb) -> bytes:
    """Return the document of these verbs. When it runs out, the carrier hangs up."""
    return f'<?xml version="1.0" encoding="UTF-8"?><Response>{"".join(map(str, verbs))}</Response>'.encode()


def say(text: str, *, language: str | None = None, voice: str | None = None) -> Verb:
    """Speak a text."""
    return Verb("Say", {"language": language, "voice": voice}, text)


def play(url: str, *, times: int = 1) -> Verb:
    """Fetch a sound file and play it."""
    return Verb("Play", {"loop": str(times) if times != 1 else None}, url)


def play_digits(digits: str) -> Verb:
    """Send DTMF digits."""
    return Verb("Play", {"digits": digits})


def pause(seconds: int) -> Verb:
    """Say nothing. At the start of a document it leaves a ringing call ringing."""
    return Verb("Pause", {"length": str(seconds)})


def gather_digits(action: str, *, seconds: int) -> Verb:
    """Wait so long for keys, and after each for the next; go on at `action` with all of them, or here without any."""
    return Verb("Gather", {"input": "dtmf", "finishOnKey": "", "timeout": str(seconds), "action": action})


def redirect(url: str) -> Verb:
    """Go on with another document."""
    return Verb("Redirect", {"method": "POST"}, url)


def reject(reason: RejectReason) -> Verb:
    """Refuse an inbound call without answering it."""
    return Verb("Reject", {"reason": reason.value})


def hangup() -> Verb:
    """End the call."""
    return Verb("Hangup")


def connect_stream(**attributes: str) -> Verb:
    """Connect the call with a WebSocket, both ways. It goes on behind when that has ended."""
    return Verb("Connect", children=(Verb("Stream", attributes),))


def dial(to: str, *, action: str, callback: str, caller_id: str | None = None, ring_seconds: int | None = None) -> Verb:
    """Connect the call with somebody else; `callback` is told when they answer, `action` how it ended."""
    noun = Verb("Sip" if to.lower().startswith("sip:") else "Number", _told(callback), to)
    timeout = str(ring_seconds) if ring_seconds is not None else None
    attributes = {"action": action, "answerOnBridge": "true", "callerId": caller_id, "timeout": timeout}
    return Verb("Dial", attributes, children=(noun,))


def refer(to: str, *, action: str) -> Verb:
    """Ask the far end, which must be a SIP endpoint, to call somebody else instead."""
    return Verb("Refer", {"action": action}, children=(Verb("Sip", text=to),))


def conference(name: str, *, action: str, **attributes: str) -> Verb:
    """Let the call take part in a conference, which begins to exist with its first participant."""
    return Verb("Dial", {"action": action}, children=(Verb("Conference", attributes, name),))


def _told(callback: str) -> dict[str, str | None]:
    return {"statusCallback": callback, "statusCallbackEvent": "answered"}


def _escaped(text: str) -> str:
    return escape(_speakable(text))


def _quoted(value: str) -> str:
    return quoteattr(_speakable(value))


def _speakable(text: str) -> str:
    """Without the characters that no XML document may hold."""
    return "".join(
        c for c in text if c in "\t\n\r" or (c >= " " and not "\ud800" <= c <= "\udfff" and c not in "\ufffe\uffff")
    )
