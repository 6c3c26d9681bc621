"""Recordings of the provider's: a life of their own, healed by reads, and a file in the end."""

from __future__ import annotations

from pathlib import Path

import anyio
import anyio.to_thread
import pytest
from anyio.abc import TaskGroup
from hypothesis import given
from hypothesis import strategies as st

from telco_bridge import Bridge, Call, NotPossibleNow, RecordingChanged, RecordingState, Refused, Unsupported
from telco_bridge.provider import (
    CallView,
    Channels,
    Command,
    Gone,
    PauseRecording,
    RecordingReport,
    ResumeRecording,
    Source,
    StartRecording,
    StopRecording,
    TooLate,
)
from telco_bridge.recordings import fold_recording
from telco_bridge.sandbox import SteppedClock

from .conftest import Script, Soon

S = RecordingState


async def obey(script: Script, command: Command) -> None:
    states = {StartRecording: S.RECORDING, PauseRecording: S.PAUSED, StopRecording: S.STOPPED}
    state = states.get(type(command), S.RECORDING)
    script.recorded("r1", state, command_id=command.id if isinstance(command, StartRecording) else None)


@pytest.fixture
def obedient(script: Script) -> Script:
    async def step(command: Command) -> None:
        await obey(script, command)

    for kind in (StartRecording, PauseRecording, ResumeRecording, StopRecording):
        script.on(kind, step, step)
    return script


async def test_a_recording_lives_from_its_start_to_its_file(
    call: Call, obedient: Script, bridge: Bridge, tmp_path: Path
) -> None:
    recording = await call.record(channels="separate")
    assert (recording.state, recording.native_id) == (S.RECORDING, "r1")
    assert call.recordings == (recording,)
    command = obedient.asked_for(StartRecording)[0]
    assert isinstance(command, StartRecording)
    assert (command.id, command.channels) == (recording.id, Channels.SEPARATE)

    await recording.pause()
    assert recording.state is S.PAUSED
    await recording.resume()
    assert recording.state is S.RECORDING
    await recording.stop()
    assert recording.state is S.STOPPED

    obedient.recorded("r1", S.COMPLETED, seconds=12.0, channels=2, url="https://files.example.net/r1")
    known = await recording.completed()
    assert (known.seconds, known.channels, known.url) == (12.0, 2, "https://files.example.net/r1")
    obedient.files["r1"] = [b"RIFF", b"data"]
    assert (await recording.save(tmp_path / "call.wav")).read_bytes() == b"RIFFdata"
    await recording.delete()
    assert not obedient.files

    told = [e.state async for e in _all(bridge) if isinstance(e, RecordingChanged)]
    assert told == [S.RECORDING, S.PAUSED, S.RECORDING, S.STOPPED, S.COMPLETED]


async def _all(bridge: Bridge):
    log = bridge._switchboard.log
    for position in range(log.written):
        yield log.at(position)


async def test_what_is_so_already_is_not_asked_for_again(call: Call, obedient: Script) -> None:
    recording = await call.record()
    await recording.pause()
    await recording.pause()
    await recording.stop()
    await recording.stop()

    assert obedient.sent == ["Dial", "StartRecording", "PauseRecording", "StopRecording"]
    with pytest.raises(NotPossibleNow):
        await recording.resume()


async def test_two_recordings_of_one_call_are_two(call: Call, script: Script) -> None:
    numbers = iter("12")

    async def begin(command: Command) -> None:
        script.recorded(f"r{next(numbers)}", S.RECORDING, command_id=command.id)

    script.on(StartRecording, begin, begin)
    first, second = await call.record(), await call.record()

    assert first != second
    assert [recording.native_id for recording in call.recordings] == ["r1", "r2"]
    assert {first, second} == set(call.recordings)


async def test_a_recording_outlives_its_call(call: Call, obedient: Script, tasks: TaskGroup) -> None:
    recording = await call.record()
    obedient.ended()
    await call.ended()
    assert recording.state is S.RECORDING
    waiting = Soon(tasks, recording.completed)
    await anyio.wait_all_tasks_blocked()

    obedient.recorded("r1", S.COMPLETED, seconds=3.0)
    while not waiting.done:
        await anyio.lowlevel.checkpoint()

    assert waiting.error is None
    assert recording.seconds == 3.0


