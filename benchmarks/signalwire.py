"""What SignalWire costs: `python benchmarks/signalwire.py [operations|webhooks|flat] ...`, all of them without a name.

A load process (`signalwire_load.py`) on a core of its own plays the space; what is measured runs on another core.
Every peer is measured in the same run, in turn, in a process of its own.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
import importlib.util
import json
import os
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import httpx

from telco_bridge import connect
from telco_bridge.bridge import Bridge
from telco_bridge.clock import SystemClock
from telco_bridge.provider import Fact, HangUp, MediaEndpoint, MediaPort
from telco_bridge_laml.session import connect as connect_signalwire
from telco_bridge_signalwire.config import SignalWireConfig

if TYPE_CHECKING:
    from starlette.types import ASGIApp

LOAD = Path(__file__).parent / "signalwire_load.py"
CORES = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else [0]
PROJECT, TOKEN, KEY = "5a1c0c1e-7f65-4d0b-8a7c-3b9c2f0d4e21", "PT-benchmark", "PSK_benchmark"
SID = "6f0b7c2e-1d43-4a58-9a55-0d2a7e1c9b11"
LIFE = ("initiated", "ringing", "in-progress", "completed")
CONNECTIONS = 32


class Load:
    """The load process, from entering to leaving."""

    def __enter__(self) -> Load:
        self._process = subprocess.Popen([sys.executable, str(LOAD)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        if hasattr(os, "sched_setaffinity"):
            os.sched_setaffinity(self._process.pid, {CORES[-1]})
        port = self._read()["port"]
        assert isinstance(port, int)
        self.port = port
        """Where the space listens."""
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(10)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/api/laml/2010-04-01"

    def ask(self, **order: object) -> dict[str, object]:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(order).encode() + b"\n")
        self._process.stdin.flush()
        return self._read()

    def _read(self) -> dict[str, object]:
        assert self._process.stdout is not None
        return json.loads(self._process.stdout.readline())


# Operations: hanging up -----------------------------------------------------------------------------------------------


class StubHost:
    """The core as a plugin sees it, that forgets everything."""

    def __init__(self) -> None:
        self.clock = SystemClock()

    def stamp(self) -> float:
        return self.clock.now()

    def report(self, *facts: Fact) -> None:
        return

    def url(self, path: str, **query: str) -> str | None:
        return None

    def media(self, endpoint: MediaEndpoint) -> MediaPort | None:
        return None


async def pace(once: Callable[[], Awaitable[object]], at_once: int, seconds: float) -> dict[str, object]:
    """Operations per second, and the CPU microseconds of one, with so many always under way."""

    async def worker(until: float) -> int:
        done = 0
        while time.perf_counter() < until:
            await once()
            done += 1
        return done

    await asyncio.gather(*(worker(time.perf_counter() + 0.5) for _ in range(at_once)))
    gc.collect()
    gc.freeze()
    began, cpu = time.perf_counter(), time.process_time()
    done = sum(await asyncio.gather(*(worker(began + seconds) for _ in range(at_once))))
    return {"rate": done / (time.perf_counter() - began), "cost": (time.process_time() - cpu) / done * 1e6}


async def ours(load: Load, at_once: int, seconds: float) -> dict[str, object]:
    config = SignalWireConfig(project=PROJECT, token=TOKEN, base_url=load.url, caller_id="+15550100001")
    async with connect_signalwire(config, StubHost()) as session:
        return await pace(
            lambda: session.execute(HangUp(id="command", call="call", ref=SID, reason=None)), at_once, seconds
        )


async def bare_httpx(load: Load, at_once: int, seconds: float) -> dict[str, object]:
    async with httpx.AsyncClient(auth=(PROJECT, TOKEN)) as client:

        async def once() -> None:
            url = f"{load.url}/Accounts/{PROJECT}/Calls/{SID}"
            answer = await client.post(url, data={"Status": "completed"})
            assert answer.json()["sid"] == SID

        return await pace(once, at_once, seconds)


def twilio_threads(load: Load, at_once: int, seconds: float) -> dict[str, object]:
    from requests.adapters import HTTPAdapter
    from twilio.http.http_client import TwilioHttpClient
    from twilio.rest import Client

    class Loopback(TwilioHttpClient):
        def request(self, method, url, *rest, **more):  # noqa: ANN001, ANN002, ANN003, ANN202 - it is passed on
            return super().request(method, _at(load, url), *rest, **more)

    http = Loopback()
    assert http.session is not None
    http.session.trust_env = False
    http.session.mount("http://", HTTPAdapter(pool_maxsize=at_once))
    client = Client(PROJECT, TOKEN, http_client=http)

    def worker(until: float) -> int:
        done = 0
        while time.perf_counter() < until:
            assert client.calls(SID).update(status="completed").sid == SID
            done += 1
        return done

    with ThreadPoolExecutor(at_once) as threads:
        list(threads.map(worker, [time.perf_counter() + 0.5] * at_once))
        began, cpu = time.perf_counter(), time.process_time()
        done = sum(threads.map(worker, [began + seconds] * at_once))
        return {"rate": done / (time.perf_counter() - began), "cost": (time.process_time() - cpu) / done * 1e6}


async def twilio_async(load: Load, at_once: int, seconds: float) -> dict[str, object]:
    from twilio.http.async_http_client import AsyncTwilioHttpClient
    from twilio.rest import Client

    class Loopback(AsyncTwilioHttpClient):
        async def request(self, method, url, *rest, **more):  # noqa: ANN001, ANN002, ANN003, ANN202 - it is passed on
            return await super().request(method, _at(load, url), *rest, **more)

    async with Loopback() as http:
        client = Client(PROJECT, TOKEN, http_client=http)
        return await pace(lambda: client.calls(SID).update_async(status="completed"), at_once, seconds)


def _at(load: Load, url: str) -> str:
    return url.replace("https://api.twilio.com/2010-04-01", load.url)


# Webhooks -------------------------------------------------------------------------------------------------------------


@asynccontextmanager
async def serving(app: ASGIApp, listener: socket.socket) -> AsyncIterator[None]:
    """The application under uvicorn in this very event loop, as one that a framework has mounted."""
    import uvicorn

    config = uvicorn.Config(app, log_config=None, access_log=False, lifespan="off", timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    task = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        while not server.started:  # noqa: ASYNC110 - uvicorn has no event for it
            await asyncio.sleep(0.01)
        yield
    finally:
        server.should_exit = True
        await task


@contextmanager
def listening() -> Iterator[tuple[socket.socket, int]]:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        listener.bind(("127.0.0.1", 0))
        yield listener, listener.getsockname()[1]


@asynccontextmanager
async def bridged(load: Load, calls: int, *, mounted: bool) -> AsyncIterator[tuple[Bridge, int]]:
    """A bridge with so many live calls, and the port on which it hears of them."""
    settings = {
        "provider": "signalwire",
        "project": PROJECT,
        "token": TOKEN,
        "signing_key": KEY,
        "base_url": load.url,
        "caller_id": "+15550100001",
        "lifecycle": {"sweep_interval": 3600.0},
    }
    with listening() as (listener, port):
        web: dict[str, object] = {"public_url": f"http://127.0.0.1:{port}"}
        if not mounted:
            listener.close()
            web = {"listen": f"127.0.0.1:{port}", **web}
        bridge = connect({**settings, "web": web})
        async with contextlib.AsyncExitStack() as stack:
            await stack.enter_async_context(bridge)
            if mounted:
                await stack.enter_async_context(serving(bridge.asgi, listener))
            dialled = iter(range(calls))

            async def dial() -> None:
                for _ in dialled:
                    (await bridge.dial("+15550100002")).release()

            await asyncio.gather(*(dial() for _ in range(16)))
            gc.collect()
            gc.freeze()
            yield bridge, port


async def tell(load: Load, port: int, words: tuple[str, ...]) -> tuple[float, float]:
    """Webhooks per second, and the CPU microseconds of one, while every call is told these words."""
    cpu = time.process_time()
    done = await asyncio.to_thread(load.ask, webhooks=port, key=KEY, connections=CONNECTIONS, words=words)
    cpu = time.process_time() - cpu
    sent, seconds = done["sent"], done["seconds"]
    assert isinstance(sent, int)
    assert isinstance(seconds, float)
    assert done["statuses"] == {"204": sent}, done
    return sent / seconds, cpu / sent * 1e6


async def webhooks(load: Load, calls: int, *, mounted: bool) -> dict[str, object]:
    async with bridged(load, calls, mounted=mounted) as (bridge, port):
        rate, cost = await tell(load, port, LIFE)
        assert not bridge.calls, "some calls have not ended"
        return {"rate": rate, "cost": cost}


async def fastapi(load: Load, calls: int) -> dict[str, object]:
    """What people write by hand: the form, the SDK's validator, and nothing else."""
    from fastapi import FastAPI, HTTPException, Request, Response
    from twilio.request_validator import RequestValidator

    app = FastAPI()
    validator = RequestValidator(KEY)

    async def status(request: Request) -> Response:
        form = dict(await request.form())
        if not validator.validate(str(request.url), form, request.headers.get("x-signalwire-signature", "")):
            raise HTTPException(403)
        return Response(status_code=204)

    status.__annotations__ = {"request": Request, "return": Response}
    app.post("/status", status_code=204)(status)
    with listening() as (listener, port):
        async with serving(app, listener):
            load.ask(invent=calls, url=f"http://127.0.0.1:{port}")
            gc.collect()
            gc.freeze()
            rate, cost = await tell(load, port, LIFE)
            return {"rate": rate, "cost": cost}


