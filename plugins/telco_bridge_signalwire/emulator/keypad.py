"""Keys: those that a call's far end presses, and those that the platform presses there."""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from contextlib import contextmanager

from telco_bridge.sandbox.exchange import Leg

from .space import Space

__all__ = ["Keypad", "press_digits"]

_PAUSES = {"w": 0.5, "W": 1.0}
_KEY_SECONDS = 0.2
"""How long one key takes, with the silence after it. SignalWire documents the pauses alone."""


class Keypad:
    """The keys that one call's far end presses, one by one, for whoever listens just then.

    Nothing is kept for later: a key that is pressed while nobody listens is gone.
    """

    def __init__(self) -> None:
        self._listeners: list[asyncio.Queue[str]] = []

    def press(self, digits: str) -> None:
        """The far end has pressed these keys."""
        for digit in digits:
            for listener in self._listeners:
                listener.put_nowait(digit)

    @contextmanager
    def listen(self) -> Generator[asyncio.Queue[str]]:
        """Collect the keys that are pressed from now on until the context is left."""
        keys = asyncio.Queue[str]()
        self._listeners.append(keys)
        try:
            yield keys
        finally:
            self._listeners.remove(keys)


async def press_digits(space: Space, leg: Leg, digits: str) -> None:
    """Press keys towards the far end: `w` waits half a second, `W` a whole one; anything that is no key is skipped."""
    for digit in digits:
        if digit in "0123456789*#ABCD":
            leg.press(digit, by=leg.ours)
        await space.pause(_PAUSES.get(digit, _KEY_SECONDS))
