"""The certificate says what was proved, and nothing that was not."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from telco_bridge.provider import Capability, Support, SupportLevel
from telco_bridge.testing import Certificate, Level, Outcome, ProviderContract, Result, Trouble, promises_of

from .examination import Verdict, examine
from .line import line_of
from .wrong import WRONG

ROOT = Path(__file__).parent.parent.parent
PLUGINS = {wrong.name: wrong.plugin for wrong in WRONG}
PROMISES = promises_of(ProviderContract)

Certified = dict[str, Any]


def outcomes(certificate: Certified, outcome: str) -> set[str]:
    return {promise["name"] for promise in certificate["promises"] if promise["outcome"] == outcome}


@pytest.fixture(scope="module")
def first() -> Verdict:
    return examine(line_of())


@pytest.fixture
def right(first: Verdict) -> Certified:
    return first.certificate


# A right provider


def test_it_names_the_set_up_the_versions_and_the_event_loops(right: Certified) -> None:
    assert (right["title"], right["provider"], right["backends"]) == ("line", "line", ["asyncio"])
    assert right["versions"]["contract"] == "1"
    assert set(right["versions"]) == {"telco-bridge", "contract"}


def test_it_lists_every_promise_in_order_with_its_sentence_and_level(right: Certified) -> None:
    listed = [(p["name"], p["sentence"], p["level"]) for p in right["promises"]]

    assert listed == [(p.name, p.sentence, p.level) for p in PROMISES]


def test_a_provider_that_keeps_everything_has_every_level(right: Certified) -> None:
    assert right["levels"] == ["basic", "media", "inbound", "full"]
    assert outcomes(right, "kept") == {promise.name for promise in PROMISES}
    assert {promise["why"] for promise in right["promises"]} == {""}


def test_every_capability_stands_there_with_its_level_and_whether_it_was_seen(right: Certified) -> None:
    support = line_of().support

    assert {name: (s["level"], s["note"]) for name, s in right["support"].items()} == {
        capability: (s.level, s.note) for capability, s in support.items()
    }
    assert not [name for name, s in right["support"].items() if s["observed"] is False]
    assert right["support"]["dial"]["observed"]
    assert right["support"]["start_screen"]["observed"], "it was seen to be refused"


def test_a_second_run_gives_the_same_bytes(first: Verdict) -> None:
    again = examine(line_of())

    assert (again.document, again.page) == (first.document, first.page)


def test_the_page_says_the_same_as_the_document(first: Verdict) -> None:
    headline, *lines = first.page.splitlines()
    assert headline == f"# line: basic, media, inbound, full ({len(PROMISES)} kept)"
    assert [line for line in lines if line.startswith("| ✓ | ")] == [
        f"| ✓ | {promise.sentence} |  |"
        for level in ("basic", "media", "inbound", "full")
        for promise in PROMISES
        if promise.level == level
    ]
    assert "| dial | full | ✓ |  |" in lines
    assert "| start screen | provider cannot | ✓ |  |" in lines
    assert "| ring timeout | emulated | ✓ | the bridge hangs up |" in lines


# Wrong ones


def test_how_a_promise_was_broken_is_told_in_one_line() -> None:
    verdict = examine(PLUGINS["ignores_the_ring_timeout"], "-k", "ring_timeout")

    broken = next(promise for promise in verdict.certificate["promises"] if promise["outcome"] == "broken")
    assert broken["why"] == "(not in time: the patience is 4 s)"
    assert f"| ✗ | {broken['sentence']} | (not in time: the patience is 4 s) |" in verdict.page


def test_a_broken_ability_is_not_seen_and_the_way_to_it_is() -> None:
    verdict = examine(PLUGINS["SwallowsTheHash"])

    support = verdict.certificate["support"]
    assert [name for name, s in support.items() if s["observed"] is False] == ["send_digits"]
    assert "| send digits | full | ✗ |  |" in verdict.page


def test_what_is_done_although_it_is_not_declared_is_seen() -> None:
    support = examine(PLUGINS["SendsWhatItCannot"]).certificate["support"]

    assert support["start_screen"]["observed"] is False
    assert support["dial"]["observed"] is True


# What was not proved


def test_what_was_not_run_is_not_proved() -> None:
    certificate = examine(line_of(), "-k", "test_live_calls_are_listed").certificate

    assert certificate["levels"] == []
    assert outcomes(certificate, "kept") == {"test_live_calls_are_listed"}
    assert outcomes(certificate, "not run") == {promise.name for promise in PROMISES} - {"test_live_calls_are_listed"}
    assert certificate["support"]["start_screen"]["observed"] is None


def test_what_does_not_apply_says_why_and_costs_no_level() -> None:
    line = line_of()
    cannot = {Capability.HEAR_DIGITS: Support(SupportLevel.PROVIDER_CANNOT, "it is deaf")}
    impossible = {Trouble.EVENT_FORGED: "the line | is sealed"}

    verdict = examine(replace(line, support={**line.support, **cannot}), impossible=impossible)

    certificate = verdict.certificate
    assert certificate["levels"] == ["basic", "media", "inbound", "full"]
    why = {p["name"]: p["why"] for p in certificate["promises"] if p["outcome"] == "not applicable"}
    assert why == {
        "test_digits_of_the_far_end_are_told": "hear_digits is provider_cannot",
        "test_a_forged_event_is_not_believed": "event_forged cannot happen: the line | is sealed",
    }
    assert "| event_forged cannot happen: the line \\| is sealed |" in verdict.page


def of_a_provider_that_kept_everything(support: dict[Capability, Support]) -> Certificate:
    return Certificate(
        title="line",
        provider="line",
        versions={},
        backends=("asyncio",),
        support=support,
        results=tuple(Result(promise, Outcome.KEPT) for promise in PROMISES),
    )


@pytest.mark.parametrize(
    ("missing", "lost"),
    [
        (Capability.START_AUDIO, {"media"}),
        (Capability.STOP_AUDIO, {"media"}),
        (Capability.ANSWER, {"inbound"}),
        (Capability.REJECT, {"inbound"}),
        (Capability.DIAL, set(Level)),
        (Capability.HANG_UP, set(Level)),
    ],
)
def test_a_level_needs_what_it_is_about(missing: Capability, lost: set[str]) -> None:
    cannot = {**line_of().support, missing: Support(SupportLevel.PROVIDER_CANNOT)}
    undeclared = {capability: s for capability, s in cannot.items() if capability is not missing}

    for support in (cannot, undeclared):
        certificate = of_a_provider_that_kept_everything(support)
        assert set(certificate.levels) - {"full"} == set(Level) - lost - {"full"}


@pytest.mark.parametrize("unfinished", [SupportLevel.NOT_IMPLEMENTED, SupportLevel.UNKNOWN])
def test_nobody_is_complete_who_has_not_written_everything(unfinished: SupportLevel) -> None:
    support = {**line_of().support, Capability.STOP_SCREEN: Support(unfinished)}

    assert of_a_provider_that_kept_everything(support).levels == ("basic", "media", "inbound")


# Where it goes


AUTHORS_TEST = """
import pytest
from telco_bridge.testing import ProviderContract
from tests.kit.line import LineHarness, line_of, network


