"""When each field was last said, so that late reports change nothing that is newer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

__all__ = ["NEVER", "Stamps"]

T = TypeVar("T")

NEVER = float("-inf")
"""Before every report."""


class Stamps:
    """The stamps of one call or stream while one report is folded: a copy, for the view before it is frozen."""

    __slots__ = ("as_of", "at")

    def __init__(self, at: Mapping[str, float], as_of: float) -> None:
        self.at = dict(at)
        self.as_of = as_of

    def newest(self, name: str, known: T, said: T | None, unknown: T | None = None) -> T:
        """Return what holds for a field: what the report says, unless it says nothing, `unknown`, or is older."""
        if said is None or said is unknown or self.as_of < self.at.get(name, NEVER):
            return known
        self.at[name] = self.as_of
        return said

    def get(self, name: str) -> float:
        """The stamp of that name."""
        return self.at.get(name, NEVER)

    def raise_to(self, name: str, instant: float) -> None:
        """Move a stamp forward to the instant, never back."""
        if instant > self.at.get(name, NEVER):
            self.at[name] = instant
