"""The certificate that is shipped is that of this plugin: its table of support, the kit's promises, nothing broken."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, cast

import pytest
from telco_bridge.testing import ProviderContract, promises_of

from telco_bridge_baresip.plugin import telco_bridge_provider

FOLDER = Path(__file__).parent.parent / "certificate"
STALE = "run `pytest tests/test_contract.py --certificate=certificate`"


@pytest.fixture
def certificate() -> dict[str, Any]:
    return cast("dict[str, Any]", json.loads((FOLDER / "baresip.json").read_text(encoding="utf-8")))


def test_it_is_there_for_programs_and_for_people() -> None:
    assert sorted(path.name for path in FOLDER.glob("*")) == ["baresip.json", "baresip.md"], STALE


def test_it_is_about_the_promises_of_this_kit(certificate: dict[str, Any]) -> None:
    certified = [(p["name"], p["sentence"], p["level"]) for p in certificate["promises"]]

    assert certified == [(p.name, p.sentence, p.level) for p in promises_of(ProviderContract)], STALE


def test_every_promise_is_kept_or_does_not_apply_for_a_reason(certificate: dict[str, Any]) -> None:
    doubtful = [p["name"] for p in certificate["promises"] if p["outcome"] not in ("kept", "not applicable")]

    assert doubtful == []
    assert all(p["why"] for p in certificate["promises"] if p["outcome"] == "not applicable")
    # Not full: baresip can send a REFER, and the plugin does not yet.
    assert certificate["levels"] == ["basic", "inbound"]
    assert certificate["backends"] == ["asyncio", "trio"]


def test_its_support_is_what_the_plugin_declares_and_was_seen(certificate: dict[str, Any]) -> None:
    declared = telco_bridge_provider().support
    certified = {name: (support["level"], support["note"]) for name, support in certificate["support"].items()}

    assert certified == {str(capability): (str(s.level), s.note) for capability, s in declared.items()}, STALE
    assert not [name for name, support in certificate["support"].items() if support["observed"] is False]
