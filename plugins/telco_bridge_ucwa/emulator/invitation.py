"""The operation that a call begins with: started, updated, completed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from . import links
from .answers import Answer
from .directory import Place
from .errors import JSON
from .inputs import Ask
from .outcomes import Outcome

if TYPE_CHECKING:
    from .conversation import Conversation

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
    """A `phoneAudioInvitation` or an `audioVideoInvitation`. It can be fetched for as long as its application lives.

    `cancel` is the address of the modality's own stop. `extra` are the properties that only its kind has.
    """

    def __init__(
        self,
        conversation: Conversation,
        wanted: Wanted,
        *,
        rel: str,
        modality: Place,
        cancel: Place,
        extra: JSON,
    ) -> None:
        self.conversation = conversation
        self.wanted = wanted
        self.state = "Connecting"
        self.pending = True
        self._modality = modality
        self._extra = {name: value for name, value in extra.items() if value is not None}
        self._accepted = False
        application = conversation.application
        self.place = application.place(rel, get=lambda _: Answer(200, self.body()))
        self._to = application.place("to", get=self._get_to)
        self._links = {"cancel": cancel}

    def body(self) -> JSON:
        """Return the resource."""
        conversation = self.conversation
        shown = links.invitation(pending=self.pending)
        offered = {rel: self._links[rel].link() for rel in conversation.pool.offers(shown) if rel in self._links}
        body: JSON = {
            "rel": self.place.rel,
            "direction": "Outgoing",
            "importance": self.wanted.importance,
            "threadId": self.wanted.thread_id,
            "state": self.state,
            "subject": self.wanted.subject,
            "to": self.wanted.to,
            **self._extra,
        }
        if self.wanted.operation_id is not None:
            body["operationId"] = self.wanted.operation_id
        body["_links"] = {
            "self": self.place.link(),
            "conversation": conversation.place.link(),
            self._modality.rel: self._modality.link(),
            "from": conversation.local.place.link(title=conversation.local.name),
            "to": self._to.link(),
            **offered,
        }
        if self._accepted:
            body["_embedded"] = {"acceptedByParticipant": [conversation.remote.body()]}
        return body

    def started(self) -> None:
        """Tell that the operation has begun."""
        self._tell("started")

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
        self._tell("completed", status="Success")

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
        contact: JSON = {"rel": "contact", "uri": self.wanted.to, "name": self.conversation.remote.name}
        return Answer(200, {**contact, "_links": {"self": ask.place.link()}})
