"""What is sent to a UCWA server for each command."""

from __future__ import annotations

import base64
from dataclasses import replace
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telco_bridge.provider import (
    Answer,
    Dial,
    HangUp,
    Hold,
    MediaDirection,
    Modality,
    Mute,
    Redirect,
    Refused,
    Reject,
    Resume,
    SendDigits,
    StartMedia,
    StopMedia,
    StreamId,
    StreamTarget,
    TerminationReason,
    TooLate,
    Transport,
    Unmute,
    Unsupported,
)
from telco_bridge_ucwa.encode import NotCached, WireRequest, encode
from telco_bridge_ucwa.parties import address
from telco_bridge_ucwa.resources import Operation, Purpose, Resources
from telco_bridge_ucwa.wire import Event, parse_resource, with_query

C = "/app/conversations/c1"
OFFER = "v=0\r\n"
AUDIO, VIDEO = Modality.AUDIO, Modality.VIDEO
STARTS = ("startPhoneAudio", "startAudio", "startVideo", "startAudioVideo")


def resource(rel, href, links=(), **properties):
    named = {name: {"href": f"{href}/x-{name}?k=1"} for name in links}
    return parse_resource({**properties, "_links": {"self": {"href": href}, **named}}, rel=rel)


def known(phone=None, av=None, starts=STARTS, active=("Audio", "Video"), state="Connected", invitation=None):
    """The resources of one conversation, with these links on its modalities."""
    resources = Resources("https://pool.example.org/apps")
    resources.put(resource("communication", "/app/communication", starts), 1.0)
    resources.put(resource("me", "/app/me", uri="sip:ada@example.org"), 1.0)
    raw = {
        "state": state,
        "activeModalities": list(active),
        "_links": {
            "self": {"href": C},
            "phoneAudio": {"href": f"{C}/phone"},
            "audioVideo": {"href": f"{C}/av"},
        },
    }
    resources.put(parse_resource(raw, rel="conversation"), 1.0)
    for rel, href, links in (("phoneAudio", f"{C}/phone", phone), ("audioVideo", f"{C}/av", av)):
        if links is not None:
            resources.put(resource(rel, href, links, state="Connected"), 1.0)
    if invitation is not None:
        resources.put(invitation, 1.0)
    return resources


def invite(links=("cancel",), rel="phoneAudioInvitation", **properties):
    raw = {"state": "Connecting", "operationId": "call-1", "to": "tel:+14255550199", **properties}
    named = {name: {"href": f"/inv/{name}"} for name in links}
    return parse_resource({**raw, "_links": {"self": {"href": "/inv"}, "conversation": {"href": C}, **named}}, rel=rel)


def target(slot):
    modality = VIDEO if slot == "video" else AUDIO
    return StreamTarget(StreamId(slot, 1), modality, Transport.UNKNOWN)


def stop(*slots, keep=(), **more):
    streams, kept = tuple(target(slot) for slot in slots), tuple(target(slot) for slot in keep)
    return StopMedia(id="s-1", call="call-1", ref=C, streams=streams, keep=kept, **more)


def dial(to="+14255550199", **more):
    return Dial(id="call-1", call="call-1", to=to, **more)


def start(modality=AUDIO, **more):
    return StartMedia(id="add-1", call="call-1", ref=C, modality=modality, **more)


# Dialling


def test_a_dial_rings_the_own_phone_first():
    (request,) = encode(dial(), known(), phone_number="+1 425 555 0101")

    assert request == WireRequest(
        what="startPhoneAudio",
        href="/app/communication/x-startPhoneAudio?k=1",
        body={"operationId": "call-1", "to": "tel:+14255550199", "phoneNumber": "+14255550101"},
        operation=Operation(id="call-1", purpose=Purpose.DIAL, slots=frozenset({"phoneAudio"}), to="tel:+14255550199"),
    )


def test_without_an_own_phone_the_server_uses_the_one_it_knows():
    (request,) = encode(dial(native={"subject": "demo"}), known())

    assert request.body == {"operationId": "call-1", "to": "tel:+14255550199", "subject": "demo"}


