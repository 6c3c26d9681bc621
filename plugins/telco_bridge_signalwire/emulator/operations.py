"""One operation of the API over HTTP: faults, credentials, parameters, the answer, and the record of it all."""

from __future__ import annotations

import asyncio
import base64
import binascii
import hmac
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from telco_bridge.sandbox.emulator import Fault

from .callbacks import Lane
from .errors import ApiError, ErrorShape, error_body
from .forms import Form, parse_form
from .space import Space
from .webhooks import without_query

__all__ = ["Asked", "Handler", "Operation", "Reply", "refused"]

_EVENT_FIRST_WITHIN = 5.0
"""Real seconds that an answer waits at most for the event that shall overtake it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A request that has passed the door."""

    path: Mapping[str, str]
    form: Form


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What an operation answers: a JSON object, or a text or file of some other type, or nothing.

    `before` is the resource as it was before the operation, for answers that lag behind; `lane` and `attempts` tell
    whose callbacks the operation causes, and how many there were before it.
    """

    status: int = 200
    body: Mapping[str, object] | None = None
    before: Mapping[str, object] | None = None
    lane: Lane | None = None
    attempts: int = 0
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    content: bytes | None = None
    media_type: str | None = None

    def response(self) -> Response:
        """Return the answer as it goes out where nothing spoils it."""
        if self.body is not None:
            return JSONResponse(dict(self.body), self.status, headers=dict(self.headers))
        return Response(self.content, self.status, headers=dict(self.headers), media_type=self.media_type)


def refused(error: ApiError, shape: ErrorShape) -> Reply:
    """Return the answer that tells of a refusal."""
    headers = dict(error.headers)
    if error.status == 401:
        headers["WWW-Authenticate"] = 'Basic realm="SignalWire"'
    body = error_body(error, shape)
    if isinstance(body, str):
        return Reply(status=error.status, content=body.encode(), media_type="text/html", headers=headers)
    return Reply(status=error.status, body=body, headers=headers)


Handler = Callable[[Asked], Reply]


class Operation:
    """The ASGI endpoint of one operation, known to faults and to the record by its name.

    Faults come before credentials: a gateway fails without asking who is there. What is `public` asks nobody for any;
    elsewhere the token must have the scope.
    """

    def __init__(
        self, name: str, handler: Handler, space: Space, *, scope: str = "Voice", public: bool = False
    ) -> None:
        self.name = name
        self._handler = handler
        self._space = space
        self._scope = scope
        self._public = public

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        body = await request.body()
        form = Form()
        if self._take(Fault.DROP_REQUEST) is not None:
            self._note(request, form, "connection broken, not executed")
            await _break_connection(receive, send)
            return
        reply = self._gateway_reply()
        if reply is None:
            try:
                if not self._public:
                    self._authenticate(request)
                if request.method == "POST":
                    self._count()
                form = parse_form(request.url.query, request.headers.get("content-type", ""), body)
                reply = self._handler(Asked(path=request.path_params, form=form))
            except ApiError as error:
                reply = refused(error, self._space.switches.error_shape)
        reply = await self._lag(reply)
        if self._take(Fault.DROP_ANSWER) is not None:
            self._note(request, form, "connection broken, executed")
            await _break_connection(receive, send)
            return
        response, spoilt = self._response(reply)
        truncated = self._take(Fault.TRUNCATED_BODY) is not None
        self._note(request, form, " ".join([_words(reply), *spoilt, *([Fault.TRUNCATED_BODY] if truncated else [])]))
        if truncated:
            await _send_half(response, send)
            await _break_connection(receive, None)
            return
        await response(scope, receive, send)

    def _take(self, fault: Fault) -> Mapping[str, object] | None:
        return self._space.faults.take(fault, self.name)

    def _gateway_reply(self) -> Reply | None:
        """The answer of what stands before the API, where it lets nothing through."""
        broken = self._take(Fault.SERVER_ERROR)
        if broken is not None:
            return refused(ApiError(20504, status=_whole(broken, "status", 503)), self._space.switches.error_shape)
        limited = self._take(Fault.RATE_LIMIT)
        if limited is not None:
            pause = limited.get("retry_after")
            headers = {} if pause is None else {"Retry-After": str(pause)}
            return refused(ApiError(20429, headers=headers), self._space.switches.error_shape)
        return None

    def _authenticate(self, request: Request) -> None:
        scheme, _, encoded = request.headers.get("authorization", "").partition(" ")
        try:
            given = base64.b64decode(encoded, validate=True)
        except binascii.Error:
            given = b""
        expected = f"{self._space.project}:{self._space.token}".encode()
        if scheme.lower() != "basic" or not hmac.compare_digest(given, expected):
            raise ApiError(20003)
        if request.path_params.get("account") != self._space.project:
            raise ApiError(10004)
        switches = self._space.switches
        if self._scope not in switches.scopes:
            raise ApiError(20003, f"The API token lacks the scope {self._scope}", status=switches.scope_status)

    def _count(self) -> None:
        """Refuse what comes too fast. SignalWire documents that reading is as good as unlimited."""
        pause = self._space.limit.admit()
        if pause is not None:
            headers = {"Retry-After": str(pause)} if self._space.switches.retry_after else {}
            raise ApiError(20429, headers=headers)

    async def _lag(self, reply: Reply) -> Reply:
        """Let the answer be overtaken by its event, or by time, where that is wanted."""
        if reply.lane is not None and self._take(Fault.EVENT_BEFORE_ANSWER) is not None:
            await reply.lane.attempted_since(reply.attempts, within=_EVENT_FIRST_WITHIN)
        body = reply.body
        if reply.before is not None:
            stale = self._take(Fault.STALE_ANSWER) is not None
            if stale or self._space.switches.stale_updates:
                body = reply.before
        if body is not None and isinstance(body.get("status"), str):
            unknown = self._take(Fault.UNKNOWN_STATE)
            if unknown is not None:
                body = {**body, "status": str(unknown.get("word", "levitating"))}
        return replace(reply, body=body)

    def _response(self, reply: Reply) -> tuple[Response, tuple[str, ...]]:
        """The answer as it goes out, and the faults that spoilt it."""
        html = self._take(Fault.HTML_ANSWER)
        if html is not None:
            page = "<html><body><h1>Bad Gateway</h1></body></html>"
            return Response(page, _whole(html, "status", 502), media_type="text/html"), (Fault.HTML_ANSWER,)
        if reply.body is None:
            return reply.response(), ()
        if self._take(Fault.MALFORMED_JSON) is not None:
            text = json.dumps(reply.body)[:-1] + ",,"
            return Response(text, reply.status, media_type="application/json"), (Fault.MALFORMED_JSON,)
        response = reply.response()
        if self._take(Fault.WRONG_CONTENT_TYPE) is not None:
            response.headers["content-type"] = "text/plain"
            return response, (Fault.WRONG_CONTENT_TYPE,)
        return response, ()

    def _note(self, request: Request, form: Form, answer: str) -> None:
        fields = {f"{name}_sid": value for name, value in request.path_params.items() if name != "account"}
        for name in form.names():
            if name in _PLAIN:
                fields[name] = " ".join(form.all(name))
            elif name in _ADDRESSES:
                fields[name] = without_query(form.get(name) or "")
        self._space.note("bridge", self.name, answer, **fields)


_PLAIN = frozenset(
    {
        *("To", "From", "Status", "Name", "Track", "Timeout", "StatusCallbackEvent", "Page", "PageSize"),
        *("FriendlyName", "Muted", "Hold", "Coaching", "CallSidToCoach", "CallSid", "ConferenceSid", "PhoneNumber"),
        *("RecordingChannels", "RecordingTrack", "PauseBehavior", "Trim", "Record", "MachineDetection"),
    }
)
_ADDRESSES = frozenset(
    {
        *("Url", "FallbackUrl", "StatusCallback", "HoldUrl", "WaitUrl", "AnnounceUrl"),
        *("VoiceUrl", "VoiceFallbackUrl", "RecordingStatusCallback", "AsyncAmdStatusCallback"),
    }
)


def _words(reply: Reply) -> str:
    """The answer in a few words: its HTTP status, and the resource's status or the code of the refusal."""
    body = reply.body or {}
    detail = body.get("code") or body.get("status") or ""
    return f"{reply.status} {detail}".strip()


def _whole(options: Mapping[str, object], name: str, default: int) -> int:
    value = options.get(name, default)
    return value if isinstance(value, int) else default


async def _send_half(response: Response, send: Send) -> None:
    """Send the head, which promises the whole body, and half of the body."""
    body = bytes(response.body)
    await send({"type": "http.response.start", "status": response.status_code, "headers": response.raw_headers})
    await send({"type": "http.response.body", "body": body[: len(body) // 2], "more_body": True})


async def _break_connection(receive: Receive, send: Send | None) -> None:
    """Close the connection under the request.

    ASGI has no word for it. Under uvicorn, `receive` belongs to the object that holds the connection; elsewhere, an
    answer is begun whose body never comes, which every server cuts off.
    """
    transport: object = getattr(getattr(receive, "__self__", None), "transport", None)
    if isinstance(transport, asyncio.Transport):
        transport.close()
        while (await receive())["type"] != "http.disconnect":
            pass
    elif send is not None:
        await send({"type": "http.response.start", "status": 502, "headers": [(b"content-length", b"1")]})
