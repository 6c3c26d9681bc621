"""cXML: reading a document and the attributes of its verbs."""

from __future__ import annotations

import math
from xml.etree.ElementTree import Element, ParseError, fromstring

__all__ = ["BadDocument", "flag", "number", "parse_document", "words"]


class BadDocument(Exception):
    """No document could be had, or it cannot be executed. `code` is what SignalWire's dashboard would log."""

    def __init__(self, code: int, words: str) -> None:
        self.code = code
        super().__init__(f"{code} {words}")


def parse_document(text: str) -> list[Element]:
    """Return the document's verbs. Raises `BadDocument` for what is no `<Response>`."""
    if text[:1].isspace():
        raise BadDocument(12100, "white space before the document")
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise BadDocument(12100, "declarations are not accepted")
    try:
        root = fromstring(text)  # noqa: S314 - without declarations there are no entities to expand
    except ParseError as error:
        raise BadDocument(12100, "the document does not parse") from error
    if root.tag != "Response":
        raise BadDocument(12100, "the root is not Response")
    return list(root)


def number(text: str | None, default: float) -> float:
    """Return the attribute's value; the default where it is absent or no number of seconds or times."""
    try:
        value = float(text) if text is not None else default
    except ValueError:
        return default
    return value if math.isfinite(value) and value >= 0 else default


def flag(text: str | None, *, default: bool = False) -> bool:
    """Return the attribute's value; the default where it is neither `true` nor `false`."""
    return {"true": True, "false": False}.get((text or "").strip().lower(), default)


def words(element: Element) -> str:
    """Return the text of a verb or noun, blanks stripped, without what its children say."""
    return (element.text or "").strip()
