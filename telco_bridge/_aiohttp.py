"""Connections made by aiohttp, where it is installed and asyncio runs: many requests at once cost a fraction there.

What went wrong keeps its meaning: only what certainly never left is a connect error. aiohttp calls the loss of a
connection under a request by the same names as some that were never made, so its errors are told apart here.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator

import aiohttp
import httpx
from aiohttp import ConnectionTimeoutError, NonHttpUrlClientError
from yarl import URL

__all__ = ["AiohttpTransport"]

_NEVER_MADE = (aiohttp.ClientConnectorError, aiohttp.ClientProxyConnectionError)
_NO_ADDRESS = (aiohttp.InvalidURL, NonHttpUrlClientError)
_TIMEOUTS_KEPT = 100


class AiohttpTransport(httpx.AsyncBaseTransport):
    """Sends requests through aiohttp's connections. Belongs to the event loop in which it is made."""

    def __init__(self, trust: ssl.SSLContext, *, connections: int, keepalive: float) -> None:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=connections, keepalive_timeout=keepalive, ssl=trust),
            # Cookies and headers are the client's business, and bodies arrive there as they were sent.
            cookie_jar=aiohttp.DummyCookieJar(),
            skip_auto_headers=("accept", "accept-encoding", "content-type", "user-agent"),
            auto_decompress=False,
        )
        # Whether to send again is not for a connection to decide; there is no other way to tell aiohttp.
        self._session._retry_connection = False  # noqa: SLF001 # pyright: ignore[reportPrivateUsage]
        self._timeouts: dict[tuple[float | None, ...], aiohttp.ClientTimeout] = {}

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        await _hear_of_closed_connections()
        try:
            answer = await self._session.request(
                request.method,
                URL(str(request.url), encoded=True),
                headers=request.headers.multi_items(),
                data=await request.aread() or None,
                allow_redirects=False,
                timeout=self._timeout(request),
            )
        except (aiohttp.ClientError, TimeoutError) as error:
            raise _meaning(error, request) from error
        return httpx.Response(answer.status, headers=list(answer.raw_headers), stream=_Body(answer, request))

    async def aclose(self) -> None:
        await self._session.close()

    def _timeout(self, request: httpx.Request) -> aiohttp.ClientTimeout:
        wanted = request.extensions.get("timeout", {})
        key = (wanted.get("pool"), wanted.get("connect"), wanted.get("read"))
        known = self._timeouts.get(key)
        if known is None:
            waiting, connecting, reading = key
            acquiring = None if waiting is None or connecting is None else waiting + connecting
            known = aiohttp.ClientTimeout(total=None, connect=acquiring, sock_connect=connecting, sock_read=reading)
            if len(self._timeouts) < _TIMEOUTS_KEPT:
                self._timeouts[key] = known
        return known


class _Body(httpx.AsyncByteStream):
    """The body of an answer while it arrives."""

    def __init__(self, answer: aiohttp.ClientResponse, request: httpx.Request) -> None:
        self._answer = answer
        self._request = request

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async for chunk in self._answer.content.iter_any():
                yield chunk
        except (aiohttp.ClientError, TimeoutError) as error:
            raise _meaning(error, self._request) from error

    async def aclose(self) -> None:
        # One that was read to its end has given its connection back; any other is of no more use.
        self._answer.close()


async def _hear_of_closed_connections() -> None:
    """Let the event loop take what has arrived, so that a connection that was closed meanwhile is not used again.

    One turn hears of it, the next acts on it.
    """
    await asyncio.sleep(0)
    await asyncio.sleep(0)


def _meaning(error: Exception, request: httpx.Request) -> httpx.RequestError:
    kind: type[httpx.RequestError] = httpx.ReadError
    if isinstance(error, ConnectionTimeoutError):
        kind = httpx.ConnectTimeout
    elif isinstance(error, _NEVER_MADE):
        kind = httpx.ConnectError
    elif isinstance(error, _NO_ADDRESS):
        kind = httpx.UnsupportedProtocol
    elif isinstance(error, TimeoutError):
        kind = httpx.ReadTimeout
    return kind(str(error), request=request)
