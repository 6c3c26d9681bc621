"""The official `twilio` SDK drives the emulator: a client that knows nothing of ours."""

from __future__ import annotations

import pytest
from twilio.base.exceptions import TwilioRestException
from twilio.request_validator import RequestValidator
from twilio.rest import Client

from telco_bridge.sandbox.emulator import Fault
from telco_bridge_signalwire.emulator import Switches


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


def test_it_lists_calls_by_filters_over_several_pages(twilio, application):
    busy = [place(twilio, application, "+15550101").sid for _ in range(3)]
    ringing = place(twilio, application, "+15550103").sid
    application.wait("/status", "busy", count=3)
    first = twilio.calls.get(busy[0]).fetch()

    assert {call.sid for call in twilio.calls.list(status="busy", page_size=1)} == set(busy)
    assert [call.sid for call in twilio.calls.list(to="+15550103", from_="+15550000001")] == [ringing]
    assert {call.sid for call in twilio.calls.list(end_time_after=first.end_time, status="busy")} == set(busy)
    assert twilio.calls.list(parent_call_sid=ringing) == []
    assert len(list(twilio.calls.stream(page_size=2, limit=3))) == 3


def test_it_makes_changes_lists_and_deletes_recordings(twilio, application):
    call = place(twilio, application, "+15550106")
    application.wait("/status", "in-progress")
    made = twilio.calls(call.sid).recordings.create(
        recording_channels="dual",
        recording_status_callback=f"{application.url}/recording",
        recording_status_callback_event=["in-progress", "completed"],
    )
    changes = [
        twilio.calls(call.sid).recordings(made.sid).update(status=status).status
        for status in ("paused", "in-progress", "stopped")
    ]
    application.wait("/recording", count=2)
    fetched = twilio.recordings(made.sid).fetch()
    more = [twilio.calls(call.sid).recordings.create().sid for _ in range(2)]

    assert (made.status, made.call_sid, made.channels) == ("in-progress", call.sid, 2)
    assert changes == ["paused", "in-progress", "stopped"]
    assert (fetched.status, fetched.source, fetched.start_time.tzinfo is not None) == (
        "completed",
        "StartCallRecordingApi",
        True,
    )
    listed = twilio.recordings.list(call_sid=call.sid, date_created_after=made.date_created, page_size=1)
    assert [recording.sid for recording in listed] == [*reversed(more), made.sid]
    assert twilio.recordings(made.sid).delete()
    with pytest.raises(TwilioRestException) as gone:
        twilio.recordings(made.sid).fetch()
    assert (gone.value.status, gone.value.code) == (404, 20404)


def test_its_recording_urls_lead_to_sound(twilio, application):
    call = place(twilio, application, "+15550104", record=True, trim="do-not-trim")
    told = application.wait("/status", "completed")
    (recording,) = twilio.recordings.list(call_sid=call.sid)

    assert told.fields["RecordingSid"] == recording.sid
    assert told.fields["RecordingUrl"].endswith(recording.uri.removesuffix(".json"))


def test_it_buys_changes_and_releases_numbers(twilio):
    number = twilio.incoming_phone_numbers.create(phone_number="+15557654321", voice_url="https://a.example/v")
    changed = number.update(friendly_name="support", voice_method="GET")
    (found,) = twilio.incoming_phone_numbers.list(phone_number="+15557654321")

    assert (changed.friendly_name, changed.voice_method, changed.capabilities["voice"]) == ("support", "GET", True)
    assert (found.sid, found.voice_url) == (number.sid, "https://a.example/v")
    assert len(twilio.incoming_phone_numbers.list(page_size=1)) == 2
    assert number.delete()
    assert len(twilio.incoming_phone_numbers.list()) == 1


def test_it_manages_applications(twilio, application):
    made = twilio.applications.create(friendly_name="one", voice_url=f"{application.url}/voice")
    changed = made.update(voice_fallback_url="https://b.example/v")
    call = twilio.calls.create(to="+15550100", from_="+15550000001", application_sid=made.sid)

    assert application.wait("/voice").fields["CallSid"] == call.sid
    assert (changed.friendly_name, changed.voice_fallback_url) == ("one", "https://b.example/v")
    assert [found.sid for found in twilio.applications.list(friendly_name="one")] == [made.sid]
    assert twilio.applications(made.sid).delete()
    assert twilio.applications.list() == []


def test_it_manages_queues(twilio):
    made = [twilio.queues.create(friendly_name=f"q{n}", max_size=5) for n in range(3)]
    changed = made[0].update(max_size=7)

    assert (changed.max_size, changed.current_size, changed.date_created.tzinfo is not None) == (7, 0, True)
    assert [queue.sid for queue in twilio.queues.list(page_size=2)] == [queue.sid for queue in reversed(made)]
    assert twilio.queues(made[0].sid).members.list() == []
    assert made[0].delete()
    assert len(twilio.queues.list()) == 2


def test_it_is_told_of_a_rate_limit(emulate, application):
    emulator = emulate(switches=Switches(posts_per_window=0))
    client = Client(emulator.project, emulator.token)
    client.api.base_url = emulator.url
    with client.http_client.session, pytest.raises(TwilioRestException) as refused:
        client.queues.create(friendly_name="one")

    assert (refused.value.status, refused.value.code) == (429, 20429)
