"""Conferences of the emulated server: escalation, participants, roles, the lobby, and meetings."""

from __future__ import annotations

import pytest

from telco_bridge.sandbox import LegState
from telco_bridge.sandbox.exchange import Side

OFFER = "v=0\r\no=- 1 1 IN IP4 10.0.0.1\r\ns=s\r\nc=IN IP4 10.0.0.1\r\nt=0 0\r\nm=audio 4000 RTP/SAVP 0\r\n"
BOB = "sip:answer@sandbox.test"
CLAIRE = "sip:speak@sandbox.test"


def call(client, to=BOB):
    answer = client.start("startPhoneAudio", to=to, operationId="op-1", phoneNumber="+15550000001")
    assert answer.status_code == 201, answer.text
    client.until("phoneAudioInvitation completed")


def add(client, to=CLAIRE, operation="op-2"):
    return client.post(client.link("conversation", "addParticipant"), to=to, operationId=operation)


def conference(client):
    call(client)
    assert add(client).status_code == 201
    assert client.until("participantInvitation completed").raw["status"] == "Success"


def people(client, rel="participant"):
    """Every participant that was ever told of, by name, as it is now."""
    hrefs = dict.fromkeys(told.raw["link"]["href"] for told in client.told if told.rel == rel)
    found = [client.get(href) for href in hrefs]
    return {answer.json()["name"]: answer.json() for answer in found if answer.status_code == 200}


def me(client):
    return client.get(client.link("conversation", "localParticipant")).json()


def audio(client, body):
    return client.get(body["_links"]["participantAudio"]["href"]).json()


def do(client, body, rel):
    return client.post(body["_links"][rel]["href"]).status_code


def view(client, rel):
    body = client.get(client.link("conversation", rel)).json()
    hrefs = [link["href"] for link in body["_links"].get("participant", [])]
    return [client.get(href).json()["name"] for href in hrefs] + [
        part["name"] for part in body.get("_embedded", {}).get("participant", [])
    ]


def test_who_is_added_makes_a_conference_of_a_call_of_two(client, served):
    call(client)
    before = len(client.told)
    assert add(client).headers["location"]
    done = client.until("participantInvitation completed")
    told = client.told[before:]

    assert [t.body["state"] for t in told if t.rel == "conversation"][:2] == ["Conferencing", "Conferenced"]
    assert [t.name for t in told][:3] == [
        "participantInvitation started",
        "conversation updated",
        "conversation updated",
    ]
    assert "onlineMeeting added" in [t.name for t in told]
    assert (done.raw["status"], done.body["operationId"]) == ("Success", "op-2")
    assert done.body["_embedded"]["acceptedByParticipant"][0]["uri"] == CLAIRE
    assert client.get(done.body["_links"]["participant"]["href"]).json()["uri"] == CLAIRE
    assert (view(client, "leaders"), view(client, "attendees")) == (["Ada Lovelace"], ["answer", "speak"])
    assert client.get(client.link("conversation", "onlineMeeting")).json()["organizerUri"] == "sip:ada@sandbox.test"
    up = [leg.callee for leg in served.exchange.legs.values() if leg.state is LegState.UP]
    assert {BOB, CLAIRE} < set(up)


@pytest.mark.parametrize(
    ("to", "subcode"),
    [("sip:busy@sandbox.test", "Busy"), ("sip:decline@sandbox.test", "Declined"), ("sip:x@y.z", "DestinationNotFound")],
)
def test_who_does_not_come_fails_the_invitation_and_nothing_else(client, to, subcode):
    call(client)
    add(client, to)
    failed = client.until("participantInvitation completed")

    assert (failed.raw["status"], failed.raw["reason"]["subcode"]) == ("Failure", subcode)
    assert client.last("conversation")["state"] == "Conferenced"


def test_who_hangs_up_leaves_the_others_where_they_are(client, served):
    conference(client)
    leg = next(leg for leg in served.exchange.legs.values() if leg.callee == BOB)
    leg.hang_up(by=Side.CALLEE)
    client.until("participant deleted")

    assert list(people(client)) == ["speak"]
    assert client.last("phoneAudio")["state"] == "Connected"


