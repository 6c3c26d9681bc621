"""Where time comes from, so that a test can step it."""

from __future__ import annotations

import time
from typing import Protocol

import anyio

__all__ = ["Clock", "SystemClock", "happens_by"]


class Clock(Protocol):
    """A source of time in seconds that never runs backwards."""

    def now(self) -> float:
        """Seconds since the Unix epoch, monotonic within one clock."""
        ...

    async def sleep_until(self, instant: float) -> None:
        """Return when `now()` has reached the instant; at once if it already has."""
        ...


class SystemClock:
    """The machine's time: the date of its creation, advanced by the monotonic clock, so that it never jumps."""

    def __init__(self) -> None:
        self._epoch = time.time() - time.monotonic()

    def now(self) -> float:
        return self._epoch + time.monotonic()

    async def sleep_until(self, instant: float) -> None:
        await anyio.sleep(max(0.0, instant - self.now()))


async def happens_by(clock: Clock, event: anyio.Event, instant: float) -> bool:
    """Wait for the event, but no longer than until the instant; return whether it happened."""
    async with anyio.create_task_group() as tasks:

        async def alarm() -> None:
            await clock.sleep_until(instant)
            tasks.cancel_scope.cancel()

        tasks.start_soon(alarm)
        await event.wait()
        tasks.cancel_scope.cancel()
    return event.is_set()
