"""The one writer: binds facts to calls, folds them, and writes the events."""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace

import anyio

from .clock import Clock
from .commands import Command, Dial, HangUp, Redirect, Reject, Transfer, new_id
from .errors import TelcoBridgeError
from .eventlog import EventLog
from .events import (
    CallEvent,
    CommandFailedLater,
    DigitReceived,
    EndContradicted,
    Event,
    GapDetected,
    OfferReceived,
    RecordingChanged,
)
from .recordings import fold_recording
from .reports import (
    CallReport,
    CallState,
    CommandDone,
    CommandFailed,
    Continues,
    DigitHeard,
    Fact,
    Gap,
    Invitation,
    Notice,
    RecordingReport,
    RemoteOffer,
)
from .termination import MEDIA_DIALECT, Cause, Confidence, Termination, TerminationReason
from .transitions import Explain, ask, conclude, fold, fulfilled, mark_done, settle
from .views import CallView

__all__ = ["CallRecord", "Flight", "Switchboard"]

_log = logging.getLogger("telco_bridge")

_EVENTS_PER_CALL = 512
_ENDED_KEPT = 1_000
_HELD_KEPT = 1_000
_FOREIGN_KEPT = 1_000


@dataclass(slots=True, eq=False)
class Flight:
    """A command under way, and everybody who waits for it."""

    command: Command
    done: anyio.Event
    waiters: int = 0
    error: TelcoBridgeError | None = None
    failed: Cause | None = None
    """Why the provider, having accepted the command, gave it up."""
    finished: bool = False
    """Whether the provider said that it has been done to its end."""
    replaced: bool = False
    """Whether something that was asked later has taken its place."""


@dataclass(slots=True, eq=False)
class CallRecord:
    """What the bridge keeps of one call: its view, its events, and what is under way."""

    view: CallView
    log: EventLog
    owned: bool = False
    released: bool = False
    takers: int = 0
    """How many dials wait for the call, or have got it."""
    named_at: float | None = None
    """When the provider's identity became known."""
    last_read: float = 0.0
    gone_at: float | None = None
    """When a read first said that the provider does not know the call."""
    flights: list[Flight] = field(default_factory=list[Flight])
    refs: list[str] = field(default_factory=list[str])
    """Every identity that the provider gave the call."""
    commands: list[str] = field(default_factory=list[str])
    """The ids of every command that was sent for it."""
    _prompting: anyio.Lock | None = None

    @property
    def id(self) -> str:
        """Our identity of the call."""
        return self.view.id

    @property
    def prompting(self) -> anyio.Lock:
        """Held while something that the far end hears is being sent."""
        if self._prompting is None:
            # Most calls are never spoken to, and a lock is a tenth of what an idle one takes.
            self._prompting = anyio.Lock()
        return self._prompting