def test_a_held_call_is_held_no_more_in_the_conference_that_it_becomes(client):
    call(client)
    client.post(client.link("phoneAudio", "holdPhoneAudio"))
    client.until("phoneAudio updated")
    add(client)
    client.until("participantInvitation completed")

    assert "holdPhoneAudio" in client.last("phoneAudio")["_links"]
    assert client.post(client.link("phoneAudio", "holdPhoneAudio")).status_code == 204
    client.until("phoneAudio updated")
    assert "resumePhoneAudio" in client.last("phoneAudio")["_links"]


def test_a_leader_mutes_ejects_and_promotes(client, served):
    conference(client)
    bob, claire = people(client)["answer"], people(client)["speak"]
    assert do(client, audio(client, bob), "muteAudio") == 204
    client.until("participantAudio updated")
    assert audio(client, bob)["audioMuted"] is True
    assert set(audio(client, bob)["_links"]) >= {"unmuteAudio"}
    assert do(client, claire, "promote") == 204
    client.until("participant updated")
    assert view(client, "leaders") == ["Ada Lovelace", "speak"]
    assert "demote" in people(client)["speak"]["_links"]
    assert do(client, bob, "promote") == 204
    assert do(client, bob, "eject") == 204
    while "answer" in people(client):
        client.poll()

    assert not [leg for leg in served.exchange.legs.values() if leg.callee == BOB]
    assert do(client, bob, "eject") == 404


def test_the_user_is_muted_by_the_conference_and_in_a_call_of_two_not_at_all(client):
    call(client)
    assert not {"muteAudio", "unmuteAudio"} & set(audio(client, me(client))["_links"])
    add(client)
    client.until("participantInvitation completed")
    own = audio(client, me(client))
    assert do(client, own, "muteAudio") == 204
    told = client.until("participantAudio updated")

    assert told.raw["in"]["rel"] == "localParticipant"
    assert told.body["audioMuted"] is True
    assert do(client, own, "muteAudio") == 409


def test_the_audience_is_muted_and_kept_so(client):
    conference(client)
    assert client.post(client.link("conversation", "enableAudienceMuteLock")).status_code == 204
    client.until("conversation updated")

    assert client.last("conversation")["audienceMute"] == "Enabled"
    assert {name: audio(client, body)["audioMuted"] for name, body in people(client).items()} == {
        "answer": True,
        "speak": True,
    }
    assert audio(client, me(client))["audioMuted"] is False
    assert client.post(client.link("conversation", "disableAudienceMessaging")).status_code == 204
    client.until("conversation updated")
    assert client.last("conversation")["audienceMessaging"] == "Disabled"
    assert "disableAudienceMuteLock" in client.last("conversation")["_links"]


def test_whoever_leaves_leaves_the_others_talking(client, served):
    conference(client)
    assert client.delete(client.last("conversation")["_links"]["self"]["href"]).status_code == 204
    client.until("conversation deleted")

    assert sorted(leg.callee for leg in served.exchange.legs.values()) == [BOB, CLAIRE]


def escalate(client, text=OFFER):
    return client.http.post(
        client.url(client.link("audioVideo", "escalateAudio")) + "&operationId=op-9&sessionContext=sc-9",
        content=text.encode(),
        headers={"Content-Type": "application/sdp"},
    )


def talk(client):
    client.start(
        "startAudio", to=BOB, operationId="op-1", _links={"mediaOffer": {"href": f"data:application/sdp,{OFFER}"}}
    )
    client.until("audioVideoInvitation completed")


def test_the_clients_own_media_move_into_a_conference(client):
    talk(client)
    answer = escalate(client)
    assert (answer.status_code, answer.json()["operationId"]) == (201, "op-9")
    assert "location" not in answer.headers
    done = client.until("audioVideoInvitation completed")

    assert (done.raw["status"], done.body["operationId"]) == ("Success", "op-9")
    assert client.last("audioVideoNegotiation")["sessionContext"] == "sc-9"
    assert client.last("conversation")["state"] == "Conferenced"
    assert client.last("audioVideo")["state"] == "Connected"
    assert "escalateAudio" not in client.last("audioVideo")["_links"]


