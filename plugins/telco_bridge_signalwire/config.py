"""The settings of a SignalWire space."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field, field_validator, model_validator

from telco_bridge_laml.config import LamlConfig, absolute_url, is_loopback
from telco_bridge_laml.dialect import Dialect

from .dialect import PROVIDER, SIGNALWIRE

if TYPE_CHECKING:
    from typing import Self

__all__ = ["API_PATH", "PROVIDER", "SignalWireConfig"]

API_PATH = "/api/laml/2010-04-01"
"""Where SignalWire documents the Compatibility API below the host of a space."""

_HOST = re.compile(r"[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+", re.ASCII)


class SignalWireConfig(LamlConfig):
    """How a SignalWire space is reached, and what calls on it use by default.

    One of `space` and `base_url` names the API. `base_url` may be an origin alone: the documented path is then added.
    """

    dialect: ClassVar[Dialect] = SIGNALWIRE

    project: str = Field(min_length=1, description="The Project ID.")
    space: str | None = Field(default=None, description="The host of the space, such as example.signalwire.com.")
    base_url: str | None = Field(default=None, description="The API's address, where it is not that of a space.")

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
        parts = absolute_url(value)
        if parts is None or parts.scheme not in ("http", "https"):
            raise ValueError("base_url is an absolute https:// address")
        if parts.username is not None or parts.query or parts.fragment:
            raise ValueError("base_url holds no credentials, query or fragment; use project and token")
        if parts.scheme == "http" and not is_loopback(parts.hostname):
            raise ValueError("base_url must be https:// unless it is on loopback: the token would travel in the clear")
        return value.rstrip("/")

    @model_validator(mode="after")
    def _check_together(self) -> Self:
        if (self.space is None) == (self.base_url is None):
            raise ValueError("give one of space (such as example.signalwire.com) and base_url")
        if self.previous_signing_key is not None and self.signing_key is None:
            raise ValueError("previous_signing_key is given without signing_key")
        return self

    @property
    def account(self) -> str:
        """The Project ID."""
        return self.project

    @property
    def api_url(self) -> str:
        """The address that resource paths are added to, without a trailing slash."""
        if self.base_url is None:
            return f"https://{self.space}{API_PATH}"
        parts = absolute_url(self.base_url)
        return self.base_url if parts is not None and parts.path else self.base_url + API_PATH
