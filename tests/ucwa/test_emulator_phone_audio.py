"""Phone audio over the wire: the user's own phone first, then the other party."""

from __future__ import annotations

import pytest

OWN = "+15550000001"


def dial(client, to="tel:+15550100", **inputs):
    return client.start("startPhoneAudio", to=to, phoneNumber=OWN, operationId="op-7a1", **inputs)


def connect(client, to="tel:+15550100"):
    assert dial(client, to).status_code == 201
    return client.until("phoneAudioInvitation completed")


def rels(body):
    return set(body["_links"]) - {"self", "conversation"}


def test_a_call_is_told_in_the_documented_order(client):
    answer = dial(client, subject="demo")
    client.until("phoneAudioInvitation completed")

    assert answer.status_code == 201
    assert answer.content == b""
    assert client.url(answer.headers["location"]) == client.url(client.link("phoneAudioInvitation", "self"))
    assert client.names() == [
        "phoneAudioInvitation started",
        "conversation added",
        "localParticipant added",
        "phoneAudio updated",
        "phoneAudioInvitation updated",
        "messaging updated",
        "participant added",
        "participantAudio added",
        "participantAudio added",
        "phoneAudio updated",
        "conversation updated",
        "phoneAudioInvitation completed",
    ]


def test_the_states_and_links_of_a_call_follow_its_life(client):
    completed = connect(client)
    started, added, _, connecting = client.told[:4]

    assert (started.body["state"], started.body["direction"], started.body["operationId"]) == (
        "Connecting",
        "Outgoing",
        "op-7a1",
    )
    assert {"conversation", "phoneAudio", "cancel", "to", "from"} <= set(started.body["_links"])
    assert started.body["_links"]["cancel"] == connecting.body["_links"]["stopPhoneAudio"]
    assert (added.body["state"], added.body["activeModalities"]) == ("Connecting", [])
    assert (connecting.body["state"], rels(connecting.body)) == ("Connecting", {"stopPhoneAudio"})
    alerting = next(t for t in client.told if t.name == "phoneAudioInvitation updated")
    assert alerting.body["state"] == "Alerting"
    assert (client.last("phoneAudio")["state"], rels(client.last("phoneAudio"))) == (
        "Connected",
        {"stopPhoneAudio", "holdPhoneAudio"},
    )
    assert (client.last("conversation")["state"], client.last("conversation")["activeModalities"]) == (
        "Connected",
        ["Audio"],
    )
    assert (completed.raw["status"], completed.body["state"]) == ("Success", "Connected")
    assert completed.body["_embedded"]["acceptedByParticipant"][0]["uri"] == "tel:+15550100"
    assert "cancel" not in completed.body["_links"]


def test_only_the_own_participant_comes_with_its_body(client):
    connect(client)
    remote = next(t for t in client.told if t.name == "participant added")
    audio = [t for t in client.told if t.name == "participantAudio added"]

    assert "_embedded" not in remote.raw
    assert client.get(remote.raw["link"]["href"]).json()["uri"] == "tel:+15550100"
    assert next(t for t in client.told if t.name == "localParticipant added").body["rel"] == "participant"
    assert [(t.raw["in"]["rel"], "_embedded" in t.raw) for t in audio] == [
        ("participant", False),
        ("localParticipant", True),
    ]


def test_hold_and_resume_swap_their_links(served, client):
    connect(client)
    leg = next(iter(served.exchange.legs.values()))

    assert client.post(client.link("phoneAudio", "holdPhoneAudio")).status_code == 204
    client.poll()
    held = client.last("phoneAudio")
    assert (held["state"], rels(held), leg.held) == ("Connected", {"stopPhoneAudio", "resumePhoneAudio"}, True)

    assert client.post(held["_links"]["resumePhoneAudio"]["href"]).status_code == 204
    client.poll()
    assert (rels(client.last("phoneAudio")), leg.held) == ({"stopPhoneAudio", "holdPhoneAudio"}, False)


