"""How the parties of a call are written. Pure."""

from __future__ import annotations

import re

from telco_bridge.provider import Refused

__all__ = ["address", "comparable"]

_NUMBER = re.compile(r"\+?[0-9]{2,15}")
_SIP = re.compile(r"sip:[^\s@]+@[^\s@]+", re.IGNORECASE)
_SEPARATORS = re.compile(r"[\s().\-/]")


def address(to: str) -> str:
    """Return an address in the form that UCWA takes. Raises `Refused` for what is neither a number nor `sip:`."""
    plain = to.strip()
    if _SIP.fullmatch(plain):
        return plain
    number = _SEPARATORS.sub("", plain[4:] if plain.lower().startswith("tel:") else plain)
    if not _NUMBER.fullmatch(number):
        raise Refused(
            f"{to!r} is no number and no SIP address. Write +14255550100 or sip:ada@example.org. Nothing was sent.",
            provider="ucwa",
        )
    return f"tel:{number}"


def comparable(party: str) -> str:
    """Return a party in a form that is the same however it is written."""
    return _SEPARATORS.sub("", party.lower().removeprefix("tel:"))
