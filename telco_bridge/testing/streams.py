"""Promises of media: each stream has a life of its own, and nothing ends more than was asked."""

from __future__ import annotations

import pytest

from ..call import Call
from ..commands import HangUp, StopMedia
from ..events import CallEnded, StreamEnded
from ..media import Modality, StreamState
from ..mediastream import MediaStream
from ..provider import Capability, TerminationReason
from ..reports import CallReport, CallState
from .calls import history
from .harness import FarEnd, Harness
from .promises import Level, promise, skip
from .tap import Trial, trial

__all__ = ["StreamPromises"]

_R = TerminationReason
_AUDIO = (Capability.DIAL, Capability.HANG_UP, Capability.START_AUDIO, Capability.STOP_AUDIO)
_VIDEO = (Capability.DIAL, Capability.HANG_UP, Capability.DIAL_OFFER, Capability.STOP_AUDIO, Capability.STOP_VIDEO)
_BOTH = (Modality.AUDIO, Modality.VIDEO)
_BESIDE = {
    Modality.VIDEO: (Capability.START_VIDEO, Capability.STOP_VIDEO),
    Modality.SCREEN: (Capability.START_SCREEN, Capability.STOP_SCREEN),
    Modality.MESSAGING: (Capability.START_MESSAGING, Capability.STOP_MESSAGING),
}
"""What can be started and stopped beside the audio, and what that needs."""


async def _talking(line: Trial, harness: Harness) -> tuple[Call, MediaStream]:
    """An answered call whose audio flows."""
    call = await line.bridge.dial(harness.address(FarEnd.ANSWERS))
    await call.answered()
    return call, await call.start(Modality.AUDIO, **harness.start(Modality.AUDIO))


async def _seeing(line: Trial, harness: Harness) -> Call:
    """An answered call with audio and video of the application's own."""
    to = harness.address(FarEnd.ANSWERS_WITH_VIDEO)
    call = await line.bridge.dial(to, modalities=_BOTH, offer=harness.offer)
    await call.answered()
    await call.until(lambda view: {s.modality for s in view.live_streams if s.state is StreamState.ACTIVE} >= {*_BOTH})
    return call


async def _media_to_stop(line: Trial, harness: Harness) -> tuple[Call, MediaStream]:
    """An answered call with media that can be stopped so that the call goes on, where that is possible."""
    if harness.ends_with_last_stream and _can(harness, *_VIDEO):
        call = await _seeing(line, harness)
        return call, next(stream for stream in call.streams if stream.modality is Modality.AUDIO)
    return await _talking(line, harness)


def _can(harness: Harness, *capabilities: Capability) -> bool:
    support = harness.plugin.support
    return all(capability in support and support[capability].usable for capability in capabilities)


