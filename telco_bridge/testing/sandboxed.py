"""A harness for every plugin that brings an emulator: the sandbox's network is its far end."""

from __future__ import annotations

import socket
from collections.abc import Collection, Mapping, Sequence
from contextlib import ExitStack
from types import TracebackType
from typing import TYPE_CHECKING

import anyio.to_thread

from ..provider import Capability, Command, ProviderPlugin
from ..sandbox import Emulator, Fault, Faults, Leg, LegState, Sandbox
from .harness import Caller, FarEnd, Harness, Trouble

if TYPE_CHECKING:
    from typing import Self

    from pydantic import BaseModel

    from ..call import Call

__all__ = ["SandboxHarness"]

_ADDRESSES = {
    FarEnd.ANSWERS: "+15550100",
    FarEnd.ANSWERS_WITH_VIDEO: "sip:video@sandbox.test",
    FarEnd.SPEAKS: "+15550106",
    FarEnd.BUSY: "+15550101",
    FarEnd.DECLINES: "+15550102",
    FarEnd.RINGS: "+15550103",
    FarEnd.HANGS_UP: "+15550104",
    FarEnd.UNALLOCATED: "+15550105",
}

_FAULTS = {
    Trouble.REQUEST_LOST: Fault.DROP_REQUEST,
    Trouble.ANSWER_LOST: Fault.DROP_ANSWER,
    Trouble.ANSWER_GARBLED: Fault.MALFORMED_JSON,
    Trouble.RATE_LIMITED: Fault.RATE_LIMIT,
    Trouble.EVENTS_LOST: Fault.LOSE_EVENT,
    Trouble.EVENTS_DOUBLED: Fault.DOUBLE_EVENT,
    Trouble.EVENTS_DISORDERED: Fault.REORDER_EVENTS,
    Trouble.EVENT_EARLY: Fault.EVENT_BEFORE_ANSWER,
    Trouble.EVENT_FORGED: Fault.UNSIGNED_EVENT,
    Trouble.STATE_UNKNOWN: Fault.UNKNOWN_STATE,
    Trouble.MEDIA_BROKEN: Fault.DROP_STREAM,
}

_TOLD = (
    Trouble.EVENTS_LOST,
    Trouble.EVENTS_DOUBLED,
    Trouble.EVENTS_DISORDERED,
    Trouble.EVENT_FORGED,
    Trouble.STATE_UNKNOWN,
)
"""The troubles of what the provider tells; all others are those of requests."""

_STRANGER = "+15550199"


