"""What the events and snapshots of a UCWA server say about calls."""

from __future__ import annotations

import itertools
import json
import math
from dataclasses import replace

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from telco_bridge.provider import (
    CallReport,
    CallState,
    CallView,
    Cause,
    CommandFailed,
    Continues,
    Dialled,
    Invitation,
    Modality,
    Party,
    RemoteOffer,
    StreamState,
    Transport,
)
from telco_bridge.transitions import fold
from telco_bridge_ucwa.decode import decode, must_be_read, snapshot, standing
from telco_bridge_ucwa.reasons import explain
from telco_bridge_ucwa.resources import Operation, Purpose, Resources
from telco_bridge_ucwa.wire import parse_package, parse_resource

A = "/ucwa/oauth/v1/applications/10233"
C = f"{A}/communication/conversations/c0ffee1"
INVITATION = f"{A}/communication/phoneAudioInvitations/i77"
AV_INVITATION = f"{A}/communication/audioVideoInvitations/i90"
NEGOTIATION = f"{AV_INVITATION}/negotiation"
SDP = "v=0\r\nm=audio 1 RTP/AVP 0\r\nm=video 2 RTP/AVP 31\r\n"
HREFS = {
    "conversation": C,
    "phoneAudio": f"{C}/phoneAudio",
    "audioVideo": f"{C}/audioVideo",
    "phoneAudioInvitation": INVITATION,
    "audioVideoInvitation": AV_INVITATION,
    "audioVideoNegotiation": NEGOTIATION,
    "audioVideoRenegotiation": f"{A}/renegotiations/r1",
    "messaging": f"{C}/messaging",
    "messagingInvitation": f"{A}/messagingInvitations/m1",
    "localParticipant": f"{C}/participants/me",
    "participantAudio": f"{C}/participants/me/audio",
}


def body(rel, links=(), embedded=None, **properties):
    href = HREFS[rel]
    targets = {
        name: HREFS[name] for name in ("conversation", "phoneAudio", "audioVideo", "messaging", "localParticipant")
    }
    named = {name: {"href": targets.get(name, f"{href}/{name}")} for name in links}
    if rel != "conversation" and "conversation" not in named:
        named["conversation"] = {"href": C}
    found = {"rel": rel, **properties, "_links": {"self": {"href": href}, **named}}
    if embedded is not None:
        found["_embedded"] = embedded
    return found


def event(rel, kind, links=(), *, status=None, reason=None, bare=False, embedded=None, **properties):
    raw = {"link": {"rel": rel, "href": HREFS[rel]}, "type": kind}
    if status is not None:
        raw["status"] = status
    if reason is not None:
        code, _, subcode = reason.partition("/")
        raw["reason"] = {"code": code, "subcode": subcode or None, "message": "because"}
    if not bare:
        raw["_embedded"] = {rel: body(rel, links, embedded, **properties)}
    return raw


def package(*events, sender="communication"):
    href = C if sender == "conversation" else A
    raw = {"_links": {"next": {"href": "n"}}, "sender": [{"rel": sender, "href": href, "events": list(events)}]}
    return parse_package(httpx.Response(200, json=raw))


class Line:
    """Feeds events to the decoder as the channel does, and folds what it says into one call."""

    def __init__(self, *operations, me=True):
        self.resources = Resources("https://pool.example.org/ucwa/oauth/v1/applications")
        for operation in operations:
            self.resources.expect(operation)
        if me:
            raw = {"uri": "sip:ada@example.org", "name": "Ada", "_links": {"self": {"href": f"{A}/me"}}}
            self.resources.put(parse_resource(raw, rel="me"), 0.0)
        self.time = 0.0
        self.facts = []
        self.view = CallView(id="call-1")

    def hear(self, *events, sender="communication"):
        facts = []
        for told in package(*events, sender=sender).events:
            self.time += 1.0
            change = self.resources.take(told, self.time)
            facts += decode(told, change, self.resources, self.time)
            for ref in change.over:
                self.resources.forget(ref)
        for fact in facts:
            if isinstance(fact, CallReport):
                self.view, _ = fold(self.view, fact, explain)
        self.facts += facts
        return facts

    def streams(self):
        return {str(stream.id): stream.state for stream in self.view.streams}


DIALLED = Operation(id="call-1", purpose=Purpose.DIAL, slots=frozenset({"phoneAudio"}), to="tel:+14255550199")
DIALLED_AV = Operation(id="call-1", purpose=Purpose.DIAL, slots=frozenset({"audio", "video"}), to="sip:bob@x.org")
STARTED = Operation(id="start-1", purpose=Purpose.START, slots=frozenset({"phoneAudio"}), to="tel:+14255550199", ref=C)
OUT = {"direction": "Outgoing", "operationId": "call-1", "to": "tel:+14255550199"}

STARTING = [
    event("phoneAudioInvitation", "started", ["conversation", "phoneAudio", "cancel"], state="Connecting", **OUT),
    event("conversation", "added", ["phoneAudio", "audioVideo"], state="Connecting", activeModalities=[]),
    event("phoneAudio", "updated", ["stopPhoneAudio"], state="Connecting"),
]
ALERTING = [event("phoneAudioInvitation", "updated", ["conversation", "cancel"], state="Alerting", **OUT)]
TALKING = [
    event("phoneAudio", "updated", ["stopPhoneAudio", "holdPhoneAudio"], state="Connected"),
    event("conversation", "updated", ["phoneAudio", "addParticipant"], state="Connected", activeModalities=["Audio"]),
    event("phoneAudioInvitation", "completed", ["conversation"], status="Success", state="Connected", **OUT),
]
HELD = [event("phoneAudio", "updated", ["stopPhoneAudio", "resumePhoneAudio"], state="Connected")]
STOPPED = [
    event("phoneAudio", "updated", [], state="Disconnecting"),
    event("phoneAudio", "updated", ["addPhoneAudio"], state="Disconnected"),
    event("conversation", "updated", ["phoneAudio"], state="Disconnected", activeModalities=[]),
    event("conversation", "deleted", bare=True),
]
WHOLE_CALL = [*STARTING, *ALERTING, *TALKING, *HELD, *STOPPED]


def test_a_dialled_call_is_told_from_its_start_to_its_end():
    line = Line(DIALLED)

    first = line.hear(*STARTING)[0]
    assert (first.ref, first.command_id, first.origin) == (C, "call-1", Dialled())
    assert (first.remote, first.local) == (Party("tel:+14255550199"), Party("sip:ada@example.org", "Ada"))
    assert line.view.state is CallState.DIALING
    assert line.streams() == {"phoneAudio#1": StreamState.STARTING}
    assert line.view.offered == {"cancel", "stopPhoneAudio"}
    assert line.view.streams[0].transport is Transport.PSTN

    line.hear(*ALERTING)
    assert line.view.state is CallState.RINGING
    line.hear(*TALKING)
    assert (line.view.state, line.view.answered, line.view.held) == (CallState.CONNECTED, True, False)
    assert line.streams() == {"phoneAudio#1": StreamState.ACTIVE}
    assert line.view.offered == {"addParticipant", "holdPhoneAudio", "stopPhoneAudio"}
    line.hear(*HELD)
    assert line.view.held is True
    line.hear(*STOPPED)
    assert line.view.over
    assert line.resources.calls == ()


