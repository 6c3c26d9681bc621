"""Recordings over REST and in documents: their life, what they tell, and files that hold what was said."""

from __future__ import annotations

import io
import wave
from array import array

import httpx
import pytest
from twilio.twiml.voice_response import Dial, VoiceResponse

from telco_bridge.sandbox.clock import SteppedClock
from telco_bridge.sandbox.emulator import Fault
from telco_bridge.sandbox.exchange import Exchange
from telco_bridge.sandbox.numbers import Behaviour
from telco_bridge.sandbox.voices import Spoken, Tone
from telco_bridge_signalwire.emulator import Switches
from telco_bridge_signalwire.emulator.recording_sound import Sound, trimmed

SPEAKS, SILENT, RINGS, BUSY, HANGS_UP = "+15550106", "+15550100", "+15550103", "+15550101", "+15550104"
EVENTS = "in-progress completed absent"


class Studio:
    """Recordings of an emulator, with what their callback is told."""

    def __init__(self, rest, application) -> None:
        self.rest = rest
        self.application = application

    @property
    def callback(self) -> dict[str, str]:
        return {
            "RecordingStatusCallback": f"{self.application.url}/recording",
            "RecordingStatusCallbackEvent": EVENTS,
        }

    def start(self, call: str, **options) -> dict:
        answer = self.rest.post(f"Calls/{call}/Recordings", **{**self.callback, **options})
        assert answer.status_code == 200, answer.text
        return answer.json()

    def update(self, recording: dict, status: str, **options):
        path = f"Calls/{recording['call_sid']}/Recordings/{recording['sid']}"
        return self.rest.post(path, Status=status, **options)

    def read(self, sid: str) -> dict:
        return self.rest.get(f"Recordings/{sid}.json").json()

    def told(self, status: str) -> list[dict]:
        hooks = self.application.to("/recording")
        return [hook.fields for hook in hooks if hook.fields["RecordingStatus"] == status]

    def wait(self, status: str) -> dict:
        """What the callback is told of that status, as soon as it is."""
        with self.application.changed:
            assert self.application.changed.wait_for(lambda: self.told(status), 10), self.application.hooks
            return self.told(status)[-1]

    def finished(self, recording: dict) -> dict:
        """Stop a recording, and return it when its file is ready."""
        assert self.update(recording, "stopped").status_code == 200
        self.wait("completed")
        return self.read(recording["sid"])

    def channels(self, sid: str) -> list[array]:
        answer = self.rest.get(f"Recordings/{sid}.wav")
        assert answer.status_code == 200, answer.text
        return channels(answer.content)


@pytest.fixture
def studio(rest, application) -> Studio:
    return Studio(rest, application)


def channels(file: bytes) -> list[array]:
    """The samples of each channel."""
    with wave.open(io.BytesIO(file)) as reader:
        assert (reader.getframerate(), reader.getsampwidth()) == (8000, 2)
        samples = array("h", reader.readframes(reader.getnframes()))
        return [samples[place :: reader.getnchannels()] for place in range(reader.getnchannels())]


def test_a_recording_begins_at_once_and_ends_when_it_is_stopped(rest, studio, application):
    call = rest.answered(SPEAKS)
    started = studio.start(call)
    begun = studio.wait("in-progress")
    stopped = studio.update(started, "stopped").json()
    told = studio.wait("completed")

    assert (started["status"], started["call_sid"], started["conference_sid"]) == ("in-progress", call, None)
    assert (started["source"], started["channels"], started["trim"]) == ("StartCallRecordingApi", "1", "do-not-trim")
    assert (started["end_time"], started["duration"], stopped["status"]) == (None, 0, "stopped")
    assert stopped["end_time"] is not None
    assert begun["RecordingSid"] == told["RecordingSid"] == started["sid"]
    assert studio.read(started["sid"])["status"] == "completed"
    assert rest.call(call)["status"] == "in-progress"
    assert set(told) == {
        *("AccountSid", "CallSid", "RecordingSid", "RecordingUrl", "RecordingStatus"),
        *("RecordingDuration", "RecordingChannels", "RecordingSource"),
    }


def test_what_the_callback_points_at_is_a_file_of_what_was_said(rest, studio):
    studio.finished(studio.start(rest.answered(SPEAKS)))
    url = studio.wait("completed")["RecordingUrl"]

    answer = httpx.get(url, trust_env=False)
    (samples,) = channels(answer.content)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "audio/wav")
    assert any(samples)


