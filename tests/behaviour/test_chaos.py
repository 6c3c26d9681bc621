"""Every trouble at once, by chance: each call ends once, as it did in the network, and none is dialled twice."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "chaos.py"
HURRIED = {"confirm_timeout": 2.0, "close_timeout": 3.0, "orphan_after": 5.0}


@pytest.fixture
def chaos(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    spec = importlib.util.spec_from_file_location("chaos", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "chaos", module)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "LIFECYCLE", {**module.LIFECYCLE, **HURRIED})
    return module


async def test_in_bad_weather_every_call_ends_once_and_truly(chaos: ModuleType) -> None:
    report = await chaos.run(150, rate=0.05, seed=6, patience=6.0, late=10.0)

    assert report.violations == []
    assert report.placed <= len(report.told)
    assert len(report.faults) > 15
