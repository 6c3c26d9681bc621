"""What audio costs: `python benchmarks/media.py [streams|frames|codec|pacing|memory] ...`, all of them without a name.

A load process (`media_load.py`) on a core of its own plays SignalWire; what is measured runs on another core. Every
peer is measured in the same run, in turn, in a process of its own.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import contextlib
import gc
import importlib.util
import json
import os
import resource
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from telco_bridge import Call, Capability, connect
from telco_bridge.audio.formats import MULAW_8K, PCM16_8K
from telco_bridge.audio.g711 import decode_mulaw
from telco_bridge.audio.wire import MediaHeard, PlayAudio
from telco_bridge.bridge import Bridge
from telco_bridge.mediaserver import MediaProtocol
from telco_bridge.provider import (
    CallReport,
    CallState,
    Command,
    Dial,
    Gone,
    HangUp,
    Host,
    MediaWire,
    ProviderPlugin,
    ProviderSession,
    Source,
    StartMedia,
    StopMedia,
    StreamReport,
    StreamState,
    Support,
    SupportLevel,
    Termination,
    WebRequest,
)
from telco_bridge_laml.media import LamlMedia

LOAD = Path(__file__).parent / "media_load.py"
CORES = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else [0]


class Load:
    """The load process."""

    def __init__(self) -> None:
        self._process = subprocess.Popen([sys.executable, str(LOAD)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        if hasattr(os, "sched_setaffinity"):
            os.sched_setaffinity(self._process.pid, {CORES[-1]})

    async def ask(self, **order: object) -> dict[str, object]:
        return await asyncio.to_thread(self._ask, order)

    def _ask(self, order: dict[str, object]) -> dict[str, object]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(order).encode() + b"\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())

    def end(self) -> None:
        if self._process.stdin is not None:
            self._process.stdin.close()
        self._process.wait(10)


class Nothing(BaseModel):
    """No settings."""

    model_config = ConfigDict(extra="forbid")


class Carrier(ProviderSession):
    """A provider without a network: whoever is dialled has answered, and media come from the load process."""

    load: Load | None = None
    talk = True

    def __init__(self, host: Host) -> None:
        self._host = host
        self._opening = asyncio.Lock()

    async def execute(self, command: Command) -> None:
        as_of = self._host.stamp()
        match command:
            case Dial():
                report = CallReport(
                    source=Source.ANSWER, as_of=as_of, ref=command.id, command_id=command.id, state=CallState.CONNECTED
                )
            case StartMedia() if command.endpoint is not None and self.load is not None:
                async with self._opening:
                    bearer = command.endpoint.bearer.get_secret_value()
                    await self.load.ask(open=command.endpoint.url, bearer=bearer, talk=self.talk)
                return
            case StopMedia():
                ended = tuple(StreamReport(slot=s.id.slot, state=StreamState.ENDED) for s in command.streams)
                report = CallReport(source=Source.ANSWER, as_of=as_of, ref=command.ref, streams=ended)
            case HangUp():
                report = CallReport(source=Source.ANSWER, as_of=as_of, ref=command.ref, state=CallState.ENDED)
            case _:
                raise AssertionError(command)
        self._host.report(report)

    async def read(self, ref: str) -> CallReport | Gone:
        return CallReport(source=Source.READ, as_of=self._host.stamp(), ref=ref)

    def media(self, opening: WebRequest) -> MediaWire:
        return LamlMedia()


@asynccontextmanager
async def carrier(config: Nothing, host: Host) -> AsyncIterator[ProviderSession]:
    yield Carrier(host)


ABLE = (
    Capability.DIAL,
    Capability.HANG_UP,
    Capability.START_AUDIO,
    Capability.STOP_AUDIO,
    Capability.RECEIVE_AUDIO,
    Capability.SEND_AUDIO,
)
PLUGIN = ProviderPlugin(
    name="benchmark",
    config_model=Nothing,
    support={capability: Support(SupportLevel.FULL) for capability in ABLE},
    explain=lambda cause, view: Termination(),
    possible=lambda view: frozenset(ABLE),
    connect=carrier,
)


@asynccontextmanager
async def served(*, talk: bool = True) -> AsyncIterator[tuple[Bridge, Load]]:
    """A bridge whose web application runs in this very event loop, as one that a framework has mounted, and a load."""
    import uvicorn

    load = Load()
    Carrier.load, Carrier.talk = load, talk
    with open_socket() as listener:
        port = listener.getsockname()[1]
        bridge = connect({"provider": PLUGIN, "web": {"public_url": f"http://127.0.0.1:{port}"}})
        config = uvicorn.Config(
            bridge.asgi,
            log_config=None,
            access_log=False,
            lifespan="off",
            ws=MediaProtocol,
            ws_per_message_deflate=False,
            timeout_graceful_shutdown=1,
        )
        server = uvicorn.Server(config)
        async with bridge:
            serving = asyncio.create_task(server.serve(sockets=[listener]))
            try:
                while not server.started:  # noqa: ASYNC110 - uvicorn has no event for it
                    await asyncio.sleep(0.01)
                yield bridge, load
            finally:
                server.should_exit = True
                load.end()
                await serving


def open_socket() -> socket.socket:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.bind(("127.0.0.1", 0))
    return listener


async def lag(samples: list[float]) -> None:
    """Note by how much a task that sleeps 5 ms is late, in ms."""
    while True:
        before = time.monotonic()
        await asyncio.sleep(0.005)
        samples.append((time.monotonic() - before) * 1000.0 - 5.0)


async def tone() -> AsyncIterator[bytes]:
    """Speech without end, half a second at a time."""
    while True:
        yield bytes(range(256)) * 31


async def hold(call: Call, direction: str, counts: list[int], ready: asyncio.Event, *, own: bool = False) -> None:
    """One call with its audio, until cancelled."""
    async with call.audio(
        direction="both" if direction == "both" else "receive", format=MULAW_8K if own else PCM16_8K
    ) as audio:
        counts.append(0)
        mine = len(counts) - 1
        if direction == "both":
            audio.play(tone())
        ready.set()
        async for _ in audio:
            counts[mine] += 1


async def streams(count: int, seconds: float) -> dict[str, object]:
    """Two-way streams: what arrives, what is heard, and how late the loop is."""
    async with served() as (bridge, load):
        counts: list[int] = []
        tasks: list[asyncio.Task[None]] = []
        for _ in range(count):
            call = await bridge.dial("+15550100")
            ready = asyncio.Event()
            tasks.append(asyncio.create_task(hold(call, "both", counts, ready)))
            await ready.wait()
        await asyncio.sleep(2.0)
        await load.ask(report=True)
        gc.collect()
        gc.freeze()
        before, cpu, began = sum(counts), time.process_time(), time.monotonic()
        late: list[float] = []
        watcher = asyncio.create_task(lag(late))
        await asyncio.sleep(seconds)
        watcher.cancel()
        took = time.monotonic() - began
        heard, cpu = sum(counts) - before, time.process_time() - cpu
        told = await load.ask(report=True)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        late.sort()
        arrived = told["arrived"]
        assert isinstance(arrived, int)
        return {
            "streams": count,
            "alive": told["alive"],
            "in_per_second": heard / took / count,
            "out_per_second": arrived / took / count,
            "lag_p99": late[int(len(late) * 0.99)],
            "cpu": cpu / took,
            "error_p99": told["error_p99"],
            "drift_max": told["drift_max"],
        }


async def ours(count: int, seconds: float) -> float:
    """CPU microseconds of a frame that an application iterates over."""
    async with served() as (bridge, _load):
        counts: list[int] = []
        tasks: list[asyncio.Task[None]] = []
        for _ in range(count):
            call = await bridge.dial("+15550100")
            ready = asyncio.Event()
            tasks.append(asyncio.create_task(hold(call, "receive", counts, ready)))
            await ready.wait()
        cost = await spent(counts, seconds)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        return cost


async def bare(count: int, seconds: float) -> float:
    """The same work, by hand on a bare `websockets` server."""
    from websockets.asyncio.server import ServerConnection, serve
    from websockets.exceptions import ConnectionClosed

    counts: list[int] = []

    async def handle(socket: ServerConnection) -> None:
        counts.append(0)
        mine = len(counts) - 1
        with contextlib.suppress(ConnectionClosed):
            async for message in socket:
                said = json.loads(message)
                if said["event"] == "media":
                    media = said["media"]
                    frame = (media["track"], int(media["timestamp"]), decode_mulaw(base64.b64decode(media["payload"])))
                    counts[mine] += len(frame) > 0

    load = Load()
    async with serve(handle, "127.0.0.1", 0, compression=None) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        for _ in range(count):
            await load.ask(open=f"ws://127.0.0.1:{port}/media", bearer="none")
        cost = await spent(counts, seconds)
        load.end()
    return cost


async def spent(counts: list[int], seconds: float) -> float:
    await asyncio.sleep(1.0)
    gc.collect()
    gc.freeze()
    before, cpu = sum(counts), time.process_time()
    await asyncio.sleep(seconds)
    cpu = time.process_time() - cpu
    return cpu / (sum(counts) - before) * 1e6


async def memory(count: int) -> float:
    """Kilobytes of resident memory of a two-way stream on which nothing flows."""
    async with served(talk=False) as (bridge, _load):
        ready = asyncio.Event()
        counts: list[int] = []
        tasks: list[asyncio.Task[None]] = []
        before = 0
        for number in range(count + 50):
            if number == 50:
                # The first ones pay for what all share.
                gc.collect()
                before = resident()
            call = await bridge.dial("+15550100")
            ready = asyncio.Event()
            tasks.append(asyncio.create_task(idle(call, ready)))
            await ready.wait()
        counts.clear()
        gc.collect()
        grown = (resident() - before) / count / 1024
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        return grown


async def idle(call: Call, ready: asyncio.Event) -> None:
    async with call.audio(direction="both") as audio:
        ready.set()
        async for _ in audio:
            pass


def resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def codec() -> dict[str, float]:
    """Microseconds to decode one frame and encode one frame, ours and, where it is installed, pipecat's for Twilio."""
    payload = base64.b64encode(bytes(range(160))).decode()
    media = {"track": "inbound", "chunk": "7", "timestamp": "120", "payload": payload}
    message = json.dumps({"event": "media", "sequenceNumber": "8", "media": media})
    wire = LamlMedia()
    form = {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1}
    tuple(wire.decode(json.dumps({"event": "start", "start": {"streamSid": "s", "mediaFormat": form}})))
    from telco_bridge.audio.conversion import Conversion

    incoming, outgoing = Conversion(MULAW_8K, PCM16_8K), Conversion(PCM16_8K, MULAW_8K)

    def once() -> None:
        (heard,) = wire.decode(message)
        assert isinstance(heard, MediaHeard)
        pcm = incoming.convert(heard.payload)
        wire.encode(PlayAudio(outgoing.convert(pcm)))

    found = {"ours": timed(once)}
    if importlib.util.find_spec("pipecat") is not None:
        found["pipecat"] = asyncio.run(pipecat(message))
    return found