# What a call costs beside many others ---------------------------------------------------------------------------------


async def flat(load: Load, calls: int) -> dict[str, object]:
    """CPU microseconds of a webhook and of a hang-up, with so many live calls."""
    async with bridged(load, calls, mounted=True) as (bridge, port):
        repeated = max(1, 2000 // calls)
        _, webhook = await tell(load, port, ("ringing",) * repeated)
        some = bridge.calls[:: max(1, calls // 500)][:500]
        cpu = time.process_time()
        for call in some:
            await call.hangup()
        hang_up = (time.process_time() - cpu) / len(some) * 1e6
        return {"webhook": webhook, "hang_up": hang_up}


# Running --------------------------------------------------------------------------------------------------------------


def apart(what: str, *arguments: object, plain: bool = False) -> dict[str, float]:
    """Run one measurement in a process of its own, on the first core."""
    # The twilio SDK uses what aiohttp has deprecated, and says so at every request.
    command = [
        sys.executable,
        "-W",
        "ignore::DeprecationWarning",
        __file__,
        "--one",
        what,
        *map(str, arguments),
        *(["--plain"] if plain else []),
    ]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE)
    return json.loads(done.stdout.splitlines()[-1])


def one(what: str, count: int, seconds: float) -> dict[str, object]:
    with Load() as load:
        if hasattr(os, "sched_setaffinity"):
            os.sched_setaffinity(0, {CORES[0]})
        match what:
            case "ours":
                return asyncio.run(ours(load, count, seconds))
            case "httpx":
                return asyncio.run(bare_httpx(load, count, seconds))
            case "twilio":
                return twilio_threads(load, count, seconds)
            case "twilio-async":
                return asyncio.run(twilio_async(load, count, seconds))
            case "mounted" | "served":
                return asyncio.run(webhooks(load, count, mounted=what == "mounted"))
            case "fastapi":
                return asyncio.run(fastapi(load, count))
            case _:
                return asyncio.run(flat(load, count))


def installed(module: str) -> bool:
    return importlib.util.find_spec(module) is not None


def show_operations(seconds: float) -> None:
    fast = installed("aiohttp")
    peers = [
        "ours",
        *(["ours, plain"] if fast else []),
        "httpx",
        *(["twilio", "twilio-async"] if installed("twilio") else []),
    ]
    for at_once in (1, 64):
        rounds: dict[str, list[float]] = {name: [] for name in peers}
        for _ in range(3):
            for name in peers:
                found = apart(name.partition(",")[0], at_once, seconds, plain=name.endswith("plain"))
                rounds[name].append(found["rate"])
        rates = {name: statistics.median(found) for name, found in rounds.items()}
        print(f"hang-ups per second, {at_once} under way{' (fast transport)' if fast else ''}")
        for name, rate in rates.items():
            print(f"  {name:12} {rate:7.0f}/s  ours / it {rates['ours'] / rate:5.2f}", flush=True)
    print("  goals: 0.9 x httpx at 1 under way; 3.5 x httpx (8 x with the fast transport) and 3 x twilio at 64")


def show_webhooks(calls: int) -> None:
    peers = ["mounted", "served", *(["fastapi"] if installed("fastapi") and installed("twilio") else [])]
    rounds = [{name: apart(name, calls, 0) for name in peers} for _ in range(3)]
    parser = "httptools" if installed("httptools") else "h11"
    print(f"webhooks per second, verified and applied, of {calls} live calls, with {parser}")
    for name in peers:
        rate = statistics.median(found[name]["rate"] for found in rounds)
        cost = statistics.median(found[name]["cost"] for found in rounds)
        print(f"  {name:12} {rate:7.0f}/s  {cost:6.1f} µs CPU", flush=True)
    print("  goals: 6000/s, and twice what the FastAPI handler takes that only verifies")


def show_flat() -> None:
    print("CPU of one webhook and of one hang-up beside live calls (goal: flat)")
    for calls in (10, 100, 1000, 10_000):
        found = apart("flat", calls, 0)
        print(f"  {calls:6}: webhook {found['webhook']:6.1f} µs  hang-up {found['hang_up']:7.1f} µs", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", nargs="*", default=["operations", "webhooks", "flat"])
    parser.add_argument("--one", nargs=3, metavar=("WHAT", "COUNT", "SECONDS"))
    parser.add_argument("--plain", action="store_true", help="without the fast transport, where it is installed")
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--calls", type=int, default=5000)
    given = parser.parse_args()
    if given.plain:
        sys.modules["aiohttp"] = None  # type: ignore[assignment]
    if given.one:
        what, count, seconds = given.one
        print(json.dumps(one(what, int(count), float(seconds))))
        return
    for what in given.what:
        with contextlib.suppress(KeyboardInterrupt):
            match what:
                case "operations":
                    show_operations(given.seconds)
                case "webhooks":
                    show_webhooks(given.calls)
                case "flat":
                    show_flat()
                case _:
                    parser.error(f"{what} is no measurement")


if __name__ == "__main__":
    main()
