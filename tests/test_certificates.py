"""The certificates in the documentation are those of this code: its promises, its tables of support, nothing broken."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from telco_bridge import _discovery
from telco_bridge.testing import ProviderContract, promises_of

FOLDER = Path(__file__).parent.parent / "docs" / "certificates"
STALE = "run `make certificates`"


@pytest.fixture(params=sorted(path.stem for path in FOLDER.glob("*.json")))
def certificate(request: pytest.FixtureRequest) -> dict:
    return json.loads((FOLDER / f"{request.param}.json").read_text())


def test_every_set_up_that_the_kit_runs_on_has_one() -> None:
    titles = {path.stem for path in FOLDER.glob("*.json")}

    assert titles == {"simulator", "ucwa", "signalwire", "signalwire-polling"}
    assert titles == {path.stem for path in FOLDER.glob("*.md")}


def test_it_is_about_the_promises_of_this_kit(certificate: dict) -> None:
    certified = [(p["name"], p["sentence"], p["level"]) for p in certificate["promises"]]

    assert certified == [(p.name, p.sentence, p.level) for p in promises_of(ProviderContract)], STALE


def test_every_promise_is_kept_or_does_not_apply_for_a_reason(certificate: dict) -> None:
    doubtful = [p["name"] for p in certificate["promises"] if p["outcome"] not in ("kept", "not applicable")]

    assert doubtful == []
    assert all(p["why"] for p in certificate["promises"] if p["outcome"] == "not applicable")
    assert "basic" in certificate["levels"]
    assert certificate["backends"] == ["asyncio", "trio"]


def test_its_support_is_what_the_plugin_declares_and_was_seen(certificate: dict) -> None:
    declared = _discovery.load(certificate["provider"]).support
    certified = {name: (support["level"], support["note"]) for name, support in certificate["support"].items()}

    assert certified == {capability: (s.level, s.note) for capability, s in declared.items()}, STALE
    assert not [name for name, support in certificate["support"].items() if support["observed"] is False]
