"""The bridge: one connection to one provider, and every call on it."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Collection, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, TypeVar

import anyio
import anyio.lowlevel

from .arrivals import Arrivals
from .call import Call
from .capabilities import Capability, Support, SupportLevel
from .clock import Clock, SystemClock
from .commands import Dial, new_id
from .connection import BridgeHost, Connection
from .errors import (
    ConfigError,
    NotPossibleNow,
    Refused,
    Unreachable,
    Unsupported,
)
from .eventlog import Cursor
from .media import Modality, modality_named
from .provider import NotSent, ProviderPlugin, ProviderSession, WebRequest, WebResponse
from .reports import CallState
from .switchboard import CallRecord, Switchboard
from .termination import EndedBy

if TYPE_CHECKING:
    from typing import Self

    from anyio.abc import TaskGroup
    from pydantic import BaseModel

    from .channel import Channel
    from .config import Settings
    from .dialing import Dialing
    from .dispatch import Dispatch
    from .mediagate import MediaGate
    from .reconciliation import Reconciliation
    from .serving import Server
    from .web import WebApplication

__all__ = ["Bridge", "Health"]

_log = logging.getLogger("telco_bridge")

N = TypeVar("N")

_AUDIO = frozenset({Modality.AUDIO})
_LONGEST_ADDRESS = 2048
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
        self._web: WebApplication | None = None
        self._works: _Works | None = None
        self._state = "new"

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
        return tuple(self._call(record) for record in self._switchboard.live) if self._works is not None else ()

    @property
    def health(self) -> Health:
        """How the bridge is doing, without asking the provider."""
        works = self._works
        steady = works is None or (works.channel.steady and works.reconciliation.trouble is None)
        channel = "closed" if self._state != "open" else "open" if steady else "failing"
        return Health(
            channel=channel,
            error=(works.reconciliation.trouble or works.channel.error) if works is not None else None,
            live=len(self._switchboard.live),
            foreign=len(self._switchboard.foreign),
        )

    def native(self, kind: type[N]) -> N:
        """Return what the provider can do beyond the neutral words, as an object of the plugin's own class.

        Raises `Unsupported` where this provider has no such thing: whoever asks for it is bound to one provider.
        """
        door = self._opened("native").session.native
        if not isinstance(door, kind):
            has = f"it has {type(door).__name__}" if door is not None else "it has none"
            raise Unsupported(f"native: {self.provider} does not offer {kind.__name__}; {has}")
        return door

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

        `ring_timeout` (from now) and `max_duration` (from the answer) are in seconds; where the provider cannot keep
        them, the bridge does. `native` is passed to the provider in its own words, which its plugin checks. `offer`
        is an SDP body, for modalities whose media the application brings. With an `intent`, one call is made however
        often it is dialled: a second dial gets the first one's call.

        If the caller is cancelled meanwhile, the call is hung up as soon as it can be. Raises `Unsupported`, `Refused`,
        `Unreachable`, or `OutcomeUnknown` where the answer was lost; a dial is never repeated behind your back.
        """
        dialing = self._opened("dial").dialing
        if self._state != "open":
            raise NotPossibleNow(f"dial: the bridge is {self._state}")
        _check_seconds(ring_timeout=ring_timeout, max_duration=max_duration)
        _check_words(to=to, caller_id=caller_id, offer=offer, intent=intent, note=note)
        if not to.strip() or not to.isprintable() or len(to) > _LONGEST_ADDRESS:
            raise Refused(f"dial: {to[:100]!r} is no number and no address. Nothing was sent.", provider=self.provider)
        token = new_id()
        command = Dial(
            id=token,
            call=token,
            to=to,
            caller_id=caller_id,
            modalities=frozenset(modality_named(modality) for modality in modalities),
            offer=offer,
            ring_timeout=ring_timeout,
            max_duration=max_duration,
            intent=intent,
            note=note,
            native=native or {},
        )
        return self._call(await dialing.dial(command))

    def incoming(self) -> AsyncIterator[Call]:
        """Iterate over the calls that ring now and those that arrive, each once, until the bridge is closed."""
        self._opened("incoming")
        return Arrivals(self._switchboard, self.events(), self._call)

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
                # Trio starts tasks of one turn in any order; who called first is served first.
                await anyio.lowlevel.checkpoint()

    async def recover(self) -> tuple[Call, ...]:
        """Adopt the live calls of this account that the bridge did not start, and return them.

        Adopted calls are watched and can be controlled; they are not owned, so closing the bridge leaves them alone.
        Raises `Unsupported` where the provider cannot list calls.
        """
        try:
            listed = await self._opened("recover").reconciliation.list_calls()
        except NotSent as error:
            raise Unreachable(f"recover: {self.provider} cannot be reached: {error}", provider=self.provider) from error
        if listed is None:
            raise Unsupported(f"recover: {self.provider} cannot list calls")
        adopted = [self._switchboard.adopt(report) for report in listed.reports]
        return tuple(self._call(record) for record in adopted if record is not None)

    def _call(self, record: CallRecord) -> Call:
        works = self._opened("call")
        return Call(record, works.dispatch, works.gate, close_timeout=self._lifecycle.close_timeout)

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
        server: Server | None = None
        if listen is not None:
            from .serving import Server

            host, _, port = listen.rpartition(":")
            server = Server(application, host=host.strip("[]"), port=int(port))
            try:
                server.start()
            except OSError as failure:
                where = f"{self._settings.source}: {self._settings.prefix}web.listen"
                raise ConfigError(f"{where}: cannot listen on {listen}: {failure.strerror}") from failure
            if public_url is None and host in ("127.0.0.1", "localhost", "[::1]"):
                public_url = server.url
        application.public_url = public_url
        self._host.public_url = public_url
        # Entered after what may fail, because its task group would wrap the errors above; left last, so that a request
        # which is on its way from the server's thread finds it open.
        portal = await stack.enter_async_context(BlockingPortal())
        if server is not None:
            stack.push_async_callback(_stop_server, server)
        stack.push_async_callback(portal.stop, cancel_remaining=True)
        application.open(self._receive, portal)
        stack.callback(application.close)

    def _start(self, session: ProviderSession, tasks: TaskGroup) -> None:
        from .channel import Channel
        from .dialing import Dialing
        from .dispatch import Dispatch
        from .mediagate import MediaGate
        from .reconciliation import Reconciliation

        host, switchboard, lifecycle = self._host, self._switchboard, self._lifecycle
        reconciliation = Reconciliation(session=session, switchboard=switchboard, host=host, lifecycle=lifecycle)
        dispatch = Dispatch(
            plugin=self._plugin,
            session=session,
            switchboard=switchboard,
            reconciliation=reconciliation,
            host=host,
            lifecycle=lifecycle,
            tasks=tasks,
        )
        gate = host.gate = MediaGate(host, tasks)
        self._works = _Works(
            gate=gate,
            session=session,
            tasks=tasks,
            reconciliation=reconciliation,
            dispatch=dispatch,
            channel=Channel(session=session, switchboard=switchboard, reconciliation=reconciliation, host=host),
            dialing=Dialing(
                support=self.support, switchboard=switchboard, dispatch=dispatch, clock=host.clock, tasks=tasks
            ),
        )
        if self._web is not None:
            self._web.open_media(gate.admit, session.media)
        self._state = "open"
        tasks.start_soon(self._works.channel.run, name="telco_bridge events")
        tasks.start_soon(reconciliation.run, name="telco_bridge deadlines")
        tasks.start_soon(reconciliation.sweep_regularly, name="telco_bridge reads")

    async def _receive(self, request: WebRequest) -> WebResponse:
        if self._works is None:
            return WebResponse(status=503, body=b"the bridge is not open\n")
        try:
            return await self._works.session.receive(request)
        except Exception:  # noqa: BLE001
            # A plugin that breaks on a request must not show its insides to whoever sent it; the provider may repeat.
            _log.exception("%s: the request %s %s could not be handled", self.provider, request.method, request.path)
            return WebResponse(status=500)

    async def _close(self) -> None:
        """Hang up what is owned and close every record: within bounded time, whatever happens."""
        self._state = "closing"
        works = self._opened("close")
        with anyio.move_on_after(self._lifecycle.close_timeout, shield=True):
            async with anyio.create_task_group() as ending:
                for record in self._switchboard.live:
                    if record.owned and not record.released:
                        ending.start_soon(self._close_call, record, works.dialing)
        for record in self._switchboard.live:
            ours = record.owned and not record.released
            ending_unknown = "before the end of the call was confirmed" if ours else "and the call may live on"
            works.reconciliation.orphan(record, f"the bridge was closed {ending_unknown}")
        works.gate.close()
        self._switchboard.log.close()

    async def _close_call(self, record: CallRecord, dialing: Dialing) -> None:
        for flight in list(record.flights):
            if isinstance(flight.command, Dial):
                await flight.done.wait()
        if record in self._switchboard.live:
            await dialing.hang_up(record, None, EndedBy.BRIDGE, "the bridge was closed")
            while not record.view.over and record.view.state is CallState.ENDED:
                await record.log.grown().wait()

    def _end_contradicted(self, record: CallRecord, ref: str) -> None:
        """A call that was taken for dead lives: hang it up, outside of its record, which is closed."""
        if self._works is not None and self._state == "open":
            self._works.tasks.start_soon(self._works.dispatch.end_revenant, record, ref)

    def _opened(self, what: str) -> _Works:
        if self._works is None or self._state == "closed":
            raise NotPossibleNow(f"{what}: the bridge is {self._state}; use it inside `async with`")
        return self._works