@settings(max_examples=60)
@given(cuts=st.sets(st.integers(1, len(WHOLE_CALL) - 1)))
def test_how_events_are_packed_makes_no_difference(cuts):
    whole, parted = Line(DIALLED), Line(DIALLED)
    whole.hear(*WHOLE_CALL)

    for begin, end in itertools.pairwise([0, *sorted(cuts), len(WHOLE_CALL)]):
        parted.hear(*WHOLE_CALL[begin:end])

    assert parted.facts == whole.facts


@pytest.mark.parametrize("reason", ["RemoteFailure/Busy", "RemoteFailure/Declined", "Timeout"])
def test_a_failed_invitation_gives_the_call_its_cause(reason):
    line = Line(DIALLED)
    line.hear(*STARTING)

    failed = line.hear(
        event("phoneAudioInvitation", "completed", ["conversation"], status="Failure", reason=reason, **OUT)
    )[0]

    assert (failed.state, failed.answered) == (None, False)
    assert failed.cause == Cause(
        dialect="ErrorSubcode", code=reason, text="because", detail={"about": "phoneAudioInvitation"}
    )
    assert line.streams() == {"phoneAudio#1": StreamState.ENDED}
    assert not line.view.over


def test_the_state_stands_in_where_a_failure_has_no_reason():
    line = Line(DIALLED)
    line.hear(*STARTING)

    failed = line.hear(event("phoneAudioInvitation", "completed", ["conversation"], state="Declined", **OUT))[0]

    assert failed.cause == Cause(dialect="InvitationState", code="Declined", detail={"about": "phoneAudioInvitation"})


def test_a_failure_without_any_word_leaves_the_cause_unsaid():
    line = Line(DIALLED)

    failed = line.hear(event("phoneAudioInvitation", "completed", ["conversation"], status="Failed", **OUT))[0]

    assert (failed.answered, failed.cause) == (False, None)


def test_words_that_contradict_each_other_prove_nothing():
    line = Line(DIALLED)

    told = line.hear(
        event("phoneAudioInvitation", "completed", ["conversation"], status="Success", state="Failed", **OUT)
    )[0]

    assert (told.answered, told.state, told.cause) == (None, None, None)


def test_a_deleted_conversation_without_a_reason_says_that_none_will_come():
    line = Line(DIALLED)
    line.hear(*STARTING)

    ended = line.hear(event("conversation", "deleted", bare=True))[0]

    assert ended.state is CallState.ENDED
    assert ended.cause is not None
    assert not ended.cause.said


def test_a_disconnected_conversation_leaves_its_cause_open():
    line = Line(DIALLED)
    line.hear(*STARTING)

    ended = line.hear(event("conversation", "updated", state="Disconnected", activeModalities=[]))[0]

    assert (ended.state, ended.cause) == (CallState.ENDED, None)


@pytest.mark.parametrize(
    ("kind", "state", "said"),
    [("updated", "Disconnected", True), ("deleted", "Disconnected", True), ("updated", "Connected", False)],
)
def test_a_reason_counts_only_where_the_conversation_ends(kind, state, said):
    line = Line(DIALLED)
    line.hear(*STARTING)

    told = line.hear(event("conversation", kind, state=state, reason="Informational/CallTerminated"))[0]

    assert (told.cause is not None) is said


@pytest.mark.parametrize(
    ("word", "active", "state"),
    [
        ("Connecting", [], CallState.DIALING),
        ("Incoming", ["Audio"], CallState.RINGING),
        ("Connected", ["Audio"], CallState.CONNECTED),
        ("Connected", ["Messaging"], None),
        ("Conferencing", ["Video"], CallState.CONNECTED),
        ("Conferenced", None, CallState.CONNECTED),
        ("InLobby", [], None),
        ("Disconnecting", [], CallState.ENDING),
        ("Disconnected", [], CallState.ENDED),
        ("Levitating", [], CallState.UNKNOWN),
        (None, [], None),
    ],
)
def test_every_state_of_a_conversation_has_its_meaning(word, active, state):
    line = Line(DIALLED)
    line.hear(*STARTING)
    words = {} if active is None else {"activeModalities": active}

    told = line.hear(event("conversation", "updated", state=word, **words))[0]

    assert told.state is state
    assert told.native_state == (word if word in ("InLobby", "Levitating") else None)
    assert told.origin == (Invitation() if word == "Incoming" else None)


@pytest.mark.parametrize(
    ("word", "direction", "state", "native"),
    [
        ("Connecting", "Outgoing", CallState.DIALING, None),
        ("Connecting", "Incoming", CallState.RINGING, None),
        ("Alerting", "Outgoing", CallState.RINGING, None),
        ("TeamRing", "Outgoing", CallState.RINGING, None),
        ("Connected", "Outgoing", CallState.CONNECTED, None),
        ("Forwarded", "Outgoing", None, "Forwarded"),
        ("Levitating", "Outgoing", CallState.UNKNOWN, "Levitating"),
        (None, "Outgoing", None, None),
    ],
)
def test_every_state_of_an_invitation_has_its_meaning(word, direction, state, native):
    line = Line()

    told = line.hear(
        event("phoneAudioInvitation", "updated", ["conversation"], state=word, direction=direction, operationId="o")
    )[0]

    assert (told.state, told.native_state) == (state, native)


@pytest.mark.parametrize(
    ("word", "state", "native"),
    [
        ("Connecting", StreamState.STARTING, None),
        ("Connected", StreamState.ACTIVE, None),
        ("Disconnecting", None, "Disconnecting"),
        ("Transferring", None, "Transferring"),
        ("Disconnected", None, None),
        ("Levitating", StreamState.UNKNOWN, "Levitating"),
        (None, None, None),
    ],
)
def test_every_state_of_phone_audio_has_its_meaning(word, state, native):
    line = Line(DIALLED)
    line.hear(*STARTING)

    told = line.hear(event("phoneAudio", "updated", state=word))[0]

    assert [(s.slot, s.state, s.native_state) for s in told.streams] == (
        [("phoneAudio", state, native)] if state or native else []
    )


