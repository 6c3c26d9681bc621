"""Calls on a SignalWire space, through its Compatibility (LaML, cXML) API."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .space import SignalWireSpace

__all__ = ["SignalWireSpace"]


def __getattr__(name: str) -> object:
    # The plugin is listed without loading HTTP.
    if name == "SignalWireSpace":
        from .space import SignalWireSpace

        return SignalWireSpace
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
