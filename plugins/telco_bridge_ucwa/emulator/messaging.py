"""Messages between the parties of a conversation: begun by an invitation, written, delivered, and ended."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from email.message import Message as Header
from typing import TYPE_CHECKING, cast
from urllib.parse import quote_plus

from telco_bridge.media import Modality
from telco_bridge.sandbox.clock import Timer

from . import links
from .answering import DECLINE_REASONS
from .answers import Answer
from .directory import Place
from .errors import JSON, UcwaError, conflict
from .inputs import Ask
from .invitation import Invitation
from .outcomes import CANCELLED, DECLINED_HERE, MISSED, NOT_ACCEPTABLE, Outcome

if TYPE_CHECKING:
    from .conversation import Conversation

__all__ = ["Messaging", "Sent"]

_PATIENCE = 30.0
"""UCWA documents that an invitation to messages fails after about that many seconds, and how long a message waits."""
_FORMATS = {"text/plain": "Plain", "text/html": "Html"}
_DATA = {"Plain": "plainMessage", "Html": "htmlMessage"}
_UNDELIVERED: JSON = {"code": "RemoteFailure", "subcode": "Unreachable", "message": "Nobody got the message."}


@dataclass(frozen=True, slots=True)
class Sent:
    """A message of the client's: its text, its format, and the operation's id, with the name under which that came."""

    text: str
    format: str
    operation_id: str
    named: str


class Messaging:
    """The `messaging` resource of one conversation, which serves one exchange of messages after another.

    The other party agrees to messages a moment after it is asked, unless `takes` is switched off. With `undeliverable`,
    nobody gets what the client writes, and the client is told so.
    """

    def __init__(self, conversation: Conversation) -> None:
        self.conversation = conversation
        self.pool = conversation.pool
        self.state = "Disconnected"
        self.takes = True
        self.undeliverable = False
        self.sent: list[Sent] = []
        self.lost: list[str] = []
        """What was written to the user and never fetched."""
        self.typing = 0
        """How often the client told that the user is writing."""
        self.first: str | None = None
        """The data URI of the message that came with the client's last invitation."""
        self._invitation: Invitation | None = None
        self._timers: list[Timer] = []
        keep = conversation.keep
        self.place = keep("messaging", get=lambda _: Answer(200, self.body()))
        self._places = {
            "addMessaging": keep("addMessaging", query={"conversation": self.pool.directory.word(8)}, post=self._add),
            "stopMessaging": keep("stopMessaging", post=self._stop),
            "sendMessage": keep("sendMessage", post=self._send),
            "setIsTyping": keep("setIsTyping", post=self._type),
        }

    @property
    def live(self) -> bool:
        """Whether messages are exchanged, or somebody wants to."""
        return self.state != "Disconnected"

    @property
    def media(self) -> frozenset[Modality]:
        """What the conversation carries with it."""
        return frozenset({Modality.MESSAGING}) if self.state == "Connected" else frozenset()

    @property
    def formats(self) -> list[str]:
        """The formats that both parties take: the client's, because the other one takes all."""
        return self.conversation.application.communication.formats

    def body(self) -> JSON:
        """Return the resource."""
        invited = self._invitation is not None and self._invitation.incoming
        offered = links.messaging(self.state, self.conversation.state, invited=invited)
        return {
            "rel": "messaging",
            "state": self.state,
            "negotiatedMessageFormats": self.formats if self.state == "Connected" else [],
            "_links": {
                "self": self.place.link(),
                "conversation": self.conversation.place.link(),
                **{rel: self._places[rel].link() for rel in self.pool.offers(offered)},
            },
        }

    def updated(self, reason: JSON | None = None) -> None:
        """Tell that the state or the links changed."""
        self.conversation.tell(self.place, "updated", body=self.body(), reason=reason)

    def _require(self, rel: str) -> None:
        if rel not in cast("JSON", self.body()["_links"]):
            raise conflict(f"messaging is {self.state} and does not allow that now.")

    # Beginning

    def _add(self, ask: Ask) -> Answer:
        operation_id = ask.text("operationId", maximum=50)
        message = _message_in(ask)
        ask.check()
        self._require("addMessaging")
        conversation = self.conversation
        conversation.application.communication.claim(operation_id)
        invitation = Invitation(
            conversation,
            replace(conversation.wanted, operation_id=operation_id),
            rel="messagingInvitation",
            modality=self.place,
            cancel=self._places["stopMessaging"],
            data={"message": message} if message is not None else None,
        )
        self.state, self._invitation, self.first = "Connecting", invitation, message
        return Answer(201, headers=[("Location", invitation.place.href)], then=lambda: self._begin(invitation))

    def _begin(self, invitation: Invitation) -> None:
        invitation.started()
        self.updated()
        self._later(self.pool.settings.add_media_takes, self._decided)

    def _decided(self) -> None:
        if self.takes:
            self._connected()
        else:
            self._failed(NOT_ACCEPTABLE)

    def invite(self, text: str) -> None:
        """Let the other party ask for messages, with a first one. Call it in the emulator's loop, while none go on."""
        invitation = Invitation(
            self.conversation,
            replace(self.conversation.wanted, operation_id=None),
            rel="messagingInvitation",
            modality=self.place,
            incoming=True,
            answers={"accept": self._accept, "decline": self._decline},
            data={"message": _data_uri(text, "text/plain")},
        )
        self.state, self._invitation = "Connecting", invitation
        invitation.started()
        self.updated()
        self._later(_PATIENCE, lambda: self._failed(MISSED))

    def withdraw(self) -> None:
        """Let the other party ask no more."""
        self._failed(replace(CANCELLED, code="RemoteFailure"))

    def _undecided(self) -> Invitation:
        invitation = self._invitation
        if invitation is None or not invitation.incoming or invitation.taken:
            raise conflict("The invitation was decided already.")
        return invitation

    def _accept(self, _: Ask) -> Answer:
        invitation = self._undecided()
        invitation.taken = True

        def take() -> None:
            invitation.updated()
            self._connected()

        return Answer(204, then=take)

    def _decline(self, ask: Ask) -> Answer:
        ask.choice("reason", DECLINE_REASONS)
        ask.check()
        self._undecided().taken = True
        return Answer(204, then=lambda: self._failed(DECLINED_HERE))

    def _connected(self) -> None:
        invitation = self._settle()
        if invitation is None:
            return
        self.state = "Connected"
        self.updated()
        for party in self.conversation.parties:
            party.use(Modality.MESSAGING)
        self.conversation.changed()
        invitation.succeeded()

    def _failed(self, outcome: Outcome) -> None:
        invitation = self._settle()
        if invitation is not None:
            invitation.failed(outcome)
            self._over(None)

    def _settle(self) -> Invitation | None:
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()
        invitation, self._invitation = self._invitation, None
        return invitation

    def _later(self, seconds: float, action: Callable[[], None]) -> None:
        self._timers.append(self.pool.after(seconds, action))

    # Ending

    def _stop(self, _: Ask) -> Answer:
        self._require("stopMessaging")
        return Answer(204, then=self.end)

    def end(self, reason: JSON | None = None) -> None:
        """End the exchange, or the attempt at one."""
        if self._invitation is not None:
            self._failed(DECLINED_HERE if self._invitation.incoming else CANCELLED)
        elif self.live:
            self._over(reason)

    def _over(self, reason: JSON | None) -> None:
        before, self.state = self.media, "Disconnected"
        self.updated(reason)
        for party in reversed(self.conversation.parties):
            party.drop(Modality.MESSAGING)
        self.conversation.modality_ended(reason, had_media=bool(before))

    def abandon(self) -> None:
        """Let go of everything, and tell nobody."""
        self._settle()
        self.state = "Disconnected"

    # Messages

    def _send(self, ask: Ask) -> Answer:
        """Take a message, under the name that UCWA documents for the operation's id or the one that was recorded."""
        kind, text = _written(ask)
        named = "operationId" if ask.text("operationId") is not None else "OperationContext"
        operation_id = ask.text(named, maximum=50, required=True) or ""
        ask.check()
        self._require("sendMessage")
        format = _FORMATS.get(kind, "")  # noqa: A001 - UCWA's own word
        if format not in self.formats:
            raise UcwaError(415, "UnsupportedMediaType", "UnsupportedMediaType", f"{kind} was not agreed on.")
        self.conversation.application.communication.claim(operation_id)
        self.sent.append(Sent(text, format, operation_id, named))
        undelivered = self.undeliverable
        body: JSON = {
            "rel": "message",
            "direction": "Outgoing",
            "operationId": operation_id,
            "timeStamp": self._time(),
            "status": "Pending",
        }
        place = self._message(body, {_DATA[format]: _data_uri(text, kind)})

        def deliver() -> None:
            body["status"] = "Failed" if undelivered else "Succeeded"
            self._tell_message(place, body, reason=_UNDELIVERED if undelivered else None)

        return Answer(201, headers=[("Location", place.href)], then=deliver)

    def _type(self, _: Ask) -> Answer:
        self._require("setIsTyping")
        self.typing += 1
        return Answer(204)

    def receive(self, text: str, *, html: bool = False) -> None:
        """Let the other party write a message. Call it in the emulator's loop, while messages are exchanged.

        Where events come without their resources, the client has to fetch it in time.
        """
        kind = "text/html" if html else "text/plain"
        body: JSON = {"rel": "message", "direction": "Incoming", "timeStamp": self._time(), "status": "Succeeded"}
        fetched: list[bool] = []
        sender = {"participant": self.conversation.remote.place.href}
        data = {_DATA[_FORMATS[kind]]: _data_uri(text, kind), **sender}
        place = self._message(body, data, fetched=lambda: fetched.append(True))

        def forget() -> None:
            if not fetched:
                self.lost.append(text)
                self.pool.directory.retire(place)

        if not self.pool.settings.embedded:
            self._later(_PATIENCE, forget)
        self._tell_message(place, body)

    def _message(self, body: JSON, data: dict[str, str], *, fetched: Callable[[], None] = lambda: None) -> Place:
        def get(_: Ask) -> Answer:
            fetched()
            return Answer(200, body)

        place = self.conversation.keep("message", get=get)
        body["_links"] = {
            "self": place.link(),
            "messaging": self.place.link(),
            **{name: {"href": href} for name, href in data.items()},
        }
        return place

    def _tell_message(self, place: Place, body: JSON, *, reason: JSON | None = None) -> None:
        """Real servers tell of a message once, when it is through."""
        status = "Success" if reason is None else "Failure"
        self.conversation.tell(place, "completed", body=dict(body), status=status, reason=reason)

    def _time(self) -> str:
        return f"/Date({int(self.pool.now() * 1000)})/"


def _written(ask: Ask) -> tuple[str, str]:
    header = Header()
    header["Content-Type"] = ask.headers.get("content-type", "")
    try:
        return header.get_content_type(), ask.body.decode(header.get_content_charset() or "utf-8")
    except (LookupError, ValueError):
        raise UcwaError(400, "BadRequest", "DeserializationFailure", "The message could not be read.") from None


def _message_in(ask: Ask) -> str | None:
    """Return the data URI of the message that an invitation carries along."""
    linked = ask.inputs.get("_links")
    link = cast("JSON", linked).get("message") if isinstance(linked, dict) else None
    if link is None:
        return None
    href = cast("JSON", link).get("href") if isinstance(link, dict) else None
    if not isinstance(href, str) or not href.startswith("data:text/"):
        ask.wrong("message")
        return None
    return href


def _data_uri(text: str, kind: str) -> str:
    """Return a message as UCWA carries it: URL-encoded, a space as `+`."""
    return f"data:{kind};charset=utf-8,{quote_plus(text)}"
