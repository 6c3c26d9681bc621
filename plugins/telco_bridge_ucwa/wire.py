"""What UCWA says, taken apart without trusting any of it.

A resource is open-ended, and one odd property must not make the rest of it unreadable: everything here keeps what it
understands and drops what it does not. Only an answer that is no document of UCWA's at all is an error, `Unreadable`.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from email import message_from_string
from sys import intern
from typing import cast
from urllib.parse import quote, unquote, unquote_plus, urlencode, urlsplit, urlunsplit

import httpx

from .body import Unreadable, body_in
from .problems import Problem, parse_problem

__all__ = [
    "Event",
    "Package",
    "Resource",
    "bare",
    "offer_id_in",
    "parse_package",
    "parse_resource",
    "resource_in",
    "sdp_in",
    "sdp_link",
    "text_in",
    "text_link",
    "with_query",
]

_DEPTH = 8
"""How deep resources are followed into each other; the documented ones need three."""
_NUMBER = re.compile(r"-?[0-9]{1,18}")
_LONGEST_SHARED = 256
_PARTS = 32
"""How many parts a session description may come in. They nest, and strangers send them."""
_NO_PROPERTIES = frozenset({"rel", "_links", "_embedded"})


def _object(value: object) -> Mapping[str, object]:
    return cast("Mapping[str, object]", value) if isinstance(value, dict) else {}


def _objects(value: object) -> list[Mapping[str, object]]:
    """A single object and a list of one look alike to a careful reader."""
    if isinstance(value, dict):
        return [cast("Mapping[str, object]", value)]
    items = cast("list[object]", value) if isinstance(value, list) else []
    return [cast("Mapping[str, object]", item) for item in items if isinstance(item, dict)]


def _hrefs(value: object) -> tuple[str, ...]:
    if isinstance(value, dict):
        href = _shared(cast("dict[str, object]", value).get("href"))
        return (href,) if href is not None else ()
    return tuple(href for link in _objects(value) if (href := _shared(link.get("href"))) is not None)


def _shared(value: object) -> str | None:
    """Return a word as the same object wherever it stands: a call's resources repeat each other's addresses."""
    word = _word(value)
    return intern(word) if word is not None and len(word) <= _LONGEST_SHARED else word


def _word(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """One resource as it was at one moment: its own words, what it links to, what it carries inside.

    `rel` is the name under which it was met, because the one in its body may be the name of its kind.
    """

    rel: str
    href: str | None = None
    properties: Mapping[str, object] = field(default_factory=dict[str, object])
    links: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    embedded: Mapping[str, tuple[Resource, ...]] = field(default_factory=dict[str, "tuple[Resource, ...]"])

    def text(self, name: str) -> str | None:
        """That property, if it is a word."""
        return _word(self.properties.get(name))

    def words(self, name: str) -> frozenset[str] | None:
        """That property, if it is a list; what is no word in it is left out."""
        value = self.properties.get(name)
        if not isinstance(value, list):
            return None
        return frozenset(item for item in cast("list[object]", value) if isinstance(item, str))

    def flag(self, name: str) -> bool | None:
        """That property, if it is true or false; XML has only words for that."""
        value = self.properties.get(name)
        if isinstance(value, str):
            return {"true": True, "false": False}.get(value.strip().lower())
        return value if isinstance(value, bool) else None

    def number(self, name: str) -> int | None:
        """That property, if it is a whole number; XML has only digits for that."""
        value = self.properties.get(name)
        if isinstance(value, str) and _NUMBER.fullmatch(value):
            return int(value)
        return value if isinstance(value, int) and not isinstance(value, bool) else None

    def link(self, rel: str) -> str | None:
        """Where that link, or the embedded resource of that name, leads."""
        part = self.part(rel)
        if part is not None and part.href is not None:
            return part.href
        hrefs = self.links.get(rel)
        return hrefs[0] if hrefs else None

    def part(self, rel: str) -> Resource | None:
        """The embedded resource of that name."""
        parts = self.embedded.get(rel)
        return parts[0] if parts else None

    def data(self, name: str) -> str | None:
        """A value that travels as a data URI, under `_links` or as a property."""
        return next(iter(self.links.get(name, ())), None) or self.text(name)


_NO_LINKS: Mapping[str, tuple[str, ...]] = {}
_NO_PARTS: Mapping[str, tuple[Resource, ...]] = {}


def parse_resource(data: object, *, rel: str | None = None, depth: int = _DEPTH) -> Resource:
    """Read a resource. Never raises: what is unreadable in it is missing from the result."""
    raw = _object(data)
    links: dict[str, tuple[str, ...]] = {}
    for name, value in _object(raw.get("_links")).items():
        hrefs = _hrefs(value)
        if hrefs:
            links[intern(name)] = hrefs
    embedded: dict[str, tuple[Resource, ...]] = {}
    if depth > 0:
        for name, value in _object(raw.get("_embedded")).items():
            parts = tuple(parse_resource(item, rel=name, depth=depth - 1) for item in _objects(value))
            if parts:
                embedded[name] = parts
    return Resource(
        rel=rel or _word(raw.get("rel")) or "",
        href=next(iter(links.get("self", ())), None) or _word(raw.get("href")),
        properties={intern(name): _shared(value) or value for name, value in raw.items() if name not in _NO_PROPERTIES},
        links=links or _NO_LINKS,
        embedded=embedded or _NO_PARTS,
    )


def resource_in(response: httpx.Response, *, rel: str) -> Resource:
    """Return the resource in an answer. Raises `Unreadable` where UCWA did not give one."""
    return parse_resource(body_in(response), rel=rel)


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One event of the channel. `body` is None where the resource was not sent along.

    `member_of` is what the target belongs to, where the event is about that, and `member_rel` the rel of that.
    """

    rel: str
    href: str
    type: str
    sender: str = ""
    sender_href: str | None = None
    status: str | None = None
    reason: Problem | None = None
    member_of: str | None = None
    member_rel: str | None = None
    body: Resource | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """One answer of the event channel: events in their order, and the way on."""

    events: tuple[Event, ...] = ()
    next: str | None = None
    resync: str | None = None
    resume: str | None = None


