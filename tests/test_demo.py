"""The demo, and the example program that it runs."""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import pytest
from rich.console import Console

from telco_bridge import TelcoBridgeError, connect
from telco_bridge.cli import demo, examples, network
from telco_bridge.cli.console import THEME, open_console
from telco_bridge.cli.ladder import Ladder
from telco_bridge.events import CallConnected, CallProgressed
from telco_bridge.provider import CallState, Source
from telco_bridge.sandbox import Behaviour, Exchange, Sandbox, WireRecord
from telco_bridge.views import CallView

ROOT = Path(__file__).parent.parent
EXAMPLE = ROOT / "examples" / "stop_audio.py"


class Performance(NamedTuple):
    kept: bool
    printed: str
    seconds: float
    tidy: bool


def perform(*names: str, exchange: Exchange | None = None, speed: float = 100, width: int = 120) -> tuple[bool, str]:
    """Run the demo without a terminal; return its verdict and what it printed."""
    written = io.StringIO()
    console = open_console()
    console.file = written
    console.width = width
    kept = demo.run(console, names, speed=speed, exchange=exchange)
    return kept, written.getvalue()


def test_the_demo_keeps_its_promises_on_the_simulator() -> None:
    kept, printed = perform("simulator")

    assert kept, printed
    assert "✓ 9 calls, 9 ends, nothing left up in the network" in printed
    assert "✗" not in printed


@pytest.fixture(scope="module")
def performance() -> Performance:
    """The whole demo, once, as it is by default."""
    environment, began = dict(os.environ), time.monotonic()
    kept, printed = perform(speed=20)
    return Performance(kept, printed, time.monotonic() - began, environment == dict(os.environ))


def test_the_demo_keeps_its_promises_on_every_provider_in_time(performance: Performance) -> None:
    assert performance.kept, performance.printed
    assert "✓ 24 calls, 24 ends, nothing left up in the network" in performance.printed
    assert performance.seconds < 15


def test_the_demo_puts_the_environment_back(performance: Performance) -> None:
    assert performance.tidy


def test_no_line_is_wider_than_the_page(performance: Performance) -> None:
    assert max(len(line) for line in performance.printed.splitlines()) <= 120


def test_what_a_provider_cannot_do_is_said_and_not_counted(performance: Performance) -> None:
    assert performance.printed.count("— Media are SignalWire's own") == 3
    assert performance.printed.count("— not on this provider") == 3


def test_a_ladder_shows_the_application_the_wire_and_the_facts(performance: Performance) -> None:
    columns = [line[82:].rstrip() for line in performance.printed.partition("2 busy")[0].splitlines()]
    steps = (
        "» dial +15550100",
        "├─ POST Calls ",
        "  ● connected",
        "├─ POST Streams ",
        "  ◉ audio flows",
        "» audio flows over websocket",
        "├─ POST Streams/{sid} ",
        "  ○ audio ended",
        "» audio flows again",
        "├─ POST Calls/{sid} ",
        "  ■ normal by application",
    )

    places = [next((i for i, line in enumerate(columns) if line.startswith(step)), -1) for step in steps]

    assert -1 not in places
    assert places == sorted(places)


def test_a_party_that_behaves_otherwise_is_a_deviation() -> None:
    exchange = Exchange(name="demo", speed=100)
    exchange.set_behaviour("+15550101", Behaviour(what="declines instead", refuses=(603, "Decline")))

    kept, printed = perform("simulator", exchange=exchange)

    assert not kept
    assert "✗ rejected and not busy" in printed
    assert "✗ 1 of 9 deviate from what is promised" in printed


def test_a_call_that_is_left_up_in_the_network_is_a_deviation() -> None:
    exchange = Exchange(name="demo", speed=100, no_answer_after=1e6)
    exchange.call(caller="+15559999999", callee="+15550103", watcher=lambda leg, event: None)

    kept, printed = perform("simulator", exchange=exchange)

    assert not kept
    assert "✗ still up in the network: <Leg leg-1 +15559999999 to +15550103: ringing>" in printed


def test_a_provider_that_cannot_be_reached_fails_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    exported = examples.exported

    def mistyped(name: str, profile: Mapping[str, object]) -> dict[str, str]:
        variables = exported(name, profile)
        return {key: "wrong" if key.endswith("PASSWORD") else value for key, value in variables.items()}

    monkeypatch.setattr(examples, "exported", mistyped)

    kept, printed = perform("simulator", "ucwa")

    assert not kept
    assert "✗ AuthenticationFailed" in printed
    assert "✗ 9 of 18 deviate" in printed


def test_the_command_ends_with_1_where_a_provider_deviates(monkeypatch: pytest.MonkeyPatch) -> None:
    from typer.testing import CliRunner

    from telco_bridge.cli.app import app

    asked: list[tuple[object, float]] = []

    def deviating(console: Console, names: object, *, speed: float) -> bool:
        asked.append((names, speed))
        return False

    monkeypatch.setattr(demo, "run", deviating)

    result = CliRunner().invoke(app, ["demo", "--provider", "simulator", "--speed", "7"])

    assert result.exit_code == 1
    assert asked == [(["simulator"], 7.0)]


