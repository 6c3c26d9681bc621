"""Calls from outside: they ring at every client that is available, and one of them decides."""

from __future__ import annotations

import time
from urllib.parse import unquote_plus

import pytest

from telco_bridge.media import Modality
from telco_bridge.sandbox.exchange import LegState, Side

ADA = "sip:ada@sandbox.test"
BOB = "+15550177"
ANSWER = "v=0\r\no=- 1 1 IN IP4 10.0.0.1\r\ns=-\r\nc=IN IP4 10.0.0.1\r\nt=0 0\r\nm=audio 4000 RTP/SAVP 0\r\n"
WITH_VIDEO = ANSWER + "m=video 4002 RTP/SAVP 122\r\n"
BOTH = frozenset({Modality.AUDIO, Modality.VIDEO})


def available(client, *modalities, preference="VoipAudio"):
    me = client.application["_embedded"]["me"]["_links"]["makeMeAvailable"]["href"]
    given = {"supportedModalities": list(modalities or ("Audio", "Video", "PhoneAudio")), "audioPreference": preference}
    assert client.post(me, **given).status_code == 204
    client.until("communication updated")
    return client


def call(served, to=ADA, media=frozenset({Modality.AUDIO})):
    return served.exchange.call_in(caller=BOB, callee=to, media=media)


def rung(client, rel="audioVideoInvitation"):
    started = client.until(f"{rel} started")
    while client.names()[-1] != "participant added":
        client.poll()
    return started.body


def over(client):
    while "conversation deleted" not in client.names():
        client.poll()


def link(client, name, rel="audioVideoInvitation"):
    return client.link(rel, name)


def accept(client, sdp=ANSWER, **query):
    url = client.url(link(client, "acceptWithAnswer"))
    params = {"sessionContext": "sc-41", **query}
    return client.http.post(url, params=params, content=sdp, headers={"Content-Type": "application/sdp"})


@pytest.fixture
def here(client):
    return available(client)


def test_a_call_rings_with_an_offer_in_two_forms_and_says_who_calls(served, here):
    leg = call(served, media=BOTH)
    invitation = rung(here)

    assert leg.state is LegState.RINGING
    assert here.names(here.told[-1].package) == [
        "audioVideoInvitation started",
        "conversation added",
        "localParticipant added",
        "participant added",
    ]
    assert (invitation["direction"], invitation["state"]) == ("Incoming", "Connecting")
    assert "operationId" not in invitation
    assert invitation["_embedded"]["from"]["uri"] == f"tel:{BOB}"
    offer = unquote_plus(invitation["_links"]["mediaOffer"]["href"])
    assert offer.count("Content-Type: application/sdp") == 2
    assert "m=audio 50000" in offer
    conversation = here.last("conversation")
    assert (conversation["state"], conversation["activeModalities"]) == ("Incoming", ["Audio", "Video"])
    assert set(invitation["_links"]) >= {"acceptWithAnswer", "acceptWithPhoneAudio", "sendProvisionalAnswer", "decline"}
    assert "cancel" not in invitation["_links"]


def test_a_number_of_the_user_rings_too(served, here):
    call(served, to="tel:+15550000001")

    assert rung(here)["direction"] == "Incoming"


def test_an_answer_connects_the_call_with_its_media(served, here):
    leg = call(served, media=BOTH)
    rung(here)
    before = len(here.told)
    answered = accept(here, WITH_VIDEO)

    assert answered.status_code == 204
    completed = here.until("audioVideoInvitation completed")
    assert [told.name for told in here.told[before:]] == [
        "audioVideoInvitation updated",
        "messaging updated",
        "audioVideo updated",
        "audioVideoSession added",
        "participantAudio added",
        "participantAudio added",
        "participantVideo added",
        "participantVideo added",
        "conversation updated",
        "audioVideoInvitation completed",
    ]
    taken = here.told[before].body
    assert taken["state"] == "Connecting"
    assert not {"acceptWithAnswer", "decline"} & set(taken["_links"])
    assert (completed.raw["status"], completed.body["state"]) == ("Success", "Connected")
    assert completed.body["_embedded"]["acceptedByParticipant"][0]["local"]
    assert here.last("conversation")["activeModalities"] == ["Audio", "Video"]
    assert (leg.state, leg.media) == (LegState.UP, BOTH)


