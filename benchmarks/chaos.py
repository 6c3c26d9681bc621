"""Bad weather: `python benchmarks/chaos.py [--calls N] [--rate R] [--seed S]`. Exits with 1 where a promise was broken.

Calls to all kinds of people, through SignalWire's emulator, which makes every trouble that it knows at a share of its
chances. Afterwards the phone network itself is asked what happened, and compared with what the application was told.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections import Counter
from dataclasses import dataclass, field

import anyio

from telco_bridge import (
    Bridge,
    Call,
    CallEnded,
    CallState,
    EndContradicted,
    EndedBy,
    Modality,
    OutcomeUnknown,
    TelcoBridgeError,
    Termination,
    TerminationReason,
    connect,
)
from telco_bridge.errors import PluginError
from telco_bridge.sandbox import Exchange, Sandbox
from telco_bridge.sandbox.exchange import Leg, Side
from telco_bridge.sandbox.numbers import lookup

R = TerminationReason

LIFECYCLE = {
    "cause_grace": 1.0,
    "confirm_timeout": 5.0,
    "close_timeout": 10.0,
    "sweep_interval": 0.5,
    "reads_per_second": 100.0,
    "orphan_after": 20.0,
}
AT_ONCE = 48
PATIENCE = 30.0
"""Seconds that a call may take before it is left to the closing of the bridge."""
LATE = 10.0
"""Seconds after which the end of a call should have been found out, however bad the weather."""

PLANS = {
    "we hang up": "+15550100",
    "they hang up": "+15550104",
    "both hang up": "+15550104",
    "we cancel": "+15550103",
    "nobody answers": "+15550103",
    "busy": "+15550101",
    "declined": "+15550102",
    "unallocated": "+15550105",
    "audio, then we hang up": "+15550100",
}
REASONS = {
    200: {R.NORMAL, R.UNKNOWN},
    404: {R.UNALLOCATED_NUMBER, R.UNREACHABLE, R.UNKNOWN},
    480: {R.NO_ANSWER, R.UNKNOWN},
    486: {R.BUSY},
    487: {R.CANCELLED, R.NO_ANSWER, R.NORMAL, R.UNKNOWN},
    603: {R.REJECTED, R.NO_ANSWER, R.UNKNOWN},
}
"""What may be said of a call that the network cleared so."""


class Witness(Exchange):
    """A network that remembers every call that was cleared."""

    def __init__(self, *, speed: float) -> None:
        super().__init__(speed=speed)
        self.past: list[Leg] = []
        self.cleared_at: dict[str, float] = {}
        """When the call to an address was cleared, by the machine's clock."""

    def retire(self, leg: Leg) -> None:
        super().retire(leg)
        self.past.append(leg)
        self.cleared_at[leg.callee] = time.monotonic()


@dataclass
class Told:
    """What the application was told of one call that it asked for."""

    to: str
    plan: str
    call: Call | None = None
    id: str | None = None
    """Our identity of the call, where there is one or may be."""
    errors: list[str] = field(default_factory=list)
    asked_to_end: bool = False


@dataclass
class Report:
    """What became of it all."""

    told: list[Told] = field(default_factory=list)
    faults: Counter[str] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)
    ends: Counter[str] = field(default_factory=Counter)
    violations: list[str] = field(default_factory=list)
    placed: int = 0
    delays: list[float] = field(default_factory=list)
    """How long after the network had cleared a call its end was told, in seconds, each."""
    seconds: float = 0.0


async def run(
    calls: int, *, rate: float, seed: int, speed: float = 20.0, patience: float = PATIENCE, late: float = LATE
) -> Report:
    """Make so many calls in bad weather, and compare."""
    report, began = Report(), time.monotonic()
    dice = random.Random(seed)
    network = Witness(speed=speed)
    ended: Counter[str] = Counter()
    with Sandbox("signalwire", exchange=network) as sandbox:
        emulator = sandbox.emulators["signalwire"]
        settings = {**sandbox.profile("signalwire"), "web": {"listen": "127.0.0.1:0"}, "lifecycle": LIFECYCLE}
        for number in range(calls):
            plan = dice.choice(list(PLANS))
            told = Told(f"+1555{number:07}", plan)
            network.set_behaviour(told.to, lookup(PLANS[plan]))
            report.told.append(told)
        async with anyio.create_task_group() as reading, connect(settings) as bridge:
            emulator.faults.weather(rate, seed=seed)
            reading.start_soon(read, bridge, network, ended, report)
            waiting = iter(report.told)

            async def work() -> None:
                for told in waiting:
                    await live(bridge, told, patience)

            async with anyio.create_task_group() as working:
                for _ in range(AT_ONCE):
                    working.start_soon(work)
        report.faults.update(fault.value for fault, _ in emulator.faults.made)
        emulator.faults.clear()
        judge(report, network, ended)
        report.violations += [f"an end was told {delay:.1f} s late" for delay in report.delays if delay > late]
    report.seconds = time.monotonic() - began
    return report


async def read(bridge: Bridge, network: Witness, ended: Counter[str], report: Report) -> None:
    """Count the ends that everybody is told of."""
    async for event in bridge.events(since=0):
        if isinstance(event, CallEnded):
            to = event.call.remote.address if event.call.remote is not None else ""
            ended[event.call.id] += 1
            if to in network.cleared_at:
                report.delays.append(time.monotonic() - network.cleared_at[to])
        elif isinstance(event, EndContradicted):
            report.violations.append(f"{event.call.remote}: it was told as ended, and lived")


