"""Calls that one conversation takes over from another, in whatever order the server tells of it."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from telco_bridge.provider import (
    CallReport,
    CallState,
    CommandFailed,
    Continues,
    Invitation,
    Party,
    RemoteOffer,
    StreamState,
    TerminationReason,
)
from telco_bridge_ucwa.decode import snapshot, standing
from telco_bridge_ucwa.resources import Operation, Purpose
from telco_bridge_ucwa.successions import Successions

from .test_decode import DIALLED, INVITATION, OUT, SDP_LINK, STARTING, TALKING, A, C, Line, event

D = f"{A}/communication/conversations/decaf2"
CAROL = {"uri": "sip:carol@example.org", "name": "Carol", "_links": {"self": {"href": f"{A}/people/carol"}}}
ADDED = Operation(id="start-1", purpose=Purpose.START, slots=frozenset({"phoneAudio"}), to="tel:+14255550199", ref=C)
INCOMING = {"direction": "Incoming", "state": "Connecting"}


def there(raw, *, invitation=False):
    """The same event, of the other conversation."""
    text = json.dumps(raw).replace(C, D)
    return json.loads(text.replace(INVITATION, f"{A}/invitations/i91") if invitation else text)


def linked(raw, **links):
    rel = raw["link"]["rel"]
    raw["_embedded"][rel]["_links"] |= {name: {"href": href} for name, href in links.items()}
    return raw


def ends(reason=None):
    return [
        event("phoneAudio", "updated", ["addPhoneAudio"], state="Disconnected", reason=reason),
        event("conversation", "updated", ["phoneAudio"], state="Disconnected", activeModalities=[], reason=reason),
        event("conversation", "deleted", bare=True),
    ]


def derived(**options):
    """The end of an invitation that Carol answered in a conversation of her own."""
    options = {
        "status": "Success",
        "state": "Connected",
        "embedded": {"acceptedByParticipant": [CAROL]},
        **OUT,
    } | options
    raw = event("phoneAudioInvitation", "completed", ["conversation"], **options)
    return linked(raw, derivedConversation=D, derivedPhoneAudio=f"{D}/phoneAudio")


THERE = [
    there(event("conversation", "added", ["phoneAudio", "audioVideo"], state="Connecting", activeModalities=[])),
    there(event("phoneAudio", "updated", ["stopPhoneAudio", "holdPhoneAudio"], state="Connected")),
    there(event("conversation", "updated", ["phoneAudio"], state="Connected", activeModalities=["Audio"])),
]
ELSEWHERE = "Informational/DerivedConversation"


def live(line):
    return {slot for slot, state in line.streams().items() if state is StreamState.ACTIVE}


def moves(facts):
    return [fact.origin.ref for fact in facts if isinstance(fact, CallReport) and isinstance(fact.origin, Continues)]


@pytest.mark.parametrize(
    "story",
    [
        [*THERE, derived(), *ends(ELSEWHERE)],
        [*THERE, *ends(ELSEWHERE), derived()],
        [*ends(ELSEWHERE), *THERE, derived()],
        [*ends(ELSEWHERE), derived(), *THERE],
        [derived(), *THERE, *ends()],
        [derived(), *ends(), *THERE],
    ],
)
def test_a_call_that_somebody_else_answers_goes_on_in_the_other_conversation(story):
    line = Line(DIALLED)
    line.hear(*STARTING)

    facts = line.hear(*story)

    assert moves(facts) == [C]
    assert (line.view.ref, line.view.state) == (D, CallState.CONNECTED)
    assert line.view.remote == Party("sip:carol@example.org", "Carol")
    assert live(line) == {"phoneAudio#1"}
    assert line.resources.calls == (D,)
    assert line.resources.partner(D) == "sip:carol@example.org"


@st.composite
def interleaved(draw, *stories):
    """The events of several resources in any order that keeps each resource's own."""
    left = [list(story) for story in stories]
    told = []
    while any(left):
        story = draw(st.sampled_from([story for story in left if story]))
        told.append(story.pop(0))
    return told


