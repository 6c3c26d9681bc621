"""What joins the core and a plugin: the host that the plugin sees, and the session that the core holds."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING

import anyio

from .clock import Clock
from .errors import Unreachable
from .provider import Host, NotSent, ProviderPlugin, ProviderSession
from .reports import Fact
from .switchboard import Switchboard

if TYPE_CHECKING:
    from anyio.abc import TaskStatus
    from pydantic import BaseModel

__all__ = ["BridgeHost", "Connection"]

_log = logging.getLogger("telco_bridge")


class Connection:
    """A plugin's session, entered and left in one task of its own, as its cancel scopes demand."""

    def __init__(self, plugin: ProviderPlugin[BaseModel], options: BaseModel, host: Host) -> None:
        self._plugin = plugin
        self._options = options
        self._host = host
        self._leaving = anyio.Event()
        self._left = anyio.Event()
        self._scope = anyio.CancelScope()

    async def hold(self, *, task_status: TaskStatus[ProviderSession]) -> None:
        """Sign in, hand the session over, and sign out when asked to leave."""
        name = self._plugin.name
        entered = False
        try:
            with self._scope:
                async with self._plugin.connect(self._options, self._host) as session:
                    entered = True
                    # From here on only `leave` ends it: a cancelled application still signs out.
                    self._scope.shield = True
                    task_status.started(session)
                    await self._leaving.wait()
        except NotSent as error:
            if entered:
                _log.warning("%s: signing out failed: %s", name, error)
            else:
                raise Unreachable(f"{name} cannot be reached: {error}", provider=name) from error
        except Exception as error:
            if not entered:
                raise
            # The bridge is closing: there is nobody left to act on a provider that cannot even say goodbye.
            _log.warning("%s: signing out failed: %s", name, error)
        finally:
            self._left.set()

    async def leave(self, seconds: float) -> None:
        """Sign out, in no more than that many seconds."""
        self._leaving.set()
        if not self._scope.shield:
            return
        with anyio.move_on_after(seconds, shield=True):
            await self._left.wait()
        if not self._left.is_set():
            _log.warning("%s: signing out took longer than %g s", self._plugin.name, seconds)
            self._scope.cancel()


class BridgeHost(Host):
    """The core as a plugin sees it."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._last = 0.0
        self._lock = threading.Lock()
        self.switchboard: Switchboard | None = None
        self.public_url: str | None = None

    @property
    def clock(self) -> Clock:
        return self._clock

    def stamp(self) -> float:
        with self._lock:
            # A microsecond apart at least: two facts of one instant keep their order.
            self._last = max(self._clock.now(), self._last + 1e-6)
            return self._last

    def report(self, *facts: Fact) -> None:
        if self.switchboard is not None:
            self.switchboard.report(*facts)

    def url(self, path: str, **query: str) -> str | None:
        if self.public_url is None:
            return None
        from urllib.parse import urlencode

        return f"{self.public_url}/{path.lstrip('/')}" + (f"?{urlencode(query)}" if query else "")