@pytest.mark.parametrize(
    ("state", "links", "held"),
    [
        ("Connected", ["holdPhoneAudio"], False),
        ("Connected", ["resumePhoneAudio"], True),
        ("Connected", ["holdPhoneAudio", "resumePhoneAudio"], None),
        ("Connected", [], None),
        ("Connecting", ["holdPhoneAudio"], None),
    ],
)
def test_hold_is_told_by_what_may_be_done_next(state, links, held):
    line = Line(DIALLED)
    line.hear(*STARTING)

    assert line.hear(event("phoneAudio", "updated", links, state=state))[0].held is held


def test_an_idle_modality_does_not_end_what_an_invitation_is_about_to_start():
    line = Line(DIALLED)
    line.hear(STARTING[0], STARTING[1], event("phoneAudio", "updated", state="Disconnected"))

    assert line.streams() == {"phoneAudio#1": StreamState.STARTING}

    line.hear(*TALKING[:1], event("phoneAudio", "updated", state="Disconnected", reason="RemoteFailure/MediaFailure"))
    assert line.streams() == {"phoneAudio#1": StreamState.ENDED}
    assert line.view.streams[0].cause is not None


# Audio and video


def av(kind, state, links=(), **more):
    return event("audioVideo", kind, links, state=state, **more)


def conversation(state, *active):
    return event("conversation", "updated", ["audioVideo", "phoneAudio"], state=state, activeModalities=list(active))


AV_OUT = {"direction": "Outgoing", "operationId": "call-1"}
AV_STARTING = [
    event("audioVideoInvitation", "started", ["conversation", "cancel"], state="Connecting", **AV_OUT),
    event("conversation", "added", ["audioVideo"], state="Connecting", activeModalities=[]),
    av("updated", "Connecting", ["stopAudioVideo"]),
]
BOTH_LINKS = ["stopAudio", "stopVideo", "stopAudioVideo"]
ANSWERED = [
    av("updated", "Connected", BOTH_LINKS),
    conversation("Connected", "Audio", "Video"),
    event("audioVideoInvitation", "completed", ["conversation"], status="Success", state="Connected", **AV_OUT),
]


def test_a_call_with_audio_and_video_has_two_streams():
    line = Line(DIALLED_AV)

    line.hear(*AV_STARTING)
    assert line.streams() == {"audio#1": StreamState.STARTING, "video#1": StreamState.STARTING}
    line.hear(*ANSWERED)
    assert line.streams() == {"audio#1": StreamState.ACTIVE, "video#1": StreamState.ACTIVE}
    assert {s.modality for s in line.view.streams} == {Modality.AUDIO, Modality.VIDEO}


@pytest.mark.parametrize("order", list(itertools.permutations(range(2))))
def test_a_dropped_modality_ends_in_either_order_of_updates(order):
    line = Line(DIALLED_AV)
    line.hear(*AV_STARTING, *ANSWERED)
    updates = [av("updated", "Connected", ["stopVideo", "addAudio"]), conversation("Connected", "Video")]

    line.hear(*(updates[index] for index in order))

    assert line.streams() == {"audio#1": StreamState.ENDED, "video#1": StreamState.ACTIVE}
    assert not line.view.over


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_what_was_offered_and_not_taken_ends_in_any_order_of_updates(order):
    line = Line(DIALLED_AV)
    line.hear(*AV_STARTING)
    updates = [
        av("updated", "Connected", ["stopAudio", "addVideo"]),
        conversation("Connected", "Audio"),
        ANSWERED[2],
    ]

    line.hear(*(updates[index] for index in order))

    assert line.streams() == {"audio#1": StreamState.ACTIVE, "video#1": StreamState.ENDED}


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_added_audio_becomes_active_in_any_order_of_updates(order):
    add = Operation(id="add-1", purpose=Purpose.START, slots=frozenset({"audio"}), to="sip:bob@x.org", ref=C)
    line = Line(DIALLED_AV)
    line.hear(*AV_STARTING, *ANSWERED)
    line.hear(av("updated", "Connected", ["stopVideo", "addAudio"]), conversation("Connected", "Video"))
    line.resources.expect(add)
    HREFS["audioVideoInvitation"] = f"{AV_INVITATION}-2"
    try:
        started = event("audioVideoInvitation", "started", ["conversation"], state="Connecting", operationId="add-1")
        completed = event(
            "audioVideoInvitation",
            "completed",
            ["conversation"],
            status="Success",
            state="Connected",
            operationId="add-1",
        )
    finally:
        HREFS["audioVideoInvitation"] = AV_INVITATION
    line.hear(started)
    assert line.streams()["audio#2"] is StreamState.STARTING
    assert line.view.streams[-1].command_id == "add-1"
    updates = [av("updated", "Connected", BOTH_LINKS), conversation("Connected", "Audio", "Video"), completed]

    line.hear(*(updates[index] for index in order))

    assert line.streams() == {
        "audio#1": StreamState.ENDED,
        "video#1": StreamState.ACTIVE,
        "audio#2": StreamState.ACTIVE,
    }


def test_a_disconnected_modality_ends_both_streams_whatever_the_conversation_still_says():
    line = Line(DIALLED_AV)
    line.hear(*AV_STARTING, *ANSWERED)

    line.hear(av("updated", "Disconnected", ["addAudio"], reason="Informational/CallTerminated"))

    assert line.streams() == {"audio#1": StreamState.ENDED, "video#1": StreamState.ENDED}


def test_a_list_from_before_the_disconnection_starts_nothing():
    line = Line(DIALLED_AV)
    line.hear(*AV_STARTING, *ANSWERED, av("updated", "Disconnected"))

    line.hear(av("updated", "Connected", ["stopVideo", "addAudio"]))

    assert line.streams() == {"audio#1": StreamState.ENDED, "video#1": StreamState.ENDED}


def test_links_tell_where_the_conversation_is_not_known():
    line = Line()
    line.hear(av("updated", "Connected", ["stopVideo", "addAudio"]), sender="conversation")

    assert line.streams() == {"video#1": StreamState.ACTIVE}


def test_phone_audio_is_no_voip_audio_although_both_are_called_audio():
    line = Line(DIALLED)
    line.hear(*STARTING, *TALKING)

    line.hear(av("updated", "Connected", ["stopVideo", "addAudio"]), conversation("Connected", "Audio", "Video"))

    assert line.streams() == {"phoneAudio#1": StreamState.ACTIVE, "video#1": StreamState.ACTIVE}


@pytest.mark.parametrize("word", ["Disconnecting", "Levitating"])
def test_other_states_of_the_modality_end_nothing(word):
    line = Line(DIALLED_AV)
    line.hear(*AV_STARTING, *ANSWERED)

    told = line.hear(av("updated", word))[0]

    assert {s.native_state for s in told.streams} == {word}
    assert line.streams() == {"audio#1": StreamState.ACTIVE, "video#1": StreamState.ACTIVE}


