"""The examples that hold the audio of a call: what the far end hears, on every provider that brings it."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
import wave
from array import array
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from types import ModuleType

import anyio
import numpy as np
import pytest
from anyio import to_thread

from telco_bridge import Bridge, connect
from telco_bridge.audio import HeardBy
from telco_bridge.cli import examples as cli_examples
from telco_bridge.sandbox import Exchange, Leg, Sandbox, Side
from telco_bridge.sandbox.voices import Spoken

from .sounds import strength

EXAMPLES = Path(__file__).parent.parent / "examples"
SPEAKS, SILENT = "+15550106", "+15550100"
RATE = 8000


@pytest.fixture(scope="module")
def network() -> Iterator[Sandbox]:
    """A network whose speaking number says what the test lets it say."""
    with Sandbox("signalwire", exchange=Exchange(name="examples", speed=20)) as sandbox:
        profiles = {name: sandbox.profile(name) for name in ("simulator", "signalwire")}
        variables = {
            key: value for name in profiles for key, value in cli_examples.exported(name, profiles[name]).items()
        }
        with cli_examples.environment(variables):
            yield sandbox


@pytest.fixture(params=["simulator", "signalwire"])
def bridge(network: Sandbox, request: pytest.FixtureRequest) -> Bridge:
    """Not entered yet: to the provider of that profile, by the configuration that the examples read."""
    return connect(EXAMPLES / "telco.toml", profile=str(request.param))


def example(name: str) -> ModuleType:
    specification = importlib.util.spec_from_file_location(f"example_{name}", EXAMPLES / f"{name}.py")
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def said_by(path: Path) -> bytes:
    """What a WAV file says, at 8000 Hz."""
    voice = Spoken.read(path)
    with wave.open(str(path)) as file:
        seconds = file.getnframes() / file.getframerate()
    return voice.pcm(0, round(seconds * RATE), RATE)


def found(piece: bytes, heard: bytes) -> tuple[float, float]:
    """Where a piece is heard, in seconds from the beginning, and how much what is heard there is like it (1: equal)."""
    wanted, whole = (np.frombuffer(pcm, "<i2").astype(float) for pcm in (piece, heard))
    if len(whole) < len(wanted):
        return 0.0, 0.0
    energy = np.convolve(whole**2, np.ones(len(wanted)), "valid")
    likeness = np.correlate(whole, wanted, "valid") / np.sqrt(np.maximum(energy, 1) * np.sum(wanted**2))
    best = int(np.argmax(likeness))
    return best / RATE, float(likeness[best])


def seconds(pcm: bytes, begin: float, end: float) -> bytes:
    return pcm[2 * round(begin * RATE) : 2 * round(end * RATE)]


def last(network: Sandbox) -> Leg:
    """The network's end of the call that was cleared last."""
    return network.exchange.cleared[-1]


async def when_listening(network: Sandbox, do: Callable[[Leg], None]) -> None:
    """Do something at the far end of the only call there is, when it has heard 400 ms."""
    while not (legs := list(network.exchange.legs.values())):  # noqa: ASYNC110 - the network tells threads, not loops
        await anyio.sleep(0.01)
    assert await to_thread.run_sync(partial(legs[0].ear.wait_for, 0.4))
    do(legs[0])


# Echo -------------------------------------------------------------------------------------------------------------


async def test_echo_says_what_was_said_half_a_second_later(network: Sandbox, bridge: Bridge, speech: Path) -> None:
    network.exchange.voice = Spoken.read(speech)
    async with bridge:
        stats = await example("echo").echo(bridge, SPEAKS, seconds=2.5)

    leg = last(network)
    place, like = found(seconds(said_by(speech), 0.8, 1.6), leg.ear.pcm(rate=RATE))
    assert like > 0.9
    assert leg.answered_at is not None
    later = leg.ear.pieces[0].at + place - (leg.answered_at + 0.8)
    assert 0.45 < later < 0.9, later
    assert (stats.gaps, stats.dropped, stats.underruns) == (0, 0, 0)


async def test_echo_ends_when_they_hang_up(network: Sandbox, bridge: Bridge) -> None:
    with anyio.fail_after(20):
        async with bridge, anyio.create_task_group() as tasks:
            tasks.start_soon(when_listening, network, lambda leg: leg.hang_up(by=leg.far))
            await example("echo").echo(bridge, SPEAKS, seconds=60)

    clearing = last(network).clearing
    assert clearing is not None
    assert clearing.by is Side.CALLEE


# Record -----------------------------------------------------------------------------------------------------------


