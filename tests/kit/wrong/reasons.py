"""Providers whose words are wrong."""

from __future__ import annotations

from dataclasses import replace

from telco_bridge.provider import (
    CallState,
    CallView,
    Capability,
    Cause,
    Phase,
    Scope,
    Termination,
    TerminationReason,
)

from ..line import Plugin
from .table import breaks, explains

_R = TerminationReason


@breaks("test_every_cause_is_explained")
@explains
def needs_a_text(told: Termination, cause: Cause, view: CallView) -> Termination:
    """A cause without a text is an error."""
    assert cause.text is not None
    return told


@breaks("test_every_cause_is_explained")
@explains
def computes_sip_codes(told: Termination, cause: Cause, view: CallView) -> Termination:
    """Where no SIP status was told, it works one out."""
    return replace(told, sip=480) if told.sip is None else told


@breaks("test_every_cause_is_explained")
@explains
def computes_q850_causes(told: Termination, cause: Cause, view: CallView) -> Termination:
    """From the SIP status it works out a Q.850 cause."""
    return replace(told, q850=17) if cause.sip == 486 else told


@breaks("test_a_word_that_nobody_knows_stays_unknown")
@explains
def takes_the_unknown_for_normal(told: Termination, cause: Cause, view: CallView) -> Termination:
    """What no table knows was a normal end, it thinks."""
    return replace(told, reason=_R.NORMAL) if told.reason is _R.UNKNOWN else told


@breaks("test_a_word_that_nobody_knows_stays_unknown")
@explains
def loses_the_unknown_word(told: Termination, cause: Cause, view: CallView) -> Termination:
    """What no table knows is unknown, and the provider's word for it is lost."""
    return replace(told, native=None) if told.reason is _R.UNKNOWN else told


@breaks("test_the_reason_table_is_what_is_explained")
def documents_another_reason(line: Plugin) -> Plugin:
    """The table in the documentation is not the table in the code."""
    first, *others = line.reasons
    return replace(line, reasons=(replace(first, neutral=_R.UNREACHABLE), *others))


@breaks("test_the_reason_table_is_what_is_explained")
def has_no_reason_table(line: Plugin) -> Plugin:
    """It explains, and documents nothing."""
    return replace(line, reasons=())


@breaks("test_what_is_possible_is_always_known")
def allows_what_it_has_not(line: Plugin) -> Plugin:
    """A connected call may start a screen, which the provider cannot."""

    def possible(view: CallView) -> frozenset[Capability]:
        return line.possible(view) | ({Capability.START_SCREEN} if view.state is CallState.CONNECTED else set())

    return replace(line, possible=possible)


@breaks("test_what_is_possible_is_always_known")
def allows_all_after_the_end(line: Plugin) -> Plugin:
    """A call that has ended may still be held."""
    return replace(line, possible=lambda view: line.possible(view) or frozenset({Capability.HOLD}))


@breaks("test_what_is_possible_is_always_known")
def knows_only_some_states(line: Plugin) -> Plugin:
    """What is possible is looked up by the state, and one state is not in the table."""
    able = {state: line.possible for state in CallState if state is not CallState.QUEUED}
    return replace(line, possible=lambda view: able[view.state](view))


@breaks("test_an_end_is_explained_for_what_it_is")
@explains
def speaks_of_another_scope(told: Termination, cause: Cause, view: CallView) -> Termination:
    """The end of a call is explained as the end of a stream."""
    return replace(told, scope=Scope.STREAM)


@breaks("test_an_end_is_explained_for_what_it_is")
@explains
def guesses_the_phase(told: Termination, cause: Cause, view: CallView) -> Termination:
    """Without a word about the phase, the call was being set up, it thinks."""
    return replace(told, phase=Phase.SETUP) if cause.sip is None else told
