"""How the streams of a call follow what is reported of them.

Where the provider numbers the lives of a slot, a stream is known for certain: its end is believed at any age, and a
higher number proves that the lower ones are over. Where it does not, only time tells one life from the next: what is
older than the slot's last end belongs to a life that is over, and an end that is older than the last sign of life
belongs to a former one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Protocol

from ._stamps import Stamps
from .commands import Command
from .events import CallEvent, StreamActive, StreamEnded, StreamStarting
from .media import MediaDirection, Modality, StreamId, StreamState, Transport
from .reports import CallReport, Source, StreamReport
from .termination import Cause, Confidence, Phase, Scope, Termination, TerminationReason
from .views import CallView, StreamView

__all__ = ["EventDraft", "Explain", "StreamFold", "end_streams"]


Explain = Callable[[Cause, CallView], Termination]
"""A plugin's pure translation of a raw cause, given what is known of the call."""


class EventDraft(Protocol):
    """An event that lacks only the call as the report leaves it."""

    def __call__(self, *, call: CallView, source: Source | None) -> CallEvent: ...


class StreamFold:
    """What one report does to the streams of one call.

    `view` is the call as it was; `folded` returns it with the rest of the report folded in, and with the given streams.
    """

    __slots__ = ("_events", "_explain", "_folded", "_report", "_stamps", "_streams", "_were")

    def __init__(
        self,
        view: CallView,
        folded: Callable[[tuple[StreamView, ...]], CallView],
        report: CallReport,
        stamps: Stamps,
        explain: Explain,
        events: list[EventDraft],
    ) -> None:
        self._were = view.streams
        self._folded = folded
        self._report = report
        self._stamps = stamps
        self._explain = explain
        self._events = events
        self._streams = list(view.streams)

    def streams(self) -> tuple[StreamView, ...]:
        """Fold every stream that the report mentions, and, where it is complete, the absence of the others."""
        mentioned: set[StreamId | None] = set()
        # Ends first, so that a life which ended keeps its own cause when its successor is in the same report.
        for said in sorted(self._report.streams, key=_lives_on):
            mentioned.add(self._fold_slot(said) if said.life is None else self._fold_life(said, said.life))
        if self._report.streams_complete:
            for index, stream in enumerate(self._streams):
                if stream.live and stream.id not in mentioned:
                    self._miss(index, stream)
            self._stamps.raise_to("complete", self._report.as_of)
        return tuple(self._streams)

    def _fold_life(self, said: StreamReport, life: int) -> StreamId | None:
        """Fold a word about a numbered life."""
        stream_id = StreamId(said.slot, life)
        for index, stream in enumerate(self._streams):
            if stream.id == stream_id:
                self._advance(index, said)
                return stream_id
        if said.state is None or said.state is StreamState.UNKNOWN:
            return None
        over = life < self._newest_life(said.slot) or self._report.as_of <= self._stamps.get("complete")
        if over and said.state is not StreamState.ENDED:
            return None
        former = self._live_in(said.slot)
        if former is not None and self._streams[former].id.life < life:
            self._advance(former, StreamReport(slot=said.slot, state=StreamState.ENDED))
        return self._open(stream_id, said)

    def _fold_slot(self, said: StreamReport) -> StreamId | None:
        """Fold a word that names no life: it is about the one that the slot had when the word was true."""
        as_of = self._report.as_of
        gone = f"gone:{said.slot}"
        index = self._live_in(said.slot)
        if index is None:
            if said.state is StreamState.ENDED:
                self._stamps.raise_to(gone, as_of)
            elif said.state is not None and said.state is not StreamState.UNKNOWN:
                self._stamps.raise_to(gone, self._stamps.get("complete"))
                if as_of > self._stamps.get(gone):
                    return self._open(StreamId(said.slot, 1 + self._newest_life(said.slot)), said)
            return None
        stream = self._streams[index]
        if said.state is StreamState.ENDED:
            self._stamps.raise_to(gone, as_of)
            if as_of >= _last_live(stream):
                self._advance(index, said)
        elif as_of > self._stamps.get(gone):
            self._advance(index, said)
        return stream.id

    def _miss(self, index: int, stream: StreamView) -> None:
        """Fold the absence of a live stream from a complete report, unless it has shown life since."""
        self._stamps.raise_to(f"gone:{stream.id.slot}", self._report.as_of)
        if self._report.as_of >= _last_live(stream):
            self._advance(index, StreamReport(slot=stream.id.slot, state=StreamState.ENDED))

    def _live_in(self, slot: str) -> int | None:
        for index, stream in enumerate(self._streams):
            if stream.id.slot == slot and stream.live:
                return index
        return None

    def _newest_life(self, slot: str) -> int:
        return max((stream.id.life for stream in self._streams if stream.id.slot == slot), default=0)

    def _open(self, stream_id: StreamId, said: StreamReport) -> StreamId:
        self._streams.append(StreamView(id=stream_id, started_as_of=self._report.as_of))
        self._advance(len(self._streams) - 1, said)
        return stream_id

    def _advance(self, index: int, said: StreamReport) -> None:
        """Take what the report newly says of a stream, and tell of it where its state advances."""
        before = self._streams[index]
        stream = _merge(before, said, self._report)
        if stream.state is not before.state:
            if stream.state is StreamState.ENDED:
                stream = self._end(stream)
            self._events.append(_telling(stream))
        self._streams[index] = stream

    def _end(self, stream: StreamView) -> StreamView:
        """Say why a stream ended while its call goes on: what the provider said, else what we asked, else unknown."""
        view = self._folded(self._were)
        told = Termination()
        if stream.cause is not None and stream.cause.said:
            told = replace(self._explain(stream.cause, view), sip=stream.cause.sip, q850=stream.cause.q850)
        asked = view.asked_to_stop(stream.id) or view.asked_to_end
        return replace(stream, ended_as_of=self._report.as_of, termination=_of_stream(told, asked, view))


