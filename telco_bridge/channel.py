"""The provider's event channel, kept running."""

from __future__ import annotations

import logging

from .clock import Clock
from .connection import BridgeHost
from .errors import AuthenticationFailed
from .events import ChannelFailed, GapDetected
from .provider import ProviderSession
from .reconciliation import Reconciliation
from .switchboard import Switchboard

__all__ = ["Channel"]

_log = logging.getLogger("telco_bridge")

_LONGEST_PAUSE = 30.0
_TROUBLE = 3
"""Breaks in a row after which the application is told."""
_STEADY = 60.0
"""Seconds after which a channel that had broken counts as sound again."""


class Channel:
    """Runs a session's `run` for as long as the bridge is open: a break is a gap, a pause, and another try."""

    def __init__(
        self, *, session: ProviderSession, switchboard: Switchboard, reconciliation: Reconciliation, host: BridgeHost
    ) -> None:
        self._session = session
        self._switchboard = switchboard
        self._reconciliation = reconciliation
        self._host = host
        self._clock: Clock = host.clock
        self._since: float | None = None
        self.error: str | None = None
        """What it broke with last."""

    @property
    def steady(self) -> bool:
        """Whether it never broke, or has been running for a minute since."""
        return self.error is None or (self._since is not None and self._clock.now() - self._since >= _STEADY)

    async def run(self) -> None:
        """Keep it running. Nothing that breaks it reaches the application's task."""
        clock, failures = self._clock, 0
        provider = self._switchboard.provider
        while True:
            self._since = began = clock.now()
            try:
                await self._session.run()
                self.error = "the event channel ended"
            except Exception as error:  # noqa: BLE001
                # Plugins are foreign code; whatever breaks their channel, the application goes on and is told.
                self.error = f"{type(error).__name__}: {error}"
                if isinstance(error, AuthenticationFailed):
                    failures = max(failures, _TROUBLE - 1)
            broke = self._host.stamp()
            self._since = None
            failures = 1 if clock.now() - began >= _STEADY else failures + 1
            _log.warning("%s: the event channel broke (%d in a row): %s", provider, failures, self.error)
            heard = self._host.heard_at
            since = broke if heard is None else min(broke, max(began, heard))
            self._switchboard.publish(GapDetected(why=self.error, since=since))
            if failures >= _TROUBLE:
                self._switchboard.publish(ChannelFailed(error=self.error, attempts=failures))
            await clock.sleep_until(clock.now() + min(_LONGEST_PAUSE, 0.5 * 2 ** (failures - 1)))
            if self._switchboard.live:
                await self._reconciliation.sweep()
