"""What goes wrong between the bridge and baresip, and that no call and no process is left over by it."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import anyio
import anyio.to_thread
import pytest
from telco_bridge import (
    Bridge,
    CallState,
    ConfigError,
    GapDetected,
    TerminationReason,
    Unreachable,
    connect,
)
from telco_bridge.provider import Confidence, EndedBy, Phase

from .control_proxy import ControlProxy, Fault
from .network import LegState, SipNetwork
from .phone import Phone, free_port, softphones
from .talk import hears_tone, talk

R = TerminationReason
Settings = dict[str, object]


@pytest.fixture
def phone(programs: None) -> Iterator[Phone]:
    """A baresip that somebody else has started."""
    with Phone() as phone:
        yield phone


@pytest.fixture
def proxy(phone: Phone) -> Iterator[ControlProxy]:
    """What stands before its control port."""
    with ControlProxy(phone.control) as proxy:
        yield proxy


def _attached(settings: Settings, control: str) -> Settings:
    return {**settings, "control": control, "timeout": 1.0, "start_timeout": 2.0}


async def _gap(bridge: Bridge) -> GapDetected:
    async for event in bridge.events(since=0):
        if isinstance(event, GapDetected):
            return event
    raise AssertionError("the bridge was left")


async def test_a_call_outlives_its_control_connection(
    network: SipNetwork, proxy: ControlProxy, settings: Settings
) -> None:
    async with connect(_attached(settings, proxy.address)) as bridge:
        call, leg = await talk(bridge, network)
        proxy.cut()
        await _gap(bridge)

        await hears_tone(network, leg)
        assert call.state is CallState.CONNECTED
        await call.hold()
        await call.hangup()
        await network.until(lambda: leg.state is LegState.OVER)
        assert leg.requests[-1] == "BYE"


async def test_an_end_that_was_missed_is_found_out_without_a_made_up_reason(
    network: SipNetwork, proxy: ControlProxy, settings: Settings
) -> None:
    async with connect(_attached(settings, proxy.address)) as bridge:
        call, leg = await talk(bridge, network)
        proxy.close()
        network.hang_up(leg)
        await network.until(lambda: leg.state is LegState.OVER)
        proxy.open()
        told = await call.ended()

        assert told.reason is R.UNKNOWN
        assert told.phase is Phase.ESTABLISHED
        assert told.confidence in (Confidence.INFERRED, Confidence.UNKNOWN)


async def test_an_event_that_cannot_be_read_is_a_gap_and_what_it_told_is_found_out(
    network: SipNetwork, proxy: ControlProxy, settings: Settings
) -> None:
    async with connect(_attached(settings, proxy.address)) as bridge:
        call, leg = await talk(bridge, network)
        proxy.inject(Fault.GARBLE_EVENT, times=None)
        network.hang_up(leg)
        told = await call.ended()

        assert "cannot be read" in (await _gap(bridge)).why
        assert (told.reason, told.phase) == (R.UNKNOWN, Phase.ESTABLISHED)


async def test_commands_wait_until_the_new_control_connection_has_been_greeted(
    network: SipNetwork, proxy: ControlProxy, settings: Settings
) -> None:
    async with connect(_attached(settings, proxy.address)) as bridge:
        call, _ = await talk(bridge, network)
        greetings = proxy.commands.count(("reginfo", ""))
        proxy.inject(Fault.LATE_REPLY, on="reginfo")
        proxy.cut()
        await anyio.to_thread.run_sync(proxy.await_question, "reginfo", greetings + 1)
        await call.mute()

        assert call.muted
        assert proxy.made == [Fault.LATE_REPLY]
        assert proxy.overlaps == 0


async def test_a_call_that_came_in_meanwhile_rings_as_soon_as_it_can(
    network: SipNetwork, phone: Phone, proxy: ControlProxy, settings: Settings
) -> None:
    async with connect(_attached(settings, proxy.address)) as bridge:
        proxy.close()
        leg = await anyio.to_thread.run_sync(network.call, phone.address)
        await network.until(lambda: leg.state is LegState.RINGING)
        proxy.open()
        call = await anext(aiter(bridge.incoming()))

        assert call.native_id == leg.id
        await call.answer()
        await network.until(lambda: leg.state is LegState.UP)


async def test_another_client_shuts_us_out_for_a_moment_only(
    network: SipNetwork, phone: Phone, settings: Settings
) -> None:
    async with connect(_attached(settings, f"127.0.0.1:{phone.control}")) as bridge:
        call, leg = await talk(bridge, network)
        with socket.create_connection(("127.0.0.1", phone.control), 5.0) as other:
            await _gap(bridge)
            assert await anyio.to_thread.run_sync(other.recv, 1) == b"", "now the other one is shut out"
            await call.hangup()

        await network.until(lambda: leg.state is LegState.OVER)


async def test_a_baresip_that_is_killed_ends_its_calls_and_another_one_takes_over(
    network: SipNetwork, settings: Settings
) -> None:
    async with connect(settings) as bridge:
        call, _ = await talk(bridge, network)
        (pid,) = softphones()
        os.kill(pid, signal.SIGKILL)
        told = await call.ended()

        assert (told.reason, told.by, told.phase) == (R.PROVIDER_ERROR, EndedBy.PROVIDER, Phase.ESTABLISHED)
        assert told.confidence is Confidence.DERIVED
        assert told.native == "baresip was killed by signal 9"
        await _gap(bridge)
        again, leg = await talk(bridge, network)
        await hears_tone(network, leg)
        assert again.native_id != call.native_id
        assert pid not in softphones()
        assert len(softphones()) == 1

    assert softphones() == []


async def test_a_baresip_that_takes_over_is_called_at_the_same_address(network: SipNetwork, settings: Settings) -> None:
    port = free_port()
    async with connect({**settings, "listen": f"127.0.0.1:{port}"}) as bridge:
        os.kill(softphones()[0], signal.SIGKILL)
        await _gap(bridge)
        leg = await anyio.to_thread.run_sync(network.call, f"sip:telco@127.0.0.1:{port}")
        call = await anext(aiter(bridge.incoming()))
        await call.answer()

        await network.until(lambda: leg.state is LegState.UP)


async def test_calls_of_an_attached_baresip_that_was_restarted_have_ended(
    network: SipNetwork, phone: Phone, settings: Settings
) -> None:
    async with connect(_attached(settings, f"127.0.0.1:{phone.control}")) as bridge:
        call, _ = await talk(bridge, network)
        phone.kill()
        await anyio.to_thread.run_sync(phone.start)
        told = await call.ended()

        assert told.by is not EndedBy.APPLICATION
        assert told.phase is Phase.ESTABLISHED
        assert told.confidence in (Confidence.INFERRED, Confidence.UNKNOWN)
        again, _ = await talk(bridge, network)
        assert again.state is CallState.CONNECTED


async def test_leaving_hangs_up_and_leaves_the_attached_baresip_running(
    network: SipNetwork, phone: Phone, settings: Settings
) -> None:
    for _ in range(2):
        async with connect(_attached(settings, f"127.0.0.1:{phone.control}")) as bridge:
            await talk(bridge, network)
            assert softphones() == [phone.pid]

        await network.until(lambda: network.live == ())
    assert softphones() == [phone.pid]


async def test_a_baresip_that_stands_still_does_not_hold_up_leaving(network: SipNetwork, settings: Settings) -> None:
    with anyio.fail_after(15):
        async with connect({**settings, "timeout": 0.5, "lifecycle": {"close_timeout": 1.0}}) as bridge:
            call, _ = await talk(bridge, network)
            os.kill(softphones()[0], signal.SIGSTOP)

    assert call.view.over
    assert softphones() == []


async def test_a_program_that_is_not_there_is_named_with_what_to_install(settings: Settings) -> None:
    with pytest.raises(ConfigError, match="baresip-core"):
        async with connect({**settings, "program": "/nowhere/baresip", "modules": None}):
            pass


async def test_a_program_that_is_another_one_is_unreachable_with_its_last_words(
    programs: None, settings: Settings, tmp_path: Path
) -> None:
    other = tmp_path / "baresip"
    other.write_text("#!/bin/sh\necho I am no softphone\nexit 3\n")
    other.chmod(0o755)
    with pytest.raises(Unreachable, match=r"status 3.*I am no softphone"):
        async with connect({**settings, "program": str(other)}):
            pass


async def test_nobody_at_the_control_port_is_unreachable(settings: Settings) -> None:
    port = free_port()
    with pytest.raises(Unreachable, match=str(port)):
        async with connect(_attached(settings, f"127.0.0.1:{port}")):
            pass
