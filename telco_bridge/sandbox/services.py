"""What the simulated platform does in a call beside carrying it: it speaks, records, and connects elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..commands import (
    Channels,
    PauseRecording,
    Play,
    ResumeRecording,
    Say,
    StartRecording,
    StopRecording,
    Transfer,
)
from ..media import RecordingState
from ..provider import Gone, TooLate
from ..reports import CommandDone, CommandFailed, Fact, RecordingReport, Source
from ..termination import Cause
from .exchange import Exchange, Leg, LegEvent, LegState, Side
from .tape import Tape

if TYPE_CHECKING:
    from .clock import Timer

__all__ = ["Services"]

_CHARACTERS_PER_SECOND = 15.0
"""How fast the platform speaks."""
_SOUND = 2.0
"""Seconds that every sound file is taken to last: nothing is fetched in a network that does not leave the process."""


@dataclass(slots=True)
class _Recorded:
    """A recording of a leg."""

    leg: Leg
    command: StartRecording
    tape: Tape
    state: RecordingState = RecordingState.RECORDING


class Services:
    """The services of one session, in its exchange. `tell` may be called from any thread."""

    def __init__(self, exchange: Exchange, *, stamp: Callable[[], float], tell: Callable[[Fact], None]) -> None:
        self._exchange = exchange
        self._stamp = stamp
        self._tell = tell
        self._prompts: dict[str, Timer] = {}
        self._transferred: dict[str, Leg] = {}
        """The other leg of every call that is being transferred, or has been."""
        self._recordings: dict[str, _Recorded] = {}

    def prompt(self, leg: Leg, command: Say | Play) -> None:
        """Speak, or play, in place of what is said now; it takes its time, and nothing is to be heard."""
        if isinstance(command, Say):
            seconds = max(0.1, len(command.text) / _CHARACTERS_PER_SECOND)
        else:
            seconds = _SOUND * command.times
        before = self._prompts.pop(leg.id, None)
        if before is not None:
            before.cancel()
        self._prompts[leg.id] = self._exchange.after(seconds, lambda: self._done(leg, command.id))

    def transfer(self, leg: Leg, command: Transfer) -> None:
        """Call somebody else for the far end; whoever of the two hangs up ends both legs."""
        far = leg.callee if leg.far is Side.CALLEE else leg.caller
        caller = command.caller_id if command.caller_id is not None else far

        def watch(other: Leg, event: LegEvent) -> None:
            if event is LegEvent.ANSWERED:
                self._done(leg, command.id)
            elif event is LegEvent.CLEARED:
                self._released(leg, other, command.id)

        with self._exchange.lock:
            self._transferred[leg.id] = self._exchange.call(caller=caller, callee=command.to, watcher=watch)
            if command.ring_timeout is not None:
                other = self._transferred[leg.id]
                other.later(command.ring_timeout, lambda: self._give_up(other))

    def record(self, leg: Leg, command: StartRecording) -> None:
        """Begin a recording."""
        self._recordings[command.id] = _Recorded(leg, command, Tape(self._exchange, leg))
        self._tell(self.recording(command.id, Source.ANSWER))

    def rewind(self, command: PauseRecording | ResumeRecording | StopRecording) -> None:
        """Pause, resume or stop a recording. Raises `TooLate` where it has ended."""
        known = self._recordings.get(command.slot)
        if known is None or known.state.settled:
            raise TooLate(f"{command.name}: there is no such recording, or it has ended")
        match command:
            case PauseRecording():
                known.tape.pause()
                known.state = RecordingState.PAUSED
            case ResumeRecording():
                known.tape.resume()
                known.state = RecordingState.RECORDING
            case StopRecording():
                known.tape.end()
                known.state = RecordingState.COMPLETED
        self._tell(self.recording(command.slot, Source.ANSWER))

    def recording(self, slot: str, source: Source) -> RecordingReport:
        """Everything that is known of a recording. Raises `KeyError`."""
        known = self._recordings[slot]
        return RecordingReport(
            source=source,
            as_of=self._stamp(),
            slot=slot,
            ref=known.leg.id,
            command_id=known.command.id,
            state=known.state,
            seconds=known.tape.seconds if known.state.settled else None,
            channels=2 if known.command.channels is Channels.SEPARATE else 1,
        )

    def read(self, slot: str) -> RecordingReport | Gone:
        """Look at a recording."""
        return self.recording(slot, Source.READ) if slot in self._recordings else Gone(self._stamp(), "no such tape")

    def wav(self, slot: str) -> bytes | None:
        """The file of a recording; None where there is none."""
        known = self._recordings.get(slot)
        if known is None:
            return None
        return known.tape.wav(channels=2 if known.command.channels is Channels.SEPARATE else 1)

    def erase(self, slot: str) -> None:
        """Forget a recording."""
        self._recordings.pop(slot, None)

    def cleared(self, leg: Leg) -> None:
        """The leg is down: nothing more is said in it, and whoever it was connected with is alone."""
        for slot, known in self._recordings.items():
            if known.leg is leg and not known.state.settled:
                known.tape.end()
                known.state = RecordingState.COMPLETED
                self._tell(self.recording(slot, Source.PUSH))
        timer = self._prompts.pop(leg.id, None)
        if timer is not None:
            timer.cancel()
        other = self._transferred.pop(leg.id, None)
        if other is not None:
            other.hang_up(by=Side.CALLER)

    def _done(self, leg: Leg, command_id: str) -> None:
        if leg.state is LegState.UP:
            self._tell(CommandDone(as_of=self._stamp(), ref=leg.id, command_id=command_id))

    def _give_up(self, other: Leg) -> None:
        if not other.answered:
            other.hang_up(by=Side.CALLER)

    def _released(self, leg: Leg, other: Leg, command_id: str) -> None:
        if self._transferred.pop(leg.id, None) is None:
            return
        if other.answered:
            leg.hang_up(by=leg.ours)
            return
        clearing = other.clearing
        sip, phrase = (clearing.sip, clearing.phrase) if clearing is not None else (None, None)
        cause = Cause(dialect="SIP", sip=sip, text=phrase, detail={"by": "far"})
        self._tell(CommandFailed(as_of=self._stamp(), ref=leg.id, command_id=command_id, cause=cause))
