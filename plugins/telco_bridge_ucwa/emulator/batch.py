"""Several requests in one: what a batch asks, and how it is answered."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from email.message import Message
from http import HTTPStatus

from .errors import UcwaError

__all__ = ["FORBIDDEN", "Part", "Told", "read_batch", "write_batch"]

FORBIDDEN = frozenset({"batch", "photo", "events"})
"""What UCWA documents as not allowed inside."""


@dataclass(frozen=True, slots=True)
class Part:
    """One request inside a batch. Header names are lower-case."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Told:
    """One answer inside a batch."""

    status: int
    headers: Sequence[tuple[str, str]]
    body: bytes


def read_batch(body: bytes, content_type: str) -> list[Part]:
    """Return the requests, in their order. Raises the documented refusals."""
    head = Message()
    head["Content-Type"] = content_type
    boundary = head.get_param("boundary")
    if head.get_content_type() != "multipart/batching" or not isinstance(boundary, str) or not boundary:
        raise UcwaError(415, "UnsupportedMediaType", "UnsupportedMediaType", "A batch is multipart/batching.")
    delimiter = b"--" + boundary.encode()
    pieces = re.split(rb"(?:\A|\r\n)" + re.escape(delimiter), body)
    if len(pieces) < 3 or not pieces[-1].startswith(b"--"):
        raise _unreadable()
    return [_part(piece) for piece in pieces[1:-1]]


def _part(piece: bytes) -> Part:
    outer, _, request = piece.removeprefix(b"\r\n").partition(b"\r\n\r\n")
    kind = _headers(outer.split(b"\r\n")).get("content-type", "")
    lines, _, body = request.partition(b"\r\n\r\n")
    first, *rest = lines.rstrip(b"\r\n").split(b"\r\n")
    words = first.decode("latin-1").split(" ")
    if not kind.lower().startswith("application/http") or len(words) != 3 or not words[2].startswith("HTTP/"):
        raise _unreadable()
    return Part(words[0], words[1], _headers(rest), body)


def _headers(lines: Sequence[bytes]) -> dict[str, str]:
    pairs = (line.decode("latin-1").partition(":") for line in lines if line)
    return {name.strip().lower(): value.strip() for name, _, value in pairs}


def _unreadable() -> UcwaError:
    return UcwaError(400, "BadRequest", "DeserializationFailure", "The batch could not be read.")


def write_batch(answers: Sequence[Told], boundary: str) -> tuple[bytes, str]:
    """Return the answers as one body, in their order, and its type."""
    parts: list[bytes] = []
    for answer in answers:
        head = [f"HTTP/1.1 {answer.status} {HTTPStatus(answer.status).phrase}"]
        head += [f"{name}: {value}" for name, value in answer.headers]
        parts += [
            f"--{boundary}\r\nContent-Type: application/http; msgtype=response\r\n\r\n".encode(),
            "\r\n".join([*head, "", ""]).encode("latin-1"),
            answer.body,
            b"\r\n",
        ]
    return b"".join([*parts, f"--{boundary}--\r\n".encode()]), f'multipart/batching; boundary="{boundary}"'
