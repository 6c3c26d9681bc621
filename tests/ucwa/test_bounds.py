"""What must have an end: what is kept of calls that are over, what is asked, and how deep anything is followed."""

from __future__ import annotations

import json

import pytest

from telco_bridge_ucwa.body import parse_json
from telco_bridge_ucwa.operations import Operation, Purpose
from telco_bridge_ucwa.wire import offer_id_in, sdp_in

from .test_decode import ALERTING, DIALLED, INVITATION, OUT, STARTING, TALKING, WHOLE_CALL, A, C, Line, event
from .test_moves import THERE, D, derived, ends, there

REMEMBERED = {"_deleted", "_hidden"}
"""What is kept of calls that are over, so that nobody takes them for new ones; of both, the newest thousand."""


def kept(known):
    """Everything that is kept, by where."""
    owners = (known, known.successions, known._operations, known._voices)
    return {
        name: value
        for owner in owners
        for name, value in vars(owner).items()
        if isinstance(value, dict | set | list) and name not in REMEMBERED and value
    }


def numbered(events, number):
    text = json.dumps(events).replace(C, f"{C}-{number}").replace(D, f"{D}-{number}")
    return json.loads(text.replace(INVITATION, f"{INVITATION}-{number}").replace("call-1", f"call-{number}"))


def over(conversation=C):
    gone = event("conversation", "deleted", bare=True)
    return gone if conversation == C else there(gone)


NOWHERE = event("phoneAudioInvitation", "completed", status="Failure", reason="LocalFailure", state="Failed", **OUT)
del NOWHERE["_embedded"]["phoneAudioInvitation"]["_links"]["conversation"]

LIVES = {
    "a call that is held and hung up": WHOLE_CALL,
    "a call that goes on elsewhere before the first conversation ends": [
        *STARTING,
        *THERE,
        derived(),
        *ends("Informational/DerivedConversation"),
        over(D),
    ],
    "a call that goes on elsewhere while the first conversation ends": [
        *STARTING,
        *ends("Informational/DerivedConversation"),
        *THERE,
        derived(),
        over(D),
    ],
    "a call whose first conversation is the last to end": [*STARTING, *THERE, derived(), over(D), over()],
    "an invitation that failed before there was a conversation": [NOWHERE],
    "an invitation that is told of again once its conversation is over": [*WHOLE_CALL, TALKING[-1]],
}


@pytest.mark.parametrize("life", LIVES)
def test_nothing_is_kept_of_calls_that_are_over(life):
    line = Line()
    before = {name: len(value) for name, value in kept(line.resources).items()}

    for number in range(3):
        line.resources.expect(Operation(id=f"call-{number}", purpose=Purpose.DIAL, slots=DIALLED.slots, to=DIALLED.to))
        line.resources.place(f"call-{number}", f"{INVITATION}-{number}")
        line.hear(*numbered(LIVES[life], number))

    assert {name: len(value) for name, value in kept(line.resources).items()} == before


@pytest.mark.parametrize("missed", range(1, len(WHOLE_CALL)))
def test_nothing_is_kept_of_calls_that_were_over_when_events_were_missed(missed):
    line = Line()
    before = {name: len(value) for name, value in kept(line.resources).items()}

    for number in range(3):
        line.resources.expect(Operation(id=f"call-{number}", purpose=Purpose.DIAL, slots=DIALLED.slots, to=DIALLED.to))
        line.resources.place(f"call-{number}", f"{INVITATION}-{number}")
        line.hear(*numbered(WHOLE_CALL[:missed], number))
        line.resources.drop_calls()
        line.hear(*numbered(WHOLE_CALL[-1:], number))

    assert {name: len(value) for name, value in kept(line.resources).items()} == before


def test_of_dials_of_which_nothing_is_ever_heard_the_newest_are_remembered():
    line = Line()

    for number in range(5000):
        line.resources.expect(Operation(id=f"call-{number}", purpose=Purpose.DIAL, slots=frozenset(), to="tel:+1"))
        line.resources.place(f"call-{number}", f"/invitations/{number}")

    assert line.resources.placed("call-0") is None
    assert line.resources.placed("call-4999") == "/invitations/4999"
    assert max(len(value) for value in kept(line.resources).values()) < 5000


def test_media_that_are_added_and_stopped_all_day_leave_no_trail():
    line = Line(DIALLED)
    line.hear(*STARTING, *ALERTING, *TALKING)

    for number in range(100):
        added = event("phoneAudioInvitation", "started", ["conversation"], state="Connecting", direction="Outgoing")
        taken = event("phoneAudioInvitation", "completed", status="Success", state="Connected", direction="Outgoing")
        line.hear(*json.loads(json.dumps([added, taken]).replace(INVITATION, f"{A}/invitations/again-{number}")))

    assert len(line.resources.invitations(C)) < 40
    assert line.resources.invitations(C)[0].text("operationId") == "call-1"


# Descriptions that strangers send


def nested(depth):
    opened = "".join(f"--b{n}\r\nContent-Type: multipart/mixed; boundary=b{n + 1}\r\n\r\n" for n in range(depth))
    return f"data:multipart/mixed;boundary=b0,{opened}--b{depth}\r\nContent-Type: application/sdp\r\n\r\nv=0\r\n"


def test_a_description_that_is_nested_without_end_is_none():
    assert sdp_in(nested(3)) == "v=0"
    assert (sdp_in(nested(5000)), offer_id_in(nested(5000))) == (None, None)


@pytest.mark.parametrize("half", [r"\ud800", r"\uDC80"])
def test_half_a_character_is_replaced_where_it_comes_in(half):
    offer = (
        rf"data:multipart/mixed;boundary=b,--b\r\nContent-Type: application/sdp\r\nContent-ID: {half}\r\n\r\nv=0{half}"
    )
    read = parse_json(f'{{"whole": "\\ud83d\\ude00", "offer": "{offer}"}}'.encode())

    assert read["whole"] == "\U0001f600"
    assert (sdp_in(str(read["offer"])), offer_id_in(str(read["offer"]))) == ("v=0?", "?")
