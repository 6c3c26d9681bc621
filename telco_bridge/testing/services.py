"""Promises about what a provider does in a call beside carrying it: speaking, connecting elsewhere, recording."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import anyio
import pytest

from ..bridge import Bridge
from ..call import Call
from ..errors import NotPossibleNow, Refused
from ..events import RecordingChanged
from ..media import RecordingState
from ..provider import Capability, TerminationReason
from ..reports import CallState
from .harness import FarEnd, Harness
from .promises import Level, promise
from .tap import trial

__all__ = ["ServicePromises"]

_R = TerminationReason
_OUTBOUND = (Capability.DIAL, Capability.HANG_UP)


async def _connected(bridge: Bridge, harness: Harness) -> Call:
    return await (await bridge.dial(harness.address(FarEnd.ANSWERS))).answered()


class ServicePromises:
    """What every provider that does such things promises of them."""

    @promise(Level.FULL, needs=(*_OUTBOUND, Capability.SAY))
    async def test_what_is_said_is_told_to_be_done(self, harness: Harness) -> None:
        """A text that the provider speaks is told to be said, and the call goes on."""
        async with trial(harness) as line:
            call = await _connected(line.bridge, harness)
            await call.say("one")
            await call.say("and two")

            assert call.state is CallState.CONNECTED
            assert not call.asked
            await call.hangup()

    @promise(Level.FULL, needs=(*_OUTBOUND, Capability.SAY))
    async def test_what_is_said_later_takes_the_place_of_what_is_said_now(self, harness: Harness) -> None:
        """Whoever waits for a text that another one has cut off is told so at once."""
        async with trial(harness) as line:
            call = await _connected(line.bridge, harness)
            cut: list[str] = []

            async def say_a_lot() -> None:
                with pytest.raises(NotPossibleNow) as error:
                    await call.say("a long story, that " + "goes on and on, " * 100)
                cut.append(str(error.value))

            async with anyio.create_task_group() as tasks:
                tasks.start_soon(say_a_lot)
                await call.until(lambda view: bool(view.asked))
                await call.say("stop")
            assert len(cut) == 1
            assert call.state is CallState.CONNECTED
            await call.hangup()

    @promise(Level.FULL, needs=(*_OUTBOUND, Capability.TRANSFER))
    async def test_a_call_that_is_transferred_lives_on_without_us(self, harness: Harness) -> None:
        """A call that is transferred is released, and ends as transferred when the two have spoken to each other."""
        async with trial(harness) as line:
            async with await line.bridge.dial(harness.address(FarEnd.ANSWERS)) as call:
                await call.answered()
                await call.transfer(harness.address(FarEnd.HANGS_UP))
                assert not call.owned
            told = await call.ended()

        assert told.reason is _R.TRANSFERRED
        assert harness.up() == 0

    @promise(Level.FULL, needs=(*_OUTBOUND, Capability.TRANSFER))
    async def test_a_transfer_that_nobody_takes_gives_the_call_back(self, harness: Harness) -> None:
        """A call that nobody takes over is ours as before, and we are told why nobody did."""
        async with trial(harness) as line:
            call = await _connected(line.bridge, harness)
            with pytest.raises(Refused) as refused:
                await call.transfer(harness.address(FarEnd.BUSY))

            assert refused.value.termination is not None
            assert refused.value.termination.reason is _R.BUSY
            assert (call.owned, harness.up()) == (True, 1)
            await call.hangup()

        assert harness.up() == 0

    @promise(Level.FULL, needs=(*_OUTBOUND, Capability.RECORD))
    async def test_a_recording_has_a_file_in_the_end(self, harness: Harness) -> None:
        """A recording begins and ends when it is told to, and its file can be fetched after the call."""
        async with trial(harness) as line:
            call = await _connected(line.bridge, harness)
            recording = await call.record()
            assert recording.state is RecordingState.RECORDING
            await recording.stop()
            await recording.stop()
            assert call.state is CallState.CONNECTED
            await call.hangup()
            await recording.completed()
            with TemporaryDirectory() as folder:
                path = await recording.save(Path(folder) / "call.wav")
                assert (await anyio.Path(path).read_bytes())[:4] == b"RIFF"

        log = line.bridge.events(since=0)
        told = [event.state async for event in log if isinstance(event, RecordingChanged)]
        assert told == sorted(set(told), key=list(RecordingState).index), f"its life went back: {told}"

    @promise(Level.FULL, needs=(*_OUTBOUND, Capability.RECORD))
    async def test_a_recording_ends_with_its_call(self, harness: Harness) -> None:
        """A recording that nobody stops ends with its call, and is completed all the same."""
        async with trial(harness) as line:
            call = await _connected(line.bridge, harness)
            recording = await call.record()
            await call.hangup()
            known = await recording.completed()

        assert known.state is RecordingState.COMPLETED

    @promise(Level.FULL, needs=(*_OUTBOUND, Capability.RECORD, Capability.PAUSE_RECORDING))
    async def test_a_recording_is_paused_and_resumed(self, harness: Harness) -> None:
        """A recording is paused and resumed as often as it is asked to be."""
        async with trial(harness) as line:
            call = await _connected(line.bridge, harness)
            recording = await call.record()
            states: list[RecordingState] = []
            for _ in range(2):
                await recording.pause()
                states.append(recording.state)
                await recording.resume()
                states.append(recording.state)
            assert states == [RecordingState.PAUSED, RecordingState.RECORDING] * 2
            await call.hangup()
