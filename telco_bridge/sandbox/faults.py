"""Trouble on demand: what can be ordered of an emulator, or of the network itself."""

from __future__ import annotations

import threading
from collections.abc import Mapping
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


class Faults:
    """The troubles that are ordered and not yet made. Safe from any thread."""

    def __init__(self, known: frozenset[Fault]) -> None:
        self.known = known
        self.made: list[tuple[Fault, str]] = []
        """What was made, on what, in order."""
        self._lock = threading.Lock()
        self._ordered: list[_Injected] = []

    @property
    def ordered(self) -> bool:
        """Whether any trouble is ordered and not yet made. It is cheap to ask."""
        return bool(self._ordered)

    def inject(self, fault: Fault, *, times: int | None = 1, on: str = "", **options: object) -> None:
        """Order a trouble for the next `times` chances (None: always), where the operation's name contains `on`."""
        if fault not in self.known:
            raise ValueError(f"this emulator cannot make {fault}; it knows {', '.join(sorted(self.known))}")
        with self._lock:
            self._ordered.append(_Injected(fault, times, on, options))

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
        return None

    def clear(self) -> None:
        """Order no more troubles."""
        with self._lock:
            self._ordered.clear()
