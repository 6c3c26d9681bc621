"""HTTP for plugins: one client, kept inside one origin, whose failures are facts.

Everything a plugin sends goes through `open_client`. The client never follows redirects, never sends to an origin it
was not opened for (so that credentials cannot follow a link to another host), and bounds what it reads. Because one
httpx pool slows down with many requests in flight, they are spread over small ones, or, where the extra `fast` is
installed and asyncio runs, sent through aiohttp.
"""

from __future__ import annotations

import asyncio
import math
from base64 import b64encode
from collections.abc import AsyncGenerator, Iterable, Iterator
from contextlib import asynccontextmanager, suppress
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

import httpx

if TYPE_CHECKING:
    import ssl

    from httpx._client import UseClientDefault
    from httpx._types import AuthTypes

from .errors import AuthenticationFailed, ProviderError, RateLimited, Refused
from .provider import AnswerLost, NotSent

__all__ = ["MAX_BODY", "ForeignOrigin", "SpreadTransport", "open_client", "origin", "refusal", "retry_after", "send"]

MAX_BODY = 8 * 1024 * 1024
"""The largest answer that is read, in bytes."""

_KEPT = 30.0
"""Seconds that an unused connection is kept."""

_MAX_CONNECTIONS = 1024
_PIECE = 4096

_NEVER_LEFT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol)


class ForeignOrigin(ProviderError):
    """A link leads to a host that the client was not opened for. Nothing was sent."""


def origin(url: httpx.URL | str) -> str:
    """Return scheme, host and port of a URL, the port always written out."""
    parsed = url if isinstance(url, httpx.URL) else httpx.URL(url)
    port = parsed.port or {"http": 80, "https": 443}.get(parsed.scheme, 0)
    return f"{parsed.scheme}://{parsed.host}:{port}"


class SpreadTransport(httpx.AsyncBaseTransport):
    """Sends each request through the least busy of several small pools."""

    def __init__(self, pools: int = 32, per_pool: int = 2, *, trust: ssl.SSLContext | None = None) -> None:
        limits = httpx.Limits(max_connections=per_pool * 16, max_keepalive_connections=per_pool, keepalive_expiry=_KEPT)
        # One for all pools: loading the certificates takes some 20 ms.
        trust = trust or httpx.create_ssl_context(trust_env=False)
        self._pools = [httpx.AsyncHTTPTransport(verify=trust, limits=limits) for _ in range(pools)]
        self._busy = [0] * pools

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        index = self._busy.index(min(self._busy))
        self._busy[index] += 1
        try:
            return await self._pools[index].handle_async_request(request)
        finally:
            self._busy[index] -= 1

    async def aclose(self) -> None:
        for pool in self._pools:
            await pool.aclose()


class _OneOriginTransport(httpx.AsyncBaseTransport):
    """Refuses to send a request to any origin but those allowed."""

    def __init__(self, inner: httpx.AsyncBaseTransport, allowed: Iterable[str]) -> None:
        self._inner = inner
        self._allowed = frozenset(origin(url) for url in allowed)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if origin(request.url) not in self._allowed:
            raise ForeignOrigin(
                f"{request.method} to {origin(request.url)} was not sent: only {', '.join(sorted(self._allowed))} is "
                "allowed. If the provider has moved there, configure that address."
            )
        return await self._inner.handle_async_request(request)

    async def aclose(self) -> None:
        await self._inner.aclose()


@asynccontextmanager
async def open_client(
    *origins: str,
    auth: httpx.Auth | tuple[str, str] | None = None,
    timeout: float = 10.0,
    trust: ssl.SSLContext | None = None,
    transport: httpx.AsyncBaseTransport | None = None,
) -> AsyncGenerator[httpx.AsyncClient]:
    """Open a client for these origins only. `timeout` is in seconds, for each of connecting, sending and reading.

    `trust` says whose certificates are believed, by default those of the public authorities. `transport` replaces the
    connections themselves, for tests.
    """
    guarded = _OneOriginTransport(transport if transport is not None else _connections(trust), origins)
    async with _Client(guarded, auth=auth, timeout=timeout) as client:
        yield client


def _connections(trust: ssl.SSLContext | None = None) -> httpx.AsyncBaseTransport:
    """The fastest connections that the running event loop allows."""
    if _on_asyncio():
        with suppress(ImportError):
            from ._aiohttp import AiohttpTransport

            trust = trust or httpx.create_ssl_context(trust_env=False)
            return AiohttpTransport(trust, connections=_MAX_CONNECTIONS, keepalive=_KEPT)
    return SpreadTransport(trust=trust)


def _on_asyncio() -> bool:
    # A task, because a loop alone may belong to a trio that runs as its guest.
    try:
        return asyncio.current_task() is not None
    except RuntimeError:
        return False


class _Client(httpx.AsyncClient):
    """Sends through its one transport, without what there is only for redirects, proxies, and other clients."""

    def __init__(
        self, transport: httpx.AsyncBaseTransport, *, auth: httpx.Auth | tuple[str, str] | None, timeout: float
    ) -> None:
        super().__init__(auth=auth, timeout=timeout, transport=transport, follow_redirects=False, trust_env=False)
        self._wire = transport
        self._direct = auth is None or isinstance(auth, tuple)
        self._basic = None
        if isinstance(auth, tuple):
            self._basic = "Basic " + b64encode(":".join(auth).encode()).decode("ascii")

    async def send(
        self,
        request: httpx.Request,
        *,
        stream: bool = False,
        auth: AuthTypes | UseClientDefault | None = httpx.USE_CLIENT_DEFAULT,
        follow_redirects: bool | UseClientDefault = httpx.USE_CLIENT_DEFAULT,
    ) -> httpx.Response:
        default = auth is httpx.USE_CLIENT_DEFAULT and follow_redirects is httpx.USE_CLIENT_DEFAULT
        if not (self._direct and default) or self.is_closed:
            return await super().send(request, stream=stream, auth=auth, follow_redirects=follow_redirects)
        if self._basic is not None:
            request.headers["authorization"] = self._basic
        response = await self._wire.handle_async_request(request)
        response.request = request
        if "set-cookie" in response.headers:
            self.cookies.extract_cookies(response)
        if not stream:
            try:
                await response.aread()
            finally:
                await response.aclose()
        return response


