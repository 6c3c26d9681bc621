"""The operation that a call begins with: started, updated, completed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from . import links
from .answers import Answer
from .directory import Handler, Place
from .errors import JSON
from .inputs import Ask
from .outcomes import DERIVED, Outcome

if TYPE_CHECKING:
    from .conversation import Conversation
    from .modality import CallModality
    from .participant import Participant

__all__ = ["Invitation", "Wanted"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What a client asks of a new call."""

    to: str
    operation_id: str | None
    importance: str
    subject: str
    thread_id: str

    def aimed(self, to: str) -> Wanted:
        """Return the same with its normalised target."""
        return replace(self, to=to)


class Invitation:
    """A `phoneAudioInvitation`, an `audioVideoInvitation`, or another one. It can be fetched long after it is decided.

    `cancel` is the address of the modality's own stop. `answers` are what may be done about an incoming one. `extra`
    are the properties that only its kind has, `data` the links that carry their content with them.
    """

    def __init__(
        self,
        conversation: Conversation,
        wanted: Wanted,
        *,
        rel: str,
        modality: Place | None = None,
        cancel: Place | None = None,
        incoming: bool = False,
        answers: Mapping[str, Handler] | None = None,
        extra: JSON | None = None,
        data: Mapping[str, str] | None = None,
    ) -> None:
        self.conversation = conversation
        self.wanted = wanted
        self.state = "Connecting"
        self.pending = True
        self.taken = False
        """Whether a client has accepted an incoming one, which is still to be carried out."""
        self.incoming = incoming
        self._modality = modality
        self._extra = {name: value for name, value in (extra or {}).items() if value is not None}
        self._data = {name: {"href": uri} for name, uri in (data or {}).items()}
        self.taker: Participant | None = None
        """Who has taken it, where that is neither of the two parties of a call."""
        self._accepted = False
        self._derived: CallModality | None = None
        application = conversation.application
        self.place = application.place(rel, get=lambda _: Answer(200, self.body()))
        self._to = application.place("to", get=self._get_to)
        self._links = {rel: conversation.keep(rel, post=handler) for rel, handler in (answers or {}).items()}
        if cancel is not None:
            self._links["cancel"] = cancel
        application.communication.invited(self)

    def body(self) -> JSON:
        """Return the resource."""
        conversation = self.conversation
        offered = {
            rel: self._links[rel].link() for rel in conversation.pool.offers(self._offers()) if rel in self._links
        }
        body: JSON = {
            "rel": self.place.rel,
            "direction": "Incoming" if self.incoming else "Outgoing",
            "importance": self.wanted.importance,
            "threadId": self.wanted.thread_id,
            "state": self.state,
            "subject": self.wanted.subject,
            **({} if self.incoming else {"to": self.wanted.to}),
            **self._extra,
        }
        if self.wanted.operation_id is not None:
            body["operationId"] = self.wanted.operation_id
        body["_links"] = {
            "self": self.place.link(),
            "conversation": conversation.place.link(),
            **({self._modality.rel: self._modality.link()} if self._modality is not None else {}),
            "from": self._caller.place.link(title=self._caller.name),
            "to": self._to.link(),
            **self._data,
            **self._derived_links(),
            **self._added(),
            **offered,
        }
        embedded: JSON = {}
        if self.incoming:
            embedded["from"] = self._caller.body()
        if self._accepted and self._taker.party.counted:
            embedded["acceptedByParticipant"] = [self._taker.body()]
        if embedded:
            body["_embedded"] = embedded
        return body

    @property
    def _caller(self) -> Participant:
        conversation = self.conversation
        return conversation.remote if self.incoming else conversation.local

    @property
    def _taker(self) -> Participant:
        if self.taker is not None:
            return self.taker
        return self.conversation.local if self.incoming else self.conversation.remote

    def _offers(self) -> tuple[str, ...]:
        if not self.incoming:
            return links.invitation(pending=self.pending)
        return links.incoming_invitation(
            self.place.rel,
            pending=self.pending and not self.taken,
            on_the_phone=self.conversation.application.communication.has_phone,
        )

    def retire(self) -> None:
        """Nobody can fetch it any more."""
        for place in (self.place, self._to):
            self.conversation.pool.directory.retire(place)

    def started(self) -> None:
        """Tell that the operation has begun."""
        self._tell("started")

    def updated(self) -> None:
        """Tell that what it offers has changed."""
        self._tell("updated")

    def alerting(self) -> None:
        """Tell that the other party is being alerted."""
        if self.pending and self.state == "Connecting":
            self.state = "Alerting"
            self._tell("updated")

    def succeeded(self) -> None:
        """Tell that the other party has taken it."""
        self.pending = False
        self.state = "Connected"
        self._accepted = True
        self._tell("completed", status="Success", reason=DERIVED if self._derived is not None else None)

    def derive(self, modality: CallModality) -> None:
        """Somebody else has taken it, in the conversation of that modality."""
        self._derived, self.taker = modality, modality.conversation.remote

    def _added(self) -> JSON:
        """The link to whoever was called into a conference, and has come."""
        added = self._accepted and self.place.rel == "participantInvitation"
        return {"participant": self._taker.place.link()} if added else {}

    def _derived_links(self) -> JSON:
        if self._derived is None:
            return {}
        rel = self._derived.place.rel
        return {
            "derivedConversation": self._derived.conversation.place.link(),
            f"derived{rel[0].upper()}{rel[1:]}": self._derived.place.link(),
        }

    def failed(self, outcome: Outcome) -> None:
        """Tell that it came to nothing, and why."""
        self.pending = False
        self.state = outcome.state
        self._tell("completed", status="Failure", reason=outcome.reason())

    def _tell(self, type: str, *, status: str | None = None, reason: JSON | None = None) -> None:  # noqa: A002
        application = self.conversation.application
        hub = application.communication.place
        application.emit(hub, self.place, type, body=self.body(), status=status, reason=reason)

    def _get_to(self, ask: Ask) -> Answer:
        called = self.conversation.local if self.incoming else self.conversation.remote
        contact: JSON = {"rel": "contact", "uri": called.uri, "name": called.name}
        return Answer(200, {**contact, "_links": {"self": ask.place.link()}})
