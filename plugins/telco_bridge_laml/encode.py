"""Commands as requests of the Compatibility API: pure, and refused here where the carrier would have to refuse them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Protocol, cast
from urllib.parse import quote

from telco_bridge.provider import (
    CallState,
    Channels,
    Command,
    ConfigError,
    Dial,
    HangUp,
    MediaDirection,
    MediaEndpoint,
    Modality,
    PauseRecording,
    Refused,
    ResumeRecording,
    StartMedia,
    StartRecording,
    StopMedia,
    StopRecording,
    StreamTarget,
    Unsupported,
)

from .config import LamlConfig, is_dialable, stream_url_problem
from .documents import Verb, connect_stream
from .wire import Pairs

__all__ = [
    "EVENTS",
    "PublicUrl",
    "Request",
    "connection",
    "delete_recording",
    "dial",
    "end_words",
    "fetch",
    "hang_up",
    "list_calls",
    "read",
    "read_recording",
    "recording_action",
    "recording_file",
    "segment",
    "start",
    "start_recording",
    "stop",
    "tell",
]

EVENTS = ("initiated", "ringing", "answered", "completed")
"""The progress events that a dial subscribes to; the last one stands for every end."""

MAX_PAGE_SIZE = 1000

_MAX_RING = 600
_PARAMETER = re.compile(r"[A-Z][A-Za-z0-9]*(\.[A-Z][A-Za-z0-9]*)?", re.ASCII)
_DOCUMENTS = ("Url", "ApplicationSid", "Laml", "Twiml")
_OURS_OF_DIAL = frozenset({"To", "From", "Timeout", "StatusCallback", "StatusCallbackEvent"})
_OURS_OF_START = frozenset({"Url", "Name", "StatusCallback"})
_OURS_OF_UPDATE = frozenset({"Status"})
_OURS_OF_RECORDING = frozenset(
    {"RecordingChannels", "RecordingStatusCallback", "RecordingStatusCallbackMethod", "RecordingStatusCallbackEvent"}
)
_CHANNELS = {Channels.MIXED: "mono", Channels.SEPARATE: "dual"}
_RECORDING_STATUS: dict[type[Command], str] = {
    PauseRecording: "paused",
    ResumeRecording: "in-progress",
    StopRecording: "stopped",
}
_NO_PUBLIC_URL = (
    "the carrier cannot bring audio here: it must reach the bridge from outside. Set web.public_url, and web.listen or "
    "mount bridge.asgi"
)
_BEFORE_THE_ANSWER = (CallState.QUEUED, CallState.DIALING, CallState.RINGING)


class PublicUrl(Protocol):
    """Makes public addresses of the bridge's own paths; None where it has no public URL."""

    def __call__(self, path: str, **query: str) -> str | None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A request below the project's account: path parts not yet encoded, query and form as pairs."""

    method: str
    path: tuple[str, ...]
    query: Pairs = ()
    form: Pairs = field(default=(), repr=False)
    suffix: str = ""
    """What chooses the representation, such as `.json`."""

    @property
    def encoded_path(self) -> str:
        """The parts, each percent-encoded whole."""
        return "/".join(segment(part) for part in self.path)


def segment(identity: str) -> str:
    """Return an identity as one part of a path: it is opaque, and must not climb out of its place."""
    return quote(identity, safe="").replace(".", "%2E")


def dial(command: Dial, config: LamlConfig, url: PublicUrl) -> Request:
    """Return the request that places the call.

    Raises `Unsupported` for media of the application's own, `Refused` for addresses and times that the carrier does not
    take, `ConfigError` where a setting that it needs is missing.
    """
    if command.offer is not None or command.modalities != frozenset({Modality.AUDIO}):
        raise Unsupported("the carrier dials with audio of its own only: leave out `offer` and `modalities`")
    if not is_dialable(command.to):
        raise _refused(f"cannot dial {command.to!r}: the carrier takes +15551234567 (E.164) or sip:user@host")
    caller = command.caller_id or config.caller_id
    if caller is None:
        raise ConfigError("the carrier needs a number to call from: set `caller_id`, or give it with the dial")
    if not is_dialable(caller):
        raise _refused(f"cannot call from {caller!r}: the carrier takes +15551234567 (E.164) or sip:user@host")
    extras = _extras(command, ours=_OURS_OF_DIAL)
    form = [("To", command.to), ("From", caller)]
    if not any(name in _DOCUMENTS for name, _ in extras):
        form.append(("Url", _document(command, config, url)))
    callback = _callback(url("status", call=command.id))
    if callback:
        form += [*callback, *(("StatusCallbackEvent", event) for event in EVENTS)]
    if command.ring_timeout is not None:
        form.append(("Timeout", _ring_seconds(command.ring_timeout)))
    return Request(method="POST", path=("Calls",), form=(*form, *extras))


