"""Promises of calls that come in."""

from __future__ import annotations

import anyio

from ..bridge import Bridge
from ..call import Call
from ..events import CallIncoming
from ..provider import CallDirection, Capability, EndedBy, TerminationReason
from ..reports import CallState
from ..termination import Termination
from .harness import Caller, FarEnd, Harness, Trouble
from .promises import Level, promise
from .tap import trial

__all__ = ["InboundPromises"]

_R = TerminationReason
_INBOUND = (Capability.ANSWER, Capability.REJECT)


async def _rung(bridge: Bridge, harness: Harness) -> tuple[Call, Caller]:
    """A call that rings here, and who calls."""
    caller = await harness.call_in()
    return await anext(aiter(bridge.incoming())), caller


class InboundPromises:
    """What every provider that brings calls promises of them."""

    @promise(Level.INBOUND, needs=_INBOUND)
    async def test_a_call_that_comes_in_rings_here(self, harness: Harness) -> None:
        """A call that comes in rings here, says who calls, and is answered by nobody but the application."""
        async with trial(harness) as line:
            call, caller = await _rung(line.bridge, harness)

            assert (call.direction, call.state) == (CallDirection.INBOUND, CallState.RINGING)
            assert call.remote is not None
            assert call.native_id is not None
            assert not call.owned
            await caller.hang_up()
            await call.ended()

    @promise(Level.INBOUND, needs=_INBOUND)
    async def test_a_call_that_is_answered_is_connected_and_ours(self, harness: Harness) -> None:
        """A call that is answered is connected, and hung up when the bridge is left."""
        async with trial(harness) as line:
            call, _ = await _rung(line.bridge, harness)
            await call.answer()

            assert call.state is CallState.CONNECTED
            assert call.owned

        assert call.termination is not None
        assert call.termination.by in (EndedBy.APPLICATION, EndedBy.BRIDGE)
        assert harness.up() == 0

    @promise(Level.INBOUND, needs=_INBOUND)
    async def test_a_call_that_is_rejected_ends_as_rejected(self, harness: Harness) -> None:
        """A call that is rejected ends as rejected by the application, and was never connected."""
        async with trial(harness) as line:
            call, _ = await _rung(line.bridge, harness)
            told = await call.reject(note="not now")

            assert (told.reason, told.by) == (_R.REJECTED, EndedBy.APPLICATION)
            assert (told.requested, told.note) == (_R.REJECTED, "not now")
            assert call.view.reached is CallState.RINGING
        assert harness.up() == 0

    @promise(Level.INBOUND, needs=_INBOUND)
    async def test_a_caller_who_gives_up_ends_the_call(self, harness: Harness) -> None:
        """A caller who gives up ends the call, and it was not our doing."""
        async with trial(harness) as line:
            call, caller = await _rung(line.bridge, harness)
            await caller.hang_up()
            told = await call.ended()

        assert told.reason in (_R.CANCELLED, _R.NO_ANSWER)
        assert told.by is not EndedBy.APPLICATION

    @promise(Level.INBOUND, needs=_INBOUND)
    async def test_a_caller_who_hangs_up_ends_the_conversation(self, harness: Harness) -> None:
        """A caller who hangs up after the answer ends the call normally."""
        async with trial(harness) as line:
            call, caller = await _rung(line.bridge, harness)
            await call.answer()
            await caller.hang_up()
            told = await call.ended()

        assert told.reason is _R.NORMAL
        assert told.by in (EndedBy.REMOTE, EndedBy.UNKNOWN)

    @promise(Level.INBOUND, needs=_INBOUND, troubles=(Trouble.EVENTS_DOUBLED,))
    async def test_a_call_that_is_told_twice_rings_once(self, harness: Harness) -> None:
        """A call that the provider tells twice rings once."""
        async with trial(harness) as line:
            await harness.inject(Trouble.EVENTS_DOUBLED, times=None)
            call, caller = await _rung(line.bridge, harness)
            await caller.hang_up()
            await call.ended()
            assert line.bridge.calls == ()

        arrivals = [event async for event in line.bridge.events(since=0) if isinstance(event, CallIncoming)]
        assert len(arrivals) == 1

    @promise(Level.INBOUND, needs=_INBOUND)
    async def test_a_call_that_nobody_decided_is_left_to_others(self, harness: Harness) -> None:
        """A call that nobody answered here is not hung up when the bridge is left."""
        async with trial(harness) as line:
            call, caller = await _rung(line.bridge, harness)
            assert not line.tap.commands
        assert not line.tap.commands
        assert call.termination is None or call.termination.by is not EndedBy.APPLICATION
        assert harness.up() == 1
        await caller.hang_up()

    @promise(Level.INBOUND, needs=(Capability.REDIRECT,))
    async def test_a_call_that_is_redirected_is_another_ones(self, harness: Harness) -> None:
        """A call that is redirected ends here as redirected."""
        async with trial(harness) as line:
            call, caller = await _rung(line.bridge, harness)
            ends: list[Termination] = []

            async def redirect() -> None:
                ends.append(await call.redirect(harness.address(FarEnd.ANSWERS)))

            async with anyio.create_task_group() as tasks:
                tasks.start_soon(redirect)
                # A provider that stays in the path has done it before the call ends, which takes the two who speak.
                await call.until(lambda view: view.over or any(asked.done for asked in view.asked))
                await caller.hang_up()

            assert [told.reason for told in ends] == [_R.REDIRECTED]
