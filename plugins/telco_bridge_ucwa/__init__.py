"""Skype for Business (Microsoft UCWA 2.0) as a telco_bridge provider.

`UcwaApplication` is what a bridge can do there beyond the neutral words: `bridge.native(UcwaApplication)`. The types of
what it returns are in `telco_bridge_ucwa.native`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .native import UcwaApplication

__all__ = ["UcwaApplication"]


def __getattr__(name: str) -> object:
    # The plugin is listed without loading HTTP.
    if name == "UcwaApplication":
        from .native import UcwaApplication

        return UcwaApplication
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
