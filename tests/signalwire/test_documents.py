"""Documents: well-formed whatever is in them, as an XML parser and the official builder read them."""

from __future__ import annotations

from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twilio.twiml.voice_response import Dial, Gather, VoiceResponse

from telco_bridge_laml import documents
from telco_bridge_laml.documents import RejectReason, Verb, document

_SPEAKABLE = st.characters(exclude_categories=("Cs", "Cc"), exclude_characters="\ufffe\uffff")


def parsed(*verbs: Verb) -> ET.Element:
    return ET.fromstring(document(*verbs))


def same(ours: Verb, theirs: VoiceResponse) -> bool:
    return ET.canonicalize(document(ours).decode()) == ET.canonicalize(str(theirs))


def test_a_document_says_what_the_official_builder_says() -> None:
    said = VoiceResponse()
    said.say("Hello & goodbye", language="en-GB", voice="man")
    assert same(documents.say("Hello & goodbye", language="en-GB", voice="man"), said)

    played = VoiceResponse()
    played.play("https://a.example/x.wav?a=1&b=2", loop=3)
    assert same(documents.play("https://a.example/x.wav?a=1&b=2", times=3), played)

    digits = VoiceResponse()
    digits.play(digits="1w2")
    assert same(documents.play_digits("1w2"), digits)

    rejected = VoiceResponse()
    rejected.reject(reason="busy")
    assert same(documents.reject(RejectReason.BUSY), rejected)

    gathered = VoiceResponse()
    gathered.append(Gather(input="dtmf", finish_on_key="", timeout=1, action="https://a.example/k?x=1&y=2"))
    assert same(documents.gather_digits("https://a.example/k?x=1&y=2", seconds=1), gathered)


def test_somebody_else_is_dialled_as_the_official_builder_dials() -> None:
    theirs = VoiceResponse()
    dialled = Dial(action="https://a.example/over", answer_on_bridge=True, caller_id="+15550100001", timeout=20)
    dialled.number("+15550100002", status_callback="https://a.example/st", status_callback_event="answered")
    theirs.append(dialled)

    ours = documents.dial(
        "+15550100002",
        action="https://a.example/over",
        callback="https://a.example/st",
        caller_id="+15550100001",
        ring_seconds=20,
    )

    assert same(ours, theirs)


@pytest.mark.parametrize(("to", "noun"), [("+15550100002", "Number"), ("sip:a@b.example", "Sip"), ("SIP:a@b", "Sip")])
def test_an_address_is_dialled_by_its_kind(to: str, noun: str) -> None:
    (verb,) = parsed(documents.dial(to, action="a", callback="b"))

    assert [child.tag for child in verb] == [noun]
    assert verb[0].text == to
    assert "callerId" not in verb.attrib


def test_a_document_begins_at_once() -> None:
    # SignalWire documents that white space before the document is an error.
    assert document().startswith(b"<?xml")
    assert [verb.tag for verb in parsed(documents.pause(60), documents.hangup())] == ["Pause", "Hangup"]


@given(st.text(_SPEAKABLE, min_size=1), st.text(_SPEAKABLE))
def test_what_is_said_arrives_unchanged(text: str, voice: str) -> None:
    (verb,) = parsed(documents.say(text, voice=voice))

    assert (verb.text or "").splitlines() == text.splitlines()
    assert verb.attrib["voice"].split() == voice.split()


@given(st.text(), st.text())
def test_a_document_is_well_formed_whatever_is_in_it(text: str, name: str) -> None:
    (spoken, joined) = parsed(documents.say(text), documents.conference(name, action=text))

    assert list(spoken) == []
    assert [noun.tag for noun in joined] == ["Conference"]