def test_both_sides_have_a_channel_of_their_own_where_that_is_wanted(rest, studio):
    recording = studio.finished(studio.start(rest.answered(SPEAKS), RecordingChannels="dual"))
    far, near = studio.channels(recording["sid"])

    assert recording["channels"] == recording["channel"] == "2"
    assert any(far)
    assert not any(near)


def test_one_track_can_be_left_out(rest, studio):
    recording = studio.finished(studio.start(rest.answered(SPEAKS), RecordingTrack="outbound"))

    assert not any(studio.channels(recording["sid"])[0])


def test_a_recording_is_paused_and_resumed(rest, studio):
    started = studio.start(rest.answered())
    paused = [studio.update(started, "paused").json()["status"] for _ in range(2)]
    resumed = studio.update(started, "in-progress", PauseBehavior="skip").json()["status"]

    assert (paused, resumed) == (["paused", "paused"], "in-progress")
    assert studio.read(started["sid"])["status"] == "in-progress"


def test_what_a_resumed_recording_is_called_is_a_switch(rest_with, application):
    studio = Studio(rest_with(switches=Switches(resumed_recording="resumed")), application)
    started = studio.start(studio.rest.answered())
    studio.update(started, "paused")

    assert studio.update(started, "in-progress").json()["status"] == "resumed"


def test_a_recording_outlasts_its_call(rest, studio, application):
    call = rest.answered(SPEAKS)
    started = studio.start(call)
    rest.post(f"Calls/{call}", Status="completed")
    told = application.wait("/status", "completed").fields
    studio.wait("completed")
    rest.http.delete(f"{rest.base}/Calls/{call}")

    assert studio.read(started["sid"])["status"] == "completed"
    assert told["RecordingSid"] == started["sid"]
    assert told["RecordingUrl"].endswith(f"/Recordings/{started['sid']}")


def test_a_call_can_be_recorded_from_its_answer_on(rest, studio, application):
    call = rest.dial(HANGS_UP, Record="true", Trim="do-not-trim", RecordingChannels="dual", **studio.callback)
    (queued,) = rest.get("Recordings", CallSid=call).json()["recordings"]
    told = studio.wait("completed")
    duration = int(application.wait("/status", "completed").fields["CallDuration"])

    assert (queued["status"], queued["start_time"], queued["trim"]) == ("queued", None, "do-not-trim")
    assert (told["RecordingSource"], told["RecordingChannels"]) == ("OutBoundApi", "2")
    # Its length is told in the network's time, whatever that of the audio is.
    assert abs(int(told["RecordingDuration"]) - duration) <= 1
    assert duration >= 1


def test_the_recording_of_a_call_that_is_not_answered_is_absent(rest, studio, application):
    call = rest.dial(BUSY, Record="true", **studio.callback)
    told = studio.wait("absent")
    (recording,) = rest.get("Recordings", CallSid=call).json()["recordings"]

    assert (recording["status"], recording["duration"], told["RecordingDuration"]) == ("absent", 0, "0")
    assert "RecordingSid" not in application.wait("/status", "busy").fields
    assert rest.get(f"Recordings/{recording['sid']}").status_code == 404
    assert studio.told("in-progress") == []


def test_trimming_leaves_nothing_of_a_silent_call(rest, studio):
    call = rest.dial(HANGS_UP, Record="true", **studio.callback)
    told = studio.wait("absent")

    assert told["CallSid"] == call
    assert rest.get("Recordings", CallSid=call).json()["recordings"][0]["trim"] == "trim-silence"


def test_only_what_was_asked_for_is_told(rest, studio, application):
    started = studio.start(rest.answered(), RecordingStatusCallbackEvent="completed")
    studio.finished(started)

    assert [hook.fields["RecordingStatus"] for hook in application.to("/recording")] == ["completed"]


@pytest.mark.parametrize(
    ("form", "code"),
    [
        ({"RecordingChannels": "quad"}, 10000),
        ({"RecordingTrack": "both_tracks"}, 10000),
        ({"Trim": "yes"}, 13699),
        ({"RecordingStatusCallbackEvent": "completed failed"}, 13621),
        ({"RecordingStatusCallback": "nowhere"}, 21456),
        ({"RecordingStatusCallbackMethod": "PUT"}, 21209),
    ],
)
def test_a_bad_parameter_is_refused_by_its_code(rest, studio, form, code):
    answer = rest.post(f"Calls/{rest.answered()}/Recordings", **form)
    dialled = rest.post("Calls", **rest.order(**form))

    assert (answer.status_code, answer.json()["code"]) == (422, code)
    assert (dialled.status_code, dialled.json()["code"]) == (422, code)


