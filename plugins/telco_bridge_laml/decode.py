"""What the carrier says, as facts: pure, and total over everything that `wire` lets through."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

from telco_bridge.provider import (
    CallReport,
    CallState,
    Cause,
    Dialled,
    Invitation,
    MediaDirection,
    Modality,
    Origin,
    Party,
    RecordingReport,
    RecordingState,
    Source,
    StreamReport,
    StreamState,
    Transport,
)

from .wire import (
    CallResource,
    DocumentRequest,
    RecordingCallback,
    RecordingResource,
    StatusCallback,
    StreamCallback,
    StreamResource,
    Unreadable,
    json_value,
)

__all__ = [
    "CALL",
    "STREAM",
    "ErrorAnswer",
    "decode_call",
    "decode_error",
    "decode_invitation",
    "decode_recording",
    "decode_recording_event",
    "decode_status",
    "decode_stream",
    "decode_stream_event",
    "ended_stream",
    "transfer_failure",
]

CALL = "laml.call"
"""The dialect of call statuses, with their SIP codes."""

STREAM = "laml.stream"
"""The dialect of `StreamEvent` and `StreamError`."""

_CALL_STATES = {
    "queued": CallState.QUEUED,
    "initiated": CallState.DIALING,
    "ringing": CallState.RINGING,
    "in-progress": CallState.CONNECTED,
    "completed": CallState.ENDED,
    "busy": CallState.ENDED,
    "no-answer": CallState.ENDED,
    "failed": CallState.ENDED,
    "canceled": CallState.ENDED,
}

_ANSWERED = {
    "in-progress": True,
    "completed": True,
    "busy": False,
    "no-answer": False,
    "failed": False,
    "canceled": False,
}

_STREAM_STATES = {
    "queued": StreamState.STARTING,
    "in-progress": StreamState.ACTIVE,
    "stopped": StreamState.ENDED,
    "stream-started": StreamState.ACTIVE,
    "stream-stopped": StreamState.ENDED,
    "stream-error": StreamState.ENDED,
}

_RECORDING_STATES = {
    "queued": RecordingState.STARTING,
    "in-progress": RecordingState.RECORDING,
    "resumed": RecordingState.RECORDING,
    "paused": RecordingState.PAUSED,
    "stopped": RecordingState.STOPPED,
    "completed": RecordingState.COMPLETED,
    "absent": RecordingState.ABSENT,
    "failed": RecordingState.FAILED,
}

_MAX_CODE = 64


@dataclass(frozen=True, slots=True)
class ErrorAnswer:
    """What an error body says: the first code, as text whatever its type was, and every message."""

    code: str | None = None
    messages: tuple[str, ...] = ()

    @property
    def message(self) -> str:
        """All messages in one line."""
        return " ".join(" ".join(text.split()) for text in self.messages)

    @property
    def empty(self) -> bool:
        """Whether the body said nothing, as that of a gateway does."""
        return self.code is None and not self.messages


def decode_call(resource: CallResource, *, source: Source, as_of: float, command_id: str | None = None) -> CallReport:
    """Return what a Call object says."""
    origin, remote, local = _ends(resource.direction, resource.to, resource.from_, resource.caller_name)
    state = _CALL_STATES.get(resource.status, CallState.UNKNOWN)
    cause = None
    if state is CallState.ENDED:
        cause = _cause(resource.status, resource.sip_result_code, None, {})
    return CallReport(
        source=source,
        as_of=as_of,
        ref=resource.sid,
        command_id=command_id,
        origin=origin,
        state=state,
        native_state=resource.status if state is CallState.UNKNOWN else None,
        answered=_ANSWERED.get(resource.status),
        remote=remote,
        local=local,
        cause=cause,
        native=resource.raw,
    )


def decode_invitation(callback: StatusCallback, *, as_of: float, decide_by: float) -> CallReport:
    """Return that somebody calls one of the project's numbers, as the request for a document says it."""
    _, remote, local = _ends("inbound", callback.to, callback.from_, None)
    return CallReport(
        source=Source.PUSH,
        as_of=as_of,
        ref=callback.sid,
        origin=Invitation(),
        state=_CALL_STATES.get(callback.status, CallState.RINGING),
        remote=remote,
        local=local,
        decide_by=decide_by,
        native=callback.raw,
    )


