"""What a UCWA application can do beyond the neutral words, typed: `bridge.native(UcwaApplication)`."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from typing import Protocol

from telco_bridge.provider import Refused, TooLate

from ..wire import Resource
from .admission import enter
from .communication import UcwaCommunication
from .conversation import UcwaConversation
from .door import Door
from .mediarelays import MediaRelayAccess, media_policies, media_relay_access
from .meetinginvitations import MeetingInvitation, MeetingInvitations
from .meetings import Importance, join_inputs
from .roster import Rosters

__all__ = ["NamedCall", "UcwaApplication"]


class NamedCall(Protocol):
    """A call, such as a `telco_bridge.Call`."""

    @property
    def native_id(self) -> str | None: ...


class UcwaApplication:
    """The native side of a UCWA bridge: `bridge.native(UcwaApplication)`.

    Conversations with their participants, conferences, and meetings. Links are followed and never made up; a method
    whose link the server does not offer raises, and nothing is sent.
    """

    def __init__(self, door: Door) -> None:
        self._door = door
        self._rosters = Rosters(door.application)
        self._invited = MeetingInvitations(door.application)
        door.application.recoveries.append(self._recover)

    def conversation(self, call: NamedCall) -> UcwaConversation:
        """Return the conversation that carries the call now. Raises `TooLate` while the call has none."""
        if call.native_id is None:
            raise TooLate("conversation: the call has no conversation yet", provider="ucwa")
        return UcwaConversation(self._door.pinned(), self._rosters, call.native_id)

    @property
    def communication(self) -> UcwaCommunication:
        """The settings with which the user takes part in communication."""
        return UcwaCommunication(self._door)

    async def media_relays(self) -> MediaRelayAccess | None:
        """Fetch credentials for the media relays; None where the server offers none, as real servers may."""
        return await media_relay_access(self._door)

    async def media_policies(self) -> Mapping[str, object] | None:
        """Read the port ranges, bit rates and encryption that media must keep to; None where the server offers none."""
        return await media_policies(self._door)

    async def join_meeting(
        self,
        uri: str | None = None,
        *,
        subject: str | None = None,
        importance: Importance | None = None,
        thread_id: str | None = None,
        display_name: str | None = None,
        timeout: float = 45.0,
    ) -> UcwaConversation:
        """Join a meeting by its conference URI, and return once the user is in its roster; without `uri`, a new one.

        The conversation has no media yet: `UcwaConversation.native` tells how it becomes a call. A guest has to give a
        `display_name`. Raises `Refused` where the server does not offer it, or the meeting does not take the user (with
        the reason as `termination`), `TooLate` where the server loses the application meanwhile, and `AnswerLost` where
        nothing has told the outcome within `timeout` seconds. That is `StillWaiting` wherever the server has told of
        the user's way in: the user may wait in the lobby, and `StillWaiting.admission` waits on or withdraws.
        `math.inf` waits for as long as it takes.
        """
        inputs = join_inputs(
            uri=uri, subject=subject, importance=importance, thread_id=thread_id, display_name=display_name
        )
        return await self._enter("joinOnlineMeeting", inputs, timeout)

    async def start_meeting(
        self,
        *,
        subject: str | None = None,
        importance: Importance | None = None,
        thread_id: str | None = None,
        timeout: float = 45.0,
    ) -> UcwaConversation:
        """Make an ad-hoc meeting, and return once the user is in its roster. Raises what `join_meeting` raises."""
        inputs = join_inputs(subject=subject, importance=importance, thread_id=thread_id)
        return await self._enter("startOnlineMeeting", inputs, timeout)

    def meeting_invitations(self) -> AsyncGenerator[MeetingInvitation]:
        """Iterate over the invitations into meetings: those that are undecided now, then each that comes, for ever.

        They come to a user who is `available`. Raises `ProviderError` where one cannot be read, which a new iteration
        reads again. What came while events were missed is not told.
        """
        return self._invited.each(self._door.pinned, self._rosters)

    async def _recover(self) -> None:
        """Events were missed, and calls have been read again."""
        self._invited.doubt()
        self._rosters.recover()

    async def _enter(self, rel: str, inputs: Mapping[str, object], timeout: float) -> UcwaConversation:
        door = self._door.pinned()
        communication = await self._communication(rel)
        with door.outcomes.expect() as awaited:
            body = {"operationId": awaited.id, **inputs}
            await door.ask(awaited, communication, rel, body=body, begins=True)
            return await enter(door, self._rosters, awaited, what=rel, timeout=timeout)

    async def _communication(self, rel: str) -> Resource:
        known = self._door.resources.only("communication")
        if known is None or known.link(rel) is None:
            await self._door.application.refresh("communication")
            known = self._door.resources.only("communication")
        if known is None or known.link(rel) is None:
            raise Refused(
                f"the server does not offer {rel} to this user (a missing licence or policy). Nothing was sent.",
                provider="ucwa",
            )
        return known
