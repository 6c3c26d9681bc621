"""Recordings that the provider makes: what reports make of them, and how an application holds one."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

import anyio

from .commands import PauseRecording, ResumeRecording, StopRecording, new_id
from .errors import NotPossibleNow
from .media import RecordingState
from .reports import RecordingReport
from .views import CallView, RecordingView

if TYPE_CHECKING:
    from .dispatch import Dispatch
    from .switchboard import CallRecord

__all__ = ["Recording", "fold_recording"]

_LIFE = {
    RecordingState.UNKNOWN: 0,
    RecordingState.STARTING: 1,
    RecordingState.RECORDING: 2,
    # Pausing and resuming go back and forth; which is true is a matter of time alone.
    RecordingState.PAUSED: 2,
    RecordingState.STOPPED: 3,
    RecordingState.ABSENT: 4,
    RecordingState.FAILED: 4,
    RecordingState.COMPLETED: 4,
}


_FIELDS = ("native_state", "seconds", "channels", "url", "error")


def fold_recording(view: CallView, report: RecordingReport) -> tuple[CallView, RecordingView | None]:
    """Return the call with everything the report newly says of a recording, and that recording if its state changed."""
    known = next((r for r in view.recordings if r.slot == report.slot or r.id == report.command_id), None)
    before = known if known is not None else RecordingView(id=report.command_id or report.slot, slot=report.slot)
    newer = report.as_of >= before.as_of
    said = {name: getattr(report, name) for name in _FIELDS if getattr(report, name) is not None}
    if not newer:
        said = {name: value for name, value in said.items() if getattr(before, name) is None}
    state = before.state if report.state is None else _later(before, report.state, newer=newer)
    after = replace(before, **said, state=state, as_of=max(before.as_of, report.as_of))
    if known is None:
        recordings = (*view.recordings, after)
    else:
        recordings = tuple(after if recording is known else recording for recording in view.recordings)
    changed = known is None or after.state is not before.state
    return replace(view, recordings=recordings), after if changed else None


def _later(before: RecordingView, said: RecordingState, *, newer: bool) -> RecordingState:
    was, now = _LIFE[before.state], _LIFE[said]
    if now == was and not before.state.settled and newer:
        return said
    return said if now > was else before.state


class Recording:
    """A recording of a call that the provider makes. It has a life of its own, which may outlast the call.

    A handle: every property shows the newest facts. Made by `Call.record`.
    """

    __slots__ = ("_dispatch", "_record", "id")

    def __init__(self, record: CallRecord, dispatch: Dispatch, recording_id: str) -> None:
        self._record = record
        self._dispatch = dispatch
        self.id = recording_id

    def __repr__(self) -> str:
        return f"<Recording {self.id} of call {self._record.id}: {self.state}>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Recording) and (self.id, self._record.id) == (other.id, other._record.id)

    def __hash__(self) -> int:
        return hash((self.id, self._record.id))

    @property
    def view(self) -> RecordingView:
        """Everything that is known of it, as a frozen value."""
        found = self._record.view.recording(self.id)
        return found if found is not None else RecordingView(id=self.id, slot="")

    @property
    def native_id(self) -> str:
        """The provider's identity of it."""
        return self.view.slot

    @property
    def state(self) -> RecordingState:
        """How far it has come, as reported."""
        return self.view.state

    @property
    def seconds(self) -> float | None:
        """How much was recorded; None while that is not known."""
        return self.view.seconds

    @property
    def url(self) -> str | None:
        """Where the provider keeps it; None while that is not known. Whoever has it may be able to listen."""
        return self.view.url

    async def pause(self, *, native: Mapping[str, object] | None = None) -> None:
        """Record nothing until `resume`; return when it is so. Pausing what is paused sends nothing."""
        await self._dispatch.perform(self._record, PauseRecording(**self._target(), native=native or {}))

    async def resume(self, *, native: Mapping[str, object] | None = None) -> None:
        """Go on recording; return when it is so."""
        await self._dispatch.perform(self._record, ResumeRecording(**self._target(), native=native or {}))

    async def stop(self, *, native: Mapping[str, object] | None = None) -> None:
        """Record nothing more; return when it is so. The call goes on. Stopping what has stopped sends nothing."""
        await self._dispatch.perform(self._record, StopRecording(**self._target(), native=native or {}))

    async def completed(self) -> RecordingView:
        """Wait until the file is ready; return what is known of it.

        Asks the provider from time to time, because what it tells may be lost. Raises `NotPossibleNow` where there will
        be no file: nothing was recorded, or it failed or was deleted.
        """
        await self._dispatch.await_recording(self._record, self.id)
        if self.state is not RecordingState.COMPLETED:
            why = f" ({self.view.error})" if self.view.error else ""
            raise NotPossibleNow(f"the recording {self.id} is {self.state}{why}: there is no file")
        return self.view

    async def save(self, path: str | Path) -> Path:
        """Wait until the file is ready, and write it to that path, whole or not at all; return the path.

        Raises as `completed`, `ProviderError` where it cannot be fetched, `OSError` where it cannot be written.
        """
        await self.completed()
        target = Path(path)
        handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
        try:
            async with await anyio.open_file(handle, "wb") as file:
                async for piece in self._dispatch.session.fetch_recording(self.native_id):
                    await file.write(piece)
            os.replace(name, target)  # noqa: PTH105 - one step, so that the file is there whole or not at all
        finally:
            _forget(name)
        return target

    async def delete(self) -> None:
        """Let the provider forget the recording and its file. Raises `ProviderError` where it does not."""
        await self._dispatch.session.delete_recording(self.native_id)

    def _target(self) -> _Target:
        view = self.view
        return {
            "id": new_id(),
            "call": self._record.id,
            "ref": self._record.view.ref,
            "recording": self.id,
            "slot": view.slot,
        }


def _forget(name: str) -> None:
    Path(name).unlink(missing_ok=True)


class _Target(TypedDict):
    id: str
    call: str
    ref: str | None
    recording: str
    slot: str