@pytest.mark.parametrize(
    ("modalities", "rel", "slots"),
    [
        ({AUDIO}, "startAudio", {"audio"}),
        ({VIDEO}, "startVideo", {"video"}),
        ({AUDIO, VIDEO}, "startAudioVideo", {"audio", "video"}),
    ],
)
def test_an_offer_dials_over_voip(modalities, rel, slots):
    (request,) = encode(dial("sip:bob@example.org", offer=OFFER, modalities=frozenset(modalities)), known())

    assert (request.what, request.operation.slots) == (rel, slots)
    href = request.body["_links"]["mediaOffer"]["href"]
    head, _, payload = href.partition(",")
    assert head == "data:application/sdp;base64"
    assert base64.b64decode(payload).decode() == OFFER


@pytest.mark.parametrize(
    "command",
    [
        dial(modalities=frozenset({AUDIO, VIDEO})),
        dial(modalities=frozenset({Modality.SCREEN}), offer=OFFER),
        dial(modalities=frozenset(), offer=OFFER),
        dial(caller_id="+14255550000"),
        start(VIDEO),
        start(Modality.SCREEN),
        start(to="wss://example.org"),
        start(direction=MediaDirection.SEND),
        Redirect(id="a", call="call-1", ref=C, to="+1425"),
        SendDigits(id="a", call="call-1", ref=C, digits="1"),
        stop("screen"),
    ],
    ids=lambda command: command.name,
)
def test_what_ucwa_cannot_express_is_unsupported(command):
    with pytest.raises(Unsupported):
        encode(command, known(phone=[], av=[]), phone_number="+14255550101")


@pytest.mark.parametrize("own", ["+1 (425) 555-0101", "tel:+14255550101", "sip:ada@example.org"])
def test_the_users_own_number_is_no_foreign_caller_id(own):
    assert encode(dial(caller_id=own), known(), phone_number="+14255550101")


@pytest.mark.parametrize(
    ("to", "wire"),
    [
        ("+14255550199", "tel:+14255550199"),
        (" +1 (425) 555-0199 ", "tel:+14255550199"),
        ("tel:+1.425.555.0199", "tel:+14255550199"),
        ("5501", "tel:5501"),
        ("sip:bob@example.org", "sip:bob@example.org"),
        ("SIP:+1425@example.org;user=phone", "SIP:+1425@example.org;user=phone"),
    ],
)
def test_addresses_are_written_as_ucwa_takes_them(to, wire):
    assert address(to) == wire


@pytest.mark.parametrize("to", ["", "abc", "tel:abc", "sip : bob@x.org", "sip:bob", "+", "++1425", "1" * 16, "٣٣٣"])
def test_what_is_no_address_is_refused_before_anything_is_sent(to):
    with pytest.raises(Refused, match="Nothing was sent"):
        encode(dial(to), known())


@given(to=st.text())
def test_every_text_is_an_address_or_refused(to):
    try:
        wire = address(to)
    except Refused:
        return
    assert wire.lower().startswith(("tel:", "sip:"))


def test_a_user_without_the_link_may_not_dial():
    with pytest.raises(Refused, match="startPhoneAudio"):
        encode(dial(), known(starts=()))


def test_dialling_needs_the_communication_resource():
    with pytest.raises(NotCached):
        encode(dial(), Resources("https://pool.example.org/"))


def test_an_id_that_ucwa_cannot_carry_is_refused():
    with pytest.raises(Refused, match="51"):
        encode(Dial(id="x" * 51, call="x" * 51, to="+1425"), known())


# Hanging up and rejecting


def test_a_pending_dial_is_cancelled_even_before_its_conversation_is_known():
    resources = known(state="Connecting", invitation=invite())

    for ref in (None, C):
        (request,) = encode(HangUp(id="h", call="call-1", ref=ref), resources)
        assert (request.what, request.method, request.href) == ("cancel", "POST", "/inv/cancel")


@pytest.mark.parametrize("invitation", [None, invite(state="Connected"), invite(links=()), invite(operationId="add-1")])
def test_an_established_call_is_left(invitation):
    resources = known(invitation=invitation)
    resources.expect(Operation(id="add-1", purpose=Purpose.START, slots=frozenset({"audio"}), to="x", ref=C))

    (request,) = encode(HangUp(id="h", call="call-1", ref=C), resources)

    assert (request.method, request.href, request.body) == ("DELETE", C, None)


def test_a_call_without_any_name_has_to_be_looked_up():
    with pytest.raises(NotCached):
        encode(HangUp(id="h", call="call-1"), known())


