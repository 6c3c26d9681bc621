"""How an emulated server behaves: its one user, its patience, and which of UCWA's liberties it takes."""

from __future__ import annotations

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
    conference_uri: str
    """The meeting that guests may join."""
    conference_key: str
    ring_timeout: float
    own_phone_answers_after: float | None
    hang_up_takes: float
    add_media_takes: float
    inactive_after: float
    """How long the server keeps an application whose client does not poll."""
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
