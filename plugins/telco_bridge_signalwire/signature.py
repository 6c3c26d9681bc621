"""Whether a webhook comes from SignalWire: the signature of cXML requests.

SignalWire documents it as the Base64 of HMAC-SHA1, keyed with the project's Signing Key, over the URL as configured
followed by the names and values of the form, sorted by name. Whether a default port is part of that URL, and how
repeated names are ordered, differs between its implementations; every documented variant is accepted.
"""

from __future__ import annotations

import base64
import hmac
from collections.abc import Iterable, Sequence
from hashlib import sha1, sha256
from urllib.parse import urlsplit

from telco_bridge.provider import WebRequest

from .wire import Pairs, Unreadable, form_pairs, is_form, is_json

__all__ = ["HEADERS", "is_signed", "sign"]

HEADERS = ("x-signalwire-signature", "x-twilio-signature")
"""The headers that may carry the signature; the first one present counts."""

_DEFAULT_PORTS = {"http": 80, "https": 443}


def sign(key: str, url: str, form: Pairs = ()) -> str:
    """Return the signature of a request to this URL with this form; names sorted, repeated ones in their order."""
    return _digest(key, url, _in_submitted_order(form))


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
    texts = {_in_submitted_order(form), _as_sorted_sets(form)}
    expected = [_digest(key, url, text).encode() for key in keys for url in _variants(request.url) for text in texts]
    # Every candidate is compared, so that the time taken tells nothing.
    return sum(hmac.compare_digest(given, candidate) for candidate in expected) > 0


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


def _digest(key: str, url: str, text: str) -> str:
    mac = hmac.new(key.encode(), (url + text).encode("utf-8", "replace"), sha1)
    return base64.b64encode(mac.digest()).decode("ascii")


def _in_submitted_order(form: Pairs) -> str:
    return "".join(name + value for name, value in sorted(form, key=lambda pair: pair[0].encode()))


def _as_sorted_sets(form: Pairs) -> str:
    return _in_submitted_order(tuple(sorted(set(form), key=lambda pair: (pair[0].encode(), pair[1]))))


def _variants(url: str) -> Iterable[str]:
    """The URL with and without port and credentials: SignalWire's implementations differ in what they sign."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return (url,)
    credentials, at, place = parts.netloc.rpartition("@")
    places = {place}
    if port is not None:
        places.add(place.rpartition(":")[0])
    elif parts.scheme in _DEFAULT_PORTS:
        places.add(f"{place}:{_DEFAULT_PORTS[parts.scheme]}")
    start = len(parts.scheme) + len("://")
    rest = url[start + len(parts.netloc) :]
    prefixes = {"", credentials + at}
    return [url, *(f"{parts.scheme}://{prefix}{place}{rest}" for prefix in prefixes for place in places)]
