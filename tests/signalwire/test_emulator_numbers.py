"""Phone numbers over REST: bought, pointed elsewhere, released; and the calls that reach them."""

from __future__ import annotations

import threading

import pytest

from telco_bridge.sandbox.exchange import LegState
from telco_bridge_signalwire.emulator import Switches

OWN, BOUGHT, CALLER = "+15550000001", "+15557654321", "+15550100"


def buy(rest, **form) -> dict:
    answer = rest.post("IncomingPhoneNumbers", **{"PhoneNumber": BOUGHT, **form})
    assert answer.status_code == 201, answer.text
    return answer.json()


def numbers(rest, **query) -> list[str]:
    listed = rest.get("IncomingPhoneNumbers", **query).json()["incoming_phone_numbers"]
    return [number["phone_number"] for number in listed]


def test_the_projects_number_is_listed(rest):
    (number,) = rest.get("IncomingPhoneNumbers").json()["incoming_phone_numbers"]

    assert (number["phone_number"], number["friendly_name"]) == (OWN, "(555) 000-0001")
    assert (number["voice_url"], number["voice_method"], number["voice_application_sid"]) == (None, "POST", None)
    assert number["capabilities"]["voice"] is True


def test_numbers_are_filtered_and_paged(rest):
    buy(rest, FriendlyName="support")
    first = rest.get("IncomingPhoneNumbers", PageSize=1).json()
    second = rest.http.get(first["next_page_uri"]).json()

    assert numbers(rest, PhoneNumber=BOUGHT) == numbers(rest, FriendlyName="support") == [BOUGHT]
    assert numbers(rest, PhoneNumber="55500") == [OWN]
    assert numbers(rest, PhoneNumber="999") == []
    assert [page["incoming_phone_numbers"][0]["phone_number"] for page in (first, second)] == [BOUGHT, OWN]


def test_a_call_to_a_bought_number_is_answered_by_its_document(rest, application, network):
    application.documents["/voice"] = "<Response><Hangup/></Response>"
    buy(rest, VoiceUrl=f"{application.url}/voice", StatusCallback=f"{application.url}/status")
    network.call_in(caller=CALLER, callee=BOUGHT)
    asked = application.wait("/voice").fields

    assert (asked["To"], asked["Direction"]) == (BOUGHT, "inbound")
    assert application.wait("/status", "completed").fields["CallSid"] == asked["CallSid"]


def test_a_number_is_pointed_elsewhere(rest, application, network):
    sid = buy(rest, VoiceUrl=f"{application.url}/voice/old", VoiceMethod="get")["sid"]
    changed = rest.post(f"IncomingPhoneNumbers/{sid}", VoiceUrl=f"{application.url}/voice/new", FriendlyName="x").json()
    network.call_in(caller=CALLER, callee=BOUGHT)

    assert application.wait("/voice/new").method == "GET"
    assert application.to("/voice/old") == []
    assert (changed["friendly_name"], changed["voice_method"]) == ("x", "GET")
    assert rest.get(f"IncomingPhoneNumbers/{sid}").json() == changed


def test_a_blank_takes_a_setting_away(rest):
    sid = buy(rest, VoiceUrl="https://a.example/v", StatusCallback="https://a.example/s")["sid"]
    changed = rest.post(f"IncomingPhoneNumbers/{sid}", VoiceUrl="").json()

    assert (changed["voice_url"], changed["status_callback"]) == (None, "https://a.example/s")


def test_an_application_takes_the_place_of_the_numbers_own_documents(rest, application, network):
    made = rest.post("Applications", FriendlyName="app", VoiceUrl=f"{application.url}/voice/app").json()["sid"]
    buy(rest, VoiceUrl=f"{application.url}/voice/own", VoiceApplicationSid=made)
    network.call_in(caller=CALLER, callee=BOUGHT)
    application.wait("/voice/app")

    assert application.to("/voice/own") == []


def test_a_number_whose_application_is_gone_takes_no_calls(rest, network, emulator):
    made = rest.post("Applications", FriendlyName="app", VoiceUrl="https://a.example/v").json()["sid"]
    sid = buy(rest, VoiceApplicationSid=made)["sid"]
    rest.http.delete(f"{rest.base}/Applications/{made}")
    refused = rest.post(f"IncomingPhoneNumbers/{sid}", VoiceApplicationSid=made)
    leg = cleared(network, lambda: network.call_in(caller=CALLER, callee=BOUGHT))

    assert refused.json()["code"] == 21218
    assert (leg.clearing.sip, leg.answered) == (404, False)


def test_a_released_number_is_nobodys(rest, network):
    sid = buy(rest)["sid"]
    path = f"{rest.base}/IncomingPhoneNumbers/{sid}"
    statuses = [rest.http.delete(path).status_code for _ in range(2)]
    leg = cleared(network, lambda: network.call_in(caller=CALLER, callee=BOUGHT))

    assert statuses == [204, 404]
    assert leg.clearing.sip == 404
    assert rest.get("Calls").json()["calls"] == []
    assert buy(rest)["sid"] != sid


def test_a_number_cannot_be_released_right_after_its_purchase(rest_with):
    rest = rest_with(switches=Switches(release_cooldown=3600.0))
    sid = buy(rest)["sid"]

    assert rest.http.delete(f"{rest.base}/IncomingPhoneNumbers/{sid}").status_code == 409


@pytest.mark.parametrize(
    ("form", "code"),
    [
        ({"PhoneNumber": ""}, 10000),
        ({"PhoneNumber": "5551234"}, 10000),
        ({"PhoneNumber": OWN}, 10000),
        ({"VoiceUrl": "nowhere"}, 21402),
        ({"VoiceFallbackUrl": "/relative"}, 21402),
        ({"VoiceMethod": "PUT"}, 21209),
        ({"StatusCallback": "nowhere"}, 21456),
        ({"VoiceApplicationSid": "unknown"}, 21218),
        ({"VoiceReceiveMode": "telex"}, 10000),
    ],
)
def test_a_bad_purchase_is_refused_by_its_code(rest, form, code):
    answer = rest.post("IncomingPhoneNumbers", **{"PhoneNumber": BOUGHT, **form})

    assert (answer.status_code, answer.json()["code"]) == (422, code)
    assert numbers(rest) == [OWN]


def test_a_number_owned_from_the_start_keeps_its_sid(rest, emulator):
    sid = emulator.own(OWN, voice_url="https://a.example/v")
    known = rest.get(f"IncomingPhoneNumbers/{sid}").json()

    assert emulator.own(OWN) == sid
    assert (known["voice_url"], known["phone_number"]) == ("https://a.example/v", OWN)
    assert rest.get("IncomingPhoneNumbers/unknown").json()["code"] == 20404


def cleared(network, call):
    """The leg of a call that is refused, as soon as it is."""
    leg, over = call(), threading.Event()
    with network.lock:
        told = leg.watcher

        def watch(watched, event) -> None:
            if told is not None:
                told(watched, event)
            if watched.state is LegState.DOWN:
                over.set()

        leg.watcher = watch
    assert leg.state is LegState.DOWN or over.wait(10)
    return leg
