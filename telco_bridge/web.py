"""The bridge's web application: what providers send arrives here."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Mapping
from contextlib import aclosing
from typing import TYPE_CHECKING, cast

import anyio
import anyio.from_thread
from starlette.requests import ClientDisconnect, HTTPConnection, Request
from starlette.responses import Response

from .mediasocket import LANE, Crossing, MediaLane, MediaSocket
from .provider import MediaWire, Unsupported, WebRequest, WebResponse

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    from .audio.port import MediaPort

__all__ = ["MAX_BODY", "WebApplication"]

MAX_BODY = 1024 * 1024
"""The largest request body that is read, in bytes."""

CLOSED = "the bridge is not open\n"

Handler = Callable[[WebRequest], Awaitable[WebResponse]]
Admit = Callable[[str, str], "MediaPort | None"]
"""Given the name of a stream's place and a token: the place, or None."""
Translate = Callable[[WebRequest], MediaWire]
"""Given the request that opens a media connection: its translator. Raises `Unsupported` where there is none."""

_MEDIA = "media"


class WebApplication:
    """An ASGI application that hands requests and media to the open bridge, in the bridge's own event loop.

    It exists before the bridge is entered, so that a framework can mount it; until then, and after the bridge is
    closed, it answers 503 and refuses media.
    """

    def __init__(self) -> None:
        self.public_url: str | None = None
        self._handler: Handler | None = None
        self._home: int | None = None
        self._portal: anyio.from_thread.BlockingPortal | None = None
        self._admit: Admit | None = None
        self._translate_media: Translate | None = None
        self._crossing: Crossing | None = None

    def open(self, handler: Handler, portal: anyio.from_thread.BlockingPortal) -> None:
        """Hand requests to this handler, which belongs to the loop of the calling thread."""
        self._handler = handler
        self._portal = portal
        self._home = threading.get_ident()
        self._crossing = Crossing(portal)

    def open_media(self, admit: Admit, translate: Translate) -> None:
        """Let in the media connections that `admit` knows. Both functions are called from any thread."""
        self._admit, self._translate_media = admit, translate

    def close(self) -> None:
        """Answer 503 from now on."""
        self._handler = self._admit = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await self._connect(scope, receive, send)
            return
        if scope["type"] != "http":
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
        wanted = self._translate(request, bytes(body), method=request.method)
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

    async def _connect(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Take a media connection that is expected, and refuse every other one before its upgrade."""
        await receive()
        opening = self._translate(HTTPConnection(scope), b"", method="GET")
        place, _, secret = opening.path.removeprefix(f"{_MEDIA}/").partition("/")
        scheme, _, bearer = opening.headers.get("authorization", "").partition(" ")
        token = bearer.strip() if scheme.lower() == "bearer" else secret
        admit, translate, crossing = self._admit, self._translate_media, self._crossing
        known = opening.path.startswith(f"{_MEDIA}/") and place and token
        port = admit(place, token) if known and admit is not None else None
        if secret:
            # Servers log the path of what they accept, after this.
            scope["path"] = scope["path"].removesuffix(secret) + "..."
        if port is None or translate is None or crossing is None:
            await send({"type": "websocket.close", "code": 1008})
            return
        try:
            wire = translate(opening)
        except Unsupported:
            crossing.do(port.close)
            await send({"type": "websocket.close", "code": 1008})
            return
        await send({"type": "websocket.accept"})
        extensions = cast("Mapping[str, Mapping[str, MediaLane]]", scope.get("extensions") or {})
        lane = extensions.get(LANE, {}).get("lane")
        await MediaSocket(port, wire, crossing, receive, send, lane).run()

    def _translate(self, request: HTTPConnection, body: bytes, *, method: str) -> WebRequest:
        mount = request.scope.get("root_path", "")
        path = request.url.path.removeprefix(mount).lstrip("/")
        query = request.url.query
        base = self.public_url or f"{request.url.scheme}://{request.url.netloc}{mount}"
        return WebRequest(
            method=method,
            path=path,
            query=query,
            url=f"{base}/{path}" + (f"?{query}" if query else ""),
            headers={name.lower(): value for name, value in request.headers.items()},
            body=body,
        )


async def _call(handler: Handler, request: WebRequest) -> WebResponse:
    return await handler(request)