def test_stopping_the_last_modality_ends_the_conversation_in_one_package(served, client):
    connect(client)
    before = len(client.told)

    assert client.post(client.link("phoneAudio", "stopPhoneAudio")).status_code == 204
    client.until("conversation deleted")
    ending, *told = client.told[before:]
    assert (ending.name, ending.body["state"]) == ("phoneAudio updated", "Disconnecting")
    assert len({t.package for t in told}) == 1
    assert [t.name for t in told] == [
        "phoneAudio updated",
        "participantAudio deleted",
        "participantAudio deleted",
        "participant deleted",
        "conversation updated",
        "conversation deleted",
    ]
    assert (told[0].body["state"], rels(told[0].body)) == ("Disconnected", {"addPhoneAudio"})
    assert "reason" not in told[0].raw
    assert (told[4].body["state"], told[4].body["activeModalities"]) == ("Disconnected", [])
    assert "_embedded" not in told[5].raw
    assert not served.exchange.legs


@pytest.mark.parametrize(
    ("to", "state", "code", "subcode"),
    [
        ("tel:+15550101", "Failed", "RemoteFailure", "Busy"),
        ("+15550102", "Declined", "RemoteFailure", "Declined"),
        ("tel:+15550105", "Failed", "NotFound", "DestinationNotFound"),
        ("sip:silent@sandbox.test", "Failed", "Timeout", None),
    ],
)
def test_a_call_that_nobody_takes_says_why(serve, to, state, code, subcode):
    client = serve(ring_timeout=10.0).connect()
    client.sign_in()
    completed = connect(client, to)
    if "conversation deleted" not in client.names():
        client.until("conversation deleted")

    assert (completed.raw["status"], completed.body["state"]) == ("Failure", state)
    assert (completed.raw["reason"]["code"], completed.raw["reason"].get("subcode")) == (code, subcode)
    names = client.names()
    assert names[names.index("phoneAudioInvitation completed") :] == [
        "phoneAudioInvitation completed",
        "phoneAudio updated",
        "conversation updated",
        "conversation deleted",
    ]


def test_a_network_that_gives_up_first_is_temporarily_unavailable(served, client):
    served.exchange.no_answer_after = 2.0

    assert connect(client, "tel:+15550103").raw["reason"]["subcode"] == "TemporarilyUnavailable"


def test_an_own_phone_that_nobody_picks_up_lets_the_attempt_time_out(serve):
    served = serve(own_phone_answers_after=None, ring_timeout=5.0)
    client = served.connect()
    client.sign_in()
    completed = connect(client)

    assert completed.raw["reason"]["code"] == "Timeout"
    assert "phoneAudioInvitation updated" not in client.names()
    assert not served.exchange.history


@pytest.mark.parametrize("when", ["phoneAudio updated", "phoneAudioInvitation updated"])
def test_a_pending_invitation_is_cancelled_by_the_modalitys_own_stop(served, client, when):
    dial(client, "tel:+15550103")
    client.until(when)

    assert client.post(client.link("phoneAudioInvitation", "cancel")).status_code == 204
    completed = client.until("phoneAudioInvitation completed")
    assert (completed.raw["status"], completed.raw["reason"]["subcode"]) == ("Failure", "Canceled")
    assert completed.body["state"] == "Cancelled"
    assert not served.exchange.legs


def test_a_far_end_that_hangs_up_is_told_with_a_reason(client):
    connect(client, "tel:+15550104")
    client.until("conversation deleted")
    ended = [t for t in client.told if t.name == "phoneAudio updated"][-1]

    assert ended.body["state"] == "Disconnected"
    assert ended.raw["reason"]["subcode"] == "CallTerminated"
    assert "Disconnecting" not in [t.body["state"] for t in client.told if t.name == "phoneAudio updated"]


def test_deleting_the_conversation_hangs_up(served, client):
    connect(client)
    conversation = client.link("conversation", "self")

    assert client.delete(conversation).status_code == 204
    client.until("conversation deleted")
    assert not served.exchange.legs
    gone = client.get(conversation)
    assert (gone.status_code, gone.json()["code"]) == (404, "NotFound")


def test_deleting_a_ringing_conversation_cancels_its_invitation(client):
    dial(client, "tel:+15550103")
    client.until("phoneAudioInvitation updated")

    assert client.delete(client.link("conversation", "self")).status_code == 204
    assert client.until("phoneAudioInvitation completed").body["state"] == "Cancelled"


