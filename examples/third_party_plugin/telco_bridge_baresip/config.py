"""How baresip is started or found, and what calls use by default."""

from __future__ import annotations

import re
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator

if TYPE_CHECKING:
    from typing import Self

__all__ = ["PROVIDER", "BaresipConfig", "endpoint"]

PROVIDER = "baresip"
"""The name of this provider, in configuration and in errors."""

_USER = re.compile(r"[A-Za-z0-9_.!~*'()&=+$,;?/%-]+", re.ASCII)
_DEVICE = re.compile(r"[a-z0-9_]+(,\S+)?", re.ASCII)


class BaresipConfig(BaseModel):
    """How calls are made: by a baresip that is started here, or by one that runs already (`control`).

    A baresip that is started gets a configuration of its own in a private folder, and is ended with the bridge. One
    that runs already keeps its own configuration: all settings but `control` and the times are then without effect.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    program: str = Field(default="baresip", min_length=1, description="The program, as a name or a path.")
    modules: Path | None = Field(default=None, description="The folder of its modules; None finds Debian's.")
    listen: str = Field(
        default="127.0.0.1:0", description="The SIP address of ours, as host:port; port 0 finds a free one."
    )
    user: str = Field(default="telco", description="Whom others call here: sip:USER@HOST:PORT.")
    display_name: str | None = Field(default=None, description="The name that others are shown.")
    domain: str | None = Field(
        default=None, description="The domain that numbers without one are called at, and where `password` belongs."
    )
    registrar: bool = Field(default=False, description="Whether to register at `domain`, so that calls come in.")
    auth_user: str | None = Field(default=None, description="The user name of the account, where it is another.")
    password: SecretStr | None = Field(default=None, description="The password of the account at `domain`.")
    outbound: str | None = Field(default=None, description="The proxy that all requests go through, as sip:host:port.")
    audio_source: str = Field(
        default="ausine,440",
        description="What the far end hears, as module,device: ausine,440 is a tone of 440 Hz, aufile,/path.wav is "
        "a recording (16 bit; baresip hangs up where it ends), alsa,default is the microphone.",
    )
    audio_player: str | None = Field(
        default=None,
        description="Where what the far end says goes, as module,device, such as alsa,default; None throws it away.",
    )
    max_calls: int = Field(
        default=16, gt=0, le=1000, description="How many calls there may be before callers are told that we are busy."
    )
    answer_within: float = Field(
        default=120.0,
        ge=1,
        le=3600,
        description="Seconds after which baresip gives up a call that nobody answers here.",
    )
    control: str | None = Field(
        default=None,
        description="The control port (ctrl_tcp) of a baresip that runs already, as host:port. It serves one client "
        "only: a second one shuts out the first.",
    )
    timeout: float = Field(
        default=5.0, gt=0, allow_inf_nan=False, description="Seconds for a reply of the control port."
    )
    start_timeout: float = Field(
        default=10.0, gt=0, allow_inf_nan=False, description="Seconds for baresip to start, or to be reached again."
    )

    @field_validator("listen", "control")
    @classmethod
    def _check_endpoint(cls, value: str | None) -> str | None:
        if value is not None:
            endpoint(value)
        return value

    @field_validator("user")
    @classmethod
    def _check_user(cls, value: str) -> str:
        if _USER.fullmatch(value) is None:
            raise ValueError("user is the part of a SIP address before the @, such as alice or 100")
        return value

    @field_validator("display_name")
    @classmethod
    def _check_display_name(cls, value: str | None) -> str | None:
        if value is not None and (not value.isprintable() or set(value) & set('"\\<>')):
            raise ValueError("display_name is one line, without quotes, backslashes and angle brackets")
        return value

    @field_validator("domain", "outbound", "auth_user")
    @classmethod
    def _check_word(cls, value: str | None) -> str | None:
        if value is not None and (not value.isprintable() or set(value) & set(' "\\<>;,')):
            raise ValueError("it is one word, without parameters")
        return value

    @field_validator("password")
    @classmethod
    def _check_password(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and (
            not value.get_secret_value().isprintable() or set(value.get_secret_value()) & set('"')
        ):
            raise ValueError("password cannot be written into baresip's account: it holds quotes or control characters")
        return value

    @field_validator("audio_source", "audio_player")
    @classmethod
    def _check_device(cls, value: str | None) -> str | None:
        if value is not None and _DEVICE.fullmatch(value) is None:
            raise ValueError("it is module,device as baresip writes it, such as ausine,440, and holds no spaces")
        return value

    @model_validator(mode="after")
    def _check_together(self) -> Self:
        host, _ = endpoint(self.listen)
        try:
            ip_address(host)
        except ValueError:
            raise ValueError("listen names an address such as 127.0.0.1: baresip binds to no names") from None
        if self.domain is None and (self.registrar or self.password is not None or self.auth_user is not None):
            raise ValueError("registrar, auth_user and password belong to an account: set domain too")
        return self


def endpoint(value: str) -> tuple[str, int]:
    """Return host and port of `host:port`. Raises `ValueError`."""
    host, colon, port = value.rpartition(":")
    if not colon or not host or not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise ValueError("it is written as host:port, such as 127.0.0.1:4444")
    return host.strip("[]"), int(port)
