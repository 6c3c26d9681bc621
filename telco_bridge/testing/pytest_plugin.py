"""Loaded by `pytest -p telco_bridge.testing.pytest_plugin`: prints the certificate, and writes it with `--certificate`.

It works with pytest-xdist too: results travel with the reports of the tests.
"""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    import pytest

    from .certificate import Certificate, Outcome

__all__: list[str] = []


def pytest_addoption(parser: pytest.Parser) -> None:
    """Offer `--certificate`."""
    group = parser.getgroup("telco_bridge")
    group.addoption(
        "--certificate",
        metavar="DIR",
        default=None,
        help="write each provider's certificate into this folder, as NAME.json and NAME.md",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Listen to the tests, in the process that reports them."""
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(_Registrar(config), "telco_bridge.certificates")


class _Registrar:
    def __init__(self, config: pytest.Config) -> None:
        self._folder = cast("str | None", config.getoption("--certificate"))
        self._subjects: dict[str, dict[str, object]] = {}
        self._outcomes: defaultdict[tuple[str, str], list[tuple[Outcome, str]]] = defaultdict(list)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        from .certificate import Outcome
        from .promises import PROPERTY

        for name, value in report.user_properties:
            if name != PROPERTY:
                continue
            told = cast("dict[str, object]", json.loads(str(value)))
            title, promise = str(told["title"]), str(told.pop("promise"))
            backends = cast("list[str]", self._subjects.get(title, told).get("backends"))
            self._subjects[title] = told
            told["backends"] = sorted({*backends, *cast("list[str]", told["backends"])})
            if report.failed:
                outcome: tuple[Outcome, str] = (Outcome.BROKEN, _last_line(report))
            elif report.skipped:
                outcome = (Outcome.NOT_APPLICABLE, _why(report))
            elif report.when == "call":
                outcome = (Outcome.KEPT, "")
            else:
                continue
            self._outcomes[title, promise].append(outcome)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        for certificate in self._certificates():
            terminalreporter.section(f"certificate of {certificate.title}", sep="-")
            terminalreporter.write_line(certificate.summary)
            for result in certificate.results:
                if result.outcome != "kept":
                    terminalreporter.write_line(f"  {result.outcome}: {result.promise.sentence} {result.why}".rstrip())

    def pytest_sessionfinish(self) -> None:
        if self._folder is None:
            return
        folder = Path(self._folder)
        for certificate in self._certificates():
            folder.mkdir(parents=True, exist_ok=True)
            (folder / f"{certificate.title}.json").write_text(certificate.as_json(), encoding="utf-8")
            (folder / f"{certificate.title}.md").write_text(certificate.as_markdown(), encoding="utf-8")

    def _certificates(self) -> list[Certificate]:
        if not self._subjects:
            return []
        from ..capabilities import Capability, Support, SupportLevel
        from .certificate import Certificate, combined
        from .contract import ProviderContract
        from .promises import promises_of

        def made(title: str, told: dict[str, object]) -> Certificate:
            support = cast("dict[str, list[str]]", told["support"])
            return Certificate(
                title=title,
                provider=str(told["provider"]),
                versions=cast("dict[str, str]", told["versions"]),
                backends=tuple(cast("list[str]", told["backends"])),
                support={Capability(c): Support(SupportLevel(level), note) for c, (level, note) in support.items()},
                results=tuple(
                    combined(promise, self._outcomes.get((title, promise.name), ()))
                    for promise in promises_of(ProviderContract)
                ),
            )

        return [made(title, told) for title, told in sorted(self._subjects.items())]


def _last_line(report: pytest.TestReport) -> str:
    crash = getattr(report.longrepr, "reprcrash", None)
    message = str(getattr(crash, "message", ""))
    # A broken promise is told in its own line, and how it was broken in the next.
    return (message.partition("\n  ")[2] or message).partition("\n")[0]


def _why(report: pytest.TestReport) -> str:
    text = report.longrepr[2] if isinstance(report.longrepr, tuple) else ""
    return text.removeprefix("Skipped: ").removeprefix("not applicable: ")
