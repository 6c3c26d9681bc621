"""The same tests on every provider: each is a configuration, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from telco_bridge.sandbox import Emulator, Exchange, Sandbox, WireRecord

WEB = {"listen": "127.0.0.1:0"}
IMPATIENT = {"confirm_timeout": 5.0, "close_timeout": 5.0, "cause_grace": 1.0, "reads_per_second": 50.0}


@dataclass
class Place:
    """A provider as a test meets it."""

    name: str
    settings: dict[str, object]
    exchange: Exchange
    emulator: Emulator | None
    before: int = field(default=0)

    def sent(self, line: str = "") -> list[WireRecord]:
        """The commands that went over the wire in this test: everything that changes something."""
        if self.emulator is None:
            return []
        records = self.emulator.wire.records()[self.before :]
        changing = [r for r in records if r.sent_by == "bridge" and not r.line.startswith("GET")]
        return [r for r in changing if not line or r.line == line]


def places(sandbox: Sandbox) -> dict[str, Place]:
    def place(name: str, provider: str, **extra: object) -> Place:
        settings = {**sandbox.profile(provider), "lifecycle": IMPATIENT, **extra}
        return Place(name, settings, sandbox.exchange, sandbox.emulators.get(provider))

    return {
        "simulator": place("simulator", "simulator"),
        "ucwa": place("ucwa", "ucwa"),
        "signalwire": place("signalwire", "signalwire", web=WEB),
        "signalwire-polling": place("signalwire-polling", "signalwire", poll_interval=0.2),
    }


def _fresh(place: Place) -> Iterator[Place]:
    if place.emulator is not None:
        place.emulator.faults.clear()
        place.before = len(place.emulator.wire.records())
    yield place
    if place.emulator is not None:
        place.emulator.faults.clear()


@pytest.fixture(params=["simulator", "ucwa", "signalwire", "signalwire-polling"])
def place(request: pytest.FixtureRequest, sandbox: Sandbox) -> Iterator[Place]:
    """Every provider in turn."""
    yield from _fresh(places(sandbox)[request.param])


@pytest.fixture(params=["ucwa", "signalwire", "signalwire-polling"])
def wired(request: pytest.FixtureRequest, sandbox: Sandbox) -> Iterator[Place]:
    """Every provider that has a wire, on which things can go wrong."""
    yield from _fresh(places(sandbox)[request.param])


@pytest.fixture
def ucwa(sandbox: Sandbox) -> Iterator[Place]:
    yield from _fresh(places(sandbox)["ucwa"])


@pytest.fixture
def signalwire(sandbox: Sandbox) -> Iterator[Place]:
    yield from _fresh(places(sandbox)["signalwire"])


@pytest.fixture
def simulator(sandbox: Sandbox) -> Iterator[Place]:
    yield from _fresh(places(sandbox)["simulator"])