def test_connecting_media_that_nobody_named_starts_nothing():
    line = Line()

    assert line.hear(av("updated", "Connecting"))[0].streams == ()


# Incoming calls


def incoming(kind="started", offer=SDP, links=("conversation", "acceptWithAnswer", "decline"), **more):
    raw = event(
        "audioVideoInvitation",
        kind,
        links,
        state="Connecting",
        direction="Incoming",
        embedded={"from": {"rel": "participant", "uri": "sip:bob@example.org", "name": "Bob", "_links": {}}},
        **more,
    )
    if offer is not None:
        uri = "data:application/sdp," + httpx.QueryParams({"x": offer}).__str__().removeprefix("x=")
        raw["_embedded"]["audioVideoInvitation"]["_links"]["mediaOffer"] = {"href": uri}
    return raw


def test_an_incoming_call_rings_and_offers_its_streams():
    line = Line()

    told = line.hear(incoming())[0]

    assert (told.origin, told.state, told.command_id) == (Invitation(), CallState.RINGING, None)
    assert told.remote == Party("sip:bob@example.org", "Bob")
    assert told.remote_sdp == SDP
    assert told.offered == {"acceptWithAnswer", "decline"}
    assert line.streams() == {"audio#1": StreamState.OFFERED, "video#1": StreamState.OFFERED}

    line.hear(av("updated", "Connecting"))
    assert line.streams()["audio#1"] is StreamState.OFFERED


def test_the_conversation_names_the_media_of_an_offer_that_cannot_be_read():
    line = Line()
    added = event("conversation", "added", ["audioVideo"], state="Incoming", activeModalities=["Video"])

    line.hear(added, incoming(offer=None))

    assert line.streams() == {"video#1": StreamState.OFFERED}


def test_incoming_phone_audio_is_offered():
    line = Line()
    raw = {"state": "Connecting", "direction": "Incoming"}

    line.hear(event("phoneAudioInvitation", "started", ["conversation", "decline"], **raw), *STARTING[2:])

    assert line.streams() == {"phoneAudio#1": StreamState.OFFERED}
    assert line.view.remote is None


def test_media_offered_to_a_call_that_goes_on_cannot_end_the_call():
    line = Line(DIALLED)
    line.hear(*STARTING, *TALKING)

    line.hear(incoming())
    line.hear(incoming("completed", status="Failure", reason="RemoteFailure/Declined"))

    assert line.view.cause is None
    assert line.streams()["video#1"] is StreamState.ENDED


def test_a_second_invitation_of_a_call_that_still_rings_is_read_as_the_call():
    line = Line(DIALLED)
    line.hear(*STARTING)

    assert line.hear(incoming())[0].origin == Invitation()


# Media that is started later


def started_later(kind, **more):
    return event("phoneAudioInvitation", kind, ["conversation", "cancel"], operationId="start-1", **more)


def test_starting_media_later_names_its_command_and_leaves_the_call_alone():
    line = Line(STARTED)

    (told,) = line.hear(started_later("started", state="Connecting"))

    assert (told.command_id, told.origin, told.state) == (None, None, None)
    assert [(s.slot, s.state, s.command_id) for s in told.streams] == [("phoneAudio", StreamState.STARTING, "start-1")]
    assert line.hear(event("phoneAudio", "updated", state="Connecting"))[0].streams[0].command_id == "start-1"


def test_a_start_that_fails_ends_its_stream_and_says_so():
    line = Line(STARTED)
    line.hear(started_later("started", state="Connecting"))

    report, notice = line.hear(started_later("completed", status="Failure", reason="RemoteFailure/Busy"))

    assert report.cause is None
    assert report.streams[0].state is StreamState.ENDED
    assert report.streams[0].cause == notice.cause
    assert notice == CommandFailed(as_of=line.time, ref=C, command_id="start-1", cause=notice.cause)


def test_a_start_knows_its_call_even_where_the_invitation_does_not_say():
    line = Line(STARTED)
    bare = event("phoneAudioInvitation", "started", operationId="start-1", state="Connecting")
    del bare["_embedded"]["phoneAudioInvitation"]["_links"]["conversation"]

    assert line.hear(bare)[0].ref == C


def test_a_start_whose_call_nobody_names_can_still_fail():
    line = Line(replace(STARTED, ref=None))
    bare = event("phoneAudioInvitation", "completed", operationId="start-1", status="Failure", reason="Timeout")
    del bare["_embedded"]["phoneAudioInvitation"]["_links"]["conversation"]

    (notice,) = line.hear(bare)

    assert (type(notice), notice.ref) == (CommandFailed, None)


def test_an_invitation_into_an_unknown_place_says_nothing():
    line = Line()
    bare = event("phoneAudioInvitation", "started", state="Connecting")
    del bare["_embedded"]["phoneAudioInvitation"]["_links"]["conversation"]

    assert line.hear(bare) == []


def test_an_invitation_without_a_conversation_is_known_by_its_operation():
    line = Line(DIALLED)
    bare = event("phoneAudioInvitation", "completed", status="Success", operationId="call-1")
    del bare["_embedded"]["phoneAudioInvitation"]["_links"]["conversation"]

    (told,) = line.hear(bare)

    assert (told.ref, told.command_id, told.offered, told.answered) == (None, "call-1", None, True)


def test_an_invitation_that_was_placed_needs_no_operation_id():
    line = Line(DIALLED)
    line.resources.place("call-1", INVITATION)

    (told,) = line.hear(event("phoneAudioInvitation", "completed", status="Success", bare=True))

    assert (told.command_id, told.state) == ("call-1", CallState.CONNECTED)


# Calls that move


def test_an_invitation_answered_in_another_conversation_continues_there():
    line = Line(DIALLED)
    line.hear(*STARTING)
    moved = event("phoneAudioInvitation", "completed", ["conversation"], status="Success", **OUT)
    moved["_embedded"]["phoneAudioInvitation"]["_links"]["derivedConversation"] = {"href": f"{C}-2"}

    told = line.hear(moved)[0]

    assert (told.ref, told.origin, told.state) == (f"{C}-2", Continues(C), CallState.CONNECTED)


def test_the_conversation_that_a_call_has_left_tells_nothing_of_it_any_more():
    line = Line(DIALLED)
    line.hear(*STARTING)
    moved = event("phoneAudioInvitation", "completed", ["conversation"], status="Success", **OUT)
    moved["_embedded"]["phoneAudioInvitation"]["_links"]["derivedConversation"] = {"href": f"{C}-2"}
    line.hear(moved)

    assert line.hear(event("phoneAudio", "updated", state="Disconnected")) == []
    assert line.hear(event("conversation", "updated", state="Disconnected", activeModalities=[])) == []
    assert line.hear(event("conversation", "deleted", bare=True)) == []
    assert line.resources.calls == (line.resources.key(f"{C}-2"),)


