"""What UCWA answers when it refuses: a status, a code, perhaps a subcode, and the inputs that were wrong."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

__all__ = ["JSON", "UcwaError", "conflict", "invalid", "not_found"]

JSON = dict[str, object]
"""A JSON object on its way to the wire."""


class UcwaError(Exception):
    """A refusal as it goes over the wire. `retry_after` becomes a header; UCWA itself documents none."""

    def __init__(
        self,
        status: int,
        code: str,
        subcode: str | None = None,
        message: str = "",
        *,
        parameters: Sequence[Mapping[str, str]] = (),
        retry_after: float | None = None,
    ) -> None:
        super().__init__(f"{status} {code} {subcode or ''}".rstrip())
        self.status = status
        self.code = code
        self.subcode = subcode
        self.message = message
        self.parameters = tuple(dict(parameter) for parameter in parameters)
        self.retry_after = retry_after

    def body(self) -> JSON:
        """Return the error resource."""
        body: JSON = {"code": self.code}
        if self.subcode is not None:
            body["subcode"] = self.subcode
        body["message"] = self.message or "The request could not be completed."
        if self.parameters:
            body["parameters"] = list(self.parameters)
        return body


def conflict(message: str, subcode: str | None = None) -> UcwaError:
    """Return the refusal of a command that the state of the resource does not allow."""
    return UcwaError(409, "Conflict", subcode, message)


def not_found(message: str = "The resource does not exist.", subcode: str | None = None) -> UcwaError:
    """Return the refusal of a request for something that is unknown, or no longer known."""
    return UcwaError(404, "NotFound", subcode, message)


def invalid(**reasons: str) -> UcwaError:
    """Return the refusal of bad inputs, each with its reason."""
    return UcwaError(
        400,
        "BadRequest",
        "ParameterValidationFailure",
        "Some of the inputs are missing or wrong.",
        parameters=[{"name": name, "reason": reason} for name, reason in reasons.items()],
    )
