"""Reading what many links lead to, together where the server takes them so."""

from __future__ import annotations

import math
import random
import uuid
from collections.abc import Mapping, Sequence
from contextlib import suppress

import httpx

from telco_bridge.http import origin, retry_after
from telco_bridge.provider import AnswerLost, Clock, NotSent, ProviderError

from .auth import SignedClient
from .batch import BatchRequest, read_batch, write_batch
from .body import Unreadable
from .links import Links
from .wire import Resource

__all__ = ["Reads"]

_WORTH_IT = 4
"""Fewer reads than that are made one by one."""
_LARGEST = 20
_IN_VAIN = 3
"""After so many lost answers in a row nothing more is asked."""
_TRIES = 6
"""How often a throttled request is made."""
_FIRST_PAUSE = 1.0
_LONGEST_PAUSE = 60.0
_FORBIDDEN = frozenset({"batch", "photo", "events"})
"""What UCWA documents as not allowed inside a batch."""


class Reads:
    """Reads what many links lead to: in batches, where the application has a link for that, else one by one.

    A batch that is throttled was not executed: it is made smaller and sent again after the pause that the server asks
    for, or a growing one. One that fails in another way is read one by one, and where the server refuses batches no
    further one is made.
    """

    def __init__(
        self, client: SignedClient, links: Links, clock: Clock, *, batch: str | None = None, accept: str = ""
    ) -> None:
        self._client = client
        self._links = links
        self._clock = clock
        self._batch: str | None = None
        self._accept = accept
        if batch is not None:
            # One that leads nowhere is no reason to do without the application.
            with suppress(ProviderError):
                self._batch = links.url(batch, "batch")

    async def all(self, wanted: Sequence[tuple[str, str]]) -> list[Resource | ProviderError]:
        """Return the resource at each link, or why it could not be read, in order. A link comes with its rel."""
        urls: dict[int, str] = {}
        found: dict[int, httpx.Response | ProviderError] = {}
        for index, (href, rel) in enumerate(wanted):
            try:
                urls[index] = self._links.url(href, rel)
            except ProviderError as error:
                found[index] = error
        together = {index: url for index, url in urls.items() if self._may_join(url, wanted[index][1])}
        if len(together) >= _WORTH_IT:
            found |= await self._together(together)
        failures = 0
        for index, url in urls.items():
            if index in found:
                continue
            answer = found[index] = await self._alone(url)
            failures = failures + 1 if isinstance(answer, NotSent | AnswerLost) else 0
            if failures == _IN_VAIN:
                # Each may take as long as the server is waited for, and there may be hundreds.
                found |= {left: answer for left in urls if left not in found}
        return [self._resource(found[index], rel, urls.get(index, href)) for index, (href, rel) in enumerate(wanted)]

    async def _alone(self, url: str) -> httpx.Response | ProviderError:
        try:
            return await self._client.send("GET", url)
        except ProviderError as error:
            return error

    def _resource(self, answer: httpx.Response | ProviderError, rel: str, url: str) -> Resource | ProviderError:
        if isinstance(answer, ProviderError):
            return answer
        try:
            return self._links.readable(answer, rel, url)
        except ProviderError as error:
            return error

    def _may_join(self, url: str, rel: str) -> bool:
        return self._batch is not None and rel not in _FORBIDDEN and origin(url) == origin(self._batch)

    async def _together(self, wanted: Mapping[int, str]) -> dict[int, httpx.Response | ProviderError]:
        """Return what batches brought; what is missing has to be read alone."""
        found: dict[int, httpx.Response | ProviderError] = {}
        left = list(wanted.items())
        size, throttled = _LARGEST, 0
        while left and self._batch is not None:
            some = left[:size]
            try:
                response = await self._send(self._batch, [url for _, url in some])
            except AnswerLost:
                return found
            except ProviderError as error:
                # Whatever kept the batch from being sent would keep its parts.
                return found | {index: error for index, _ in left}
            if response.status_code == 429:
                throttled += 1
                pause = self._pause(response, throttled)
                if pause is None:
                    refusal = self._links.refusal(response, "POST batch")
                    return found | {index: refusal for index, _ in left}
                await self._clock.sleep_until(self._clock.now() + pause)
                size = max(1, len(some) // 2)
                continue
            answers = self._parts(response, len(some))
            if answers is None:
                return found
            # A part that wants another token, or was throttled, is read alone: there that is dealt with.
            found |= {i: part for (i, _), part in zip(some, answers, strict=True) if part.status_code not in (401, 429)}
            left = left[size:]
        return found

    async def _send(self, batch: str, urls: Sequence[str]) -> httpx.Response:
        requests = [BatchRequest(url=url, accept=self._accept) for url in urls]
        content, content_type = write_batch(requests, uuid.uuid4().hex)
        return await self._client.post(batch, content, content_type=content_type, accept="multipart/batching")

    def _parts(self, response: httpx.Response, count: int) -> list[httpx.Response] | None:
        """Return the answers that a batch's answer holds; None where it is no such thing."""
        if response.status_code == 200:
            try:
                parts = read_batch(response.content, response.headers.get("content-type", ""))
            except Unreadable:
                parts = []
            if len(parts) == count:
                return parts
        if response.status_code < 500:
            self._batch = None
        return None

    def _pause(self, response: httpx.Response, throttled: int) -> float | None:
        """Return how long to wait before the next attempt; None where that is no use."""
        asked = retry_after(response, now=self._clock.now())
        if throttled == _TRIES or (asked or 0.0) > _LONGEST_PAUSE:
            return None
        if asked is not None:
            return asked
        # Jitter keeps those apart that were throttled together; it need not be unpredictable.
        grown = math.ldexp(_FIRST_PAUSE, throttled - 1)
        return min(_LONGEST_PAUSE, grown * random.uniform(1.0, 1.5))  # noqa: S311
