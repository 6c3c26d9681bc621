"""`telco-bridge demo`: the same calls on every provider at once, as ladders, and a table of how they ended."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
from rich.box import SIMPLE_HEAD
from rich.console import Group, RenderableType
from rich.live import Live
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from .._connect import connect
from ..bridge import Bridge
from ..events import CallEnded, CallEvent
from ..sandbox import Exchange, Sandbox, WireLog, WireRecord
from ..termination import EndedBy, Termination
from . import examples
from .ladder import Ladder, told
from .network import emulated
from .scenarios import Broken, Scenario, Stage, scenarios

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["run"]

_PATIENCE = 15.0
"""Seconds that a scene may take."""

_GAP = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class _Verdict:
    """How a scene went on one provider: `problem` says what was not as promised, `absent` why it was not played."""

    termination: Termination | None = None
    left: str = ""
    problem: str | None = None
    absent: str | None = None


class _Lane:
    """One provider in the demo."""

    def __init__(self, name: str, wire: WireLog | None) -> None:
        self.name = name
        self.wire = wire
        self.ladder = Ladder()
        self.verdicts: list[_Verdict] = []
        self.bridge: Bridge | None = None
        self.broken: str | None = None
        """Why the lane cannot play at all."""
        self.seen: set[str] = set()
        self.ends: Counter[str] = Counter()
        self._ended: CallEnded | None = None
        self._over = anyio.Event()
        if wire is not None:
            # The emulator tells in its own thread; the ladder, whichever is there at that moment, may be told in any.
            wire.listen(self._heard)

    def _heard(self, record: WireRecord) -> None:
        self.ladder.wire(record)

    async def follow(self, bridge: Bridge) -> None:
        """Take note of every event until the bridge is closed."""
        async for event in bridge.events(since=0):
            self.ladder.event(event)
            if isinstance(event, CallEvent):
                self.seen.add(event.call.id)
            if isinstance(event, CallEnded):
                self.ends[event.call.id] += 1
                self._ended = event
                self._over.set()

    async def play(self, scenario: Scenario) -> None:
        """Play one scene, and judge it."""
        self.ladder, self._ended, self._over = Ladder(), None, anyio.Event()
        self.verdicts.append(await self._judge(scenario))

    async def _judge(self, scenario: Scenario) -> _Verdict:
        bridge = self.bridge
        if bridge is None:
            return _Verdict(problem=self.broken)
        for capability in scenario.needs:
            support = bridge.support[capability]
            if not support.usable:
                return _Verdict(absent=support.note or f"{capability}: {support.level}".replace("_", " "))
        left, problem = "", None
        try:
            with anyio.fail_after(_PATIENCE):
                left = await scenario.play(Stage(bridge=bridge, say=self.ladder.say, wire=self.wire))
        except TimeoutError:
            problem = f"not done within {_PATIENCE:g} s"
        except Broken as error:
            problem = str(error)
        except Exception as error:  # noqa: BLE001
            # Plugins are foreign code: one that breaks must not take the other columns down, and is shown.
            problem = f"{type(error).__name__}: {error}"
        with anyio.move_on_after(2):
            await self._over.wait()
        termination = self._ended.termination if self._ended is not None else None
        problem = problem or _deviation(scenario, termination)
        return _Verdict(termination=termination, left=left, problem=problem)

    @property
    def miscounted(self) -> str | None:
        """What is wrong with the number of ends; None where every call had exactly one."""
        wrong = [f"{self.ends[call]} ends of call {call}" for call in sorted(self.seen) if self.ends[call] != 1]
        return f"{self.name}: {', '.join(wrong)}" if wrong else None


def run(console: Console, names: Sequence[str] = (), *, speed: float = 20.0, exchange: Exchange | None = None) -> bool:
    """Play every scene on these providers, all that can be emulated by default; return whether all went as promised.

    `exchange` replaces the network, for tests. Raises `PluginError` or `Unsupported` for a provider that was named and
    cannot be emulated.
    """
    if not names:
        found, problems = emulated()
        names = ("simulator", *found)
        for problem in problems:
            console.print(Text(f"left out: {problem}", "bad"))
    return anyio.run(partial(_Demo(console).run, tuple(dict.fromkeys(names)), speed=speed, exchange=exchange))


class _Demo:
    """One performance."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._scenes = scenarios(examples.application())
        self._lanes: list[_Lane] = []
        self._began = time.monotonic()

    async def run(self, names: Sequence[str], *, speed: float, exchange: Exchange | None) -> bool:
        with Sandbox(*names, speed=speed, name="demo", exchange=exchange) as sandbox:
            self._console.print(_legend(names, speed))
            wires = {name: emulator.wire for name, emulator in sandbox.emulators.items()}
            self._lanes = [_Lane(name, wires.get(name)) for name in names]
            variables = {
                variable: value
                for name in names
                for variable, value in examples.exported(name, sandbox.profile(name)).items()
            }
            with examples.environment(variables):
                await self._perform(sandbox)
            up = await _still_up(sandbox.exchange)
        return self._conclude(up)

    async def _perform(self, sandbox: Sandbox) -> None:
        async with anyio.create_task_group() as tasks, AsyncExitStack() as bridges:
            for lane in self._lanes:
                try:
                    configured = connect(_configuration(sandbox, lane.name), profile=lane.name)
                    lane.bridge = await bridges.enter_async_context(configured)
                except Exception as error:  # noqa: BLE001 - foreign code, as in a scene
                    lane.broken = f"{type(error).__name__}: {error}"
                else:
                    tasks.start_soon(lane.follow, lane.bridge)
            for number, scenario in enumerate(self._scenes, start=1):
                await self._show(number, scenario)

    async def _show(self, number: int, scenario: Scenario) -> None:
        """Play a scene on every provider at once, and print it when it is over."""

        async def play() -> None:
            async with anyio.create_task_group() as lanes:
                for lane in self._lanes:
                    lanes.start_soon(lane.play, scenario)
            # The provider's last words about a call may still be on their way.
            await anyio.sleep(0.05)

        if self._console.is_terminal and not self._console.is_dumb_terminal:
            with Live(
                get_renderable=lambda: self._scene(number, scenario, rows=self._console.height - 6),
                console=self._console,
                refresh_per_second=15,
                transient=True,
            ):
                await play()
        else:
            await play()
        self._console.print(self._scene(number, scenario))

    def _scene(self, number: int, scenario: Scenario, *, rows: int | None = None) -> RenderableType:
        width = (self._console.width - _GAP * (len(self._lanes) - 1)) // len(self._lanes)
        width = min(width, 72)
        grid = Table.grid(padding=(0, _GAP, 0, 0), pad_edge=False)
        cells: list[Text] = []
        for lane in self._lanes:
            grid.add_column(width=width, no_wrap=False)
            verdict = lane.verdicts[number - 1] if len(lane.verdicts) >= number else None
            lines = lane.ladder.lines(width)
            if rows is not None:
                lines = lines[-max(1, rows) :]
            lines.insert(0, Text(lane.name, "provider"))
            if verdict is not None:
                lines.append(_sentence(verdict))
            cells.append(Text("\n").join(lines))
        grid.add_row(*cells)
        title = Text.assemble((f"{number} {scenario.title}", "bold"), (f"  {scenario.what}", "quiet"))
        return Group(Rule(title, align="left", style="quiet"), grid, Text())

    def _conclude(self, up: Sequence[str]) -> bool:
        self._console.print(_summary(self._scenes, self._lanes, self._console.width), Text())
        problems = [f"still up in the network: {leg}" for leg in up]
        problems += [lane.miscounted for lane in self._lanes if lane.miscounted is not None]
        for problem in problems:
            self._console.print(Text(f"✗ {problem}", "bad"))
        verdicts = [verdict for lane in self._lanes for verdict in lane.verdicts]
        deviations = sum(verdict.problem is not None for verdict in verdicts) + len(problems)
        calls, ends = sum(len(lane.seen) for lane in self._lanes), sum(lane.ends.total() for lane in self._lanes)
        took = f"{time.monotonic() - self._began:.1f} s"
        if deviations:
            self._console.print(Text(f"✗ {deviations} of {len(verdicts)} deviate from what is promised, {took}", "bad"))
        else:
            self._console.print(
                Text.assemble(
                    ("✓ ", "good"), f"{calls} calls, {ends} ends, nothing left up in the network ", (took, "quiet")
                )
            )
        return not deviations


