"""What an application may add to a call or to media that it starts: UCWA's own inputs, checked before they are sent."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from telco_bridge.provider import Refused

from .wire import text_link

__all__ = ["IMPORTANCES", "LONGEST_CONTEXT", "LONGEST_ID", "LONGEST_NUMBER", "checked_inputs", "checked_text"]

LONGEST_ID = 50
LONGEST_CONTEXT = 50
LONGEST_NUMBER = 100
IMPORTANCES = ("Normal", "Urgent", "Emergency")
_LONGEST_SUBJECT = 250

_TOPIC = ("importance", "subject", "threadId")
_PHONE = ("phoneNumber",)
_AUDIO = ("sessionContext", "joinAudioMuted")
_VIDEO = ("sessionContext", "joinVideoMuted")
_BOTH = ("sessionContext", "joinAudioMuted", "joinVideoMuted")
_INPUTS: Mapping[str, tuple[str, ...]] = {
    "startPhoneAudio": (*_TOPIC, *_PHONE, "customContent"),
    "startAudio": (*_TOPIC, *_AUDIO, "customContent"),
    "startVideo": (*_TOPIC, *_VIDEO),
    "startAudioVideo": (*_TOPIC, *_BOTH, "customContent"),
    "addPhoneAudio": ("to", *_PHONE),
    "addAudio": ("to", *_AUDIO),
    "addVideo": ("to", *_VIDEO),
    "addAudioVideo": ("to", *_BOTH),
    "replaceWithPhoneAudio": ("to", *_PHONE),
    "addMessaging": ("message",),
}
"""What UCWA documents beside the operation's id, its target and its offer, which the command itself carries."""


def checked_inputs(rel: str, native: Mapping[str, object]) -> dict[str, object]:
    """Return the native options of a command as the body of that link, content that is linked under `_links`.

    Raises `Refused` for a name that the link does not take, and for a value of the wrong kind or length.
    """
    known = _INPUTS[rel]
    body: dict[str, object] = {}
    for name, value in native.items():
        if name not in known:
            raise Refused(
                f"{rel} takes no {name!r}; UCWA documents {', '.join(sorted(known))}. Nothing was sent.",
                provider="ucwa",
            )
        if name in _LINKED:
            body["_links"] = {name: {"href": _LINKED[name](value)}}
        else:
            body[name] = _CHECKS[name](name, value)
    return body


def checked_text(name: str, value: object, *, longest: int | None = None) -> str:
    """Return a text that UCWA takes. Raises `Refused` for what is none, is empty, is too long, or is no Unicode."""
    if not isinstance(value, str) or not value:
        raise _wrong(name, "must be a text that is not empty")
    if longest is not None and len(value) > longest:
        raise _wrong(name, f"has {len(value)} characters, and UCWA takes {longest}")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise _wrong(name, "holds a character that cannot be sent") from None
    return value


def _flag(name: str, value: object) -> bool:
    if not isinstance(value, bool):
        raise _wrong(name, "must be True or False")
    return value


def _importance(name: str, value: object) -> str:
    if value not in IMPORTANCES:
        raise _wrong(name, f"must be one of {', '.join(IMPORTANCES)}")
    return checked_text(name, value)


def _content(value: object) -> str:
    uri = checked_text("customContent", value)
    if not uri.startswith("data:") or "," not in uri:
        raise _wrong("customContent", "must be a data URI, such as data:text/plain,hello")
    return uri


def _message(value: object) -> str:
    return text_link(checked_text("message", value))


def _wrong(name: str, why: str) -> Refused:
    return Refused(f"{name} {why}. Nothing was sent.", provider="ucwa")


_LINKED: Mapping[str, Callable[[object], str]] = {"customContent": _content, "message": _message}
_CHECKS: Mapping[str, Callable[[str, object], object]] = {
    "importance": _importance,
    "subject": lambda name, value: checked_text(name, value, longest=_LONGEST_SUBJECT),
    "threadId": checked_text,
    "to": checked_text,
    "phoneNumber": lambda name, value: checked_text(name, value, longest=LONGEST_NUMBER),
    "sessionContext": lambda name, value: checked_text(name, value, longest=LONGEST_CONTEXT),
    "joinAudioMuted": _flag,
    "joinVideoMuted": _flag,
}
