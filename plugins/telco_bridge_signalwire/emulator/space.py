"""The ground that the emulator stands on: one project, its numbers, the network's time, the loop's tasks."""

from __future__ import annotations

import asyncio
import secrets
import uuid
from collections.abc import Callable, Coroutine

from telco_bridge.sandbox.clock import Timer
from telco_bridge.sandbox.emulator import Faults, WireLog, WireRecord
from telco_bridge.sandbox.exchange import Exchange

from .directory import Directory, VoiceRoute
from .limits import Limit
from .switches import Switches
from .webhooks import Courier

__all__ = ["PREFIX", "Space"]

PREFIX = "/api/laml/2010-04-01"
"""The prefix of every `uri` that the API tells, whichever prefix was asked."""


class Space:
    """One project on the platform. All but the numbers is used from the emulator's loop only."""

    def __init__(
        self,
        *,
        exchange: Exchange,
        faults: Faults,
        wire: WireLog,
        post: Callable[[Callable[[], None]], None],
        switches: Switches,
        allow_loopback_ws: bool,
    ) -> None:
        self.exchange = exchange
        self.faults = faults
        self.wire = wire
        self.switches = switches
        self.allow_loopback_ws = allow_loopback_ws
        self.project = str(uuid.uuid4())
        self.token = f"PT{secrets.token_hex(24)}"
        self.signing_key = f"PSK_{secrets.token_urlsafe(24)}"
        self.directory = Directory()
        self.limit = Limit(exchange, switches.posts_per_window)
        self.url = ""
        """Where the emulator is served; nothing before."""
        self._post = post
        self._courier: Courier | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def courier(self) -> Courier:
        """What carries requests to the application, while the emulator is served."""
        if self._courier is None:
            raise RuntimeError("the emulator is not being served")
        return self._courier

    def route(self, address: str) -> VoiceRoute | None:
        """Return the project's number of that address, or None."""
        return self.directory.route(address)

    def absolute(self, path: str) -> str:
        """Return the address of a resource of the project."""
        return f"{self.url}{self.uri(path)}"

    def uri(self, path: str) -> str:
        """Return the host-relative address of a resource of the project."""
        return f"{PREFIX}/Accounts/{self.project}/{path}"

    def now(self) -> float:
        """The network's time in seconds."""
        return self.exchange.now()

    def post(self, action: Callable[[], None]) -> None:
        """Run the action soon in the emulator's loop. Safe from any thread, and from within any event loop."""
        self._post(action)

    def after(self, seconds: float, action: Callable[[], None]) -> Timer:
        """Run the action in the emulator's loop that many network seconds from now, unless the timer is cancelled."""

        def run() -> None:
            # A timer may be cancelled in the loop while its action is on the way there from the network's thread.
            if not timer.cancelled:
                action()

        with self.exchange.lock:
            timer = self.exchange.after(seconds, lambda: self.post(run))
        return timer

    async def pause(self, seconds: float) -> None:
        """Return when that many network seconds have passed."""
        over = asyncio.Event()
        timer = self.after(seconds, over.set)
        try:
            await over.wait()
        finally:
            timer.cancel()

    def spawn(self, work: Coroutine[object, object, None]) -> asyncio.Task[None]:
        """Run the work as a task that ends with the emulator at the latest."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def note(self, sent_by: str, line: str, answer: str = "", **fields: str) -> None:
        """Write one line into the record of the wire."""
        self.wire.add(WireRecord(at=self.now(), sent_by=sent_by, line=line, answer=answer, fields=fields))

    def open(self, url: str) -> None:
        """The emulator is served at that URL from now on, in the running loop."""
        self.url = url
        self._courier = Courier(self.signing_key)

    async def close(self) -> None:
        """End every task and close every connection."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        courier, self._courier = self._courier, None
        if courier is not None:
            await courier.aclose()
