"""The connection to a provider: its session and every task of a bridge, held apart from the application's own task."""

from __future__ import annotations

import logging
import threading
from contextlib import AbstractAsyncContextManager
from types import CoroutineType
from typing import TYPE_CHECKING, cast

import anyio
from anyio.abc import TaskGroup, TaskStatus

from .clock import Clock
from .errors import PluginContractError, TelcoBridgeError, Unreachable
from .provider import Host, NotSent, ProviderPlugin, ProviderSession
from .reports import CallReport, Fact, Notice, RecordingReport, Source
from .switchboard import Switchboard

if TYPE_CHECKING:
    from pydantic import BaseModel

    from .audio.port import MediaPort
    from .audio.wire import MediaEndpoint
    from .mediagate import MediaGate

__all__ = ["BridgeHost", "Connection"]

_log = logging.getLogger("telco_bridge")


class BridgeHost(Host):
    """The core as a plugin sees it."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._last = 0.0
        self._lock = threading.Lock()
        self.switchboard: Switchboard | None = None
        self.public_url: str | None = None
        self.gate: MediaGate | None = None
        self.heard_at: float | None = None
        """When something arrived by itself, and not as an answer, for the last time."""

    @property
    def clock(self) -> Clock:
        return self._clock

    def stamp(self) -> float:
        with self._lock:
            # A microsecond apart at least: two facts of one instant keep their order.
            self._last = max(self._clock.now(), self._last + 1e-6)
            return self._last

    def report(self, *facts: Fact) -> None:
        _check_facts(facts)
        if any(isinstance(fact, Notice) or fact.source is Source.PUSH for fact in facts):
            self.heard_at = self._clock.now()
        if self.switchboard is not None:
            self.switchboard.report(*facts)

    def url(self, path: str, **query: str) -> str | None:
        if self.public_url is None:
            return None
        from urllib.parse import urlencode

        return f"{self.public_url}/{path.lstrip('/')}" + (f"?{urlencode(query)}" if query else "")

    def media(self, endpoint: MediaEndpoint) -> MediaPort | None:
        return self.gate.find(endpoint) if self.gate is not None else None


class Connection:
    """A plugin's session and the bridge's tasks, entered and left in one task of their own.

    Once signed in it is shielded: an application that is cancelled still hangs up and signs out.
    """

    def __init__(self, plugin: ProviderPlugin[BaseModel], options: BaseModel, host: Host) -> None:
        self._plugin = plugin
        self._options = options
        self._host = host
        self._tasks: TaskGroup | None = None
        self._leaving = False
        self._left = anyio.Event()
        self._scope = anyio.CancelScope()

    async def hold(self, *, task_status: TaskStatus[tuple[ProviderSession, TaskGroup]]) -> None:
        """Sign in, hand over the session and a place for tasks, and sign out when asked to leave."""
        name = self._plugin.name
        connected = False
        try:
            with self._scope:
                async with self._session_manager() as entered:
                    session = _checked_session(name, entered)
                    connected = True
                    self._scope.shield = True
                    async with anyio.create_task_group() as self._tasks:
                        task_status.started((session, self._tasks))
                        await anyio.sleep_forever()
        except Exception as raised:  # noqa: BLE001 - raised again below, unless there is nobody left to tell
            error = _lone(raised)
            if self._leaving:
                # There is nobody left to act on a provider that cannot even say goodbye.
                _log.warning("%s: signing out failed: %s", name, error)
            elif isinstance(error, NotSent):
                raise Unreachable(f"{name} cannot be reached: {error}", provider=name) from error
            elif not connected and not isinstance(error, TelcoBridgeError):
                # Plugins are foreign code and may raise anything.
                raise PluginContractError(_what_broke(name, error)) from error
            else:
                raise error from error.__cause__
        finally:
            self._left.set()

    def _session_manager(self) -> AbstractAsyncContextManager[object]:
        manager = cast("object", self._plugin.connect(self._options, self._host))
        kind = type(manager).__name__
        if isinstance(manager, AbstractAsyncContextManager):
            return cast("AbstractAsyncContextManager[object]", manager)
        if isinstance(manager, CoroutineType):
            # Python would warn of a coroutine that nobody awaits, which is not the point.
            cast("CoroutineType[object, object, object]", manager).close()
        raise PluginContractError(
            f"connect() of {self._plugin.name} returned a {kind}, not an async context manager: make it an `async def` "
            "that yields the session, under @contextlib.asynccontextmanager"
        )

    async def leave(self, seconds: float) -> None:
        """End every task and sign out, in no more than that many seconds."""
        self._leaving = True
        if self._tasks is None:
            return
        self._tasks.cancel_scope.cancel()
        with anyio.move_on_after(seconds, shield=True):
            await self._left.wait()
        if not self._left.is_set():
            _log.warning("%s: signing out took longer than %g s", self._plugin.name, seconds)
            self._scope.cancel()


def _check_facts(facts: tuple[object, ...]) -> None:
    for fact in facts:
        if not isinstance(fact, CallReport | RecordingReport | Notice):
            raise TypeError(
                f"report() was given a {type(fact).__name__}: give it CallReports and Notices, each as an argument of "
                "its own, such as report(*facts)"
            )


def _checked_session(provider: str, session: object) -> ProviderSession:
    if isinstance(session, ProviderSession):
        return session
    kind = type(session)
    missing = sorted(name for name in ProviderSession.__abstractmethods__ if not callable(getattr(kind, name, None)))
    lacks = f" and lacks {_methods(missing)}" if missing else ""
    raise PluginContractError(
        f"connect() of {provider} yielded a {kind.__name__}, which is no ProviderSession{lacks}: derive the session's "
        "class from telco_bridge.provider.ProviderSession"
    )


def _what_broke(provider: str, error: Exception) -> str:
    unfinished = _unfinished_session(error) if isinstance(error, TypeError) else None
    if unfinished is not None:
        missing = _methods(sorted(unfinished.__abstractmethods__))
        return f"the session class {unfinished.__name__} of {provider} lacks {missing}, which every session must have"
    return f"{provider} broke on connecting: {_words(error)}"


def _unfinished_session(error: TypeError) -> type[ProviderSession] | None:
    """The session class whose missing methods Python complains about."""
    classes = ProviderSession.__subclasses__()
    for kind in classes:
        classes += kind.__subclasses__()
        if kind.__abstractmethods__ and f" abstract class {kind.__name__} " in str(error):
            return kind
    return None


def _methods(names: list[str]) -> str:
    return " and ".join(f"{name}()" for name in names)


def _words(error: Exception) -> str:
    if isinstance(error, ExceptionGroup):
        return "; ".join(_words(one) for one in cast("ExceptionGroup[Exception]", error).exceptions)
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


def _lone(error: Exception) -> Exception:
    """The error itself where a task group has wrapped a single one."""
    if not isinstance(error, ExceptionGroup):
        return error
    group = cast("ExceptionGroup[Exception]", error)
    first, *others = group.exceptions
    return group if others else _lone(first)