def test_a_call_that_is_not_answered_cannot_be_recorded(rest):
    answer = rest.post(f"Calls/{rest.dial(RINGS)}/Recordings", Trim="do-not-trim")

    assert (answer.status_code, answer.json()["code"]) == (422, 21220)


@pytest.mark.parametrize("form", [{}, {"Status": "completed"}, {"Status": "paused", "PauseBehavior": "loud"}])
def test_a_bad_change_is_refused(rest, studio, form):
    started = studio.start(rest.answered())
    answer = rest.post(f"Calls/{started['call_sid']}/Recordings/{started['sid']}", **form)

    assert (answer.status_code, answer.json()["code"]) == (422, 10000)
    assert studio.read(started["sid"])["status"] == "in-progress"


def test_a_recording_that_has_ended_cannot_be_changed(rest, studio, application):
    started = studio.start(rest.answered())
    studio.finished(started)
    stopped = studio.update(started, "stopped").json()["code"]
    rest.post(f"Calls/{started['call_sid']}", Status="completed")

    assert (stopped, studio.update(started, "stopped").json()["code"]) == (10000, 21220)


def test_a_recording_belongs_to_its_call(rest, studio):
    started = studio.start(rest.answered())
    other = {**started, "call_sid": rest.dial(RINGS)}

    assert studio.update(other, "paused").json()["code"] == 20404
    assert studio.update({**started, "sid": "Twilio.CURRENT"}, "paused").json()["code"] == 20404
    assert rest.get(f"Calls/{started['call_sid']}/Recordings").status_code == 404


def test_recordings_are_listed_in_pages_the_newest_first(rest, studio, application):
    call, another = rest.answered(), rest.dial()
    application.wait("/status", "in-progress", count=2)
    sids = [studio.start(call)["sid"] for _ in range(5)]
    other = studio.start(another)["sid"]
    first = rest.get("Recordings", CallSid=call, PageSize=2).json()
    second = rest.http.get(first["next_page_uri"]).json()

    assert [r["sid"] for r in first["recordings"] + second["recordings"]] == sids[:0:-1]
    assert [r["sid"] for r in rest.get("Recordings").json()["recordings"]] == [other, *sids[::-1]]


def test_recordings_are_filtered_by_their_dates(rest, studio):
    started = studio.start(rest.answered())
    listed = {
        name: len(rest.get("Recordings", **{name: started["date_created"]}).json()["recordings"])
        for name in ("DateCreated", "DateCreated<", "DateCreated>")
    }

    assert listed == {"DateCreated": 1, "DateCreated<": 1, "DateCreated>": 1}
    assert rest.get("Recordings", **{"DateCreated<": "2001-01-01"}).json()["recordings"] == []
    assert rest.get("Recordings", DateCreated="soon").json()["code"] == 20422
    assert rest.get("Recordings", ConferenceSid=started["call_sid"]).json()["recordings"] == []


def test_the_suffix_tells_sound_from_what_is_known(rest, studio):
    sid = studio.finished(studio.start(rest.answered(SPEAKS)))["sid"]
    types = {
        suffix: rest.get(f"Recordings/{sid}{suffix}").headers["content-type"].partition(";")[0]
        for suffix in ("", ".wav", ".json")
    }
    mp3 = rest.get(f"Recordings/{sid}.mp3")

    assert types == {"": "audio/wav", ".wav": "audio/wav", ".json": "application/json"}
    assert (mp3.status_code, "no MP3" in mp3.json()["message"]) == (404, True)


def test_sound_is_public_and_what_is_known_is_not(rest, studio):
    sid = studio.finished(studio.start(rest.answered(SPEAKS)))["sid"]
    rest.http.auth = None

    assert rest.get(f"Recordings/{sid}").status_code == 200
    assert rest.get(f"Recordings/{sid}.json").status_code == 401


def test_sound_can_be_protected(rest_with, application):
    rest = rest_with(switches=Switches(protected_media=True))
    studio = Studio(rest, application)
    sid = studio.finished(studio.start(rest.answered(SPEAKS)))["sid"]
    rest.http.auth = None

    assert rest.get(f"Recordings/{sid}.wav").status_code == 401


