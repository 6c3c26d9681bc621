"""Documents: fetched for real, executed verb by verb; and the inbound calls that they answer."""

from __future__ import annotations

import pytest

from telco_bridge_signalwire.emulator import Switches


def response(*verbs: str) -> str:
    return f"<Response>{''.join(verbs)}</Response>"


WAIT = '<Pause length="3600"/>'


def test_a_document_that_runs_out_ends_the_call(rest, application):
    application.documents["/voice"] = response('<Pause length="2"/>')
    rest.dial()

    ended = application.wait("/status", "completed").fields
    assert ended["HangupDirection"] == "outbound"
    assert int(ended["CallDuration"]) >= 2


def test_hangup_ends_the_call_before_later_verbs(rest, application):
    application.documents["/voice"] = response("<Hangup/>", f"<Redirect>{application.url}/voice/later</Redirect>")
    rest.dial()

    application.wait("/status", "completed")
    assert application.to("/voice/later") == []


def test_speaking_takes_time(rest, application):
    application.documents["/voice"] = response(f"<Say loop='2'>{'word ' * 12}</Say>")
    rest.dial()

    assert int(application.wait("/status", "completed").fields["CallDuration"]) >= 7


def test_redirect_runs_another_document_relative_to_the_first(rest, application):
    application.documents["/voice"] = response('<Redirect method="GET">voice/next?step=2</Redirect>')
    rest.dial()

    hook = application.wait("/voice/next")
    assert (hook.method, hook.fields["step"]) == ("GET", "2")
    assert hook.fields["CallStatus"] == "in-progress"


def test_an_unknown_verb_is_skipped(rest, application):
    application.documents["/voice"] = response("<Sing/>", f"<Redirect>{application.url}/voice/next</Redirect>")
    rest.dial()

    application.wait("/voice/next")
    assert rest.emulator.wire.records(containing="dashboard 13750")


def test_a_failing_document_is_replaced_by_the_fallback(rest, application):
    application.statuses["/voice"] = [500]
    sid = rest.dial(FallbackUrl=f"{application.url}/voice/fallback", FallbackMethod="GET")

    assert application.wait("/voice/fallback").method == "GET"
    assert len(application.to("/voice")) == 1
    assert rest.call(sid)["status"] == "in-progress"


@pytest.mark.parametrize(
    ("document", "code"),
    [
        (" <Response/>", "12100"),
        ("<Response>", "12100"),
        ("<Answer/>", "12100"),
        ("<!DOCTYPE x><Response/>", "12100"),
        (f"<Response>{' ' * 66000}</Response>", "11750"),
    ],
)
def test_a_bad_document_ends_the_call(rest, application, document, code):
    application.documents["/voice"] = document
    rest.dial()

    assert application.wait("/status", "completed").fields["HangupDirection"] == "outbound"
    assert rest.emulator.wire.records(containing=f"dashboard {code}")


def test_a_document_must_be_xml_by_its_type(rest, application):
    application.content_type = "application/json"
    rest.dial()

    application.wait("/status", "completed")
    assert rest.emulator.wire.records(containing="dashboard 12300")


def test_an_unreachable_document_ends_the_call(rest, application):
    rest.dial(Url="http://127.0.0.1:9/voice")

    application.wait("/status", "completed")
    assert rest.emulator.wire.records(containing="dashboard 11200")


@pytest.mark.parametrize("name", ["Laml", "Twiml"])
def test_a_document_may_be_given_inline(rest, application, name):
    sid = rest.dial(Url=None, **{name: response(WAIT)})
    application.wait("/status", "in-progress")

    assert rest.call(sid)["status"] == "in-progress"


def test_inline_documents_can_be_switched_off(rest_with):
    rest = rest_with(switches=Switches(inline_documents=False))

    assert rest.post("Calls", **rest.order(Url=None, Laml=response(WAIT))).json()["code"] == 21205


def test_an_update_abandons_the_running_document(rest, application):
    sid = rest.answered()
    answer = rest.post(f"Calls/{sid}", Url=f"{application.url}/voice/next", Method="GET")

    assert (answer.status_code, answer.json()["status"]) == (200, "in-progress")
    assert application.wait("/voice/next").method == "GET"
    assert rest.call(sid)["status"] == "in-progress"


def test_an_update_to_hangup_completes_the_call(rest, application):
    sid = rest.answered()
    rest.post(f"Calls/{sid}", Twiml=response("<Hangup/>"))

    application.wait("/status", "completed")


def test_an_inbound_call_is_answered_by_its_document(rest, application, network):
    rest.emulator.own("+15550000001", voice_url=f"{application.url}/voice/in", voice_method="GET")
    leg = network.call_in(caller="+15550188", callee="+15550000001")

    hook = application.wait("/voice/in")
    assert (hook.method, hook.fields["Direction"], hook.fields["CallStatus"]) == ("GET", "inbound", "ringing")
    call = rest.call(hook.fields["CallSid"])
    assert (call["direction"], call["from"], call["to"]) == ("inbound", "+15550188", "+15550000001")
    assert call["phone_number_sid"] is not None
    # The document is a bare pause, which does not answer.
    assert call["status"] == "ringing"
    assert not leg.answered


def test_a_verb_that_speaks_answers_the_inbound_call(rest, application, network):
    application.documents["/voice/in"] = response("<Say>Hi</Say>", f"<Redirect>{application.url}/voice/2</Redirect>")
    rest.emulator.own("+15550000001", voice_url=f"{application.url}/voice/in")
    leg = network.call_in(caller="+15550188", callee="+15550000001")

    assert application.wait("/voice/2").fields["CallStatus"] == "in-progress"
    assert leg.answered


@pytest.mark.parametrize(
    ("verb", "status", "sip"), [("<Reject/>", "no-answer", 603), ('<Reject reason="busy"/>', "busy", 486)]
)
def test_reject_refuses_the_inbound_call(rest, application, network, verb, status, sip):
    application.documents["/voice/in"] = response(verb)
    rest.emulator.own(
        "+15550000009", voice_url=f"{application.url}/voice/in", status_callback=f"{application.url}/number"
    )
    leg = network.call_in(caller="+15550188", callee="+15550000009")
    sid = application.wait("/voice/in").fields["CallSid"]
    # A later call proves that nothing more comes of the first: its document is fetched after that one's end.
    application.documents["/voice/in"] = response("<Hangup/>")
    network.call_in(caller="+15550189", callee="+15550000009")

    told = application.wait("/number", "completed").fields
    assert told["From"] == "+15550189"
    assert application.words("/number") == ["completed"]
    assert rest.call(sid)["status"] == status
    assert leg.clearing is not None
    assert leg.clearing.sip == sip
    assert not leg.answered


def test_the_callback_of_a_number_is_told_of_completed_calls_in_few_fields(rest, application, network):
    application.documents["/voice/in"] = response("<Say>Bye</Say>")
    rest.emulator.own(
        "+15550000009", voice_url=f"{application.url}/voice/in", status_callback=f"{application.url}/number"
    )
    network.call_in(caller="+15550188", callee="+15550000009")

    assert application.wait("/number", "completed").fields.keys() == {
        *("CallSid", "AccountSid", "From", "To", "Timestamp", "CallStatus", "CallDuration"),
    }


def test_an_inbound_call_without_a_document_fails(rest, application, network):
    application.statuses["/voice/in"] = [500]
    rest.emulator.own(
        "+15550000009", voice_url=f"{application.url}/voice/in", status_callback=f"{application.url}/number"
    )
    network.call_in(caller="+15550188", callee="+15550000009")

    application.wait("/number", "failed")
