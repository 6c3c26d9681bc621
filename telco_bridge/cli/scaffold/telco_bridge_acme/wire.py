"""The API's payloads as they travel: read with tolerance, never with imagination. Open `decode.py` next.

Only what identifies a thing and its state is insisted on. Fields that nobody has documented are kept in `raw`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, TypeVar, cast

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
    model_validator,
)
from pydantic_core import from_json

__all__ = [
    "CallEvent",
    "CallPage",
    "CallResource",
    "Ended",
    "EventPage",
    "Payload",
    "Unreadable",
    "error_words",
    "read",
]


class Unreadable(ValueError):
    """What came is not what is documented; the message says how it differs, without quoting it."""


class Payload(BaseModel):
    """Fields that we read, and in `raw` everything that came."""

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    raw: Mapping[str, object] = Field(default_factory=dict[str, object], repr=False)

    @model_validator(mode="before")
    @classmethod
    def _keep(cls, data: object) -> object:
        if not isinstance(data, dict):
            return data
        fields = cast("dict[str, object]", data)
        return {**fields, "raw": fields}


class Ended(Payload):
    """Why a call is over."""

    sip: int | None = None
    phrase: str | None = None
    by: str | None = None


class CallResource(Payload):
    """A call."""

    id: str = Field(min_length=1)
    status: str
    token: str | None = None
    direction: str | None = None
    from_: str | None = Field(default=None, alias="from")
    to: str | None = None
    answered: bool | None = None
    ended: Ended | None = None


class CallPage(Payload):
    """The list of calls."""

    calls: tuple[CallResource, ...]


class CallEvent(Payload):
    """One event: its number, and the call as it was then."""

    n: int
    call: CallResource


def _or_none(value: object, handler: ValidatorFunctionWrapHandler) -> CallEvent | None:
    """One event that cannot be read must not stop those after it: it is missing from the numbers, which shows."""
    try:
        return cast("CallEvent", handler(value))
    except ValidationError:
        return None


class EventPage(Payload):
    """What happened after a number, and the number of the newest event."""

    events: tuple[Annotated[CallEvent | None, WrapValidator(_or_none)], ...]
    last: int


P = TypeVar("P", bound=Payload)


def read(model: type[P], body: bytes) -> P:
    """Read an answer. Raises `Unreadable` where it is not JSON, or where a field is missing or malformed."""
    try:
        value: object = from_json(body)
    except ValueError as error:
        raise Unreadable("the answer is not JSON") from error
    try:
        return model.model_validate(value)
    except ValidationError as error:
        places = sorted({".".join(str(part) for part in problem["loc"]) for problem in error.errors()})
        raise Unreadable(f"these fields are missing or malformed: {', '.join(places)}") from error


def error_words(body: bytes) -> str | None:
    """Return what an error body says; None where it is not an error of the API's own, but of something before it."""
    try:
        value: object = from_json(body)
    except ValueError:
        return None
    words = cast("Mapping[str, object]", value).get("error") if isinstance(value, dict) else None
    return words if isinstance(words, str) else None