def test_a_bad_description_escalates_nothing(client):
    talk(client)
    answer = escalate(client, "v=0\r\n")

    assert answer.status_code == 400
    assert answer.json()["parameters"] == [{"name": "sdp", "reason": "Invalid"}]
    assert client.last("conversation")["state"] == "Connected"


# Meetings


def test_a_meeting_is_started_and_dialled_into(client, served):
    answer = client.start("startOnlineMeeting", operationId="op-1", subject="demo")
    assert answer.status_code == 201
    done = client.until("onlineMeetingInvitation completed")
    assert done.raw["status"] == "Success"
    assert client.last("conversation")["activeModalities"] == []
    phone = client.get(client.link("conversation", "phoneAudio")).json()
    uri = client.last("onlineMeeting")["onlineMeetingUri"]
    add_href = phone["_links"]["addPhoneAudio"]["href"]
    assert client.post(add_href, to=uri, operationId="op-2", phoneNumber="+15550000001").status_code == 201
    client.until("phoneAudioInvitation completed")

    assert client.last("conversation")["activeModalities"] == ["Audio"]
    assert client.last("conversation")["state"] == "Conferenced"
    assert "acceptedByParticipant" not in client.last("phoneAudioInvitation").get("_embedded", {})
    assert client.post(client.link("phoneAudio", "stopPhoneAudio")).status_code == 204
    client.until("conversation updated")
    assert client.last("conversation")["state"] == "Conferenced"


@pytest.mark.parametrize(("uri", "status", "subcode"), [("sip:nobody@x.y;gruu", 404, "DestinationNotFound")])
def test_a_meeting_that_nobody_knows_cannot_be_joined(client, uri, status, subcode):
    answer = client.start("joinOnlineMeeting", onlineMeetingUri=uri, operationId="op-1")

    assert (answer.status_code, answer.json()["subcode"]) == (status, subcode)


def test_somebody_outside_dials_into_a_meeting_and_leaves_it(client, served):
    client.start("startOnlineMeeting", operationId="op-1")
    client.until("onlineMeetingInvitation completed")
    leg = served.exchange.call_in(caller="+15550177", callee=client.last("onlineMeeting")["onlineMeetingUri"])
    client.until("participantAudio added")

    assert people(client)["+15550177"]["uri"] == "tel:+15550177"
    leg.hang_up(by=Side.CALLER)
    client.until("participant deleted")
    while people(client):
        client.poll()


class Guest:
    """Makes a client a guest of the emulator's meeting."""

    def __init__(self, served):
        self.client = served.connect()
        settings = served.emulator.profile()
        self.uri = "sip:ada@sandbox.test;gruu;opaque=app:conf:focus:id:GH4T8KJ2"
        http = self.client.http
        challenge = http.get(settings["user_url"]).headers["www-authenticate"]
        ticket = challenge.partition('href="')[2].partition('"')[0]
        form = {"grant_type": "urn:microsoft.rtc:anonmeeting", "password": "GH4T8KJ2", "ms_rtc_conferenceuri": self.uri}
        http.headers["Authorization"] = f"Bearer {http.post(ticket, data=form).json()['access_token']}"
        self.client.pool = http.get(settings["user_url"]).json()["_links"]["anonApplications"]["href"]
        self.client.application = http.post(self.client.pool, json={"culture": "en-US", "userAgent": "guest"}).json()
        self.client.next = self.client.application["_links"]["events"]["href"]

    def join(self, **inputs):
        inputs = {"onlineMeetingUri": self.uri, "operationId": "op-g", "anonymousDisplayName": "Grace"} | inputs
        return self.client.start("joinOnlineMeeting", **inputs)


def knock(client, served):
    client.start("joinOnlineMeeting", onlineMeetingUri=Guest(served).uri, operationId="op-1")
    client.until("onlineMeetingInvitation completed")
    guest = Guest(served)
    assert guest.join().status_code == 201
    guest.client.until("conversation updated")
    while "participant added" not in client.names():
        client.poll()
    return guest.client


