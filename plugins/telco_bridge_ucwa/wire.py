"""What UCWA says, taken apart without trusting any of it.

A resource is open-ended, and one odd property must not make the rest of it unreadable: everything here keeps what it
understands and drops what it does not. Only an answer that is no JSON object at all is an error, `Unreadable`.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from email import message_from_string
from typing import Annotated, cast
from urllib.parse import unquote, unquote_plus, urlencode, urlsplit, urlunsplit

import httpx
from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError

__all__ = [
    "Event",
    "Package",
    "Problem",
    "Resource",
    "Unreadable",
    "bare",
    "is_ucwa",
    "offer_id_in",
    "parse_json",
    "parse_package",
    "parse_problem",
    "parse_resource",
    "problem_in",
    "resource_in",
    "sdp_in",
    "sdp_link",
    "with_query",
]

_DEPTH = 8
"""How deep resources are followed into each other; the documented ones need three."""


class Unreadable(ValueError):
    """The body is not a JSON object, whatever its headers say."""


def parse_json(body: bytes) -> Mapping[str, object]:
    """Return the JSON object in a body, which may begin with a byte order mark."""
    try:
        data: object = json.loads(body.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise Unreadable(f"the body is no JSON ({type(error).__name__})") from error
    if not isinstance(data, dict):
        raise Unreadable("the body is JSON, but no object")
    return cast("Mapping[str, object]", data)


def _object(value: object) -> Mapping[str, object]:
    return cast("Mapping[str, object]", value) if isinstance(value, dict) else {}


def _objects(value: object) -> list[Mapping[str, object]]:
    """A single object and a list of one look alike to a careful reader."""
    if isinstance(value, dict):
        return [cast("Mapping[str, object]", value)]
    items = cast("list[object]", value) if isinstance(value, list) else []
    return [cast("Mapping[str, object]", item) for item in items if isinstance(item, dict)]


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

    def link(self, rel: str) -> str | None:
        """Where that link, or the embedded resource of that name, leads."""
        part = self.part(rel)
        if part is not None and part.href is not None:
            return part.href
        return next(iter(self.links.get(rel, ())), None)

    def part(self, rel: str) -> Resource | None:
        """The embedded resource of that name."""
        return next(iter(self.embedded.get(rel, ())), None)

    def data(self, name: str) -> str | None:
        """A value that travels as a data URI, under `_links` or as a property."""
        return next(iter(self.links.get(name, ())), None) or self.text(name)


def parse_resource(data: object, *, rel: str | None = None, depth: int = _DEPTH) -> Resource:
    """Read a resource. Never raises: what is unreadable in it is missing from the result."""
    raw = _object(data)
    links: dict[str, tuple[str, ...]] = {}
    for name, value in _object(raw.get("_links")).items():
        hrefs = tuple(href for link in _objects(value) if (href := _word(link.get("href"))))
        if hrefs:
            links[name] = hrefs
    embedded: dict[str, tuple[Resource, ...]] = {}
    if depth > 0:
        for name, value in _object(raw.get("_embedded")).items():
            parts = tuple(parse_resource(item, rel=name, depth=depth - 1) for item in _objects(value))
            if parts:
                embedded[name] = parts
    return Resource(
        rel=rel or _word(raw.get("rel")) or "",
        href=next(iter(links.get("self", ())), None) or _word(raw.get("href")),
        properties={name: value for name, value in raw.items() if name not in ("rel", "_links", "_embedded")},
        links=links,
        embedded=embedded,
    )


def _inputs(value: object) -> dict[str, str]:
    """The offending inputs of an error: documented as a property bag, sent as a list of name and reason."""
    found = {name: text for name, text in _object(value).items() if isinstance(text, str)}
    for item in () if isinstance(value, dict) else _objects(value):
        name = _word(item.get("name"))
        if name is not None:
            found[name] = _word(item.get("reason")) or "Unknown"
    return found


_Word = Annotated[str | None, BeforeValidator(_word)]


class Problem(BaseModel):
    """Why something failed or ended: the body of an error, and the `reason` of an event."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    code: _Word = None
    subcode: _Word = None
    message: _Word = None
    parameters: Annotated[dict[str, str], BeforeValidator(_inputs)] = {}

    @property
    def name(self) -> str | None:
        """Code and subcode in one line; None where neither is given."""
        return "/".join(part for part in (self.code, self.subcode) if part) or None

    @property
    def words(self) -> str:
        """The message, with the inputs that were found wrong."""
        wrong = ", ".join(f"{name}: {reason}" for name, reason in self.parameters.items())
        return " ".join(part for part in (self.message, f"({wrong})" if wrong else None) if part)


