"""What is written about webhooks is true: the commands of the page print what it says, and its code works."""

from __future__ import annotations

import re
import shlex
from dataclasses import replace
from pathlib import Path
from urllib.parse import parse_qsl

import httpx
import pytest
import respx
from pydantic import BaseModel, SecretStr
from typer.testing import CliRunner

from telco_bridge import _discovery
from telco_bridge.cli.app import app
from telco_bridge.provider import ProviderPlugin

PAGE = (Path(__file__).parent.parent / "docs" / "webhooks.md").read_text()
KEY = "PSK_example0signing0key"
API = "https://example.signalwire.com/api/laml/2010-04-01/Accounts/5a1c0c1e-7f65-4d0b-8a7c-3b9c2f0d4e21"


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


@pytest.fixture(autouse=True)
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the page shows, in the folder in which its commands run."""
    (settings,) = blocks("toml")
    (request,) = blocks("http")
    (tmp_path / "telco.toml").write_text(settings)
    (tmp_path / "request.http").write_text(request)
    (tmp_path / "body.txt").write_text(request.partition("\n\n")[2].rstrip("\n"))
    monkeypatch.chdir(tmp_path)
    for name, value in {
        "TELCO_BRIDGE_CONFIG": "telco.toml",
        "SIGNALWIRE_TOKEN": "PT_token",
        "SIGNALWIRE_SIGNING_KEY": KEY,
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("TELCO_BRIDGE_PROFILE", raising=False)


def run(command: str) -> tuple[int, list[str]]:
    words = shlex.split(command)
    assert words[0] == "telco-bridge"
    result = CliRunner().invoke(app, words[1:], prog_name="telco-bridge")
    assert KEY not in result.output
    return result.exit_code, [line for line in result.output.splitlines() if line]


def command(start: str) -> tuple[str, list[str]]:
    """The command of the page that begins so, and the lines that it prints there."""
    (found,) = [block for block in blocks("console") if block.startswith(f"$ telco-bridge {start}")]
    first, *printed = found.splitlines()
    return first.removeprefix("$ "), printed


def test_the_page_is_short() -> None:
    assert len(PAGE.splitlines()) < 130
    assert len(blocks("console")) == 3


def test_the_number_is_routed_as_the_page_shows(respx_mock: respx.Router, monkeypatch: pytest.MonkeyPatch) -> None:
    # respx stands between httpx and its own connections.
    monkeypatch.setattr("telco_bridge.http._on_asyncio", lambda: False)
    owned: dict[str, object] = {
        "sid": "n1",
        "phone_number": "+15550100001",
        "friendly_name": "Front desk",
        "voice_url": "https://old.example/voice",
        "voice_method": "GET",
        "voice_fallback_url": "https://old.example/sorry",
        "voice_application_sid": "0f9c",
        "status_callback_method": "POST",
    }

    def change(request: httpx.Request) -> httpx.Response:
        for name, value in parse_qsl(request.content.decode(), keep_blank_values=True):
            owned[re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()] = value or None
        return httpx.Response(200, json=owned)

    respx_mock.get(f"{API}/IncomingPhoneNumbers").respond(json={"incoming_phone_numbers": [owned]})
    respx_mock.get(f"{API}/IncomingPhoneNumbers/n1").mock(side_effect=lambda _: httpx.Response(200, json=owned))
    respx_mock.post(f"{API}/IncomingPhoneNumbers/n1").mock(side_effect=change)
    line, printed = command("signalwire route")

    assert run(line) == (0, printed)


def test_the_request_is_explained_as_the_page_shows() -> None:
    line, printed = command("doctor webhook --request")

    assert run(line) == (1, printed)


def test_the_advice_of_the_page_makes_it_right() -> None:
    line, printed = command("doctor webhook --request")
    advised = printed[-1].partition('"')[2].rstrip('"')
    settings = Path("telco.toml")
    settings.write_text(settings.read_text().replace("http://hooks.example.net/telco", advised))

    assert run(line)[0] == 0
    assert run(command("doctor webhook --url")[0])[0] == 0


def test_parts_of_a_request_do_as_well_as_a_whole_one() -> None:
    line, _ = command("doctor webhook --url")

    code, printed = run(line)

    assert code == 1
    assert printed == command("doctor webhook --request")[1]


class AcmeConfig(BaseModel, extra="forbid"):
    key: SecretStr = SecretStr("right")


def test_the_code_for_authors_of_plugins_works(monkeypatch: pytest.MonkeyPatch) -> None:
    (code,) = blocks("python")
    names: dict[str, object] = {}
    exec(compile(code, "<page>", "exec"), names)
    plugin: ProviderPlugin[BaseModel] = replace(
        _discovery.load("simulator"),
        name="acme",
        config_model=AcmeConfig,
        diagnose=names["diagnose"],
        commands=names["commands"],
    )
    found = _discovery.installed()
    monkeypatch.setattr(_discovery, "load", lambda _: plugin)
    monkeypatch.setattr(_discovery, "installed", lambda: (*found, replace(found[0], name="acme")))
    Path("telco.toml").write_text('provider = "acme"\n[web]\npublic_url = "https://a.example"\n')

    assert run("telco-bridge acme hello") == (0, ["https://a.example"])
    assert run("telco-bridge doctor webhook --url https://a.example/x --header 'X-Acme-Key: right'")[0] == 0
    wrong = run("telco-bridge doctor webhook --url https://a.example/x --header 'X-Acme-Key: wrong'")
    assert wrong[0] == 1
    assert "  • The header X-Acme-Key is missing or wrong." in wrong[1]
