"""Who takes part in which conference: joining, leaving, and what is changed meanwhile."""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Callable

from telco_bridge.sandbox.voices import SILENCE

from .callbacks import Lane
from .calls import Call
from .conferences import Conference, ConferenceStatus, tell_conference
from .participants import JoinOrder, Participant
from .space import Space
from .streams import Streams
from .webhooks import Webhook

__all__ = ["ConferenceFull", "Conferences"]

_NEEDED = 2
"""How many participants a conference starts with."""


class ConferenceFull(Exception):
    """The conference admits no further participant."""


class Conferences:
    """All conferences of the project, by SID. Used from the emulator's loop only."""

    def __init__(self, space: Space, streams: Streams) -> None:
        self.all: dict[str, Conference] = {}
        self.followers: list[Callable[[Conference], None]] = []
        """Who is called when a conference has ended, before its callback is: they may add to its `recorded`."""
        self.starters: list[Callable[[Conference], None]] = []
        """Who is called when a conference has started."""
        self._live: dict[str, Conference] = {}
        """Those that have not ended, by their names."""
        self._of_call: dict[str, Participant] = {}
        """Those who are present, by the SIDs of their calls."""
        self._space = space
        self._streams = streams
        self._numbers = itertools.count(1)

    def join(self, call: Call, order: JoinOrder) -> Participant:
        """Take a call into the conference of that name, which it begins where there is none.

        A call that still takes part somewhere leaves that first. Raises `ConferenceFull`.
        """
        before = self._of_call.get(call.sid)
        if before is not None:
            self.leave(before)
        conference = self._named(order)
        if conference.most is not None and len(conference.participants) >= conference.most:
            raise ConferenceFull
        now = self._space.now()
        participant = Participant(
            number=next(self._numbers),
            call=call,
            conference_sid=conference.sid,
            order=order,
            created=now,
            updated=now,
            muted=order.muted,
            wait_music=order.wait,
            coached=order.coach if order.coach in conference.participants else None,
        )
        conference.participants[call.sid] = self._of_call[call.sid] = participant
        self._changed(conference)
        tell_conference(conference, self._space, "participant-join", participant)
        present = conference.participants.values()
        enough = len(present) >= _NEEDED and any(other.order.start_on_enter for other in present)
        if enough and conference.status is ConferenceStatus.INIT:
            self._start(conference, participant)
        self._listen(conference)
        return participant

    def leave(self, participant: Participant) -> None:
        """Take a participant out. The last one's leaving, or that of one who ends it, ends the conference."""
        if not participant.present:
            return
        conference = self.all[participant.conference_sid]
        self._remove(conference, participant)
        if not conference.participants or participant.order.end_on_exit:
            self.end(conference, participant)

    def end(self, conference: Conference, last: Participant | None = None) -> None:
        """Take everybody out, and complete the conference, which must not be over. `last` is who has left already."""
        for participant in list(conference.participants.values()):
            self._remove(conference, participant)
            last = participant
        self._streams.stop_all(conference)
        del self._live[conference.friendly_name]
        conference.status = ConferenceStatus.COMPLETED
        conference.ended = self._space.now()
        self._changed(conference)
        for follow in self.followers:
            follow(conference)
        if last is not None:
            tell_conference(conference, self._space, "conference-end", last)

    def set_muted(self, participant: Participant, *, muted: bool) -> None:
        """Let the others hear a participant no more, or hear it again."""
        if participant.muted != muted:
            participant.muted = muted
            self._update(participant, "participant-mute" if muted else "participant-unmute")

    def set_hold(self, participant: Participant, *, hold: bool, music: Webhook | None) -> None:
        """Put a participant on hold, with music if so, or take it back."""
        participant.hold_music = music if hold else None
        if participant.hold != hold:
            participant.hold = hold
            self._update(participant, "participant-hold" if hold else "participant-unhold")
        participant.touch()

    def set_coached(self, participant: Participant, coached: str | None) -> None:
        """Let one call alone hear a participant, or everybody again."""
        if participant.coached != coached:
            participant.coached = coached
            self._update(participant, None)

    def set_wait_music(self, participant: Participant, music: Webhook) -> None:
        """Let a participant hear something else until the conference starts."""
        participant.wait_music = music
        self._update(participant, None)

    def started(self, participant: Participant) -> bool:
        """Whether the participant's conference has started."""
        return self.all[participant.conference_sid].started is not None

    def _named(self, order: JoinOrder) -> Conference:
        known = self._live.get(order.name)
        if known is not None:
            return known
        now = self._space.now()
        conference = Conference(
            number=next(self._numbers),
            sid=str(uuid.uuid4()),
            friendly_name=order.name,
            lane=Lane(self._space),
            created=now,
            updated=now,
            subscription=order.subscription,
            most=order.most,
            record=order.record,
        )
        self.all[conference.sid] = self._live[order.name] = conference
        return conference

    def _start(self, conference: Conference, participant: Participant) -> None:
        conference.status = ConferenceStatus.IN_PROGRESS
        conference.started = self._space.now()
        self._changed(conference)
        for start in self.starters:
            start(conference)
        tell_conference(conference, self._space, "conference-start", participant)
        for present in conference.participants.values():
            present.touch()

    def _remove(self, conference: Conference, participant: Participant) -> None:
        del conference.participants[participant.call.sid], self._of_call[participant.call.sid]
        self._silence(conference, participant)
        participant.present = False
        participant.updated = self._space.now()
        for announcement in participant.announcements:
            announcement.cancel()
        self._changed(conference)
        tell_conference(conference, self._space, "participant-leave", participant)
        participant.touch()

    def _update(self, participant: Participant, event: str | None) -> None:
        conference = self.all[participant.conference_sid]
        participant.updated = self._space.now()
        if event is not None:
            tell_conference(conference, self._space, event, participant)
        self._listen(conference)
        participant.touch()

    def _changed(self, conference: Conference) -> None:
        conference.updated = self._space.now()

    def _listen(self, conference: Conference) -> None:
        """Tell who begins to speak and who falls silent: whoever has a voice speaks for as long as it may be heard."""
        if conference.started is None:
            return
        for participant in conference.participants.values():
            leg = participant.call.leg
            voiced = leg is not None and leg.voice is not SILENCE and not participant.muted and not participant.hold
            if voiced and not participant.speaking:
                participant.speaking = True
                tell_conference(conference, self._space, "participant-speech-start", participant)
            elif not voiced:
                self._silence(conference, participant)

    def _silence(self, conference: Conference, participant: Participant) -> None:
        if participant.speaking:
            participant.speaking = False
            tell_conference(conference, self._space, "participant-speech-stop", participant)
