"""What an emulated server tells of media sessions, of calls that go over to the phone, and of calls that are moved."""

from __future__ import annotations

import threading
from urllib.parse import unquote_plus

import pytest

from telco_bridge_ucwa.emulator.handover import hand_over
from telco_bridge_ucwa.emulator.outcomes import TARGET_DECLINED

from .test_emulator_audio_video import BOTH, OFFER, connect, media, start

INACTIVE = OFFER.replace("a=sendonly", "a=inactive").replace("m=video 4002", "m=video 0")
CAROL = "sip:carol@sandbox.test"
AVAILABLE = {
    "supportedModalities": ["Audio", "Video", "PhoneAudio"],
    "audioPreference": "VoipAudio",
    "phoneNumber": "+15550000001",
}


@pytest.fixture
def here(served):
    """Runs something in the emulator's loop, and waits for it."""

    def run(action):
        done = threading.Event()

        def act():
            action()
            done.set()

        served.emulator.post(act)
        assert done.wait(5.0)

    return run


def conversation(served):
    return served.emulator.applications[0].communication.conversations[0]


def described(client, href, sdp, **query):
    extra = "&".join(f"{name}={value}" for name, value in query.items())
    url = client.url(href) + (("&" if "?" in href else "?") + extra if extra else "")
    return client.http.post(url, content=sdp, headers={"content-type": "application/sdp"})


def session(client, name):
    return client.get(client.link("audioVideo", "audioVideoSession")).json()["_links"][name]["href"]


def renegotiate(client, sdp=OFFER, operation_id="re-1"):
    return described(client, session(client, "renegotiations"), sdp, operationId=operation_id)


def becomes(client, modalities):
    """Take packages until the conversation has these modalities."""
    while media(client) != modalities:
        client.poll()


def told(client, name):
    return unquote_plus(client.link("audioVideoRenegotiation", name).partition(",")[2])


def test_an_offer_for_the_session_is_answered_by_the_other_party(served, client):
    connect(client)
    answer = renegotiate(client, INACTIVE)

    assert (answer.status_code, answer.json()["operationId"]) == (201, "re-1")
    assert "mediaAnswer" not in answer.json()["_links"]
    completed = client.until("audioVideoRenegotiation completed")
    assert (completed.raw["status"], completed.body["operationId"]) == ("Success", "re-1")
    assert completed.body["_links"]["self"]["href"] == answer.headers["location"]
    assert "a=inactive" in told(client, "mediaAnswer")
    assert client.names().count("audioVideoRenegotiation started") == 1
    becomes(client, ["Audio"])
    (leg,) = served.exchange.legs.values()
    assert leg.held


def test_one_renegotiation_runs_at_a_time(client):
    connect(client)
    assert renegotiate(client).status_code == 201

    again = renegotiate(client, operation_id="re-2")

    assert (again.status_code, again.json()["subcode"]) == (409, "AlreadyExists")


@pytest.mark.parametrize(
    ("sdp", "query", "wrong"),
    [
        ("hello", {"operationId": "re-1"}, "sdp"),
        (OFFER, {}, "operationId"),
        (OFFER, {"operationId": "x" * 51}, "operationId"),
    ],
)
def test_an_offer_for_the_session_is_checked(client, sdp, query, wrong):
    connect(client)
    answer = described(client, session(client, "renegotiations"), sdp, **query)

    assert answer.json()["parameters"][0]["name"] == wrong


def test_an_offer_without_any_of_the_media_there_are_is_not_taken(client):
    connect(client, rel="startAudio")
    renegotiate(client, OFFER.replace("m=audio 4000", "m=audio 0"))

    completed = client.until("audioVideoRenegotiation completed")
    assert (completed.raw["status"], completed.raw["reason"]["subcode"]) == ("Failure", "NotAcceptable")


