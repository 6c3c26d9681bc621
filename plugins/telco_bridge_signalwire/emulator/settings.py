"""The settings that phone numbers and applications have in common, as forms say them and answers show them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from .errors import ApiError
from .forms import Form
from .orders import absolute
from .space import Space

__all__ = ["SMS", "VOICE", "read_settings", "show_settings"]

VOICE = ("VoiceUrl", "VoiceMethod", "VoiceFallbackUrl", "VoiceFallbackMethod", "StatusCallback", "StatusCallbackMethod")
SMS = ("SmsUrl", "SmsMethod", "SmsFallbackUrl", "SmsFallbackMethod")
"""Kept and shown; messages are not simulated."""


def read_settings(form: Form, space: Space, names: Sequence[str], before: Mapping[str, str]) -> dict[str, str]:
    """Return the settings as they are after that form: what it does not name stays, and a blank takes a setting away.

    Raises `ApiError`.
    """
    settings = dict(before)
    for name in names:
        value = form.get(name)
        if value is None:
            continue
        _check(name, value, space)
        if value:
            settings[_snake(name)] = value.upper() if name.endswith("Method") else value
        else:
            settings.pop(_snake(name), None)
    return settings


def show_settings(settings: Mapping[str, str], names: Sequence[str]) -> dict[str, object]:
    """Return the settings by the names that answers have for them: unset addresses are null, unset methods POST."""
    return {_snake(name): settings.get(_snake(name), "POST" if name.endswith("Method") else None) for name in names}


def _check(name: str, value: str, space: Space) -> None:
    if not value:
        return
    if name.endswith("Method"):
        if value.upper() not in ("GET", "POST"):
            raise ApiError(21209, f"{name} must be GET or POST")
    elif name.endswith("ApplicationSid"):
        if value not in space.directory.applications:
            raise ApiError(21218, f"{name} is invalid or unknown")
    elif not absolute(value):
        raise ApiError(21456 if "Callback" in name else 21402, f"{name} is invalid or not absolute")


def _snake(name: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()
