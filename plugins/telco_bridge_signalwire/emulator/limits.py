"""How many changes a project may ask for at once."""

from __future__ import annotations

import math
from collections import deque

from telco_bridge.sandbox.exchange import Exchange

__all__ = ["WINDOW", "Limit"]

WINDOW = 10.0
"""Network seconds in which requests are counted."""


class Limit:
    """Counts the changes that were asked for within the last ten seconds. `most` None admits all."""

    def __init__(self, exchange: Exchange, most: int | None) -> None:
        self._exchange = exchange
        self._most = most
        self._admitted: deque[float] = deque()

    def admit(self) -> int | None:
        """Admit one more and return None; where there were too many, return after how many seconds to come again."""
        if self._most is None:
            return None
        now = self._exchange.now()
        while self._admitted and self._admitted[0] <= now - WINDOW:
            self._admitted.popleft()
        if len(self._admitted) < self._most:
            self._admitted.append(now)
            return None
        return math.ceil(self._admitted[0] + WINDOW - now) if self._admitted else math.ceil(WINDOW)
