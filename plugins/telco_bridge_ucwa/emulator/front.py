"""The front door: every request passes here, is given to whoever lives at its address, and may meet with trouble."""

from __future__ import annotations

import asyncio
import copy
import inspect
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from http import HTTPStatus
from typing import Any, Protocol, cast
from urllib.parse import parse_qsl, urlsplit

from starlette.requests import ClientDisconnect, Request

from telco_bridge.sandbox.emulator import Fault, WireRecord

from ..body import Form
from .answers import HTML, Answer, Send, break_off, divert, encode, of_error, send_answer
from .application import Application
from .batch import FORBIDDEN, Part, Told, read_batch, write_batch
from .directory import Place
from .errors import UcwaError, not_found
from .forms import accepted
from .inputs import Ask
from .pool import Pool
from .tickets import Tickets

__all__ = ["Front"]

_RECORDED = ("to", "phoneNumber", "operationId", "subject", "reason", "ack", "userAgent", "endpointId", "instanceId")
_OF_THE_POOL = ("applications", "anonApplications")
"""What moves with the pool, beside all that belongs to an application."""
_REVISION = 2.0
_PATIENCE = 1.0
"""Seconds of real time that an answer waits for its events to be fetched, when it is to come after them."""


def _page(status: int, title: str) -> Answer:
    """Return a page as the web server in front of UCWA makes it: no JSON, no code."""
    text = f"<html><head><title>{status} - {title}</title></head><body><h1>{status} - {title}</h1></body></html>"
    return Answer(status, html=text)


class _Receive(Protocol):
    def __call__(self) -> Awaitable[MutableMapping[str, Any]]: ...


