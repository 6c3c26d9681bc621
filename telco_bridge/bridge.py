"""The bridge: one connection to one provider, and every call on it."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Collection, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING

import anyio

from .call import Call
from .capabilities import Capability, Support, SupportLevel
from .clock import Clock, SystemClock, happens_by
from .commands import Dial, HangUp, new_id
from .connection import BridgeHost, Connection
from .errors import (
    AuthenticationFailed,
    ConfigError,
    NotPossibleNow,
    OutcomeUnknown,
    TelcoBridgeError,
    Unsupported,
)
from .eventlog import Cursor
from .events import CallIncoming, ChannelFailed, GapDetected
from .media import Modality
from .provider import ProviderPlugin, ProviderSession, WebRequest, WebResponse
from .reports import CallDirection, CallState
from .switchboard import CallRecord, Switchboard
from .termination import EndedBy, TerminationReason
from .views import CallView

if TYPE_CHECKING:
    from typing import Self

    from anyio.abc import TaskGroup
    from pydantic import BaseModel

    from .config import Settings
    from .dispatch import Dispatch
    from .reconciliation import Reconciliation
    from .serving import Server
    from .web import WebApplication

__all__ = ["Bridge", "Health"]

_log = logging.getLogger("telco_bridge")

_AUDIO = frozenset({Modality.AUDIO})
_LONGEST_PAUSE = 30.0
_TROUBLE = 3
_STEADY = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """How a bridge is doing.

    `channel` is `closed`, `open`, or `failing` until it has been steady for a minute; `error` is what it failed with
    last. `foreign` counts calls of the same
    account that are not ours.
    """

    channel: str
    error: str | None
    live: int
    foreign: int


class Bridge:
    """One provider, behind the same few lines as every other.

    Made by `connect`, entered once with `async with`. Leaving hangs up the calls that were dialled or answered here
    and not released, and signs out, within `lifecycle.close_timeout` seconds each. A lone exception of yours leaves
    `async with` unwrapped.
    """

    def __init__(
        self,
        plugin: ProviderPlugin[BaseModel],
        options: BaseModel,
        settings: Settings,
        *,
        clock: Clock | None = None,
    ) -> None:
        self._plugin = plugin
        self._options = options
        self._settings = settings
        self._lifecycle = settings.lifecycle
        self._host = BridgeHost(clock if clock is not None else SystemClock())
        self._switchboard = Switchboard(
            provider=plugin.name,
            clock=self._host.clock,
            explain=plugin.explain,
            capacity=settings.lifecycle.event_capacity,
        )
        self._host.switchboard = self._switchboard
        self._switchboard.on_contradiction = self._end_contradicted
        self._life = self._live()
        self._intents: dict[str, CallRecord] = {}
        self._web: WebApplication | None = None
        self._session: ProviderSession | None = None
        self._dispatch: Dispatch | None = None
        self._reconciliation: Reconciliation | None = None
        self._tasks: TaskGroup | None = None
        self._state = "new"
        self._channel_error: str | None = None
        self._channel_since: float | None = None

    def __repr__(self) -> str:
        return f"<Bridge to {self.provider}: {self._state}>"

    # What is known ------------------------------------------------------------------------------------------------

    @property
    def provider(self) -> str:
        """The provider's name."""
        return self._plugin.name

    @property
    def support(self) -> Mapping[Capability, Support]:
        """What the provider can do at all, for every capability."""
        undeclared = Support(SupportLevel.UNKNOWN, "the plugin does not declare it")
        return {capability: self._plugin.support.get(capability, undeclared) for capability in Capability}

    @property
    def asgi(self) -> WebApplication:
        """The web application that the provider's callbacks reach, to be mounted by a framework or served by itself."""
        if self._web is None:
            if self._state not in ("new", "opening"):
                raise NotPossibleNow("asgi: ask for it before the bridge is entered, or configure web.public_url")
            from .web import WebApplication

            self._web = WebApplication()
        return self._web

    @property
    def calls(self) -> tuple[Call, ...]:
        """The calls of this bridge that are not over, oldest first."""
        return tuple(self._call(record) for record in self._switchboard.live) if self._dispatch is not None else ()

    @property
    def health(self) -> Health:
        """How the bridge is doing, without asking the provider."""
        reads_fail = self._reconciliation.trouble if self._reconciliation is not None else None
        since, error = self._channel_since, self._channel_error
        steady = error is None or (since is not None and self._host.clock.now() - since >= _STEADY)
        channel = "closed" if self._state != "open" else "open" if steady and reads_fail is None else "failing"
        return Health(
            channel=channel,
            error=reads_fail or error,
            live=len(self._switchboard.live),
            foreign=len(self._switchboard.foreign),
        )

    def events(self, *, since: int | None = None) -> Cursor:
        """Everything that happens from now on, or since the event with that `seq` (0: from the beginning).

        An async iterator that ends when the bridge is closed. It never holds the bridge up: a reader that is too slow
        meets a `GapDetected` in place of what it missed.
        """
        log = self._switchboard.log
        if since is not None and since < 0:
            raise ValueError(f"since is {since}; it must be the number of an event, or 0")
        return Cursor(log, log.written if since is None else since)

    # Calls --------------------------------------------------------------------------------------------------------

    async def dial(
        self,
        to: str,
        *,
        caller_id: str | None = None,
        modalities: Collection[Modality] = _AUDIO,
        offer: str | None = None,
        ring_timeout: float | None = None,
        max_duration: float | None = None,
        intent: str | None = None,
        note: str | None = None,
        native: Mapping[str, object] | None = None,
    ) -> Call:
        """Call somebody; return as soon as the provider has accepted it.

        `ring_timeout` and `max_duration` are in seconds; where the provider cannot keep them, the bridge does. `offer`
        is an SDP body, for modalities whose media the application brings. With an `intent`, one call is made however
        often it is dialled: a second dial gets the first one's call.

        If the caller is cancelled meanwhile, the call is hung up as soon as it can be. Raises `Unsupported`, `Refused`,
        `Unreachable`, or `OutcomeUnknown` where the answer was lost; a dial is never repeated behind your back.
        """
        dispatch, _, tasks = self._opened("dial")
        if self._state != "open":
            raise NotPossibleNow(f"dial: the bridge is {self._state}")
        _check_seconds(ring_timeout=ring_timeout, max_duration=max_duration)
        if intent is not None and (known := self._intents.get(intent)) is not None:
            return await self._same_dial(known, dispatch, tasks)
        token = new_id()
        command = Dial(
            id=token,
            call=token,
            to=to,
            caller_id=caller_id,
            modalities=frozenset(modalities),
            offer=offer,
            ring_timeout=ring_timeout,
            max_duration=max_duration,
            intent=intent,
            note=note,
            native=native or {},
        )
        dispatch.refuse_unsupported(command)
        self._refuse_unkeepable(ring_timeout, max_duration)
        record = self._switchboard.open(command)
        if intent is not None:
            self._intents[intent] = record
        _log.info("%s: dialling, call %s, intent %s", self.provider, record.id, intent)
        try:
            await self._place(record, command, dispatch, tasks)
        finally:
            # A call whose dial is in doubt may show later, and then its limits hold.
            if not record.log.closed and not record.view.over:
                self._keep_time(record, command, tasks)
        return self._call(record)

    async def _place(self, record: CallRecord, command: Dial, dispatch: Dispatch, tasks: TaskGroup) -> None:
        """Send the dial, or join it; a dial that certainly made no call leaves nothing behind."""
        record.takers += 1
        try:
            await dispatch.perform(record, command)
        except OutcomeUnknown:
            raise
        except TelcoBridgeError:
            self._forget_dial(record, command)
            raise
        except anyio.get_cancelled_exc_class():
            record.takers -= 1
            if record.takers == 0 and not record.view.over:
                tasks.start_soon(self._abandon, record, command, dispatch)
            raise

    async def _same_dial(self, record: CallRecord, dispatch: Dispatch, tasks: TaskGroup) -> Call:
        dial = next((flight.command for flight in record.flights if isinstance(flight.command, Dial)), None)
        if dial is not None:
            await self._place(record, dial, dispatch, tasks)
        return self._call(record)

    def _forget_dial(self, record: CallRecord, command: Dial) -> None:
        if record.view.ref is None and record.view.state is CallState.UNKNOWN:
            self._switchboard.discard(record)
            if command.intent is not None and self._intents.get(command.intent) is record:
                del self._intents[command.intent]

    async def _abandon(self, record: CallRecord, command: Dial, dispatch: Dispatch) -> None:
        """Hang up a call whose dial was cancelled, as soon as it can be, unless somebody else dials it meanwhile."""
        flight = next((flight for flight in record.flights if flight.command is command), None)
        if flight is not None:
            await flight.done.wait()
            if flight.error is not None and not isinstance(flight.error, OutcomeUnknown):
                self._forget_dial(record, command)
                return
        if record.takers == 0:
            note = "the dial was cancelled"
            await self._insist(record, dispatch, TerminationReason.CANCELLED, EndedBy.APPLICATION, note)

    async def _insist(
        self, record: CallRecord, dispatch: Dispatch, reason: TerminationReason, by: EndedBy, note: str
    ) -> None:
        """Hang up a call that nobody else will: again and again, with growing pauses, until it has ended."""
        pause = 1.0
        while not await self._end(record, dispatch, reason, by, note):
            await self._comes_true(record, lambda view: view.over, self._host.clock.now() + pause)
            pause = min(_LONGEST_PAUSE, pause * 2)

    async def _end(
        self, record: CallRecord, dispatch: Dispatch, reason: TerminationReason | None, by: EndedBy, note: str
    ) -> bool:
        """Hang up on the application's behalf; return whether there is nothing left to do. A failure is logged."""
        command = HangUp(id=new_id(), call=record.id, ref=record.view.ref, reason=reason, by=by, note=note)
        try:
            await dispatch.perform(record, command)
        except TelcoBridgeError as error:
            _log.warning("%s: call %s could not be hung up (%s): %s", self.provider, record.id, note, error)
            return record.view.over or isinstance(error, Unsupported | AuthenticationFailed)
        return True

    def _refuse_unkeepable(self, ring_timeout: float | None, max_duration: float | None) -> None:
        limits = {Capability.RING_TIMEOUT: ring_timeout, Capability.MAX_DURATION: max_duration}
        for capability, seconds in limits.items():
            if seconds is not None and not self.support[capability].usable:
                raise Unsupported(f"Dial: {self.provider} does not support {capability}; leave it out")

    def _keep_time(self, record: CallRecord, command: Dial, tasks: TaskGroup) -> None:
        """Keep the limits that the provider does not keep itself."""
        if command.ring_timeout is not None and self.support[Capability.RING_TIMEOUT].level is SupportLevel.EMULATED:
            tasks.start_soon(self._limit_ringing, record, command.ring_timeout)
        if command.max_duration is not None and self.support[Capability.MAX_DURATION].level is SupportLevel.EMULATED:
            tasks.start_soon(self._limit_duration, record, command.max_duration)

    async def _limit_ringing(self, record: CallRecord, seconds: float) -> None:
        dispatch, _, _ = self._opened("ring timeout")
        deadline = self._host.clock.now() + seconds
        if not await self._comes_true(record, lambda view: view.reached is CallState.CONNECTED or view.over, deadline):
            note = f"not answered within {seconds:g} s"
            await self._insist(record, dispatch, TerminationReason.NO_ANSWER, EndedBy.BRIDGE, note)

    async def _limit_duration(self, record: CallRecord, seconds: float) -> None:
        dispatch, _, _ = self._opened("duration limit")
        await self._comes_true(record, lambda view: view.reached is CallState.CONNECTED or view.over, None)
        deadline = self._host.clock.now() + seconds
        if not await self._comes_true(record, lambda view: view.over, deadline):
            note = f"longer than {seconds:g} s"
            await self._insist(record, dispatch, TerminationReason.TIME_LIMIT, EndedBy.BRIDGE, note)

    async def _comes_true(
        self, record: CallRecord, condition: Callable[[CallView], bool], deadline: float | None
    ) -> bool:
        while not condition(record.view):
            if deadline is None:
                await record.log.grown().wait()
            elif self._host.clock.now() >= deadline:
                return False
            else:
                await happens_by(self._host.clock, record.log.grown(), deadline)
        return True

    def incoming(self) -> AsyncIterator[Call]:
        """Iterate over calls that arrive from now on, each once, until the bridge is closed."""
        self._opened("incoming")
        return _Arrivals(self._switchboard, self.events(), self._call)

    async def serve(self, handler: Callable[[Call], Awaitable[object]], *, limit: int = 100) -> None:
        """Run the handler for every inbound call, at most `limit` at once, until the bridge is closed.

        A call that its handler leaves is hung up, unless released; a handler's error is logged and ends that call only.
        """
        self._opened("serve")
        limiter = anyio.Semaphore(limit)

        async def run(call: Call) -> None:
            async with limiter:
                try:
                    async with call:
                        await handler(call)
                except Exception:  # noqa: BLE001
                    # The handler is the application's: one broken call must not take the others down.
                    _log.exception("%s: the handler of call %s failed", self.provider, call.id)

        async with anyio.create_task_group() as tasks:
            async for call in self.incoming():
                tasks.start_soon(run, call)

    async def recover(self) -> tuple[Call, ...]:
        """Adopt the live calls of this account that the bridge did not start, and return them.

        Adopted calls are watched and can be controlled; they are not owned, so closing the bridge leaves them alone.
        Raises `Unsupported` where the provider cannot list calls.
        """
        _, reconciliation, _ = self._opened("recover")
        listed = await reconciliation.list_calls()
        if listed is None:
            raise Unsupported(f"recover: {self.provider} cannot list calls")
        adopted = [self._switchboard.adopt(report) for report in listed.reports]
        return tuple(self._call(record) for record in adopted if record is not None)

    def _call(self, record: CallRecord) -> Call:
        dispatch, _, _ = self._opened("call")
        return Call(record, dispatch, close_timeout=self._lifecycle.close_timeout)

    # Life ---------------------------------------------------------------------------------------------------------

    async def __aenter__(self) -> Self:
        if self._state != "new":
            raise NotPossibleNow(f"this bridge is {self._state}; a bridge is entered once, connect() makes another")
        self._state = "opening"
        await self._life.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        return await self._life.__aexit__(kind, error, trace)

    @asynccontextmanager
    async def _live(self) -> AsyncGenerator[Self]:
        error: BaseException | None = None
        try:
            async with AsyncExitStack() as stack:
                await self._open_web(stack)
                # Errors, the user's own above all, go round the task groups, which would wrap them.
                async with anyio.create_task_group() as outer:
                    connection = Connection(self._plugin, self._options, self._host)
                    try:
                        self._start(*await outer.start(connection.hold))
                        try:
                            yield self
                        finally:
                            await self._close()
                    except BaseException as raised:
                        # A cancellation belongs to the scopes that it passes; it may come as a group.
                        if _is_cancellation(raised):
                            raise
                        error = raised
                    finally:
                        await connection.leave(self._lifecycle.close_timeout)
        finally:
            self._state = "closed"
            self._switchboard.log.close()
        if error is not None:
            raise error

    async def _open_web(self, stack: AsyncExitStack) -> None:
        web = self._settings.web
        listen, public_url = web.listen, web.public_url
        if self._web is None and listen is None and public_url is None:
            return
        from anyio.from_thread import BlockingPortal

        application = self.asgi
        if listen is not None:
            from .serving import Server

            host, _, port = listen.rpartition(":")
            server = Server(application, host=host.strip("[]"), port=int(port))
            try:
                server.start()
            except OSError as failure:
                where = f"{self._settings.source}: {self._settings.prefix}web.listen"
                raise ConfigError(f"{where}: cannot listen on {listen}: {failure.strerror}") from failure
            stack.push_async_callback(_stop_server, server)
            if public_url is None and host in ("127.0.0.1", "localhost", "[::1]"):
                public_url = server.url
        application.public_url = public_url
        self._host.public_url = public_url
        # Last, because its task group would wrap the errors above.
        portal = await stack.enter_async_context(BlockingPortal())
        stack.push_async_callback(portal.stop, cancel_remaining=True)
        application.open(self._receive, portal)
        stack.callback(application.close)

    def _start(self, session: ProviderSession, tasks: TaskGroup) -> None:
        from .dispatch import Dispatch
        from .reconciliation import Reconciliation

        self._session, self._tasks = session, tasks
        self._reconciliation = Reconciliation(
            session=session, switchboard=self._switchboard, host=self._host, lifecycle=self._lifecycle
        )
        self._dispatch = Dispatch(
            plugin=self._plugin,
            session=session,
            switchboard=self._switchboard,
            reconciliation=self._reconciliation,
            host=self._host,
            lifecycle=self._lifecycle,
            tasks=tasks,
        )
        self._state = "open"
        tasks.start_soon(self._hear, session, self._reconciliation, name="telco_bridge events")
        tasks.start_soon(self._reconciliation.run, name="telco_bridge deadlines")
        tasks.start_soon(self._reconciliation.sweep_regularly, name="telco_bridge reads")

    async def _hear(self, session: ProviderSession, reconciliation: Reconciliation) -> None:
        """Keep the provider's channel running: a break is a gap, then a pause, then another try and a look at all."""
        clock, failures = self._host.clock, 0
        while True:
            self._channel_since = began = clock.now()
            try:
                await session.run()
                reason = "the event channel ended"
            except Exception as error:  # noqa: BLE001
                # Plugins are foreign code; whatever breaks their channel, the application goes on and is told.
                reason = f"{type(error).__name__}: {error}"
                if isinstance(error, AuthenticationFailed):
                    failures = max(failures, _TROUBLE - 1)
            broke = self._host.stamp()
            self._channel_since = None
            failures = 1 if clock.now() - began >= _STEADY else failures + 1
            self._channel_error = reason
            _log.warning("%s: the event channel broke (%d in a row): %s", self.provider, failures, reason)
            self._switchboard.publish(GapDetected(why=reason, since=broke))
            if failures >= _TROUBLE:
                self._switchboard.publish(ChannelFailed(error=reason, attempts=failures))
            await clock.sleep_until(clock.now() + min(_LONGEST_PAUSE, 0.5 * 2 ** (failures - 1)))
            if self._switchboard.live:
                await reconciliation.sweep()

    async def _receive(self, request: WebRequest) -> WebResponse:
        session = self._session
        if session is None:
            return WebResponse(status=503, body=b"the bridge is not open\n")
        try:
            return await session.receive(request)
        except Exception:  # noqa: BLE001
            # A plugin that breaks on a request must not show its insides to whoever sent it; the provider may repeat.
            _log.exception("%s: the request %s %s could not be handled", self.provider, request.method, request.path)
            return WebResponse(status=500)

    async def _close(self) -> None:
        """Hang up what is owned and close every record: within bounded time, whatever happens."""
        self._state = "closing"
        dispatch, reconciliation = self._dispatch, self._reconciliation
        with anyio.move_on_after(self._lifecycle.close_timeout, shield=True):
            async with anyio.create_task_group() as ending:
                for record in self._switchboard.live:
                    if dispatch is not None and record.owned and not record.released:
                        ending.start_soon(self._close_call, record, dispatch)
        for record in self._switchboard.live:
            if reconciliation is not None:
                why = (
                    "the bridge was closed; the call may live on"
                    if record.released or not record.owned
                    else ("the bridge was closed before the end of the call was confirmed")
                )
                reconciliation.orphan(record, why)
        self._switchboard.log.close()

    async def _close_call(self, record: CallRecord, dispatch: Dispatch) -> None:
        for flight in list(record.flights):
            if isinstance(flight.command, Dial):
                await flight.done.wait()
        if record in self._switchboard.live:
            await self._end(record, dispatch, None, EndedBy.BRIDGE, "the bridge was closed")
            while not record.view.over and record.view.state is CallState.ENDED:
                await record.log.grown().wait()

    def _end_contradicted(self, record: CallRecord, ref: str) -> None:
        """A call that was taken for dead lives: hang it up, outside of its record, which is closed."""
        if self._tasks is not None and self._dispatch is not None and self._state == "open":
            self._tasks.start_soon(self._dispatch.end_revenant, record, ref)

    def _opened(self, what: str) -> tuple[Dispatch, Reconciliation, TaskGroup]:
        if self._dispatch is None or self._reconciliation is None or self._tasks is None or self._state == "closed":
            raise NotPossibleNow(f"{what}: the bridge is {self._state}; use it inside `async with`")
        return self._dispatch, self._reconciliation, self._tasks


