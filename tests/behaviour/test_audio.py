"""The audio of a call in the application's hands, the same on every provider that brings it."""

from __future__ import annotations

import math
import wave
from array import array
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import pairwise
from pathlib import Path

import anyio
import pytest
from anyio import to_thread
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect as open_websocket

from telco_bridge import (
    Bridge,
    Call,
    CallAudio,
    CallState,
    ConfigError,
    MediaDirection,
    Modality,
    NotPossibleNow,
    OutcomeUnknown,
    Refused,
    StreamState,
    TerminationReason,
    Unsupported,
    connect,
)
from telco_bridge.audio import (
    ALAW_8K,
    MULAW_8K,
    PCM16_8K,
    PCM16_16K,
    PCM16_24K,
    AudioFormat,
    AudioFrame,
    Digit,
    HeardBy,
    PlaybackProgress,
    PlaybackState,
    Track,
)
from telco_bridge.audio.conversion import Conversion
from telco_bridge.sandbox import Fault, Leg, Sandbox
from tests.sounds import strength

from .conftest import IMPATIENT, WEB, Place

SPEAKS = "+15550106"
SILENT = "+15550100"
TONE = 440


class Line:
    """A provider, one call on it, and the network's end of that call."""

    def __init__(self, name: str, bridge: Bridge, call: Call, leg: Leg) -> None:
        self.name = name
        self.bridge = bridge
        self.call = call
        self.leg = leg


@pytest.fixture(params=["simulator", "signalwire"])
def provider(request: pytest.FixtureRequest) -> str:
    """Every provider whose audio comes to the application."""
    return str(request.param)


@asynccontextmanager
async def line(sandbox: Sandbox, provider: str, to: str = SPEAKS) -> AsyncIterator[Line]:
    """An answered call on that provider."""
    settings = {**sandbox.profile(provider), "lifecycle": IMPATIENT, "web": WEB}
    settings.pop("stream_url", None)
    known = {leg.id for leg in sandbox.exchange.legs.values()}
    async with connect(settings) as bridge:
        call = await bridge.dial(to)
        await call.answered()
        (leg,) = [leg for leg in sandbox.exchange.legs.values() if leg.id not in known and leg.callee == to]
        yield Line(provider, bridge, call, leg)


async def some(audio: CallAudio, count: int, *, track: Track = Track.INBOUND) -> list[AudioFrame]:
    """The next frames of a track."""
    frames: list[AudioFrame] = []
    async for item in audio:
        if isinstance(item, AudioFrame) and item.track is track:
            frames.append(item)
            if len(frames) == count:
                break
    return frames


def sine(milliseconds: int, frequency: int = 700, form: AudioFormat = PCM16_8K) -> bytes:
    """A tone as PCM16."""
    count = round(form.rate * milliseconds / 1000)
    return array(
        "h", (round(12_000 * math.sin(2 * math.pi * frequency * n / form.rate)) for n in range(count))
    ).tobytes()


def as_pcm(frames: list[AudioFrame], form: AudioFormat) -> bytes:
    conversion = Conversion(form, AudioFormat(PCM16_8K.encoding, form.rate))
    return conversion.convert(b"".join(frame.data for frame in frames)) + conversion.flush()


async def heard(leg: Leg, seconds: float) -> None:
    assert await to_thread.run_sync(lambda: leg.ear.wait_for(seconds))


# Hearing ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", [PCM16_8K, PCM16_16K, PCM16_24K, MULAW_8K, ALAW_8K], ids=str)
async def test_what_the_far_end_says_arrives_in_the_wanted_format(
    sandbox: Sandbox, provider: str, form: AudioFormat
) -> None:
    async with line(sandbox, provider) as there, there.call.audio(format=form) as audio:
        frames = await some(audio, 20)

    assert all(frame.format == form and frame.rate == form.rate for frame in frames)
    assert [b.timestamp - a.timestamp for a, b in pairwise(frames)] == [20] * 19
    assert strength(as_pcm(frames[5:], form), form.rate, TONE) > 0.9


