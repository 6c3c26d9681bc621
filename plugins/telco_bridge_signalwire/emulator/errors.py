"""The API's refusals: codes, their HTTP statuses, and the shapes in which they are told."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from http import HTTPStatus

__all__ = ["ApiError", "ErrorShape", "error_body"]


class ErrorShape(StrEnum):
    """How the body of a refusal is built."""

    USUAL = "usual"
    """`{code, message, more_info, status}`, numbers as numbers."""
    TEXT_CODE = "text_code"
    """The same with the code as text and a body status other than the HTTP status, as seen in the field."""
    ERROR_LIST = "error_list"
    """`{errors: [{code, message, more_info}]}`, which SignalWire documents for a 400 of `POST Calls`."""
    SENTENCES = "sentences"
    """`{errors: ["message"]}`, which SignalWire documents for a 422 of conference streams and recordings."""
    NATIVE = "native"
    """`{errors: [{type, code, message, attribute, url}]}`, as SignalWire's other APIs tell of a bad parameter."""
    HTML = "html"
    """A page, as a gateway sends it."""
    EMPTY = "empty"
    """No body at all."""


_CODES: dict[int, tuple[int, str]] = {
    10000: (422, "Invalid argument"),
    10004: (404, "The subproject does not belong to the authenticating project."),
    13222: (422, "SendDigits contains an invalid character"),
    13621: (422, "The recording callback event is invalid"),
    13699: (422, "Trim is invalid"),
    16002: (422, "The conference attributes are invalid or missing"),
    20003: (401, "Authentication failed"),
    20009: (422, "The call is not finished and cannot be deleted."),
    20404: (404, "The requested resource was not found."),
    20422: (422, "The document, a parameter or its value is invalid"),
    20429: (429, "Too many requests"),
    20504: (503, "Internal error"),
    21201: (422, "To is missing"),
    21205: (422, "Url or ApplicationSid is required"),
    21208: (422, "Timeout must be a positive whole number"),
    21209: (422, "The method must be GET or POST"),
    21210: (422, "From is not a number that this project has purchased or verified"),
    21211: (422, "To is missing or malformed"),
    21212: (422, "From is malformed"),
    21213: (422, "From is missing"),
    21217: (422, "To is not a valid phone number"),
    21218: (422, "ApplicationSid is invalid or unknown"),
    21220: (422, "Call is not in-progress. Cannot redirect."),
    21234: (422, "The answering machine detection parameters are invalid"),
    21262: (422, "AsyncAmdStatusCallback is missing"),
    21402: (422, "The URL is invalid or not absolute"),
    21456: (422, "The callback URL is invalid"),
    21475: (422, "The conference status is invalid"),
    21481: (400, "The page token is invalid"),
    21626: (422, "The status callback event is invalid"),
    30010: (400, "MaxPricePerMinute was exceeded"),
    31922: (422, "The websocket URL is invalid"),
    54453: (400, "PageToken is required when Page is greater than 0"),
    54454: (400, "PageSize must be between 1 and 1000"),
    90000: (400, "A parameter is bad or unsupported"),
}


class ApiError(Exception):
    """A refusal by its documented code. SignalWire names no HTTP status per code; the table does."""

    def __init__(
        self,
        code: int,
        message: str | None = None,
        *,
        status: int | None = None,
        shape: ErrorShape | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        usual_status, usual_message = _CODES[code]
        self.code = code
        self.status = status if status is not None else usual_status
        self.message = message if message is not None else usual_message
        self.shape = shape
        self.headers = dict(headers or {})
        super().__init__(f"{self.status} {self.code} {self.message}")


def error_body(error: ApiError, shape: ErrorShape) -> dict[str, object] | str | None:
    """Return the body that tells of the refusal: a JSON object, the text of a page, or nothing.

    The error's own shape goes before the given one.
    """
    told: dict[str, object] = {
        "code": error.code,
        "message": error.message,
        "more_info": f"https://signalwire.com/docs/errors/{error.code}",
    }
    match error.shape or shape:
        case ErrorShape.USUAL:
            return told | {"status": error.status}
        case ErrorShape.TEXT_CODE:
            return told | {"code": str(error.code), "status": 422 if error.status == 400 else 400}
        case ErrorShape.ERROR_LIST:
            return {"errors": [told | {"code": str(error.code)}]}
        case ErrorShape.SENTENCES:
            return {"errors": [error.message]}
        case ErrorShape.NATIVE:
            native = {"type": "validation_error", "code": "invalid_parameter", "attribute": None}
            return {"errors": [{**native, "message": error.message, "url": told["more_info"]}]}
        case ErrorShape.HTML:
            return f"<html><body><h1>{error.status} {HTTPStatus(error.status).phrase}</h1></body></html>"
        case ErrorShape.EMPTY:
            return None
