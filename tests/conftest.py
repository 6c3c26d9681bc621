"""What every test can ask for: both event loops, and a phone network."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from telco_bridge.sandbox import Sandbox


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    """Every async test runs on both."""
    return str(request.param)


@pytest.fixture(scope="session")
def sandbox() -> Iterator[Sandbox]:
    """One network with both emulators in front of it, twenty times as fast as the world."""
    with Sandbox("ucwa", "signalwire", speed=20) as network:
        yield network