async def test_a_copy_has_both_tracks(sandbox: Sandbox, provider: str) -> None:
    async with line(sandbox, provider) as there, there.call.audio() as audio:
        tracks = {item.track async for item, _ in numbered(audio, 20) if isinstance(item, AudioFrame)}

    assert tracks == {Track.INBOUND, Track.OUTBOUND}


async def numbered(audio: CallAudio, count: int) -> AsyncIterator[tuple[object, int]]:
    number = 0
    async for item in audio:
        yield item, number
        number += 1
        if number == count:
            return


async def test_leaving_stops_the_stream_and_leaves_the_call_alone(sandbox: Sandbox, provider: str) -> None:
    async with line(sandbox, provider) as there:
        for direction in ("receive", "both"):
            async with there.call.audio(direction=direction) as audio:
                assert audio.stream.state is StreamState.ACTIVE
                assert audio.stream.direction is MediaDirection(direction)
            assert audio.stream.state is StreamState.ENDED
            assert audio.stream.termination is not None
            assert audio.stream.termination.reason is TerminationReason.NORMAL
            assert there.call.state is CallState.CONNECTED
        assert there.leg.clearing is None


async def test_the_audio_ends_with_the_call(sandbox: Sandbox, provider: str) -> None:
    async with line(sandbox, provider) as there, there.call.audio(direction="both") as audio:
        playback = audio.play(sine(5000))
        await some(audio, 3)
        there.leg.hang_up(by=there.leg.far)

        async for _ in audio:
            pass

        assert (await playback.finished()).complete is False
        assert (await there.call.ended()).reason is TerminationReason.NORMAL
        assert audio.stream.state is StreamState.ENDED


async def test_a_key_of_the_far_end_arrives_among_the_audio(sandbox: Sandbox, provider: str) -> None:
    async with line(sandbox, provider) as there, there.call.audio(direction="both") as audio:
        await some(audio, 3)
        there.leg.press("42", by=there.leg.far)
        digits: list[str] = []
        async for item in audio:
            if isinstance(item, Digit):
                digits.append(item.digit)
                if len(digits) == 2:
                    break

    assert digits == ["4", "2"]


async def test_two_copies_of_one_call_do_not_disturb_one_another(sandbox: Sandbox, provider: str) -> None:
    async with line(sandbox, provider) as there, there.call.audio() as first:
        async with there.call.audio(format=PCM16_16K) as second:
            assert first.stream != second.stream
            await some(second, 3)
        frames = await some(first, 3)

    assert len(frames) == 3


# Speaking ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", [PCM16_8K, PCM16_16K, PCM16_24K], ids=str)
async def test_a_sound_that_is_played_is_heard_and_then_finished(
    sandbox: Sandbox, provider: str, form: AudioFormat
) -> None:
    async with line(sandbox, provider, SILENT) as there:
        async with there.call.audio(direction="both", format=form) as audio:
            playback = audio.play(sine(300, form=form))
            told = await playback.finished()
        assert (told.complete, told.by, round(told.milliseconds)) == (True, HeardBy.MARK, 300)
        await heard(there.leg, 0.28)

    assert strength(there.leg.ear.pcm(rate=8000), 8000, 700) > 0.9


async def test_sounds_are_heard_in_order_and_progress_is_told(sandbox: Sandbox, provider: str) -> None:
    async with line(sandbox, provider, SILENT) as there, there.call.audio(direction="both") as audio:
        first, second = audio.play(sine(100)), audio.play(sine(100, 1100))
        told: list[tuple[object, PlaybackState]] = []
        async for item in audio:
            if isinstance(item, PlaybackProgress):
                told.append((item.playback, item.playback.state))
            if second.over:
                break

    assert told[0][0] is first
    assert {playback for playback, _ in told} == {first, second}
    said = there.leg.ear.pcm(rate=8000)
    assert strength(said[:1200], 8000, 700) > 0.9
    assert strength(said[-1200:], 8000, 1100) > 0.9


