"""Any shuffle, loss and duplication of any legal history gives a legal story, and one complete read restores the truth.

`histories` plays a provider that tells the truth, in parts. What the view should hold is worked out here a second time,
from the reports as a set, without regard to the order in which they arrived.
"""

import copy
from dataclasses import FrozenInstanceError, dataclass, field, replace
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from telco_bridge.events import (
    CallConnected,
    CallEnded,
    CallHeld,
    CallIncoming,
    CallProgressed,
    CallResumed,
    EndContradicted,
    StreamActive,
    StreamEnded,
    StreamStarting,
)
from telco_bridge.media import StreamId, StreamState
from telco_bridge.reports import CallReport, CallState, Dialled, Invitation, Party, Source, StreamReport
from telco_bridge.termination import Cause, Confidence, Scope, Termination, TerminationReason
from telco_bridge.transitions import conclude, fold
from telco_bridge.views import CallView

NEVER = float("-inf")
NUMBERED = {"fork"}
SLOTS = ("phone", "video", "fork")
FIELDS = ("held", "muted", "remote", "offered", "native_state", "remote_sdp", "decide_by")
LIVE = (StreamState.OFFERED, StreamState.STARTING, StreamState.ACTIVE)
PATH = (CallState.QUEUED, CallState.DIALING, CallState.RINGING, CallState.CONNECTED, CallState.ENDING)

hunting = settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def explain(cause, view):
    reason = TerminationReason.NORMAL if cause.said else TerminationReason.UNKNOWN
    return Termination(reason=reason, native=cause.code, confidence=Confidence.REPORTED)


@dataclass
class LiveStream:
    life: int
    state: StreamState
    name: str | None = None


@dataclass
class Truth:
    inbound: bool
    state: CallState = CallState.UNKNOWN
    answered: bool = False
    held: bool = False
    muted: bool = False
    remote: Party | None = None
    offered: frozenset[str] = frozenset()
    native_state: str | None = None
    remote_sdp: str | None = None
    decide_by: float | None = None
    cause: Cause | None = None
    streams: dict[str, LiveStream] = field(default_factory=dict)
    lives: dict[str, int] = field(default_factory=dict)

    def complete(self, as_of):
        """Everything that is true now, as a read would tell it."""
        return CallReport(
            source=Source.READ,
            as_of=as_of,
            ref="ref",
            state=self.state,
            held=self.held,
            muted=self.muted,
            remote=self.remote,
            cause=self.cause,
            streams=tuple(said(slot, stream) for slot, stream in self.streams.items()),
            streams_complete=True,
        )


def said(slot, stream, **changes):
    life = stream.life if slot in NUMBERED else None
    return replace(StreamReport(slot=slot, life=life, state=stream.state, name=stream.name), **changes)


def some(draw, one_in=2):
    return draw(st.integers(0, one_in - 1)) == 0


def change(draw, truth):
    """Let one thing happen that can happen now; return what the provider cannot but say of it."""
    alive = truth.state is not CallState.ENDED
    possible = ["advance", "advance", "hold", "mute", "name", "offer", "words", "nothing"]
    possible += [f"start {slot}" for slot in SLOTS if slot not in truth.streams] if alive else []
    possible += [f"move {slot}" for slot in truth.streams] + [f"stop {slot}" for slot in truth.streams]
    what, _, slot = draw(st.sampled_from(possible)).partition(" ")
    match what:
        case "advance" if alive:
            later = [state for state in PATH if state.rank > truth.state.rank]
            truth.state = draw(st.sampled_from([*later, CallState.ENDED]))
            truth.answered |= truth.state is CallState.CONNECTED
            if truth.state is CallState.ENDED:
                truth.streams.clear()
            return {"state": truth.state}
        case "advance" if truth.cause is None:
            truth.cause = Cause(dialect="any", code=draw(st.sampled_from(["a", "b"])), said=draw(st.booleans()))
            return {"cause": truth.cause}
        case "hold" if alive:
            truth.held = not truth.held
        case "mute":
            truth.muted = not truth.muted
        case "name":
            truth.remote = Party("+15550100", draw(st.sampled_from([None, "Ann", "Bob"])))
        case "offer":
            truth.offered = frozenset(draw(st.sets(st.sampled_from("xyz"))))
        case "words":
            truth.native_state = draw(st.sampled_from(["unknown", "odd", "fine"]))
            truth.remote_sdp = draw(st.sampled_from(["v=0", "v=1"]))
            truth.decide_by = draw(st.sampled_from([1.0, 2.0]))
        case "start":
            truth.lives[slot] = truth.lives.get(slot, 0) + 1
            truth.streams[slot] = LiveStream(truth.lives[slot], draw(st.sampled_from(LIVE)))
        case "move":
            stream = truth.streams[slot]
            stream.state = draw(st.sampled_from([state for state in LIVE if state.rank >= stream.state.rank]))
            stream.name = draw(st.sampled_from([None, "unknown", "n1", "n2"])) or stream.name
        case "stop":
            return {"streams": (said(slot, truth.streams.pop(slot), state=StreamState.ENDED, name=None),)}
        case _:
            pass
    return {}