@pytest.mark.parametrize(
    ("command", "body"),
    [
        ({}, None),
        ({"reason": TerminationReason.BUSY}, {"reason": "Global"}),
        ({"native": {"reason": "Local"}}, {"reason": "Local"}),
    ],
)
def test_an_incoming_call_is_declined_with_its_reason(command, body):
    resources = known(state="Incoming", invitation=invite(["decline"], direction="Incoming"))

    (request,) = encode(Reject(id="r", call="call-1", ref=C, **command), resources)

    assert (request.what, request.href, request.body) == ("decline", "/inv/decline", body)


def test_rejecting_what_has_been_answered_is_too_late():
    with pytest.raises(TooLate):
        encode(Reject(id="r", call="call-1", ref=C), known())
    with pytest.raises(NotCached):
        encode(Reject(id="r", call="call-1", ref="/elsewhere"), known())


# Hold


@pytest.mark.parametrize(("kind", "rel"), [(Hold, "holdPhoneAudio"), (Resume, "resumePhoneAudio")])
def test_hold_follows_its_link(kind, rel):
    command = kind(id="h", call="call-1", ref=C)

    (request,) = encode(command, known(phone=[rel]))
    assert (request.what, request.method, request.body) == (rel, "POST", None)
    with pytest.raises(TooLate, match=rel):
        encode(command, known(phone=["stopPhoneAudio"]))
    with pytest.raises(NotCached):
        encode(command, known())
    with pytest.raises(TooLate, match="no conversation"):
        encode(kind(id="h", call="call-1"), known())


# Starting


def test_phone_audio_is_added_with_the_partners_address():
    resources = known(phone=["addPhoneAudio"], invitation=invite(state="Connected"))

    (request,) = encode(start(), resources, phone_number="+14255550101")

    assert request.what == "addPhoneAudio"
    assert request.body == {"operationId": "add-1", "to": "tel:+14255550199", "phoneNumber": "+14255550101"}
    assert request.operation == Operation(
        id="add-1", purpose=Purpose.START, slots=frozenset({"phoneAudio"}), to="tel:+14255550199", ref=C
    )


@pytest.mark.parametrize(("modality", "rel", "slot"), [(AUDIO, "addAudio", "audio"), (VIDEO, "addVideo", "video")])
def test_voip_media_is_added_with_an_offer(modality, rel, slot):
    resources = known(av=[rel], invitation=invite(state="Connected", direction="Incoming", to=None))

    with pytest.raises(Refused, match="native"):
        encode(start(modality, offer=OFFER), resources)
    (request,) = encode(start(modality, offer=OFFER, native={"to": "sip:bob@x.org"}), resources)

    assert (request.what, request.operation.slots, request.body["to"]) == (rel, {slot}, "sip:bob@x.org")


def test_media_that_is_not_offered_cannot_be_started_now():
    with pytest.raises(TooLate):
        encode(start(), known(phone=[]))


# Stopping

BOTH = ["stopAudio", "stopVideo", "stopAudioVideo"]
NORMAL = (("reason", "UserInitiatedAction"),)


@pytest.mark.parametrize(
    ("slots", "links", "active", "sent"),
    [
        (["audio"], BOTH, ["Audio", "Video"], ["stopAudio"]),
        (["video"], BOTH, ["Audio", "Video"], ["stopVideo"]),
        (["audio", "video"], BOTH, ["Audio", "Video"], ["stopAudioVideo"]),
        (["audio", "video"], ["stopAudio", "stopVideo"], ["Audio", "Video"], ["stopAudio", "stopVideo"]),
        (["audio"], ["stopAudioVideo"], ["Audio"], ["stopAudioVideo"]),
        (["video"], ["stopAudioVideo"], ["Video"], ["stopAudioVideo"]),
    ],
)
def test_media_is_stopped_with_its_reason_in_as_few_requests_as_possible(slots, links, active, sent):
    requests = encode(stop(*slots, reason=TerminationReason.NORMAL), known(av=links, active=active))

    assert [request.what for request in requests] == sent
    assert {request.query for request in requests} == {NORMAL}
    assert {request.body for request in requests} == {None}