async def test_clearing_cuts_a_sound_off_at_once(sandbox: Sandbox, provider: str) -> None:
    async with line(sandbox, provider, SILENT) as there, there.call.audio(direction="both") as audio:
        playback = audio.play(sine(5000))
        await heard(there.leg, 0.2)
        cut = audio.clear()
        told = await playback.finished()
        after = audio.play(sine(40))
        await after.finished()

    assert (told.complete, told.milliseconds) == (False, cut)
    assert 200 <= cut < 1000
    assert abs(there.leg.ear.seconds * 1000 - cut - 40) < 100


async def test_a_goodbye_is_heard_before_the_call_is_hung_up(sandbox: Sandbox, provider: str) -> None:
    async with line(sandbox, provider, SILENT) as there, there.call.audio(direction="both") as audio:
        goodbye = audio.play(sine(300))
        await there.call.hangup(after=goodbye)

    assert goodbye.state is PlaybackState.FINISHED
    assert there.leg.ear.seconds > 0.28


async def test_a_goodbye_that_cannot_be_played_does_not_keep_the_call_up(
    sandbox: Sandbox, provider: str, tmp_path: Path
) -> None:
    async with line(sandbox, provider, SILENT) as there, there.call.audio(direction="both") as audio:
        await there.call.hangup(after=audio.play(tmp_path / "nothing.wav"))

        assert there.call.state is CallState.ENDED


async def test_keys_can_be_pressed_on_the_stream(sandbox: Sandbox, provider: str) -> None:
    async with line(sandbox, provider, SILENT) as there, there.call.audio(direction="both") as audio:
        audio.send_digits("5#")
        await audio.play(sine(20)).finished()

        assert "".join(keys for side, keys in there.leg.digits if side is there.leg.ours) == "5#"


async def test_a_copy_cannot_be_played_to(sandbox: Sandbox, provider: str) -> None:
    async with line(sandbox, provider) as there, there.call.audio() as audio:
        with pytest.raises(Unsupported, match="open it with direction='both'"):
            audio.play(b"")
        with pytest.raises(Unsupported, match="open it with direction='both'"):
            audio.clear()


# Trouble ----------------------------------------------------------------------------------------------------------


async def test_a_connection_that_breaks_ends_the_stream_and_never_the_call(sandbox: Sandbox, provider: str) -> None:
    faults = sandbox.exchange.faults if provider == "simulator" else sandbox.emulators[provider].faults
    async with line(sandbox, provider) as there, there.call.audio(direction="both") as audio:
        playback = audio.play(sine(5000))
        await some(audio, 3)
        faults.inject(Fault.DROP_STREAM)

        told = await audio.stream.ended()

        assert told.reason is TerminationReason.MEDIA_LOST
        assert (await playback.finished()).complete is False
        assert there.call.state is CallState.CONNECTED
        async for _ in audio:
            pass
        assert audio.play(b"..").state is PlaybackState.CUT


async def test_a_slow_reader_loses_the_oldest_frames_and_is_told_how_many(sandbox: Sandbox, provider: str) -> None:
    async with line(sandbox, provider) as there, there.call.audio(buffer=0.1) as audio:
        while audio.stats.dropped < 5:  # noqa: ASYNC110 - frames come at their own pace
            await anyio.sleep(0.01)
        stats = audio.stats

        assert stats.depth <= 10
        assert stats.frames == stats.depth + stats.dropped
        assert (await some(audio, 1))[0].timestamp > 0


async def test_a_slow_reader_that_blocks_loses_nothing(sandbox: Sandbox, provider: str) -> None:
    async with line(sandbox, provider) as there, there.call.audio(buffer=0.1, overflow="block") as audio:
        while not audio.stats.blocked:  # noqa: ASYNC110 - frames come at their own pace
            await anyio.sleep(0.01)
        assert audio.stats.depth <= 30
        frames = await some(audio, 40)

        assert audio.stats.dropped == 0
        assert [frame.timestamp for frame in frames] == list(range(0, 800, 20))


