"""The settings of a SignalWire space, and the forms of the addresses in them."""

from __future__ import annotations

import re
from ipaddress import ip_address
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator

if TYPE_CHECKING:
    from typing import Self

__all__ = ["API_PATH", "PROVIDER", "SignalWireConfig", "is_dialable", "stream_url_problem"]

PROVIDER = "signalwire"
"""The name of this provider, in configuration and in errors."""

API_PATH = "/api/laml/2010-04-01"
"""Where SignalWire documents the Compatibility API below the host of a space."""

_E164 = re.compile(r"\+[1-9][0-9]{1,14}", re.ASCII)
_SIP = re.compile(r"sip:[^\s@]+@[^\s@]+", re.IGNORECASE)
_HOST = re.compile(r"[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+", re.ASCII)


class SignalWireConfig(BaseModel):
    """How a SignalWire space is reached, and what calls on it use by default.

    One of `space` and `base_url` names the API. `base_url` may be an origin alone: the documented path is then added.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    project: str = Field(min_length=1, description="The Project ID.")
    token: SecretStr = Field(min_length=1, description="An API token with the scope Voice.")
    signing_key: SecretStr | None = Field(
        default=None, min_length=1, description="The project's Signing Key (PSK_…), with which webhooks are checked."
    )
    previous_signing_key: SecretStr | None = Field(
        default=None, min_length=1, description="The Signing Key before the last rotation, still accepted."
    )
    space: str | None = Field(default=None, description="The host of the space, such as example.signalwire.com.")
    base_url: str | None = Field(default=None, description="The API's address, where it is not that of a space.")
    caller_id: str | None = Field(default=None, description="The number that calls come from by default (E.164).")
    stream_url: str | None = Field(
        default=None, description="The wss:// endpoint that audio is copied to where a start names none."
    )
    document_url: str | None = Field(
        default=None,
        description="The address of a cXML document that keeps a call open, for bridges without a public URL.",
    )
    poll_interval: float = Field(
        default=1.0, gt=0, allow_inf_nan=False, description="Seconds between reads of a call, without a public URL."
    )
    timeout: float = Field(
        default=10.0, gt=0, allow_inf_nan=False, description="Seconds for each of connecting, sending and reading."
    )

    @field_validator("project")
    @classmethod
    def _check_project(cls, value: str) -> str:
        if ":" in value or any(c.isspace() for c in value):
            raise ValueError("a Project ID holds neither colons nor spaces; give the token apart, as `token`")
        return value

    @field_validator("space")
    @classmethod
    def _check_space(cls, value: str | None) -> str | None:
        if value is not None and _HOST.fullmatch(value) is None:
            raise ValueError(
                "space is a host name such as example.signalwire.com, without scheme, port and path; "
                "use base_url for any other address"
            )
        return value

    @field_validator("base_url")
    @classmethod
    def _check_base_url(cls, value: str | None) -> str | None:
        if value is None:
            return None
        parts = _split(value)
        if parts is None or parts.scheme not in ("http", "https"):
            raise ValueError("base_url is an absolute https:// address")
        if parts.username is not None or parts.query or parts.fragment:
            raise ValueError("base_url holds no credentials, query or fragment; use project and token")
        if parts.scheme == "http" and not _is_loopback(parts.hostname):
            raise ValueError("base_url must be https:// unless it is on loopback: the token would travel in the clear")
        return value.rstrip("/")

    @field_validator("caller_id")
    @classmethod
    def _check_caller_id(cls, value: str | None) -> str | None:
        if value is not None and not is_dialable(value):
            raise ValueError("caller_id is a number in E.164 form such as +15551234567, or sip:user@host")
        return value

    @field_validator("stream_url")
    @classmethod
    def _check_stream_url(cls, value: str | None) -> str | None:
        problem = stream_url_problem(value) if value is not None else None
        if problem is not None:
            raise ValueError(f"stream_url {problem}")
        return value

    @field_validator("document_url")
    @classmethod
    def _check_document_url(cls, value: str | None) -> str | None:
        if value is not None:
            parts = _split(value)
            if parts is None or parts.scheme not in ("http", "https"):
                raise ValueError("document_url is an absolute http(s) address that SignalWire can reach")
        return value

    @model_validator(mode="after")
    def _check_together(self) -> Self:
        if (self.space is None) == (self.base_url is None):
            raise ValueError("give one of space (such as example.signalwire.com) and base_url")
        if self.previous_signing_key is not None and self.signing_key is None:
            raise ValueError("previous_signing_key is given without signing_key")
        return self

    @property
    def api_url(self) -> str:
        """The address that resource paths are added to, without a trailing slash."""
        if self.base_url is None:
            return f"https://{self.space}{API_PATH}"
        parts = _split(self.base_url)
        return self.base_url if parts is not None and parts.path else self.base_url + API_PATH

    @property
    def signing_keys(self) -> tuple[str, ...]:
        """The keys that a webhook may be signed with, the present one first."""
        keys = (self.signing_key, self.previous_signing_key)
        return tuple(key.get_secret_value() for key in keys if key is not None)


def is_dialable(address: str) -> bool:
    """Whether SignalWire documents this form of an address for `To`: E.164, or `sip:user@host`."""
    return _E164.fullmatch(address) is not None or _SIP.fullmatch(address) is not None


def stream_url_problem(url: str) -> str | None:
    """Say why SignalWire would not open a stream to this address; None where nothing speaks against it."""
    if any(c.isspace() for c in url):
        return "contains white space, which SignalWire refuses"
    parts = _split(url)
    if parts is None or parts.scheme not in ("ws", "wss"):
        return "is not an absolute wss:// address"
    if parts.scheme == "ws" and not _is_loopback(parts.hostname):
        return "must be wss:// (ws:// is for a sandbox on loopback)"
    if parts.query or parts.fragment:
        return "has a query string, which SignalWire does not support; use native parameters such as Parameter1.Name"
    return None


def _split(url: str) -> SplitResult | None:
    """The parts of an absolute URL; None where it is none."""
    try:
        parts = urlsplit(url)
        valid = bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        return None
    return parts if valid else None


def _is_loopback(host: str | None) -> bool:
    if host is None:
        return False
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
