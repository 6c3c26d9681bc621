"""The door of the emulated API: addresses, credentials, content types, errors, pages, faults, signatures."""

from __future__ import annotations

import httpx
import pytest

from telco_bridge.sandbox.emulator import Fault
from telco_bridge_signalwire.emulator import ErrorShape, Switches
from telco_bridge_signalwire.emulator.webhooks import sign


@pytest.mark.parametrize("prefix", ["/api/laml/2010-04-01", "/2010-04-01"])
@pytest.mark.parametrize("suffix", ["", ".json"])
def test_both_prefixes_serve_with_and_without_suffix(rest, prefix, suffix):
    sid = rest.dial()
    path = f"{prefix}/Accounts/{rest.emulator.project}/Calls"

    assert rest.http.get(f"{path}{suffix}").json()["calls"][0]["sid"] == sid
    assert rest.http.get(f"{path}/{sid}{suffix}").json()["uri"].startswith("/api/laml/2010-04-01/")


@pytest.mark.parametrize("auth", [None, ("nobody", "nothing")])
def test_bad_credentials_are_refused(rest, auth):
    answer = httpx.get(f"{rest.emulator.url}{rest.base}/Calls", auth=auth, trust_env=False)

    assert (answer.status_code, answer.json()["code"], answer.json()["status"]) == (401, 20003, 401)
    assert answer.json().keys() == {"code", "message", "more_info", "status"}


def test_another_account_is_not_found(rest):
    answer = rest.http.get("/api/laml/2010-04-01/Accounts/another/Calls")

    assert (answer.status_code, answer.json()["code"]) == (404, 10004)


def test_what_is_not_there_is_not_found(rest):
    assert rest.get("Calls/nobody").json()["code"] == 20404
    assert rest.get("Faxes").json()["code"] == 20404


def test_json_is_read_like_a_form(rest, application):
    order = rest.order("+15550101", Timeout=30)
    answer = rest.http.post(f"{rest.base}/Calls", json=order)

    assert answer.status_code == 200
    application.wait("/status", "busy")


@pytest.mark.parametrize(
    ("headers", "content", "status"),
    [
        ({"content-type": "text/plain"}, b"To=1", 415),
        ({"content-type": ""}, b"To=1", 422),
        ({"content-type": "application/json"}, b"{", 422),
        ({"content-type": "application/json"}, b"[]", 422),
    ],
)
def test_a_body_of_another_kind_is_refused(rest, headers, content, status):
    answer = rest.http.post(f"{rest.base}/Calls", headers=headers, content=content)

    assert (answer.status_code, answer.json()["code"]) == (status, 20422)


def test_the_code_may_be_text_beside_another_status(rest_with):
    rest = rest_with(switches=Switches(error_shape=ErrorShape.TEXT_CODE))
    answer = rest.post("Calls", **rest.order(Timeout="0"))

    assert (answer.status_code, answer.json()["code"], answer.json()["status"]) == (422, "21208", 400)


def test_pages_follow_each_other(rest):
    sids = [rest.dial("+15550103") for _ in range(5)]
    first = rest.get("Calls", PageSize=2, To="+15550103").json()
    second = rest.http.get(first["next_page_uri"]).json()
    rest.dial("+15550103")
    third = rest.http.get(second["next_page_uri"]).json()
    back = rest.http.get(third["previous_page_uri"]).json()

    listed = [call["sid"] for page in (first, second, third) for call in page["calls"]]
    assert listed == sids[::-1]
    assert first["next_page_uri"].startswith("/api/laml/2010-04-01/Accounts/")
    assert "To=%2B15550103" in first["next_page_uri"]
    assert (first["previous_page_uri"], third["next_page_uri"]) == (None, None)
    assert (second["page"], second["page_size"]) == (1, 2)
    assert [call["sid"] for call in back["calls"]] == [call["sid"] for call in second["calls"]]


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ({"Page": 1}, 54453),
        ({"PageSize": 0}, 54454),
        ({"PageSize": 1001}, 54454),
        ({"PageToken": "XX9"}, 21481),
        ({"Page": "two"}, 90000),
    ],
)
def test_bad_paging_is_refused(rest, query, code):
    answer = rest.get("Calls", **query)

    assert (answer.status_code, answer.json()["code"]) == (400, code)


def test_calls_are_filtered(rest, application):
    busy = rest.dial("+15550101")
    application.wait("/status", "busy")
    ringing = rest.dial("+15550103")
    application.wait("/status", "ringing")
    started = rest.call(busy)["start_time"]

    def found(**query):
        return {call["sid"] for call in rest.get("Calls", **query).json()["calls"]}

    assert found(Status="busy") == {busy}
    assert found(To="+15550103") == {ringing}
    assert found(From="+15550999") == set()
    assert found(ParentCallSid="somebody") == set()
    assert found(StartTime=started) >= {busy}
    assert found(**{"StartTime>": started}) == {busy, ringing}
    assert found(**{"StartTime<": "1999-01-01"}) == set()
    assert found(**{"EndTime>": "1999-01-01T00:00:00Z"}) == {busy}
    assert rest.get("Calls", StartTime="soon").json()["code"] == 20422


