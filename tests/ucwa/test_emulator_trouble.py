"""The emulated server in trouble: nonsense, states that cross each other, and days of use."""

from __future__ import annotations

import inspect
import json
import random
from pathlib import Path
from urllib.parse import quote_plus

import httpx
import pytest

from telco_bridge.media import Modality
from telco_bridge.sandbox import Exchange, Fault, SteppedClock, WireLog, WireRecord
from telco_bridge.sandbox import emulator as sandbox
from telco_bridge.sandbox.exchange import LegState, Side
from telco_bridge_ucwa.emulator import UcwaEmulator, communication
from telco_bridge_ucwa.emulator import conference as conferences

from .test_emulator_arrival import available
from .test_emulator_conference import BOB, OFFER, Guest, add, call, conference, do, people

RINGS = "+15550103"


def settings_of(client):
    return client.get(client.application["_embedded"]["communication"]["_links"]["self"]["href"])


def left(client):
    while "conversation deleted" not in client.names():
        client.poll()


def up(served):
    return [leg.callee for leg in served.exchange.legs.values() if leg.state is LegState.UP]


# What is sent


def test_settings_that_are_replaced_without_a_preference_have_the_default_one(client, served):
    available(client)
    got = settings_of(client)
    whole = {
        name: value for name, value in got.json().items() if name not in ("audioPreference", "conversationHistory")
    }
    href = client.url(got.json()["_links"]["self"]["href"])
    done = client.http.put(href, json=whole, headers={"If-Match": got.headers["etag"]})
    served.exchange.call_in(caller=BOB, callee="sip:ada@sandbox.test")

    assert done.json()["audioPreference"] == "PhoneAudio"
    assert client.until("phoneAudioInvitation started").body["direction"] == "Incoming"


@pytest.mark.parametrize("ack", ["inf", "1e400", "2.5", "nan", "-1", "x", ""])
def test_what_acknowledges_no_package_is_refused(client, ack):
    place, _, query = client.next.partition("?")
    refused = client.get(f"{place}?ack={ack}&{query.partition('&')[2]}")

    assert (refused.status_code, refused.json()["parameters"][0]["name"]) == (400, "ack")


def test_a_body_that_is_nested_beyond_reason_is_refused(client):
    href = client.application["_embedded"]["communication"]["_links"]["startPhoneAudio"]["href"]
    refused = client.http.post(client.url(href), content="[" * 100_000, headers={"Content-Type": "application/json"})

    assert refused.json()["subcode"] == "DeserializationFailure"


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_who_goes_away_in_the_middle_of_a_request_is_sent_nothing(anyio_backend):
    emulator = UcwaEmulator(Exchange(clock=SteppedClock()))
    arriving = [{"type": "http.request", "body": b"{", "more_body": True}, {"type": "http.disconnect"}]
    scope = {"type": "http", "method": "POST", "path": "/", "headers": [], "query_string": b""}
    sent = []

    async def receive():
        return arriving.pop(0)

    await emulator.app(scope, receive, sent.append)

    assert (sent, arriving) == ([], [])


@pytest.mark.parametrize(("revision", "status"), [("2", 201), ("1.5", 201), ("2.1", 404), ("two", 400)])
def test_a_newer_revision_than_there_is_cannot_be_required(served, revision, status):
    client = served.connect()
    client.sign_in()
    client.http.headers["X-MS-RequiresMinResourceVersion"] = revision
    answer = client.start("startPhoneAudio", to="+15550100", phoneNumber="+15550000001")

    assert answer.status_code == status
    assert status != 404 or answer.json()["subcode"] == "APIVersionNotSupported"


@pytest.mark.parametrize(("status", "code"), [(408, "ClientTimeout"), (500, "ServiceFailure"), (504, "Timeout")])
def test_a_failure_on_demand_has_the_code_of_its_status(client, served, status, code):
    served.emulator.faults.inject(Fault.SERVER_ERROR, on="GET communication", status=status)
    failed = settings_of(client)

    assert (failed.status_code, failed.json()["code"]) == (status, code)


def test_links_of_the_application_can_be_withheld_too(serve):
    client = serve(withheld={"batch"}).connect()

    assert "batch" not in client.sign_in()["_links"]


