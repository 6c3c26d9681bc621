"""The promises that every provider keeps, kept by Acme. A failure names the promise."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from telco_bridge.provider import Dial, HangUp
from telco_bridge.testing import ProviderContract, SandboxHarness, Trouble


class TestAcme(ProviderContract):
    """Acme, with its emulator as the far end."""

    @pytest.fixture(scope="class")
    @classmethod
    def harness(cls) -> Iterator[SandboxHarness]:
        """Open a phone network with the emulator in front of it, and say what its wire calls the commands' requests."""
        with SandboxHarness(
            "acme",
            operations={Dial: "POST /calls", HangUp: "DELETE /calls/{id}"},
            impossible={Trouble.EVENT_FORGED: "events are fetched with the key, nobody else can send them"},
            number="+15550000002",
            speed=50,
        ) as harness:
            yield harness
