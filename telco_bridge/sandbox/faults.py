"""Trouble on demand: what can be ordered of an emulator, or of the network itself."""

from __future__ import annotations

import random
import threading
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

__all__ = ["Fault", "Faults"]


class Fault(StrEnum):
    """The troubles that an emulator can be told to make. Not every emulator knows every one; it says which."""

    LOSE_EVENT = "lose_event"
    DOUBLE_EVENT = "double_event"
    DELAY_EVENT = "delay_event"
    REORDER_EVENTS = "reorder_events"
    MERGE_EVENTS = "merge_events"
    """Intermediate states are skipped, as a slow reader would see it."""
    EVENT_BEFORE_ANSWER = "event_before_answer"
    """The event of a command arrives before the command's own answer."""
    UNSIGNED_EVENT = "unsigned_event"
    UNKNOWN_STATE = "unknown_state"
    """The next state is reported as a word that nobody has documented."""
    STALE_ANSWER = "stale_answer"
    """The answer to a command still shows the old status."""
    SERVER_ERROR = "server_error"
    RATE_LIMIT = "rate_limit"
    DROP_REQUEST = "drop_request"
    """The connection breaks before the request is executed."""
    DROP_ANSWER = "drop_answer"
    """The request is executed and the connection breaks before the answer."""
    HTML_ANSWER = "html_answer"
    MALFORMED_JSON = "malformed_json"
    TRUNCATED_BODY = "truncated_body"
    WRONG_CONTENT_TYPE = "wrong_content_type"
    FOREIGN_LINK = "foreign_link"
    """A link in the answer leads to another host."""
    EXPIRE_TOKEN = "expire_token"  # noqa: S105 - a fault's name
    LOSE_APPLICATION = "lose_application"
    REPLACE_READER = "replace_reader"
    """Another program takes the place of the bridge, where it waits for events."""
    RESYNC_EVENTS = "resync_events"
    """The reader of events is sent back to those that it acknowledged last."""
    RESUME_EVENTS = "resume_events"
    """What was open is closed, as after a long silence, and the reader of events goes on from there."""
    OVERFLOW_EVENTS = "overflow_events"
    """There were more events than are kept: all that wait are lost, with what was open."""
    REFUSE_STREAM = "refuse_stream"
    """The media connection of a stream cannot be made."""
    DROP_STREAM = "drop_stream"
    """The media connection of a stream breaks, without a word."""
    LOSE_MEDIA = "lose_media"
    """The next frame is lost: its number and its place in time are skipped."""
    REORDER_MEDIA = "reorder_media"
    """The next frame comes after the one that follows it."""
    DELAY_MEDIA = "delay_media"
    """No frame comes for a while (`seconds`), then all that were due come at once."""


@dataclass
class _Injected:
    fault: Fault
    times: int | None
    on: str
    options: Mapping[str, object] = field(default_factory=dict[str, object])


class _Weather:
    """Trouble by chance, with dice of its own for each kind on each operation."""

    def __init__(self, rate: float, seed: int, faults: frozenset[Fault]) -> None:
        self._rate = rate
        self._seed = seed
        self._faults = faults
        self._dice: dict[tuple[Fault, str], random.Random] = {}

    def strikes(self, fault: Fault, operation: str) -> bool:
        if fault not in self._faults:
            return False
        dice = self._dice.get((fault, operation))
        if dice is None:
            seed = f"{self._seed} {fault} {operation}"
            dice = self._dice[fault, operation] = random.Random(seed)  # noqa: S311 - reproducible, not secret
        return dice.random() < self._rate


class Faults:
    """The troubles that are ordered and not yet made. Safe from any thread."""

    def __init__(self, known: frozenset[Fault]) -> None:
        self.known = known
        self.made: list[tuple[Fault, str]] = []
        """What was made, on what, in order."""
        self._lock = threading.Lock()
        self._ordered: list[_Injected] = []
        self._weather: _Weather | None = None

    @property
    def ordered(self) -> bool:
        """Whether any trouble is ordered and not yet made. It is cheap to ask."""
        return bool(self._ordered) or self._weather is not None

    def inject(self, fault: Fault, *, times: int | None = 1, on: str = "", **options: object) -> None:
        """Order a trouble for the next `times` chances (None: always), where the operation's name contains `on`."""
        if fault not in self.known:
            raise ValueError(f"this emulator cannot make {fault}; it knows {', '.join(sorted(self.known))}")
        with self._lock:
            self._ordered.append(_Injected(fault, times, on, options))

    def weather(self, rate: float, *, seed: int, faults: Collection[Fault] | None = None) -> None:
        """Make each of these troubles (all that are known, without) at that share of its chances, until cleared.

        The same seed decides alike over the same chances: those of one trouble on one operation, in their order.
        """
        if not 0 <= rate <= 1:
            raise ValueError(f"rate is {rate}; it must be a share from 0 to 1")
        chosen = self.known if faults is None else frozenset(faults)
        if chosen - self.known:
            raise ValueError(f"this emulator cannot make {', '.join(sorted(chosen - self.known))}")
        with self._lock:
            self._weather = _Weather(rate, seed, chosen)

    def take(self, fault: Fault, operation: str) -> Mapping[str, object] | None:
        """Whether to make that trouble now: its options if so, and one chance is used up; None if not."""
        with self._lock:
            for ordered in self._ordered:
                if ordered.fault is fault and ordered.on in operation:
                    if ordered.times is not None:
                        ordered.times -= 1
                        if ordered.times <= 0:
                            self._ordered.remove(ordered)
                    self.made.append((fault, operation))
                    return ordered.options
            if self._weather is not None and self._weather.strikes(fault, operation):
                self.made.append((fault, operation))
                return {}
        return None

    def clear(self) -> None:
        """Order no more troubles."""
        with self._lock:
            self._ordered.clear()
            self._weather = None
