"""Audio and video by offer and answer, each stopped and added by itself."""

from __future__ import annotations

import base64
from urllib.parse import unquote_plus, urlencode

import pytest

OFFER = (
    "v=0\r\no=- 1 1 IN IP4 10.0.0.1\r\ns=session\r\nc=IN IP4 10.0.0.1\r\nt=0 0\r\n"
    "m=audio 4000 RTP/SAVP 0 101\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:101 telephone-event/8000\r\na=mid:1\r\n"
    "a=crypto:2 AES_CM_128_HMAC_SHA1_80 inline:AAAA\r\na=sendonly\r\n"
    "m=video 4002 RTP/SAVP 122\r\na=rtpmap:122 X-H264UC/90000\r\na=mid:2\r\n"
)
BOTH = "sip:video@sandbox.test"


def offered(text=OFFER):
    return {"mediaOffer": {"href": "data:application/sdp;base64," + base64.b64encode(text.encode()).decode()}}


def start(client, rel="startAudioVideo", to=BOTH, **inputs):
    return client.start(rel, to=to, operationId=inputs.pop("operationId", "op-1"), _links=offered(), **inputs)


def connect(client, rel="startAudioVideo", to=BOTH):
    answer = start(client, rel, to)
    assert answer.status_code == 201, answer.text
    return client.until("audioVideoInvitation completed")


def media(client):
    return client.last("conversation")["activeModalities"]


def stops(client):
    return {rel for rel in client.last("audioVideo")["_links"] if rel.startswith(("stop", "add"))}


def media_answer(client):
    return unquote_plus(client.link("audioVideoNegotiation", "mediaAnswer").partition(",")[2])


def test_a_call_is_told_in_order_with_its_answer_before_the_media(client):
    completed = connect(client)

    assert client.names() == [
        "audioVideoInvitation started",
        "conversation added",
        "localParticipant added",
        "audioVideo updated",
        "audioVideoInvitation updated",
        "messaging updated",
        "audioVideoNegotiation updated",
        "participant added",
        "audioVideo updated",
        "audioVideoSession added",
        "participantAudio added",
        "participantAudio added",
        "participantVideo added",
        "participantVideo added",
        "conversation updated",
        "audioVideoInvitation completed",
    ]
    assert completed.raw["status"] == "Success"
    assert media(client) == ["Audio", "Video"]
    assert stops(client) == {"stopAudio", "stopVideo", "stopAudioVideo"}


def test_the_answer_comes_from_the_invitation_and_mirrors_the_offer(client):
    start(client, sessionContext="sc-41")
    client.until("audioVideoInvitation completed")
    negotiation = next(t for t in client.told if t.rel == "audioVideoNegotiation")
    answer = media_answer(client)

    assert negotiation.sender == "audioVideoInvitation"
    assert negotiation.body["sessionContext"] == "sc-41"
    assert "m=audio 50000 RTP/SAVP 0 101" in answer
    assert "a=recvonly" in answer
    assert "a=crypto:2 AES_CM_128_HMAC_SHA1_80 inline:" in answer
    assert "m=video 50002 RTP/SAVP 122" in answer


def test_media_that_the_far_end_does_not_take_are_declined_in_the_answer(client):
    connect(client, to="sip:answer@sandbox.test")

    assert "m=video 0 RTP/SAVP 122" in media_answer(client)
    assert media(client) == ["Audio"]
    assert stops(client) == {"stopAudio", "stopAudioVideo", "addVideo"}
    assert "participantVideo added" not in client.names()


def test_a_far_end_that_takes_nothing_of_it_refuses(client):
    completed = connect(client, rel="startVideo", to="sip:answer@sandbox.test")

    assert (completed.raw["status"], completed.raw["reason"]["subcode"]) == ("Failure", "NotAcceptable")


def test_stopping_audio_keeps_the_video_and_stopping_both_ends_the_call(served, client):
    connect(client)
    leg = next(iter(served.exchange.legs.values()))
    before = len(client.told)

    assert client.post(client.link("audioVideo", "stopAudio") + "?reason=UserInitiatedAction").status_code == 204
    client.until("conversation updated")
    assert [t.name for t in client.told[before:]] == [
        "participantAudio deleted",
        "participantAudio deleted",
        "audioVideo updated",
        "conversation updated",
    ]
    assert client.told[before].raw["in"]["rel"] == "localParticipant"
    assert client.last("audioVideo")["state"] == "Connected"
    assert stops(client) == {"stopVideo", "stopAudioVideo", "addAudio"}
    assert (media(client), sorted(leg.media)) == (["Video"], ["video"])

    before = len(client.told)
    assert client.post(client.link("audioVideo", "stopAudioVideo"), reason="UserInitiatedAction").status_code == 204
    client.until("conversation deleted")
    assert [t.name for t in client.told[before:]] == [
        "audioVideo updated",
        "audioVideoSession deleted",
        "participantVideo deleted",
        "participantVideo deleted",
        "participant deleted",
        "conversation updated",
        "conversation deleted",
    ]
    assert client.last("audioVideo")["state"] == "Disconnected"
    assert [(s.verb, s.reason, s.where) for s in served.emulator.stops] == [
        ("stopAudio", "UserInitiatedAction", "query"),
        ("stopAudioVideo", "UserInitiatedAction", "body"),
    ]


