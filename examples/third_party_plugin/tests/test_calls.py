"""Calls that go out, to far ends that answer, refuse, let ring and hang up: what both sides know of them."""

from __future__ import annotations

import anyio
import pytest
from telco_bridge import CallState, NotAnswered, TerminationReason, connect
from telco_bridge.provider import Confidence, EndedBy, Phase

from .network import Far, LegState, SipNetwork
from .phone import folder_of, softphones
from .talk import hears_tone, leg_of, talk

R = TerminationReason
Settings = dict[str, object]


async def test_a_call_that_is_answered_is_up_at_both_ends(network: SipNetwork, settings: Settings) -> None:
    async with connect(settings) as bridge:
        call, leg = await talk(bridge, network)

        assert call.state is CallState.CONNECTED
        assert leg.state is LegState.UP
        assert call.remote is not None
        assert call.remote.address == network.address(Far.ANSWERS)
        assert call.native_id == leg.id


@pytest.mark.parametrize(
    ("far", "status", "reason", "by"),
    [
        (Far.BUSY, 486, R.BUSY, EndedBy.REMOTE),
        (Far.DECLINES, 603, R.REJECTED, EndedBy.REMOTE),
        (Far.NOT_FOUND, 404, R.UNALLOCATED_NUMBER, EndedBy.NETWORK),
        (Far.UNAVAILABLE, 480, R.NO_ANSWER, EndedBy.NETWORK),
        (Far.ERROR, 500, R.PROVIDER_ERROR, EndedBy.NETWORK),
        (Far.OVERLOADED, 503, R.CONGESTION, EndedBy.NETWORK),
        (Far.BUSY_EVERYWHERE, 600, R.BUSY, EndedBy.REMOTE),
    ],
)
async def test_a_refusal_is_told_as_the_far_end_said_it(
    network: SipNetwork, settings: Settings, far: Far, status: int, reason: TerminationReason, by: EndedBy
) -> None:
    async with connect(settings) as bridge:
        call = await bridge.dial(network.address(far))
        told = await call.ended()

        assert (told.reason, told.by, told.sip) == (reason, by, status)
        assert told.confidence is Confidence.REPORTED
        assert (told.native or "").startswith(f"{status} ")
        assert told.phase is (Phase.ALERTING if far is Far.DECLINES else Phase.SETUP)
        with pytest.raises(NotAnswered):
            await call.answered()
        assert (await leg_of(network, call)).status == status


async def test_a_far_end_that_rings_for_ever_is_given_up_in_our_time(network: SipNetwork, settings: Settings) -> None:
    async with connect(settings) as bridge:
        call = await bridge.dial(network.address(Far.RINGS), ring_timeout=0.5)
        told = await call.ended()

        assert (told.reason, told.by, told.phase) == (R.NO_ANSWER, EndedBy.BRIDGE, Phase.ALERTING)
        leg = await leg_of(network, call)
        await network.until(lambda: leg.status == 487)
        assert "CANCEL" in leg.requests


async def test_a_far_end_that_never_says_a_word_is_given_up_in_our_time(
    network: SipNetwork, settings: Settings
) -> None:
    async with connect(settings) as bridge:
        call = await bridge.dial(network.address(Far.SILENT), ring_timeout=0.5)
        told = await call.ended()

        assert (told.reason, told.by, told.phase) == (R.NO_ANSWER, EndedBy.BRIDGE, Phase.SETUP)
        assert bridge.calls == ()


async def test_hanging_up_while_it_rings_cancels_the_invitation(network: SipNetwork, settings: Settings) -> None:
    async with connect(settings) as bridge:
        call = await bridge.dial(network.address(Far.RINGS))
        await call.until(lambda view: view.state is CallState.RINGING)
        await call.hangup()
        told = await call.ended()

        assert (told.reason, told.by, told.phase) == (R.CANCELLED, EndedBy.APPLICATION, Phase.ALERTING)
        leg = await leg_of(network, call)
        await network.until(lambda: leg.status == 487)
        assert leg.requests == ["INVITE", "CANCEL"]


async def test_our_hang_up_is_heard_by_the_far_end(network: SipNetwork, settings: Settings) -> None:
    async with connect(settings) as bridge:
        call, leg = await talk(bridge, network)
        await call.hangup(note="all said")
        told = await call.ended()

        assert (told.reason, told.by, told.phase) == (R.NORMAL, EndedBy.APPLICATION, Phase.ESTABLISHED)
        assert told.note == "all said"
        await network.until(lambda: leg.state is LegState.OVER)
        assert leg.ended_by == "near"
        assert leg.requests == ["INVITE", "BYE"]


async def test_the_far_ends_hang_up_is_theirs(network: SipNetwork, settings: Settings) -> None:
    async with connect(settings) as bridge:
        call, leg = await talk(bridge, network)
        network.hang_up(leg)
        told = await call.ended()

        assert (told.reason, told.by, told.phase) == (R.NORMAL, EndedBy.REMOTE, Phase.ESTABLISHED)
        assert told.requested is None
        assert leg.ended_by == "far"
        assert leg.requests == ["INVITE"]


async def test_of_two_calls_the_one_that_is_meant_is_hung_up(network: SipNetwork, settings: Settings) -> None:
    async with connect(settings) as bridge:
        first, first_leg = await talk(bridge, network)
        second, second_leg = await talk(bridge, network)
        # By itself, baresip would hang up the newest.
        await first.hangup()

        await network.until(lambda: first_leg.state is LegState.OVER)
        assert second.state is CallState.CONNECTED
        await hears_tone(network, second_leg)
        assert second_leg.requests == ["INVITE"]
        await second.hangup()
        await network.until(lambda: second_leg.state is LegState.OVER)


async def test_calls_that_are_dialled_at_once_keep_their_own_ends(network: SipNetwork, settings: Settings) -> None:
    async with connect(settings) as bridge:
        far_ends = (Far.BUSY, Far.ANSWERS, Far.NOT_FOUND, Far.RINGS, Far.ERROR)
        calls = {far: await bridge.dial(network.address(far)) for far in far_ends}
        await calls[Far.ANSWERS].answered()

        assert (await calls[Far.BUSY].ended()).sip == 486
        assert (await calls[Far.NOT_FOUND].ended()).sip == 404
        assert (await calls[Far.ERROR].ended()).sip == 500
        await calls[Far.RINGS].until(lambda view: view.state is CallState.RINGING)
        assert {call.native_id for call in bridge.calls} == {
            calls[Far.ANSWERS].native_id,
            calls[Far.RINGS].native_id,
        }


async def test_leaving_hangs_up_and_leaves_no_process_and_no_folder(network: SipNetwork, settings: Settings) -> None:
    async with connect(settings) as bridge:
        call, leg = await talk(bridge, network)
        folder = folder_of(softphones()[0])

    assert (await call.ended()).by is EndedBy.BRIDGE
    await network.until(lambda: leg.state is LegState.OVER)
    assert leg.ended_by == "near"
    assert softphones() == []
    assert not await anyio.Path(folder).exists()
