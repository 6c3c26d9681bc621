"""`telco-bridge doctor webhook`, and the commands that a provider brings: what they read, print and refuse."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlencode, urlsplit

import httpx
import pytest
from anyio.from_thread import BlockingPortal
from starlette.applications import Starlette
from starlette.routing import Mount
from typer.testing import CliRunner

from telco_bridge import _discovery
from telco_bridge.cli import capture, doctor
from telco_bridge.cli.app import app
from telco_bridge.cli.console import open_console
from telco_bridge.provider import Capture, Diagnosis, Finding, ProviderPlugin, WebRequest, WebResponse
from telco_bridge.web import WebApplication

KEY, TOKEN = "PSK_example0signing0key", "PT_example0api0token"
PUBLIC = "https://hooks.example.net/telco"
ADDRESS = f"{PUBLIC}/status?call=c1"
FIELDS = {"AccountSid": "p1", "CallSid": "c", "CallStatus": "completed", "From": "+15550100001"}
BODY = urlencode(FIELDS).encode()

TOML = f"""
[profiles.calls]
provider = "signalwire"
project = "p1"
token = "{TOKEN}"
signing_key = {{ env = "SIGNING_KEY", default = "{KEY}" }}
space = "example.signalwire.com"

[profiles.calls.web]
public_url = "{PUBLIC}"

[profiles.other]
provider = "simulator"
"""


@pytest.fixture(autouse=True)
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file with two profiles, the one of SignalWire chosen."""
    path = tmp_path / "telco.toml"
    path.write_text(TOML)
    monkeypatch.setenv("TELCO_BRIDGE_CONFIG", str(path))
    monkeypatch.setenv("TELCO_BRIDGE_PROFILE", "calls")
    return path


def signed(address: str, fields: dict[str, str] = FIELDS, key: str = KEY) -> str:
    text = address + "".join(name + fields[name] for name in sorted(fields))
    return base64.b64encode(hmac.new(key.encode(), text.encode(), hashlib.sha1).digest()).decode()


def raw(signature: str, *, target: str = "/telco/status?call=c1", end: str = "\r\n", extra: str = "") -> bytes:
    lines = (
        f"POST {target} HTTP/1.1",
        "Host: hooks.example.net",
        "Content-Type: application/x-www-form-urlencoded",
        f"Content-Length: {len(BODY)}",
        f"X-SignalWire-Signature: {signature}",
    )
    return end.join((*lines, *((extra,) if extra else ()), "", "")).encode() + BODY


def run(*arguments: str, given: bytes | None = None) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, list(arguments), prog_name="telco-bridge", input=given)
    assert KEY not in result.output + result.stderr
    assert TOKEN not in result.output + result.stderr
    return result.exit_code, result.stdout, result.stderr


def test_a_request_that_the_bridge_accepts_ends_with_success() -> None:
    code, page, error = run(
        "doctor", "webhook", "--url", ADDRESS, "--body", "-", "--signature", signed(ADDRESS), given=BODY
    )

    assert (code, error) == (0, "")
    assert "✓ the bridge accepts this request" in page
    assert f"the bridge checks  POST {ADDRESS}" in page


@pytest.mark.parametrize("public_url", [None, PUBLIC, "https://hooks.example.net"])
@pytest.mark.parametrize("mounted", [False, True])
async def test_the_address_is_the_one_that_the_bridge_makes_of_it(public_url: str | None, *, mounted: bool) -> None:
    heard: list[WebRequest] = []

    async def handle(request: WebRequest) -> WebResponse:
        heard.append(request)
        return WebResponse()

    application = WebApplication()
    application.public_url = public_url
    at = urlsplit(public_url or "").path
    served = Starlette(routes=[Mount(at or "/telco", application)]) if mounted else application
    url = f"http://10.0.0.5:8080{(at or '/telco') if mounted else ''}/status?call=c1&b=x%20y"
    async with BlockingPortal() as portal, httpx.AsyncClient(transport=httpx.ASGITransport(served)) as client:
        application.open(handle, portal)
        await client.post(url, content=BODY)
        application.close()

    caught = capture.Caught(method="POST", url=url, headers={}, body=BODY)
    seen = capture.as_the_bridge_sees_it(caught, public_url=public_url, signature=None).request
    if mounted and public_url is not None and not at:
        # A mount that the public URL does not tell: what is caught there has no path of a webhook's.
        assert seen.path == "telco/status"
    else:
        assert (seen.url, seen.query, seen.method) == (heard[0].url, heard[0].query, heard[0].method)
        assert seen.path.endswith(heard[0].path)


