"""The way into a meeting, from the moment when it was asked for until the user is in the roster."""

from __future__ import annotations

from telco_bridge.provider import AnswerLost, TooLate

from ..wire import Resource
from .conversation import UcwaConversation
from .door import Door
from .outcomes import Awaited
from .roster import Rosters

__all__ = ["Admission", "StillWaiting", "enter"]

REL = "onlineMeetingInvitation"


class StillWaiting(AnswerLost):
    """Nothing has told in time whether the meeting takes the user, who may wait in its lobby. `admission` goes on."""

    def __init__(self, message: str, *, admission: Admission) -> None:
        super().__init__(message, provider="ucwa")
        self.admission = admission


class Admission:
    """A way into a meeting whose outcome was not known in time. It costs nothing while nobody waits for it."""

    def __init__(self, door: Door, rosters: Rosters, place: str, what: str) -> None:
        self._door = door
        self._rosters = rosters
        self._place = place
        self._what = what

    async def wait(self, *, timeout: float = 45.0) -> UcwaConversation:
        """Return the conversation once the user is in the meeting's roster.

        Raises what `UcwaApplication.join_meeting` raises, `StillWaiting` once more among it, and `TooLate` where the
        server does not know of it any more: then the meeting has to be joined again.
        """
        door = self._door
        with door.outcomes.expect(key=door.resources.key(self._place)) as awaited:
            # What came while nobody waited.
            await self._look(awaited)
            return await enter(door, self._rosters, awaited, what=self._what, timeout=timeout)

    async def withdraw(self) -> None:
        """Give up waiting. Raises `TooLate` where the user is in already, or was turned away."""
        invitation = await self._read()
        await self._door.post(invitation, "cancel", of=self._what)

    async def _look(self, awaited: Awaited) -> None:
        self._door.outcomes.settle(awaited, await self._read())

    async def _read(self) -> Resource:
        invitation = await self._door.get(self._place, REL)
        if invitation is None:
            raise TooLate(f"{self._what}: the server does not know of it any more. Join again.", provider="ucwa")
        return invitation


async def enter(door: Door, rosters: Rosters, awaited: Awaited, *, what: str, timeout: float) -> UcwaConversation:
    """Return the conversation of a meeting once the user is in its roster. Raises as `join_meeting` does."""
    try:
        invitation = await door.outcomes.success(awaited, what=what, rel=REL, timeout=timeout)
    except AnswerLost as lost:
        if awaited.key is None:
            raise
        raise StillWaiting(
            f"{what}: nothing told within {timeout:g} s whether the meeting takes the user, who may wait in its lobby. "
            "Wait on with this error's `admission`, or withdraw it.",
            admission=Admission(door, rosters, awaited.key, what),
        ) from lost.__cause__
    ref = door.resources.key(invitation.link("conversation"))
    if ref is None and invitation.href is not None:
        read = await door.get(invitation.href, REL)
        ref = door.resources.key(read.link("conversation")) if read is not None else None
    if ref is None:
        raise AnswerLost(f"{what}: the server does not tell the conversation", provider="ucwa")
    return UcwaConversation(door, rosters, ref)
