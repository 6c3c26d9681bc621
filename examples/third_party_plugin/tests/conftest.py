"""What the tests of real calls ask for: the programs, the network, and a way to connect."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator

import pytest

from telco_bridge_baresip.plugin import telco_bridge_provider

from .network import SipNetwork

_PROGRAMS = {"baresip": "baresip-core", "sipp": "sip-tester"}
_IMPATIENT = {"confirm_timeout": 4.0, "close_timeout": 4.0, "cause_grace": 0.5, "reads_per_second": 50.0}


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    """Every async test runs on both."""
    return str(request.param)


@pytest.fixture(scope="session")
def programs() -> None:
    """Skip where baresip or sipp is missing; in CI, where they are to be there, that is a failure."""
    missing = {program: package for program, package in _PROGRAMS.items() if shutil.which(program) is None}
    if not missing:
        return
    why = f"real calls need {' and '.join(missing)}: run `make packages` (Debian: {' '.join(missing.values())})"
    if os.environ.get("CI", "").lower() in ("", "0", "false"):
        pytest.skip(why)
    pytest.fail(why)


@pytest.fixture(scope="session")
def sip_network(programs: None) -> Iterator[SipNetwork]:
    """The one network of this session."""
    with SipNetwork() as network:
        yield network


@pytest.fixture
def network(sip_network: SipNetwork) -> Iterator[SipNetwork]:
    """The network, with no call in it."""
    sip_network.begin()
    yield sip_network
    sip_network.begin()


@pytest.fixture
def settings() -> dict[str, object]:
    """Settings of a bridge with a baresip of its own."""
    return {"provider": telco_bridge_provider(), "lifecycle": _IMPATIENT, "start_timeout": 5.0}