# Conversations that are no calls


def test_a_conversation_for_messages_is_no_call():
    line = Line()
    added = event("conversation", "added", ["messaging"], state="Incoming", activeModalities=["Messaging"])

    assert line.hear(added, event("messagingInvitation", "started", ["conversation"])) == []
    assert line.hear(event("phoneAudio", "updated", ["addPhoneAudio"], state="Disconnected")) == []
    assert line.hear(event("conversation", "deleted", bare=True)) == []


def test_messages_make_no_call_however_they_are_exchanged():
    line = Line()
    story = [
        event("messagingInvitation", "started", ["conversation", "accept"], direction="Incoming", state="Connecting"),
        event("conversation", "added", ["messaging"], state="Incoming", activeModalities=["Messaging"]),
        event("messaging", "updated", ["sendMessage"], state="Connected"),
        event("conversation", "updated", ["messaging"], state="Connected", activeModalities=["Messaging"]),
        event("messagingInvitation", "completed", ["conversation"], status="Success", state="Connected"),
        event("messaging", "updated", state="Disconnected"),
        event("conversation", "deleted", bare=True),
        event("messagingInvitation", "updated", ["conversation"], state="Connected"),
    ]

    assert line.hear(*story) == []
    assert line.resources.calls == ()
    assert standing(C, line.resources) == ()


def test_messages_that_go_on_while_a_conversation_becomes_a_call_are_its_stream():
    line = Line()
    line.hear(
        event("messagingInvitation", "completed", ["conversation"], status="Success", state="Connected"),
        event("messaging", "updated", ["sendMessage"], state="Connected"),
        event("conversation", "added", ["messaging"], state="Connected", activeModalities=["Messaging"]),
    )

    line.hear(event("phoneAudioInvitation", "started", ["conversation", "decline"], state="Connecting", **RINGS))

    assert line.view.state is CallState.RINGING
    assert line.streams() == {"messaging#1": StreamState.ACTIVE, "phoneAudio#1": StreamState.OFFERED}


# Messages beside a call


RINGS = {"direction": "Incoming"}
WRITTEN = Operation(id="start-1", purpose=Purpose.START, slots=frozenset({"messaging"}), to="", ref=C)
ASKED = {"direction": "Outgoing", "operationId": "start-1"}
INVITED = [
    event("messagingInvitation", "started", ["conversation", "messaging", "cancel"], state="Connecting", **ASKED),
    event("messaging", "updated", ["stopMessaging"], state="Connecting"),
]
WRITING = [
    event("messaging", "updated", ["stopMessaging", "sendMessage", "typingParticipants"], state="Connected"),
    event("conversation", "updated", ["messaging"], state="Connected", activeModalities=["Messaging", "Audio"]),
    event("messagingInvitation", "completed", ["conversation"], status="Success", state="Connected", **ASKED),
]


def talking():
    line = Line(DIALLED, WRITTEN)
    line.hear(*STARTING, *TALKING)
    return line


def test_messages_are_a_stream_of_their_call_from_their_start_to_their_end():
    line = talking()

    told = [stream for fact in line.hear(*INVITED) for stream in fact.streams if stream.slot == "messaging"]
    assert [(stream.state, stream.command_id) for stream in told] == [(StreamState.STARTING, "start-1")] * 2
    assert "cancel" not in line.view.offered
    line.hear(*WRITING)
    written = line.view.streams[-1]
    assert (written.modality, written.transport) == (Modality.MESSAGING, Transport.UNKNOWN)
    assert written.state is StreamState.ACTIVE
    assert line.view.offered >= {"stopMessaging", "sendMessage", "stopPhoneAudio"}
    assert "typingParticipants" not in line.view.offered
    line.hear(event("messaging", "updated", state="Disconnecting"))
    assert line.view.streams[-1].native_state == "Disconnecting"
    line.hear(event("messaging", "updated", ["addMessaging"], state="Disconnected", reason="RemoteFailure/Removed"))

    assert line.streams() == {"phoneAudio#1": StreamState.ACTIVE, "messaging#1": StreamState.ENDED}
    assert line.view.streams[-1].cause.code == "RemoteFailure/Removed"
    assert line.view.state is CallState.CONNECTED


def test_messages_that_are_refused_leave_the_call_as_it_was():
    line = talking()
    line.hear(*INVITED)

    over = event(
        "messagingInvitation",
        "completed",
        ["conversation"],
        status="Failure",
        reason="RemoteFailure/NotAcceptable",
        state="Failed",
        **ASKED,
    )
    failed = line.hear(over)[-1]

    assert isinstance(failed, CommandFailed)
    assert (failed.command_id, failed.cause.code) == ("start-1", "RemoteFailure/NotAcceptable")
    assert line.streams() == {"phoneAudio#1": StreamState.ACTIVE, "messaging#1": StreamState.ENDED}


@pytest.mark.parametrize("reason", [None, "Informational/DerivedConversation"])
def test_messages_that_somebody_else_takes_are_no_stream_of_the_call(reason):
    line = talking()
    line.hear(*INVITED)

    told = event(
        "messagingInvitation",
        "completed",
        ["conversation", "derivedMessaging"],
        status="Success",
        reason=reason,
        **ASKED,
    )
    failed = line.hear(told)[-1]

    assert isinstance(failed, CommandFailed)
    assert failed.cause.code.endswith("/DerivedConversation")
    assert line.streams() == {"phoneAudio#1": StreamState.ACTIVE, "messaging#1": StreamState.ENDED}
    assert line.view.state is CallState.CONNECTED


def test_messages_that_the_other_party_asks_for_are_offered_and_the_call_rings_no_more_for_it():
    line = talking()

    line.hear(
        event("messaging", "updated", state="Connecting"),
        event("messagingInvitation", "started", ["conversation", "accept", "decline"], state="Connecting", **RINGS),
        event("messaging", "updated", state="Connecting"),
    )

    assert line.streams()["messaging#1"] is StreamState.OFFERED
    assert line.view.state is CallState.CONNECTED
    assert not line.view.offered & {"accept", "decline"}
    line.hear(event("messagingInvitation", "completed", ["conversation"], status="Failure", state="Declined", **RINGS))
    assert line.streams()["messaging#1"] is StreamState.ENDED


def test_a_conversation_tells_of_messages_of_which_nothing_else_is_known():
    line = Line(DIALLED)
    line.hear(STARTING[0])
    assert standing(C, line.resources)[0].streams == ()
    line.hear(*STARTING[1:], *TALKING)
    assert "messaging#1" not in line.streams()

    line.hear(event("conversation", "updated", state="Connected", activeModalities=["Audio", "Messaging"]))
    assert line.streams()["messaging#1"] is StreamState.ACTIVE
    line.hear(event("conversation", "updated", state="Connected", activeModalities=["Audio"]))

    assert line.streams()["messaging#1"] is StreamState.ENDED


