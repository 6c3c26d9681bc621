"""Where the media of calls enter and leave the bridge: one place for each stream, known only to who was told of it."""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Awaitable, Callable, Coroutine
from typing import TYPE_CHECKING

from .audio.pacing import Pacer
from .audio.port import MediaPort, PortSettings
from .audio.wire import MediaEndpoint, MediaOpened
from .media import MediaDirection, Modality, StreamState
from .reports import CallReport, Source, StreamReport
from .termination import MEDIA_DIALECT, Cause

if TYPE_CHECKING:
    from anyio.abc import TaskGroup

    from .provider import Host

__all__ = ["MediaGate"]


class MediaGate:
    """Makes the places, lets in who can show that it is expected, and reports what becomes of the streams."""

    def __init__(self, host: Host, tasks: TaskGroup) -> None:
        self._host = host
        self._tasks = tasks
        self._expected: dict[str, MediaPort] = {}
        """Places to which nobody has connected yet."""
        self._ports: set[MediaPort] = set()
        self._pacer = Pacer(host.clock)
        tasks.start_soon(self._pacer.run, name="telco_bridge pacing")

    def open(
        self, command_id: str, direction: MediaDirection, settings: PortSettings, *, required: bool = True
    ) -> MediaPort:
        """Make a place for the stream that this command is going to start."""
        from pydantic import SecretStr

        identity, token = secrets.token_hex(8), secrets.token_urlsafe(32)
        url = self._host.url(f"media/{identity}")
        if url is not None:
            url = f"ws{url.removeprefix('http')}"
        endpoint = MediaEndpoint(
            id=identity,
            url=url,
            bearer=SecretStr(token),
            secret_url=SecretStr(f"{url}/{token}") if url is not None else None,
            direction=direction,
            format=settings.format,
            required=required,
        )

        def opened(port: MediaPort, told: MediaOpened) -> None:
            self._report(port, command_id, StreamState.ACTIVE)

        def closed(port: MediaPort, lost: str | None) -> None:
            self._ports.discard(port)
            self._expected.pop(identity, None)
            if port.format is not None:
                cause = Cause(dialect=MEDIA_DIALECT, text=lost) if lost is not None else None
                self._report(port, command_id, StreamState.ENDED, cause)

        port = MediaPort(
            endpoint,
            settings,
            clock=self._host.clock,
            pace=self._pacer.start,
            spawn=self._spawn,
            opened=opened,
            closed=closed,
        )
        self._expected[identity] = port
        self._ports.add(port)
        return port

    def follow(self, port: MediaPort, ended: Callable[[], Awaitable[object]]) -> None:
        """Close the place when its stream has ended, however that becomes known."""

        async def close() -> None:
            await ended()
            port.close()

        self._tasks.start_soon(close)

    @property
    def public(self) -> bool:
        """Whether providers can reach the bridge."""
        return self._host.url("media") is not None

    def find(self, endpoint: MediaEndpoint) -> MediaPort | None:
        """Return the place of that stream, once, for a plugin whose media come by another way than the web."""
        return self._expected.pop(endpoint.id, None)

    def admit(self, identity: str, token: str) -> MediaPort | None:
        """Return the place of that name if the token is its own, and to one caller only. Safe from any thread."""
        port = self._expected.get(identity)
        expected = port.endpoint.bearer.get_secret_value() if port is not None else ""
        # Compared even where there is nothing to compare with, so that time tells nobody which names exist.
        fits = hmac.compare_digest(token.encode("utf-8"), expected.encode("utf-8"))
        return self._expected.pop(identity, None) if fits and port is not None else None

    def close(self) -> None:
        """Hang up every connection."""
        for port in tuple(self._ports):
            port.close()

    def _spawn(self, work: Callable[[], Coroutine[object, object, None]]) -> None:
        self._tasks.start_soon(work)

    def _report(self, port: MediaPort, command_id: str, state: StreamState, cause: Cause | None = None) -> None:
        stream = StreamReport(
            slot=port.ref or port.endpoint.id,
            command_id=command_id,
            modality=Modality.AUDIO,
            transport=port.transport,
            direction=port.endpoint.direction,
            state=state,
            cause=cause,
        )
        self._host.report(
            CallReport(source=Source.PUSH, as_of=self._host.stamp(), command_id=command_id, streams=(stream,))
        )
