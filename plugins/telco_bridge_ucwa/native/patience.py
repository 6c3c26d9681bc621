"""Waiting for something, but not for ever, by the clock that the bridge lives by."""

from __future__ import annotations

import anyio

from telco_bridge.provider import Clock

__all__ = ["happens_by"]


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