class Switchboard:
    """Every call of a bridge, and the only place that changes one.

    `on_contradiction` is told of an owned call that shows life after a concluded end, and by which identity;
    `on_unexplained_end` of a call whose end was reported without a cause; `on_gap` that the provider may have lost
    events. All are called synchronously and must not wait.
    """

    def __init__(self, *, provider: str, clock: Clock, explain: Explain, capacity: int) -> None:
        self.provider = provider
        self.log = EventLog(capacity=capacity)
        self.foreign: OrderedDict[str, CallReport] = OrderedDict()
        """Calls of this account that are not ours, by the provider's identity; the newest report of each."""
        self.on_contradiction: Callable[[CallRecord, str], None] = _ignore_life
        self.on_unexplained_end: Callable[[CallRecord], None] = _ignore
        self.on_gap: Callable[[], None] = _ignore_gap
        self._clock = clock
        self._plugin_explains = explain
        self._live: dict[str, CallRecord] = {}
        self._ended: OrderedDict[str, CallRecord] = OrderedDict()
        self._by_ref: dict[str, CallRecord] = {}
        self._by_command: dict[str, CallRecord] = {}
        self._unnamed: set[str] = set()
        self._held: list[CallReport] = []

    @property
    def live(self) -> tuple[CallRecord, ...]:
        """The calls that are not over, oldest first."""
        return tuple(self._live.values())

    def find(self, *, call: str | None = None, ref: str | None = None) -> CallRecord | None:
        """The record of a call, by our identity or the provider's."""
        if call is not None:
            return self._live.get(call) or self._ended.get(call)
        return self._by_ref.get(ref) if ref is not None else None

    def open(self, dial: Dial) -> CallRecord:
        """Make the record of a call that is about to be dialled, so that events which overtake the answer find it."""
        record = self._new(dial.call)
        record.owned = True
        self._remember(record, dial)
        self._unnamed.add(record.id)
        return record

    def discard(self, record: CallRecord) -> None:
        """Forget a dial that certainly made no call."""
        self._live.pop(record.id, None)
        self._unnamed.discard(record.id)
        self._drop(record)
        record.log.close()
        self._release_held()

    def knows(self, report: CallReport) -> bool:
        """Whether the report is about a call of this bridge, by its identity or by our token."""
        return self._bind(report) is not None

    def adopt(self, report: CallReport) -> CallRecord | None:
        """Take a foreign call over. It is not owned: closing the bridge leaves it alone."""
        if self.knows(report):
            self.report(report)
            return None
        if report.ref is None or report.state is CallState.ENDED:
            return None
        self.foreign.pop(report.ref, None)
        record = self._new(new_id())
        self._fold(record, report)
        return record

    def ask(self, record: CallRecord, command: Command) -> None:
        """Remember that the command is being sent."""
        self._remember(record, command)
        record.view = ask(record.view, command, self._clock.now())

    def settle(self, record: CallRecord, command: Command) -> None:
        """Forget that the command was asked: it was refused, or it is done."""
        record.view = settle(record.view, command.id)

    def done(self, record: CallRecord, command_id: str) -> None:
        """Remember that the provider has done what was asked."""
        record.view = mark_done(record.view, command_id)

    def report(self, *facts: Fact) -> None:
        """Take facts that belong together, in order, at once."""
        for fact in facts:
            if isinstance(fact, CallReport):
                self._take_report(fact)
            elif isinstance(fact, RecordingReport):
                self._take_recording(fact)
            else:
                self._take_notice(fact)

    def end(
        self, record: CallRecord, *, confidence: Confidence | None = None, override: Termination | None = None
    ) -> None:
        """Close the record of a call whose provider says no more."""
        was_over = record.view.over
        if record.view.ended_as_of is None:
            record.view = replace(record.view, ended_as_of=self._clock.now())
        record.view, events = conclude(record.view, self._explain, confidence=confidence, override=override)
        if not was_over:
            self._written(record, events)

    def publish(self, event: Event) -> None:
        """Write an event that belongs to no call."""
        self._write(None, (event,))

    # Binding ------------------------------------------------------------------------------------------------------

    def _take_report(self, report: CallReport) -> None:
        record = self._bind(report)
        if record is not None:
            self._fold(record, report)
        elif isinstance(report.origin, Invitation) and report.ref is not None and report.state is not CallState.ENDED:
            self._fold(self._new(new_id()), report)
        elif self._unnamed:
            self._held.append(report)
            if len(self._held) > _HELD_KEPT:
                self._take_foreign(self._held.pop(0))
        else:
            self._take_foreign(report)

    def _bind(self, report: CallReport) -> CallRecord | None:
        if report.ref is not None and report.ref in self._by_ref:
            return self._by_ref[report.ref]
        if isinstance(report.origin, Continues) and report.origin.ref in self._by_ref:
            return self._by_ref[report.origin.ref]
        if report.command_id is not None:
            return self._by_command.get(report.command_id)
        return None

    def _take_foreign(self, report: CallReport) -> None:
        if report.ref is None:
            _log.warning("%s reports about a call that nobody here knows: command %s", self.provider, report.command_id)
            return
        if report.state is CallState.ENDED:
            self.foreign.pop(report.ref, None)
            return
        self.foreign[report.ref] = report
        self.foreign.move_to_end(report.ref)
        if len(self.foreign) > _FOREIGN_KEPT:
            self.foreign.popitem(last=False)

    def _release_held(self) -> None:
        held, self._held = self._held, []
        for report in held:
            self._take_report(report)

    # Writing ------------------------------------------------------------------------------------------------------

    def _fold(self, record: CallRecord, report: CallReport) -> None:
        before = record.view
        record.view, events = fold(before, report, self._explain)
        # The name of a call that is over changes nothing of it, and yet its reports are no foreign ones.
        ref = report.ref if before.over and before.ref is None else record.view.ref
        newly_named = ref is not None and ref not in record.refs
        if newly_named and ref is not None:
            self._by_ref[ref] = record
            record.refs.append(ref)
            if before.ref is None:
                record.named_at = self._clock.now()
                self._unnamed.discard(record.id)
        record.gone_at = None
        for asked in record.view.asked:
            # What ends the call stays asked, because it explains the end.
            if not isinstance(asked.command, HangUp | Reject | Redirect | Transfer) and fulfilled(
                asked.command, record.view
            ):
                self.settle(record, asked.command)
        self._written(record, events)
        if record.owned and not record.released and any(isinstance(event, EndContradicted) for event in events):
            self.on_contradiction(record, report.ref or record.view.ref or "")
        if record.view is not before and not events:
            record.log.wake()
        if record.view.state is CallState.ENDED and before.state is not CallState.ENDED and not record.view.over:
            self.on_unexplained_end(record)
        if newly_named and self._held:
            self._release_held()

    def _take_recording(self, report: RecordingReport) -> None:
        record = self._by_ref.get(report.ref) if report.ref is not None else None
        if record is None and report.command_id is not None:
            record = self._by_command.get(report.command_id)
        if record is None:
            _log.info("%s tells of a recording of a call that nobody here knows: %s", self.provider, report.slot)
            return
        record.view, changed = fold_recording(record.view, report)
        if changed is None:
            record.log.wake()
            return
        for asked in record.view.asked:
            if fulfilled(asked.command, record.view) and not record.view.over:
                self.settle(record, asked.command)
        event = RecordingChanged(call=record.view, source=report.source, recording=changed.id, state=changed.state)
        self._write(record, (event,))

    def _take_notice(self, notice: Notice) -> None:
        if isinstance(notice, Gap):
            self._write(None, (GapDetected(why=notice.why, since=notice.since),))
            self.on_gap()
            return
        record = self._by_ref.get(notice.ref) if notice.ref is not None else None
        if record is None and notice.command_id is not None:
            record = self._by_command.get(notice.command_id)
        if record is None:
            _log.warning("%s sent a %s for a call that nobody here knows", self.provider, type(notice).__name__)
            return
        if record.view.over:
            return
        match notice:
            case DigitHeard():
                self._write(record, (DigitReceived(call=record.view, digit=notice.digit),))
            case RemoteOffer():
                self._write(record, (OfferReceived(call=record.view, sdp=notice.sdp),))
            case CommandDone():
                self._finish(record, notice)
            case CommandFailed():
                self._fail(record, notice)
            case _:
                _log.warning("%s sent a notice of an unknown kind: %s", self.provider, type(notice).__name__)

    def _finish(self, record: CallRecord, notice: CommandDone) -> None:
        for flight in record.flights:
            if flight.command.id == notice.command_id:
                flight.finished = True
        self.done(record, notice.command_id or "")
        record.log.wake()

    def _fail(self, record: CallRecord, notice: CommandFailed) -> None:
        for flight in record.flights:
            if flight.command.id == notice.command_id:
                flight.failed = notice.cause
        if notice.command_id is not None:
            record.view = settle(record.view, notice.command_id)
        event = CommandFailedLater(call=record.view, command_id=notice.command_id or "", cause=notice.cause)
        self._write(record, (event,))

    def _written(self, record: CallRecord, events: tuple[CallEvent, ...]) -> None:
        """Write a call's events, and move its record on when they end it."""
        self._write(record, events)
        if record.view.over and record.id in self._live:
            del self._live[record.id]
            self._ended[record.id] = record
            if len(self._ended) > _ENDED_KEPT:
                self._drop(self._ended.popitem(last=False)[1])
            if record.id in self._unnamed:
                self._unnamed.discard(record.id)
                self._release_held()

    def _write(self, record: CallRecord | None, events: Iterable[Event]) -> None:
        now = self._clock.now()
        dressed = [replace(event, seq=self.log.written + 1 + index, at=now) for index, event in enumerate(events)]
        self.log.append(dressed)
        if record is not None:
            record.log.append(dressed)

    def _explain(self, cause: Cause, view: CallView) -> Termination:
        if cause.dialect == MEDIA_DIALECT:
            return Termination(reason=TerminationReason.MEDIA_LOST, native=cause.text, confidence=Confidence.REPORTED)
        try:
            return self._plugin_explains(cause, view)
        except Exception:  # noqa: BLE001
            # Foreign code, called by the one writer: a cause that it cannot explain must not lose the end.
            _log.exception("%s cannot explain the cause %s %s", self.provider, cause.dialect, cause.code)
            return Termination(native=cause.text or cause.code)

    def _new(self, call_id: str) -> CallRecord:
        view = CallView(id=call_id, provider=self.provider, created_at=self._clock.now())
        record = CallRecord(view, EventLog(capacity=_EVENTS_PER_CALL))
        self._live[call_id] = record
        return record

    def _drop(self, record: CallRecord) -> None:
        for ref in record.refs:
            self._by_ref.pop(ref, None)
        for command_id in record.commands:
            self._by_command.pop(command_id, None)

    def _remember(self, record: CallRecord, command: Command) -> None:
        if self._by_command.get(command.id) is not record:
            self._by_command[command.id] = record
            record.commands.append(command.id)


def _ignore(record: CallRecord) -> None:
    """Stand where nobody listens yet."""


def _ignore_life(record: CallRecord, ref: str) -> None:
    """Stand where nobody listens yet."""


def _ignore_gap() -> None:
    """Stand where nobody listens yet."""
