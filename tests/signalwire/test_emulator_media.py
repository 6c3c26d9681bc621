"""One-way streams carry media: paced, numbered, and what the call says; a bare WebSocket server is the witness."""

from __future__ import annotations

from itertools import pairwise

import anyio
import pytest

from telco_bridge.sandbox import Exchange, Side, SteppedClock
from telco_bridge.sandbox.emulator import Fault
from telco_bridge.sandbox.numbers import Behaviour
from telco_bridge.sandbox.voices import Spoken, Tone
from telco_bridge.serving import Server
from telco_bridge_signalwire.emulator import SignalWireEmulator, Switches

from ..sounds import strength
from .conftest import Rest

SPEAKER = "+15550106"


def start(rest, call, listener, **form):
    form = {"Url": listener.url, "StatusCallback": f"{rest.application.url}/stream", **form}
    answer = rest.post(f"Calls/{call}/Streams", **form)
    assert answer.status_code == 200, answer.text
    return answer.json()["sid"]


def test_frames_follow_the_start_and_are_numbered_track_by_track(listener, rest):
    sid = start(rest, rest.answered(SPEAKER), listener)
    line = listener.line()
    line.frames(5, "outbound")

    assert [message["event"] for message in line.messages[:2]] == ["connected", "start"]
    assert line.started["streamSid"] == sid
    numbered = line.messages[1:]
    assert [message["sequenceNumber"] for message in numbered] == [str(n) for n in range(1, len(numbered) + 1)]
    assert [m["media"]["track"] for m in line.of("media")[:4]] == ["inbound", "outbound", "inbound", "outbound"]
    for track in ("inbound", "outbound"):
        frames = line.frames(5, track)
        assert [frame["chunk"] for frame in frames] == ["1", "2", "3", "4", "5"]
        assert [frame["timestamp"] for frame in frames] == ["0", "20", "40", "60", "80"]
    assert line.of("media")[0].keys() == {"event", "sequenceNumber", "media"}
    assert line.of("media")[0]["media"].keys() == {"track", "chunk", "timestamp", "payload"}


@pytest.mark.parametrize(("track", "words"), [("inbound_track", {"inbound"}), ("outbound_track", {"outbound"})])
def test_only_the_wanted_track_is_sent(listener, rest, track, words):
    start(rest, rest.answered(SPEAKER), listener, Track=track)
    line = listener.line().wait(lambda line: len(line.of("media")) >= 3)

    assert {message["media"]["track"] for message in line.of("media")} == words


def test_the_far_end_is_heard_inbound_and_nothing_outbound(listener, rest):
    start(rest, rest.answered(SPEAKER), listener)
    line = listener.line()
    line.frames(25, "outbound")

    assert strength(line.audio("inbound")[:8000], 8000, 440) > 0.99
    assert set(line.audio("outbound")) == {0}


def test_a_party_that_says_nothing_is_silent(listener, rest):
    start(rest, rest.answered(), listener, Track="inbound_track")
    line = listener.line()
    line.frames(5)

    assert set(line.audio()) == {0}


def test_the_network_may_have_a_voice_of_its_own(listener, application):
    with Exchange(speed=20, voice=Tone(1000)) as exchange:
        emulator = SignalWireEmulator(exchange, allow_loopback_ws=True)
        with Server(emulator.app, started=emulator.started, stopped=emulator.stopped):
            rest = Rest(emulator, application)
            with rest.http:
                start(rest, rest.answered("sip:speak@sandbox.test"), listener, Track="inbound_track")
                line = listener.line()
                line.frames(10)

    assert strength(line.audio()[:3200], 8000, 1000) > 0.99


def test_a_recording_is_heard_from_its_place_at_the_stream_s_beginning(listener, rest, network):
    spoken = Spoken(Tone(400).pcm(0, 16000, 16000) + Tone(1200).pcm(0, 1_600_000, 16000), rate=16000)
    network.set_behaviour("+15550188", Behaviour(what="speaks", answers_after=0.0, voice=spoken))
    call = rest.answered("+15550188")
    (leg,) = network.legs.values()
    leg.answered_at -= 5.0
    start(rest, call, listener, Track="inbound_track")
    line = listener.line()
    line.frames(10)

    assert strength(line.audio()[:3200], 8000, 1200) > 0.95


def test_frames_keep_real_time_whatever_the_network_s_speed(listener, rest, network):
    assert network.clock.speed == 20
    start(rest, rest.answered(SPEAKER), listener, Track="inbound_track")
    line = listener.line()
    line.frames(76)
    first, last = line.at("media", 0), line.at("media", 75)

    assert 1.4 < last - first < 1.9
    # Absolute instants: no delay adds up, so that every frame is within a moment of its own.
    late = [line.at("media", n) - first - n * 0.02 for n in range(76)]
    assert sorted(late)[38] < 0.1


def test_media_stop_before_the_last_word(listener, rest, application):
    call = rest.answered(SPEAKER)
    sid = start(rest, call, listener)
    line = listener.line()
    line.frames(3)
    rest.post(f"Calls/{call}/Streams/{sid}", Status="stopped")
    application.wait("/stream", "stream-stopped")
    line.ended()

    assert line.messages[-1] == {"event": "stop", "sequenceNumber": str(len(line.messages) - 1)}
    assert line.code == 1000
    assert rest.call(call)["status"] == "in-progress"