@settings(max_examples=60, deadline=None)
@given(story=interleaved([derived()], ends(ELSEWHERE), THERE))
def test_in_any_order_a_call_that_somebody_else_answers_is_one_call(story):
    line = Line(DIALLED)
    line.hear(*STARTING)

    facts = line.hear(*story)

    assert moves(facts) == [C]
    assert (line.view.ref, line.view.state, live(line)) == (D, CallState.CONNECTED, {"phoneAudio#1"})


def test_a_call_is_kept_while_it_is_read_where_it_goes_on():
    line = Line(DIALLED)
    line.hear(*STARTING)
    bare = event("phoneAudioInvitation", "completed", status="Success", reason=ELSEWHERE, bare=True)
    line.hear(bare, ends()[-1])
    assert line.view.state is CallState.CONNECTED

    line.hear(derived(), *THERE)

    assert (line.view.ref, live(line)) == (D, {"phoneAudio#1"})


def test_a_call_of_which_nobody_can_say_where_it_goes_on_ends():
    line = Line(DIALLED)
    line.hear(*STARTING)
    bare = event("phoneAudioInvitation", "completed", status="Success", reason=ELSEWHERE, bare=True)

    line.hear(bare, ends()[-1], bare)

    assert line.view.over


def test_an_invitation_that_shows_early_where_it_was_answered_keeps_its_call_too():
    line = Line(DIALLED)
    shown = event("phoneAudioInvitation", "updated", ["conversation"], state="Alerting", **OUT)
    line.hear(*STARTING, linked(shown, derivedConversation=D), *ends())
    assert line.view.state is not CallState.ENDED

    line.hear(derived())

    assert (line.view.ref, line.view.state) == (D, CallState.CONNECTED)


def test_an_end_that_was_kept_back_for_nothing_is_told_with_its_reason():
    line = Line(DIALLED)
    line.hear(*STARTING, *ends(ELSEWHERE))
    assert line.view.state is CallState.DIALING

    line.hear(event("phoneAudioInvitation", "completed", ["conversation"], status="Failure", state="Failed", **OUT))

    assert line.view.over
    assert line.view.cause.code == ELSEWHERE
    assert line.resources.calls == ()


def test_the_outcome_names_the_call_where_nothing_else_has():
    line = Line(DIALLED)

    (told, *_) = line.hear(derived())

    assert (told.command_id, told.ref, told.origin) == ("call-1", D, Continues(C))


def test_what_is_added_and_answered_elsewhere_takes_the_call_along_that_has_nothing_left():
    line = Line(ADDED)
    line.resources.adopt(C)
    mine = {**OUT, "operationId": "start-1"}
    line.hear(*[event("phoneAudioInvitation", "started", ["conversation"], state="Connecting", **mine)])

    facts = line.hear(derived(operationId="start-1"), *THERE)

    assert moves(facts) == [C]
    assert (line.view.ref, live(line)) == (D, {"phoneAudio#1"})


def test_what_is_added_and_answered_elsewhere_is_another_call_where_the_first_has_media():
    line = Line(ADDED)
    talking = event("audioVideo", "updated", ["stopVideo"], state="Connected")
    line.hear(event("conversation", "added", ["audioVideo"], state="Connected", activeModalities=["Video"]), talking)
    line.hear(event("phoneAudioInvitation", "started", ["conversation"], state="Connecting", operationId="start-1"))

    ended, failed, other = line.hear(derived(operationId="start-1"))

    assert [(stream.slot, stream.state) for stream in ended.streams] == [("phoneAudio", StreamState.ENDED)]
    assert isinstance(failed, CommandFailed)
    assert (failed.command_id, failed.cause.code) == ("start-1", "/DerivedConversation")
    assert (other.ref, other.state, other.remote.address) == (D, CallState.CONNECTED, "sip:carol@example.org")
    assert line.resources.is_call(C)


# One call in place of another


def replacing(kind="started", **options):
    """Carol, to whom the other party hands the call over, invites the user in place of it."""
    options = {"embedded": {"from": CAROL}} | INCOMING | options
    raw = event("audioVideoInvitation", kind, ["conversation", "audioVideo", "acceptWithAnswer", "decline"], **options)
    return linked(there(raw), replacesAudioVideo=f"{C}/audioVideo", transferredBy=f"{A}/bob", mediaOffer=SDP_LINK)


