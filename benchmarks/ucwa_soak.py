"""A day of UCWA: `python benchmarks/ucwa_soak.py [--hours H] [--calls N] [--seed S]`. Exits with 1 when broken.

Calls of all kinds, out and in, on a clock that is stepped: hours pass in minutes. Tokens expire, the server loses its
applications, the user's pool moves. Afterwards the phone network itself is asked what happened, and compared with what
the application was told; and what the client holds at the end is compared with what it held before.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import logging
import random
import sys
import time
from collections import Counter
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import anyio
import httpx
from anyio.abc import TaskGroup

from telco_bridge import (
    Bridge,
    Call,
    CallConnected,
    CallEnded,
    CallIncoming,
    Confidence,
    GapDetected,
    TelcoBridgeError,
    TerminationReason,
    connect,
)
from telco_bridge.provider import Host, ProviderPlugin, ProviderSession
from telco_bridge.sandbox import Exchange, Fault, SteppedClock, WireRecord
from telco_bridge_ucwa.config import UcwaConfig
from telco_bridge_ucwa.emulator import UcwaEmulator
from telco_bridge_ucwa.plugin import telco_bridge_provider
from telco_bridge_ucwa.session import open_session

R = TerminationReason
HOUR = 3600.0
KEPT = 1000
"""How many calls that are over a bridge remembers: before that many, it must grow."""
SETTLED = 0.6
"""The share of the time after which nothing may grow any more."""
ACROSS = ("http://127.0.0.1:8443", "http://localhost:8443")
OUT = {
    "we hang up": ("+15550100", {R.NORMAL}),
    "they hang up": ("+15550104", {R.NORMAL}),
    "busy": ("+15550101", {R.BUSY}),
    "declined": ("+15550102", {R.REJECTED}),
    "unallocated": ("+15550105", {R.UNALLOCATED_NUMBER}),
    "we cancel": ("+15550103", {R.CANCELLED}),
    "nobody answers": ("+15550103", {R.NO_ANSWER}),
}
"""Whom each kind of outgoing call is for, and why it may end while the server keeps its applications."""
IN = {
    "answered": {R.NORMAL},
    "refused": {R.REJECTED},
    "missed": {R.NO_ANSWER, R.CANCELLED},
}


class End(NamedTuple):
    """What is remembered of a call that has ended, of which its event holds far more."""

    began: float
    at: float
    reason: TerminationReason
    native: str | None
    confidence: Confidence


@dataclass
class Story:
    """What the application was told of all calls."""

    ends: dict[str, list[End]] = field(default_factory=dict[str, list[End]])
    connected: set[str] = field(default_factory=set[str])
    gaps: list[float] = field(default_factory=list[float])
    kinds: dict[str, str] = field(default_factory=dict[str, str])
    refused: int = 0
    """Calls that could not be placed, because the server had just lost the application; the application was told so."""


@dataclass
class Day:
    """The user's bridge, the network, and what is going on between them."""

    bridge: Bridge
    exchange: Exchange
    clock: SteppedClock
    tasks: TaskGroup
    chance: random.Random
    story: Story

    async def listen(self) -> None:
        async for event in self.bridge.events(since=0):
            match event:
                case CallEnded():
                    told = event.termination
                    end = End(event.call.created_at, event.at, told.reason, told.native, told.confidence)
                    self.story.ends.setdefault(event.call.id, []).append(end)
                case CallConnected():
                    self.story.connected.add(event.call.id)
                case GapDetected():
                    self.story.gaps.append(event.at)
                case CallIncoming():
                    self.tasks.start_soon(self.take, event.call.id)
                case _:
                    pass

    async def sleep(self, seconds: float) -> None:
        await self.clock.sleep_until(self.clock.now() + seconds)

    async def place(self, kind: str) -> None:
        """Call somebody, and do what this kind of call is about."""
        try:
            call = await self.bridge.dial(OUT[kind][0])
        except TelcoBridgeError:
            self.story.refused += 1
            return
        self.story.kinds[call.id] = kind
        if kind in ("we hang up", "we cancel"):
            await self.sleep(self.chance.uniform(5.0, 600.0) if kind == "we hang up" else 4.0)
            await self.hang_up(call)

    async def hang_up(self, call: Call) -> None:
        # What a call that is over refuses, or a server that has just lost it, is not of interest here.
        with suppress(TelcoBridgeError):
            await call.hangup()

    async def call_in(self, number: int) -> None:
        """Somebody outside calls the user."""
        leg = self.exchange.call_in(caller=f"+1555017{number % 10_000:04}", callee="sip:ada@sandbox.test")
        await self.sleep(self.chance.uniform(30.0, 600.0))
        leg.hang_up(by=leg.far)

    async def take(self, call_id: str) -> None:
        """Answer what comes in, refuse it, or let it ring."""
        call = next((call for call in self.bridge.calls if call.id == call_id), None)
        if call is None:
            return
        kind = self.story.kinds[call_id] = self.chance.choice(list(IN))
        with suppress(TelcoBridgeError):
            if kind == "answered":
                await call.answer()
            elif kind == "refused":
                await call.reject()


