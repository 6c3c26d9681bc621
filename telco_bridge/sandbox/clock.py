"""The network's time: the machine's, faster, or stepped by hand."""

from __future__ import annotations

import heapq
import itertools
import logging
import threading
from collections.abc import Callable

import anyio
import anyio.lowlevel

from ..clock import SystemClock

__all__ = ["NetworkClock", "SteppedClock", "Timer"]

_log = logging.getLogger("telco_bridge")


class Timer:
    """Something that will run at an instant, unless it is cancelled before."""

    __slots__ = ("action", "cancelled", "due")

    def __init__(self, due: float, action: Callable[[], None]) -> None:
        self.due = due
        self.action = action
        self.cancelled = False

    def cancel(self) -> None:
        self.cancelled = True


class _Agenda:
    """Timers in order of their instants; equal instants run in the order in which they were set."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Timer]] = []
        self._order = itertools.count()

    def add(self, timer: Timer) -> None:
        heapq.heappush(self._heap, (timer.due, next(self._order), timer))

    def due(self) -> float | None:
        while self._heap and self._heap[0][2].cancelled:
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def pop(self) -> Timer:
        return heapq.heappop(self._heap)[2]


class NetworkClock:
    """Real time, `speed` times as fast. Its timers run in one thread of its own, between `start()` and `stop()`."""

    def __init__(self, speed: float = 1.0) -> None:
        if not speed > 0:
            raise ValueError(f"speed is {speed}; it must be greater than 0")
        self.speed = speed
        self._base = SystemClock()
        self._began = self._base.now()
        self._agenda = _Agenda()
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._running = False

    def now(self) -> float:
        return self._began + (self._base.now() - self._began) * self.speed

    async def sleep_until(self, instant: float) -> None:
        await anyio.sleep(max(0.0, (instant - self.now()) / self.speed))

    def call_at(self, instant: float, action: Callable[[], None]) -> Timer:
        """Run the action at that instant, in the clock's thread."""
        timer = Timer(instant, action)
        with self._changed:
            self._agenda.add(timer)
            self._changed.notify()
        return timer

    def start(self) -> None:
        if self._thread is None:
            self._running = True
            self._thread = threading.Thread(target=self._run, name="telco-bridge-network", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        thread, self._thread = self._thread, None
        if thread is not None:
            with self._changed:
                self._running = False
                self._changed.notify()
            thread.join(timeout=5.0)

    def _run(self) -> None:
        while True:
            with self._changed:
                if not self._running:
                    return
                due = self._agenda.due()
                pause = None if due is None else (due - self.now()) / self.speed
                if pause is None or pause > 0:
                    self._changed.wait(pause)
                    continue
                timer = self._agenda.pop()
            try:
                timer.action()
            except Exception:  # noqa: BLE001 - whose action it was is unknown, and everybody else's time must go on
                _log.exception("an action of the simulated network failed")


class SteppedClock:
    """Time that moves only when a test says so, for the network and the bridge alike.

    It belongs to one event loop: `advance` runs what is due, in order, and lets every task settle in between.
    """

    def __init__(self, start: float = 1_000_000.0) -> None:
        self._now = start
        self._agenda = _Agenda()

    def now(self) -> float:
        return self._now

    async def sleep_until(self, instant: float) -> None:
        if instant <= self._now:
            await anyio.lowlevel.checkpoint()
            return
        woken = anyio.Event()
        timer = self.call_at(instant, woken.set)
        try:
            await woken.wait()
        finally:
            timer.cancel()

    def call_at(self, instant: float, action: Callable[[], None]) -> Timer:
        """Run the action when the clock has been advanced to that instant."""
        timer = Timer(max(instant, self._now), action)
        self._agenda.add(timer)
        return timer

    def start(self) -> None:
        """Nothing to start: `advance` drives the time."""

    def stop(self) -> None:
        """Nothing to stop."""

    async def advance(self, seconds: float) -> None:
        """Let that many seconds pass, running everything that falls due and letting tasks settle after each."""
        target = self._now + seconds
        await _settle()
        while (due := self._agenda.due()) is not None and due <= target:
            self._now = max(self._now, due)
            self._agenda.pop().action()
            await _settle()
        self._now = target
        await _settle()


async def _settle() -> None:
    """Let every task run until it waits for something."""
    # On asyncio anyio sleeps 0.1 s wherever a task can still run; a few turns of the loop first spare most of that.
    for _ in range(10):
        await anyio.lowlevel.checkpoint()
    await anyio.wait_all_tasks_blocked()
