"""The provider `simulator`: the simulated network without any wire in between."""

from __future__ import annotations

import queue
import threading
from collections import deque
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, nullcontext
from dataclasses import replace

import anyio
import anyio.from_thread
import anyio.lowlevel
import anyio.to_thread
from pydantic import BaseModel, ConfigDict, Field, SkipValidation, field_validator

from ..media import MediaDirection, Modality, StreamState, Transport
from ..provider import (
    Answer,
    AnswerLost,
    CallDirection,
    CallList,
    CallReport,
    CallState,
    CallView,
    Capability,
    Cause,
    Command,
    Confidence,
    ConfigError,
    Dial,
    Dialled,
    EndedBy,
    Gone,
    HangUp,
    Hold,
    Host,
    Invitation,
    MediaEndpoint,
    Mute,
    NotSent,
    Party,
    PauseRecording,
    Play,
    ProviderPlugin,
    ProviderSession,
    ReasonRow,
    Redirect,
    Refused,
    Reject,
    Resume,
    ResumeRecording,
    Say,
    SendDigits,
    Source,
    StartMedia,
    StartRecording,
    StopMedia,
    StopRecording,
    StreamReport,
    Support,
    SupportLevel,
    Termination,
    TerminationReason,
    TooLate,
    Transfer,
    Unmute,
    Unsupported,
    hookimpl,
)
from ..reports import DigitHeard, Fact, RecordingReport
from .exchange import Exchange, Leg, LegEvent, LegState, Side
from .faults import Fault
from .lines import AudioLine
from .playout import Speaker
from .services import Services

__all__ = ["REASONS", "SimulatorConfig", "SimulatorSession", "telco_bridge_provider"]

_R = TerminationReason


class SimulatorConfig(BaseModel):
    """Settings of the simulator. Without `exchange` it brings a network of its own."""

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True, allow_inf_nan=False)

    exchange: SkipValidation[Exchange | str | None] = Field(
        default=None,
        description="an exchange, or the name of one that is open in this process; empty for one of its own",
    )
    speed: float = Field(default=1.0, gt=0, description="how fast the time of its own network runs")
    caller_id: str = Field(default="+15550000001", description="the number that calls come from")
    numbers: tuple[str, ...] = Field(default=(), description="numbers whose calls arrive here")

    @field_validator("exchange")
    @classmethod
    def _known(cls, value: object) -> object:
        if value is not None and not isinstance(value, Exchange | str):
            raise ValueError("give an Exchange, or the name of one that is open in this process")
        return value


_FULL = Support(SupportLevel.FULL)
SUPPORT = {
    Capability.DIAL: _FULL,
    Capability.DIAL_OFFER: Support(SupportLevel.FULL, "the SDP is kept, not read"),
    Capability.RING_TIMEOUT: Support(SupportLevel.EMULATED, "the bridge hangs up"),
    Capability.MAX_DURATION: Support(SupportLevel.EMULATED, "the bridge hangs up"),
    Capability.ANSWER: _FULL,
    Capability.REJECT: _FULL,
    Capability.REDIRECT: Support(SupportLevel.FULL, "the caller is told the other address, and is not followed there"),
    Capability.HANG_UP: _FULL,
    Capability.START_AUDIO: _FULL,
    Capability.STOP_AUDIO: Support(SupportLevel.FULL, "the call goes on, silent"),
    Capability.RECEIVE_AUDIO: _FULL,
    Capability.SEND_AUDIO: _FULL,
    Capability.START_VIDEO: _FULL,
    Capability.STOP_VIDEO: Support(SupportLevel.FULL, "the call goes on"),
    Capability.START_SCREEN: Support(SupportLevel.PROVIDER_CANNOT),
    Capability.STOP_SCREEN: Support(SupportLevel.PROVIDER_CANNOT),
    Capability.START_MESSAGING: Support(SupportLevel.PROVIDER_CANNOT),
    Capability.STOP_MESSAGING: Support(SupportLevel.PROVIDER_CANNOT),
    Capability.STOP_REASON: Support(SupportLevel.FULL, "the network notes it"),
    Capability.HOLD: _FULL,
    Capability.RESUME: _FULL,
    Capability.MUTE: _FULL,
    Capability.UNMUTE: _FULL,
    Capability.SEND_DIGITS: _FULL,
    Capability.HEAR_DIGITS: _FULL,
    Capability.SAY: Support(SupportLevel.FULL, "it takes its time, and nothing is to be heard"),
    Capability.PLAY: Support(SupportLevel.FULL, "every file lasts two seconds; it is not fetched"),
    Capability.TRANSFER: Support(SupportLevel.FULL, "the call ends when the two have spoken to each other"),
    Capability.RECORD: Support(SupportLevel.FULL, "an hour at most, kept in memory"),
    Capability.PAUSE_RECORDING: _FULL,
    Capability.LIST_CALLS: _FULL,
}