def test_a_guest_waits_in_the_lobby_until_a_leader_lets_it_in(client, served):
    guest = knock(client, served)
    assert guest.last("conversation")["state"] == "InLobby"
    grace = people(client)["Grace"]
    assert (grace["inLobby"], grace["anonymous"], view(client, "lobby")) == (True, True, ["Grace"])
    assert do(client, grace, "admit") == 204
    done = guest.until("onlineMeetingInvitation completed")

    assert done.raw["status"] == "Success"
    assert guest.last("conversation")["state"] == "Conferenced"
    client.until("participant updated")
    assert (view(client, "lobby"), view(client, "attendees")) == ([], ["Grace"])
    assert list(people(guest)) == ["Ada Lovelace"]


def test_a_guest_who_is_turned_away_is_told_so(client, served):
    guest = knock(client, served)
    assert do(client, people(client)["Grace"], "reject") == 204
    done = guest.until("onlineMeetingInvitation completed")

    assert (done.raw["status"], done.raw["reason"]["subcode"]) == ("Failure", "Denied")
    while "conversation deleted" not in guest.names():
        guest.poll()


def test_a_guest_who_is_removed_is_told_why(client, served):
    guest = knock(client, served)
    do(client, people(client)["Grace"], "admit")
    guest.until("onlineMeetingInvitation completed")
    assert do(client, people(client)["Grace"], "eject") == 204
    while "conversation deleted" not in guest.names():
        guest.poll()
    ended = [told for told in guest.told if told.rel == "conversation" and told.raw.get("reason")]

    assert [told.raw["reason"]["subcode"] for told in ended] == ["Ejected"]


def test_a_guest_needs_a_name_and_may_join_no_other_meeting(served):
    guest = Guest(served)

    assert guest.join(anonymousDisplayName="").json()["parameters"] == [
        {"name": "anonymousDisplayName", "reason": "Required"}
    ]
    assert guest.join(onlineMeetingUri="sip:other@sandbox.test").status_code == 403
    assert "startPhoneAudio" not in guest.client.application["_embedded"]["communication"]["_links"]


def test_a_leader_by_promotion_may_do_what_leaders_do(client, served):
    guest = knock(client, served)
    do(client, people(client)["Grace"], "admit")
    guest.until("onlineMeetingInvitation completed")
    assert "enableAudienceMuteLock" not in guest.last("conversation")["_links"]
    assert do(client, people(client)["Grace"], "promote") == 204
    guest.until("localParticipant updated")
    while "enableAudienceMuteLock" not in guest.last("conversation")["_links"]:
        guest.poll()
    assert do(guest, people(guest)["Ada Lovelace"], "eject") == 204
    while "conversation deleted" not in client.names():
        client.poll()

    assert client.get(client.link("conversation", "self")).status_code == 404


def test_a_guest_may_give_up_waiting(client, served):
    guest = knock(client, served)
    assert guest.post(guest.link("onlineMeetingInvitation", "cancel")).status_code == 204
    done = guest.until("onlineMeetingInvitation completed")

    assert done.body["state"] == "Cancelled"
    while people(client):
        client.poll()


# What can come to nothing


def test_an_invitation_is_cancelled(client, served):
    call(client)
    add(client, "sip:silent@sandbox.test")
    client.until("participantInvitation updated")
    assert client.post(client.link("participantInvitation", "cancel")).status_code == 204
    done = client.until("participantInvitation completed")

    assert (done.body["state"], done.raw["reason"]["subcode"]) == ("Cancelled", "Canceled")


def test_an_invitation_that_nobody_takes_fails_after_half_a_minute(serve):
    served = serve(speed=100.0)
    client = served.connect()
    client.sign_in()
    call(client)
    began = served.exchange.now()
    add(client, "sip:silent@sandbox.test")
    done = client.until("participantInvitation completed")

    assert done.raw["reason"]["code"] == "Timeout"
    assert served.exchange.now() - began >= 30.0


def test_who_leaves_while_the_conference_is_made_invites_nobody(client, served):
    call(client)
    add(client)
    assert client.delete(client.link("conversation", "self")).status_code == 204
    done = client.until("participantInvitation completed")

    assert done.raw["reason"]["subcode"] == "EscalationFailed"
    assert [leg.callee for leg in served.exchange.legs.values()] == []


