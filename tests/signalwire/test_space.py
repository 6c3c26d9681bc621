"""The native side of a SignalWire bridge: records, recordings and conferences, typed."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from urllib.parse import parse_qsl

import anyio
import httpx
import pytest
import respx
from pydantic import SecretStr

from telco_bridge import Bridge, Call, connect
from telco_bridge.provider import ConfigError, Refused, TooLate
from telco_bridge.sandbox import Sandbox
from telco_bridge_laml.session import connect as connect_session
from telco_bridge_laml.space import CallEntry, Conference, ConferenceStatus, Participant, StreamEntry
from telco_bridge_signalwire import SignalWireSpace

from .test_session import BASE, ORIGIN, call, error, form, page

PARTICIPANT = {"call_sid": "C", "conference_sid": "F", "muted": True, "hold": False, "account_sid": "P"}


@pytest.fixture
def space():
    router = respx.MockRouter(assert_all_called=False)
    router.get(f"{BASE}/Calls", params={"PageSize": "1"}, name="login").respond(json=page())
    return router


@pytest.fixture
async def door(space, host, config):
    async with connect_session(config, host, transport=httpx.MockTransport(space.async_handler)) as session:
        assert isinstance(session.native, SignalWireSpace)
        yield session.native


class Named:
    id = "call-1"
    native_id: str | None = "C"


async def test_calls_are_listed_page_by_page(door, space):
    later = "/api/laml/2010-04-01/Accounts/x/Calls?Page=1&PageToken=PAx"
    first = page(call("completed", sid="A", duration=12, start_time="Tue, 03 Mar 2026 09:15:20 +0000"), following=later)
    listed = space.get(f"{BASE}/Calls", params={"Status": "completed"}).respond(json=first)
    space.get(f"{ORIGIN}{later}").respond(json=page(call("busy", sid="B")))

    since = datetime(2026, 3, 3, 10, 15, tzinfo=timezone(timedelta(hours=1)))
    found = [entry async for entry in door.calls(status="completed", to="+15550100002", started_after=since)]

    assert found[0] == CallEntry(
        sid="A",
        status="completed",
        direction="outbound",
        from_="+15550100001",
        to="+15550100002",
        start="Tue, 03 Mar 2026 09:15:20 +0000",
        duration=12.0,
        parent_sid=None,
    )
    assert [entry.sid for entry in found] == ["A", "B"]
    url = listed.calls[0].request.url
    # The operator belongs to the name, and must not be read as the end of it.
    assert b"StartTime%3E=" in url.query
    assert dict(parse_qsl(url.query.decode()))["StartTime>"] == "Tue, 03 Mar 2026 09:15:00 +0000"


async def test_a_record_that_is_gone_is_deleted(door, space):
    space.delete(f"{BASE}/Calls/C").mock(error(404, 20404))
    space.delete(f"{BASE}/Recordings/R").respond(204)

    await door.delete_call("C")
    await door.delete_recording("R")


async def test_a_live_call_has_no_record_to_delete(door, space):
    space.delete(f"{BASE}/Calls/C").mock(error(422, 20009, "The call is not finished"))

    with pytest.raises(Refused, match="20009"):
        await door.delete_call("C")


async def test_participants_are_changed_one_by_one(door, space):
    route = space.post(f"{BASE}/Conferences/F/Participants/C").respond(json=PARTICIPANT)

    assert await door.mute("F", "C") == Participant(call_sid="C", conference_sid="F", muted=True, hold=False)
    await door.hold("F", "C", music_url="https://a.example/m")
    await door.coach("F", "C", whom="D")
    await door.coach("F", "C", whom=None)

    assert [form(route, index) for index in range(4)] == [
        [("Muted", "true")],
        [("Hold", "true"), ("HoldUrl", "https://a.example/m")],
        [("Coaching", "true"), ("CallSidToCoach", "D")],
        [("Coaching", "false")],
    ]


async def test_a_participant_that_has_left_is_too_late(door, space):
    space.post(f"{BASE}/Conferences/F/Participants/C").mock(error(404, 20404))

    with pytest.raises(TooLate):
        await door.mute("F", "C", muted=False)


async def test_a_conference_is_found_announced_in_and_ended(door, space):
    resource = {"sid": "F", "friendly_name": "room", "status": "in-progress"}
    envelope = {"next_page_uri": None, "conferences": [resource, {**resource, "sid": "G", "status": "odd"}]}
    space.get(f"{BASE}/Conferences", params={"FriendlyName": "room"}).respond(json=envelope)
    route = space.post(f"{BASE}/Conferences/F").respond(json={**resource, "status": "completed"})

    found = [conference async for conference in door.conferences(name="room")]
    await door.announce("F", "https://a.example/a.xml")
    ended = await door.end_conference("F")

    assert found[0] == Conference(sid="F", name="room", status=ConferenceStatus.IN_PROGRESS)
    assert found[1].status is ConferenceStatus.UNKNOWN
    assert ended.status is ConferenceStatus.COMPLETED
    assert [form(route, index) for index in range(2)] == [
        [("AnnounceUrl", "https://a.example/a.xml")],
        [("Status", "completed")],
    ]


async def test_a_conference_is_copied_and_recorded(door, space):
    stream = {"sid": "S", "name": "tap", "status": "queued", "conference_sid": "F"}
    recording = {"sid": "R", "status": "in-progress", "conference_sid": "F", "duration": 0}
    copied = space.post(f"{BASE}/Conferences/F/Streams").respond(json=stream)
    space.post(f"{BASE}/Conferences/F/Streams/S").respond(json={**stream, "status": "stopped"})
    space.post(f"{BASE}/Conferences/F/Recordings").respond(json=recording)
    space.post(f"{BASE}/Conferences/F/Recordings/R").respond(json={**recording, "status": "stopped"})

    tap = await door.start_stream("F", "wss://a.example/in", name="tap", bearer=SecretStr("b"), codec="L16@16000h")
    assert tap == StreamEntry(sid="S", name="tap", status="queued")
    assert (await door.stop_stream("F", "S")).status == "stopped"
    assert (await door.record("F")).conference_sid == "F"
    assert (await door.stop_recording("F", "R")).status == "stopped"
    assert dict(form(copied)) == {
        "Url": "wss://a.example/in",
        "StreamRealTime": "false",
        "Name": "tap",
        "StreamCodec": "L16@16000h",
        "AuthorizationBearerToken": "b",
    }


async def test_a_conference_is_not_copied_in_the_clear(door, space):
    with pytest.raises(Refused, match="wss://"):
        await door.start_stream("F", "ws://a.example/in")
    assert len(space.calls) == 1


async def test_a_refusal_in_plain_sentences_is_told(door, space):
    refusal = httpx.Response(422, json={"errors": ["Name has already been taken"]})
    space.post(f"{BASE}/Conferences/F/Streams").mock(refusal)

    with pytest.raises(Refused, match="Name has already been taken"):
        await door.start_stream("F", "wss://a.example/in", name="tap")


async def test_a_call_without_a_name_joins_nothing(door, space):
    nameless = Named()
    nameless.native_id = None

    with pytest.raises(Refused, match="not named it yet"):
        await door.join(nameless, "room")
    with pytest.raises(Refused, match="not named it yet"):
        await door.leave(nameless)
    assert len(space.calls) == 1


async def test_nobody_joins_from_a_bridge_that_cannot_be_reached(space, deaf_host, config):
    transport = httpx.MockTransport(space.async_handler)
    async with connect_session(config, deaf_host, transport=transport) as session:
        with pytest.raises(ConfigError, match=r"set web\.public_url"):
            await session.native.join(Named(), "room")


# With the emulator


async def connected(bridge: Bridge, to: str = "+15550100") -> Call:
    return await (await bridge.dial(to)).answered()


async def participants(door: SignalWireSpace, count: int) -> tuple[Conference, list[Participant]]:
    """The conference and its participants, as soon as there are so many."""
    with anyio.fail_after(10):
        while True:
            for conference in [found async for found in door.conferences(name="room")]:
                there = [found async for found in door.participants(conference.sid)]
                if len(there) == count and conference.status is ConferenceStatus.IN_PROGRESS:
                    return conference, there


async def test_calls_meet_in_a_conference_and_come_back(sandbox: Sandbox) -> None:
    async with connect({**sandbox.profile("signalwire"), "web": {"listen": "127.0.0.1:0"}}) as bridge:
        door = bridge.native(SignalWireSpace)
        async with await bridge.dial("+15550100") as one, await bridge.dial("+15550106") as two:
            for call in (one, two):
                await call.answered()
                await door.join(call, "room")
            conference, there = await participants(door, 2)
            assert {p.call_sid for p in there} == {one.native_id, two.native_id}

            assert (await door.mute(conference.sid, one.native_id or "")).muted
            assert (await door.hold(conference.sid, two.native_id or "")).hold
            await door.remove(conference.sid, one.native_id or "")
            await participants(door, 1)
            # It is the bridge's again, and does what it is told.
            await one.say("you have left the room")
            await door.leave(two)
            await two.say("so have you")
            for call in (one, two):
                await call.hangup()
        entries = [entry async for entry in door.calls(status="completed")]
        assert {one.native_id, two.native_id} <= {entry.sid for entry in entries}
        await door.delete_call(one.native_id or "")
