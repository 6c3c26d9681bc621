"""The streams that a request or a document asks for, checked the way SignalWire documents it."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import replace
from xml.etree.ElementTree import Element

from .errors import ApiError
from .forms import Form
from .media import Codec
from .orders import absolute, split_url, status_webhook
from .space import Space
from .streams import StreamError, StreamOrder, Track
from .webhooks import Webhook

__all__ = ["OrderRefused", "conference_stream", "document_stream", "rest_stream"]

_CONFERENCE_CODECS = {"PCMU": Codec.PCMU, "L16@16000h": Codec.L16_16K, "L16@24000h": Codec.L16_24K}
"""Of those that SignalWire documents for conferences, the ones that are spoken here."""
_PARAMETER = re.compile(r"Parameter([1-9]\d?)\.Name")


class OrderRefused(Exception):
    """A document's stream cannot be made; the order is what could be read of it."""

    def __init__(self, order: StreamOrder, error: StreamError) -> None:
        self.order = order
        self.error = error
        super().__init__(error)


def rest_stream(form: Form, space: Space) -> StreamOrder:
    """Read the parameters of `POST Streams`. Raises `ApiError`."""
    url = form.get("Url")
    if not url:
        raise ApiError(10000, "Url is required")
    if not _streamable(form.all("Url")[-1], allow_loopback_ws=space.allow_loopback_ws):
        raise ApiError(31922)
    try:
        track = Track(form.get("Track") or Track.BOTH)
    except ValueError as error:
        raise ApiError(10000, "Track is invalid") from error
    parameters: dict[str, str] = {}
    for name in form.names():
        numbered = _PARAMETER.fullmatch(name)
        if numbered is not None:
            parameters[form.get(name) or ""] = form.get(f"Parameter{numbered[1]}.Value") or ""
    return StreamOrder(
        operation="POST Streams",
        url=url,
        track=track,
        name=form.get("Name") or None,
        callback=status_webhook(form),
        parameters=parameters,
        bearer=form.get("AuthorizationBearerToken") or None,
    )


def conference_stream(form: Form, space: Space) -> StreamOrder:
    """Read the parameters of `POST Streams` of a conference. Raises `ApiError`."""
    order = rest_stream(form, space)
    wanted = form.get("StreamCodec")
    if wanted and wanted not in _CONFERENCE_CODECS:
        raise ApiError(10000, "StreamCodec is invalid")
    if form.get("StreamRealTime") not in (None, "", "true", "false"):
        raise ApiError(10000, "StreamRealTime is invalid")
    codec = _CONFERENCE_CODECS[wanted] if wanted else Codec.PCMU
    return replace(order, operation="POST conference Streams", codec=codec)


def document_stream(noun: Element, *, two_way: bool, allow_loopback_ws: bool) -> StreamOrder:
    """Read a `<Stream>` inside `<Start>`, or the two-way one inside `<Connect>`. Raises `OrderRefused`.

    Its track defaults otherwise than REST's, and a two-way stream has no other.
    """
    callback = noun.get("statusCallback", "")
    method = noun.get("statusCallbackMethod", "POST").upper()
    url = noun.get("url", "")
    wanted = noun.get("track") or Track.INBOUND
    known = wanted == Track.INBOUND if two_way else wanted in list(Track)
    codec = noun.get("codec") or Codec.PCMU
    order = StreamOrder(
        operation="document Connect Stream" if two_way else "document Start Stream",
        url=url,
        track=Track(wanted) if known else Track.INBOUND,
        name=noun.get("name") or None,
        callback=Webhook(url=callback, method=method) if absolute(callback) and method in ("GET", "POST") else None,
        parameters={p.get("name", ""): p.get("value", "") for p in noun.findall("Parameter")},
        bearer=noun.get("authBearerToken") or None,
        codec=Codec(codec) if codec in list(Codec) else Codec.PCMU,
        two_way=two_way,
    )
    if not url:
        raise OrderRefused(order, StreamError.MISSING_URL)
    if not _streamable(url, allow_loopback_ws=allow_loopback_ws):
        raise OrderRefused(order, StreamError.INVALID_URL)
    if not known:
        raise OrderRefused(order, StreamError.INVALID_TRACK)
    if codec not in list(Codec):
        raise OrderRefused(order, StreamError.CODEC)
    return order


def _streamable(url: str, *, allow_loopback_ws: bool) -> bool:
    """SignalWire documents `wss` only, without white space and without a query."""
    parts = split_url(url)
    if parts is None or parts.query:
        return False
    return parts.scheme == "wss" or (parts.scheme == "ws" and allow_loopback_ws and _loopback(parts.hostname or ""))


def _loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
