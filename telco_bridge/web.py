"""The bridge's web application: what providers send arrives here."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from typing import TYPE_CHECKING

import anyio
import anyio.from_thread
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from .provider import WebRequest, WebResponse

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

__all__ = ["MAX_BODY", "WebApplication"]

MAX_BODY = 1024 * 1024
"""The largest request body that is read, in bytes."""

CLOSED = "the bridge is not open\n"

Handler = Callable[[WebRequest], Awaitable[WebResponse]]


class WebApplication:
    """An ASGI application that hands requests to the open bridge, in the bridge's own event loop.

    It exists before the bridge is entered, so that a framework can mount it; until then, and after the bridge is
    closed, it answers 503.
    """

    def __init__(self) -> None:
        self.public_url: str | None = None
        self._handler: Handler | None = None
        self._home: int | None = None
        self._portal: anyio.from_thread.BlockingPortal | None = None

    def open(self, handler: Handler, portal: anyio.from_thread.BlockingPortal) -> None:
        """Hand requests to this handler, which belongs to the loop of the calling thread."""
        self._handler = handler
        self._portal = portal
        self._home = threading.get_ident()

    def close(self) -> None:
        """Answer 503 from now on."""
        self._handler = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            if scope["type"] == "websocket":
                await send({"type": "websocket.close", "code": 1008})
            return
        response = await self._answer(Request(scope, receive))
        await response(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        handler, portal = self._handler, self._portal
        if handler is None or portal is None:
            return Response(CLOSED, status_code=503, media_type="text/plain")
        body = bytearray()
        try:
            async with aclosing(request.stream()) as chunks:
                async for chunk in chunks:
                    body += chunk
                    if len(body) > MAX_BODY:
                        return Response("the body is too large\n", status_code=413, media_type="text/plain")
        except ClientDisconnect:
            return Response(status_code=400)
        wanted = self._translate(request, bytes(body))
        if threading.get_ident() == self._home:
            answer = await handler(wanted)
        else:
            try:
                future = portal.start_task_soon(_call, handler, wanted)
            except RuntimeError:
                # The portal closed between the check and the call.
                return Response(CLOSED, status_code=503, media_type="text/plain")
            try:
                answer = await asyncio.wrap_future(future)
            except asyncio.CancelledError:
                task = asyncio.current_task()
                if task is not None and task.cancelling():
                    raise
                # Not we but the bridge has cancelled it: it was closed while the plugin had not answered.
                return Response(CLOSED, status_code=503, media_type="text/plain")
        return Response(
            answer.body,
            status_code=answer.status,
            headers={**answer.headers, "content-type": answer.content_type} if answer.body else dict(answer.headers),
        )

    def _translate(self, request: Request, body: bytes) -> WebRequest:
        mount = request.scope.get("root_path", "")
        path = request.url.path.removeprefix(mount).lstrip("/")
        query = request.url.query
        base = self.public_url or f"{request.url.scheme}://{request.url.netloc}{mount}"
        return WebRequest(
            method=request.method,
            path=path,
            query=query,
            url=f"{base}/{path}" + (f"?{query}" if query else ""),
            headers={name.lower(): value for name, value in request.headers.items()},
            body=body,
        )


async def _call(handler: Handler, request: WebRequest) -> WebResponse:
    return await handler(request)
