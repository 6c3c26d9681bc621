"""What others write in conversations, kept from the events that bring it until somebody reads it."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import anyio

from ..application import Application
from ..modalities import is_incoming
from ..wire import Event, Resource, text_in

__all__ = ["Chat", "Message", "Messages"]

_KEPT = 200
"""How many messages of a conversation are kept."""
_SOME = 256
"""After how many conversations more the lost ones are looked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """Something that another participant has written: `text`, `html`, or both, as they came.

    `sender` is the `href` of the participant, and `native_time` when it was written in the server's words; each is None
    where the server did not say.
    """

    href: str
    text: str | None = None
    html: str | None = None
    sender: str | None = None
    native_time: str | None = None


class Chat:
    """What was written to the user in one conversation: the newest messages, and how many came before them."""

    def __init__(self) -> None:
        self.messages: deque[Message] = deque(maxlen=_KEPT)
        self.count = 0
        """How many have come in all."""
        self.closed = False
        self._changed: anyio.Event | None = None

    def changed(self) -> anyio.Event:
        """Return what happens with the next message, or with the end of the conversation."""
        if self._changed is None:
            self._changed = anyio.Event()
        return self._changed

    def put(self, message: Message) -> None:
        """Keep a message, unless it is known."""
        if all(known.href != message.href for known in self.messages):
            self.messages.append(message)
            self.count += 1
            self._wake()

    def since(self, count: int) -> tuple[Message, ...]:
        """Return the messages after the first that many, without those that are kept no longer."""
        new = min(self.count - count, len(self.messages))
        return tuple(self.messages)[len(self.messages) - new :]

    def close(self) -> None:
        """The conversation is over."""
        self.closed = True
        self._wake()

    def _wake(self) -> None:
        changed, self._changed = self._changed, None
        if changed is not None:
            changed.set()


class Messages:
    """The chats of one session's conversations, from the first event on."""

    def __init__(self, application: Application) -> None:
        self._application = application
        self._chats: dict[str, Chat] = {}
        application.observers.append(self.take)
        application.losses.append(self._lose)

    def of(self, ref: str) -> Chat:
        """Return what was written in that conversation."""
        if ref not in self._chats and self._application.resources.get(ref) is None:
            over = Chat()
            over.close()
            return over
        return self._chats.setdefault(ref, Chat())

    def _lose(self) -> None:
        """Where the server has lost the application, its conversations are over."""
        for chat in self._chats.values():
            chat.close()
        self._chats.clear()

    def take(self, event: Event) -> None:
        """Keep what an event brings. One without the message is repeated with it, once that has been read."""
        if event.rel == "conversation" and event.type == "deleted":
            chat = self._chats.pop(self._application.resources.key(event.href) or "", None)
            if chat is not None:
                chat.close()
        elif event.rel == "message" and event.body is not None and is_incoming(event.body):
            self._take_message(event, event.body)

    def _take_message(self, event: Event, body: Resource) -> None:
        resources = self._application.resources
        ref, href = resources.key(event.sender_href), resources.key(event.href)
        text, html = text_in(body.data("plainMessage")), text_in(body.data("htmlMessage"))
        if event.sender != "conversation" or ref is None or href is None or (text is None and html is None):
            return
        if len(self._chats) % _SOME == _SOME - 1:
            self._forget_lost()
        self._chats.setdefault(ref, Chat()).put(
            Message(
                href=href,
                text=text,
                html=html,
                sender=resources.key(body.link("participant")),
                native_time=body.text("timeStamp"),
            )
        )

    def _forget_lost(self) -> None:
        resources = self._application.resources
        for ref in [ref for ref in self._chats if resources.get(ref) is None]:
            self._chats.pop(ref).close()