def tell(draw, truth, as_of, told):
    """Say a part of what is true, with `told` in it for certain."""
    streams = list(told.pop("streams", ()))
    complete = some(draw, 5)
    for slot, stream in truth.streams.items():
        if complete or some(draw):
            streams.append(said(slot, stream, name=stream.name if some(draw) else None))
        elif some(draw, 4):
            streams.append(said(slot, stream, state=draw(st.sampled_from([None, StreamState.UNKNOWN]))))
    for slot, life in truth.lives.items():
        if slot not in truth.streams and slot not in {stream.slot for stream in streams} and some(draw, 4):
            gone = LiveStream(draw(st.integers(1, life)), StreamState.ENDED)
            streams.append(said(slot, gone))
    origin = Invitation() if truth.inbound else Dialled()
    return CallReport(
        source=draw(st.sampled_from(Source)),
        as_of=as_of,
        ref="ref",
        origin=origin if some(draw, 3) else None,
        state=told.get("state") or (draw(st.sampled_from([truth.state, None, CallState.UNKNOWN]))),
        answered=True if truth.answered and some(draw, 3) else None,
        cause=told.get("cause") or (truth.cause if some(draw) else None),
        streams=tuple(draw(st.permutations(streams))),
        streams_complete=complete,
        native={"as_of": as_of} if some(draw, 4) else None,
        **{name: getattr(truth, name) for name in draw(st.sets(st.sampled_from(FIELDS), max_size=4))},
    )


@st.composite
def histories(draw):
    """A call's true end, and the reports that told of its way there, in the order of what they tell."""
    inbound = draw(st.booleans())
    truth = Truth(inbound=inbound, state=CallState.RINGING if inbound else CallState.UNKNOWN)
    reports = [tell(draw, truth, float(as_of), change(draw, truth)) for as_of in range(1, 1 + draw(st.integers(0, 14)))]
    return truth, reports


@st.composite
def deliveries(draw):
    """A call's true end, and reports of it as a bad network delivers them: some lost, some doubled, none in order."""
    truth, reports = draw(histories())
    if not reports:
        return truth, []
    match draw(st.sampled_from(["in order", "shuffled", "any"])):
        case "in order":
            return truth, [report for report in reports if not some(draw, 4)]
        case "shuffled":
            return truth, draw(st.permutations(reports))
        case _:
            return truth, draw(st.lists(st.sampled_from(reports), max_size=2 * len(reports)))


def fold_all(reports, view=None):
    """The last view, every event, and the reports that were folded before the call was over."""
    view = view if view is not None else CallView(id="call")
    events, heard = [], []
    for report in reports:
        if not view.over:
            heard.append(report)
        view, new = fold(view, report, explain)
        events.extend(new)
    return view, events, heard


def lifecycle(events):
    """The ranks of the states that the events tell of."""
    for event in events:
        match event:
            case CallProgressed(state=state):
                yield state.rank
            case CallConnected():
                yield CallState.CONNECTED.rank
            case CallEnded():
                yield CallState.ENDED.rank
            case _:
                pass


def stream_steps(events):
    """Which stream each stream event tells of, and the rank of its state."""
    for event in events:
        match event:
            case StreamStarting(stream=stream, state=state):
                yield stream, state.rank
            case StreamActive(stream=stream):
                yield stream, StreamState.ACTIVE.rank
            case StreamEnded(stream=stream):
                yield stream, StreamState.ENDED.rank
            case _:
                pass


def strictly_rises(ranks):
    return all(earlier < later for earlier, later in pairwise(ranks))