def test_a_read_tells_of_messages_too():
    line = talking()
    line.hear(*INVITED, *WRITING)

    read = snapshot(C, line.resources, 99.0, complete=True)

    assert {s.slot: s.state for s in read.streams} == {
        "phoneAudio": StreamState.ACTIVE,
        "messaging": StreamState.ACTIVE,
    }
    assert "messaging" in [s.slot for s in standing(C, line.resources)[0].streams]


def test_what_is_written_is_fetched_in_time():
    (told,) = package({"link": {"rel": "message", "href": f"{C}/messages/1"}, "type": "completed"}).events

    assert must_be_read(told, Line().resources)
    assert Line().hear({"link": {"rel": "message", "href": f"{C}/messages/1"}, "type": "completed"}) == []


def test_a_conversation_that_becomes_a_call_tells_what_it_had_said_before():
    line = Line(DIALLED)

    facts = line.hear(STARTING[1], STARTING[2])

    assert [fact.state for fact in facts] == [None, CallState.DIALING]


def test_the_end_of_a_conversation_that_was_never_seen_is_told():
    (ended,) = Line().hear(event("conversation", "deleted", bare=True))

    assert (ended.ref, ended.state) == (C, CallState.ENDED)


def test_an_end_that_is_told_twice_is_told_once():
    line = Line(DIALLED)
    line.hear(*WHOLE_CALL)

    assert line.hear(event("conversation", "deleted", bare=True)) == []


def test_an_invitation_that_was_read_after_the_end_still_names_the_call():
    line = Line(DIALLED)
    line.hear(event("conversation", "deleted", bare=True))

    invitation, ended = line.hear(STARTING[0])

    assert (invitation.command_id, invitation.ref) == ("call-1", C)
    assert (ended.ref, ended.state) == (C, CallState.ENDED)
    assert line.hear(event("phoneAudioInvitation", "updated", bare=True)) == []


def test_events_of_other_resources_say_nothing():
    assert Line().hear(event("localParticipant", "added"), sender="conversation") == []


@pytest.mark.parametrize("rel", ["conversation", "phoneAudio", "audioVideo"])
def test_an_event_without_a_body_says_what_is_known(rel):
    line = Line(DIALLED)
    line.hear(STARTING[0])

    told = line.hear(event(rel, "updated", bare=True), sender="conversation")

    assert all(fact.streams == () for fact in told)


def test_a_bare_modality_of_a_known_call_says_nothing():
    line = Line(DIALLED)
    line.hear(STARTING[0])
    raw = {"link": {"rel": "phoneAudio", "href": HREFS["phoneAudio"]}, "type": "updated"}
    data = {"_links": {"next": {"href": "n"}}, "sender": [{"rel": "conversation", "href": C, "events": [raw]}]}
    (told,) = parse_package(httpx.Response(200, json=data)).events

    (fact,) = decode(told, line.resources.take(told, 9.0), line.resources, 9.0)

    assert (fact.ref, fact.streams, fact.held) == (C, (), None)


# Media descriptions


def answer(**links):
    raw = event("audioVideoNegotiation", "updated")
    raw["_embedded"]["audioVideoNegotiation"]["_links"] |= {name: {"href": href} for name, href in links.items()}
    return raw


SDP_LINK = "data:application/sdp;base64,dj0wDQptPWF1ZGlvIDEgUlRQL0FWUCAwDQo="


@pytest.mark.parametrize(
    ("links", "sdp"),
    [
        ({"mediaAnswer": SDP_LINK, "audioVideoInvitation": AV_INVITATION}, "v=0\r\nm=audio 1 RTP/AVP 0\r\n"),
        ({"mediaProvisionalAnswer": SDP_LINK, "audioVideoInvitation": AV_INVITATION}, None),
        ({"mediaAnswer": SDP_LINK, "audioVideoInvitation": "/elsewhere"}, None),
        ({"mediaAnswer": "data:application/sdp;base64,***", "audioVideoInvitation": AV_INVITATION}, None),
    ],
)
def test_the_answer_to_an_offer_is_the_far_ends_description(links, sdp):
    line = Line(DIALLED_AV)
    line.hear(*AV_STARTING)

    line.hear(answer(**links))

    assert line.view.remote_sdp == sdp


def test_an_answer_without_its_body_says_nothing():
    line = Line(DIALLED_AV)
    line.hear(*AV_STARTING)

    assert line.hear(event("audioVideoNegotiation", "updated", bare=True)) == []


def test_an_answer_to_an_invitation_of_nobody_says_nothing():
    line = Line()
    stray = event("audioVideoInvitation", "started", state="Connecting")
    del stray["_embedded"]["audioVideoInvitation"]["_links"]["conversation"]
    line.hear(stray)

    told = answer(mediaAnswer=SDP_LINK, audioVideoInvitation=AV_INVITATION)
    del told["_embedded"]["audioVideoNegotiation"]["_links"]["conversation"]

    assert line.hear(told) == []


@pytest.mark.parametrize(("direction", "told"), [("Incoming", 1), ("Outgoing", 0)])
def test_a_renegotiation_from_the_far_end_is_a_remote_offer(direction, told):
    line = Line(DIALLED_AV)
    line.hear(*AV_STARTING, *ANSWERED)
    raw = event("audioVideoRenegotiation", "started", ["conversation"], direction=direction)
    raw["_embedded"]["audioVideoRenegotiation"]["_links"]["mediaOffer"] = {"href": SDP_LINK}

    facts = line.hear(raw)

    assert [type(fact) for fact in facts] == [RemoteOffer] * told
    assert line.hear(event("audioVideoRenegotiation", "completed", bare=True)) == []


# Reads


def test_a_read_says_everything_about_a_call():
    line = Line(DIALLED)
    line.hear(*STARTING, *TALKING, *HELD)

    read = snapshot(C, line.resources, 9.0, complete=True)

    assert (read.state, read.held, read.streams_complete, read.as_of) == (CallState.CONNECTED, True, True, 9.0)
    assert [(s.slot, s.state) for s in read.streams] == [("phoneAudio", StreamState.ACTIVE)]
    assert (read.origin, read.command_id, read.remote) == (Dialled(), "call-1", Party("tel:+14255550199"))


def test_a_read_of_a_ringing_call_takes_its_state_from_the_invitation():
    line = Line(DIALLED)
    line.hear(*STARTING, *ALERTING)

    assert snapshot(C, line.resources, 9.0, complete=True).state is CallState.RINGING


