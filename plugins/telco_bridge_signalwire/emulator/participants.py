"""The Participant resource: one call's part in a conference."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from .calls import Call
from .dates import rfc2822
from .recordings import RecordingOrder
from .space import Space
from .webhooks import Subscription, Webhook

__all__ = ["JoinOrder", "Participant"]


@dataclass(frozen=True, slots=True, kw_only=True)
class JoinOrder:
    """How a document wants its call to take part. What concerns the conference counts for the first to join only."""

    name: str
    muted: bool = False
    start_on_enter: bool = True
    end_on_exit: bool = False
    beep: str = "true"
    """Kept, and never heard: there is no mixed sound."""
    most: int | None = None
    """How many participants the conference admits."""
    wait: Webhook | None = None
    coach: str | None = None
    """The SID of the call that alone shall hear this one."""
    record: RecordingOrder | None = None
    subscription: Subscription = field(default_factory=lambda: Subscription(events=frozenset()))


@dataclass(slots=True, kw_only=True)
class Participant:
    """One call's part in a conference. The emulator's loop is its only writer."""

    number: int
    call: Call
    conference_sid: str
    order: JoinOrder
    created: float
    updated: float
    muted: bool = False
    hold: bool = False
    hold_music: Webhook | None = None
    wait_music: Webhook | None = None
    coached: str | None = None
    """The SID of the call that alone hears this one; None where everybody does."""
    present: bool = True
    speaking: bool = False
    announcements: list[asyncio.Task[None]] = field(default_factory=list[asyncio.Task[None]])
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    """Set at the next change, after which another one takes its place."""

    def touch(self) -> None:
        """Wake everybody who waits for a change."""
        changed, self.changed = self.changed, asyncio.Event()
        changed.set()

    async def until(self, condition: Callable[[], bool]) -> None:
        """Return when the condition is true; it is asked at every change of the participant."""
        while not condition():
            await self.changed.wait()

    def resource(self, space: Space) -> dict[str, object]:
        """Return the participant as the API shows it."""
        return {
            "account_sid": space.project,
            "call_sid": self.call.sid,
            "call_sid_to_coach": self.coached,
            "coaching": self.coached is not None,
            "conference_sid": self.conference_sid,
            "date_created": rfc2822(self.created),
            "date_updated": rfc2822(self.updated),
            "status": "in-progress" if self.present else "completed",
            "end_conference_on_exit": self.order.end_on_exit,
            "muted": self.muted,
            "hold": self.hold,
            "start_conference_on_enter": self.order.start_on_enter,
            "uri": space.uri(f"Conferences/{self.conference_sid}/Participants/{self.call.sid}.json"),
        }