def end_words(state: CallState | None) -> tuple[str, str]:
    """Return the status that ends a call last seen in this state, and the one to try where that is refused.

    SignalWire documents `canceled` for queued and ringing calls alone, and `completed` for all.
    """
    return ("canceled", "completed") if state in _BEFORE_THE_ANSWER else ("completed", "canceled")


def hang_up(command: HangUp, *, status: str) -> Request:
    """Return the request that ends the call by this status."""
    extras = _extras(command, ours=_OURS_OF_UPDATE)
    return Request(method="POST", path=("Calls", _ref(command)), form=(("Status", status), *extras))


def start(command: StartMedia, config: LamlConfig, url: PublicUrl) -> Request:
    """Return the request that copies the call's audio to a WebSocket.

    Raises `Unsupported` for other media, for audio towards the call, and where nobody said where to send it;
    `ConfigError` where it cannot come to the bridge; `Refused` for an address that the carrier does not take.
    """
    if command.modality is not Modality.AUDIO or command.offer is not None:
        raise Unsupported("the carrier starts audio only, and without an SDP offer")
    if command.direction not in (None, MediaDirection.UNKNOWN, MediaDirection.RECEIVE):
        raise Unsupported(
            f"a stream started in a LaML call is a copy of its audio, so it cannot {command.direction}; "
            "leave out `direction`, or use call.audio(direction='both')"
        )
    to, bearer = _far_end(command, config)
    problem = stream_url_problem(to)
    if problem is not None:
        raise _refused(f"cannot copy audio there: the address {problem}")
    extras = _extras(command, ours=_OURS_OF_START)
    form = [("Url", to), ("Name", command.stream_name or command.id)]
    if bearer is not None and config.dialect.bearer_parameter is not None:
        form.append((config.dialect.bearer_parameter, bearer))
    if not any(name == "Track" for name, _ in extras):
        # Its default differs between the REST API and cXML, so it is always said.
        form.append(("Track", "both_tracks"))
    form += _callback(url("stream", call=command.call, command=command.id))
    return Request(method="POST", path=("Calls", _ref(command), "Streams"), form=(*form, *extras))


def connection(command: StartMedia, endpoint: MediaEndpoint, config: LamlConfig, url: PublicUrl) -> Verb:
    """Return the verb that connects the call with the endpoint, both ways.

    Raises `ConfigError` where the carrier cannot reach the bridge, `Refused` for native parameters, which a document
    has no place for.
    """
    callback = url("stream", call=command.call, command=command.id)
    if endpoint.url is None or callback is None:
        raise ConfigError(_NO_PUBLIC_URL)
    problem = stream_url_problem(endpoint.url)
    if problem is not None:
        raise _refused(f"cannot connect audio there: the address {problem}; set web.public_url to an https address")
    if command.native:
        raise _refused("audio in both directions takes no native parameters: it is made by a document, not a request")
    return connect_stream(
        url=endpoint.url,
        name=command.stream_name or command.id,
        **config.dialect.two_way(endpoint),
        statusCallback=callback,
    )


def fetch(asked: Command, url: PublicUrl, **tokens: str) -> Request:
    """Return the request that lets the call go on with another document of the bridge's, at once.

    Raises `ConfigError` where the carrier cannot reach the bridge.
    """
    document = url("voice", call=asked.call, **tokens)
    if document is None:
        raise ConfigError(
            f"{asked.name}: the carrier must fetch a document from the bridge for it: set web.public_url, and "
            "web.listen or mount bridge.asgi"
        )
    return Request(method="POST", path=("Calls", _ref(asked)), form=(("Url", document), ("Method", "POST")))


def tell(sid: str, callback: str) -> Request:
    """Return the request that lets a call tell that address of its end."""
    return Request(method="POST", path=("Calls", sid), form=(("StatusCallback", callback),))


def start_recording(command: StartRecording, url: PublicUrl) -> Request:
    """Return the request that records the call. What has other defaults elsewhere in the API is always said."""
    extras = _extras(command, ours=_OURS_OF_RECORDING)
    form = [("RecordingChannels", _CHANNELS[command.channels])]
    if not any(name == "RecordingTrack" for name, _ in extras):
        form.append(("RecordingTrack", "both"))
    if not any(name == "Trim" for name, _ in extras):
        form.append(("Trim", "do-not-trim"))
    callback = url("recording", call=command.call, command=command.id)
    if callback is not None:
        form += [
            ("RecordingStatusCallback", callback),
            ("RecordingStatusCallbackEvent", "in-progress completed absent"),
        ]
    return Request(method="POST", path=("Calls", _ref(command), "Recordings"), form=(*form, *extras))