TAKEN = replacing("completed", status="Success", state="Connected")
REFUSED = replacing("completed", status="Failure", state="Declined")
ARRIVES = there(event("conversation", "added", ["audioVideo"], state="Incoming", activeModalities=["Audio"]))
CONNECTS = [
    there(event("audioVideo", "updated", ["stopAudio"], state="Connected")),
    there(event("conversation", "updated", ["audioVideo"], state="Connected", activeModalities=["Audio"])),
]
REPLACED = "Informational/Replaced"
GIVES_WAY = [
    event("audioVideo", "updated", state="Disconnected", reason=REPLACED),
    event("conversation", "updated", state="Disconnected", activeModalities=[], reason=REPLACED),
    event("conversation", "deleted", bare=True),
]


def talking():
    """A call of two with audio and video."""
    line = Line()
    line.hear(
        event("conversation", "added", ["audioVideo"], state="Connected", activeModalities=["Audio", "Video"]),
        event("audioVideo", "updated", ["stopAudio", "stopVideo"], state="Connected"),
    )
    assert live(line) == {"audio#1", "video#1"}
    line.facts.clear()
    return line


@pytest.mark.parametrize(
    "story",
    [
        [replacing(), ARRIVES, *CONNECTS, TAKEN, *GIVES_WAY],
        [replacing(), ARRIVES, *GIVES_WAY, *CONNECTS, TAKEN],
        [replacing(), ARRIVES, *CONNECTS, *GIVES_WAY, TAKEN],
        [ARRIVES, replacing(), TAKEN, *GIVES_WAY, *CONNECTS],
        [replacing(), ARRIVES, GIVES_WAY[0], TAKEN, *GIVES_WAY[1:], *CONNECTS],
        [replacing(), ARRIVES, *GIVES_WAY[:2], TAKEN, GIVES_WAY[2], *CONNECTS],
        [replacing(), replacing("updated", state="Connected"), *GIVES_WAY, *CONNECTS, TAKEN],
        [TAKEN, *GIVES_WAY, *CONNECTS],
    ],
)
def test_a_call_that_is_replaced_stays_one_call(story):
    line = talking()

    facts = line.hear(*story)

    assert moves(facts) == [C]
    assert not any(isinstance(getattr(fact, "origin", None), Invitation) for fact in facts[:-2])
    assert (line.view.ref, line.view.state) == (D, CallState.CONNECTED)
    assert line.view.remote == Party("sip:carol@example.org", "Carol")
    assert live(line) == {"audio#1"}
    assert line.resources.calls == (D,)
    assert line.resources.current(C) == D


@settings(max_examples=60, deadline=None)
@given(story=interleaved([TAKEN], [ARRIVES, *CONNECTS], GIVES_WAY))
def test_in_any_order_a_call_that_is_replaced_is_one_call(story):
    line = talking()
    line.hear(replacing())

    facts = line.hear(*story)

    assert moves(facts) == [C]
    assert (line.view.ref, line.view.state) == (D, CallState.CONNECTED)
    assert live(line) == {"audio#1"}


def test_who_would_take_a_call_over_is_an_offer_to_that_call():
    line = talking()

    (offer,) = line.hear(replacing(), ARRIVES)

    assert (type(offer), offer.ref) == (RemoteOffer, C)
    assert "m=audio" in offer.sdp
    assert line.resources.replacing(C).link("acceptWithAnswer") is not None


def test_who_moved_the_call_is_told_beside_it():
    line = talking()
    line.hear(replacing(), TAKEN)

    assert line.view.native["transferredBy"] == f"{A}/bob"


def test_one_that_is_named_by_its_contact_is_told_by_address():
    line = talking()
    bob = {"uri": "sip:bob@example.org", "_links": {"self": {"href": f"{A}/bob"}}}
    line.hear(replacing(), replacing("completed", status="Success", embedded={"from": CAROL, "transferredBy": bob}))

    assert line.view.native["transferredBy"] == "sip:bob@example.org"


def test_a_phone_call_that_is_replaced_needs_no_offer():
    line = Line(DIALLED)
    line.hear(*STARTING, *TALKING)
    taken = {"embedded": {"from": CAROL}} | INCOMING
    invited = linked(
        there(event("phoneAudioInvitation", "started", ["conversation"], **taken), invitation=True),
        replacesPhoneAudio=f"{C}/phoneAudio",
    )
    assert line.hear(invited) == []

    done = event("phoneAudioInvitation", "completed", ["conversation"], status="Success", **taken)
    line.hear(*ends(REPLACED), there(done, invitation=True), *THERE[1:])

    assert (line.view.ref, line.view.state) == (D, CallState.CONNECTED)
    assert live(line) == {"phoneAudio#1"}