@pytest.mark.parametrize(
    ("slots", "keep", "active"),
    [(["audio"], ["video"], ["Audio"]), (["audio"], [], ["Audio", "Video"]), (["video"], ["audio"], ["Video"])],
)
def test_a_wider_verb_is_not_used_where_it_would_end_more_than_was_asked(slots, keep, active):
    with pytest.raises(TooLate):
        encode(stop(*slots, keep=keep), known(av=["stopAudioVideo"], active=active))


def test_one_narrow_verb_does_not_stand_for_two():
    with pytest.raises(TooLate, match="stopAudio and stopVideo"):
        encode(stop("audio", "video"), known(av=["stopAudio"]))


def test_phone_audio_is_stopped_without_a_reason():
    (request,) = encode(stop("phoneAudio", reason=TerminationReason.NORMAL), known(phone=["stopPhoneAudio"]))

    assert (request.what, request.query, request.body) == ("stopPhoneAudio", (), None)


def messaging(*links):
    resources = known()
    modality = resource("messaging", f"{C}/messaging", links, state="Connected")
    resources.put(replace(modality, links={**modality.links, "conversation": (C,)}), 2.0)
    return resources


WRITES = StartMedia(id="start-1", call="call-1", ref=C, modality=Modality.MESSAGING)
MESSAGES = StreamTarget(StreamId("messaging", 1), Modality.MESSAGING, Transport.UNKNOWN)


def test_messages_are_started_without_a_target_and_with_the_first_one_where_it_is_given():
    (plain,) = encode(WRITES, messaging("addMessaging"), phone_number=None)
    (said,) = encode(replace(WRITES, native={"message": "Hi + bye"}), messaging("addMessaging"), phone_number=None)

    assert (plain.what, plain.href, plain.body) == (
        "addMessaging",
        f"{C}/messaging/x-addMessaging?k=1",
        {"operationId": "start-1"},
    )
    assert plain.operation == Operation(
        id="start-1", purpose=Purpose.START, slots=frozenset({"messaging"}), to="", ref=C
    )
    assert said.body["_links"] == {"message": {"href": "data:text/plain;charset=utf-8,Hi%20%2B%20bye"}}


@pytest.mark.parametrize(
    ("command", "links", "fact"),
    [
        (replace(WRITES, offer=OFFER), ["addMessaging"], Unsupported),
        (WRITES, ["stopMessaging"], TooLate),
        (replace(WRITES, native={"to": "sip:bob@example.org"}), ["addMessaging"], Refused),
        (replace(WRITES, native={"message": ""}), ["addMessaging"], Refused),
        (StopMedia(id="stop-1", call="call-1", ref=C, streams=(MESSAGES,)), ["addMessaging"], TooLate),
    ],
)
def test_messages_that_cannot_be_started_or_stopped_send_nothing(command, links, fact):
    with pytest.raises(fact):
        encode(command, messaging(*links), phone_number=None)


def test_messages_are_stopped_without_a_reason_or_withdrawn():
    stop = StopMedia(id="stop-1", call="call-1", ref=C, streams=(MESSAGES,))
    resources = messaging()
    resources.expect(Operation(id="start-1", purpose=Purpose.START, slots=frozenset({"messaging"}), to="", ref=C))
    pending = resource("messagingInvitation", "/app/m1", ["cancel"], operationId="start-1", state="Connecting")
    resources.put(replace(pending, links={**pending.links, "conversation": (C,)}), 3.0)

    (stopped,) = encode(stop, messaging("stopMessaging"), phone_number=None)
    (withdrawn,) = encode(stop, resources, phone_number=None)

    assert (stopped.what, stopped.query, stopped.body) == ("stopMessaging", (), None)
    assert (withdrawn.what, withdrawn.href) == ("cancel", "/app/m1/x-cancel?k=1")


def test_all_audio_is_stopped_wherever_it_flows():
    requests = encode(stop("phoneAudio", "audio"), known(phone=["stopPhoneAudio"], av=BOTH))

    assert [request.what for request in requests] == ["stopAudio", "stopPhoneAudio"]


TERMINATION_REASONS = [
    "Unknown",
    "UserInitiatedAction",
    "Cancel",
    "InternalFailure",
    "SharerLeftConference",
    "UnsupportedMedia",
    "MediaConnectivityFailure",
    "MediaTimeout",
    "ConversationSuspendedLossNetwork",
    "CodecMismatch",
    "InvalidMediaAnswer",
    "FailedStartAudioStream",
    "MidCallFailureOneInternalOneExternal",
    "MidCallFailureBothInternal",
    "CallEstablishFailureOneInternalOneExternal",
    "CallEstablishFailureBothInternal",
]


