"""Dial and Refer: other parties are called by a document, and the document learns what became of it."""

from __future__ import annotations

import pytest
from twilio.twiml.voice_response import Dial, Refer, VoiceResponse

ANSWERS, BUSY, DECLINES, SILENT, HANGS_UP = "+15550100", "+15550101", "+15550102", "+15550103", "+15550104"
WAIT = '<Response><Pause length="3600"/></Response>'


def dialling(*numbers: str, number: dict | None = None, **options) -> str:
    """A document that dials the numbers, and asks `/voice/after` what next."""
    response, dial = VoiceResponse(), Dial(action="/voice/after", **options)
    for to in numbers:
        dial.number(to, **(number or {}))
    response.append(dial)
    return str(response)


def children(rest, parent: str, **filters) -> list[dict]:
    return rest.get("Calls", ParentCallSid=parent, **filters).json()["calls"]


def bridged(rest, application, document: str, **callback) -> tuple[str, dict]:
    """Dial with a document that dials `HANGS_UP` or `ANSWERS`; return the call and its child, once they talk."""
    application.documents["/voice"] = document
    parent = rest.answered()
    application.wait("/child", "in-progress")
    (child,) = children(rest, parent)
    return parent, child


def told(application, *events: str) -> dict:
    return {
        "status_callback": f"{application.url}/child",
        "status_callback_event": " ".join(events or ("initiated", "ringing", "answered", "completed")),
    }


def leg_of(network, callee: str):
    return next(leg for leg in network.legs.values() if leg.callee == callee)


def test_the_child_is_a_call_of_its_own(rest, application):
    parent, child = bridged(rest, application, dialling("+15550106", number=told(application)))

    assert (child["parent_call_sid"], child["status"], child["direction"]) == (parent, "in-progress", "outbound")
    assert (child["from"], child["to"]) == ("+15550000001", "+15550106")
    assert rest.call(child["sid"]) == child
    first = application.to("/child")[0].fields
    assert (first["Direction"], first["ParentCallSid"], first["CallSid"]) == ("outbound-dial", parent, child["sid"])
    assert application.words("/child") == ["initiated", "ringing", "in-progress"]


def test_the_document_goes_on_when_the_child_has_hung_up(rest, application):
    parent, child = bridged(rest, application, dialling(HANGS_UP, number=told(application)))
    fields = application.wait("/voice/after").fields

    assert (fields["DialCallStatus"], fields["DialCallSid"]) == ("completed", child["sid"])
    assert int(fields["DialCallDuration"]) in {1, 2, 3}
    assert fields["CallSid"] == parent
    assert rest.call(parent)["status"] == "in-progress"


def test_without_an_action_the_next_verb_goes_on(rest, application):
    application.documents["/voice"] = f"<Response><Dial>{HANGS_UP}</Dial><Redirect>/voice/next</Redirect></Response>"
    rest.answered()

    assert "DialCallStatus" not in application.wait("/voice/next").fields


@pytest.mark.parametrize(
    ("to", "status"), [(BUSY, "busy"), (DECLINES, "no-answer"), (SILENT, "no-answer"), ("+15550105", "failed")]
)
def test_a_failure_is_told_by_its_status(rest, application, to, status):
    application.documents["/voice"] = dialling(to, timeout=6)
    rest.answered()

    assert application.wait("/voice/after").fields["DialCallStatus"] == status


def test_the_first_to_answer_wins(rest, application):
    application.documents["/voice"] = dialling(BUSY, ANSWERS, SILENT, number=told(application, "answered", "completed"))
    parent = rest.answered()
    application.wait("/child", "in-progress")
    application.wait("/child", "canceled")

    statuses = {call["to"]: call["status"] for call in children(rest, parent)}
    assert statuses == {BUSY: "busy", ANSWERS: "in-progress", SILENT: "canceled"}


