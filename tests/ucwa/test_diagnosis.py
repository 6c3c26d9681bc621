"""`telco-bridge ucwa sign-in`: what an operator is told, step by step, and what is left behind."""

from __future__ import annotations

import json

import httpx
import pytest
from typer.testing import CliRunner

from telco_bridge.cli.app import app
from telco_bridge.sandbox import SteppedClock
from telco_bridge_ucwa.config import UcwaConfig
from telco_bridge_ucwa.diagnosis import RIGHTS, diagnose

from .test_sign_in import asked


def command(served, tmp_path, **settings):
    """What the command prints, and how it ends."""
    profile = served.emulator.profile() | settings
    path = tmp_path / "telco.toml"
    path.write_text("".join(f"{name} = {json.dumps(value)}\n" for name, value in profile.items() if value is not None))
    done = CliRunner().invoke(app, ["ucwa", "sign-in", "--config", str(path)])
    return done.exit_code, done.output.replace(served.emulator.url, "URL")


def test_every_step_is_told_and_nothing_is_left_behind(serve, tmp_path):
    rights = [link for links in RIGHTS.values() for link in links]
    served = serve(withheld=[link for link in rights if link not in ("startPhoneAudio", "makeMeAvailable")])

    code, said = command(served, tmp_path, user_url=None, root_url=served.emulator.root_url, available=True)

    lines = said.splitlines()
    assert code == 0
    assert lines[:4] == [
        "✓ URL/ leads to the server URL",
        "✓ ada@sandbox.test is signed in; the user makes applications at URL",
        "✓ an application was made at URL",
        "✓ the server knows the user as sip:ada@sandbox.test",
    ]
    assert lines[4].endswith("own phone (startPhoneAudio), be reachable for incoming calls (makeMeAvailable)")
    assert lines[5].startswith("✓ the server offers no link to call with VoIP audio (startAudio), call with video")
    assert lines[6:] == ["✓ the application was deleted again"]
    assert served.emulator.applications == []
    assert asked(served, "POST makeMeAvailable") == []


def test_a_wrong_password_ends_it_with_a_word_about_the_account(served, tmp_path):
    code, said = command(served, tmp_path, password="difference-engine")

    assert code == 1
    assert said.startswith("✗ POST URL/")
    assert "invalid_grant" in said
    assert "difference" not in said


def test_a_user_who_may_not_call_is_no_success(serve, tmp_path):
    calls = ["startPhoneAudio", "startAudio", "startVideo", "startAudioVideo", "makeMeAvailable"]
    code, said = command(serve(withheld=calls), tmp_path)

    assert code == 1
    assert "✗ the user may not make or take calls" in said
    assert said.splitlines()[-1] == "✓ the application was deleted again"


async def told(handler, **settings):
    steps = []
    config = UcwaConfig(username="ada@example.org", password="s3cret", **settings)
    passed = await diagnose(config, steps.append, clock=SteppedClock(), transport=httpx.MockTransport(handler))
    return passed, [(step.passed, step.fact) for step in steps]


async def test_every_address_of_discovery_is_told_with_what_was_wrong():
    def answer(request):
        if request.url.scheme == "https" and request.url.host.startswith("lyncdiscoverinternal"):
            raise httpx.ConnectError("no such host")
        if request.url.scheme == "https":
            raise httpx.ConnectError("certificate verify failed")
        return httpx.Response(404)

    passed, steps = await told(answer)

    assert not passed
    assert [fact.partition(" leads nowhere")[0] for _, fact in steps[:4]] == [
        "https://lyncdiscoverinternal.example.org/",
        "https://lyncdiscover.example.org/",
        "http://lyncdiscoverinternal.example.org/",
        "http://lyncdiscover.example.org/",
    ]
    assert "certificate verify failed" in steps[1][1]
    assert "set user_url" in steps[4][1]


async def test_the_application_of_a_bridge_that_runs_is_not_ended():
    bodies = []

    def answer(request):
        if request.method == "POST":
            bodies.append(json.loads(request.content))
        return httpx.Response(403)

    await told(answer, application_url="https://pool.example.org/apps", endpoint_id="the-bridges-own")

    assert bodies[0]["endpointId"] != "the-bridges-own"


@pytest.mark.parametrize("status", [403, 503])
async def test_a_refused_application_is_told_as_the_bridge_would(status):
    passed, steps = await told(lambda _: httpx.Response(status), application_url="https://pool.example.org/apps")

    assert not passed
    assert [(ok, f"HTTP {status}" in fact) for ok, fact in steps] == [(False, True)]
