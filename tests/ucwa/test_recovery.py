"""What an application of ours sees when the server loses events, calls, or the whole UCWA application."""

from __future__ import annotations

from contextlib import asynccontextmanager

import anyio
import anyio.lowlevel
import pytest

import telco_bridge
from telco_bridge import GapDetected
from telco_bridge.provider import CallState, Confidence, TerminationReason
from telco_bridge.sandbox import Exchange, Fault
from telco_bridge.sandbox.exchange import Side
from telco_bridge.serving import Server
from telco_bridge_ucwa.emulator import UcwaEmulator

ANSWERS = "+15550100"
LOST = TerminationReason.NETWORK_LOST


@pytest.fixture
def anyio_backend():
    return "asyncio"


@asynccontextmanager
async def opened(**settings):
    with Exchange(speed=20.0) as exchange:
        emulator = UcwaEmulator(exchange)
        with Server(emulator.app, started=emulator.started, stopped=emulator.stopped):
            async with telco_bridge.connect({**emulator.profile(), "available": True, **settings}) as bridge:
                yield emulator, bridge


async def talking(bridge):
    call = await bridge.dial(ANSWERS)
    await call.until(lambda view: view.state is CallState.CONNECTED)
    return call


async def gap(cursor):
    with anyio.fail_after(10):
        async for event in cursor:
            if isinstance(event, GapDetected):
                return event.why
    raise AssertionError("the events ended")


@pytest.mark.parametrize(
    ("fault", "times", "why", "confidence"),
    [
        (Fault.RESUME_EVENTS, 1, "resume", Confidence.DERIVED),
        (Fault.OVERFLOW_EVENTS, 1, "resume", Confidence.DERIVED),
        (Fault.LOSE_APPLICATION, 1, "application lost: NotFound/ApplicationNotFound", Confidence.DERIVED),
        (Fault.REPLACE_READER, 2, "application lost: Conflict/PGetReplaced", Confidence.SYNTHETIC),
    ],
)
async def test_calls_that_the_server_has_lost_end_and_the_next_one_can_be_made(fault, times, why, confidence):
    async with opened(endpoint_id="desk") as (emulator, bridge):
        call, events = await talking(bridge), bridge.events()
        emulator.faults.inject(fault, on="GET events", times=times)
        # One event, so that there is a next poll, which meets the trouble.
        emulator.post(emulator.applications[0].communication.updated)
        ended = await call.ended()

        assert (ended.reason, ended.confidence) == (LOST, confidence)
        assert await gap(events) == why
        again = await talking(bridge)
        assert [known.id for known in bridge.calls] == [again.id]


async def test_a_call_whose_end_was_missed_is_found_out_after_a_resync_and_the_other_goes_on():
    async with opened() as (emulator, bridge):
        call, other = await talking(bridge), await talking(bridge)
        events = bridge.events()
        leg = next(leg for leg in emulator.exchange.legs.values() if leg.answered)
        emulator.faults.inject(Fault.LOSE_EVENT, on="event", times=None)
        await anyio.to_thread.run_sync(lambda: leg.hang_up(by=Side.CALLEE))
        with anyio.fail_after(10):
            # What the network tells reaches the server's loop a moment later.
            while len(emulator.applications[0].communication.conversations) > 1:
                await anyio.lowlevel.checkpoint()
        emulator.faults.clear()
        emulator.faults.inject(Fault.RESYNC_EVENTS, on="GET events")
        third = await talking(bridge)
        ended = await call.ended()

        assert (ended.reason, ended.confidence) == (LOST, Confidence.INFERRED)
        assert await gap(events) == "resync"
        assert {known.id for known in bridge.calls} == {other.id, third.id}
        assert emulator.wire.records(containing="GET application")


async def test_an_application_that_is_gone_for_good_is_told_with_its_reason():
    subcode = "TooManyApplications"
    async with opened() as (emulator, bridge):
        call, events = await talking(bridge), bridge.events()
        emulator.faults.inject(Fault.LOSE_APPLICATION, on="GET events", subcode=subcode)
        emulator.post(emulator.applications[0].communication.updated)
        ended = await call.ended()

        assert subcode in await gap(events)
        assert (ended.reason, ended.confidence) == (LOST, Confidence.DERIVED)
        assert bridge.health.channel == "failing"
        assert subcode in bridge.health.error
        assert emulator.applications == []


async def test_two_programs_that_share_an_endpoint_come_apart_and_both_can_call():
    async with opened(endpoint_id="desk") as (emulator, one):
        events = one.events()
        other = {**emulator.profile(), "available": True, "endpoint_id": "desk"}
        async with telco_bridge.connect(other) as two:
            with anyio.fail_after(10):
                while len(emulator.applications) < 2:
                    await gap(events)
            calls = [await talking(one), await talking(two)]

            assert {known.id for bridge in (one, two) for known in bridge.calls} == {call.id for call in calls}