def test_who_is_there_already_is_not_added(client):
    call(client)

    assert add(client, BOB).json()["parameters"] == [{"name": "to", "reason": "Invalid"}]
    assert add(client, "sip : bob").status_code == 400


def test_media_are_moved_into_a_conference_once_at_a_time(client):
    talk(client)
    first, second = escalate(client), escalate(client)

    assert (first.status_code, second.status_code) == (201, 409)
    assert client.until("audioVideoInvitation completed").raw["status"] == "Success"


def test_a_call_that_ends_while_its_media_move_makes_no_conference(client, served):
    talk(client)
    escalate(client)
    next(iter(served.exchange.legs.values())).hang_up(by=Side.CALLEE)
    done = client.until("audioVideoInvitation completed")

    assert done.raw["status"] == "Failure"
    while "conversation deleted" not in client.names():
        client.poll()


# Invitations into meetings


AVAILABLE = {"supportedModalities": ["Audio", "Messaging"], "audioPreference": "VoipAudio"}


@pytest.fixture
def both(serve):
    """Two clients of the user, to whom somebody has sent an invitation into a meeting."""
    served = serve(ring_timeout=20.0)
    client, other = served.connect(), served.connect()
    for one in (client, other):
        one.sign_in(EndpointId=f"desk-{id(one)}")
        assert one.post(one.application["_embedded"]["me"]["_links"]["makeMeAvailable"]["href"], **AVAILABLE).is_success
    withdraw = served.emulator.invite_to_meeting("sip:grace@sandbox.test", subject="compilers")
    for one in (client, other):
        one.until("onlineMeetingInvitation started")
    return client, other, withdraw


def ended(client):
    done = client.until("onlineMeetingInvitation completed")
    return done.raw["status"], done.raw.get("reason", {}).get("subcode"), done.body["state"]


def test_an_invitation_into_a_meeting_is_for_the_first_client_that_takes_it(both):
    client, other, _ = both
    asked = client.last("onlineMeetingInvitation")
    assert (asked["direction"], asked["subject"], "operationId" in asked) == ("Incoming", "compilers", False)
    assert asked["_embedded"]["from"]["uri"] == "sip:grace@sandbox.test"
    assert {"accept", "decline"} < set(asked["_links"])
    assert (client.last("conversation")["state"], client.last("conversation")["activeModalities"]) == ("Incoming", [])
    assert client.post(asked["_links"]["accept"]["href"]).status_code == 204
    assert client.post(asked["_links"]["accept"]["href"]).status_code == 409

    assert ended(client) == ("Success", None, "Connected")
    assert client.last("conversation")["state"] == "Conferenced"
    assert (view(client, "leaders"), view(client, "attendees")) == (["grace"], ["Ada Lovelace"])
    assert ended(other) == ("Failure", "ConnectedElsewhere", "Failed")
    assert other.last("conversation")["state"] == "Disconnected"


@pytest.mark.parametrize(("reason", "other_ends"), [("Local", False), ("Global", True)])
def test_an_invitation_into_a_meeting_is_declined_for_one_client_or_for_all(both, reason, other_ends):
    client, other, withdraw = both
    decline = client.link("onlineMeetingInvitation", "decline")
    assert client.post(decline, reason="Bored").json()["subcode"] == "ParameterValidationFailure"
    assert client.post(decline, reason=reason).status_code == 204

    assert ended(client)[1:] == ("Declined", "Declined")
    if other_ends:
        assert ended(other)[1:] == ("Declined", "Declined")
    else:
        withdraw()
        assert ended(other)[1:] == ("Canceled", "Cancelled")


def test_an_invitation_into_a_meeting_ends_with_its_conversation_or_in_time(both):
    client, other, _ = both
    assert client.delete(client.link("onlineMeetingInvitation", "conversation")).status_code == 204

    assert ended(client)[1:] == ("Declined", "Declined")
    assert ended(other)[1:] == ("Missed", "Failed")


def test_whoever_leaves_the_lobby_is_not_let_in_any_more(client, served):
    guest = knock(client, served)
    assert guest.delete(guest.link("onlineMeetingInvitation", "conversation")).status_code == 204

    assert ended(guest)[1:] == ("Canceled", "Cancelled")