def test_the_child_ends_with_its_parent(rest, application, network):
    parent, _ = bridged(rest, application, dialling("+15550106", number=told(application)))
    far = leg_of(network, ANSWERS)
    far.hang_up(by=far.far)

    ended = application.wait("/child", "completed").fields
    assert ended["HangupDirection"] == "outbound"
    assert rest.call(parent)["status"] == "completed"
    assert network.legs == {}


def test_a_child_that_rings_is_cancelled_with_its_parent(rest, application):
    application.documents["/voice"] = dialling(SILENT, number=told(application))
    parent = rest.answered()
    application.wait("/child", "ringing")
    rest.post(f"Calls/{parent}", Status="completed")

    application.wait("/child", "canceled")


def test_a_redirected_parent_leaves_its_child_behind(rest, application):
    parent, _ = bridged(rest, application, dialling("+15550106", number=told(application)))
    rest.post(f"Calls/{parent}", Url=f"{application.url}/voice/elsewhere")

    application.wait("/voice/elsewhere")
    application.wait("/child", "completed")
    assert rest.call(parent)["status"] == "in-progress"


def test_a_child_with_a_document_of_its_own_goes_its_own_way(rest, application):
    _, child = bridged(rest, application, dialling("+15550106", number=told(application)))
    rest.post(f"Calls/{child['sid']}", Url=f"{application.url}/voice/child")

    assert application.wait("/voice/child").fields["CallSid"] == child["sid"]
    assert application.wait("/voice/after").fields["DialCallStatus"] == "answered"
    assert rest.call(child["sid"])["status"] == "in-progress"


def test_the_time_limit_ends_the_connection(rest, application):
    bridged(rest, application, dialling("+15550106", number=told(application), time_limit=3))

    fields = application.wait("/voice/after").fields
    assert (fields["DialCallStatus"], fields["DialCallDuration"]) == ("completed", "3")
    application.wait("/child", "completed")


def test_a_star_ends_the_connection_where_that_is_wanted(rest, application, network):
    bridged(rest, application, dialling("+15550106", number=told(application), hangup_on_star=True))
    leg = leg_of(network, ANSWERS)
    leg.press("1", by=leg.far)
    # A star that comes before they are connected means nothing, so it is pressed until it does.
    with application.changed:
        while not application.to("/voice/after"):
            leg.press("*", by=leg.far)
            application.changed.wait(0.1)

    assert application.wait("/voice/after").fields["DialCallStatus"] == "completed"


def test_the_called_party_hears_a_document_before_it_is_connected(rest, application, network):
    response = VoiceResponse()
    response.say("Somebody calls you")
    application.documents["/whisper"] = str(response)
    options = told(application) | {"url": "/whisper", "send_digits": "w12"}
    parent, child = bridged(rest, application, dialling("+15550106", number=options))
    hook = application.wait("/whisper")

    assert (hook.fields["CallSid"], hook.fields["ParentCallSid"]) == (child["sid"], parent)
    leg = leg_of(network, "+15550106")
    assert [key for side, key in leg.digits if side is leg.ours] == ["1", "2"]
    assert rest.call(child["sid"])["status"] == "in-progress"


def test_a_whisper_can_refuse_the_connection(rest, application):
    application.documents["/whisper"] = "<Response><Hangup/></Response>"
    application.documents["/voice"] = dialling("+15550106", number={"url": "/whisper"})
    parent = rest.answered()

    assert application.wait("/voice/after").fields["DialCallStatus"] == "completed"
    assert rest.call(parent)["status"] == "in-progress"


def test_the_caller_is_shown_as_wanted(rest, application, network):
    bridged(rest, application, dialling("+15550106", caller_id="+15557654321", number=told(application)))

    assert leg_of(network, "+15550106").caller == "+15557654321"


