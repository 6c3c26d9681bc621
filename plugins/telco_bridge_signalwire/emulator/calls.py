"""The Call resource: what is known of one call, and how the API shows it."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum

from telco_bridge.sandbox.clock import Timer
from telco_bridge.sandbox.exchange import Clearing, Leg, Side
from telco_bridge.sandbox.playout import Speaker

from .callbacks import Lane
from .dates import rfc2822
from .detection import Detection
from .keypad import Keypad
from .space import Space
from .webhooks import Script, Subscription

__all__ = ["API_VERSION", "TERMINAL", "Call", "CallStatus", "Direction", "formatted"]

API_VERSION = "2010-04-01"


class CallStatus(StrEnum):
    """The statuses that REST shows. `initiated` is not among them: only callbacks say it."""

    QUEUED = "queued"
    RINGING = "ringing"
    IN_PROGRESS = "in-progress"
    CANCELED = "canceled"
    COMPLETED = "completed"
    BUSY = "busy"
    FAILED = "failed"
    NO_ANSWER = "no-answer"


TERMINAL = frozenset(
    {CallStatus.CANCELED, CallStatus.COMPLETED, CallStatus.BUSY, CallStatus.FAILED, CallStatus.NO_ANSWER}
)


class Direction(StrEnum):
    """Who placed the call. Callbacks say `outbound-api` where REST says `outbound`."""

    INBOUND = "inbound"
    OUTBOUND = "outbound"


@dataclass(slots=True, kw_only=True)
class Call:
    """One call of the project. The emulator's loop is its only writer."""

    number: int
    sid: str
    direction: Direction
    to: str
    from_: str
    lane: Lane
    created: float
    updated: float
    script: Script | None = None
    digits: str = ""
    """Keys to be pressed as soon as the callee has answered."""
    subscription: Subscription = field(default_factory=Subscription)
    status: CallStatus = CallStatus.QUEUED
    phone_number_sid: str | None = None
    parent: str | None = None
    """The SID of the call whose document dialled this one."""
    started: float | None = None
    answered: float | None = None
    ended: float | None = None
    clearing: Clearing | None = None
    leg: Leg | None = None
    timers: list[Timer] = field(default_factory=list[Timer])
    running: asyncio.Task[None] | None = None
    """The task that executes the call's document."""
    speaker: Speaker = field(default_factory=Speaker)
    keypad: Keypad = field(default_factory=Keypad)
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    """Set at the next change, after which another one takes its place."""
    detection: Detection | None = None
    """How it is to be found out who has answered, where that is still to be done."""
    answered_by: str | None = None
    """Who was found to have answered, as callbacks say it."""
    recorded: dict[str, str] = field(default_factory=dict[str, str])
    """What the callback of its end tells of its latest recording."""
    told: int = 0
    """How many callbacks were fired: the next one's sequence number."""

    @property
    def resource_word(self) -> str:
        """What the API calls it."""
        return "Call"

    @property
    def ours(self) -> Side:
        """The side that the platform holds."""
        return Side.CALLER if self.direction is Direction.OUTBOUND else Side.CALLEE

    @property
    def over(self) -> bool:
        """Whether the status is terminal."""
        return self.status in TERMINAL

    @property
    def duration(self) -> int:
        """Whole seconds between answer and end; 0 before the end."""
        return 0 if self.answered is None or self.ended is None else int(self.ended - self.answered)

    def enter(self, status: CallStatus, now: float) -> None:
        """Move to another status. Raises `ValueError` for a call that is over."""
        if self.over:
            raise ValueError(f"call {self.sid} is {self.status} and cannot become {status}")
        self.status = status
        self.updated = now
        self.touch()

    def touch(self) -> None:
        """Wake everybody who waits for a change."""
        changed, self.changed = self.changed, asyncio.Event()
        changed.set()

    async def until(self, condition: Callable[[], bool]) -> None:
        """Return when the condition is true; it is asked at every change of the call."""
        while not condition():
            await self.changed.wait()

    def resource(self, space: Space) -> dict[str, object]:
        """Return the call as the API shows it."""
        path = f"Calls/{self.sid}"
        return {
            "sid": self.sid,
            "account_sid": space.project,
            "date_created": rfc2822(self.created),
            "date_updated": rfc2822(self.updated),
            "parent_call_sid": self.parent,
            "to": self.to,
            "formatted_to": formatted(self.to),
            "to_formatted": formatted(self.to),
            "from": self.from_,
            "formatted_from": formatted(self.from_),
            "from_formatted": formatted(self.from_),
            "phone_number_sid": self.phone_number_sid,
            "status": self.status.value,
            "start_time": _date(self.started),
            "end_time": _date(self.ended),
            "duration": self.duration,
            "price": None,
            "price_unit": "USD",
            "direction": self.direction.value,
            "answered_by": _shown_word(self.answered_by),
            "api_version": API_VERSION,
            "forwarded_from": None,
            "caller_name": None,
            "uri": space.uri(f"{path}.json"),
            "subresource_uris": {"notifications": None, "recordings": space.uri(f"{path}/Recordings.json")},
            "annotation": None,
            "group_sid": None,
            "sip_result_code": None if self.clearing is None else str(self.clearing.sip),
            # The network that is simulated here measures no audio.
            "audio_in_mos": None,
            "audio_rtt_avg": None,
            "audio_rtt_min": None,
            "audio_rtt_max": None,
            "audio_out_jitter_min": None,
            "audio_out_jitter_max": None,
            "audio_out_jitter_avg": None,
            "audio_out_lost": None,
        }


def _shown_word(answered_by: str | None) -> str | None:
    """REST knows two words alone."""
    return next((word for word in ("human", "machine") if (answered_by or "").startswith(word)), None)


def _date(seconds: float | None) -> str | None:
    return None if seconds is None else rfc2822(seconds)


def formatted(address: str) -> str:
    """Return a North American number the way people there write it; anything else as it is."""
    national = re.fullmatch(r"\+1(\d{3})(\d{3})(\d{4})", address)
    return f"({national[1]}) {national[2]}-{national[3]}" if national else address
