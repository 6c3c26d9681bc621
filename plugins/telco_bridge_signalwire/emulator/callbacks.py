"""Status callbacks on their way: in order, repeated when refused, and spoilt on demand."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass

from telco_bridge.sandbox.emulator import Fault

from .space import Space
from .webhooks import Undelivered, Webhook

__all__ = ["Callback", "Lane"]

ATTEMPTS = 3
RETRY_PAUSE = 1.0
"""Network seconds between two attempts. SignalWire documents their number, not their distance."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Callback:
    """One thing to be told: `name` is the operation that faults and the wire's record know it by.

    `word_field` names the field that carries the state.
    """

    name: str
    webhook: Webhook
    fields: Mapping[str, str]
    word_field: str


class Lane:
    """The callbacks of one call or one stream. Each waits for the one before it, unless a fault says otherwise."""

    def __init__(self, space: Space) -> None:
        self._space = space
        self._waiting: deque[Callback] = deque()
        self._carrying: asyncio.Task[None] | None = None
        self._arrived = asyncio.Event()
        self._attempted = asyncio.Condition()
        self.attempts = 0
        """How many times the application has been called."""

    def tell(self, callback: Callback) -> None:
        """Send the callback after those before it."""
        self._waiting.append(callback)
        self._arrived.set()
        if self._carrying is None or self._carrying.done():
            self._carrying = self._space.spawn(self._carry())

    async def attempted_since(self, attempts: int, *, within: float) -> None:
        """Return when there have been more attempts than that, or after so many real seconds."""
        try:
            async with asyncio.timeout(within), self._attempted:
                await self._attempted.wait_for(lambda: self.attempts > attempts)
        except TimeoutError:
            return

    async def _carry(self) -> None:
        while self._waiting:
            callback = self._waiting.popleft()
            order = self._fault(Fault.REORDER_EVENTS, callback)
            if order is not None:
                await self._let_one_pass(_seconds(order, 2.0))
            delay = self._fault(Fault.DELAY_EVENT, callback)
            if delay is not None:
                self._space.spawn(self._deliver_late(callback, _seconds(delay, 1.0)))
            else:
                await self._deliver(callback)

    async def _let_one_pass(self, seconds: float) -> None:
        """Wait for the next callback and deliver it first; when none comes in time, there is nothing to overtake."""
        if not self._waiting:
            self._arrived.clear()
            timer = self._space.after(seconds, self._arrived.set)
            await self._arrived.wait()
            timer.cancel()
        if self._waiting:
            await self._deliver(self._waiting.popleft())

    async def _deliver_late(self, callback: Callback, seconds: float) -> None:
        await self._space.pause(seconds)
        await self._deliver(callback)

    async def _deliver(self, callback: Callback) -> None:
        if self._fault(Fault.LOSE_EVENT, callback) is not None:
            self._space.note("provider", callback.name, "lost", **_interesting(callback.fields))
            return
        fields = dict(callback.fields)
        unknown = self._fault(Fault.UNKNOWN_STATE, callback)
        if unknown is not None:
            fields[callback.word_field] = str(unknown.get("word", "levitating"))
        unsigned = self._fault(Fault.UNSIGNED_EVENT, callback)
        signing = "right" if unsigned is None else "wrong" if unsigned.get("wrong") else None
        copies = 1 if self._fault(Fault.DOUBLE_EVENT, callback) is None else 2
        for _ in range(copies):
            await self._attempt(callback, fields, signing)

    async def _attempt(self, callback: Callback, fields: Mapping[str, str], signing: str | None) -> None:
        for attempt in range(1, ATTEMPTS + 1):
            try:
                response = await self._space.courier.carry(callback.webhook, fields, signing=signing)
                taken, answer = response.is_success, str(response.status_code)
            except Undelivered as error:
                taken, answer = False, str(error)
            self._space.note("provider", callback.name, answer, **_interesting(fields))
            async with self._attempted:
                self.attempts += 1
                self._attempted.notify_all()
            if taken:
                return
            if attempt < ATTEMPTS:
                await self._space.pause(RETRY_PAUSE)

    def _fault(self, fault: Fault, callback: Callback) -> Mapping[str, object] | None:
        return self._space.faults.take(fault, callback.name)


def _seconds(options: Mapping[str, object], default: float) -> float:
    seconds = options.get("seconds", default)
    return float(seconds) if isinstance(seconds, int | float) else default


_INTERESTING = (
    *("CallSid", "ParentCallSid", "ConferenceSid", "StreamSid", "RecordingSid"),
    *(
        "RecordingStatus",
        "AnsweredBy",
        "CallStatus",
        "StatusCallbackEvent",
        "StreamEvent",
        "StreamError",
        "SequenceNumber",
        "SipResultCode",
    ),
)


def _interesting(fields: Mapping[str, str]) -> dict[str, str]:
    return {name: fields[name] for name in _INTERESTING if name in fields}
