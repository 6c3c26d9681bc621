"""Conferences: made by documents, seen and changed by the API, told of by callbacks."""

from __future__ import annotations

import pytest
from twilio.base.exceptions import TwilioRestException
from twilio.request_validator import RequestValidator
from twilio.rest import Client
from twilio.twiml.voice_response import Dial, VoiceResponse

from telco_bridge.sandbox.emulator import Fault

EVENTS = "start end join leave mute hold speaker"


class Room:
    """Documents that dial one conference, and what its callback is told."""

    def __init__(self, rest, application, network) -> None:
        self.rest = rest
        self.application = application
        self.network = network

    def document(self, **options) -> str:
        usual = {"status_callback": f"{self.application.url}/room", "status_callback_event": EVENTS}
        response, dial = VoiceResponse(), Dial(action=f"{self.application.url}/voice/after")
        dial.conference("Room 7", **{**usual, **options})
        response.append(dial)
        return str(response)

    def enter(self, to: str = "+15550100", **options) -> str:
        """A call joins; return its SID when it has."""
        before = len(self.events("participant-join"))
        sid = self.rest.dial(to, Url=None, Twiml=self.document(**options))
        self.wait("participant-join", before + 1)
        return sid

    def events(self, event: str | None = None) -> list[dict]:
        told = [hook.fields for hook in self.application.to("/room")]
        return [fields for fields in told if event in (None, fields["StatusCallbackEvent"])]

    def wait(self, event: str, count: int = 1) -> dict:
        with self.application.changed:
            assert self.application.changed.wait_for(lambda: len(self.events(event)) >= count, 10), self.events()
            return self.events(event)[count - 1]

    @property
    def words(self) -> list[str]:
        return [fields["StatusCallbackEvent"] for fields in self.events()]

    @property
    def sid(self) -> str:
        return self.events()[0]["ConferenceSid"]

    def get(self, path: str = "", **query) -> dict:
        return self.rest.get(f"Conferences/{self.sid}{path}", **query).json()

    def post(self, path: str = "", **form):
        return self.rest.post(f"Conferences/{self.sid}{path}", **form)

    def leg(self, number: int = 0):
        return list(self.network.legs.values())[number]


@pytest.fixture
def room(rest, application, network):
    return Room(rest, application, network)


def test_it_waits_for_the_second_participant(room):
    room.enter()
    assert room.get()["status"] == "init"
    room.enter()
    room.wait("conference-start")

    conference = room.get()
    assert (conference["status"], conference["friendly_name"]) == ("in-progress", "Room 7")
    assert conference["subresource_uris"]["participants"].endswith(f"{room.sid}/Participants.json")
    assert room.words == ["participant-join", "participant-join", "conference-start"]


def test_it_waits_for_one_who_starts_it(room):
    room.enter(start_conference_on_enter=False)
    room.enter(start_conference_on_enter=False)
    assert room.get()["status"] == "init"
    room.enter()

    room.wait("conference-start")
    assert len(room.get("/Participants")["participants"]) == 3


def test_what_the_callback_is_told(room):
    first = room.enter(muted=True, end_conference_on_exit=True)
    fields = room.wait("participant-join")

    assert fields.keys() == {
        *("CallSid", "AccountSid", "From", "To", "CallStatus", "ApiVersion", "Direction"),
        *("ConferenceSid", "FriendlyName", "StatusCallbackEvent", "EventName", "Timestamp"),
        *("Muted", "Hold", "StartConferenceOnEnter", "EndConferenceOnExit"),
    }
    assert (fields["CallSid"], fields["FriendlyName"], fields["Muted"], fields["Hold"]) == (
        first,
        "Room 7",
        "true",
        "false",
    )
    assert (fields["StartConferenceOnEnter"], fields["EndConferenceOnExit"]) == ("true", "true")


def test_only_the_first_participant_says_who_is_told(room, application):
    room.enter()
    room.rest.dial(Url=None, Twiml=room.document(status_callback=f"{application.url}/other"))
    room.wait("conference-start")

    assert application.to("/other") == []


def test_only_what_was_asked_for_is_told(room):
    room.rest.dial(Url=None, Twiml=room.document(status_callback_event="start leave"))
    room.rest.dial(Url=None, Twiml=room.document())
    sid = room.wait("conference-start")["CallSid"]
    room.rest.post(f"Calls/{sid}", Status="completed")
    room.wait("participant-leave")

    assert room.words == ["conference-start", "participant-leave"]


def test_the_last_to_leave_ends_it(room):
    calls = [room.enter(), room.enter()]
    for sid in calls:
        room.rest.post(f"Calls/{sid}", Status="completed")
    ended = room.wait("conference-end")

    assert room.words[-3:] == ["participant-leave", "participant-leave", "conference-end"]
    assert int(ended["Duration"]) >= 0
    assert room.get()["status"] == "completed"
    again = room.enter()
    assert room.events()[-1]["ConferenceSid"] != room.sid
    assert room.events()[-1]["CallSid"] == again


