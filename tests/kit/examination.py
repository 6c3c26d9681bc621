"""Running the whole kit on one provider, inside a test."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from telco_bridge.testing import Harness, Trouble

from .line import WIRE_FAULTS, LineHarness, Plugin, let_talk, network

SUBJECT = Path(__file__).with_name("subject.py")

ALONE = [
    *("-c", os.devnull, f"--rootdir={SUBJECT.parent}", "--noconftest", "--import-mode=importlib", "--capture=no"),
    *("--strict-markers", "-W", "error", "-W", "ignore::pytest.PytestAssertRewriteWarning"),
    *(f"-pno:{name}" for name in ("cacheprovider", "faulthandler", "timeout", "xdist", "doctest", "terminal")),
    *("-p", "telco_bridge.testing.pytest_plugin"),
    # What nobody raises is for the pytest that runs us to hear.
    *("-pno:unraisableexception", "-pno:threadexception"),
]
"""Of the pytest that runs us, and of its settings, the one that is run sees nothing."""


@dataclass
class Verdict:
    """What became of the promises of one provider: their names, and what was said of the broken and the skipped.

    `document` and `page` are the certificate; both are empty where nothing was run.
    """

    kept: set[str] = field(default_factory=set)
    broken: dict[str, str] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)
    status: int = 0
    document: str = ""
    page: str = ""

    @property
    def certificate(self) -> dict[str, Any]:
        """The certificate, read."""
        return json.loads(self.document)


class _Examiner:
    """Brings the provider to the test class, and listens to what becomes of it."""

    def __init__(self, harness: LineHarness) -> None:
        self._harness = harness
        self.verdict = Verdict()

    @pytest.fixture
    def subject(self) -> Harness:
        return self._harness

    def pytest_runtest_setup(self, item: pytest.Function) -> None:
        # Where something is to go wrong between the answer and the end, there must be time for it.
        lost = Trouble.EVENTS_LOST in item.function.promise.troubles
        let_talk(self._harness.sandbox.exchange, 60.0 if lost else 4.0)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        promise = report.nodeid.rpartition("::")[2].partition("[")[0]
        if report.failed:
            self.verdict.broken[promise] = report.longreprtext
        elif report.skipped:
            self.verdict.skipped[promise] = str(report.longrepr)
        elif report.when == "call":
            self.verdict.kept.add(promise)


def examine(
    plugin: Plugin,
    *options: str,
    title: str = "line",
    impossible: Mapping[Trouble, str] | None = None,
    makes_all: bool = True,
) -> Verdict:
    """Run the kit on the provider, or only what `options` select, and tell what became of its promises.

    Of the troubles those that are `impossible` are declared to be. `makes_all` is whether the harness can make them.
    """
    with (
        network() as exchange,
        LineHarness(plugin, exchange, title=title, impossible=impossible) as harness,
        TemporaryDirectory() as folder,
    ):
        if not makes_all:
            exchange.faults.known -= WIRE_FAULTS
        examiner = _Examiner(harness)
        verdict = examiner.verdict
        verdict.status = pytest.main([str(SUBJECT), *ALONE, f"--certificate={folder}", *options], plugins=[examiner])
        if (written := Path(folder, f"{title}.json")).exists():
            verdict.document = written.read_text(encoding="utf-8")
            verdict.page = written.with_suffix(".md").read_text(encoding="utf-8")
    verdict.kept -= verdict.broken.keys()
    return verdict