SIP_REASONS = {
    200: _R.NORMAL,
    302: _R.REDIRECTED,
    404: _R.UNALLOCATED_NUMBER,
    480: _R.NO_ANSWER,
    486: _R.BUSY,
    487: _R.CANCELLED,
    603: _R.REJECTED,
}
"""What the simulated network's SIP statuses mean."""

_CLEARINGS = (
    (200, "OK", "far"),
    (302, "Moved Temporarily", "us"),
    (404, "Not Found", "network"),
    (480, "Temporarily Unavailable", "network"),
    (486, "Busy Here", "far"),
    (487, "Request Terminated", "us"),
    (603, "Decline", "far"),
)
"""How the network clears calls: status, phrase, and whose doing it was."""

REASONS = tuple(
    ReasonRow(
        "SIP",
        f"{sip} {phrase}",
        SIP_REASONS[sip],
        cause=Cause(dialect="SIP", text=phrase, sip=sip, detail={"by": by}),
    )
    for sip, phrase, by in _CLEARINGS
)
"""Every way in which the network clears a call, for documentation."""


def explain(cause: Cause, view: CallView) -> Termination:
    """Translate the network's clearing: a SIP status, and the side that caused it."""
    sides = {
        "us": EndedBy.APPLICATION,
        "far": EndedBy.REMOTE,
        Side.NETWORK: EndedBy.NETWORK,
    }
    by = sides.get(cause.detail.get("by", ""), EndedBy.UNKNOWN)
    reason = SIP_REASONS.get(cause.sip, _R.UNKNOWN) if cause.sip is not None else _R.UNKNOWN
    asked = view.asked_to_end
    if asked is not None and by is EndedBy.APPLICATION:
        by = asked.by
        if by is EndedBy.BRIDGE and asked.reason is not None:
            reason = asked.reason
        elif isinstance(asked, Reject):
            reason = _R.REJECTED
    if isinstance(asked, Transfer):
        # Whoever of the two hangs up afterwards: for this side it had ended with their conversation.
        reason, by = _R.TRANSFERRED, asked.by
    native = f"{cause.sip} {cause.text}" if cause.sip is not None else cause.text
    confidence = Confidence.REPORTED if cause.said else Confidence.UNKNOWN
    return Termination(reason=reason, by=by, native=native, sip=cause.sip, detail=cause.detail, confidence=confidence)


def possible(view: CallView) -> frozenset[Capability]:
    """What the state of the call allows."""
    c = Capability
    if view.state is CallState.ENDED:
        return frozenset()
    allowed = {c.HANG_UP}
    if view.direction is CallDirection.INBOUND and view.state is CallState.RINGING:
        allowed |= {c.ANSWER, c.REJECT, c.REDIRECT}
    if view.state is CallState.CONNECTED:
        allowed |= {
            c.RECEIVE_AUDIO,
            c.SEND_AUDIO,
            c.START_AUDIO,
            c.STOP_AUDIO,
            c.START_VIDEO,
            c.STOP_VIDEO,
            c.STOP_REASON,
            c.SEND_DIGITS,
            c.SAY,
            c.PLAY,
            c.TRANSFER,
            c.RECORD,
            c.PAUSE_RECORDING,
        }
        allowed |= {c.RESUME if view.held else c.HOLD, c.UNMUTE if view.muted else c.MUTE}
    return frozenset(allowed)


_MODALITIES = frozenset({Modality.AUDIO, Modality.VIDEO})