def test_one_who_ends_it_takes_everybody_out(room, application):
    moderator, other = room.enter(end_conference_on_exit=True), room.enter()
    room.rest.post(f"Calls/{moderator}", Status="completed")
    room.wait("conference-end")

    after = application.wait("/voice/after").fields
    assert (after["CallSid"], after["DialCallStatus"]) == (other, "answered")
    assert room.rest.call(other)["status"] == "in-progress"


def test_it_admits_so_many_and_no_more(room, application):
    room.enter(max_participants=1)
    refused = room.rest.dial(Url=None, Twiml=room.document())

    after = application.wait("/voice/after").fields
    assert (after["CallSid"], after["DialCallStatus"]) == (refused, "failed")


def test_waiting_participants_hear_the_document_of_the_wait_url(room, application):
    application.documents["/music"] = '<Response><Pause length="1"/><Dial>+15550100</Dial></Response>'
    room.enter(wait_url=f"{application.url}/music", wait_method="GET")
    hook = application.wait("/music", count=2)
    room.enter()
    room.wait("conference-start")
    heard = len(application.to("/music"))

    assert (hook.method, hook.fields["ConferenceSid"], hook.fields["FriendlyName"]) == ("GET", room.sid, "Room 7")
    assert room.rest.emulator.wire.records(containing="dashboard 13750")
    # A participant on hold hears something again; had the first document gone on, it would have been fetched before.
    application.documents["/hold"] = "<Response><Say>Please hold</Say></Response>"
    first = room.events()[0]["CallSid"]
    room.post(f"/Participants/{first}", Hold="true", HoldUrl=f"{application.url}/hold")
    application.wait("/hold", count=2)
    assert len(application.to("/music")) == heard


def test_what_is_heard_while_waiting_can_be_changed(room, application):
    sid = room.enter()
    room.post(f"/Participants/{sid}", WaitUrl=f"{application.url}/other-music")

    assert application.wait("/other-music").method == "POST"


def test_muting_and_unmuting_a_participant(room):
    sid, other = room.enter(), room.enter()
    muted = room.post(f"/Participants/{sid}", Muted="true")
    room.wait("participant-mute")

    assert (muted.status_code, muted.json()["muted"], muted.json()["call_sid"]) == (200, True, sid)
    assert [p["call_sid"] for p in room.get("/Participants", Muted="true")["participants"]] == [sid]
    assert [p["call_sid"] for p in room.get("/Participants", Muted="false")["participants"]] == [other]
    room.post(f"/Participants/{sid}", Muted="false")
    assert room.wait("participant-unmute")["Muted"] == "false"


def test_holding_a_participant_and_taking_it_back(room, application):
    sid, _ = room.enter(), room.enter()
    held = room.post(f"/Participants/{sid}", Hold="true", HoldUrl=f"{application.url}/hold")

    assert held.json()["hold"] is True
    assert application.wait("/hold").method == "GET"
    assert room.wait("participant-hold")["Hold"] == "true"
    assert room.post(f"/Participants/{sid}", Hold="false").json()["hold"] is False
    room.wait("participant-unhold")


def test_what_is_so_already_is_told_to_nobody(room):
    sid, _ = room.enter(), room.enter()
    for _ in range(2):
        room.post(f"/Participants/{sid}", Muted="true")
    room.post(f"/Participants/{sid}", Muted="false")
    room.wait("participant-unmute")

    assert room.words.count("participant-mute") == 1


def test_who_speaks_is_told(room):
    speaker, _ = room.enter("+15550106"), room.enter()
    assert room.wait("participant-speech-start")["CallSid"] == speaker
    room.post(f"/Participants/{speaker}", Muted="true")

    room.wait("participant-speech-stop")
    assert room.words.count("participant-speech-start") == 1


def test_coaching_needs_somebody_who_is_there(room):
    coach, coached = room.enter(), room.enter()
    missing = room.post(f"/Participants/{coach}", Coaching="true")
    absent = room.post(f"/Participants/{coach}", Coaching="true", CallSidToCoach="nobody")
    there = room.post(f"/Participants/{coach}", Coaching="true", CallSidToCoach=coached).json()

    assert [(answer.status_code, answer.json()["code"]) for answer in (missing, absent)] == [(422, 16002)] * 2
    assert (there["coaching"], there["call_sid_to_coach"]) == (True, coached)
    assert room.post(f"/Participants/{coach}", Coaching="false").json()["call_sid_to_coach"] is None


