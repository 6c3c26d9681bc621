"""Why something ended, and how sure we are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

__all__ = [
    "MEDIA_DIALECT",
    "Cause",
    "Confidence",
    "EndedBy",
    "Outcome",
    "Phase",
    "Retry",
    "Scope",
    "Termination",
    "TerminationReason",
    "reason_named",
]


class TerminationReason(StrEnum):
    """The neutral words for an end. What no table knows stays UNKNOWN, with the provider's words beside it."""

    NORMAL = "normal"
    CANCELLED = "cancelled"
    BUSY = "busy"
    NO_ANSWER = "no_answer"
    NO_RESPONSE = "no_response"
    REJECTED = "rejected"
    DO_NOT_DISTURB = "do_not_disturb"
    BLOCKED = "blocked"
    UNALLOCATED_NUMBER = "unallocated_number"
    INVALID_NUMBER = "invalid_number"
    NUMBER_CHANGED = "number_changed"
    UNREACHABLE = "unreachable"
    CONGESTION = "congestion"
    RATE_LIMITED = "rate_limited"
    NOT_AUTHORIZED = "not_authorized"
    MEDIA_NEGOTIATION = "media_negotiation"
    MEDIA_SETUP = "media_setup"
    MEDIA_LOST = "media_lost"
    NETWORK_LOST = "network_lost"
    TRANSFERRED = "transferred"
    REDIRECTED = "redirected"
    ANSWERED_ELSEWHERE = "answered_elsewhere"
    REMOVED = "removed"
    CONFERENCE_ENDED = "conference_ended"
    REPLACED = "replaced"
    TIME_LIMIT = "time_limit"
    PROVIDER_ERROR = "provider_error"
    INTERNAL_ERROR = "internal_error"
    ORPHANED = "orphaned"
    UNKNOWN = "unknown"


def reason_named(value: object) -> TerminationReason:
    """Return the reason of that value. Raises `ValueError` with those there are."""
    try:
        return TerminationReason(str(value))
    except ValueError:
        known = ", ".join(sorted(TerminationReason))
        raise ValueError(f"{value!r} is no reason; there are {known}") from None


class EndedBy(StrEnum):
    """Who ended it."""

    APPLICATION = "application"
    USER = "user"
    REMOTE = "remote"
    NETWORK = "network"
    PROVIDER = "provider"
    BRIDGE = "bridge"
    UNKNOWN = "unknown"


class Phase(StrEnum):
    """How far it had come when it ended."""

    SETUP = "setup"
    ALERTING = "alerting"
    ESTABLISHED = "established"
    ENDING = "ending"
    UNKNOWN = "unknown"


class Scope(StrEnum):
    """What ended."""

    CALL = "call"
    MODALITY = "modality"
    STREAM = "stream"
    PARTICIPANT = "participant"
    UNKNOWN = "unknown"


class Confidence(StrEnum):
    """How we know."""

    REPORTED = "reported"
    """The provider said so."""
    DERIVED = "derived"
    """Worked out from the provider's status, the phase and what we had asked."""
    INFERRED = "inferred"
    """Concluded from a read: the provider no longer knows it."""
    SYNTHETIC = "synthetic"
    """Nobody said so: the bridge had to close its record."""
    UNKNOWN = "unknown"


class Outcome(StrEnum):
    """An end in one of five words, for people and dashboards."""

    COMPLETED = "completed"
    NOT_REACHED = "not_reached"
    REFUSED = "refused"
    FAILED = "failed"
    INDETERMINATE = "indeterminate"


class Retry(StrEnum):
    """Whether dialling again could help."""

    NEVER = "never"
    LATER = "later"
    OTHER_ROUTE = "other_route"
    OTHER_MODALITY = "other_modality"
    FIX_CONFIG = "fix_config"
    UNSPECIFIED = "unspecified"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """What the provider said about an end, in its own words.

    `dialect` names the vocabulary (a provider has several), `code` and `text` are the provider's. `said` is False where
    the provider ended something for good and gave no reason at all: then no better cause will come.
    """

    dialect: str
    code: str | None = None
    text: str | None = None
    said: bool = True
    sip: int | None = None
    q850: int | None = None
    detail: Mapping[str, str] = field(default_factory=dict[str, str], hash=False)


MEDIA_DIALECT = "media"
"""The bridge's own vocabulary: what broke a media connection that it held itself."""

_R = TerminationReason

_OUTCOMES: dict[Outcome, frozenset[TerminationReason]] = {
    Outcome.COMPLETED: frozenset(
        {_R.NORMAL, _R.TRANSFERRED, _R.REDIRECTED, _R.REPLACED, _R.TIME_LIMIT, _R.REMOVED, _R.CONFERENCE_ENDED}
    ),
    Outcome.NOT_REACHED: frozenset(
        {_R.CANCELLED, _R.BUSY, _R.NO_ANSWER, _R.NO_RESPONSE, _R.UNREACHABLE, _R.ANSWERED_ELSEWHERE}
    ),
    Outcome.REFUSED: frozenset({_R.REJECTED, _R.DO_NOT_DISTURB, _R.BLOCKED}),
    Outcome.INDETERMINATE: frozenset({_R.ORPHANED, _R.UNKNOWN}),
}

_RETRIES: dict[Retry, frozenset[TerminationReason]] = {
    Retry.NEVER: frozenset(
        {
            _R.NORMAL,
            _R.CANCELLED,
            _R.REJECTED,
            _R.BLOCKED,
            _R.UNALLOCATED_NUMBER,
            _R.INVALID_NUMBER,
            _R.NUMBER_CHANGED,
            _R.TRANSFERRED,
            _R.REDIRECTED,
            _R.ANSWERED_ELSEWHERE,
            _R.REMOVED,
            _R.CONFERENCE_ENDED,
            _R.REPLACED,
            _R.TIME_LIMIT,
        }
    ),
    Retry.LATER: frozenset(
        {_R.BUSY, _R.NO_ANSWER, _R.NO_RESPONSE, _R.DO_NOT_DISTURB, _R.CONGESTION, _R.RATE_LIMITED, _R.NETWORK_LOST}
    ),
    Retry.OTHER_ROUTE: frozenset({_R.UNREACHABLE}),
    Retry.OTHER_MODALITY: frozenset({_R.MEDIA_NEGOTIATION, _R.MEDIA_SETUP}),
    Retry.FIX_CONFIG: frozenset({_R.NOT_AUTHORIZED}),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Termination:
    """Why a call or a stream ended: a fact, with its source beside it.

    `requested` and `note` are what this side asked for, None where it asked for nothing. `sip` and `q850` are set only
    where the provider reported them, never computed. `native` keeps the provider's words as one line, `detail` the
    rest.
    """

    reason: TerminationReason = TerminationReason.UNKNOWN
    by: EndedBy = EndedBy.UNKNOWN
    phase: Phase = Phase.UNKNOWN
    scope: Scope = Scope.CALL
    requested: TerminationReason | None = None
    note: str | None = None
    sip: int | None = None
    q850: int | None = None
    detail: Mapping[str, str] = field(default_factory=dict[str, str], hash=False)
    native: str | None = None
    confidence: Confidence = Confidence.UNKNOWN

    @property
    def outcome(self) -> Outcome:
        """The end in one of five words."""
        for outcome, reasons in _OUTCOMES.items():
            if self.reason in reasons:
                return outcome
        return Outcome.FAILED

    @property
    def retry(self) -> Retry:
        """Whether trying again could help; UNSPECIFIED where the reason does not tell."""
        for retry, reasons in _RETRIES.items():
            if self.reason in reasons:
                return retry
        return Retry.UNSPECIFIED
