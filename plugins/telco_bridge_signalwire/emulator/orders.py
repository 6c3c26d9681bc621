"""What a request or a document asks for, checked the way SignalWire documents it."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit
from xml.etree.ElementTree import Element

from .errors import ApiError, ErrorShape
from .forms import Form
from .media import Codec
from .space import Space
from .streams import StreamError, StreamOrder, Track
from .webhooks import Script, Subscription, Webhook

__all__ = [
    "CallOrder",
    "OrderRefused",
    "absolute",
    "call_order",
    "document_stream",
    "rest_stream",
    "script",
    "status_webhook",
]

_E164 = re.compile(r"\+[1-9]\d{1,14}")
_EVENTS = frozenset({"initiated", "ringing", "answered", "completed", "ringing_forwarded", "ringing_queued"})
_RANGES = {
    "MachineDetectionTimeout": (1, 120),
    "MachineDetectionSpeechThreshold": (1000, 6000),
    "MachineDetectionSpeechEndThreshold": (500, 5000),
    "MachineDetectionSilenceTimeout": (2000, 10000),
    "MachineWordsThreshold": (1, 100),
}
_DEFAULT_TIMEOUT = 60
_PARAMETER = re.compile(r"Parameter([1-9]\d?)\.Name")


@dataclass(frozen=True, slots=True, kw_only=True)
class CallOrder:
    """A call to be made."""

    to: str
    from_: str
    shown: str
    """What the callee sees as the caller."""
    timeout: int
    script: Script
    subscription: Subscription


class OrderRefused(Exception):
    """A document's stream cannot be made; the order is what could be read of it."""

    def __init__(self, order: StreamOrder, error: StreamError) -> None:
        self.order = order
        self.error = error
        super().__init__(error)


def call_order(form: Form, space: Space) -> CallOrder:
    """Read the parameters of `POST Calls`. Raises `ApiError` with the documented code of the first thing wrong."""
    to = _to(form)
    from_ = _from(form, space)
    found = script(form, space)
    subscription = _subscription(form)
    application = form.get("ApplicationSid")
    if found is None:
        if not application:
            raise ApiError(21205)
        route = space.applications.get(application)
        if route is None or route.script is None:
            raise ApiError(21218)
        found = route.script
        if subscription.webhook is None and route.subscription.webhook is not None:
            subscription = Subscription(webhook=route.subscription.webhook, events=subscription.events)
    _check_machine_detection(form)
    _check_rest(form, space)
    return CallOrder(
        to=to,
        from_=from_,
        shown=form.get("CallerId") or from_,
        timeout=_timeout(form),
        script=found,
        subscription=subscription,
    )


def script(form: Form, space: Space) -> Script | None:
    """Read `Url` or an inline document, with the fallback; None where the form names neither."""
    inline = form.get("Laml") or form.get("Twiml")
    url = form.get("Url")
    if url is None and inline is not None and space.switches.inline_documents:
        if not 11 <= len(inline) <= 4000:
            raise ApiError(20422, "An inline document must have between 11 and 4000 characters")
        return Script(document=inline, fallback=_webhook(form, "FallbackUrl", "FallbackMethod", 21402))
    main = _webhook(form, "Url", "Method", 21402)
    fallback = _webhook(form, "FallbackUrl", "FallbackMethod", 21402)
    return None if main is None else Script(document=main, fallback=fallback)


def status_webhook(form: Form) -> Webhook | None:
    """Read `StatusCallback` and its method; None where the form names none."""
    return _webhook(form, "StatusCallback", "StatusCallbackMethod", 21456)


def absolute(url: str) -> bool:
    """Whether the text is an absolute http or https URL."""
    parts = _split(url)
    return parts is not None and parts.scheme in ("http", "https")


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


def _to(form: Form) -> str:
    to = form.get("To")
    if to is None:
        raise ApiError(21201)
    if not to:
        raise ApiError(21211)
    if _E164.fullmatch(to) or to.startswith(("sip:", "client:")):
        return to
    # Something that looks dialled but is no E.164 number is a bad number; anything else is not even that.
    raise ApiError(21217 if re.fullmatch(r"[+\d\s().-]+", to) else 21211)


def _from(form: Form, space: Space) -> str:
    from_ = form.get("From")
    if not from_:
        raise ApiError(21213)
    if not (_E164.fullmatch(from_) or from_.startswith(("sip:", "client:"))):
        raise ApiError(21212)
    if space.switches.verify_caller and space.route(from_) is None:
        raise ApiError(21210)
    return from_


def _subscription(form: Form) -> Subscription:
    events = form.all("StatusCallbackEvent")
    if any(event not in _EVENTS for event in events):
        raise ApiError(21626)
    return Subscription(webhook=status_webhook(form), events=frozenset(events or ("completed",)))


def _timeout(form: Form) -> int:
    text = form.get("Timeout")
    if text is None:
        return _DEFAULT_TIMEOUT
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= 600):
        raise ApiError(21208)
    return int(text)


def _check_machine_detection(form: Form) -> None:
    """Detection itself is not emulated: nobody's voice is simulated."""
    if form.get("MachineDetection") not in (None, "Enable", "DetectMessageEnd", "none"):
        raise ApiError(21234)
    for name, (least, most) in _RANGES.items():
        text = form.get(name)
        if text is not None and not (text.isascii() and text.isdigit() and least <= int(text) <= most):
            raise ApiError(21234, f"{name} must be between {least} and {most}")
    callback = _webhook(form, "AsyncAmdStatusCallback", "AsyncAmdStatusCallbackMethod", 21456)
    if form.get("AsyncAmd") == "true" and callback is None:
        raise ApiError(21262)


def _check_rest(form: Form, space: Space) -> None:
    digits = form.get("SendDigits")
    if digits is not None and not re.fullmatch(r"[\d#*wW]{1,32}", digits):
        raise ApiError(13222)
    if form.get("Trim") not in (None, "trim-silence", "do-not-trim"):
        raise ApiError(13699)
    events = (form.get("RecordingStatusCallbackEvent") or "").split()
    if any(event not in ("completed", "in-progress", "absent") for event in events):
        raise ApiError(13621)
    _webhook(form, "RecordingStatusCallback", "RecordingStatusCallbackMethod", 21456)
    price = form.get("MaxPricePerMinute")
    if price is not None:
        if not re.fullmatch(r"\d+\.?\d{0,4}", price):
            raise ApiError(10000, "MaxPricePerMinute is invalid")
        if float(price) < space.switches.price_per_minute:
            raise ApiError(30010, shape=ErrorShape.ERROR_LIST)


def _webhook(form: Form, url_name: str, method_name: str, code: int) -> Webhook | None:
    url = form.get(url_name)
    method = (form.get(method_name) or "POST").upper()
    if method not in ("GET", "POST"):
        raise ApiError(21209, f"{method_name} must be GET or POST")
    if not url:
        return None
    if not absolute(url):
        raise ApiError(code, f"{url_name} is invalid or not absolute")
    return Webhook(url=url, method=method)


def _streamable(url: str, *, allow_loopback_ws: bool) -> bool:
    """SignalWire documents `wss` only, without white space and without a query."""
    parts = _split(url)
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


def _split(url: str) -> SplitResult | None:
    """The URL's parts; None for white space, a missing host or a port that is none."""
    if re.search(r"\s", url):
        return None
    try:
        parts = urlsplit(url)
        known = bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        return None
    return parts if known else None
