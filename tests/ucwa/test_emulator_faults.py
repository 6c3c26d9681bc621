"""Trouble on demand: every fault that the emulator claims to know, on the wire."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from telco_bridge.sandbox import Fault

OWN = "+15550000001"


def dial(client, to="tel:+15550100", operation_id="op-1"):
    return client.start("startPhoneAudio", to=to, phoneNumber=OWN, operationId=operation_id)


def connect(client):
    dial(client)
    return client.until("phoneAudioInvitation completed")


def own(client):
    return client.application["_links"]["self"]["href"]


def calls(served):
    return sum(len(a.communication.conversations) for a in served.emulator.applications)


def states(client, name):
    return [told.body["state"] for told in client.told if told.name == name]


@pytest.fixture
def inject(served):
    return served.emulator.faults.inject


def test_a_dropped_request_breaks_the_connection_and_is_not_executed(served, client, inject):
    inject(Fault.DROP_REQUEST, on="POST startPhoneAudio")

    with pytest.raises(httpx.RemoteProtocolError):
        dial(client)
    assert calls(served) == 0


def test_a_dropped_answer_breaks_the_connection_and_the_call_goes_on(served, client, inject):
    inject(Fault.DROP_ANSWER, on="POST startPhoneAudio")

    with pytest.raises(httpx.RemoteProtocolError):
        dial(client)
    assert client.until("phoneAudioInvitation completed").body["operationId"] == "op-1"


def test_a_dropped_package_comes_again(client, inject):
    inject(Fault.DROP_ANSWER, on="GET events")
    dial(client)

    with pytest.raises(httpx.RemoteProtocolError):
        client.poll()
    assert client.poll()[0].name == "phoneAudioInvitation started"


@pytest.mark.parametrize("executed", [False, True])
def test_a_server_error_may_come_before_or_after_the_execution(served, client, inject, executed):
    inject(Fault.SERVER_ERROR, on="POST startPhoneAudio", executed=executed, subcode="CallbackChannelError")
    answer = dial(client)

    assert (answer.status_code, answer.json()["code"], answer.json()["subcode"]) == (
        500,
        "ServiceFailure",
        "CallbackChannelError",
    )
    assert calls(served) == int(executed)


def test_any_boilerplate_error_can_be_ordered(client, inject):
    inject(Fault.SERVER_ERROR, on="GET application", status=410, code="Gone", subcode="CannotRedirect")
    answer = client.get(own(client))

    assert (answer.status_code, answer.json()["subcode"]) == (410, "CannotRedirect")


def test_too_many_requests_are_not_executed(served, client, inject):
    inject(Fault.RATE_LIMIT, on="POST startPhoneAudio", retry_after=2)
    answer = dial(client)

    assert (answer.status_code, answer.json()["code"], answer.headers["retry-after"]) == (429, "TooManyRequests", "2")
    assert calls(served) == 0
    assert dial(client).status_code == 201


@pytest.mark.parametrize(("options", "started"), [({}, 1), ({"executed": False}, 0)])
def test_an_html_answer_comes_from_in_front_of_ucwa(served, client, inject, options, started):
    inject(Fault.HTML_ANSWER, on="POST startPhoneAudio", **options)
    answer = dial(client)

    assert answer.status_code == 502
    assert answer.headers["content-type"].startswith("text/html")
    assert calls(served) == started


def test_malformed_json_is_no_json(client, inject):
    inject(Fault.MALFORMED_JSON, on="GET application")

    answer = client.get(own(client))
    assert answer.headers["content-type"].startswith("application/json")
    with pytest.raises(json.JSONDecodeError):
        answer.json()


def test_a_truncated_body_breaks_off(client, inject):
    inject(Fault.TRUNCATED_BODY, on="GET application")

    with pytest.raises(httpx.RemoteProtocolError):
        client.get(own(client))


def test_a_wrong_content_type_hides_good_json(client, inject):
    inject(Fault.WRONG_CONTENT_TYPE, on="GET application")
    answer = client.get(own(client))

    assert answer.headers["content-type"].startswith("text/html")
    assert answer.json()["rel"] == "application"


def test_a_foreign_link_leads_to_another_host(client, inject):
    inject(Fault.FOREIGN_LINK, on="GET application", host="evil.example", rel="startPhoneAudio")
    astray = client.get(own(client)).json()
    straight = client.get(own(client)).json()

    links = astray["_embedded"]["communication"]["_links"]
    assert links["startPhoneAudio"]["href"].startswith("http://evil.example/")
    assert "evil.example" not in str(straight)
    assert str(astray).count("evil.example") == 1


def test_a_foreign_location_and_a_foreign_next_can_be_ordered(client, inject):
    inject(Fault.FOREIGN_LINK, on="POST startPhoneAudio", host="evil.example")
    inject(Fault.FOREIGN_LINK, on="GET events", host="evil.example")
    first = client.next
    answer = dial(client)
    client.poll()

    assert answer.headers["location"].startswith("http://evil.example/")
    assert client.next.startswith("http://evil.example/")
    assert "evil.example" not in client.get(first).text


def test_a_foreign_link_can_be_inside_an_event(client, inject):
    inject(Fault.FOREIGN_LINK, on="event phoneAudio updated", host="evil.example", rel="stopPhoneAudio")
    connect(client)

    first, second = (t.body["_links"]["stopPhoneAudio"]["href"] for t in client.told if t.name == "phoneAudio updated")
    assert first.startswith("http://evil.example/")
    assert "evil.example" not in second


def test_an_expired_token_is_challenged_and_a_new_one_works(client, inject):
    inject(Fault.EXPIRE_TOKEN, on="GET application")
    challenged = client.get(own(client))
    still = client.get(own(client))

    assert (challenged.status_code, still.status_code) == (401, 401)
    client.http.headers["Authorization"] = client.token(challenged)
    assert client.get(own(client)).status_code == 200


def test_a_lost_application_takes_its_calls_and_its_channel_with_it(served, client, inject):
    connect(client)
    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(client.get, client.next)
        served.parked()
        inject(Fault.LOSE_APPLICATION, on="POST holdPhoneAudio")
        answer = client.post(client.link("phoneAudio", "holdPhoneAudio"))

        assert (answer.status_code, answer.json()["subcode"]) == (404, "ApplicationNotFound")
        assert waiting.result(10).json()["subcode"] == "ApplicationNotFound"
    assert not served.exchange.legs
    assert client.sign_in()["rel"] == "application"


def test_a_lost_application_can_be_gone_for_good(client, inject):
    inject(Fault.LOSE_APPLICATION, on="GET events", subcode="InactiveApplicationExpired")
    answer = client.get(client.next)

    assert (answer.status_code, answer.json()["subcode"]) == (410, "InactiveApplicationExpired")


def test_a_lost_event_never_comes(client, inject):
    inject(Fault.LOSE_EVENT, on="event phoneAudioInvitation started")
    connect(client)

    assert "phoneAudioInvitation started" not in client.names()


def test_a_doubled_event_comes_twice(client, inject):
    inject(Fault.DOUBLE_EVENT, on="event phoneAudioInvitation completed")
    connect(client)

    assert client.names().count("phoneAudioInvitation completed") == 2


def test_a_delayed_event_holds_up_what_follows_it(served, client, inject):
    inject(Fault.DELAY_EVENT, on="event phoneAudioInvitation started", seconds=3.0)
    before = served.exchange.now()
    dial(client)
    client.poll()

    assert served.exchange.now() - before >= 3.0
    assert client.names()[:2] == ["phoneAudioInvitation started", "conversation added"]


def test_merged_events_skip_the_states_between(client, inject):
    inject(Fault.MERGE_EVENTS, on="event phoneAudioInvitation", times=2)
    connect(client)

    assert [n for n in client.names() if n.startswith("phoneAudioInvitation")] == ["phoneAudioInvitation completed"]


def test_the_end_of_a_call_can_lack_its_disconnecting(client, inject):
    connect(client)
    inject(Fault.MERGE_EVENTS, on="event phoneAudio updated")
    client.post(client.link("phoneAudio", "stopPhoneAudio"))
    client.until("conversation deleted")

    assert states(client, "phoneAudio updated") == ["Connecting", "Connected", "Disconnected"]


def test_a_merged_event_without_a_successor_comes_late(client, inject):
    connect(client)
    inject(Fault.MERGE_EVENTS, on="event phoneAudio updated", seconds=2.0)
    client.post(client.link("phoneAudio", "holdPhoneAudio"))
    client.poll()

    assert "resumePhoneAudio" in client.last("phoneAudio")["_links"]


def test_an_unknown_state_is_a_word_nobody_documented(client, inject):
    inject(Fault.UNKNOWN_STATE, on="event phoneAudio updated", state="Parked")
    connect(client)

    assert states(client, "phoneAudio updated") == ["Parked", "Connected"]


def test_events_can_come_before_the_answer(served, client, inject):
    inject(Fault.EVENT_BEFORE_ANSWER, on="POST startPhoneAudio")
    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(dial, client)
        client.poll()
        early = waiting.done()
        client.poll()
        assert waiting.result(10).status_code == 201
    lines = [record.line for record in served.emulator.wire.records()]

    assert not early
    assert lines.index("event phoneAudioInvitation started") < lines.index("POST startPhoneAudio")


def conversations(client):
    href = client.application["_embedded"]["communication"]["_links"]["conversations"]["href"]
    return client.get(href).json().get("_embedded", {}).get("conversation", [])


def test_another_program_can_take_the_place_of_who_waits_for_events(client, inject):
    inject(Fault.REPLACE_READER, seconds=0.5)
    replaced = client.get(client.next)
    dial(client)

    assert (replaced.status_code, replaced.json()["subcode"]) == (409, "PGetReplaced")
    assert client.poll()[0].name == "phoneAudioInvitation started"


def test_a_reader_can_be_sent_back_to_what_it_read_last(client, inject):
    connect(client)
    package = client.packages[-1]
    inject(Fault.RESYNC_EVENTS)
    client.poll()

    assert set(client.packages[-1]["_links"]) == {"self", "resync"}
    client.poll()
    assert client.packages[-1] == package
    assert len(conversations(client)) == 1


def test_a_reader_can_be_told_to_go_on_without_what_was_open(client, inject):
    connect(client)
    inject(Fault.RESUME_EVENTS)
    client.poll()

    assert "resume" in client.packages[-1]["_links"]
    assert conversations(client) == []


@pytest.mark.parametrize(("options", "status"), [({}, 409), ({"status": 500, "code": "ServiceFailure"}, 500)])
def test_there_can_be_more_events_than_are_kept(client, inject, options, status):
    connect(client)
    inject(Fault.OVERFLOW_EVENTS, **options)
    answer = client.get(client.next)
    client.next = client.get(own(client)).json()["_links"]["events"]["href"]
    dial(client, operation_id="op-2")

    assert (answer.status_code, answer.json()["subcode"]) == (status, "MaxEventCountReached")
    assert client.poll()[0].name == "phoneAudioInvitation started"
    assert len(conversations(client)) == 1


def test_every_fault_that_is_known_is_tested_here():
    """So that a new one is not forgotten."""
    from pathlib import Path

    from telco_bridge_ucwa.emulator import UcwaEmulator

    text = Path(__file__).read_text()
    assert [fault for fault in UcwaEmulator.known_faults if f"Fault.{fault.name}" not in text] == []
