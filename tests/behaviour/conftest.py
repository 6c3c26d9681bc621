"""Providers as tests meet them, of what is particular to one of them: what all promise is in `tests/contract`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from telco_bridge.sandbox import Emulator, Exchange, Faults, Sandbox, WireRecord

WEB = {"listen": "127.0.0.1:0"}
IMPATIENT = {"confirm_timeout": 5.0, "close_timeout": 5.0, "cause_grace": 1.0, "reads_per_second": 50.0}


@dataclass
class Place:
    """A provider as a test meets it."""

    name: str
    settings: dict[str, object]
    exchange: Exchange
    emulator: Emulator
    before: int

    @property
    def faults(self) -> Faults:
        """What can go wrong there."""
        return self.emulator.faults

    def requests(self) -> list[WireRecord]:
        """Everything that the bridge asked in this test."""
        return [r for r in self.emulator.wire.records()[self.before :] if r.sent_by == "bridge"]

    def sent(self, line: str = "") -> list[WireRecord]:
        """The commands that went over the wire in this test: everything that changes something."""
        changing = [r for r in self.requests() if not r.line.startswith("GET")]
        return [r for r in changing if not line or r.line == line]


def _place(sandbox: Sandbox, name: str, provider: str, **extra: object) -> Iterator[Place]:
    emulator = sandbox.emulators[provider]
    settings = {**sandbox.profile(provider), "lifecycle": IMPATIENT, **extra}
    emulator.faults.clear()
    yield Place(name, settings, sandbox.exchange, emulator, len(emulator.wire.records()))
    emulator.faults.clear()


@pytest.fixture
def ucwa(sandbox: Sandbox) -> Iterator[Place]:
    yield from _place(sandbox, "ucwa", "ucwa")


@pytest.fixture
def signalwire(sandbox: Sandbox) -> Iterator[Place]:
    yield from _place(sandbox, "signalwire", "signalwire", web=WEB)


@pytest.fixture
def polling(sandbox: Sandbox) -> Iterator[Place]:
    """SignalWire without a public URL: nothing is told, everything is asked."""
    yield from _place(sandbox, "signalwire-polling", "signalwire", poll_interval=0.2)


@pytest.fixture(params=["ucwa", "signalwire", "polling"])
def place(request: pytest.FixtureRequest) -> Place:
    """Every provider that has a wire, in turn."""
    return request.getfixturevalue(request.param)
