"""Calls of the emulated API: creation, life, end."""

from __future__ import annotations

import pytest

from telco_bridge.sandbox.exchange import Side
from telco_bridge.sandbox.numbers import Behaviour
from telco_bridge_signalwire.emulator import Switches

DOCUMENTED_FIELDS = {
    *("sid", "account_sid", "date_created", "date_updated", "parent_call_sid", "to", "formatted_to", "to_formatted"),
    *("from", "formatted_from", "from_formatted", "phone_number_sid", "status", "start_time", "end_time", "duration"),
    *("price", "price_unit", "direction", "answered_by", "api_version", "forwarded_from", "caller_name", "uri"),
    *("subresource_uris", "annotation", "group_sid", "audio_in_mos", "sip_result_code", "audio_rtt_avg"),
    *("audio_rtt_min", "audio_rtt_max", "audio_out_jitter_min", "audio_out_jitter_max", "audio_out_jitter_avg"),
    "audio_out_lost",
}


def test_a_created_call_is_queued_and_complete(rest):
    answer = rest.post("Calls", **rest.order())

    call = answer.json()
    assert answer.status_code == 200
    assert call.keys() == DOCUMENTED_FIELDS
    assert (call["status"], call["direction"], call["duration"], call["price"]) == ("queued", "outbound", 0, None)
    assert call["uri"] == f"{rest.base}/Calls/{call['sid']}.json"
    assert call["date_created"].endswith(" +0000")
    assert call["start_time"] is None


def test_an_answered_call_goes_through_every_state_in_callbacks(rest, application):
    sid = rest.answered()

    assert application.words() == ["initiated", "ringing", "in-progress"]
    assert [hook.fields["SequenceNumber"] for hook in application.to("/status")] == ["0", "1", "2"]
    assert {hook.fields["Direction"] for hook in application.to("/status")} == {"outbound-api"}
    assert application.to("/status")[0].fields["CallSid"] == sid
    assert rest.call(sid)["status"] == "in-progress"
    assert application.to("/voice")[0].fields["CallStatus"] == "in-progress"


@pytest.mark.parametrize(
    ("to", "status", "sip", "direction"),
    [
        ("+15550101", "busy", "486", "inbound"),
        ("+15550102", "no-answer", "603", "inbound"),
        ("+15550105", "failed", "404", "inbound"),
        ("sip:busy@sandbox.test", "busy", "486", "inbound"),
    ],
)
def test_a_call_that_is_not_answered_says_why(rest, application, to, status, sip, direction):
    sid = rest.dial(to)

    ended = application.wait("/status", status).fields
    assert (ended["SipResultCode"], ended["HangupDirection"], ended["HangupBy"]) == (sip, direction, to)
    assert "AudioInMos" not in ended
    call = rest.call(sid)
    assert (call["status"], call["sip_result_code"], call["duration"]) == (status, sip, 0)
    assert application.to("/voice") == []


def test_the_ring_timeout_ends_in_no_answer_by_the_caller(rest, application):
    rest.dial("+15550103", Timeout=2)

    ended = application.wait("/status", "no-answer").fields
    assert ended["SipResultCode"] == "487"
    assert (ended["HangupDirection"], ended["HangupBy"]) == ("outbound", "+15550000001")


def test_a_callee_that_answers_nothing_at_all_is_given_up_too(rest, application, network):
    network.set_behaviour("+15550177", Behaviour(what="is mute", rings_after=None))
    rest.dial("+15550177", Timeout=1)

    assert application.wait("/status", "no-answer").fields["SipResultCode"] == "487"


def test_a_remote_hang_up_is_inbound(rest, application):
    sid = rest.dial("+15550104")

    ended = application.wait("/status", "completed").fields
    assert (ended["HangupDirection"], ended["HangupBy"], ended["SipResultCode"]) == ("inbound", "+15550104", "200")
    assert int(ended["CallDuration"]) >= 1
    assert ended["AudioInMos"] == "4.5"
    assert rest.call(sid)["duration"] == int(ended["CallDuration"])


