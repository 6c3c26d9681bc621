"""A provider that does what a test tells it, and a clock that stands still."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Literal

import anyio
import anyio.lowlevel
import pytest
from anyio.abc import TaskGroup
from pydantic import BaseModel, ConfigDict, SecretStr

from telco_bridge import Bridge, Call, CallEvent, connect
from telco_bridge.provider import (
    Answer,
    CallDirection,
    CallList,
    CallReport,
    CallState,
    CallView,
    Capability,
    Cause,
    Command,
    Confidence,
    Dial,
    Dialled,
    EndedBy,
    Fact,
    Gone,
    HangUp,
    Hold,
    Host,
    Invitation,
    MediaWire,
    Modality,
    Mute,
    Party,
    ProviderPlugin,
    ProviderSession,
    RecordingReport,
    RecordingState,
    Redirect,
    Reject,
    Resume,
    Source,
    StartMedia,
    StopMedia,
    StreamReport,
    StreamState,
    Support,
    SupportLevel,
    Termination,
    TerminationReason,
    Transport,
    Unmute,
    Unreachable,
    Unsupported,
    WebRequest,
    WebResponse,
)
from telco_bridge.sandbox import SteppedClock

TO = "+15550100"
Step = Callable[[Command], Awaitable[None]]
Answering = CallReport | Gone | Exception

_EMULATED = (Capability.RING_TIMEOUT, Capability.MAX_DURATION)
_CANNOT = (Capability.START_SCREEN, Capability.STOP_SCREEN, Capability.START_MESSAGING, Capability.STOP_MESSAGING)
_REASONS = {
    "busy": TerminationReason.BUSY,
    "cancelled": TerminationReason.CANCELLED,
    "hangup": TerminationReason.NORMAL,
    "rejected": TerminationReason.REJECTED,
}


class ScriptedConfig(BaseModel):
    """Settings of every kind that there is."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    token: SecretStr | None = None
    region: Literal["eu", "us"] = "eu"
    port: int = 5060


def explain(cause: Cause, view: CallView) -> Termination:
    """Translate a word, and never more than that."""
    asked = view.asked_to_end
    by = asked.by if asked is not None else EndedBy.REMOTE if cause.said else EndedBy.UNKNOWN
    confidence = Confidence.REPORTED if cause.said else Confidence.UNKNOWN
    reason = _REASONS.get(cause.code or "", TerminationReason.UNKNOWN)
    return Termination(reason=reason, by=by, native=cause.code, confidence=confidence)


def possible(view: CallView) -> frozenset[Capability]:
    """What the state allows."""
    allowed = {Capability.HANG_UP}
    if view.direction is CallDirection.INBOUND and view.state is CallState.RINGING:
        allowed |= {Capability.ANSWER, Capability.REJECT, Capability.REDIRECT}
    if view.state is CallState.CONNECTED:
        allowed |= {Capability.START_AUDIO, Capability.STOP_AUDIO, Capability.START_VIDEO, Capability.STOP_VIDEO}
        allowed |= {Capability.RECEIVE_AUDIO, Capability.SEND_AUDIO}
        allowed |= {Capability.SAY, Capability.PLAY, Capability.TRANSFER, Capability.RECORD, Capability.PAUSE_RECORDING}
        allowed |= {Capability.SEND_DIGITS, Capability.HOLD, Capability.RESUME, Capability.MUTE, Capability.UNMUTE}
    return frozenset(allowed)


def stream(slot: str = "audio", state: StreamState = StreamState.ACTIVE, **said: object) -> StreamReport:
    modality = Modality(slot.split(":", maxsplit=1)[0])
    known: dict[str, object] = {"slot": slot, "modality": modality, "transport": Transport.VOIP, "state": state}
    return StreamReport(**(known | said))  # type: ignore[arg-type]


