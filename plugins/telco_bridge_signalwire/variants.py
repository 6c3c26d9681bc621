"""What SignalWire may have signed, if not the request as it arrived: addresses, contents and keys to try.

SignalWire signs the address as it was configured there, and the form as it sent it. Between it and the bridge stand
proxies, which change scheme, host, port and path, and frameworks, which read bodies and write them anew.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import TypeVar
from urllib.parse import parse_qsl, quote, unquote, unquote_plus, urlencode

from telco_bridge.provider import Capture, Finding, WebRequest
from telco_bridge_laml.wire import Pairs, Unreadable, form_pairs, is_form, is_json, json_pairs

from .addresses import DEFAULT_PORTS, Address, split
from .config import SignalWireConfig

__all__ = ["Content", "Key", "addresses", "contents", "keys", "queries"]

T = TypeVar("T")

_MOST_HOSTS = 5
_MOST_PORTS = 5
_MOST_PATHS = 12
_MOST_QUERIES = 6
_MOST_FIELDS = 60
_PLAIN = "Give the bridge the bytes of the body as they came, before anything parses them"


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """A secret that the request may be signed with, and what it means if it is."""

    text: str = field(repr=False)
    finding: Finding | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """What may be signed after the address, and what it means if it is.

    `queries` replaces those of the address, where fields have moved between the form and the address.
    """

    form: Pairs
    finding: Finding | None = None
    queries: tuple[str | None, ...] | None = None


def keys(config: SignalWireConfig) -> tuple[Key, ...]:
    """Return the keys that are configured, and what else may stand in their place."""
    found: list[Key] = []
    for name, secret in (("signing_key", config.signing_key), ("previous_signing_key", config.previous_signing_key)):
        if secret is None:
            continue
        text = secret.get_secret_value()
        found.append(Key(text=text))
        found.append(
            Key(
                text=text.strip().strip("'\"").strip(),
                finding=Finding(
                    fact=f"{name} has white space or quotation marks around it, which are not part of the key.",
                    remedy=f"take them out of {name}",
                ),
            )
        )
    found.append(
        Key(
            text=config.token.get_secret_value(),
            finding=Finding(
                fact="The request is signed with the secret that is configured as token.",
                remedy="set signing_key to it; token is the API token, which is another secret",
            ),
        )
    )
    return _distinct(found, lambda key: key.text)


# Addresses


def addresses(capture: Capture) -> tuple[Address, ...]:
    """Return the addresses that may be signed, without their queries, those nearest to the checked one first."""
    known = [found for found in (split(capture.request.url), split(capture.seen)) if found is not None]
    headers = capture.request.headers
    schemes = _unique([*(one.scheme for one in known), "https", "http"])
    return _unique(
        Address(scheme=scheme, credentials=credentials, host=host, port=port, path=path, fragment=fragment)
        for fragment in _unique([None, *(one.fragment for one in known)])
        for credentials in _unique([None, *(one.credentials for one in known), _basic(headers)])
        for path in _paths(capture, known)
        for scheme in schemes
        for host, port in _places(known, headers, scheme)
    )


def queries(capture: Capture) -> tuple[str | None, ...]:
    """Return the queries that may be signed: as it came, without it, and encoded in other ways."""
    known = [found.query for found in (split(capture.request.url), split(capture.seen)) if found is not None]
    known += [original.query for original in _originals(capture.request.headers)]
    found: list[str | None] = [*known, None]
    for query in known:
        if query:
            pairs = parse_qsl(query, keep_blank_values=True)
            found += [urlencode(pairs), urlencode(pairs, quote_via=quote), unquote(query), urlencode(sorted(pairs))]
    return _unique(found)[:_MOST_QUERIES]


def _places(known: Sequence[Address], headers: Mapping[str, str], scheme: str) -> tuple[tuple[str, str | None], ...]:
    """Hosts and ports, each host with its ports, without one, and with the one that the scheme means."""
    texts = [
        text.strip() for name in ("x-forwarded-host", "x-original-host", "host") for text in _listed(headers, name)
    ]
    texts += re.findall(r'host="?([^";,\s]+)', headers.get("forwarded", ""), re.IGNORECASE)
    there = [*known, *(found for text in texts if (found := split(f"{scheme}://{text}")) is not None)]
    hosts = _unique([*(one.host for one in there), *(one.host.lower() for one in there)])[:_MOST_HOSTS]
    ports = [None, DEFAULT_PORTS[scheme.lower()], *(one.port for one in there), *_listed(headers, "x-forwarded-port")]
    return tuple((host, port) for host in hosts for port in _unique(ports)[:_MOST_PORTS])


def _paths(capture: Capture, known: Sequence[Address]) -> tuple[str, ...]:
    """Paths with and without the public URL's, with and without a final slash, encoded in other ways."""
    headers = capture.request.headers
    plain = [*(one.path for one in known), *(one.path for one in _originals(headers)), f"/{capture.request.path}"]
    public = split(capture.public_url) if capture.public_url is not None else None
    prefixes = [public.path if public is not None else "", *_listed(headers, "x-forwarded-prefix")]
    plain += [f"/{prefix.strip('/')}{path}" for prefix in prefixes if prefix.strip("/") for path in plain]
    plain = list(_unique(plain))
    others = [path[:-1] if path.endswith("/") else f"{path}/" for path in plain]
    encoded = [form for path in plain for form in (re.sub("//+", "/", path), unquote(path), quote(unquote(path)))]
    return _unique([*plain, *others, *encoded])[:_MOST_PATHS]


