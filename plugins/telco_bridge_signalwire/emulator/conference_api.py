"""The operations on conferences, their participants and their streams."""

from __future__ import annotations

from collections.abc import Mapping

from .conferences import Conference, ConferenceStatus
from .conferencing import Conferences
from .errors import ApiError, ErrorShape
from .filters import pass_dates
from .forms import Form
from .joining import Joining
from .operations import Asked, Reply
from .orders import webhook
from .paging import cut_page
from .participants import Participant
from .space import Space
from .stream_orders import conference_stream
from .streams import Stream, Streams, StreamStatus

__all__ = ["ConferenceOperations", "ConferenceStreamOperations", "ParticipantOperations"]


class ConferenceOperations:
    """`Conferences` and `Conferences/{sid}`. There is no creating one: documents do."""

    def __init__(self, space: Space, conferences: Conferences, joining: Joining) -> None:
        self._space = space
        self._conferences = conferences
        self._joining = joining

    def list(self, asked: Asked) -> Reply:
        """List conferences, newest first."""
        chosen = [conference for conference in self._conferences.all.values() if _matches(conference, asked.form)]
        page, envelope = cut_page(chosen, asked.form, self._space.uri("Conferences.json"))
        return Reply(body={**envelope, "conferences": [conference.resource(self._space) for conference in page]})

    def read(self, asked: Asked) -> Reply:
        """Show one conference."""
        return Reply(body=self.find(asked).resource(self._space))

    def update(self, asked: Asked) -> Reply:
        """End a conference, or announce something to everybody in it."""
        conference = self.running(asked)
        wanted = asked.form.get("Status")
        if wanted not in (None, ConferenceStatus.COMPLETED):
            raise ApiError(21475)
        announcement = webhook(asked.form, "AnnounceUrl", "AnnounceMethod", 21402)

        before, attempts = conference.resource(self._space), conference.lane.attempts
        if wanted is not None:
            self._conferences.end(conference)
        elif announcement is not None:
            for participant in conference.participants.values():
                self._joining.announce(participant, announcement)
        return Reply(body=conference.resource(self._space), before=before, lane=conference.lane, attempts=attempts)

    def find(self, asked: Asked) -> Conference:
        """Return the conference that the path names. Raises `ApiError`."""
        conference = self._conferences.all.get(asked.path["conference"])
        if conference is None:
            raise ApiError(20404)
        return conference

    def running(self, asked: Asked) -> Conference:
        """Return the conference that the path names, which must not have ended. Raises `ApiError`."""
        conference = self.find(asked)
        if conference.over:
            raise ApiError(10000, "Completed conferences cannot be updated.")
        return conference


class ParticipantOperations:
    """`Conferences/{sid}/Participants` and `…/{call sid}`. Only those who are present are shown."""

    def __init__(
        self, space: Space, operations: ConferenceOperations, conferences: Conferences, joining: Joining
    ) -> None:
        self._space = space
        self._operations = operations
        self._conferences = conferences
        self._joining = joining

    def list(self, asked: Asked) -> Reply:
        """List participants, the latest to join first."""
        conference = self._operations.find(asked)
        muted, hold = _flag(asked.form, "Muted"), _flag(asked.form, "Hold")
        chosen = [
            participant
            for participant in conference.participants.values()
            if muted in (None, participant.muted) and hold in (None, participant.hold)
        ]
        uri = self._space.uri(f"Conferences/{conference.sid}/Participants.json")
        page, envelope = cut_page(chosen, asked.form, uri)
        return Reply(body={**envelope, "participants": [participant.resource(self._space) for participant in page]})

    def read(self, asked: Asked) -> Reply:
        """Show one participant."""
        return Reply(body=_participant(self._operations.find(asked), asked).resource(self._space))

    def update(self, asked: Asked) -> Reply:
        """Mute, hold, coach, or let a participant hear something; and each of it the other way round."""
        form = asked.form
        conference = self._operations.running(asked)
        participant = _participant(conference, asked)
        muted, hold, coaching = _flag(form, "Muted"), _flag(form, "Hold"), _flag(form, "Coaching")
        coached = form.get("CallSidToCoach")
        if coaching and (coached not in conference.participants or coached == participant.call.sid):
            raise ApiError(16002, "The coached participant is not present")
        # SignalWire documents GET here and POST for the others.
        music = webhook(form, "HoldUrl", "HoldMethod", 21402, default="GET")
        waiting = webhook(form, "WaitUrl", "WaitMethod", 21402)
        announcement = webhook(form, "AnnounceUrl", "AnnounceMethod", 21402)

        before, attempts = participant.resource(self._space), conference.lane.attempts
        if muted is not None:
            self._conferences.set_muted(participant, muted=muted)
        if hold is not None or (music is not None and participant.hold):
            self._conferences.set_hold(participant, hold=hold is not False, music=music)
        if coaching is not None:
            self._conferences.set_coached(participant, coached if coaching else None)
        if waiting is not None:
            self._conferences.set_wait_music(participant, waiting)
        if announcement is not None:
            self._joining.announce(participant, announcement)
        return Reply(body=participant.resource(self._space), before=before, lane=conference.lane, attempts=attempts)

    def kick(self, asked: Asked) -> Reply:
        """Take a participant out of the conference; its document goes on after its Dial."""
        conference = self._operations.running(asked)
        attempts = conference.lane.attempts
        self._conferences.leave(_participant(conference, asked))
        return Reply(status=204, lane=conference.lane, attempts=attempts)