def parse_problem(data: object) -> Problem | None:
    """Read a reason block; None where nothing in it can be read."""
    try:
        problem = Problem.model_validate(_object(data))
    except ValidationError:
        return None
    return problem if problem.code or problem.subcode or problem.message else None


def is_ucwa(response: httpx.Response) -> bool:
    """Whether UCWA itself answered: a page of HTML comes from a proxy or the web server in front of it."""
    kind: str = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    return kind == "application/json" or kind.endswith("+json")


def problem_in(response: httpx.Response) -> Problem | None:
    """Return the reason in an error's body; None where UCWA gave none."""
    if not is_ucwa(response):
        return None
    try:
        return parse_problem(parse_json(response.content))
    except Unreadable:
        return None


def resource_in(response: httpx.Response, *, rel: str) -> Resource:
    """Return the resource in an answer. Raises `Unreadable` where UCWA did not give one."""
    return parse_resource(_json_of(response), rel=rel)


def _json_of(response: httpx.Response) -> Mapping[str, object]:
    if not is_ucwa(response):
        raise Unreadable(f"the answer is {response.headers.get('content-type') or 'of no type'}, not JSON")
    return parse_json(response.content)


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One event of the channel. `body` is None where the resource was not sent along."""

    rel: str
    href: str
    type: str
    sender: str = ""
    sender_href: str | None = None
    status: str | None = None
    reason: Problem | None = None
    member_of: str | None = None
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
    data = _json_of(response)
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
    rel, href, kind = _word(link.get("rel")), _word(link.get("href")), _word(raw.get("type"))
    if rel is None or href is None or kind is None:
        return None
    body = _object(_object(raw.get("_embedded")).get(rel))
    return Event(
        rel=rel,
        href=href,
        type=kind,
        sender=_word(sender.get("rel")) or "",
        sender_href=_word(sender.get("href")),
        status=_word(raw.get("status")),
        reason=parse_problem(raw.get("reason")),
        member_of=_word(_object(raw.get("in")).get("href")),
        body=parse_resource(body, rel=rel) if body else None,
    )


def sdp_link(sdp: str) -> str:
    """Return an SDP body as the data URI in which UCWA takes it."""
    return "data:application/sdp;base64," + base64.b64encode(sdp.encode()).decode()


def sdp_in(uri: str | None) -> str | None:
    """Return the SDP body in a data URI; None where there is none.

    An offer may come as alternatives; UCWA documents the last one as the one to answer, the others as legacy.
    """
    return _description_in(uri)[0]


def offer_id_in(uri: str | None) -> str | None:
    """Return the Content-ID of the SDP body that `sdp_in` returns; None where it came alone."""
    return _description_in(uri)[1]


def _description_in(uri: str | None) -> tuple[str | None, str | None]:
    if uri is None or not uri.startswith("data:"):
        return None, None
    head, comma, payload = uri[len("data:") :].partition(",")
    kind, *parameters = (part.strip() for part in head.split(";"))
    if not comma:
        return None, None
    if "base64" in (parameter.lower() for parameter in parameters):
        try:
            text = base64.b64decode(unquote(payload), validate=False).decode("utf-8-sig", "replace")
        except (binascii.Error, ValueError):
            return None, None
    else:
        text = unquote_plus(payload)
    content_id: str | None = None
    if kind.lower().startswith("multipart/"):
        message = message_from_string(f"Content-Type: {head}\r\n\r\n{text}")
        parts = [part for part in message.walk() if part.get_content_type() == "application/sdp"]
        bodies = [(body, part["Content-ID"]) for part in parts if isinstance(body := part.get_payload(), str)]
        text, content_id = bodies[-1] if bodies else ("", None)
    return (text, content_id) if "m=" in text or "v=0" in text else (None, None)


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