async def live(bridge: Bridge, told: Told, patience: float) -> None:
    """One call, as an application makes it that takes every error as it comes."""
    try:
        told.call = await bridge.dial(told.to, ring_timeout=20 if told.plan == "nobody answers" else 60)
        told.id = told.call.id
    except TelcoBridgeError as error:
        told.errors.append(words("dial", error))
        if isinstance(error, OutcomeUnknown):
            told.id = error.command.call
        return
    with anyio.move_on_after(patience):
        try:
            await converse(told.call, told)
        except TelcoBridgeError as error:
            told.errors.append(words(told.plan, error))
        await told.call.ended()


async def converse(call: Call, told: Told) -> None:
    if told.plan == "we cancel":
        told.asked_to_end = True
        await call.hangup()
    elif told.plan in ("we hang up", "both hang up", "audio, then we hang up"):
        await call.answered()
        if told.plan.startswith("audio"):
            try:
                await call.start(Modality.AUDIO)
                await call.stop(Modality.AUDIO)
            except TelcoBridgeError as error:
                told.errors.append(words("audio", error))
        elif told.plan == "both hang up":
            await anyio.sleep(0.1)
        told.asked_to_end = True
        await call.hangup()


def words(what: str, error: TelcoBridgeError) -> str:
    return f"{what}: {type(error).__name__}" + (f" {error}" if isinstance(error, PluginError) else "")


# Afterwards -----------------------------------------------------------------------------------------------------------


def judge(report: Report, network: Witness, ended: Counter[str]) -> None:
    """Compare what the application was told with what the network knows."""
    found = report.violations
    legs: dict[str, list[Leg]] = {}
    for leg in [*network.past, *network.legs.values()]:
        legs.setdefault(leg.callee, []).append(leg)
    report.placed = sum(len(some) for some in legs.values())
    found += [f"{leg.callee}: left up in the network" for leg in network.legs.values()]
    known = {told.id for told in report.told}
    found += [f"call {call}: nobody asked for it" for call in ended if call not in known]
    for told in report.told:
        report.errors.update(told.errors)
        placed = legs.get(told.to, [])
        if len(placed) > 1:
            found.append(f"{told.to} ({told.plan}): dialled {len(placed)} times")
        if told.id is not None and ended[told.id] != 1:
            found.append(f"{told.to} ({told.plan}): {ended[told.id]} ends were told")
        if told.id is None and placed:
            found.append(f"{told.to} ({told.plan}): it was dialled, and the application told that it was not")
        if told.call is None:
            continue
        termination = told.call.termination
        if termination is None:
            found.append(f"{told.to} ({told.plan}): it has no termination; the call is {told.call.state}")
            continue
        report.ends[f"{told.plan}: {termination.reason} by {termination.by}"] += 1
        if placed:
            problem = wrong(told, termination, placed[0])
            if problem is not None:
                found.append(f"{told.to} ({told.plan}): {problem}: {termination}")
        elif termination.reason not in (R.ORPHANED, R.CANCELLED if told.asked_to_end else R.ORPHANED):
            # What was cancelled in the queue never got there.
            found.append(f"{told.to} ({told.plan}): it never was in the network: {termination}")
    found += [f"an error of the plugin's: {name}" for name in report.errors if "Plugin" in name]


def wrong(told: Told, said: Termination, leg: Leg) -> str | None:
    """What is wrong about a call's final state; None where nothing is. Not to know is not wrong."""
    assert told.call is not None
    truth = leg.clearing
    if told.call.state is not CallState.ENDED or truth is None:
        return f"the network says {leg.state}, the call {told.call.state}"
    if said.reason is R.ORPHANED:
        return f"it was given up; the network cleared it with {truth.sip} by {truth.by}"
    if (told.call.view.answered is True) is not leg.answered:
        return f"answered is {told.call.view.answered}, the network says {leg.answered}"
    if said.reason not in REASONS.get(truth.sip, {R.UNKNOWN}) and not (told.asked_to_end and truth.by is leg.ours):
        return f"the network cleared it with {truth.sip} {truth.phrase} by {truth.by}"
    if truth.by is leg.ours and said.by is EndedBy.REMOTE:
        return "we hung up"
    if truth.by is Side.CALLEE and said.by is EndedBy.APPLICATION and not told.asked_to_end:
        return "they hung up"
    return None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=2000)
    parser.add_argument("--rate", type=float, default=0.05)
    parser.add_argument("--seed", type=int, default=6)
    parser.add_argument("--backend", default="asyncio", choices=["asyncio", "trio"])
    given = parser.parse_args()

    async def weather() -> Report:
        return await run(given.calls, rate=given.rate, seed=given.seed)

    report = anyio.run(weather, backend=given.backend)
    print(f"{len(report.told)} calls asked for, {report.placed} placed, in {report.seconds:.0f} s")
    report.delays.sort()
    p50, p99 = (report.delays[int(len(report.delays) * share)] for share in (0.5, 0.99))
    print(f"from an end to its CallEnded: median {p50:.2f} s, p99 {p99:.2f} s, longest {report.delays[-1]:.2f} s")
    for title, counts in (("troubles made", report.faults), ("errors met", report.errors), ("ends", report.ends)):
        print(f"{title}: {sum(counts.values())}")
        for name, count in sorted(counts.items()):
            print(f"  {count:6} {name}")
    print(f"violations: {len(report.violations)}")
    for violation in report.violations:
        print(f"  {violation}")
    sys.exit(1 if report.violations else 0)


if __name__ == "__main__":
    main()
