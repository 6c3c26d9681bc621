"""One connection to baresip: commands out, events in, facts to the host.

All commands act on baresip's *current* call, which also changes by itself. So every command is a little dialogue
(select the call, see that it was selected, then act), and one lock keeps the dialogues apart.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

import anyio
from telco_bridge.provider import (
    Answer,
    AnswerLost,
    AuthenticationFailed,
    CallList,
    CallReport,
    CallState,
    Command,
    Dial,
    Dialled,
    Gap,
    Gone,
    HangUp,
    Hold,
    Host,
    Invitation,
    Mute,
    NotSent,
    ProviderError,
    ProviderSession,
    Refused,
    Reject,
    Resume,
    SendDigits,
    Source,
    TooLate,
    Unmute,
    Unreachable,
    Unsupported,
)

from . import encode
from .config import PROVIDER, BaresipConfig, endpoint
from .control import Control
from .decode import (
    Line,
    Stat,
    accounts,
    cause_of_close,
    cause_of_death,
    decode_call,
    decode_event,
    is_muted,
    is_outgoing,
    was_found,
    words,
)
from .desk import RINGS, UP, Desk
from .process import Softphone, private_softphone
from .wire import Event, Reply, Unreadable

__all__ = ["BaresipSession", "connect"]

_log = logging.getLogger("telco_bridge")

_STARTS = 5
"""Somebody else may take a free port before baresip does."""
_SHORT = 2.0
"""A connection that breaks within so many seconds is taken by somebody else, who would be shut out by the next one."""
_RETRY = 0.05


@asynccontextmanager
async def connect(config: BaresipConfig, host: Host) -> AsyncGenerator[ProviderSession]:
    """Open a session: start baresip, or find the one that runs.

    Raises `ConfigError` where it cannot be started, `Unreachable` where it cannot be reached or does not stay up,
    `AuthenticationFailed` where the registrar refuses the account.
    """
    async with AsyncExitStack() as stack:
        softphone = await stack.enter_async_context(private_softphone(config)) if config.control is None else None
        session = BaresipSession(config, host, softphone)
        stack.push_async_callback(session.close)
        await session.open()
        yield session


@dataclass(slots=True, eq=False)
class _Known:
    """What must be kept of a call to speak of it: its account, and whether baresip has it on hold."""

    account: str | None = None
    held: bool = False


@dataclass(slots=True, eq=False)
class _Dialling:
    """A dial whose call has not shown: baresip's reply does not name it, its first event with a name does."""

    command_id: str
    peer: str
    ref: str | None = None


