"""Tokens: what a server asks for, what it gives, how long it is good, and who may fetch it in place of the password."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import cast

import anyio
from pydantic import SecretStr

from telco_bridge.provider import AuthenticationFailed

__all__ = ["Grant", "Token", "TokenRequest", "TokenSource", "from_command"]

_RENEWED_AT = 0.9
"""The share of a token's life after which a new one is fetched."""
_SOONEST = 1.0
"""Seconds that any token is used, whatever it says of its life."""
_PATIENCE = 60.0
"""Seconds that a command may take: it may have to ask a person."""


class Grant(StrEnum):
    """The ways to a token that UCWA documents."""

    PASSWORD = "password"  # noqa: S105 - the grant's name
    WINDOWS = "urn:microsoft.rtc:windows"
    PASSIVE = "urn:microsoft.rtc:passive"
    ANONYMOUS = "urn:microsoft.rtc:anonmeeting"


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """A token for one host. `lifetime` is in seconds from now; None where it was not told."""

    value: SecretStr
    type: str = "Bearer"
    lifetime: float | None = None

    @property
    def is_sendable(self) -> bool:
        """Whether it can stand in a header. What cannot would be quoted in the error of whoever tries."""
        return _sendable(self.value.get_secret_value()) and _sendable(self.type)

    def renewal(self, now: float) -> float | None:
        """Return the instant at which a new one should be fetched; None: when the server asks for it."""
        return None if self.lifetime is None else now + max(self.lifetime * _RENEWED_AT, _SOONEST)


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenRequest:
    """What a token is wanted for: the host that asks, as scheme, host and port; where it gives them out; for what.

    `href` is empty where the server gives out none, and believes only those of `authority`, an Azure AD.
    """

    host: str
    href: str
    grants: frozenset[str]
    """The grants that the server names, which need not all be members of `Grant`."""
    authority: str | None = None
    """The authorization address that the server names beside its own, as servers of hybrid organizations do."""


TokenSource = Callable[[TokenRequest], Awaitable[Token]]
"""Fetches a token for one host. It is asked again when the token is about to expire, or is not accepted."""


def from_command(command: tuple[str, ...]) -> TokenSource:
    """Return the source that runs a program and reads the token from its output.

    The program is told what is wanted by `TELCO_BRIDGE_TOKEN_HOST`, `TELCO_BRIDGE_TOKEN_HREF`,
    `TELCO_BRIDGE_TOKEN_GRANTS` and `TELCO_BRIDGE_TOKEN_AUTHORITY` in its environment, and prints the token alone or a
    JSON object with `access_token` and, where it knows them, `token_type` and `expires_in`. The source raises
    `AuthenticationFailed`, which never shows what the program printed.
    """

    async def run(request: TokenRequest) -> Token:
        environment = {
            **os.environ,
            "TELCO_BRIDGE_TOKEN_HOST": request.host,
            "TELCO_BRIDGE_TOKEN_HREF": request.href,
            "TELCO_BRIDGE_TOKEN_GRANTS": ",".join(sorted(request.grants)),
            "TELCO_BRIDGE_TOKEN_AUTHORITY": request.authority or "",
        }
        name = command[0]
        try:
            with anyio.fail_after(_PATIENCE):
                done = await anyio.run_process(
                    command, check=False, env=environment, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL
                )
        except TimeoutError as error:
            raise _failed(name, f"printed no token within {_PATIENCE:.0f} s") from error
        except OSError as error:
            raise _failed(name, f"could not be started ({error.strerror})") from error
        if done.returncode != 0:
            raise _failed(name, f"ended with status {done.returncode}; run it by hand to see why")
        token = read_token(done.stdout.decode("utf-8", "replace").strip())
        if token is None:
            raise _failed(name, "printed neither a token nor a JSON object with access_token")
        return token

    return run


def read_token(text: str) -> Token | None:
    """Return the token that stands alone in a text, or in its JSON object; None where there is none."""
    if not text.startswith("{"):
        return Token(value=SecretStr(text)) if _sendable(text) else None
    try:
        data: object = json.loads(text)
    except (ValueError, RecursionError):
        return None
    fields = cast("dict[str, object]", data)
    value, kind, lifetime = fields.get("access_token"), fields.get("token_type", "Bearer"), fields.get("expires_in")
    if not isinstance(value, str) or not _sendable(value) or not isinstance(kind, str) or not _sendable(kind):
        return None
    return Token(value=SecretStr(value), type=kind, lifetime=seconds(lifetime))


def seconds(value: object) -> float | None:
    """Return a lifetime that may be a number or the words for one; None where it is no positive number."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if 0 < number < float("inf") else None


def _sendable(text: str) -> bool:
    """Whether it can stand in a header, as one word."""
    return bool(text) and text.isascii() and text.isprintable() and " " not in text


def _failed(name: str, what: str) -> AuthenticationFailed:
    return AuthenticationFailed(f"the token source {name} {what}", provider="ucwa")