class StreamPromises:
    """What every provider that starts and stops media promises."""

    @promise(Level.MEDIA, needs=_AUDIO)
    async def test_audio_that_is_started_flows(self, harness: Harness) -> None:
        """Audio that is started becomes a stream that flows, as far as the provider can tell."""
        async with trial(harness) as line:
            call, stream = await _talking(line, harness)

            assert stream.modality is Modality.AUDIO
            assert stream.state is StreamState.ACTIVE or not stream.view.observable
            assert stream in call.streams
            await call.hangup()

    @promise(Level.MEDIA, needs=_AUDIO)
    async def test_audio_that_is_stopped_has_ended_with_our_reason(self, harness: Harness) -> None:
        """Audio that is stopped has ended, with the reason and the note that were given."""
        async with trial(harness) as line:
            call, stream = await _talking(line, harness)

            result = await call.stop(Modality.AUDIO, reason=_R.MEDIA_LOST, note="enough heard")

            assert result.streams == (stream,)
            assert stream.state is StreamState.ENDED
            assert stream.termination is not None
            assert (stream.termination.requested, stream.termination.note) == (_R.MEDIA_LOST, "enough heard")
            assert not [s for s in call.view.live_streams if s.modality is Modality.AUDIO]

    @promise(Level.MEDIA, needs=_AUDIO)
    async def test_stopping_audio_does_not_hang_up(self, harness: Harness) -> None:
        """Stopping the audio does not hang up: the call goes on, unless the provider ends calls without media."""
        async with trial(harness) as line:
            call, stream = await _talking(line, harness)

            result = await stream.stop()

            assert line.sent(HangUp) == 0
            if harness.ends_with_last_stream:
                assert result.call_ended in (True, False)
                assert result.call_ended is (call.state is CallState.ENDED)
            else:
                assert result.call_ended is False
                assert call.state is CallState.CONNECTED
                assert harness.up() == 1

    @promise(Level.MEDIA, needs=_AUDIO)
    async def test_stopping_what_has_stopped_sends_nothing(self, harness: Harness) -> None:
        """Stopping what has stopped succeeds and sends nothing."""
        async with trial(harness) as line:
            call, stream = await _talking(line, harness)
            await stream.stop()
            sent = harness.sent()

            again = await stream.stop()
            nothing = await call.stop(Modality.AUDIO)

            assert again.confirmed_by is None
            assert nothing.streams == ()
            assert nothing.call_ended is (call.state is CallState.ENDED)
            assert harness.sent() == sent
            assert line.sent(StopMedia) == 1

    @promise(Level.MEDIA, needs=_AUDIO)
    async def test_starting_what_flows_sends_nothing(self, harness: Harness) -> None:
        """Starting what flows returns the stream that there is and sends nothing."""
        async with trial(harness) as line:
            call, stream = await _talking(line, harness)
            sent = harness.sent()

            again = await call.start(Modality.AUDIO)

            assert again == stream
            assert harness.sent() == sent
            await call.hangup()

    @promise(Level.MEDIA, needs=_AUDIO)
    async def test_audio_that_is_started_again_is_another_stream(self, harness: Harness) -> None:
        """Audio that is started again is another stream; the first one stays ended."""
        async with trial(harness) as line:
            call, first = await _media_to_stop(line, harness)
            result = await first.stop()
            if result.call_ended:
                skip("the provider ends a call that has no media left")
            sent = harness.sent()

            second = await call.start(Modality.AUDIO, **harness.start(Modality.AUDIO))

            assert second != first
            assert first.state is StreamState.ENDED
            assert second.state is not StreamState.ENDED
            assert harness.sent() > sent
            await call.hangup()

    @promise(Level.MEDIA, needs=_AUDIO)
    async def test_a_stream_that_nobody_stopped_goes_on(self, harness: Harness) -> None:
        """A stream that nobody stopped goes on, whatever else is read or told about the call."""
        async with trial(harness, sweep_interval=0.05) as line:
            call, stream = await _talking(line, harness)
            for _ in range(3):
                answer = await line.tap.session.read(call.native_id or "")
                if isinstance(answer, CallReport):
                    line.tap.host.report(answer)
            if call.can(Capability.HOLD):
                await call.hold()
                await call.resume()

            assert stream.state is not StreamState.ENDED, f"it ended: {stream.termination}"
            await call.hangup()

    @promise(Level.MEDIA, needs=_AUDIO)
    async def test_a_stop_after_the_end_of_the_call_succeeds(self, harness: Harness) -> None:
        """A stream whose call has ended is stopped already: nothing is sent, and the result says so."""
        async with trial(harness) as line:
            call, stream = await _talking(line, harness)
            await call.hangup()
            sent = harness.sent()

            result = await stream.stop()

            assert result.call_ended is True
            assert harness.sent() == sent

            call = await line.bridge.dial(harness.address(FarEnd.HANGS_UP))
            await call.ended()
            sent = harness.sent()

            result = await call.stop(Modality.AUDIO)

            assert (result.streams, result.call_ended) == ((), True)
            assert harness.sent() == sent

    @promise(Level.MEDIA, needs=_AUDIO)
    async def test_streams_end_before_their_call(self, harness: Harness) -> None:
        """Streams end before their call, each exactly once."""
        async with trial(harness) as line:
            call, stream = await _talking(line, harness)
            await call.hangup()
            told = [event for event in await history(call) if isinstance(event, StreamEnded | CallEnded)]

        assert isinstance(told[-1], CallEnded)
        ended = [event.stream for event in told if isinstance(event, StreamEnded)]
        assert stream.id in ended
        assert len(ended) == len(set(ended)) == len(call.streams)

    @promise(
        Level.MEDIA,
        needs=(Capability.DIAL, Capability.HANG_UP),
        tells=[capability for needed in _BESIDE.values() for capability in needed],
    )
    @pytest.mark.parametrize("modality", _BESIDE)
    async def test_media_beside_the_audio_can_be_started_and_stopped(
        self, harness: Harness, modality: Modality
    ) -> None:
        """Media that are started beside the audio flow until they are stopped, and the audio goes on."""
        without = [beside for beside, needed in _BESIDE.items() if not _can(harness, *needed)]
        if modality in without:
            skip(f"{', '.join(without)} cannot be started and stopped")
        async with trial(harness) as line:
            to = harness.address(FarEnd.ANSWERS_WITH_VIDEO)
            offer = harness.offer if _can(harness, Capability.DIAL_OFFER) else None
            call = await line.bridge.dial(to, offer=offer)
            await call.answered()
            start, _ = _BESIDE[modality]
            await call.until(lambda view: bool(view.live_streams) and call.can(start))
            before = [stream.id for stream in call.view.live_streams]

            started = await call.start(modality, **harness.start(modality))

            assert started.modality is modality
            assert started.state is StreamState.ACTIVE or not started.view.observable
            assert [stream.id for stream in call.view.live_streams if stream.id != started.id] == before

            result = await call.stop(modality)

            assert result.streams == (started,)
            assert result.call_ended is False
            assert [stream.id for stream in call.view.live_streams] == before
            await call.hangup()

    @promise(Level.MEDIA, needs=(Capability.DIAL, Capability.HANG_UP, Capability.STOP_AUDIO, Capability.STOP_REASON))
    async def test_the_reason_of_a_stop_travels(self, harness: Harness) -> None:
        """The reason of a stop is told to the provider, and another reason in another word."""
        async with trial(harness) as line:
            for reason in (_R.MEDIA_LOST, _R.NORMAL):
                call, stream = await _media_to_stop(line, harness)
                assert call.can(Capability.STOP_REASON)
                await stream.stop(reason=reason)
                await call.hangup()

        told = harness.stop_reasons()
        assert len(told) == len(set(told)) == 2

    @promise(Level.MEDIA, needs=_VIDEO)
    @pytest.mark.parametrize(("stopped", "kept"), [_BOTH, _BOTH[::-1]])
    async def test_stopping_one_modality_keeps_the_other(
        self, harness: Harness, stopped: Modality, kept: Modality
    ) -> None:
        """Stopping audio keeps video, and stopping video keeps audio."""
        async with trial(harness) as line:
            call = await _seeing(line, harness)

            result = await call.stop(stopped)

            assert [stream.modality for stream in result.streams] == [stopped]
            assert [stream.modality for stream in call.view.live_streams] == [kept]
            assert result.call_ended is False
            await call.hangup()

    @promise(Level.MEDIA, needs=_VIDEO)
    async def test_both_can_be_stopped_at_once(self, harness: Harness) -> None:
        """Audio and video can be stopped with one word, and each has its own end."""
        async with trial(harness) as line:
            call = await _seeing(line, harness)

            result = await call.stop(*_BOTH)

            assert {stream.modality for stream in result.streams} == set(_BOTH)
            assert line.sent(StopMedia) == 1
            assert not call.view.live_streams
