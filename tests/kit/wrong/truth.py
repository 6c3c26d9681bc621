"""Providers whose reports are not true, or not shaped so that anybody could tell."""

from __future__ import annotations

import time
from dataclasses import replace

import anyio

from telco_bridge.provider import CallReport, CallState, Command, Dial, Gone, Party, Source
from telco_bridge.sandbox import Leg, LegState, Side

from ..line import Line
from .table import breaks, describes


@breaks("test_a_read_tells_the_truth")
class ReadsOneStateBehind(Line):
    """A read of a connected call says that it rings."""

    async def read(self, ref: str) -> CallReport | Gone:
        told = await super().read(ref)
        connected = isinstance(told, CallReport) and told.state is CallState.CONNECTED
        return replace(told, state=CallState.RINGING) if connected else told


@breaks("test_a_call_that_the_provider_does_not_know_is_gone")
class KnowsEveryStranger(Line):
    """A call that it has never heard of has ended, it says."""

    async def read(self, ref: str) -> CallReport | Gone:
        told = await super().read(ref)
        if isinstance(told, Gone):
            return CallReport(source=Source.READ, as_of=told.as_of, ref=ref, state=CallState.ENDED)
        return told


@breaks("test_facts_are_stamped_with_the_hosts_time")
@describes
def stamps_with_its_own_clock(told: CallReport, leg: Leg) -> CallReport:
    """Reports bear the time of another clock than the host's."""
    return replace(told, as_of=time.monotonic())


@breaks("test_reports_say_where_they_come_from")
@describes
def forgets_that_it_dialled(told: CallReport, leg: Leg) -> CallReport:
    """Of a call that it dialled it does not say that it did."""
    return replace(told, origin=None) if leg.ours is Side.CALLER else told


@breaks("test_a_call_tells_both_its_parties")
@describes
def takes_itself_for_the_far_end(told: CallReport, leg: Leg) -> CallReport:
    """The far end of a call that it dialled is itself, it says."""
    return replace(told, remote=Party(leg.caller)) if leg.ours is Side.CALLER else told


@breaks("test_a_command_is_accepted_before_it_is_done")
class WaitsForTheAnswer(Line):
    """A dial is accepted when somebody has answered, or nobody for a long time."""

    async def execute(self, command: Command) -> None:
        await super().execute(command)
        if isinstance(command, Dial):
            with anyio.move_on_after(1.8):
                # The network tells it in a thread of its own.
                while any(leg.state in (LegState.TRYING, LegState.RINGING) for leg in self._legs.values()):  # noqa: ASYNC110
                    await anyio.sleep(0.01)
