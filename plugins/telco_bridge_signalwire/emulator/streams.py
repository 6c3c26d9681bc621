"""Streams: copies of a call's audio, sent over a WebSocket to the application."""

from __future__ import annotations

import asyncio
import ssl
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidURI

from telco_bridge.sandbox.emulator import Fault

from .callbacks import Callback, Lane
from .calls import Call
from .connection import MediaConnection
from .dates import iso8601, rfc2822
from .media import Codec
from .space import Space
from .webhooks import Webhook, without_query

__all__ = ["Stream", "StreamError", "StreamOrder", "StreamStatus", "Streams", "Track"]

_OPEN_TIMEOUT = 5.0
_CLOSE_TIMEOUT = 1.0
_LARGEST_MESSAGE = 16 * 1024 * 1024
"""SignalWire documents no limit; this one only protects the machine."""


class StreamStatus(StrEnum):
    """How far a stream has come."""

    QUEUED = "queued"
    IN_PROGRESS = "in-progress"
    STOPPED = "stopped"


class StreamError(StrEnum):
    """The words of the `stream-error` callback."""

    INVALID_URL = "invalid_url"
    MISSING_URL = "missing_url"
    INVALID_TRACK = "invalid_track"
    CODEC = "codec_error"
    CONNECTION_REFUSED = "connection_refused"
    TIMEOUT_OR_SSL = "connection_refused_timeout_or_ssl_error"
    GENERAL = "general_error"
    DUPLICATED_NAME = "Duplicated stream name"


class Track(StrEnum):
    """Which side of the call is copied."""

    INBOUND = "inbound_track"
    OUTBOUND = "outbound_track"
    BOTH = "both_tracks"

    @property
    def words(self) -> list[str]:
        """The tracks as the `start` message lists them."""
        return ["inbound", "outbound"] if self is Track.BOTH else [self.value.removesuffix("_track")]


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamOrder:
    """What was asked for. `operation` is what faults know it by."""

    operation: str
    url: str
    track: Track
    name: str | None = None
    callback: Webhook | None = None
    parameters: Mapping[str, str] = field(default_factory=dict[str, str])
    bearer: str | None = field(default=None, repr=False)
    codec: Codec = Codec.PCMU
    two_way: bool = False


@dataclass(slots=True, kw_only=True)
class Stream:
    """One stream of one call. The emulator's loop is its only writer."""

    sid: str
    call: Call
    order: StreamOrder
    lane: Lane
    updated: float
    status: StreamStatus = StreamStatus.QUEUED
    running: asyncio.Task[None] | None = None
    connection: MediaConnection | None = None

    @property
    def name(self) -> str:
        """The given name, else the SID."""
        return self.order.name or self.sid

    def resource(self, space: Space) -> dict[str, object]:
        """Return the stream as the API shows it."""
        return {
            "sid": self.sid,
            "account_sid": space.project,
            "call_sid": self.call.sid,
            "name": self.name,
            "status": self.status.value,
            "date_updated": rfc2822(self.updated),
            "uri": space.uri(f"Calls/{self.call.sid}/Streams/{self.sid}.json"),
        }


