"""Callbacks lost, doubled and disordered: with one truthful read at the end, the truth is what remains."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from telco_bridge.events import CallConnected, CallEnded, CallEvent
from telco_bridge.provider import CallState, CallView, Dialled, Source, TerminationReason
from telco_bridge.transitions import conclude, fold
from telco_bridge_laml.decode import decode_call, decode_status
from telco_bridge_laml.wire import CallResource, StatusCallback, read_callback
from telco_bridge_signalwire.reasons import explain

R = TerminationReason


@dataclass(frozen=True)
class Truth:
    """How a call went: what its callbacks said, in order, and why it ended."""

    statuses: tuple[str, ...]
    sip: str | None
    hangup: str | None
    reason: TerminationReason

    @property
    def answered(self) -> bool:
        return "in-progress" in self.statuses


TRUTHS = [
    Truth(("initiated", "ringing", "in-progress", "completed"), "200", "inbound", R.NORMAL),
    Truth(("initiated", "ringing", "in-progress", "completed"), "200", "outbound", R.NORMAL),
    Truth(("initiated", "in-progress", "completed"), "200", None, R.NORMAL),
    Truth(("initiated", "busy"), "486", "inbound", R.BUSY),
    Truth(("initiated", "ringing", "busy"), "600", "inbound", R.BUSY),
    Truth(("initiated", "ringing", "no-answer"), "487", "outbound", R.NO_ANSWER),
    Truth(("initiated", "ringing", "no-answer"), "603", "inbound", R.REJECTED),
    Truth(("initiated", "failed"), "404", "inbound", R.UNALLOCATED_NUMBER),
    Truth(("initiated", "failed"), "503", "inbound", R.CONGESTION),
    Truth(("canceled",), "487", "outbound", R.CANCELLED),
]


def told(truth: Truth, index: int) -> StatusCallback:
    status = truth.statuses[index]
    fields = {"CallSid": "C", "CallStatus": status, "Direction": "outbound-api", "To": "+1555", "From": "+1556"}
    if index == len(truth.statuses) - 1:
        ends = {"SipResultCode": truth.sip, "HangupDirection": truth.hangup}
        fields |= {name: value for name, value in ends.items() if value is not None}
    return read_callback(StatusCallback, tuple(fields.items()))


def shown(truth: Truth) -> CallResource:
    resource = {"sid": "C", "status": truth.statuses[-1], "direction": "outbound", "sip_result_code": truth.sip}
    return CallResource.model_validate(resource)


@st.composite
def weather(draw: st.DrawFn) -> tuple[Truth, list[int], int]:
    """A call, which of its callbacks arrive in which order and how often, and when somebody looks."""
    truth = draw(st.sampled_from(TRUTHS))
    arrived = draw(st.lists(st.integers(0, len(truth.statuses) - 1), max_size=12))
    return truth, arrived, draw(st.integers(0, len(arrived)))


@given(weather())
def test_whatever_arrives_the_call_ends_once_and_for_the_right_reason(drawn: tuple[Truth, list[int], int]) -> None:
    truth, arrived, looked = drawn
    view, events = CallView(id="call"), list[CallEvent]()

    def take(report) -> None:
        nonlocal view
        view, made = fold(view, report, explain)
        events.extend(made)

    for at, index in enumerate(arrived):
        if at == looked:
            take(decode_call(shown(truth), source=Source.READ, as_of=at + 0.5))
        take(decode_status(told(truth, index), as_of=float(at), call_id="call"))
    take(decode_call(shown(truth), source=Source.READ, as_of=100.0))
    view, made = conclude(view, explain)
    events.extend(made)

    assert view.state is CallState.ENDED
    assert view.termination is not None
    assert view.termination.reason is truth.reason
    assert [event.name for event in events].count("CallEnded") == 1
    assert isinstance(events[-1], CallEnded)
    connected = [event for event in events if isinstance(event, CallConnected)]
    assert len(connected) == (1 if truth.answered else 0)


@given(weather())
def test_a_callback_never_opens_a_call_of_its_own(drawn: tuple[Truth, list[int], int]) -> None:
    truth, arrived, _ = drawn

    for index in arrived:
        report = decode_status(told(truth, index), as_of=0.0, call_id=None)
        assert report.origin == Dialled()
