"""Gather, in documents that the official `twilio` builder writes: keys, prompts that a key interrupts, and silence."""

from __future__ import annotations

import pytest
from twilio.twiml.voice_response import Gather, VoiceResponse

WAIT = 3600


def document(*, say: str = "", then: str | None = None, **options) -> str:
    """A document that gathers into `/voice/keys`, and goes elsewhere where nothing was pressed."""
    response = VoiceResponse()
    gather = Gather(action="/voice/keys", **options)
    if say:
        gather.say(say)
    response.append(gather)
    if then is not None:
        response.redirect(then)
    return str(response)


def far_leg(network):
    """The only call that is up."""
    (leg,) = network.legs.values()
    return leg


def press(network, keys: str) -> None:
    leg = far_leg(network)
    for key in keys:
        leg.press(key, by=leg.far)


def gathering(rest, application, document: str) -> str:
    """Dial, and return when the document is being executed."""
    application.documents["/voice"] = document
    sid = rest.answered()
    assert rest.emulator.wire.wait_for("POST document")
    return sid


def test_so_many_keys_as_are_wanted_go_to_the_action(rest, application, network):
    sid = gathering(rest, application, document(num_digits=3, timeout=600))
    press(network, "407")
    fields = application.wait("/voice/keys").fields

    assert (fields["Digits"], fields["CallSid"], fields["CallStatus"]) == ("407", sid, "in-progress")
    assert application.to("/voice/keys")[0].method == "POST"


@pytest.mark.parametrize(("finish", "pressed"), [(None, "12#"), ("*", "12*"), ("", "12")])
def test_a_key_that_finishes_is_not_told(rest, application, network, finish, pressed):
    options = {} if finish is None else {"finish_on_key": finish}
    gathering(rest, application, document(timeout=4, **options))
    press(network, pressed)

    assert application.wait("/voice/keys").fields["Digits"] == "12"


def test_without_a_finishing_key_every_key_is_collected(rest, application, network):
    gathering(rest, application, document(num_digits=3, finish_on_key="", timeout=600))
    press(network, "1#*")

    assert application.wait("/voice/keys").fields["Digits"] == "1#*"


def test_silence_goes_on_with_the_next_verb(rest, application):
    gathering(rest, application, document(timeout=2, then="/voice/none"))

    assert "Digits" not in application.wait("/voice/none").fields
    assert application.to("/voice/keys") == []


def test_silence_is_told_where_that_is_wanted(rest, application):
    gathering(rest, application, document(timeout=2, action_on_empty_result=True, then="/voice/none"))

    assert application.wait("/voice/keys").fields["Digits"] == ""


def test_the_first_key_interrupts_the_prompt(rest, application, network):
    # This would be spoken for an hour and more.
    gathering(rest, application, document(say="word " * 12, num_digits=1, timeout=2, then="/voice/none"))
    press(network, "5")

    assert application.wait("/voice/keys").fields["Digits"] == "5"


def test_the_time_for_the_first_key_begins_after_the_prompt(rest, application, network):
    started = network.now()
    gathering(rest, application, document(say="x" * 300, timeout=1, then="/voice/none"))
    application.wait("/voice/none")

    assert network.now() - started > 20


def test_without_an_action_the_document_itself_is_asked_again(rest, application, network):
    response = VoiceResponse()
    response.gather(num_digits=1, timeout=600)
    gathering(rest, application, str(response))
    application.documents["/voice"] = f'<Response><Pause length="{WAIT}"/></Response>'
    press(network, "9")
    application.wait("/voice", count=2)

    assert [hook.fields.get("Digits") for hook in application.to("/voice")] == [None, "9"]


@pytest.mark.parametrize("action", ["http://[bad", "ftp://example.net/keys"])
def test_an_address_that_cannot_be_used_is_noted_and_the_next_verb_goes_on(rest, application, network, action):
    response = f'<Response><Gather action="{action}" numDigits="1"/><Redirect>/voice/next</Redirect></Response>'
    gathering(rest, application, response)
    press(network, "1")

    application.wait("/voice/next")
    assert rest.emulator.wire.records(containing="dashboard 11200")


def test_an_unknown_verb_inside_is_skipped(rest, application):
    nested = '<Response><Gather timeout="1"><Dial>+15550100</Dial></Gather><Redirect>/voice/next</Redirect></Response>'
    application.documents["/voice"] = nested
    rest.dial()
    application.wait("/voice/next")

    assert rest.emulator.wire.records(containing="dashboard 13750")
    assert len(rest.get("Calls").json()["calls"]) == 1


def test_speech_alone_is_never_understood(rest, application, network):
    gathering(rest, application, document(input="speech", timeout=2, then="/voice/none"))
    press(network, "5")

    application.wait("/voice/none")
    assert application.to("/voice/keys") == []
