"""What every test can ask for: both event loops, a phone network, and somebody's voice."""

from __future__ import annotations

import math
import os
import shutil
import subprocess
import wave
from array import array
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from telco_bridge.sandbox import Sandbox

# How long an example takes is the machine's business, and says nothing about a promise.
settings.register_profile("telco_bridge", deadline=None)
settings.load_profile("telco_bridge")

SENTENCE = "Good morning. You have reached the night desk, please tell me what I can do for you."


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    """Every async test runs on both."""
    return str(request.param)


@pytest.fixture(scope="session")
def sandbox() -> Iterator[Sandbox]:
    """One network with both emulators in front of it, twenty times as fast as the world."""
    with Sandbox("ucwa", "signalwire", speed=20) as network:
        yield network


@pytest.fixture(scope="session")
def speech(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A WAV file in which somebody speaks for some four seconds; where espeak-ng is not installed, a tone rises."""
    path = tmp_path_factory.mktemp("speech") / "speech.wav"
    espeak = shutil.which("espeak-ng")
    if espeak is not None:
        subprocess.run([espeak, "-v", "en", "-w", str(path), SENTENCE], check=True, timeout=30)
    elif os.environ.get("CI") == "true":
        pytest.fail("espeak-ng is not installed: run `make packages`")
    else:
        with wave.open(str(path), "wb") as file:
            file.setparams((1, 2, 8000, 0, "NONE", "not compressed"))
            file.writeframes(_rising(4.5))
    return path


def _rising(seconds: float) -> bytes:
    """From 300 to 1500 Hz, so that every moment sounds like no other."""
    times = [n / 8000 for n in range(round(8000 * seconds))]
    return array("h", (round(8000 * math.sin(2 * math.pi * (300 + 600 * t / seconds) * t)) for t in times)).tobytes()
