"""Inbound calls that ring: the carrier waits for their document while the application decides."""

from __future__ import annotations

from dataclasses import dataclass, field

import anyio

from telco_bridge.provider import Host, TooLate

from .documents import Verb

__all__ = ["Ringing"]

_KEPT = 20_000
"""So many calls are remembered at most, so that a repeated request gets the same document."""


@dataclass(slots=True)
class _Invited:
    decide_by: float
    verbs: tuple[Verb, ...] | None = None
    decided: anyio.Event = field(default_factory=anyio.Event)


class Ringing:
    """What is decided of every inbound call: once, and then for every repetition of the request."""

    def __init__(self, host: Host, *, seconds: float, default: tuple[Verb, ...]) -> None:
        self._host = host
        self._seconds = seconds
        self._default = default
        self._calls: dict[str, _Invited] = {}

    def __contains__(self, sid: str) -> bool:
        return sid in self._calls

    def invite(self, sid: str) -> float:
        """A call begins to ring; return when it must be decided, by the host's clock."""
        decide_by = self._host.clock.now() + self._seconds
        self._calls[sid] = _Invited(decide_by)
        if len(self._calls) > _KEPT:
            del self._calls[next(iter(self._calls))]
        return decide_by

    def decide(self, sid: str, *verbs: Verb) -> None:
        """Answer the carrier so, now or when it next asks. Raises `TooLate` where that is decided already."""
        invited = self._calls.get(sid)
        if invited is None or invited.verbs is not None:
            what = "it does not ring here" if invited is None else "that has been decided already"
            raise TooLate(f"call {sid}: {what}")
        invited.verbs = verbs
        invited.decided.set()

    def forget(self, sid: str) -> None:
        """The call is over."""
        invited = self._calls.pop(sid, None)
        if invited is not None:
            invited.decided.set()

    async def decision(self, sid: str, *, within: float) -> tuple[Verb, ...] | None:
        """Wait for what is decided of a call, so many seconds at most; None where that is still open.

        At the deadline the default is decided.
        """
        invited = self._calls.get(sid)
        if invited is None:
            return self._default
        if invited.verbs is None:
            clock = self._host.clock
            with anyio.move_on_after(min(within, max(0.0, invited.decide_by - clock.now()))):
                await invited.decided.wait()
            if invited.verbs is None and clock.now() >= invited.decide_by:
                invited.verbs = self._default
        return invited.verbs
