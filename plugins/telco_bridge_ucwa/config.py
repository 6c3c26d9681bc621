"""The settings of the UCWA provider."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Annotated
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

    model_config = ConfigDict(frozen=True, extra="forbid")

    user_url: str | None = None
    application_url: str | None = None
    username: Annotated[str, Field(min_length=1)]
    password: SecretStr
    phone_number: str | None = None
    user_agent: Annotated[str, Field(min_length=1, max_length=100)] = "telco_bridge"
    culture: Annotated[str, Field(min_length=1, max_length=100)] = "en-US"
    endpoint_id: Annotated[str, Field(min_length=1, max_length=100)] | None = None
    available: bool = False
    timeout: Annotated[float, Field(gt=0)] = 10.0
    poll_timeout: Annotated[int, Field(ge=180, le=1800)] = 180
    allowed_hosts: tuple[str, ...] = ()

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
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(f"{url!r} is no http(s) URL")
    if parts.username is not None or parts.password is not None:
        raise ValueError("a URL must not contain credentials; set username and password instead")
    if parts.scheme == "http" and not _is_loopback(parts.hostname):
        raise ValueError(f"{url!r} would send the password in the clear; use https")


def _is_loopback(host: str | None) -> bool:
    if host is None:
        return False
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
