"""Promises of audio in the application's hands: it comes, it goes, and it ends without touching the call."""

from __future__ import annotations

from array import array

import anyio
import pytest

from ..audio.formats import PCM16_8K
from ..audio.frames import AudioFrame
from ..audio.playback import PlaybackState
from ..audio.wire import Track
from ..call import Call
from ..callaudio import CallAudio
from ..events import CallEnded, StreamEnded
from ..media import StreamState
from ..provider import Capability, TerminationReason
from ..reports import CallState
from .calls import history
from .harness import FarEnd, Harness, Trouble
from .promises import Level, promise
from .tap import Trial, trial

__all__ = ["AudioPromises"]

_R = TerminationReason
_HEARS = (Capability.DIAL, Capability.HANG_UP, Capability.START_AUDIO, Capability.STOP_AUDIO, Capability.RECEIVE_AUDIO)
_SPEAKS = (*_HEARS, Capability.SEND_AUDIO)
_LOOK_AGAIN = 0.02


async def _answered(line: Trial, harness: Harness, far_end: FarEnd) -> Call:
    call = await line.bridge.dial(harness.address(far_end))
    return await call.answered()


async def _said(audio: CallAudio, count: int) -> list[AudioFrame]:
    """The next frames of what the far end says."""
    frames: list[AudioFrame] = []
    async for item in audio:
        if isinstance(item, AudioFrame) and item.track is not Track.OUTBOUND:
            frames.append(item)
            if len(frames) == count:
                return frames
    pytest.fail(f"the audio was over after {len(frames)} frames")


def _level(value: int, milliseconds: int) -> bytes:
    """A sound of one value, which no codec loses."""
    return array("h", [value]).tobytes() * (8 * milliseconds)


class AudioPromises:
    """What every provider whose audio comes to the application promises."""

    @promise(Level.MEDIA, needs=_HEARS)
    async def test_what_the_far_end_says_reaches_the_application(self, harness: Harness) -> None:
        """What the far end says reaches the application, frame by frame, on one time line."""
        async with trial(harness) as line:
            call = await _answered(line, harness, FarEnd.SPEAKS)
            async with call.audio() as audio:
                assert audio.stream.state is StreamState.ACTIVE
                frames = await _said(audio, 15)
            await call.hangup()

        assert any(any(frame.data) for frame in frames), "nothing but silence came"
        places = [frame.timestamp for frame in frames]
        assert places == sorted(set(places)), "the frames are not in the order in which they were said"
        assert {frame.format for frame in frames} == {PCM16_8K}

    @promise(Level.MEDIA, needs=_HEARS)
    async def test_leaving_the_audio_leaves_the_call_alone(self, harness: Harness) -> None:
        """Leaving the audio of a call ends its stream with our reason, and nothing else."""
        async with trial(harness) as line:
            call = await _answered(line, harness, FarEnd.SPEAKS)
            before = call.view.live_streams
            async with call.audio() as audio:
                await _said(audio, 1)

            assert audio.stream.state is StreamState.ENDED
            assert audio.stream.termination is not None
            assert audio.stream.termination.reason is _R.NORMAL
            assert call.state is CallState.CONNECTED
            assert {stream.id for stream in call.view.live_streams} == {stream.id for stream in before}
            assert harness.up() == 1
            await call.hangup()

    @promise(Level.MEDIA, needs=_HEARS)
    async def test_the_audio_of_a_call_ends_with_it(self, harness: Harness) -> None:
        """When a call ends its audio ends too, and is told to have ended before the call."""
        async with trial(harness) as line:
            call = await _answered(line, harness, FarEnd.SPEAKS)
            async with call.audio() as audio:
                await _said(audio, 1)
                await call.hangup()
                async for _ in audio:
                    pass
            stream = audio.stream.id
            told = [
                event
                for event in await history(call)
                if isinstance(event, CallEnded) or (isinstance(event, StreamEnded) and event.stream == stream)
            ]

        assert [type(event) for event in told] == [StreamEnded, CallEnded]

    @promise(Level.MEDIA, needs=_HEARS, troubles=(Trouble.MEDIA_BROKEN,))
    async def test_audio_that_breaks_ends_its_stream_and_never_the_call(self, harness: Harness) -> None:
        """When the way of the audio breaks its stream ends as lost, and the call goes on."""
        async with trial(harness) as line:
            call = await _answered(line, harness, FarEnd.SPEAKS)
            async with call.audio() as audio:
                await _said(audio, 1)
                await harness.inject(Trouble.MEDIA_BROKEN)
                told = await audio.stream.ended()

                assert told.reason is _R.MEDIA_LOST
                # Whoever ended the call with its audio has had the time to do so.
                await line.tap.session.read(call.native_id or "")
                assert call.state is CallState.CONNECTED
                assert harness.up() == 1
            await call.hangup()

    @promise(Level.MEDIA, needs=_SPEAKS)
    async def test_what_is_played_is_heard_to_its_end(self, harness: Harness) -> None:
        """What is played to the far end is heard there, all of it, and is then told to be finished."""
        async with trial(harness) as line:
            call = await _answered(line, harness, FarEnd.ANSWERS)
            async with call.audio(direction="both") as audio:
                playback = audio.play(_level(8000, 200))
                heard = await playback.finished()

                assert (playback.state, heard.complete, heard.milliseconds) == (PlaybackState.FINISHED, True, 200)
                while (listened := harness.listened(call)) is not None and len(listened) < 0.18 * 16_000:  # noqa: ASYNC110
                    await anyio.sleep(_LOOK_AGAIN)
                assert listened is None or max(array("h", listened)) > 4000
            await call.hangup()

    @promise(Level.MEDIA, needs=_SPEAKS)
    async def test_what_is_cut_off_is_heard_no_more(self, harness: Harness) -> None:
        """What is cut off is heard no more, and what is played next is heard at once."""
        async with trial(harness) as line:
            call = await _answered(line, harness, FarEnd.ANSWERS)
            # So much is with the provider already when it is cut off.
            async with call.audio(direction="both", lead=5.0) as audio:
                first = audio.play(_level(8000, 60_000))
                while harness.listened(call) == b"":  # noqa: ASYNC110 - what a far end hears makes no event
                    await anyio.sleep(_LOOK_AGAIN)
                audio.clear()
                second = audio.play(_level(-8000, 200))
                heard = await first.finished()

                assert (first.state, heard.complete) == (PlaybackState.CUT, False)
                while (listened := harness.listened(call)) is not None and min(array("h", listened)) > -4000:  # noqa: ASYNC110
                    await anyio.sleep(_LOOK_AGAIN)
                assert (await second.finished()).complete
            await call.hangup()