async def test_lost_and_late_frames_are_counted(sandbox: Sandbox) -> None:
    faults = sandbox.emulators["signalwire"].faults
    async with line(sandbox, "signalwire") as there, there.call.audio(direction="both") as audio:
        await some(audio, 3)
        faults.inject(Fault.LOSE_MEDIA, times=2)
        await some(audio, 10)
        assert (audio.stats.gaps, audio.stats.late) == (2, 0)
        faults.inject(Fault.REORDER_MEDIA)
        await some(audio, 10)
        assert (audio.stats.gaps, audio.stats.late) == (2, 1)


async def test_entering_that_is_cancelled_leaves_no_stream(sandbox: Sandbox, provider: str) -> None:
    async with line(sandbox, provider) as there:
        with anyio.move_on_after(0):
            async with there.call.audio():
                raise AssertionError("it was cancelled before")
        # What was on its way when nobody wanted it any more ends by itself.
        await there.call.until(lambda view: all(s.transport != "websocket" for s in view.live_streams))

        async with there.call.audio() as audio:
            assert await some(audio, 1)


async def test_an_error_of_the_application_leaves_unwrapped_and_the_stream_is_stopped(
    sandbox: Sandbox, provider: str
) -> None:
    async with line(sandbox, provider) as there:
        with pytest.raises(ZeroDivisionError):
            async with there.call.audio() as audio:
                raise ZeroDivisionError
        assert audio.stream.state is StreamState.ENDED
        assert there.call.state is CallState.CONNECTED


async def test_audio_is_entered_once_and_used_inside(sandbox: Sandbox, provider: str) -> None:
    async with line(sandbox, provider) as there:
        audio = there.call.audio()
        with pytest.raises(NotPossibleNow, match="use the audio inside"):
            audio.stats  # noqa: B018 - asking is what is refused
        async with audio:
            with pytest.raises(NotPossibleNow, match="entered already"):
                async with audio:
                    pass


async def test_audio_of_a_call_that_is_over_is_refused(sandbox: Sandbox, provider: str) -> None:
    async with line(sandbox, provider) as there:
        await there.call.hangup()
        with pytest.raises(NotPossibleNow):
            async with there.call.audio():
                pass


@pytest.mark.parametrize(
    "wrong", [{"direction": "send"}, {"direction": "up"}, {"buffer": 0.0}, {"lead": -1.0}, {"overflow": "explode"}]
)
async def test_wrong_wishes_are_refused_at_once(sandbox: Sandbox, wrong: dict[str, object]) -> None:
    async with line(sandbox, "simulator") as there:
        with pytest.raises(ValueError, match=r"direction|buffer|explode|up"):
            there.call.audio(**wrong)  # type: ignore[arg-type]


# Where the application has no media -------------------------------------------------------------------------------


async def test_where_audio_never_comes_to_an_application_nothing_is_sent(ucwa: Place) -> None:
    async with connect(ucwa.settings) as bridge:
        call = await bridge.dial(SILENT)
        await call.answered()
        before = len(ucwa.requests())

        for direction in ("receive", "both"):
            with pytest.raises(Unsupported, match=r"receive_audio|send_audio"):
                async with call.audio(direction=direction):
                    pass

        assert len(ucwa.requests()) == before


async def test_without_a_public_address_nothing_is_sent_and_the_remedy_is_told(polling: Place) -> None:
    async with connect(polling.settings) as bridge:
        call = await bridge.dial(SILENT)
        await call.answered()
        before = len(polling.sent())

        for direction in ("receive", "both"):
            with pytest.raises(ConfigError, match=r"Set web\.public_url"):
                async with call.audio(direction=direction):
                    pass

        assert len(polling.sent()) == before


# The endpoint -----------------------------------------------------------------------------------------------------


