"""The targets of calls: what UCWA takes, and how the network spells it."""

from __future__ import annotations

import re

from .errors import UcwaError, invalid

__all__ = ["any_target", "own_number", "phone_target"]

_NUMBER = re.compile(r"\+?[0-9][0-9 ().\-]*")
_SIP = re.compile(r"sip:[^\s@]+@[^\s@]+", re.IGNORECASE)


def _number(text: str) -> str | None:
    plain = text[4:] if text.lower().startswith("tel:") else text
    if not _NUMBER.fullmatch(plain):
        return None
    return ("+" if plain.startswith("+") else "") + re.sub(r"\D", "", plain)


def phone_target(to: str) -> str:
    """Return the normalised target of a phone call. Raises the documented refusal where there is none."""
    number = _number(to)
    if number is not None:
        return f"tel:{number}"
    if _SIP.fullmatch(to):
        return to
    raise UcwaError(400, "BadRequest", "NormalizationFailed", "The phone number could not be normalised.")


def own_number(number: str) -> str:
    """Return the normalised number of the user's own phone. Raises the documented refusal where it is none."""
    normalised = _number(number)
    if normalised is None:
        raise UcwaError(400, "BadRequest", "NormalizationFailed", "The phone number could not be normalised.")
    return normalised


def any_target(to: str) -> str:
    """Return the normalised target of an audio or video call."""
    if _SIP.fullmatch(to):
        return to
    number = _number(to)
    if number is None:
        raise invalid(to="Invalid")
    return f"tel:{number}"
