"""The parameters of a request, however they were sent."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import cast
from urllib.parse import parse_qsl

from .errors import ApiError

__all__ = ["Form", "parse_form"]


class Form:
    """Named texts; a name may be repeated."""

    def __init__(self, pairs: Iterable[tuple[str, str]] = ()) -> None:
        self.pairs = tuple(pairs)

    def get(self, name: str) -> str | None:
        """Return the last value of that name, blanks stripped; None where the name is absent."""
        values = self.all(name)
        return values[-1].strip() if values else None

    def all(self, name: str) -> list[str]:
        """Return every value of that name, in order."""
        return [value for key, value in self.pairs if key == name]

    def names(self) -> list[str]:
        """Return the names, each once, in order."""
        return list(dict.fromkeys(key for key, _ in self.pairs))


def parse_form(query: str, content_type: str, body: bytes) -> Form:
    """Merge query and body; where both name a parameter, the body's value is the later one.

    The documentation's header and samples say form, the schema says JSON, and one official sample puts the status into
    the query: all three are read. Raises `ApiError` for a body of another type, of none, or one that cannot be read.
    """
    return Form([*parse_qsl(query, keep_blank_values=True), *_body_pairs(content_type, body)])


def _body_pairs(content_type: str, body: bytes) -> list[tuple[str, str]]:
    if not body:
        return []
    match content_type.partition(";")[0].strip().lower():
        case "application/x-www-form-urlencoded":
            try:
                return parse_qsl(body.decode(), keep_blank_values=True)
            except ValueError as error:
                raise ApiError(20422, "The form cannot be read") from error
        case "application/json":
            return _json_pairs(body)
        case "":
            raise ApiError(20422, "The content type is missing")
        case other:
            raise ApiError(20422, f"The content type {other} is not supported", status=415)


def _json_pairs(body: bytes) -> list[tuple[str, str]]:
    try:
        parsed: object = json.loads(body)
    except ValueError as error:
        raise ApiError(20422, "The JSON body cannot be read") from error
    if not isinstance(parsed, dict):
        raise ApiError(20422, "The JSON body must be an object")
    pairs: list[tuple[str, str]] = []
    for name, value in cast("dict[str, object]", parsed).items():
        values = cast("list[object]", value) if isinstance(value, list) else [value]
        pairs += [(name, _text(item)) for item in values if item is not None]
    return pairs


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)
