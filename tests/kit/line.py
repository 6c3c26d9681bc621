"""A provider that keeps every promise, to be made wrong: the simulator, as if it had a wire and a secret."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager

import anyio.from_thread
from pydantic import BaseModel, SecretStr

from telco_bridge import _discovery
from telco_bridge.provider import (
    AnswerLost,
    AuthenticationFailed,
    CallReport,
    Command,
    Fact,
    Host,
    NotSent,
    ProviderPlugin,
    ProviderSession,
    RateLimited,
    Source,
)
from telco_bridge.sandbox import Behaviour, Exchange, Fault, NetworkClock, Sandbox
from telco_bridge.sandbox.simulator import SimulatorConfig, SimulatorSession
from telco_bridge.testing import SandboxHarness, Trouble

PIN = "4711-pin-of-the-line"
NUMBER = "+15550001000"

Connecting = Callable[["LineConfig", Host], object]
Plugin = ProviderPlugin[BaseModel]


class LineConfig(SimulatorConfig):
    """A line can be dead, and wants a secret."""

    pin: SecretStr
    dead: bool = False


WIRE_FAULTS = {Fault.MALFORMED_JSON, Fault.RATE_LIMIT, Fault.UNSIGNED_EVENT}
"""What a line suffers beside the faults of the network."""


class Line(SimulatorSession):
    """Suffers what only a wire can: answers that cannot be read, limits, and forged events."""

    _config: LineConfig

    async def execute(self, command: Command) -> None:
        if self._suffers(Fault.RATE_LIMIT, command):
            raise RateLimited(f"{command.name}: too many", retry_after=0)
        await super().execute(command)
        if self._suffers(Fault.MALFORMED_JSON, command):
            raise AnswerLost(f"{command.name}: the answer cannot be read")

    def _report(self, *facts: Fact) -> None:
        super()._report(*(fact for fact in facts if self._is_genuine(fact)))

    def _is_genuine(self, fact: Fact) -> bool:
        pushed = not isinstance(fact, CallReport) or fact.source is Source.PUSH
        return not (pushed and self._exchange.faults.take(Fault.UNSIGNED_EVENT, "event") is not None)

    def _suffers(self, fault: Fault, command: Command) -> bool:
        return self._exchange.faults.take(fault, command.name) is not None


def sign_in(config: LineConfig) -> None:
    """Raise what a line answers to somebody who may not use it, or cannot reach it."""
    if config.dead:
        raise NotSent("the line is dead")
    if config.pin.get_secret_value() != PIN:
        raise AuthenticationFailed("pin: the line does not know it")


@asynccontextmanager
async def opened(session: type[Line], config: LineConfig, host: Host) -> AsyncGenerator[ProviderSession]:
    """Join the network with a session of that class."""
    assert isinstance(config.exchange, Exchange)
    async with anyio.from_thread.BlockingPortal() as portal:
        line = session(config, config.exchange, host, portal)
        try:
            yield line
        finally:
            await line.leave()


def line_of(session: type[Line] = Line) -> Plugin:
    """The plugin whose sessions are of that class."""

    @asynccontextmanager
    async def connect(config: LineConfig, host: Host) -> AsyncGenerator[ProviderSession]:
        sign_in(config)
        async with opened(session, config, host) as line:
            yield line

    simulator = _discovery.load("simulator")
    return ProviderPlugin(
        name="line",
        config_model=LineConfig,
        support=simulator.support,
        explain=simulator.explain,
        possible=simulator.possible,
        connect=connect,  # type: ignore[arg-type] - the core hands over what `config_model` made
        reasons=simulator.reasons,
    )


class LineHarness(SandboxHarness):
    """The network runs four hundred times as fast as the world and the bridge thirty times: waiting costs little."""

    patience = 4.0
    lifecycle: Mapping[str, float] = {**SandboxHarness.lifecycle, "confirm_timeout": 10.0, "close_timeout": 10.0}

    def __init__(
        self,
        plugin: Plugin,
        exchange: Exchange,
        *,
        title: str = "line",
        impossible: Mapping[Trouble, str] | None = None,
    ) -> None:
        super().__init__(
            "simulator",
            plugin=plugin,
            title=title,
            settings={"provider": plugin, "pin": PIN, "numbers": (NUMBER,)},
            number=NUMBER,
            offer="v=0",
            impossible=impossible,
            sandbox=Sandbox("simulator", exchange=exchange),
        )
        self.clock = NetworkClock(speed=30)

    def nowhere(self) -> Mapping[str, object]:
        return {**self.settings, "dead": True}


def let_talk(exchange: Exchange, seconds: float) -> None:
    """Let the far end that hangs up do so that many seconds of the network after it has answered."""
    exchange.set_behaviour("+15550104", Behaviour(what="hangs up", answers_after=1.0, hangs_up_after=seconds))


@contextmanager
def network() -> Iterator[Exchange]:
    """A phone network whose calls take milliseconds, and which never gives up a call by itself."""
    with Exchange(speed=400, no_answer_after=1e6) as exchange:
        let_talk(exchange, 60.0)
        exchange.faults.known |= WIRE_FAULTS
        yield exchange
