"""The toy carrier's API over HTTP: credentials, parameters, answers, and the troubles that are ordered of it."""

from __future__ import annotations

import asyncio
import hmac
import json
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from ..faults import Fault
from .calls import Refusal

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

    from .carrier import ToyCarrier

__all__ = ["build"]

HOLD = 20.0
"""Seconds that a request for events is held at most."""

_EVENT_FIRST_WITHIN = 5.0
"""Real seconds that an answer waits at most for the event that shall overtake it."""


class _Order(BaseModel):
    """The body of `POST /calls`."""

    model_config = ConfigDict(extra="forbid", strict=True)

    to: str
    from_: str | None = Field(default=None, alias="from")
    token: str | None = None
    ring_timeout: float | None = Field(default=None, gt=0, allow_inf_nan=False)


class _Position(BaseModel):
    """The query of `GET /events`."""

    model_config = ConfigDict(extra="forbid")

    after: int | None = Field(default=None, ge=0)
    wait: float = Field(default=HOLD, ge=0, le=HOLD)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """A request that has passed the door. `gone` returns when nobody waits for its answer any more."""

    id: str
    query: Mapping[str, str]
    body: bytes
    gone: Callable[[], Coroutine[object, object, None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Reply:
    """What is answered. `words` go into the wire's record; `caused` is the call that it changed, if it did."""

    status: int = 200
    body: Mapping[str, object]
    words: str = ""
    caused: object = None
    headers: Mapping[str, str] = field(default_factory=dict[str, str])


_Handler = Callable[[_Asked], Awaitable[_Reply]]


def build(carrier: ToyCarrier) -> ASGIApp:
    """Return the web application of that carrier."""
    api = _Api(carrier)
    operations: tuple[tuple[str, str, _Handler], ...] = (
        ("POST", "/calls", api.dial),
        ("GET", "/calls", api.list),
        ("GET", "/calls/{id}", api.read),
        ("DELETE", "/calls/{id}", api.hang_up),
        ("POST", "/calls/{id}/answer", api.answer),
        ("POST", "/calls/{id}/reject", api.reject),
        ("POST", "/calls/{id}/audio", api.start_audio),
        ("DELETE", "/calls/{id}/audio", api.stop_audio),
        ("GET", "/events", api.events),
    )

    async def nothing_there(request: Request, error: Exception) -> Response:
        carrier.note("bridge", f"{request.method} {request.url.path}", "404 no such resource")
        return JSONResponse({"error": "no such resource"}, 404)

    return Starlette(
        routes=[
            Route(path, _Operation(f"{method} {path}", handler, carrier), methods=[method])
            for method, path, handler in operations
        ],
        exception_handlers={HTTPException: nothing_there},
    )


class _Api:
    """The operations."""

    def __init__(self, carrier: ToyCarrier) -> None:
        self._calls = carrier.calls
        self._carrier = carrier

    async def dial(self, asked: _Asked) -> _Reply:
        try:
            order = _Order.model_validate_json(asked.body)
        except ValidationError as error:
            raise Refusal(422, _problem(error)) from error
        call = self._calls.dial(to=order.to, from_=order.from_, token=order.token, ring_timeout=order.ring_timeout)
        return _call(call, status=201)

    async def list(self, asked: _Asked) -> _Reply:
        calls = self._calls.live()
        return _Reply(body={"calls": calls}, words=f"{len(calls)} live")

    async def read(self, asked: _Asked) -> _Reply:
        call = self._calls.show(asked.id)
        return _Reply(body=call, words=str(call["status"]))

    async def hang_up(self, asked: _Asked) -> _Reply:
        return _call(self._calls.hang_up(asked.id))

    async def answer(self, asked: _Asked) -> _Reply:
        return _call(self._calls.answer(asked.id))

    async def reject(self, asked: _Asked) -> _Reply:
        return _call(self._calls.reject(asked.id))

    async def start_audio(self, asked: _Asked) -> _Reply:
        return _call(self._calls.set_audio(asked.id, flows=True))

    async def stop_audio(self, asked: _Asked) -> _Reply:
        return _call(self._calls.set_audio(asked.id, flows=False))

    async def events(self, asked: _Asked) -> _Reply:
        try:
            position = _Position.model_validate(asked.query)
        except ValidationError as error:
            raise Refusal(422, _problem(error)) from error
        log = self._carrier.events
        after = log.last if position.after is None else position.after
        if position.after is not None and after <= log.last:
            gone = await self._hold(log.more_than(after), position.wait, asked.gone)
            if gone:
                return _Reply(body={"events": [], "last": after}, words="nobody waits any more")
        found = log.since(after)
        for event in found:
            self._carrier.note("provider", f"event {event.name}", "", event.call)
        events = [{"n": event.n, "call": event.call} for event in found]
        return _Reply(body={"events": events, "last": log.last}, words=f"{len(events)} events")

    async def _hold(
        self, news: Coroutine[object, object, None], seconds: float, gone: Callable[[], Coroutine[object, object, None]]
    ) -> bool:
        """Wait for news, so many seconds of the network or of the world, or until the client or the carrier leaves.

        Return whether it was the client.
        """
        over = asyncio.Event()
        timer = self._carrier.after(seconds, over.set)
        left = asyncio.create_task(gone())
        others = (news, over.wait(), self._carrier.closing.wait())
        waited: list[asyncio.Task[object]] = [left, *(asyncio.create_task(other) for other in others)]
        try:
            await asyncio.wait(waited, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
            return left.done()
        finally:
            timer.cancel()
            for task in waited:
                task.cancel()


def _call(call: Mapping[str, object], *, status: int = 200) -> _Reply:
    return _Reply(status=status, body=call, words=str(call["status"]), caused=call["id"])


def _problem(error: ValidationError) -> str:
    """The first thing that is wrong, without its value."""
    problem = error.errors()[0]
    where = ".".join(str(part) for part in problem["loc"])
    return f"{where}: {problem['msg']}" if where else problem["msg"]


class _Operation:
    """The endpoint of one operation, which faults and the wire's record know by its name.

    Faults come before credentials: a gateway fails without asking who is there.
    """

    def __init__(self, name: str, handler: _Handler, carrier: ToyCarrier) -> None:
        self._name = name
        self._handler = handler
        self._carrier = carrier

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        body = await request.body()
        if self._takes(Fault.DROP_REQUEST) is not None:
            self._note(request, body, "connection broken, not executed")
            await _break_connection(receive)
            return
        before = self._carrier.events.last
        try:
            self._refuse_as_a_gateway()
            self._authenticate(request)
            call_id = str(request.path_params.get("id", ""))
            asked = _Asked(id=call_id, query=request.query_params, body=body, gone=lambda: _disconnected(receive))
            reply = await self._handler(asked)
        except Refusal as error:
            headers = {} if error.retry_after is None else {"Retry-After": f"{error.retry_after:g}"}
            reply = _Reply(status=error.status, body={"error": error.words}, words=error.words, headers=headers)
        if reply.caused is not None and self._takes(Fault.EVENT_BEFORE_ANSWER) is not None:
            with suppress(TimeoutError):
                async with asyncio.timeout(_EVENT_FIRST_WITHIN):
                    await self._carrier.events.taken_of(reply.caused, since=before)
        if self._takes(Fault.DROP_ANSWER) is not None:
            self._note(request, body, "connection broken, executed")
            await _break_connection(receive)
            return
        response, words = self._response(reply)
        self._note(request, body, words)
        await response(scope, receive, send)

    def _takes(self, fault: Fault) -> Mapping[str, object] | None:
        return self._carrier.faults.take(fault, self._name)

    def _refuse_as_a_gateway(self) -> None:
        broken = self._takes(Fault.SERVER_ERROR)
        if broken is not None:
            raise Refusal(int(str(broken.get("status", 503))), "not available")
        limited = self._takes(Fault.RATE_LIMIT)
        if limited is not None:
            pause = limited.get("retry_after")
            raise Refusal(429, "too many requests", retry_after=None if pause is None else float(str(pause)))

    def _authenticate(self, request: Request) -> None:
        given = request.headers.get("authorization", "").encode()
        if not hmac.compare_digest(given, f"Bearer {self._carrier.key}".encode()):
            raise Refusal(401, "the key is missing or wrong")

    def _response(self, reply: _Reply) -> tuple[Response, str]:
        """The answer as it goes out, and the record's words for it."""
        page = self._takes(Fault.HTML_ANSWER)
        if page is not None:
            status = int(str(page.get("status", 502)))
            html = "<html><body><h1>Bad Gateway</h1></body></html>"
            return Response(html, status, media_type="text/html"), f"{status}, a page"
        body = reply.body
        unknown = self._takes(Fault.UNKNOWN_STATE) if "status" in body else None
        if unknown is not None:
            body = {**body, "status": str(unknown.get("word", "levitating"))}
        words = f"{reply.status} {reply.words if unknown is None else body['status']}"
        if self._takes(Fault.MALFORMED_JSON) is not None:
            text = json.dumps(body)[:-1] + ",,"
            return Response(text, reply.status, media_type="application/json"), f"{words}, malformed"
        return JSONResponse(dict(body), reply.status, headers=dict(reply.headers)), words

    def _note(self, request: Request, body: bytes, words: str) -> None:
        fields: dict[str, object] = dict(request.path_params)
        with suppress(ValueError):
            order: object = json.loads(body or b"{}")
            if isinstance(order, dict):
                fields |= cast("dict[str, object]", order)
        self._carrier.note("bridge", self._name, words, fields)


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _break_connection(receive: Receive) -> None:
    """Close the connection under the request.

    ASGI has no word for it. Under uvicorn, `receive` belongs to the object that holds the connection; under another
    server nothing is answered, which it has to notice for itself.
    """
    transport: object = getattr(getattr(receive, "__self__", None), "transport", None)
    if isinstance(transport, asyncio.Transport):
        transport.close()
    await _disconnected(receive)