def test_the_other_party_proposes_and_is_answered(served, client, here):
    connect(client)
    here(lambda: conversation(served).audio_video.session.propose())
    started = client.until("audioVideoRenegotiation started")
    assert started.body["direction"] == "Incoming"
    assert "m=video" in told(client, "mediaOffer")
    assert renegotiate(client).json()["subcode"] == "AlreadyExists"
    answer = client.link("audioVideoRenegotiation", "answer")

    assert described(client, answer, INACTIVE).status_code == 204
    assert client.until("audioVideoRenegotiation completed").raw["status"] == "Success"
    becomes(client, ["Audio"])
    assert described(client, answer, INACTIVE).status_code == 409


def test_the_other_party_proposes_and_is_dismissed(served, client, here):
    connect(client)
    here(lambda: conversation(served).audio_video.session.propose(OFFER))
    client.until("audioVideoRenegotiation started")
    dismiss = client.link("audioVideoRenegotiation", "dismiss")

    assert client.post(dismiss, reason="Bored").json()["parameters"] == [{"name": "reason", "reason": "Invalid"}]
    assert client.post(dismiss, reason="Conflict").status_code == 204
    completed = client.until("audioVideoRenegotiation completed")
    assert (completed.raw["status"], completed.raw["reason"]["subcode"]) == ("Failure", "Declined")
    assert media(client) == ["Audio", "Video"]


def test_a_session_is_suspended_and_resumed(served, client, here):
    connect(client)
    here(lambda: conversation(served).audio_video.session.suspend(expires_after=600.0))
    assert client.until("audioVideoSession updated").body["state"] == "Suspended"

    assert described(client, session(client, "resumeAudioVideo"), OFFER, operationId="re-1").status_code == 201
    assert client.until("audioVideoSession updated").body["state"] == "Established"
    assert "renegotiations" in client.get(client.link("audioVideo", "audioVideoSession")).json()["_links"]


def test_a_session_that_is_suspended_too_long_expires(served, client, here):
    connect(client)
    here(lambda: conversation(served).audio_video.session.suspend(expires_after=1.0))

    assert client.until("conversation deleted")
    assert next(t for t in client.told if t.raw.get("reason")).raw["reason"]["subcode"] == "Expired"


def test_endpoints_that_let_media_flow_early_are_told_before_the_answer(serve):
    client = serve(provisional_answers=2).connect()
    client.sign_in()
    connect(client)

    answers = [t.body for t in client.told if t.rel == "audioVideoNegotiation"]
    kinds = [next(name for name in body["_links"] if name.startswith("media")) for body in answers]
    assert kinds == ["mediaProvisionalAnswer", "mediaProvisionalAnswer", "mediaAnswer"]
    assert [body["remoteEndpoint"].rpartition("=")[2] for body in answers] == ["1", "2", "1"]


def available(client):
    client.post(client.application["_embedded"]["me"]["_links"]["makeMeAvailable"]["href"], **AVAILABLE)


@pytest.mark.parametrize(("rel", "left"), [("startAudio", set()), ("startAudioVideo", {"video"})])
def test_the_phone_takes_the_audio_over_and_video_stays(served, client, rel, left):
    available(client)
    connect(client, rel=rel)
    answer = client.post(client.link("audioVideo", "replaceWithPhoneAudio"), to=BOTH, operationId="op-2")
    assert answer.status_code == 201

    completed = client.until("phoneAudioInvitation completed")
    assert completed.raw["status"] == "Success"
    assert client.last("phoneAudio")["state"] == "Connected"
    held = conversation(served)
    while left and "addAudio" not in client.last("audioVideo")["_links"]:
        client.poll()
    assert {m.value for m in held.audio_video.media} == left
    assert {m.value for m in held.phone_audio.media} == {"audio"}
    assert client.last("audioVideo")["state"] == ("Connected" if left else "Disconnected")
    assert "conversation deleted" not in client.names()