def test_the_signature_is_the_documented_one():
    fields = {
        "CallSid": "6f0b7c2e-1d43-4a58-9a55-0d2a7e1c9b11",
        "AccountSid": "5a1c0c1e-7f65-4d0b-8a7c-3b9c2f0d4e21",
        "ApiVersion": "2010-04-01",
        "Direction": "outbound-api",
        "From": "+15550100001",
        "To": "+15550100002",
        "Timestamp": "Tue, 03 Mar 2026 09:15:42 +0000",
        "CallStatus": "completed",
        "CallbackSource": "call-progress-events",
        "CallDuration": "17",
        "SipResultCode": "200",
        "SequenceNumber": "3",
    }

    assert (
        sign("PSK_example0signing0key", "https://hooks.example.net/sw/voice/status?tenant=blue", fields)
        == "d9xSiKwIOFEb+XMq7ZzhGxN1Q80="
    )


def test_a_callback_is_tried_three_times(rest, application):
    application.statuses["/status"] = [500, 404]
    rest.dial("+15550101", StatusCallbackEvent="completed")

    assert application.wait("/status", "busy", count=3).fields["SequenceNumber"] == "0"


def test_a_callback_refused_three_times_is_lost(rest, application):
    application.statuses["/status"] = [500, 500, 500]
    rest.dial("+15550101", StatusCallbackEvent=["initiated", "completed"])

    application.wait("/status", "busy")
    assert application.words() == ["initiated"] * 3 + ["busy"]


def test_a_lost_event_is_known_to_reads_only(rest, application):
    rest.emulator.faults.inject(Fault.LOSE_EVENT, on="callback ringing")
    rest.dial("+15550102")

    application.wait("/status", "no-answer")
    assert application.words() == ["initiated", "no-answer"]


def test_a_doubled_event_comes_twice(rest, application):
    rest.emulator.faults.inject(Fault.DOUBLE_EVENT, on="callback completed")
    rest.dial("+15550101")

    application.wait("/status", "busy", count=2)
    first, second = application.to("/status")[-2:]
    assert first.fields == second.fields


def test_a_delayed_event_is_overtaken(rest, application):
    rest.emulator.faults.inject(Fault.DELAY_EVENT, on="callback ringing", seconds=5)
    rest.dial("+15550102")

    application.wait("/status", "ringing")
    assert application.words() == ["initiated", "no-answer", "ringing"]


def test_reordered_events_change_places(rest, application):
    rest.emulator.faults.inject(Fault.REORDER_EVENTS, on="callback initiated", seconds=20)
    rest.dial("+15550103", Timeout=1)

    application.wait("/status", "no-answer")
    assert application.words() == ["ringing", "initiated", "no-answer"]


def test_a_last_event_has_nothing_to_overtake(rest, application):
    rest.emulator.faults.inject(Fault.REORDER_EVENTS, on="callback completed")
    rest.dial("+15550101")

    application.wait("/status", "busy")


@pytest.mark.parametrize("wrong", [False, True])
def test_an_event_can_lack_a_good_signature(rest, application, wrong):
    rest.emulator.faults.inject(Fault.UNSIGNED_EVENT, on="callback completed", wrong=wrong)
    rest.dial("+15550101")
    hook = application.wait("/status", "busy")

    assert ("x-signalwire-signature" in hook.headers) is wrong
    assert hook.headers.get("x-signalwire-signature") != sign(rest.emulator.signing_key, hook.url, hook.fields)


def test_an_event_can_say_an_unknown_word(rest, application):
    rest.emulator.faults.inject(Fault.UNKNOWN_STATE, on="callback ringing", word="pondering")
    rest.dial("+15550102")

    application.wait("/status", "pondering")


def test_an_answer_can_say_an_unknown_word(rest):
    rest.emulator.faults.inject(Fault.UNKNOWN_STATE, on="GET Calls/{sid}", word="pondering")
    sid = rest.dial()

    assert rest.call(sid)["status"] == "pondering"
    assert rest.call(sid)["status"] != "pondering"


def test_an_answer_can_show_the_old_status(rest):
    rest.emulator.faults.inject(Fault.STALE_ANSWER, on="POST Calls/{sid}")
    sid = rest.answered()

    assert rest.post(f"Calls/{sid}", Status="completed").json()["status"] == "in-progress"
    assert rest.call(sid)["status"] == "completed"


