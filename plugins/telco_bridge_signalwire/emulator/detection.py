"""Answering machine detection: what is asked for, and what comes of it."""

from __future__ import annotations

from dataclasses import dataclass

from .webhooks import Webhook

__all__ = ["Detection"]

_GREETING = 4.0
"""Network seconds that the greeting of a simulated machine takes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Detection:
    """How it is to be found out who has answered. Times are in seconds of the network's clock."""

    to_the_end: bool
    """A machine's greeting is waited for."""
    timeout: float
    speech_threshold: float
    """Whoever speaks for longer than that is a machine."""
    speech_end_threshold: float
    """Whoever is silent for so long after having spoken is a person."""
    background: bool = False
    """The document is not waited with until the verdict is there."""
    callback: Webhook | None = None
    """What is told the verdict that came in the background."""

    def verdict(self, *, machine: bool) -> tuple[str, float]:
        """Return who has answered, as callbacks say it, and how long it takes to find out.

        Twilio documents `unknown` where the time is up before that.
        """
        if not machine:
            word, seconds = "human", self.speech_end_threshold
        elif self.to_the_end:
            word, seconds = "machine_end_beep", max(_GREETING, self.speech_threshold)
        else:
            word, seconds = "machine_start", self.speech_threshold
        return (word, seconds) if seconds <= self.timeout else ("unknown", self.timeout)