def test_completing_a_call_hangs_up_and_is_outbound(rest, application, network):
    sid = rest.answered()
    answer = rest.post(f"Calls/{sid}", Status="completed")

    assert (answer.status_code, answer.json()["status"]) == (200, "completed")
    assert application.wait("/status", "completed").fields["HangupDirection"] == "outbound"
    assert network.legs == {}


def test_a_second_hang_up_is_refused(rest):
    sid = rest.answered()
    rest.post(f"Calls/{sid}", Status="completed")
    again = rest.post(f"Calls/{sid}", Status="completed")

    assert (again.status_code, again.json()["code"]) == (422, 10000)
    assert again.json()["message"] == "Completed calls cannot be updated."
    assert rest.call(sid)["status"] == "completed"


def test_a_ringing_call_can_be_cancelled(rest, application, network):
    sid = rest.dial("+15550103")
    application.wait("/status", "ringing")
    answer = rest.post(f"Calls/{sid}", Status="canceled")

    assert answer.json()["status"] == "canceled"
    assert application.wait("/status", "canceled").fields["SipResultCode"] == "487"
    assert network.legs == {}


def test_an_answered_call_cannot_be_cancelled(rest):
    sid = rest.answered()
    answer = rest.post(f"Calls/{sid}", Status="canceled")

    assert (answer.status_code, answer.json()["code"]) == (422, 10000)
    assert answer.json()["message"] == "Cannot cancel an in-progress call."


@pytest.mark.parametrize("word", ["canceled", "no-answer"])
def test_completing_a_ringing_call_ends_it_as_switched(rest_with, application, word):
    rest = rest_with(switches=Switches(completed_while_ringing=word))
    sid = rest.dial("+15550103")
    application.wait("/status", "ringing")

    assert rest.post(f"Calls/{sid}", Status="completed").json()["status"] == word


def test_a_ringing_call_cannot_be_redirected(rest, application):
    sid = rest.dial("+15550103")
    application.wait("/status", "ringing")
    answer = rest.post(f"Calls/{sid}", Url=f"{application.url}/voice2")

    assert (answer.status_code, answer.json()["code"]) == (422, 21220)


def test_an_unknown_status_is_refused(rest):
    sid = rest.answered()

    assert rest.post(f"Calls/{sid}", Status="paused").json()["code"] == 10000


def test_an_empty_update_changes_nothing(rest):
    sid = rest.answered()
    answer = rest.post(f"Calls/{sid}")

    assert (answer.status_code, answer.json()["status"]) == (200, "in-progress")


def test_a_new_status_callback_replaces_the_old_one(rest, application):
    sid = rest.answered()
    rest.post(f"Calls/{sid}", StatusCallback=f"{application.url}/elsewhere")
    rest.post(f"Calls/{sid}", Status="completed")

    application.wait("/elsewhere", "completed")
    assert "completed" not in application.words("/status")


def test_only_a_finished_call_can_be_deleted(rest):
    sid = rest.answered()
    refused = rest.http.delete(f"{rest.base}/Calls/{sid}.json")
    rest.post(f"Calls/{sid}", Status="completed")
    deleted = rest.http.delete(f"{rest.base}/Calls/{sid}")

    assert (refused.status_code, refused.json()["code"]) == (422, 20009)
    assert (deleted.status_code, deleted.content) == (204, b"")
    assert rest.get(f"Calls/{sid}").status_code == 404


def test_without_a_subscription_only_the_end_is_told(rest, application):
    rest.dial("+15550104", StatusCallbackEvent=None)
    application.wait("/status", "completed")

    assert application.words() == ["completed"]


def test_callbacks_can_be_asked_for_as_get(rest, application):
    rest.dial("+15550101", StatusCallback=f"{application.url}/status?tenant=blue", StatusCallbackMethod="GET")

    hook = application.wait("/status", "busy")
    assert hook.method == "GET"
    assert hook.fields["tenant"] == "blue"