async def test_record_has_them_on_the_left_and_the_beep_on_the_right(
    network: Sandbox, bridge: Bridge, speech: Path, tmp_path: Path
) -> None:
    network.exchange.voice = Spoken.read(speech)
    path = tmp_path / "call.wav"
    async with bridge:
        length = await example("record").record(bridge, SPEAKS, path=path, seconds=1.5)

    left, right = sides(path)
    assert len(left) == len(right) == 2 * round(length * RATE)
    assert found(seconds(said_by(speech), 0.5, 1.5), left)[1] > 0.9
    beep = example("record").BEEP
    assert found(seconds(beep, 0, 0.4), right)[1] > 0.9
    assert strength(last(network).ear.pcm(rate=RATE), RATE, 1000) > 0.9


async def test_record_plays_a_spoken_prompt(network: Sandbox, bridge: Bridge, speech: Path, tmp_path: Path) -> None:
    path = tmp_path / "call.wav"
    async with bridge:
        await example("record").record(bridge, SILENT, path=path, prompt=speech, seconds=0.2)

    said = said_by(speech)
    for heard in (last(network).ear.pcm(rate=RATE), sides(path)[1]):
        assert found(seconds(said, 0.5, 1.5), heard)[1] > 0.9
        assert found(seconds(said, 3.0, 4.0), heard)[1] > 0.9


def sides(path: Path) -> tuple[bytes, bytes]:
    with wave.open(str(path)) as file:
        assert (file.getnchannels(), file.getframerate(), file.getsampwidth()) == (2, RATE, 2)
        both = array("h", file.readframes(file.getnframes()))
    return both[::2].tobytes(), both[1::2].tobytes()


# Barging in -------------------------------------------------------------------------------------------------------


async def test_the_prompt_is_cut_off_when_they_speak(network: Sandbox, bridge: Bridge, speech: Path) -> None:
    module = example("barge_in")
    network.exchange.voice = Spoken(bytes(2 * RATE) + module.tone(440, 5), rate=RATE)
    async with bridge:
        told = await module.barge_in(bridge, SPEAKS, prompt=speech)

    ear = last(network).ear
    assert not told.complete
    assert 700 < told.milliseconds < 1500
    # They heard the beginning of it, as much as is said, and then nothing but the goodbye.
    assert found(seconds(said_by(speech), 0.1, 0.6), ear.pcm(rate=RATE))[1] > 0.9
    assert abs(ear.seconds - told.milliseconds / 1000 - 0.5) < 0.1
    assert strength(seconds(ear.pcm(rate=RATE), ear.seconds - 0.45, ear.seconds), RATE, 900) > 0.9


async def test_the_prompt_is_cut_off_when_they_press_a_key(network: Sandbox, bridge: Bridge, capsys) -> None:
    async with bridge, anyio.create_task_group() as tasks:
        tasks.start_soon(when_listening, network, lambda leg: leg.press("5", by=leg.far))
        told = await example("barge_in").barge_in(bridge, SILENT)

    assert not told.complete
    assert 350 < told.milliseconds < 1500
    assert "they pressed 5\n" in capsys.readouterr().out
    assert strength(last(network).ear.pcm(rate=RATE)[-2 * 3600 :], RATE, 900) > 0.9


async def test_nobody_who_listens_is_cut_off(network: Sandbox, bridge: Bridge) -> None:
    module = example("barge_in")
    async with bridge:
        told = await module.barge_in(bridge, SILENT, prompt=module.tone(600, 0.6))

    assert (told.complete, round(told.milliseconds), told.by) == (True, 600, HeardBy.MARK)
    assert abs(last(network).ear.seconds - 1.1) < 0.02


async def test_a_goodbye_to_somebody_who_has_gone_is_no_error(network: Sandbox, bridge: Bridge) -> None:
    async with bridge, anyio.create_task_group() as tasks:
        tasks.start_soon(when_listening, network, lambda leg: leg.hang_up(by=leg.far))
        told = await example("barge_in").barge_in(bridge, SILENT)

    assert not told.complete
    assert last(network).ear.seconds < 9


# As programs ------------------------------------------------------------------------------------------------------


PROGRAMS = {
    "echo": r"dial \+15550106\naudio flows both ways, pcm16 at 8000 Hz on the wire\n"
    r"\d+ frames heard, 0 missing; \d+ sent, the silence included\nthe call ended: normal\n",
    "record": r"dial \+15550106\nthey heard 500 ms of the prompt, by the mark\n"
    r"2\.\d s are in call\.wav, 0 frames are missing\n",
    "barge_in": r"they spoke, 1\d\d\d ms after the audio began\nthey heard 1\d\d\d ms of the prompt\n",
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_the_example_runs_on_the_simulator_as_it_is(name: str, tmp_path: Path) -> None:
    environment = {key: value for key, value in os.environ.items() if not key.startswith("TELCO_")}
    ran = subprocess.run(
        [sys.executable, "-W", "error", str(EXAMPLES / f"{name}.py")],
        cwd=tmp_path, env=environment, capture_output=True, text=True, check=False, timeout=50,
    )  # fmt: skip

    assert ran.returncode == 0, ran.stderr
    assert ran.stderr == ""
    assert re.fullmatch(PROGRAMS[name], ran.stdout), ran.stdout