class TestLine(ProviderContract):
    @pytest.fixture
    def harness(self):
        with network() as exchange, LineHarness(line_of(), exchange) as harness:
            yield harness

    @pytest.fixture(params=["asyncio"])
    def anyio_backend(self, request):
        return request.param
"""


def run_pytest(folder: Path, *options: str) -> str:
    """Run pytest in a process of its own, as an author does; return what it prints."""
    (folder / "test_line.py").write_text(AUTHORS_TEST)
    (folder / "pytest.ini").write_text("[pytest]\nfilterwarnings = error\n")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    command = [sys.executable, "-m", "pytest", "-p", "telco_bridge.testing.pytest_plugin", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [*command, *options],
        cwd=folder,
        env={**environment, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout + done.stderr


def test_it_is_printed_and_nothing_is_written_unasked(tmp_path: Path) -> None:
    said = run_pytest(tmp_path, "-q", "-k", "test_every_capability_is_declared")

    assert "certificate of line" in said
    assert f"no level (1 kept, {len(PROMISES) - 1} not run)" in said
    assert {path.name for path in tmp_path.iterdir()} <= {"test_line.py", "pytest.ini", "__pycache__"}


def test_xdist_changes_no_byte_of_it(tmp_path: Path, first: Verdict) -> None:
    said = run_pytest(tmp_path, "-q", "-n", "2", "--certificate=proof")

    assert f"basic, media, inbound, full ({len(PROMISES)} kept)" in said
    assert {path.name for path in (tmp_path / "proof").iterdir()} == {"line.json", "line.md"}
    assert (tmp_path / "proof" / "line.json").read_text(encoding="utf-8") == first.document
    assert (tmp_path / "proof" / "line.md").read_text(encoding="utf-8") == first.page


def test_without_a_provider_there_is_none(tmp_path: Path) -> None:
    said = run_pytest(tmp_path, "-q", "--certificate=proof", "-k", "nothing of all that")

    assert "certificate" not in said
    assert not (tmp_path / "proof").exists()


def test_a_level_of_which_nothing_was_proved_is_not_reached_and_neither_is_full() -> None:
    kept = of_a_provider_that_kept_everything({**line_of().support})
    lacking = replace(
        kept,
        results=tuple(
            Result(r.promise, Outcome.NOT_APPLICABLE if r.promise.level is Level.INBOUND else r.outcome)
            for r in kept.results
        ),
    )

    assert kept.levels == tuple(Level)
    assert lacking.levels == (Level.BASIC, Level.MEDIA)
