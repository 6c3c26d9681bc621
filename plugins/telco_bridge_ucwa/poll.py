"""The parked GET of the event channel: repeated as it is until it is answered, and what ends that."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from enum import StrEnum

import httpx

from telco_bridge.http import retry_after
from telco_bridge.provider import AnswerLost, Clock, NotSent, ProviderError

from .body import Unreadable, is_ucwa
from .problems import problem_in, refused, said
from .wire import Package, parse_package

__all__ = ["OVERFLOW", "ApplicationLost", "Fetch", "Loss", "Overflowed", "Poll"]

Fetch = Callable[[str, float], Awaitable[httpx.Response]]
"""GETs a link within a read timeout."""

_TRIES = 3
"""Failed GETs in a row after which the application is told that the channel is down, at each further one again."""
_PAUSE = 1.0
"""Seconds between the first failed GET and the next; each further pause is twice as long."""
_LONGEST_PAUSE = 30.0
_LONGEST_ASKED = 300.0
"""The longest pause that a server may ask for: it would drop the application during a much longer one."""
_MARGIN = 30.0
"""How much longer than the server's own release a parked GET is waited for."""
_HASTY = 1.0
"""Seconds in which a server that waits for events does not answer without any, again and again."""
_IN_VAIN = 10
"""So many such answers in a row are no accident."""
_DEAD = 900.0
"""UCWA documents that a server drops an application for which nobody polls in a quarter of an hour."""

OVERFLOW = "MaxEventCountReached"
"""The subcode with which a server says that it could not keep all the events."""


class Loss(StrEnum):
    """How an application was lost."""

    FORGOTTEN = "forgotten"
    """The server does not know it any more."""
    MOVED = "moved"
    """The user is on another pool now."""
    REPLACED = "replaced"
    """Another program reads its events."""
    SILENT = "silent"
    """The server gave no events for so long that it must have dropped it."""
    ENDED = "ended"
    """The server ended it for good."""


class ApplicationLost(ProviderError):
    """The application is lost, and with it every call. `again` says that a new one may be made."""

    def __init__(self, message: str, *, loss: Loss, code: str | None = None, status: int | None = None) -> None:
        super().__init__(message, provider="ucwa", code=code, status=status)
        self.loss = loss

    @property
    def again(self) -> bool:
        return self.loss is not Loss.ENDED


class Overflowed(ProviderError):
    """The server could not keep all the events: some are lost, and the link to the next ones with them."""


class _Later(ProviderError):
    """No package now; the same GET will be answered later."""

    def __init__(self, message: str, *, pause: float | None = None, provider: str = "ucwa") -> None:
        super().__init__(message, provider=provider)
        self.pause = pause


class _Replaced(ProviderError):
    """Another parked GET has taken the place of this one."""


