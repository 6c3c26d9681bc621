"""The web application: where each operation is found."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from .api import CallOperations, StreamOperations
from .errors import ApiError
from .operations import Handler, Operation, refused
from .space import PREFIX, Space

__all__ = ["PREFIXES", "SUFFIX", "at", "build_app"]

PREFIXES = (PREFIX, "/2010-04-01")
"""SignalWire's own, and the one that Twilio-style SDKs use."""

SUFFIX = "telco_bridge_signalwire.suffix"
"""The key in the ASGI scope of whether the path ended in `.json`."""


def at(space: Space, path: str, *operations: tuple[str, str, Handler], scope: str = "Voice") -> list[Route]:
    """Return the routes of the operations at one path: the method, the name that faults know it by, the handler.

    A token must have the scope.
    """
    return [
        Route(f"/Accounts/{{account}}/{path}", Operation(name, handler, space, scope=scope), methods=[method])
        for method, name, handler in operations
    ]


def build_app(space: Space, calls: CallOperations, streams: StreamOperations, more: Sequence[Route]) -> ASGIApp:
    """Return the application that serves the project's API under both prefixes."""
    routes = [
        *at(space, "Calls", ("POST", "POST Calls", calls.create), ("GET", "GET Calls", calls.list)),
        *at(
            space,
            "Calls/{call}",
            ("GET", "GET Calls/{sid}", calls.read),
            ("POST", "POST Calls/{sid}", calls.update),
            ("DELETE", "DELETE Calls/{sid}", calls.delete),
        ),
        *at(space, "Calls/{call}/Streams", ("POST", "POST Streams", streams.create)),
        *at(space, "Calls/{call}/Streams/{stream}", ("POST", "POST Streams/{sid}", streams.stop)),
        *more,
    ]
    return _Door(_api(space, routes))


def _api(space: Space, routes: Sequence[Route]) -> Starlette:
    async def nothing_there(request: Request, error: Exception) -> Response:
        """There is no such resource, or none that knows this method: streams cannot be read, for one."""
        missing = ApiError(20404)
        space.note("bridge", f"{request.method} {request.url.path}", f"{missing.status} {missing.code}")
        return refused(missing, space.switches.error_shape).response()

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
                    plain = path.removeprefix(prefix).removesuffix(".json")
                    scope = {**scope, "path": plain, SUFFIX: path.endswith(".json")}
                    break
        await self._inner(scope, receive, send)
