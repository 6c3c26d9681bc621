"""Whether a webhook comes from SignalWire: the signature of cXML requests.

SignalWire documents it as the Base64 of HMAC-SHA1, keyed with the project's Signing Key, over the URL as configured
followed by the names and values of the form, sorted by name. Whether a default port is part of that URL, and how
repeated names are ordered, differs between its implementations; every documented variant is accepted.
"""

from __future__ import annotations

import base64
import hmac
from collections.abc import Iterator, Sequence
from hashlib import sha256
from operator import itemgetter
from urllib.parse import urlsplit

from telco_bridge.provider import WebRequest
from telco_bridge_laml.wire import Pairs, Unreadable, form_pairs, is_form, is_json

__all__ = ["HEADERS", "is_signed", "sign"]

HEADERS = ("x-signalwire-signature", "x-twilio-signature")
"""The headers that may carry the signature; the first one present counts."""

_DEFAULT_PORTS = {"http": 80, "https": 443}


def sign(key: str, url: str, form: Pairs = ()) -> str:
    """Return the signature of a request to this URL with this form; names sorted, repeated ones in their order."""
    return _digest(key, url, _in_submitted_order(form)).decode("ascii")


def is_signed(request: WebRequest, keys: Sequence[str]) -> bool:
    """Whether one of the keys signed exactly this request. False where its body cannot be checked at all."""
    claimed = next((request.headers[name] for name in HEADERS if name in request.headers), None)
    if claimed is None:
        return False
    try:
        form = _signed_form(request)
    except Unreadable:
        return False
    given = claimed.strip().encode("utf-8", "replace")
    # It ends early only with a match, which nobody finds without a key; so the time taken tells nothing.
    return any(hmac.compare_digest(given, candidate) for candidate in _candidates(request.url, form, keys))


def _signed_form(request: WebRequest) -> Pairs:
    """The pairs that the signature covers beside the URL. Raises `Unreadable` for a body that it cannot cover."""
    content_type = request.headers.get("content-type")
    if request.method == "GET" or not request.body:
        return ()
    if is_form(content_type):
        return form_pairs(request.body)
    if is_json(content_type):
        sums = [value for name, value in form_pairs(request.query) if name == "bodySHA256"]
        actual = sha256(request.body).hexdigest().encode()
        if len(sums) == 1 and hmac.compare_digest(sums[0].lower().encode(), actual):
            return ()
    raise Unreadable("the signature does not cover the body")


def _candidates(url: str, form: Pairs, keys: Sequence[str]) -> Iterator[bytes]:
    """Every signature that would be right, the most likely ones first."""
    texts = [_in_submitted_order(form)]
    if len({name for name, _ in form}) < len(form):
        texts.append(_as_sorted_sets(form))
    for variant in _variants(url):
        for text in texts:
            for key in keys:
                yield _digest(key, variant, text)


def _digest(key: str, url: str, text: str) -> bytes:
    return base64.b64encode(hmac.digest(key.encode(), (url + text).encode("utf-8", "replace"), "sha1"))


def _in_submitted_order(form: Pairs) -> str:
    # The order of characters is that of their bytes in UTF-8.
    return "".join(map("".join, sorted(form, key=itemgetter(0))))


def _as_sorted_sets(form: Pairs) -> str:
    return _in_submitted_order(tuple(sorted(set(form))))


def _variants(url: str) -> Iterator[str]:
    """The URL with and without port and credentials: SignalWire's implementations differ in what they sign."""
    yield url
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return
    credentials, at, place = parts.netloc.rpartition("@")
    places = {place}
    if port is not None:
        places.add(place.rpartition(":")[0])
    elif parts.scheme in _DEFAULT_PORTS:
        places.add(f"{place}:{_DEFAULT_PORTS[parts.scheme]}")
    start = len(parts.scheme) + len("://")
    rest = url[start + len(parts.netloc) :]
    for prefix in {"", credentials + at}:
        for place in places:
            yield f"{parts.scheme}://{prefix}{place}{rest}"
