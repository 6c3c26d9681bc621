"""The simulator keeps the contract."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from telco_bridge.sandbox import NetworkClock, Sandbox
from telco_bridge.testing import Harness, ProviderContract, SandboxHarness, Trouble

NO_WIRE = "it has no wire"


class TestSimulator(ProviderContract):
    @pytest.fixture
    def harness(self, sandbox: Sandbox) -> Iterator[Harness]:
        of_wires: tuple[Trouble, ...] = (Trouble.ANSWER_GARBLED, Trouble.RATE_LIMITED, Trouble.EVENT_FORGED)
        with SandboxHarness(
            "simulator",
            settings={"numbers": ("+15550001000",)},
            number="+15550001000",
            offer="v=0",
            impossible=dict.fromkeys(of_wires, NO_WIRE),
            sandbox=sandbox,
        ) as harness:
            harness.clock = NetworkClock(speed=5)
            yield harness
