"""Who is recorded: recordings begin, are interrupted, end with what they record, and get their files."""

from __future__ import annotations

import asyncio
import itertools
import uuid
from collections import deque
from collections.abc import Sequence

from telco_bridge.sandbox.exchange import Leg

from .callbacks import Callback, Lane
from .calls import Call
from .conferences import Conference
from .recording_sound import Sound, trimmed
from .recordings import Recorded, Recording, RecordingOrder, RecordingStatus, RecordingTrack
from .space import Space

__all__ = ["Recorder"]

_READY_AFTER = 1.0
"""Network seconds between the end of a recording and its file."""
_MOST_BYTES = 64 * 1024 * 1024
"""How much of files is kept: the oldest go first."""


class Recorder:
    """All recordings of the project, by SID. Used from the emulator's loop only."""

    def __init__(self, space: Space) -> None:
        self.all: dict[str, Recording] = {}
        self._space = space
        self._numbers = itertools.count(1)
        self._live: dict[str, list[Recording]] = {}
        """Those that have not ended, by the SIDs of what they record."""
        self._files: deque[Recording] = deque()
        """Those that have a file, the oldest first."""

    def start(self, owner: Recorded, order: RecordingOrder, *, connected: Sequence[Leg] = ()) -> Recording:
        """Record a call that is answered, or a conference, from now on; `connected` are who the call speaks with.

        It ends with what it records at the latest, and its file is ready a little later.
        """
        recording = self.expect(owner, order)
        self._begin(recording, connected)
        return recording

    def expect(self, owner: Recorded, order: RecordingOrder) -> Recording:
        """Record a call as soon as it is answered. Where it never is, the recording is absent."""
        now = self._space.now()
        recording = Recording(
            number=next(self._numbers),
            sid=str(uuid.uuid4()),
            owner=owner,
            order=order,
            lane=Lane(self._space),
            created=now,
            updated=now,
        )
        self.all[recording.sid] = recording
        self._live.setdefault(owner.sid, []).append(recording)
        return recording

    def pause(self, recording: Recording, *, skip: bool) -> None:
        """Record silence until it is resumed, or nothing at all (`skip`). Nothing happens to one that is paused."""
        if recording.status is RecordingStatus.IN_PROGRESS:
            recording.pause(self._space.now(), skip=skip)

    def resume(self, recording: Recording) -> None:
        """Go on. Nothing happens to a recording that is not paused."""
        if recording.status is RecordingStatus.PAUSED:
            recording.resume(self._space.now())

    def stop(self, recording: Recording) -> None:
        """End a recording. Nothing happens to one that has ended."""
        owner = recording.owner
        live = self._live.get(owner.sid, [])
        if recording not in live:
            return
        live.remove(recording)
        if not live:
            del self._live[owner.sid]
        begun = recording.running
        recording.end(self._space.now())
        if begun:
            owner.recorded = recording.told(self._space)
        self._space.spawn(self._complete(recording, begun=begun))

    def delete(self, recording: Recording) -> None:
        """Forget a recording and its file."""
        del self.all[recording.sid]
        recording.file = None

    def answered(self, call: Call) -> None:
        """Record the call from now on, where that was expected."""
        for recording in self._live.get(call.sid, ()):
            if recording.status is RecordingStatus.QUEUED:
                self._begin(recording, ())

    def started(self, conference: Conference) -> None:
        """Record the conference from now on, where that was wanted."""
        if conference.record is not None:
            self.start(conference, conference.record)

    def ended(self, owner: Recorded) -> None:
        """Record no more of a call or conference that is over."""
        for recording in list(self._live.get(owner.sid, ())):
            self.stop(recording)

    def of_owner(self, owner: Recorded) -> list[Recording]:
        """Return the recordings of a call or conference."""
        return [recording for recording in self.all.values() if recording.owner is owner]

    def _begin(self, recording: Recording, connected: Sequence[Leg]) -> None:
        order = recording.order
        sound = Sound(
            self._space.exchange,
            recording.owner.leg,
            connected=connected,
            channels=order.channels,
            far=order.track is not RecordingTrack.OUTBOUND,
            near=order.track is not RecordingTrack.INBOUND,
        )
        recording.begin(self._space.now(), sound)
        self._tell(recording)

    async def _complete(self, recording: Recording, *, begun: bool) -> None:
        await self._space.pause(_READY_AFTER)
        file, left = await asyncio.to_thread(_file, recording) if begun else (None, 0.0)
        recording.settle(self._space.now(), file, left)
        if recording.sid not in self.all:
            recording.file = None
            return
        self._keep(recording)
        self._tell(recording)

    def _keep(self, recording: Recording) -> None:
        self._files = deque(known for known in self._files if known.file is not None)
        if recording.file is not None:
            self._files.append(recording)
        size = sum(len(known.file or b"") for known in self._files)
        while size > _MOST_BYTES and len(self._files) > 1:
            oldest = self._files.popleft()
            size -= len(oldest.file or b"")
            oldest.file = None

    def _tell(self, recording: Recording) -> None:
        order, word = recording.order, recording.status.value
        if order.callback is None or word not in order.events:
            return
        recording.lane.tell(
            Callback(
                name=f"callback recording {word}",
                webhook=order.callback,
                fields=recording.callback_fields(self._space),
                word_field="RecordingStatus",
            )
        )


def _file(recording: Recording) -> tuple[bytes | None, float]:
    """The recording's file, and how great a part of what was recorded is in it."""
    if recording.sound is None:
        return None, 0.0
    file = recording.sound.wav(recording.seconds)
    # What is not simulated is no silence that was recorded.
    return trimmed(file) if recording.order.trim and recording.owner.leg is not None else (file, 1.0)