def test_a_guest_is_itself_and_has_nothing_to_do_with_applications_of_others(client, served):
    guest = Guest(served).client
    me = guest.application["_embedded"]["me"]
    guest.pool = client.pool

    assert me["uri"].endswith("@anonymous.invalid")
    assert guest.get(client.application["_links"]["self"]["href"]).status_code == 403
    assert guest.get(me["_links"]["self"]["href"]).json() == me


def test_every_option_and_every_fault_is_documented_where_people_look():
    page = (Path(__file__).parents[2] / "docs" / "ucwa-emulator.md").read_text(encoding="utf-8")
    options = set(inspect.signature(UcwaEmulator.__init__).parameters) - {"self", "exchange"}

    assert {name for name in options if f"`{name}`" not in page} == set()
    assert {name for name in options if f"`{name}" not in (UcwaEmulator.__doc__ or "")} == set()
    assert {fault.name for fault in UcwaEmulator.known_faults if f"`{fault.name}`" not in page} == set()


# States that cross each other


def test_whoever_comes_by_two_calls_is_there_until_the_last_of_them_is_over(client, served):
    available(client)
    client.start("startAudioVideo", to="sip:video@sandbox.test", operationId="op-1")
    client.until("audioVideoInvitation completed")
    phone_audio = client.get(client.link("conversation", "phoneAudio")).json()
    given = {"to": "sip:video@sandbox.test", "operationId": "op-3", "phoneNumber": "+15550000001"}
    assert client.post(phone_audio["_links"]["addPhoneAudio"]["href"], **given).status_code == 201
    client.until("phoneAudioInvitation completed")
    add(client)
    client.until("participantInvitation completed")
    first, second = [leg for leg in served.exchange.legs.values() if leg.callee == "sip:video@sandbox.test"]
    first.hang_up(by=Side.CALLEE)

    assert do(client, people(client)["video"], "eject") == 204
    client.until("participant deleted")
    assert second.state is LegState.DOWN


def test_the_same_seed_and_the_same_requests_make_the_same_conference(serve):
    def run():
        client = serve(seed=7, absolute_links=0.0).connect()
        client.sign_in()
        conference(client)
        client.post(people(client)["speak"]["_links"]["promote"]["href"])
        client.until("participant updated")
        return [(told.name, told.raw["link"]["href"]) for told in client.told if told.name != "communication updated"]

    assert run() == run()


def test_who_hangs_up_while_the_call_goes_over_to_the_phone_is_not_called_anew(serve):
    client = (served := serve(own_phone_answers_after=2.0)).connect()
    client.sign_in()
    available(client)
    client.start("startAudio", to=BOB, operationId="op-1")
    client.until("audioVideoInvitation completed")
    href = client.link("audioVideo", "replaceWithPhoneAudio")
    assert client.post(href, to=BOB, operationId="op-2", phoneNumber="+15550000001").status_code == 201
    (leg,) = served.exchange.legs.values()
    leg.hang_up(by=Side.CALLEE)
    left(client)

    assert client.last("phoneAudioInvitation")["state"] == "Cancelled"
    assert served.exchange.legs == {}


def test_who_has_no_call_any_more_is_not_in_the_conference_that_is_made(serve):
    client = (served := serve(ends_with_last_modality=False)).connect()
    client.sign_in()
    call(client)
    client.post(client.link("phoneAudio", "stopPhoneAudio"))
    while client.last("phoneAudio")["state"] != "Disconnected":
        client.poll()
    add(client)
    client.until("participantInvitation completed")

    assert list(people(client)) == ["speak"]
    assert up(served) == ["sip:speak@sandbox.test"]


def test_who_leaves_calls_nobody_into_the_conference_any_more(client, served):
    conference(client)
    add(client, RINGS, "op-3")
    client.until("participantInvitation updated")
    client.delete(client.link("conversation", "self"))
    left(client)
    done = [told for told in client.told if told.name == "participantInvitation completed"][-1]

    assert done.raw["reason"]["subcode"] == "Canceled"
    assert client.told.index(done) < len(client.told) - 1
    assert f"tel:{RINGS}" not in [leg.callee for leg in served.exchange.legs.values()]


def test_an_application_that_goes_away_calls_nobody_into_its_conference_any_more(client, served):
    conference(client)
    add(client, RINGS, "op-3")
    client.until("participantInvitation updated")
    client.delete(client.application["_links"]["self"]["href"])

    assert f"tel:{RINGS}" not in [leg.callee for leg in served.exchange.legs.values()]