def end_streams(
    view: CallView, termination: Termination, source: Source | None, events: list[EventDraft]
) -> tuple[StreamView, ...]:
    """End every live stream of a call that has ended for the given reason."""
    told = replace(termination, confidence=_derived(termination.confidence))
    streams = list(view.streams)
    for index, stream in enumerate(streams):
        if stream.live:
            of_stream = _of_stream(told, view.asked_to_stop(stream.id), view)
            streams[index] = replace(
                stream,
                state=StreamState.ENDED,
                ended_as_of=view.ended_as_of,
                confirmed_by=source,
                termination=of_stream,
            )
            events.append(_telling(streams[index]))
    return tuple(streams)


def _last_live(stream: StreamView) -> float:
    return stream.stamps.get("live", stream.started_as_of)


def _lives_on(said: StreamReport) -> bool:
    return said.state is not StreamState.ENDED


def _merge(stream: StreamView, said: StreamReport, report: CallReport) -> StreamView:
    stamps = Stamps(stream.stamps, report.as_of)
    state, confirmed_by, started_as_of = stream.state, stream.confirmed_by, stream.started_as_of
    if said.state is not None:
        if said.state.rank > state.rank:
            state, confirmed_by = said.state, report.source
        if said.state is not StreamState.UNKNOWN and said.state is not StreamState.ENDED:
            stamps.raise_to("live", report.as_of)
            started_as_of = min(started_as_of, report.as_of)
    # Not `replace`, which takes longer than all the rest of it.
    return StreamView(
        id=stream.id,
        state=state,
        confirmed_by=confirmed_by,
        started_as_of=started_as_of,
        ended_as_of=stream.ended_as_of,
        termination=stream.termination,
        modality=stamps.newest("modality", stream.modality, said.modality, Modality.UNKNOWN),
        transport=stamps.newest("transport", stream.transport, said.transport, Transport.UNKNOWN),
        direction=stamps.newest("direction", stream.direction, said.direction, MediaDirection.UNKNOWN),
        name=stamps.newest("name", stream.name, said.name),
        native_state=stamps.newest("native_state", stream.native_state, said.native_state),
        command_id=stamps.newest("command_id", stream.command_id, said.command_id),
        cause=stamps.newest("cause", stream.cause, said.cause),
        # True is also what a report says that does not care, so only False is a statement.
        observable=stream.observable and said.observable,
        stamps=stamps.at,
    )


def _telling(stream: StreamView) -> EventDraft:
    if stream.termination is not None:
        return partial(StreamEnded, stream=stream.id, modality=stream.modality, termination=stream.termination)
    if stream.state is StreamState.ACTIVE:
        return partial(StreamActive, stream=stream.id, modality=stream.modality)
    return partial(StreamStarting, stream=stream.id, modality=stream.modality, state=stream.state)


def _of_stream(told: Termination, asked: Command | None, view: CallView) -> Termination:
    """Why a stream ended, with what we asked beside it; that is also the reason where nobody told a better one."""
    phase = view.phase if told.phase is Phase.UNKNOWN else told.phase
    if asked is not None:
        told = replace(told, requested=asked.reason, note=asked.note)
        if told.reason is TerminationReason.UNKNOWN:
            reason = asked.reason if asked.reason is not None else TerminationReason.NORMAL
            told = replace(told, reason=reason, by=asked.by, confidence=_derived(told.confidence))
    return replace(told, scope=Scope.STREAM, phase=phase)


def _derived(confidence: Confidence) -> Confidence:
    """How sure a conclusion is that rests on something known that surely: never surer than derived."""
    return confidence if confidence in (Confidence.INFERRED, Confidence.SYNTHETIC) else Confidence.DERIVED