async def pipecat(message: str) -> float:
    from pipecat.frames.frames import InputAudioRawFrame, OutputAudioRawFrame, StartFrame
    from pipecat.serializers.twilio import TwilioFrameSerializer

    params = TwilioFrameSerializer.InputParams(auto_hang_up=False)
    serializer = TwilioFrameSerializer("s", params=params)
    await serializer.setup(StartFrame(audio_in_sample_rate=8000, audio_out_sample_rate=8000))
    rounds, best = 5000, float("inf")
    for _ in range(5):
        began = time.perf_counter()
        for _ in range(rounds):
            heard = await serializer.deserialize(message)
            assert isinstance(heard, InputAudioRawFrame)
            await serializer.serialize(OutputAudioRawFrame(heard.audio, 8000, 1))
        best = min(best, time.perf_counter() - began)
    return best / rounds * 1e6


def timed(work: Callable[[], None], rounds: int = 20_000) -> float:
    best = float("inf")
    for _ in range(5):
        began = time.perf_counter()
        for _ in range(rounds):
            work()
        best = min(best, time.perf_counter() - began)
    return best / rounds * 1e6


def apart(*arguments: object) -> dict[str, object]:
    """Run one measurement in a process of its own, on the first core."""
    done = subprocess.run([sys.executable, __file__, "--one", *map(str, arguments)], check=True, stdout=subprocess.PIPE)
    return json.loads(done.stdout.splitlines()[-1])


