"""The settings of a connection to Acme."""

from __future__ import annotations

from ipaddress import ip_address
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator

__all__ = ["PROVIDER", "AcmeConfig"]

PROVIDER = "acme"
"""The name of this provider: in configuration, in errors, and of the entry point in `pyproject.toml`."""


class AcmeConfig(BaseModel):
    """How Acme is reached, and what calls on it use by default."""

    # A setting that nobody knows is a mistake of the user's, and no error may quote a secret.
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    base_url: str = Field(description="The address of the API.")
    key: SecretStr = Field(min_length=1, description="The API key.")
    caller_id: str | None = Field(
        default=None, description="The number that calls come from; the account's by default."
    )
    timeout: float = Field(
        default=10.0, gt=0, allow_inf_nan=False, description="Seconds for each of connecting, sending and reading."
    )

    @field_validator("base_url")
    @classmethod
    def _check_base_url(cls, value: str) -> str:
        parts = urlsplit(value)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("write an absolute address, such as https://api.acme.example")
        if parts.username is not None or parts.query or parts.fragment:
            raise ValueError("write it without credentials, query and fragment; the key is a setting of its own")
        if parts.scheme == "http" and not _is_loopback(parts.hostname):
            raise ValueError("write https:// (http:// is for loopback): the key would travel in the clear")
        return value.rstrip("/")


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False