def test_a_read_ends_a_stream_that_is_missing_without_waiting_for_links():
    line = Line(DIALLED_AV)
    line.hear(*AV_STARTING, *ANSWERED)
    line.resources.put(
        parse_resource(body("audioVideo", ["stopAudioVideo"], state="Connected"), rel="audioVideo"), 90.0
    )
    fresh = body("conversation", ["audioVideo"], state="Connected", activeModalities=["Video"])
    line.resources.put(parse_resource(fresh, rel="conversation"), 90.0)

    read = snapshot(C, line.resources, 90.0, complete=True)
    listed = snapshot(C, line.resources, 90.0, complete=False)

    assert [s.state for s in read.streams] == [StreamState.ENDED, StreamState.ACTIVE]
    assert [s.state for s in listed.streams] == [None, StreamState.ACTIVE]


def test_a_read_of_a_refused_call_takes_its_cause_from_the_invitation():
    line = Line(DIALLED)
    line.hear(*STARTING)
    line.hear(event("phoneAudioInvitation", "updated", ["conversation"], state="Declined", **OUT))
    line.hear(event("conversation", "updated", state="Disconnected"))

    read = snapshot(C, line.resources, 9.0, complete=True)

    assert read.cause is not None
    assert (read.cause.dialect, read.cause.code) == ("InvitationState", "Declined")


def test_a_read_of_what_is_not_known_says_nothing():
    read = snapshot(C, Resources("https://pool.example.org/"), 9.0, complete=True)

    assert (read.ref, read.state, read.streams_complete) == (C, None, False)


def test_newer_snapshots_stand_beside_an_older_answer():
    line = Line(DIALLED)
    line.hear(*STARTING, *TALKING)

    (told,) = standing(C, line.resources)

    assert (told.as_of, told.held, told.offered) == (
        line.time,
        False,
        {"addParticipant", "holdPhoneAudio", "stopPhoneAudio"},
    )
    assert standing("/elsewhere", line.resources) == ()
    assert standing(C, Resources("https://pool.example.org/")) == ()


def test_standing_video_is_told_without_phone_audio():
    line = Line(DIALLED_AV)
    line.hear(*AV_STARTING, *ANSWERED)

    (told,) = standing(C, line.resources)

    assert (told.held, {s.state for s in told.streams}) == (None, {StreamState.ACTIVE})


# Junk

NAMES = "href state direction _links _embedded activeModalities operationId conversation self rel reason code from uri"
NAMES = [*NAMES.split(), "mediaOffer", "phoneAudio", "audioVideo"]