def test_a_replacement_that_is_refused_changes_nothing():
    line = talking()

    (offer, *rest) = line.hear(replacing(), ARRIVES, REFUSED, *map(there, ends()))

    assert isinstance(offer, RemoteOffer)
    assert rest == []
    assert (line.view.ref, live(line)) == (C, {"audio#1", "video#1"})
    assert line.hear(REFUSED) == []


@pytest.mark.parametrize("last", [REFUSED, there(ends()[-1])])
def test_a_call_that_has_given_way_to_nobody_ends(last):
    line = talking()
    line.hear(replacing(), ARRIVES, *GIVES_WAY)
    assert line.view.state is CallState.CONNECTED
    assert line.resources.awaits_successor(C)
    assert snapshot(C, line.resources, 99.0, complete=True).state is None
    assert standing(C, line.resources) == ()

    line.hear(last)

    assert line.view.termination.reason is TerminationReason.REPLACED
    assert line.resources.calls == ()


def test_a_conversation_that_has_lost_its_media_to_nobody_says_so():
    line = talking()
    line.hear(replacing(), ARRIVES, GIVES_WAY[0])
    assert live(line) == {"audio#1", "video#1"}

    line.hear(REFUSED)

    assert live(line) == set()
    assert line.view.state is CallState.CONNECTED


def test_media_that_the_application_stops_itself_end_while_somebody_would_replace_the_call():
    line = talking()
    line.hear(replacing(), event("audioVideo", "updated", state="Disconnected"))

    assert live(line) == set()


def test_the_last_of_several_who_would_take_a_call_over_decides():
    line = talking()
    other = json.loads(json.dumps(replacing()).replace(D, f"{D}-2").replace("i90", "i92"))
    line.hear(replacing(), other, *GIVES_WAY, REFUSED)
    assert line.view.state is CallState.CONNECTED

    done = {"type": "completed", "status": "Success"}
    line.hear(json.loads(json.dumps(other | done)))

    assert line.view.ref == f"{D}-2"


def test_an_invitation_in_place_of_a_call_that_nobody_knows_is_an_ordinary_call():
    line = Line()

    told = line.hear(ARRIVES, replacing())[-1]

    assert (told.ref, told.origin) == (D, Invitation())
    assert told.remote == Party("sip:carol@example.org", "Carol")


def test_a_replacement_of_which_only_the_failure_is_heard_is_no_call():
    line = talking()

    assert line.hear(REFUSED, ARRIVES) == []


def test_an_invitation_whose_call_was_lost_is_a_call_of_its_own():
    line = talking()
    line.hear(replacing())
    line.resources.forget(C)

    told = line.hear(replacing("updated"))[0]

    assert (told.ref, told.origin) == (D, Invitation())


def test_an_incoming_conversation_is_a_call_once_its_invitation_is_known():
    line = Line()

    (first,) = line.hear(ARRIVES)

    assert first.origin is None
    assert line.hear(replacing())[-1].origin == Invitation()


def test_a_conversation_that_was_moved_from_twice_is_heard_of_no_more():
    moved = Successions()
    moved.move("a", "b")
    moved.move("b", "c")
    assert (moved.current("a"), moved.current("c")) == ("c", "c")

    moved.forget("b")

    assert (moved.current("a"), moved.has_moved("a"), moved.has_moved("b")) == ("c", True, True)
    moved.forget("c")
    assert not moved.has_moved("a")


def test_conversations_that_move_in_a_circle_end_somewhere():
    moved = Successions()
    moved.move("a", "b")
    moved.move("b", "a")

    assert moved.current("a") in ("a", "b")


def test_no_more_than_some_conversations_are_remembered_that_were_to_take_a_call_over():
    moved = Successions()
    for number in range(1025):
        moved.expect(f"c{number}", "a")

    assert (moved.hides("c0"), moved.hides("c1"), moved.hides("c1024")) == (False, True, True)
