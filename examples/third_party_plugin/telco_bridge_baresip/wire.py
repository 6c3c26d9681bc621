"""The control port of baresip as it travels: JSON objects in netstrings, over TCP.

baresip documents the form in the head of its module ctrl_tcp: a request is `{"command", "params", "token"}`, a reply
has `response` and the token, an event has `event`. baresip takes every value for a string without looking.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import cast

__all__ = ["LONGEST_COMMAND", "Event", "Frames", "Message", "Reply", "Unreadable", "frame", "read_message", "request"]

LONGEST_COMMAND = 1000
"""A command line longer than 1023 bytes is cut off by baresip in silence."""

_LONGEST_FRAME = 1_000_000
_DIGITS = len(str(_LONGEST_FRAME))


class Unreadable(ValueError):
    """What came is not what baresip documents; the message says how it differs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """The reply to a command. `ok` says that the command was known and returned no error, not that it did a thing."""

    ok: bool
    data: str = ""
    token: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that happened. The very first event of an outgoing call has no `id`."""

    type: str
    id: str | None = None
    account: str | None = None
    direction: str | None = None
    peer: str | None = None
    peer_name: str | None = None
    param: str | None = None
    raw: Mapping[str, object]


Message = Reply | Event


def frame(payload: bytes) -> bytes:
    """Return the payload as a netstring."""
    return b"%d:%b," % (len(payload), payload)


def request(command: str, params: str | None, token: str) -> bytes:
    """Return a command as it is sent. Raises `Unreadable` for one that baresip would not read as it is meant."""
    line = command if params is None else f"{command} {params}"
    if not line.isascii() or not line.isprintable() or len(line) > LONGEST_COMMAND:
        raise Unreadable("a command is one line of printable ASCII, of at most 1000 characters")
    fields = {"command": command, "token": token}
    if params is not None:
        fields["params"] = params
    return frame(json.dumps(fields).encode("ascii"))


class Frames:
    """Puts netstrings together from the pieces in which they arrive."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Yield every payload that is complete by now.

        Raises `Unreadable` where the stream is no sequence of netstrings; nothing after that can be read.
        """
        self._buffer += data
        while True:
            length, colon, _ = self._buffer[: _DIGITS + 1].partition(b":")
            if not colon:
                if len(length) > _DIGITS or (length and not _is_number(length)):
                    raise Unreadable("a netstring begins with its length and a colon")
                return
            if not _is_number(length) or int(length) > _LONGEST_FRAME:
                raise Unreadable("the length of a netstring is a number of at most 1000000")
            begin = len(length) + 1
            end = begin + int(length)
            if len(self._buffer) <= end:
                return
            if self._buffer[end] != ord(","):
                raise Unreadable("a netstring ends with a comma")
            payload = bytes(self._buffer[begin:end])
            del self._buffer[: end + 1]
            yield payload


def read_message(payload: bytes) -> Message:
    """Return what a payload says. Raises `Unreadable`."""
    try:
        # Names are passed on as they came over SIP, in whatever encoding.
        value: object = json.loads(payload.decode("utf-8", errors="replace"), strict=False)
    except (ValueError, RecursionError) as error:
        raise Unreadable("it is not valid JSON") from error
    if not isinstance(value, dict):
        raise Unreadable("it is no JSON object")
    fields = cast("dict[str, object]", value)
    if fields.get("response") is True:
        ok = fields.get("ok")
        if not isinstance(ok, bool):
            raise Unreadable("a reply without `ok`")
        return Reply(ok=ok, data=_text(fields, "data") or "", token=_text(fields, "token"))
    if fields.get("event") is True:
        kind = _text(fields, "type")
        if kind is None:
            raise Unreadable("an event without `type`")
        return Event(
            type=kind,
            id=_text(fields, "id"),
            account=_text(fields, "accountaor"),
            direction=_text(fields, "direction"),
            peer=_text(fields, "peeruri"),
            peer_name=_text(fields, "peerdisplayname"),
            param=_text(fields, "param"),
            raw=fields,
        )
    raise Unreadable("it is neither a reply nor an event")


def _text(fields: Mapping[str, object], name: str) -> str | None:
    value = fields.get(name)
    return value if isinstance(value, str) and value else None


def _is_number(text: bytes | bytearray) -> bool:
    return bytes(text).isdigit() and (len(text) == 1 or text[:1] != b"0")
