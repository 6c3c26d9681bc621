"""The carrier's payloads as they travel: read with tolerance, never with imagination.

the carrier sends some numbers as text and some text as numbers, leaves out fields that it documents as required, and
adds others. Only what identifies a thing and its status is insisted on. Error codes come as numbers or text, in
several shapes, and with a `status` that may differ from that of HTTP.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Annotated, TypeVar, cast
from urllib.parse import unquote

from pydantic import AliasChoices, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import from_json

__all__ = [
    "CallPage",
    "CallResource",
    "ConferenceCallback",
    "ConferencePage",
    "ConferenceResource",
    "DocumentRequest",
    "Page",
    "Pairs",
    "ParticipantPage",
    "ParticipantResource",
    "Payload",
    "RecordingCallback",
    "RecordingPage",
    "RecordingResource",
    "Resource",
    "StatusCallback",
    "StreamCallback",
    "StreamResource",
    "Unreadable",
    "form_pairs",
    "is_form",
    "is_json",
    "json_pairs",
    "json_value",
    "read_answer",
    "read_callback",
]

Pairs = tuple[tuple[str, str], ...]
"""Names and values of a form or a query, in their order, names possibly repeated."""

_MAX_FIELDS = 1000
_MAX_NUMBER = 10**30


class Unreadable(ValueError):
    """What came is not what SignalWire documents; the message says how it differs, without quoting it."""


def _text(value: object) -> str | None:
    """Return a scalar as text; None for nothing, for empty text, and for what is no scalar."""
    if isinstance(value, str):
        return value or None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value) if abs(value) < _MAX_NUMBER else None
    return None


Text = Annotated[str | None, BeforeValidator(_text)]
Word = Annotated[str, BeforeValidator(_text)]


class Payload(BaseModel):
    """Fields that we read, and in `raw` everything that came."""

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    raw: Mapping[str, object] = Field(default_factory=dict[str, object], repr=False)

    @model_validator(mode="before")
    @classmethod
    def _keep(cls, data: object) -> object:
        if not isinstance(data, Mapping):
            return data
        fields = cast("Mapping[str, object]", data)
        return {**fields, "raw": dict(fields)}


class Resource(Payload):
    """Something that has an identity."""

    sid: Word


class Page(Payload):
    """One page of a list."""

    next_page_uri: Text = None


class CallResource(Resource):
    """The Call object of the REST API."""

    status: Word
    direction: Text = None
    to: Text = None
    from_: Text = Field(default=None, alias="from")
    caller_name: Text = None
    parent_call_sid: Text = None
    sip_result_code: Text = None
    start_time: Text = None
    duration: Text = None


class CallPage(Page):
    """One page of the list of calls."""

    calls: tuple[CallResource, ...]


class StreamResource(Resource):
    """The answer to the start or the stop of a stream."""

    status: Word
    name: Text = None


class StatusCallback(Payload):
    """What the carrier tells of a call, in a status callback or with the request for a document."""

    sid: Word = Field(alias="CallSid")
    status: Word = Field(alias="CallStatus")
    direction: Text = Field(default=None, alias="Direction")
    to: Text = Field(default=None, alias="To")
    from_: Text = Field(default=None, alias="From")
    parent_call_sid: Text = Field(default=None, alias="ParentCallSid")
    hangup_by: Text = Field(default=None, alias="HangupBy")
    hangup_direction: Text = Field(default=None, alias="HangupDirection")
    # SignalWire's word, and Twilio's.
    sip_result_code: Text = Field(default=None, validation_alias=AliasChoices("SipResultCode", "SipResponseCode"))
    sip_phrase: Text = Field(default=None, alias="SipInviteResultPhrase")


class RecordingResource(Resource):
    """The Recording object of the REST API."""

    status: Word
    call_sid: Text = None
    conference_sid: Text = None
    duration: Text = None
    channels: Text = None
    source: Text = None
    error_code: Text = None
    uri: Text = None


class RecordingPage(Page):
    """One page of the list of recordings."""

    recordings: tuple[RecordingResource, ...]


class ConferenceResource(Resource):
    """The Conference object of the REST API."""

    status: Word
    friendly_name: Text = None


class ConferencePage(Page):
    """One page of the list of conferences."""

    conferences: tuple[ConferenceResource, ...]


class ParticipantResource(Payload):
    """The Participant object of the REST API; it is named by its call."""

    call_sid: Word
    conference_sid: Text = None
    muted: Text = None
    hold: Text = None


class ParticipantPage(Page):
    """One page of the list of participants."""

    participants: tuple[ParticipantResource, ...]


class DocumentRequest(Payload):
    """What the carrier tells when it comes for a document: beside the call, what the verb before has found."""

    digits: Text = Field(default=None, alias="Digits")
    dial_status: Text = Field(default=None, alias="DialCallStatus")
    dial_sip: Text = Field(default=None, alias="DialSipResponseCode")
    refer_status: Text = Field(default=None, alias="ReferCallStatus")
    refer_sip: Text = Field(default=None, alias="ReferSipResponseCode")


class RecordingCallback(Payload):
    """What the carrier tells of a recording."""

    sid: Word = Field(alias="RecordingSid")
    status: Word = Field(alias="RecordingStatus")
    call_sid: Text = Field(default=None, alias="CallSid")
    duration: Text = Field(default=None, alias="RecordingDuration")
    channels: Text = Field(default=None, alias="RecordingChannels")
    url: Text = Field(default=None, alias="RecordingUrl")


class ConferenceCallback(Payload):
    """What the carrier tells of a conference or of one of its participants."""

    sid: Word = Field(alias="ConferenceSid")
    event: Word = Field(alias="StatusCallbackEvent")
    call_sid: Text = Field(default=None, alias="CallSid")
    name: Text = Field(default=None, alias="FriendlyName")


class StreamCallback(Payload):
    """What the carrier tells of a stream."""

    sid: Word = Field(alias="StreamSid")
    event: Word = Field(alias="StreamEvent")
    call_sid: Text = Field(default=None, alias="CallSid")
    name: Text = Field(default=None, alias="StreamName")
    error: Text = Field(default=None, alias="StreamError")


P = TypeVar("P", bound=Payload)


def read_answer(model: type[P], content_type: str | None, body: bytes) -> P:
    """Read a successful answer. Raises `Unreadable` for another content type, broken JSON, or missing fields."""
    if not is_json(content_type):
        raise Unreadable(f"the answer is {content_type or 'of no content type'}, not JSON")
    return _validated(model, json_value(body))


def read_callback(model: type[P], pairs: Pairs) -> P:
    """Read the fields of a callback; of a repeated name the first value counts. Raises `Unreadable`."""
    return _validated(model, dict(reversed(pairs)))


def _validated(model: type[P], value: object) -> P:
    if not isinstance(value, Mapping):
        raise Unreadable(f"it is not an object but {type(value).__name__}")
    try:
        return model.model_validate(value)
    except ValidationError as error:
        places = sorted({".".join(str(part) for part in problem["loc"]) for problem in error.errors()})
        raise Unreadable(f"these fields are missing or malformed: {', '.join(places)}") from error


def json_value(body: bytes) -> object:
    """Return what the JSON says. Raises `Unreadable` where it is broken or cut off."""
    try:
        return cast("object", from_json(body))
    except ValueError as error:
        raise Unreadable("the body is not valid JSON") from error


def json_pairs(body: bytes) -> Pairs:
    """Return the scalars of a JSON object as pairs. Raises `Unreadable`."""
    value = json_value(body)
    if not isinstance(value, dict):
        raise Unreadable("the body is not a JSON object")
    fields = cast("dict[str, object]", value)
    return tuple((name, text) for name, text in ((n, _text(v)) for n, v in fields.items()) if text is not None)


def form_pairs(encoded: bytes | str) -> Pairs:
    """Return the decoded pairs of a form or a query, empty values kept. Raises `Unreadable`."""
    try:
        return _decoded(encoded.decode("utf-8") if isinstance(encoded, bytes) else encoded)
    except ValueError as error:
        raise Unreadable("the form is not valid UTF-8, or has too many fields") from error


# A form is asked for twice in a row: for its signature, and for what it says.
@lru_cache(maxsize=2)
def _decoded(text: str) -> Pairs:
    pieces = text.replace("+", " ").split("&")
    if len(pieces) > _MAX_FIELDS:
        raise ValueError("too many fields")
    pairs: list[tuple[str, str]] = []
    for piece in pieces:
        name, _, value = piece.partition("=")
        if piece:
            pairs.append((_unquoted(name), _unquoted(value)))
    return tuple(pairs)


def _unquoted(text: str) -> str:
    return unquote(text, errors="strict") if "%" in text else text


def is_json(content_type: str | None) -> bool:
    """Whether the content type is JSON, whatever its parameters."""
    kind = _kind(content_type)
    return kind == "application/json" or (kind.startswith("application/") and kind.endswith("+json"))


def is_form(content_type: str | None) -> bool:
    """Whether the content type is that of a web form."""
    return _kind(content_type) == "application/x-www-form-urlencoded"


def _kind(content_type: str | None) -> str:
    return (content_type or "").partition(";")[0].strip().lower()