def decode_status(callback: StatusCallback, *, as_of: float, call_id: str | None) -> CallReport:
    """Return what a status callback says. `call_id` is the token that our own URL carried, None where it had none.

    A callback alone never opens an inbound call: those are told of by the request for their document.
    """
    origin, remote, local = _ends(callback.direction, callback.to, callback.from_, None)
    state = _CALL_STATES.get(callback.status, CallState.UNKNOWN)
    cause = None
    if state is CallState.ENDED:
        said = {"HangupDirection": callback.hangup_direction, "HangupBy": callback.hangup_by}
        cause = _cause(callback.status, callback.sip_result_code, callback.sip_phrase, said)
    return CallReport(
        source=Source.PUSH,
        as_of=as_of,
        ref=callback.sid,
        command_id=call_id,
        origin=origin if isinstance(origin, Dialled) else None,
        state=state,
        native_state=callback.status if state is CallState.UNKNOWN else None,
        answered=_ANSWERED.get(callback.status),
        remote=remote,
        local=local,
        cause=cause,
        native=callback.raw,
    )


def decode_stream(
    resource: StreamResource, *, ref: str, as_of: float, observable: bool, command_id: str | None = None
) -> CallReport:
    """Return what the answer to a start (`command_id`) or to a stop says of one stream of the call `ref`.

    `observable` is False where no callbacks come: this API cannot read streams, so nothing would ever tell.
    """
    state = _STREAM_STATES.get(resource.status, StreamState.UNKNOWN)
    stream = StreamReport(
        slot=resource.sid,
        life=1,
        command_id=command_id,
        modality=Modality.AUDIO,
        transport=Transport.WEBSOCKET,
        direction=MediaDirection.RECEIVE,
        name=resource.name,
        state=state,
        native_state=resource.status if state is StreamState.UNKNOWN else None,
        observable=observable,
    )
    return CallReport(source=Source.ANSWER, as_of=as_of, ref=ref, streams=(stream,))


def ended_stream(sid: str, *, ref: str, as_of: float) -> CallReport:
    """Return that a stream of the call `ref` runs no more, for an answer that does not know it."""
    stream = StreamReport(slot=sid, life=1, state=StreamState.ENDED)
    return CallReport(source=Source.ANSWER, as_of=as_of, ref=ref, streams=(stream,))


def decode_stream_event(
    callback: StreamCallback, *, as_of: float, call_id: str | None, command_id: str | None
) -> CallReport:
    """Return what a stream callback says. The tokens are those that our own URL carried.

    Raises `Unreadable` where neither the callback nor `call_id` says which call it is about.
    """
    if not callback.call_sid and not call_id:
        raise Unreadable("neither CallSid nor our own token says which call it is about")
    state = _STREAM_STATES.get(callback.event, StreamState.UNKNOWN)
    cause = None
    if state is StreamState.ENDED:
        detail = {"StreamEvent": callback.event}
        cause = Cause(dialect=STREAM, code=callback.error or callback.event, detail=detail)
    stream = StreamReport(
        slot=callback.sid,
        life=1,
        command_id=command_id,
        modality=Modality.AUDIO,
        transport=Transport.WEBSOCKET,
        name=callback.name,
        state=state,
        native_state=callback.event if state is StreamState.UNKNOWN else None,
        cause=cause,
    )
    return CallReport(source=Source.PUSH, as_of=as_of, ref=callback.call_sid, command_id=call_id, streams=(stream,))


def decode_recording(
    resource: RecordingResource, *, call: str | None, source: Source, as_of: float, command_id: str | None = None
) -> RecordingReport:
    """Return what a Recording object says. `call` is the SID of the call it was asked for."""
    state = _RECORDING_STATES.get(resource.status, RecordingState.UNKNOWN)
    return RecordingReport(
        source=source,
        as_of=as_of,
        slot=resource.sid,
        ref=resource.call_sid or call,
        command_id=command_id,
        state=state,
        native_state=resource.status if state is RecordingState.UNKNOWN else None,
        seconds=_number(resource.duration),
        channels=_count(resource.channels),
        error=resource.error_code,
    )


