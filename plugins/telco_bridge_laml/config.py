"""The settings that every LaML carrier has, and the forms of the addresses in them."""

from __future__ import annotations

import re
from abc import abstractmethod
from ipaddress import ip_address
from typing import ClassVar
from urllib.parse import SplitResult, urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator

from .dialect import Dialect
from .documents import RejectReason

__all__ = ["LamlConfig", "absolute_url", "is_dialable", "is_loopback", "stream_url_problem"]

_E164 = re.compile(r"\+[1-9][0-9]{1,14}", re.ASCII)
_SIP = re.compile(r"sip:[^\s@]+@[^\s@]+", re.IGNORECASE)


class LamlConfig(BaseModel):
    """What calls on a LaML carrier use by default. A carrier adds how it is reached, and its `dialect`."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    dialect: ClassVar[Dialect]

    token: SecretStr = Field(min_length=1, description="An API token with the scope Voice.")
    signing_key: SecretStr | None = Field(
        default=None, min_length=1, description="The project's Signing Key (PSK_…), with which webhooks are checked."
    )
    previous_signing_key: SecretStr | None = Field(
        default=None, min_length=1, description="The Signing Key before the last rotation, still accepted."
    )
    caller_id: str | None = Field(default=None, description="The number that calls come from by default (E.164).")
    stream_url: str | None = Field(
        default=None, description="The wss:// endpoint that audio is copied to where a start names none."
    )
    document_url: str | None = Field(
        default=None,
        description="The address of a cXML document that keeps a call open, for bridges without a public URL.",
    )
    decide_within: float = Field(
        default=20.0,
        gt=0,
        le=600,
        allow_inf_nan=False,
        description="Seconds in which an inbound call must be answered, rejected or redirected.",
    )
    undecided: RejectReason = Field(
        default=RejectReason.REJECTED, description="How an inbound call is refused that nobody decides about."
    )
    hear_digits: bool = Field(
        default=False,
        description="Whether calls listen for keys; each then comes for its document once a minute, not once an hour.",
    )
    hold_by_conference: bool = Field(
        default=False, description="Whether `hold` lets the far end wait in a conference of its own."
    )
    hold_music_url: str | None = Field(
        default=None,
        description="The address of a document, or a sound, for those on hold; SignalWire's own music without.",
    )
    transfer_caller_id: str | None = Field(
        default=None, description="The number that a transferred call shows; the far end's own without (E.164)."
    )
    poll_interval: float = Field(
        default=1.0, gt=0, allow_inf_nan=False, description="Seconds between reads of a call, without a public URL."
    )
    timeout: float = Field(
        default=10.0, gt=0, allow_inf_nan=False, description="Seconds for each of connecting, sending and reading."
    )

    @property
    @abstractmethod
    def account(self) -> str:
        """The name of the account in every path, and in the credentials."""

    @property
    @abstractmethod
    def api_url(self) -> str:
        """The address that resource paths are added to, without a trailing slash."""

    @field_validator("caller_id", "transfer_caller_id")
    @classmethod
    def _check_caller_id(cls, value: str | None) -> str | None:
        if value is not None and not is_dialable(value):
            raise ValueError("a caller id is a number in E.164 form such as +15551234567, or sip:user@host")
        return value

    @field_validator("stream_url")
    @classmethod
    def _check_stream_url(cls, value: str | None) -> str | None:
        problem = stream_url_problem(value) if value is not None else None
        if problem is not None:
            raise ValueError(f"stream_url {problem}")
        return value

    @field_validator("document_url", "hold_music_url")
    @classmethod
    def _check_document_url(cls, value: str | None) -> str | None:
        if value is not None:
            parts = absolute_url(value)
            if parts is None or parts.scheme not in ("http", "https"):
                raise ValueError("this must be an absolute http(s) address that the carrier can reach")
        return value

    @property
    def signing_keys(self) -> tuple[str, ...]:
        """The keys that a webhook may be signed with, the present one first."""
        keys = (self.signing_key, self.previous_signing_key)
        return tuple(key.get_secret_value() for key in keys if key is not None)


def is_dialable(address: str) -> bool:
    """Whether LaML documents this form of an address for `To`: E.164, or `sip:user@host`."""
    return _E164.fullmatch(address) is not None or _SIP.fullmatch(address) is not None


def stream_url_problem(url: str) -> str | None:
    """Say why no LaML carrier would open a stream to this address; None where nothing speaks against it."""
    if any(c.isspace() for c in url):
        return "contains white space, which LaML refuses"
    parts = absolute_url(url)
    if parts is None or parts.scheme not in ("ws", "wss"):
        return "is not an absolute wss:// address"
    if parts.scheme == "ws" and not is_loopback(parts.hostname):
        return "must be wss:// (ws:// is for a sandbox on loopback)"
    if parts.query or parts.fragment:
        return "has a query string, which LaML does not support; use native parameters such as Parameter1.Name"
    return None


def absolute_url(url: str) -> SplitResult | None:
    """The parts of an absolute URL; None where it is none."""
    try:
        parts = urlsplit(url)
        valid = bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        return None
    return parts if valid else None


def is_loopback(host: str | None) -> bool:
    if host is None:
        return False
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
