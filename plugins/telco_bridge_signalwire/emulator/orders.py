"""What a request or a document asks for, checked the way SignalWire documents it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

from .detection import Detection
from .errors import ApiError, ErrorShape
from .forms import Form
from .space import Space
from .webhooks import Script, Subscription, Webhook

__all__ = [
    "CallOrder",
    "absolute",
    "call_order",
    "script",
    "split_url",
    "status_webhook",
    "webhook",
]

_E164 = re.compile(r"\+[1-9]\d{1,14}")
_EVENTS = frozenset({"initiated", "ringing", "answered", "completed", "ringing_forwarded", "ringing_queued"})
_RANGES = {
    "MachineDetectionTimeout": (1, 120, 30),
    "MachineDetectionSpeechThreshold": (1000, 6000, 2400),
    "MachineDetectionSpeechEndThreshold": (500, 5000, 1200),
    "MachineDetectionSilenceTimeout": (2000, 10000, 5000),
    "MachineWordsThreshold": (1, 100, 6),
}
"""The least, the most, and the default."""
_DEFAULT_TIMEOUT = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class CallOrder:
    """A call to be made."""

    to: str
    from_: str
    shown: str
    """What the callee sees as the caller."""
    timeout: int
    digits: str
    """Keys to be pressed as soon as the callee has answered."""
    script: Script
    subscription: Subscription
    detection: Detection | None = None


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
        route = space.directory.application(application)
        if route is None or route.script is None:
            raise ApiError(21218)
        found = route.script
        if subscription.webhook is None and route.subscription.webhook is not None:
            subscription = Subscription(webhook=route.subscription.webhook, events=subscription.events)
    detection = _detection(form)
    _check_rest(form, space)
    return CallOrder(
        to=to,
        from_=from_,
        shown=form.get("CallerId") or from_,
        timeout=_timeout(form),
        digits=form.get("SendDigits") or "",
        script=found,
        subscription=subscription,
        detection=detection,
    )


def script(form: Form, space: Space) -> Script | None:
    """Read `Url` or an inline document, with the fallback; None where the form names neither."""
    inline = form.get("Laml") or form.get("Twiml")
    url = form.get("Url")
    if url is None and inline is not None and space.switches.inline_documents:
        if not 11 <= len(inline) <= 4000:
            raise ApiError(20422, "An inline document must have between 11 and 4000 characters")
        return Script(document=inline, fallback=webhook(form, "FallbackUrl", "FallbackMethod", 21402))
    main = webhook(form, "Url", "Method", 21402)
    fallback = webhook(form, "FallbackUrl", "FallbackMethod", 21402)
    return None if main is None else Script(document=main, fallback=fallback)


def status_webhook(form: Form) -> Webhook | None:
    """Read `StatusCallback` and its method; None where the form names none."""
    return webhook(form, "StatusCallback", "StatusCallbackMethod", 21456)


def absolute(url: str) -> bool:
    """Whether the text is an absolute http or https URL."""
    parts = split_url(url)
    return parts is not None and parts.scheme in ("http", "https")


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


def _detection(form: Form) -> Detection | None:
    """Read how it is to be found out who has answered; None where it is not."""
    wanted = form.get("MachineDetection")
    if wanted not in (None, "Enable", "DetectMessageEnd", "none"):
        raise ApiError(21234)
    values: dict[str, int] = {}
    for name, (least, most, default) in _RANGES.items():
        text = form.get(name)
        if text is not None and not (text.isascii() and text.isdigit() and least <= int(text) <= most):
            raise ApiError(21234, f"{name} must be between {least} and {most}")
        values[name] = default if text is None else int(text)
    callback = webhook(form, "AsyncAmdStatusCallback", "AsyncAmdStatusCallbackMethod", 21456)
    background = form.get("AsyncAmd") == "true"
    if background and callback is None:
        raise ApiError(21262)
    if wanted in (None, "none"):
        return None
    return Detection(
        to_the_end=wanted == "DetectMessageEnd",
        timeout=values["MachineDetectionTimeout"],
        speech_threshold=values["MachineDetectionSpeechThreshold"] / 1000,
        speech_end_threshold=values["MachineDetectionSpeechEndThreshold"] / 1000,
        background=background,
        callback=callback,
    )


def _check_rest(form: Form, space: Space) -> None:
    digits = form.get("SendDigits")
    if digits is not None and not re.fullmatch(r"[\d#*wW]{1,32}", digits):
        raise ApiError(13222)
    price = form.get("MaxPricePerMinute")
    if price is not None:
        if not re.fullmatch(r"\d+\.?\d{0,4}", price):
            raise ApiError(10000, "MaxPricePerMinute is invalid")
        if float(price) < space.switches.price_per_minute:
            raise ApiError(30010, shape=ErrorShape.ERROR_LIST)


def webhook(form: Form, url_name: str, method_name: str, code: int, *, default: str = "POST") -> Webhook | None:
    """Read an address and its method; None where the form names none. `code` is that of a bad address.

    Raises `ApiError`.
    """
    url = form.get(url_name)
    method = (form.get(method_name) or default).upper()
    if method not in ("GET", "POST"):
        raise ApiError(21209, f"{method_name} must be GET or POST")
    if not url:
        return None
    if not absolute(url):
        raise ApiError(code, f"{url_name} is invalid or not absolute")
    return Webhook(url=url, method=method)


def split_url(url: str) -> SplitResult | None:
    """Return the URL's parts; None for white space, a missing host or a port that is none."""
    if re.search(r"\s", url):
        return None
    try:
        parts = urlsplit(url)
        known = bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        return None
    return parts if known else None
