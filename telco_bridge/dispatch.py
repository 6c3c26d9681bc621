"""Sending commands: asked once, joined when asked again, and done only when a fact says so."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Collection, Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, cast

import anyio

from .capabilities import Capability
from .clock import happens_by
from .commands import (
    Answer,
    Command,
    Dial,
    HangUp,
    Hold,
    Mute,
    PauseRecording,
    Play,
    Redirect,
    Reject,
    Resume,
    ResumeRecording,
    Say,
    SendDigits,
    StartMedia,
    StopMedia,
    StopRecording,
    Transfer,
    Unmute,
    new_id,
    stop_capability,
)
from .errors import (
    NotPossibleNow,
    OutcomeUnknown,
    PluginContractError,
    ProviderError,
    RateLimited,
    Refused,
    TelcoBridgeError,
    Unreachable,
    Unsupported,
)
from .media import Modality, StreamId, StreamState
from .provider import AnswerLost, Host, NotSent, ProviderPlugin, ProviderSession, TooLate
from .reconciliation import Reconciliation
from .reports import CallReport, CallState
from .switchboard import CallRecord, Flight, Switchboard
from .termination import Cause, EndedBy, TerminationReason
from .transitions import defeated, fulfilled
from .views import CallView

if TYPE_CHECKING:
    from anyio.abc import TaskGroup
    from pydantic import BaseModel

    from .audio.port import MediaPort
    from .config import LifecycleSettings

__all__ = ["Dispatch"]

_log = logging.getLogger("telco_bridge")

_ATTEMPTS = 3
_REPEATABLE = (HangUp, StopMedia, Hold, Resume, Mute, Unmute, PauseRecording, ResumeRecording, StopRecording)
"""What may be sent again after a lost answer, because doing it twice is doing it once."""
_ENDS = (HangUp, Reject, Redirect, StopMedia, StopRecording)
"""What may be too late because it is already true, although the provider cannot show it yet."""
_LAST_WORDS = (HangUp, Reject, Redirect, Transfer)
"""What stays asked until the call is over, because it explains the end."""
_PROMPTS = (Say, Play, SendDigits)
"""What the far end hears one of at a time: a later one takes the place of an earlier one."""
_ACCEPTED_IS_ALL = (*_PROMPTS, Transfer)
"""What no state of a call shows. Where the provider does not tell when it is done, nothing is waited for."""


class Dispatch:
    """The way of every command to the provider.

    A command runs in a task of the bridge's: cancelling whoever waits for it cancels nothing on the wire.
    """

    def __init__(
        self,
        *,
        plugin: ProviderPlugin[BaseModel],
        session: ProviderSession,
        switchboard: Switchboard,
        reconciliation: Reconciliation,
        host: Host,
        lifecycle: LifecycleSettings,
        tasks: TaskGroup,
    ) -> None:
        self._plugin = plugin
        self._session = session
        self._switchboard = switchboard
        self._reconciliation = reconciliation
        self._clock = host.clock
        self._lifecycle = lifecycle
        self._tasks = tasks

    @property
    def session(self) -> ProviderSession:
        """The connection to the provider. Raises `NotPossibleNow` once the bridge is closed."""
        if self._tasks.cancel_scope.cancel_called:
            raise NotPossibleNow("the bridge is closed")
        return self._session

    async def perform(self, record: CallRecord, command: Command) -> Command:
        """Make the command a fact; return the one that served it, which may be an identical one already in flight.

        Raises `Unsupported` or `NotPossibleNow` before anything is sent, `ProviderError` where the provider said no or
        could not be reached, `OutcomeUnknown` where no fact came in time.
        """
        flight = next((f for f in record.flights if f.command.same_as(command)), None)
        if flight is None:
            if self._tasks.cancel_scope.cancel_called:
                if fulfilled(command, record.view):
                    return command
                raise NotPossibleNow(f"{command.name}: the bridge is closed")
            flight = Flight(command, anyio.Event())
            record.flights.append(flight)
            self._tasks.start_soon(self._fly, record, flight, name=f"{command.name} {record.id}")
        flight.waiters += 1
        try:
            await flight.done.wait()
        finally:
            flight.waiters -= 1
        if flight.error is not None:
            raise flight.error
        return flight.command

    def refuse_unsupported(self, command: Command) -> None:
        """Raise `Unsupported` where the provider cannot express the command, whatever the state."""
        for capability in sorted(command.needs):
            self._require(capability, command.name)

    def refuse_unsupported_stop(self, modalities: Iterable[Modality]) -> None:
        """Raise `Unsupported` where the provider cannot stop one of these modalities at all."""
        for modality in modalities:
            capability = stop_capability(modality)
            if capability is not None:
                self._require(capability, StopMedia.__name__)

    def _require(self, capability: Capability, what: str) -> None:
        support = self._plugin.support.get(capability)
        if support is None or not support.usable:
            said = ": ".join(filter(None, (support.level, support.note))) if support is not None else "not declared"
            raise Unsupported(f"{what}: {self._plugin.name} does not support {capability} ({said})")

    def can(self, capability: Capability, view: CallView) -> bool:
        """Whether the state allows it now, on a provider that can do it at all."""
        support = self._plugin.support.get(capability)
        return support is not None and support.usable and not view.over and capability in self._plugin.possible(view)

    async def end_revenant(self, record: CallRecord, ref: str) -> None:
        """Hang up a call that lives although its end had been concluded, outside of its record, which is closed."""
        command = HangUp(
            id=new_id(),
            call=record.id,
            ref=ref,
            reason=TerminationReason.ORPHANED,
            by=EndedBy.BRIDGE,
            note="alive after its end had been concluded",
        )
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                await self._execute(command)
            except TooLate:
                return
            except Exception as error:  # noqa: BLE001
                # Nobody waits for it, and plugins may raise anything: what cannot be done is logged.
                _log.warning("%s: call %s lives and was not hung up: %s", self._plugin.name, record.id, error)
                await self._clock.sleep_until(self._clock.now() + 2.0**attempt)
            else:
                return

    async def await_stream(self, record: CallRecord, stream_id: StreamId, command: StartMedia) -> None:
        """Wait until a stream that was started before flows or has ended. Raises `OutcomeUnknown` at the deadline."""
        deadline = self._clock.now() + self._lifecycle.confirm_timeout
        while (stream := record.view.stream(stream_id)) is not None and stream.state is StreamState.STARTING:
            if not await happens_by(self._clock, record.log.grown(), deadline) and self._clock.now() >= deadline:
                raise OutcomeUnknown(
                    f"StartMedia: {stream_id} was started before and does not tell that it flows", command
                )

    async def flows(self, port: MediaPort) -> bool:
        """Wait until the media of a stream that was started reach the bridge; False where they do not in time."""
        return await port.flows_by(self._clock.now() + self._lifecycle.confirm_timeout)

    async def look(self, record: CallRecord) -> bool:
        """Ask the provider for the call; return whether it answered."""
        return await self._reconciliation.read(record, urgent=True)

    async def _fly(self, record: CallRecord, flight: Flight) -> None:
        command = flight.command
        flight.error = OutcomeUnknown(f"{command.name}: the bridge was closed before its outcome was known", command)
        try:
            await self._make_true(record, flight)
            flight.error = None
        except TelcoBridgeError as error:
            flight.error = error
        except Exception as error:  # noqa: BLE001
            # Plugins are foreign code and may raise anything; whoever waits for the command is told.
            _log.exception("%s broke on %s", self._plugin.name, command.name)
            broken = PluginContractError(f"{command.name}: {self._plugin.name} raised {type(error).__name__}: {error}")
            broken.__cause__ = error
            flight.error = broken
            self._switchboard.settle(record, command)
        finally:
            record.flights.remove(flight)
            flight.done.set()

    async def _make_true(self, record: CallRecord, flight: Flight) -> None:
        command = flight.command
        self.refuse_unsupported(command)
        if not isinstance(command, Dial):
            if _is_needless(command, record.view):
                return
            await self._refuse_impossible(record, command)
            if _is_needless(command, record.view):
                return
        self._switchboard.ask(record, command)
        owned, record.owned = record.owned, record.owned or isinstance(command, Answer)
        doubt: ProviderError | None = None
        try:
            if isinstance(command, _PROMPTS):
                doubt = await self._send_prompt(record, flight)
            else:
                doubt = await self._send_named(record, flight)
        except TooLate as error:
            answered = await self._reconciliation.read(record, urgent=True)
            settled = answered and record.gone_at is None
            if not fulfilled(command, record.view) and (settled or not isinstance(command, _ENDS)):
                self._withdraw(record, command, owned=owned)
                raise NotPossibleNow(f"{command.name}: {self._plugin.name} says it is too late: {error}") from error
            doubt = error
        except TelcoBridgeError:
            self._withdraw(record, command, owned=owned)
            raise
        if type(command) in self._session.tells_done:
            await self._await_word(record, flight, doubt)
            return
        if isinstance(command, _ACCEPTED_IS_ALL) and doubt is None:
            if isinstance(command, _LAST_WORDS):
                self._switchboard.done(record, command.id)
            else:
                self._switchboard.settle(record, command)
            return
        if isinstance(command, Dial) and doubt is None:
            if record.view.ref is None:
                self._reconciliation.expect_life(record)
            return
        await self._await_fact(record, flight, doubt)
        if not isinstance(command, _LAST_WORDS):
            self._switchboard.settle(record, command)

    async def _refuse_impossible(self, record: CallRecord, command: Command) -> None:
        """Raise `NotPossibleNow` where the state forbids the command, even after asking the provider once."""
        if self._allowed(record, command):
            return
        await self._reconciliation.read(record, urgent=True)
        if _is_needless(command, record.view) or self._allowed(record, command):
            return
        view = record.view
        state = f"the call has ended ({view.termination.reason})" if view.termination else f"the call is {view.state}"
        if view.state is CallState.CONNECTED:
            # What forbids it then is something that only the provider's notes can explain.
            notes = " ".join(sorted({self._plugin.support[needed].note for needed in command.needs}))
            state = f"{state} ({notes})" if notes else state
        raise NotPossibleNow(f"{command.name}: not possible now on {self._plugin.name}: {state}")

    def _allowed(self, record: CallRecord, command: Command) -> bool:
        if isinstance(command, HangUp):
            # A call that has no name yet cannot be offered an end by the provider, and must be endable all the same.
            return not record.view.over
        missing = {capability for capability in command.needs if not self.can(capability, record.view)}
        return not missing or any(missing <= group <= command.needs for group in self._together(record.view))

    def _together(self, view: CallView) -> Collection[frozenset[Capability]]:
        """What may be asked now only at once."""
        return self._plugin.together(view) if self._plugin.together is not None and not view.over else ()

    def _withdraw(self, record: CallRecord, command: Command, *, owned: bool) -> None:
        self._switchboard.settle(record, command)
        record.owned = owned

    async def _send_named(self, record: CallRecord, flight: Flight) -> AnswerLost | None:
        """Send; where the provider cannot hang up a call that it has not named yet, send again with the name."""
        if flight.command.ref != record.view.ref:
            flight.command = replace(flight.command, ref=record.view.ref)
        try:
            return await self._send(record, flight)
        except (TooLate, Refused):
            if not isinstance(flight.command, HangUp) or flight.command.ref is not None:
                raise
            deadline = self._clock.now() + self._lifecycle.confirm_timeout
            while record.view.ref is None:
                if record.view.over:
                    return None
                if self._clock.now() >= deadline:
                    raise
                await happens_by(self._clock, record.log.grown(), deadline)
        return await self._send_named(record, flight)

    async def _send_prompt(self, record: CallRecord, flight: Flight) -> AnswerLost | None:
        """Send what takes the place of whatever is said now: in the order in which it was asked for."""
        async with record.prompting:
            doubt = await self._send_named(record, flight)
            for other in record.flights:
                if other is flight:
                    break
                other.replaced = other.replaced or isinstance(other.command, _PROMPTS)
            record.log.wake()
            return doubt

    async def _send(self, record: CallRecord, flight: Flight) -> AnswerLost | None:
        """Send until it is accepted; return the loss where it was sent and no answer came."""
        command = flight.command
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                await self._execute(command)
            except NotSent as error:
                if attempt == _ATTEMPTS:
                    raise Unreachable(
                        f"{command.name}: {self._plugin.name} cannot be reached, nothing was sent: {error}",
                        provider=self._plugin.name,
                    ) from error
                pause = 0.2 * 2**attempt
            except RateLimited as error:
                pause = error.retry_after if error.retry_after is not None else float(2 ** (attempt - 1))
                if attempt == _ATTEMPTS or pause > self._lifecycle.confirm_timeout:
                    raise
            except AnswerLost as error:
                if not isinstance(command, _REPEATABLE) or attempt == _ATTEMPTS:
                    return error
                await self._reconciliation.read(record, urgent=True)
                pause = 0.2 * 2**attempt
            else:
                return None
            if not isinstance(command, Dial) and fulfilled(command, record.view):
                return None
            await self._clock.sleep_until(self._clock.now() + pause)
            if isinstance(command, Dial) and not flight.waiters:
                raise NotPossibleNow("Dial: it was cancelled before anything was sent")
        raise AssertionError("the last attempt returns or raises")

    async def _execute(self, command: Command) -> None:
        # Plugins may be untyped: one that returns its report, instead of reporting it, would look deaf.
        execute = cast("Callable[[Command], Awaitable[object]]", self._session.execute)
        answer = await execute(command)
        if answer is not None:
            raise PluginContractError(
                f"{command.name}: execute() of {self._plugin.name} returned a {type(answer).__name__}; "
                "give facts to host.report() and return nothing"
            )

    async def _await_fact(self, record: CallRecord, flight: Flight, doubt: ProviderError | None) -> None:
        """Wait for facts, then read, until the command is a fact; raise `OutcomeUnknown` at the deadline.

        That is later where the provider has accepted what people must act upon.
        """
        command = flight.command
        patience = self._session.patience(command) if doubt is None else 0.0
        waited = max(self._lifecycle.confirm_timeout, patience)
        deadline = self._clock.now() + waited
        # That an inbound call is answered is often told by nobody but a read.
        pause = 0.25 if self._session.max_staleness is not None or isinstance(command, Answer) else 1.0
        while not fulfilled(command, record.view):
            if flight.failed is not None:
                raise self._told_failed(flight.failed, record, command)
            if defeated(command, record.view):
                self._switchboard.settle(record, command)
                await self._raise_defeat(record, command)
            now = self._clock.now()
            if now >= deadline:
                await self._raise_unknown(record, command, doubt, waited)
                return
            if not await happens_by(self._clock, record.log.grown(), min(now + pause, deadline)):
                await self._search(record, command)
                pause = min(pause * 2, 5.0)

    async def _await_word(self, record: CallRecord, flight: Flight, doubt: ProviderError | None) -> None:
        """Wait until the provider says that the command is done or has failed, however long that takes.

        Where it is not even known whether it was accepted, the word must come in time.
        """
        command = flight.command
        deadline = self._clock.now() + self._lifecycle.confirm_timeout if doubt is not None else None
        while not flight.finished:
            if flight.failed is not None:
                raise self._told_failed(flight.failed, record, command)
            if flight.replaced or record.view.state is CallState.ENDED:
                self._switchboard.settle(record, command)
                why = "something else is said instead" if flight.replaced else "the call ended meanwhile"
                raise NotPossibleNow(f"{command.name}: {why}")
            grown = record.log.grown()
            if deadline is None:
                await grown.wait()
            elif not await happens_by(self._clock, grown, deadline):
                await self._raise_unknown(record, command, doubt, self._lifecycle.confirm_timeout)
        if not isinstance(command, _LAST_WORDS):
            self._switchboard.settle(record, command)

    def _told_failed(self, cause: Cause, record: CallRecord, command: Command) -> Refused:
        told = self._plugin.explain(cause, record.view)
        return Refused(
            f"{command.name}: {self._plugin.name} accepted it and then failed: {told.reason} ({told.native})",
            termination=told,
            provider=self._plugin.name,
            code=cause.code,
        )

    async def await_recording(self, record: CallRecord, recording_id: str) -> None:
        """Wait until nothing more happens to a recording; ask the provider from time to time."""
        pause = 2.0
        while (recording := record.view.recording(recording_id)) is not None and not recording.state.settled:
            if not await happens_by(self._clock, record.log.grown(), self._clock.now() + pause):
                pause = min(pause * 2, 30.0)
                if record.view.state is CallState.ENDED or not recording.live:
                    await self._reconciliation.read_recording(record, recording)

    async def _search(self, record: CallRecord, command: Command) -> None:
        if isinstance(command, Dial):
            try:
                listed = await self._reconciliation.list_calls()
            except TelcoBridgeError:
                return
            if listed is not None:
                self._switchboard.report(*(r for r in listed.reports if r.command_id == command.id))
        elif isinstance(command, PauseRecording | ResumeRecording | StopRecording):
            recording = record.view.recording(command.recording)
            if recording is not None:
                await self._reconciliation.read_recording(record, recording)
        else:
            await self._reconciliation.read(record, urgent=True)

    async def _raise_defeat(self, record: CallRecord, command: Command) -> None:
        ended = (s.termination for s in record.view.streams if s.command_id == command.id)
        told = next((termination for termination in ended if termination is not None), None)
        if told is not None and told.reason is TerminationReason.UNKNOWN:
            # A stream that ends without a reason has often ended with its call, which is only told of later.
            await self._reconciliation.read(record, urgent=True)
        view = record.view
        if told is not None and view.state is not CallState.ENDED:
            raise Refused(
                f"{command.name}: the stream failed: {told.reason} ({told.native})",
                termination=told,
                provider=self._plugin.name,
            )
        reason = view.termination.reason if view.termination is not None else "reason not known yet"
        raise NotPossibleNow(f"{command.name}: the call ended meanwhile ({reason})")

    async def _raise_unknown(
        self, record: CallRecord, command: Command, doubt: ProviderError | None, seconds: float
    ) -> None:
        waited = f"no fact within {seconds:g} s"
        if doubt is None:
            what = f"accepted, but {waited}"
        elif isinstance(doubt, TooLate):
            what = f"said to be too late ({doubt}) and {waited}"
        else:
            what = f"the answer was lost ({doubt}) and {waited}"
        candidates: tuple[CallReport, ...] = ()
        if isinstance(command, Dial):
            candidates = await self._candidates(command)
            self._reconciliation.expect_life(record)
        raise OutcomeUnknown(
            f"{command.name}: {self._plugin.name} does not say what became of it: {what}", command, candidates
        ) from doubt

    async def _candidates(self, dial: Dial) -> tuple[CallReport, ...]:
        """Calls that look like the dial and belong to nobody here: shown, never adopted."""
        try:
            listed = await self._reconciliation.list_calls()
        except TelcoBridgeError:
            return ()
        if listed is None:
            return ()
        return tuple(
            report
            for report in listed.reports
            if report.remote is not None
            and report.remote.address == dial.to
            and self._switchboard.find(ref=report.ref) is None
        )


def _is_needless(command: Command, view: CallView) -> bool:
    """Whether what the command asks is a fact before it is sent. A copy or a named stream is another than any there."""
    another = isinstance(command, StartMedia) and (command.to is not None or command.stream_name is not None)
    return not another and fulfilled(command, view)