def plugin(transport: httpx.AsyncBaseTransport) -> ProviderPlugin[UcwaConfig]:
    """The plugin as it is, on connections that lead into this process."""

    def connected(config: UcwaConfig, host: Host) -> AbstractAsyncContextManager[ProviderSession]:
        return open_session(config, host, transport=transport)

    return replace(telco_bridge_provider(), connect=connected)


def held() -> int:
    """How many objects of the client's own classes are alive.

    Not bytes: what Python takes from its free lists is counted for whoever had it first, and the emulator, which
    remembers a lot, lives in the same process.
    """
    gc.collect()
    return sum(_is_ours(str(type(thing).__module__)) for thing in gc.get_objects())


def _is_ours(module: str) -> bool:
    return module.startswith("telco_bridge") and ".sandbox" not in module and ".emulator" not in module


async def soak(hours: float, calls: int, seed: int) -> list[str]:
    chance = random.Random(seed)
    clock = SteppedClock()
    exchange = Exchange(clock=clock, seed=seed)
    emulator = UcwaEmulator(exchange, seed=seed, username="ada@sandbox.test")
    asked = Counter[str]()

    def note(record: WireRecord) -> None:
        # Not what was asked to sign in first.
        if record.sent_by == "bridge" and not record.answer.startswith("401"):
            asked[record.line] += 1

    # The log itself remembers no more than a day or two.
    emulator.wire.listen(note)
    await emulator.started(ACROSS[0])
    transport = httpx.ASGITransport(app=emulator.app)
    profile = {
        "provider": plugin(transport),
        **{name: value for name, value in emulator.profile().items() if name != "provider"},
        "allowed_hosts": list(ACROSS),
        "available": True,
        "lifecycle": {"event_capacity": 1000},
    }
    begun, sizes = time.perf_counter(), list[tuple[float, int]]()
    bridge = connect(profile, clock=clock)
    losses: list[float] = []
    story, open_calls, open_legs = Story(), 0, 0
    async with anyio.create_task_group() as world:
        entered = anyio.Event()
        leave = anyio.Event()
        day: list[Day] = []

        async def live() -> None:
            async with bridge, anyio.create_task_group() as tasks:
                day.append(Day(bridge, exchange, clock, tasks, chance, story))
                tasks.start_soon(day[0].listen)
                entered.set()
                await leave.wait()
                tasks.cancel_scope.cancel()

        world.start_soon(live)
        while not entered.is_set():
            await clock.advance(1.0)
        today, start = day[0], clock.now()
        plans = sorted(
            (chance.uniform(0.0, hours * HOUR), chance.choice([*OUT, "in", "in"]), number) for number in range(calls)
        )
        trouble = [(at * HOUR, "lose") for at in _every(2.5, hours)] + [(hours * HOUR * 0.55, "move")]
        agenda = sorted(
            [*((at, kind, number) for at, kind, number in plans), *((at, what, -1) for at, what in trouble)]
        )
        marks = [hours * HOUR * share for share in (SETTLED, 0.7, 0.8, 0.9)]
        for at, kind, number in agenda:
            await clock.advance(max(0.0, start + at - clock.now()))
            while marks and at >= marks[0]:
                sizes.append((marks.pop(0), held()))
            if kind == "lose":
                losses.append(clock.now())
                emulator.faults.inject(Fault.LOSE_APPLICATION, on="GET events")
            elif kind == "move":
                losses.append(clock.now())
                emulator.move_pool("localhost")
            elif kind == "in":
                today.tasks.start_soon(today.call_in, number)
            else:
                today.tasks.start_soon(today.place, kind)
        await clock.advance(1800.0)
        sizes.append((hours * HOUR + 1800.0, held()))
        open_calls = len(bridge.calls)
        open_legs = len(exchange.legs)
        leave.set()
        await clock.advance(60.0)
        world.cancel_scope.cancel()
    await emulator.stopped()
    return [
        *_judge(story, losses, open_calls, open_legs),
        *(_flat(sizes) if calls * SETTLED > KEPT else ()),
        *_told(asked, story, losses, sizes, hours, time.perf_counter() - begun),
    ]


