"""A stream of a call, as an application holds it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .media import MediaDirection, Modality, StreamId, StreamState, Transport
from .reports import Source
from .termination import Termination, TerminationReason
from .views import StreamView

if TYPE_CHECKING:
    from .call import Call

__all__ = ["MediaStream", "StopResult"]


@dataclass(frozen=True, slots=True, kw_only=True)
class StopResult:
    """What a stop did.

    `streams` are those that were asked to stop and have ended; empty where nothing was running. `call_ended` says
    whether the call is over as well, as far as the provider knew right after: None where no media is left and it could
    not be asked. `confirmed_by` is the kind of fact that settled it, None where nothing had to be sent.
    """

    streams: tuple[MediaStream, ...]
    call_ended: bool | None
    confirmed_by: Source | None


class MediaStream:
    """Media of one modality that flows between a call and this application or its user.

    A handle: every property shows the newest facts.
    """

    __slots__ = ("_call", "id")

    def __init__(self, call: Call, stream_id: StreamId) -> None:
        self._call = call
        self.id = stream_id

    def __repr__(self) -> str:
        return f"<MediaStream {self.id} {self.modality} {self.state}>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, MediaStream) and (self.id, self._call) == (other.id, other._call)

    def __hash__(self) -> int:
        return hash((self.id, self._call))

    @property
    def view(self) -> StreamView:
        """Everything that is known of the stream, as a frozen value."""
        found = self._call.view.stream(self.id)
        return found if found is not None else StreamView(id=self.id)

    @property
    def modality(self) -> Modality:
        """What it carries."""
        return self.view.modality

    @property
    def transport(self) -> Transport:
        """What carries it."""
        return self.view.transport

    @property
    def direction(self) -> MediaDirection:
        """Which way it flows, seen from the application or its user."""
        return self.view.direction

    @property
    def name(self) -> str | None:
        """The name it was started with, where it has one."""
        return self.view.name

    @property
    def state(self) -> StreamState:
        """How far it has come, as reported."""
        return self.view.state

    @property
    def termination(self) -> Termination | None:
        """Why it ended; None while it lives."""
        return self.view.termination

    async def stop(
        self,
        *,
        reason: TerminationReason = TerminationReason.NORMAL,
        note: str | None = None,
        native: Mapping[str, object] | None = None,
    ) -> StopResult:
        """Stop this stream and nothing else. Stopping what has stopped succeeds and sends nothing.

        Raises as `Call.stop`.
        """
        return await self._call.stop_streams((self,), reason=reason, note=note, native=native)

    async def ended(self) -> Termination:
        """Wait for the end of the stream; return why it ended."""
        await self._call.until(lambda view: not self.view.live or view.over)
        return self.view.termination or Termination()
