"""In which form an answer goes, as the request's Accept asks for it."""

from __future__ import annotations

from ..body import Form

__all__ = ["JSON_TYPES", "XML_TYPES", "accepted"]

JSON_TYPES = frozenset({"application/json", "application/vnd.microsoft.com.ucwa+json"})
_XML_OF_EVENTS = "application/vnd.microsoft.com.ucwa+xml"
XML_TYPES = frozenset({"application/xml", _XML_OF_EVENTS})
_ANYTHING = frozenset({"*/*", "application/*"})


def accepted(accept: str, rel: str) -> Form | None:
    """Return the form that is wanted most, JSON where none is named; None where no form of UCWA's will do.

    UCWA documents that the event channel takes only one name for XML.
    """
    wanted = [_weighed(part) for part in accept.split(",") if part.strip()]
    for kind, weight in sorted(wanted, key=lambda one: -one[1]):
        if weight <= 0:
            break
        if kind in JSON_TYPES | _ANYTHING:
            return Form.JSON
        if kind == _XML_OF_EVENTS or (kind in XML_TYPES and rel != "events"):
            return Form.XML
    return None if wanted else Form.JSON


def _weighed(part: str) -> tuple[str, float]:
    kind, *parameters = (word.strip().lower() for word in part.split(";"))
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            try:
                return kind, float(value)
            except ValueError:
                return kind, 0.0
    return kind, 1.0