async def test_a_start_without_a_place_comes_to_the_bridge(sandbox: Sandbox) -> None:
    async with line(sandbox, "signalwire") as there:
        stream = await there.call.start(Modality.AUDIO)
        assert stream.state is StreamState.ACTIVE
        await stream.stop()
        assert there.call.state is CallState.CONNECTED


async def test_only_one_stream_both_ways_at_a_time(sandbox: Sandbox) -> None:
    async with line(sandbox, "signalwire") as there, there.call.audio(direction="both") as first:
        with pytest.raises(NotPossibleNow):
            async with there.call.audio(direction="both"):
                pass
        assert await some(first, 1)


@pytest.mark.parametrize("path", ["media/0000000000000000", "media/0000000000000000/guess", "media", "", "status"])
@pytest.mark.parametrize("bearer", [None, "guess"])
async def test_nobody_is_let_in_who_is_not_expected(sandbox: Sandbox, path: str, bearer: str | None) -> None:
    headers = {"Authorization": f"Bearer {bearer}"} if bearer else {}
    async with line(sandbox, "signalwire") as there:
        url = f"ws{str(there.bridge.asgi.public_url).removeprefix('http')}/{path}"

        def knock() -> int:
            with pytest.raises(InvalidStatus) as refused, open_websocket(url, additional_headers=headers):
                pass
            return refused.value.response.status_code

        assert await to_thread.run_sync(knock) == 403


async def test_a_stream_that_the_provider_cannot_open_is_told(sandbox: Sandbox) -> None:
    sandbox.emulators["signalwire"].faults.inject(Fault.REFUSE_STREAM, times=2)
    async with line(sandbox, "signalwire") as there:
        for direction in ("receive", "both"):
            with pytest.raises((Refused, OutcomeUnknown)):
                async with there.call.audio(direction=direction):
                    pass
        assert there.call.state is CallState.CONNECTED


# Recording --------------------------------------------------------------------------------------------------------


async def test_a_recording_has_the_far_end_on_the_left_and_what_it_hears_on_the_right(
    sandbox: Sandbox, provider: str, tmp_path: Path
) -> None:
    path = tmp_path / "call.wav"
    async with line(sandbox, provider) as there, there.call.audio(direction="both") as audio:
        async with there.call.record_to(path) as recording:
            await audio.play(sine(600)).finished()
            while recording.seconds < 0.5:  # noqa: ASYNC110 - it is said at its own pace
                await anyio.sleep(0.01)
        assert there.call.state is CallState.CONNECTED

    left, right = sides(path)
    assert strength(left, 8000, TONE) > 0.8
    assert strength(right, 8000, 700) > 0.5


def sides(path: Path) -> tuple[bytes, bytes]:
    with wave.open(str(path)) as file:
        assert (file.getnchannels(), file.getframerate(), file.getsampwidth()) == (2, 8000, 2)
        both = array("h", file.readframes(file.getnframes()))
    return both[::2].tobytes(), both[1::2].tobytes()


async def test_a_recording_lasts_as_long_as_its_call(sandbox: Sandbox, provider: str, tmp_path: Path) -> None:
    path = tmp_path / "call.wav"
    async with line(sandbox, provider) as there, there.call.record_to(path) as recording:
        while recording.seconds < 0.3:  # noqa: ASYNC110 - it is said at its own pace
            await anyio.sleep(0.01)
        with wave.open(str(path)) as file:
            # While it grows.
            assert file.getnframes() >= 0.3 * 8000
        there.leg.hang_up(by=there.leg.far)
        await recording.ended()

    assert recording.stats.gaps == 0
    left, right = sides(path)
    assert len(left) == len(right)


async def test_a_file_that_cannot_be_written_is_told_before_anything_is_asked(
    sandbox: Sandbox, provider: str, tmp_path: Path
) -> None:
    async with line(sandbox, provider) as there:
        with pytest.raises(FileNotFoundError):
            async with there.call.record_to(tmp_path / "nowhere" / "call.wav"):
                pass
        assert not [stream for stream in there.call.streams if stream.transport == "websocket"]
