"""Two providers side by side: what becomes of a program that moves from the first to the second."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from ..capabilities import Capability, Support, SupportLevel
from ..errors import PluginContractError
from ..reports import CallDirection, CallState
from ..termination import TerminationReason
from ..views import CallView

if TYPE_CHECKING:
    from pydantic import BaseModel

    from ..provider import ProviderPlugin, ReasonRow

__all__ = ["Ability", "Comparison", "Reason", "Verdict", "Word", "compare", "tally"]

_UNDECLARED = Support(SupportLevel.UNKNOWN, "the plugin does not declare it")
_BRIDGE = "the bridge"
_TALKED = CallView(
    id="answered",
    direction=CallDirection.OUTBOUND,
    state=CallState.ENDED,
    reached=CallState.CONNECTED,
    announced=CallState.CONNECTED,
    answered=True,
)


class Verdict(StrEnum):
    """What becomes of an ability or of a reason on the way from the first provider to the second."""

    SAME = "same"
    EMULATED = "emulated"
    """Of an ability: the second does it by a detour, whatever the first did."""
    COARSER = "coarser"
    """Of a reason: the second knows it only as a lossy word."""
    LOST = "lost"
    GAINED = "gained"
    NEITHER = "neither"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ability:
    """One capability on both."""

    capability: Capability
    before: Support
    after: Support

    @property
    def verdict(self) -> Verdict:
        """What becomes of it. What is usable on neither is not compared any further."""
        match self.before.usable, self.after.usable:
            case True, True:
                return Verdict.EMULATED if self.after.level is SupportLevel.EMULATED else Verdict.SAME
            case True, False:
                return Verdict.LOST
            case False, True:
                return Verdict.GAINED
            case _:
                return Verdict.NEITHER


@dataclass(frozen=True, slots=True)
class Word:
    """One way in which a provider, or the bridge on its behalf, says a reason.

    `answered` says that it means this reason only once the call has been answered.
    """

    dialect: str
    native: str
    lossy: bool = False
    answered: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """One neutral reason, and the words of both for it.

    `becomes` is what the second makes of the very statuses (SIP, Q.850) with which the first says a reason that is
    lost; empty where that is not known.
    """

    neutral: TerminationReason
    before: tuple[Word, ...]
    after: tuple[Word, ...]
    becomes: tuple[TerminationReason, ...] = ()

    @property
    def verdict(self) -> Verdict:
        """What becomes of it."""
        match bool(self.before), bool(self.after):
            case True, True:
                return Verdict.COARSER if all(word.lossy for word in self.after) else Verdict.SAME
            case True, False:
                return Verdict.LOST
            case False, True:
                return Verdict.GAINED
            case _:
                return Verdict.NEITHER


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """The support and reason tables of two providers, every capability and every reason once.

    `reasons` are what the providers tell, `outward` what they can be told.
    """

    before: str
    after: str
    abilities: tuple[Ability, ...]
    reasons: tuple[Reason, ...]
    outward: tuple[Reason, ...]


def compare(before: ProviderPlugin[BaseModel], after: ProviderPlugin[BaseModel]) -> Comparison:
    """Return what a move from the first provider to the second means, as far as their tables tell.

    Raises `PluginContractError` where a plugin cannot explain the causes of its own tables.
    """
    return Comparison(
        before=before.name,
        after=after.name,
        abilities=tuple(
            Ability(capability=capability, before=_support(before, capability), after=_support(after, capability))
            for capability in Capability
        ),
        reasons=tuple(_reasons(before, after)),
        outward=tuple(
            Reason(neutral=neutral, before=_outward(before, neutral), after=_outward(after, neutral))
            for neutral in TerminationReason
        ),
    )


def tally(rows: Iterable[Ability | Reason]) -> Mapping[Verdict, int]:
    """Return how often each verdict stands in these rows."""
    return Counter(row.verdict for row in rows)


def _reasons(before: ProviderPlugin[BaseModel], after: ProviderPlugin[BaseModel]) -> Iterator[Reason]:
    told_before, told_after = _told(before), _told(after)
    for neutral in TerminationReason:
        words = told_after.get(neutral, ())
        yield Reason(
            neutral=neutral,
            before=told_before.get(neutral, ()),
            after=words,
            becomes=_becomes(before, after, neutral) if not words else (),
        )


def _inward(plugin: ProviderPlugin[BaseModel]) -> Iterator[ReasonRow]:
    return (row for row in plugin.reasons if not row.outbound)


def _outward(plugin: ProviderPlugin[BaseModel], neutral: TerminationReason) -> tuple[Word, ...]:
    rows = (row for row in plugin.reasons if row.outbound and row.neutral is neutral)
    return tuple(dict.fromkeys(Word(row.dialect, row.native, row.lossy) for row in rows))


def _told(plugin: ProviderPlugin[BaseModel]) -> Mapping[TerminationReason, tuple[Word, ...]]:
    """Every reason that is told on that provider, with the words for it: those of the set-up first."""
    found: defaultdict[TerminationReason, list[Word]] = defaultdict(list)
    rows = tuple(_inward(plugin))
    for row in rows:
        found[row.neutral].append(Word(row.dialect, row.native, row.lossy))
    for row in rows:
        later = _once_answered(plugin, row)
        if later is not row.neutral:
            found[later].append(Word(row.dialect, row.native, row.lossy, answered=True))
    found[TerminationReason.ORPHANED].append(Word(_BRIDGE, "a call whose end nobody tells"))
    found[TerminationReason.UNKNOWN].append(Word(_BRIDGE, "whatever no table knows"))
    if _support(plugin, Capability.MAX_DURATION).level is SupportLevel.EMULATED:
        found[TerminationReason.TIME_LIMIT].append(Word(_BRIDGE, "max_duration is over"))
    return {neutral: tuple(dict.fromkeys(words)) for neutral, words in found.items()}


def _once_answered(plugin: ProviderPlugin[BaseModel], row: ReasonRow) -> TerminationReason:
    """What the row's words mean once the call has been answered: rows hold the meaning in the set-up."""
    if row.cause is None:
        return row.neutral
    try:
        return TerminationReason(plugin.explain(row.cause, _TALKED).reason)
    except Exception as error:
        # Plugins are foreign code and may raise anything.
        raise PluginContractError(
            f"explain() of {plugin.name} broke on the cause of its own row {row.dialect} {row.native}: "
            f"{type(error).__name__}: {error}"
        ) from error


def _support(plugin: ProviderPlugin[BaseModel], capability: Capability) -> Support:
    return plugin.support.get(capability, _UNDECLARED)


def _becomes(
    before: ProviderPlugin[BaseModel], after: ProviderPlugin[BaseModel], neutral: TerminationReason
) -> tuple[TerminationReason, ...]:
    """What the second makes of the same status of the network, where both pass it on."""
    causes = [row.cause for row in _inward(before) if row.neutral is neutral and row.cause is not None]
    sip = {cause.sip for cause in causes} - {None}
    q850 = {cause.q850 for cause in causes} - {None}
    found = (row.neutral for row in _inward(after) if row.cause and (row.cause.sip in sip or row.cause.q850 in q850))
    return tuple(other for other in dict.fromkeys(found) if other is not neutral)
