"""What everything behind the typed door shares: links that are followed, and what it means when one is not there."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import TypeVar

import httpx

from telco_bridge.provider import AnswerLost, Host, ProviderError, RateLimited, Refused, TooLate

from ..application import Application
from ..auth import SignedClient
from ..inputs import checked_text
from ..links import Links
from ..problems import problem_in, said
from ..resources import Operation, Resources
from ..wire import Resource, with_query
from .messages import Messages
from .outcomes import Awaited, Outcomes
from .sessions import Sessions

__all__ = ["Door"]

T = TypeVar("T")

_ATTEMPTS = 3
_LONGEST_PAUSE = 10.0
"""Seconds: a server that wants a longer pause is not asked again."""


@dataclass(frozen=True, slots=True, eq=False)
class Door:
    """The application of a session, as its typed door uses it: whichever there is, or only this one (`pinned`).

    What the server did not execute because there were too many requests is asked for again, a few times. Every method
    raises `ProviderError` where the server says no or cannot be reached.
    """

    _client: SignedClient
    application: Application
    host: Host
    outcomes: Outcomes
    sessions: Sessions
    messages: Messages
    _pinned: tuple[Resources, Links] | None = None

    @classmethod
    def of(cls, client: SignedClient, application: Application, host: Host) -> Door:
        """Return the door of a session."""
        outcomes, sessions = Outcomes(application, host.clock), Sessions(application)
        return cls(client, application, host, outcomes, sessions, Messages(application))

    def pinned(self) -> Door:
        """Return the door of the application that there is now. What belongs to that one is foreign to any later."""
        return replace(self, _pinned=(self.resources, self.links))

    def check(self, what: str) -> None:
        """Raise `TooLate` where the server has lost the application that this is the door of."""
        if self._pinned is not None and self._pinned[0] is not self.application.resources:
            raise TooLate(
                f"{what}: it is over, the server has lost the application that it was in. Nothing was sent.",
                provider="ucwa",
            )

    @property
    def resources(self) -> Resources:
        """What is known of the application's resources."""
        return self._pinned[0] if self._pinned is not None else self.application.resources

    @property
    def links(self) -> Links:
        """The application's links."""
        return self._pinned[1] if self._pinned is not None else self.application.links

    async def get(self, href: str, rel: str) -> Resource | None:
        """Read what is at a link; None where the server says that it is not there any more."""
        self.check(f"GET {rel}")
        try:
            return await self._patiently(lambda: self.links.get(href, rel))
        except ProviderError as error:
            if error.status == 404:
                return None
            raise

    async def send(
        self, method: str, href: str, rel: str, *, json: Mapping[str, object] | None = None, etag: str | None = None
    ) -> httpx.Response:
        """Send a request along a link, and return the answer whatever it says. `etag` is the version to replace."""

        async def attempt() -> httpx.Response:
            response = await self._client.send(method, self.links.url(href, rel), json=json, etag=etag)
            if response.status_code == 429:
                raise self.links.refusal(response, f"{method} {rel}")
            return response

        self.check(f"{method} {rel}")
        return await self._patiently(attempt)

    async def post(
        self,
        resource: Resource,
        rel: str,
        *,
        of: str = "",
        body: Mapping[str, object] | None = None,
        query: tuple[tuple[str, str], ...] = (),
        sdp: str | None = None,
        written: tuple[str, str] | None = None,
        begins: bool = False,
    ) -> httpx.Response:
        """POST to that link of the resource, and return the answer, which accepts it. `of` says whose link it is.

        `sdp` is a session description that is the body as it is, `written` a text and its type. Raises `TooLate` where
        the resource does not offer the link now, or the server says that it is too late; for what `begins` something it
        never is. Raises `Refused` where nobody is known at the address that was given.
        """
        what = f"{rel} of {of}" if of else rel
        self.check(what)
        href = resource.link(rel)
        if href is None:
            raise TooLate(f"{what}: the server does not offer it now. Nothing was sent.", provider="ucwa")
        url = with_query(self.links.url(href, rel), query)
        if sdp is not None:
            checked_text("the session description", sdp)

        async def attempt() -> httpx.Response:
            if sdp is not None:
                return self._accepted(await self._client.describe(url, sdp), what, begins=begins)
            if written is not None:
                text, kind = written
                answer = await self._client.post(url, text.encode(), content_type=f"{kind};charset=utf-8")
                return self._accepted(answer, what, begins=begins)
            return self._accepted(await self._client.send("POST", url, json=body), what, begins=begins)

        return await self._patiently(attempt)

    async def ask(
        self,
        awaited: Awaited,
        resource: Resource,
        rel: str,
        *,
        of: str = "",
        body: Mapping[str, object] | None = None,
        query: tuple[tuple[str, str], ...] = (),
        sdp: str | None = None,
        written: tuple[str, str] | None = None,
        begins: bool = False,
        operation: Operation | None = None,
    ) -> None:
        """POST what makes an operation. An answer that is lost leaves it in doubt: events may tell what became of it.

        `operation` is what the call's own events have to be known by. Raises what `post` raises, but no `AnswerLost`.
        """
        resources = self.resources
        if operation is not None:
            resources.expect(operation)
        try:
            answer = await self.post(
                resource, rel, of=of, body=body, query=query, sdp=sdp, written=written, begins=begins
            )
        except AnswerLost as error:
            awaited.doubt = error
            return
        except ProviderError:
            resources.forget_operation(awaited.id)
            raise
        href = self.outcomes.place(awaited, answer)
        if operation is not None and href is not None:
            resources.place(operation.id, href)

    async def delete(self, href: str, rel: str) -> None:
        """DELETE what is at a link; what is gone already is no error."""
        response = await self.send("DELETE", href, rel)
        if response.status_code != 404:
            self._accepted(response, f"DELETE {rel}")

    async def _patiently(self, attempt: Callable[[], Awaitable[T]]) -> T:
        clock = self.host.clock
        for tried in range(1, _ATTEMPTS + 1):
            try:
                return await attempt()
            except RateLimited as error:
                pause = error.retry_after if error.retry_after is not None else float(2 ** (tried - 1))
                if tried == _ATTEMPTS or pause > _LONGEST_PAUSE:
                    raise
            await clock.sleep_until(clock.now() + pause)
        raise AssertionError("unreachable: the last attempt returns or raises")

    def _accepted(self, response: httpx.Response, what: str, *, begins: bool = False) -> httpx.Response:
        if response.is_success:
            return response
        status = response.status_code
        problem = problem_in(response)
        code = problem.name if problem is not None else None
        unknown = problem is not None and problem.subcode == "DestinationNotFound"
        if status in (404, 409, 410):
            fact = Refused if begins or unknown else TooLate
            raise fact(f"{what}: {said(response)}", provider="ucwa", code=code, status=status)
        if status == 408:
            raise AnswerLost(f"{what}: HTTP 408", provider="ucwa", status=status)
        raise self.links.refusal(response, what)