def decode_recording_event(callback: RecordingCallback, *, as_of: float, command_id: str | None) -> RecordingReport:
    """Return what a recording callback says. Raises `Unreadable` where nothing says which call it is about.

    Its beginning is told, pauses are not: one that is told late must not make a recording that is paused go on.
    """
    if not callback.call_sid and not command_id:
        raise Unreadable("neither CallSid nor our own token says which call it is about")
    state = _RECORDING_STATES.get(callback.status, RecordingState.UNKNOWN)
    return RecordingReport(
        source=Source.PUSH,
        as_of=0.0 if state is RecordingState.RECORDING else as_of,
        slot=callback.sid,
        ref=callback.call_sid,
        command_id=command_id,
        state=state,
        native_state=callback.status if state is RecordingState.UNKNOWN else None,
        seconds=_number(callback.duration),
        channels=_count(callback.channels),
        url=callback.url,
    )


def transfer_failure(request: DocumentRequest) -> Cause | None:
    """Return why nobody took a call that was to be transferred; None where somebody did.

    Where nothing is said of it, nobody is known to have taken it.
    """
    status = request.dial_status or request.refer_status
    if status in ("completed", "answered", "in-progress"):
        return None
    return _cause(status, request.dial_sip or request.refer_sip, None, {})


def decode_error(body: bytes) -> ErrorAnswer:
    """Return what an error body says, in any of the shapes that SignalWire documents; nothing for any other body."""
    try:
        value = json_value(body)
    except Unreadable:
        return ErrorAnswer()
    if not isinstance(value, Mapping):
        return ErrorAnswer()
    top = cast("Mapping[str, object]", value)
    listed = top.get("errors")
    entries = [top, *cast("list[object]", listed)] if isinstance(listed, list) else [top]
    code: str | None = None
    messages: list[str] = []
    for entry in entries:
        message: object = entry
        if isinstance(entry, Mapping):
            fields = cast("Mapping[str, object]", entry)
            code = code if code is not None else _code(fields.get("code"))
            message = fields.get("message")
        if isinstance(message, str) and message.strip():
            messages.append(message)
    return ErrorAnswer(code, tuple(messages))


def _number(text: str | None) -> float | None:
    """A number of seconds; None for what is none, such as the -1 of a recording that is not ready."""
    try:
        value = float(text) if text is not None else -1.0
    except ValueError:
        return None
    return value if 0 <= value < float("inf") else None


def _count(text: str | None) -> int | None:
    return int(text) if text is not None and text.isascii() and text.isdigit() and len(text) <= 3 else None


def _code(value: object) -> str | None:
    """A code as text: `21717` and `"21717"` are the same."""
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 10**_MAX_CODE:
        return str(value)
    if isinstance(value, str) and 0 < len(value.strip()) <= _MAX_CODE:
        return value.strip()
    return None


def _ends(
    direction: str | None, to: str | None, from_: str | None, caller_name: str | None
) -> tuple[Origin | None, Party | None, Party | None]:
    """Who started the call, its far end and ours; nothing where the direction is unsaid.

    REST says `outbound`, callbacks say `outbound-api` or `outbound-dial`.
    """
    if direction == "inbound":
        remote = Party(from_, caller_name) if from_ is not None else None
        return Invitation(), remote, _party(to)
    if direction is not None and direction.partition("-")[0] == "outbound":
        return Dialled(), _party(to), _party(from_)
    return None, None, None


def _party(address: str | None) -> Party | None:
    return Party(address) if address is not None else None


def _cause(status: str | None, sip: str | None, phrase: str | None, said: Mapping[str, str | None]) -> Cause:
    detail = {name: value for name, value in said.items() if value is not None}
    number = int(sip) if sip is not None and len(sip) == 3 and sip.isascii() and sip.isdigit() else None
    if number is None and sip is not None:
        detail["SipResultCode"] = sip
    return Cause(dialect=CALL, code=status, text=phrase, sip=number, detail=detail)
