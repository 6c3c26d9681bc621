"""The simulator through the bridge's doors: calls out and calls in, on a network whose time is stepped."""

from __future__ import annotations

from collections.abc import AsyncGenerator

import anyio
import pytest
from anyio.abc import TaskGroup

from telco_bridge import (
    Bridge,
    Call,
    CallEnded,
    CallState,
    TerminationReason,
    connect,
)
from telco_bridge.sandbox import DIRECTORY, Exchange, SteppedClock
from telco_bridge.sandbox.simulator import REASONS

from .conftest import Soon

R = TerminationReason
OURS, THEIRS = "+15550111", "+15550199"
_ANSWERED = {number for number, behaviour in DIRECTORY.items() if behaviour.answers_after is not None}


@pytest.fixture
def exchange(clock: SteppedClock) -> Exchange:
    return Exchange(clock=clock)


@pytest.fixture
async def bridge(exchange: Exchange, clock: SteppedClock) -> AsyncGenerator[Bridge]:
    settings = {"provider": "simulator", "exchange": exchange, "numbers": [OURS], "lifecycle": {"close_timeout": 0.2}}
    async with connect(settings, clock=clock) as open_bridge:
        yield open_bridge


async def test_a_call_that_rang_before_anybody_looked_is_offered(bridge: Bridge, exchange: Exchange) -> None:
    exchange.call_in(caller=THEIRS, callee=OURS)

    call = await anext(bridge.incoming())

    assert call.state is CallState.RINGING
    await call.reject()


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


@pytest.mark.parametrize("number", [number for number in DIRECTORY if number not in _ANSWERED])
async def test_what_the_network_says_of_a_call_that_fails_is_a_row(
    bridge: Bridge, clock: SteppedClock, number: str
) -> None:
    call = await bridge.dial(number)

    await clock.advance(200)

    (ended,) = [event async for event in call.events() if isinstance(event, CallEnded)]
    assert ended.call.cause in {row.cause for row in REASONS}