def test_without_a_phone_nothing_can_take_the_audio_over(client):
    connect(client)

    assert "replaceWithPhoneAudio" not in client.last("audioVideo")["_links"]


@pytest.mark.parametrize("rel", ["startPhoneAudio", "startAudioVideo"])
def test_a_call_that_somebody_else_answers_goes_on_in_a_conversation_of_its_own(serve, rel):
    served = serve(answered_by={BOTH: CAROL, "tel:+15550100": CAROL})
    client = served.connect()
    client.sign_in()
    if rel == "startPhoneAudio":
        client.start(rel, to="tel:+15550100", phoneNumber="+15550000001", operationId="op-1")
    else:
        start(client, rel)
    client.until("conversation deleted")

    completed = next(t for t in client.told if t.type == "completed")
    assert (completed.raw["status"], completed.raw["reason"]["subcode"]) == ("Success", "DerivedConversation")
    (taker,) = completed.body["_embedded"]["acceptedByParticipant"]
    assert taker["uri"] == CAROL
    links = completed.body["_links"]
    assert links["derivedConversation"]["href"] != links["conversation"]["href"]
    assert client.get(links["derivedConversation"]["href"]).json()["state"] == "Connected"
    modality = links.get("derivedPhoneAudio", links.get("derivedAudioVideo"))
    assert client.get(modality["href"]).json()["state"] == "Connected"
    assert len(served.exchange.legs) == 1
    assert client.get(links["conversation"]["href"]).status_code == 404


def test_a_call_that_is_handed_over_gives_way_to_the_one_that_is_taken(served, client, here):
    available(client)
    connect(client)
    before = client.last("audioVideo")["_links"]["self"]["href"]
    here(lambda: hand_over(conversation(served).audio_video, CAROL))
    client.until("audioVideoInvitation started")
    links = client.last("audioVideoInvitation")["_links"]
    assert links["replacesAudioVideo"]["href"].endswith(before.partition("//")[2].partition("/")[2])
    assert client.get(links["transferredBy"]["href"]).json()["uri"] == BOTH

    client.http.post(
        client.url(links["acceptWithAnswer"]["href"]) + "?sessionContext=sc-2",
        content=OFFER,
        headers={"content-type": "application/sdp"},
    )
    client.until("audioVideoInvitation completed")
    replaced = [t for t in client.told if t.raw.get("reason", {}).get("subcode") == "Replaced"]
    assert [t.name for t in replaced] == ["audioVideo updated", "conversation updated"]
    assert len(served.exchange.legs) == 1


def test_a_transfer_shows_and_can_fail(served, client, here):
    connect(client)
    here(lambda: conversation(served).audio_video.transferring())
    assert client.until("audioVideo updated").body["state"] == "Transferring"
    here(lambda: conversation(served).audio_video.transfer_failed(TARGET_DECLINED))
    updated = client.until("audioVideo updated")

    assert (updated.body["state"], updated.raw["reason"]["subcode"]) == ("Connected", "TransferTargetDeclined")


def test_diagnoses_policies_and_relays_are_there(served, client):
    connect(client)
    href = client.link("audioVideo", "reportMediaDiagnostics")
    assert client.post(href, errorCode="Bored").status_code == 400
    assert client.post(href, errorCode="LocalFailure", errorSubcode="MediaFailure").status_code == 204
    assert client.post(client.link("audioVideo", "videoFreeze")).status_code == 204
    assert client.get(client.link("audioVideo", "audioVideoPolicies")).json()["multiView"] == "Disabled"
    hub = client.application["_embedded"]["communication"]["_links"]
    token = client.get(hub["mediaRelayAccessToken"]["href"]).json()

    assert served.emulator.diagnoses == [("LocalFailure", "MediaFailure")]
    assert [relay["tcpPort"] for relay in token["_embedded"]["mediaRelay"]] == [443]
    assert client.get(hub["mediaPolicies"]["href"]).json()["minimumAudioPort"] == 50000