class Streams:
    """All streams of the project."""

    def __init__(self, space: Space) -> None:
        self._space = space
        self._of_call: dict[str, list[Stream]] = {}

    def start(self, call: Call, order: StreamOrder) -> Stream:
        """Begin to connect. A document's stream whose name is taken fails by callback."""
        if order.name is not None and self.taken(call, order.name):
            return self.refuse(call, order, StreamError.DUPLICATED_NAME)
        stream = self._add(call, order)
        stream.running = self._space.spawn(self._run(stream))
        return stream

    def refuse(self, call: Call, order: StreamOrder, error: StreamError) -> Stream:
        """Record a stream that fails at once."""
        stream = self._add(call, order)
        self._fail(stream, error)
        return stream

    def taken(self, call: Call, name: str) -> bool:
        """Whether a stream of the call that is not stopped has that name."""
        return any(s.name == name and s.status is not StreamStatus.STOPPED for s in self._of_call.get(call.sid, ()))

    def find(self, call: Call, key: str) -> Stream | None:
        """Return the stream of that SID, else the latest of that name."""
        streams = self._of_call.get(call.sid, [])
        for stream in streams:
            if stream.sid == key:
                return stream
        return next((stream for stream in reversed(streams) if stream.name == key), None)

    def stop(self, stream: Stream) -> None:
        """Stop the copy; the call goes on. Nothing happens to a stream that is stopped."""
        if stream.status is StreamStatus.STOPPED:
            return
        self._enter(stream, StreamStatus.STOPPED)
        if stream.connection is not None:
            self._note(stream, "WS stream stop", "closed")
            self._space.spawn(stream.connection.stop())
            return
        if stream.running is not None:
            stream.running.cancel()
        self._tell(stream, "stream-stopped")

    def stop_all(self, call: Call) -> None:
        """Stop every stream of the call."""
        for stream in self._of_call.get(call.sid, ()):
            self.stop(stream)

    def pressed(self, call: Call, digits: str) -> None:
        """The far end of the call has pressed keys."""
        for stream in self._of_call.get(call.sid, ()):
            if stream.status is StreamStatus.IN_PROGRESS and stream.connection is not None:
                self._space.spawn(stream.connection.pressed(digits))

    def _add(self, call: Call, order: StreamOrder) -> Stream:
        stream = Stream(
            sid=str(uuid.uuid4()), call=call, order=order, lane=Lane(self._space), updated=self._space.now()
        )
        self._of_call.setdefault(call.sid, []).append(stream)
        return stream

    def _enter(self, stream: Stream, status: StreamStatus) -> None:
        stream.status = status
        stream.updated = self._space.now()

    async def _run(self, stream: Stream) -> None:
        leg = stream.call.leg
        socket = await self._connect(stream) if leg is not None else None
        if socket is None or leg is None:
            return
        stream.connection = connection = MediaConnection(self._space, stream, leg, socket)
        self._enter(stream, StreamStatus.IN_PROGRESS)
        try:
            await connection.open()
            self._note(stream, "WS stream start", "connected")
            self._tell(stream, "stream-started")
            await connection.converse()
            broken = False
        except ConnectionClosed:
            broken = True
        finally:
            await connection.abandon()
        if stream.status is StreamStatus.STOPPED:
            self._tell(stream, "stream-stopped")
        elif broken:
            self._fail(stream, StreamError.GENERAL)
        else:
            self._enter(stream, StreamStatus.STOPPED)
            self._tell(stream, "stream-stopped")

    async def _connect(self, stream: Stream) -> ClientConnection | None:
        order = stream.order
        if self._space.faults.take(Fault.REFUSE_STREAM, order.operation) is not None:
            self._fail(stream, StreamError.CONNECTION_REFUSED)
            return None
        headers = {"Authorization": f"Bearer {order.bearer}"} if order.bearer else None
        try:
            return await connect(
                order.url,
                additional_headers=headers,
                open_timeout=_OPEN_TIMEOUT,
                close_timeout=_CLOSE_TIMEOUT,
                max_size=_LARGEST_MESSAGE,
                compression=None,
                proxy=None,
            )
        except (TimeoutError, ssl.SSLError):
            self._fail(stream, StreamError.TIMEOUT_OR_SSL)
        except (OSError, InvalidHandshake):
            self._fail(stream, StreamError.CONNECTION_REFUSED)
        except InvalidURI:
            self._fail(stream, StreamError.INVALID_URL)
        return None

    def _fail(self, stream: Stream, error: StreamError) -> None:
        self._enter(stream, StreamStatus.STOPPED)
        self._note(stream, "WS stream start", error)
        self._tell(stream, "stream-error", error)

    def _note(self, stream: Stream, line: str, answer: str) -> None:
        self._space.note(
            "provider",
            line,
            answer,
            CallSid=stream.call.sid,
            StreamSid=stream.sid,
            StreamName=stream.name,
            Url=without_query(stream.order.url),
        )

    def _tell(self, stream: Stream, event: str, error: StreamError | None = None) -> None:
        webhook = stream.order.callback
        if webhook is None:
            return
        fields = {
            "AccountSid": self._space.project,
            "CallSid": stream.call.sid,
            "StreamSid": stream.sid,
            "StreamName": stream.name,
            "StreamEvent": event,
            "StreamTrack": stream.order.track.value,
            "Timestamp": iso8601(self._space.now()),
            "Unique-ID": stream.call.sid,
        }
        if error is not None:
            fields["StreamError"] = error.value
        stream.lane.tell(Callback(name=f"callback {event}", webhook=webhook, fields=fields, word_field="StreamEvent"))
