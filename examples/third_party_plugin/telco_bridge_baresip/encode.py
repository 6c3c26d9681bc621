"""Commands as the words of baresip. What has none is refused before anything is sent."""

from __future__ import annotations

import re
from collections.abc import Iterator

from telco_bridge.provider import Command, Dial, Modality, Refused, SendDigits, TooLate, Unsupported

from .config import PROVIDER

__all__ = ["DIGIT", "PAUSE", "address", "caller", "digits", "reference"]

DIGIT = 0.24
"""Seconds that baresip takes for one digit: nine packets of tone, and three that end it."""

PAUSE = 0.5
"""Seconds of silence for a `w` among digits."""

_URI = re.compile(r"(?i:sip):([^\s@<>\"\\]+@[^\s@<>\"\\]+)")
_NUMBER = re.compile(r"[A-Za-z0-9+*#._~!$&'()-]+", re.ASCII)
_DIGITS = re.compile(r"[0-9A-Da-d*#w]+", re.ASCII)
_CAPITALS = str.maketrans("abcd", "ABCD")
_LONGEST_ADDRESS = 255
_MOST_DIGITS = 32
"""baresip queues a limited number of digits for a call."""


def address(command: Dial, *, domain: str | None) -> str:
    """Return the SIP address to dial.

    Raises `Unsupported` for media of the application's own, `Refused` for an address that baresip would not call as it
    is meant: one that is incomplete is completed by baresip, with surprising results.
    """
    refuse_native(command)
    if command.offer is not None or command.modalities != frozenset({Modality.AUDIO}):
        raise Unsupported("baresip dials with audio of its own only: leave out `offer` and `modalities`")
    to = command.to.strip()
    if not to.isascii() or not to.isprintable() or len(to) > _LONGEST_ADDRESS:
        raise _refused(f"cannot dial {command.to!r}: an address is at most 255 printable ASCII characters")
    uri = _URI.fullmatch(to)
    if uri is not None:
        return f"sip:{uri[1]}"
    if _NUMBER.fullmatch(to) is None:
        raise _refused(f"cannot dial {to!r}: baresip takes sip:user@host, or a number or name where `domain` is set")
    if domain is None:
        raise _refused(f"cannot dial {to!r}: set `domain` to call numbers and names there, or dial sip:user@host")
    return f"sip:{to.replace('#', '%23')}@{domain}"


def caller(command: Dial) -> str | None:
    """Return the account to call from, in the form in which baresip knows it; None for the usual one."""
    wanted = command.caller_id
    if wanted is None:
        return None
    if _URI.fullmatch(wanted) is None:
        raise _refused(
            f"cannot call from {wanted!r}: the caller id is one of baresip's accounts, such as sip:alice@host"
        )
    return wanted


def reference(command: Command) -> str:
    """Return baresip's identity of the call. Raises `TooLate` where it has none yet."""
    refuse_native(command)
    if command.ref is None:
        raise TooLate(f"{command.name}: baresip has not named the call yet", provider=PROVIDER)
    return command.ref


def digits(command: SendDigits) -> tuple[str | None, ...]:
    """Return the digits in the portions that are sent at once; None is a pause of half a second."""
    if _DIGITS.fullmatch(command.digits) is None:
        raise _refused(f"cannot send {command.digits!r}: digits are 0-9, *, #, A-D, and w for half a second of silence")
    return tuple(_portions(command.digits.translate(_CAPITALS)))


def refuse_native(command: Command) -> None:
    """Raise `Refused` for provider words: the control port takes none."""
    if command.native:
        raise _refused(f"{command.name}: baresip takes no native words")


def _portions(word: str) -> Iterator[str | None]:
    for index, portion in enumerate(word.split("w")):
        if index:
            yield None
        for begin in range(0, len(portion), _MOST_DIGITS):
            yield portion[begin : begin + _MOST_DIGITS]


def _refused(message: str) -> Refused:
    return Refused(f"{message}. Nothing was sent.", provider=PROVIDER)
