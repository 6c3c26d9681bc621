"""What baresip 1.0 says, word for word as it says it."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from telco_bridge.provider import (
    CallReport,
    CallState,
    Dialled,
    DigitHeard,
    Invitation,
    Modality,
    Party,
    Source,
    StreamState,
)

from telco_bridge_baresip.decode import (
    CLOSED,
    PROCESS,
    SIP,
    Line,
    Stat,
    accounts,
    cause_of_close,
    cause_of_death,
    decode_call,
    decode_event,
    is_muted,
    lines,
    stat,
    was_found,
)
from telco_bridge_baresip.wire import Event, Reply

LIST = (
    "\n--- Active calls (2) ---\n"
    "  [line 1]  0:00:01  ESTABLISHED  (on hold)  sip:a@127.0.0.1:38059\n"
    "> [line 2]  0:00:00   OUTGOING             sip:b@127.0.0.1:38059;transport=udp\n\n"
)
STAT = (
    "\n===== Call debug (ESTABLISHED) =====\n local_uri: Alice A <sip:telco@127.0.0.1:32818>\n"
    " peer_uri:   <sip:a@127.0.0.1:38059>\n af=AF_INET id=c421fa6747977bbe\n direction: Outgoing\n"
    "SDP session\n  local attributes:\n    tool='baresip 1.0.0'\n"
)


def event(kind: str, **fields: Any) -> Event:
    known: dict[str, Any] = {"id": "c421", "direction": "outgoing", "peer": "sip:a@h", "account": "sip:us@h"}
    return Event(type=kind, **{**known, **fields}, raw={"type": kind})


def report(kind: str, **fields: Any) -> CallReport:
    fact = decode_event(event(kind, **fields), as_of=7.0, command_id=None)
    assert isinstance(fact, CallReport)
    return fact


@pytest.mark.parametrize(
    ("kind", "state"),
    [
        ("CALL_RINGING", CallState.RINGING),
        ("CALL_PROGRESS", CallState.RINGING),
        ("CALL_ESTABLISHED", CallState.CONNECTED),
        ("CALL_CLOSED", CallState.ENDED),
    ],
)
def test_an_event_says_the_state_of_its_call(kind: str, state: CallState) -> None:
    said = report(kind)

    assert (said.source, said.as_of, said.ref, said.state) == (Source.PUSH, 7.0, "c421", state)
    assert (said.origin, said.remote, said.local) == (Dialled(), Party("sip:a@h"), Party("sip:us@h"))


def test_a_call_that_comes_in_is_an_invitation_with_a_name_and_a_time_limit() -> None:
    said = decode_event(
        event("CALL_INCOMING", direction="incoming", peer_name="Bob", account=None), as_of=7.0, decide_by=127.0
    )

    assert isinstance(said, CallReport)
    assert (said.origin, said.state) == (Invitation(), CallState.RINGING)
    assert (said.remote, said.local, said.decide_by) == (Party("sip:a@h", "Bob"), None, 127.0)


def test_audio_begins_with_the_answer() -> None:
    (stream,) = report("CALL_ESTABLISHED").streams

    assert (stream.modality, stream.state) == (Modality.AUDIO, StreamState.ACTIVE)
    assert report("CALL_RINGING").streams == ()


def test_an_event_without_an_identity_says_nothing_of_any_call() -> None:
    assert decode_event(event("CALL_LOCAL_SDP", id=None), as_of=0.0) is None
    assert decode_event(event("CALL_RINGING", id=None), as_of=0.0) is None


def test_an_event_of_something_else_says_nothing_of_any_call() -> None:
    assert decode_event(event("REGISTER_OK"), as_of=0.0) is None
    assert decode_event(event("CALL_RTCP"), as_of=0.0) is None


def test_a_word_that_nobody_knows_is_no_state_and_is_kept() -> None:
    said = report("CALL_TELEPORTED", direction="sideways", peer=None)

    assert (said.state, said.native_state, said.origin, said.remote) == (None, "CALL_TELEPORTED", None, None)


def test_a_key_is_heard_once_when_it_is_pressed() -> None:
    pressed = decode_event(event("CALL_DTMF_START", param="#"), as_of=3.0)

    assert pressed == DigitHeard(as_of=3.0, ref="c421", digit="#")
    assert decode_event(event("CALL_DTMF_START", param=None), as_of=3.0) is None
    assert decode_event(event("CALL_DTMF_END", param=None), as_of=4.0) is None


def test_three_digits_at_the_beginning_are_the_sip_status() -> None:
    cause = cause_of_close("486 Busy Here")

    assert (cause.dialect, cause.code, cause.sip, cause.text) == (SIP, "486", 486, "Busy Here")


@pytest.mark.parametrize("text", ["Connection reset by user", "4860 Busy", "800 Odd", "48 Busy", "486Busy"])
def test_other_words_are_kept_and_are_no_status(text: str) -> None:
    cause = cause_of_close(text)

    assert (cause.dialect, cause.sip, cause.text, cause.said) == (CLOSED, None, text, True)


@pytest.mark.parametrize("text", [None, "", "  "])
def test_no_words_are_no_reason(text: str | None) -> None:
    assert not cause_of_close(text).said


@pytest.mark.parametrize(("code", "word"), [(-9, "killed"), (3, "exited"), (None, "lost")])
def test_the_end_of_the_program_is_a_cause_of_its_own(code: int | None, word: str) -> None:
    cause = cause_of_death(code)

    assert (cause.dialect, cause.code) == (PROCESS, word)


def test_a_list_of_calls_is_read_line_by_line() -> None:
    assert lines(Reply(ok=True, data=LIST)) == (
        Line(number=1, current=False, state="ESTABLISHED", held=True, peer="sip:a@127.0.0.1:38059"),
        Line(number=2, current=True, state="OUTGOING", held=False, peer="sip:b@127.0.0.1:38059;transport=udp"),
    )


def test_an_empty_list_is_empty_and_another_reply_is_none() -> None:
    assert lines(Reply(ok=True, data="\n--- Active calls (0) ---\n\n")) == ()
    assert lines(Reply(ok=True, data="\n--- No active calls ---\n")) == ()
    assert lines(Reply(ok=False, data="command not found (listcalls)\n")) is None


def test_the_current_call_is_read_with_its_identity() -> None:
    assert stat(Reply(ok=True, data=STAT)) == Stat(
        id="c421fa6747977bbe",
        state="ESTABLISHED",
        outgoing=True,
        peer=Party("sip:a@127.0.0.1:38059"),
        local=Party("sip:telco@127.0.0.1:32818", "Alice A"),
    )


@pytest.mark.parametrize("data", ["\n(no active calls)\n", STAT.replace("c421fa6747977bbe", "(null)"), ""])
def test_where_there_is_no_call_none_is_read(data: str) -> None:
    assert stat(Reply(ok=True, data=data)) is None


def test_a_far_end_cannot_write_the_identity_of_another_call_into_its_name() -> None:
    forged = STAT.replace("peer_uri:   <", "peer_uri: x id=ffff <")
    said = stat(Reply(ok=True, data=forged))

    assert said is not None
    assert said.id == "c421fa6747977bbe"


def test_a_reply_may_be_ok_although_nothing_was_found() -> None:
    assert was_found(Reply(ok=True, data="setting current call: c421\n"))
    assert not was_found(Reply(ok=True, data="call not found (id=c421)\n"))
    assert not was_found(Reply(ok=False, data="command not found (callfind)\n"))


def test_mute_tells_what_it_has_become() -> None:
    assert is_muted(Reply(ok=True, data="\ncall muted\n")) is True
    assert is_muted(Reply(ok=True, data="\ncall un-muted\n")) is False
    assert is_muted(Reply(ok=False, data="command not found (mute)\n")) is None


def test_accounts_are_read_with_the_current_one_first() -> None:
    data = (
        "\n--- User Agents (2) ---\n  sip:a@one                  \x1b[32mOK \x1b[;m 1.2.3.4 Expires 600s\n"
        "> sip:b@two                 \n\n"
    )

    assert accounts(Reply(ok=True, data=data)) == (("sip:b@two", ""), ("sip:a@one", "OK  1.2.3.4 Expires 600s"))


@pytest.mark.parametrize(
    ("word", "state"),
    [
        ("INCOMING", CallState.RINGING),
        ("OUTGOING", CallState.DIALING),
        ("RINGING", CallState.RINGING),
        ("EARLY", CallState.RINGING),
        ("ESTABLISHED", CallState.CONNECTED),
    ],
)
def test_a_read_says_the_state(word: str, state: CallState) -> None:
    said = decode_call(Stat(id="1", state=word, outgoing=False), None, source=Source.READ, as_of=1.0)

    assert (said.state, said.native_state, said.origin) == (state, None, Invitation())
    assert said.streams_complete is (state is CallState.CONNECTED)


def test_a_read_says_whether_a_call_that_is_up_is_held() -> None:
    held = (lines(Reply(ok=True, data=LIST)) or (None,))[0]
    up = Stat(id="1", state="ESTABLISHED", outgoing=True)

    assert decode_call(up, held, source=Source.READ, as_of=1.0).held is True
    assert decode_call(up, None, source=Source.READ, as_of=1.0).held is None
    assert decode_call(Stat(id="1", state="RINGING"), held, source=Source.READ, as_of=1.0).held is None


def test_a_state_that_nobody_knows_is_kept_as_a_word() -> None:
    said = decode_call(Stat(id="1", state="???"), None, source=Source.READ, as_of=1.0)

    assert (said.state, said.native_state, said.origin) == (None, "???", None)


@given(
    kind=st.text() | st.sampled_from(("CALL_CLOSED", "CALL_INCOMING", "CALL_DTMF_START")),
    fields=st.fixed_dictionaries(
        {name: st.none() | st.text(min_size=1) for name in ("id", "direction", "peer", "peer_name", "account", "param")}
    ),
)
def test_no_event_breaks_the_decoder(kind: str, fields: dict[str, Any]) -> None:
    fact = decode_event(Event(type=kind, **fields, raw={}), as_of=1.0)

    assert fact is None or fact.ref == fields["id"]


@given(st.text())
def test_no_reply_breaks_the_decoder(data: str) -> None:
    reply = Reply(ok=True, data=data)

    assert isinstance(was_found(reply), bool)
    assert stat(reply) is None or stat(reply)
    assert accounts(reply) is not None
    lines(reply)
    is_muted(reply)
    assert cause_of_close(data) == cause_of_close(data)
