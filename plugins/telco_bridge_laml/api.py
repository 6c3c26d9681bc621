"""Requests to the Compatibility API and their answers: one place that says what an answer means."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from typing import Generic, TypeVar
from urllib.parse import urlencode

import httpx

from telco_bridge.http import origin, refusal, send
from telco_bridge.provider import (
    AnswerLost,
    Host,
    ProviderError,
    RateLimited,
    TooLate,
)

from . import encode
from .config import LamlConfig
from .decode import ErrorAnswer, decode_error
from .wire import Page, Payload, Resource, Unreadable, read_answer

__all__ = ["GONE", "NO_SUCH_RESOURCE", "Api", "Pages", "said"]

P = TypeVar("P", bound=Payload)
R = TypeVar("R", bound=Resource)
L = TypeVar("L", bound=Page)

GONE = (404, 410)
_TOO_LATE = (*GONE, 409)

NO_SUCH_RESOURCE = "20404"

_WRONG_STATE = frozenset({"10000", "20404", "21220"})
"""Codes that say that the state of a call or stream does not allow it; 10000 has other meanings too."""

_TOO_MANY_QUEUED = "21611"

_MAX_PAGES = 1000


class Pages(AsyncIterator["tuple[L, float]"], Generic[L]):
    """The pages of a list: each with when it was asked for. `complete` says whether the last one has been read.

    A list that leads in a circle, or never ends, is broken off.
    """

    def __init__(self, api: Api, model: type[L], request: encode.Request, what: str) -> None:
        self.complete = False
        self._api = api
        self._model = model
        self._request = request
        self._what = what
        self._next: str | None = None
        self._visited: set[str] = set()
        self._begun = False

    async def __anext__(self) -> tuple[L, float]:
        link = self._next
        if self._begun and (link is None or link in self._visited or len(self._visited) >= _MAX_PAGES):
            raise StopAsyncIteration
        as_of = self._api.stamp()
        if link is None:
            response = await self._api.send(self._request)
        else:
            self._visited.add(link)
            response = await self._api.follow(link)
        page = self._api.readable(self._model, response, self._what)
        self._begun = True
        self._next = page.next_page_uri
        self.complete = self._next is None
        return page, as_of


class Api:
    """The API of one project, through one client."""

    def __init__(self, client: httpx.AsyncClient, config: LamlConfig, host: Host) -> None:
        self._client = client
        self._config = config
        self._host = host

    @property
    def provider(self) -> str:
        """The name of the provider, for errors."""
        return self._config.dialect.provider

    async def command(
        self, model: type[P], request: encode.Request, what: str, *, late: bool = False
    ) -> tuple[P, float]:
        """Send a command; return its answer, and when it was sent.

        A success that cannot be read is `AnswerLost`, for it was probably executed. Commands to something that exists
        (`late`) are `TooLate` where its state forbids them.
        """
        as_of = self._host.stamp()
        response = await self.send(request)
        if not response.is_success:
            raise self.refusal(response, what, late=late)
        try:
            return read_answer(model, response.headers.get("content-type"), response.content), as_of
        except Unreadable as error:
            raise self._lost(what, response, str(error)) from error

    async def command_to(self, model: type[R], request: encode.Request, what: str, *, of: str) -> tuple[R, float]:
        """Send a command to the resource of that SID, which the answer must be about."""
        as_of = self._host.stamp()
        response = await self.send(request)
        if not response.is_success:
            raise self.refusal(response, what, late=True)
        try:
            answer = read_answer(model, response.headers.get("content-type"), response.content)
        except Unreadable as error:
            raise self._lost(what, response, str(error)) from error
        if answer.sid != of:
            raise self._lost(what, response, "the answer is about something else")
        return answer, as_of

    async def read(self, model: type[P], request: encode.Request, what: str) -> P:
        """Ask a question and return the answer."""
        return self.readable(model, await self.send(request), what)

    def pages(self, model: type[L], request: encode.Request, what: str) -> Pages[L]:
        """Read a list page by page."""
        return Pages(self, model, request, what)

    async def follow(self, link: str) -> httpx.Response:
        """Get a page by its link, which is relative to the origin. Raises `ForeignOrigin` where it leads elsewhere."""
        try:
            url = httpx.URL(origin(self._config.api_url)).join(link)
        except httpx.InvalidURL as error:
            raise ProviderError("the carrier's link to the next page is no address", provider=self.provider) from error
        return await send(self._client, self._client.build_request("GET", url), provider=self.provider)

    def stamp(self) -> float:
        """The time at which something is asked."""
        return self._host.stamp()

    async def send(self, request: encode.Request) -> httpx.Response:
        """Send a request below the account; return whatever is answered."""
        url = self._url(request)
        headers = {"accept": "application/json"}
        content = None
        if request.method == "POST":
            headers["content-type"] = "application/x-www-form-urlencoded"
            content = urlencode(request.form).encode("ascii")
        sent = self._client.build_request(request.method, url, content=content, headers=headers)
        return await send(self._client, sent, provider=self.provider)

    async def fetch(self, request: encode.Request, what: str) -> AsyncGenerator[bytes]:
        """Get a file, in pieces, however large it is. Raises `ProviderError`."""
        sent = self._client.build_request(request.method, self._url(request))
        try:
            response = await self._client.send(sent, stream=True)
            try:
                if not response.is_success:
                    await response.aread()
                    raise self.refusal(response, what, late=False)
                async for piece in response.aiter_bytes():
                    yield piece
            finally:
                await response.aclose()
        except httpx.HTTPError as error:
            raise ProviderError(f"{what}: {type(error).__name__}: {error}", provider=self.provider) from error

    def readable(self, model: type[P], response: httpx.Response, what: str) -> P:
        """Return what a successful answer says. Raises `ProviderError` for any other."""
        if not response.is_success:
            raise self.refusal(response, what, late=False)
        try:
            return read_answer(model, response.headers.get("content-type"), response.content)
        except Unreadable as error:
            raise ProviderError(
                f"{what}: HTTP {response.status_code}, but {error}. Check that the address is that of the API.",
                provider=self.provider,
                status=response.status_code,
            ) from error

    def refusal(self, response: httpx.Response, what: str, *, late: bool) -> ProviderError:
        """Return the error that the answer means: by its HTTP status first, by its code second, by its text never."""
        error = decode_error(response.content)
        status = response.status_code
        told = f"{what}: {said(response, error)}"
        if late and (status in _TOO_LATE or (status in (400, 422) and error.code in _WRONG_STATE)):
            return TooLate(told, provider=self.provider, code=error.code, status=status)
        if status in (400, 422) and error.code == _TOO_MANY_QUEUED:
            return RateLimited(told, provider=self.provider, code=error.code, status=status)
        return refusal(
            response,
            provider=self.provider,
            what=what,
            code=error.code,
            message=error.message,
            now=self._host.clock.now(),
        )

    def _url(self, request: encode.Request) -> str:
        config = self._config
        suffix = request.suffix or config.dialect.json_suffix
        url = f"{config.api_url}/Accounts/{encode.segment(config.account)}/{request.encoded_path}{suffix}"
        return f"{url}?{urlencode(request.query)}" if request.query else url

    def _lost(self, what: str, response: httpx.Response, why: str) -> AnswerLost:
        return AnswerLost(
            f"{what}: HTTP {response.status_code}, but {why}. It may have been done.",
            provider=self.provider,
            status=response.status_code,
        )


def said(response: httpx.Response, error: ErrorAnswer) -> str:
    """Return an answer in a few words."""
    return " ".join(part for part in (f"HTTP {response.status_code}", error.code, error.message) if part)