def _every(step: float, hours: float) -> list[float]:
    count = int(hours / step)
    return [step * (index + 1) for index in range(count) if step * (index + 1) < hours]


def _judge(story: Story, losses: list[float], open_calls: int, open_legs: int) -> list[str]:
    """Return every promise that was broken."""
    wrong: list[str] = []
    if open_calls or open_legs:
        wrong.append(f"{open_calls} calls are left open in the bridge, {open_legs} in the network")
    for call_id, kind in story.kinds.items():
        ends = story.ends.get(call_id, [])
        if len(ends) != 1:
            wrong.append(f"{kind}: {len(ends)} ends of call {call_id}")
            continue
        end = ends[0]
        # The application is lost at a poll; until then, whoever calls is lost with it.
        lost = any(end.began <= gap and loss <= end.at for loss, gap in zip(losses, story.gaps, strict=False))
        allowed = (OUT[kind][1] if kind in OUT else IN[kind]) | ({R.NETWORK_LOST} if lost else set[R]())
        if end.reason not in allowed:
            wrong.append(f"{kind}: ended as {end.reason} ({end.native}) at {end.at:.0f}, not as any of {allowed}")
        if end.reason is R.NETWORK_LOST and end.confidence is Confidence.REPORTED:
            wrong.append(f"{kind}: nobody can have reported the end of a call that was lost")
        answers = kind in ("we hang up", "they hang up", "answered") and not lost
        if answers and call_id not in story.connected:
            wrong.append(f"{kind}: never connected")
    unknown = story.ends.keys() - story.kinds.keys()
    if unknown:
        wrong.append(f"{len(unknown)} calls ended that nobody knows")
    return wrong


def _flat(sizes: list[tuple[float, int]]) -> list[str]:
    """What is held must not grow once the logs are as long as they may be."""
    first, last = sizes[0][1], min(size for _, size in sizes[-2:])
    return [f"what is held grew from {first} to {last} objects"] if last > first * 1.05 else []


def _told(
    asked: Counter[str],
    story: Story,
    losses: list[float],
    sizes: list[tuple[float, int]],
    hours: float,
    took: float,
) -> list[str]:
    reasons = Counter(str(ends[0].reason) for ends in story.ends.values())
    print(f"{hours:.0f} hours in {took:.0f} s: {len(story.ends)} calls ended, {len(losses)} applications lost")
    print("  " + ", ".join(f"{count} {reason}" for reason, count in reasons.most_common()))
    print(f"  not placed, because the application had just been lost: {story.refused}; gaps told: {len(story.gaps)}")
    for line in ("POST applications", "POST oauthtoken", "POST reportMyActivity", "GET events"):
        print(f"  {line}: {asked[line]}")
    print("  objects of the client: " + ", ".join(f"{size} at {at / HOUR:.1f} h" for at, size in sizes))
    wrong: list[str] = []
    if len(story.gaps) != len(losses):
        wrong.append(f"{len(story.gaps)} gaps were told for {len(losses)} losses")
    if asked["POST applications"] != len(losses) + 1:
        wrong.append(f"{asked['POST applications']} applications were made for {len(losses)} losses")
    return wrong


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hours", type=float, default=24.0)
    parser.add_argument("--calls", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    logging.disable(logging.WARNING)
    wrong = asyncio.run(soak(given.hours, given.calls, given.seed))
    for words, count in Counter(wrong).most_common(30):
        print(f"BROKEN ({count}x): {words}")
    print("no promise was broken" if not wrong else f"{len(wrong)} broken promises")
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