def _configuration(sandbox: Sandbox, name: str) -> Path | Mapping[str, object]:
    """The example's file, or the sandbox's own settings for a provider that the example does not know."""
    if name in examples.profiles():
        return examples.folder() / "telco.toml"
    return {"profiles": {name: {**sandbox.profile(name), "web": {"listen": "127.0.0.1:0"}}}}


async def _still_up(exchange: Exchange) -> list[str]:
    """What is up in the network although every call has ended; a moment is allowed for the last clearing."""
    with anyio.move_on_after(1):
        while exchange.legs:  # noqa: ASYNC110 - the network lives in threads and has no event to wait for
            await anyio.sleep(0.01)
    with exchange.lock:
        return [repr(leg) for leg in exchange.legs.values()]


def _deviation(scenario: Scenario, termination: Termination | None) -> str | None:
    if termination is None:
        return "no CallEnded came"
    wrong: list[str] = []
    if termination.reason is not scenario.reason:
        wrong.append(f"{termination.reason} and not {scenario.reason}".replace("_", " "))
    if scenario.by is not None and termination.by not in (scenario.by, EndedBy.UNKNOWN):
        wrong.append(f"by {termination.by} and not {scenario.by}")
    return ", ".join(wrong) or None


def _sentence(verdict: _Verdict) -> Text:
    """A verdict as the last line of a ladder."""
    if verdict.absent is not None:
        return Text(f"— {verdict.absent}", "quiet")
    if verdict.problem is not None:
        return Text(f"✗ {verdict.problem}", "bad")
    return Text(f"✓ {told(verdict.termination)}" if verdict.termination is not None else "✓", "good")


