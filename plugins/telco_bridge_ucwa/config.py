"""The settings of the UCWA provider."""

from __future__ import annotations

from ipaddress import ip_address
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator

__all__ = ["UcwaConfig"]


class UcwaConfig(BaseModel):
    """How to reach a Skype for Business server, and as whom.

    `user_url` is the `user` resource that autodiscovery leads to; `application_url` skips it and is the `applications`
    resource itself. Exactly one is set. A link or a token address that leads to any other host is followed only if
    that host stands in `allowed_hosts`, as `host`, `host:port` or `https://host:port`.

    `phone_number` is the user's own phone, which the server rings first for phone audio; without it the server uses
    the one it knows. `available` makes the user reachable for incoming calls for as long as the bridge is open.
    `endpoint_id` must be unique per running program; by default every connection makes a new one.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    user_url: str | None = Field(default=None, description="The user resource that autodiscovery leads to.")
    application_url: str | None = Field(
        default=None, description="The applications resource itself, in place of user_url."
    )
    username: str = Field(min_length=1, description="The user that the bridge signs in as, ada@example.org.")
    password: SecretStr = Field(min_length=1, description="The user's password.")
    phone_number: str | None = Field(
        default=None, description="The user's own phone, rung first for phone audio; else the one the server knows."
    )
    user_agent: str = Field(
        default="telco_bridge", min_length=1, max_length=100, description="What the application calls itself."
    )
    culture: str = Field(
        default="en-US", min_length=1, max_length=100, description="The language of the server's words, such as en-US."
    )
    endpoint_id: str | None = Field(
        default=None,
        min_length=1,
        max_length=100,
        description="Names this program among those of the user; every connection makes a new one where it is not set.",
    )
    available: bool = Field(
        default=False, description="Whether the user is reachable for incoming calls while the bridge is open."
    )
    timeout: float = Field(
        default=10.0, gt=0, allow_inf_nan=False, description="Seconds for each of connecting, sending and reading."
    )
    poll_timeout: int = Field(
        default=180, ge=180, le=1800, description="Seconds after which the server releases a poll without events."
    )
    allowed_hosts: tuple[str, ...] = Field(
        default=(), description="Further hosts that links may lead to: host, host:port or https://host:port."
    )

    @field_validator("user_url", "application_url")
    @classmethod
    def _is_safe(cls, url: str | None) -> str | None:
        if url is not None:
            _check(url)
        return url

    @model_validator(mode="after")
    def _has_one_entry(self) -> UcwaConfig:
        if (self.user_url is None) == (self.application_url is None):
            raise ValueError("set exactly one of user_url and application_url")
        for allowed in self.origins:
            _check(allowed)
        return self

    @property
    def entry(self) -> str:
        """The URL that signing in begins with."""
        return self.user_url or self.application_url or ""

    @property
    def origins(self) -> tuple[str, ...]:
        """The only origins that anything is sent to, the configured one first."""
        scheme = urlsplit(self.entry).scheme
        return (self.entry, *(_origin(host, scheme) for host in self.allowed_hosts))


def _origin(host: str, scheme: str) -> str:
    if "://" in host:
        return host
    return f"{scheme}://{host}" if _is_loopback(urlsplit(f"//{host}").hostname) else f"https://{host}"


def _check(url: str) -> None:
    # Credentials come first, and what is shown has none: not even those of a URL that cannot be read.
    shown = repr(url.rpartition("@")[2].partition("?")[0])
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        raise ValueError(f"{shown} is no http(s) URL") from None
    if parts.username is not None or parts.password is not None:
        raise ValueError("a URL must not contain credentials; set username and password instead")
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(f"{shown} is no http(s) URL")
    if parts.scheme == "http" and not _is_loopback(parts.hostname):
        raise ValueError(f"{shown} would send the password in the clear; use https")


def _is_loopback(host: str | None) -> bool:
    if host is None:
        return False
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
