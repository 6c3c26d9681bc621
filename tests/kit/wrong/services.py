"""Providers that are wrong about what they do in a call beside carrying it."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import replace

from telco_bridge.provider import (
    Command,
    Fact,
    Gone,
    PauseRecording,
    RecordingReport,
    RecordingState,
    Refused,
    Say,
    StopRecording,
    Transfer,
)
from telco_bridge.reports import CommandDone, CommandFailed

from ..line import Line
from .table import breaks


@breaks("test_what_is_said_is_told_to_be_done")
class SwallowsShortWords(Line):
    """Of a word of three letters it never tells that it was said."""

    _short: frozenset[str] = frozenset()

    def _do(self, command: Command) -> None:
        if isinstance(command, Say) and len(command.text) <= 3:
            self._short |= {command.id}
        super()._do(command)

    def _report(self, *facts: Fact) -> None:
        super()._report(*(f for f in facts if not (isinstance(f, CommandDone) and f.command_id in self._short)))


@breaks("test_what_is_said_later_takes_the_place_of_what_is_said_now")
class SpeaksToTheEnd(Line):
    """While it speaks it takes nothing else to say."""

    _speaks = ""

    def _do(self, command: Command) -> None:
        if isinstance(command, Say):
            if self._speaks:
                raise Refused("it speaks already", provider="line")
            self._speaks = command.id
        super()._do(command)

    def _report(self, *facts: Fact) -> None:
        if any(isinstance(fact, CommandDone) for fact in facts):
            self._speaks = ""
        super()._report(*facts)


@breaks("test_a_call_that_is_transferred_lives_on_without_us")
class NeverTellsOfTransfers(Line):
    """It connects the far end elsewhere, and never says so."""

    _transfers: frozenset[str] = frozenset()

    def _do(self, command: Command) -> None:
        if isinstance(command, Transfer):
            self._transfers |= {command.id}
        super()._do(command)

    def _report(self, *facts: Fact) -> None:
        super()._report(*(f for f in facts if not (isinstance(f, CommandDone) and f.command_id in self._transfers)))


@breaks("test_a_transfer_that_nobody_takes_gives_the_call_back")
class LosesCallsThatNobodyTakes(Line):
    """When a transfer fails, it hangs up."""

    def _report(self, *facts: Fact) -> None:
        super()._report(*facts)
        for fact in facts:
            if isinstance(fact, CommandFailed):
                leg = self._legs[fact.ref or ""]
                leg.hang_up(by=leg.ours)


@breaks("test_a_recording_has_a_file_in_the_end")
class KeepsNoFiles(Line):
    """What it has recorded is empty."""

    async def fetch_recording(self, slot: str) -> AsyncGenerator[bytes]:
        yield b""


@breaks("test_a_recording_ends_with_its_call")
class RecordsForEver(Line):
    """A recording that nobody stops never ends."""

    _stopped: frozenset[str] = frozenset()

    def _do(self, command: Command) -> None:
        if isinstance(command, StopRecording):
            self._stopped |= {command.slot}
        super()._do(command)

    def _report(self, *facts: Fact) -> None:
        super()._report(*(self._unended(fact) if isinstance(fact, RecordingReport) else fact for fact in facts))

    async def read_recording(self, call: str, slot: str) -> RecordingReport | Gone:
        report = await super().read_recording(call, slot)
        return self._unended(report) if isinstance(report, RecordingReport) else report

    def _unended(self, report: RecordingReport) -> RecordingReport:
        if report.state is RecordingState.COMPLETED and report.slot not in self._stopped:
            return replace(report, state=RecordingState.RECORDING)
        return report


@breaks("test_a_recording_is_paused_and_resumed")
class CannotPause(Line):
    """Told to pause, it goes on recording."""

    def _do(self, command: Command) -> None:
        if not isinstance(command, PauseRecording):
            super()._do(command)
