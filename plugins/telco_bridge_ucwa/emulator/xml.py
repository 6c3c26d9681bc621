"""UCWA's XML: what goes out in place of JSON, and the inputs that come in."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from html import escape
from typing import cast

from ..xml import NAMESPACE, NotXml, XmlUnsupported, parse_tree
from .errors import JSON, UcwaError

__all__ = ["document", "read_input"]

_UNSPEAKABLE = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_BLOCKS = ("rel", "_links", "_embedded")


def document(body: JSON) -> bytes:
    """Return what JSON would say as a document: a reason, a package of events, or a resource."""
    links = _object(body.get("_links"))
    if "code" in body:
        text = _reason(body, f' xmlns="{NAMESPACE}"')
    elif "sender" in body or {"next", "resync", "resume"} & set(links):
        text = _package(body, links)
    else:
        text = _resource(str(body.get("rel", "")), body, f' xmlns="{NAMESPACE}"')
    return f'<?xml version="1.0" encoding="utf-8"?>{text}'.encode()


def _resource(rel: str, body: JSON, more: str = "") -> str:
    links = _object(body.get("_links"))
    own = _object(links.get("self")).get("href")
    attributes = _attributes({"rel": rel, **({"href": own} if own is not None else {})})
    parts = [
        *(_link(name, link) for name, value in links.items() if name != "self" for link in _objects(value)),
        *(_property(name, value) for name, value in body.items() if name not in _BLOCKS),
        *(_resource(name, part) for name, value in _object(body.get("_embedded")).items() for part in _objects(value)),
    ]
    return f"<resource{attributes}{more}>{''.join(parts)}</resource>"


def _package(body: JSON, links: JSON) -> str:
    onward = "".join(_link(name, _object(link)) for name, link in links.items() if name != "self")
    senders = "".join(
        f"<sender{_attributes({'rel': sender.get('rel'), 'href': sender.get('href')})}>"
        f"{''.join(_event(event) for event in _objects(sender.get('events')))}</sender>"
        for sender in _objects(body.get("sender"))
    )
    own = _attributes({"href": _object(links.get("self")).get("href")})
    return f'<events{own} xmlns="{NAMESPACE}">{onward}{senders}</events>'


def _event(event: JSON) -> str:
    """An element named by the event's type, which is its link; in JSON it has one."""
    kind = str(event["type"])
    link = _object(event.get("link"))
    status = {"status": event["status"]} if "status" in event else {}
    parts = [
        f"<in{_attributes(_object(event['in']))}/>" if "in" in event else "",
        _reason(_object(event["reason"])) if "reason" in event else "",
        *(_resource(rel, _object(body)) for rel, body in _object(event.get("_embedded")).items()),
    ]
    return f"<{kind}{_attributes(link | status)}>{''.join(parts)}</{kind}>"


def _reason(reason: JSON, more: str = "") -> str:
    words = "".join(f"<{name}>{_text(value)}</{name}>" for name, value in reason.items() if name != "parameters")
    wrong = "".join(f"<parameter{_attributes(given)}/>" for given in _objects(reason.get("parameters")))
    return f"<reason{more}>{words}{f'<parameters>{wrong}</parameters>' if wrong else ''}</reason>"


def _link(rel: str, link: JSON) -> str:
    return f"<link{_attributes({'rel': rel, **link})}/>"


def _property(name: str, value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, list):
        items = "".join(f"<item>{_text(item)}</item>" for item in cast("list[object]", value))
        return f"<propertyList{_attributes({'name': name})}>{items}</propertyList>"
    return f"<property{_attributes({'name': name})}>{_text(value)}</property>"


def _attributes(given: Mapping[str, object]) -> str:
    whitespace = {"\t": "&#9;", "\n": "&#10;"}
    found: list[str] = []
    for name, value in given.items():
        text = _text(value)
        for character, spelled in whitespace.items():
            text = text.replace(character, spelled)
        found.append(f' {name}="{text}"')
    return "".join(found)


def _text(value: object) -> str:
    """The value as text: true and false are written True and False; what XML cannot hold is replaced."""
    return escape(_UNSPEAKABLE.sub("\ufffd", "" if value is None else str(value))).replace("\r", "&#13;")


def _object(value: object) -> JSON:
    return cast("JSON", value) if isinstance(value, dict) else {}


def _objects(value: object) -> Iterable[JSON]:
    if isinstance(value, dict):
        return [cast("JSON", value)]
    return [cast("JSON", item) for item in cast("list[object]", value)] if isinstance(value, list) else []


def read_input(body: bytes) -> JSON:
    """Return the inputs of a body: its properties and lists, and nothing else that it may hold.

    Raises the documented refusal of what cannot be read, and the one of another type where nothing reads XML here.
    """
    try:
        root = parse_tree(body)
    except XmlUnsupported as error:
        raise UcwaError(415, "UnsupportedMediaType", "UnsupportedMediaType", str(error)) from error
    except NotXml:
        root = None
    if root is None or root.tag.rpartition("}")[2] != "input":
        raise UcwaError(400, "BadRequest", "DeserializationFailure", "The body could not be read.")
    found: JSON = {}
    for child in root:
        name = child.get("name")
        match child.tag.rpartition("}")[2]:
            case "property" if name:
                found[name] = child.text or ""
            case "propertyList" if name:
                found[name] = [item.text or "" for item in child]
            case _:
                pass
    return found
