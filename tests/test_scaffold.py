"""`telco-bridge new-plugin`: what it writes works, and what it cannot write it refuses whole."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from typer.testing import CliRunner

from telco_bridge.cli import template
from telco_bridge.cli.app import app

ROOT = Path(__file__).parent.parent

DIAL = """
import anyio
from telco_bridge import connect
from telco_bridge._discovery import check
from telco_bridge.sandbox import Exchange
from telco_bridge.serving import Server
from telco_bridge_zeta.plugin import telco_bridge_provider

plugin = check(telco_bridge_provider(), name="zeta", origin="the generated plugin")
assert "httpx" not in __import__("sys").modules

async def calls(profile):
    async with connect({**profile, "provider": plugin}) as bridge:
        call = await bridge.dial("+15550100")
        await call.answered()
        await call.hangup(note="all said")
        ended = await call.ended()
        print(ended.reason, ended.by, ended.phase)
        ended = await (await bridge.dial("+15550101")).ended()
        print(ended.reason, ended.by, ended.native)

with Exchange(speed=20) as exchange:
    emulator = plugin.emulator(exchange)
    with Server(emulator.app, started=emulator.started, stopped=emulator.stopped):
        anyio.run(calls, emulator.profile())
"""


def run(*arguments: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, ["new-plugin", *arguments], prog_name="telco-bridge")
    return result.exit_code, result.stdout, result.stderr


def python(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run Python where the generated distribution is importable, and found, as if it were installed."""
    metadata = folder / "telco_bridge_zeta-0.1.0.dist-info"
    metadata.mkdir(exist_ok=True)
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: telco-bridge-zeta\nVersion: 0.1.0\n")
    (metadata / "entry_points.txt").write_text("[telco_bridge]\nzeta = telco_bridge_zeta.plugin\n")
    path = os.pathsep.join([str(folder), *filter(None, [os.environ.get("PYTHONPATH")])])
    environment = {**os.environ, "PYTHONPATH": path}
    return subprocess.run(
        [sys.executable, *arguments], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


@pytest.fixture(scope="module")
def zeta(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A freshly generated distribution."""
    return template.write("zeta", tmp_path_factory.mktemp("made"))


def texts(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}


def test_it_tells_what_it_wrote_and_what_to_do_next(tmp_path: Path) -> None:
    code, output, _ = run("two_words", "--into", str(tmp_path))

    folder = tmp_path / "telco-bridge-two-words"
    lines = [line.strip() for line in output.splitlines()]
    assert code == 0
    assert set(texts(folder)) <= set(lines)
    assert lines[-3:] == [f"cd {folder}", "python -m pip install -e '.[testing]'", "python -m pytest"]
    assert [path.name for path in tmp_path.iterdir()] == [folder.name]


def test_it_writes_here_by_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    assert run("zeta")[0] == 0
    assert (tmp_path / "telco-bridge-zeta" / "pyproject.toml").is_file()


@pytest.mark.parametrize("name", ["zeta", "two_words", "x9"])
def test_nothing_of_the_templates_name_is_left(tmp_path: Path, name: str) -> None:
    folder = template.write(name, tmp_path)

    assert [where for where, text in texts(folder).items() if "acme" in (where + text).lower()] == []


def test_every_form_of_the_name_is_the_right_one(tmp_path: Path) -> None:
    folder = template.write("two_words", tmp_path)
    project = tomllib.loads((folder / "pyproject.toml").read_text())

    assert project["project"]["name"] == "telco-bridge-two-words"
    assert project["project"]["entry-points"]["telco_bridge"] == {"two_words": "telco_bridge_two_words.plugin"}
    assert "class TwoWordsConfig(BaseModel)" in (folder / "telco_bridge_two_words" / "config.py").read_text()
    assert "TWO_WORDS_KEY" in (folder / "README.md").read_text()
    assert "https://api.two-words.example" in (folder / "README.md").read_text()


def test_it_asks_for_this_version_of_the_library() -> None:
    ours = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    theirs = tomllib.loads((template.FOLDER / "pyproject.toml").read_text())["project"]
    major, minor, *_ = ours["version"].split(".")

    assert f"telco-bridge>={major}.{minor},<{major}.{int(minor) + 1}" in theirs["dependencies"]
    assert theirs["requires-python"] == ours["requires-python"]


def test_it_is_exactly_the_files_of_the_template(zeta: Path) -> None:
    kept = {
        str(path.relative_to(template.FOLDER)).replace("acme", "zeta")
        for path in template.FOLDER.rglob("*")
        if path.is_file() and "cache" not in str(path)
    }

    assert {name for name in texts(zeta) if "cache" not in name and "dist-info" not in name} == kept


@pytest.mark.parametrize(
    "name", ["", "Acme", "9lives", "two-words", "two words", "_x", "x_", "a__b", "x.y", "../x", "ümlaut"]
)
def test_a_name_that_cannot_be_is_refused(tmp_path: Path, name: str) -> None:
    code, output, error = run("--into", str(tmp_path), "--", name)

    assert (code, output) == (2, "")
    assert error.startswith(f"telco-bridge: {name!r} cannot be a provider's name: ")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["ucwa", "signalwire", "simulator"])
def test_a_name_that_is_installed_is_refused(tmp_path: Path, name: str) -> None:
    code, _, error = run(name, "--into", str(tmp_path))

    assert code == 2
    assert f"provider {name!r} is there already, in telco-bridge " in error


def test_a_name_that_hides_the_librarys_own_is_refused(tmp_path: Path) -> None:
    assert run("provider", "--into", str(tmp_path))[0] == 2


@pytest.mark.parametrize("kind", ["folder", "file", "broken link"])
def test_nothing_is_overwritten(tmp_path: Path, kind: str) -> None:
    there = tmp_path / "telco-bridge-zeta"
    match kind:
        case "folder":
            there.mkdir()
        case "file":
            there.write_text("mine")
        case _:
            there.symlink_to(tmp_path / "nowhere")

    code, _, error = run("zeta", "--into", str(tmp_path))

    assert code == 2
    assert f"{there} is there already" in error
    assert not there.is_dir() or list(there.iterdir()) == []
    assert [path.name for path in tmp_path.iterdir()] == ["telco-bridge-zeta"]


def test_a_folder_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    code, _, error = run("zeta", "--into", str(tmp_path / "none"))

    assert code == 2
    assert "is no folder" in error
    assert list(tmp_path.iterdir()) == []


def test_an_error_half_way_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write, written = Path.write_text, []

    def full(self: Path, text: str, encoding: str | None = None) -> int:
        if len(written) == 3:
            raise OSError(28, "No space left on device")
        written.append(self)
        return write(self, text, encoding=encoding)

    monkeypatch.setattr(Path, "write_text", full)

    code, _, error = run("zeta", "--into", str(tmp_path))

    assert code == 2
    assert "No space left on device" in error
    assert len(written) == 3
    assert list(tmp_path.iterdir()) == []


def test_it_passes_the_linter(zeta: Path) -> None:
    sources = json.dumps([str(ROOT), str(zeta)])
    options = ("--config", str(ROOT / "pyproject.toml"), "--config", f"src = {sources}", "--no-cache")
    tests = ("--per-file-ignores", "test_*.py:INP", "--per-file-ignores", "test_*.py:S101")
    linter = [sys.executable, "-m", "ruff"]

    checked = subprocess.run(
        [*linter, "check", *options, *tests, str(zeta)], capture_output=True, text=True, check=False
    )
    formatted = subprocess.run(
        [*linter, "format", "--check", *options, str(zeta)], capture_output=True, text=True, check=False
    )

    if "No module named" in checked.stderr:
        pytest.skip("ruff is not installed")
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert formatted.returncode == 0, formatted.stdout + formatted.stderr


def test_its_plugin_is_accepted_and_calls(zeta: Path) -> None:
    done = python(zeta, "-W", "error", "-c", DIAL)

    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["normal application established", "busy remote 486 Busy Here"]


def test_the_program_of_its_readme_compiles(zeta: Path) -> None:
    (program,) = re.findall(r"^```python\n(.*?)^```$", (zeta / "README.md").read_text(), re.DOTALL | re.MULTILINE)
    (settings,) = re.findall(r"^```toml\n(.*?)^```$", (zeta / "README.md").read_text(), re.DOTALL | re.MULTILINE)

    compile(program, "README.md", "exec")
    done = python(
        zeta,
        "-c",
        "import tomllib\n"
        "from telco_bridge_zeta.config import ZetaConfig\n"
        f"settings = tomllib.loads({settings!r})\n"
        "del settings['provider']\n"
        "print(repr(ZetaConfig.model_validate({**settings, 'key': 'hush'})))",
    )
    assert done.returncode == 0, done.stderr
    assert "hush" not in done.stdout


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("base_url", "api.zeta.example"),
        ("base_url", "http://api.zeta.example"),
        ("base_url", "https://me:hush@api.zeta.example"),
        ("key", ""),
        ("timeout", 0),
        ("colour", "red"),
    ],
)
def test_its_settings_are_closed(zeta: Path, setting: str, value: object) -> None:
    settings = {"provider": "zeta", "base_url": "https://api.zeta.example", "key": "k", setting: value}

    done = python(zeta, "-c", f"from telco_bridge import connect\nconnect({settings!r})")

    last = done.stderr.splitlines()[-1]
    assert "ConfigError" in last
    assert setting in last
    assert "hush" not in last


@pytest.mark.timeout(180)
def test_its_tests_pass_and_certify_level_basic(zeta: Path, tmp_path: Path) -> None:
    options = ("-q", "-p", "no:cacheprovider", f"--certificate={tmp_path}", "-k", "not trio")

    done = python(zeta, "-m", "pytest", *options)

    assert done.returncode == 0, done.stdout + done.stderr
    certificate = json.loads((tmp_path / "zeta.json").read_text())
    assert certificate["levels"] == ["basic"]
    assert certificate["versions"]["telco-bridge-zeta"] == "0.1.0"
    assert not [promise for promise in certificate["promises"] if promise["outcome"] in ("broken", "not run")]