def test_a_recording_is_deleted_with_its_file_once_it_has_ended(rest, studio):
    started = studio.start(rest.answered())
    path = f"{rest.base}/Recordings/{started['sid']}"
    early = rest.http.delete(path)
    studio.finished(started)

    assert (early.status_code, early.json()["code"]) == (422, 10000)
    assert [rest.http.delete(path).status_code for _ in range(2)] == [204, 404]
    assert rest.get(f"Recordings/{started['sid']}").status_code == 404


def test_faults_meet_recordings_too(rest, studio, emulator):
    emulator.faults.inject(Fault.LOSE_EVENT, on="callback recording in-progress")
    emulator.faults.inject(Fault.SERVER_ERROR, on="GET Recordings/{sid} sound")
    sid = studio.finished(studio.start(rest.answered(SPEAKS)))["sid"]

    assert studio.told("in-progress") == []
    assert [rest.get(f"Recordings/{sid}").status_code for _ in range(2)] == [503, 200]


def recording_document(application, **options) -> str:
    response = VoiceResponse()
    response.record(
        action="/voice/recorded",
        recording_status_callback=f"{application.url}/recording",
        recording_status_callback_event=EVENTS,
        **options,
    )
    response.redirect("/voice/next")
    return str(response)


def test_record_ends_with_a_key_and_goes_on_with_its_action(rest, studio, application, network):
    application.documents["/voice"] = recording_document(application, finish_on_key="#", timeout=600)
    call = rest.answered(SPEAKS)
    studio.wait("in-progress")
    (leg,) = network.legs.values()
    # Until the voice was listened to, nothing is known to have been said; a key is enough.
    leg.press("1#", by=leg.far)
    fields = application.wait("/voice/recorded").fields
    told = studio.wait("completed")

    assert (fields["Digits"], fields["CallSid"], told["RecordingSource"]) == ("#", call, "RecordVerb")
    assert fields["RecordingUrl"] == told["RecordingUrl"]
    assert studio.read(told["RecordingSid"])["trim"] == "trim-silence"


def test_record_ends_when_enough_was_said(rest, studio, application):
    application.documents["/voice"] = recording_document(application, max_length=2)
    rest.answered(SPEAKS)
    fields = application.wait("/voice/recorded").fields

    assert (fields["Digits"], int(fields["RecordingDuration"]) >= 2) == ("", True)


def test_record_ends_when_the_far_end_falls_silent(rest, studio, application, network):
    said = Spoken(Tone(440).pcm(0, 1600, 8000), rate=8000)
    network.set_behaviour("+15550177", Behaviour(what="says a word", answers_after=0.1, voice=said))
    application.documents["/voice"] = recording_document(application, timeout=20)
    rest.answered("+15550177")
    application.wait("/voice/recorded")
    (samples,) = studio.channels(studio.wait("completed")["RecordingSid"])

    assert 0 < len(samples) <= 1600


def test_the_document_goes_on_where_nothing_was_said(rest, application):
    application.documents["/voice"] = recording_document(application, timeout=1)
    rest.answered(SILENT)
    application.wait("/voice/next")

    assert application.to("/voice/recorded") == []


def test_a_conversation_is_recorded_while_it_lasts(rest, studio, application):
    response, dial = (
        VoiceResponse(),
        Dial(
            action="/voice/dialled",
            record="record-from-answer-dual",
            time_limit=10,
            recording_status_callback=f"{application.url}/recording",
            recording_status_callback_event=EVENTS,
        ),
    )
    dial.number(SPEAKS)
    response.append(dial)
    application.documents["/voice"] = str(response)
    call = rest.answered(SILENT)
    fields = application.wait("/voice/dialled").fields
    told = studio.wait("completed")
    far, near = studio.channels(told["RecordingSid"])

    assert (told["CallSid"], told["RecordingSource"], told["RecordingChannels"]) == (call, "DialVerb", "2")
    assert (fields["RecordingUrl"], fields["DialCallStatus"]) == (told["RecordingUrl"], "completed")
    assert (any(far), any(near)) == (False, True)


@pytest.fixture
def conference(rest, application) -> str:
    """The SID of a conference of two, which is recorded."""
    response, dial = VoiceResponse(), Dial()
    dial.conference(
        "room",
        record="record-from-start",
        recording_status_callback=f"{application.url}/recording",
        recording_status_callback_event=EVENTS,
        status_callback=f"{application.url}/room",
    )
    response.append(dial)
    application.documents["/voice"] = str(response)
    for _ in range(2):
        rest.answered()
    return application.wait("/room").fields["ConferenceSid"]


