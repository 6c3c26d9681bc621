"""The event channel: parking, acknowledging, replacing, resuming."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from urllib.parse import parse_qs, urlsplit

import pytest

OWN = "+15550000001"


@pytest.fixture
def aside():
    """Somewhere for a request to wait."""
    with ThreadPoolExecutor() as pool:
        yield pool.submit


def dial(client, to="tel:+15550100"):
    return client.start("startPhoneAudio", to=to, phoneNumber=OWN, operationId="op-7a1")


def ack(href):
    return parse_qs(urlsplit(href).query)["ack"]


def test_an_empty_channel_releases_after_its_timeout_with_next_alone(serve):
    served = serve(speed=1000.0)
    client = served.connect()
    client.sign_in()
    before = served.exchange.now()
    client.next += "&timeout=300"
    client.poll()

    assert served.exchange.now() - before >= 300.0
    assert "sender" not in client.packages[0]
    assert set(client.packages[0]["_links"]) == {"self", "next"}
    assert ack(client.next) == ["2"]
    assert "key=" in client.next


@pytest.mark.parametrize("timing", ["timeout=10", "medium=1", "low=soon", "priority=-1"])
def test_timing_outside_its_limits_is_refused(client, timing):
    answer = client.get(f"{client.next}&{timing}")

    assert (answer.status_code, answer.json()["subcode"]) == (400, "ParameterValidationFailure")


def test_a_package_is_released_again_until_it_is_acknowledged(client):
    dial(client)
    first = client.next
    client.poll()
    again = client.get(first).json()

    assert again == client.packages[0]
    client.until("phoneAudioInvitation completed")
    assert client.names().count("phoneAudioInvitation started") == 1


def test_an_acknowledgement_out_of_range_is_sent_to_resync(client):
    dial(client)
    first = client.next
    client.poll()
    client.next = first.replace("ack=1", "ack=9")
    client.poll()

    assert set(client.packages[1]["_links"]) == {"self", "resync"}
    assert client.poll()[0].name == "phoneAudioInvitation started"
    assert ack(client.next) == ["2"]


def test_a_channel_without_its_key_is_not_found(client):
    answer = client.get(client.next.partition("&")[0])

    assert (answer.status_code, answer.json()["code"]) == (404, "NotFound")


def test_a_second_reader_replaces_the_first(served, client, aside):
    waiting = aside(client.get, client.next)
    served.parked()
    second = aside(client.get, client.next)
    replaced = waiting.result(10)
    dial(client)

    assert (replaced.status_code, replaced.json()["subcode"]) == (409, "PGetReplaced")
    assert second.result(10).status_code == 200


def test_a_reader_of_lower_priority_does_not_replace(served, client, aside):
    waiting = aside(client.get, f"{client.next}&priority=2")
    served.parked()
    refused = client.get(f"{client.next}&priority=1")
    dial(client)

    assert refused.json()["subcode"] == "PGetReplaced"
    assert waiting.result(10).status_code == 200


def test_a_reader_that_went_away_loses_nothing(served, client, aside):
    """The next request for the same events gets them."""
    impatient = served.connect()
    impatient.http.headers["Authorization"] = client.http.headers["Authorization"]
    waiting = aside(impatient.http.get, client.url(client.next), timeout=0.2)
    assert waiting.exception(10) is not None
    dial(client)

    assert client.poll()[0].name == "phoneAudioInvitation started"


def test_what_happened_while_nobody_polled_comes_in_one_package_in_order(served, client):
    dial(client)
    while not any(leg.answered for leg in served.exchange.legs.values()):
        client.get(client.application["_links"]["policies"]["href"])
    while not client.names():
        client.poll()
    senders = [sender["rel"] for sender in client.packages[0]["sender"]]

    assert client.names(1)[0] == "phoneAudioInvitation started"
    assert senders[:2] == ["communication", "conversation"]
    assert all(one != other for one, other in pairwise(senders))


def test_events_can_be_links_only(serve):
    client = serve(embedded=False).connect()
    client.sign_in()
    answer = dial(client)
    client.until("phoneAudioInvitation completed")

    assert all("_embedded" not in told.raw for told in client.told)
    assert client.get(answer.headers["location"]).json()["state"] == "Connected"
    phone_audio = next(t for t in client.told if t.rel == "phoneAudio").raw["link"]["href"]
    assert client.get(phone_audio).json()["state"] == "Connected"
    listed = client.get(client.application["_embedded"]["communication"]["_links"]["conversations"]["href"]).json()
    assert len(listed["_links"]["conversation"]) == 1


def test_a_client_that_was_silent_for_long_is_told_to_resume_without_its_calls(serve):
    served = serve(resume_after=30.0, speed=200.0)
    client = served.connect()
    client.sign_in()
    dial(client)
    client.until("phoneAudioInvitation completed")
    silent_until = served.exchange.now() + 30.0
    while served.exchange.now() < silent_until:
        client.get(client.application["_links"]["policies"]["href"])
    client.poll()

    assert "resume" in client.packages[-1]["_links"]
    assert "next" not in client.packages[-1]["_links"]
    assert not served.exchange.legs
    conversations = client.application["_embedded"]["communication"]["_links"]["conversations"]["href"]
    assert "_embedded" not in client.get(conversations).json()


def test_a_body_may_begin_with_a_byte_order_mark(serve):
    client = serve(bom=True).connect()
    client.sign_in()

    assert client.get(client.application["_links"]["self"]["href"]).content.startswith(b"\xef\xbb\xbf{")


def test_a_server_that_stops_does_not_leave_its_reader_hanging(served, client, aside):
    waiting = aside(client.get, client.next)
    served.parked()
    served.stop()

    assert waiting.result(10).status_code == 503
