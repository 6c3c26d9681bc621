"""What UCWA's event channel costs: `python benchmarks/ucwa.py [events|delay|memory] ...`, all of them without a name.

A load process (`ucwa_load.py`) on a core of its own plays the pool; the bridge runs on one other core. Each number is
the median of three runs, each in a process of its own.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
import json
import os
import statistics
import subprocess
import sys
import time
import tracemalloc
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

from telco_bridge import Bridge, CallConnected, CallEnded, CallHeld, CallResumed, connect
from telco_bridge.events import Event

LOAD = Path(__file__).parent / "ucwa_load.py"
CORES = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else [0]


class Load:
    """The load process, from entering to leaving."""

    def __enter__(self) -> Load:
        self._process = subprocess.Popen([sys.executable, str(LOAD)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        if hasattr(os, "sched_setaffinity"):
            os.sched_setaffinity(self._process.pid, {CORES[-1]})
        self.port = int(str(self._read()["port"]))
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(10)

    async def ask(self, **order: object) -> None:
        """Give an order and wait until it has been carried out."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(order).encode() + b"\n")
        self._process.stdin.flush()
        await asyncio.to_thread(self._read)

    def _read(self) -> dict[str, object]:
        assert self._process.stdout is not None
        return json.loads(self._process.stdout.readline())


@asynccontextmanager
async def bridge_to(load: Load) -> AsyncGenerator[Bridge]:
    profile = {
        "provider": "ucwa",
        "application_url": f"http://127.0.0.1:{load.port}/ucwa/oauth/v1/applications",
        "username": "ada@example.org",
        "password": "analytical-engine",
        # Nothing is read meanwhile, and nothing is hung up in the end: the pool knows no more than its events.
        "lifecycle": {"sweep_interval": 3600.0, "close_timeout": 1.0},
    }
    async with connect(profile) as bridge:
        yield bridge


class Listener:
    """The application: counts what it is told, and remembers when the last of it came."""

    def __init__(self, bridge: Bridge) -> None:
        self._cursor = bridge.events(since=0)
        self.heard = 0
        self.last = 0.0
        self.delays: list[float] = []

    async def until(self, count: int, *kinds: type[Event]) -> None:
        """Listen until so many events of these kinds, or of any, have come."""
        heard = 0
        while heard < count:
            event = await anext(self._cursor)
            self.heard += 1
            if not kinds or isinstance(event, kinds):
                heard += 1
                self._time(event)
        self.last = time.perf_counter()

    def _time(self, event: Event) -> None:
        sent = event.call.native.get("sentAt") if isinstance(event, CallHeld | CallResumed) else None
        if isinstance(sent, int):
            self.delays.append((time.monotonic_ns() - sent) / 1e6)


async def live(load: Load, bridge: Bridge, calls: int) -> Listener:
    """Connect so many calls, and return once the application has been told of all of them."""
    listener = Listener(bridge)
    await load.ask(live=calls)
    await listener.until(calls, CallConnected)
    return listener


async def events(load: Load, kind: str, together: int) -> dict[str, float]:
    """UCWA events per second of one core, from the wire to the application."""
    async with bridge_to(load) as bridge:
        listener = await live(load, bridge, 100)
        gc.collect()
        # The load process makes all packages before it releases the first one.
        if kind == "flips":
            count = 20_000
            await load.ask(flips=count, together=together)
            begun, spent = time.perf_counter(), time.process_time()
            await listener.until(count, CallHeld, CallResumed)
        else:
            lives = 2500
            count = 8 * lives
            await load.ask(lives=lives, together=together)
            begun, spent = time.perf_counter(), time.process_time()
            await listener.until(lives, CallEnded)
        elapsed = listener.last - begun
        return {"rate": count / elapsed, "cpu": (time.process_time() - spent) / count * 1e6}


async def delay(load: Load, count: int) -> dict[str, float]:
    """Milliseconds from the release of a parked GET to the application's event."""
    async with bridge_to(load) as bridge:
        listener = await live(load, bridge, 100)
        listener.delays.clear()
        gc.collect()
        asked = asyncio.create_task(load.ask(pings=count, every=0.002))
        await listener.until(count, CallHeld, CallResumed)
        await asked
        ordered = sorted(listener.delays)
        return {"p50": ordered[len(ordered) // 2], "p99": ordered[int(len(ordered) * 0.99)], "worst": ordered[-1]}


async def memory(load: Load, calls: int) -> dict[str, float]:
    """Bytes that are held for each call that is up and has nothing to say, and for the events of how it came up."""
    async with bridge_to(load) as bridge:
        await live(load, bridge, 10)
        tracemalloc.start()
        gc.collect()
        before = tracemalloc.get_traced_memory()[0]
        await live(load, bridge, calls)
        gc.collect()
        whole = tracemalloc.get_traced_memory()[0] - before
        # What the logs keep of a call's past is theirs, and bounded; the call itself is what is left.
        switchboard = bridge._switchboard  # noqa: SLF001 - no application may do this
        for log in (switchboard.log, *(record.log for record in switchboard.live)):
            log._events.clear()  # noqa: SLF001
        gc.collect()
        bare = tracemalloc.get_traced_memory()[0] - before
        return {"call": bare / calls, "events": (whole - bare) / calls}


def one(what: str, number: int) -> dict[str, float]:
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {CORES[0]})
    with Load() as load:
        match what:
            case "flips" | "lives":
                return asyncio.run(events(load, what, number))
            case "delay":
                return asyncio.run(delay(load, number))
            case _:
                return asyncio.run(memory(load, number))


def apart(what: str, number: int) -> dict[str, float]:
    """Measure three times, each in a process of its own, and return the medians."""
    command = [sys.executable, __file__, "--one", what, str(number)]
    runs: list[dict[str, float]] = []
    for _ in range(3):
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        runs.append(json.loads(done.stdout))
    return {name: statistics.median(run[name] for run in runs) for name in runs[0]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", nargs="*", default=["events", "delay", "memory"])
    parser.add_argument("--one", nargs=2, metavar=("WHAT", "NUMBER"))
    given = parser.parse_args()
    if given.one:
        print(json.dumps(one(given.one[0], int(given.one[1]))))
        return
    for what in given.what:
        with contextlib.suppress(KeyboardInterrupt):
            match what:
                case "events":
                    print("UCWA events per second, from the channel to the application, on one core")
                    for kind, words in (("flips", "hold and resume, 100 calls"), ("lives", "calls that come and go")):
                        for together in (1, 100, 500):
                            found = apart(kind, together)
                            cost = f"{found['rate']:8.0f}/s  {found['cpu']:5.1f} µs CPU"
                            print(f"  {words:26} {together:4} a package: {cost}", flush=True)
                    print("  goal: 10000/s in aggregated packages")
                case "delay":
                    found = apart("delay", 2000)
                    print(
                        "from the release of a parked GET to the application's event: "
                        f"p50 {found['p50']:.2f} ms, p99 {found['p99']:.2f} ms (goal: 5), worst {found['worst']:.2f} ms"
                    )
                case "memory":
                    found = apart("memory", 1000)
                    print(
                        f"held for each idle call: {found['call'] / 1024:.1f} KiB (goal: 8), "
                        f"and {found['events'] / 1024:.1f} KiB of events that the logs keep of its past"
                    )
                case _:
                    parser.error(f"{what} is no measurement")


if __name__ == "__main__":
    main()
