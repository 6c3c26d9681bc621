"""A participant of a conversation, as the server tells of it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TypeVar

from ..wire import Resource

__all__ = ["MediaFlow", "Participant", "ParticipantMedia", "Role", "SourceNetwork", "participant_of", "word_in"]

E = TypeVar("E", bound=StrEnum)


class Role(StrEnum):
    """What a participant may do in a conference."""

    ATTENDEE = "Attendee"
    LEADER = "Leader"
    UNKNOWN = "Unknown"


class SourceNetwork(StrEnum):
    """Where a participant comes from, seen from the user's organisation."""

    SAME_ENTERPRISE = "SameEnterprise"
    FEDERATED = "Federated"
    PUBLIC_CLOUD = "PublicCloud"
    EVERYONE = "Everyone"
    UNKNOWN = "Unknown"


class MediaFlow(StrEnum):
    """Which way a participant's medium flows."""

    INACTIVE = "Inactive"
    RECEIVE_ONLY = "ReceiveOnly"
    SEND_ONLY = "SendOnly"
    SEND_RECEIVE = "SendReceive"
    UNKNOWN = "Unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class ParticipantMedia:
    """A medium that a participant uses. None is what the server did not say; `native_direction` is its own word."""

    direction: MediaFlow = MediaFlow.UNKNOWN
    native_direction: str | None = None
    muted: bool | None = None
    source_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Participant:
    """A participant at the moment of asking. None is what the server did not say.

    `href` tells participants apart, within the conversation and for as long as the application lives. `audio` and
    `video` are set while the medium is used. `offered` are the links of the participant and of its media: what the
    user may do about it now, such as `eject`, `promote` or `muteAudio`. `native_role` and `native_source_network` are
    the server's own words.
    """

    href: str
    uri: str | None = None
    name: str | None = None
    role: Role = Role.UNKNOWN
    native_role: str | None = None
    source_network: SourceNetwork = SourceNetwork.UNKNOWN
    native_source_network: str | None = None
    anonymous: bool | None = None
    local: bool = False
    in_lobby: bool | None = None
    organizer: bool | None = None
    work_phone_number: str | None = None
    other_phone_number: str | None = None
    audio: ParticipantMedia | None = None
    video: ParticipantMedia | None = None
    offered: frozenset[str] = frozenset()

    def __str__(self) -> str:
        return self.name or self.uri or self.href


_ACTIONS = frozenset(
    {
        "admit",
        "demote",
        "eject",
        "muteAudio",
        "muteVideo",
        "promote",
        "reject",
        "unmuteAudio",
        "unmuteVideo",
    }
)


def participant_of(
    href: str, body: Resource, *, local: bool, audio: Resource | None = None, video: Resource | None = None
) -> Participant:
    """Return the participant that these resources describe. Total over whatever a server may send."""
    role, network = body.text("role"), body.text("sourceNetwork")
    parts = [part for part in (body, audio, video) if part is not None]
    return Participant(
        href=href,
        uri=body.text("uri"),
        name=body.text("name"),
        role=word_in(Role, role),
        native_role=role,
        source_network=word_in(SourceNetwork, network),
        native_source_network=network,
        anonymous=body.flag("anonymous"),
        local=local or body.flag("local") is True,
        in_lobby=body.flag("inLobby"),
        organizer=body.flag("organizer"),
        work_phone_number=body.text("workPhoneNumber"),
        other_phone_number=body.text("otherPhoneNumber"),
        audio=_media(audio, "audio"),
        video=_media(video, "video"),
        offered=frozenset(rel for part in parts for rel in part.links) & _ACTIONS,
    )


def word_in(kind: type[E], word: str | None) -> E:
    """Return the member of that name; UNKNOWN for a word that is none."""
    try:
        return kind(word or "Unknown")
    except ValueError:
        return kind("Unknown")


def _media(body: Resource | None, name: str) -> ParticipantMedia | None:
    if body is None:
        return None
    word, source = body.text(f"{name}Direction"), body.properties.get(f"{name}SourceId")
    return ParticipantMedia(
        direction=word_in(MediaFlow, word),
        native_direction=word,
        muted=body.flag(f"{name}Muted"),
        source_id=str(source) if isinstance(source, str | int) and not isinstance(source, bool) else None,
    )
