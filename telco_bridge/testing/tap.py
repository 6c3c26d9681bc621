"""Listening in between the core and a plugin, without changing what either hears."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from .._connect import connect
from ..bridge import Bridge
from ..clock import Clock
from ..errors import NotPossibleNow
from ..provider import (
    CallList,
    CallReport,
    Command,
    Fact,
    Gone,
    Host,
    MediaEndpoint,
    MediaPort,
    MediaWire,
    ProviderPlugin,
    ProviderSession,
    RecordingReport,
    WebRequest,
    WebResponse,
)
from .harness import Harness

if TYPE_CHECKING:
    from pydantic import BaseModel

__all__ = ["Tap", "Trial", "trial"]


class Tap:
    """A plugin with an ear on its seam: what it is told, what it says, and how its sessions begin and end."""

    def __init__(self, plugin: ProviderPlugin[BaseModel]) -> None:
        self._plugin = plugin
        self.plugin = replace(plugin, connect=self._connect)
        self.commands: list[Command] = []
        self.facts: list[Fact] = []
        self.reads: list[CallReport | Gone] = []
        self.entered = 0
        self.left = 0
        self._session: ProviderSession | None = None
        self._host: Host | None = None

    @property
    def reports(self) -> list[CallReport]:
        """What the plugin said about calls, in order."""
        return [fact for fact in self.facts if isinstance(fact, CallReport)]

    @property
    def session(self) -> ProviderSession:
        """The plugin's own session, to be asked without the core in between."""
        if self._session is None:
            raise NotPossibleNow("the bridge is not open")
        return self._session

    @property
    def host(self) -> Host:
        """What the plugin was given as the core."""
        if self._host is None:
            raise NotPossibleNow("the bridge is not open")
        return self._host

    @asynccontextmanager
    async def _connect(self, config: BaseModel, host: Host) -> AsyncGenerator[ProviderSession]:
        self._host = _TappedHost(self, host)
        async with self._plugin.connect(config, self._host) as session:
            self._session = session
            self.entered += 1
            yield _TappedSession(self, session)
        self.left += 1


class _TappedHost(Host):
    def __init__(self, tap: Tap, host: Host) -> None:
        self._tap = tap
        self._host = host

    @property
    def clock(self) -> Clock:
        return self._host.clock

    def stamp(self) -> float:
        return self._host.stamp()

    def report(self, *facts: Fact) -> None:
        self._tap.facts.extend(facts)
        self._host.report(*facts)

    def url(self, path: str, **query: str) -> str | None:
        return self._host.url(path, **query)

    def media(self, endpoint: MediaEndpoint) -> MediaPort | None:
        return self._host.media(endpoint)


class _TappedSession(ProviderSession):
    def __init__(self, tap: Tap, session: ProviderSession) -> None:
        self._tap = tap
        self._session = session
        self.max_staleness = session.max_staleness
        self.tells_done = session.tells_done
        self.native = session.native

    async def execute(self, command: Command) -> None:
        self._tap.commands.append(command)
        await self._session.execute(command)

    async def read(self, ref: str) -> CallReport | Gone:
        answer = await self._session.read(ref)
        self._tap.reads.append(answer)
        return answer

    async def list_calls(self) -> CallList:
        listed = await self._session.list_calls()
        self._tap.reads.extend(listed.reports)
        return listed

    async def run(self) -> None:
        await self._session.run()

    async def receive(self, request: WebRequest) -> WebResponse:
        return await self._session.receive(request)

    async def read_recording(self, call: str, slot: str) -> RecordingReport | Gone:
        return await self._session.read_recording(call, slot)

    def fetch_recording(self, slot: str) -> AsyncGenerator[bytes]:
        return self._session.fetch_recording(slot)

    async def delete_recording(self, slot: str) -> None:
        await self._session.delete_recording(slot)

    def media(self, opening: WebRequest) -> MediaWire:
        return self._session.media(opening)


@dataclass(frozen=True, slots=True)
class Trial:
    """An open bridge to the provider under test, and the ear on its seam."""

    bridge: Bridge
    tap: Tap

    def sent(self, kind: type[Command]) -> int:
        """How many commands of that kind the plugin was given."""
        return sum(isinstance(command, kind) for command in self.tap.commands)


@asynccontextmanager
async def trial(
    harness: Harness, *, settings: Mapping[str, object] | None = None, **lifecycle: float
) -> AsyncGenerator[Trial]:
    """Open a bridge to the provider of the harness, with these settings of its life instead of the harness's."""
    tap = Tap(harness.plugin)
    given = {**(settings if settings is not None else harness.settings), "provider": tap.plugin}
    given["lifecycle"] = {**harness.lifecycle, **lifecycle}
    async with connect(given, clock=harness.clock) as bridge:
        yield Trial(bridge, tap)
