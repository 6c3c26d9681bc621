"""A call as a ladder: what the application did, what went over the wire, and what became a fact."""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace
from enum import StrEnum

from rich.text import Text

from ..clock import SystemClock
from ..events import (
    CallConnected,
    CallEnded,
    CallEvent,
    CallProgressed,
    CallUpdated,
    ChannelFailed,
    Event,
    GapDetected,
    StreamActive,
    StreamEnded,
    StreamStarting,
)
from ..reports import Source
from ..sandbox import WireRecord
from ..termination import Termination

__all__ = ["POLLS", "Ladder", "told"]

POLLS = frozenset({"GET events"})
"""Long polls: what they brought is shown in their place."""

_LATE = 0.1
"""Seconds after an event within which the push that caused it comes on record."""


class _Kind(StrEnum):
    APPLICATION = "app"
    SENT = "sent"
    HEARD = "heard"
    FACT = "fact"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rung:
    kind: _Kind
    at: float
    text: str
    style: str
    answer: str = ""
    times: int = 1
    pushed: bool = False
    """An event that a push of the provider's caused."""
    late: bool = False
    """A push that is on record only since it was answered, and so after the events that it caused."""


def told(termination: Termination) -> str:
    """Return an end in the fewest words: the reason, and by whom."""
    return f"{termination.reason} by {termination.by}".replace("_", " ")


class Ladder:
    """The rungs of one call, in the order in which a reader understands them. Safe from any thread."""

    def __init__(self) -> None:
        self._clock = SystemClock()
        self._rungs: list[_Rung] = []
        self._lock = threading.Lock()

    def now(self) -> float:
        """The time by which the rungs are ordered: that of a bridge's events."""
        return self._clock.now()

    def say(self, text: str) -> None:
        """Add the application's own words."""
        self._add(_Rung(kind=_Kind.APPLICATION, at=self.now(), text=text, style="app"))

    def wire(self, record: WireRecord) -> None:
        """Add what went over the wire, now."""
        if record.line in POLLS:
            return
        line, at = record.line.removeprefix("event "), self.now()
        if record.sent_by == "bridge":
            # A question changes nothing, and steps back behind the commands.
            style = "quiet" if line.startswith("GET ") else "sent"
            self._add(_Rung(kind=_Kind.SENT, at=at, text=line, answer=record.answer, style=style))
        else:
            state, late = record.fields.get("state", ""), "callback" in line
            self._add(_Rung(kind=_Kind.HEARD, at=at, text=line, answer=state, style="heard", late=late))

    def event(self, event: Event) -> None:
        """Add a neutral event; one that only fills in a field of the call is left out."""
        if not isinstance(event, CallUpdated):
            text, style = _fact(event)
            pushed = isinstance(event, CallEvent) and event.source is Source.PUSH
            self._add(_Rung(kind=_Kind.FACT, at=event.at, text=text, style=style, pushed=pushed))

    def lines(self, width: int) -> list[Text]:
        """Return the ladder as lines of that width."""
        with self._lock:
            rungs = sorted(self._rungs, key=lambda rung: rung.at)
        return [_line(rung, width) for rung in _counted(_causes_first(rungs))]

    def _add(self, rung: _Rung) -> None:
        with self._lock:
            self._rungs.append(rung)


def _causes_first(rungs: list[_Rung]) -> list[_Rung]:
    """Put every late push before the events of one report that it may have caused, the oldest unexplained ones."""
    ordered: list[_Rung] = []
    explained: set[float] = set()
    for rung in rungs:
        place = len(ordered)
        if rung.late:
            for index, effect in enumerate(ordered):
                if effect.pushed and effect.at not in explained and effect.at > rung.at - _LATE:
                    explained.add(effect.at)
                    place = index
                    break
        ordered.insert(place, rung)
    return ordered


def _counted(rungs: list[_Rung]) -> list[_Rung]:
    """Draw equal neighbours as one."""
    counted: list[_Rung] = []
    for rung in rungs:
        last = counted[-1] if counted else None
        if last is not None and (last.kind, last.text, last.answer) == (rung.kind, rung.text, rung.answer):
            counted[-1] = replace(last, times=last.times + 1)
        else:
            counted.append(rung)
    return counted


def _fact(event: Event) -> tuple[str, str]:
    match event:
        case CallProgressed(state=state):
            return f"● {state}", "progress"
        case CallConnected(inferred=inferred):
            return "● connected" + (" (inferred)" if inferred else ""), "up"
        case StreamStarting(modality=modality, state=state):
            return f"◌ {modality} {state}", "stream"
        case StreamActive(modality=modality):
            return f"◉ {modality} flows", "stream"
        case StreamEnded(modality=modality, termination=termination):
            return f"○ {modality} ended: {told(termination)}", "stream"
        case CallEnded(termination=termination):
            return f"■ {told(termination)}", "end"
        case GapDetected(why=why):
            return f"! gap: {why}", "bad"
        case ChannelFailed(error=error):
            return f"! channel: {error}", "bad"
        case _:
            return f"● {event.name}", "progress"


def _line(rung: _Rung, width: int) -> Text:
    text = rung.text + (f" ×{rung.times}" if rung.times > 1 else "")
    match rung.kind:
        case _Kind.APPLICATION:
            line = Text.assemble((f"» {text}", rung.style))
        case _Kind.FACT:
            line = Text.assemble("  ", (text, rung.style))
        case _Kind.SENT:
            line = _arrow_out(text, rung.answer, rung.style, width)
        case _Kind.HEARD:
            line = _arrow_in(text, rung.answer, rung.style, width)
    line.truncate(width, overflow="ellipsis")
    return line


def _arrow_out(text: str, answer: str, style: str, width: int) -> Text:
    """`├─ POST Calls ─────────▶ 200 queued`: the command keeps its words, the answer gets what is left."""
    answer = _cut(answer, width - len(text) - 8)
    dashes = "─" * max(1, width - len(text) - len(answer) - 7)
    return Text.assemble(("├─ ", style), text, (f" {dashes}▶ ", style), (answer, "quiet"))


def _arrow_in(text: str, state: str, style: str, width: int) -> Text:
    """`◀──────────── callback ringing`, flush right."""
    said = f"{text} {state}" if state and len(text) + len(state) + 6 <= width else text
    dashes = "─" * max(1, width - len(said) - 2)
    return Text.assemble((f"◀{dashes} ", style), said)


def _cut(text: str, room: int) -> str:
    """The text in that room: its first word where the whole does not fit."""
    if len(text) <= room:
        return text
    first = text.partition(" ")[0]
    return first if len(first) <= room else ""
