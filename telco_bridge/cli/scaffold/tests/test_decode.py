"""Payloads and what they say, without a network."""

from __future__ import annotations

import json

import pytest

from telco_bridge.provider import CallReport, CallState, Dialled, Party, Source
from telco_bridge_acme import wire
from telco_bridge_acme.decode import decode_call

UP = {
    "id": "call-1",
    "token": "t",
    "direction": "out",
    "from": "+15550100001",
    "to": "+15550100",
    "status": "up",
    "answered": True,
    "ended": None,
}


def decoded(**changes: object) -> CallReport:
    """What a call says that differs from an ordinary one."""
    call = wire.read(wire.CallResource, json.dumps({**UP, **changes}).encode())
    return decode_call(call, source=Source.READ, as_of=1.0)


def test_a_call_says_what_it_is() -> None:
    report = decoded()

    assert (report.ref, report.command_id, report.origin) == ("call-1", "t", Dialled())
    assert (report.state, report.answered, report.cause) == (CallState.CONNECTED, True, None)
    assert (report.local, report.remote) == (Party("+15550100001"), Party("+15550100"))


def test_an_end_keeps_its_words() -> None:
    report = decoded(status="over", answered=False, ended={"sip": 486, "phrase": "Busy Here", "by": "far"})

    assert (report.state, report.answered) == (CallState.ENDED, False)
    assert report.cause is not None
    assert (report.cause.sip, report.cause.text, report.cause.detail) == (486, "Busy Here", {"by": "far"})


def test_a_word_that_nobody_knows_is_kept_and_not_guessed_at() -> None:
    report = decoded(status="levitating", answered=False, colour="red")

    assert (report.state, report.native_state, report.answered) == (CallState.UNKNOWN, "levitating", None)
    assert report.native is not None
    assert report.native["colour"] == "red"


def test_an_event_that_cannot_be_read_does_not_stop_the_others() -> None:
    body = json.dumps({"events": [{"n": 1, "call": {}}, {"n": 2, "call": UP}], "last": 2}).encode()

    page = wire.read(wire.EventPage, body)

    assert [event and event.n for event in page.events] == [None, 2]


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"{}", b'{"id": "", "status": "up"}'])
def test_what_is_no_call_is_unreadable(body: bytes) -> None:
    with pytest.raises(wire.Unreadable):
        wire.read(wire.CallResource, body)