class Front:
    """The ASGI application of one pool."""

    def __init__(self, pool: Pool, tickets: Tickets) -> None:
        self._pool = pool
        self._tickets = tickets
        self._outstanding = 0

    async def __call__(self, scope: MutableMapping[str, Any], receive: _Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        request = Request(scope, receive)
        place = self._pool.directory.find(request.url.path)
        try:
            body = await request.body()
        except ClientDisconnect:
            return
        if place is None:
            self._pool.wire.add(WireRecord(self._pool.now(), "bridge", f"{request.method} (no such address)", "404"))
            nothing = _page(404, "File or directory not found.")
            if self._pool.directory.beside(request.url.path):
                nothing = of_error(not_found())
            await self._send(send, nothing, form=accepted(request.headers.get("accept", ""), "") or Form.JSON)
            return
        ask = Ask(
            method=request.method,
            place=place,
            host=request.headers.get("host", ""),
            headers=dict(request.headers),
            query=dict(request.query_params),
            body=body,
            connection=":".join(map(str, request.client or ())),
            disconnected=lambda: _disconnected(receive),
        )
        await self._serve(ask, send)

    async def _serve(self, ask: Ask, send: Send) -> None:
        operation = f"{ask.method} {ask.place.rel}"
        take = self._pool.faults.take
        if take(Fault.DROP_REQUEST, operation) is not None:
            self._record(ask, operation, "dropped before it was executed")
            await break_off(send)
            return
        answer = await self._answer(ask, operation)
        then = answer.then
        if then is not None and take(Fault.EVENT_BEFORE_ANSWER, operation) is not None:
            then()
            then = None
            owner = ask.place.owner
            if isinstance(owner, Application):
                await _within(owner.channel.caught_up(), _PATIENCE)
        try:
            if take(Fault.DROP_ANSWER, operation) is not None:
                self._record(ask, operation, f"{answer.status}, dropped")
                await break_off(send)
            else:
                self._record(ask, operation, f"{answer.status} {answer.note}".rstrip())
                await self._send(send, answer, operation, _form(ask) or Form.JSON)
        finally:
            if then is not None:
                then()

    async def _answer(self, ask: Ask, operation: str) -> Answer:
        """Return the true answer, or the one that a fault puts in its place."""
        trouble, executed = self._trouble(operation)
        if trouble is None:
            return await self._execute(ask, operation)
        if executed:
            trouble.then = (await self._execute(ask, operation)).then
        return trouble

    def _trouble(self, operation: str) -> tuple[Answer | None, bool]:
        """Return the answer that a fault puts in place of the true one, and whether the request is executed.

        Refusals are not, pages in place of an answer are, unless the fault was ordered with `executed` otherwise.
        """
        for fault, make in _ANSWERS.items():
            options = self._pool.faults.take(fault, operation)
            if options is not None:
                return make(options), bool(options.get("executed", fault is Fault.HTML_ANSWER))
        return None, False

    async def _execute(self, ask: Ask, operation: str) -> Answer:
        place = ask.place
        faults = self._pool.faults
        if self._pool.has_left(ask.host) and (place.owner is not None or place.rel in _OF_THE_POOL):
            return of_error(UcwaError(410, "Gone", "CannotRedirect", "The user has been moved to another pool."))
        foreign = {ask.headers[name] for name in ("origin", "x-ms-origin") if name in ask.headers}
        if not foreign <= self._pool.settings.allowed_origins:
            return _cross_domain()
        if place.guarded:
            if faults.take(Fault.EXPIRE_TOKEN, operation) is not None:
                self._tickets.expire(ask)
            if not self._tickets.good(ask):
                return self._tickets.challenge(ask)
        try:
            if isinstance(place.owner, Application):
                options = faults.take(Fault.LOSE_APPLICATION, operation)
                if options is not None:
                    place.owner.close(_lost(options))
                if place.owner.gone is None and place.owner.client.guest != self._tickets.guest(ask):
                    raise UcwaError(403, "Forbidden", None, "The application is somebody else's.")
            return await self._ask(ask, place)
        except UcwaError as error:
            return of_error(error)

    async def _ask(self, ask: Ask, place: Place) -> Answer:
        if place.owner is not None and place.owner.gone is not None:
            # The same refusal every time, which must not remember where it was raised before.
            raise place.owner.gone.with_traceback(None)
        if place.retired or any(ask.query.get(name) != value for name, value in place.query.items()):
            raise not_found()
        handler = place.handlers.get(ask.method)
        if handler is None:
            raise UcwaError(405, "MethodNotAllowed", None, f"{ask.method} is not possible here.")
        if ask.method in ("POST", "PUT"):
            if "content-length" not in ask.headers and "transfer-encoding" not in ask.headers:
                return _page(411, "Length Required")
            if place.rel == "batch":
                return await self._batch(ask)
            described = ask.headers.get("content-type", "").startswith("application/sdp")
            if place.guarded and not described and place.rel != "sendMessage":
                ask.read()
        if _newer(ask.headers.get("x-ms-requiresminresourceversion")):
            raise not_found("The resource is not there in that version.", "APIVersionNotSupported")
        if _form(ask) is None:
            raise UcwaError(406, "NotAcceptable", None, "No answer of that type can be given.")
        answered = handler(ask)
        answer = await answered if inspect.isawaitable(answered) else answered
        known = ask.headers.get("if-none-match") if ask.method == "GET" else None
        if known is not None and ("ETag", known) in answer.headers:
            return Answer(304, headers=answer.headers)
        return answer

    async def _batch(self, ask: Ask) -> Answer:
        """Execute the requests of a batch, one after another; all of them or none, where there are too many."""
        parts = read_batch(ask.body, ask.headers.get("content-type", ""))
        if self._outstanding + len(parts) > self._pool.settings.batch_limit:
            raise UcwaError(429, "TooManyRequests", None, "Too many requests are outstanding.")
        self._outstanding += len(parts)
        try:
            answers = [await self._answer_part(ask, part) for part in parts]
        finally:
            self._outstanding -= len(parts)
        told: list[Told] = []
        for part, answer in zip(parts, answers, strict=True):
            # Real servers put a byte order mark before every body.
            body, kind = encode(answer, accepted(part.headers.get("accept", ""), "") or Form.JSON, bom=True)
            told.append(Told(answer.status, [*answer.headers, *([("Content-Type", kind)] if kind else [])], body))
        thens = [answer.then for answer in answers if answer.then is not None]
        content = write_batch(told, self._pool.guid())
        return Answer(200, content=content, then=lambda: _all(thens))

    async def _answer_part(self, batch: Ask, part: Part) -> Answer:
        target = urlsplit(part.target)
        place = self._pool.directory.find(target.path)
        if place is None:
            return of_error(not_found())
        own = {"content-length": str(len(part.body)), "authorization": batch.headers.get("authorization", "")}
        ask = Ask(
            method=part.method,
            place=place,
            host=part.headers.get("host", batch.host),
            headers={**own, **part.headers},
            query=dict(parse_qsl(target.query, keep_blank_values=True)),
            body=part.body,
            connection=batch.connection,
            disconnected=batch.disconnected,
        )
        operation = f"{part.method} {place.rel}"
        if place.rel in FORBIDDEN:
            answer = of_error(UcwaError(400, "BadRequest", None, f"{place.rel} is not possible in a batch."))
        else:
            answer = await self._answer(ask, operation)
        self._record(ask, operation, f"{answer.status} {answer.note}".rstrip())
        return answer

    async def _send(self, send: Send, answer: Answer, operation: str = "", form: Form = Form.JSON) -> None:
        take = self._pool.faults.take
        headers = [("X-MS-Server-Fqdn", "pool.sandbox.test"), ("Cache-Control", "no-cache"), *answer.headers]
        located = next((index for index, (name, _) in enumerate(headers) if name == "Location"), None)
        if answer.body is not None or located is not None:
            options = take(Fault.FOREIGN_LINK, operation)
            if options is not None:
                answer.body, headers = _diverted(answer, headers, located, options)
        body, kind = encode(answer, form, bom=self._pool.settings.bom)
        declared: int | None = None
        if answer.body is not None or answer.content is not None:
            if take(Fault.MALFORMED_JSON, operation) is not None:
                body = body[: len(body) // 2]
            if take(Fault.TRUNCATED_BODY, operation) is not None:
                declared, body = len(body), body[: len(body) // 2]
            options = take(Fault.WRONG_CONTENT_TYPE, operation)
            if options is not None:
                kind = str(options.get("content_type", HTML))
        if kind:
            headers.append(("Content-Type", kind))
        await send_answer(send, answer.status, headers, body, declared=declared)

    def _record(self, ask: Ask, operation: str, answer: str) -> None:
        fields: dict[str, str] = {}
        for name in _RECORDED if ask.place.guarded else ():
            value = ask.inputs.get(name.lower())
            if isinstance(value, str):
                fields[name] = value
        self._pool.wire.add(WireRecord(self._pool.now(), "bridge", operation, answer, fields))


def _newer(revision: str | None) -> bool:
    """Whether a client needs a newer revision than any there is. UCWA documents that they are compared as numbers."""
    try:
        return revision is not None and float(revision) > _REVISION
    except ValueError:
        raise UcwaError(400, "BadRequest", None, f"{revision} is no revision.") from None


def _all(actions: list[Callable[[], None]]) -> None:
    for action in actions:
        action()


def _form(ask: Ask) -> Form | None:
    """The form of the answer; None where the client takes none that there is. A token is JSON, as OAuth has it."""
    if ask.place.rel in ("oauthtoken", "batch"):
        return Form.JSON
    return accepted(ask.headers.get("accept", ""), ask.place.rel)


def _cross_domain() -> Answer:
    """Return what real servers answer to pages, and to whoever sends a page's headers, that no list allows."""
    words = "Service does not allow a cross domain request from this origin."
    return Answer(
        403, html="", headers=[("X-Ms-diagnostics", f'source="pool.sandbox.test";reason="{words}"')], note="origin"
    )


def _server_error(options: Mapping[str, object]) -> Answer:
    if "oauth" in options:
        return Answer(400, {"error": str(options["oauth"])}, note=str(options["oauth"]))
    subcode = options.get("subcode")
    status = int(str(options.get("status", 500)))
    code = str(options.get("code", _CODES.get(status, "ServiceFailure")))
    return of_error(UcwaError(status, code, None if subcode is None else str(subcode), "The server could not do it."))


_CODES = {
    400: "BadRequest",
    403: "Forbidden",
    404: "NotFound",
    405: "MethodNotAllowed",
    408: "ClientTimeout",
    409: "Conflict",
    410: "Gone",
    412: "PreconditionFailed",
    413: "EntityTooLarge",
    415: "UnsupportedMediaType",
    428: "PreconditionRequired",
    503: "ServiceUnavailable",
    504: "Timeout",
}
"""UCWA documents one code for each status."""


def _rate_limit(options: Mapping[str, object]) -> Answer:
    after = options.get("retry_after")
    pause = None if after is None else float(str(after))
    return of_error(UcwaError(429, "TooManyRequests", None, "Too many requests.", retry_after=pause))


def _html(options: Mapping[str, object]) -> Answer:
    status = int(str(options.get("status", 502)))
    return _page(status, HTTPStatus(status).phrase)


_ANSWERS: dict[Fault, Callable[[Mapping[str, object]], Answer]] = {
    Fault.SERVER_ERROR: _server_error,
    Fault.RATE_LIMIT: _rate_limit,
    Fault.HTML_ANSWER: _html,
}


def _lost(options: Mapping[str, object]) -> UcwaError:
    """Return what a lost application answers: unknown by default, or gone for good for the reason that was given."""
    subcode = str(options.get("subcode", "ApplicationNotFound"))
    if subcode == "ApplicationNotFound":
        return not_found("The application is not known.", subcode)
    return UcwaError(410, "Gone", subcode, "The application is no longer there.")


def _diverted(
    answer: Answer, headers: list[tuple[str, str]], located: int | None, options: Mapping[str, object]
) -> tuple[dict[str, object] | None, list[tuple[str, str]]]:
    host, rel = str(options.get("host", "elsewhere.invalid")), options.get("rel")
    if located is not None:
        holder: dict[str, object] = {"_links": {"location": {"href": headers[located][1]}}}
        divert(holder, host, rel=None)
        moved = cast("dict[str, dict[str, dict[str, str]]]", holder)["_links"]["location"]["href"]
        headers = [*headers[:located], ("Location", moved), *headers[located + 1 :]]
    body = copy.deepcopy(answer.body)
    divert(body, host, rel=None if rel is None else str(rel))
    return body, headers


async def _disconnected(receive: _Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _within(waiting: Awaitable[None], seconds: float) -> None:
    """Wait no longer than that for a client that may not poll at all."""
    try:
        await asyncio.wait_for(waiting, seconds)
    except TimeoutError:
        return