def recording_action(command: PauseRecording | ResumeRecording | StopRecording) -> Request:
    """Return the request that pauses, resumes or stops a recording."""
    extras = _extras(command, ours=_OURS_OF_UPDATE)
    status = _RECORDING_STATUS[type(command)]
    path = ("Calls", _ref(command), "Recordings", command.slot)
    return Request(method="POST", path=path, form=(("Status", status), *extras))


def read_recording(sid: str) -> Request:
    """Return the request for what is known of a recording: without the suffix, the carrier sends the sound itself."""
    return Request(method="GET", path=("Recordings", sid), suffix=".json")


def recording_file(sid: str) -> Request:
    """Return the request for the sound of a recording."""
    return Request(method="GET", path=("Recordings", sid), suffix=".wav")


def delete_recording(sid: str) -> Request:
    """Return the request that deletes a recording."""
    return Request(method="DELETE", path=("Recordings", sid))


def stop(command: StopMedia, stream: StreamTarget) -> Request:
    """Return the request that stops this one stream of the command's. Raises `Unsupported` for other media."""
    if stream.modality not in (Modality.AUDIO, Modality.UNKNOWN):
        raise Unsupported(f"a LaML call has no {stream.modality} to stop")
    extras = _extras(command, ours=_OURS_OF_UPDATE)
    path = ("Calls", _ref(command), "Streams", stream.id.slot)
    return Request(method="POST", path=path, form=(("Status", "stopped"), *extras))


def read(ref: str) -> Request:
    """Return the request for one call."""
    return Request(method="GET", path=("Calls", ref))


def list_calls(*, status: str | None = None, page_size: int = MAX_PAGE_SIZE) -> Request:
    """Return the request for the first page of the calls, of those in one status where it is given."""
    wanted = (("Status", status),) if status is not None else ()
    return Request(method="GET", path=("Calls",), query=(*wanted, ("PageSize", str(page_size))))


def _far_end(command: StartMedia, config: LamlConfig) -> tuple[str, str | None]:
    """Where the audio goes, and the token that is shown there."""
    endpoint = command.endpoint
    if endpoint is not None and endpoint.required and endpoint.url is None:
        raise ConfigError(_NO_PUBLIC_URL)
    elsewhere = command.to or config.stream_url
    if endpoint is not None and endpoint.url is not None and (endpoint.required or elsewhere is None):
        return endpoint.url, endpoint.bearer.get_secret_value()
    if elsewhere is None:
        raise Unsupported(
            "the carrier copies audio to a WebSocket server: give its address as `to`, set `stream_url`, or give the "
            "bridge a public URL, so that the audio comes to the application itself"
        )
    return elsewhere, None


def _refused(message: str) -> Refused:
    return Refused(message)


def _ref(command: Command) -> str:
    if command.ref is None:
        raise _refused(f"{command.name} of {command.call}: the carrier has not named the call yet")
    return command.ref


def _document(command: Dial, config: LamlConfig, url: PublicUrl) -> str:
    document = url("voice", call=command.id) or config.document_url
    if document is None:
        raise ConfigError(
            "the carrier fetches a document when a call is answered, and hangs up without one: give the bridge a "
            "public URL, or set `document_url` to a document that keeps the call open"
        )
    return document


def _callback(address: str | None) -> Sequence[tuple[str, str]]:
    return [("StatusCallback", address)] if address is not None else []


def _ring_seconds(ring_timeout: float) -> str:
    if not (1 <= ring_timeout <= _MAX_RING and float(ring_timeout).is_integer()):
        raise _refused(f"ring_timeout is {ring_timeout}: the carrier takes whole seconds from 1 to {_MAX_RING}")
    return str(int(ring_timeout))


def _extras(command: Command, *, ours: frozenset[str]) -> Pairs:
    """The command's native parameters as pairs. Values are never quoted in errors: some are secret."""
    pairs: list[tuple[str, str]] = []
    for name, value in command.native.items():
        if _PARAMETER.fullmatch(name) is None:
            raise _refused(f"native parameter {name!r}: LaML's names are in PascalCase, such as MachineDetection")
        if name in ours:
            raise _refused(f"native parameter {name}: the bridge sets it itself on {command.name}")
        values = cast("Iterable[object]", value) if isinstance(value, list | tuple) else (value,)
        pairs += [(name, _parameter(name, one)) for one in values]
    return tuple(pairs)


def _parameter(name: str, value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str | int | float):
        return str(value)
    raise _refused(f"native parameter {name}: {type(value).__name__} is neither text, number nor boolean, nor a list")
