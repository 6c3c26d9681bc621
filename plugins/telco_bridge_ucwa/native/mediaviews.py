"""Audio and video at one moment, what is proposed for them, and the words that UCWA has for what goes wrong."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from ..wire import Resource
from .modality import ModalityState
from .participants import word_in

__all__ = [
    "ERROR_CODES",
    "AudioVideoPolicies",
    "AudioVideoView",
    "RemoteProposal",
    "RenegotiationDecline",
    "VideoSources",
    "view_of",
]

ERROR_CODES = frozenset(
    {
        "BadRequest",
        "Conflict",
        "EntityTooLarge",
        "ExchangeServiceFailure",
        "Forbidden",
        "GatewayTimeout",
        "Gone",
        "Informational",
        "LocalFailure",
        "MethodNotAllowed",
        "NotAcceptable",
        "NotFound",
        "PreconditionFailed",
        "PreconditionRequired",
        "RemoteFailure",
        "ServiceFailure",
        "ServiceUnavailable",
        "Timeout",
        "TooManyRequests",
        "UnsupportedMediaType",
    }
)
"""The codes of a media diagnosis."""


class VideoSources(StrEnum):
    """Whose video is shown to everybody."""

    EVERYONE = "Everyone"
    ONE_PARTICIPANT = "OneParticipant"
    PRESENTERS_ONLY = "PresentersOnly"
    UNKNOWN = "Unknown"


class RenegotiationDecline(StrEnum):
    """Why an offer to change the media of a call is not taken."""

    UNKNOWN = "Unknown"
    MEDIA_ALLOCATION_FAILURE = "MediaAllocationFailure"
    ENCRYPTION_MISMATCH = "EncryptionMismatch"
    IPV6_NOT_SUPPORTED = "IPv6NotSupported"
    UNSUPPORTED_MEDIA = "UnsupportedMedia"
    INVALID_MEDIA_OFFER = "InvalidMediaOffer"
    INSUFFICIENT_BANDWIDTH = "InsufficientBandwidth"
    CONFLICT = "Conflict"


@dataclass(frozen=True, slots=True, kw_only=True)
class AudioVideoView:
    """Audio and video at one moment. `offered` are the names of the links, the native ones the server's own words.

    `supports_replaces` is None where the server did not say, and False for its words None and Disabled.
    """

    state: ModalityState = ModalityState.UNKNOWN
    native_state: str | None = None
    supports_replaces: bool | None = None
    native_supports_replaces: str | None = None
    video_sources: VideoSources = VideoSources.UNKNOWN
    native_video_sources: str | None = None
    offered: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class AudioVideoPolicies:
    """What the user may do with audio and video, in the server's words; None where it did not say."""

    join_scheduled_online_meeting: str | None = None
    multi_view: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteProposal:
    """An offer to go on with other media, undecided: the other party's, or of somebody who would take its place.

    `replaces` says that it is the latter, to whom the call is handed over by `transferred_by`, where that was told.
    """

    sdp: str
    replaces: bool = False
    transferred_by: str | None = None


def view_of(body: Resource) -> AudioVideoView:
    """Return what the resource says."""
    word, replaces, sources = (body.text(name) for name in ("state", "supportsReplaces", "videoSourcesAllowed"))
    return AudioVideoView(
        state=word_in(ModalityState, word),
        native_state=word,
        supports_replaces=None if replaces is None else replaces not in ("None", "Disabled"),
        native_supports_replaces=replaces,
        video_sources=word_in(VideoSources, sources),
        native_video_sources=sources,
        offered=frozenset(body.links) - {"self", "conversation"},
    )