def parse_package(response: httpx.Response) -> Package:
    """Read an answer of the event channel. Raises `Unreadable` where it does not say how to go on."""
    data = body_in(response)
    answer = parse_resource(data)
    package = Package(
        events=tuple(
            event
            for sender in _objects(data.get("sender"))
            for raw in _objects(sender.get("events"))
            if (event := _parse_event(raw, sender)) is not None
        ),
        next=answer.link("next"),
        resync=answer.link("resync"),
        resume=answer.link("resume"),
    )
    if package.next is None and package.resync is None and package.resume is None:
        raise Unreadable("the event channel answered without next, resync or resume")
    return package


def _parse_event(raw: Mapping[str, object], sender: Mapping[str, object]) -> Event | None:
    link = _object(raw.get("link"))
    rel, href, kind = _shared(link.get("rel")), _shared(link.get("href")), _word(raw.get("type"))
    if rel is None or href is None or kind is None:
        return None
    body, member = _object(_object(raw.get("_embedded")).get(rel)), _object(raw.get("in"))
    return Event(
        rel=rel,
        href=href,
        type=kind,
        sender=_word(sender.get("rel")) or "",
        sender_href=_word(sender.get("href")),
        status=_word(raw.get("status")),
        reason=parse_problem(raw["reason"]) if "reason" in raw else None,
        member_of=_word(member.get("href")),
        member_rel=_word(member.get("rel")),
        body=parse_resource(body, rel=rel) if body else None,
    )


def sdp_link(sdp: str) -> str:
    """Return an SDP body as the data URI in which UCWA takes it."""
    return "data:application/sdp;base64," + base64.b64encode(sdp.encode()).decode()


def text_link(text: str, *, html: bool = False) -> str:
    """Return words as the data URI in which UCWA takes them."""
    return f"data:text/{'html' if html else 'plain'};charset=utf-8,{quote(text, safe='')}"


def text_in(uri: str | None) -> str | None:
    """Return the words in a data URI, as they are; None where there are none. Real servers write `+` for a blank."""
    parts = _data_in(uri)
    return parts[1] if parts is not None else None


def sdp_in(uri: str | None) -> str | None:
    """Return the SDP body in a data URI; None where there is none.

    An offer may come as alternatives; UCWA documents the last one as the one to answer, the others as legacy.
    """
    return _description_in(uri)[0]


def offer_id_in(uri: str | None) -> str | None:
    """Return the Content-ID of the SDP body that `sdp_in` returns; None where it came alone."""
    return _description_in(uri)[1]


def _description_in(uri: str | None) -> tuple[str | None, str | None]:
    found = _data_in(uri)
    if found is None:
        return None, None
    head, text = found
    kind = head.partition(";")[0].strip()
    content_id: str | None = None
    if kind.lower().startswith("multipart/"):
        if text.lower().count("content-type") > _PARTS:
            return None, None
        message = message_from_string(f"Content-Type: {head}\r\n\r\n{text}")
        parts = [part for part in message.walk() if part.get_content_type() == "application/sdp"]
        bodies = [(body, part["Content-ID"]) for part in parts if isinstance(body := part.get_payload(), str)]
        text, content_id = bodies[-1] if bodies else ("", None)
    return (text, content_id) if "m=" in text or "v=0" in text else (None, None)


def _data_in(uri: str | None) -> tuple[str, str] | None:
    """Return what a data URI says of its content, and that as text."""
    if uri is None or not uri.startswith("data:"):
        return None
    head, comma, payload = uri[len("data:") :].partition(",")
    if not comma:
        return None
    if "base64" not in (part.strip().lower() for part in head.split(";")[1:]):
        return head, unquote_plus(payload)
    try:
        return head, base64.b64decode(unquote(payload), validate=False).decode("utf-8-sig", "replace")
    except (binascii.Error, ValueError):
        return None


def bare(link: str) -> str:
    """Return a link as it may be shown, without user, password and query; it need not be a URL."""
    plain = link.partition("?")[0].partition("#")[0]
    scheme, slashes, rest = plain.partition("//")
    host, slash, path = rest.partition("/")
    return f"{scheme}{slashes}{host.rpartition('@')[2]}{slash}{path}"


def with_query(href: str, pairs: tuple[tuple[str, str], ...]) -> str:
    """Return the link with further query parameters, keeping the server's own as they are."""
    if not pairs:
        return href
    parts = urlsplit(href)
    query = "&".join(part for part in (parts.query, urlencode(pairs)) if part)
    return urlunsplit(parts._replace(query=query))
