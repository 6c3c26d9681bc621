"""Two-way streams: a document connects, the application listens, talks, marks, clears, and the document goes on."""

from __future__ import annotations

import base64
from itertools import pairwise

import pytest

from telco_bridge.sandbox import Side
from telco_bridge.sandbox.emulator import Fault
from telco_bridge.sandbox.voices import Tone
from telco_bridge_signalwire.emulator import Switches

from ..sounds import likeness, samples, strength

SPEAKER = "+15550106"
WAIT = '<Pause length="36000"/>'


def noise(seconds: float, rate: int) -> bytes:
    """Something that is like nothing else: a sweep."""
    voices = [Tone(300 + 40 * n).pcm(0, int(rate * seconds / 20), rate) for n in range(20)]
    return b"".join(voices)


@pytest.fixture
def talk(listener, rest, application, network):
    """Dial into a document that connects a two-way stream; return the call's SID, its leg, and the stream's line."""

    def connect(*, to=SPEAKER, after=WAIT, within="", client=rest, **attributes):
        callback = f'statusCallback="{application.url}/stream"'
        words = " ".join(f'{name}="{value}"' for name, value in {"url": listener.url, **attributes}.items())
        application.documents["/voice"] = (
            f"<Response><Connect><Stream {words} {callback}>{within}</Stream></Connect>{after}</Response>"
        )
        known, before = set(network.legs), len(listener.lines)
        sid = client.answered(to)
        line = listener.line(before)
        (leg,) = [leg for leg in network.legs.values() if leg.id not in known]
        return sid, leg, line

    return connect


