"""How a wrong provider is written down: what is wrong with it, and the one promise that says so."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeVar

from telco_bridge.provider import CallReport, CallView, Cause, Source, Termination
from telco_bridge.sandbox import Leg

from ..line import Line, Plugin, line_of

Distortion = type[Line] | Callable[[Plugin], Plugin]
D = TypeVar("D", bound=Distortion)


@dataclass(frozen=True)
class Wrong:
    """A provider with one fault. `breaks` is the promise that names the fault."""

    name: str
    fault: str
    breaks: str
    plugin: Plugin


TABLE: list[Wrong] = []


def breaks(promise: str) -> Callable[[D], D]:
    """Enter the distortion of the line into the table, as a provider that breaks that promise and keeps the others."""

    def enter(distortion: D) -> D:
        plugin = line_of(distortion) if isinstance(distortion, type) else distortion(line_of())
        TABLE.append(Wrong(distortion.__name__, inspect.getdoc(distortion) or "", promise, plugin))
        return distortion

    return enter


def explains(lie: Callable[[Termination, Cause, CallView], Termination]) -> Callable[[Plugin], Plugin]:
    """A line whose explanations are told like that."""

    @functools.wraps(lie)
    def distorted(line: Plugin) -> Plugin:
        return replace(line, explain=lambda cause, view: lie(line.explain(cause, view), cause, view))

    return distorted


def describes(lie: Callable[[CallReport, Leg], CallReport]) -> Callable[[Plugin], Plugin]:
    """A line whose reports of calls are told like that."""

    class Distorted(Line):
        def _describe(self, leg: Leg, source: Source, *, as_of: float | None = None) -> CallReport:
            return lie(super()._describe(leg, source, as_of=as_of), leg)

    @functools.wraps(lie)
    def distorted(line: Plugin) -> Plugin:
        return replace(line, connect=line_of(Distorted).connect)

    return distorted
