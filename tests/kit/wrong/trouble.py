"""Providers that make trouble worse."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace

from telco_bridge.provider import (
    AnswerLost,
    AuthenticationFailed,
    CallReport,
    CallState,
    Cause,
    Command,
    Dial,
    EndedBy,
    Fact,
    Gone,
    HangUp,
    Host,
    NotSent,
    ProviderSession,
    RateLimited,
    Refused,
    SendDigits,
    Source,
)
from telco_bridge.sandbox import Leg

from ..line import Line, LineConfig, Plugin
from .table import breaks


@breaks("test_a_dial_that_never_got_there_is_not_two_calls")
class DialsTwiceAfterALoss(Line):
    """A dial that did not get there is made good, by two."""

    async def execute(self, command: Command) -> None:
        try:
            await super().execute(command)
        except NotSent:
            if not isinstance(command, Dial):
                raise
            self._do(command)
            self._do(command)


@breaks("test_a_dial_whose_answer_was_lost_is_never_doubled")
class DialsAgainAfterALostAnswer(Line):
    """A dial whose answer was lost is sent again."""

    async def execute(self, command: Command) -> None:
        try:
            await super().execute(command)
        except AnswerLost as lost:
            if not isinstance(command, Dial) or "lost" not in str(lost):
                raise
            self._do(command)


@breaks("test_a_dial_whose_answer_cannot_be_read_is_never_doubled")
class DialsAgainAfterAGarbledAnswer(Line):
    """An answer that cannot be read is none, it thinks, and the dial is sent again."""

    async def execute(self, command: Command) -> None:
        try:
            await super().execute(command)
        except AnswerLost as lost:
            if not isinstance(command, Dial) or "read" not in str(lost):
                raise
            self._do(command)


@breaks("test_a_dial_that_came_too_soon_is_dialled_once")
class RefusesWhatComesTooSoon(Line):
    """Too many is no, it thinks."""

    async def execute(self, command: Command) -> None:
        try:
            await super().execute(command)
        except RateLimited as error:
            raise Refused(f"{command.name}: no") from error


@breaks("test_a_hang_up_in_trouble_leaves_no_call_up")
class TakesALostHangUpForDone(Line):
    """A hang-up that did not get there is done, it thinks."""

    async def execute(self, command: Command) -> None:
        try:
            await super().execute(command)
        except NotSent:
            if not isinstance(command, HangUp):
                raise


@breaks("test_a_hang_up_in_trouble_leaves_no_call_up")
class BreaksOnALostAnswer(Line):
    """A lost answer is an exception of the library below, as it comes."""

    async def execute(self, command: Command) -> None:
        try:
            await super().execute(command)
        except AnswerLost as lost:
            if isinstance(command, HangUp) and "read" in str(lost):
                raise KeyError("status") from None
            raise


@breaks("test_an_end_that_was_not_told_is_found_out")
class ReadsFromMemory(Line):
    """A read tells what was told last, as if it were told now."""

    _memory: Mapping[str, CallReport] = {}

    def _describe(self, leg: Leg, source: Source, *, as_of: float | None = None) -> CallReport:
        told = super()._describe(leg, source, as_of=as_of)
        self._memory = {**self._memory, leg.id: told}
        return told

    async def read(self, ref: str) -> CallReport | Gone:
        known = self._memory.get(ref)
        if known is None:
            return await super().read(ref)
        return replace(known, source=Source.READ, as_of=self._host.stamp())


@breaks("test_doubled_and_disordered_events_change_nothing")
class TakesTheSecondWordForTheOpposite(Line):
    """A call that is told twice as connected is connected no more, it thinks."""

    def _report(self, *facts: Fact) -> None:
        first, *others = facts or (None,)
        if others and first == others[0] and isinstance(first, CallReport) and first.state is CallState.CONNECTED:
            facts = (first, replace(first, state=CallState.ENDED, cause=Cause(dialect="line", text="off")))
        super()._report(*facts)


@breaks("test_an_event_that_overtakes_its_answer_finds_its_call")
class NamesEarlyEventsOtherwise(Line):
    """An event that comes before the answer bears a name that nobody else uses."""

    def _report(self, *facts: Fact) -> None:
        super()._report(*(self._renamed(fact) for fact in facts))

    def _renamed(self, fact: Fact) -> Fact:
        early = isinstance(fact, CallReport) and fact.source is Source.PUSH and fact.state is CallState.DIALING
        return replace(fact, ref=f"early-{fact.ref}") if early else fact


@breaks("test_a_forged_event_is_not_believed")
class BelievesForgedEvents(Line):
    """Whoever tells something is believed."""

    def _is_genuine(self, fact: Fact) -> bool:
        return True


@breaks("test_a_state_that_nobody_documented_is_kept_and_changes_nothing")
class DropsTheUnknownWord(Line):
    """A state that it does not know is not mentioned."""

    def _report(self, *facts: Fact) -> None:
        super()._report(*(f for f in facts if not isinstance(f, CallReport) or f.native_state is None))


@breaks("test_a_state_that_nobody_documented_is_kept_and_changes_nothing")
class TakesTheUnknownForTheEnd(Line):
    """A state that it does not know is the end, it thinks."""

    def _report(self, *facts: Fact) -> None:
        super()._report(*(self._guessed(fact) for fact in facts))

    def _guessed(self, fact: Fact) -> Fact:
        unknown = isinstance(fact, CallReport) and fact.native_state is not None
        return replace(fact, state=CallState.ENDED) if unknown else fact


@breaks("test_a_provider_that_is_not_there_is_unreachable")
def breaks_on_a_dead_line(line: Plugin) -> Plugin:
    """That nobody answers is an exception of the library below, as it comes."""

    @asynccontextmanager
    async def connect(config: LineConfig, host: Host) -> AsyncGenerator[ProviderSession]:
        if config.dead:
            raise ConnectionRefusedError(111, "refused")
        async with line.connect(config, host) as session:
            yield session

    return replace(line, connect=connect)


@breaks("test_wrong_secrets_are_one_clear_error")
def shows_the_wrong_secret(line: Plugin) -> Plugin:
    """The error about a wrong secret quotes it."""

    @asynccontextmanager
    async def connect(config: LineConfig, host: Host) -> AsyncGenerator[ProviderSession]:
        try:
            async with line.connect(config, host) as session:
                yield session
        except AuthenticationFailed as failed:
            raise AuthenticationFailed(f"{failed}: {config.pin.get_secret_value()}") from None

    return replace(line, connect=connect)


@breaks("test_wrong_secrets_are_one_clear_error")
def takes_a_wrong_secret_for_a_refusal(line: Plugin) -> Plugin:
    """That a secret is wrong cannot be told from any other no."""

    @asynccontextmanager
    async def connect(config: LineConfig, host: Host) -> AsyncGenerator[ProviderSession]:
        try:
            async with line.connect(config, host) as session:
                yield session
        except AuthenticationFailed as failed:
            raise Refused("no") from failed

    return replace(line, connect=connect)


@breaks("test_a_provider_that_dies_does_not_hold_the_bridge_up")
class BuriesTheCallItself(Line):
    """A call that it cannot hang up any more has ended, it says, when the bridge is about to close."""

    async def execute(self, command: Command) -> None:
        try:
            await super().execute(command)
        except NotSent:
            if isinstance(command, HangUp) and command.by is EndedBy.BRIDGE:
                told = self._describe(self._legs[command.ref or ""], Source.ANSWER)
                self._report(replace(told, state=CallState.ENDED))
            raise


@breaks("test_digits_whose_answer_was_lost_are_not_sent_again")
class SendsDigitsAgain(Line):
    """Digits whose answer was lost are sent again."""

    async def execute(self, command: Command) -> None:
        try:
            await super().execute(command)
        except AnswerLost:
            if not isinstance(command, SendDigits):
                raise
            self._do(command)
