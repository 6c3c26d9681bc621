"""The hosts that may be spoken to: one client each, and nothing is sent to any other."""

from __future__ import annotations

import logging
import ssl
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager

import anyio
import httpx

from telco_bridge.http import ForeignOrigin, open_client, origin, send
from telco_bridge.provider import ConfigError

from .config import UcwaConfig

__all__ = ["Connection", "Hosts", "open_hosts"]

_log = logging.getLogger("telco_bridge")

_TOLD = 500
"""Characters of what a server says for its own operators that are logged."""


@asynccontextmanager
async def open_hosts(config: UcwaConfig, *, transport: httpx.AsyncBaseTransport | None = None) -> AsyncGenerator[Hosts]:
    """Open the way to the hosts that the settings allow. `transport` replaces the connections, for tests.

    Raises `ConfigError` for a `ca_file` that holds no certificates.
    """
    trust = _trust(config)
    async with AsyncExitStack() as stack:
        yield Hosts(config, stack, trust, transport)


class Hosts:
    """A client for each host, opened when it is first needed."""

    def __init__(
        self,
        config: UcwaConfig,
        stack: AsyncExitStack,
        trust: ssl.SSLContext | None,
        transport: httpx.AsyncBaseTransport | None,
    ) -> None:
        self._config = config
        self._stack = stack
        self._trust = trust
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

    @asynccontextmanager
    async def alone(self, url: httpx.URL) -> AsyncGenerator[Connection]:
        """Open one connection of its own to a host, for what is bound to it. Raises `ForeignOrigin`."""
        self.check(url, "POST")
        wire = _Wire(self._transport or _one_connection(self._trust))
        async with open_client(origin(url), timeout=self._config.timeout, transport=wire) as client:
            yield Connection(client, wire)

    async def _send(self, request: httpx.Request) -> httpx.Response:
        return _told(await send(await self._client(origin(request.url)), request, provider="ucwa"))

    async def _client(self, where: str) -> httpx.AsyncClient:
        client = self._clients.get(where)
        if client is not None:
            return client
        async with self._opening:
            if where not in self._clients:
                opened = open_client(where, timeout=self._config.timeout, trust=self._trust, transport=self._transport)
                self._clients[where] = await self._stack.enter_async_context(opened)
            return self._clients[where]


class Connection:
    """One connection to one host. Raises what `Hosts.send` raises."""

    def __init__(self, client: httpx.AsyncClient, wire: _Wire) -> None:
        self._client = client
        self._wire = wire

    async def send(self, request: httpx.Request) -> httpx.Response:
        """Send the request, which may carry secrets."""
        return _told(await send(self._client, request, provider="ucwa"))

    @property
    def certificate(self) -> bytes | None:
        """The server's certificate in DER, once something came; None where nothing is encrypted."""
        return self._wire.certificate

    @property
    def changed(self) -> bool:
        """Whether answers came over more than one connection, because the first was closed."""
        return self._wire.connections > 1


class _Wire(httpx.AsyncBaseTransport):
    """Passes requests on, and watches which connection their answers come over."""

    def __init__(self, inner: httpx.AsyncBaseTransport) -> None:
        self._inner = inner
        self._stream: object = None
        self.connections = 0
        self.certificate: bytes | None = None

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        response = await self._inner.handle_async_request(request)
        stream = response.extensions.get("network_stream")
        if stream is not None and stream is not self._stream:
            self._stream = stream
            self.connections += 1
            secured = stream.get_extra_info("ssl_object")
            if isinstance(secured, ssl.SSLObject | ssl.SSLSocket):
                self.certificate = secured.getpeercert(binary_form=True)
        return response

    async def aclose(self) -> None:
        await self._inner.aclose()


def _one_connection(trust: ssl.SSLContext | None) -> httpx.AsyncBaseTransport:
    limits = httpx.Limits(max_connections=1, max_keepalive_connections=1)
    return httpx.AsyncHTTPTransport(verify=trust or httpx.create_ssl_context(trust_env=False), limits=limits)


def _trust(config: UcwaConfig) -> ssl.SSLContext | None:
    """Return whose certificates are believed; None for the public authorities alone."""
    if config.ca_file is None:
        return None
    trust = httpx.create_ssl_context(trust_env=False)
    try:
        trust.load_verify_locations(config.ca_file)
    except ssl.SSLError as error:
        raise ConfigError(f"ca_file: {config.ca_file} holds no certificates in PEM form") from error
    return trust


def _told(response: httpx.Response) -> httpx.Response:
    """Log what a server says for its own operators. UCWA documents it as nothing to program against."""
    words = response.headers.get("x-ms-diagnostics")
    if words is not None and response.is_error:
        plain = "".join(c for c in words[:_TOLD] if c.isprintable())
        url = response.request.url.copy_with(query=None)
        _log.info("ucwa: %s %s: HTTP %d: %s", response.request.method, url, response.status_code, plain)
    return response
