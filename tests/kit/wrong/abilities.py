"""Providers that are wrong about what they can do."""

from __future__ import annotations

from dataclasses import replace

from telco_bridge.provider import (
    CallList,
    Capability,
    Command,
    DigitHeard,
    Fact,
    Hold,
    Modality,
    Mute,
    Resume,
    SendDigits,
    Source,
    StartMedia,
    Support,
    SupportLevel,
    Unmute,
    Unsupported,
)

from ..line import Line, Plugin
from .table import breaks

_FULL = Support(SupportLevel.FULL)


@breaks("test_every_capability_is_declared")
def leaves_a_capability_out(line: Plugin) -> Plugin:
    """Of one capability the table of support says nothing."""
    return replace(line, support={c: s for c, s in line.support.items() if c is not Capability.STOP_SCREEN})


@breaks("test_every_capability_is_declared")
def emulates_in_silence(line: Plugin) -> Plugin:
    """What is emulated is not told to be, in words."""
    return replace(line, support={**line.support, Capability.RING_TIMEOUT: Support(SupportLevel.EMULATED)})


@breaks("test_what_is_not_declared_is_refused_and_nothing_is_sent")
class SendsWhatItCannot(Line):
    """A screen is sent to a network that has none."""

    async def execute(self, command: Command) -> None:
        if isinstance(command, StartMedia) and command.modality is Modality.SCREEN:
            self._do(command)
        else:
            await super().execute(command)


@breaks("test_what_is_not_declared_is_refused_and_nothing_is_sent")
class RefusesWhenItIsDone(Line):
    """What is not supported is refused, but only after it has been sent."""

    async def execute(self, command: Command) -> None:
        try:
            await super().execute(command)
        except Unsupported:
            self._do(command)
            raise


@breaks("test_nobody_rings_longer_than_the_ring_timeout")
def ignores_the_ring_timeout(line: Plugin) -> Plugin:
    """It declares to keep the ring timeout itself, and does not read it."""
    return replace(line, support={**line.support, Capability.RING_TIMEOUT: _FULL})


@breaks("test_no_call_is_longer_than_its_longest_duration")
def ignores_the_longest_duration(line: Plugin) -> Plugin:
    """It declares to keep the longest duration itself, and does not read it."""
    return replace(line, support={**line.support, Capability.MAX_DURATION: _FULL})


@breaks("test_live_calls_are_listed")
class ListsNothing(Line):
    """The list of calls is complete, it says, and holds none."""

    async def list_calls(self) -> CallList:
        return replace(await super().list_calls(), reports=())


@breaks("test_a_held_call_says_so_until_it_is_resumed")
class AnswersAHoldWithTheOldState(Line):
    """The answer to a hold shows the state from before it, with a stamp from after it."""

    def _do(self, command: Command) -> None:
        super()._do(command)
        if isinstance(command, Hold | Resume):
            told = self._describe(self._legs[command.ref or ""], Source.ANSWER)
            self._report(replace(told, held=not told.held))


@breaks("test_a_muted_call_says_so_until_it_is_unmuted")
class AnswersAMuteWithTheOldState(Line):
    """The answer to a mute shows the state from before it, with a stamp from after it."""

    def _do(self, command: Command) -> None:
        super()._do(command)
        if isinstance(command, Mute | Unmute):
            told = self._describe(self._legs[command.ref or ""], Source.ANSWER)
            self._report(replace(told, muted=not told.muted))


@breaks("test_digits_are_heard_by_the_far_end")
class SwallowsTheHash(Line):
    """The key # ends the input, it thinks, and is not sent."""

    def _do(self, command: Command) -> None:
        if isinstance(command, SendDigits):
            command = replace(command, digits=command.digits.replace("#", ""))
        super()._do(command)


@breaks("test_digits_of_the_far_end_are_told")
class HearsEveryKeyTwice(Line):
    """A key is told when it goes down and when it comes up."""

    def _report(self, *facts: Fact) -> None:
        for fact in facts:
            super()._report(*[fact] * (2 if isinstance(fact, DigitHeard) else 1))
