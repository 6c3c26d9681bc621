"""A conversation: two parties and the modalities between them, from the first invitation to the last event."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from telco_bridge.media import Modality

from . import links
from .answers import Answer
from .audio_video import AudioVideo
from .directory import Handler, Place
from .errors import JSON, conflict
from .escalation import Calling, add_participant
from .inputs import Ask
from .invitation import Invitation, Wanted
from .meeting import meeting_body, places_of
from .messaging import Messaging
from .outcomes import CANCELLED, DENIED, REMOTE_HANG_UP, Outcome
from .participant import Participant
from .party import Party, name_of
from .phone_audio import PhoneAudio

if TYPE_CHECKING:
    from .application import Application
    from .conference import Conference, Shown

__all__ = ["Conversation"]

_MEDIA = (Modality.MESSAGING, Modality.AUDIO, Modality.VIDEO)


class Conversation:
    """The `conversation` resource. It is announced by the modality that begins it and ends with its last one.

    `incoming` is what a caller offers, where the conversation comes from outside. `meeting` says that `wanted` leads to
    one, and to no other party.
    """

    def __init__(
        self,
        application: Application,
        wanted: Wanted,
        *,
        incoming: frozenset[Modality] | None = None,
        meeting: bool = False,
    ) -> None:
        self.application = application
        self.pool = application.pool
        self.wanted = wanted
        self.state = "Connecting" if incoming is None else "Incoming"
        self._offered = incoming or frozenset()
        self._announced = False
        self._ending = False
        self._admission: Invitation | None = None
        self._given_up: Callable[[], None] | None = None
        self._waiting: list[Callable[[], None]] = []
        self.callings: list[Calling] = []
        """Who is being called into it."""
        self.conference: Conference | None = None
        self._places: list[Place] = []
        self.place = self.keep("conversation", get=lambda _: Answer(200, self.body()), delete=self._delete)
        settings = self.pool.settings
        own = Party(settings.uri, settings.name, network="SameEnterprise")
        self.local = Participant(self, own, local=True)
        self.remote = Participant(self, Party(wanted.to, name_of(wanted.to), counted=not meeting), local=False)
        self._shown = {own: self.local, self.remote.party: self.remote}
        self.phone_audio = PhoneAudio(self)
        self.audio_video = AudioVideo(self)
        self.messaging = Messaging(self)
        self._modalities = (self.phone_audio, self.audio_video)
        # The roster is heard of through events only: UCWA documents no verb for `participants`.
        self._links = {
            "localParticipant": self.local.place,
            "participants": self.keep("participants"),
            "phoneAudio": self.phone_audio.place,
            "audioVideo": self.audio_video.place,
            "messaging": self.messaging.place,
            "addParticipant": self.keep(
                "addParticipant",
                query={"conversation": self.pool.directory.word(8)},
                post=lambda ask: add_participant(ask, self),
            ),
        }

    @property
    def lives(self) -> bool:
        """Whether it has not ended."""
        return self.state != "Disconnected"

    @property
    def media(self) -> list[str]:
        """The active modalities; phone audio shows as Audio."""
        active = self.phone_audio.media | self.audio_video.media | self.messaging.media
        if self.state == "Incoming":
            # Real servers list what the caller offers.
            active |= self._offered
        return [modality.value.capitalize() for modality in _MEDIA if modality in active]

    def keep(
        self,
        rel: str,
        *,
        query: Mapping[str, str] | None = None,
        get: Handler | None = None,
        post: Handler | None = None,
        delete: Handler | None = None,
    ) -> Place:
        """Give something an address that ends with the conversation."""
        place = self.application.place(rel, query=query, get=get, post=post, delete=delete)
        self._places.append(place)
        return place

    def body(self) -> JSON:
        """Return the resource."""
        shown = {rel: self._links[rel].link() for rel in self.pool.offers(self._offers()) if rel in self._links}
        conference = self.conference
        of_conference: JSON = {}
        if conference is not None:
            of_conference = {
                "participantCount": len([party for party in conference.people(self) if not party.in_lobby]),
                "audienceMute": "Enabled" if conference.audience_locked else "Disabled",
                "audienceMessaging": "Enabled" if conference.audience_writes else "Disabled",
            }
        return {
            "rel": "conversation",
            "state": self.state,
            "threadId": self.wanted.thread_id,
            "subject": self.wanted.subject,
            "activeModalities": self.media if self.lives else [],
            "importance": self.wanted.importance,
            "recording": False,
            **of_conference,
            "_links": {"self": self.place.link(), **shown},
        }

    def tell(
        self,
        target: Place,
        type: str,  # noqa: A002 - UCWA's own word
        *,
        body: JSON | None = None,
        inside: Place | None = None,
        title: str | None = None,
        status: str | None = None,
        reason: JSON | None = None,
    ) -> None:
        """Tell something in the conversation's name."""
        self.application.emit(
            self.place, target, type, body=body, inside=inside, title=title, status=status, reason=reason
        )

    def announce(self) -> None:
        """Tell that the conversation is there, the first time it is said."""
        if not self._announced:
            self._announced = True
            self._told("added")
            self.local.join()

    def joined(self) -> None:
        """A modality has connected."""
        if self.state in ("Connecting", "Incoming"):
            self.state = "Connected"
            self.messaging.updated()

    def changed(self, reason: JSON | None = None) -> None:
        """Tell that its state or modalities changed."""
        self._told("updated", reason=reason)

    def modality_ended(self, reason: JSON | None, *, had_media: bool) -> None:
        """A modality is over: so is the conversation, if it was the last."""
        others = any(modality.live for modality in self._modalities)
        if reason is REMOTE_HANG_UP and self.conference is None and self.messaging.live and not others:
            # The other party is gone altogether.
            self.messaging.end(reason)
            return
        stays = self.state == "Connected" and not self.pool.settings.ends_with_last_modality
        # Who is in a conference is there without media, too.
        survives = (stays or self.conference is not None) and not self._ending
        if not survives and not others and not self.messaging.live:
            self._finish(reason)
        elif had_media:
            self.changed(reason)

    def abandon(self) -> None:
        """The server lets go of it: the calls end, and nobody is told."""
        for modality in (*self._modalities, self.messaging):
            modality.abandon()
        for calling in list(self.callings):
            calling.let_go()
        if self.conference is not None:
            self.conference.vacate(self)
        self.state = "Disconnected"
        self._forget()

    def _finish(self, reason: JSON | None) -> None:
        for calling in list(self.callings):
            calling.withdraw()
        if self.conference is not None:
            self.conference.vacate(self)
        else:
            self.remote.leave()
        self.state = "Disconnected"
        self.changed(reason)
        self._told("deleted")
        self._forget()

    def _forget(self) -> None:
        for place in self._places:
            self.pool.directory.retire(place)
        if self in self.application.communication.conversations:
            self.application.communication.conversations.remove(self)

    def _told(self, type: str, *, reason: JSON | None = None) -> None:  # noqa: A002 - UCWA's own word
        body = None if type == "deleted" else self.body()
        self.application.emit(self.application.communication.place, self.place, type, body=body, reason=reason)

    def _delete(self, _: Ask) -> Answer:
        """Leave: everything of this side ends."""
        if self._ending:
            raise conflict("The conversation is ending already.")
        self._ending = True
        return Answer(204, then=self._leave)

    def _leave(self) -> None:
        live = [modality for modality in (*self._modalities, self.messaging) if modality.live]
        for modality in live:
            modality.end()
        if not live and self.lives:
            if self._given_up is not None:
                self._given_up()
            if self._admission is not None:
                self.not_taken(CANCELLED)
            if self.lives:
                self._finish(None)

    # The conference.

    def _offers(self) -> tuple[str, ...]:
        conference = self.conference
        return links.conversation(
            self.state,
            leads=self.leads,
            locked=conference is not None and conference.audience_locked,
            writes=conference is not None and conference.audience_writes,
        )

    def require(self, rel: str) -> None:
        """Refuse a command whose link is not offered now."""
        if rel not in self.pool.offers(self._offers()):
            raise conflict(f"The conversation is {self.state} and does not allow that now.")

    @property
    def leads(self) -> bool:
        """Whether the user is a leader of a conference."""
        return self.conference is not None and self.local.party.role == "Leader"

    @property
    def parties(self) -> tuple[Participant, ...]:
        """Whose media begin and end with the modalities: of a call of two both, of a conference the user alone."""
        return (self.remote, self.local) if self.conference is None else (self.local,)

    @property
    def others(self) -> list[Party]:
        """Who else is there."""
        people = self.conference.people(self) if self.conference is not None else [self.remote.party]
        return [party for party in people if party is not self.local.party]

    def silences(self, party: Party) -> bool:
        """Whether the party may not unmute itself."""
        return self.conference is not None and self.conference.audience_locked and party.role == "Attendee"

    def participant(self, party: Party) -> Participant:
        """Return the party as this conversation shows it."""
        if party not in self._shown:
            self._shown[party] = Participant(self, party, local=False)
        return self._shown[party]

    def everywhere(self, party: Party, tell: Callable[[Shown], None]) -> None:
        """Tell it in every conversation that shows the party."""
        if self.conference is None:
            tell(self.participant(party))
        else:
            self.conference.everywhere(lambda room: tell(room.participant(party)), party)

    def escalate(self, then: Callable[[], None]) -> None:
        """Become a conference, if it is none yet; `then` is called in any case, also where nothing comes of it."""
        if self.conference is not None:
            then()
            return
        self._waiting.append(then)
        if self.state == "Connected":
            self.state = "Conferencing"
            self.changed()
            self.pool.after(self.pool.settings.escalation_takes, self._escalated)

    def _escalated(self) -> None:
        if self.state == "Conferencing":
            conference = self.application.conferences.hold(subject=self.wanted.subject)
            self.local.party.role, self.local.party.organizer = "Leader", True
            self._open(conference)
            conference.enter(self.remote.party)
            conference.attend(self, self.local.party)
            legs = [leg for modality in self._modalities if (leg := modality.join_conference(conference.uri))]
            self._conferenced()
            for shown in (self.local, self.remote):
                shown.changed()
                shown.moved("added", self._links[shown.party.view])
                for medium in sorted(shown.party.uses):
                    shown.tell_media(medium, "updated")
            conference.call(self.remote.party, *legs)
        waiting, self._waiting = self._waiting, []
        for then in waiting:
            then()

    def _open(self, conference: Conference) -> None:
        """Be in that conference from now on."""
        self.conference = conference
        self._links |= places_of(self, conference)

    def _conferenced(self) -> None:
        self.state = "Conferenced"
        self.changed()
        meeting = self._links["onlineMeeting"]
        self.tell(meeting, "added", body=meeting_body(self, meeting))

    def join(self, conference: Conference, invitation: Invitation, *, waits: bool) -> None:
        """Go to a meeting: into its lobby where that is so, else into its roster."""
        self._admission = invitation
        invitation.started()
        self.announce()
        self.enter(conference, waits=waits)

    def invited(self, invitation: Invitation, *, given_up: Callable[[], None]) -> None:
        """Somebody invites the user into a meeting. `given_up` is called where the user leaves without a word."""
        self._admission, self._given_up = invitation, given_up
        invitation.started()
        self.announce()

    def not_taken(self, outcome: Outcome) -> None:
        """The user does not come into the meeting."""
        admission, self._admission = self._admission, None
        if admission is not None:
            admission.failed(outcome)
        if self.lives:
            self._finish(None)

    def enter(self, conference: Conference, *, waits: bool) -> None:
        """Come into the meeting, or into its lobby."""
        own = self.local.party
        own.in_lobby = waits
        if conference.organizer == own.uri:
            own.role, own.organizer = "Leader", True
        self._open(conference)
        conference.attend(self, own)
        if waits:
            self.state = "InLobby"
            self.changed()
        else:
            self.admitted()

    def admitted(self) -> None:
        """The user is in the meeting's roster."""
        waited = self.state == "InLobby"
        self._conferenced()
        self.messaging.updated()
        if waited:
            self.local.changed()
        for party in self.others:
            self.shows(party)
        admission, self._admission = self._admission, None
        if admission is not None:
            admission.succeeded()

    def give_up(self) -> None:
        """The user does not want to be let in any more."""
        admission, self._admission = self._admission, None
        if admission is not None:
            admission.failed(CANCELLED)
            self._leave()

    def dismissed(self, reason: JSON) -> None:
        """The user was removed from the meeting, or not let in."""
        self._ending = True
        admission, self._admission = self._admission, None
        if admission is not None:
            admission.failed(DENIED)
        live = [modality for modality in self._modalities if modality.live]
        if self.messaging.live:
            self.messaging.end(reason)
        for modality in live:
            modality.cut(reason)
        if not live and self.lives:
            self._finish(reason)

    # Who is in it.

    def shows(self, party: Party) -> None:
        """Somebody is there."""
        shown = self.participant(party)
        shown.join()
        shown.moved("added", self._links[party.view])
        for modality in sorted(party.uses):
            shown.tell_media(modality, "added")

    def shows_no_more(self, party: Party) -> None:
        """Somebody has left."""
        shown = self._shown.pop(party, None)
        if shown is not None and shown.joined:
            for modality in sorted(party.uses):
                shown.tell_media(modality, "deleted")
            shown.moved("deleted", self._links[party.view])
            shown.leave()
            shown.retire()

    def shows_moved(self, party: Party, *, before: str) -> None:
        """Somebody has another role, or was admitted."""
        shown = self.participant(party)
        shown.moved("deleted", self._links[before])
        shown.moved("added", self._links[party.view])
        shown.changed()

    def capabilities_changed(self) -> None:
        """The user may do other things than before."""
        self.changed()
        for party in self.others:
            if self.participant(party).joined:
                self.participant(party).changed()
            else:
                self.shows(party)
