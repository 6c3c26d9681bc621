"""What is written about audio is true: every Python block of it runs, and prints what the page says."""

from __future__ import annotations

import socket
import subprocess
import sys
import wave
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import cast

import anyio
import pytest
import uvicorn

from telco_bridge import Bridge, Call, CallAudio, CallState, connect
from telco_bridge.audio import Playback
from telco_bridge.sandbox import Sandbox

from .pages import Page

PAGE = Page("docs/audio.md")
README = Page("README.md")
SPEAKS = "+15550106"


@pytest.fixture(params=["simulator", "signalwire"])
async def call(sandbox: Sandbox, request: pytest.FixtureRequest) -> AsyncIterator[Call]:
    """An answered call to somebody who speaks."""
    settings = {**sandbox.profile(request.param), "web": {"listen": "127.0.0.1:0"}}
    settings.pop("stream_url", None)
    async with connect(settings) as bridge, await bridge.dial(SPEAKS) as answered:
        await answered.answered()
        yield answered


@pytest.fixture
def names(call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, object]:
    """What the page says is there."""
    monkeypatch.chdir(tmp_path)
    for name in ("welcome.wav", "goodbye.wav"):
        with wave.open(name, "wb") as file:
            file.setparams((1, 2, 8000, 0, "NONE", "not compressed"))
            file.writeframes(bytes(2 * 8000))

    async def synthesize(text: str) -> AsyncIterator[bytes]:
        for _ in text:
            yield bytes(320)

    return {"call": call, "synthesize": synthesize, "recognize": after(10)}


def after(frames: int) -> Callable[[bytes], bool]:
    """Recognize something in the frame after so many."""
    taken: list[bytes] = []

    def recognize(frame: bytes) -> bool:
        taken.append(frame)
        return len(taken) > frames

    return recognize


def test_the_page_is_short_and_each_of_its_blocks_is_run_here() -> None:
    run_here = {
        "Hearing",
        "Speaking",
        "Barging in",
        "Formats, and what they cost",
        "Too slow",
        "Recording",
        "The endpoint",
    }

    assert len(PAGE.text.splitlines()) < 200
    assert {title for title, text in PAGE.sections.items() if "```python" in text} == run_here
    assert PAGE.text.count("```python") == len(run_here) + 1


def test_the_first_program_prints_what_the_page_says() -> None:
    code, promised = Page.blocks(PAGE.text)[0]

    printed = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], check=True, capture_output=True, text=True, timeout=30
    ).stdout

    assert printed == promised


async def test_hearing(names: dict[str, object]) -> None:
    await PAGE.run("Hearing", names)


async def test_speaking(call: Call, names: dict[str, object]) -> None:
    await PAGE.run("Speaking", names)

    assert call.state is CallState.ENDED


async def test_barging_in(names: dict[str, object]) -> None:
    prompt = cast("Playback", (await PAGE.run("Barging in", names))["prompt"])

    assert 150 < prompt.heard < 1000
    assert not (await prompt.finished()).complete


async def test_formats(call: Call, names: dict[str, object]) -> None:
    audio = cast("CallAudio", (await PAGE.run("Formats, and what they cost", names))["audio"])

    assert (
        str(audio.wire_format)
        == {
            "simulator": "pcm16 at 16000 Hz",
            "signalwire": "mulaw at 8000 Hz",
        }[call.view.provider]
    )


async def test_being_too_slow(names: dict[str, object]) -> None:
    stats = cast("CallAudio", (await PAGE.run("Too slow", names))["audio"]).stats

    assert stats.dropped > 0
    assert stats.depth <= 10


async def test_recording(names: dict[str, object]) -> None:
    await PAGE.run("Recording", names)

    with wave.open("call.wav") as file:
        assert file.getnchannels() == 2
        assert file.getnframes() > 0.3 * 8000


async def test_the_piece_of_the_readme(call: Call, names: dict[str, object]) -> None:
    prompt = cast("Playback", (await README.run("Audio", names))["prompt"])

    assert (await prompt.finished()).complete
    assert call.state is CallState.ENDED


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.parametrize("framework", ["starlette.applications.Starlette", "fastapi.FastAPI"])
async def test_the_bridge_is_mounted_in_a_web_framework(
    sandbox: Sandbox, framework: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module, _, name = framework.rpartition(".")
    pytest.importorskip(module)
    served: list[dict[str, object]] = []
    monkeypatch.setattr(uvicorn, "run", lambda app, **options: served.append({"app": app, **options}))
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        profile = {**sandbox.profile("signalwire"), "web": {"public_url": f"http://127.0.0.1:{port}/telco"}}
        profile.pop("stream_url", None)
    code = PAGE.block("The endpoint")[0].replace("fastapi", module).replace("FastAPI", name)
    namespace: dict[str, object] = {"__name__": "__main__"}
    monkeypatch.setattr("telco_bridge.connect", lambda path: connect(profile))
    exec(compile(code, "docs/audio.md, The endpoint", "exec"), namespace)
    (options,) = served
    bridge = cast("Bridge", namespace["bridge"])
    server = uvicorn.Server(uvicorn.Config(**options, host="127.0.0.1", port=port, log_config=None))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(server.serve)
        with anyio.fail_after(10):
            while not server.started:  # noqa: ASYNC110 - uvicorn tells nobody
                await anyio.sleep(0.01)
        async with await bridge.dial(SPEAKS) as call:
            await call.answered()
            for direction in ("receive", "both"):
                async with call.audio(direction=direction) as audio:
                    async for _ in audio:
                        if audio.stats.frames >= 10:
                            break
                assert audio.stats.gaps == 0
        server.should_exit = True
