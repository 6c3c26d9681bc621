"""`telco-bridge providers`: what is installed, what it wants to be told, and what it can do."""

from __future__ import annotations

import inspect
import types
from collections.abc import Callable, Iterable, Iterator
from enum import Enum
from typing import TYPE_CHECKING, Annotated, Union, cast, get_args, get_origin

from rich.box import SIMPLE_HEAD
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from .. import _discovery
from ..capabilities import Capability, Support, SupportLevel

if TYPE_CHECKING:
    from pydantic import BaseModel
    from pydantic.fields import FieldInfo
    from rich.console import Console

__all__ = ["show_all", "show_one"]

_LEVELS = {
    SupportLevel.FULL: ("● yes", "good"),
    SupportLevel.EMULATED: ("◐ emulated", "progress"),
    SupportLevel.NOT_IMPLEMENTED: ("○ not yet", "quiet"),
    SupportLevel.PROVIDER_CANNOT: ("✕ cannot", "quiet"),
    SupportLevel.UNKNOWN: ("? unknown", "bad"),
}
_BOUNDS = {"gt": ">", "ge": "≥", "lt": "<", "le": "≤"}


def show_all(console: Console) -> None:
    """Print every installed provider, importing none of them."""
    table = _table("provider", "distribution", "version", "")
    for found in _discovery.installed():
        state = Text("✓ ready", "good") if found.problem is None else Text(f"✗ {found.problem}", "bad")
        table.add_row(Text(found.name, "provider"), found.distribution, found.version, state)
    console.print(table)
    console.print(Text("  telco-bridge providers NAME  tells its settings and what it can do", "quiet"))


def show_one(console: Console, name: str) -> None:
    """Print the settings and the support table of one provider. Raises `PluginError`."""
    from ..config import LifecycleSettings, WebSettings

    plugin = _discovery.load(name)
    found = next(one for one in _discovery.installed() if one.name == name)
    console.print()
    console.print(Text.assemble("  ", (name, "provider"), (f"  {found.distribution} {found.version}", "quiet")))
    about = inspect.cleandoc(plugin.config_model.__doc__ or "")
    if about:
        console.print()
        console.print(Padding(Text(about), (0, 2)))

    settings = _table("setting", "type", "default", "")
    for model, prefix in ((plugin.config_model, ""), (WebSettings, "web."), (LifecycleSettings, "lifecycle.")):
        for row in _settings(model, prefix):
            settings.add_row(*row)
        settings.add_section()
    console.print(settings)

    abilities = _table("capability", "", "")
    for capability in Capability:
        support = plugin.support.get(capability, Support(SupportLevel.UNKNOWN, "the plugin does not declare it"))
        mark, style = _LEVELS[support.level]
        abilities.add_row(capability.replace("_", " "), Text(mark, style), Text(support.note))
    console.print(abilities)


def _table(*columns: str) -> Table:
    table = Table(box=SIMPLE_HEAD, header_style="bold", pad_edge=True)
    last = len(columns) - 1
    for index, column in enumerate(columns):
        table.add_column(column, no_wrap=index == 0, overflow="fold", ratio=1 if index == last else None)
    return table


def _settings(model: type[BaseModel], prefix: str) -> Iterator[tuple[Text, Text, Text, Text]]:
    """Path, type, default and description of every setting, those of nested tables under their own paths."""
    from pydantic import BaseModel

    for name, field in model.model_fields.items():
        path = f"{prefix}{field.alias or name}"
        annotation: object = field.annotation
        if inspect.isclass(annotation) and issubclass(annotation, BaseModel):
            yield from _settings(annotation, f"{path}.")
            continue
        kind = " ".join((_kind(annotation), *_bounds(field)))
        yield Text(path), Text(kind, "stream"), _default(field), Text(field.description or "")


def _default(field: FieldInfo) -> Text:
    if field.is_required():
        return Text("required", "progress")
    default: object = field.get_default(call_default_factory=True, validated_data={})
    if default is None or default == ():
        return Text("—", "quiet")
    if isinstance(default, tuple | list | set | frozenset):
        return Text(", ".join(str(item) for item in cast("Iterable[object]", default)))
    return Text(str(default))


def _kind(annotation: object) -> str:
    """The type in a reader's words; that a setting may be left out is told by its default."""
    if get_origin(annotation) is Annotated:
        return _kind(get_args(annotation)[0])
    if get_origin(annotation) in (Union, types.UnionType):
        return " or ".join(_kind(part) for part in get_args(annotation) if part is not type(None))
    if get_origin(annotation) in (tuple, list, set, frozenset):
        parts = [part for part in get_args(annotation) if part is not Ellipsis]
        return "list of " + ", ".join(_kind(part) for part in parts)
    if get_origin(annotation) is Callable:
        return "function"
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return " or ".join(str(member.value) for member in annotation)
    if isinstance(annotation, type):
        return {"SecretStr": "secret", "str": "text", "bool": "true/false"}.get(
            annotation.__name__, annotation.__name__
        )
    return str(annotation)


def _bounds(field: FieldInfo) -> Iterator[str]:
    for rule in field.metadata:
        for name, sign in _BOUNDS.items():
            bound = getattr(rule, name, None)
            if bound is not None:
                yield f"{sign} {bound}"