@pytest.mark.parametrize(
    ("codec", "encoding", "rate", "size"),
    [
        (None, "audio/x-mulaw", 8000, 160),
        ("PCMU@8000h", "audio/x-mulaw", 8000, 160),
        ("L16@16000h", "audio/x-L16", 16000, 640),
        ("L16@24000h", "audio/x-L16", 24000, 960),
    ],
)
def test_the_far_end_is_heard_in_the_wanted_codec(talk, codec, encoding, rate, size):
    _, _, line = talk(realtime="true", **({} if codec is None else {"codec": codec}))
    frames = line.frames(10)

    assert line.started["mediaFormat"] == {"encoding": encoding, "sampleRate": rate, "channels": 1}
    assert line.started["tracks"] == ["inbound"]
    assert {frame["track"] for frame in frames} == {"inbound"}
    assert {len(base64.b64decode(frame["payload"])) for frame in frames} == {size}
    assert strength(line.audio()[: rate // 5 * 2], rate, 440) > 0.99


def test_it_carries_parameters_a_name_and_a_bearer_token_that_is_never_shown(talk, listener, rest, application):
    listener.bearer = "open-sesame"
    talk(name="bot", authBearerToken="open-sesame", within='<Parameter name="room" value="7"/>')

    assert listener.lines[0].started["customParameters"] == {"room": "7"}
    told = application.wait("/stream", "stream-started").fields
    assert (told["StreamName"], told["StreamTrack"]) == ("bot", "inbound_track")
    assert "open-sesame" not in repr(rest.emulator.wire.records())


@pytest.mark.parametrize(("codec", "rate"), [("L16@16000h", 16000), ("L16@24000h", 24000)])
def test_the_far_end_hears_what_the_application_plays(talk, codec, rate):
    _, leg, line = talk(codec=codec)
    said = noise(0.5, rate)
    for start in range(0, len(said), 1000):
        line.play(said[start : start + 1000])

    assert leg.ear.wait_for(0.5)
    assert leg.ear.pcm(rate=rate) == said


def test_mu_law_is_heard_too(talk):
    _, leg, line = talk()
    line.play(bytes([0x80, 0x00, 0xFF, 0x7F] * 40))

    assert leg.ear.wait_for(0.02)
    assert samples(leg.ear.pcm(rate=8000))[:4].tolist() == [32124, -32124, 0, 0]


def test_what_is_played_is_heard_in_real_time_without_a_gap(talk):
    _, leg, line = talk(codec="L16@16000h")
    line.play(noise(1.0, 16000))
    line.mark("end")
    line.wait(lambda line: line.marks())
    pieces = leg.ear.pieces

    assert leg.ear.seconds == pytest.approx(1.0)
    for piece, following in pairwise(pieces):
        assert following.at - piece.at == pytest.approx(piece.seconds, abs=1e-5)
    assert pieces[-1].at - pieces[0].at > 0.9


def test_a_mark_comes_back_when_what_is_before_it_has_been_played(talk):
    _, leg, line = talk(codec="L16@16000h")
    line.mark("empty")
    line.wait(lambda line: line.marks() == ["empty"])
    line.play(bytes(16000))
    line.mark("half")
    line.play(bytes(16000))
    line.mark("whole")
    line.wait(lambda line: line.marks() == ["empty", "half", "whole"])

    assert 0.4 < line.at("mark", 1) - line.at("mark", 0) < 1.0
    assert 0.4 < line.at("mark", 2) - line.at("mark", 1) < 1.0
    assert line.of("mark")[0] == {"event": "mark", "streamSid": line.started["streamSid"], "mark": {"name": "empty"}}
    assert leg.ear.seconds == pytest.approx(1.0)


def test_clear_drops_the_queue_and_returns_the_marks_at_once(talk):
    _, leg, line = talk(codec="L16@16000h")
    line.play(bytes(2 * 16000 * 60))
    line.mark("one")
    line.play(bytes(2 * 16000 * 60))
    line.mark("two")
    assert leg.ear.wait_for(0.1)
    line.say("clear")
    line.wait(lambda line: line.marks() == ["one", "two"])
    heard = leg.ear.seconds
    line.play(bytes(3200))
    line.mark("three")
    line.wait(lambda line: line.marks()[2:] == ["three"])

    assert 0.1 <= heard < 5
    assert leg.ear.seconds == pytest.approx(heard + 0.1)


def test_keys_travel_both_ways(talk):
    _, leg, line = talk()
    leg.press("5#", by=Side.CALLEE)
    line.wait(lambda line: len(line.of("dtmf")) == 2)
    line.say("dtmf", dtmf={"digit": "7"})
    line.mark("after")
    line.wait(lambda line: line.marks())

    told = line.of("dtmf")
    assert [message["dtmf"]["digit"] for message in told] == ["5", "#"]
    assert told[0].keys() == {"event", "sequenceNumber", "streamSid", "dtmf"}
    assert told[0]["streamSid"] == line.started["streamSid"]
    assert leg.digits == [(Side.CALLEE, "5#"), (Side.CALLER, "7")]
    numbers = [int(m["sequenceNumber"]) for m in line.messages if "sequenceNumber" in m]
    assert numbers == list(range(1, len(numbers) + 1))


@pytest.mark.parametrize("code", [1000, 1011])
def test_the_document_goes_on_when_the_application_closes(talk, application, rest, code):
    sid, leg, line = talk(after=f"<Redirect>{application.url}/voice/next</Redirect>")
    line.frames(3)
    assert application.to("/voice/next") == []
    line.close(code)

    application.wait("/voice/next")
    application.wait("/stream", "stream-stopped" if code == 1000 else "stream-error")
    assert rest.call(sid)["status"] == "in-progress"
    assert leg.clearing is None


def test_a_call_ends_where_nothing_follows_the_stream(talk, application):
    _, _, line = talk(after="")
    line.close()

    assert application.wait("/status", "completed").fields["HangupDirection"] == "outbound"


def test_the_document_goes_on_when_the_stream_cannot_be_made(rest, application, listener):
    listener.bearer = "open-sesame"
    application.documents["/voice"] = (
        f'<Response><Connect><Stream url="{listener.url}" authBearerToken="wrong" '
        f'statusCallback="{application.url}/stream"/></Connect>'
        f"<Redirect>{application.url}/voice/next</Redirect></Response>"
    )
    rest.dial()

    application.wait("/voice/next")
    assert application.wait("/stream", "stream-error").fields["StreamError"] == "connection_refused"
    assert listener.lines == []
    assert "wrong" not in repr(rest.emulator.wire.records())


@pytest.mark.parametrize(
    ("attributes", "error"),
    [
        ('url="wss://media.example.net/in" codec="opus"', "codec_error"),
        ('url="wss://media.example.net/in" track="both_tracks"', "invalid_track"),
        ("", "missing_url"),
    ],
)
def test_the_document_goes_on_after_a_stream_that_is_wrong(rest, application, attributes, error):
    application.documents["/voice"] = (
        f'<Response><Connect><Stream {attributes} statusCallback="{application.url}/stream"/></Connect>'
        f"<Redirect>{application.url}/voice/next</Redirect></Response>"
    )
    rest.dial()

    application.wait("/voice/next")
    assert application.wait("/stream", "stream-error").fields["StreamError"] == error


def test_what_else_could_be_connected_is_skipped(rest, application):
    application.documents["/voice"] = (
        f"<Response><Connect><Room>lobby</Room></Connect><Redirect>{application.url}/voice/next</Redirect></Response>"
    )
    rest.dial()

    application.wait("/voice/next")
    assert rest.emulator.wire.records(containing="dashboard 13750")


def test_a_redirect_ends_the_stream_and_runs_the_new_document(talk, rest, application):
    sid, _, line = talk(name="bot")
    line.frames(3)
    first = application.documents["/voice"]
    application.documents["/voice/next"] = first
    assert rest.post(f"Calls/{sid}", Url=f"{application.url}/voice/next").status_code == 200

    assert line.ended().messages[-1]["event"] == "stop"
    application.wait("/stream", "stream-stopped")
    application.wait("/stream", "stream-started", count=2)
    assert rest.call(sid)["status"] == "in-progress"


def test_a_stream_is_stopped_over_rest_and_the_document_goes_on(talk, rest, application):
    sid, _, line = talk(after=f"<Redirect>{application.url}/voice/next</Redirect>")
    answer = rest.post(f"Calls/{sid}/Streams/{line.started['streamSid']}", Status="stopped")

    assert (answer.status_code, answer.json()["status"]) == (200, "stopped")
    assert line.ended().messages[-1]["event"] == "stop"
    application.wait("/voice/next")


def test_strictly_a_two_way_stream_cannot_be_stopped_over_rest(talk, rest_with):
    rest = rest_with(switches=Switches(stoppable_two_way_streams=False))
    sid, _, line = talk(client=rest)
    answer = rest.post(f"Calls/{sid}/Streams/{line.started['streamSid']}", Status="stopped")

    assert (answer.status_code, answer.json()["code"]) == (422, 21220)
    line.frames(len(line.track("inbound")) + 3)


def test_the_far_end_hangs_up_in_the_middle(talk, application, network):
    _, leg, line = talk(codec="L16@16000h")
    line.play(noise(60.0, 16000))
    assert leg.ear.wait_for(0.1)
    leg.hang_up(by=Side.CALLEE)

    assert line.ended().messages[-1]["event"] == "stop"
    assert application.wait("/status", "completed").fields["HangupDirection"] == "inbound"
    assert leg in network.cleared
    assert 0.1 <= leg.ear.seconds < 10


def test_a_one_way_copy_beside_it_carries_what_is_played(talk, rest, listener):
    sid, _, line = talk(codec="L16@16000h")
    rest.post(f"Calls/{sid}/Streams", Url=listener.url, Track="outbound_track")
    copy = listener.line(1)
    copy.frames(3, "outbound")
    line.play(Tone(800).pcm(0, 16000, 16000))
    line.mark("end")
    line.wait(lambda line: line.marks())
    copy.frames(len(copy.track("outbound")) + 10, "outbound")

    heard = samples(copy.audio("outbound"))
    loud = [n for n, value in enumerate(heard) if abs(value) > 500]
    tone = heard[loud[0] : loud[-1] + 1]
    assert 0.95 < len(tone) / 8000 < 1.05
    assert strength(tone.tobytes(), 8000, 800) > 0.98


def test_a_wrong_message_is_ignored_and_written_down(talk, rest):
    _, leg, line = talk(codec="L16@16000h")
    payload = base64.b64encode(bytes(3200)).decode()
    line.send("no object")
    line.send({"event": "media", "media": {"payload": payload}})
    line.send({"event": "media", "streamSid": "another", "media": {"payload": payload}})
    line.say("media", media={"payload": "no base64!"})
    line.say("media", media={"payload": base64.b64encode(b"odd").decode()})
    line.say("media")
    line.say("mark", mark={})
    line.say("dtmf", dtmf={"digit": "long"})
    line.say("sing")
    line.mark("still there")
    line.wait(lambda line: line.marks() == ["still there"])

    assert leg.ear.pieces == ()
    assert len(rest.emulator.wire.records(containing="WS message")) == 9


def test_a_conversation_that_breaks_lets_the_document_go_on(talk, rest, application):
    rest.emulator.faults.inject(Fault.DROP_STREAM, on="document Connect Stream")
    sid, _, line = talk(after=f"<Redirect>{application.url}/voice/next</Redirect>")

    assert line.ended().code == 1006
    application.wait("/voice/next")
    assert application.wait("/stream", "stream-error").fields["StreamError"] == "general_error"
    assert rest.call(sid)["status"] == "in-progress"


def test_an_inbound_call_is_answered_by_connecting(rest, listener, application, network):
    application.documents["/voice/in"] = (
        f'<Response><Connect><Stream url="{listener.url}" codec="L16@16000h"/></Connect>{WAIT}</Response>'
    )
    rest.emulator.own("+15550000001", voice_url=f"{application.url}/voice/in")
    leg = network.call_in(caller=SPEAKER, callee="+15550000001")
    line = listener.line()
    line.frames(10)
    said = noise(0.3, 16000)
    line.play(said)

    assert leg.answered
    assert strength(line.audio()[:6400], 16000, 440) > 0.99
    assert leg.ear.wait_for(0.3)
    assert likeness(leg.ear.pcm(rate=16000), said) > 0.999
