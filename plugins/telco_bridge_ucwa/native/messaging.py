"""Messages beyond the neutral words: what is written in a conversation, by either party."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import dataclass

from telco_bridge.provider import Refused, TooLate

from ..inputs import checked_text
from ..modalities import is_incoming
from ..reasons import decline_reason
from ..resources import MESSAGING, Operation, Purpose
from ..wire import Resource, text_in, text_link
from .communication import MessageFormat
from .messages import Message
from .modality import ModalityState, UcwaModality
from .participants import word_in

__all__ = ["MessagingInvitation", "MessagingView", "UcwaMessaging"]


@dataclass(frozen=True, slots=True, kw_only=True)
class MessagingView:
    """Messaging at one moment. `formats` are those that both parties take, empty where the server did not say.

    `offered` are the names of its links, and `native_state` is the server's own word.
    """

    state: ModalityState = ModalityState.UNKNOWN
    native_state: str | None = None
    formats: frozenset[MessageFormat] = frozenset()
    offered: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class MessagingInvitation:
    """An undecided invitation to exchange messages, with the first of them and who sent it, where that was told."""

    message: str | None = None
    sender: str | None = None


class UcwaMessaging(UcwaModality):
    """What is written in a conversation: `bridge.native(UcwaApplication).conversation(call).messaging`.

    Messages can be written while the call's messaging stream is active. A method whose link the server does not offer
    now raises `TooLate`, and nothing is sent; every method raises `ProviderError` where the server says no or cannot be
    reached.
    """

    rel = "messaging"

    @property
    def view(self) -> MessagingView:
        """Messaging as events last told of it. Raises `TooLate` where nothing is known of it."""
        return _view(self._known())

    async def refresh(self) -> MessagingView:
        """Read it now. Raises `TooLate` where the conversation is over."""
        return _view(await self._read())

    # Beginning and ending

    async def add(self, message: str | None = None, *, html: bool = False, timeout: float = 45.0) -> None:
        """Invite the other party to exchange messages, with a first one; return once it has agreed.

        Raises `Refused`, with the reason as its `termination`, where it has not, and `AnswerLost` where nothing tells
        that within `timeout` seconds.
        """
        door, rel = self._door, "addMessaging"
        said = text_link(checked_text("message", message), html=html) if message is not None else None
        messaging = await self._with(rel)
        with door.outcomes.expect() as awaited:
            body: dict[str, object] = {"operationId": awaited.id}
            if said is not None:
                body["_links"] = {"message": {"href": said}}
            slots = frozenset({MESSAGING})
            operation = Operation(id=awaited.id, purpose=Purpose.START, slots=slots, to="", ref=self._ref)
            await door.ask(awaited, messaging, rel, of="the call", body=body, operation=operation)
            await door.outcomes.success(awaited, what=rel, rel="messagingInvitation", timeout=timeout)

    async def stop(self) -> None:
        """End the exchange of messages; the rest of the call goes on. UCWA takes no reason for that."""
        await self._do("stopMessaging")

    @property
    def invitation(self) -> MessagingInvitation | None:
        """The other party's invitation that waits for `accept` or `decline`; None where none does."""
        found = self._offered()
        if found is None:
            return None
        return MessagingInvitation(message=text_in(found.data("message")), sender=self._door.resources.remote(found))

    def _offered(self) -> Resource | None:
        pending = self._door.resources.pending(self._ref, MESSAGING)
        return pending if pending is not None and is_incoming(pending) else None

    async def accept(self) -> None:
        """Agree to exchange messages. Raises `TooLate` where nobody asks for that."""
        await self._door.post(self._to_decide("accept"), "accept", of="the invitation")

    async def decline(self, reason: str | None = None) -> None:
        """Refuse to exchange messages. `reason` is one of UCWA's CallDeclineReason, and `Refused` is raised for others.

        Raises `TooLate` where nobody asks for messages.
        """
        word = decline_reason(None, {"reason": reason})
        body: dict[str, object] | None = {"reason": word} if word is not None else None
        await self._door.post(self._to_decide("decline"), "decline", of="the invitation", body=body)

    def _to_decide(self, what: str) -> Resource:
        found = self._offered()
        if found is None:
            raise TooLate(f"{what}: nobody asks for messages now. Nothing was sent.", provider="ucwa")
        return found

    # Messages

    async def send(self, text: str, *, html: bool = False, timeout: float = 45.0) -> None:
        """Write a message, and return once it has been delivered.

        Raises `Refused` where it was not, with the reason as its `termination`, or where the parties have agreed on
        formats and HTML is none of them; and `AnswerLost` where nothing tells what has become of it within `timeout`
        seconds.
        """
        checked_text("text", text)
        messaging = await self._with("sendMessage")
        formats = _view(messaging).formats
        if html and formats and MessageFormat.HTML not in formats:
            raise Refused("sendMessage: the parties have not agreed on HTML. Nothing was sent.", provider="ucwa")
        kind = "text/html" if html else "text/plain"
        door, rel = self._door, "sendMessage"
        with door.outcomes.expect() as awaited:
            query = (("operationId", awaited.id),)
            await door.ask(awaited, messaging, rel, of="the call", query=query, written=(text, kind))
            await door.outcomes.success(awaited, what=rel, rel="message", timeout=timeout)

    async def set_typing(self) -> None:
        """Tell the other party that the user is writing."""
        await self._do("setIsTyping")

    @property
    def received(self) -> tuple[Message, ...]:
        """What others have written, oldest first: the last 200 messages of the conversation."""
        return tuple(self._door.messages.of(self._ref).messages)

    async def messages(self) -> AsyncGenerator[Message]:
        """Yield what others have written, then what they go on to write, until the conversation is over.

        Whoever falls back behind by more than 200 messages misses the oldest of them.
        """
        chat, count = self._door.messages.of(self._ref), 0
        while True:
            changed = chat.changed()
            new, count = chat.since(count), chat.count
            for message in new:
                yield message
            if chat.count == count:
                if chat.closed:
                    return
                await changed.wait()


def _view(body: Resource) -> MessagingView:
    word = body.text("state")
    known = {member.value: member for member in MessageFormat}
    formats = body.words("negotiatedMessageFormats") or frozenset()
    return MessagingView(
        state=word_in(ModalityState, word),
        native_state=word,
        formats=frozenset(known[name] for name in formats if name in known),
        offered=frozenset(body.links) - {"self", "conversation"},
    )