@pytest.mark.parametrize("word", TERMINATION_REASONS)
def test_the_providers_own_reason_is_passed_through(word):
    for slots in (("audio",), ("video",), ("audio", "video")):
        command = stop(*slots, native={"reason": word}, reason=TerminationReason.BUSY)
        for request in encode(command, known(av=["stopAudio", "stopVideo", "stopAudioVideo"])):
            assert with_query(request.href, request.query).endswith(f"reason={word}")


@pytest.mark.parametrize("word", ["Bored", "", "cancel", 1])
@pytest.mark.parametrize(
    "ask",
    [
        partial(stop, "audio"),
        partial(stop, "video"),
        partial(stop, "phoneAudio"),
        partial(HangUp, id="h", call="call-1", ref=C),
        partial(Reject, id="r", call="call-1", ref=C),
    ],
)
def test_a_reason_that_ucwa_does_not_know_is_refused_before_anything_is_asked(ask, word):
    with pytest.raises(Refused, match="UCWA knows"):
        encode(ask(native={"reason": word}), known())


@pytest.mark.parametrize(("slot", "links"), [("audio", {"av": []}), ("phoneAudio", {"phone": []})])
def test_media_that_is_only_offered_is_withdrawn(slot, links):
    rel = "phoneAudioInvitation" if slot == "phoneAudio" else "audioVideoInvitation"
    resources = known(**links, invitation=invite(rel=rel, operationId="add-1"))
    resources.expect(Operation(id="add-1", purpose=Purpose.START, slots=frozenset({slot}), to="x", ref=C))

    (request,) = encode(stop(slot), resources)

    assert (request.what, request.href) == ("cancel", "/inv/cancel")


@pytest.mark.parametrize("invitation", [None, invite(), invite(operationId="add-1", links=())])
def test_the_call_is_never_cancelled_for_a_stream(invitation):
    resources = known(phone=[], invitation=invitation)
    resources.expect(Operation(id="add-1", purpose=Purpose.START, slots=frozenset({"phoneAudio"}), to="x", ref=C))

    with pytest.raises(TooLate, match="stopPhoneAudio"):
        encode(stop("phoneAudio"), resources)


# Queries


@pytest.mark.parametrize(
    ("href", "wire"),
    [
        ("/stop", "/stop?reason=Cancel"),
        ("/stop?key=a%2Fb+c", "/stop?key=a%2Fb+c&reason=Cancel"),
        ("https://pool/stop?a=1&a=2#x", "https://pool/stop?a=1&a=2&reason=Cancel#x"),
    ],
)
def test_parameters_join_the_servers_own(href, wire):
    assert with_query(href, (("reason", "Cancel"),)) == wire
    assert with_query(href, ()) == href


# Answering

BOTH_WAYS = ("acceptWithAnswer", "acceptWithPhoneAudio", "decline")
ALTERNATIVES = (
    "data:multipart/alternative;charset=utf-8;boundary=b1,--b1%0d%0aContent-Type%3a+application%2fsdp%0d%0a"
    "Content-ID%3a+%3cold%40x%3e%0d%0a%0d%0av%3d0%0d%0a--b1%0d%0aContent-Type%3a+application%2fsdp%0d%0a"
    "Content-ID%3a+%3cnew%40x%3e%0d%0a%0d%0av%3d0%0d%0am%3daudio+1+RTP%2fSAVP+0%0d%0a--b1--"
)


def ringing(links=BOTH_WAYS, rel="audioVideoInvitation", offer=None):
    raw = {"state": "Connecting", "direction": "Incoming"}
    named = {name: {"href": f"/inv/{name}"} for name in links}
    if offer is not None:
        named["mediaOffer"] = {"href": offer}
    links_of = {"self": {"href": "/inv"}, "conversation": {"href": C}, **named}
    return known(phone=[], av=[], state="Incoming", invitation=parse_resource({**raw, "_links": links_of}, rel=rel))


def answer(sdp=None):
    return Answer(id="answer-1", call="call-1", ref=C, sdp=sdp)


