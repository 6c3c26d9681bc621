"""What a request asks: inputs from its query and its body, checked as UCWA documents it."""

from __future__ import annotations

import json
from collections.abc import Callable, Coroutine, Iterable, Mapping
from typing import cast

from . import sdp
from .directory import Place
from .errors import JSON, UcwaError, invalid
from .forms import JSON_TYPES, XML_TYPES
from .xml import read_input

__all__ = ["Ask", "read_object"]


def read_object(body: bytes, content_type: str) -> JSON:
    """Return the inputs of a body in JSON or XML, empty where there is no body. Raises the documented refusals."""
    if not body.strip():
        return {}
    kind = content_type.partition(";")[0].strip().lower()
    if kind in XML_TYPES:
        return read_input(body)
    if kind not in JSON_TYPES:
        raise UcwaError(
            415, "UnsupportedMediaType", "UnsupportedMediaType", f"{content_type or 'Nothing'} is not read."
        )
    try:
        value: object = json.loads(body.decode("utf-8-sig"))
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise UcwaError(400, "BadRequest", "DeserializationFailure", "The body could not be read.")
    return cast("JSON", value)


class Ask:
    """One request. Inputs may come in the query or in the body, which wins; their names are case-insensitive.

    The reading methods note what is wrong; `check` raises it all at once.
    """

    def __init__(
        self,
        *,
        method: str,
        place: Place,
        host: str,
        headers: Mapping[str, str],
        query: Mapping[str, str],
        body: bytes = b"",
        connection: str = "",
        disconnected: Callable[[], Coroutine[object, object, None]],
    ) -> None:
        self.method = method
        self.place = place
        self.host = host
        self.headers = headers
        self.query = query
        self.body = body
        self.connection = connection
        """Which connection it came over."""
        self.disconnected = disconnected
        """Returns when the client has gone away."""
        self.inputs: JSON = {name.lower(): value for name, value in query.items() if name not in place.query}
        self._wrong: dict[str, str] = {}

    def read(self) -> None:
        """Take the inputs of the body. Raises the documented refusals."""
        self.inputs |= {name.lower(): value for name, value in self.object().items()}

    def object(self) -> JSON:
        """Return the inputs of the body with their names as they came."""
        return read_object(self.body, self.headers.get("content-type", ""))

    def text(self, name: str, *, maximum: int | None = None, required: bool = False) -> str | None:
        """Return a string, None where it is absent or empty."""
        value = self.inputs.get(name.lower())
        if value is None or value == "":
            if required:
                self._wrong[name] = "Required"
            return None
        if not isinstance(value, str) or (maximum is not None and len(value) > maximum):
            self._wrong[name] = "Invalid"
            return None
        return value

    def choice(self, name: str, allowed: Iterable[str]) -> str | None:
        """Return one of the allowed words, None where it is absent."""
        value = self.text(name)
        if value is not None and value not in allowed:
            self._wrong[name] = "Invalid"
            return None
        return value

    def choices(self, name: str, allowed: Iterable[str]) -> list[str] | None:
        """Return a list of allowed words, None where it is absent."""
        value = self.inputs.get(name.lower())
        if value is None:
            return None
        words = cast("list[object]", value) if isinstance(value, list) else [value]
        known = set(allowed)
        if any(not isinstance(word, str) or word not in known for word in words):
            self._wrong[name] = "Invalid"
        return [str(word) for word in words]

    def number(self, name: str, *, minimum: float, maximum: float = float("inf")) -> float | None:
        """Return a number within its limits, None where it is absent."""
        value = self.inputs.get(name.lower())
        if value is None:
            return None
        try:
            number = float(str(value))
        except ValueError:
            number = float("nan")
        if not minimum <= number <= maximum:
            self._wrong[name] = "Invalid"
            return None
        return number

    def media_offer(self) -> str | None:
        """Return the offer, which UCWA wants as a data URI under `_links`; None where there is none."""
        links = self.inputs.get("_links")
        link: object = None
        if isinstance(links, dict):
            named = {str(name).lower(): value for name, value in cast("dict[object, object]", links).items()}
            link = named.get("mediaoffer")
        if link is None:
            if "mediaoffer" in self.inputs:
                self._wrong["mediaOffer"] = "Invalid"
            return None
        href = cast("dict[str, object]", link).get("href") if isinstance(link, dict) else None
        try:
            text = sdp.from_data_uri(href if isinstance(href, str) else "")
            sdp.offered_media(text)
        except ValueError:
            # A real server names the input of an unreadable description `sdp`.
            self._wrong["sdp"] = "Invalid"
            return None
        return text

    def wrong(self, name: str, reason: str = "Invalid") -> None:
        """Note that an input is wrong."""
        self._wrong[name] = reason

    def check(self) -> None:
        """Raise what was found wrong."""
        if self._wrong:
            raise invalid(**self._wrong)
