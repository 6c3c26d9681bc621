"""UCWA's XML documents, read into what JSON would have said, and its inputs written.

XML has no types: every value is text, and a link looks the same alone and as the only one of a list.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Iterator, Mapping
from html import escape
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

__all__ = ["NAMESPACE", "NotXml", "XmlUnsupported", "parse_tree", "parse_xml", "write_input"]

NAMESPACE = "http://schemas.microsoft.com/rtc/2012/03/ucwa"

_DEPTH = 8
"""How deep resources are followed into each other; the documented ones need three."""
_SHOWN = 50
_WORDS = ("code", "subcode", "message")
_NO_EVENTS = frozenset({"link", "property", "propertyList"})
_UNSPEAKABLE = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What no XML document can hold."""


class NotXml(ValueError):
    """The body is no XML, or none of UCWA's documents."""


class XmlUnsupported(Exception):
    """The library that reads XML safely is not installed."""


def parse_tree(body: bytes) -> Element:
    """Return the root of a document. Raises `NotXml`, also for one that declares entities, and `XmlUnsupported`."""
    try:
        reader = importlib.import_module("defusedxml.ElementTree")
    except ImportError as error:
        raise XmlUnsupported("reading XML needs defusedxml: install telco-bridge[ucwa-xml]") from error
    read = cast("Callable[..., Element]", reader.fromstring)
    try:
        return read(body, forbid_dtd=True)
    except (SyntaxError, ValueError, LookupError) as error:
        raise NotXml(f"the body is no XML that is read ({type(error).__name__})") from error


def parse_xml(body: bytes) -> Mapping[str, object]:
    """Return a resource, a package of events or a reason as JSON says it. Raises `NotXml`, `XmlUnsupported`."""
    root = parse_tree(body)
    match _name(root):
        case "resource":
            return _resource(root, _DEPTH)
        case "events":
            return _package(root)
        case "reason":
            return _reason(root)
        case other:
            raise NotXml(f"the body is XML, but no document of UCWA's: <{other[:_SHOWN]}>")


def _name(element: Element) -> str:
    return element.tag.rpartition("}")[2]


def _children(element: Element, name: str) -> Iterator[Element]:
    return (child for child in element if _name(child) == name)


def _resource(element: Element, depth: int) -> dict[str, object]:
    found: dict[str, object] = {}
    links = _links(element)
    embedded: dict[str, list[object]] = {}
    for child in element:
        name = child.get("name")
        match _name(child):
            case "property" if name:
                found[name] = child.text or ""
            case "propertyList" if name:
                found[name] = [item.text or "" for item in _children(child, "item")]
            case "resource" if depth > 0:
                embedded.setdefault(child.get("rel", ""), []).append(_resource(child, depth - 1))
            case _:
                pass
    href = element.get("href")
    if href is not None:
        links.setdefault("self", [{"href": href}])
    if links:
        found["_links"] = links
    if embedded:
        found["_embedded"] = embedded
    return found | {"rel": element.get("rel", "")}


def _links(element: Element) -> dict[str, object]:
    links: dict[str, list[object]] = {}
    for child in _children(element, "link"):
        links.setdefault(child.get("rel", ""), []).append(dict(child.attrib))
    return dict(links)


def _package(element: Element) -> dict[str, object]:
    senders = [
        {**sender.attrib, "events": [_event(event) for event in sender if _name(event) not in _NO_EVENTS]}
        for sender in _children(element, "sender")
    ]
    return {"_links": _links(element), "sender": senders}


def _event(element: Element) -> dict[str, object]:
    """One event, an element named by its type, with its link as attributes or as a child."""
    link = next(_children(element, "link"), element)
    event: dict[str, object] = {"type": _name(element), "link": dict(link.attrib)}
    status = _said(element, "status")
    if status:
        event["status"] = status
    for reason in _children(element, "reason"):
        event["reason"] = _reason(reason)
    for inside in _children(element, "in"):
        event["in"] = dict(inside.attrib)
    for body in _children(element, "resource"):
        event["_embedded"] = {link.get("rel", ""): _resource(body, _DEPTH)}
    return event


def _reason(element: Element) -> dict[str, object]:
    reason: dict[str, object] = {word: said for word in _WORDS if (said := _said(element, word))}
    parameters = [
        {"name": _said(parameter, "name"), "reason": _said(parameter, "reason") or (parameter.text or "").strip()}
        for part in _children(element, "parameters")
        for parameter in part
    ]
    return reason | ({"parameters": parameters} if parameters else {})


def _said(element: Element, name: str) -> str:
    """A word of that name: an attribute, an element of its own, or a property."""
    if name in element.attrib:
        return element.attrib[name]
    for child in element:
        if _name(child) == name or (_name(child) == "property" and child.get("name") == name):
            return (child.text or "").strip()
    return ""


def write_input(inputs: Mapping[str, object]) -> bytes | None:
    """Return the inputs of a request as XML; None for what XML cannot say, which is anything but words and lists."""
    parts: list[str] = []
    for name, value in inputs.items():
        # What a resource is called is no property of it in XML.
        if value is None or name == "rel":
            continue
        if isinstance(value, list):
            items = [_text(item) for item in cast("list[object]", value)]
            if None in items:
                return None
            listed = "".join(f"<item>{item}</item>" for item in items)
            parts.append(f'<propertyList name="{escape(name)}">{listed}</propertyList>')
        else:
            text = _text(value)
            if text is None:
                return None
            parts.append(f'<property name="{escape(name)}">{text}</property>')
    return f'<?xml version="1.0" encoding="utf-8"?><input xmlns="{NAMESPACE}">{"".join(parts)}</input>'.encode()


def _text(value: object) -> str | None:
    if not isinstance(value, str | bool | int | float):
        return None
    # UCWA's XML writes True and False, as Python does.
    text = str(value)
    # A reader would take a bare carriage return for a line feed.
    return None if _UNSPEAKABLE.search(text) else escape(text).replace("\r", "&#13;")