class _Arrivals(AsyncIterator[Call]):
    """The incoming calls among the events; those that a slow reader missed, and that still ring, included."""

    def __init__(self, switchboard: Switchboard, events: Cursor, handle: Callable[[CallRecord], Call]) -> None:
        self._switchboard = switchboard
        self._events = events
        self._handle = handle
        self._missed: list[CallRecord] = []
        self._told: set[str] = set()

    async def __anext__(self) -> Call:
        while not self._missed:
            event = await anext(self._events)
            if isinstance(event, CallIncoming):
                record = self._switchboard.find(call=event.call.id)
                self._missed = [record] if record is not None and record.id not in self._told else []
            elif isinstance(event, GapDetected) and event.missed is not None:
                waiting = [record for record in self._switchboard.live if _waits(record.view)]
                self._missed = [record for record in waiting if record.id not in self._told]
        record = self._missed.pop(0)
        self._told = {known.id for known in self._switchboard.live if known.id in self._told} | {record.id}
        return self._handle(record)


def _waits(view: CallView) -> bool:
    return view.direction is CallDirection.INBOUND and view.state is CallState.RINGING


def _is_cancellation(error: BaseException) -> bool:
    grouped = isinstance(error, BaseExceptionGroup) and not isinstance(error, Exception)
    return grouped or isinstance(error, anyio.get_cancelled_exc_class())


async def _stop_server(server: Server) -> None:
    from anyio import to_thread

    with anyio.CancelScope(shield=True):
        await to_thread.run_sync(server.stop)


def _check_seconds(**limits: float | None) -> None:
    for name, seconds in limits.items():
        if seconds is not None and not 0 < seconds < float("inf"):
            raise ValueError(f"{name} is {seconds}; it must be a positive number of seconds")
