"""What a client reports of its media."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .answers import Answer
from .inputs import Ask

if TYPE_CHECKING:
    from .pool import Pool

__all__ = ["ERROR_CODES", "diagnose"]

ERROR_CODES = (
    "BadRequest",
    "Forbidden",
    "NotFound",
    "MethodNotAllowed",
    "NotAcceptable",
    "Conflict",
    "Gone",
    "PreconditionFailed",
    "EntityTooLarge",
    "UnsupportedMediaType",
    "PreconditionRequired",
    "TooManyRequests",
    "ServiceFailure",
    "ServiceUnavailable",
    "GatewayTimeout",
    "ExchangeServiceFailure",
    "Timeout",
    "LocalFailure",
    "RemoteFailure",
    "Informational",
)
"""UCWA's `ErrorCode`, as far as a diagnosis may name it."""


def diagnose(ask: Ask, pool: Pool) -> Answer:
    """Take a diagnosis. UCWA requires none of its inputs."""
    code, subcode = ask.choice("errorCode", ERROR_CODES), ask.text("errorSubcode")
    ask.check()
    pool.diagnoses.append((code, subcode))
    return Answer(204)
