"""Hours on a stepped clock: tokens expire, applications are lost, and no call is lost or left open."""

from __future__ import annotations

import importlib.util
import logging
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "ucwa_soak.py"


@pytest.fixture
def soak(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    spec = importlib.util.spec_from_file_location("ucwa_soak", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "ucwa_soak", module)
    spec.loader.exec_module(module)
    logging.disable(logging.WARNING)
    yield module
    logging.disable(logging.NOTSET)


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_every_call_of_some_hours_ends_once_and_truly(
    soak: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await soak.soak(4.0, 60, 3) == []
    told = capsys.readouterr().out
    assert "60 calls ended, 2 applications lost" in told
    assert "gaps told: 2" in told