def test_what_the_application_says_on_a_one_way_stream_is_ignored(listener, rest, network):
    start(rest, rest.answered(SPEAKER), listener)
    line = listener.line()
    line.play(b"\x00" * 1600)
    line.mark("never")
    line.send("not even an object")
    line.frames(len(line.track("inbound")) + 10)
    (leg,) = network.legs.values()

    assert line.marks() == []
    assert leg.ear.pieces == ()


def test_strictly_it_is_an_error_of_the_protocol(listener, rest_with, application):
    rest = rest_with(switches=Switches(strict_one_way_streams=True))
    call = rest.answered(SPEAKER)
    start(rest, call, listener)
    line = listener.line()
    line.mark("wrong")

    assert application.wait("/stream", "stream-error").fields["StreamError"] == "general_error"
    assert line.ended().code == 1002
    assert rest.call(call)["status"] == "in-progress"


def test_keys_are_not_told_on_a_one_way_stream(listener, rest, network):
    start(rest, rest.answered(SPEAKER), listener)
    line = listener.line()
    (leg,) = network.legs.values()
    leg.press("5", by=Side.CALLEE)
    line.frames(len(line.track("inbound")) + 5)

    assert line.of("dtmf") == []


def test_several_streams_of_a_call_flow_beside_each_other(listener, rest):
    call = rest.answered(SPEAKER)
    start(rest, call, listener, Name="one", Track="inbound_track")
    listener.line(0)
    start(rest, call, listener, Name="two", Track="inbound_track")

    for number in (0, 1):
        line = listener.line(number)
        assert line.frames(5)[0]["chunk"] == "1"
        assert strength(line.audio()[:1600], 8000, 440) > 0.95


def test_a_connection_that_breaks_is_a_stream_error_and_the_call_goes_on(listener, rest, application):
    call = rest.answered(SPEAKER)
    start(rest, call, listener)
    line = listener.line()
    line.frames(5)
    rest.emulator.faults.inject(Fault.DROP_STREAM, on="POST Streams")
    line.ended()

    assert line.of("stop") == []
    assert line.code == 1006
    assert application.wait("/stream", "stream-error").fields["StreamError"] == "general_error"
    assert rest.call(call)["status"] == "in-progress"


def test_a_lost_frame_leaves_a_gap_in_its_track_s_numbers(listener, rest):
    rest.emulator.faults.inject(Fault.LOSE_MEDIA, times=2, on="inbound")
    start(rest, rest.answered(SPEAKER), listener)
    line = listener.line()

    assert [(f["chunk"], f["timestamp"]) for f in line.frames(2)] == [("3", "40"), ("4", "60")]
    assert [f["chunk"] for f in line.frames(3, "outbound")] == ["1", "2", "3"]


def test_a_frame_can_come_after_its_successor(listener, rest):
    rest.emulator.faults.inject(Fault.REORDER_MEDIA, on="media inbound")
    start(rest, rest.answered(SPEAKER), listener, Track="inbound_track")

    assert [frame["chunk"] for frame in listener.line().frames(4)] == ["2", "1", "3", "4"]


def test_late_frames_come_all_at_once_and_time_is_made_up_for(listener, rest):
    start(rest, rest.answered(SPEAKER), listener, Track="inbound_track")
    line = listener.line()
    line.frames(5)
    rest.emulator.faults.inject(Fault.DELAY_MEDIA, seconds=0.4)
    line.frames(50)
    times = [line.at("media", n) for n in range(50)]

    assert max(later - earlier for earlier, later in pairwise(times)) > 0.35
    assert times[-1] - times[0] < 1.4
    assert [frame["chunk"] for frame in line.frames(50)] == [str(n) for n in range(1, 51)]


async def test_frames_keep_to_a_clock_that_is_stepped_by_hand(listener, application):
    clock = SteppedClock()
    with Exchange(clock=clock) as exchange:
        emulator = SignalWireEmulator(exchange, allow_loopback_ws=True)
        with Server(emulator.app, started=emulator.started, stopped=emulator.stopped):
            rest = Rest(emulator, application)
            with rest.http:
                call = await anyio.to_thread.run_sync(rest.dial, SPEAKER)
                for hooked in ("initiated", "ringing", "in-progress"):
                    await clock.advance(2.0)
                    await anyio.to_thread.run_sync(application.wait, "/status", hooked)
                await anyio.to_thread.run_sync(start, rest, call, listener)
                line = await anyio.to_thread.run_sync(listener.line)
                await anyio.to_thread.run_sync(application.wait, "/stream", "stream-started")
                # A request and its answer later the time has not moved, and so there is no frame.
                await anyio.to_thread.run_sync(rest.call, call)
                assert line.of("media") == []
                await clock.advance(0.2)
                frames = await anyio.to_thread.run_sync(line.frames, 10)
                await anyio.to_thread.run_sync(rest.call, call)
                assert len(line.track("inbound")) == 10
                assert frames[-1]["timestamp"] == "180"