async def send(client: httpx.AsyncClient, request: httpx.Request, *, provider: str) -> httpx.Response:
    """Send the request and read the whole answer, whatever its status.

    Raises `NotSent` where the request never left, `AnswerLost` where it may have arrived and no whole answer came.
    """
    if client.is_closed:
        raise NotSent(f"{_tried(request)} was not sent: the connection to {provider} is closed", provider=provider)
    try:
        response = await client.send(request, stream=True)
        try:
            if response.is_stream_consumed or _announced_short(response):
                await response.aread()
                return response
            body = _unpacked(response, await _read(response))
        finally:
            await response.aclose()
    except _NEVER_LEFT as error:
        raise NotSent(f"{_tried(request)} was not sent: {_words(error)}", provider=provider) from error
    except httpx.RequestError as error:
        raise AnswerLost(f"{_tried(request)}: no whole answer came: {_words(error)}", provider=provider) from error
    if len(body) > MAX_BODY:
        raise AnswerLost(f"{_tried(request)}: the answer exceeds {MAX_BODY} bytes", provider=provider)
    answer = httpx.Response(response.status_code, headers=_plain(response.headers), content=body)
    answer.request = request
    return answer


def _announced_short(response: httpx.Response) -> bool:
    """Whether the answer says that its body, which is not compressed, is within bounds."""
    headers = response.headers
    length = headers.get("content-length", "")
    return length.isdecimal() and int(length) <= MAX_BODY and "content-encoding" not in headers


async def _read(response: httpx.Response) -> bytes:
    """The body as it was sent, or as much of one that is too large as shows that."""
    body = bytearray()
    try:
        async for piece in response.aiter_raw():
            body += piece
            if len(body) > MAX_BODY and not response.is_closed:
                # Not left but ended: trio complains of asynchronous generators that nobody finishes.
                await response.aclose()
    except (httpx.RequestError, httpx.StreamError):
        if len(body) <= MAX_BODY:
            raise
    return bytes(body)


def _unpacked(response: httpx.Response, body: bytes) -> bytes:
    """The body without its compression, or as much of one that is too large as shows that."""
    if len(body) > MAX_BODY or "content-encoding" not in response.headers:
        return body
    unpacked = bytearray()
    for piece in httpx.Response(200, headers=response.headers, stream=_Pieces(body)).iter_bytes():
        unpacked += piece
        if len(unpacked) > MAX_BODY:
            break
    return bytes(unpacked)


class _Pieces(httpx.SyncByteStream):
    """A body in pieces so small that none of them unpacks to more than a few megabytes."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    def __iter__(self) -> Iterator[bytes]:
        for start in range(0, len(self._body), _PIECE):
            yield self._body[start : start + _PIECE]


def _tried(request: httpx.Request) -> str:
    return f"{request.method} {request.url.copy_with(query=None)}"


def _plain(headers: httpx.Headers) -> list[tuple[bytes, bytes]]:
    """The headers without those that describe a body that is already decoded."""
    dropped = (b"content-encoding", b"content-length", b"transfer-encoding")
    return [(name, value) for name, value in headers.raw if name.lower() not in dropped]


def _words(error: Exception) -> str:
    told: BaseException | None = error
    while told is not None and not str(told):
        # On trio only the cause tells, for example, what is wrong with a certificate.
        told = told.__cause__ or told.__context__
    return f"{type(error).__name__}: {told}" if told is not None else type(error).__name__


def retry_after(response: httpx.Response, *, now: float) -> float | None:
    """Return the pause that the answer asks for, in seconds, never negative; None where it names none."""
    value = response.headers.get("retry-after")
    if value is None:
        return None
    try:
        seconds = float(value)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(value).timestamp() - now
        except (ValueError, TypeError):
            return None
    return max(0.0, seconds) if math.isfinite(seconds) else None


def refusal(
    response: httpx.Response, *, provider: str, what: str, code: str | None = None, message: str = "", now: float = 0.0
) -> ProviderError:
    """Return the error that an HTTP status means, the same for every plugin: 401/403, 429, 5xx, else refused.

    A 5xx answer does not tell whether the request was executed, so it is `AnswerLost`.
    """
    status = response.status_code
    said = " ".join(part for part in (f"HTTP {status}", code, message) if part)
    if status in (401, 403):
        return AuthenticationFailed(
            f"{what}: {said}. Check the credentials of {provider} and their permissions.",
            provider=provider,
            code=code,
            status=status,
        )
    if status == 429:
        return RateLimited(
            f"{what}: {said}", retry_after=retry_after(response, now=now), provider=provider, code=code, status=status
        )
    if status >= 500:
        return AnswerLost(f"{what}: {said}", provider=provider, code=code, status=status)
    return Refused(f"{what}: {said}", provider=provider, code=code, status=status)
