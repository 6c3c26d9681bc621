"""What is written about calls is true: every Python block of the page runs, and prints what the page says."""

from __future__ import annotations

import os
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import anyio.to_thread
import pytest

from telco_bridge import Bridge, Call, connect
from telco_bridge.sandbox import Exchange, Sandbox
from telco_bridge_signalwire.emulator import SignalWireEmulator

from .pages import Page

PAGE = Page("docs/calls.md")
README = Page("README.md")
EVERYWHERE = ("Say, play, press", "Transfer", "Recordings", "Calls that come in")
NUMBER = "+15550000003"


@pytest.fixture(params=["simulator", "signalwire"])
async def bridge(sandbox: Sandbox, request: pytest.FixtureRequest) -> AsyncIterator[Bridge]:
    """A bridge that calls to `NUMBER` reach."""
    if request.param == "simulator":
        settings: dict[str, object] = {**sandbox.profile("simulator"), "numbers": [NUMBER]}
    else:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            listen = f"127.0.0.1:{free.getsockname()[1]}"
        emulator = sandbox.emulators["signalwire"]
        assert isinstance(emulator, SignalWireEmulator)
        emulator.own(NUMBER, voice_url=f"http://{listen}/voice")
        settings = {**sandbox.profile("signalwire"), "web": {"listen": listen}}
    async with connect(settings) as opened:
        yield opened


@pytest.fixture
async def call(bridge: Bridge) -> AsyncIterator[Call]:
    async with await bridge.dial("+15550106") as answered:
        yield await answered.answered()


def test_every_section_runs_here() -> None:
    assert {title for title, text in PAGE.sections.items() if "```python" in text} == {
        *EVERYWHERE,
        "What only one provider has",
    }


async def test_prompts_are_said_one_after_another(call: Call, sandbox: Sandbox) -> None:
    # Nobody is at the address that the page names.
    code, _ = PAGE.block("Say, play, press")
    assert "https://app.example.net" in code
    await PAGE.run("Say, play, press", {"call": call})


async def test_a_call_is_transferred(call: Call) -> None:
    await PAGE.run("Transfer", {"call": call})


async def test_a_call_is_recorded(call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    await PAGE.run("Recordings", {"call": call})

    assert (tmp_path / "call.wav").read_bytes()[:4] == b"RIFF"
    assert os.listdir(tmp_path) == ["call.wav"]  # noqa: PTH208 - of a test


async def test_a_call_comes_in(bridge: Bridge, sandbox: Sandbox) -> None:
    exchange: Exchange = sandbox.exchange
    await anyio.to_thread.run_sync(lambda: exchange.call_in(caller="+15550199", callee=NUMBER))
    await PAGE.run("Calls that come in", {"bridge": bridge})

    assert bridge.calls == ()


async def test_a_conference_is_held(sandbox: Sandbox) -> None:
    settings = {**sandbox.profile("signalwire"), "web": {"listen": "127.0.0.1:0"}}
    async with connect(settings) as bridge, await bridge.dial("+15550100") as call:
        await call.answered()
        await PAGE.run("What only one provider has", {"bridge": bridge, "call": call})


async def test_the_words_of_the_readme_are_true(call: Call) -> None:
    await README.run("In a call", {"call": call})