def test_a_conference_is_recorded_from_its_start(rest, studio, application, conference):
    begun = studio.wait("in-progress")
    rest.post(f"Conferences/{conference}", Status="completed")
    told = studio.wait("completed")
    known = studio.read(told["RecordingSid"])

    assert (begun["ConferenceSid"], "CallSid" in begun, begun["RecordingSource"]) == (conference, False, "Conference")
    assert (known["conference_sid"], known["call_sid"], known["status"]) == (conference, None, "completed")
    assert application.wait("/room", count=2).fields["RecordingUrl"] == told["RecordingUrl"]
    assert [r["sid"] for r in rest.get("Recordings", ConferenceSid=conference).json()["recordings"]] == [known["sid"]]


def test_a_conference_is_recorded_over_rest(rest, studio, conference):
    path = f"Conferences/{conference}/Recordings"
    started = rest.post(path, **studio.callback).json()
    one = f"{path}/{started['sid']}"
    statuses = [rest.post(one, Status=status).json()["status"] for status in ("paused", "in-progress", "stopped")]
    refused = rest.post(one, Status="stopped")

    assert (started["source"], statuses) == ("StartConferenceRecording", ["paused", "in-progress", "stopped"])
    assert (refused.status_code, refused.json()) == (422, {"errors": ["Completed recordings cannot be updated."]})
    assert len(rest.get(path).json()["recordings"]) == 2
    assert rest.get(one).json()["sid"] == started["sid"]
    assert [rest.http.delete(f"{rest.base}/{one}").status_code for _ in range(2)] == [204, 404]


@pytest.fixture
def clock() -> SteppedClock:
    return SteppedClock()


@pytest.fixture
def exchange(clock) -> Exchange:
    with Exchange(clock=clock) as exchange:
        yield exchange


async def talking(exchange, clock, to: str = SPEAKS):
    leg = exchange.call(caller="+15550000001", callee=to, watcher=lambda leg, event: None)
    await clock.advance(2.0)
    return leg


async def test_a_file_holds_what_both_sides_say_when_they_say_it(exchange, clock):
    leg = await talking(exchange, clock)
    sound = Sound(exchange, leg, channels=2)
    begun = exchange.media_now()
    await clock.advance(1.0)
    leg.play(b"\1\0" * 800, rate=8000, at=begun + 0.5)
    sound.end()
    far, near = channels(sound.wav(1.0))

    assert far.tobytes() == leg.speech(begun, 0, 8000, rate=8000)
    assert (len(near), [place for place, value in enumerate(near) if value]) == (8000, list(range(4000, 4800)))


@pytest.mark.parametrize(("skip", "seconds"), [(False, 3), (True, 2)])
async def test_a_pause_is_silence_or_nothing_at_all(exchange, clock, skip, seconds):
    sound = Sound(exchange, await talking(exchange, clock))
    await clock.advance(1.0)
    sound.pause(skip=skip)
    await clock.advance(1.0)
    sound.resume()
    await clock.advance(1.0)
    sound.end()
    (samples,) = channels(sound.wav(3.0))
    silent = [not any(samples[8000 * second : 8000 * (second + 1)]) for second in range(seconds)]

    assert len(samples) == 8000 * seconds
    assert silent == ([False, False] if skip else [False, True, False])


async def test_whoever_is_connected_is_heard_on_the_near_side(exchange, clock):
    leg, other = await talking(exchange, clock, SILENT), await talking(exchange, clock)
    dual = Sound(exchange, leg, connected=[other], channels=2)
    mono = Sound(exchange, leg, connected=[other])
    begun = exchange.media_now()
    await clock.advance(1.0)
    dual.end()
    mono.end()
    far, near = channels(dual.wav(1.0))

    assert not any(far)
    assert near.tobytes() == other.speech(begun, 0, 8000, rate=8000)
    assert channels(mono.wav(1.0)) == [near]


async def test_trimming_takes_silence_away_at_both_ends_alone(exchange, clock):
    word = Tone(440).pcm(1, 800, 8000)
    said = Spoken(bytes(16000) + word + bytes(1600) + word, rate=8000)
    exchange.set_behaviour("+15550177", Behaviour(what="says two words", answers_after=0.8, voice=said))
    sound = Sound(exchange, await talking(exchange, clock, "+15550177"))
    await clock.advance(3.0)
    sound.end()
    file, left = trimmed(sound.wav(3.0))
    (samples,) = channels(file)

    assert len(samples) == round(24000 * left)
    assert 2390 <= len(samples) <= 2400
    assert trimmed(Sound(exchange, None).wav(1.0)) == (None, 0.0)