def one(what: str, loop: str, count: int, seconds: float) -> dict[str, object]:
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {CORES[0]})
    factory = None
    if loop == "uvloop":
        import uvloop

        factory = uvloop.new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        match what:
            case "streams":
                return runner.run(streams(count, seconds))
            case "ours":
                return {"cost": runner.run(ours(count, seconds))}
            case "bare":
                return {"cost": runner.run(bare(count, seconds))}
            case _:
                return {"kilobytes": runner.run(memory(count))}


def show_streams(loops: list[str]) -> None:
    for loop in loops:
        goal = 250 if loop == "asyncio" else 300
        print(f"two-way streams on one core, {loop} (goal: {goal} with a loop lag p99 under 5 ms)")
        for count in (100, 150, 200, 250, 300, 350):
            found = apart("streams", loop, count, 10)
            print(
                f"  {count:4}: in {found['in_per_second']:5.2f}/s  out {found['out_per_second']:5.2f}/s  "
                f"lag p99 {found['lag_p99']:6.2f} ms  CPU {found['cpu']:4.0%}  "
                f"pacing error p99 {found['error_p99']:5.2f} ms",
                flush=True,
            )


def show_frames(loops: list[str]) -> None:
    for loop in loops:
        rounds = [(apart("ours", loop, 100, 5), apart("bare", loop, 100, 5)) for _ in range(3)]
        us = statistics.median(float(str(mine["cost"])) for mine, _ in rounds)
        them = statistics.median(float(str(other["cost"])) for _, other in rounds)
        print(
            f"a frame from socket to application, {loop}: {us:5.1f} µs CPU; bare websockets + json {them:5.1f} µs; "
            f"ratio {us / them:4.2f} (goal: 1.15)"
        )


