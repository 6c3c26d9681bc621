"""Signing requests: a token per host, renewed before it expires and when the server asks, never sent anywhere else."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Annotated, cast

import anyio
import httpx
from pydantic import BaseModel, BeforeValidator, SecretStr, ValidationError

from telco_bridge.http import origin
from telco_bridge.provider import AuthenticationFailed, Clock, ProviderError

from .config import UcwaConfig
from .hosts import Hosts
from .tokens import Grant, Token, TokenRequest, TokenSource, from_command, seconds
from .wire import Unreadable, bare, parse_json, parse_problem

__all__ = ["Challenge", "SignedClient", "is_challenge", "parse_challenge"]

_NO_JUDGEMENT = frozenset(
    {"server_error", "temporarily_unavailable", "invalid_request", "invalid_scope", "unsupported_grant_type"}
)
"""The OAuth errors that say nothing about the credentials."""

_RETRY = 60.0
"""Seconds between attempts to renew a token that is still good."""

_SCHEME = re.compile(r"(?:^|[\s,])MsRtcOAuth(?=\s)", re.IGNORECASE)
_PARAMETER = re.compile(r"""\s*,?\s*([A-Za-z_]+)\s*=\s*(?:"([^"]*)"|([^\s,"]+))""")


class Challenge(BaseModel):
    """What a server asks for before it serves: where tokens are given out, and for which grants."""

    href: str
    grants: Annotated[
        frozenset[str],
        BeforeValidator(lambda text: frozenset(grant.strip() for grant in text.split(",") if grant.strip())),
    ]


class _Ticket(BaseModel):
    """What a server gives. Of its other fields, the scope of the identity says nothing that a client could use."""

    access_token: Annotated[SecretStr, BeforeValidator(lambda text: text or None)]
    token_type: str = "Bearer"  # noqa: S105 - the scheme's name
    expires_in: Annotated[float | None, BeforeValidator(seconds)] = None


@dataclass(slots=True)
class _Held:
    """A token in use, and how to get the next one. `renewal` is when to; None: when the server asks."""

    token: Token
    request: TokenRequest
    renewal: float | None


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
    After nine tenths of its life a token is replaced before the next request; one that is waiting keeps the old one.
    Credentials that the server has judged and refused are not tried again, because repeated failures lock the
    user's account.
    """

    def __init__(self, hosts: Hosts, config: UcwaConfig, clock: Clock) -> None:
        self._hosts = hosts
        self._config = config
        self._clock = clock
        self._held: dict[str, _Held] = {}
        self._renewing = anyio.Lock()
        self._rejected: str | None = None
        source = config.token_source
        self._source: TokenSource | None = source if callable(source) or source is None else from_command(source)

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
        return await self._signed(lambda: self._request(method, url, json, read_timeout))

    async def describe(self, url: str, sdp: str) -> httpx.Response:
        """POST a session description as it is. Raises what `send` raises."""
        return await self._signed(lambda: self._description(url, sdp))

    async def _signed(self, make: Callable[[], httpx.Request]) -> httpx.Response:
        request = make()
        host = origin(request.url)
        await self._renew_early(host)
        held = self._held.get(host)
        response = await self._send(request, held)
        if not is_challenge(response):
            return response
        renewed = await self._renew(response, held)
        response = await self._send(make(), renewed)
        if is_challenge(response):
            raise AuthenticationFailed(
                f"{request.method} {_bare(request.url)}: the server gave a token and does not accept it (HTTP "
                f"{response.status_code}). Check that {self._config.who} may use Skype for Business there.",
                provider="ucwa",
                status=response.status_code,
            )
        return response

    async def ask(self, url: httpx.URL) -> httpx.Response:
        """GET what needs no token. Raises `ForeignOrigin`, `NotSent`, `AnswerLost`."""
        return await self._hosts.ask(url)

    def check(self, url: httpx.URL) -> None:
        """Raise `ForeignOrigin` for a host that no token may be sent to."""
        self._hosts.check(url, "GET")

    async def keep_fresh(self) -> None:
        """Renew every token in time, for ever, also where nothing is sent for long."""
        while True:
            now = self._clock.now()
            # Tokens of further hosts may come while this one sleeps.
            due = min((held.renewal for held in self._held.values() if held.renewal is not None), default=now + _RETRY)
            await self._clock.sleep_until(min(due, now + _RETRY))
            for host in list(self._held):
                await self._renew_early(host)

    def _request(
        self, method: str, url: str, json: Mapping[str, object] | None, read_timeout: float | None
    ) -> httpx.Request:
        timeout = httpx.Timeout(self._config.timeout, read=read_timeout or self._config.timeout)
        try:
            return httpx.Request(
                method,
                url,
                json=json,
                headers={"Accept": "application/json"},
                extensions={"timeout": timeout.as_dict()},
            )
        except httpx.InvalidURL as error:
            raise ProviderError(
                f"{method}: the server gave a link that is no URL: {bare(url)}", provider="ucwa"
            ) from error

    def _description(self, url: str, sdp: str) -> httpx.Request:
        plain = self._request("POST", url, None, None)
        headers = {"Accept": "application/json", "Content-Type": "application/sdp"}
        return httpx.Request("POST", plain.url, content=sdp.encode(), headers=headers, extensions=plain.extensions)

    async def _send(self, request: httpx.Request, held: _Held | None) -> httpx.Response:
        if held is not None:
            request.headers["Authorization"] = f"{held.token.type} {held.token.value.get_secret_value()}"
        return await self._hosts.send(request)

    async def _renew(self, response: httpx.Response, used: _Held | None) -> _Held:
        """Return a token for the host that asked for one, fetched once however many requests wait for it."""
        host = origin(response.request.url)
        async with self._renewing:
            current = self._held.get(host)
            if current is not None and current is not used:
                return current
            return await self._take(self._wanted(response), current)

    async def _renew_early(self, host: str) -> None:
        """Replace the token of a host that is near its end. Where that fails, the old one serves as long as it does."""
        if not self._is_due(host):
            return
        async with self._renewing:
            held = self._held[host]
            if not self._is_due(host):
                return
            held.renewal = self._clock.now() + _RETRY
            with suppress(ProviderError):
                # Not lost: a token that has expired in the end is asked for again, and then it is raised.
                await self._take(held.request, held)

    def _is_due(self, host: str) -> bool:
        held = self._held.get(host)
        return held is not None and held.renewal is not None and held.renewal <= self._clock.now()

    async def _take(self, request: TokenRequest, old: _Held | None) -> _Held:
        if self._rejected is not None:
            raise AuthenticationFailed(self._rejected, provider="ucwa")
        asked = self._clock.now()
        token = await (self._sourced(self._source, request) if self._source else self._granted(request, old))
        if not token.is_sendable:
            raise AuthenticationFailed(f"the token for {request.host} holds what no header may", provider="ucwa")
        held = self._held[request.host] = _Held(token, request, token.renewal(asked))
        return held

    def _wanted(self, response: httpx.Response) -> TokenRequest:
        """Return what the server asks for."""
        asked_by = _bare(response.request.url)
        challenge = parse_challenge(response.headers)
        if challenge is None:
            raise AuthenticationFailed(
                f"{asked_by} asks for a sign-in that is not MsRtcOAuth, the one of on-premises servers",
                provider="ucwa",
                status=response.status_code,
            )
        try:
            href = response.request.url.join(challenge.href)
        except httpx.InvalidURL as error:
            raise ProviderError(
                f"{asked_by} gave a token address that is no URL: {bare(challenge.href)}", provider="ucwa"
            ) from error
        grant = None if self._source else self._grant
        if grant is not None and grant not in challenge.grants:
            hint = "Ask the administrator to enable forms sign-in" if grant is Grant.PASSWORD else "Guests may not join"
            raise AuthenticationFailed(
                f"{asked_by} does not offer the {_name(grant)} grant, only "
                f"{', '.join(sorted(challenge.grants)) or 'none'}. {hint}, or set token_source.",
                provider="ucwa",
                status=response.status_code,
            )
        return TokenRequest(host=origin(response.request.url), href=str(href), grants=challenge.grants)

    @property
    def _grant(self) -> Grant:
        return Grant.ANONYMOUS if self._config.conference_key is not None else Grant.PASSWORD

    async def _sourced(self, source: TokenSource, request: TokenRequest) -> Token:
        try:
            # As untyped as whatever a configuration may hold.
            token = cast("object", await source(request))
        except ProviderError:
            raise
        except Exception as error:  # it is not ours, and whatever it raises must not end the channel's task
            raise AuthenticationFailed(
                f"the token source failed for {request.host}: {type(error).__name__}", provider="ucwa"
            ) from error
        if not isinstance(token, Token):
            raise AuthenticationFailed(
                f"the token source returned {type(token).__name__}, not a Token", provider="ucwa"
            )
        return token

    async def _granted(self, request: TokenRequest, old: _Held | None) -> Token:
        form: dict[str, str] = {"grant_type": self._grant}
        config = self._config
        if config.conference_key is not None:
            form["password"] = config.conference_key.get_secret_value()
            form["ms_rtc_conferenceuri"] = config.conference_uri or ""
            if old is not None:
                # Without it the guest would become somebody else.
                form["ms_rtc_renew"] = old.token.value.get_secret_value()
        elif config.password is not None:
            form["username"] = config.username or ""
            form["password"] = config.password.get_secret_value()
        href = httpx.URL(request.href)
        wanted = httpx.Request(
            "POST",
            href,
            data=form,
            headers={
                "Accept": "application/json",
                "Content-Type": "application/x-www-form-urlencoded;charset=UTF-8",
            },
            extensions={"timeout": httpx.Timeout(config.timeout).as_dict()},
        )
        return self._token(await self._hosts.send(wanted), href)

    def _token(self, answer: httpx.Response, href: httpx.URL) -> Token:
        if answer.status_code in (400, 401, 403):
            oauth, ucwa = _error_words(answer)
            word = oauth or ucwa
            what = "conference_uri and conference_key" if self._grant is Grant.ANONYMOUS else "username and password"
            message = (
                f"POST {_bare(href)}: the server refuses the {_name(self._grant)} grant for {self._config.who}"
                f" ({word or f'HTTP {answer.status_code}'}). Check {what}"
            )
            if oauth is not None and oauth not in _NO_JUDGEMENT:
                message = self._rejected = f"{message}; they are not tried again."
            else:
                message = f"{message}, and that this is the server's token address: it did not judge them."
            raise AuthenticationFailed(message, provider="ucwa", code=word, status=answer.status_code)
        try:
            if answer.status_code == 200:
                ticket = _Ticket.model_validate(dict(parse_json(answer.content)))
                return Token(value=ticket.access_token, type=ticket.token_type, lifetime=ticket.expires_in)
        except (Unreadable, ValidationError):
            # Not chained: a validation error quotes its input, which may be a token.
            raise ProviderError(f"POST {_bare(href)}: the answer is no token", provider="ucwa", status=200) from None
        raise ProviderError(
            f"POST {_bare(href)}: no token, HTTP {answer.status_code}", provider="ucwa", status=answer.status_code
        )


def is_challenge(response: httpx.Response) -> bool:
    """Whether the answer asks for a token, or for another one."""
    return response.status_code == 401 or (response.status_code == 403 and "www-authenticate" in response.headers)


def _name(grant: Grant) -> str:
    return grant.rpartition(":")[2]


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
