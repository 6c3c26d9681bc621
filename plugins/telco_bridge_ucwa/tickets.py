"""Web tickets: tokens that a server gives for the user's password, Windows sign-in, or a meeting's key."""

from __future__ import annotations

from typing import Annotated

import httpx
from pydantic import BaseModel, BeforeValidator, SecretStr, ValidationError

from telco_bridge.provider import AuthenticationFailed, ProviderError

from . import windows
from .body import Unreadable, parse_json
from .config import UcwaConfig
from .hosts import Hosts
from .problems import parse_problem
from .tokens import Grant, Token, TokenRequest, seconds

__all__ = ["Tickets"]

_NO_JUDGEMENT = frozenset(
    {"server_error", "temporarily_unavailable", "invalid_request", "invalid_scope", "unsupported_grant_type"}
)
"""The OAuth errors that say nothing about the credentials."""


class _Ticket(BaseModel):
    """What a server gives. Of its other fields, the scope of the identity says nothing that a client could use."""

    access_token: Annotated[SecretStr, BeforeValidator(lambda text: text or None)]
    token_type: str = "Bearer"  # noqa: S105 - the scheme's name
    expires_in: Annotated[float | None, BeforeValidator(seconds)] = None


class Tickets:
    """Fetches tokens by the one grant that the settings ask for.

    Credentials that the server has judged and refused are not tried again, because repeated failures lock the
    user's account.
    """

    def __init__(self, hosts: Hosts, config: UcwaConfig) -> None:
        self._hosts = hosts
        self._config = config
        self._grant = _grant(config)
        self._rejected: str | None = None

    def check(self, request: TokenRequest, asked_by: str) -> None:
        """Raise `AuthenticationFailed` unless the server names the grant."""
        if self._grant in request.grants:
            return
        raise AuthenticationFailed(
            f"{asked_by} does not offer the {_name(self._grant)} grant, only "
            f"{', '.join(sorted(request.grants)) or 'none'}. {_instead(self._grant, request.grants)}",
            provider="ucwa",
        )

    async def get(self, request: TokenRequest, *, renewed: Token | None) -> Token:
        """Fetch a token; `renewed` is the one that it replaces. Raises `AuthenticationFailed` and what sending does."""
        if self._rejected is not None:
            raise AuthenticationFailed(self._rejected, provider="ucwa")
        href = httpx.URL(request.href)

        def make() -> httpx.Request:
            return self._request(href, renewed)

        if self._grant is not Grant.WINDOWS:
            return self._token(await self._hosts.send(make()), href, judged=False)
        async with self._hosts.alone(href) as connection:
            outcome = await windows.sign_in(connection, make, self._config)
        return self._token(outcome.response, href, judged=outcome.judged)

    def _request(self, href: httpx.URL, renewed: Token | None) -> httpx.Request:
        config = self._config
        form: dict[str, str] = {"grant_type": self._grant}
        if config.conference_key is not None:
            form["password"] = config.conference_key.get_secret_value()
            form["ms_rtc_conferenceuri"] = config.conference_uri or ""
            if renewed is not None:
                # Without it the guest would become somebody else.
                form["ms_rtc_renew"] = renewed.value.get_secret_value()
        elif self._grant is Grant.PASSWORD and config.password is not None:
            form["username"] = config.username or ""
            form["password"] = config.password.get_secret_value()
        return httpx.Request(
            "POST",
            href,
            data=form,
            headers={
                "Accept": "application/json",
                "Content-Type": "application/x-www-form-urlencoded;charset=UTF-8",
            },
            extensions={"timeout": httpx.Timeout(config.timeout).as_dict()},
        )

    def _token(self, answer: httpx.Response, href: httpx.URL, *, judged: bool) -> Token:
        if answer.status_code in (400, 401, 403):
            raise self._refused(answer, href, judged=judged)
        what = f"POST {href.copy_with(query=None)}"
        try:
            if answer.status_code == 200:
                ticket = _Ticket.model_validate(dict(parse_json(answer.content)))
                return Token(value=ticket.access_token, type=ticket.token_type, lifetime=ticket.expires_in)
        except (Unreadable, ValidationError):
            # Not chained: a validation error quotes its input, which may be a token.
            raise ProviderError(f"{what}: the answer is no token", provider="ucwa", status=200) from None
        raise ProviderError(f"{what}: no token, HTTP {answer.status_code}", provider="ucwa", status=answer.status_code)

    def _refused(self, answer: httpx.Response, href: httpx.URL, *, judged: bool) -> AuthenticationFailed:
        """Return the error that a refusal is, and remember it where the credentials are what was refused."""
        oauth, ucwa, elsewhere = _error_words(answer)
        word = oauth or ucwa
        message = (
            f"POST {href.copy_with(query=None)}: the server refuses the {_name(self._grant)} grant for "
            f"{self._config.who} ({word or f'HTTP {answer.status_code}'})."
        )
        if elsewhere:
            # UCWA documents it as the answer to who comes without the cookie of the organization's sign-in page.
            message += " It signs its users in on a page of the organization (passive, AD FS): set token_source."
        elif judged or (oauth is not None and oauth not in _NO_JUDGEMENT):
            message += f" Check {self._credentials}; they are not tried again."
            self._rejected = message
        else:
            message += (
                f" Check {self._credentials}, and that this is the server's token address: it did not judge them."
            )
        return AuthenticationFailed(message, provider="ucwa", code=word, status=answer.status_code)

    @property
    def _credentials(self) -> str:
        if self._grant is Grant.ANONYMOUS:
            return "conference_uri and conference_key"
        return "username and password" if self._config.password is not None else "the Windows account and its ticket"


def _grant(config: UcwaConfig) -> Grant:
    if config.conference_key is not None:
        return Grant.ANONYMOUS
    return Grant.WINDOWS if config.windows else Grant.PASSWORD


def _instead(grant: Grant, offered: frozenset[str]) -> str:
    """What to do where a server does not offer a grant."""
    if grant is Grant.ANONYMOUS:
        return "Guests may not join there; sign in as a user."
    if grant is Grant.PASSWORD and Grant.WINDOWS in offered:
        return "Set windows = true, or ask the administrator to enable forms sign-in, or set token_source."
    if grant is Grant.WINDOWS and Grant.PASSWORD in offered:
        return "Leave windows out and set username and password, or set token_source."
    return "Ask the administrator to enable forms sign-in, or set token_source."


def _name(grant: Grant) -> str:
    return grant.rpartition(":")[2]


def _error_words(answer: httpx.Response) -> tuple[str | None, str | None, bool]:
    """The OAuth error, and UCWA's own, where the answer has them; and whether users sign in elsewhere."""
    try:
        data = parse_json(answer.content)
    except Unreadable:
        return None, None, False
    word = data.get("error")
    problem = parse_problem(data)
    name = problem.name if problem is not None else None
    return word if isinstance(word, str) else None, name, bool(data.get("ms_rtc_passiveauthuri"))
