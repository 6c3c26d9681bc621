"""What is written about Skype for Business is true: settings are accepted, blocks run and print what the page says."""

from __future__ import annotations

import re
import tomllib
from collections.abc import AsyncIterator, Awaitable, Callable

import httpx
import pytest

from telco_bridge import Bridge, Call, config, connect
from telco_bridge.provider import SystemClock
from telco_bridge.sandbox import Sandbox
from telco_bridge_ucwa import tools
from telco_bridge_ucwa.config import UcwaConfig
from telco_bridge_ucwa.diagnosis import RIGHTS, diagnose
from telco_bridge_ucwa.emulator import UcwaEmulator

from .pages import ROOT, Page
from .ucwa.conftest import Served, serve

PAGE = Page("docs/ucwa.md")
SECRETS = {"UCWA_PASSWORD": "analytical-engine", "MEETING_KEY": "GH4T8KJ2"}

__all__ = ["serve"]


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE.text, re.MULTILINE | re.DOTALL)


def settings(document: str) -> UcwaConfig:
    loaded = config.load(tomllib.loads(document), environ=SECRETS)
    return config.validate(UcwaConfig, loaded.options, loaded.prefix, loaded.source)


def test_the_page_is_short_and_names_files_that_exist() -> None:
    assert len(PAGE.text.splitlines()) < 220
    assert not [link for link in re.findall(r"\]\(([^)#:]+)\)", PAGE.text) if not (ROOT / "docs" / link).exists()]


def test_every_profile_of_the_page_is_accepted() -> None:
    profiles = [settings(document) for document in blocks("toml")]

    assert [profile.discovered for profile in profiles] == ["example.org"] * 5
    assert [profile.windows for profile in profiles] == [False, True, False, False, False]


def as_example_org(emulator: UcwaEmulator) -> Callable[[httpx.Request], Awaitable[httpx.Response]]:
    """Lead requests for the hosts of example.org to the emulator, whose words then name those hosts."""

    async def pass_on(request: httpx.Request) -> httpx.Response:
        if "internal" in request.url.host:
            raise httpx.ConnectError("no such host")
        async with httpx.AsyncClient(trust_env=False) as client:
            told = await client.request(
                request.method,
                f"{emulator.url}{request.url.raw_path.decode()}",
                headers=request.headers,
                content=request.content,
            )

        def renamed(text: str) -> str:
            return text.replace(emulator.url, "https://web.example.org").replace("http://web", "https://web")

        headers = [(n, renamed(v)) for n, v in told.headers.multi_items() if n != "content-length"]
        return httpx.Response(told.status_code, headers=headers, text=renamed(told.text))

    return pass_on


async def test_the_command_prints_what_the_page_says(
    serve: Callable[..., Served], capsys: pytest.CaptureFixture[str]
) -> None:
    missing = {link for links in RIGHTS.values() for link in links} - {"startPhoneAudio", "makeMeAvailable"}
    served = serve(username="ada@example.org", withheld=missing, speed=1.0)
    transport = httpx.MockTransport(as_example_org(served.emulator))
    (block,) = blocks("console")
    command, *promised = block.splitlines()

    assert await diagnose(settings(blocks("toml")[0]), tools.show, clock=SystemClock(), transport=transport)
    printed = [line for line in capsys.readouterr().out.splitlines() if "offers no link" not in line]
    assert command == "$ telco-bridge ucwa sign-in --config telco.toml"
    assert printed == promised


@pytest.fixture
async def bridge(sandbox: Sandbox) -> AsyncIterator[Bridge]:
    async with connect(sandbox.profile("ucwa")) as opened:
        yield opened


@pytest.fixture
async def call(bridge: Bridge) -> AsyncIterator[Call]:
    async with await bridge.dial("+15550100") as dialled:
        yield await dialled.answered()


async def test_a_function_fetches_the_tokens(sandbox: Sandbox) -> None:
    profile = dict(sandbox.profile("ucwa"))
    form = {"grant_type": "password", "username": profile["username"], "password": profile.pop("password")}

    async def ask_the_organization(href: str) -> str:
        async with httpx.AsyncClient(trust_env=False) as client:
            return str((await client.post(href, data=form)).json()["access_token"])

    names = {"settings": profile, "ask_the_organization": ask_the_organization}
    await PAGE.run("Signing in", names)


async def test_the_native_side_is_as_shown(bridge: Bridge, call: Call) -> None:
    await PAGE.run("What only UCWA has", {"bridge": bridge, "call": call})


async def test_the_emulator_is_ordered_as_shown() -> None:
    await PAGE.run("The emulator", {"connect": connect})