def test_whom_nobody_has_called_yet_can_be_uninvited(serve):
    client = serve(escalation_takes=20.0).connect()
    client.sign_in()
    call(client)
    add(client)
    client.until("participantInvitation started")
    assert client.post(client.link("participantInvitation", "cancel")).status_code == 204

    assert client.until("participantInvitation completed").raw["reason"]["subcode"] == "Canceled"


def test_whoever_is_in_a_meeting_cannot_cancel_going_there(client, served):
    client.start("startOnlineMeeting", operationId="op-1")
    client.until("onlineMeetingInvitation completed")
    (started,) = (told for told in client.told if told.name == "onlineMeetingInvitation started")

    assert client.post(started.body["_links"]["cancel"]["href"]).status_code == 409
    assert client.last("conversation")["state"] == "Conferenced"


# Days of use


def test_an_application_that_is_gone_is_remembered_by_its_addresses_alone(client, served):
    call(client)
    application = served.emulator.applications[0]
    here = client.application["_links"]["self"]["href"]
    client.delete(here)
    answers = [client.get(href) for href in (here, client.link("phoneAudio", "self"), client.next)]
    places = served.emulator._pool.directory._places.values()

    assert [answer.json()["subcode"] for answer in answers] == ["ApplicationNotFound"] * 3
    assert application not in [place.owner for place in places]
    assert not any(place.handlers for place in places if place.owner is not None)


def test_the_newest_invitations_can_be_fetched_when_they_are_over(client, monkeypatch):
    monkeypatch.setattr(communication, "_INVITATIONS_REMEMBERED", 2)
    places = [
        client.start("startPhoneAudio", to="+15550101", phoneNumber="+15550000001").headers["location"]
        for _ in range(3)
    ]
    while client.names().count("conversation deleted") < 3:
        client.poll()
    client.start("startPhoneAudio", to="+15550101", phoneNumber="+15550000001")

    assert [client.get(place).status_code for place in places] == [404, 404, 200]


def test_meetings_that_nobody_is_in_are_forgotten_in_the_end(client, served, monkeypatch):
    monkeypatch.setattr(conferences, "_EMPTY_REMEMBERED", 1)
    uris = []
    for number in range(3):
        client.start("startOnlineMeeting", operationId=f"op-{number}")
        client.until("onlineMeetingInvitation completed")
        uris.append(client.last("onlineMeeting")["onlineMeetingUri"])
        client.delete(client.link("conversation", "self"))
        client.until("conversation deleted")
    answers = [client.start("joinOnlineMeeting", onlineMeetingUri=uri) for uri in uris]

    assert [answer.status_code for answer in answers] == [404, 201, 201]
    assert answers[0].json()["subcode"] == "DestinationNotFound"


def test_the_record_of_the_wire_keeps_the_newest(monkeypatch):
    monkeypatch.setattr(sandbox, "_REMEMBERED", 3)
    wire = WireLog()
    for number in range(5):
        wire.add(WireRecord(0.0, "bridge", f"GET {number}"))

    assert [record.line for record in wire.records()] == ["GET 2", "GET 3", "GET 4"]


def test_an_address_that_is_forgotten_is_nobodys():
    exchange = Exchange(clock=SteppedClock())
    taken = []
    exchange.register("sip:desk@example.org", taken.append)
    exchange.call_in(caller=BOB, callee="sip:desk@example.org")
    exchange.forget("SIP:Desk@example.org")
    exchange.call_in(caller=BOB, callee="sip:desk@example.org")

    assert len(taken) == 1


# Anything at all

_WORDS = [None, "", 5, 1.5, True, [], {}, ["Audio"], "x" * 600, "tel:abc", "\ud800", "Global", "a b", {"href": "x"}]
_TARGETS = ["sip:busy@sandbox.test", "+15550100", RINGS, BOB, "sip:video@sandbox.test"]
_INPUTS = ["phoneNumber", "subject", "importance", "sessionContext", "reason", "_links", "supportedModalities", "ack"]
_VIDEO = OFFER + "m=video 4002 RTP/SAVP 122\r\n"
_CONTENTS = [_VIDEO, _VIDEO, _VIDEO, "x", "v=0\r\nm=audio x y z\r\n", "{", "<a/>", "[" * 9_000]
_TYPES = ["application/json", "application/sdp", "application/sdp", "application/xml", "text/plain"]


