"""Outbound calls: each dialled once, timed where the provider keeps no time, and hung up where nobody wants it."""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import anyio

from .capabilities import Capability, Support, SupportLevel
from .clock import Clock, happens_by
from .commands import Dial, HangUp, new_id
from .dispatch import Dispatch
from .errors import AuthenticationFailed, OutcomeUnknown, TelcoBridgeError, Unsupported
from .reports import CallState
from .switchboard import CallRecord, Switchboard
from .termination import EndedBy, TerminationReason
from .views import CallView

if TYPE_CHECKING:
    from anyio.abc import TaskGroup

__all__ = ["Dialing"]

_log = logging.getLogger("telco_bridge")

_LONGEST_PAUSE = 30.0
_INTENTS_KEPT = 10_000


class Dialing:
    """Every dial of a bridge, from the command to the call, and every hang-up that the bridge itself asks for."""

    def __init__(
        self,
        *,
        support: Mapping[Capability, Support],
        switchboard: Switchboard,
        dispatch: Dispatch,
        clock: Clock,
        tasks: TaskGroup,
    ) -> None:
        self._support = support
        self._switchboard = switchboard
        self._dispatch = dispatch
        self._clock = clock
        self._tasks = tasks
        self._intents: OrderedDict[str, CallRecord] = OrderedDict()

    async def dial(self, command: Dial) -> CallRecord:
        """Place the call, or join the one of the same intent. Raises as `Bridge.dial`."""
        if command.intent is not None and (known := self._intents.get(command.intent)) is not None:
            return await self._join(known)
        self._dispatch.refuse_unsupported(command)
        self._refuse_unkeepable(command)
        record = self._switchboard.open(command)
        if command.intent is not None:
            self._intents[command.intent] = record
            self._forget_old_intents()
        provider, caller = self._switchboard.provider, command.caller_id
        _log.info("%s: dial %r from %r, call %s, intent %r", provider, command.to, caller, record.id, command.intent)
        try:
            await self._place(record, command)
        finally:
            # A call whose dial is in doubt may show later, and then its limits hold.
            if not record.log.closed and not record.view.over:
                self._keep_time(record, command)
        return record

    async def hang_up(self, record: CallRecord, reason: TerminationReason | None, by: EndedBy, note: str) -> bool:
        """Hang up on the application's behalf; return whether there is nothing left to do. A failure is logged."""
        command = HangUp(id=new_id(), call=record.id, ref=record.view.ref, reason=reason, by=by, note=note)
        try:
            await self._dispatch.perform(record, command)
        except TelcoBridgeError as error:
            provider = self._switchboard.provider
            _log.warning("%s: call %s could not be hung up (%s): %s", provider, record.id, note, error)
            return record.view.over or isinstance(error, Unsupported | AuthenticationFailed)
        return True

    async def _place(self, record: CallRecord, command: Dial) -> None:
        """Send the dial, or wait for it with others; a dial that certainly made no call leaves nothing behind."""
        record.takers += 1
        try:
            await self._dispatch.perform(record, command)
        except OutcomeUnknown:
            raise
        except TelcoBridgeError:
            self._forget(record, command)
            raise
        except anyio.get_cancelled_exc_class():
            record.takers -= 1
            if record.takers == 0 and not record.view.over:
                self._tasks.start_soon(self._abandon, record, command)
            raise

    async def _join(self, record: CallRecord) -> CallRecord:
        dial = next((flight.command for flight in record.flights if isinstance(flight.command, Dial)), None)
        if dial is not None:
            await self._place(record, dial)
        return record

    def _forget(self, record: CallRecord, command: Dial) -> None:
        if record.view.ref is None and record.view.state is CallState.UNKNOWN:
            self._switchboard.discard(record)
            if command.intent is not None and self._intents.get(command.intent) is record:
                del self._intents[command.intent]

    def _forget_old_intents(self) -> None:
        """Keep the intents of the newest calls; an intent whose call lives is never forgotten."""
        while len(self._intents) > _INTENTS_KEPT:
            intent, record = next(iter(self._intents.items()))
            if not record.view.over:
                self._intents.move_to_end(intent)
                break
            del self._intents[intent]

    async def _abandon(self, record: CallRecord, command: Dial) -> None:
        """Hang up a call whose dial was cancelled, as soon as it can be, unless somebody else dials it meanwhile."""
        flight = next((flight for flight in record.flights if flight.command is command), None)
        if flight is not None:
            await flight.done.wait()
            if flight.error is not None and not isinstance(flight.error, OutcomeUnknown):
                self._forget(record, command)
                return
        if record.takers == 0:
            await self._insist(record, TerminationReason.CANCELLED, EndedBy.APPLICATION, "the dial was cancelled")

    async def _insist(self, record: CallRecord, reason: TerminationReason, by: EndedBy, note: str) -> None:
        """Hang up a call that nobody else will: again and again, with growing pauses, until it has ended."""
        pause = 1.0
        while not await self.hang_up(record, reason, by, note):
            await self._comes_true(record, _over, self._clock.now() + pause)
            pause = min(_LONGEST_PAUSE, pause * 2)

    # Limits -------------------------------------------------------------------------------------------------------

    def _refuse_unkeepable(self, command: Dial) -> None:
        limits = {
            Capability.RING_TIMEOUT: command.ring_timeout,
            Capability.MAX_DURATION: command.max_duration,
        }
        for capability, seconds in limits.items():
            if seconds is not None and not self._support[capability].usable:
                raise Unsupported(f"Dial: {self._switchboard.provider} does not support {capability}; leave it out")

    def _keep_time(self, record: CallRecord, command: Dial) -> None:
        """Keep the limits that the provider does not keep itself."""
        if command.ring_timeout is not None and self._emulated(Capability.RING_TIMEOUT):
            self._tasks.start_soon(self._limit_ringing, record, command.ring_timeout)
        if command.max_duration is not None and self._emulated(Capability.MAX_DURATION):
            self._tasks.start_soon(self._limit_duration, record, command.max_duration)

    def _emulated(self, capability: Capability) -> bool:
        return self._support[capability].level is SupportLevel.EMULATED

    async def _limit_ringing(self, record: CallRecord, seconds: float) -> None:
        if not await self._comes_true(record, _answered_or_over, self._clock.now() + seconds):
            note = f"not answered within {seconds:g} s"
            await self._insist(record, TerminationReason.NO_ANSWER, EndedBy.BRIDGE, note)

    async def _limit_duration(self, record: CallRecord, seconds: float) -> None:
        await self._comes_true(record, _answered_or_over, None)
        if not await self._comes_true(record, _over, self._clock.now() + seconds):
            await self._insist(record, TerminationReason.TIME_LIMIT, EndedBy.BRIDGE, f"longer than {seconds:g} s")

    async def _comes_true(
        self, record: CallRecord, condition: Callable[[CallView], bool], deadline: float | None
    ) -> bool:
        while not condition(record.view):
            if deadline is None:
                await record.log.grown().wait()
            elif self._clock.now() >= deadline:
                return False
            else:
                await happens_by(self._clock, record.log.grown(), deadline)
        return True


def _over(view: CallView) -> bool:
    return view.over


def _answered_or_over(view: CallView) -> bool:
    return view.reached is CallState.CONNECTED or view.over