class ScriptedSession(ProviderSession):
    """The provider's side of one bridge: everything it does is in the script."""

    def __init__(self, script: Script, host: Host) -> None:
        self.script = script
        self.host = host
        self.max_staleness = script.max_staleness
        self.tells_done = script.tells_done
        self.native = script.native

    async def execute(self, command: Command) -> None:
        self.script.executed.append(command)
        steps = self.script.steps[type(command)]
        step = steps.popleft() if steps else self.script.obey
        await step(command)

    def patience(self, command: Command) -> float:
        return self.script.patience

    async def read(self, ref: str) -> CallReport | Gone:
        self.script.reads.append(ref)
        return await self.script.read(ref)

    async def list_calls(self) -> CallList:
        self.script.lists += 1
        return await self.script.list_calls()

    async def run(self) -> None:
        self.script.runs.append(self.host.clock.now())
        await self.script.run()

    async def receive(self, request: WebRequest) -> WebResponse:
        return await self.script.receive(request)

    async def read_recording(self, call: str, slot: str) -> RecordingReport | Gone:
        self.script.reads.append(slot)
        return await self.script.read_recording(call, slot)

    async def fetch_recording(self, slot: str) -> AsyncGenerator[bytes]:
        for piece in self.script.files[slot]:
            if isinstance(piece, Exception):
                raise piece
            yield piece

    async def delete_recording(self, slot: str) -> None:
        del self.script.files[slot]

    def media(self, opening: WebRequest) -> MediaWire:
        return self.script.media(opening)


