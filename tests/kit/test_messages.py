"""What an author reads when a promise is broken, or does not apply."""

from __future__ import annotations

from dataclasses import replace

import pytest

from telco_bridge.provider import Capability, Support, SupportLevel
from telco_bridge.testing import Trouble

from .examination import examine
from .line import line_of
from .wrong import WRONG

PLUGINS = {wrong.name: wrong.plugin for wrong in WRONG}


@pytest.mark.parametrize(
    ("provider", "promise", "sentence", "how"),
    [
        (
            "DialsSomebodyInstead",
            "test_an_address_that_is_none_is_refused",
            "An address that is none is refused with its own words, and no call is placed.",
            "Failed: DID NOT RAISE",
        ),
        (
            "ignores_the_ring_timeout",
            "test_nobody_rings_longer_than_the_ring_timeout",
            "A call that nobody answers within the ring timeout ends, and says so.",
            "(not in time: the patience is 4 s)",
        ),
        (
            "breaks_on_a_dead_line",
            "test_a_provider_that_is_not_there_is_unreachable",
            "A provider that is not there is one clear error, before anything was sent.",
            "PluginContractError: line broke on connecting: ConnectionRefusedError: [Errno 111] refused",
        ),
        (
            "loses_the_unknown_word",
            "test_a_word_that_nobody_knows_stays_unknown",
            "A word that nobody knows stays unknown, and is kept.",
            "AssertionError: SIP: the provider's words are lost",
        ),
    ],
)
def test_a_broken_promise_names_the_provider_the_promise_and_what_happened(
    provider: str, promise: str, sentence: str, how: str
) -> None:
    said = examine(PLUGINS[provider], "-k", promise, title=provider).broken[promise]

    headline, _, rest = said.rpartition("PromiseBroken: ")[2].partition("\n")
    assert headline == f"{provider} breaks the promise: {sentence}"
    assert rest.removeprefix("E").strip().startswith(how)


def test_the_failure_below_a_broken_promise_is_chained() -> None:
    said = examine(PLUGINS["ListsNothing"], "-k", "test_live_calls_are_listed").broken["test_live_calls_are_listed"]

    assert "assert call.native_id in listed" in said
    assert "The above exception was the direct cause of the following exception" in said


@pytest.mark.parametrize(
    ("support", "why"),
    [
        ({Capability.HOLD: Support(SupportLevel.PROVIDER_CANNOT)}, "hold is provider_cannot"),
        ({Capability.RESUME: Support(SupportLevel.NOT_IMPLEMENTED)}, "resume is not_implemented"),
        ({}, "hold is not declared"),
    ],
)
def test_a_promise_about_what_the_provider_has_not_is_skipped_with_the_reason(
    support: dict[Capability, Support], why: str
) -> None:
    line = line_of()
    others = {c: s for c, s in line.support.items() if support or c is not Capability.HOLD}

    verdict = examine(replace(line, support=others | support), "-k", "test_a_held_call")

    assert verdict.broken == {}
    assert verdict.kept == set()
    assert f"not applicable: {why}" in verdict.skipped["test_a_held_call_says_so_until_it_is_resumed"]


def test_a_promise_about_a_trouble_that_cannot_happen_is_skipped_with_the_reason() -> None:
    told = "test_an_end_that_was_not_told_is_found_out"

    verdict = examine(line_of(), "-k", told, impossible={Trouble.EVENTS_LOST: "nothing is lost between friends"})

    assert verdict.kept == set()
    assert "not applicable: events_lost cannot happen: nothing is lost between friends" in verdict.skipped[told]


def test_a_trouble_that_the_harness_cannot_make_is_an_error_that_says_what_to_do() -> None:
    told = "test_a_dial_that_came_too_soon_is_dialled_once"

    verdict = examine(line_of(), "-k", told, makes_all=False)

    assert "line breaks the promise" in verdict.broken[told]
    assert "NotImplementedError: line: its emulator cannot make rate_limit; teach it" in verdict.broken[told]
    assert "say in `impossible` why rate_limited cannot happen to this provider" in verdict.broken[told]
