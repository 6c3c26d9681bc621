"""Following links: where they lead, what is read there, and what a refusal means."""

from __future__ import annotations

from dataclasses import replace
from urllib.parse import urljoin

import httpx

from telco_bridge.provider import Clock, ProviderError

from .auth import SignedClient
from .body import Unreadable
from .problems import refused
from .wire import Resource, bare, resource_in

__all__ = ["Links"]


class Links:
    """The links of one application, which resolve against `base`, where it was made."""

    def __init__(self, client: SignedClient, clock: Clock, *, base: str) -> None:
        self._client = client
        self._clock = clock
        self.base = base

    def url(self, href: str, rel: str) -> str:
        """Return where a link leads. Raises `ProviderError` for what is no URL."""
        try:
            # Joined as the resources' keys are; httpx alone would mend what is broken.
            return str(httpx.URL(urljoin(self.base, href)))
        except (httpx.InvalidURL, ValueError) as error:
            raise ProviderError(
                f"{rel}: the server gave a link that is no URL: {bare(href)}", provider="ucwa"
            ) from error

    async def get(self, href: str, rel: str) -> Resource:
        """Read the resource at a link, which is of that rel; of the one that it names itself where `rel` is empty.

        Raises the fact that the answer means, where it is no resource.
        """
        url = self.url(href, rel or "the link")
        return self.readable(await self._client.send("GET", url), rel, url)

    def readable(self, response: httpx.Response, rel: str, url: str) -> Resource:
        """Return the resource in the answer to a read. Raises the fact that the answer means otherwise."""
        what = f"GET {rel or bare(url)}"
        if response.status_code != 200:
            raise self.refusal(response, what)
        try:
            resource = resource_in(response, rel=rel)
        except Unreadable as error:
            raise ProviderError(f"{what}: {error}", provider="ucwa", status=200) from error
        return resource if resource.href is not None else replace(resource, href=url)

    def refusal(self, response: httpx.Response, what: str) -> ProviderError:
        """Return the fact that a refusal means."""
        return refused(response, what, now=self._clock.now())