@dataclass
class Script:
    """What the provider does, and what it was asked. Everything can be replaced by a test."""

    support: dict[Capability, Support] = field(default_factory=dict[Capability, Support])
    max_staleness: float | None = None
    executed: list[Command] = field(default_factory=list[Command])
    reads: list[str] = field(default_factory=list[str])
    lists: int = 0
    runs: list[float] = field(default_factory=list[float])
    truth: dict[str, Answering] = field(default_factory=dict[str, Answering])
    """What reads answer; where nothing is set, no answer can be had."""
    listing: list[CallReport] | Exception = field(default_factory=lambda: Unsupported("no lists"))
    complete: bool = True
    tells_done: frozenset[type[Command]] = frozenset()
    native: object = None
    files: dict[str, list[bytes | Exception]] = field(default_factory=dict[str, "list[bytes | Exception]"])
    """The files of recordings, in pieces."""
    steps: defaultdict[type[Command], deque[Step]] = field(default_factory=lambda: defaultdict(deque))

    def __post_init__(self) -> None:
        self.session: ScriptedSession | None = None
        self.signed_out = 0
        self.enter: Callable[[], Awaitable[None]] = _nothing
        self.leave: Callable[[], Awaitable[None]] = _nothing
        self.at_sign_in: Callable[[], object] = tuple
        self.run: Callable[[], Awaitable[None]] = anyio.sleep_forever
        self.read: Callable[[str], Awaitable[CallReport | Gone]] = self.tell
        self.read_recording: Callable[[str, str], Awaitable[RecordingReport | Gone]] = _no_recording
        self.receive: Callable[[WebRequest], Awaitable[WebResponse]] = _not_found
        self.media: Callable[[WebRequest], MediaWire] = _no_media
        self.explain: Callable[[Cause, CallView], Termination] = explain
        self.possible: Callable[[CallView], frozenset[Capability]] = possible
        self.together: tuple[frozenset[Capability], ...] = ()
        self.patience = 0.0
        self._numbers = 0

    # The plugin ---------------------------------------------------------------------------------------------------

    @property
    def plugin(self) -> ProviderPlugin[ScriptedConfig]:
        full = dict.fromkeys(Capability, Support(SupportLevel.FULL))
        emulated = dict.fromkeys(_EMULATED, Support(SupportLevel.EMULATED, "the bridge hangs up"))
        cannot = dict.fromkeys(_CANNOT, Support(SupportLevel.PROVIDER_CANNOT, "there is no such verb"))
        return ProviderPlugin(
            name="scripted",
            config_model=ScriptedConfig,
            support=full | emulated | cannot | self.support,
            explain=lambda cause, view: self.explain(cause, view),
            possible=lambda view: self.possible(view),
            together=lambda view: self.together,
            connect=self.connect,
        )

    @asynccontextmanager
    async def connect(self, config: ScriptedConfig, host: Host) -> AsyncGenerator[ProviderSession]:
        await self.enter()
        self.session = ScriptedSession(self, host)
        self.at_sign_in()
        yield self.session
        await self.leave()
        self.signed_out += 1

    # What it tells ------------------------------------------------------------------------------------------------

    @property
    def host(self) -> Host:
        assert self.session is not None
        return self.session.host

    def report(self, *facts: Fact) -> None:
        self.host.report(*facts)

    def fact(self, ref: str | None = "c1", state: CallState | None = None, **said: object) -> CallReport:
        """A report that is true now."""
        known: dict[str, object] = {"source": Source.PUSH, "as_of": self.host.stamp(), "ref": ref, "state": state}
        return CallReport(**(known | said))  # type: ignore[arg-type]

    def push(self, ref: str | None = "c1", state: CallState | None = None, **said: object) -> None:
        self.report(self.fact(ref, state, **said))

    def recorded(self, slot: str, state: RecordingState | None = None, ref: str | None = "c1", **said: object) -> None:
        known: dict[str, object] = {"source": Source.PUSH, "as_of": self.host.stamp(), "slot": slot, "ref": ref}
        self.report(RecordingReport(**(known | {"state": state} | said)))  # type: ignore[arg-type]

    def connected(self, ref: str = "c1", *slots: str) -> None:
        streams = tuple(stream(slot) for slot in slots)
        self.push(ref, CallState.CONNECTED, streams=streams, streams_complete=True)

    def ended(self, ref: str = "c1", code: str | None = "hangup") -> None:
        self.push(ref, CallState.ENDED, cause=cause(code) if code is not None else None)

    def invite(self, ref: str = "in1", **said: object) -> None:
        self.push(ref, CallState.RINGING, origin=Invitation(), remote=Party("+15550199"), **said)

    # What it does -------------------------------------------------------------------------------------------------

    def on(self, kind: type[Command], *steps: Step | Exception) -> None:
        """Script what happens to the next commands of that kind; an exception is raised, and nothing done."""
        self.steps[kind].extend(_raising(step) if isinstance(step, Exception) else step for step in steps)

    async def ignore(self, command: Command) -> None:
        """Accept it and say nothing."""

    async def block(self, command: Command) -> None:
        """Never answer."""
        await anyio.sleep_forever()

    async def obey(self, command: Command) -> None:
        """Do it and say so in the answer."""
        ref = command.ref
        match command:
            case Dial():
                self._numbers += 1
                said = {"command_id": command.id, "origin": Dialled(), "remote": Party(command.to)}
                self.answer(f"c{self._numbers}", CallState.DIALING, **said)
            case HangUp() | Reject() | Redirect():
                code = "rejected" if isinstance(command, Reject) else "hangup"
                self.answer(ref, CallState.ENDED, cause=cause(code))
            case Answer():
                self.answer(ref, CallState.CONNECTED)
            case Hold() | Resume():
                self.answer(ref, held=isinstance(command, Hold))
            case Mute() | Unmute():
                self.answer(ref, muted=isinstance(command, Mute))
            case StopMedia():
                self.answer(ref, streams=tuple(ended_stream(target.id.slot) for target in command.streams))
            case StartMedia():
                self.answer(ref, streams=(stream(str(command.modality), command_id=command.id),))
            case _:
                pass

    def answer(self, ref: str | None, state: CallState | None = None, **said: object) -> None:
        self.report(replace(self.fact(ref, state, **said), source=Source.ANSWER))

    async def tell(self, ref: str) -> CallReport | Gone:
        told = self.truth.get(ref, Unreachable("nobody answers"))
        if isinstance(told, Exception):
            raise told
        return replace(told, as_of=self.host.stamp()) if isinstance(told, Gone) else self.read_report(told)

    def read_report(self, report: CallReport) -> CallReport:
        return replace(report, source=Source.READ, as_of=self.host.stamp())

    async def list_calls(self) -> CallList:
        if isinstance(self.listing, Exception):
            raise self.listing
        reports = tuple(self.read_report(report) for report in self.listing)
        return CallList(reports, self.host.stamp(), complete=self.complete)

    # What it was asked --------------------------------------------------------------------------------------------

    @property
    def sent(self) -> list[str]:
        return [command.name for command in self.executed]

    def asked_for(self, kind: type[Command]) -> list[Command]:
        return [command for command in self.executed if isinstance(command, kind)]