def test_an_answer_may_take_less_than_was_offered(served, here):
    leg = call(served, media=BOTH)
    rung(here)
    accept(here)
    here.until("audioVideoInvitation completed")

    assert leg.media == {Modality.AUDIO}
    assert here.last("conversation")["activeModalities"] == ["Audio"]


def test_hanging_up_an_answered_call_ends_it_on_this_side(served, here):
    leg = call(served)
    rung(here)
    accept(here)
    here.until("audioVideoInvitation completed")
    assert here.delete(here.last("conversation")["_links"]["self"]["href"]).status_code == 204
    over(here)

    assert leg.clearing.by is Side.CALLEE
    assert not [told for told in here.told if told.rel == "audioVideo" and told.raw.get("reason")]


def test_a_caller_who_hangs_up_is_told_as_that(served, here):
    leg = call(served)
    rung(here)
    accept(here)
    here.until("audioVideoInvitation completed")
    leg.hang_up(by=Side.CALLER)
    over(here)

    ended = next(told for told in reversed(here.told) if told.rel == "audioVideo")
    assert ended.raw["reason"]["subcode"] == "CallTerminated"


@pytest.mark.parametrize(
    ("sdp", "query", "wrong"),
    [
        ("", {}, "sdp"),
        ("hello", {}, "sdp"),
        (ANSWER.replace("m=audio 4000", "m=audio 0"), {}, "sdp"),
        (ANSWER, {"sessionContext": ""}, "sessionContext"),
        (ANSWER, {"sessionContext": "s" * 51}, "sessionContext"),
        (ANSWER, {"processedOfferId": "<somebody@else>"}, "processedOfferId"),
    ],
)
def test_an_answer_that_cannot_be_taken_is_refused_and_the_call_rings_on(served, here, sdp, query, wrong):
    leg = call(served)
    rung(here)
    refused = accept(here, sdp, **query)

    assert (refused.status_code, refused.json()["subcode"]) == (400, "ParameterValidationFailure")
    assert [parameter["name"] for parameter in refused.json()["parameters"]] == [wrong]
    assert leg.state is LegState.RINGING


def test_a_provisional_answer_leaves_the_call_ringing(served, here):
    leg = call(served)
    rung(here)
    url = here.url(link(here, "sendProvisionalAnswer"))
    sent = here.http.post(
        url, params={"sessionContext": "sc"}, content=ANSWER, headers={"Content-Type": "application/sdp"}
    )

    assert (sent.status_code, leg.state) == (204, LegState.RINGING)


def test_a_call_taken_on_the_phone_rings_it_and_connects_as_phone_audio(served, here):
    leg = call(served)
    rung(here)
    before = len(here.told)
    assert here.post(link(here, "acceptWithPhoneAudio")).status_code == 204
    here.until("audioVideoInvitation completed")

    assert [told.name for told in here.told[before:] if not told.rel.startswith("participant")] == [
        "audioVideoInvitation updated",
        "audioVideo updated",
        "phoneAudio updated",
        "messaging updated",
        "phoneAudio updated",
        "conversation updated",
        "audioVideoInvitation completed",
    ]
    assert here.last("phoneAudio")["state"] == "Connected"
    assert here.last("audioVideo")["state"] == "Disconnected"
    assert leg.state is LegState.UP


def test_a_call_that_nobody_picks_up_on_the_phone_is_missed(serve):
    served = serve(own_phone_answers_after=None, ring_timeout=5.0)
    client = served.connect()
    client.sign_in()
    available(client)
    leg = call(served)
    rung(client)
    client.post(link(client, "acceptWithPhoneAudio"))
    completed = client.until("audioVideoInvitation completed")
    over(client)

    assert (completed.raw["status"], completed.raw["reason"]["subcode"]) == ("Failure", "Missed")
    assert leg.clearing.sip == 480


