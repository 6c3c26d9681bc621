"""The way of a request from a server's event loop into the bridge's, and of the answer back."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

import anyio

from .provider import WebRequest, WebResponse

if TYPE_CHECKING:
    from anyio.abc import TaskGroup
    from anyio.from_thread import BlockingPortal

__all__ = ["Counter"]

Outcome = WebResponse | Exception


class Counter:
    """Where requests from one server's loop are handed in, and their answers handed out.

    All that has come since the last turn is handled in one, by one task, for most answers need not wait for anything.
    Where one has to, another task goes on with those behind it. Whatever is not handled is answered `closed`.
    """

    def __init__(
        self,
        handler: Callable[[WebRequest], Awaitable[WebResponse]],
        portal: BlockingPortal | None,
        loop: asyncio.AbstractEventLoop,
        *,
        closed: WebResponse,
    ) -> None:
        self._handler = handler
        self._portal = portal
        self._loop = loop
        self._closed = closed
        self._lock = threading.Lock()
        self._waiting: deque[tuple[WebRequest, asyncio.Future[WebResponse]]] = deque()
        self._called = False
        """Whether a task is on its way to whatever waits."""
        self._answered: deque[tuple[asyncio.Future[WebResponse], Outcome]] = deque()

    async def ask(self, request: WebRequest) -> WebResponse:
        """Hand a request in, and return its answer. Runs in the server's loop."""
        answer: asyncio.Future[WebResponse] = self._loop.create_future()
        with self._lock:
            self._waiting.append((request, answer))
            called, self._called = self._called, True
        if not called:
            self._call()
        return await answer

    def _call(self) -> None:
        try:
            if self._portal is None:
                raise RuntimeError("there is no bridge")
            self._portal.start_task_soon(self._work)
        except RuntimeError:
            # The bridge has closed: nobody is left to ask.
            self._close()

    async def _work(self) -> None:
        """Handle what waits. Runs in the bridge's loop."""
        try:
            async with anyio.create_task_group() as others:
                await self._take_turns(others)
        except anyio.get_cancelled_exc_class():
            self._close()
            raise

    async def _take_turns(self, others: TaskGroup) -> None:
        relieved = False
        while (taken := self._take()) is not None:
            request, answer, more = taken
            if more and not relieved:
                # Somebody else shall go on, should this one have to wait.
                others.start_soon(self._take_turns, others)
                relieved = True
            outcome: Outcome = self._closed
            try:
                outcome = await self._handler(request)
            except Exception as error:  # noqa: BLE001 - it belongs to whoever asked
                outcome = error
            finally:
                self._hand_out(answer, outcome)

    def _take(self) -> tuple[WebRequest, asyncio.Future[WebResponse], bool] | None:
        with self._lock:
            if not self._waiting:
                return None
            request, answer = self._waiting.popleft()
            # Whoever comes to an empty counter calls for a task, because this one may be busy for long.
            self._called = bool(self._waiting)
            return request, answer, self._called

    def _close(self) -> None:
        with self._lock:
            self._called = False
            waiting, self._waiting = self._waiting, deque()
        for _, answer in waiting:
            self._hand_out(answer, self._closed)

    def _hand_out(self, answer: asyncio.Future[WebResponse], outcome: Outcome) -> None:
        with self._lock:
            first = not self._answered
            self._answered.append((answer, outcome))
        if first:
            try:
                self._loop.call_soon_threadsafe(self._deliver)
            except RuntimeError:
                # The server has gone, and with it everybody who waited there.
                self._answered.clear()

    def _deliver(self) -> None:
        with self._lock:
            answered, self._answered = self._answered, deque()
        for answer, outcome in answered:
            if answer.done():
                continue
            if isinstance(outcome, Exception):
                answer.set_exception(outcome)
            else:
                answer.set_result(outcome)
