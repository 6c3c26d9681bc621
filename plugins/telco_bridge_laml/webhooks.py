"""What the carrier sends to the bridge: checked, read, told to the host, and answered."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable

import anyio

from telco_bridge.provider import (
    CallReport,
    CommandDone,
    CommandFailed,
    DigitHeard,
    Fact,
    Host,
    ProviderError,
    Source,
    WebRequest,
    WebResponse,
)

from . import encode
from .api import Api
from .config import LamlConfig
from .decode import (
    decode_invitation,
    decode_recording_event,
    decode_status,
    decode_stream_event,
    transfer_failure,
)
from .documents import XML, Verb, document, hangup, redirect
from .ringing import Ringing
from .scripts import Scripts
from .wire import (
    CallResource,
    ConferenceCallback,
    DocumentRequest,
    Pairs,
    RecordingCallback,
    StatusCallback,
    StreamCallback,
    Unreadable,
    form_pairs,
    is_json,
    json_pairs,
    read_callback,
)

__all__ = ["Webhooks"]

_log = logging.getLogger("telco_bridge")

_PARKED = 3.0
"""Seconds that a request waits for a decision: the carrier gives up an answer that takes 5."""

_SHORT = 1.0
"""Seconds that asking for more may take, while the carrier waits for the answer."""

_LOUD = 60.0
"""Seconds between two warnings of refused requests: whoever forges them must not fill the log."""

Tokens = dict[str, str]


class Webhooks:
    """The requests of one project. `report` is told of every fact."""

    def __init__(
        self,
        *,
        config: LamlConfig,
        host: Host,
        api: Api,
        scripts: Scripts,
        ringing: Ringing,
        report: Callable[[Fact], None],
    ) -> None:
        self._config = config
        self._host = host
        self._api = api
        self._scripts = scripts
        self._ringing = ringing
        self._report = report
        self._keys = config.signing_keys
        self._warned_at = float("-inf")
        self._answers: dict[str, Callable[[Pairs, Tokens], WebResponse | Awaitable[WebResponse]]] = {
            "voice": self._on_voice,
            "status": self._on_status,
            "stream": self._on_stream,
            "recording": self._on_recording,
            "conference": self._on_conference,
        }

    async def receive(self, request: WebRequest) -> WebResponse:
        """Answer a request, whose signature is checked before anything of it is read."""
        answer = self._answers.get(request.path.strip("/"))
        if answer is None:
            return WebResponse(status=404)
        if request.method not in ("GET", "POST"):
            return WebResponse(status=405, headers={"allow": "GET, POST"})
        if not self._config.dialect.is_signed(request, self._keys):
            self._warn(request)
            return WebResponse(status=403, body=b"the signature is missing or wrong")
        try:
            answered = answer(_fields(request), dict(form_pairs(request.query)))
            return answered if isinstance(answered, WebResponse) else await answered
        except Unreadable as error:
            return WebResponse(status=400, body=str(error).encode())

    def _warn(self, request: WebRequest) -> None:
        now = self._host.clock.now()
        if now - self._warned_at < _LOUD:
            return
        self._warned_at = now
        _log.warning(
            "%s: a request to /%s was refused: its signature is missing or wrong. If %s sent it, "
            "`telco-bridge doctor webhook` says why",
            self._config.dialect.provider,
            request.path.strip("/"),
            self._config.dialect.title,
        )

    async def _on_voice(self, fields: Pairs, tokens: Tokens) -> WebResponse:
        """Give a call its document: what was asked of it, or what keeps it open, for that leads back here."""
        callback = read_callback(StatusCallback, fields)
        call = tokens.get("call")
        if callback.direction == "inbound" and call is None:
            return await self._invited(callback)
        if callback.parent_call_sid is None:
            self._report(decode_status(callback, as_of=self._host.stamp(), call_id=call))
        found = read_callback(DocumentRequest, fields)
        if "over" in tokens:
            return _document(*self._passed_on(callback, found, tokens["over"], call))
        if "done" in tokens:
            self._report(CommandDone(as_of=self._host.stamp(), ref=callback.sid, command_id=tokens["done"]))
        if "keys" in tokens:
            for digit in found.digits or "":
                self._report(DigitHeard(as_of=self._host.stamp(), ref=callback.sid, digit=digit))
        return _document(*self._scripts.of(tokens.get("command"), call))

    def _passed_on(
        self, callback: StatusCallback, found: DocumentRequest, command_id: str, call: str | None
    ) -> tuple[Verb, ...]:
        """Somebody else had, or should have had, the call: it ends if they had it, and otherwise is ours again."""
        cause = transfer_failure(found)
        as_of = self._host.stamp()
        if cause is None:
            self._report(CommandDone(as_of=as_of, ref=callback.sid, command_id=command_id))
            return (hangup(),)
        self._report(CommandFailed(as_of=as_of, ref=callback.sid, command_id=command_id, cause=cause))
        return self._scripts.keep_open(call)

    async def _invited(self, callback: StatusCallback) -> WebResponse:
        """Let a call ring until the application, or the deadline, has decided about it."""
        sid = callback.sid
        if sid not in self._ringing:
            decide_by = self._ringing.invite(sid)
            await self._ask_to_be_told(sid)
            self._report(decode_invitation(callback, as_of=self._host.stamp(), decide_by=decide_by))
        verbs = await self._ringing.decision(sid, within=_PARKED)
        if verbs is None:
            # It goes on ringing meanwhile, because nothing in this document answers it.
            return _document(redirect(self._host.url("voice") or ""))
        return _document(*verbs)

    async def _ask_to_be_told(self, sid: str) -> None:
        """Let the call tell of its end: a phone number's own callback does not tell of every one."""
        callback = self._host.url("status")
        if callback is None:
            return
        try:
            with anyio.move_on_after(_SHORT):
                await self._api.command_to(CallResource, encode.tell(sid, callback), f"watching call {sid}", of=sid)
        except ProviderError as error:
            _log.info("%s: call %s will be watched by reads alone: %s", self._config.dialect.provider, sid, error)

    def _on_status(self, fields: Pairs, tokens: Tokens) -> WebResponse:
        callback = read_callback(StatusCallback, fields)
        if "over" in tokens:
            if callback.status == "in-progress":
                # The leg of whoever the call was passed on to has been answered.
                done = CommandDone(as_of=self._host.stamp(), ref=callback.parent_call_sid, command_id=tokens["over"])
                self._report(done)
        elif callback.parent_call_sid is None:
            self._report(decode_status(callback, as_of=self._host.stamp(), call_id=tokens.get("call")))
        return WebResponse(status=204)

    def _on_stream(self, fields: Pairs, tokens: Tokens) -> WebResponse:
        callback = read_callback(StreamCallback, fields)
        report = decode_stream_event(
            callback, as_of=self._host.stamp(), call_id=tokens.get("call"), command_id=tokens.get("command")
        )
        self._report(report)
        return WebResponse(status=204)

    def _on_recording(self, fields: Pairs, tokens: Tokens) -> WebResponse:
        callback = read_callback(RecordingCallback, fields)
        self._report(decode_recording_event(callback, as_of=self._host.stamp(), command_id=tokens.get("command")))
        return WebResponse(status=204)

    def _on_conference(self, fields: Pairs, tokens: Tokens) -> WebResponse:
        callback = read_callback(ConferenceCallback, fields)
        held = {"participant-join": True, "participant-leave": False}.get(callback.event)
        if held is not None and callback.call_sid and callback.name == f"hold-{tokens.get('call')}":
            as_of = self._host.stamp()
            self._report(CallReport(source=Source.PUSH, as_of=as_of, ref=callback.call_sid, held=held))
        return WebResponse(status=204)


def _document(*verbs: Verb) -> WebResponse:
    return WebResponse(body=document(*verbs), content_type=XML)


def _fields(request: WebRequest) -> Pairs:
    if request.method == "GET":
        return form_pairs(request.query)
    return json_pairs(request.body) if is_json(request.headers.get("content-type")) else form_pairs(request.body)