def test_minimal_callbacks_carry_what_captures_show(rest_with, application):
    rest_with(switches=Switches(rich_callbacks=False)).dial("+15550101")

    assert application.wait("/status", "busy").fields.keys() == {
        *("CallSid", "AccountSid", "ApiVersion", "Direction", "From", "To", "Timestamp", "CallStatus"),
        *("CallbackSource", "HangupDirection", "HangupBy", "SipResultCode"),
    }


def test_calls_per_second_are_queued_not_refused(rest_with, application):
    rest = rest_with(switches=Switches(calls_per_second=0.05))
    first, second = rest.dial("+15550103"), rest.dial("+15550103")
    application.wait("/status", "ringing")

    assert rest.call(first)["status"] == "ringing"
    assert rest.call(second)["status"] == "queued"
    assert rest.post(f"Calls/{second}", Status="canceled").json()["status"] == "canceled"


@pytest.mark.parametrize(
    ("form", "code"),
    [
        ({"To": None}, 21201),
        ({"To": ""}, 21211),
        ({"To": "nobody"}, 21211),
        ({"To": "555-0100"}, 21217),
        ({"From": None}, 21213),
        ({"From": "me"}, 21212),
        ({"Url": None}, 21205),
        ({"Url": None, "ApplicationSid": "nobody"}, 21218),
        ({"Url": "voice.xml"}, 21402),
        ({"Url": "https://app.example.net/a b"}, 21402),
        ({"FallbackUrl": "ftp://app.example.net"}, 21402),
        ({"StatusCallback": "status"}, 21456),
        ({"StatusCallbackEvent": ["answered", "teleported"]}, 21626),
        ({"Timeout": "0"}, 21208),
        ({"Timeout": "601"}, 21208),
        ({"Timeout": "soon"}, 21208),
        ({"Method": "PUT"}, 21209),
        ({"SendDigits": "12x"}, 13222),
        ({"Trim": "both"}, 13699),
        ({"RecordingStatusCallbackEvent": "completed started"}, 13621),
        ({"MachineDetection": "Maybe"}, 21234),
        ({"MachineDetectionTimeout": "121"}, 21234),
        ({"AsyncAmd": "true"}, 21262),
        ({"MaxPricePerMinute": "cheap"}, 10000),
        ({"Url": None, "Laml": "<R/>"}, 20422),
    ],
)
def test_a_bad_parameter_is_refused_by_its_code(rest, form, code):
    answer = rest.post("Calls", **rest.order(**form))

    assert (answer.status_code, answer.json()["code"], answer.json()["status"]) == (422, code, 422)
    assert rest.get("Calls").json()["calls"] == []


def test_a_call_that_is_too_dear_is_refused_in_a_list_of_errors(rest):
    answer = rest.post("Calls", **rest.order(MaxPricePerMinute="0.0001"))

    assert answer.status_code == 400
    assert [error["code"] for error in answer.json()["errors"]] == ["30010"]
    assert "status" not in answer.json()


def test_the_caller_can_be_verified(rest_with):
    rest = rest_with(switches=Switches(verify_caller=True))

    assert rest.post("Calls", **rest.order(From="+15550000002")).json()["code"] == 21210
    assert rest.post("Calls", **rest.order()).status_code == 200


def test_an_application_gives_the_document(rest, application):
    sid = rest.emulator.add_application(voice_url=f"{application.url}/voice/app")
    rest.dial(Url=None, ApplicationSid=sid)

    application.wait("/voice/app")


def test_the_far_end_can_be_hung_up_from_the_network(rest, application, network):
    rest.answered()
    (leg,) = network.legs.values()
    leg.hang_up(by=Side.CALLEE)

    assert application.wait("/status", "completed").fields["HangupDirection"] == "inbound"
