"""How reports become state and events: pure functions, and the only place where a call's state moves.

Three rules carry everything else. The state of a call or a stream moves forward or not at all, however old the report.
Any other field is replaced by whatever was true later (`as_of`), and by nothing earlier. The end is the end: after it
comes nothing, but the contradiction of an end that had only been concluded.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache, partial
from typing import NamedTuple, assert_never

from ._stamps import NEVER, Stamps
from ._streams import EventDraft, Explain, StreamFold, end_streams
from .commands import (
    Answer,
    Command,
    Dial,
    HangUp,
    Hold,
    Mute,
    PauseRecording,
    Redirect,
    Reject,
    Resume,
    ResumeRecording,
    StartMedia,
    StartRecording,
    StopMedia,
    StopRecording,
    Transfer,
    Unmute,
)
from .events import (
    CallConnected,
    CallEnded,
    CallEvent,
    CallHeld,
    CallIncoming,
    CallMoved,
    CallProgressed,
    CallResumed,
    CallUpdated,
    EndContradicted,
)
from .media import RecordingState, StreamId, StreamState
from .reports import CallDirection, CallReport, CallState, Continues, Dialled, Invitation, Party, Source
from .termination import Cause, Confidence, Phase, Scope, Termination
from .views import Asked, CallView, StreamView

__all__ = ["Explain", "ask", "conclude", "defeated", "fold", "fulfilled", "mark_done", "settle"]

NO_CAUSE = Cause(dialect="none", said=False)
"""Stands where nobody gave a reason."""

_BEGUN = (RecordingState.RECORDING, RecordingState.PAUSED, RecordingState.STOPPED, RecordingState.COMPLETED)

_CONCLUDED = (Confidence.INFERRED, Confidence.SYNTHETIC)


def fold(view: CallView, report: CallReport, explain: Explain) -> tuple[CallView, tuple[CallEvent, ...]]:
    """Return the view with everything the report newly says, and the events that this makes, in order."""
    if view.over:
        return _after_the_end(view, report)
    call = _CallFold(view, report)
    call.fold()
    streams = view.streams
    if report.streams or report.streams_complete:
        streams = StreamFold(view, call.folded, report, call.stamps, explain, call.events).streams()
    folded = call.folded(streams)
    if folded.state is CallState.ENDED and folded.cause is not None:
        return _end(folded, folded.cause, explain(folded.cause, folded), report.source, call.events)
    return folded, _dress(call.events, folded, report.source)


def conclude(
    view: CallView, explain: Explain, *, confidence: Confidence | None = None, override: Termination | None = None
) -> tuple[CallView, tuple[CallEvent, ...]]:
    """End a call whose provider says no more: streams first, then the call, once.

    `confidence` replaces what the plugin's explanation claims. `override` replaces the explanation itself.
    """
    if view.over:
        return view, ()
    ended = replace(view, state=CallState.ENDED)
    cause = view.cause if view.cause is not None else NO_CAUSE
    told = override if override is not None else explain(cause, ended)
    if confidence is not None:
        told = replace(told, confidence=confidence)
    return _end(ended, cause, told, None, [])


def ask(view: CallView, command: Command, since: float) -> CallView:
    """Remember that the command was sent. A call that is over takes no more requests."""
    return view if view.over else replace(view, asked=(*view.asked, Asked(command, since)))


def mark_done(view: CallView, command_id: str) -> CallView:
    """Remember that the provider has done what was asked."""
    if view.over or not any(a.command.id == command_id for a in view.asked):
        return view
    return replace(view, asked=tuple(replace(a, done=True) if a.command.id == command_id else a for a in view.asked))


def settle(view: CallView, command_id: str) -> CallView:
    """Forget a command that was refused or is done."""
    asked = tuple(a for a in view.asked if a.command.id != command_id)
    return view if view.over or asked == view.asked else replace(view, asked=asked)


def fulfilled(command: Command, view: CallView) -> bool:
    """Whether what the command asks is a fact: already, by now, or in spite of a lost answer."""
    match command:
        case Dial():
            return view.ref is not None or view.state is not CallState.UNKNOWN
        case Answer():
            return view.reached is CallState.CONNECTED
        case HangUp() | Reject() | Redirect() | Transfer():
            return view.state is CallState.ENDED
        case StopMedia():
            return view.state is CallState.ENDED or not any(_lives(view, s.id) for s in command.streams)
        case StartMedia():
            stream = view.started_by(command)
            return stream is not None and _flows(stream) and view.state is not CallState.ENDED
        case StartRecording():
            return _recorded(view, command.id) in _BEGUN
        case PauseRecording():
            return _recorded(view, command.recording) is RecordingState.PAUSED
        case ResumeRecording():
            return _recorded(view, command.recording) is RecordingState.RECORDING
        case StopRecording():
            recording = view.recording(command.recording)
            return recording is not None and not recording.live
        case Hold():
            return view.held is True and view.state is not CallState.ENDED
        case Resume():
            return view.held is False and view.state is not CallState.ENDED
        case Mute():
            return view.muted is True and view.state is not CallState.ENDED
        case Unmute():
            return view.muted is False and view.state is not CallState.ENDED
        case _:
            return False


def defeated(command: Command, view: CallView) -> bool:
    """Whether the command can no longer come true: the call, or the stream it started, has ended."""
    if fulfilled(command, view):
        return False
    if isinstance(command, StartMedia):
        started = next((s for s in view.streams if s.command_id == command.id), None)
        if started is not None and not started.live:
            return True
    if isinstance(command, StartRecording | PauseRecording | ResumeRecording):
        recording = view.recording(command.id if isinstance(command, StartRecording) else command.recording)
        if recording is not None and not recording.live:
            return True
    return view.state is CallState.ENDED


def _recorded(view: CallView, recording_id: str) -> RecordingState | None:
    recording = view.recording(recording_id)
    return recording.state if recording is not None else None


def _lives(view: CallView, stream_id: StreamId) -> bool:
    stream = view.stream(stream_id)
    return stream is not None and stream.live


def _flows(stream: StreamView) -> bool:
    if stream.state is StreamState.ACTIVE:
        return True
    return stream.state is StreamState.STARTING and not stream.observable


def _dress(events: list[EventDraft], view: CallView, source: Source | None) -> tuple[CallEvent, ...]:
    return tuple(event(call=view, source=source) for event in events)


@lru_cache(maxsize=128)
def _names(names: tuple[str, ...]) -> frozenset[str]:
    """There are few such sets, and every event that is kept holds one."""
    return frozenset(names)


def _further(one: CallState, other: CallState) -> CallState:
    return other if other.rank > one.rank else one


class _Fields(NamedTuple):
    """The fields of a call of which the newest word holds."""

    native_state: str | None
    remote: Party | None
    local: Party | None
    held: bool | None
    muted: bool | None
    offered: frozenset[str]
    cause: Cause | None
    decide_by: float | None
    remote_sdp: str | None
    native: Mapping[str, object]


class _CallFold:
    """What one report does to a call, its streams left out of account."""

    __slots__ = (
        "_announced",
        "_answered",
        "_confirmed_by",
        "_direction",
        "_ended_as_of",
        "_fields",
        "_invited",
        "_reached",
        "_ref",
        "_report",
        "_state",
        "_view",
        "events",
        "stamps",
    )

    def __init__(self, view: CallView, report: CallReport) -> None:
        self.events: list[EventDraft] = []
        self.stamps = Stamps(view.stamps, report.as_of)
        self._view = view
        self._report = report
        self._ref = view.ref if view.ref is not None else report.ref
        self._direction = view.direction
        self._state = view.state
        self._reached = view.reached
        self._announced = view.announced
        self._answered = view.answered
        self._confirmed_by = view.confirmed_by
        self._ended_as_of = view.ended_as_of
        self._invited = False

    def fold(self) -> None:
        """Fold everything but the streams."""
        self.stamps.raise_to("heard", self._report.as_of)
        self._fold_origin()
        self._fold_lifecycle()
        self._fields = self._fold_fields()

    def _fold_origin(self) -> None:
        origin = self._report.origin
        match origin:
            case None:
                pass
            case Dialled():
                if self._direction is CallDirection.UNKNOWN:
                    self._direction = CallDirection.OUTBOUND
            case Invitation():
                if self._direction is CallDirection.UNKNOWN:
                    self._direction = CallDirection.INBOUND
                    self._invited = True
            case Continues(ref=previous):
                ref = self._report.ref
                if ref is not None and previous == self._ref != ref:
                    self._ref = ref
                    self.events.append(partial(CallMoved, previous=previous))
            case _:
                assert_never(origin)

    def _fold_lifecycle(self) -> None:
        """Advance the state, and tell of it."""
        report = self._report
        said = report.state if report.state is not None else CallState.UNKNOWN
        answered = report.answered is True or said is CallState.CONNECTED
        proven = said if said.rank < CallState.CONNECTED.rank else CallState.UNKNOWN
        if self._invited:
            proven = _further(proven, CallState.RINGING)
            # Once it has been told as connected or ending, nobody can be asked to answer it any more.
            if self._announced.rank <= CallState.RINGING.rank:
                self.events.append(CallIncoming)
                self._announced = CallState.RINGING
        if answered:
            proven = CallState.CONNECTED
            if self._announced.rank < CallState.CONNECTED.rank:
                self.events.append(partial(CallConnected, inferred=said is not CallState.CONNECTED))
                self._announced = CallState.CONNECTED
        self._reached = _further(self._reached, proven)
        if answered or (report.answered is False and self._answered is None):
            self._answered = answered

        state = _further(said, proven)
        if state.rank > self._state.rank:
            self._state = state
            if state is CallState.ENDED:
                self._ended_as_of = report.as_of
                self._confirmed_by = report.source
            elif state.rank > self._announced.rank:
                self.events.append(partial(CallProgressed, state=state))
                self._announced = state

    def _fold_fields(self) -> _Fields:
        """Fold the fields that a newer report replaces."""
        view, report, newest = self._view, self._report, self.stamps.newest
        remote = newest("remote", view.remote, report.remote)
        local = newest("local", view.local, report.local)
        muted = newest("muted", view.muted, report.muted)
        offered = newest("offered", view.offered, report.offered)
        decide_by = newest("decide_by", view.decide_by, report.decide_by)
        remote_sdp = newest("remote_sdp", view.remote_sdp, report.remote_sdp)
        held = newest("held", view.held, report.held)
        if held is not view.held:
            if held:
                self.events.append(CallHeld)
            elif view.held:
                self.events.append(CallResumed)
        changed = {
            "direction": self._invited and CallState.RINGING.rank < view.announced.rank,
            "remote": remote != view.remote,
            "local": local != view.local,
            "muted": muted is not view.muted,
            "offered": offered != view.offered,
            "decide_by": decide_by != view.decide_by,
            "remote_sdp": remote_sdp != view.remote_sdp,
        }
        if True in changed.values():
            names = _names(tuple(name for name, differs in changed.items() if differs))
            self.events.append(partial(CallUpdated, changed=names))
        return _Fields(
            native_state=newest("native_state", view.native_state, report.native_state),
            remote=remote,
            local=local,
            held=held,
            muted=muted,
            offered=offered,
            cause=self._cause(),
            decide_by=decide_by,
            remote_sdp=remote_sdp,
            native=newest("native", view.native, report.native),
        )

    def folded(self, streams: tuple[StreamView, ...]) -> CallView:
        """Put the view together, with these streams."""
        view, fields = self._view, self._fields
        # Not `replace`, which takes half the time of a fold.
        return CallView(
            id=view.id,
            provider=view.provider,
            ref=self._ref,
            direction=self._direction,
            state=self._state,
            reached=self._reached,
            announced=self._announced,
            answered=self._answered,
            confirmed_by=self._confirmed_by,
            ended_as_of=self._ended_as_of,
            streams=streams,
            recordings=view.recordings,
            asked=view.asked,
            termination=view.termination,
            contradicted=view.contradicted,
            created_at=view.created_at,
            stamps=self.stamps.at,
            native_state=fields.native_state,
            remote=fields.remote,
            local=fields.local,
            held=fields.held,
            muted=fields.muted,
            offered=fields.offered,
            cause=fields.cause,
            decide_by=fields.decide_by,
            remote_sdp=fields.remote_sdp,
            native=fields.native,
        )

    def _cause(self) -> Cause | None:
        """The newest cause; one that says something goes before one that does not, at any age."""
        known, said = self._view.cause, self._report.cause
        if known is None or said is None or known.said == said.said:
            return self.stamps.newest("cause", known, said)
        if said.said:
            self.stamps.at["cause"] = self._report.as_of
            return said
        return known


def _end(
    view: CallView, cause: Cause, told: Termination, source: Source | None, events: list[EventDraft]
) -> tuple[CallView, tuple[CallEvent, ...]]:
    asked = view.asked_to_end
    if told.phase is Phase.UNKNOWN:
        told = replace(told, phase=view.phase)
    if asked is not None:
        told = replace(told, requested=asked.reason, note=asked.note)
    termination = replace(told, scope=Scope.CALL, sip=cause.sip, q850=cause.q850)
    streams = end_streams(view, termination, source, events)
    events.append(partial(CallEnded, termination=termination))
    over = replace(view, streams=streams, termination=termination)
    return over, _dress(events, over, source)


def _after_the_end(view: CallView, report: CallReport) -> tuple[CallView, tuple[CallEvent, ...]]:
    alive = report.state is not None and CallState.UNKNOWN.rank < report.state.rank < CallState.ENDED.rank
    concluded = view.termination is not None and view.termination.confidence in _CONCLUDED
    since = view.ended_as_of if view.ended_as_of is not None else view.stamps.get("heard", NEVER)
    if not (alive and concluded) or view.contradicted or report.as_of <= since:
        return view, ()
    contradicted = replace(view, contradicted=True)
    return contradicted, (EndContradicted(call=contradicted, source=report.source),)
