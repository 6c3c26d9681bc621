"""The hosts that may be spoken to: one client each, and nothing is sent to any other."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager

import anyio
import httpx

from telco_bridge.http import ForeignOrigin, open_client, origin, send

from .config import UcwaConfig

__all__ = ["Hosts", "open_hosts"]


@asynccontextmanager
async def open_hosts(config: UcwaConfig, *, transport: httpx.AsyncBaseTransport | None = None) -> AsyncGenerator[Hosts]:
    """Open the way to the hosts that the settings allow. `transport` replaces the connections, for tests."""
    async with AsyncExitStack() as stack:
        yield Hosts(config, stack, transport)


class Hosts:
    """A client for each host, opened when it is first needed."""

    def __init__(self, config: UcwaConfig, stack: AsyncExitStack, transport: httpx.AsyncBaseTransport | None) -> None:
        self._config = config
        self._stack = stack
        self._transport = transport
        self._clients: dict[str, httpx.AsyncClient] = {}
        self._opening = anyio.Lock()

    def trusts(self, url: httpx.URL) -> bool:
        """Whether secrets may be sent there."""
        return self._config.trusts(url.scheme, url.raw_host.decode("ascii"), url.port)

    def check(self, url: httpx.URL, what: str) -> None:
        """Raise `ForeignOrigin` for a host that secrets must not reach."""
        if not self.trusts(url):
            raise ForeignOrigin(
                f"{what} to {origin(url)} was not sent: only {self._config.reach} is allowed. If the server has moved "
                "there, or keeps a part of itself there, add it to allowed_hosts.",
                provider="ucwa",
            )

    async def send(self, request: httpx.Request) -> httpx.Response:
        """Send the request, which may carry secrets. Raises `ForeignOrigin`, `NotSent`, `AnswerLost`."""
        self.check(request.url, request.method)
        return await self._send(request)

    async def ask(self, url: httpx.URL) -> httpx.Response:
        """GET what everybody may read, also in the clear within the domain, without saying who asks.

        Raises `ForeignOrigin`, `NotSent`, `AnswerLost`.
        """
        if not self._config.may_ask(url.scheme, url.raw_host.decode("ascii"), url.port):
            self.check(url, "GET")
        timeout = httpx.Timeout(self._config.timeout)
        headers = {"Accept": "application/json"}
        return await self._send(httpx.Request("GET", url, headers=headers, extensions={"timeout": timeout.as_dict()}))

    async def _send(self, request: httpx.Request) -> httpx.Response:
        return await send(await self._client(origin(request.url)), request, provider="ucwa")

    async def _client(self, where: str) -> httpx.AsyncClient:
        client = self._clients.get(where)
        if client is not None:
            return client
        async with self._opening:
            if where not in self._clients:
                opened = open_client(where, timeout=self._config.timeout, transport=self._transport)
                self._clients[where] = await self._stack.enter_async_context(opened)
            return self._clients[where]