def cause(code: str) -> Cause:
    return Cause(dialect="words", code=code)


def ended_stream(slot: str) -> StreamReport:
    return stream(slot, StreamState.ENDED)


def known(ref: str = "c1", state: CallState | None = None, **said: object) -> CallReport:
    """What a read or a list tells; its time is set when it is asked for."""
    return CallReport(source=Source.READ, as_of=0.0, ref=ref, state=state, **said)  # type: ignore[arg-type]


def _raising(error: Exception) -> Step:
    async def step(command: Command) -> None:
        raise error

    return step


async def _nothing() -> None:
    """The sign-in and the sign-out of a test that has no interest in them."""


async def _no_recording(call: str, slot: str) -> RecordingReport | Gone:
    raise Unreachable("nobody answers")


async def _not_found(request: WebRequest) -> WebResponse:
    return WebResponse(status=404)


def _no_media(opening: WebRequest) -> MediaWire:
    raise Unsupported("no media")


class Soon:
    """Something that runs beside the test, and what became of it."""

    def __init__(self, tasks: TaskGroup, run: Callable[..., Awaitable[object]], *args: object, **options: object):
        self.value: object = None
        self.error: BaseException | None = None
        self.done = False
        self.scope = anyio.CancelScope()

        async def attempt() -> None:
            with self.scope:
                try:
                    self.value = await run(*args, **options)
                except Exception as error:  # noqa: BLE001 - the test looks at it
                    self.error = error
            self.done = True

        tasks.start_soon(attempt)


@pytest.fixture
def clock() -> SteppedClock:
    """Time that stands still between steps."""
    return SteppedClock()


@pytest.fixture
def script() -> Script:
    return Script()


Opening = Callable[..., Bridge]


@pytest.fixture
def opening(script: Script, clock: SteppedClock) -> Opening:
    """Make a bridge to the scripted provider; settings of its lifecycle by name."""

    def make(web: dict[str, str] | None = None, **lifecycle: float) -> Bridge:
        settings = {"provider": script.plugin, "lifecycle": {"close_timeout": 0.1, **lifecycle}}
        return connect(settings if web is None else {**settings, "web": web}, clock=clock)

    return make


@pytest.fixture
async def bridge(opening: Opening) -> AsyncGenerator[Bridge]:
    """An open bridge to the scripted provider."""
    async with opening() as open_bridge:
        yield open_bridge


@pytest.fixture
async def tasks() -> AsyncGenerator[TaskGroup]:
    """Something to run things beside the test with; cancelled at its end."""
    async with anyio.create_task_group() as group:
        yield group
        group.cancel_scope.cancel()


@pytest.fixture
async def call(bridge: Bridge, script: Script) -> Call:
    """A connected call with one audio stream."""
    dialled = await bridge.dial(TO)
    script.connected("c1", "audio")
    return dialled


def history(bridge: Bridge, call: Call | None = None) -> list[str]:
    """The names of everything that was told so far, of one call or of all."""
    log = bridge._switchboard.log
    events = [log.at(position) for position in range(log.written)]
    of_call = [e for e in events if call is None or (isinstance(e, CallEvent) and e.call.id == call.id)]
    return [type(event).__name__ for event in of_call]