def test_the_reason_in_the_body_wins_and_none_is_unknown(served, client):
    connect(client)
    href = client.link("audioVideo", "stopVideo")
    client.post(f"{href}?{urlencode({'reason': 'Cancel'})}", Reason="MediaTimeout")
    client.until("conversation updated")
    client.post(client.link("audioVideo", "stopAudio"))
    client.until("conversation deleted")

    assert [(s.verb, s.reason, s.where) for s in served.emulator.stops] == [
        ("stopVideo", "MediaTimeout", "body"),
        ("stopAudio", "Unknown", "absent"),
    ]


@pytest.mark.parametrize("where", ["query", "body"])
def test_a_reason_that_nobody_documented_is_refused(served, client, where):
    connect(client)
    href = client.link("audioVideo", "stopAudio")
    answer = client.post(f"{href}?reason=Bored") if where == "query" else client.post(href, reason="Bored")

    assert (answer.status_code, answer.json()["subcode"]) == (400, "ParameterValidationFailure")
    assert answer.json()["parameters"] == [{"name": "reason", "reason": "Invalid"}]
    assert served.emulator.stops == []


def test_audio_that_was_stopped_is_added_again(client):
    connect(client)
    client.post(client.link("audioVideo", "stopAudio"))
    client.until("conversation updated")
    before = len(client.told)

    added = client.post(client.link("audioVideo", "addAudio"), to=BOTH, operationId="op-2", _links=offered())
    client.until("audioVideoInvitation completed")
    assert added.status_code == 201
    assert [t.name for t in client.told[before:]] == [
        "audioVideoInvitation started",
        "audioVideoNegotiation updated",
        "audioVideo updated",
        "participantAudio added",
        "participantAudio added",
        "conversation updated",
        "audioVideoInvitation completed",
    ]
    assert client.last("audioVideoInvitation")["operationId"] == "op-2"
    assert media(client) == ["Audio", "Video"]


def test_video_that_the_far_end_does_not_take_cannot_be_added(client):
    connect(client, rel="startAudio", to="sip:answer@sandbox.test")
    client.post(client.link("audioVideo", "addVideo"), to=BOTH, operationId="op-2", _links=offered())

    completed = client.until("audioVideoInvitation completed")
    assert (completed.raw["status"], completed.raw["reason"]["subcode"]) == ("Failure", "NotAcceptable")
    assert client.last("audioVideo")["state"] == "Connected"


def test_to_is_required_to_add_media(client):
    connect(client, rel="startAudio")
    answer = client.post(client.link("audioVideo", "addVideo"), _links=offered())

    assert answer.json()["parameters"] == [{"name": "to", "reason": "Required"}]


def test_only_one_change_of_media_runs_at_a_time(serve):
    client = serve(add_media_takes=60.0).connect()
    client.sign_in()
    connect(client, rel="startAudio")
    add = client.link("audioVideo", "addVideo")

    assert client.post(add, to=BOTH, _links=offered()).status_code == 201
    again = client.post(add, to=BOTH, _links=offered())
    assert (again.status_code, again.json()["subcode"]) == (409, "AlreadyExists")


@pytest.mark.parametrize(
    "links",
    [
        {"mediaOffer": {"href": "data:application/sdp,hello"}},
        {"mediaOffer": {"href": "data:text/plain,v=0"}},
        {"mediaOffer": "v=0"},
        offered(OFFER.replace("m=audio 4000", "m=audio 0").replace("m=video 4002", "m=video 0")),
    ],
)
def test_an_offer_that_cannot_be_read_is_refused(client, links):
    answer = client.start("startAudio", to=BOTH, _links=links)

    assert answer.json()["parameters"] == [{"name": "sdp", "reason": "Invalid"}]


def test_alternatives_are_answered_by_their_last_one(client):
    parts = "--b1\r\nContent-Type: application/sdp\r\n\r\n{}\r\n"
    old = OFFER.replace("m=video 4002", "m=video 0")
    text = parts.format(old) + parts.format(OFFER) + "--b1--\r\n"
    offer = urlencode({"x": text})[2:]
    href = f"data:multipart/alternative;charset=utf-8;boundary=b1,{offer}"
    client.start("startAudioVideo", to=BOTH, _links={"mediaOffer": {"href": href}})
    client.until("audioVideoInvitation completed")

    assert media(client) == ["Audio", "Video"]


def test_a_pending_call_is_cancelled(served, client):
    start(client, to="sip:silent@sandbox.test")
    client.until("audioVideoInvitation updated")

    assert client.post(client.link("audioVideoInvitation", "cancel")).status_code == 204
    assert client.until("audioVideoInvitation completed").raw["reason"]["subcode"] == "Canceled"
    assert not served.exchange.legs


def test_media_that_the_far_end_drops_are_told(served, client):
    connect(client)
    leg = next(iter(served.exchange.legs.values()))
    leg.set_media(frozenset(m for m in leg.media if m == "audio"))
    client.until("conversation updated")

    assert media(client) == ["Audio"]
    assert stops(client) == {"stopAudio", "stopAudioVideo", "addVideo"}
