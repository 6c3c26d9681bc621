"""Asking the provider what is true: every read of a bridge is scheduled here, within one budget."""

from __future__ import annotations

import heapq
import itertools
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

import anyio

from .clock import Clock, happens_by
from .errors import PluginContractError, ProviderError, TelcoBridgeError, Unsupported
from .events import ChannelFailed, GapDetected
from .media import RecordingState
from .provider import CallList, Gone, Host, ProviderSession
from .reports import CallReport, CallState, RecordingReport, Source
from .switchboard import CallRecord, Switchboard
from .termination import Confidence, EndedBy, Termination, TerminationReason
from .views import RecordingView

if TYPE_CHECKING:
    from .config import LifecycleSettings

__all__ = ["Reconciliation"]

_log = logging.getLogger("telco_bridge")

_FRESH = 5.0
"""Seconds in which a call may not be readable yet, so that "unknown" must be said twice."""
_REPEAT_GONE = 1.0
_TROUBLE = 3
"""Failures in a row after which the application is told."""
_INSTEAD_OF_A_LIST = 20
"""So many calls are read one by one where the list of all cannot be had."""


@dataclass(order=True, slots=True)
class _Appointment:
    due: float
    order: int
    action: Callable[[], None] = field(compare=False)


class Reconciliation:
    """Reads, sweeps and deadlines of one bridge. `run` is its task."""

    def __init__(
        self,
        *,
        session: ProviderSession,
        switchboard: Switchboard,
        host: Host,
        lifecycle: LifecycleSettings,
    ) -> None:
        self._session = session
        self._switchboard = switchboard
        self._host = host
        self._clock: Clock = host.clock
        self._lifecycle = lifecycle
        self._agenda: list[_Appointment] = []
        self._order = itertools.count()
        self._changed = anyio.Event()
        self._next_read = 0.0
        self._failures = 0
        self._failing_since = 0.0
        self._can_list = True
        self._error: str | None = None
        self._hurry = anyio.Event()
        switchboard.on_unexplained_end = self._expect_cause
        switchboard.on_gap = self._hurry_up
        for record in switchboard.live:
            # What was heard while signing in.
            if record.view.state is CallState.ENDED:
                self._expect_cause(record)

    @property
    def trouble(self) -> str | None:
        """Why reads keep failing; None where they do not."""
        return self._error if self._failures >= _TROUBLE else None

    # Deadlines ----------------------------------------------------------------------------------------------------

    def at(self, instant: float, action: Callable[[], None]) -> None:
        """Run the action at that instant, in the bridge's own task."""
        heapq.heappush(self._agenda, _Appointment(instant, next(self._order), action))
        self._changed.set()

    def _expect_cause(self, record: CallRecord) -> None:
        self.at(self._clock.now() + self._lifecycle.cause_grace, lambda: self._switchboard.end(record))

    def expect_life(self, record: CallRecord) -> None:
        """Give up a dial whose call has no name when none was heard for long enough."""

        def give_up() -> None:
            if record.view.ref is None and not record.view.over:
                self.orphan(record, "the call never showed after it was dialled")

        self.at(self._clock.now() + self._lifecycle.orphan_after, give_up)

    def orphan(self, record: CallRecord, why: str) -> None:
        """Close the record of a call that nobody can tell the end of."""
        if record.view.state is CallState.ENDED:
            # Its end was reported; only the cause is missing.
            self._switchboard.end(record)
            return
        lost = Termination(
            reason=TerminationReason.ORPHANED,
            by=EndedBy.BRIDGE,
            phase=record.view.phase,
            native=why,
            confidence=Confidence.SYNTHETIC,
        )
        self._switchboard.end(record, override=lost)

    async def run(self) -> None:
        """Keep every appointment, for as long as the bridge is open."""
        while True:
            self._changed = anyio.Event()
            now = self._clock.now()
            while self._agenda and self._agenda[0].due <= now:
                heapq.heappop(self._agenda).action()
            if self._agenda:
                await happens_by(self._clock, self._changed, self._agenda[0].due)
            else:
                await self._changed.wait()

    # Reads --------------------------------------------------------------------------------------------------------

    async def read(self, record: CallRecord, *, urgent: bool = False) -> bool:
        """Ask for one call and fold the answer; return whether there was one. A failed read proves nothing.

        An `urgent` one, for which a command waits, does not wait for the budget; sweeps wait the longer.
        """
        ref = record.view.ref
        if ref is None or record.view.over:
            return False
        await self._within_budget(urgent=urgent)
        try:
            answer = await self._session.read(ref)
        except (ProviderError, Unsupported) as error:
            _log.info("%s: reading call %s failed: %s", self._switchboard.provider, record.id, error)
            return False
        except Exception:  # noqa: BLE001
            # Plugins are foreign code; one that breaks on an answer must not end the watch over every other call.
            _log.exception("%s broke on reading call %s", self._switchboard.provider, record.id)
            return False
        wrong = _wrong_answer(answer)
        if wrong is not None:
            _log.error("%s: read() of call %s %s; it counts as failed", self._switchboard.provider, record.id, wrong)
            return False
        record.last_read = self._clock.now()
        if isinstance(answer, Gone):
            if ref != record.view.ref:
                # It goes on under another name, of which nothing was said.
                return False
            self._take_gone(record)
        else:
            self._switchboard.report(answer)
        return True

    def _take_gone(self, record: CallRecord) -> None:
        now = self._clock.now()
        fresh = record.named_at is None or now - record.named_at < _FRESH
        if fresh and (record.gone_at is None or now - record.gone_at < _REPEAT_GONE):
            if record.gone_at is None:
                record.gone_at = now
                self.at(now + _REPEAT_GONE, self._hurry_up)
            return
        if record.view.state is CallState.ENDED:
            self._switchboard.end(record)
        else:
            self._switchboard.end(record, confidence=Confidence.INFERRED)

    async def read_recording(self, record: CallRecord, recording: RecordingView) -> None:
        """Ask for one recording and fold the answer. A failed read proves nothing."""
        await self._within_budget()
        try:
            answer = await self._session.read_recording(record.view.ref or "", recording.slot)
        except (ProviderError, Unsupported) as error:
            _log.info("%s: reading recording %s failed: %s", self._switchboard.provider, recording.id, error)
            return
        except Exception:  # noqa: BLE001
            # Plugins are foreign code; whoever waits for the recording waits on.
            _log.exception("%s broke on reading recording %s", self._switchboard.provider, recording.id)
            return
        if isinstance(answer, Gone):
            answer = RecordingReport(
                source=Source.READ,
                as_of=answer.as_of,
                slot=recording.slot,
                ref=record.view.ref,
                command_id=recording.id,
                state=RecordingState.ABSENT,
                error=answer.native or None,
            )
        self._switchboard.report(answer)

    async def list_calls(self) -> CallList | None:
        """Ask for all live calls; None where the provider cannot tell. Raises where it did not."""
        if not self._can_list:
            return None
        await self._within_budget()
        try:
            listed = await self._session.list_calls()
        except Unsupported:
            self._can_list = False
            return None
        except TelcoBridgeError:
            raise
        except Exception as error:
            # Plugins are foreign code and may raise anything.
            raise PluginContractError(
                f"{self._switchboard.provider} broke on listing calls: {type(error).__name__}: {error}"
            ) from error
        wrong = _wrong_list(listed)
        if wrong is not None:
            raise PluginContractError(f"{self._switchboard.provider}: list_calls() {wrong}")
        return listed

    async def _within_budget(self, *, urgent: bool = False) -> None:
        now = self._clock.now()
        start = max(now, self._next_read)
        self._next_read = start + 1.0 / self._lifecycle.reads_per_second
        if urgent:
            # However many commands there are, a sweep waits no longer than a few seconds for them.
            self._next_read = min(self._next_read, now + 5.0)
            return
        # A burst of one second's worth is free; only what exceeds the budget waits.
        if start - now > 1.0:
            await self._clock.sleep_until(start - 1.0)

    # Sweeps -------------------------------------------------------------------------------------------------------

    async def sweep_regularly(self) -> None:
        """Sweep for as long as the bridge is open: as often as the provider's silence demands, and after every gap."""
        staleness = self._session.max_staleness
        interval = staleness if staleness is not None else self._lifecycle.sweep_interval
        pause = interval
        while True:
            await happens_by(self._clock, self._hurry, self._clock.now() + pause)
            self._hurry = anyio.Event()
            if self._switchboard.live:
                pause = interval if await self.sweep() else min(30.0, max(pause, 0.5) * 2)

    def _hurry_up(self) -> None:
        self._hurry.set()

    async def sweep(self) -> bool:
        """Read every live call, by one list where possible; return whether the provider answered."""
        began = self._host.stamp()
        error = "reads of calls fail"
        try:
            listed = await self.list_calls()
        except TelcoBridgeError as failure:
            # One bad answer must not hide the calls: where the provider answers for some of them, it is there.
            error = str(failure)
            wanted = self._stalest_first()[:_INSTEAD_OF_A_LIST]
            answered = False
        else:
            wanted = self._missing_from(listed) if listed is not None else self._stalest_first()
            answered = not wanted
        for record in wanted:
            answered = await self.read(record) or answered
        if answered:
            self._recovered()
        else:
            self._failed(error, began)
        return answered

    def _missing_from(self, listed: CallList) -> list[CallRecord]:
        """Fold a list, and return the calls that it should have held and does not."""
        self._switchboard.report(*(report for report in listed.reports if self._switchboard.knows(report)))
        if not listed.complete:
            return []
        present = {report.ref for report in listed.reports}
        return [
            record
            for record in self._stalest_first()
            if record.view.ref not in present and (record.named_at or 0.0) < listed.as_of
        ]

    def _stalest_first(self) -> list[CallRecord]:
        named = [record for record in self._switchboard.live if record.view.ref is not None]
        return sorted(named, key=lambda record: record.last_read)

    def _failed(self, error: str, since: float) -> None:
        if self._failures == 0:
            self._failing_since = since
        self._failures += 1
        self._error = error
        if self._failures == _TROUBLE:
            self._switchboard.publish(ChannelFailed(error=error, attempts=self._failures))

    def _recovered(self) -> None:
        if self._failures:
            if self._session.max_staleness is not None:
                gap = GapDetected(why="the provider could not be read", since=self._failing_since)
                self._switchboard.publish(gap)
            self._failures = 0


def _wrong_answer(answer: object) -> str | None:
    if isinstance(answer, CallReport | Gone):
        return None
    return f"returned a {type(answer).__name__}, not a CallReport or Gone"


def _wrong_list(listed: object) -> str | None:
    if not isinstance(listed, CallList):
        return f"returned a {type(listed).__name__}, not a CallList"
    reports = cast("object", listed.reports)
    if not isinstance(reports, Sequence):
        return f"returned a CallList of a {type(reports).__name__}, not of a tuple"
    others = [report for report in cast("Sequence[object]", reports) if not isinstance(report, CallReport)]
    return f"listed a {type(others[0]).__name__}, not only CallReports" if others else None
