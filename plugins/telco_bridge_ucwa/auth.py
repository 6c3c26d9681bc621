"""Signing requests: a token per host, renewed before it expires and when the server asks, never sent anywhere else."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Annotated, cast

import anyio
import httpx
from pydantic import BaseModel, BeforeValidator, ValidationError

from telco_bridge.http import origin
from telco_bridge.provider import AuthenticationFailed, Clock, ProviderError

from .body import Form, written
from .config import UcwaConfig
from .hosts import Hosts
from .tickets import Tickets
from .tokens import Token, TokenRequest, TokenSource, from_command
from .wire import bare

__all__ = ["Challenge", "SignedClient", "is_challenge", "parse_authority", "parse_challenge"]

_RETRY = 60.0
"""Seconds between attempts to renew a token that is still good."""

_PATIENCE = 120.0
"""Seconds that a token source may take. It may ask a person, and whatever needs a token waits meanwhile."""

_CROSS_DOMAIN = "cross domain request from this origin"
_READ = 2000
"""Characters of a refusal that are searched."""

_SCHEMES = {name: re.compile(rf"(?:^|[\s,]){name}(?=\s)", re.IGNORECASE) for name in ("MsRtcOAuth", "Bearer")}
_PARAMETER = re.compile(r"""\s*,?\s*([A-Za-z_]+)\s*=\s*(?:"([^"]*)"|([^\s,"]+))""")


class Challenge(BaseModel):
    """What a server asks for before it serves: where tokens are given out, and for which grants."""

    href: str
    grants: Annotated[
        frozenset[str],
        BeforeValidator(lambda text: frozenset(grant.strip() for grant in text.split(",") if grant.strip())),
    ]


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
    found = _parameters(headers, "MsRtcOAuth")
    try:
        return Challenge.model_validate({"href": found.get("href"), "grants": found.get("grant_type", "")})
    except ValidationError:
        return None


def parse_authority(headers: httpx.Headers) -> str | None:
    """Return the address of the Azure AD that the Bearer challenge names; None where it names none."""
    return _parameters(headers, "Bearer").get("authorization_uri")


def _parameters(headers: httpx.Headers, scheme: str) -> dict[str, str]:
    """Return what the challenge of that scheme says; empty without one."""
    text = ", ".join(headers.get_list("www-authenticate"))
    blanked = re.sub(r'"[^"]*"', lambda quoted: '"' + "x" * (len(quoted.group()) - 2) + '"', text)
    found: dict[str, str] = {}
    begun = _SCHEMES[scheme].search(blanked)
    position = len(text) if begun is None else begun.end()
    while (parameter := _PARAMETER.match(text, position)) is not None:
        name, quoted, plain = parameter.groups()
        found.setdefault(name.lower(), quoted if quoted is not None else plain)
        position = parameter.end()
    return found


class SignedClient:
    """Sends requests with the token of their host.

    A 401, or a 403 that carries a challenge, fetches a token and repeats the request once: it had not been executed.
    After nine tenths of its life a token is replaced before the next request; one that is waiting keeps the old one.
    """

    def __init__(self, hosts: Hosts, config: UcwaConfig, clock: Clock) -> None:
        self._hosts = hosts
        self._config = config
        self._clock = clock
        self._held: dict[str, _Held] = {}
        self._renewing = anyio.Lock()
        self._tickets = Tickets(hosts, config)
        source = config.token_source
        self._source: TokenSource | None = source if callable(source) or source is None else from_command(source)

    async def send(
        self,
        method: str,
        url: str,
        *,
        json: Mapping[str, object] | None = None,
        form: Form | None = None,
        etag: str | None = None,
        revision: int | None = None,
        read_timeout: float | None = None,
    ) -> httpx.Response:
        """Send a request and return its answer, whatever its status but 401.

        `json` is the body as JSON says it; `form`, by default the configured one, is how it is written and which the
        answer should have. `etag` is the version that is to be replaced, and `revision` the least one of the resource
        that knows the inputs. Raises `AuthenticationFailed`, `NotSent`, `AnswerLost`, and `ForeignOrigin` for a host
        that is not allowed.
        """
        wanted = form or self._config.format
        headers = {"Accept": wanted.media_type}
        content: bytes | None = None
        if json is not None:
            content, headers["Content-Type"] = written(json, wanted)
        if etag is not None:
            headers["If-Match"] = f'"{etag}"'
        if revision is not None:
            headers["X-MS-RequiresMinResourceVersion"] = str(revision)
        return await self._signed(lambda: self._request(method, url, headers, content, read_timeout))

    async def post(self, url: str, content: bytes, *, content_type: str, accept: str | None = None) -> httpx.Response:
        """POST a body of another type as it is. Raises what `send` raises."""
        headers = {"Accept": accept or self._config.format.media_type, "Content-Type": content_type}
        return await self._signed(lambda: self._request("POST", url, headers, content, None))

    async def describe(self, url: str, sdp: str) -> httpx.Response:
        """POST a session description as it is. Raises what `send` raises."""
        return await self.post(url, sdp.encode(), content_type="application/sdp")

    async def _signed(self, make: Callable[[], httpx.Request]) -> httpx.Response:
        response = await self._answer(make)
        if _is_cross_domain(response):
            raise AuthenticationFailed(
                f"{response.request.method} {_bare(response.request.url)}: HTTP 403: the server takes the request for "
                "that of a web page which is not on its list of allowed origins. The bridge names no origin: let the "
                "proxy that adds Origin or X-Ms-Origin leave it out, or have the administrator allow that origin.",
                provider="ucwa",
                status=403,
            )
        return response

    async def _answer(self, make: Callable[[], httpx.Request]) -> httpx.Response:
        request = make()
        host = origin(request.url)
        await self._renew_early(host)
        held = self._held.get(host)
        response = await self._send(request, held)
        if not is_challenge(response) or _is_cross_domain(response):
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
        self, method: str, url: str, headers: Mapping[str, str], content: bytes | None, read_timeout: float | None
    ) -> httpx.Request:
        timeout = httpx.Timeout(self._config.timeout, read=read_timeout or self._config.timeout)
        try:
            return httpx.Request(
                method, url, content=content, headers=headers, extensions={"timeout": timeout.as_dict()}
            )
        except httpx.InvalidURL as error:
            raise ProviderError(
                f"{method}: the server gave a link that is no URL: {bare(url)}", provider="ucwa"
            ) from error

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
        asked = self._clock.now()
        if self._source is not None:
            token = await self._sourced(self._source, request)
        else:
            token = await self._tickets.get(request, renewed=old.token if old is not None else None)
        if not token.is_sendable:
            raise AuthenticationFailed(f"the token for {request.host} holds what no header may", provider="ucwa")
        held = self._held[request.host] = _Held(token, request, token.renewal(asked))
        return held

    def _wanted(self, response: httpx.Response) -> TokenRequest:
        """Return what the server asks for."""
        asked_by = _bare(response.request.url)
        challenge = parse_challenge(response.headers)
        authority = parse_authority(response.headers)
        if challenge is None and authority is not None and self._source is not None:
            return TokenRequest(host=origin(response.request.url), href="", grants=frozenset(), authority=authority)
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
        request = TokenRequest(
            host=origin(response.request.url), href=str(href), grants=challenge.grants, authority=authority
        )
        if self._source is None:
            self._tickets.check(request, asked_by)
        return request

    async def _sourced(self, source: TokenSource, request: TokenRequest) -> Token:
        try:
            with anyio.fail_after(_PATIENCE):
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


def is_challenge(response: httpx.Response) -> bool:
    """Whether the answer asks for a token, or for another one."""
    return response.status_code == 401 or (response.status_code == 403 and "www-authenticate" in response.headers)


def _is_cross_domain(response: httpx.Response) -> bool:
    """Whether the server refuses the page that it thinks is asking. UCWA documents the words, and no code."""
    if response.status_code != 403:
        return False
    said = [response.reason_phrase, *response.headers.values(), response.text[:_READ]]
    return any(_CROSS_DOMAIN in words for words in said)


def _bare(url: httpx.URL) -> str:
    return str(url.copy_with(query=None))
