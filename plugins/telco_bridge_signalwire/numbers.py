"""The phone numbers of a project: who answers their calls, and letting somebody else do it."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TypeVar
from urllib.parse import quote, urlencode

import httpx

from telco_bridge.http import open_client, origin, refusal, send
from telco_bridge.provider import AuthenticationFailed, ProviderError
from telco_bridge_laml.decode import decode_error
from telco_bridge_laml.wire import Page, Payload, Resource, Text, Unreadable, Word, read_answer

from .config import PROVIDER, SignalWireConfig

__all__ = ["Change", "Numbers", "PhoneNumber", "Routing", "changes", "open_numbers"]

P = TypeVar("P", bound=Payload)

_MOST_PAGES = 20

_SETTINGS = (
    (("VoiceApplicationSid", "application_sid"),),
    (("VoiceUrl", "voice_url"), ("VoiceMethod", "voice_method")),
    (("VoiceFallbackUrl", "fallback_url"), ("VoiceFallbackMethod", "fallback_method")),
    (("StatusCallback", "status_callback"), ("StatusCallbackMethod", "status_callback_method")),
)
"""What SignalWire calls the parts of a routing; those that belong together stand together."""


class _NumberResource(Resource):
    """The IncomingPhoneNumber object of the REST API, as far as voice goes."""

    phone_number: Word
    friendly_name: Text = None
    voice_url: Text = None
    voice_method: Text = None
    voice_fallback_url: Text = None
    voice_fallback_method: Text = None
    voice_application_sid: Text = None
    status_callback: Text = None
    status_callback_method: Text = None


class _NumberPage(Page):
    incoming_phone_numbers: tuple[_NumberResource, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Routing:
    """Who is asked about the calls to a number. None is nobody; a method says nothing where its address is None."""

    voice_url: str | None = None
    voice_method: str | None = None
    fallback_url: str | None = None
    fallback_method: str | None = None
    application_sid: str | None = None
    status_callback: str | None = None
    status_callback_method: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PhoneNumber:
    """A number that the project owns."""

    sid: str
    number: str
    friendly_name: str | None = None
    routing: Routing = Routing()


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One setting of a number, by the name that SignalWire gives it."""

    name: str
    before: str | None
    after: str | None


@asynccontextmanager
async def open_numbers(
    config: SignalWireConfig, *, transport: httpx.AsyncBaseTransport | None = None
) -> AsyncGenerator[Numbers]:
    """Open the numbers of a project, asking for nothing yet. `transport` replaces the network, for tests."""
    credentials = (config.project, config.token.get_secret_value())
    async with open_client(config.api_url, auth=credentials, timeout=config.timeout, transport=transport) as client:
        yield Numbers(client, f"{config.api_url}/Accounts/{quote(config.project, safe='')}/IncomingPhoneNumbers")


class Numbers:
    """The numbers of one project, below one address of the API.

    What is asked raises `AuthenticationFailed` where the token lacks the scope Numbers, and another `ProviderError`
    where no usable answer comes.
    """

    def __init__(self, client: httpx.AsyncClient, url: str) -> None:
        self._client = client
        self._url = url

    async def find(self, number: str) -> PhoneNumber | None:
        """Return that number (E.164); None where the project does not own it."""
        what = f"looking for {number}"
        # SignalWire documents the filter as a pattern, so that other numbers may come with it.
        url = f"{self._url}?{urlencode({'PhoneNumber': number})}"
        for _ in range(_MOST_PAGES):
            page = await self._get(_NumberPage, url, what)
            found = next((one for one in page.incoming_phone_numbers if one.phone_number == number), None)
            if found is not None:
                return _phone_number(found)
            if page.next_page_uri is None:
                return None
            url = str(httpx.URL(origin(self._url)).join(page.next_page_uri))
        raise ProviderError(f"{what}: SignalWire's list does not end", provider=PROVIDER)

    async def first(self, count: int) -> tuple[PhoneNumber, ...]:
        """Return some of the numbers that the project owns, so many at most."""
        url = f"{self._url}?{urlencode({'PageSize': count})}"
        page = await self._get(_NumberPage, url, "listing the numbers")
        return tuple(_phone_number(one) for one in page.incoming_phone_numbers[:count])

    async def read(self, sid: str) -> PhoneNumber:
        """Return the number of that SID."""
        url = f"{self._url}/{quote(sid, safe='')}"
        return _phone_number(await self._get(_NumberResource, url, f"reading number {sid}"))

    async def route(self, number: PhoneNumber, routing: Routing) -> None:
        """Let the number's calls go there; what the answer says is not looked at: `read` tells what is set.

        Only what differs is sent. Raises `AnswerLost` where nobody knows whether it was done.
        """
        form = [(change.name, change.after or "") for change in changes(number.routing, routing)]
        request = self._client.build_request(
            "POST",
            f"{self._url}/{quote(number.sid, safe='')}",
            content=urlencode(form).encode("ascii"),
            headers={"accept": "application/json", "content-type": "application/x-www-form-urlencoded"},
        )
        response = await send(self._client, request, provider=PROVIDER)
        if not response.is_success:
            raise _refusal(response, f"routing {number.number}")

    async def _get(self, model: type[P], url: str, what: str) -> P:
        request = self._client.build_request("GET", url, headers={"accept": "application/json"})
        response = await send(self._client, request, provider=PROVIDER)
        if not response.is_success:
            raise _refusal(response, what)
        try:
            return read_answer(model, response.headers.get("content-type"), response.content)
        except Unreadable as error:
            raise ProviderError(
                f"{what}: HTTP {response.status_code}, but {error}. Check that the address is that of the API.",
                provider=PROVIDER,
                status=response.status_code,
            ) from error


def changes(before: Routing, after: Routing) -> tuple[Change, ...]:
    """Return what must be set to get from one routing to the other. An address is never set without its method."""
    found: list[Change] = []
    for group in _SETTINGS:
        all_of_it = [
            Change(name=name, before=getattr(before, attribute), after=getattr(after, attribute))
            for name, attribute in group
        ]
        if any(change.before != change.after for change in all_of_it):
            found += [change for change in all_of_it if change.before is not None or change.after is not None]
    return tuple(found)


def _phone_number(resource: _NumberResource) -> PhoneNumber:
    return PhoneNumber(
        sid=resource.sid,
        number=resource.phone_number,
        friendly_name=resource.friendly_name,
        routing=Routing(
            voice_url=resource.voice_url,
            voice_method=resource.voice_method,
            fallback_url=resource.voice_fallback_url,
            fallback_method=resource.voice_fallback_method,
            application_sid=resource.voice_application_sid,
            status_callback=resource.status_callback,
            status_callback_method=resource.status_callback_method,
        ),
    )


def _refusal(response: httpx.Response, what: str) -> ProviderError:
    said = decode_error(response.content)
    status = response.status_code
    if status in (401, 403):
        words = " ".join(part for part in (f"HTTP {status}", said.code, said.message) if part)
        return AuthenticationFailed(
            f"{what}: {words}. The token needs the scope Numbers, beside Voice; without it, or with a wrong project or "
            "token, SignalWire answers this.",
            provider=PROVIDER,
            code=said.code,
            status=status,
        )
    return refusal(response, provider=PROVIDER, what=what, code=said.code, message=said.message)
