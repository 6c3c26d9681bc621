"""The operations on recordings, of calls and of conferences, and their sound."""

from __future__ import annotations

from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from .api import CallOperations
from .app import SUFFIX, at
from .calls import CallStatus
from .conferences import Conference, ConferenceStatus
from .conferencing import Conferences
from .errors import ApiError, ErrorShape
from .filters import pass_dates
from .forms import Form
from .operations import Asked, Operation, Reply
from .paging import cut_page
from .recorder import Recorder
from .recording_orders import rest_recording
from .recordings import Recorded, Recording, RecordingSource, RecordingStatus
from .space import Space

__all__ = ["recording_routes"]


class RecordingOperations:
    """`Recordings`, and `Calls/{sid}/Recordings`, where they can be made and changed but not be read."""

    def __init__(self, space: Space, recorder: Recorder, calls: CallOperations) -> None:
        self._space = space
        self._recorder = recorder
        self._calls = calls

    def create(self, asked: Asked) -> Reply:
        """Record a call from now on."""
        call = self._calls.find(asked)
        order = rest_recording(asked.form)
        if call.status is not CallStatus.IN_PROGRESS:
            raise ApiError(21220, "The recording cannot be started in the current call state")
        recording = self._recorder.start(call, order)
        return Reply(body=recording.resource(self._space), lane=recording.lane)

    def update(self, asked: Asked) -> Reply:
        """Pause, resume or stop a recording. The call goes on."""
        call = self._calls.find(asked)
        recording = self._of(call, asked)
        if call.over:
            raise ApiError(21220, "The recording cannot be updated in the current call state")
        return change(self._space, self._recorder, recording, asked.form)

    def list(self, asked: Asked) -> Reply:
        """List recordings, newest first."""
        chosen = [recording for recording in self._recorder.all.values() if _matches(recording, asked.form)]
        page, envelope = cut_page(chosen, asked.form, self._space.uri("Recordings.json"))
        return Reply(body={**envelope, "recordings": [recording.resource(self._space) for recording in page]})

    def read(self, asked: Asked) -> Reply:
        """Show one recording."""
        return Reply(body=self._find(asked).resource(self._space))

    def sound(self, asked: Asked) -> Reply:
        """Send the WAV file of a recording, once there is one."""
        file = self._find(asked).file
        if file is None:
            raise ApiError(20404)
        return Reply(content=file, media_type="audio/wav")

    def mp3(self, asked: Asked) -> Reply:
        """Refuse: nothing here can encode MP3."""
        self._find(asked)
        raise ApiError(20404, "This emulator makes no MP3 files: ask for .wav")

    def delete(self, asked: Asked) -> Reply:
        """Remove a recording that has ended, and its file."""
        return erase(self._recorder, self._find(asked))

    def _find(self, asked: Asked) -> Recording:
        recording = self._recorder.all.get(asked.path["recording"])
        if recording is None:
            raise ApiError(20404)
        return recording

    def _of(self, owner: Recorded, asked: Asked) -> Recording:
        recording = self._find(asked)
        if recording.owner is not owner:
            raise ApiError(20404)
        return recording


class ConferenceRecordingOperations:
    """`Conferences/{sid}/Recordings`. A refusal to change one is told as a plain sentence."""

    def __init__(self, space: Space, recorder: Recorder, conferences: Conferences) -> None:
        self._space = space
        self._recorder = recorder
        self._conferences = conferences

    def create(self, asked: Asked) -> Reply:
        """Record a conference from now on. Its mixed sound is not simulated: the file holds silence."""
        conference = self._conference(asked)
        order = rest_recording(asked.form, RecordingSource.CONFERENCE_API)
        if conference.status is not ConferenceStatus.IN_PROGRESS:
            raise ApiError(21220, "The recording cannot be started in the current conference state")
        recording = self._recorder.start(conference, order)
        return Reply(body=recording.resource(self._space), lane=recording.lane)

    def update(self, asked: Asked) -> Reply:
        """Pause, resume or stop a recording. The conference goes on."""
        recording = self._find(asked)
        try:
            return change(self._space, self._recorder, recording, asked.form)
        except ApiError as error:
            raise ApiError(error.code, error.message, shape=ErrorShape.SENTENCES) from error

    def list(self, asked: Asked) -> Reply:
        """List the recordings of a conference, newest first."""
        conference = self._conference(asked)
        chosen = [known for known in self._recorder.of_owner(conference) if _matches(known, asked.form)]
        uri = self._space.uri(f"Conferences/{conference.sid}/Recordings.json")
        page, envelope = cut_page(chosen, asked.form, uri)
        return Reply(body={**envelope, "recordings": [recording.resource(self._space) for recording in page]})

    def read(self, asked: Asked) -> Reply:
        """Show one recording."""
        return Reply(body=self._find(asked).resource(self._space))

    def delete(self, asked: Asked) -> Reply:
        """Remove a recording that has ended, and its file."""
        return erase(self._recorder, self._find(asked))

    def _conference(self, asked: Asked) -> Conference:
        conference = self._conferences.all.get(asked.path["conference"])
        if conference is None:
            raise ApiError(20404)
        return conference

    def _find(self, asked: Asked) -> Recording:
        conference = self._conference(asked)
        recording = self._recorder.all.get(asked.path["recording"])
        if recording is None or recording.owner is not conference:
            raise ApiError(20404)
        return recording


