"""Providers so wrong that many promises break at once.

Some promises are kept by the core for every provider: no plugin can tell the commands that one of them sends from those
of another, so none can break it alone. That it can be broken at all is shown here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from telco_bridge.provider import CallReport, CallState, Command, HangUp, StreamState
from telco_bridge.sandbox import Leg

from ..line import Line, Plugin, line_of
from .table import Distortion, describes


@dataclass(frozen=True)
class Clumsy:
    """A provider that breaks many promises, among them these."""

    name: str
    breaks: tuple[str, ...]
    plugin: Plugin


CLUMSY: list[Clumsy] = []


def breaks_among_others(*promises: str) -> Callable[[Distortion], Distortion]:
    def enter(distortion: Distortion) -> Distortion:
        plugin = line_of(distortion) if isinstance(distortion, type) else distortion(line_of())
        CLUMSY.append(Clumsy(distortion.__name__, promises, plugin))
        return distortion

    return enter


@breaks_among_others(
    "test_hanging_up_inside_the_loop_over_its_own_events_does_not_deadlock",
    "test_leaving_a_call_hangs_it_up",
    "test_an_error_of_the_applications_leaves_unwrapped",
    "test_a_cancelled_hang_up_hangs_up_all_the_same",
    "test_a_stop_after_the_end_of_the_call_succeeds",
    "test_streams_end_before_their_call",
    "test_the_audio_of_a_call_ends_with_it",
)
class NeverHangsUp(Line):
    """A hang-up is accepted, and nothing comes of it."""

    def _do(self, command: Command) -> None:
        if not isinstance(command, HangUp):
            super()._do(command)


@breaks_among_others("test_what_the_state_forbids_is_not_possible_now")
@describes
def never_tells_an_end(told: CallReport, leg: Leg) -> CallReport:
    """Of a call that has ended nothing is told."""
    return replace(told, state=None, cause=None) if told.state is CallState.ENDED else told


@breaks_among_others("test_audio_that_is_started_flows", "test_starting_what_flows_sends_nothing")
@describes
def never_tells_that_media_flows(told: CallReport, leg: Leg) -> CallReport:
    """Every stream is about to start, for ever."""
    return replace(told, streams=tuple(replace(stream, state=StreamState.STARTING) for stream in told.streams))