def _check(command: Command) -> None:
    """Refuse what the simulator has no words for, before anything is done."""
    asked: frozenset[Modality] = frozenset()
    if isinstance(command, Dial | StopMedia):
        asked = command.modalities
    elif isinstance(command, StartMedia):
        asked = frozenset({command.modality})
    if asked - _MODALITIES:
        words = ", ".join(sorted(asked - _MODALITIES))
        raise Unsupported(f"{command.name}: the simulator carries audio and video, and no {words}")
    if command.native:
        words = ", ".join(sorted(command.native))
        raise Refused(f"{command.name}: the simulator knows no native words ({words}). Nothing was done.")


class SimulatorSession(ProviderSession):
    """Drives an exchange directly and reports what its legs do."""

    tells_done = frozenset({Say, Play, Transfer})

    def __init__(
        self, config: SimulatorConfig, exchange: Exchange, host: Host, portal: anyio.from_thread.BlockingPortal
    ) -> None:
        self._config = config
        self._exchange = exchange
        self._host = host
        self._portal = portal
        self._home = threading.get_ident()
        self._legs: dict[str, Leg] = {}
        self._tokens: dict[str, str] = {}
        self._left = False
        self._lines: list[AudioLine] = []
        self._speakers: dict[str, Speaker] = {}
        """What is played in each call that has lines."""
        self._opened: deque[AudioLine] = deque()
        """Lines whose audio does not flow yet."""
        self._more = anyio.Event()
        self._overtaken: list[Fact] = []
        """What is told after the next event, by a fault."""
        self._services = Services(exchange, stamp=host.stamp, tell=self._report)
        self._said: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._courier = threading.Thread(target=self._carry, name="telco-bridge-simulator", daemon=True)
        self._courier.start()
        for number in config.numbers:
            exchange.register(number, self._ring)

    async def execute(self, command: Command) -> None:
        """Do it to the leg; its watcher reports what comes of it."""
        _check(command)
        if self._exchange.faults.take(Fault.DROP_REQUEST, command.name) is not None:
            raise NotSent(f"{command.name}: the simulated line is down")
        self._do(command)
        if self._exchange.faults.take(Fault.DROP_ANSWER, command.name) is not None:
            raise AnswerLost(f"{command.name}: the simulated answer was lost")

    def _do(self, command: Command) -> None:
        if isinstance(command, Dial):
            self._dial(command)
            return
        leg = self._legs.get(command.ref or "")
        if leg is None or leg.state is LegState.DOWN:
            raise TooLate(f"{command.name}: the leg is down")
        match command:
            case HangUp():
                leg.hang_up(by=leg.ours)
            case Answer():
                leg.answer()
            case Reject():
                leg.refuse(603, "Decline", by=leg.ours)
            case Redirect():
                leg.refuse(302, "Moved Temporarily", by=leg.ours)
            case StartMedia() if command.endpoint is not None and command.endpoint.required:
                self._open_line(command, command.endpoint, leg)
            case StartMedia():
                leg.set_media(leg.media | {command.modality})
            case StopMedia():
                self._stop(command, leg)
            case Hold():
                leg.set_held(True)
            case Resume():
                leg.set_held(False)
            case Mute():
                leg.set_muted(True)
            case Unmute():
                leg.set_muted(False)
            case Say() | Play():
                self._services.prompt(leg, command)
            case Transfer():
                self._services.transfer(leg, command)
            case StartRecording():
                self._services.record(leg, command)
            case PauseRecording() | ResumeRecording() | StopRecording():
                self._services.rewind(command)
            case SendDigits():
                leg.press(command.digits, by=leg.ours)
            case _:
                raise Unsupported(f"{command.name}: the simulator does not know it")

    def _dial(self, command: Dial) -> None:
        to = command.to.strip()
        if not (to.startswith("sip:") or (to.startswith("+") and to[1:].isdecimal() and 3 <= len(to) <= 16)):
            raise Refused(f"Dial: {command.to!r} is no number: write +15550100, or sip:user@host", provider="simulator")
        caller = command.caller_id or self._config.caller_id
        with self._exchange.lock:
            leg = self._exchange.call(caller=caller, callee=to, media=command.modalities, watcher=self._watch)
            self._legs[leg.id] = leg
            self._tokens[leg.id] = command.id
            reports = [self._describe(leg, Source.ANSWER)]
            if self._exchange.faults.take(Fault.EVENT_BEFORE_ANSWER, command.name) is not None:
                reports.insert(0, replace(self._describe(leg, Source.PUSH), command_id=None))
        self._report(*reports)

    def _open_line(self, command: StartMedia, endpoint: MediaEndpoint, leg: Leg) -> None:
        """Bring the call's audio to the application."""
        port = self._host.media(endpoint)
        if port is None:
            raise TooLate(f"{command.name}: nobody waits for the audio any more")
        speaker = self._speakers.setdefault(leg.id, Speaker())
        line = AudioLine(
            exchange=self._exchange, leg=leg, port=port, endpoint=endpoint, command_id=command.id, speaker=speaker
        )
        self._lines.append(line)
        self._opened.append(line)
        self._more.set()

    def _stop(self, command: StopMedia, leg: Leg) -> None:
        wanted = {target.id.slot for target in command.streams}
        lines = [line for line in self._lines if line.slot in wanted]
        for line in lines:
            line.stop()
        media = frozenset(s.modality for s in command.streams if s.id.slot not in {line.slot for line in lines})
        leg.set_media(leg.media - media, why=command.reason)

    async def run(self) -> None:
        """Let the audio of calls flow."""
        async with anyio.create_task_group() as tasks:
            while True:
                while self._opened:
                    tasks.start_soon(self._carry_audio, self._opened.popleft())
                self._more = anyio.Event()
                await self._more.wait()

    async def _carry_audio(self, line: AudioLine) -> None:
        try:
            await line.run(self._host.clock)
        finally:
            self._lines.remove(line)
            if all(other.leg is not line.leg for other in self._lines):
                self._speakers.pop(line.leg.id, None)

    def _ring(self, leg: Leg) -> None:
        """Somebody calls one of our numbers."""
        leg.watcher = self._watch
        self._legs[leg.id] = leg
        leg.ring()

    def _watch(self, leg: Leg, event: LegEvent) -> None:
        if event is LegEvent.CLEARED:
            self._services.cleared(leg)
        if self._exchange.faults.take(Fault.LOSE_EVENT, f"{event}") is not None:
            return
        stamp = self._host.stamp()
        facts: list[Fact] = [self._describe(leg, Source.PUSH, as_of=stamp)]
        if event is LegEvent.DIGITS:
            side, digits = leg.digits[-1]
            heard = digits if side is leg.far else ""
            facts = [DigitHeard(as_of=stamp, ref=leg.id, digit=digit) for digit in heard]
            self._in_the_loop(lambda: self._tell_lines(leg, heard))
        elif self._exchange.faults.take(Fault.UNKNOWN_STATE, f"{event}") is not None:
            facts = [CallReport(source=Source.PUSH, as_of=stamp, ref=leg.id, native_state="perplexed")]
        if self._exchange.faults.take(Fault.DOUBLE_EVENT, f"{event}") is not None:
            facts = facts * 2
        overtaken, self._overtaken = self._overtaken, []
        if not overtaken and self._exchange.faults.take(Fault.REORDER_EVENTS, f"{event}") is not None:
            self._overtaken = facts
        else:
            self._report(*facts, *overtaken)

    def _tell_lines(self, leg: Leg, digits: str) -> None:
        for line in self._lines:
            if line.leg is leg:
                for digit in digits:
                    line.hear_digit(digit)

    def _report(self, *facts: Fact) -> None:
        self._in_the_loop(lambda: self._host.report(*facts))

    def _in_the_loop(self, work: Callable[[], None]) -> None:
        if threading.get_ident() == self._home:
            work()
        elif not self._left:
            self._said.put(work)

    def _carry(self) -> None:
        """Bring what the network says to the bridge's loop.

        The network speaks under its lock, and the way into the loop waits for the loop, which may be waiting for that
        lock: only a thread that holds nothing can go between.
        """
        while (work := self._said.get()) is not None:
            self._portal.call(work)

    async def leave(self) -> None:
        """Hear no more of the network; what it has said already still arrives."""
        with self._exchange.lock:
            self._left = True
        self._said.put(None)
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(self._courier.join)

    def _describe(self, leg: Leg, source: Source, *, as_of: float | None = None) -> CallReport:
        """Everything that is known of the leg, which is everything."""
        inbound = leg.ours is Side.CALLEE
        states = {
            LegState.TRYING: CallState.RINGING if inbound else CallState.DIALING,
            LegState.RINGING: CallState.RINGING,
            LegState.UP: CallState.CONNECTED,
            LegState.DOWN: CallState.ENDED,
        }
        near, far = (leg.callee, leg.caller) if inbound else (leg.caller, leg.callee)
        media = leg.media if leg.state is LegState.UP else frozenset[Modality]()
        return CallReport(
            source=source,
            as_of=as_of if as_of is not None else self._host.stamp(),
            ref=leg.id,
            command_id=self._tokens.get(leg.id),
            origin=Invitation() if inbound else Dialled(),
            state=states[leg.state],
            answered=leg.answered if leg.state in (LegState.UP, LegState.DOWN) else None,
            remote=Party(far),
            local=Party(near),
            held=leg.held if leg.state is LegState.UP else None,
            muted=leg.muted if leg.state is LegState.UP else None,
            streams=tuple(
                StreamReport(
                    slot=str(modality),
                    modality=modality,
                    transport=Transport.VOIP,
                    direction=MediaDirection.BOTH,
                    state=StreamState.ACTIVE,
                )
                for modality in sorted(media)
            )
            + tuple(line.report for line in tuple(self._lines) if line.leg is leg and leg.state is LegState.UP),
            streams_complete=leg.state is LegState.UP,
            cause=self._cause(leg),
            native={"leg": leg.id, "state": str(leg.state), "caller": leg.caller, "callee": leg.callee},
        )

    @staticmethod
    def _cause(leg: Leg) -> Cause | None:
        if leg.clearing is None:
            return None
        sides = {leg.ours: "us", leg.far: "far"}
        by = sides.get(leg.clearing.by, str(leg.clearing.by))
        return Cause(dialect="SIP", text=leg.clearing.phrase, sip=leg.clearing.sip, detail={"by": by})

    async def read(self, ref: str) -> CallReport | Gone:
        """Look at the leg. A leg that was cleared is still known, with its clearing."""
        await anyio.lowlevel.checkpoint()
        stamp = self._host.stamp()
        leg = self._legs.get(ref)
        return Gone(stamp, "no such leg") if leg is None else self._describe(leg, Source.READ, as_of=stamp)

    async def read_recording(self, call: str, slot: str) -> RecordingReport | Gone:
        await anyio.lowlevel.checkpoint()
        return self._services.read(slot)

    async def fetch_recording(self, slot: str) -> AsyncGenerator[bytes]:
        file = self._services.wav(slot)
        if file is None:
            raise Refused(f"there is no recording {slot}", provider="simulator")
        yield file

    async def delete_recording(self, slot: str) -> None:
        await anyio.lowlevel.checkpoint()
        self._services.erase(slot)

    async def list_calls(self) -> CallList:
        """Look at every leg that is up."""
        await anyio.lowlevel.checkpoint()
        stamp = self._host.stamp()
        legs = [leg for leg in self._legs.values() if leg.state is not LegState.DOWN]
        reports = tuple(self._describe(leg, Source.READ, as_of=stamp) for leg in legs)
        return CallList(reports, stamp, complete=True)


@asynccontextmanager
async def connect(config: SimulatorConfig, host: Host) -> AsyncGenerator[ProviderSession]:
    """Join the configured exchange, or one of its own whose time starts now."""
    exchange = config.exchange or None
    if isinstance(exchange, str):
        named = Exchange.named(exchange)
        if named is None:
            raise ConfigError(f"exchange: no exchange named {exchange!r} is open in this process")
        exchange = named
    async with anyio.from_thread.BlockingPortal() as portal:
        with nullcontext(exchange) if exchange is not None else Exchange(speed=config.speed) as network:
            session = SimulatorSession(config, network, host, portal)
            try:
                yield session
            finally:
                await session.leave()


@hookimpl
def telco_bridge_provider() -> ProviderPlugin[SimulatorConfig]:
    """Offer the provider `simulator`."""
    return ProviderPlugin(
        name="simulator",
        config_model=SimulatorConfig,
        support=SUPPORT,
        explain=explain,
        possible=possible,
        connect=connect,
        reasons=REASONS,
    )