def _legend(names: Sequence[str], speed: float) -> RenderableType:
    signs = Text.assemble(
        "  ",
        ("» what the application says   ", "app"),
        ("├──▶ ", "sent"),
        "sent to the provider   ",
        ("◀── ", "heard"),
        "heard from it   ",
        ("● ", "progress"),
        "what became a fact",
    )
    where = Text.assemble(
        "  the same calls on ",
        Text(", ").join(Text(name, "provider") for name in names),
        f", all on one phone network, {speed:g} times as fast as the world",
    )
    return Group(Text(), where, signs, Text())


def _summary(scenes: Sequence[Scenario], lanes: Sequence[_Lane], width: int) -> Table:
    first = max(len(scenario.title) for scenario in scenes)
    each = min((width - first - 2) // len(lanes) - 2, 72)
    table = Table(box=SIMPLE_HEAD, show_edge=False, header_style="bold")
    table.add_column("", no_wrap=True, width=first)
    for lane in lanes:
        table.add_column(Text(lane.name, "provider"), no_wrap=True, overflow="ellipsis", width=each)
    for index, scenario in enumerate(scenes):
        table.add_row(Text(scenario.title, "bold"), *(_cell(lane.verdicts[index]) for lane in lanes))
    return table


def _cell(verdict: _Verdict) -> Text:
    if verdict.absent is not None:
        return Text("— not on this provider", "quiet")
    lines = [_sentence(verdict)]
    termination = verdict.termination
    if termination is not None:
        if verdict.problem is not None:
            lines.append(Text(f"  {told(termination)}"))
        lines.append(Text(f"  {termination.phase}, {termination.confidence}", "quiet"))
        lines.append(Text(f"  {termination.native or 'no native reason'}", "quiet"))
    if verdict.left:
        lines.append(Text.assemble("  left: ", verdict.left))
    return Text("\n").join(lines)
