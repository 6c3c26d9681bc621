"""A conversation: two parties and the modalities between them, from the first invitation to the last event."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from telco_bridge.media import Modality

from . import links
from .answers import Answer
from .audio_video import AudioVideo
from .directory import Handler, Place
from .errors import JSON, conflict
from .inputs import Ask
from .invitation import Wanted
from .participant import Participant
from .phone_audio import PhoneAudio

if TYPE_CHECKING:
    from .application import Application

__all__ = ["Conversation"]


class Conversation:
    """The `conversation` resource. It is announced by the modality that begins it and ends with its last one.

    `incoming` is what a caller offers, where the conversation comes from outside.
    """

    def __init__(
        self, application: Application, wanted: Wanted, *, incoming: frozenset[Modality] | None = None
    ) -> None:
        self.application = application
        self.pool = application.pool
        self.wanted = wanted
        self.state = "Connecting" if incoming is None else "Incoming"
        self._offered = incoming or frozenset()
        self._announced = False
        self._ending = False
        self._places: list[Place] = []
        self.place = self.keep("conversation", get=lambda _: Answer(200, self.body()), delete=self._delete)
        settings = self.pool.settings
        self.local = Participant(self, uri=settings.uri, name=settings.name, local=True)
        self.remote = Participant(self, uri=wanted.to, name=_name(wanted.to), local=False)
        self.phone_audio = PhoneAudio(self)
        self.audio_video = AudioVideo(self)
        self._modalities = (self.phone_audio, self.audio_video)
        # The roster is heard of through events only: UCWA documents no verb for `participants`.
        self._links = {
            "localParticipant": self.local.place,
            "participants": self.keep("participants"),
            "phoneAudio": self.phone_audio.place,
            "audioVideo": self.audio_video.place,
        }

    @property
    def lives(self) -> bool:
        """Whether it has not ended."""
        return self.state != "Disconnected"

    @property
    def media(self) -> list[str]:
        """The active modalities; phone audio shows as Audio."""
        active = self.phone_audio.media | self.audio_video.media
        if self.state == "Incoming":
            # Real servers list what the caller offers.
            active |= self._offered
        return [modality.value.capitalize() for modality in (Modality.AUDIO, Modality.VIDEO) if modality in active]

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
        offered = links.CONVERSATION if self.lives else links.CONVERSATION_OVER
        shown = {rel: self._links[rel].link() for rel in self.pool.offers(offered)}
        return {
            "rel": "conversation",
            "state": self.state,
            "threadId": self.wanted.thread_id,
            "subject": self.wanted.subject,
            "activeModalities": self.media if self.lives else [],
            "importance": self.wanted.importance,
            "recording": False,
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
        reason: JSON | None = None,
    ) -> None:
        """Tell something in the conversation's name."""
        self.application.emit(self.place, target, type, body=body, inside=inside, title=title, reason=reason)

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

    def changed(self, reason: JSON | None = None) -> None:
        """Tell that its state or modalities changed."""
        self._told("updated", reason=reason)

    def modality_ended(self, reason: JSON | None, *, had_media: bool) -> None:
        """A modality is over: so is the conversation, if it was the last."""
        survives = self.state == "Connected" and not self._ending and not self.pool.settings.ends_with_last_modality
        if not survives and not any(modality.live for modality in self._modalities):
            self._finish(reason)
        elif had_media:
            self.changed(reason)

    def abandon(self) -> None:
        """The server lets go of it: the calls end, and nobody is told."""
        for modality in self._modalities:
            modality.abandon()
        self.state = "Disconnected"
        self._forget()

    def _finish(self, reason: JSON | None) -> None:
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
        live = [modality for modality in self._modalities if modality.live]
        for modality in live:
            modality.end()
        if not live and self.lives:
            self._finish(None)


def _name(uri: str) -> str:
    scheme, _, rest = uri.partition(":")
    return rest.partition("@")[0] if scheme.lower() == "sip" else rest
