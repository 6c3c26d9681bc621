"""The magic numbers: what each address of the simulated network does when it is called."""

from __future__ import annotations

from dataclasses import dataclass

from .voices import SILENCE, Tone, Voice

__all__ = ["DIRECTORY", "SPEAKS", "UNALLOCATED", "Behaviour", "lookup", "normalize"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Behaviour:
    """What a called party does; times are in seconds of the network's clock.

    `rings_after` counts from the call, the others from the ringing (`hangs_up_after` from the answer). `refuses` is a
    SIP status with its phrase. None means never. `video` says whether it takes video when it is offered, `voice`
    what it says once it is connected, whoever called whom.
    """

    what: str
    rings_after: float | None = 0.2
    answers_after: float | None = None
    refuses: tuple[int, str] | None = None
    refuses_after: float = 0.5
    hangs_up_after: float | None = None
    video: bool = False
    voice: Voice = SILENCE


UNALLOCATED = Behaviour(what="is not allocated", rings_after=None, refuses=(404, "Not Found"), refuses_after=0.2)
"""How every address that is not in the directory behaves."""

_ANSWERS = Behaviour(what="answers", answers_after=1.0)
_BUSY = Behaviour(what="is busy", rings_after=None, refuses=(486, "Busy Here"), refuses_after=0.3)
_DECLINES = Behaviour(what="rings, then declines", refuses=(603, "Decline"), refuses_after=1.0)
_SILENT = Behaviour(what="rings and never answers")
_HANGS_UP = Behaviour(what="answers, then hangs up", answers_after=1.0, hangs_up_after=2.0)
_VIDEO = Behaviour(what="answers with audio and video", answers_after=1.0, video=True)
SPEAKS = Behaviour(what="answers and speaks", answers_after=1.0, voice=Tone(440))
"""The one whose voice an exchange may replace by its own."""

DIRECTORY: dict[str, Behaviour] = {
    "+15550100": _ANSWERS,
    "+15550101": _BUSY,
    "+15550102": _DECLINES,
    "+15550103": _SILENT,
    "+15550104": _HANGS_UP,
    "+15550105": UNALLOCATED,
    "+15550106": SPEAKS,
    "sip:answer@sandbox.test": _ANSWERS,
    "sip:busy@sandbox.test": _BUSY,
    "sip:decline@sandbox.test": _DECLINES,
    "sip:silent@sandbox.test": _SILENT,
    "sip:hangup@sandbox.test": _HANGS_UP,
    "sip:nobody@sandbox.test": UNALLOCATED,
    "sip:video@sandbox.test": _VIDEO,
    "sip:speak@sandbox.test": SPEAKS,
}
"""The magic numbers and their SIP twins."""


def normalize(address: str) -> str:
    """Return the address as the directory spells it: `tel:` dropped, `sip:+1…@host;user=phone` as the number."""
    plain = address.strip()
    if plain.lower().startswith("tel:"):
        return plain[4:]
    if plain.lower().startswith("sip:"):
        user, _, host = plain[4:].partition("@")
        if user.startswith("+") and "user=phone" in host.lower():
            return user
        return "sip:" + plain[4:].lower()
    return plain


def lookup(address: str) -> Behaviour:
    """Return what that address does when called."""
    return DIRECTORY.get(normalize(address), UNALLOCATED)
