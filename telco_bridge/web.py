"""The bridge's web application: what providers send arrives here."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, cast
from weakref import WeakKeyDictionary

import anyio.from_thread
from starlette.datastructures import URL

from ._counter import Counter
from .mediasocket import LANE, Crossing, MediaLane, MediaSocket
from .provider import MediaWire, Unsupported, WebRequest, WebResponse

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    from .audio.port import MediaPort

__all__ = ["MAX_BODY", "WebApplication"]

MAX_BODY = 1024 * 1024
"""The largest request body that is read, in bytes."""

CLOSED = WebResponse(status=503, body=b"the bridge is not open\n")

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
        self._counters: WeakKeyDictionary[asyncio.AbstractEventLoop, Counter] = WeakKeyDictionary()
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
        answer = await self._answer(scope, receive)
        if answer is not None:
            await _send(answer, send)

    async def _answer(self, scope: Scope, receive: Receive) -> WebResponse | None:
        """What to answer; None where nobody is there any more."""
        handler = self._handler
        if handler is None:
            return CLOSED
        body = await _read(receive)
        if body is None:
            return None
        if len(body) > MAX_BODY:
            return WebResponse(status=413, body=b"the body is too large\n")
        wanted = self._translate(scope, body, method=scope["method"])
        if threading.get_ident() == self._home:
            return await handler(wanted)
        return await self._counter().ask(wanted)

    def _counter(self) -> Counter:
        """The way from the running server's loop into the bridge's."""
        loop = asyncio.get_running_loop()
        counter = self._counters.get(loop)
        if counter is None:
            counter = self._counters[loop] = Counter(self._handle, self._portal, loop, closed=CLOSED)
        return counter

    async def _handle(self, request: WebRequest) -> WebResponse:
        handler = self._handler
        return await handler(request) if handler is not None else CLOSED

    async def _connect(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Take a media connection that is expected, and refuse every other one before its upgrade."""
        await receive()
        opening = self._translate(scope, b"", method="GET")
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

    def _translate(self, scope: Scope, body: bytes, *, method: str) -> WebRequest:
        mount = scope.get("root_path", "")
        path = scope["path"].removeprefix(mount).lstrip("/")
        query = scope["query_string"].decode("utf-8", "replace")
        base = self.public_url
        if base is None:
            url = URL(scope=scope)
            base = f"{url.scheme}://{url.netloc}{mount}"
        return WebRequest(
            method=method,
            path=path,
            query=query,
            url=f"{base}/{path}" + (f"?{query}" if query else ""),
            # ASGI hands names over in lower case.
            headers={name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]},
            body=body,
        )


async def _read(receive: Receive) -> bytes | None:
    """The body, or as much of one that is too large as shows that; None where the sender has gone."""
    body = b""
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return None
        body += cast("bytes", message.get("body", b""))
        if not message.get("more_body") or len(body) > MAX_BODY:
            return body


async def _send(answer: WebResponse, send: Send) -> None:
    headers = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in answer.headers.items()]
    if answer.body:
        headers.append((b"content-type", answer.content_type.encode("latin-1")))
    if answer.status not in (204, 304):
        headers.append((b"content-length", b"%d" % len(answer.body)))
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body})
