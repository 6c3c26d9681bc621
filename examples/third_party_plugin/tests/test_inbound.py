"""Calls that come in: answered, rejected, given up, and left to ring."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import anyio.to_thread
import pytest
from telco_bridge import Bridge, Call, CallDirection, CallState, TerminationReason, Unsupported, connect
from telco_bridge.provider import Capability, EndedBy, Phase

from .network import Far, Leg, LegState, SipNetwork
from .phone import free_port
from .talk import hears_tone, pressed, talk

R = TerminationReason
Settings = dict[str, object]


class Line:
    """A bridge that can be called."""

    def __init__(self, bridge: Bridge, network: SipNetwork, address: str) -> None:
        self.bridge = bridge
        self.address = address
        self._network = network
        self._incoming = aiter(bridge.incoming())

    async def called(self, *, name: str = "Bob") -> Leg:
        """Let somebody call, and return the call as the network sees it."""
        return await anyio.to_thread.run_sync(lambda: self._network.call(self.address, name=name))

    async def rung(self) -> tuple[Call, Leg]:
        """Let somebody call, and return the call when it rings here."""
        leg = await self.called()
        call = await anext(self._incoming)
        await self._network.until(lambda: leg.state is LegState.RINGING)
        return call, leg


@asynccontextmanager
async def reachable(settings: Settings, network: SipNetwork, **more: object) -> AsyncGenerator[Line]:
    port = free_port()
    async with connect({**settings, "listen": f"127.0.0.1:{port}", **more}) as bridge:
        yield Line(bridge, network, f"sip:telco@127.0.0.1:{port}")


async def test_a_call_that_comes_in_rings_at_both_ends_and_says_who_calls(
    network: SipNetwork, settings: Settings
) -> None:
    async with reachable(settings, network) as line:
        call, leg = await line.rung()

        assert (call.direction, call.state) == (CallDirection.INBOUND, CallState.RINGING)
        assert call.native_id == leg.id
        assert call.remote is not None
        assert call.remote.address.startswith("sip:bob@127.0.0.1")
        assert call.remote.name == "Bob"
        assert call.decide_by is not None
        assert not call.owned


async def test_a_call_that_is_answered_carries_audio_and_keys_both_ways(
    network: SipNetwork, settings: Settings
) -> None:
    async with reachable(settings, network) as line:
        call, leg = await line.rung()
        await call.answer()
        await network.until(lambda: leg.acknowledged)

        assert (call.state, leg.state) == (CallState.CONNECTED, LegState.UP)
        await hears_tone(network, leg)
        await call.send_digits("5#")
        assert await pressed(network, leg) == "5#"


async def test_a_caller_who_is_rejected_hears_busy(network: SipNetwork, settings: Settings) -> None:
    async with reachable(settings, network) as line:
        call, leg = await line.rung()
        told = await call.reject(note="not now")

        assert (told.reason, told.by, told.phase) == (R.REJECTED, EndedBy.APPLICATION, Phase.ALERTING)
        await network.until(lambda: leg.status == 486)


async def test_a_caller_who_gives_up_has_cancelled(network: SipNetwork, settings: Settings) -> None:
    async with reachable(settings, network) as line:
        call, leg = await line.rung()
        network.hang_up(leg)
        told = await call.ended()

        assert (told.reason, told.by, told.phase) == (R.CANCELLED, EndedBy.REMOTE, Phase.ALERTING)
        await network.until(lambda: leg.status == 487)


async def test_a_caller_who_hangs_up_ends_the_conversation(network: SipNetwork, settings: Settings) -> None:
    async with reachable(settings, network) as line:
        call, leg = await line.rung()
        await call.answer()
        await network.until(lambda: leg.acknowledged)
        network.hang_up(leg)
        told = await call.ended()

        assert (told.reason, told.by, told.phase) == (R.NORMAL, EndedBy.REMOTE, Phase.ESTABLISHED)
        assert leg.ended_by == "far"


async def test_our_hang_up_is_heard_by_the_caller(network: SipNetwork, settings: Settings) -> None:
    async with reachable(settings, network) as line:
        call, leg = await line.rung()
        await call.answer()
        await network.until(lambda: leg.acknowledged)
        await call.hangup()

        assert (await call.ended()).by is EndedBy.APPLICATION
        await network.until(lambda: leg.state is LegState.OVER)
        assert leg.ended_by == "near"


async def test_redirecting_is_refused_and_the_call_rings_on(network: SipNetwork, settings: Settings) -> None:
    async with reachable(settings, network) as line:
        call, leg = await line.rung()
        with pytest.raises(Unsupported):
            await call.redirect(network.address(Far.ANSWERS))

        assert not call.can(Capability.REDIRECT)
        assert (call.state, leg.state) == (CallState.RINGING, LegState.RINGING)


@pytest.mark.parametrize("far", [Far.ANSWERS, Far.RINGS])
async def test_answering_leaves_another_call_as_it_was(network: SipNetwork, settings: Settings, far: Far) -> None:
    async with reachable(settings, network) as line:
        other = await line.bridge.dial(network.address(far))
        await other.until(lambda view: view.state is (CallState.CONNECTED if far is Far.ANSWERS else CallState.RINGING))
        state = other.state
        call, leg = await line.rung()
        # By itself, baresip would put the other one on hold.
        await call.answer()

        await hears_tone(network, leg)
        assert other.state is state
        assert other.held is not True
        if far is Far.ANSWERS:
            await hears_tone(network, network.leg(other.native_id))


async def test_a_second_call_rings_while_one_is_up_and_can_be_rejected(network: SipNetwork, settings: Settings) -> None:
    async with reachable(settings, network) as line:
        other, other_leg = await talk(line.bridge, network)
        call, leg = await line.rung()
        await call.reject()

        await network.until(lambda: leg.status == 486)
        assert other.state is CallState.CONNECTED
        await hears_tone(network, other_leg)


async def test_a_caller_beyond_the_most_calls_hears_busy_and_nobody_else_does(
    network: SipNetwork, settings: Settings
) -> None:
    async with reachable(settings, network, max_calls=1) as line:
        call, other_leg = await talk(line.bridge, network)
        leg = await line.called()
        await network.until(lambda: leg.status == 486)

        assert call.state is CallState.CONNECTED
        await hears_tone(network, other_leg)


async def test_a_call_that_nobody_answers_in_time_is_given_up_by_baresip(
    network: SipNetwork, settings: Settings
) -> None:
    async with reachable(settings, network, answer_within=1) as line:
        call, leg = await line.rung()
        told = await call.ended()

        assert (told.reason, told.by, told.phase) == (R.NO_ANSWER, EndedBy.PROVIDER, Phase.ALERTING)
        await network.until(lambda: leg.state is LegState.OVER)


async def test_a_caller_who_still_rings_when_the_bridge_is_left_is_told(
    network: SipNetwork, settings: Settings
) -> None:
    async with reachable(settings, network) as line:
        call, leg = await line.rung()

    await network.until(lambda: leg.state is LegState.OVER)
    assert leg.ended_by == "near"
    assert call.view.over