def test_an_answer_is_the_body_and_names_the_offer_that_it_answers():
    (request,) = encode(answer(OFFER), ringing(offer=ALTERNATIVES))

    assert request == WireRequest(
        what="acceptWithAnswer",
        href="/inv/acceptWithAnswer",
        query=(("sessionContext", "answer-1"), ("processedOfferId", "<new@x>")),
        sdp=OFFER,
    )


def test_an_offer_that_came_alone_has_no_name():
    (request,) = encode(answer(OFFER), ringing())

    assert request.query == (("sessionContext", "answer-1"),)


def test_without_sdp_the_call_is_answered_on_the_phone():
    assert encode(answer(), ringing()) == (WireRequest(what="acceptWithPhoneAudio", href="/inv/acceptWithPhoneAudio"),)


@pytest.mark.parametrize(
    ("links", "sdp", "words"),
    [
        (("acceptWithAnswer", "decline"), None, "give an SDP answer"),
        (("acceptWithPhoneAudio", "decline"), OFFER, "leave sdp out"),
    ],
)
def test_a_way_to_answer_that_is_not_offered_is_refused_with_the_other_one(links, sdp, words):
    with pytest.raises(Refused, match=words):
        encode(answer(sdp), ringing(links))


@pytest.mark.parametrize("links", [("decline",), ("accept", "decline")])
def test_a_call_that_rings_the_phone_is_answered_there(links):
    with pytest.raises(Refused, match="answered there"):
        encode(answer(), ringing(links, rel="phoneAudioInvitation"))


def test_an_invitation_that_was_decided_is_answered_too_late():
    with pytest.raises(TooLate):
        encode(answer(), ringing(()))


def test_an_invitation_that_nobody_has_seen_is_read_first():
    with pytest.raises(NotCached):
        encode(answer(), Resources("https://pool.example.org/apps"))


@pytest.mark.parametrize(("command", "rel"), [(Mute, "muteAudio"), (Unmute, "unmuteAudio")])
def test_the_user_is_muted_where_the_server_offers_it(command, rel):
    asked = command(id="m-1", call="call-1", ref=C)
    resources = known()
    with pytest.raises(NotCached):
        encode(asked, resources)
    resources.put_voice(C, resource("participantAudio", "/app/audio", [rel]), 1.0)

    assert encode(asked, resources) == (WireRequest(what=rel, href=f"/app/audio/x-{rel}?k=1"),)
    resources.put_voice(C, resource("participantAudio", "/app/audio"), 2.0)
    with pytest.raises(TooLate, match=rel):
        encode(asked, resources)


@pytest.mark.parametrize(
    ("command", "added"),
    [
        (dial(native={"subject": "demo", "importance": "Urgent", "threadId": "t1"}), {"subject": "demo"}),
        (dial(native={"phoneNumber": "+1 (425) 555-0102"}), {"phoneNumber": "+14255550102"}),
        (dial(offer=OFFER, native={"joinAudioMuted": True}), {"joinAudioMuted": True, "sessionContext": "call-1"}),
        (dial(offer=OFFER, native={"sessionContext": "mine"}), {"sessionContext": "mine"}),
    ],
)
def test_native_inputs_are_sent_under_their_own_names(command, added):
    (request,) = encode(command, known(), phone_number="+14255550101")

    assert added.items() <= request.body.items()
    assert request.revision is None


def test_content_of_the_applications_own_is_linked_and_needs_the_second_revision():
    (request,) = encode(dial(offer=OFFER, native={"customContent": "data:text/plain,hello"}), known())

    assert request.body["_links"]["customContent"] == {"href": "data:text/plain,hello"}
    assert set(request.body["_links"]) == {"customContent", "mediaOffer"}
    assert request.revision == 2


@pytest.mark.parametrize(
    ("native", "words"),
    [
        ({"operationId": "mine"}, "takes no 'operationId'"),
        ({"colour": "blue"}, "takes no 'colour'; UCWA documents customContent"),
        ({"subject": "x" * 251}, "has 251 characters, and UCWA takes 250"),
        ({"subject": ""}, "not empty"),
        ({"subject": 3}, "must be a text"),
        ({"importance": "Low"}, "Normal, Urgent, Emergency"),
        ({"importance": ["Normal"]}, "Normal, Urgent, Emergency"),
        ({"phoneNumber": "1" * 101}, "UCWA takes 100"),
        ({"phoneNumber": "abc"}, "no number"),
        ({"customContent": "hello"}, "data URI"),
    ],
)
def test_inputs_that_ucwa_does_not_take_are_refused_before_anything_is_sent(native, words):
    with pytest.raises(Refused, match=words) as caught:
        encode(dial(native=native), known())
    assert "Nothing was sent" in str(caught.value)


