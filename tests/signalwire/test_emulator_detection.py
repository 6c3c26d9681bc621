"""Answering machine detection: people and machines, before the document and in the background."""

from __future__ import annotations

import pytest

from telco_bridge_signalwire.emulator import Switches

PERSON, MACHINE = "+15550100", "+15550106"


@pytest.fixture
def rest(rest_with):
    return rest_with(switches=Switches(machines=frozenset({MACHINE})))


@pytest.mark.parametrize(
    ("to", "wanted", "word", "shown"),
    [
        (PERSON, "Enable", "human", "human"),
        (MACHINE, "Enable", "machine_start", "machine"),
        (PERSON, "DetectMessageEnd", "human", "human"),
        (MACHINE, "DetectMessageEnd", "machine_end_beep", "machine"),
    ],
)
def test_the_document_is_asked_for_when_it_is_known_who_answered(rest, application, to, wanted, word, shown):
    call = rest.dial(to, MachineDetection=wanted)
    asked = application.wait("/voice").fields
    rest.post(f"Calls/{call}", Status="completed")

    assert asked["AnsweredBy"] == word
    assert rest.call(call)["answered_by"] == shown
    assert application.wait("/status", "completed").fields["AnsweredBy"] == word


def test_what_takes_too_long_is_unknown(rest, application):
    call = rest.dial(MACHINE, MachineDetection="DetectMessageEnd", MachineDetectionTimeout=1)

    assert application.wait("/voice").fields["AnsweredBy"] == "unknown"
    assert rest.call(call)["answered_by"] is None


def test_nobody_is_told_of_what_nobody_asked_for(rest, application):
    call = rest.answered(PERSON, MachineDetection="none", MachineDetectionTimeout=1)

    assert "AnsweredBy" not in application.wait("/voice").fields
    assert rest.call(call)["answered_by"] is None


def test_the_document_does_not_wait_for_what_is_found_in_the_background(rest, application):
    call = rest.dial(
        MACHINE,
        MachineDetection="Enable",
        AsyncAmd="true",
        AsyncAmdStatusCallback=f"{application.url}/amd",
        MachineDetectionSpeechThreshold=6000,
    )
    told = application.wait("/amd").fields
    (asked,) = application.to("/voice")

    assert "AnsweredBy" not in asked.fields
    assert told == {
        "CallSid": call,
        "AccountSid": rest.emulator.project,
        "AnsweredBy": "machine_start",
        "MachineDetectionDuration": "6000",
    }
    assert rest.call(call)["answered_by"] == "machine"


def test_nothing_is_found_of_a_call_that_has_ended(rest, application):
    call = rest.answered(
        MACHINE,
        MachineDetection="DetectMessageEnd",
        AsyncAmd="true",
        AsyncAmdStatusCallback=f"{application.url}/amd",
        MachineDetectionTimeout=120,
        MachineDetectionSpeechThreshold=6000,
    )
    rest.post(f"Calls/{call}", Status="completed")
    application.wait("/status", "completed")
    later = rest.dial("+15550104")
    application.wait("/status", "completed", count=2)

    assert rest.call(later)["status"] == "completed"
    assert application.to("/amd") == []
    assert rest.call(call)["answered_by"] is None


def test_a_call_that_is_redirected_is_not_examined_again(rest, application):
    call = rest.dial(PERSON, MachineDetection="Enable")
    application.wait("/voice")
    rest.post(f"Calls/{call}", Url=f"{application.url}/voice/again")

    assert application.wait("/voice/again").fields["AnsweredBy"] == "human"
