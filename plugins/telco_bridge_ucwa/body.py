"""The forms in which UCWA writes: JSON and XML, told apart by what an answer says of itself."""

from __future__ import annotations

import json
import re
from codecs import BOM_UTF8
from collections.abc import Callable, Mapping
from contextlib import suppress
from enum import StrEnum
from typing import TYPE_CHECKING, cast

from .xml import NotXml, XmlUnsupported, parse_xml, write_input

if TYPE_CHECKING:
    import httpx

__all__ = ["Form", "Unreadable", "body_in", "form_of", "is_ucwa", "parse_json", "written"]


_loads: Callable[[bytes], object] | None = None
"""The decoder of the extra `fast`, in half the time."""
with suppress(ImportError):
    import orjson

    _loads = orjson.loads

_HALF = re.compile(rb"\\u[dD][89a-fA-F]")
"""How half of a character beyond 16 bits is escaped."""


class Form(StrEnum):
    """A form that can be asked for."""

    JSON = "json"
    XML = "xml"
    """Read by defusedxml, from the extra `ucwa-xml`."""

    @property
    def media_type(self) -> str:
        """What goes into Accept. UCWA documents that the event channel takes only this name for XML."""
        return "application/json" if self is Form.JSON else "application/vnd.microsoft.com.ucwa+xml"


class Unreadable(ValueError):
    """The body is no JSON object and none of UCWA's XML documents, whatever its headers say."""


def form_of(content_type: str) -> Form | None:
    """Return the form that a media type names; None for any other, such as a page of HTML."""
    kind = content_type.partition(";")[0].strip().lower()
    if kind == "application/json" or kind.endswith("+json"):
        return Form.JSON
    if kind in ("application/xml", "text/xml") or (kind.endswith("+xml") and kind != "application/xhtml+xml"):
        return Form.XML
    return None


def is_ucwa(response: httpx.Response) -> bool:
    """Whether UCWA itself answered: a page of HTML comes from a proxy or the web server in front of it."""
    return form_of(response.headers.get("content-type", "")) is not None


def body_in(response: httpx.Response) -> Mapping[str, object]:
    """Return the body of an answer as JSON says it, also where it is XML. Raises `Unreadable`."""
    content_type: str = response.headers.get("content-type", "")
    form = form_of(content_type)
    if form is None:
        raise Unreadable(f"the answer is {content_type or 'of no type'}, neither JSON nor XML")
    if form is Form.JSON:
        return parse_json(response.content)
    try:
        return parse_xml(response.content)
    except (NotXml, XmlUnsupported) as error:
        raise Unreadable(str(error)) from error


def parse_json(body: bytes) -> Mapping[str, object]:
    """Return the JSON object in a body, which may begin with a byte order mark."""
    try:
        data = _loaded(body)
        if _HALF.search(body) is not None:
            # Half of a pair can be escaped, and nothing that holds one can be sent or written down.
            data = json.loads(json.dumps(data, ensure_ascii=False).encode("utf-8", "replace"))
    except (ValueError, RecursionError) as error:
        raise Unreadable(f"the body is no JSON ({type(error).__name__})") from error
    if not isinstance(data, dict):
        raise Unreadable("the body is JSON, but no object")
    return cast("Mapping[str, object]", data)


def _loaded(body: bytes) -> object:
    if _loads is not None:
        # What it refuses may be understood all the same: it is stricter than a reader should be.
        with suppress(ValueError):
            return _loads(body.removeprefix(BOM_UTF8))
    return json.loads(body.decode("utf-8-sig"))


def written(inputs: Mapping[str, object], form: Form) -> tuple[bytes, str]:
    """Return inputs as a body, and its media type.

    What XML cannot say goes as JSON in either form: UCWA's XML inputs have no place for links, and so none for an SDP
    offer.
    """
    xml = write_input(inputs) if form is Form.XML else None
    if xml is not None:
        return xml, form.media_type
    # As compact as httpx writes it.
    text = json.dumps(inputs, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return text.encode(), Form.JSON.media_type
