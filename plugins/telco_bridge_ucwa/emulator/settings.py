"""How an emulated server behaves: its one user, its patience, and which of UCWA's liberties it takes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["Settings", "Stop"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The choices of one emulated server; all times are in seconds of the network's clock."""

    username: str
    password: str
    name: str
    phone_number: str
    """The user's own phone, which phone audio rings first."""
    embedded: bool
    """Whether events carry the resources that real servers embed; otherwise every event is a link only."""
    bom: bool
    pool_host: str | None
    """The pool's host name where it differs from the one that discovery runs on."""
    withheld: frozenset[str]
    """Links that this server never offers."""
    ends_with_last_modality: bool
    grants: tuple[str, ...]
    """The ways to a token that challenges name."""
    token_lifetime: float
    guest_token_lifetime: float
    token_refusal: int
    """The status with which a token that is not good, or is another host's, is refused: 401 or 403."""
    takes_voip: bool
    """Whether the user may take audio and video by VoIP; older servers let nobody."""
    allowed_origins: frozenset[str]
    """The web pages that may send requests."""
    batch_limit: int
    """How many requests may be outstanding in all batches together."""
    conference_uri: str
    """The meeting that guests may join."""
    conference_key: str
    guests_wait: bool
    """Whether guests of meetings wait in the lobby until a leader admits them."""
    escalation_takes: float
    ring_timeout: float
    own_phone_answers_after: float | None
    hang_up_takes: float
    add_media_takes: float
    provisional_answers: int
    """How many endpoints of a called party let media flow before it answers."""
    answered_by: Mapping[str, str]
    """By address, who answers in somebody else's place."""
    inactive_after: float
    """How long the server keeps an application whose client does not poll."""
    activity_within: float
    """How long the server keeps an application whose user is available, in no call, and not reported active."""
    applications_allowed: int | None
    """How many applications the user may have; None: any number."""
    resume_after: float | None
    """After how long without a poll the server closes conversations and offers `resume`; None: never."""

    @property
    def uri(self) -> str:
        """The user's SIP address."""
        return f"sip:{self.username}"


@dataclass(frozen=True, slots=True)
class Stop:
    """One request to stop media: which verb, with which reason, and where the reason came from."""

    at: float
    verb: str
    reason: str
    where: str
    """`query`, `body` or `absent`."""
    conversation: str
    """The href of the conversation."""
