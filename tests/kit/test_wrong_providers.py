"""A kit that has never failed proves nothing: a wrong provider fails the promise that names its fault, and no other."""

from __future__ import annotations

import pytest

from telco_bridge.testing import Level, ProviderContract, promises_of

from .examination import examine
from .line import line_of
from .wrong import CLUMSY, WRONG, Clumsy, Wrong

SENTENCES = {promise.name: promise.sentence for promise in promises_of(ProviderContract)}
LEVELS = {promise.name: promise.level for promise in promises_of(ProviderContract)}


def levels_without(lost: Level) -> list[Level]:
    """What a broken promise of that level leaves: without the basis there is nothing, and nobody is complete."""
    return [] if lost is Level.BASIC else [level for level in Level if level not in (lost, Level.FULL)]


def test_the_right_provider_keeps_every_promise() -> None:
    verdict = examine(line_of())

    assert verdict.status == pytest.ExitCode.OK
    assert verdict.kept == set(SENTENCES)
    assert verdict.certificate["levels"] == list(Level)


@pytest.mark.parametrize("wrong", WRONG, ids=lambda wrong: wrong.name)
def test_a_wrong_provider_breaks_the_promise_that_names_its_fault(wrong: Wrong) -> None:
    verdict = examine(wrong.plugin, title=wrong.name)

    assert verdict.status == pytest.ExitCode.TESTS_FAILED
    assert set(verdict.broken) == {wrong.breaks}, "\n".join(verdict.broken.values())
    assert f"{wrong.name} breaks the promise: {SENTENCES[wrong.breaks]}" in verdict.broken[wrong.breaks]
    assert verdict.kept | verdict.skipped.keys() >= set(SENTENCES) - {wrong.breaks}
    assert verdict.certificate["levels"] == levels_without(LEVELS[wrong.breaks])


@pytest.mark.parametrize("clumsy", CLUMSY, ids=lambda clumsy: clumsy.name)
def test_what_the_core_keeps_for_everybody_can_be_broken_by_force(clumsy: Clumsy) -> None:
    verdict = examine(clumsy.plugin, "-k", " or ".join(clumsy.breaks), title=clumsy.name)

    assert set(verdict.broken) == set(clumsy.breaks)


def test_every_promise_has_been_seen_broken() -> None:
    alone = {wrong.breaks for wrong in WRONG}
    by_force = {promise for clumsy in CLUMSY for promise in clumsy.breaks}

    assert alone | by_force == set(SENTENCES)
    assert not alone & by_force


def test_every_wrong_provider_says_what_is_wrong_with_it() -> None:
    assert [wrong.name for wrong in WRONG if not wrong.fault] == []
    assert len({wrong.name for wrong in WRONG}) == len(WRONG)