def newest(reports, name):
    """What the newest report that says the field says."""
    saying = [report for report in reports if getattr(report, name) is not None]
    return getattr(max(saying, key=lambda report: report.as_of), name) if saying else None


def last(reports, slot, *, live, life=None):
    """When a live word (or an end, or an absence) of the slot was last true."""
    found = NEVER
    for report in reports:
        words = [word for word in report.streams if word.slot == slot and (life is None or word.life == life)]
        if any((word.state in LIVE) if live else (word.state is StreamState.ENDED) for word in words) or (
            not live and report.streams_complete and not words
        ):
            found = max(found, report.as_of)
    return found


def lives_numbered(reports, slot):
    """The life that a numbered slot has now, as the reports together prove it."""
    words = [word for report in reports for word in report.streams if word.slot == slot]
    proven = [word.life for word in words if word.state in (*LIVE, StreamState.ENDED)]
    if not proven:
        return None
    life = max(proven)
    if any(word.life == life and word.state is StreamState.ENDED for word in words):
        return None
    return life if last(reports, slot, live=True, life=life) > last(reports, slot, live=False, life=life) else None


@hunting
@given(deliveries())
def test_the_call_tells_a_legal_story(delivery):
    _, events, _ = fold_all(delivery[1])
    kinds = [type(event) for event in events]

    assert strictly_rises(lifecycle(events))
    assert kinds.count(CallIncoming) <= 1
    assert kinds.count(CallEnded) <= 1
    assert CallEnded not in kinds[:-1]
    if CallIncoming in kinds:
        before = events[: kinds.index(CallIncoming)]
        assert all(rank <= CallState.RINGING.rank for rank in lifecycle(before))
    holds = [kind for kind in kinds if kind in (CallHeld, CallResumed)]
    assert holds == [CallHeld, CallResumed] * (len(holds) // 2) + [CallHeld] * (len(holds) % 2)


@hunting
@given(deliveries())
def test_every_stream_tells_a_legal_story(delivery):
    view, events, _ = fold_all(delivery[1])
    steps = list(stream_steps(events))

    for stream_id in {stream_id for stream_id, _ in steps}:
        assert strictly_rises(rank for told, rank in steps if told == stream_id)
    for slot in SLOTS:
        open_life = None
        for stream_id, rank in steps:
            if stream_id.slot != slot:
                continue
            if rank < StreamState.ENDED.rank:
                assert open_life in (None, stream_id.life)
                open_life = stream_id.life
            elif open_life == stream_id.life:
                open_life = None
        assert open_life == next((s.id.life for s in view.live_streams if s.id.slot == slot), None)
    if view.over:
        assert not view.live_streams
        assert {s.id for s in view.streams} == {told for told, rank in steps if rank == StreamState.ENDED.rank}
        assert all(s.termination is not None and s.termination.scope is Scope.STREAM for s in view.streams)


@hunting
@given(deliveries())
def test_every_event_carries_the_call_as_its_report_left_it(delivery):
    view = CallView(id="call")
    for report in delivery[1]:
        view, events = fold(view, report, explain)

        assert all(event.call is view and event.source is report.source for event in events)


@hunting
@given(deliveries())
def test_every_field_is_what_the_newest_report_said(delivery):
    view, _, heard = fold_all(delivery[1])

    for name in (*FIELDS, "native"):
        expected = newest(heard, name)
        assert getattr(view, name) == (getattr(CallView(id="call"), name) if expected is None else expected)


@hunting
@given(deliveries())
def test_the_state_is_the_furthest_that_was_reported_or_proved(delivery):
    view, _, heard = fold_all(delivery[1])

    proved = {CallState.UNKNOWN, *(report.state for report in heard if report.state is not None)}
    if any(report.answered for report in heard):
        proved.add(CallState.CONNECTED)
    if any(isinstance(report.origin, Invitation) for report in heard):
        proved.add(CallState.RINGING)
    assert view.state is max(proved, key=lambda state: state.rank)
    assert view.reached is max(
        (state for state in proved if state.rank <= CallState.CONNECTED.rank), key=lambda state: state.rank
    )
    assert (view.answered is True) == (CallState.CONNECTED in proved)
    assert view.over == (view.state is CallState.ENDED and view.cause is not None)


@hunting
@given(deliveries())
def test_a_slot_lives_when_the_newest_word_about_it_is_a_live_one(delivery):
    view, _, heard = fold_all(delivery[1])
    if view.over:
        return

    for slot in SLOTS:
        stream = view.live_in(slot)
        if slot in NUMBERED:
            assert (stream.id.life if stream else None) == lives_numbered(heard, slot)
        else:
            assert (stream is not None) == (last(heard, slot, live=True) > last(heard, slot, live=False))


@hunting
@given(deliveries())
def test_a_numbered_stream_keeps_its_newest_name_at_any_order(delivery):
    view, _, heard = fold_all(delivery[1])

    for stream in view.streams:
        if stream.id.slot in NUMBERED:
            words = [
                (report.as_of, word.name)
                for report in heard
                for word in report.streams
                if (word.slot, word.life) == (stream.id.slot, stream.id.life) and word.name is not None
            ]
            # A word that came before the stream was known to exist told of nothing.
            assert stream.name in {name for _, name in words} | {None}
            if stream.name is not None:
                assert (stream.stamps["name"], stream.name) in words


@hunting
@given(deliveries())
def test_one_complete_read_restores_the_truth(delivery):
    truth, reports = delivery
    view, _, _ = fold_all(reports)
    was_over = view.over

    restored, _ = fold(view, truth.complete(as_of=100.0), explain)

    assert restored.state is truth.state
    if was_over or truth.cause is not None:
        assert truth.state is CallState.ENDED
        assert restored.over
        assert not restored.live_streams
        return
    assert restored.held is truth.held
    assert restored.muted is truth.muted
    live = {stream.id.slot: stream for stream in restored.live_streams}
    assert len(live) == len(restored.live_streams)
    assert set(live) == set(truth.streams)
    for slot, stream in truth.streams.items():
        if slot in NUMBERED:
            assert live[slot].id == StreamId(slot, stream.life)
            assert live[slot].state is stream.state
        else:
            # An unnumbered slot whose former life was further and whose end was lost cannot be told from that life.
            assert live[slot].state.rank >= stream.state.rank


@hunting
@given(deliveries())
def test_no_stream_is_made_up(delivery):
    truth, reports = delivery
    view, _, _ = fold_all(reports)

    for slot in SLOTS:
        lives = [stream.id.life for stream in view.streams if stream.id.slot == slot]
        assert len(lives) == len(set(lives))
        assert len(lives) <= truth.lives.get(slot, 0)
        assert max(lives, default=0) <= truth.lives.get(slot, 0)


@hunting
@given(deliveries())
def test_a_report_folded_twice_gives_no_event_the_second_time(delivery):
    view = CallView(id="call")
    for report in delivery[1]:
        view, _ = fold(view, report, explain)
        again, events = fold(view, report, explain)

        assert again == view
        assert events == ()


@hunting
@given(deliveries())
def test_folding_changes_neither_the_view_nor_the_report(delivery):
    view = CallView(id="call")
    for report in delivery[1]:
        before, told = copy.deepcopy(view), copy.deepcopy(report)
        folded, _ = fold(view, report, explain)

        assert (view, view.native) == (before, before.native)
        assert (report, report.native) == (told, told.native)
        with pytest.raises(FrozenInstanceError):
            folded.state = CallState.ENDED
        view = folded


@hunting
@given(deliveries(), st.integers(0, 14), st.sampled_from([Confidence.INFERRED, Confidence.SYNTHETIC, None]))
def test_a_concluded_call_ends_once_and_is_contradicted_at_most_once(delivery, at, confidence):
    _, reports = delivery
    view, before, heard = fold_all(reports[:at])
    was_over = view.over
    concluded, ending = conclude(view, explain, confidence=confidence)
    last_view, after, _ = fold_all(reports[at:], concluded)
    kinds = [type(event) for event in (*before, *ending, *after)]

    assert kinds.count(CallEnded) == 1
    assert set(kinds[kinds.index(CallEnded) + 1 :]) <= {EndContradicted}
    assert len(after) <= 1
    assert strictly_rises(lifecycle([*before, *ending]))
    assert concluded.over
    assert not concluded.live_streams
    assert replace(last_view, contradicted=False) == replace(concluded, contradicted=False)
    since = concluded.ended_as_of
    if since is None:
        since = max((report.as_of for report in heard), default=NEVER)
    news = [report for report in reports[at:] if report.state in PATH and report.as_of > since]
    assert bool(after) == bool(news and confidence is not None and not was_over)