def test_a_document_can_make_its_call_a_coach(room):
    coached = room.enter()
    coach, alone = room.enter(coach=coached), room.enter(coach="nobody")

    assert room.get(f"/Participants/{coach}")["call_sid_to_coach"] == coached
    assert room.get(f"/Participants/{alone}")["coaching"] is False
    assert room.rest.emulator.wire.records(containing="dashboard 16002")


def test_a_participant_that_is_kicked_goes_on_after_its_dial(room, application):
    sid, _ = room.enter(), room.enter()
    answer = room.rest.http.delete(f"{room.rest.base}/Conferences/{room.sid}/Participants/{sid}")

    assert (answer.status_code, answer.content) == (204, b"")
    assert application.wait("/voice/after").fields["CallSid"] == sid
    assert room.wait("participant-leave")["CallSid"] == sid
    assert room.rest.get(f"Conferences/{room.sid}/Participants/{sid}").status_code == 404
    assert room.rest.call(sid)["status"] == "in-progress"


def test_completing_it_takes_everybody_out(room, application):
    room.enter()
    room.enter()
    assert room.post(Status="completed").json()["status"] == "completed"
    application.wait("/voice/after", count=2)

    assert room.get("/Participants")["participants"] == []
    again = room.post(Status="completed")
    assert (again.status_code, again.json()["code"]) == (422, 10000)
    muted = room.post(f"/Participants/{room.events()[0]['CallSid']}", Muted="true")
    assert (muted.status_code, muted.json()["code"]) == (422, 10000)


def test_an_announcement_reaches_every_participant(room, application):
    calls = {room.enter(), room.enter()}
    room.post(AnnounceUrl=f"{application.url}/announce")
    application.wait("/announce", count=2)
    assert {hook.fields["CallSid"] for hook in application.to("/announce")} == calls

    room.post(f"/Participants/{calls.pop()}", AnnounceUrl=f"{application.url}/announce", AnnounceMethod="GET")
    assert application.wait("/announce", count=3).method == "GET"


def test_a_star_leaves_it_where_that_is_wanted(room, application, network):
    sid = room.rest.dial(Url=None, Twiml=room.document().replace("<Dial ", '<Dial hangupOnStar="true" '))
    room.wait("participant-join")
    room.leg().press("*", by=room.leg().far)

    assert application.wait("/voice/after").fields["CallSid"] == sid


def test_a_redirected_call_leaves_it(room, application):
    sid, _ = room.enter(), room.enter()
    room.rest.post(f"Calls/{sid}", Url=f"{application.url}/voice/elsewhere")

    application.wait("/voice/elsewhere")
    assert room.wait("participant-leave")["CallSid"] == sid


def test_a_call_that_is_sent_into_it_again_takes_part_once(room):
    sid, _ = room.enter(), room.enter()
    room.rest.post(f"Calls/{sid}", Twiml=room.document(muted=True))
    room.wait("participant-join", 3)

    assert room.words.count("participant-leave") == 1
    assert room.get(f"/Participants/{sid}")["muted"] is True
    assert len(room.get("/Participants")["participants"]) == 2


@pytest.mark.parametrize(
    ("path", "form", "status", "code"),
    [
        ("", {"Status": "in-progress"}, 422, 21475),
        ("", {"AnnounceUrl": "nowhere"}, 422, 21402),
        ("/Participants/nobody", {"Muted": "true"}, 404, 20404),
        ("/Participants/{call}", {"Muted": "perhaps"}, 422, 10000),
        ("/Participants/{call}", {"HoldUrl": "nowhere"}, 422, 21402),
        ("/Participants/{call}", {"HoldMethod": "PUT"}, 422, 21209),
    ],
)
def test_what_cannot_be_is_refused(room, path, form, status, code):
    sid = room.enter()
    answer = room.post(path.replace("{call}", sid), **form)

    assert (answer.status_code, answer.json()["code"]) == (status, code)


def test_a_conference_that_nobody_knows_is_not_found(rest):
    assert rest.get("Conferences/nothing").json()["code"] == 20404
    assert rest.get("Conferences/nothing/Participants").status_code == 404


def test_lists_are_filtered_and_paged(room, application):
    for name in ("red", "green", "blue"):
        room.rest.dial(Url=None, Twiml=room.document().replace("Room 7", name))
    room.wait("participant-join", 3)
    found = room.rest.get("Conferences", FriendlyName="green", Status="init").json()["conferences"]
    page = room.rest.get("Conferences", PageSize=2).json()
    rest = room.rest.http.get(page["next_page_uri"]).json()

    assert [conference["friendly_name"] for conference in found] == ["green"]
    assert len(page["conferences"]) == 2
    assert len(rest["conferences"]) == 1
    created = found[0]["date_created"]
    assert room.rest.get("Conferences", **{"DateCreated<": "2001-01-01"}).json()["conferences"] == []
    assert room.rest.get("Conferences", DateCreated=created, FriendlyName="green").json()["conferences"] == found
    assert room.rest.get("Conferences", **{"DateUpdated>": "soon"}).json()["code"] == 20422
    assert room.rest.get("Conferences", Status="over").json()["code"] == 21475


