"""Conferences and meetings of whole bridges against the emulator: one call stays one call."""

from __future__ import annotations

from contextlib import asynccontextmanager

import anyio
import pytest

import telco_bridge
from telco_bridge import Call
from telco_bridge.errors import NotPossibleNow
from telco_bridge.media import Modality
from telco_bridge.provider import CallState, Capability, TerminationReason, TooLate
from telco_bridge.sandbox import Exchange
from telco_bridge.serving import Server
from telco_bridge_ucwa.emulator import UcwaEmulator
from telco_bridge_ucwa.native import ConversationState, Role, UcwaApplication

BOB = "sip:answer@sandbox.test"
CLAIRE = "sip:speak@sandbox.test"
OFFER = (
    "v=0\r\no=- 1 1 IN IP4 10.0.0.1\r\ns=-\r\nc=IN IP4 10.0.0.1\r\nt=0 0\r\nm=audio 4000 RTP/SAVP 0\r\n"
    "m=video 4002 RTP/SAVP 122\r\n"
)


@pytest.fixture
def anyio_backend():
    """One is enough: the way of commands and events is proved on both elsewhere."""
    return "asyncio"


@pytest.fixture
def desk():
    @asynccontextmanager
    async def opened(*, available=False, **options):
        with Exchange(speed=20.0) as exchange:
            emulator = UcwaEmulator(exchange, **options)
            with Server(emulator.app, started=emulator.started, stopped=emulator.stopped):
                async with telco_bridge.connect(emulator.profile() | {"available": available}) as bridge:
                    yield bridge, bridge.native(UcwaApplication), emulator

    return opened


def names(participants):
    return [participant.name for participant in participants]


async def talking(bridge, to=BOB, **options) -> Call:
    call = await bridge.dial(to, **options)
    await call.answered()
    return call


@pytest.mark.parametrize("embedded", [True, False], ids=["events with bodies", "bare events"])
async def test_a_call_goes_on_as_a_conference_in_which_it_can_be_muted(desk, embedded):
    async with desk(embedded=embedded) as (bridge, native, _):
        call = await talking(bridge)
        assert not call.can(Capability.MUTE)
        with pytest.raises(NotPossibleNow):
            await call.mute()
        here = native.conversation(call)
        claire = await here.add_participant(CLAIRE)
        assert (claire.name, claire.role, claire.audio.muted) == ("speak", Role.ATTENDEE, False)
        assert (await here.refresh()).state is ConversationState.CONFERENCED
        assert names(await here.participants()) == ["Ada Lovelace", "answer", "speak"]

        await call.mute()
        assert call.muted
        assert call.can(Capability.UNMUTE)
        await call.unmute()
        assert call.muted is False
        assert call.state is CallState.CONNECTED
        assert len(bridge.calls) == 1
        await call.hangup()


async def test_the_roster_shows_what_was_done_about_a_participant(desk):
    async with desk() as (bridge, native, _):
        call = await talking(bridge)
        here = native.conversation(call)
        await here.add_participant(CLAIRE)
        _, bob, claire = await here.participants()
        await here.mute(bob)
        assert await here.until(lambda present: any(p.href == bob.href and p.audio.muted for p in present))
        await here.promote(claire)
        assert await here.until(lambda present: any(p.href == claire.href and p.role is Role.LEADER for p in present))
        await here.eject(bob)
        assert await here.until(lambda present: names(present) == ["Ada Lovelace", "speak"])
        await here.lock_audience_mute()

        assert call.state is CallState.CONNECTED


async def test_who_does_not_come_leaves_the_call_as_it_is(desk):
    async with desk() as (bridge, native, _):
        call = await talking(bridge)
        with pytest.raises(telco_bridge.Refused) as refused:
            await native.conversation(call).add_participant("sip:busy@sandbox.test")

        assert refused.value.termination.reason is TerminationReason.BUSY
        assert call.state is CallState.CONNECTED


async def test_the_media_of_the_application_move_into_a_conference(desk):
    async with desk() as (bridge, native, _):
        both = {Modality.AUDIO, Modality.VIDEO}
        call = await talking(bridge, "sip:video@sandbox.test", modalities=both, offer=OFFER)
        await call.until(lambda view: len(view.live_streams) == 2)
        before = call.view.remote_sdp
        here = native.conversation(call)
        await here.escalate(OFFER, video=True)
        await call.until(lambda view: view.remote_sdp != before)

        assert here.view.state is ConversationState.CONFERENCED
        assert (call.state, len(call.view.streams)) == (CallState.CONNECTED, 2)
        assert (await here.online_meeting()).organizer_uri == "sip:ada@sandbox.test"