def test_a_user_who_prefers_the_phone_may_only_decline(serve):
    served = serve(own_phone_answers_after=None)
    client = served.connect()
    client.sign_in()
    available(client, "PhoneAudio", preference="PhoneAudio")
    leg = call(served)
    invitation = client.until("phoneAudioInvitation started").body

    assert "decline" in invitation["_links"]
    assert not [rel for rel in invitation["_links"] if rel.startswith("accept")]
    assert client.post(invitation["_links"]["decline"]["href"], reason="Global").status_code == 204
    completed = client.until("phoneAudioInvitation completed")
    assert completed.body["state"] == "Declined"
    over(client)
    assert (leg.clearing.sip, leg.clearing.by) == (603, Side.CALLEE)


def test_a_user_who_prefers_the_phone_picks_it_up(served, client):
    available(client, "PhoneAudio", preference="PhoneAudio")
    leg = call(served)
    completed = client.until("phoneAudioInvitation completed")

    assert completed.raw["status"] == "Success"
    assert client.last("conversation")["state"] == "Connected"
    assert leg.state is LegState.UP


def test_of_two_clients_one_answers_and_the_other_learns_it(served, here):
    other = served.connect()
    other.sign_in(EndpointId="other")
    available(other)
    leg = call(served)
    rung(here)
    rung(other)
    accept(here)
    here.until("audioVideoInvitation completed")
    completed = other.until("audioVideoInvitation completed")
    over(other)

    assert completed.raw["reason"]["subcode"] == "ConnectedElsewhere"
    assert leg.state is LegState.UP


@pytest.mark.parametrize(("reason", "rings"), [("Local", True), ("CodecMismatch", True), ("Global", False)])
def test_only_a_global_refusal_is_the_users(served, here, reason, rings):
    other = served.connect()
    other.sign_in(EndpointId="other")
    available(other)
    leg = call(served)
    rung(here)
    rung(other)
    assert here.post(link(here, "decline"), reason=reason).status_code == 204
    over(here)

    assert (leg.state is LegState.RINGING) is rings
    if rings:
        accept(other)
        assert other.until("audioVideoInvitation completed").raw["status"] == "Success"
    else:
        assert other.until("audioVideoInvitation completed").raw["reason"]["subcode"] == "Declined"


def test_a_reason_that_is_none_is_refused(served, here):
    call(served)
    rung(here)
    refused = here.post(link(here, "decline"), reason="Bored")

    assert refused.json()["parameters"] == [{"name": "reason", "reason": "Invalid"}]


def test_a_decided_invitation_is_decided(served, here):
    call(served)
    rung(here)
    decline = link(here, "decline")
    accept(here)

    assert here.post(decline).status_code in (404, 409)


def test_a_caller_who_gives_up_cancels_the_invitation(served, here):
    leg = call(served)
    rung(here)
    leg.hang_up(by=Side.CALLER)
    completed = here.until("audioVideoInvitation completed")
    over(here)

    assert (completed.body["state"], completed.raw["reason"]["subcode"]) == ("Cancelled", "Canceled")


def test_a_client_that_leaves_a_ringing_conversation_is_out_of_it(served, here):
    leg = call(served)
    rung(here)
    assert here.delete(here.last("conversation")["_links"]["self"]["href"]).status_code == 204
    over(here)

    assert leg.state is LegState.DOWN


def test_a_client_that_goes_away_leaves_the_call_ringing(served, here):
    leg = call(served)
    rung(here)
    assert here.delete(here.application["_links"]["self"]["href"]).status_code == 204

    assert leg.state is LegState.RINGING


def test_nobody_is_reached_who_is_not_available(served, client):
    leg = call(served)

    while leg.state is not LegState.DOWN:
        time.sleep(0)
    assert leg.clearing.sip == 480
    assert not client.told