def test_a_stream_of_a_conference_is_told_of_it(room, application, sink):
    room.enter()
    early = room.post("/Streams", Url=sink.url)
    room.enter()
    room.wait("conference-start")
    stream = room.post("/Streams", Url=sink.url, Name="mix", StatusCallback=f"{application.url}/stream").json()
    told = application.wait("/stream", "stream-started").fields

    assert (early.status_code, early.json()["errors"][0][:10]) == (422, "The stream")
    assert (stream["conference_sid"], stream["name"], stream["status"]) == (room.sid, "mix", "queued")
    assert (told["ConferenceSid"], told["StreamSid"], "CallSid" in told) == (room.sid, stream["sid"], False)
    assert sink.wait_for(lambda s: len(s.connections[0].messages) >= 3)
    again = room.post("/Streams", Url=sink.url, Name="mix")
    assert (again.status_code, again.json()) == (422, {"errors": ["Name has already been taken"]})
    assert room.post(f"/Streams/{stream['sid']}", Status="paused").json() == {"errors": ["Status is invalid"]}
    assert room.post("/Streams/mix", Status="stopped").json()["status"] == "stopped"
    application.wait("/stream", "stream-stopped")
    for name in ("mix", "nobody"):
        gone = room.post(f"/Streams/{name}", Status="stopped")
        assert (gone.status_code, gone.json()["code"]) == (404, 20404)
    assert room.get()["status"] == "in-progress"


@pytest.mark.parametrize("form", [{"Url": "http://x"}, {"StreamCodec": "PCMA"}, {"StreamRealTime": "perhaps"}, {}])
def test_a_bad_stream_of_a_conference_is_refused_in_a_sentence(room, sink, form):
    room.enter()
    answer = room.post("/Streams", **({"Url": sink.url} | form if form else {}))

    assert answer.status_code == 422
    assert [type(error) for error in answer.json()["errors"]] == [str]


def test_streams_end_with_their_conference(room, application, sink):
    room.enter()
    room.enter()
    room.wait("conference-start")
    room.post("/Streams", Url=sink.url, StatusCallback=f"{application.url}/stream")
    application.wait("/stream", "stream-started")
    room.post(Status="completed")

    application.wait("/stream", "stream-stopped")


def test_faults_and_the_record_know_these_operations(room):
    room.enter()
    room.rest.emulator.faults.inject(Fault.SERVER_ERROR, on="GET Conferences/{sid}")
    room.rest.emulator.faults.inject(Fault.LOSE_EVENT, on="callback participant-mute")
    call = room.events()[0]["CallSid"]
    assert room.rest.get(f"Conferences/{room.sid}").status_code == 503
    room.post(f"/Participants/{call}", Muted="true")
    room.post(f"/Participants/{call}", Muted="false")
    room.wait("participant-unmute")

    assert "participant-mute" not in room.words
    (record, _) = room.rest.emulator.wire.records(containing="POST Participants/{sid}")
    assert (record.answer, record.fields["call_sid"], record.fields["Muted"]) == ("200 in-progress", call, "true")


@pytest.fixture
def twilio(emulator):
    client = Client(emulator.project, emulator.token)
    client.api.base_url = emulator.url
    with client.http_client.session:
        yield client


def test_the_official_sdk_drives_conferences_and_participants(room, twilio, emulator):
    first, second, third = room.enter(), room.enter(), room.enter()
    room.wait("conference-start")
    (conference,) = twilio.conferences.list(friendly_name="Room 7", status="in-progress")
    fetched = twilio.conferences(conference.sid).fetch()
    participants = twilio.conferences(conference.sid).participants

    assert (fetched.sid, fetched.status, fetched.region) == (room.sid, "in-progress", "us1")
    assert [p.call_sid for p in participants.list(page_size=2)] == [third, second, first]
    muted = participants(first).update(muted=True, hold=True, hold_url=f"{room.application.url}/hold")
    assert (muted.muted, muted.hold, muted.status) == (True, True, "in-progress")
    assert [p.call_sid for p in participants.list(muted=True)] == [first]
    assert participants(first).update(muted=False, hold=False).muted is False
    assert participants(second).fetch().end_conference_on_exit is False
    assert participants(second).delete()
    with pytest.raises(TwilioRestException) as gone:
        participants(second).fetch()
    assert (gone.value.status, gone.value.code) == (404, 20404)
    assert twilio.conferences(conference.sid).update(status="completed").status == "completed"
    room.wait("conference-end")

    validator = RequestValidator(emulator.signing_key)
    for hook in room.application.to("/room"):
        assert validator.validate(hook.url, hook.fields, hook.headers["x-signalwire-signature"]), hook
