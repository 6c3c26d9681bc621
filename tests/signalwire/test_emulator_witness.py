"""The official `twilio` SDK drives the emulator: a client that knows nothing of ours."""

from __future__ import annotations

import pytest
from twilio.base.exceptions import TwilioRestException
from twilio.request_validator import RequestValidator
from twilio.rest import Client

from telco_bridge.sandbox.emulator import Fault


@pytest.fixture
def twilio(emulator):
    client = Client(emulator.project, emulator.token)
    client.api.base_url = emulator.url
    # The SDK's session keeps its sockets until it is collected.
    with client.http_client.session:
        yield client


def place(client, application, to="+15550100", **options):
    return client.calls.create(
        to=to,
        from_="+15550000001",
        url=f"{application.url}/voice",
        status_callback=f"{application.url}/status?tenant=blue&x=%2B1",
        status_callback_event=["initiated", "ringing", "answered", "completed"],
        **options,
    )


def test_it_creates_fetches_and_completes_a_call(twilio, application):
    call = place(twilio, application, timeout=30)
    application.wait("/status", "in-progress")
    fetched = twilio.calls(call.sid).fetch()
    completed = twilio.calls(call.sid).update(status="completed")

    assert (call.status, call.direction, call.account_sid) == ("queued", "outbound", twilio.account_sid)
    assert (fetched.status, fetched.to, fetched.date_created.tzinfo is not None) == ("in-progress", "+15550100", True)
    assert completed.status == "completed"
    application.wait("/status", "completed")


def test_it_lists_over_several_pages(twilio, application):
    sids = [place(twilio, application, "+15550103").sid for _ in range(5)]

    assert [call.sid for call in twilio.calls.list(page_size=2, to="+15550103")] == sids[::-1]


def test_its_date_filters_are_understood(twilio, application):
    call = place(twilio, application, "+15550101")
    application.wait("/status", "busy")
    started = twilio.calls(call.sid).fetch().start_time

    assert [found.sid for found in twilio.calls.list(start_time_after=started)] == [call.sid]
    assert [found.sid for found in twilio.calls.list(start_time_before=started.date())] == []
    assert [found.sid for found in twilio.calls.list(start_time=started)] == [call.sid]


def test_it_starts_and_stops_a_stream(twilio, application, sink):
    call = place(twilio, application)
    application.wait("/status", "in-progress")
    stream = twilio.calls(call.sid).streams.create(
        url=sink.url,
        name="tap1",
        track="inbound_track",
        status_callback=f"{application.url}/stream",
        parameter1_name="room",
        parameter1_value="7",
    )
    application.wait("/stream", "stream-started")
    stopped = twilio.calls(call.sid).streams(stream.sid).update(status="stopped")

    assert (stream.name, stream.call_sid, stopped.status) == ("tap1", call.sid, "stopped")
    application.wait("/stream", "stream-stopped")
    assert twilio.calls(call.sid).fetch().status == "in-progress"
    assert sink.wait_for(lambda s: len(s.connections[0].messages) >= 2)
    assert sink.connections[0].messages[1]["start"]["customParameters"] == {"room": "7"}


def test_it_reads_the_code_of_a_refusal(twilio, application):
    with pytest.raises(TwilioRestException) as refused:
        place(twilio, application, "nobody")

    assert (refused.value.status, refused.value.code) == (422, 21211)


def test_it_deletes_a_finished_call(twilio, application):
    call = place(twilio, application, "+15550101")
    application.wait("/status", "busy")

    assert twilio.calls(call.sid).delete()


@pytest.mark.parametrize("method", ["POST", "GET"])
def test_its_validator_accepts_every_signature(twilio, emulator, application, sink, method):
    call = place(twilio, application, status_callback_method=method, method=method)
    application.wait("/status", "in-progress")
    twilio.calls(call.sid).streams.create(url=sink.url, status_callback=f"{application.url}/stream")
    application.wait("/stream", "stream-started")
    twilio.calls(call.sid).update(status="completed")
    application.wait("/status", "completed")

    validator = RequestValidator(emulator.signing_key)
    assert {hook.path for hook in application.hooks} == {"/voice", "/status", "/stream"}
    for hook in application.hooks:
        fields = hook.fields if hook.method == "POST" else {}
        assert validator.validate(hook.url, fields, hook.headers["x-signalwire-signature"]), hook


def test_its_validator_refuses_an_unsigned_callback(twilio, emulator, application):
    emulator.faults.inject(Fault.UNSIGNED_EVENT, on="callback completed", wrong=True)
    place(twilio, application, "+15550101")
    hook = application.wait("/status", "busy")

    validator = RequestValidator(emulator.signing_key)
    assert not validator.validate(hook.url, hook.fields, hook.headers["x-signalwire-signature"])