class Monkey:
    """Follows any link with any input, and lets the network do anything, on a clock that is stepped."""

    def __init__(self, seed):
        self.chance = random.Random(seed)
        self.clock = SteppedClock()
        self.exchange = Exchange(clock=self.clock, seed=seed)
        self.emulator = UcwaEmulator(self.exchange, seed=seed, ends_with_last_modality=bool(seed % 2))
        transport = httpx.ASGITransport(app=self.emulator.app)
        self.http = httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8443")

    async def sign_in(self):
        await self.emulator.started("http://127.0.0.1:8443")
        settings = self.emulator.profile()
        challenge = (await self.http.get(settings["user_url"])).headers.get_list("www-authenticate")[1]
        form = {"grant_type": "password", "username": settings["username"], "password": settings["password"]}
        ticket = await self.http.post(challenge.partition('href="')[2].partition('"')[0], data=form)
        self.http.headers["Authorization"] = f"Bearer {ticket.json()['access_token']}"
        links = (await self.http.get(settings["user_url"])).json()["_links"]
        given = {"userAgent": "monkey", "endpointId": "1", "culture": "en-US"}
        self.application = (await self.http.post(links["applications"]["href"], json=given)).json()
        me = self.application["_embedded"]["me"]["_links"]["makeMeAvailable"]["href"]
        await self.http.post(me, json={"supportedModalities": ["Audio", "Video", "PhoneAudio"]})

    def network(self):
        legs = list(self.exchange.legs.values())
        match self.chance.randrange(3):
            case 0:
                media = frozenset({Modality.AUDIO, Modality.VIDEO})
                self.exchange.call_in(caller=BOB, callee="sip:ada@sandbox.test", media=media)
            case 1 if legs:
                (leg := self.chance.choice(legs)).hang_up(by=leg.far)
            case _ if legs:
                self.chance.choice(legs).set_media(frozenset({Modality.AUDIO}))

    def links(self):
        """Every address that is there now."""
        places = [place for place in self.emulator._pool.directory._places.values() if not place.retired]
        return [place for place in places if place.rel not in ("events", "application", "oauthtoken", "batch")]

    async def press(self):
        choose = self.chance.choice
        place = choose(self.links()[-60:])
        method = choose([*place.handlers, *place.handlers, "GET", "DELETE" if place.rel != "conversation" else "PUT"])
        given = {name: choose(_WORDS) for name in self.chance.sample(_INPUTS, self.chance.randrange(3))}
        given |= {"to": choose(_TARGETS), "operationId": str(self.chance.random())}
        if self.chance.random() < 0.4:
            given["_links"] = {"mediaOffer": {"href": f"data:application/sdp,{quote_plus(_VIDEO)}"}}
        more = {"content": json.dumps({"phoneNumber": "+1555", **given}), "headers": {"Content-Type": _TYPES[0]}}
        if self.chance.random() < 0.3:
            named = {**place.query, "operationId": given["operationId"], "sessionContext": "s"}
            more = {"content": choose(_CONTENTS), "headers": {"Content-Type": choose(_TYPES)}, "params": named}
        if method not in ("POST", "PUT"):
            more = {}
        return await self.http.request(method, place.path if "params" in more else place.href, **more)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_whatever_is_asked_is_answered_and_no_call_goes_on_without_anybody(anyio_backend, seed):
    monkey = Monkey(seed)
    await monkey.sign_in()
    statuses = set()
    for _ in range(200):
        # An error in the emulator would be raised here.
        statuses.add((await monkey.press()).status_code)
        if monkey.chance.random() < 0.2:
            monkey.network()
        if monkey.chance.random() < 0.2:
            await monkey.clock.advance(monkey.chance.choice([0.1, 0.5, 40.0]))
    await monkey.http.delete(monkey.application["_links"]["self"]["href"])
    await monkey.clock.advance(300.0)
    parties = [party for meeting in monkey.emulator._discovery.conferences for party in meeting.parties]
    in_meetings = [leg for party in parties for leg in party.legs]
    await monkey.emulator.stopped()
    await monkey.http.aclose()

    assert {200, 201, 204, 400, 404, 409} & statuses >= {200, 201, 204, 400, 409}
    assert max(statuses) < 500
    assert set(monkey.exchange.legs.values()) == set(in_meetings)
    assert all(party.legs for party in parties)
