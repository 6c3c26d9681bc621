"""One connection to a SignalWire space: requests out, webhooks in, facts to the host."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import TypeVar
from urllib.parse import urlencode
from xml.sax.saxutils import escape

import httpx

from telco_bridge.http import open_client, origin, refusal, send
from telco_bridge.provider import (
    AnswerLost,
    CallList,
    CallReport,
    CallState,
    Command,
    ConfigError,
    Dial,
    Gone,
    HangUp,
    Host,
    MediaDirection,
    MediaEndpoint,
    MediaWire,
    NotSent,
    ProviderError,
    ProviderSession,
    RateLimited,
    Refused,
    Source,
    StartMedia,
    StopMedia,
    StreamTarget,
    TooLate,
    Unreachable,
    Unsupported,
    WebRequest,
    WebResponse,
)

from . import encode
from .config import PROVIDER, SignalWireConfig
from .decode import (
    ErrorAnswer,
    decode_call,
    decode_error,
    decode_status,
    decode_stream,
    decode_stream_event,
    ended_stream,
)
from .media import SignalWireMedia
from .signature import is_signed
from .wire import (
    CallPage,
    CallResource,
    Pairs,
    Payload,
    StatusCallback,
    StreamCallback,
    StreamResource,
    Unreadable,
    form_pairs,
    is_json,
    json_pairs,
    read_answer,
    read_callback,
)

__all__ = ["SignalWireSession", "connect"]

P = TypeVar("P", bound=Payload)

_LIVE = ("queued", "ringing", "in-progress")
"""The statuses of live calls, in the order of a call's life."""

_WRONG_STATE = frozenset({"10000", "20404", "21220"})
"""Codes by which SignalWire says that the state of a call or stream does not allow it; 10000 has other meanings too."""

_GONE = (404, 410)
_TOO_LATE = (*_GONE, 409)

_TOO_MANY_QUEUED = "21611"
_NO_SUCH_RESOURCE = "20404"

_MAX_PAGES = 1000

_MAX_SEEN = 20_000
"""So many calls are remembered at most: a callback that comes after the end of its call is never cleared away."""

_XML = "text/xml; charset=utf-8"
_REJECT = b'<?xml version="1.0" encoding="UTF-8"?><Response><Reject/></Response>'


@asynccontextmanager
async def connect(
    config: SignalWireConfig, host: Host, *, transport: httpx.AsyncBaseTransport | None = None
) -> AsyncGenerator[ProviderSession]:
    """Open a session, once the space has accepted the credentials. `transport` replaces the network, for tests.

    Raises `ConfigError` where webhooks would come that cannot be checked, `AuthenticationFailed` for wrong credentials,
    `Unreachable` where the space does not answer, and another `ProviderError` where it answers something else.
    """
    if host.url("status") is not None and config.signing_key is None:
        raise ConfigError(
            "signing_key is missing: the bridge has a public URL, and without the project's Signing Key (PSK_…) nobody "
            "could tell SignalWire's webhooks from forged ones"
        )
    credentials = (config.project, config.token.get_secret_value())
    async with open_client(config.api_url, auth=credentials, timeout=config.timeout, transport=transport) as client:
        session = SignalWireSession(client, config, host)
        await session.check()
        yield session