def _originals(headers: Mapping[str, str]) -> list[Address]:
    """The addresses that proxies put into headers, before they rewrote them."""
    texts = [headers[name].strip() for name in ("x-original-uri", "x-original-url", "x-rewrite-url") if name in headers]
    found = [split(text) or split(f"http://origin.invalid/{text.lstrip('/')}") for text in texts]
    return [one for one in found if one is not None]


def _basic(headers: Mapping[str, str]) -> str | None:
    """User and password, as they would stand in the address that they come from."""
    scheme, _, text = headers.get("authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        return base64.b64decode(text.strip(), validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return None


def _listed(headers: Mapping[str, str], name: str) -> list[str]:
    return [value.strip() for value in headers.get(name, "").split(",") if value.strip()]


# Contents


def contents(request: WebRequest) -> tuple[Content, ...]:
    """Return what may be signed after the address: first what the bridge reads there, then what it may have been."""
    found = _of_a_get(request) if request.method == "GET" else _of_a_body(request)
    # Repeated names are signed in their order by some of SignalWire's implementations, sorted and once by others.
    both = [
        Content(form=form, finding=one.finding, queries=one.queries)
        for one in found
        for form in (one.form, tuple(sorted(set(one.form))))
    ]
    return _distinct(both, lambda one: (one.form, one.queries))


def _of_a_get(request: WebRequest) -> Iterator[Content]:
    yield Content(form=())
    parts = request.query.split("&")
    if not request.query or len(parts) > _MOST_FIELDS:
        return
    moved = Finding(
        fact="SignalWire sent a form with POST, and a GET arrived: its fields were moved into the address.",
        remedy="let the proxy pass POST on; a redirect turns it into GET, so point SignalWire at the final address",
    )
    for first in range(len(parts)):
        form = _pairs("&".join(parts[first:]))
        if form is not None:
            yield Content(form=form, finding=moved, queries=("&".join(parts[:first]) or None,))


def _of_a_body(request: WebRequest) -> Iterator[Content]:
    kind = request.headers.get("content-type")
    sent = _pairs(request.body)
    if not request.body:
        yield Content(form=())
        return
    if sent is not None:
        other = Finding(
            fact=f"The form arrived as {'another content type' if kind else 'a body without a content type'}.",
            remedy="let the proxy pass the Content-Type on: application/x-www-form-urlencoded",
        )
        yield Content(form=sent, finding=None if is_form(kind) else other)
    yield from _rewritten(request.body)
    digest = sha256(request.body).hexdigest()
    if not (is_json(kind) and f"bodysha256={digest}" in request.query.lower().split("&")):
        altered = Finding(
            fact="The signature covers the address alone: the body was added, or replaced, on the way.", remedy=_PLAIN
        )
        yield Content(form=(), finding=altered)
    else:
        yield Content(form=())
    text = request.body.decode("latin-1")
    if sent is not None and text.isprintable():
        moved = Finding(
            fact="SignalWire sent a GET, and a POST arrived: its query was moved into the body.",
            remedy="let the proxy pass GET on as it is, or configure the method POST at SignalWire",
        )
        yield Content(form=(), finding=moved, queries=(f"{request.query}&{text}" if request.query else text, text))


def _rewritten(body: bytes) -> Iterator[Content]:
    """The form as it may have been before somebody parsed it and wrote it anew."""
    shapes: list[tuple[str, Callable[[], Pairs | None]]] = [
        (
            "The body ends with a line end that was not sent: the captured file, or something on the way, added it.",
            lambda: _pairs(body.rstrip(b"\r\n")),
        ),
        (
            "The body was parsed and written anew, and a + was left as it is, which in a form is a space.",
            lambda: _bare_plus(body),
        ),
        (
            "The body was parsed and written anew as JSON; SignalWire sent a form.",
            lambda: json_pairs(body),
        ),
        (
            "The body was parsed and written anew, and encoded twice.",
            lambda: tuple((unquote_plus(name), unquote_plus(value)) for name, value in form_pairs(body)),
        ),
        (
            "The body was parsed and written anew in another character set than UTF-8.",
            lambda: tuple(parse_qsl(body.decode("latin-1"), keep_blank_values=True, encoding="latin-1")),
        ),
    ]
    for fact, read in shapes:
        try:
            form = read()
        except (Unreadable, ValueError):
            continue
        if form is not None:
            yield Content(form=form, finding=Finding(fact=fact, remedy=_PLAIN))


def _bare_plus(body: bytes) -> Pairs | None:
    """The form read as if nothing but a percent sign encoded anything."""
    return _pairs(body.replace(b"+", b"%2B"))


def _pairs(encoded: bytes | str) -> Pairs | None:
    try:
        return form_pairs(encoded)
    except Unreadable:
        return None


def _unique(values: Iterable[T]) -> tuple[T, ...]:
    return tuple(dict.fromkeys(values))


def _distinct(values: Iterable[T], by: Callable[[T], object]) -> tuple[T, ...]:
    """The first of all values that are the same by that."""
    found: dict[object, T] = {}
    for value in values:
        found.setdefault(by(value), value)
    return tuple(found.values())