class ConferenceStreamOperations:
    """`Conferences/{sid}/Streams` and `…/{sid}`. Their refusals are told as plain sentences."""

    def __init__(self, space: Space, operations: ConferenceOperations, streams: Streams) -> None:
        self._space = space
        self._operations = operations
        self._streams = streams

    def create(self, asked: Asked) -> Reply:
        """Order a stream. The answer says nothing of whether the WebSocket opened."""
        conference = self._operations.find(asked)
        try:
            order = conference_stream(asked.form, self._space)
        except ApiError as error:
            raise _sentence(error) from error
        if conference.status is not ConferenceStatus.IN_PROGRESS:
            raise _sentence(ApiError(21220, "The stream cannot be started in the current conference state"))
        if order.name is not None and self._streams.taken(conference, order.name):
            raise _sentence(ApiError(10000, "Name has already been taken"))
        stream = self._streams.start(conference, order)
        return Reply(body=stream.resource(self._space), lane=stream.lane)

    def stop(self, asked: Asked) -> Reply:
        """Stop a stream, named by its SID or else by its name. The conference goes on."""
        stream = self._find(asked)
        wanted = asked.form.get("Status")
        if wanted != StreamStatus.STOPPED:
            raise _sentence(ApiError(10000, "Status is invalid" if wanted else "Status is required"))
        if stream.status is StreamStatus.STOPPED:
            raise _sentence(ApiError(self._space.switches.stopped_stream))
        before, attempts = stream.resource(self._space), stream.lane.attempts
        self._streams.stop(stream)
        return Reply(body=stream.resource(self._space), before=before, lane=stream.lane, attempts=attempts)

    def _find(self, asked: Asked) -> Stream:
        stream = self._streams.find(self._operations.find(asked), asked.path["stream"])
        if stream is None:
            raise ApiError(20404)
        return stream


def _participant(conference: Conference, asked: Asked) -> Participant:
    participant = conference.participants.get(asked.path["call"])
    if participant is None:
        raise ApiError(20404)
    return participant


def _flag(form: Form, name: str) -> bool | None:
    text = form.get(name)
    if not text:
        return None
    known: Mapping[str, bool] = {"true": True, "false": False}
    value = known.get(text.lower())
    if value is None:
        raise ApiError(10000, f"{name} is invalid")
    return value


def _sentence(error: ApiError) -> ApiError:
    """The refusal as conference streams tell it, which SignalWire documents for status 422 alone."""
    if error.status != 422:
        return error
    return ApiError(error.code, error.message, shape=ErrorShape.SENTENCES)


def _matches(conference: Conference, form: Form) -> bool:
    """Whether the conference passes every filter of the form. A blank filter filters nothing."""
    status = form.get("Status")
    if status and status not in list(ConferenceStatus):
        raise ApiError(21475)
    for wanted, value in ((status, conference.status), (form.get("FriendlyName"), conference.friendly_name)):
        if wanted and wanted != value:
            return False
    return pass_dates(form, {"DateCreated": conference.created, "DateUpdated": conference.updated})
