"""What a provider has proved: every promise with its outcome, every capability with its level, as JSON and Markdown."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum

from ..capabilities import Capability, Support, SupportLevel
from .promises import Level, Promise

__all__ = ["Certificate", "Outcome", "Result"]

_ESSENTIAL = {
    Level.BASIC: (Capability.DIAL, Capability.HANG_UP),
    Level.MEDIA: (Capability.START_AUDIO, Capability.STOP_AUDIO),
    Level.INBOUND: (Capability.ANSWER, Capability.REJECT),
    Level.FULL: (),
}
"""What must be usable for a level to mean anything."""

_UNFINISHED = (SupportLevel.NOT_IMPLEMENTED, SupportLevel.UNKNOWN)
_SIGNS = {"kept": "✓", "broken": "✗", "not applicable": "–", "not run": "?"}


class Outcome(StrEnum):
    """What became of a promise."""

    KEPT = "kept"
    BROKEN = "broken"
    NOT_APPLICABLE = "not applicable"
    NOT_RUN = "not run"


@dataclass(frozen=True, slots=True)
class Result:
    """A promise and its outcome. `why` says why it does not apply, or how it was broken."""

    promise: Promise
    outcome: Outcome
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """What one set-up of a provider has proved on one run of the kit.

    `title` is the set-up's name, `provider` the plugin's. `versions` are those of the plugin's distribution, of
    telco_bridge and of the contract. `backends` are the event loops that it ran on.
    """

    title: str
    provider: str
    versions: Mapping[str, str]
    backends: tuple[str, ...]
    support: Mapping[Capability, Support]
    results: tuple[Result, ...]

    @property
    def levels(self) -> tuple[Level, ...]:
        """The levels that the provider has reached: every promise of theirs is kept, or does not apply."""
        return tuple(level for level in Level if self._reached(level))

    @property
    def observed(self) -> Mapping[Capability, bool | None]:
        """For each capability: whether it was seen to be as declared; None where no promise tells."""
        return {capability: self._seen(capability) for capability in Capability}

    def _reached(self, level: Level) -> bool:
        if level is not Level.BASIC and not self._reached(Level.BASIC):
            return False
        if not self._within_reach(level):
            return False
        if level is Level.FULL:
            others = (other for other in Level if other is not Level.FULL and self._within_reach(other))
            if any(self.support[c].level in _UNFINISHED for c in self.support) or not all(map(self._reached, others)):
                return False
        relevant = [r for r in self.results if level is Level.FULL or r.promise.level is level]
        kept = any(r.outcome is Outcome.KEPT for r in relevant)
        return kept and all(r.outcome in (Outcome.KEPT, Outcome.NOT_APPLICABLE) for r in relevant)

    def _within_reach(self, level: Level) -> bool:
        return all(self._level(capability).usable for capability in _ESSENTIAL[level])

    def _seen(self, capability: Capability) -> bool | None:
        usable = self._level(capability).usable
        relevant = [r for r in self.results if (r.promise.name == REFUSAL) is not usable]
        telling = [r.outcome for r in relevant if capability in _subject(r.promise)]
        decided = [outcome for outcome in telling if outcome in (Outcome.KEPT, Outcome.BROKEN)]
        return all(outcome is Outcome.KEPT for outcome in decided) if decided else None

    def _level(self, capability: Capability) -> Support:
        return self.support.get(capability, Support(SupportLevel.UNKNOWN))

    def as_json(self) -> str:
        """The certificate as a JSON document, the same for the same run."""
        document = {
            "title": self.title,
            "provider": self.provider,
            "versions": dict(self.versions),
            "backends": list(self.backends),
            "levels": list(self.levels),
            "support": {
                capability: {**asdict(self._level(capability)), "observed": self.observed[capability]}
                for capability in Capability
            },
            "promises": [
                {
                    "name": result.promise.name,
                    "sentence": result.promise.sentence,
                    "level": result.promise.level,
                    "outcome": result.outcome,
                    "why": result.why,
                }
                for result in self.results
            ],
        }
        return json.dumps(document, indent=2, ensure_ascii=False) + "\n"

    def as_markdown(self) -> str:
        """The certificate as a Markdown page."""
        versions = ", ".join(f"{name} {version}" for name, version in self.versions.items())
        lines = [f"# {self.title}: {self.summary}", "", f"{versions}. Proved on {' and '.join(self.backends)}.", ""]
        lines += ["## Support", "", "| capability | level | seen | |", "|---|---|---|---|"]
        for capability in Capability:
            support = self._level(capability)
            seen = {True: "✓", False: "✗", None: "–"}[self.observed[capability]]
            level = support.level.replace("_", " ")
            lines.append(f"| {capability.replace('_', ' ')} | {level} | {seen} | {_cell(support.note)} |")
        lines += ["", "✓: seen to be as declared (used, or refused before anything was sent); –: no promise tells.", ""]
        for level in Level:
            results = [result for result in self.results if result.promise.level is level]
            if results:
                lines += [f"## Promises of level {level}", "", "| | promise | |", "|---|---|---|"]
                lines += [
                    f"| {_SIGNS[r.outcome]} | {_cell(r.promise.sentence)} | {_cell(_remark(r))} |" for r in results
                ]
                lines.append("")
        return "\n".join(lines)

    @property
    def summary(self) -> str:
        """The levels, and how many promises are kept, in one line."""
        levels = ", ".join(self.levels) or "no level"
        counts = {outcome: sum(r.outcome is outcome for r in self.results) for outcome in Outcome}
        told = [f"{count} {outcome}" for outcome, count in counts.items() if count or outcome is Outcome.KEPT]
        return f"{levels} ({', '.join(told)})"


def combined(promise: Promise, outcomes: Iterable[tuple[Outcome, str]]) -> Result:
    """One result for a promise that was checked several times, in whatever order: broken once is broken."""
    seen = list(outcomes)
    for outcome in (Outcome.BROKEN, Outcome.KEPT, Outcome.NOT_APPLICABLE):
        why = sorted(text for one, text in seen if one is outcome)
        if why:
            # Which of them came first depends on how the tests were spread over processes.
            return Result(promise, outcome, min(why))
    return Result(promise, Outcome.NOT_RUN)


def _subject(promise: Promise) -> frozenset[Capability]:
    """The capabilities that a promise tells of: a call is only the way to most of them."""
    needs = frozenset(promise.needs)
    return (needs - {Capability.DIAL, Capability.HANG_UP} or needs).union(promise.tells)


def _remark(result: Result) -> str:
    return result.why if result.outcome is not Outcome.KEPT else ""


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


REFUSAL = "test_what_is_not_declared_is_refused_and_nothing_is_sent"
"""The promise that tells of capabilities that are not usable; all others tell of those that are."""
