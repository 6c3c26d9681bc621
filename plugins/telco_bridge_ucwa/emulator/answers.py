"""What goes back: answers, and the ways in which an answer can fail to arrive."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass, field
from typing import Any, cast
from urllib.parse import urlsplit, urlunsplit

from ..body import Form
from .errors import JSON, UcwaError
from .xml import document

__all__ = ["HTML", "Answer", "Send", "break_off", "divert", "encode", "of_error", "send_answer"]

Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

HTML = "text/html; charset=utf-8"
_JSON_TYPE = "application/json; charset=utf-8"


@dataclass(slots=True)
class Answer:
    """One answer. `then` is what the request sets going, after the answer has left."""

    status: int = 204
    body: JSON | None = None
    html: str | None = None
    content: tuple[bytes, str] | None = None
    """A body of another type, and that type."""
    headers: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    then: Callable[[], None] | None = None
    note: str = ""
    """What the wire's record says beside the status."""


def of_error(error: UcwaError) -> Answer:
    """Return the answer that a refusal is."""
    answer = Answer(status=error.status, body=error.body(), note=error.subcode or error.code)
    if error.retry_after is not None:
        answer.headers.append(("Retry-After", f"{error.retry_after:g}"))
    return answer


def encode(answer: Answer, form: Form, *, bom: bool) -> tuple[bytes, str]:
    """Return the body in that form, and its type."""
    if answer.html is not None:
        return answer.html.encode(), HTML
    if answer.content is not None:
        return answer.content
    if answer.body is None:
        return b"", ""
    if form is Form.XML:
        return document(answer.body), f"{form.media_type}; charset=utf-8"
    text = json.dumps(answer.body, separators=(",", ":"))
    return text.encode("utf-8-sig" if bom else "utf-8"), _JSON_TYPE


async def send_answer(
    send: Send, status: int, headers: list[tuple[str, str]], body: bytes, *, declared: int | None = None
) -> None:
    """Send an answer. With a `declared` length above the body's, the connection is broken off after the body."""
    length = len(body) if declared is None else declared
    raw = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers]
    if status != 204:
        raw.append((b"content-length", str(length).encode()))
    await send({"type": "http.response.start", "status": status, "headers": raw})
    await send({"type": "http.response.body", "body": body, "more_body": length > len(body)})


async def break_off(send: Send) -> None:
    """Break the connection without an answer.

    A server interface has no word for that: an announced body that never comes makes the server close the connection,
    and the client finds that the peer went away before the answer was whole.
    """
    await send_answer(send, 200, [("Content-Type", _JSON_TYPE)], b"", declared=1)


def divert(value: object, host: str, *, rel: str | None) -> int:
    """Lead the links in this JSON to another host: those of that rel, else the first that is not `self`.

    Return how many were led astray.
    """
    changed = 0
    if isinstance(value, list):
        for item in cast("list[object]", value):
            changed += divert(item, host, rel=rel)
            if changed and rel is None:
                return changed
    elif isinstance(value, dict):
        members = cast("dict[str, object]", value)
        links = members.get("_links")
        if isinstance(links, dict):
            changed += _divert_links(cast("dict[str, object]", links), host, rel)
        own = members.get("link")
        if isinstance(own, dict) and cast("JSON", own).get("rel") == rel:
            members["link"] = {**cast("JSON", own), "href": _elsewhere(str(cast("JSON", own)["href"]), host)}
            changed += 1
        for name, member in members.items():
            if changed and rel is None:
                return changed
            if name != "_links":
                changed += divert(member, host, rel=rel)
    return changed


def _divert_links(links: dict[str, object], host: str, rel: str | None) -> int:
    changed = 0
    for name, link in links.items():
        wanted = name == rel if rel is not None else name != "self"
        if wanted and isinstance(link, dict) and not str(cast("JSON", link).get("href", "data:")).startswith("data:"):
            links[name] = {**cast("JSON", link), "href": _elsewhere(str(cast("JSON", link)["href"]), host)}
            changed += 1
            if rel is None:
                break
    return changed


def _elsewhere(href: str, host: str) -> str:
    parts = urlsplit(href)
    return urlunsplit(("http", host, parts.path, parts.query, parts.fragment))
