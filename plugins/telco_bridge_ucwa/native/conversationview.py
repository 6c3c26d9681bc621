"""A conversation at one moment, as the server tells of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from ..wire import Resource
from .participants import word_in

__all__ = ["Audience", "ConversationState", "ConversationView", "view_of"]


class ConversationState(StrEnum):
    """How far a conversation has come."""

    CONNECTING = "Connecting"
    INCOMING = "Incoming"
    CONNECTED = "Connected"
    CONFERENCING = "Conferencing"
    CONFERENCED = "Conferenced"
    IN_LOBBY = "InLobby"
    DISCONNECTING = "Disconnecting"
    DISCONNECTED = "Disconnected"
    UNKNOWN = "Unknown"


class Audience(StrEnum):
    """Whether something is switched on for the attendees of a conference."""

    ENABLED = "Enabled"
    DISABLED = "Disabled"
    UNKNOWN = "Unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class ConversationView:
    """A conversation at one moment. None is what the server did not say.

    `active_modalities` are the server's words, in which phone audio is `Audio`. `native_state` is its own word for the
    state, `native` are all of its properties, `offered` the names of all of its links.
    """

    state: ConversationState = ConversationState.UNKNOWN
    native_state: str | None = None
    active_modalities: frozenset[str] = frozenset()
    subject: str | None = None
    thread_id: str | None = None
    importance: str | None = None
    recording: bool | None = None
    participant_count: int | None = None
    audience_mute: Audience = Audience.UNKNOWN
    audience_messaging: Audience = Audience.UNKNOWN
    offered: frozenset[str] = frozenset()
    native: Mapping[str, object]


def view_of(resource: Resource) -> ConversationView:
    """Return the conversation that the resource describes. Total over whatever a server may send."""
    word = resource.text("state")
    return ConversationView(
        state=word_in(ConversationState, word),
        native_state=word,
        active_modalities=resource.words("activeModalities") or frozenset(),
        subject=resource.text("subject"),
        thread_id=resource.text("threadId"),
        importance=resource.text("importance"),
        recording=resource.flag("recording"),
        participant_count=resource.number("participantCount"),
        audience_mute=word_in(Audience, resource.text("audienceMute")),
        audience_messaging=word_in(Audience, resource.text("audienceMessaging")),
        offered=frozenset(resource.links),
        native=dict(resource.properties),
    )
