"""Who is in a conversation as a client sees them: what it is told of each, and what it may do about them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, cast

from telco_bridge.media import Modality

from . import links
from .answers import Answer
from .directory import Place
from .errors import JSON, conflict
from .inputs import Ask
from .party import Party

if TYPE_CHECKING:
    from .conversation import Conversation

__all__ = ["Participant"]

_MEDIA = (Modality.AUDIO, Modality.VIDEO, Modality.MESSAGING)


class Participant:
    """A party as one conversation shows it. The user's own is told with its body, others as links to be fetched."""

    def __init__(self, conversation: Conversation, party: Party, *, local: bool) -> None:
        self._conversation = conversation
        self.party = party
        self.local = local
        self.joined = False
        self.place = conversation.keep("localParticipant" if local else "participant", get=self._get)
        self._media = {
            Modality.AUDIO: conversation.keep("participantAudio", get=lambda _: self._get_media(Modality.AUDIO)),
            Modality.VIDEO: conversation.keep("participantVideo", get=lambda _: self._get_media(Modality.VIDEO)),
            Modality.MESSAGING: conversation.keep(
                "participantMessaging", get=lambda _: self._get_media(Modality.MESSAGING)
            ),
        }
        self._actions: dict[str, Place] = {}

    @property
    def uri(self) -> str:
        """The party's address."""
        return self.party.uri

    @property
    def name(self) -> str:
        """The party's name."""
        return self.party.name

    def body(self) -> JSON:
        """Return the resource, whose inner rel is `participant` for both."""
        party = self.party
        shown = {self._media[modality].rel: self._media[modality].link() for modality in sorted(party.uses)}
        actions = links.participant(
            leads=self._conversation.leads, local=self.local, role=party.role, in_lobby=party.in_lobby
        )
        return {
            "rel": "participant",
            "uri": party.uri,
            "name": party.name,
            "role": party.role,
            "sourceNetwork": party.network,
            "anonymous": party.anonymous,
            "local": self.local,
            "inLobby": party.in_lobby,
            "organizer": party.organizer,
            "_links": {
                "self": self.place.link(),
                "conversation": self._conversation.place.link(),
                **shown,
                **self._offered(actions),
            },
        }

    def _offered(self, rels: tuple[str, ...]) -> JSON:
        offered = self._conversation.pool.offers(rels)
        for rel in offered:
            if rel not in self._actions:
                self._actions[rel] = self._conversation.keep(rel, post=self._act)
        return {rel: self._actions[rel].link() for rel in offered}

    # What is told

    def join(self) -> None:
        """The party is in the conversation."""
        if self.party.counted and not self.joined:
            self.joined = True
            self._tell("added", title=self.name)

    def changed(self) -> None:
        """What it is, or what may be done about it, has changed."""
        if self.joined:
            self._tell("updated")

    def leave(self) -> None:
        """The party has left it."""
        if self.joined:
            self.joined = False
            self._conversation.tell(self.place, "deleted", title=self.name)

    def retire(self) -> None:
        """Nothing is at its addresses any more."""
        for place in (self.place, *self._media.values(), *self._actions.values()):
            self._conversation.pool.directory.retire(place)

    def moved(self, type: str, view: Place) -> None:  # noqa: A002 - UCWA's own word
        """The party has come into a view, or left it."""
        body = self.body() if self.local and type != "deleted" else None
        self._conversation.tell(self.place, type, body=body, inside=view)

    def _tell(self, type: str, *, title: str | None = None) -> None:  # noqa: A002 - UCWA's own word
        self._conversation.tell(self.place, type, body=self.body() if self.local else None, title=title)

    def use(self, modality: Modality) -> None:
        """The party begins to use a medium."""
        if modality in _MEDIA and modality not in self.party.uses:
            self.party.uses.add(modality)
            self._conversation.everywhere(self.party, lambda shown: shown.tell_media(modality, "added"))

    def drop(self, modality: Modality) -> None:
        """The party uses a medium no longer."""
        if modality in self.party.uses:
            self.party.uses.discard(modality)
            self._conversation.everywhere(self.party, lambda shown: shown.tell_media(modality, "deleted"))

    def tell_media(self, modality: Modality, type: str) -> None:  # noqa: A002 - UCWA's own word
        """Tell what has become of the party's medium."""
        body = self._media_body(modality) if self.local and type != "deleted" else None
        self._conversation.tell(self._media[modality], type, body=body, inside=self.place)

    def _get(self, _: object) -> Answer:
        return Answer(200, self.body())

    def _get_media(self, modality: Modality) -> Answer:
        return Answer(200, self._media_body(modality))

    def _media_body(self, modality: Modality) -> JSON:
        place, party = self._media[modality], self.party
        around: JSON = {"self": place.link(), "participant": self.place.link()}
        if modality is Modality.MESSAGING:
            return {"rel": place.rel, "_links": around}
        rels = links.participant_media(
            modality,
            in_conference=self._conversation.conference is not None,
            leads=self._conversation.leads,
            local=self.local,
            muted=modality in party.muted,
            locked=self._conversation.silences(party),
        )
        return {
            "rel": place.rel,
            f"{modality}Direction": "SendReceive",
            f"{modality}Muted": modality in party.muted,
            f"{modality}SourceId": "0",
            "_links": {**around, **self._offered(rels)},
        }

    # What is commanded

    def _act(self, ask: Ask) -> Answer:
        """Do what a link of the participant or of its media says, if it is still offered."""
        rel = ask.place.rel
        conference = self._conversation.conference
        bodies = [self.body(), *(self._media_body(modality) for modality in sorted(self.party.uses))]
        if conference is None or not any(rel in _links(body) for body in bodies):
            raise conflict(f"{rel} is not possible now.")
        acts: dict[str, Callable[[], None]] = {
            "eject": lambda: conference.eject(self.party),
            "admit": lambda: conference.admit(self.party),
            "reject": lambda: conference.reject(self.party),
            "promote": lambda: conference.set_role(self.party, "Leader"),
            "demote": lambda: conference.set_role(self.party, "Attendee"),
            "muteAudio": lambda: conference.mute(self.party, Modality.AUDIO),
            "unmuteAudio": lambda: conference.unmute(self.party, Modality.AUDIO),
            "muteVideo": lambda: conference.mute(self.party, Modality.VIDEO),
            "unmuteVideo": lambda: conference.unmute(self.party, Modality.VIDEO),
        }
        return Answer(204, then=acts[rel])


def _links(body: JSON) -> JSON:
    return cast("JSON", body["_links"])