def test_a_whole_request_is_read_from_a_file(tmp_path: Path) -> None:
    captured = tmp_path / "request.http"
    for end in ("\r\n", "\n"):
        captured.write_bytes(raw(signed(ADDRESS), end=end) + b"\n")

        assert run("doctor", "webhook", "--request", str(captured))[0] == 0


def test_a_request_as_a_proxy_gets_it_names_its_whole_address() -> None:
    given = raw(signed(ADDRESS), target=ADDRESS)

    assert run("doctor", "webhook", "--request", "-", given=given)[0] == 0


def test_a_finding_without_a_remedy_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    request = WebRequest(method="GET", path="x", query="", url="https://user:pa55@h/x", headers={}, body=b"")
    caught = Capture(request=request, seen=request.url)

    doctor.show(open_console(), caught, Diagnosis(accepted=False, tried=2, findings=(Finding(fact="So it is."),)))

    page = capsys.readouterr().out
    assert page.endswith("  • So it is.\n")
    assert "GET https://h/x" in page


def test_what_would_match_is_shown_with_what_to_set(settings: Path) -> None:
    settings.write_text(TOML.replace(PUBLIC, "http://hooks.example.net"))

    code, page, _ = run("doctor", "webhook", "--request", "-", given=raw(signed(ADDRESS)))

    assert code == 1
    assert "✗ the bridge refuses this request; a variant of it matches the signature" in page
    assert f"what was signed    {ADDRESS}" in page
    assert "the scheme is https, not http" in page
    assert f'→ set web.public_url = "{PUBLIC}"' in page
    assert signed(ADDRESS) not in page


def test_a_proxy_tells_the_scheme_and_the_host() -> None:
    given = raw(signed(ADDRESS), target="/status?call=c1", extra="X-Forwarded-Proto: https")

    code, page, _ = run("doctor", "webhook", "--request", "-", "--url", "http://10.0.0.5/status?call=c1", given=given)

    assert code == 0
    assert f"POST {ADDRESS}" in page


def test_without_a_public_url_the_address_of_the_request_counts(settings: Path) -> None:
    settings.write_text(TOML.replace(f'public_url = "{PUBLIC}"', ""))

    plain = run("doctor", "webhook", "--request", "-", given=raw(signed(ADDRESS)))
    behind = run("doctor", "webhook", "--request", "-", given=raw(signed(ADDRESS), extra="X-Forwarded-Proto: https"))

    assert plain[0] == 1
    assert "web.public_url is not set" in plain[1]
    assert f'web.public_url = "{PUBLIC}"' in plain[1]
    assert behind[0] == 0


def test_a_forged_request_ends_with_failure_and_advice() -> None:
    forged = signed(ADDRESS, key="PSK_other")

    code, page, _ = run(
        "doctor",
        "webhook",
        "--url",
        ADDRESS,
        "--body",
        "-",
        "--header",
        f"X-SignalWire-Signature: {forged}",
        given=BODY,
    )

    assert code == 1
    assert re.search(r"none of \d+ variants matches", page)
    assert "compare signing_key with the Signing Key" in page


def test_a_get_has_no_body() -> None:
    url = f"{ADDRESS}&{BODY.decode()}"

    code, _, _ = run("doctor", "webhook", "--method", "get", "--url", url, "--signature", signed(url, {}))

    assert code == 0


