"""The tutorial for plugin authors: every block of it is written, run, and does what the page says."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "writing-a-plugin.md"
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass
class Author:
    """A reader who does what the page says, in a folder of their own."""

    home: Path
    page: str = field(default_factory=PAGE.read_text)

    def follow(self, step: str) -> list[tuple[str, str]]:
        """Write the files of all steps up to this one; return the blocks of this one that are no files."""
        for heading in re.findall(r"^## (.*)$", self.page, re.MULTILINE):
            rest: list[tuple[str, str]] = []
            section = self.page.partition(f"## {heading}\n")[2]
            for kind, text in BLOCK.findall(re.split(r"^## ", section, maxsplit=1, flags=re.MULTILINE)[0]):
                name = re.match(r"# (\S+\.(?:py|toml))\n", text)
                if name is not None:
                    self._write(name[1], text.partition("\n")[2])
                    rest.append((kind, name[1]))
                elif kind == "diff":
                    self._apply(text)
                else:
                    rest.append((kind, text))
            if heading.startswith(step):
                return rest
        raise LookupError(f"the page has no {step}")

    def install(self) -> None:
        """Be found, as `pip install -e .` would do it."""
        (self.home / "acme" / "__init__.py").touch()
        entry = re.search(r"^acme = \"(.*)\"$", (self.home / "pyproject.toml").read_text(), re.MULTILINE)
        assert entry is not None
        self._write("acme-0.1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: telco-bridge-acme\nVersion: 0.1.0\n")
        self._write("acme-0.1.0.dist-info/entry_points.txt", f"[telco_bridge]\nacme = {entry[1]}\n")

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "PYTHONPATH": str(self.home)}
        return subprocess.run(
            [sys.executable, *command],
            cwd=self.home, env=environment, capture_output=True, text=True, check=False, timeout=100,
        )  # fmt: skip

    def certificate(self) -> dict[str, object]:
        options = ["-q", "-k", "asyncio", "-p", "telco_bridge.testing.pytest_plugin", "--certificate", "."]
        ran = self.run("-m", "pytest", "-c", os.devnull, "--rootdir", ".", "-p", "no:cacheprovider", *options, "tests")
        assert ran.returncode == 0, ran.stdout
        certificate: dict[str, object] = json.loads((self.home / "acme.json").read_text())
        return certificate

    def _write(self, name: str, text: str) -> None:
        path = self.home / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def _apply(self, diff: str) -> None:
        header, *hunks = re.split(r"^@@\n", diff, flags=re.MULTILINE)
        path = self.home / header.removeprefix("--- ").strip()
        text = path.read_text()
        for hunk in hunks:
            lines = hunk.splitlines(keepends=True)
            old = "".join(line[1:] for line in lines if line[0] != "+")
            new = "".join(line[1:] for line in lines if line[0] != "-")
            assert text.count(old) == 1, f"{path.name} does not have, once:\n{old}"
            text = text.replace(old, new)
        path.write_text(text)


@pytest.fixture
def author(tmp_path: Path) -> Author:
    return Author(tmp_path)


def test_the_first_plugin_has_as_many_lines_as_the_page_says(author: Author) -> None:
    author.follow("Step 1: twenty lines")

    code = (author.home / "acme" / "plugin.py").read_text()
    lines = [line for line in code.splitlines() if line and not line.startswith(("from ", "import "))]
    assert len(lines) <= 20


@pytest.mark.parametrize("step", ["Step 1", "Step 2"])
def test_what_is_tried_prints_what_the_page_says(author: Author, step: str) -> None:
    blocks = author.follow(step)
    author.install()
    tried = blocks.index(("python", "try.py"))
    kind, expected = blocks[tried + 1]
    assert kind == "text"

    ran = author.run("try.py")

    assert ran.stdout == expected, ran.stderr


@pytest.mark.timeout(120)
@pytest.mark.parametrize("step", ["Step 2", "Step 3", "Step 4", "Step 5"])
def test_each_step_reaches_the_levels_that_it_promises(author: Author, step: str) -> None:
    promised = [text.strip() for kind, text in author.follow(step) if kind == "certificate"]
    author.install()

    certificate = author.certificate()

    assert promised == [f"{certificate['title']}: {', '.join(certificate['levels'])}"]


def test_the_provider_of_the_page_is_listed(author: Author) -> None:
    author.follow("Step 1")
    author.install()

    listed = author.run("-m", "telco_bridge.cli", "providers").stdout

    assert re.search(r"acme +telco-bridge-acme +0\.1\.0 +✓ ready", listed), listed