def test_stale_links_are_refused_as_conflict_and_then_as_unknown(serve):
    """While the server takes the legs down the state forbids it; afterwards nothing is there any more."""
    client = serve(hang_up_takes=20.0).connect()
    client.sign_in()
    connect(client)
    hold, stop = client.link("phoneAudio", "holdPhoneAudio"), client.link("phoneAudio", "stopPhoneAudio")
    client.post(stop)

    ending = client.post(hold)
    client.until("conversation deleted")
    ended = client.post(hold)
    assert (ending.status_code, ending.json()["code"]) == (409, "Conflict")
    assert (ended.status_code, ended.json()["code"]) == (404, "NotFound")


def test_the_invitation_can_still_be_read_after_its_conversation(client):
    location = dial(client, "tel:+15550101").headers["location"]
    client.until("conversation deleted")

    assert client.get(location).json()["state"] == "Failed"


def test_active_conversations_are_listed_until_they_end(client):
    conversations = client.application["_embedded"]["communication"]["_links"]["conversations"]["href"]
    connect(client)

    listed = client.get(conversations).json()["_embedded"]["conversation"]
    assert [c["_links"]["self"] for c in listed] == [client.last("conversation")["_links"]["self"]]
    client.post(client.link("phoneAudio", "stopPhoneAudio"))
    client.until("conversation deleted")
    assert "_embedded" not in client.get(conversations).json()


@pytest.mark.parametrize(
    ("inputs", "status", "subcode"),
    [
        ({"to": "tel:abc", "phoneNumber": OWN}, 400, "NormalizationFailed"),
        ({"to": "tel:+15550100", "phoneNumber": "mine"}, 400, "NormalizationFailed"),
        ({"phoneNumber": OWN}, 400, "ParameterValidationFailure"),
        ({"to": "tel:+15550100"}, 400, "ParameterValidationFailure"),
        ({"to": "tel:+15550100", "phoneNumber": OWN, "operationId": "x" * 51}, 400, "ParameterValidationFailure"),
        ({"to": "tel:+15550100", "phoneNumber": OWN, "importance": "Dire"}, 400, "ParameterValidationFailure"),
    ],
)
def test_bad_inputs_are_refused_and_nobody_is_called(served, client, inputs, status, subcode):
    answer = client.start("startPhoneAudio", **inputs)

    assert (answer.status_code, answer.json()["subcode"]) == (status, subcode)
    assert not served.emulator.applications[0].communication.conversations


def test_an_operation_id_is_good_for_one_call(client):
    assert dial(client).status_code == 201
    again = dial(client)

    assert (again.status_code, again.json()["subcode"]) == (409, "AlreadyExists")


def test_deleting_the_application_ends_its_calls(served, client):
    connect(client)

    assert client.delete(client.application["_links"]["self"]["href"]).status_code == 204
    assert not served.exchange.legs


def test_phone_audio_can_be_added_again_where_the_conversation_lives_on(serve):
    client = serve(ends_with_last_modality=False).connect()
    client.sign_in()
    connect(client)
    client.post(client.link("phoneAudio", "stopPhoneAudio"))
    client.until("conversation updated")
    assert (client.last("conversation")["state"], client.last("conversation")["activeModalities"]) == ("Connected", [])

    added = client.post(client.link("phoneAudio", "addPhoneAudio"), to="tel:+15550100", phoneNumber=OWN)
    assert added.status_code == 201
    client.until("phoneAudioInvitation completed")
    assert client.last("phoneAudio")["state"] == "Connected"


def test_a_link_without_the_servers_own_parameters_leads_nowhere(serve):
    client = serve(ends_with_last_modality=False).connect()
    client.sign_in()
    connect(client)
    client.post(client.link("phoneAudio", "stopPhoneAudio"))
    client.until("conversation updated")

    stripped = client.link("phoneAudio", "addPhoneAudio").partition("?")[0]
    assert client.post(stripped, to="tel:+15550100", phoneNumber=OWN).status_code == 404


def test_a_link_that_is_withheld_is_never_offered(serve):
    client = serve(withheld={"holdPhoneAudio", "startVideo"}).connect()
    client.sign_in()
    connect(client)

    assert "holdPhoneAudio" not in client.last("phoneAudio")["_links"]
    assert "startVideo" not in client.application["_embedded"]["communication"]["_links"]
