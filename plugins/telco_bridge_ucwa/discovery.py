"""Autodiscovery: from a domain to the `applications` resource of the pool that is the user's home."""

from __future__ import annotations

from http import HTTPStatus
from urllib.parse import urlsplit

import httpx

from telco_bridge.http import ForeignOrigin
from telco_bridge.provider import AnswerLost, NotSent, ProviderError, Unreachable

from .auth import SignedClient, is_challenge
from .body import Form, Unreadable
from .config import UcwaConfig
from .problems import refused
from .wire import Resource, bare, resource_in

__all__ = ["enter", "find_applications"]

_HOPS = 5
_MOVED = frozenset(
    {
        HTTPStatus.MOVED_PERMANENTLY,
        HTTPStatus.FOUND,
        HTTPStatus.SEE_OTHER,
        HTTPStatus.TEMPORARY_REDIRECT,
        HTTPStatus.PERMANENT_REDIRECT,
    }
)


class _Failed(ProviderError):
    """An entry that leads nowhere; another may lead on."""


async def find_applications(client: SignedClient, config: UcwaConfig, *, now: float) -> tuple[str, bool]:
    """Return the address under which applications are made, and whether it is the one for guests.

    Raises `Unreachable` where no entry could be reached, `ForeignOrigin` where the way leads to a host that is not
    allowed, `AuthenticationFailed`, and `ProviderError` that names what was tried.
    """
    url = config.user_url or await _find_user(client, config)
    for _ in range(_HOPS):
        user = await _read_user(client, url, now)
        rels = ("anonApplications", "applications") if config.conference_key is not None else ("applications",)
        for rel in rels:
            applications = user.link(rel)
            if applications is not None:
                return str(_follow(url, applications, rel)), rel == "anonApplications"
        redirect = user.link("redirect")
        if redirect is not None:
            url = _user_of(str(_follow(url, redirect, "redirect")))
            continue
        linked = user.link("user")
        if linked is None:
            raise ProviderError(
                f"GET {bare(url)}: the user resource has no applications link; configure the `user` URL that "
                "autodiscovery leads to",
                provider="ucwa",
            )
        url = str(_follow(url, linked, "user"))
    raise ProviderError(f"the user resource was redirected more than {_HOPS} times", provider="ucwa")


async def _find_user(client: SignedClient, config: UcwaConfig) -> str:
    """Return the address of the user resource to which the first entry leads that leads anywhere."""
    tried: list[str] = []
    reached = False
    for entry in config.entries:
        try:
            return await enter(client, entry)
        except NotSent as error:
            tried.append(str(error))
        except (_Failed, AnswerLost, ForeignOrigin) as error:
            reached = True
            tried.append(f"{bare(entry)}: {error}")
    said = (
        f"autodiscovery of {config.discovered or bare(config.entry)} found no server. Tried: {'; '.join(tried)}. Check "
        "the domain, or configure user_url"
    )
    raise ProviderError(said, provider="ucwa") if reached else Unreachable(said, provider="ucwa")


async def enter(client: SignedClient, entry: str) -> str:
    """Follow an entry to the user resource, and prove that it may be asked with a token.

    Raises `NotSent`, `AnswerLost`, `ForeignOrigin`, and `ProviderError` for what leads nowhere.
    """
    url = httpx.URL(entry)
    for _ in range(_HOPS):
        response = await client.ask(url)
        if response.status_code in _MOVED:
            url = _moved(url, response)
            continue
        if is_challenge(response):
            # What asks for a token is the user resource already, or leads there once it is given one.
            client.check(url)
            return str(url)
        if response.status_code != HTTPStatus.OK:
            raise _Failed(f"HTTP {response.status_code}", provider="ucwa", status=response.status_code)
        try:
            root = resource_in(response, rel="root")
        except Unreadable as error:
            raise _Failed(str(error), provider="ucwa", status=response.status_code) from error
        user, redirect = root.link("user"), root.link("redirect")
        if user is not None:
            found = _follow(str(url), user, "user")
            client.check(found)
            return str(found)
        if redirect is None:
            raise _Failed("neither a user link nor a redirect", provider="ucwa")
        url = _follow(str(url), redirect, "redirect")
    raise _Failed(f"redirected more than {_HOPS} times", provider="ucwa")


def _moved(url: httpx.URL, response: httpx.Response) -> httpx.URL:
    location = response.headers.get("location")
    if location is None:
        raise _Failed(f"HTTP {response.status_code} without a Location", provider="ucwa", status=response.status_code)
    moved = _follow(str(url), location, "Location")
    if url.scheme == "https" and moved.scheme != "https":
        raise _Failed(f"HTTP {response.status_code} leads from https to {moved.scheme}", provider="ucwa")
    return moved


async def _read_user(client: SignedClient, url: str, now: float) -> Resource:
    # Autodiscovery is asked in JSON whatever the applications speak: of its XML nothing is recorded.
    response = await client.send("GET", url, form=Form.JSON)
    what = f"GET user ({bare(url)})"
    if response.status_code != HTTPStatus.OK:
        raise refused(response, what, now=now)
    try:
        return resource_in(response, rel="user")
    except Unreadable as error:
        raise ProviderError(f"{what}: {error}", provider="ucwa", status=response.status_code) from error


def _user_of(url: str) -> str:
    """Real servers redirect the user resource to the root of the user's home, whose user resource lies below it."""
    parts = urlsplit(url)
    return parts._replace(path=f"{parts.path}/oauth/user").geturl() if parts.path.endswith("/root") else url


def _follow(url: str, link: str, rel: str) -> httpx.URL:
    try:
        return httpx.URL(url).join(link)
    except httpx.InvalidURL as error:
        raise ProviderError(f"{rel}: the server gave a link that is no URL: {bare(link)}", provider="ucwa") from error