def test_answers_can_be_switched_to_show_the_old_status(rest_with, sink):
    rest = rest_with(switches=Switches(stale_updates=True))
    call = rest.answered()
    stream = rest.post(f"Calls/{call}/Streams", Url=sink.url).json()["sid"]

    assert rest.post(f"Calls/{call}/Streams/{stream}", Status="stopped").json()["status"] != "stopped"


def test_an_event_can_overtake_the_answer(rest, application):
    rest.emulator.faults.inject(Fault.EVENT_BEFORE_ANSWER, on="POST Calls")
    rest.dial()

    assert application.words()[0] == "initiated"


def test_a_server_error_executes_nothing_and_asks_nobody(rest):
    rest.emulator.faults.inject(Fault.SERVER_ERROR, on="POST Calls", status=500)
    answer = httpx.post(f"{rest.emulator.url}{rest.base}/Calls", data=rest.order(), trust_env=False)

    assert (answer.status_code, answer.json()["code"]) == (500, 20504)
    assert rest.get("Calls").json()["calls"] == []


@pytest.mark.parametrize(("options", "header"), [({}, None), ({"retry_after": 7}, "7")])
def test_too_many_requests(rest, options, header):
    rest.emulator.faults.inject(Fault.RATE_LIMIT, on="GET Calls", **options)
    answer = rest.get("Calls")

    assert (answer.status_code, answer.json()["code"]) == (429, 20429)
    assert answer.headers.get("retry-after") == header


def test_a_dropped_request_is_not_executed(rest):
    rest.emulator.faults.inject(Fault.DROP_REQUEST, on="POST Calls")
    with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
        rest.post("Calls", **rest.order())

    assert rest.get("Calls").json()["calls"] == []


def test_a_dropped_answer_belongs_to_an_executed_request(rest):
    rest.emulator.faults.inject(Fault.DROP_ANSWER, on="POST Calls")
    with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
        rest.post("Calls", **rest.order())

    assert len(rest.get("Calls").json()["calls"]) == 1


def test_a_truncated_body_breaks_off(rest):
    rest.emulator.faults.inject(Fault.TRUNCATED_BODY, on="POST Calls")
    with pytest.raises(httpx.RemoteProtocolError):
        rest.post("Calls", **rest.order())

    assert len(rest.get("Calls").json()["calls"]) == 1


def test_a_gateway_can_answer_in_html(rest):
    rest.emulator.faults.inject(Fault.HTML_ANSWER, on="GET Calls")
    answer = rest.get("Calls")

    assert (answer.status_code, answer.headers["content-type"]) == (502, "text/html; charset=utf-8")


def test_json_can_be_malformed(rest):
    rest.emulator.faults.inject(Fault.MALFORMED_JSON, on="GET Calls")
    answer = rest.get("Calls")

    assert answer.status_code == 200
    with pytest.raises(ValueError, match="Expecting"):
        answer.json()


def test_json_can_come_under_another_type(rest):
    rest.emulator.faults.inject(Fault.WRONG_CONTENT_TYPE, on="GET Calls")
    answer = rest.get("Calls")

    assert answer.headers["content-type"].startswith("text/plain")
    assert answer.json()["calls"] == []


def test_the_wire_is_recorded_without_secrets(rest, application, sink):
    call = rest.answered(Url=f"{application.url}/voice?secret=hidden")
    assert rest.emulator.wire.wait_for("POST document")
    rest.post(f"Calls/{call}/Streams", Url=sink.url, AuthorizationBearerToken="hidden")
    rest.post(f"Calls/{call}", Status="completed")
    application.wait("/status", "completed")

    records = rest.emulator.wire.records()
    ours = [(record.line, record.answer) for record in records if record.sent_by == "bridge"]
    assert ours[0] == ("POST Calls", "200 queued")
    assert ("POST Streams", "200 queued") in ours
    assert ("POST Calls/{sid}", "200 completed") in ours
    theirs = [record.line for record in rest.emulator.wire.records(sent_by="provider")]
    assert {"callback initiated", "callback answered (in-progress)", "POST document"} <= set(theirs)
    assert "hidden" not in repr(records)
    assert rest.emulator.token not in repr(records)


def test_the_profile_is_what_a_plugin_needs(rest_with):
    emulator = rest_with(stream_url="wss://media.example.net/in").emulator

    profile = emulator.profile()
    assert httpx.get(str(profile.pop("document_url")), trust_env=False).status_code == 200
    assert profile == {
        "provider": "signalwire",
        "project": emulator.project,
        "token": emulator.token,
        "signing_key": emulator.signing_key,
        "base_url": f"{emulator.url}/api/laml/2010-04-01",
        "caller_id": "+15550000001",
        "stream_url": "wss://media.example.net/in",
    }
    assert emulator.signing_key.startswith("PSK_")