def test_on_a_terminal_the_ladders_grow_and_the_result_is_the_same() -> None:
    written = io.StringIO()
    console = Console(file=written, force_terminal=True, width=120, height=40, theme=THEME)

    kept = demo.run(console, ("simulator",), speed=100)

    assert kept
    assert "\x1b[?25l" in written.getvalue()
    assert "9 calls, 9 ends" in re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", written.getvalue())


def test_every_provider_that_can_be_emulated_has_a_profile_in_the_example() -> None:
    found, problems = network.emulated()

    assert problems == ()
    assert set(found) | {"simulator"} == set(examples.profiles())


def test_the_demo_runs_the_function_of_the_example() -> None:
    function = examples.application()

    assert Path(function.__code__.co_filename) == EXAMPLE
    assert len(EXAMPLE.read_text().splitlines()) <= 50


def test_without_the_example_the_demo_says_where_it_looked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(examples, "_HERE", tmp_path / "telco_bridge" / "cli")

    with pytest.raises(TelcoBridgeError, match="the examples are not installed"):
        examples.application()
    assert examples.profiles() == {}


def test_the_example_runs_alone() -> None:
    ended = subprocess.run(
        [sys.executable, "-W", "error", str(EXAMPLE), "simulator"],
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )

    assert ended.stdout.splitlines() == [
        "dial +15550100",
        "audio flows over voip",
        "audio ended, call connected",
        "audio flows again",
        "normal by application (reported)",
    ]


@pytest.mark.parametrize("name", ["ucwa", "signalwire"])
async def test_the_profiles_of_the_example_lead_to_a_sandbox(name: str, sandbox: Sandbox) -> None:
    said: list[str] = []
    with examples.environment(examples.exported(name, sandbox.profile(name))):
        bridge = connect(ROOT / "examples" / "telco.toml", profile=name)

    async with bridge:
        why = await examples.application()(bridge, say=said.append)

    assert why.reason == "normal"
    assert said[-1].startswith("normal by application")


class TestLadder:
    def ladder(self, *facts: tuple[str, float]) -> Ladder:
        ladder = Ladder()
        view = CallView(id="1", provider="acme")
        now = ladder.now()
        for what, age in facts:
            at = now - age
            if what == "connected":
                ladder.event(CallConnected(call=view, at=at, source=Source.PUSH))
            else:
                ladder.event(CallProgressed(call=view, at=at, source=Source.PUSH, state=CallState(what)))
        return ladder

    def words(self, ladder: Ladder) -> list[str]:
        return [line.plain.strip("├─▶◀●» ") for line in ladder.lines(40)]

    def test_a_callback_stands_before_the_event_that_it_caused(self) -> None:
        ladder = self.ladder(("ringing", 0.01))

        ladder.wire(WireRecord(0.0, "provider", "callback ringing", "204"))

        assert self.words(ladder) == ["callback ringing", "ringing"]

    def test_a_callback_explains_one_report_only(self) -> None:
        ladder = self.ladder(("ringing", 0.02), ("connected", 0.01))

        ladder.wire(WireRecord(0.0, "provider", "callback ringing", "204"))
        ladder.wire(WireRecord(0.0, "provider", "callback answered", "204"))

        assert self.words(ladder) == ["callback ringing", "ringing", "callback answered", "connected"]

    def test_a_callback_long_after_an_event_did_not_cause_it(self) -> None:
        ladder = self.ladder(("ringing", 5.0))

        ladder.wire(WireRecord(0.0, "provider", "callback something", "204"))

        assert self.words(ladder) == ["ringing", "callback something"]

    def test_equal_neighbours_are_counted(self) -> None:
        ladder = Ladder()

        for _ in range(3):
            ladder.wire(WireRecord(0.0, "provider", "event participantAudio added"))

        assert self.words(ladder) == ["participantAudio added ×3"]

    def test_long_polls_are_left_out(self) -> None:
        ladder = Ladder()

        ladder.wire(WireRecord(0.0, "bridge", "GET events", "200"))

        assert ladder.lines(40) == []

    @pytest.mark.parametrize("width", [10, 20, 38, 72])
    def test_no_rung_is_wider_than_its_column(self, width: int) -> None:
        ladder = self.ladder(("ringing", 0.1))
        ladder.say("something rather long that the application has to say about its call")
        ladder.wire(WireRecord(0.0, "bridge", "POST something/with/a/long/path", "201 and a long answer"))
        ladder.wire(WireRecord(0.0, "provider", "event phoneAudioInvitation completed", "", {"state": "Connected"}))

        assert all(line.cell_len <= width for line in ladder.lines(width))
