"""Providers that are wrong about calls that come in."""

from __future__ import annotations

from dataclasses import replace

from telco_bridge.provider import (
    CallDirection,
    CallReport,
    CallView,
    Cause,
    EndedBy,
    Fact,
    HangUp,
    Redirect,
    Reject,
    Termination,
    TerminationReason,
)
from telco_bridge.sandbox import Leg, LegState, Side

from ..line import Line
from .table import breaks, describes, explains

_R = TerminationReason


@breaks("test_a_call_that_comes_in_rings_here")
@describes
def loses_the_caller(told: CallReport, leg: Leg) -> CallReport:
    """Of a call that comes in it does not say who calls."""
    return replace(told, remote=None) if leg.ours is Side.CALLEE else told


@breaks("test_a_call_that_is_answered_is_connected_and_ours")
@explains
def takes_our_hang_up_for_the_callers(told: Termination, cause: Cause, view: CallView) -> Termination:
    """Whoever called must have hung up, it thinks."""
    ours = view.direction is CallDirection.INBOUND and isinstance(view.asked_to_end, HangUp)
    return replace(told, by=EndedBy.REMOTE) if ours else told


@breaks("test_a_call_that_is_rejected_ends_as_rejected")
@explains
def takes_a_rejection_for_a_hang_up(told: Termination, cause: Cause, view: CallView) -> Termination:
    """A call that was rejected was hung up, it says."""
    return replace(told, reason=_R.NORMAL) if isinstance(view.asked_to_end, Reject) else told


@breaks("test_a_caller_who_gives_up_ends_the_call")
@explains
def takes_the_callers_giving_up_for_ours(told: Termination, cause: Cause, view: CallView) -> Termination:
    """A call that came in and was not answered was our doing, it thinks."""
    missed = view.direction is CallDirection.INBOUND and cause.sip == 487
    return replace(told, by=EndedBy.APPLICATION) if missed else told


@breaks("test_a_caller_who_hangs_up_ends_the_conversation")
@explains
def takes_the_callers_hang_up_for_ours(told: Termination, cause: Cause, view: CallView) -> Termination:
    """A call that was answered here was hung up here, it thinks."""
    taken = view.direction is CallDirection.INBOUND and cause.sip == 200
    return replace(told, by=EndedBy.APPLICATION) if taken else told


@breaks("test_a_call_that_is_told_twice_rings_once")
class TakesARepetitionForAnotherCall(Line):
    """A call that is announced twice is two calls, it thinks."""

    def _report(self, *facts: Fact) -> None:
        first, *others = facts or (None,)
        if others and first == others[0] and isinstance(first, CallReport):
            facts = (first, replace(first, ref=f"{first.ref}-again"))
        super()._report(*facts)


@breaks("test_a_call_that_nobody_decided_is_left_to_others")
class RejectsWhatRingsWhenItLeaves(Line):
    """Calls that still ring when it signs out are rejected."""

    async def leave(self) -> None:
        for leg in self._legs.values():
            if leg.ours is Side.CALLEE and leg.state is LegState.RINGING:
                leg.refuse(603, "Decline", by=leg.ours)
        await super().leave()


@breaks("test_a_call_that_is_redirected_is_another_ones")
@explains
def takes_a_redirection_for_a_rejection(told: Termination, cause: Cause, view: CallView) -> Termination:
    """A call that was sent elsewhere was rejected, it says."""
    return replace(told, reason=_R.REJECTED) if isinstance(view.asked_to_end, Redirect) else told
