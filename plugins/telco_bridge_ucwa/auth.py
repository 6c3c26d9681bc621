"""Signing requests: a token per host, renewed when the server asks for it, and never sent anywhere else."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated

import anyio
import httpx
from pydantic import BaseModel, BeforeValidator, SecretStr, ValidationError

from telco_bridge.http import origin, send
from telco_bridge.provider import AuthenticationFailed, ProviderError

from .config import UcwaConfig
from .wire import Unreadable, bare, parse_json, parse_problem

_NO_JUDGEMENT = frozenset(
    {"server_error", "temporarily_unavailable", "invalid_request", "invalid_scope", "unsupported_grant_type"}
)
"""The OAuth errors that say nothing about the credentials."""

__all__ = ["Challenge", "SignedClient", "parse_challenge"]

_SCHEME = re.compile(r"(?:^|[\s,])MsRtcOAuth(?=\s)", re.IGNORECASE)
_PARAMETER = re.compile(r"""\s*,?\s*([A-Za-z_]+)\s*=\s*(?:"([^"]*)"|([^\s,"]+))""")


class Challenge(BaseModel):
    """What a server asks for before it serves: where tokens are given out, and for which grants."""

    href: str
    grants: Annotated[
        frozenset[str],
        BeforeValidator(lambda text: frozenset(grant.strip() for grant in text.split(",") if grant.strip())),
    ]


class _Token(BaseModel):
    access_token: SecretStr
    token_type: str = "Bearer"  # noqa: S105 - the scheme's name


def parse_challenge(headers: httpx.Headers) -> Challenge | None:
    """Return the MsRtcOAuth challenge, from headers that stand apart or are folded into one; None without one.

    UCWA documents the address with quotes and without.
    """
    text = ", ".join(headers.get_list("www-authenticate"))
    blanked = re.sub(r'"[^"]*"', lambda quoted: '"' + "x" * (len(quoted.group()) - 2) + '"', text)
    scheme = _SCHEME.search(blanked)
    if scheme is None:
        return None
    found: dict[str, str] = {}
    position = scheme.end()
    while (parameter := _PARAMETER.match(text, position)) is not None:
        name, quoted, plain = parameter.groups()
        found.setdefault(name.lower(), quoted if quoted is not None else plain)
        position = parameter.end()
    try:
        return Challenge.model_validate({"href": found.get("href"), "grants": found.get("grant_type", "")})
    except ValidationError:
        return None


class SignedClient:
    """Sends requests with the token of their host.

    A 401, or a 403 that carries a challenge, fetches a token and repeats the request once: it had not been executed.
    Credentials that the server has judged and refused are not tried again, because repeated failures lock the
    user's account.
    """

    def __init__(self, client: httpx.AsyncClient, config: UcwaConfig) -> None:
        self._client = client
        self._config = config
        self._tokens: dict[str, _Token] = {}
        self._renewing = anyio.Lock()
        self._rejected: str | None = None

    async def send(
        self,
        method: str,
        url: str,
        *,
        json: Mapping[str, object] | None = None,
        read_timeout: float | None = None,
    ) -> httpx.Response:
        """Send a request and return its answer, whatever its status but 401.

        Raises `AuthenticationFailed`, `NotSent`, `AnswerLost`, and `ForeignOrigin` for a host that is not allowed.
        """
        request = self._request(method, url, json, read_timeout)
        token = self._tokens.get(origin(request.url))
        response = await self._send(request, token)
        if not _is_challenge(response):
            return response
        renewed = await self._renew(response, token)
        response = await self._send(self._request(method, url, json, read_timeout), renewed)
        if _is_challenge(response):
            raise AuthenticationFailed(
                f"{method} {_bare(request.url)}: the server gave a token and does not accept it (HTTP "
                f"{response.status_code}). Check that {self._config.username} may use Skype for Business there.",
                provider="ucwa",
                status=response.status_code,
            )
        return response

    def _request(
        self, method: str, url: str, json: Mapping[str, object] | None, read_timeout: float | None
    ) -> httpx.Request:
        timeout = httpx.Timeout(self._config.timeout, read=read_timeout or self._config.timeout)
        try:
            return self._client.build_request(
                method, url, json=json, headers={"Accept": "application/json"}, timeout=timeout
            )
        except httpx.InvalidURL as error:
            raise ProviderError(
                f"{method}: the server gave a link that is no URL: {bare(url)}", provider="ucwa"
            ) from error

    async def _send(self, request: httpx.Request, token: _Token | None) -> httpx.Response:
        if token is not None:
            request.headers["Authorization"] = f"{token.token_type} {token.access_token.get_secret_value()}"
        return await send(self._client, request, provider="ucwa")

    async def _renew(self, response: httpx.Response, used: _Token | None) -> _Token:
        """Return a token for the host that asked for one, fetched once however many requests wait for it."""
        host = origin(response.request.url)
        async with self._renewing:
            current = self._tokens.get(host)
            if current is None or current is used:
                current = self._tokens[host] = await self._fetch(response)
            return current

    async def _fetch(self, response: httpx.Response) -> _Token:
        asked_by = _bare(response.request.url)
        if self._rejected is not None:
            raise AuthenticationFailed(self._rejected, provider="ucwa")
        challenge = parse_challenge(response.headers)
        if challenge is None:
            raise AuthenticationFailed(
                f"{asked_by} asks for a sign-in that is not MsRtcOAuth, the one of on-premises servers",
                provider="ucwa",
                status=response.status_code,
            )
        if "password" not in challenge.grants:
            raise AuthenticationFailed(
                f"{asked_by} does not offer the password grant, only {', '.join(sorted(challenge.grants)) or 'none'}. "
                "Ask the administrator to enable forms sign-in.",
                provider="ucwa",
                status=response.status_code,
            )
        try:
            href = response.request.url.join(challenge.href)
        except httpx.InvalidURL as error:
            raise ProviderError(
                f"{asked_by} gave a token address that is no URL: {bare(challenge.href)}", provider="ucwa"
            ) from error
        request = self._client.build_request(
            "POST",
            href,
            data={
                "grant_type": "password",
                "username": self._config.username,
                "password": self._config.password.get_secret_value(),
            },
            headers={
                "Accept": "application/json",
                "Content-Type": "application/x-www-form-urlencoded;charset=UTF-8",
            },
        )
        return self._token(await send(self._client, request, provider="ucwa"), href)

    def _token(self, answer: httpx.Response, href: httpx.URL) -> _Token:
        if answer.status_code in (400, 401, 403):
            oauth, ucwa = _error_words(answer)
            word = oauth or ucwa
            message = (
                f"POST {_bare(href)}: the server refuses the password grant for {self._config.username}"
                f" ({word or f'HTTP {answer.status_code}'}). Check username and password"
            )
            if oauth is not None and oauth not in _NO_JUDGEMENT:
                message = self._rejected = f"{message}; they are not tried again."
            else:
                message = f"{message}, and that this is the server's token address: it did not judge them."
            raise AuthenticationFailed(message, provider="ucwa", code=word, status=answer.status_code)
        try:
            if answer.status_code == 200:
                return _Token.model_validate(dict(parse_json(answer.content)))
        except (Unreadable, ValidationError):
            # Not chained: a validation error quotes its input, which may be a token.
            raise ProviderError(f"POST {_bare(href)}: the answer is no token", provider="ucwa", status=200) from None
        raise ProviderError(
            f"POST {_bare(href)}: no token, HTTP {answer.status_code}", provider="ucwa", status=answer.status_code
        )


def _is_challenge(response: httpx.Response) -> bool:
    return response.status_code == 401 or (response.status_code == 403 and "www-authenticate" in response.headers)


def _error_words(answer: httpx.Response) -> tuple[str | None, str | None]:
    """The OAuth error, and UCWA's own, where the answer has them."""
    try:
        data = parse_json(answer.content)
    except Unreadable:
        return None, None
    word = data.get("error")
    problem = parse_problem(data)
    return word if isinstance(word, str) else None, problem.name if problem is not None else None


def _bare(url: httpx.URL) -> str:
    return str(url.copy_with(query=None))
