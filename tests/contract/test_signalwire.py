"""SignalWire keeps the contract, told by callbacks and by polling."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from telco_bridge.provider import Capability, Command, Dial, HangUp
from telco_bridge.sandbox import NetworkClock, Sandbox
from telco_bridge.testing import Harness, ProviderContract, SandboxHarness, Trouble

OPERATIONS: dict[type[Command], str] = {Dial: "POST Calls", HangUp: "POST Calls/{sid}"}


class TestSignalWire(ProviderContract):
    @pytest.fixture
    def harness(self, sandbox: Sandbox) -> Iterator[Harness]:
        with SandboxHarness(
            "signalwire",
            operations=OPERATIONS,
            events="callback",
            settings={"web": {"listen": "127.0.0.1:0"}},
            sandbox=sandbox,
        ) as harness:
            harness.clock = NetworkClock(speed=5)
            yield harness


NOTHING_BROUGHT = "without a public URL SignalWire cannot bring audio to the bridge"
NOTHING_TOLD = "without a public URL nothing is told: the bridge asks"


class TestSignalWireByPolling(ProviderContract):
    @pytest.fixture
    def harness(self, sandbox: Sandbox) -> Iterator[Harness]:
        untold: tuple[Trouble, ...] = (
            Trouble.EVENTS_LOST,
            Trouble.EVENTS_DOUBLED,
            Trouble.EVENTS_DISORDERED,
            Trouble.EVENT_EARLY,
            Trouble.EVENT_FORGED,
        )
        with SandboxHarness(
            "signalwire",
            title="signalwire-polling",
            operations=OPERATIONS,
            events="GET Calls/{sid}",
            settings={"poll_interval": 0.2},
            impossible=dict.fromkeys(untold, NOTHING_TOLD),
            lacks=dict.fromkeys((Capability.RECEIVE_AUDIO, Capability.SEND_AUDIO), NOTHING_BROUGHT),
            sandbox=sandbox,
        ) as harness:
            harness.clock = NetworkClock(speed=5)
            yield harness
