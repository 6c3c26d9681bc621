"""Providers that are wrong about calls that go out."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import replace

from pydantic import BaseModel

from telco_bridge.provider import (
    CallDirection,
    CallReport,
    CallState,
    CallView,
    Cause,
    Command,
    Dial,
    EndedBy,
    HangUp,
    Host,
    NotSent,
    ProviderSession,
    Refused,
    Source,
    Termination,
    TerminationReason,
)
from telco_bridge.sandbox import Leg, LegEvent, LegState, Side

from ..line import Line, Plugin
from .table import breaks, describes, explains

_R = TerminationReason


@breaks("test_an_answered_call_that_we_hang_up_ended_normally_by_the_application")
@explains
def takes_our_hang_up_for_a_cancelled_attempt(told: Termination, cause: Cause, view: CallView) -> Termination:
    """An answered call that the application hung up is explained as cancelled."""
    asked = view.asked_to_end
    ours = isinstance(asked, HangUp) and asked.by is EndedBy.APPLICATION
    return replace(told, reason=_R.CANCELLED) if ours and told.reason is _R.NORMAL else told


@breaks("test_a_call_that_nobody_takes_says_why")
@describes
def forgets_the_cause(told: CallReport, leg: Leg) -> CallReport:
    """That a call was refused is told, and not why."""
    refused = leg.clearing is not None and leg.clearing.by is not leg.ours and not leg.answered
    return replace(told, cause=None) if refused and leg.ours is Side.CALLER else told


@breaks("test_a_call_that_nobody_answered_was_never_connected")
@describes
def invents_answered(told: CallReport, leg: Leg) -> CallReport:
    """A far end that declines must have answered before, it thinks."""
    declined = leg.clearing is not None and leg.clearing.sip == 603
    return replace(told, answered=True) if declined and leg.ours is Side.CALLER else told


@breaks("test_the_far_ends_hang_up_is_not_ours")
@explains
def takes_the_far_ends_hang_up_for_its_own(told: Termination, cause: Cause, view: CallView) -> Termination:
    """Whoever dialled must have hung up, it thinks."""
    dialled = view.direction is CallDirection.OUTBOUND
    return replace(told, by=EndedBy.APPLICATION) if dialled and told.by is EndedBy.REMOTE else told


@breaks("test_hanging_up_a_ringing_call_cancels_it")
@explains
def takes_what_was_asked_for_what_happened(told: Termination, cause: Cause, view: CallView) -> Termination:
    """A call that was hung up "normally" ended normally, it thinks, whether it had been answered or not."""
    asked = view.asked_to_end
    return replace(told, reason=asked.reason or told.reason) if isinstance(asked, HangUp) else told


@breaks("test_a_call_ends_once_and_nothing_follows")
class TellsOfLifeAfterTheEnd(Line):
    """When the far end has hung up, the end is told, and once more how the call was before."""

    def _watch(self, leg: Leg, event: LegEvent) -> None:
        before = self._describe(leg, Source.PUSH)
        super()._watch(leg, event)
        if leg.clearing is not None and leg.clearing.by is leg.far and leg.answered:
            self._report(replace(before, state=CallState.CONNECTED, cause=None, as_of=self._host.stamp()))


@breaks("test_hanging_up_twice_sends_one_hang_up")
class WantsEveryHangUpTwice(Line):
    """The first hang-up only renews its licence to hang up; the bridge is told to ask again."""

    _licence: frozenset[str | None] = frozenset()

    async def execute(self, command: Command) -> None:
        if isinstance(command, HangUp) and command.ref not in self._licence:
            self._licence |= {command.ref}
            raise NotSent("HangUp: the licence had run out")
        await super().execute(command)


@breaks("test_two_calls_at_once_do_not_mix")
class EndsEveryCallWithOne(Line):
    """When a far end is busy, every call of the line is told as ended."""

    def _watch(self, leg: Leg, event: LegEvent) -> None:
        if leg.clearing is not None and leg.clearing.sip == 486:
            for other in self._legs.values():
                if other.state is not LegState.DOWN:
                    told = self._describe(other, Source.PUSH)
                    self._report(replace(told, state=CallState.ENDED, cause=self._cause(leg)))
        super()._watch(leg, event)


@breaks("test_one_intent_is_one_call")
class DialsTwiceToBeSure(Line):
    """A call with an intent matters, it thinks, and is placed twice."""

    def _dial(self, command: Dial) -> None:
        super()._dial(command)
        if command.intent is not None:
            super()._dial(command)


@breaks("test_leaving_the_bridge_hangs_up_and_signs_out")
def leaves_a_task(line: Plugin) -> Plugin:
    """A task of its own outlives the session."""

    @asynccontextmanager
    async def connect(config: BaseModel, host: Host) -> AsyncGenerator[ProviderSession]:
        forgotten.append(asyncio.create_task(asyncio.sleep(3600)))
        async with line.connect(config, host) as session:
            yield session

    forgotten: list[asyncio.Task[None]] = []
    return replace(line, connect=connect)


@breaks("test_leaving_the_bridge_hangs_up_and_signs_out")
class NeverSignsOut(Line):
    """Signing out fails, each time."""

    async def leave(self) -> None:
        await super().leave()
        raise NotSent("the line forgot where to sign out")


@breaks("test_a_cancelled_dial_leaves_no_call_up")
class HasNoWordForCancelled(Line):
    """A hang-up for a reason that it has no word for is refused, and from then on every hang-up of that call."""

    _stuck: frozenset[str | None] = frozenset()

    async def execute(self, command: Command) -> None:
        if isinstance(command, HangUp):
            if command.reason is _R.CANCELLED:
                self._stuck |= {command.ref}
            if command.ref in self._stuck:
                raise Refused("HangUp: no word for this reason")
        await super().execute(command)


@breaks("test_an_address_that_is_none_is_refused")
class DialsSomebodyInstead(Line):
    """What is no address is replaced by one that is."""

    def _dial(self, command: Dial) -> None:
        nonsense = not command.to.startswith(("+1", "sip:"))
        super()._dial(replace(command, to="+15550105") if nonsense else command)


@breaks("test_an_address_that_is_none_is_refused")
class RefusesWithoutSayingWhat(Line):
    """A refusal does not name the address that was refused."""

    def _dial(self, command: Dial) -> None:
        try:
            super()._dial(command)
        except Refused:
            raise Refused("Dial: that is no number") from None
