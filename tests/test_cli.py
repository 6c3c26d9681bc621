"""The command line: what it lists, what it refuses, and what it loads to do so."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from typer.testing import CliRunner

from telco_bridge import config
from telco_bridge.cli.app import app
from telco_bridge.sandbox import DIRECTORY

ROOT = Path(__file__).parent.parent


def run(*arguments: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, list(arguments), prog_name="telco-bridge")
    return result.exit_code, result.stdout, result.stderr


def install(folder: Path, distribution: str, version: str, name: str, module: str) -> None:
    """Put the metadata of a distribution there that offers a provider, and no code."""
    metadata = folder / f"{distribution}-{version}.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n")
    (metadata / "entry_points.txt").write_text(f"[telco_bridge]\n{name} = {module}\n")


def row(listing: str, name: str) -> str:
    return next(line for line in listing.splitlines() if line.strip().startswith(f"{name} "))


def test_every_installed_provider_is_listed_as_ready() -> None:
    code, listing, _ = run("providers")

    assert code == 0
    for name in ("simulator", "ucwa", "signalwire"):
        assert "telco-bridge" in row(listing, name)
        assert "✓ ready" in row(listing, name)


def test_a_provider_without_its_code_is_listed_with_the_problem(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path, "acme-phones", "3.1", "acme", "acme_phones_that_is_not_there.plugin")
    monkeypatch.syspath_prepend(str(tmp_path))

    code, listing, _ = run("providers")

    assert code == 0
    assert "acme-phones" in row(listing, "acme")
    assert "3.1" in row(listing, "acme")
    assert "✗ there is no module acme_phones_that_is_not_there" in " ".join(listing.split())
    assert "✓ ready" in row(listing, "simulator")


def test_two_distributions_with_one_name_are_listed_as_a_conflict(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path / "one", "acme-phones", "3.1", "acme", "json")
    install(tmp_path / "two", "other-phones", "0.2", "acme", "json")
    monkeypatch.syspath_prepend(str(tmp_path / "one"))
    monkeypatch.syspath_prepend(str(tmp_path / "two"))

    _, listing, _ = run("providers")
    code, _, error = run("providers", "acme")

    assert "✗ conflict: " in row(listing, "acme")
    assert code == 2
    assert "acme-phones 3.1" in error
    assert "other-phones 0.2" in error


def test_listing_imports_no_plugin_and_no_http() -> None:
    program = (
        "import sys; sys.argv = ['telco-bridge', 'providers']\n"
        "from telco_bridge.cli import main\n"
        "try: main()\n"
        "except SystemExit as end: assert not end.code, end.code\n"
        "names = ('telco_bridge_ucwa', 'telco_bridge_signalwire', 'telco_bridge.sandbox', 'httpx', 'uvicorn')\n"
        "print('loaded:', [name for name in names if name in sys.modules])\n"
    )

    printed = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout

    assert printed.splitlines()[-1] == "loaded: []"


def test_an_unknown_provider_is_one_clear_line_on_standard_error() -> None:
    code, output, error = run("providers", "nope")

    assert code == 2
    assert output == ""
    assert error.count("\n") == 1
    assert error.startswith("telco-bridge: no provider 'nope' is installed; installed are: ")


@pytest.mark.parametrize(
    "command", [("sandbox", "nope"), ("demo", "--provider", "nope"), ("diff", "nope", "ucwa"), ("diff", "ucwa", "nope")]
)
def test_every_command_refuses_an_unknown_provider_alike(command: tuple[str, ...]) -> None:
    code, _, error = run(*command)

    assert code == 2
    assert "no provider 'nope' is installed" in error
    assert "Traceback" not in error


def test_the_settings_of_a_provider_tell_type_default_and_meaning() -> None:
    code, page, _ = run("providers", "signalwire")

    assert code == 0
    assert re.search(r"^ +token +secret +required +An API token", page, re.MULTILINE)
    assert re.search(r"^ +poll_interval +float > 0 +1\.0 +Seconds", page, re.MULTILINE)
    assert re.search(r"^ +web\.listen +text +— +HOST:PORT", page, re.MULTILINE)
    assert re.search(r"^ +lifecycle\.cause_grace +float ≥ 0 +2\.0 ", page, re.MULTILINE)


def test_settings_with_a_choice_tell_it_in_the_words_of_the_file() -> None:
    _, page, _ = run("providers", "ucwa")

    assert re.search(r"^ +audio_preference +VoipAudio ", page, re.MULTILINE)
    assert re.search(r"^ +supported_modalities +list of Audio .* Audio, ", page, re.MULTILINE)
    assert re.search(r"^ +token_source +function or .* — ", page, re.MULTILINE)


def test_the_abilities_of_a_provider_tell_level_and_note() -> None:
    _, page, _ = run("providers", "signalwire")

    assert re.search(r"^ +hang up +● yes +Cancels while", page, re.MULTILINE)
    assert re.search(r"^ +max duration +◐ emulated +The bridge", page, re.MULTILINE)
    assert re.search(r"^ +start video +✕ cannot ", page, re.MULTILINE)


def test_two_providers_are_compared_in_plain_lines_where_there_is_no_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "120")

    code, page, error = run("diff", "ucwa", "signalwire")

    assert (code, error) == (0, "")
    assert page.split()[:5] == ["moving", "from", "ucwa", "to", "signalwire"]
    assert re.search(r"^ +stop reason +yes +cannot +lost", page, re.MULTILINE)
    assert re.search(r"^ +do not disturb +ErrorSubcode: DoNotDisturb +– +lost", page, re.MULTILINE)
    assert "\x1b" not in page


def test_a_comparison_as_markdown_is_all_that_standard_output_gets() -> None:
    code, page, error = run("diff", "signalwire", "ucwa", "--markdown")

    assert (code, error) == (0, "")
    assert page.startswith("# Moving from `signalwire` to `ucwa`\n\n| after moving | abilities |")
    assert page.endswith(" |\n")
    assert re.search(r"^\| stop reason \| cannot \| .+ \| yes \| .+ \| gained \|$", page, re.MULTILINE)


def test_a_provider_is_not_compared_with_itself() -> None:
    code, output, error = run("diff", "ucwa", "ucwa")

    assert (code, output) == (2, "")
    assert error == "telco-bridge: 'ucwa' was named twice: name two providers; `telco-bridge providers` lists them\n"


def test_a_broken_plugin_is_one_clear_line_instead_of_a_comparison(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path, "acme-phones", "3.1", "acme", "acme_phones_that_is_not_there.plugin")
    monkeypatch.syspath_prepend(str(tmp_path))

    code, output, error = run("diff", "acme", "ucwa")

    assert (code, output) == (2, "")
    assert error.startswith(
        "telco-bridge: provider 'acme' of acme-phones 3.1 cannot be imported: ModuleNotFoundError: "
    )
    assert error.count("\n") == 1


def test_without_a_command_the_commands_are_shown() -> None:
    _, output, error = run()

    assert {"providers", "sandbox", "demo", "diff"} <= set((output + error).split())


def test_the_module_runs_like_the_command() -> None:
    command = [sys.executable, "-m", "telco_bridge.cli", "providers", "nope"]

    ended = subprocess.run(command, check=False, capture_output=True, text=True)

    assert ended.returncode == 2
    assert ended.stderr.startswith("telco-bridge: no provider 'nope'")


@pytest.mark.skipif(sys.platform == "win32", reason="Ctrl-C cannot be sent to one process there")
def test_the_sandbox_tells_how_to_reach_it_and_ends_at_ctrl_c() -> None:
    command = [sys.executable, "-m", "telco_bridge.cli", "sandbox", "ucwa", "signalwire", "--speed", "20"]
    lines: list[str] = []

    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            lines.append(line.rstrip())
            if "STREAM_URL" in line:
                break
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=20)

    assert (process.returncode, errors) == (0, "")
    for address in DIRECTORY:
        assert any(address in line for line in lines)


@pytest.mark.skipif(sys.platform == "win32", reason="Ctrl-C cannot be sent to one process there")
def test_the_printed_profile_and_the_printed_environment_lead_to_the_same_place() -> None:
    command = [sys.executable, "-m", "telco_bridge.cli", "sandbox", "signalwire"]
    printed: list[str] = []

    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            printed.append(line)
            if "STREAM_URL" in line:
                break
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=20)

    start = printed.index("[profiles.signalwire]\n")
    document = tomllib.loads("".join(printed[start : printed.index("\n", start)]))
    exports = dict(line.removeprefix("export ").rstrip().split("=", 1) for line in printed if line.startswith("export"))
    example = ROOT / "examples" / "telco.toml"
    assert config.load(document).options == config.load(example, profile="signalwire", environ=exports).options
    assert config.load(document).web.listen == "127.0.0.1:0"


@pytest.mark.skipif(sys.platform == "win32", reason="Ctrl-C cannot be sent to one process there")
def test_the_sandbox_shows_what_goes_over_the_wire() -> None:
    program = (
        "import sys, anyio\n"
        "from telco_bridge import connect\n"
        "async def main():\n"
        "    async with connect('examples/telco.toml', profile='ucwa') as bridge:\n"
        "        async with await bridge.dial('+15550100') as call: await call.answered()\n"
        "anyio.run(main)\n"
    )
    command = [sys.executable, "-m", "telco_bridge.cli", "sandbox", "ucwa", "--speed", "50"]
    exports: dict[str, str] = {}

    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith("export "):
                name, _, value = line.removeprefix("export ").strip().partition("=")
                exports[name] = value.strip("'")
            if "PHONE_NUMBER" in line:
                break
        subprocess.run([sys.executable, "-c", program], check=True, cwd=ROOT, env={**os.environ, **exports})
        process.send_signal(signal.SIGINT)
        rest, _ = process.communicate(timeout=20)

    assert re.search(r"^ucwa +──▶ POST startPhoneAudio +201", rest, re.MULTILINE)
    assert re.search(r"^ucwa +◀── event conversation updated", rest, re.MULTILINE)
