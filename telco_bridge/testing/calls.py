"""Promises of a call that goes out: it is placed once, it tells how far it comes, and it ends."""

from __future__ import annotations

import anyio
import anyio.lowlevel
import pytest

from ..call import Call
from ..commands import Dial, HangUp
from ..errors import NotAnswered, Refused
from ..events import CallConnected, CallEnded, CallEvent
from ..provider import Capability, EndedBy, Phase, TerminationReason
from ..reports import CallState
from .harness import FarEnd, Harness
from .promises import Level, promise
from .tap import trial

__all__ = ["CallPromises", "history"]

_R = TerminationReason
_OUTBOUND = (Capability.DIAL, Capability.HANG_UP)


async def history(call: Call) -> list[CallEvent]:
    """Everything that a call told, up to its end."""
    return [event async for event in call.events() if isinstance(event, CallEvent)]


class CallPromises:
    """What every provider that dials promises of its calls."""

    @promise(Level.BASIC, needs=_OUTBOUND)
    async def test_an_answered_call_that_we_hang_up_ended_normally_by_the_application(self, harness: Harness) -> None:
        """A call that was answered and hung up here ended normally, by the application, and keeps what was asked."""
        async with trial(harness) as line:
            call = await line.bridge.dial(harness.address(FarEnd.ANSWERS))
            await call.answered()
            await call.hangup(note="all said")
            told = await call.ended()

        assert (told.reason, told.by, told.phase) == (_R.NORMAL, EndedBy.APPLICATION, Phase.ESTABLISHED)
        assert (told.requested, told.note) == (_R.NORMAL, "all said")
        assert harness.up() == 0

    @promise(Level.BASIC, needs=_OUTBOUND)
    @pytest.mark.parametrize(
        ("far_end", "reason"),
        [(FarEnd.BUSY, _R.BUSY), (FarEnd.DECLINES, _R.REJECTED), (FarEnd.UNALLOCATED, _R.UNALLOCATED_NUMBER)],
    )
    async def test_a_call_that_nobody_takes_says_why(
        self, harness: Harness, far_end: FarEnd, reason: TerminationReason
    ) -> None:
        """A call that nobody takes ends with its reason, and with the provider's own words beside it."""
        async with trial(harness) as line:
            call = await line.bridge.dial(harness.address(far_end))
            told = await call.ended()

        assert told.reason is reason
        assert told.native, "the provider's own words are missing: set `native` in explain"

    @promise(Level.BASIC, needs=_OUTBOUND)
    @pytest.mark.parametrize("far_end", [FarEnd.BUSY, FarEnd.DECLINES, FarEnd.UNALLOCATED])
    async def test_a_call_that_nobody_answered_was_never_connected(self, harness: Harness, far_end: FarEnd) -> None:
        """A call that nobody answered was never connected, not for a moment."""
        async with trial(harness) as line:
            call = await line.bridge.dial(harness.address(far_end))
            told = await call.ended()

            assert told.phase in (Phase.SETUP, Phase.ALERTING)
            events = await history(call)
            assert not [event for event in events if isinstance(event, CallConnected)]
            assert sum(isinstance(event, CallEnded) for event in events) == 1
            with pytest.raises(NotAnswered):
                await call.answered()

    @promise(Level.BASIC, needs=_OUTBOUND)
    async def test_the_far_ends_hang_up_is_not_ours(self, harness: Harness) -> None:
        """A call that the far end hung up ended normally, and not by this side."""
        async with trial(harness) as line:
            call = await line.bridge.dial(harness.address(FarEnd.HANGS_UP))
            await call.answered()
            told = await call.ended()

        assert told.reason is _R.NORMAL
        assert told.by in (EndedBy.REMOTE, EndedBy.UNKNOWN)
        assert told.phase is Phase.ESTABLISHED
        assert told.requested is None

    @promise(Level.BASIC, needs=_OUTBOUND)
    async def test_hanging_up_a_ringing_call_cancels_it(self, harness: Harness) -> None:
        """A call that is hung up while it rings was cancelled by the application."""
        async with trial(harness) as line:
            call = await line.bridge.dial(harness.address(FarEnd.RINGS))
            await call.until(lambda view: view.state in (CallState.DIALING, CallState.RINGING))
            await call.hangup()
            told = await call.ended()

        assert (told.reason, told.by) == (_R.CANCELLED, EndedBy.APPLICATION)
        assert harness.up() == 0

    @promise(Level.BASIC, needs=_OUTBOUND)
    async def test_a_call_ends_once_and_nothing_follows(self, harness: Harness) -> None:
        """A call tells its story in order, ends exactly once, and nothing follows its end."""
        async with trial(harness) as line:
            call = await line.bridge.dial(harness.address(FarEnd.HANGS_UP))
            await call.ended()
            events = await history(call)

        numbers = [event.seq for event in events]
        assert numbers == sorted(set(numbers))
        assert sum(isinstance(event, CallEnded) for event in events) == 1
        assert isinstance(events[-1], CallEnded)
        states = [report.state for report in line.tap.reports if report.ref == call.native_id and report.state]
        after = states[states.index(CallState.ENDED) :] if CallState.ENDED in states else []
        assert set(after) <= {CallState.ENDED}, "the plugin told of life after the end"
        assert sum(isinstance(event, CallConnected) for event in events) == 1

    @promise(Level.BASIC, needs=_OUTBOUND)
    async def test_hanging_up_twice_sends_one_hang_up(self, harness: Harness) -> None:
        """Hanging up twice, and twice at once, ends the call once and sends nothing more."""
        async with trial(harness) as line:
            call = await line.bridge.dial(harness.address(FarEnd.ANSWERS))
            await call.answered()
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(call.hangup)
                tasks.start_soon(call.hangup)
            sent = harness.sent()
            await call.hangup()

            assert harness.sent() == sent
            assert line.sent(HangUp) == 1
            assert call.state is CallState.ENDED

    @promise(Level.BASIC, needs=_OUTBOUND)
    async def test_hanging_up_inside_the_loop_over_its_own_events_does_not_deadlock(self, harness: Harness) -> None:
        """A call can be hung up from within the loop over its own events."""
        async with trial(harness) as line:
            call = await line.bridge.dial(harness.address(FarEnd.ANSWERS))
            async for event in call.events():
                if isinstance(event, CallConnected):
                    await call.hangup()

            assert call.termination is not None

    @promise(Level.BASIC, needs=_OUTBOUND)
    async def test_two_calls_at_once_do_not_mix(self, harness: Harness) -> None:
        """Two calls at once keep their own identities, parties and ends."""
        async with trial(harness) as line:
            answered = await line.bridge.dial(harness.address(FarEnd.ANSWERS))
            busy = await line.bridge.dial(harness.address(FarEnd.BUSY))
            told = await busy.ended()
            await answered.answered()

            assert told.phase is not Phase.ESTABLISHED
            assert answered.termination is None
            assert answered.native_id is not None
            assert answered.native_id != busy.native_id
            await answered.hangup()

        assert harness.placed() == 2

    @promise(Level.BASIC, needs=_OUTBOUND)
    async def test_one_intent_is_one_call(self, harness: Harness) -> None:
        """One intent is one call, however often it is dialled."""
        async with trial(harness) as line:
            first = await line.bridge.dial(harness.address(FarEnd.ANSWERS), intent="order 4711")
            second = await line.bridge.dial(harness.address(FarEnd.ANSWERS), intent="order 4711")
            await first.answered()
            await second.hangup()

        assert first == second
        assert harness.placed() == 1

    @promise(Level.BASIC, needs=_OUTBOUND)
    async def test_leaving_a_call_hangs_it_up(self, harness: Harness) -> None:
        """Leaving `async with call` leaves nothing up, in the network too."""
        async with trial(harness) as line:
            async with await line.bridge.dial(harness.address(FarEnd.ANSWERS)) as call:
                await call.answered()

            assert call.state is CallState.ENDED
            assert harness.up() == 0

    @promise(Level.BASIC, needs=_OUTBOUND)
    async def test_leaving_the_bridge_hangs_up_and_signs_out(self, harness: Harness) -> None:
        """Leaving the bridge hangs up what it dialled, signs out once, and leaves no task behind."""
        before = len(anyio.get_running_tasks())
        async with trial(harness) as line:
            call = await line.bridge.dial(harness.address(FarEnd.ANSWERS))
            await call.answered()

        assert call.termination is not None
        assert harness.up() == 0
        assert (line.tap.entered, line.tap.left) == (1, 1)
        assert len(anyio.get_running_tasks()) == before

    @promise(Level.BASIC, needs=_OUTBOUND)
    async def test_an_error_of_the_applications_leaves_unwrapped(self, harness: Harness) -> None:
        """An error of the application's own leaves the bridge as it is, and nothing stays up."""
        mistake = RuntimeError("the application's own")

        with pytest.raises(RuntimeError) as caught:  # noqa: PT012 - what leaves the bridge is the point
            async with trial(harness) as line:
                call = await line.bridge.dial(harness.address(FarEnd.ANSWERS))
                await call.answered()
                raise mistake

        assert caught.value is mistake
        assert harness.up() == 0

    @promise(Level.BASIC, needs=_OUTBOUND)
    async def test_a_cancelled_dial_leaves_no_call_up(self, harness: Harness) -> None:
        """A dial that is cancelled at any moment leaves no call ringing."""
        async with trial(harness) as line:
            for moments in (1, 3, 10):
                with anyio.CancelScope() as scope:
                    async with anyio.create_task_group() as tasks:
                        tasks.start_soon(line.bridge.dial, harness.address(FarEnd.RINGS))
                        for _ in range(moments):
                            await anyio.lowlevel.checkpoint()
                        scope.cancel()

        assert harness.up() == 0
        assert harness.placed() <= line.sent(Dial)

    @promise(Level.BASIC, needs=_OUTBOUND)
    async def test_a_cancelled_hang_up_hangs_up_all_the_same(self, harness: Harness) -> None:
        """A hang-up whose caller is cancelled hangs up all the same."""
        async with trial(harness) as line:
            call = await line.bridge.dial(harness.address(FarEnd.ANSWERS))
            await call.answered()
            with anyio.CancelScope() as scope:
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(call.hangup)
                    await anyio.lowlevel.checkpoint()
                    scope.cancel()
            told = await call.ended()

        assert told.by is EndedBy.APPLICATION
        assert harness.up() == 0

    @promise(Level.BASIC, needs=(Capability.DIAL,))
    @pytest.mark.parametrize("nonsense", ["call me", "", "+", "++1555", "tel:abc"])
    async def test_an_address_that_is_none_is_refused(self, harness: Harness, nonsense: str) -> None:
        """An address that is none is refused with its own words, and no call is placed."""
        async with trial(harness) as line:
            with pytest.raises(Refused) as refusal:
                await line.bridge.dial(nonsense)

            assert repr(nonsense) in str(refusal.value), "the error does not say which address was tried"
            assert line.bridge.calls == ()
        assert harness.placed() == 0
