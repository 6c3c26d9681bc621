"""Streams: copies of a call's audio, sent over a WebSocket to the application."""

from __future__ import annotations

import asyncio
import ssl
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidURI

from telco_bridge.sandbox.emulator import Fault
from telco_bridge.sandbox.exchange import Leg
from telco_bridge.sandbox.playout import Speaker

from .callbacks import Callback, Lane
from .connection import MediaConnection
from .dates import iso8601, rfc2822
from .media import Codec
from .space import Space
from .webhooks import Webhook, without_query

__all__ = ["Stream", "StreamError", "StreamOrder", "StreamStatus", "Streamed", "Streams", "Track"]

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


class Streamed(Protocol):
    """What streams copy the audio of: a call, or a conference."""

    @property
    def resource_word(self) -> str:
        """`Call` or `Conference`."""
        ...

    @property
    def sid(self) -> str: ...

    @property
    def leg(self) -> Leg | None:
        """Whose far end speaks on the inbound track; None where nobody does."""
        ...

    @property
    def speaker(self) -> Speaker:
        """What plays the outbound track."""
        ...


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
    """One stream of one call or conference. The emulator's loop is its only writer."""

    sid: str
    owner: Streamed
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
        word = self.owner.resource_word
        return {
            "sid": self.sid,
            "account_sid": space.project,
            f"{word.lower()}_sid": self.owner.sid,
            # SignalWire documents that a conference's stream may be without a name, and a call's may not.
            "name": self.name if word == "Call" else self.order.name,
            "status": self.status.value,
            "date_updated": rfc2822(self.updated),
            "uri": space.uri(f"{word}s/{self.owner.sid}/Streams/{self.sid}.json"),
        }


class Streams:
    """All streams of the project."""

    def __init__(self, space: Space) -> None:
        self._space = space
        self._of_owner: dict[str, list[Stream]] = {}

    def start(self, owner: Streamed, order: StreamOrder) -> Stream:
        """Begin to connect. A document's stream whose name is taken fails by callback."""
        if order.name is not None and self.taken(owner, order.name):
            return self.refuse(owner, order, StreamError.DUPLICATED_NAME)
        stream = self._add(owner, order)
        stream.running = self._space.spawn(self._run(stream))
        return stream

    def refuse(self, owner: Streamed, order: StreamOrder, error: StreamError) -> Stream:
        """Record a stream that fails at once."""
        stream = self._add(owner, order)
        self._fail(stream, error)
        return stream

    def taken(self, owner: Streamed, name: str) -> bool:
        """Whether a stream of its that is not stopped has that name."""
        return any(s.name == name and s.status is not StreamStatus.STOPPED for s in self._of_owner.get(owner.sid, ()))

    def find(self, owner: Streamed, key: str) -> Stream | None:
        """Return the stream of that SID, else the latest of that name."""
        streams = self._of_owner.get(owner.sid, [])
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

    def stop_all(self, owner: Streamed) -> None:
        """Stop every stream of the call or conference."""
        for stream in self._of_owner.get(owner.sid, ()):
            self.stop(stream)

    def pressed(self, owner: Streamed, digits: str) -> None:
        """The far end of the call has pressed keys."""
        for stream in self._of_owner.get(owner.sid, ()):
            if stream.status is StreamStatus.IN_PROGRESS and stream.connection is not None:
                self._space.spawn(stream.connection.pressed(digits))

    def _add(self, owner: Streamed, order: StreamOrder) -> Stream:
        stream = Stream(
            sid=str(uuid.uuid4()), owner=owner, order=order, lane=Lane(self._space), updated=self._space.now()
        )
        self._of_owner.setdefault(owner.sid, []).append(stream)
        return stream

    def _enter(self, stream: Stream, status: StreamStatus) -> None:
        stream.status = status
        stream.updated = self._space.now()

    async def _run(self, stream: Stream) -> None:
        socket = await self._connect(stream)
        if socket is None:
            return
        stream.connection = connection = MediaConnection(self._space, stream, socket)
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
        fields = {f"{stream.owner.resource_word}Sid": stream.owner.sid, "StreamSid": stream.sid}
        url = without_query(stream.order.url)
        self._space.note("provider", line, answer, **fields, StreamName=stream.name, Url=url)

    def _tell(self, stream: Stream, event: str, error: StreamError | None = None) -> None:
        webhook = stream.order.callback
        if webhook is None:
            return
        fields = {
            "AccountSid": self._space.project,
            f"{stream.owner.resource_word}Sid": stream.owner.sid,
            "StreamSid": stream.sid,
            "StreamName": stream.name,
            "StreamEvent": event,
            "StreamTrack": stream.order.track.value,
            "Timestamp": iso8601(self._space.now()),
            "Unique-ID": stream.owner.sid,
        }
        if error is not None:
            fields["StreamError"] = error.value
        stream.lane.tell(Callback(name=f"callback {event}", webhook=webhook, fields=fields, word_field="StreamEvent"))
