"""HTTP for plugins: one client, kept inside one origin, whose failures are facts.

Everything a plugin sends goes through `open_client`. The client never follows redirects, never sends to an origin it
was not opened for (so that credentials cannot follow a link to another host), bounds what it reads, and spreads
requests over small connection pools, because one httpx pool slows down with many requests in flight.
"""

from __future__ import annotations

import math
from collections.abc import AsyncGenerator, Iterable
from contextlib import asynccontextmanager
from email.utils import parsedate_to_datetime

import httpx

from .errors import AuthenticationFailed, ProviderError, RateLimited, Refused
from .provider import AnswerLost, NotSent

__all__ = ["MAX_BODY", "ForeignOrigin", "SpreadTransport", "open_client", "origin", "refusal", "retry_after", "send"]

MAX_BODY = 8 * 1024 * 1024
"""The largest answer that is read, in bytes."""

_NEVER_LEFT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol)


class ForeignOrigin(ProviderError):
    """A link leads to a host that the client was not opened for. Nothing was sent."""


def origin(url: httpx.URL | str) -> str:
    """Return scheme, host and port of a URL, the port always written out."""
    parsed = httpx.URL(url)
    port = parsed.port or {"http": 80, "https": 443}.get(parsed.scheme, 0)
    return f"{parsed.scheme}://{parsed.host}:{port}"


class SpreadTransport(httpx.AsyncBaseTransport):
    """Sends each request through the least busy of several small pools."""

    def __init__(self, pools: int = 8, per_pool: int = 8) -> None:
        limits = httpx.Limits(max_connections=per_pool * 16, max_keepalive_connections=per_pool, keepalive_expiry=30.0)
        # One for all pools: loading the certificates takes some 20 ms.
        trust = httpx.create_ssl_context(trust_env=False)
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
    transport: httpx.AsyncBaseTransport | None = None,
) -> AsyncGenerator[httpx.AsyncClient]:
    """Open a client for these origins only. `timeout` is in seconds, for each of connecting, sending and reading.

    `transport` replaces the connections themselves, for tests.
    """
    guarded = _OneOriginTransport(transport if transport is not None else SpreadTransport(), origins)
    async with httpx.AsyncClient(
        auth=auth, timeout=timeout, transport=guarded, follow_redirects=False, trust_env=False
    ) as client:
        yield client


async def send(client: httpx.AsyncClient, request: httpx.Request, *, provider: str) -> httpx.Response:
    """Send the request and read the whole answer, whatever its status.

    Raises `NotSent` where the request never left, `AnswerLost` where it may have arrived and no whole answer came.
    """
    tried = f"{request.method} {request.url.copy_with(query=None)}"
    try:
        response = await client.send(request, stream=True)
        try:
            body = bytearray()
            async for chunk in response.aiter_bytes():
                body += chunk
                if len(body) > MAX_BODY:
                    raise AnswerLost(f"{tried}: the answer exceeds {MAX_BODY} bytes", provider=provider)
        finally:
            await response.aclose()
    except _NEVER_LEFT as error:
        raise NotSent(f"{tried} was not sent: {_words(error)}", provider=provider) from error
    except httpx.RequestError as error:
        raise AnswerLost(f"{tried}: no whole answer came: {_words(error)}", provider=provider) from error
    answer = httpx.Response(response.status_code, headers=_plain(response.headers), content=bytes(body))
    answer.request = request
    return answer


def _plain(headers: httpx.Headers) -> list[tuple[bytes, bytes]]:
    """The headers without those that describe a body that is already decoded."""
    dropped = (b"content-encoding", b"content-length", b"transfer-encoding")
    return [(name, value) for name, value in headers.raw if name.lower() not in dropped]


def _words(error: Exception) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


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