@pytest.mark.parametrize("late", [True, False])
def test_an_inbound_call_is_answered_when_the_dialled_party_is(rest, application, network, late):
    application.documents["/voice/in"] = dialling(SILENT, answer_on_bridge=late, number=told(application), timeout=5)
    application.documents["/voice/after"] = dialling(ANSWERS, answer_on_bridge=late, number=told(application))
    rest.emulator.own("+15550000009", voice_url=f"{application.url}/voice/in")
    leg = network.call_in(caller="+15550188", callee="+15550000009")
    application.wait("/child", "ringing")

    assert leg.answered is not late
    assert application.wait("/voice/after").fields["CallStatus"] == ("ringing" if late else "in-progress")
    sid = application.wait("/child", "in-progress").fields["ParentCallSid"]
    # The child is answered a moment before they are connected.
    assert any(rest.call(sid)["status"] == "in-progress" for _ in range(1000))
    assert leg.answered


def test_a_sip_party_tells_of_its_answer(rest, application):
    response, dial = VoiceResponse(), Dial(action="/voice/after")
    dial.sip("sip:hangup@sandbox.test?X-Tenant=blue")
    response.append(dial)
    application.documents["/voice"] = str(response)
    rest.answered()
    fields = application.wait("/voice/after").fields

    assert (fields["DialCallStatus"], fields["DialSipResponseCode"]) == ("completed", "200")
    assert fields["DialSipCallId"]


def test_nouns_that_are_not_known_are_skipped(rest, application):
    application.documents["/voice"] = '<Response><Dial action="/voice/after"><Verto>x@y</Verto></Dial></Response>'
    rest.answered()

    assert application.wait("/voice/after").fields["DialCallStatus"] == "failed"
    assert rest.emulator.wire.records(containing="dashboard 13750")


def referring(to: str) -> str:
    response, refer = VoiceResponse(), Refer(action="/voice/after", method="GET")
    refer.sip(to)
    response.append(refer)
    return str(response)


@pytest.mark.parametrize(
    ("to", "status", "sip"),
    [
        ("sip:answer@sandbox.test", "in-progress", "200"),
        ("sip:busy@sandbox.test", "busy", "486"),
        ("sip:decline@sandbox.test", "no-answer", "603"),
        ("sip:nobody@sandbox.test", "failed", "404"),
    ],
)
def test_a_sip_call_is_referred(rest, application, to, status, sip):
    application.documents["/voice"] = referring(to)
    sid = rest.answered("sip:answer@sandbox.test")
    hook = application.wait("/voice/after")

    assert (hook.method, hook.fields["ReferCallStatus"]) == ("GET", status)
    assert (hook.fields["ReferSipResponseCode"], hook.fields["NotifySipResponseCode"]) == ("202", sip)
    if status == "in-progress":
        assert application.wait("/status", "completed").fields["HangupDirection"] == "inbound"
    else:
        assert rest.call(sid)["status"] == "in-progress"


def test_a_call_that_is_no_sip_call_cannot_be_referred(rest, application):
    application.documents["/voice"] = referring("sip:answer@sandbox.test").replace(
        "</Response>", "<Redirect>/voice/next</Redirect></Response>"
    )
    rest.answered()

    application.wait("/voice/next")
    assert rest.emulator.wire.records(containing="dashboard 13801")
    assert application.to("/voice/after") == []


def test_a_target_is_needed_for_a_referral(rest, application):
    application.documents["/voice"] = "<Response><Refer/><Redirect>/voice/next</Redirect></Response>"
    rest.answered("sip:answer@sandbox.test")

    application.wait("/voice/next")
    assert rest.emulator.wire.records(containing="dashboard 13750")


def test_a_target_that_never_answers_leaves_the_call_as_it_is(rest, application, network):
    network.no_answer_after = 3.0
    application.documents["/voice"] = (
        referring("sip:silent@sandbox.test")
        .replace('action="/voice/after" ', "")
        .replace("</Response>", "<Redirect>/voice/next</Redirect></Response>")
    )
    rest.answered("sip:answer@sandbox.test")

    assert application.wait("/voice/next").fields["CallStatus"] == "in-progress"


def test_keys_of_the_order_are_pressed_after_the_answer(rest, network):
    rest.answered(SendDigits="1wW#")

    leg = leg_of(network, ANSWERS)
    assert [key for side, key in leg.digits if side is leg.ours] == ["1", "#"]