@pytest.mark.parametrize("offer", [None, OFFER], ids=["on the phone", "with own media"])
async def test_a_meeting_becomes_a_call_by_dialling_into_it(desk, offer):
    async with desk() as (bridge, native, _):
        here = await native.start_meeting(subject="demo")
        assert bridge.calls == ()
        meeting = await here.online_meeting()
        call = await talking(bridge, meeting.uri, native=here.native, offer=offer)
        assert native.conversation(call).native == here.native
        await here.add_participant(CLAIRE)
        assert call.can(Capability.MUTE)
        await call.hangup()

        assert call.termination.reason is TerminationReason.NORMAL
        with pytest.raises(TooLate):
            await here.refresh()


async def test_a_dial_into_a_meeting_that_fails_can_be_repeated(desk):
    async with desk(own_phone_answers_after=30.0, ring_timeout=60.0) as (bridge, native, emulator):
        here = await native.start_meeting()
        uri = (await here.online_meeting()).uri
        call = await bridge.dial(uri, native=here.native)
        await anyio.to_thread.run_sync(emulator.wire.wait_for, "event phoneAudioInvitation started")
        await call.hangup()
        assert call.termination.reason is TerminationReason.CANCELLED
        again = await talking(bridge, uri, native=here.native, offer=OFFER)

        assert again.state is CallState.CONNECTED
        assert (await here.refresh()).state is ConversationState.CONFERENCED


async def test_a_guest_is_let_in_by_a_leader_and_told_when_it_is_removed(desk):
    async with desk() as (_, native, emulator):
        uri = "sip:ada@sandbox.test;gruu;opaque=app:conf:focus:id:GH4T8KJ2"
        here = await native.join_meeting(uri)
        profile = {k: v for k, v in emulator.profile().items() if k not in ("username", "password", "phone_number")}
        guest_profile = profile | {"conference_uri": uri, "conference_key": "GH4T8KJ2"}
        async with telco_bridge.connect(guest_profile) as guest, anyio.create_task_group() as tasks:

            async def let_in():
                assert await here.until(lambda present: any(p.in_lobby for p in present))
                grace = next(p for p in await here.participants() if p.in_lobby)
                await here.admit(grace)

            tasks.start_soon(let_in)
            there = await guest.native(UcwaApplication).join_meeting(uri, display_name="Grace")
            assert there.view.state is ConversationState.CONFERENCED
            call = await talking(guest, uri, native=there.native, offer=OFFER)
            assert await here.until(lambda present: any(p.anonymous and p.audio for p in present))
            grace = next(p for p in await here.participants() if p.anonymous)
            await here.eject(grace)
            ended = await call.ended()

        assert (grace.name, ended.reason) == ("Grace", TerminationReason.REMOVED)


@pytest.mark.parametrize("embedded", [True, False], ids=["events with bodies", "bare events"])
async def test_who_is_invited_into_a_meeting_comes_or_does_not(desk, embedded):
    async with desk(embedded=embedded, available=True) as (bridge, native, emulator):
        invitations = native.meeting_invitations()
        emulator.invite_to_meeting("sip:grace@sandbox.test", subject="compilers")
        invitation = await anext(invitations)
        here = await invitation.accept()
        assert (await here.refresh()).state is ConversationState.CONFERENCED
        assert await here.until(lambda present: names(present) == ["Ada Lovelace", "grace"])
        call = await talking(bridge, invitation.uri, native=here.native, offer=OFFER)
        assert call.state is CallState.CONNECTED

        emulator.invite_to_meeting("sip:grace@sandbox.test", uri=invitation.uri, subject="again")
        refused = await anext(invitations)
        await refused.decline("Global")
        withdraw = emulator.invite_to_meeting("sip:bob@sandbox.test", subject="too late")
        missed = await anext(invitations)
        withdraw()
        await missed.decided()
        with pytest.raises(TooLate):
            await missed.accept()
        await invitations.aclose()

    assert [one.subject for one in (invitation, refused, missed)] == ["compilers", "again", "too late"]