JUNK = st.recursive(
    st.none()
    | st.booleans()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5)
    | st.sampled_from(["Connected", "Disconnected", "Incoming", C, "http://[", "data:,v=0", SDP_LINK]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(NAMES),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@settings(max_examples=300, deadline=None)
@given(
    bodies=st.lists(
        st.tuples(
            st.sampled_from(sorted(HREFS)), st.sampled_from(["started", "updated", "deleted", "completed"]), JUNK
        ),
        max_size=6,
    ),
    prefix=st.integers(0, len(WHOLE_CALL)),
)
def test_whatever_a_server_sends_is_read_without_an_error(bodies, prefix):
    line = Line(DIALLED)
    line.hear(*WHOLE_CALL[:prefix])

    for rel, kind, junk in bodies:
        raw = {"link": {"rel": rel, "href": HREFS[rel]}, "type": kind, "reason": junk, "in": junk}
        line.hear(raw | {"_embedded": {rel: junk}}, sender="conversation")

    assert all(math.isfinite(fact.as_of) for fact in line.facts)
    snapshot(C, line.resources, 99.0, complete=True)


@pytest.mark.parametrize("address", ["https://pool.example.org", "https://pool.example.org?", "//pool.example.org"])
def test_a_conversation_whose_address_is_a_bare_host_has_a_name(address):
    line = Line(DIALLED)
    line.hear(*STARTING)
    raw = {"link": {"rel": "conversation", "href": address}, "type": "added"}
    body = {"state": "Connected", "activeModalities": ["Audio"], "_links": {"self": {"href": address}}}

    line.hear(raw | {"_embedded": {"conversation": body}})

    assert line.resources.key(address) == "/"


@given(href=st.text(max_size=8) | st.text("https:/?#@[]. x", max_size=12))
def test_whatever_an_address_is_its_identity_is_not_empty(href):
    assert Line().resources.key(href) != ""


def test_a_package_survives_its_byte_order_mark_and_its_dates():
    raw = {"_links": {"next": {"href": "n"}}, "sender": [{"rel": "communication", "events": [STARTING[1]]}]}
    raw["sender"][0]["events"][0]["_embedded"]["conversation"]["created"] = "/Date(1383784870271)/"
    content = b"\xef\xbb\xbf" + json.dumps(raw).encode()

    read = parse_package(httpx.Response(200, content=content, headers={"content-type": "application/json"}))

    assert [told.rel for told in read.events] == ["conversation"]


def in_a_conference(state="Conferenced"):
    links = ["audioVideo", "localParticipant"]
    return [
        *AV_STARTING,
        *ANSWERED,
        event("conversation", "updated", links, state=state, activeModalities=["Audio"]),
    ]


def own_audio(kind="updated", *, muted=None, links=("participant",), bare=False, rel="localParticipant", at=None):
    raw = event("participantAudio", kind, links, bare=bare, **({} if muted is None else {"audioMuted": muted}))
    member = {"href": at or HREFS["localParticipant"]} | ({"rel": rel} if rel else {})
    return raw | {"in": member}


def test_the_users_own_audio_tells_whether_the_call_is_muted_and_what_may_be_done():
    line = Line()
    line.hear(*in_a_conference())
    line.hear(own_audio("added", muted=False, links=("muteAudio",)), sender="conversation")
    assert line.view.muted is False
    assert "muteAudio" in line.view.offered
    line.hear(own_audio(muted=True, links=("unmuteAudio",)), sender="conversation")

    assert line.view.muted is True
    assert {"unmuteAudio", "muteAudio"} & line.view.offered == {"unmuteAudio"}
    (report,) = standing(C, line.resources)
    assert report.muted is True
    assert snapshot(C, line.resources, line.time, complete=False).muted is True


def test_audio_that_has_gone_can_be_muted_no_more():
    line = Line()
    line.hear(*in_a_conference())
    line.hear(own_audio("added", muted=True, links=("unmuteAudio",)), sender="conversation")
    line.hear(own_audio("deleted", bare=True), sender="conversation")

    assert "unmuteAudio" not in line.view.offered


def test_the_audio_of_others_says_nothing_of_the_call():
    line = Line()
    line.hear(*in_a_conference())
    line.hear(own_audio(muted=True, rel="participant", at=f"{C}/participants/bob"), sender="conversation")

    assert line.view.muted is None


def test_what_is_no_yes_or_no_says_nothing_of_mute():
    line = Line()
    line.hear(*in_a_conference())
    line.hear(own_audio(muted="Muted"), sender="conversation")

    assert line.view.muted is None


@pytest.mark.parametrize(("state", "reads"), [("Conferencing", True), ("Conferenced", True), ("Connected", False)])
def test_the_users_own_audio_is_read_where_the_server_could_mute_it(state, reads):
    line = Line()
    line.hear(*in_a_conference(state))
    told = package(own_audio(bare=True, rel=None), sender="conversation").events[0]

    assert must_be_read(told, line.resources) is reads
    assert must_be_read(package(event("conversation", "updated", bare=True)).events[0], line.resources)
    assert not must_be_read(package(event("localParticipant", "updated", bare=True)).events[0], line.resources)


@pytest.mark.parametrize("subcode", ["Busy", None])
def test_a_failed_call_whose_conversation_was_never_told_of_is_over(subcode):
    line = Line(DIALLED)
    reason = f"RemoteFailure/{subcode}" if subcode else "RemoteFailure"

    line.hear(event("phoneAudioInvitation", "completed", ["conversation"], status="Failure", reason=reason, **OUT))

    assert line.view.over
    assert line.view.answered is False


def test_a_missed_call_whose_conversation_was_never_told_of_does_not_ring():
    line = Line()

    told = line.hear(
        event("audioVideoInvitation", "completed", status="Failure", reason="Timeout/Missed", direction="Incoming")
    )[0]

    assert (told.state, told.origin) == (CallState.ENDED, Invitation())


INTO = replace(DIALLED, ref=C)
INTO_STARTED = event("phoneAudioInvitation", "started", ["conversation", "cancel"], state="Connecting", **OUT)
MEETING = event("conversation", "added", ["phoneAudio"], state="Conferenced", activeModalities=[])


def test_a_call_into_a_meeting_is_not_named_after_the_meeting_before_it_succeeds():
    line = Line(INTO)

    attempt = line.hear(MEETING, INTO_STARTED)[0]
    assert (attempt.ref, attempt.command_id, attempt.state) == (None, "call-1", CallState.DIALING)
    line.hear(event("conversation", "updated", ["phoneAudio"], state="Conferenced", activeModalities=["Audio"]))
    line.hear(event("phoneAudioInvitation", "completed", ["conversation"], status="Success", state="Connected", **OUT))

    assert (line.view.ref, line.view.state, line.view.answered) == (C, CallState.CONNECTED, True)


@pytest.mark.parametrize("more", [{"status": "Failure", "reason": "RemoteFailure/Busy", "state": "Failed"}, {}])
def test_a_call_into_a_meeting_that_fails_ends_although_the_meeting_goes_on(more):
    line = Line(INTO)
    line.hear(MEETING, INTO_STARTED)
    (told,) = line.hear(event("phoneAudioInvitation", "completed", ["conversation"], **{**OUT, **more}))

    assert (told.ref, told.state) == (None, CallState.ENDED)
    assert line.view.state is CallState.ENDED


def test_an_escalation_that_fails_takes_nothing_from_the_call():
    escalation = Operation(id="esc-1", purpose=Purpose.ESCALATE, slots=frozenset(), to="sip:bob@x.org", ref=C)
    line = Line(DIALLED_AV, escalation)
    line.hear(*AV_STARTING, *ANSWERED)
    about = {"direction": "Outgoing", "operationId": "esc-1"}
    href = f"{A}/communication/audioVideoInvitations/i91"
    for kind, more in (("started", {"state": "Connecting"}), ("completed", {"state": "Failed"})):
        raw = event("audioVideoInvitation", kind, ["conversation"], **about, **more)
        raw["link"]["href"] = raw["_embedded"]["audioVideoInvitation"]["_links"]["self"]["href"] = href
        if kind == "completed":
            raw |= {"status": "Failure", "reason": {"code": "LocalFailure", "subcode": "EscalationFailed"}}
        facts = line.hear(raw)
        assert not any(isinstance(fact, CommandFailed) for fact in facts)

    assert line.streams() == {"audio#1": StreamState.ACTIVE, "video#1": StreamState.ACTIVE}
    assert line.view.state is CallState.CONNECTED


def test_a_failure_that_is_read_for_an_earlier_event_leaves_its_reason_open():
    line = Line(DIALLED)
    line.hear(STARTING[1])

    told = line.hear(event("phoneAudioInvitation", "started", ["conversation"], state="Failed", **OUT))[0]
    assert (told.answered, told.cause) == (False, None)

    line.hear(
        event(
            "phoneAudioInvitation", "completed", ["conversation"], status="Failure", reason="RemoteFailure/Busy", **OUT
        )
    )
    assert line.view.cause is not None
    assert line.view.cause.code == "RemoteFailure/Busy"


@pytest.mark.parametrize(
    ("first", "state"),
    [
        ([], []),
        ([event("conversation", "added", state="Incoming", activeModalities=["Audio"])], [StreamState.OFFERED]),
        ([event("conversation", "added", state="Connecting", activeModalities=[])], [StreamState.STARTING]),
        ([event("phoneAudioInvitation", "started", direction="Incoming")], [StreamState.OFFERED]),
        ([event("phoneAudioInvitation", "started", direction="Outgoing")], [StreamState.STARTING]),
    ],
)
def test_phone_audio_begins_as_whatever_is_known_of_its_call_says(first, state):
    line = Line()
    line.hear(*first)

    told = line.hear(event("phoneAudio", "updated", state="Connecting"))[0]

    assert [stream.state for stream in told.streams] == state


def test_what_phone_audio_said_before_its_call_was_known_is_told_with_the_call():
    line = Line()

    told = line.hear(
        event("phoneAudio", "updated", ["stopPhoneAudio", "resumePhoneAudio"], state="Connected"),
        event("phoneAudioInvitation", "completed", status="Success", state="Connected", direction="Incoming"),
    )[-1]

    assert (told.held, [(s.slot, s.state) for s in told.streams]) == (True, [("phoneAudio", StreamState.ACTIVE)])


def test_an_invitation_of_which_only_a_later_state_is_told_offers_its_media():
    line = Line()

    told = line.hear(event("phoneAudioInvitation", "updated", state="Connecting", direction="Incoming"))[0]

    assert [(stream.slot, stream.state) for stream in told.streams] == [("phoneAudio", StreamState.OFFERED)]


@pytest.mark.parametrize(
    ("status", "answered"), [("Success", True), ("Succeeded", True), ("Failure", False), ("Failed", False)]
)
def test_both_spellings_of_an_outcome_are_read(status, answered):
    line = Line(DIALLED)

    assert line.hear(event("phoneAudioInvitation", "completed", status=status, **OUT))[0].answered is answered
