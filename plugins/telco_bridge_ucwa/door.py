"""What everything behind the typed door shares: links that are followed, and what it means when one is not there."""

from __future__ import annotations

from collections.abc import Mapping

import httpx

from telco_bridge.provider import AnswerLost, Host, ProviderError, Refused, TooLate

from .application import Application
from .auth import SignedClient
from .links import Links
from .outcomes import Outcomes
from .problems import problem_in, said
from .resources import Resources
from .sessions import Sessions
from .wire import Resource, with_query

__all__ = ["Door", "checked"]


def checked(name: str, value: str | None, longest: int) -> str | None:
    """Return the input. Raises `Refused` where it is longer than UCWA takes."""
    if value is not None and len(value) > longest:
        raise Refused(f"{name} has {len(value)} characters; UCWA takes {longest}. Nothing was sent.", provider="ucwa")
    return value


class Door:
    """The application of a session, as its typed door uses it."""

    def __init__(self, client: SignedClient, application: Application, host: Host) -> None:
        self._client = client
        self.application = application
        self.host = host
        self.outcomes = Outcomes(application, host.clock)
        self.sessions = Sessions(application)

    @property
    def resources(self) -> Resources:
        """What is known of the application's resources."""
        return self.application.resources

    @property
    def links(self) -> Links:
        """The application's links."""
        return self.application.links

    async def get(self, href: str, rel: str) -> Resource | None:
        """Read what is at a link; None where the server says that it is not there any more. Raises `ProviderError`."""
        try:
            return await self.links.get(href, rel)
        except ProviderError as error:
            if error.status == 404:
                return None
            raise

    async def send(
        self, method: str, href: str, rel: str, *, json: Mapping[str, object] | None = None, etag: str | None = None
    ) -> httpx.Response:
        """Send a request along a link, and return the answer whatever it says. `etag` is the version to replace."""
        return await self._client.send(method, self.links.url(href, rel), json=json, etag=etag)

    async def post(
        self,
        resource: Resource,
        rel: str,
        *,
        of: str = "",
        body: dict[str, object] | None = None,
        query: tuple[tuple[str, str], ...] = (),
        sdp: str | None = None,
    ) -> httpx.Response:
        """POST to that link of the resource, and return the answer, which accepts it. `of` says whose link it is.

        Raises `TooLate` where the resource does not offer the link now, or the server says that it is too late.
        """
        what = f"{rel} of {of}" if of else rel
        href = resource.link(rel)
        if href is None:
            raise TooLate(f"{what}: the server does not offer it now. Nothing was sent.", provider="ucwa")
        url = with_query(self.links.url(href, rel), query)
        if sdp is not None:
            return self._accepted(await self._client.describe(url, sdp), what)
        return self._accepted(await self._client.send("POST", url, json=body), what)

    async def delete(self, href: str, rel: str) -> None:
        """DELETE what is at a link; what is gone already is no error."""
        response = await self._client.send("DELETE", self.links.url(href, rel))
        if response.status_code != 404:
            self._accepted(response, f"DELETE {rel}")

    def _accepted(self, response: httpx.Response, what: str) -> httpx.Response:
        if response.is_success:
            return response
        status = response.status_code
        if status in (404, 409, 410):
            problem = problem_in(response)
            code = problem.name if problem is not None else None
            raise TooLate(f"{what}: {said(response)}", provider="ucwa", code=code, status=status)
        if status == 408:
            raise AnswerLost(f"{what}: HTTP 408", provider="ucwa", status=status)
        raise self.links.refusal(response, what)