class _BySuffix:
    """What is asked for with `.json` is what is known of a recording; without, it is its sound."""

    def __init__(self, known: Operation, sound: Operation) -> None:
        self._known = known
        self._sound = sound

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await (self._known if scope.get(SUFFIX) else self._sound)(scope, receive, send)


def change(space: Space, recorder: Recorder, recording: Recording, form: Form) -> Reply:
    """Do what the form says to a recording, and return the answer. Raises `ApiError`."""
    wanted, behaviour = form.get("Status"), form.get("PauseBehavior") or "silence"
    if wanted not in ("paused", "in-progress", "stopped"):
        raise ApiError(10000, "Status is invalid" if wanted else "Status is required")
    if behaviour not in ("skip", "silence"):
        raise ApiError(10000, "PauseBehavior is invalid")
    if not recording.running:
        raise ApiError(10000, "Completed recordings cannot be updated.")
    before, attempts = recording.resource(space), recording.lane.attempts
    match wanted:
        case "paused":
            recorder.pause(recording, skip=behaviour == "skip")
        case "in-progress":
            recorder.resume(recording)
        case _:
            recorder.stop(recording)
    return Reply(body=recording.resource(space), before=before, lane=recording.lane, attempts=attempts)


def erase(recorder: Recorder, recording: Recording) -> Reply:
    """Remove a recording, and return the answer. Raises `ApiError`."""
    if recording.running or recording.status is RecordingStatus.QUEUED:
        raise ApiError(10000, "The recording is not finished and cannot be deleted.")
    recorder.delete(recording)
    return Reply(status=204)


def recording_routes(space: Space, recorder: Recorder, calls: CallOperations, conferences: Conferences) -> list[Route]:
    """Return where the operations on recordings, and their sound, are found."""
    recordings = RecordingOperations(space, recorder, calls)
    rooms = ConferenceRecordingOperations(space, recorder, conferences)
    public = not space.switches.protected_media
    sound = Operation("GET Recordings/{sid} sound", recordings.sound, space, public=public)
    mp3 = Operation("GET Recordings/{sid} mp3", recordings.mp3, space, public=public)
    known = Operation("GET Recordings/{sid}", recordings.read, space)
    path = "/Accounts/{account}/Recordings/{recording}"
    return [
        *at(space, "Calls/{call}/Recordings", ("POST", "POST Recordings", recordings.create)),
        *at(space, "Calls/{call}/Recordings/{recording}", ("POST", "POST Recordings/{sid}", recordings.update)),
        *at(space, "Recordings", ("GET", "GET Recordings", recordings.list)),
        Route(f"{path}.wav", sound, methods=["GET"]),
        Route(f"{path}.mp3", mp3, methods=["GET"]),
        Route(path, _BySuffix(known, sound), methods=["GET"]),
        *at(space, "Recordings/{recording}", ("DELETE", "DELETE Recordings/{sid}", recordings.delete)),
        *at(
            space,
            "Conferences/{conference}/Recordings",
            ("GET", "GET conference Recordings", rooms.list),
            ("POST", "POST conference Recordings", rooms.create),
        ),
        *at(
            space,
            "Conferences/{conference}/Recordings/{recording}",
            ("GET", "GET conference Recordings/{sid}", rooms.read),
            ("POST", "POST conference Recordings/{sid}", rooms.update),
            ("DELETE", "DELETE conference Recordings/{sid}", rooms.delete),
        ),
    ]


def _matches(recording: Recording, form: Form) -> bool:
    """Whether the recording passes every filter of the form. A blank filter filters nothing."""
    shown = recording.owner
    for name in ("Call", "Conference"):
        wanted = form.get(f"{name}Sid")
        if wanted and (shown.resource_word != name or shown.sid != wanted):
            return False
    return pass_dates(form, {"DateCreated": recording.created})