class BaresipSession(ProviderSession):
    """Translates between the host and the control port."""

    def __init__(self, config: BaresipConfig, host: Host, softphone: Softphone | None) -> None:
        self._config = config
        self._host = host
        self._softphone = softphone
        self._control = Control(timeout=config.timeout)
        self._desk = Desk(self._control)
        self._lock = anyio.Lock()
        self._known: dict[str, _Known] = {}
        self._dialling: _Dialling | None = None
        self._look = anyio.Event()
        self._heard_at = host.stamp()
        self._opened_at = 0.0
        self._registering: str | None = None

    # Life ---------------------------------------------------------------------------------------------------------

    async def open(self) -> None:
        """Start baresip where it is ours, and connect. Raises as `connect`."""
        if self._softphone is None:
            await self._reach()
            # What rings already will not be told again.
            self._look.set()
            return
        for attempt in range(1, _STARTS + 1):
            await self._softphone.start()
            try:
                await self._reach()
            except NotSent as error:
                if attempt == _STARTS or endpoint(self._config.listen)[1] != 0:
                    raise self._softphone.failure() from error
            else:
                return

    async def close(self) -> None:
        """Give up the connection."""
        with anyio.CancelScope(shield=True):
            await self._control.close()

    async def run(self) -> None:
        """Hear events. A connection that breaks is made again once; where that fails, the core hears of it."""
        while True:
            if not self._control.connected:
                await self._return()
            broke = ""
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._tend)
                broke = await self._control.hear(self._heard)
                tasks.cancel_scope.cancel()
            _log.warning("%s: %s", PROVIDER, broke)
            if self._softphone is not None:
                with anyio.move_on_after(_RETRY):
                    await self._softphone.ended()
                if not self._softphone.running:
                    self._bury(self._softphone)
            if anyio.current_time() - self._opened_at < _SHORT:
                raise Unreachable(
                    f"{broke} right after it was made: baresip ends, or another client takes the control port",
                    provider=PROVIDER,
                )

    async def _reach(self) -> None:
        """Connect as soon as it can be. Raises `NotSent` where it cannot within the time that a start may take.

        Raises as `_sign_in`, and `Unreachable` where the registrar does not answer in that time.
        """
        softphone, config = self._softphone, self._config
        self._registering = None
        with anyio.move_on_after(config.start_timeout):
            while True:
                where = softphone.control if softphone is not None else endpoint(config.control or "")
                try:
                    self._desk.accounts = await self._sign_in(await self._control.open(*where))
                except NotSent:
                    if softphone is None or not softphone.running:
                        raise
                else:
                    self._opened_at = anyio.current_time()
                    return
                await anyio.sleep(_RETRY)
        if self._registering is not None:
            await self._control.close()
            raise Unreachable(
                f"{config.domain} does not register {self._registering}: no answer within {config.start_timeout:g} s",
                provider=PROVIDER,
            )
        raise NotSent(f"baresip's control port was not there within {config.start_timeout:g} s", provider=PROVIDER)

    async def _sign_in(self, reply: Reply) -> tuple[str, ...]:
        """Return the accounts, once ours is registered where it is to be.

        Raises `AuthenticationFailed` or `Unreachable` where the registrar refuses it, `NotSent` where baresip has none.
        """
        while True:
            shown = accounts(reply)
            if not shown:
                raise NotSent(f"baresip shows no account: {words(reply)}", provider=PROVIDER)
            aor, status = shown[0]
            if self._softphone is None or not self._config.registrar or status.startswith("OK"):
                self._registering = None
                return tuple(aor for aor, _ in shown)
            if status.startswith("ERR"):
                # Why is not told by the control port.
                why = self._softphone.refusal(aor) or status
                told = f"{self._config.domain} does not register {aor}: {why}"
                if why[:1] in ("5", "6"):
                    raise Unreachable(told, provider=PROVIDER)
                raise AuthenticationFailed(told, provider=PROVIDER)
            self._registering = aor
            await anyio.sleep(_RETRY)
            reply = await self._control.greet()

    async def _return(self) -> None:
        """Connect again, and tell what is true now: nothing of what was missed is ever repeated by baresip."""
        since = self._heard_at
        why = "the connection to baresip's control port was lost"
        softphone = self._softphone
        # Commands wait meanwhile: they would be mistaken for a part of the greeting.
        async with self._lock:
            while True:
                if softphone is not None and not softphone.running:
                    why = cause_of_death(softphone.returncode).text or why
                    self._bury(softphone)
                    await self.open()
                    break
                try:
                    await self._reach()
                    break
                except NotSent as error:
                    if softphone is None or softphone.running:
                        raise Unreachable(f"baresip cannot be reached again: {error}", provider=PROVIDER) from error
        self._host.report(Gap(as_of=self._host.stamp(), since=since, why=why))
        self._look.set()

    def _bury(self, softphone: Softphone) -> None:
        """Tell the end of every call that has died with its baresip."""
        as_of = self._host.stamp()
        cause = cause_of_death(softphone.returncode)
        known, self._known, self._dialling = self._known, {}, None
        self._host.report(
            *(CallReport(source=Source.PUSH, as_of=as_of, ref=ref, state=CallState.ENDED, cause=cause) for ref in known)
        )

    async def _tend(self) -> None:
        """Look at what baresip does not tell: after a gap, and when it may have taken a call back from hold."""
        while True:
            await self._look.wait()
            self._look = anyio.Event()
            ours = set(self._known)
            held = {ref for ref, known in self._known.items() if known.held}
            try:
                async with self._lock:
                    reports = await self._survey(self._host.stamp())
                    released = [r.ref for r in reports if r.held is False and r.ref in held]
                    if released and self._softphone is not None:
                        # Nobody asked for it. (With a baresip of somebody else's, somebody may have.)
                        for ref in filter(None, released):
                            await self._desk.select(ref, self._account(ref))
                            await self._control.ask("hold")
                        reports = await self._survey(self._host.stamp())
            except ProviderError as error:
                _log.info("%s: looking at the calls failed: %s", PROVIDER, error)
            else:
                # Of the others only those that ring here are news; who answered them, if not we, goes on with them.
                self._host.report(*(r for r in reports if r.ref in ours or r.command_id is not None or _rings_here(r)))
                self._miss(ours - {report.ref for report in reports})
            if self._softphone is not None:
                self._softphone.trim()

    def _miss(self, gone: set[str]) -> None:
        """Tell the end of calls that baresip no longer has. Why they ended was said while nobody heard it."""
        as_of = self._host.stamp()
        for ref in sorted(gone & set(self._known)):
            report = _ended(ref, Source.READ, as_of)
            self._remember(report, None)
            self._host.report(report)

    # Events -------------------------------------------------------------------------------------------------------

    def _heard(self, event: Event | Unreadable) -> None:
        if isinstance(event, Unreadable):
            as_of = self._heard_at = self._host.stamp()
            self._host.report(Gap(as_of=as_of, since=as_of, why=f"baresip said what cannot be read: {event}"))
            self._look.set()
            return
        command_id = self._claim(event)
        as_of = self._heard_at = self._host.stamp()
        decide_by = as_of + self._config.answer_within if self._softphone is not None else None
        fact = decode_event(event, as_of=as_of, command_id=command_id, decide_by=decide_by)
        if fact is None:
            return
        if isinstance(fact, CallReport):
            self._remember(fact, event.account)
        self._host.report(fact)

    def _claim(self, event: Event) -> str | None:
        """Return the dial that this event's call comes from, where it is the first to name it."""
        dialling = self._dialling
        if dialling is None or event.id is None or not is_outgoing(event):
            return None
        if dialling.ref is None and event.id not in self._known and event.peer == dialling.peer:
            dialling.ref = event.id
            # Whatever the event tells, even the end: the invitation was sent.
            self._host.report(
                CallReport(
                    source=Source.PUSH,
                    as_of=self._host.stamp(),
                    ref=event.id,
                    command_id=dialling.command_id,
                    origin=Dialled(),
                    state=CallState.DIALING,
                )
            )
        return dialling.command_id if dialling.ref == event.id else None

    def _remember(self, report: CallReport, account: str | None) -> None:
        if report.ref is None:
            return
        if report.state is CallState.ENDED:
            known = self._known.pop(report.ref, None)
            if known is not None and any(other.held for other in self._known.values()):
                # baresip takes another call back from hold when one ends, and does not say so.
                self._look.set()
            return
        known = self._known.setdefault(report.ref, _Known())
        known.account = account or known.account
        if report.held is not None:
            known.held = report.held

    # Commands -----------------------------------------------------------------------------------------------------

    async def execute(self, command: Command) -> None:
        match command:
            case Dial():
                await self._dial(command)
            case HangUp() | Reject():
                await self._end(command)
            case Answer():
                await self._answer(command)
            case Hold() | Resume():
                await self._hold(command)
            case Mute() | Unmute():
                await self._mute(command)
            case SendDigits():
                await self._send_digits(command)
            case _:
                raise Unsupported(f"baresip: {command.name} is not supported; nothing was sent")

    async def _dial(self, command: Dial) -> None:
        to = encode.address(command, domain=self._config.domain)
        account = encode.caller(command)
        async with self._lock:
            await self._desk.use(account)
            as_of = self._host.stamp()
            dialling = self._dialling = _Dialling(command.id, to)
            try:
                reply = await self._control.ask("dial", to)
            except AnswerLost:
                if await self._find(dialling, as_of):
                    return
                raise
            except BaseException:
                self._dialling = None
                raise
            if not reply.ok:
                self._dialling = None
                raise Refused(f"dialling {to}: baresip says {words(reply)}", provider=PROVIDER)
            if not await self._find(dialling, as_of):
                raise AnswerLost(f"dialling {to}: baresip accepted it and shows no such call", provider=PROVIDER)

    async def _find(self, dialling: _Dialling, as_of: float) -> bool:
        """Name the call of a dial, by what was heard or by looking; return whether it has a name."""
        if dialling.ref is None:
            try:
                current = await self._desk.stat()
                if not self._is_from(current, dialling):
                    shown = await self._desk.walk()
                    current = next((call for call, _ in shown if self._is_from(call, dialling)), None)
            except ProviderError:
                return dialling.ref is not None
            # Its first event may have come while we looked.
            if dialling.ref is None and current is not None:
                dialling.ref = current.id
                self._tell(current, None, as_of, Source.ANSWER, dialling.command_id)
        else:
            self._host.report(
                CallReport(source=Source.ANSWER, as_of=as_of, ref=dialling.ref, command_id=dialling.command_id)
            )
        return dialling.ref is not None

    def _is_from(self, call: Stat | None, dialling: _Dialling) -> bool:
        if call is None or not call.outgoing or call.id in self._known:
            return False
        return call.peer is not None and call.peer.address == dialling.peer

    async def _end(self, command: HangUp | Reject) -> None:
        """Hang up. What `hangup` is told is ignored: it ends the current call, whichever that is."""
        ref = encode.reference(command)
        async with self._lock:
            as_of = self._host.stamp()
            await self._desk.select(ref, self._account(ref))
            if isinstance(command, Reject):
                await self._desk.must_be(RINGS, ref, command.name)
            if ref not in self._known:
                raise TooLate(f"{command.name}: call {ref} has ended", provider=PROVIDER)
            reply = await self._control.ask("hangup")
            if not reply.ok:
                raise Refused(f"{command.name}: baresip says {words(reply)}", provider=PROVIDER)
        if ref in self._known:
            # Its event should have come before the reply. The call is over all the same.
            report = _ended(ref, Source.ANSWER, as_of)
            self._remember(report, None)
            self._host.report(report)

    async def _answer(self, command: Answer) -> None:
        ref = encode.reference(command)
        if command.sdp is not None:
            raise Unsupported("baresip answers with audio of its own only: leave out `sdp`")
        async with self._lock:
            await self._desk.select(ref, self._account(ref))
            await self._desk.must_be(RINGS, ref, command.name)
            before = {line.number for line in await self._desk.lines() if line.held}
            reply = await self._control.ask("accept")
            if not reply.ok:
                # The call that baresip would hold meanwhile cannot be held yet. It has marked it, and goes on now.
                reply = await self._control.ask("accept")
            for line in await self._desk.lines():
                if line.held and not line.current and line.number not in before:
                    await self._desk.take_back(line)
            if not reply.ok:
                raise Refused(f"{command.name}: baresip says {words(reply)}", provider=PROVIDER)

    async def _hold(self, command: Hold | Resume) -> None:
        ref = encode.reference(command)
        word = "hold" if isinstance(command, Hold) else "resume"
        async with self._lock:
            current = await self._must_be_up(ref, command)
            as_of = self._host.stamp()
            reply = await self._control.ask(word)
            if not reply.ok:
                raise Refused(f"{command.name}: baresip says {words(reply)}", provider=PROVIDER)
            line = next((line for line in await self._desk.lines() if line.current), None)
            self._tell(current, line, as_of, Source.ANSWER)

    async def _mute(self, command: Mute | Unmute) -> None:
        ref = encode.reference(command)
        wanted = isinstance(command, Mute)
        async with self._lock:
            await self._must_be_up(ref, command)
            muted: bool | None = None
            for _ in range(2):
                # It is a switch that only tells what it has become.
                as_of = self._host.stamp()
                reply = await self._control.ask("mute")
                muted = is_muted(reply)
                if muted is None:
                    raise Refused(f"{command.name}: baresip says {words(reply)}", provider=PROVIDER)
                self._host.report(CallReport(source=Source.ANSWER, as_of=as_of, ref=ref, muted=muted))
                if muted is wanted:
                    return
            raise Refused(f"{command.name}: the call does not stay so", provider=PROVIDER)

    async def _send_digits(self, command: SendDigits) -> None:
        portions = encode.digits(command)
        ref = encode.reference(command)
        spent = 0.0
        for portion in portions:
            if portion is None:
                await anyio.sleep(spent + encode.PAUSE)
                spent = 0.0
            elif portion:
                async with self._lock:
                    await self._must_be_up(ref, command)
                    reply = await self._control.ask("sndcode", portion)
                if not reply.ok:
                    raise Refused(f"{command.name}: baresip says {words(reply)}", provider=PROVIDER)
                spent += encode.DIGIT * len(portion)

    # Questions ----------------------------------------------------------------------------------------------------

    async def read(self, ref: str) -> CallReport | Gone:
        async with self._lock:
            as_of = self._host.stamp()
            reply = await self._desk.find(ref, self._account(ref))
            if not was_found(reply):
                self._known.pop(ref, None)
                return Gone(as_of, words(reply))
            call = await self._desk.stat()
            line = next((line for line in await self._desk.lines() if line.current), None)
        if call is None or call.id != ref:
            raise ProviderError(f"reading call {ref}: baresip showed another one", provider=PROVIDER)
        report = decode_call(call, line, source=Source.READ, as_of=as_of)
        self._remember(report, None)
        return report

    async def list_calls(self) -> CallList:
        async with self._lock:
            as_of = self._host.stamp()
            return CallList(await self._survey(as_of), as_of, complete=True)

    async def _survey(self, as_of: float) -> tuple[CallReport, ...]:
        """Read all calls. Raises `ProviderError` where that was not possible."""
        reports: list[CallReport] = []
        for call, line in await self._desk.walk():
            dialling = self._dialling
            if dialling is not None and dialling.ref is None and self._softphone and self._is_from(call, dialling):
                # Nobody else dials with a baresip of our own.
                dialling.ref = call.id
            command_id = dialling.command_id if dialling is not None and dialling.ref == call.id else None
            report = decode_call(call, line, source=Source.READ, as_of=as_of, command_id=command_id)
            self._remember(report, call.local.address if call.outgoing and call.local is not None else None)
            reports.append(report)
        return tuple(reports)

    async def _must_be_up(self, ref: str, command: Command) -> Stat:
        """Select a call that is up. Of another one baresip says ok, and does nothing, or worse."""
        await self._desk.select(ref, self._account(ref))
        return await self._desk.must_be(UP, ref, command.name)

    def _account(self, ref: str) -> str | None:
        known = self._known.get(ref)
        return known.account if known is not None else None

    def _tell(self, call: Stat, line: Line | None, as_of: float, source: Source, command_id: str | None = None) -> None:
        report = decode_call(call, line, source=source, as_of=as_of, command_id=command_id)
        self._remember(report, None)
        self._host.report(report)


def _ended(ref: str, source: Source, as_of: float) -> CallReport:
    return CallReport(source=source, as_of=as_of, ref=ref, state=CallState.ENDED, cause=cause_of_close(None))


def _rings_here(report: CallReport) -> bool:
    return isinstance(report.origin, Invitation) and report.state is CallState.RINGING