@pytest.mark.parametrize("native", [{"sessionContext": "x" * 51}, {"joinVideoMuted": "no"}])
def test_inputs_of_media_are_checked_too(native):
    both = frozenset({AUDIO, VIDEO})
    with pytest.raises(Refused, match="Nothing was sent"):
        encode(dial(offer=OFFER, modalities=both, native=native), known())


def test_a_reason_travels_in_the_body_where_a_server_wants_it_there():
    command = stop("audio", native={"reason": "MediaTimeout", "reason_in": "body"})

    (request,) = encode(command, known(av=["stopAudio"]))

    assert (request.query, request.body) == ((), {"reason": "MediaTimeout"})
    with pytest.raises(Refused, match="query or body"):
        encode(stop("audio", native={"reason_in": "header"}), known(av=["stopAudio"]))


@pytest.mark.parametrize(
    ("more", "rel", "of"),
    [
        ({}, "addPhoneAudio", "phone"),
        ({"offer": OFFER}, "addAudio", "av"),
        ({"offer": OFFER, "modalities": frozenset({VIDEO})}, "addVideo", "av"),
        ({"offer": OFFER, "modalities": frozenset({AUDIO, VIDEO})}, "addAudioVideo", "av"),
    ],
)
def test_a_dial_into_a_conversation_adds_its_media_there(more, rel, of):
    resources = known(phone=["addPhoneAudio"], av=["addAudio", "addVideo", "addAudioVideo"], state="Conferenced")
    meeting = "sip:ada@example.org;gruu;opaque=app:conf:focus:id:1"
    (request,) = encode(dial(meeting, native={"conversation": C}, **more), resources)

    assert (request.what, request.href) == (rel, f"{C}/{of}/x-{rel}?k=1")
    assert (request.body["to"], "conversation" in request.body) == (meeting, False)
    assert (request.operation.purpose, request.operation.ref) == (Purpose.DIAL, C)


def test_a_dial_into_a_conversation_needs_one_that_offers_it():
    with pytest.raises(NotCached, match="phoneAudio"):
        encode(dial(native={"conversation": C}), known())
    with pytest.raises(Refused, match="addPhoneAudio"):
        encode(dial(native={"conversation": C}), known(phone=[]))
    with pytest.raises(Refused, match="no conversation"):
        encode(dial(native={"conversation": 7}), known())


def replaced(*, taken=False):
    """A call of two that somebody would take over, or has taken over."""
    resources = known(av=["stopAudio"])
    named = {
        "self": "/app/i2",
        "decline": "/app/i2/x-decline",
        "conversation": f"{C}-2",
        "replacesAudioVideo": f"{C}/av",
    }
    raw = {
        "state": "Connecting",
        "direction": "Incoming",
        "_links": {rel: {"href": href} for rel, href in named.items()},
    }
    told = parse_resource(raw, rel="audioVideoInvitation")
    for kind, status in (("started", None), *((("completed", "Success"),) if taken else ())):
        event = Event(rel="audioVideoInvitation", href="/app/i2", type=kind, status=status, body=told)
        resources.take(event, 9.0)
    return resources


def test_hanging_up_declines_whoever_would_take_the_call_over():
    left, declined = encode(HangUp(id="h", call="call-1", ref=C), replaced())

    assert (left.method, left.href) == ("DELETE", C)
    assert (declined.what, declined.href) == ("decline", "/app/i2/x-decline")


def test_hanging_up_what_has_given_way_declines_the_other_alone():
    resources = replaced()
    resources.take(Event(rel="conversation", href=C, type="deleted"), 10.0)

    (declined,) = encode(HangUp(id="h", call="call-1", ref=C), resources)

    assert declined.what == "decline"


def test_a_command_follows_the_call_that_has_moved_meanwhile():
    (left,) = encode(HangUp(id="h", call="call-1", ref=C), replaced(taken=True))

    assert (left.method, left.href) == ("DELETE", f"{C}-2")
