"""What one carrier has of its own in the API that several share."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from telco_bridge.provider import Host, MediaEndpoint, WebRequest

if TYPE_CHECKING:
    from .api import Api
    from .scripts import Scripts

__all__ = ["HOLD", "Dialect"]

HOLD = "hold"
"""Offered in reports where the configuration allows holding."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """One carrier's LaML, as data: where it differs from the others.

    `provider` is the plugin's name and `title` the carrier's. `is_signed` says whether one of the keys signed a
    webhook. `json_suffix` is what resource paths end in. `bearer_parameter` is how the start of a stream names the
    token that is shown to its WebSocket, None where it cannot; `two_way` are the attributes of a `<Stream>` both ways
    beside its address, name and callback. `native` makes what `Bridge.native` returns.
    """

    provider: str
    title: str
    is_signed: Callable[[WebRequest, Sequence[str]], bool]
    json_suffix: str = ""
    bearer_parameter: str | None = None
    two_way: Callable[[MediaEndpoint], Mapping[str, str]] = lambda endpoint: {}
    native: Callable[[Api, Host, Scripts], object] | None = None