@dataclass(frozen=True, slots=True, kw_only=True)
class _Works:
    """What runs while a bridge is open."""

    gate: MediaGate
    session: ProviderSession
    tasks: TaskGroup
    reconciliation: Reconciliation
    dispatch: Dispatch
    channel: Channel
    dialing: Dialing


def _is_cancellation(error: BaseException) -> bool:
    grouped = isinstance(error, BaseExceptionGroup) and not isinstance(error, Exception)
    return grouped or isinstance(error, anyio.get_cancelled_exc_class())


async def _stop_server(server: Server) -> None:
    from anyio import to_thread

    with anyio.CancelScope(shield=True):
        await to_thread.run_sync(server.stop)


def _check_seconds(**limits: object) -> None:
    for name, seconds in limits.items():
        if seconds is None:
            continue
        if isinstance(seconds, bool) or not isinstance(seconds, int | float):
            raise TypeError(f"{name} is a {type(seconds).__name__}; it must be a number of seconds")
        if not 0 < seconds < float("inf"):
            raise ValueError(f"{name} is {seconds}; it must be a positive number of seconds")


def _check_words(**words: object) -> None:
    for name, word in words.items():
        if not isinstance(word, str) and (word is not None or name == "to"):
            raise TypeError(f"{name} is a {type(word).__name__}; it must be a str")
