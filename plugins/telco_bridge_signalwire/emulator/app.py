"""The web application: where each operation is found."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from .api import CallOperations, StreamOperations
from .errors import ApiError, error_body
from .operations import Handler, Operation
from .space import PREFIX, Space

__all__ = ["PREFIXES", "build_app"]

PREFIXES = (PREFIX, "/2010-04-01")
"""SignalWire's own, and the one that Twilio-style SDKs use."""


def build_app(space: Space, calls: CallOperations, streams: StreamOperations) -> ASGIApp:
    """Return the application that serves the project's API under both prefixes."""

    def at(path: str, *operations: tuple[str, str, Handler]) -> list[Route]:
        return [
            Route(f"/Accounts/{{account}}/{path}", Operation(name, handler, space), methods=[method])
            for method, name, handler in operations
        ]

    routes = [
        *at("Calls", ("POST", "POST Calls", calls.create), ("GET", "GET Calls", calls.list)),
        *at(
            "Calls/{call}",
            ("GET", "GET Calls/{sid}", calls.read),
            ("POST", "POST Calls/{sid}", calls.update),
            ("DELETE", "DELETE Calls/{sid}", calls.delete),
        ),
        *at("Calls/{call}/Streams", ("POST", "POST Streams", streams.create)),
        *at("Calls/{call}/Streams/{stream}", ("POST", "POST Streams/{sid}", streams.stop)),
        Route("/laml-bins/{bin}", _bins(space), methods=["GET", "POST"]),
    ]
    return _Door(_api(space, routes))


def _bins(space: Space) -> Callable[[Request], Awaitable[Response]]:
    async def serve(request: Request) -> Response:
        """A bin is public, as its address is what a call is given."""
        document = space.bins.get(request.path_params["bin"])
        return Response(document or "", 200 if document is not None else 404, media_type="application/xml")

    return serve


def _api(space: Space, routes: Sequence[Route]) -> Starlette:
    async def nothing_there(request: Request, error: Exception) -> Response:
        """There is no such resource, or none that knows this method: streams cannot be read, for one."""
        missing = ApiError(20404)
        space.note("bridge", f"{request.method} {request.url.path}", f"{missing.status} {missing.code}")
        return JSONResponse(error_body(missing, space.switches.error_shape), missing.status)

    return Starlette(
        routes=list(routes),
        exception_handlers={404: nothing_there, 405: nothing_there, HTTPException: nothing_there},
    )


class _Door:
    """Takes the prefix and the optional `.json` off the path, so that each resource has one address inside."""

    def __init__(self, inner: ASGIApp) -> None:
        self._inner = inner

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            path: str = scope["path"]
            for prefix in PREFIXES:
                if path.startswith(f"{prefix}/"):
                    scope = {**scope, "path": path.removeprefix(prefix).removesuffix(".json")}
                    break
        await self._inner(scope, receive, send)
