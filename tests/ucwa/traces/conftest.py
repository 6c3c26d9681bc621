"""What the traces have in common."""

from __future__ import annotations

import itertools

import pytest


@pytest.fixture
def operation(monkeypatch: pytest.MonkeyPatch) -> str:
    """The operationId of the call that is dialled, which the server has to repeat. Later commands count from sc-41."""
    later = (f"sc-{number}" for number in itertools.count(41))
    monkeypatch.setattr("telco_bridge.bridge.new_id", lambda: "op-7a1")
    monkeypatch.setattr("telco_bridge.call.new_id", lambda: next(later))
    return "op-7a1"
