"""Calls as a bystander between the bridge and a far end knows them."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from . import rtp, sip
from .far_ends import Far

__all__ = ["Address", "Leg", "LegState"]

Address = tuple[str, int]


class LegState(StrEnum):
    """How far a call has come, as the network sees it."""

    PLACED = "placed"
    RINGING = "ringing"
    UP = "up"
    OVER = "over"


@dataclass(eq=False)
class Leg:
    """One call between the bridge and a far end."""

    id: str
    """Its Call-ID, which is baresip's identity of it too."""
    far: Far
    state: LegState = LegState.PLACED
    number: int = 0
    """The CSeq of the invitation."""
    status: int | None = None
    """The final answer to the invitation."""
    ended_by: str | None = None
    """`near` is the bridge, `far` the far end."""
    audio: Address | None = None
    """Where the bridge's side sends audio from, and wants to get it."""
    ways: list[str] = field(default_factory=list[str])
    """Which way the bridge's side let audio flow, each time it spoke of it."""
    requests: list[str] = field(default_factory=list[str])
    """What the bridge's side asked for, repetitions and acknowledgements left out."""
    heard: list[rtp.Packet] = field(default_factory=list[rtp.Packet], repr=False)
    """All audio and keys that the far end got."""
    acknowledged: bool = False
    """Whether whoever called has acknowledged the final answer."""
    seen: set[tuple[str, int]] = field(default_factory=set[tuple[str, int]], repr=False)

    @property
    def live(self) -> bool:
        """Whether it rings or is up."""
        return self.state is not LegState.OVER

    @property
    def keys(self) -> str:
        """The keys that the far end has heard."""
        return rtp.keys(self.heard)

    def samples(self, since: int = 0) -> list[int]:
        """What the far end has heard since that many packets."""
        return rtp.samples(self.heard[since:])

    def note(self, message: sip.Message, *, near: bool) -> None:
        """Learn from a message of the bridge's side (`near`), or of the far end."""
        if message.begins:
            self.number = message.number
        self.acknowledged = self.acknowledged or message.method == "ACK"
        if near:
            self._note_near(message)
        if message.status is not None and message.method == "INVITE" and message.number == self.number:
            self._note_answer(message.status, by="near" if near else "far")
        elif message.status is None and message.method == "BYE" and self.live:
            self.state, self.ended_by = LegState.OVER, "near" if near else "far"
        elif message.status is None and message.method == "CANCEL" and self.far is Far.SILENT:
            self.state, self.ended_by = LegState.OVER, "near"

    def _note_near(self, message: sip.Message) -> None:
        once = (message.method, message.number) not in self.seen
        if message.audio is not None:
            self.audio = message.audio
        if message.way is not None and (message.status or 200) == 200 and once:
            self.ways.append(message.way)
        if message.status is None and message.method != "ACK" and once:
            self.requests.append(message.method)
        if message.status is None or message.status >= 200:
            self.seen.add((message.method, message.number))

    def _note_answer(self, status: int, *, by: str) -> None:
        if status < 180:
            return
        if status >= 200:
            self.status = status
        if not self.live:
            return
        if status < 200:
            self.state = LegState.RINGING
        elif status < 300:
            self.state = LegState.UP
        else:
            self.state, self.ended_by = LegState.OVER, by
