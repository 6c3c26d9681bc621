"""The two parties of a conversation, and the media that each of them uses."""

from __future__ import annotations

from typing import TYPE_CHECKING

from telco_bridge.media import Modality

from .answers import Answer
from .directory import Place
from .errors import JSON

if TYPE_CHECKING:
    from .conversation import Conversation

__all__ = ["Participant"]


class Participant:
    """A party. The user's own one is told with its body, the other one as a link to be fetched."""

    def __init__(self, conversation: Conversation, *, uri: str, name: str, local: bool) -> None:
        self._conversation = conversation
        self.uri = uri
        self.name = name
        self.local = local
        self.joined = False
        self._uses: set[Modality] = set()
        self.place = conversation.keep("localParticipant" if local else "participant", get=self._get)
        self._media: dict[Modality, Place] = {
            Modality.AUDIO: conversation.keep("participantAudio", get=lambda _: self._get_media(Modality.AUDIO)),
            Modality.VIDEO: conversation.keep("participantVideo", get=lambda _: self._get_media(Modality.VIDEO)),
        }

    def body(self) -> JSON:
        """Return the resource, whose inner rel is `participant` for both."""
        shown = {self._media[modality].rel: self._media[modality].link() for modality in sorted(self._uses)}
        return {
            "rel": "participant",
            "uri": self.uri,
            "name": self.name,
            "role": "Attendee",
            "sourceNetwork": "SameEnterprise" if self.local else "Everyone",
            "anonymous": False,
            "local": self.local,
            "inLobby": False,
            "organizer": False,
            "_links": {"self": self.place.link(), "conversation": self._conversation.place.link(), **shown},
        }

    def join(self) -> None:
        """The party is in the conversation."""
        if not self.joined:
            self.joined = True
            body = self.body() if self.local else None
            self._conversation.tell(self.place, "added", body=body, title=self.name)

    def leave(self) -> None:
        """The party has left it."""
        if self.joined:
            self.joined = False
            self._conversation.tell(self.place, "deleted", title=self.name)

    def use(self, modality: Modality) -> None:
        """The party begins to use a medium."""
        if modality in self._media and modality not in self._uses:
            self._uses.add(modality)
            body = self._media_body(modality) if self.local else None
            self._conversation.tell(self._media[modality], "added", body=body, inside=self.place)

    def drop(self, modality: Modality) -> None:
        """The party uses a medium no longer."""
        if modality in self._uses:
            self._uses.discard(modality)
            self._conversation.tell(self._media[modality], "deleted", inside=self.place)

    def _get(self, _: object) -> Answer:
        return Answer(200, self.body())

    def _get_media(self, modality: Modality) -> Answer:
        return Answer(200, self._media_body(modality))

    def _media_body(self, modality: Modality) -> JSON:
        place = self._media[modality]
        return {
            "rel": place.rel,
            f"{modality}Direction": "SendReceive",
            f"{modality}Muted": False,
            "_links": {"self": place.link(), "participant": self.place.link()},
        }
