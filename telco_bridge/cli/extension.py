"""The commands that a provider brings itself: `telco-bridge NAME …`."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import typer
import typer.main

from .. import _discovery
from ..errors import TelcoBridgeError
from . import profiles

if TYPE_CHECKING:
    from typer.core import TyperGroup

__all__ = ["group"]


def group(name: str) -> TyperGroup | None:
    """Return the commands of the installed provider of that name; None where there is no such provider.

    Raises `PluginError` where it cannot be loaded, and `TelcoBridgeError` where it brings no commands.
    """
    if name not in {found.name for found in _discovery.installed()}:
        return None
    plugin = _discovery.load(name)
    if plugin.commands is None:
        raise TelcoBridgeError(
            f"provider {name!r} brings no commands of its own; `telco-bridge providers {name}` tells what it can do"
        )
    commands = typer.Typer(
        help=f"What can be done with {name} alone.", no_args_is_help=True, pretty_exceptions_enable=False
    )
    # A callback makes it a group, even of one command.
    commands.callback()(_nothing)
    plugin.commands(commands, partial(profiles.read, plugin))
    return typer.main.get_group(commands)


def _nothing() -> None:
    pass
