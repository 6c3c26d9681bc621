"""A request that somebody caught: read from a file or from options, and seen as the bridge would see it."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from ..errors import TelcoBridgeError
from ..provider import Capture, WebRequest

__all__ = ["Caught", "as_the_bridge_sees_it", "from_options", "parse", "read_bytes"]

FORM = "application/x-www-form-urlencoded"


@dataclass(frozen=True, slots=True, kw_only=True)
class Caught:
    """A request as it was caught. Header names are lower-case; `url` is absolute."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes


def read_bytes(source: str) -> bytes:
    """Return what a file holds, or standard input for `-`. Raises `TelcoBridgeError`."""
    if source == "-":
        return sys.stdin.buffer.read()
    try:
        return Path(source).read_bytes()
    except OSError as error:
        raise TelcoBridgeError(f"{source} cannot be read: {error.strerror}") from error


def parse(raw: bytes, *, url: str | None = None) -> Caught:
    """Read a whole HTTP/1.1 request: request line, headers, an empty line, body.

    `url` replaces the address that its first line and its `Host` make. What follows the body by `Content-Length` is
    left out, such as the line end that an editor adds. Raises `TelcoBridgeError`.
    """
    head, empty, body = _split(raw)
    first, *lines = head.decode("utf-8", "replace").splitlines() or [""]
    words = first.split()
    if len(words) != 3 or not words[2].upper().startswith("HTTP/"):
        raise TelcoBridgeError(
            "the captured request does not begin with a line such as 'POST /status?call=… HTTP/1.1': give a whole "
            "HTTP/1.1 request, or --url, --body and --signature"
        )
    headers = dict(_header(line) for line in reversed(lines) if line.strip())
    if "chunked" in headers.get("transfer-encoding", "").lower() and empty:
        raise TelcoBridgeError("the captured body is chunked: give the body alone with --body, and the rest as options")
    length = headers.get("content-length", "")
    if length.isascii() and length.isdecimal() and len(body) > int(length):
        body = body[: int(length)]
    return Caught(method=words[0].upper(), url=url or _address(words[1], headers), headers=headers, body=body)


def as_the_bridge_sees_it(caught: Caught, *, public_url: str | None, signature: str | None) -> Capture:
    """Return the request with the address that the bridge checks: the public URL, joined with path and query.

    Where the bridge is mounted is not known. A path below that of the public URL counts as below the mount point.
    """
    parts = _absolute(caught.url)
    path = parts.path
    query = f"?{parts.query}" if parts.query else ""
    if public_url is None:
        url = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{path or '/'}{query}"
    else:
        prefix = urlsplit(public_url).path
        if prefix and (path == prefix or path.startswith(f"{prefix}/")):
            path = path[len(prefix) :]
        url = f"{public_url}/{path.lstrip('/')}{query}"
    request = WebRequest(
        method=caught.method,
        path=path.lstrip("/"),
        query=parts.query,
        url=url,
        headers=dict(caught.headers),
        body=caught.body,
    )
    return Capture(request=request, seen=caught.url, public_url=public_url, signature=signature)


def from_options(*, method: str, url: str, headers: Iterable[str], body: bytes) -> Caught:
    """Return the request that options describe. A body is a form unless a header says something else."""
    named = dict(_header(line) for line in headers)
    if body:
        named.setdefault("content-type", FORM)
    return Caught(method=method.upper(), url=url, headers=named, body=body)


def _absolute(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        if parts.scheme in ("http", "https") and parts.hostname and (parts.port is None or parts.port > 0):
            return parts
    except ValueError:
        # A broken address is answered like one without a host.
        pass
    raise TelcoBridgeError("the address of the request is not absolute: write --url https://host/path")


def _header(line: str) -> tuple[str, str]:
    """Return name and value of a header line. Raises `TelcoBridgeError`."""
    name, colon, value = line.partition(":")
    if not colon or not name.strip() or any(c.isspace() for c in name.strip()):
        # The line is not quoted: it may be a secret that was put in the wrong place.
        raise TelcoBridgeError("a header is no header: write 'Name: value'")
    return name.strip().lower(), value.strip()


def _split(raw: bytes) -> tuple[bytes, bytes, bytes]:
    """Head, empty line and body, whichever line ends the capture was saved with."""
    found = [(raw.find(end), end) for end in (b"\r\n\r\n", b"\n\n") if end in raw]
    if not found:
        return raw.rstrip(), b"", b""
    _, end = min(found)
    return raw.partition(end)


def _address(target: str, headers: Mapping[str, str]) -> str:
    """The address by the request line and the headers; a proxy may have told the scheme that it was asked with."""
    if target.lower().startswith(("http://", "https://")):
        return target
    host = headers.get("host")
    if not host:
        raise TelcoBridgeError("the captured request has no Host header: say its address with --url")
    scheme = headers.get("x-forwarded-proto", "http").partition(",")[0].strip().lower()
    return f"{scheme if scheme in ('http', 'https') else 'http'}://{host}{target}"
