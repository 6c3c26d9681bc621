"""The simulator through the bridge's doors: calls out and calls in, on a network whose time is stepped."""

from __future__ import annotations

from collections.abc import AsyncGenerator

import anyio
import pytest
from anyio.abc import TaskGroup

from telco_bridge import Bridge, Call, CallState, DigitReceived, EndedBy, Modality, TerminationReason, connect
from telco_bridge.sandbox import Exchange, Fault, SteppedClock

from .conftest import Soon

R = TerminationReason
OURS, THEIRS = "+15550111", "+15550199"


@pytest.fixture
def exchange(clock: SteppedClock) -> Exchange:
    return Exchange(clock=clock)


@pytest.fixture
async def bridge(exchange: Exchange, clock: SteppedClock) -> AsyncGenerator[Bridge]:
    settings = {"provider": "simulator", "exchange": exchange, "numbers": [OURS], "lifecycle": {"close_timeout": 0.2}}
    async with connect(settings, clock=clock) as open_bridge:
        yield open_bridge


async def test_a_call_that_comes_in_is_answered(bridge: Bridge, exchange: Exchange, clock: SteppedClock) -> None:
    calls = bridge.incoming()
    leg = exchange.call_in(caller=THEIRS, callee=OURS)

    call = await anext(calls)
    await call.answer()

    assert (call.remote.address, call.local.address) == (THEIRS, OURS)  # type: ignore[union-attr]
    assert leg.answered
    assert call.owned
    leg.press("5", by=leg.far)
    await call.hangup()
    assert [event.digit async for event in call.events() if isinstance(event, DigitReceived)] == ["5"]
    assert not exchange.legs


async def test_a_call_that_rang_before_anybody_looked_is_offered(bridge: Bridge, exchange: Exchange) -> None:
    exchange.call_in(caller=THEIRS, callee=OURS)

    call = await anext(bridge.incoming())

    assert call.state is CallState.RINGING
    await call.reject()


async def test_a_call_that_comes_in_is_rejected(bridge: Bridge, exchange: Exchange) -> None:
    calls = bridge.incoming()
    leg = exchange.call_in(caller=THEIRS, callee=OURS)

    termination = await (await anext(calls)).reject()

    assert (termination.reason, termination.by) == (R.REJECTED, EndedBy.APPLICATION)
    assert leg.clearing is not None
    assert leg.clearing.sip == 603


async def test_a_caller_that_gives_up_ends_the_call(bridge: Bridge, exchange: Exchange) -> None:
    calls = bridge.incoming()
    leg = exchange.call_in(caller=THEIRS, callee=OURS)
    call = await anext(calls)

    leg.hang_up(by=leg.far)

    assert (await call.ended()).by is EndedBy.REMOTE


async def test_a_handler_that_fails_ends_its_own_call_only(
    bridge: Bridge, exchange: Exchange, clock: SteppedClock, tasks: TaskGroup
) -> None:
    async def handler(call: Call) -> None:
        await call.answer()
        if call.remote is not None and call.remote.address == THEIRS:
            raise LookupError("mine")
        await call.ended()

    Soon(tasks, bridge.serve, handler)
    await clock.advance(0)
    broken = exchange.call_in(caller=THEIRS, callee=OURS)
    whole = exchange.call_in(caller="+15550198", callee=OURS)
    await clock.advance(0)

    assert broken.clearing is not None
    assert whole.clearing is None
    assert [call.state for call in bridge.calls] == [CallState.CONNECTED]


async def test_a_call_goes_out_and_media_stops_without_ending_it(
    bridge: Bridge, exchange: Exchange, clock: SteppedClock
) -> None:
    call = await bridge.dial("+15550100")
    await clock.advance(2)
    await call.answered()

    result = await call.stop(Modality.AUDIO)

    assert result.call_ended is False
    assert call.state is CallState.CONNECTED
    await call.hangup()
    assert not exchange.legs


async def test_a_dial_whose_answer_was_lost_is_found_and_not_doubled(
    bridge: Bridge, exchange: Exchange, clock: SteppedClock, tasks: TaskGroup
) -> None:
    exchange.faults.inject(Fault.DROP_ANSWER, on="Dial")

    dialling = Soon(tasks, bridge.dial, "+15550100")
    await clock.advance(2)

    assert dialling.value == bridge.calls[0]
    assert len(exchange.legs) == 1


async def test_lost_events_are_made_up_for_by_reads(bridge: Bridge, exchange: Exchange, clock: SteppedClock) -> None:
    call = await bridge.dial("+15550104")
    exchange.faults.inject(Fault.LOSE_EVENT, times=None)

    await clock.advance(30)

    assert call.termination is not None
    assert (call.termination.reason, call.termination.by) == (R.NORMAL, EndedBy.REMOTE)
    assert [type(event).__name__ async for event in call.events()].count("CallConnected") == 1


async def test_hundreds_of_calls_in_real_time_end_and_nobody_waits_for_ever() -> None:
    async with connect({"provider": "simulator", "speed": 50}) as bridge:

        async def call_and_hang_up(pause: float) -> None:
            call = await bridge.dial("+15550100")
            await anyio.sleep(pause)
            await call.hangup()

        with anyio.fail_after(30):
            for _ in range(5):
                async with anyio.create_task_group() as tasks:
                    for number in range(40):
                        # Around the answer, so that the network speaks while the bridge does.
                        tasks.start_soon(call_and_hang_up, 0.01 + number / 2000)

        assert bridge.calls == ()
