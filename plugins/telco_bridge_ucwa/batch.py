"""The body of a batch: several requests in one, and their answers. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from email.message import Message

import httpx

from .body import Unreadable

__all__ = ["BatchRequest", "read_batch", "write_batch"]

_STATUS = re.compile(rb"HTTP/[0-9.]+ ([1-5][0-9]{2})(?: [^\r\n]*)?")
_DROPPED = frozenset({b"content-encoding", b"content-length", b"transfer-encoding"})
"""The headers that say how an answer was sent before it was put into a batch."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchRequest:
    """One read of a batch: the absolute address, and the type that the answer should have."""

    url: str
    accept: str


def write_batch(requests: Sequence[BatchRequest], boundary: str) -> tuple[bytes, str]:
    """Return the requests as one body, in their order, and its type."""
    parts: list[str] = []
    for request in requests:
        url = httpx.URL(request.url)
        parts += [
            f"--{boundary}",
            "Content-Type: application/http; msgtype=request",
            "",
            f"GET {url.raw_path.decode('ascii')} HTTP/1.1",
            f"Host: {url.netloc.decode('ascii')}",
            f"Accept: {request.accept}",
            "",
            "",
        ]
    return "\r\n".join([*parts, f"--{boundary}--", ""]).encode("ascii"), f'multipart/batching;boundary="{boundary}"'


def read_batch(body: bytes, content_type: str) -> list[httpx.Response]:
    """Return the answers in a batch's answer, in their order. Raises `Unreadable` where it is none."""
    head = Message()
    head["Content-Type"] = content_type
    boundary = head.get_param("boundary")
    if head.get_content_type() != "multipart/batching" or not isinstance(boundary, str) or not boundary:
        raise Unreadable(f"the answer is {content_type or 'of no type'}, no batch")
    mark = re.escape(boundary.encode("latin-1", "replace"))
    delimiter = re.compile(rb"(?:\A|\r?\n)--" + mark + rb"(--)?[ \t]*\r?\n?")
    found: list[bytes] = []
    start: int | None = None
    for line in delimiter.finditer(body):
        if start is not None:
            found.append(body[start : line.start()])
        if line[1] is not None:
            return [_answer(piece) for piece in found]
        start = line.end()
    raise Unreadable("the batch has no end")


def _answer(piece: bytes) -> httpx.Response:
    _, _, answer = _split(piece)
    first, headers, body = _split(answer.lstrip(b"\r\n"), with_first=True)
    status = _STATUS.fullmatch(first)
    if status is None:
        raise Unreadable("a part of the batch is no answer")
    kept = [(name, value) for name, value in headers if name.lower() not in _DROPPED]
    return httpx.Response(int(status[1]), headers=kept, content=body)


def _split(data: bytes, *, with_first: bool = False) -> tuple[bytes, list[tuple[bytes, bytes]], bytes]:
    """Return the first line, if there is to be one, the headers and what follows them."""
    bare = re.match(rb"\r?\n", data)
    end = bare or re.search(rb"\r?\n\r?\n", data)
    head, rest = (data[: end.start()], data[end.end() :]) if end is not None else (data, b"")
    lines = re.split(rb"\r?\n", head.rstrip(b"\r\n"))
    first = lines.pop(0) if with_first else b""
    pairs = (line.partition(b":") for line in lines)
    return first, [(name.strip(), value.strip()) for name, colon, value in pairs if colon], rest