def test_what_a_forger_wrote_does_not_reach_the_terminal() -> None:
    code, page, _ = run(
        "doctor", "webhook", "--url", f"{PUBLIC}/\x1b[31mred", "--body", "-", "--signature", "x", given=BODY
    )

    assert code == 1
    assert "\x1b" not in page


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "which request?"),
        (("--url", "/status"), "not absolute"),
        (("--url", "https://h:99999/"), "not absolute"),
        (("--url", ADDRESS, "--header", "secret"), "a header is no header"),
        (("--url", ADDRESS, "--body", "/nowhere/at/all"), "/nowhere/at/all cannot be read"),
        (("--request", "-", "--body", "-"), "leave out --body"),
        (("--request", "-"), "does not begin with a line such as"),
        (("--url", ADDRESS, "--profile", "nope"), "there is no profile 'nope'"),
        (("--url", ADDRESS, "--profile", "other"), "provider 'simulator' cannot explain webhooks"),
        (("--url", ADDRESS, "--config", "/nowhere.toml"), "there is no file /nowhere.toml"),
    ],
)
def test_what_cannot_be_is_one_clear_line(arguments: tuple[str, ...], said: str) -> None:
    code, output, error = run("doctor", "webhook", *arguments, given=b"nonsense")

    assert (code, output) == (2, "")
    assert error.startswith("telco-bridge: ")
    assert error.count("\n") == 1
    assert said in error
    assert "secret" not in error


@pytest.mark.parametrize(
    ("captured", "said"),
    [
        (b"POST / HTTP/1.1\n\n", "no Host header"),
        (b"POST / HTTP/1.1\nHost: h\nTransfer-Encoding: chunked\n\n2\nab\n0\n\n", "is chunked"),
        (b"", "does not begin"),
    ],
)
def test_a_capture_that_cannot_be_read_is_told(captured: bytes, said: str) -> None:
    code, _, error = run("doctor", "webhook", "--request", "-", given=captured)

    assert code == 2
    assert said in error


def test_without_a_configuration_it_says_how_to_name_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TELCO_BRIDGE_CONFIG")

    code, _, error = run("doctor", "webhook", "--url", ADDRESS)

    assert code == 2
    assert error == "telco-bridge: no configuration: name a TOML file with --config, or set TELCO_BRIDGE_CONFIG\n"


# A provider's own commands


def test_help_imports_no_plugin() -> None:
    program = (
        "import sys; sys.argv = ['telco-bridge', '--help']\n"
        "from telco_bridge.cli import main\n"
        "try: main()\n"
        "except SystemExit as end: assert not end.code, end.code\n"
        "names = ('telco_bridge_ucwa', 'telco_bridge_signalwire', 'telco_bridge.sandbox', 'httpx')\n"
        "print('loaded:', [name for name in names if name in sys.modules])\n"
    )

    printed = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout

    assert "doctor" in printed
    assert printed.splitlines()[-1] == "loaded: []"


def test_a_provider_has_a_group_of_its_own_commands() -> None:
    code, page, _ = run("signalwire", "--help")

    assert code == 0
    assert "route" in page


def test_a_provider_without_commands_says_so() -> None:
    code, output, error = run("simulator", "anything")

    assert (code, output) == (2, "")
    assert error.startswith("telco-bridge: provider 'simulator' brings no commands of its own")


def test_an_unknown_word_is_no_command() -> None:
    code, _, error = run("nope")

    assert code == 2
    assert "No such command 'nope'" in error


def test_a_command_refuses_the_profile_of_another_provider() -> None:
    code, _, error = run("signalwire", "route", "+15550100001", "--profile", "other")

    assert code == 2
    assert "profiles.other.provider is 'simulator'; choose a profile of 'signalwire' with --profile" in error


def test_the_contract_needs_neither_a_diagnosis_nor_commands() -> None:
    plugin: ProviderPlugin[object] = _discovery.load("simulator")  # type: ignore[assignment]

    assert (plugin.diagnose, plugin.commands) == (None, None)