def show_codec() -> None:
    found = codec()
    peer = found.get("pipecat")
    other = (
        f"pipecat's Twilio serializer {peer:5.1f} µs; ratio {found['ours'] / peer:4.2f} (goal: 0.5)"
        if peer
        else ("pipecat is not installed")
    )
    print(f"decode and encode one frame: {found['ours']:5.1f} µs; {other}")


def show_pacing() -> None:
    found = apart("streams", "asyncio", 20, 60)
    print(
        f"pacing of 20 streams over a minute: error p99 {found['error_p99']:4.2f} ms (goal: 5), "
        f"largest drift {found['drift_max']:4.2f} ms (goal: 1)"
    )


def show_memory() -> None:
    found = apart("memory", "asyncio", 300, 0)
    print(f"an idle two-way stream: {found['kilobytes']:5.1f} KiB (goal: under 64)")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", nargs="*", default=["codec", "frames", "streams", "pacing", "memory"])
    parser.add_argument("--one", nargs=4, metavar=("WHAT", "LOOP", "COUNT", "SECONDS"))
    given = parser.parse_args()
    if given.one:
        what, loop, count, seconds = given.one
        print(json.dumps(one(what, loop, int(count), float(seconds))))
        return
    loops = ["asyncio", *(["uvloop"] if importlib.util.find_spec("uvloop") is not None else [])]
    for what in given.what:
        with contextlib.suppress(KeyboardInterrupt):
            match what:
                case "streams":
                    show_streams(loops)
                case "frames":
                    show_frames(loops)
                case "codec":
                    show_codec()
                case "pacing":
                    show_pacing()
                case "memory":
                    show_memory()
                case _:
                    parser.error(f"{what} is no measurement")


if __name__ == "__main__":
    main()