class SandboxHarness(Harness):
    """The harness of a provider in the sandbox. Enter it (`with SandboxHarness("acme") as harness:`).

    `operations` are the words with which the emulator names the request of a command, such as `{Dial: "POST /calls"}`;
    a command that is not named there is known by its own name. `events` is the word that the names of all events share,
    so that no request meets with their troubles. `faults` are the emulator's faults that make a trouble, where
    it is not the usual one. `settings` are added to those of the emulator's profile. `number` is one whose calls arrive
    at the bridge. `sandbox` is an open one to be shared; without it the harness opens its own, `speed` times as fast as
    the world.
    """

    def __init__(
        self,
        provider: str,
        *,
        operations: Mapping[type[Command], str] | None = None,
        events: str = "",
        faults: Mapping[Trouble, Fault] | None = None,
        settings: Mapping[str, object] | None = None,
        impossible: Mapping[Trouble, str] | None = None,
        lacks: Mapping[Capability, str] | None = None,
        number: str | None = None,
        offer: str | None = None,
        ends_with_last_stream: bool = False,
        title: str | None = None,
        plugin: ProviderPlugin[BaseModel] | None = None,
        sandbox: Sandbox | None = None,
        speed: float = 20.0,
    ) -> None:
        self.sandbox = sandbox if sandbox is not None else Sandbox(provider, speed=speed)
        self.impossible = impossible or {}
        self.lacks = lacks or {}
        self.offer = offer
        self.ends_with_last_stream = ends_with_last_stream
        self._provider = provider
        self._operations = operations or {}
        self._events = events
        self._faults = {**_FAULTS, **(faults or {})}
        self._injected: list[tuple[Trouble, Fault, str, int]] = []
        self._added = settings or {}
        self._number = number
        self._title = title
        self._plugin = plugin
        self._owns_sandbox = sandbox is None
        self._stack = ExitStack()
        self._legs_before = 0
        self._sent_before = 0
        self._reasons_before = 0

    def __enter__(self) -> Self:
        if self._owns_sandbox:
            self._stack.enter_context(self.sandbox)
        self.begin()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.begin()
        self._stack.close()

    @property
    def title(self) -> str:
        return self._title if self._title is not None else self._provider

    @property
    def plugin(self) -> ProviderPlugin[BaseModel]:
        if self._plugin is None:
            self._plugin = super().plugin
        return self._plugin

    @property
    def emulator(self) -> Emulator | None:
        """The provider's emulator; None for the simulator, which needs none."""
        return self.sandbox.emulators.get(self._provider)

    @property
    def settings(self) -> Mapping[str, object]:
        return {**self.sandbox.profile(self._provider), **self._added}

    def address(self, far_end: FarEnd) -> str:
        return _ADDRESSES[far_end]

    def begin(self) -> None:
        self._clear()
        self._injected.clear()
        exchange = self.sandbox.exchange
        with exchange.lock:
            # What a test left up, by a broken promise or because a provider had died, is not the next one's.
            for leg in list(exchange.legs.values()):
                leg.hang_up(by=leg.far)
        self._legs_before = self._legs()
        self._reasons_before = len(exchange.stop_reasons)
        self._sent_before = self._changes()

    def placed(self) -> int:
        return self._legs() - self._legs_before

    def up(self) -> int:
        with self.sandbox.exchange.lock:
            return len(self.sandbox.exchange.legs)

    def sent(self) -> int:
        return self._changes() - self._sent_before

    async def inject(self, trouble: Trouble, *, on: type[Command] | None = None, times: int | None = 1) -> None:
        fault, faults = self._faults[trouble], self._troubles
        if fault not in faults.known:
            raise NotImplementedError(
                f"{self.title}: its emulator cannot make {fault}; teach it, or say in `impossible` why {trouble} "
                "cannot happen to this provider"
            )
        options = {"retry_after": 0} if trouble is Trouble.RATE_LIMITED else {}
        operation = (
            self._events if trouble in _TOLD else "media" if trouble is Trouble.MEDIA_BROKEN else self._operation(on)
        )
        self._injected.append((trouble, fault, operation, len(faults.made)))
        faults.inject(fault, times=times, on=operation, **options)

    async def calm(self) -> None:
        self._clear()

    def unmade(self) -> Collection[Trouble]:
        made = self._troubles.made
        return [
            trouble
            for trouble, fault, operation, before in self._injected
            if not any(done is fault and operation in name for done, name in made[before:])
        ]

    def nowhere(self) -> Mapping[str, object] | None:
        if self.emulator is None:
            return None
        with socket.socket() as nobody:
            nobody.bind(("127.0.0.1", 0))
            dead = f"http://127.0.0.1:{nobody.getsockname()[1]}"
        url = self.emulator.url
        return {name: v.replace(url, dead) if isinstance(v, str) else v for name, v in self.settings.items()}

    async def call_in(self) -> Caller:
        if self._number is None:
            raise NotImplementedError(f"{self.title}: give the harness a `number` whose calls arrive at the bridge")
        number, exchange = self._number, self.sandbox.exchange
        leg = await anyio.to_thread.run_sync(lambda: exchange.call_in(caller=_STRANGER, callee=number))
        return _SandboxCaller(leg)

    async def press(self, call: Call, digits: str) -> None:
        leg = self._newest()
        await anyio.to_thread.run_sync(lambda: leg.press(digits, by=leg.far))

    def stop_reasons(self) -> Sequence[str]:
        return self.sandbox.exchange.stop_reasons[self._reasons_before :]

    def listened(self, call: Call) -> bytes | None:
        return self._newest().ear.pcm(rate=8000)

    def heard(self, call: Call) -> str:
        leg = self._newest()
        return "".join(digits for side, digits in leg.digits if side is leg.ours)

    @property
    def _troubles(self) -> Faults:
        return self.emulator.faults if self.emulator is not None else self.sandbox.exchange.faults

    def _newest(self) -> Leg:
        with self.sandbox.exchange.lock:
            return [leg for leg in self.sandbox.exchange.legs.values() if leg.state is LegState.UP][-1]

    def _operation(self, command: type[Command] | None) -> str:
        return self._operations.get(command, command.__name__) if command is not None else ""

    def _legs(self) -> int:
        with self.sandbox.exchange.lock:
            return len({leg for _, leg, _ in self.sandbox.exchange.history} | set(self.sandbox.exchange.legs))

    def _changes(self) -> int:
        if self.emulator is None:
            # Without a wire, whatever changes shows in the network and nowhere else.
            with self.sandbox.exchange.lock:
                return len(self.sandbox.exchange.history) + len(self.sandbox.exchange.legs)
        records = self.emulator.wire.records(sent_by="bridge")
        return sum(not record.line.startswith("GET") for record in records)

    def _clear(self) -> None:
        self.sandbox.exchange.faults.clear()
        if self.emulator is not None:
            self.emulator.faults.clear()


class _SandboxCaller:
    def __init__(self, leg: Leg) -> None:
        self._leg = leg

    async def hang_up(self) -> None:
        leg = self._leg
        await anyio.to_thread.run_sync(lambda: leg.hang_up(by=leg.far))