async def test_the_end_of_a_recording_that_nobody_tells_is_found_out(
    call: Call, obedient: Script, clock: SteppedClock, tasks: TaskGroup
) -> None:
    recording = await call.record()
    obedient.ended()
    answers: list[RecordingReport | Gone] = []

    async def read(ref: str, slot: str) -> RecordingReport | Gone:
        return answers[-1]

    obedient.read_recording = read
    answers.append(_report(S.RECORDING, obedient))
    waiting = Soon(tasks, recording.completed)
    await anyio.wait_all_tasks_blocked()
    await clock.advance(2)
    await anyio.wait_all_tasks_blocked()
    assert not waiting.done

    answers.append(_report(S.COMPLETED, obedient))
    for _ in range(3):
        await clock.advance(10)
        await anyio.wait_all_tasks_blocked()
    assert waiting.done
    assert waiting.error is None


def _report(state: RecordingState, script: Script) -> RecordingReport:
    return RecordingReport(source=Source.READ, as_of=script.host.stamp(), slot="r1", ref="c1", state=state)


async def test_a_recording_that_is_gone_has_no_file(
    call: Call, obedient: Script, clock: SteppedClock, tasks: TaskGroup
) -> None:
    recording = await call.record()
    obedient.ended()

    async def gone(ref: str, slot: str) -> Gone:
        return Gone(obedient.host.stamp(), "HTTP 404")

    obedient.read_recording = gone
    waiting = Soon(tasks, recording.completed)
    await anyio.wait_all_tasks_blocked()
    await clock.advance(3)
    while not waiting.done:
        await anyio.lowlevel.checkpoint()

    assert isinstance(waiting.error, NotPossibleNow)
    assert "HTTP 404" in str(waiting.error)


async def test_a_file_that_breaks_off_leaves_nothing_behind(call: Call, obedient: Script, tmp_path: Path) -> None:
    recording = await call.record()
    obedient.recorded("r1", S.COMPLETED)
    obedient.files["r1"] = [b"RIFF", Refused("the connection broke", provider="scripted")]
    before = tmp_path / "call.wav"
    before.write_bytes(b"the one before")

    with pytest.raises(Refused):
        await recording.save(before)

    assert await anyio.to_thread.run_sync(lambda: list(tmp_path.iterdir())) == [before]
    assert before.read_bytes() == b"the one before"


async def test_a_recording_that_fails_at_once_is_refused(call: Call, script: Script) -> None:
    async def fail(command: Command) -> None:
        script.recorded("r1", S.FAILED, command_id=command.id)

    script.on(StartRecording, fail)
    with pytest.raises(NotPossibleNow):
        await call.record()


async def test_stopping_too_late_is_no_error(call: Call, obedient: Script) -> None:
    recording = await call.record()
    obedient.steps[StopRecording].clear()

    async def late(command: Command) -> None:
        obedient.recorded("r1", S.COMPLETED)
        raise TooLate("it has ended")

    obedient.on(StopRecording, late)
    obedient.truth["c1"] = obedient.fact("c1")
    await recording.stop()

    assert recording.state is S.COMPLETED


async def test_a_provider_without_a_door_of_its_own_says_so(bridge: Bridge, script: Script) -> None:
    with pytest.raises(Unsupported, match="does not offer int; it has none"):
        bridge.native(int)
    assert script.session is not None
    script.session.native = "a door"
    assert bridge.native(str) == "a door"
    with pytest.raises(Unsupported, match="it has str"):
        bridge.native(int)


def test_a_report_names_its_call_or_its_command() -> None:
    with pytest.raises(ValueError, match="does not say which call"):
        RecordingReport(source=Source.PUSH, as_of=0.0, slot="r1")


_reports = st.builds(
    RecordingReport,
    source=st.just(Source.PUSH),
    as_of=st.integers(0, 20).map(float),
    slot=st.just("r1"),
    ref=st.just("c1"),
    command_id=st.none(),
    state=st.none() | st.sampled_from(list(S)),
    seconds=st.none() | st.integers(0, 9).map(float),
)


@given(st.lists(_reports, max_size=8))
def test_a_recording_never_goes_back(reports: list[RecordingReport]) -> None:
    view = CallView(id="call")
    settled: RecordingState | None = None
    for report in reports:
        view, changed = fold_recording(view, report)
        (recording,) = view.recordings
        if settled is not None:
            assert recording.state is settled
            assert changed is None
        settled = recording.state if recording.state.settled else None


@given(st.lists(_reports, min_size=1, max_size=6).flatmap(lambda r: st.tuples(st.just(r), st.permutations(r))))
def test_whatever_the_order_the_end_of_a_recording_is_the_same(
    both: tuple[list[RecordingReport], list[RecordingReport]],
) -> None:
    in_order, shuffled = both
    ends = {report.state for report in in_order if report.state is not None and report.state.settled}
    views = []
    for reports in (in_order, shuffled):
        view = CallView(id="call")
        for report in reports:
            view, _ = fold_recording(view, report)
        views.append(view.recordings[0])

    assert all((view.state in ends) == bool(ends) for view in views)