class Poll:
    """GETs one package after the other. What went wrong is remembered from one call to the next."""

    def __init__(self, *, fetch: Fetch, clock: Clock, timeout: float) -> None:
        self._fetch = fetch
        self._clock = clock
        self._patience = timeout + _MARGIN
        self._answered_at = clock.now()
        self._troubled_since: float | None = None
        self._failures = 0
        self._waited_in_vain = False
        self._not_before = 0.0
        self._hasty = 0
        self._repeatable: Package | None = None

    async def package(self, href: str) -> Package:
        """Return what the link answers. Repeating the GET is harmless: nothing is acknowledged by it.

        Raises `ProviderError` where repeating has not helped so far, or cannot help; it may be called again.
        Raises `Overflowed`, and `ApplicationLost`, after which it may not.
        """
        replaced = False
        while True:
            if self._not_before > self._clock.now():
                await self._clock.sleep_until(self._not_before)
            asked = self._clock.now()
            try:
                package = await self._get(href)
            except _Replaced as error:
                # Our own GET, given up on this side, may still have been parked on the server; once is no evidence.
                if replaced:
                    raise ApplicationLost(
                        str(error), loss=Loss.REPLACED, code=error.code, status=error.status
                    ) from error
                replaced = True
            except (ApplicationLost, Overflowed):
                raise
            except ProviderError as error:
                self._failed(error)
            else:
                self._troubled_since, self._failures, self._waited_in_vain = None, 0, False
                self._answered_at = self._clock.now()
                self._hold_back(hasty=self._says_nothing(package, href) and self._answered_at - asked < _HASTY)
                return package

    def _says_nothing(self, package: Package, href: str) -> bool:
        """Whether it tells nothing new: no event, or the same package again by a link that leads to itself."""
        if package.resync is not None or package.resume is not None:
            return False
        repeated, self._repeatable = self._repeatable, package if package.next == href else None
        return not package.events or (package.next == href and package == repeated)

    def _hold_back(self, *, hasty: bool) -> None:
        """Ask more slowly where answers come at once and say nothing, as from a proxy that does not let GETs wait."""
        self._hasty = self._hasty + 1 if hasty else 0
        if self._hasty >= _IN_VAIN:
            pause = _PAUSE * 2.0 ** min(self._hasty - _IN_VAIN, 8)
            self._not_before = self._clock.now() + min(pause, _LONGEST_PAUSE)

    def _failed(self, error: ProviderError) -> None:
        """Set the pause before the next try. Raises where the application must be told, or is lost."""
        now = self._clock.now()
        if self._troubled_since is None:
            self._troubled_since = now
        dead = now - self._troubled_since >= _DEAD
        if isinstance(error.__cause__, httpx.ReadTimeout) and not self._waited_in_vain and not dead:
            # The server may have released what never arrived here. Only twice in a row is it a sign of trouble.
            self._waited_in_vain = True
            return
        self._failures += 1
        asked = error.pause if isinstance(error, _Later) else None
        pause = _PAUSE * 2.0 ** min(self._failures - 1, 8)
        self._not_before = now + (min(pause, _LONGEST_PAUSE) if asked is None else min(asked, _LONGEST_ASKED))
        if dead:
            raise ApplicationLost(
                f"the event channel has failed for {now - self._troubled_since:.0f} s, and the server drops an "
                f"application after {_DEAD:.0f} s: {error}",
                loss=Loss.SILENT,
                code=error.code,
                status=error.status,
            ) from error
        if not isinstance(error, _Later | NotSent | AnswerLost):
            raise error
        if self._failures >= _TRIES:
            raise ProviderError(
                f"the event channel failed {self._failures} times in a row; the last events came "
                f"{now - self._answered_at:.0f} s ago: {error}",
                provider="ucwa",
                code=error.code,
                status=error.status,
            ) from error

    async def _get(self, href: str) -> Package:
        response = await self._fetch(href, self._patience)
        try:
            if response.status_code == 200:
                return parse_package(response)
        except Unreadable as error:
            self._check_overflow(response)
            raise _Later(f"GET events: {error}", provider="ucwa") from error
        self._check_overflow(response)
        problem = problem_in(response)
        code = problem.name if problem is not None else None
        subcode = problem.subcode if problem is not None else None
        status = response.status_code
        now = self._clock.now()
        if status in (408, 429) or (status in (404, 410) and not is_ucwa(response)):
            raise _Later(f"GET events: {said(response)}", pause=retry_after(response, now=now))
        if status == 409 and subcode == "PGetReplaced":
            raise _Replaced(f"GET events: {said(response)}", provider="ucwa", code=code, status=status)
        if status in (404, 410):
            ends = Loss.MOVED if subcode == "CannotRedirect" else Loss.ENDED
            raise ApplicationLost(
                f"GET events: the application and its calls are lost: {said(response)}",
                loss=Loss.FORGOTTEN if status == 404 else ends,
                code=code,
                status=status,
            )
        raise refused(response, "GET events", now=now)

    @staticmethod
    def _check_overflow(response: httpx.Response) -> None:
        problem = problem_in(response)
        if problem is not None and problem.subcode == OVERFLOW:
            raise Overflowed(
                f"GET events: {said(response)}",
                provider="ucwa",
                code=problem.name,
                status=response.status_code,
            )