class SignalWireSession(ProviderSession):
    """Translates between the host and the Compatibility API."""

    def __init__(self, client: httpx.AsyncClient, config: SignalWireConfig, host: Host) -> None:
        self._client = client
        self._config = config
        self._host = host
        self._told = host.url("status") is not None
        self._seen: dict[str, CallState] = {}
        self._verbs: dict[str, str] = {}
        """What a call's document begins with, by the command that was sent for it."""
        self.max_staleness = None if self._told else config.poll_interval

    async def check(self) -> None:
        """Ask for one call, so that wrong credentials or a wrong address show at once."""
        what = f"connecting to {self._config.api_url} as project {self._config.project}"
        try:
            await self._read(CallPage, encode.list_calls(page_size=1), what)
        except (NotSent, AnswerLost) as error:
            raise Unreachable(
                f"SignalWire cannot be reached: {error}. Check the address of the space.",
                provider=PROVIDER,
                code=error.code,
                status=error.status,
            ) from error

    async def execute(self, command: Command) -> None:
        match command:
            case Dial():
                await self._dial(command)
            case HangUp():
                await self._hang_up(command)
            case StartMedia():
                await self._start(command)
            case StopMedia():
                await self._stop(command)
            case _:
                raise Unsupported(f"SignalWire: {command.name} is not supported; nothing was sent")

    async def read(self, ref: str) -> CallReport | Gone:
        as_of = self._host.stamp()
        what = f"reading call {ref}"
        response = await self._send(encode.read(ref))
        error = decode_error(response.content)
        if response.status_code in _GONE and not error.empty:
            self._seen.pop(ref, None)
            return Gone(as_of, _words(response, error))
        call = self._readable(CallResource, response, what)
        if call.sid != ref:
            raise ProviderError(f"{what}: SignalWire answered with another call", provider=PROVIDER)
        report = decode_call(call, source=Source.READ, as_of=as_of)
        self._remember(report)
        return report

    async def list_calls(self) -> CallList:
        """Ask for the live calls, child legs left out.

        The statuses are asked for in the order of a call's life: it only moves forward, so none slips through.
        """
        began = self._host.stamp()
        found: dict[str, CallReport] = {}
        complete = True
        for status in _LIVE:
            complete = await self._list(status, found) and complete
        return CallList(tuple(found.values()), began, complete)

    async def receive(self, request: WebRequest) -> WebResponse:
        answers: dict[str, Callable[[Pairs, dict[str, str]], WebResponse]] = {
            "voice": self._on_voice,
            "status": self._on_status,
            "stream": self._on_stream,
        }
        answer = answers.get(request.path.strip("/"))
        if answer is None:
            return WebResponse(status=404)
        if request.method not in ("GET", "POST"):
            return WebResponse(status=405, headers={"allow": "GET, POST"})
        if not is_signed(request, self._config.signing_keys):
            return WebResponse(status=403, body=b"the signature is missing or wrong")
        try:
            return answer(_fields(request), dict(form_pairs(request.query)))
        except Unreadable as error:
            return WebResponse(status=400, body=str(error).encode())

    def media(self, opening: WebRequest) -> MediaWire:
        return SignalWireMedia()

    async def _dial(self, command: Dial) -> None:
        request = encode.dial(command, self._config, self._host.url)
        call, as_of = await self._command(CallResource, request, f"dialling {command.to}")
        self._report(decode_call(call, source=Source.ANSWER, as_of=as_of, command_id=command.id))

    async def _hang_up(self, command: HangUp) -> None:
        ref = command.ref or ""
        first, other = encode.end_words(self._seen.get(ref))
        what = f"hanging up call {ref}"
        try:
            call, as_of = await self._command(CallResource, encode.hang_up(command, status=first), what, of=ref)
        except (TooLate, Refused) as no:
            # A refusal without a code cannot be told from one for the state, and a call must not go on for that.
            unclear = no.status in (400, 422) and no.code is None
            if no.status in _GONE or not (isinstance(no, TooLate) or unclear):
                raise
            call, as_of = await self._command(CallResource, encode.hang_up(command, status=other), what, of=ref)
        self._report(decode_call(call, source=Source.ANSWER, as_of=as_of))

    async def _start(self, command: StartMedia) -> None:
        if command.endpoint is not None and command.endpoint.direction is MediaDirection.BOTH:
            await self._connect(command, command.endpoint)
            return
        request = encode.start(command, self._config, self._host.url)
        ref = command.ref or ""
        stream, as_of = await self._command(StreamResource, request, f"starting a stream of call {ref}", late=True)
        self._report(decode_stream(stream, ref=ref, as_of=as_of, observable=self._told, command_id=command.id))

    async def _connect(self, command: StartMedia, endpoint: MediaEndpoint) -> None:
        """Let the call fetch another document; the connection that it makes tells the rest."""
        request, verb = encode.connect(command, endpoint, self._host.url)
        self._verbs[command.id] = verb
        if len(self._verbs) > _MAX_SEEN:
            del self._verbs[next(iter(self._verbs))]
        ref = command.ref or ""
        try:
            call, as_of = await self._command(CallResource, request, f"connecting the audio of call {ref}", of=ref)
        except AnswerLost:
            raise
        except ProviderError:
            self._verbs.pop(command.id, None)
            raise
        self._report(decode_call(call, source=Source.ANSWER, as_of=as_of))

    async def _stop(self, command: StopMedia) -> None:
        """Stop every stream, whatever becomes of the others; then raise the gravest of what went wrong."""
        stops = [(target, *self._stopping(command, target)) for target in command.streams]
        troubles: list[ProviderError] = []
        for target, request, model in stops:
            slot, ref = target.id.slot, command.ref or ""
            asked = self._host.stamp()
            of = slot if model is StreamResource else ref
            try:
                answer, as_of = await self._command(model, request, f"stopping stream {slot} of call {ref}", of=of)
            except ProviderError as trouble:
                troubles.append(trouble)
                if of == slot and isinstance(trouble, TooLate) and trouble.code == _NO_SUCH_RESOURCE:
                    # A SID names one stream and is never used again: where it is unknown, nothing runs any more.
                    self._report(ended_stream(slot, ref=ref, as_of=asked))
            else:
                if isinstance(answer, StreamResource):
                    self._report(decode_stream(answer, ref=ref, as_of=as_of, observable=self._told))
                else:
                    self._report(decode_call(answer, source=Source.ANSWER, as_of=as_of))
        if troubles:
            raise next((trouble for trouble in troubles if not isinstance(trouble, TooLate)), troubles[0])

    def _stopping(
        self, command: StopMedia, target: StreamTarget
    ) -> tuple[encode.Request, type[StreamResource] | type[CallResource]]:
        """The request that stops the stream, and what answers it: one both ways ends with the document that made it."""
        if target.direction is MediaDirection.BOTH:
            return encode.keep_open(command, self._host.url), CallResource
        return encode.stop(command, target), StreamResource

    async def _list(self, status: str, found: dict[str, CallReport]) -> bool:
        """Add the calls in that status, and return whether all pages were read."""
        what = f"listing {status} calls"
        as_of = self._host.stamp()
        page = await self._read(CallPage, encode.list_calls(status=status), what)
        visited: set[str] = set()
        while True:
            for call in page.calls:
                if call.parent_call_sid is not None:
                    continue
                report = found[call.sid] = decode_call(call, source=Source.READ, as_of=as_of)
                if call.sid in self._seen:
                    # Only what was seen before: a list holds the calls of everybody in the project.
                    self._remember(report)
            following = page.next_page_uri
            if following is None:
                return True
            if following in visited or len(visited) >= _MAX_PAGES:
                return False
            visited.add(following)
            as_of = self._host.stamp()
            page = self._readable(CallPage, await self._follow(following), what)

    async def _follow(self, link: str) -> httpx.Response:
        """Get a page by its link, which is relative to the origin. Raises `ForeignOrigin` where it leads elsewhere."""
        try:
            url = httpx.URL(origin(self._config.api_url)).join(link)
        except httpx.InvalidURL as error:
            raise ProviderError("SignalWire's link to the next page is no address", provider=PROVIDER) from error
        return await send(self._client, self._client.build_request("GET", url), provider=PROVIDER)

    async def _command(
        self, model: type[P], request: encode.Request, what: str, *, of: str | None = None, late: bool = False
    ) -> tuple[P, float]:
        """Send a command and read its answer, which is about `of` where that is given.

        A success that cannot be read is `AnswerLost`, for it was probably executed. Commands to something that exists
        (`of`, or `late`) are `TooLate` where its state forbids them.
        """
        as_of = self._host.stamp()
        response = await self._send(request)
        if not response.is_success:
            raise self._refusal(response, what, late=late or of is not None)
        try:
            answer = read_answer(model, response.headers.get("content-type"), response.content)
            if of is not None and isinstance(answer, CallResource | StreamResource) and answer.sid != of:
                raise Unreadable("the answer is about something else")
        except Unreadable as error:
            raise AnswerLost(
                f"{what}: HTTP {response.status_code}, but {error}. It may have been done.",
                provider=PROVIDER,
                status=response.status_code,
            ) from error
        return answer, as_of

    async def _read(self, model: type[P], request: encode.Request, what: str) -> P:
        return self._readable(model, await self._send(request), what)

    def _readable(self, model: type[P], response: httpx.Response, what: str) -> P:
        if not response.is_success:
            raise self._refusal(response, what, late=False)
        try:
            return read_answer(model, response.headers.get("content-type"), response.content)
        except Unreadable as error:
            raise ProviderError(
                f"{what}: HTTP {response.status_code}, but {error}. Check that the address is that of the API.",
                provider=PROVIDER,
                status=response.status_code,
            ) from error

    async def _send(self, request: encode.Request) -> httpx.Response:
        url = f"{self._config.api_url}/Accounts/{encode.segment(self._config.project)}/{request.encoded_path}"
        if request.query:
            url = f"{url}?{urlencode(request.query)}"
        headers = {"accept": "application/json"}
        content = None
        if request.method == "POST":
            headers["content-type"] = "application/x-www-form-urlencoded"
            content = urlencode(request.form).encode("ascii")
        sent = self._client.build_request(request.method, url, content=content, headers=headers)
        return await send(self._client, sent, provider=PROVIDER)

    def _refusal(self, response: httpx.Response, what: str, *, late: bool) -> ProviderError:
        """Return the error that the answer means: by its HTTP status first, by its code second, by its text never."""
        error = decode_error(response.content)
        status = response.status_code
        said = f"{what}: {_words(response, error)}"
        if late and (status in _TOO_LATE or (status in (400, 422) and error.code in _WRONG_STATE)):
            return TooLate(said, provider=PROVIDER, code=error.code, status=status)
        if status in (400, 422) and error.code == _TOO_MANY_QUEUED:
            return RateLimited(said, provider=PROVIDER, code=error.code, status=status)
        return refusal(
            response,
            provider=PROVIDER,
            what=what,
            code=error.code,
            message=error.message,
            now=self._host.clock.now(),
        )

    def _report(self, report: CallReport) -> None:
        self._remember(report)
        self._host.report(report)

    def _remember(self, report: CallReport) -> None:
        """Keep how far the call was last seen, because its two words for hanging up depend on it."""
        if report.ref is None or report.state in (None, CallState.UNKNOWN):
            return
        seen = self._seen.pop(report.ref, CallState.UNKNOWN)
        if report.state is CallState.ENDED:
            return
        self._seen[report.ref] = report.state if report.state.rank > seen.rank else seen
        if len(self._seen) > _MAX_SEEN:
            del self._seen[next(iter(self._seen))]

    def _on_voice(self, fields: Pairs, tokens: dict[str, str]) -> WebResponse:
        """Answer the request for a document: one that keeps our own calls open, for it leads back here when it ends."""
        callback = read_callback(StatusCallback, fields)
        if callback.direction == "inbound":
            return WebResponse(body=_REJECT, content_type=_XML)
        token = tokens.get("call")
        if callback.parent_call_sid is None:
            self._report(decode_status(callback, as_of=self._host.stamp(), call_id=token))
        again = self._host.url("voice", **({"call": token} if token is not None else {}))
        redirect = f"<Redirect>{escape(again)}</Redirect>" if again is not None else ""
        verb = self._verbs.get(tokens.get("command", ""), "")
        document = f'<?xml version="1.0" encoding="UTF-8"?><Response>{verb}<Pause length="3600"/>{redirect}</Response>'
        return WebResponse(body=document.encode(), content_type=_XML)

    def _on_status(self, fields: Pairs, tokens: dict[str, str]) -> WebResponse:
        callback = read_callback(StatusCallback, fields)
        if callback.parent_call_sid is None:
            self._report(decode_status(callback, as_of=self._host.stamp(), call_id=tokens.get("call")))
        return WebResponse(status=204)

    def _on_stream(self, fields: Pairs, tokens: dict[str, str]) -> WebResponse:
        callback = read_callback(StreamCallback, fields)
        report = decode_stream_event(
            callback, as_of=self._host.stamp(), call_id=tokens.get("call"), command_id=tokens.get("command")
        )
        self._report(report)
        return WebResponse(status=204)


def _fields(request: WebRequest) -> Pairs:
    if request.method == "GET":
        return form_pairs(request.query)
    return json_pairs(request.body) if is_json(request.headers.get("content-type")) else form_pairs(request.body)


def _words(response: httpx.Response, error: ErrorAnswer) -> str:
    return " ".join(part for part in (f"HTTP {response.status_code}", error.code, error.message) if part)
