"""An account at a registrar, and its password, which nobody gets to see."""

from __future__ import annotations

import logging

import anyio
import pytest
from telco_bridge import AuthenticationFailed, Unreachable, connect

from .far_ends import ACCOUNT
from .network import Far, SipNetwork
from .phone import folder_of, softphones
from .talk import talk

Settings = dict[str, object]


def _account(settings: Settings, network: SipNetwork, *, password: str = ACCOUNT[1]) -> Settings:
    domain = network.address(Far.REGISTRAR).partition("@")[2]
    return {**settings, "user": ACCOUNT[0], "domain": domain, "password": password, "registrar": True}


async def test_an_account_is_registered_before_anything_is_dialled(network: SipNetwork, settings: Settings) -> None:
    async with connect(_account(settings, network)) as bridge:
        assert "200 REGISTER" in network.trace
        call, _ = await talk(bridge, network)

        assert call.local is not None
        assert call.local.address.startswith(f"sip:{ACCOUNT[0]}@")


async def test_a_wrong_password_is_one_clear_error_that_does_not_show_it(
    network: SipNetwork, settings: Settings
) -> None:
    guess = "a-guess-that-is-wrong"
    with pytest.raises(AuthenticationFailed, match="403") as refusal:
        async with connect(_account(settings, network, password=guess)):
            pass

    assert guess not in f"{refusal.value!r} {refusal.value} {refusal.value.__cause__!r}"
    assert network.trace.count("403 REGISTER") == 1
    assert softphones() == []


async def test_a_registrar_that_is_out_of_order_is_unreachable_and_no_password_is_blamed(
    network: SipNetwork, settings: Settings
) -> None:
    domain = network.address(Far.OVERLOADED).partition("@")[2]
    with pytest.raises(Unreachable, match="503 Service Unavailable"):
        async with connect({**_account(settings, network), "domain": domain}):
            pass


async def test_a_registrar_that_says_nothing_is_unreachable_in_our_time(
    network: SipNetwork, settings: Settings
) -> None:
    domain = network.address(Far.SILENT).partition("@")[2]
    with anyio.fail_after(5), pytest.raises(Unreachable, match="no answer within 1 s"):
        async with connect({**_account(settings, network), "domain": domain, "start_timeout": 1.0}):
            pass


async def test_the_password_is_shown_nowhere(
    network: SipNetwork, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    async with connect(_account(settings, network)) as bridge:
        call, _ = await talk(bridge, network)
        (pid,) = softphones()
        line = await anyio.Path("/proc", str(pid), "cmdline").read_text()
        private = await anyio.Path(folder_of(pid)).stat()
        await call.hangup()
        shown = [repr(bridge), repr(call), repr(call.view), repr(call.native), line, caplog.text]
        shown += [repr(event) async for event in call.events()]

    assert not [text for text in shown if ACCOUNT[1] in text]
    assert private.st_mode & 0o077 == 0, "its configuration is nobody else's to read"
