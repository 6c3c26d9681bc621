"""A conversation beyond the neutral words: who is in it, what may be done about them, and the conference it becomes."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from telco_bridge.provider import TooLate, happens_by

from ..parties import address
from ..resources import Operation, Purpose
from ..wire import Resource
from .audiovideo import UcwaAudioVideo
from .conversationview import ConversationView, view_of
from .door import Door
from .meetings import OnlineMeeting, online_meeting
from .messaging import UcwaMessaging
from .participants import Participant, participant_of
from .phoneaudio import UcwaPhoneAudio
from .roster import Member, Part, Roster, Rosters

__all__ = ["UcwaConversation"]

_PASSES = 10
"""How often a roster that goes on changing is read again before what is known is good enough."""


class UcwaConversation:
    """One conversation: `bridge.native(UcwaApplication).conversation(call)`.

    What is asked for is accepted when a method returns; its effect is in the roster or the view a moment later
    (`until`). A method whose link the server does not offer now raises `TooLate`, and nothing is sent; every method
    raises `ProviderError` where the server says no or cannot be reached. Where the call moves to another conversation,
    this is that one then.
    """

    def __init__(self, door: Door, rosters: Rosters, ref: str) -> None:
        self._door = door
        self._rosters = rosters
        self._conversation = ref

    @property
    def _ref(self) -> str:
        """Where the call goes on, which may have moved to another conversation."""
        self._door.check("conversation")
        return self._door.resources.current(self._conversation)

    @property
    def native(self) -> Mapping[str, object]:
        """What makes `Bridge.dial` call with the media of this conversation, as its `native`.

        So does a meeting that was joined become a call: `bridge.dial(meeting.uri, native=conversation.native)` rings
        the user's phone, and with an `offer` the application brings the media.
        """
        return {"conversation": self._ref}

    @property
    def view(self) -> ConversationView:
        """The conversation as events last told of it. Raises `TooLate` where it is over, or nothing was told yet."""
        known = self._door.resources.get(self._ref)
        if known is None:
            raise TooLate("conversation: it is over, or nothing was heard of it yet", provider="ucwa")
        return view_of(known)

    async def refresh(self) -> ConversationView:
        """Read the conversation now. Raises `TooLate` where it is over."""
        return view_of(await self._read())

    async def _read(self) -> Resource:
        found = await self._door.get(self._ref, "conversation")
        if found is None:
            raise TooLate("conversation: it is over", provider="ucwa", status=404)
        return found

    @property
    def audio_video(self) -> UcwaAudioVideo:
        """The audio and video of the application's own media."""
        return UcwaAudioVideo(self._door, self._ref)

    @property
    def phone_audio(self) -> UcwaPhoneAudio:
        """The audio between phones."""
        return UcwaPhoneAudio(self._door, self._ref)

    @property
    def messaging(self) -> UcwaMessaging:
        """What is written in the conversation."""
        return UcwaMessaging(self._door, self._ref)

    async def leave(self) -> None:
        """Leave the conversation; others stay. Where a call is in it, hang that up instead."""
        await self._door.delete(self._ref, "conversation")

    async def acknowledge(self) -> None:
        """Tell the server that the user has noticed the conversation."""
        await self._do("userAcknowledged")

    # The roster

    async def participants(self) -> tuple[Participant, ...]:
        """Return who is in the conversation or its lobby, the user first; what events came without is read now."""
        return (await self._present()).participants()

    async def until(self, wanted: Callable[[tuple[Participant, ...]], bool], *, timeout: float = 45.0) -> bool:
        """Wait until the participants are as `wanted` says; return whether they are so within `timeout` seconds.

        Raises `TooLate` where the conversation ends meanwhile.
        """
        clock = self._door.host.clock
        deadline = clock.now() + timeout
        while True:
            changed = self._roster().changed()
            if wanted((await self._present()).participants()):
                return True
            if not await happens_by(clock, changed, deadline):
                return False

    def _roster(self) -> Roster:
        roster = self._rosters.of(self._ref)
        roster.watched = True
        return roster

    async def _present(self) -> Roster:
        """Return the roster, brought up to date; it is another one where the call moves meanwhile."""
        while True:
            ref, roster = self._ref, self._roster()
            await self._bring_up_to_date(roster)
            if not roster.closed:
                return roster
            if self._ref == ref:
                raise TooLate("conversation: it is over", provider="ucwa")

    async def _bring_up_to_date(self, roster: Roster) -> None:
        for _ in range(_PASSES):
            if roster.closed:
                return
            if roster.gaps != self._door.resources.gaps:
                await self._rebuild(roster)
            stale = list(roster.stale())
            for key, member, part in stale:
                told = part.told
                body = await self._door.get(part.href, part.rel)
                roster.take_body(key, member, part, body, told)
            if not stale:
                return

    async def _rebuild(self, roster: Roster) -> None:
        """Read who is there from the views of a conference; in a call of two, who was there is asked for again."""
        with roster.rebuilding():
            since, gaps = roster.heard, self._door.resources.gaps
            roster.begin_anew(await self._members(roster), gaps, since=since)

    async def _members(self, roster: Roster) -> dict[str, Member]:
        resources = self._door.resources
        conversation = await self._read()
        members: dict[str, Member] = {}
        own = conversation.link("localParticipant")
        hrefs = [(own, True)] if own is not None else []
        views = [(rel, conversation.link(rel)) for rel in ("leaders", "attendees", "lobby")]
        for rel, href in views:
            view = await self._door.get(href, rel) if href is not None else None
            if view is not None:
                hrefs += [(href, False) for href in view.links.get("participant", ())]
                hrefs += [(part.href, False) for part in view.embedded.get("participant", ()) if part.href is not None]
        if not any(href for _, href in views):
            hrefs += [(member.own.href, member.local) for member in roster.members.values()]
        for href, local in hrefs:
            key = resources.key(href)
            if key is not None and key not in members:
                part = Part("localParticipant" if local else "participant", href)
                members[key] = Member(part, local, by_links=True)
        return members

    async def spotlight(self) -> Participant | None:
        """Return the participant on whom the video is locked; None where it is locked on nobody."""
        conversation = await self._read()
        place = conversation.link("audioVideo")
        modality = await self._door.get(place, "audioVideo") if place is not None else None
        href = modality.link("videoLockedOnParticipant") if modality is not None else None
        body = await self._door.get(href, "videoLockedOnParticipant") if href is not None else None
        if body is None or body.href is None:
            return None
        key = self._door.resources.key(body.href) or body.href
        uri = body.text("uri")
        for known in await self.participants():
            if known.href == key or (uri is not None and known.uri == uri):
                return known
        return participant_of(key, body, local=False)

    # What may be done about participants

    async def mute(self, participant: Participant) -> None:
        """Mute a participant's audio."""
        await self._do_to(participant, "muteAudio", "participantAudio")

    async def unmute(self, participant: Participant) -> None:
        """Let a participant be heard again."""
        await self._do_to(participant, "unmuteAudio", "participantAudio")

    async def mute_video(self, participant: Participant) -> None:
        """Stop showing a participant's video."""
        await self._do_to(participant, "muteVideo", "participantVideo")

    async def unmute_video(self, participant: Participant) -> None:
        """Show a participant's video again."""
        await self._do_to(participant, "unmuteVideo", "participantVideo")

    async def eject(self, participant: Participant) -> None:
        """Remove a participant from the conference."""
        await self._do_to(participant, "eject")

    async def admit(self, participant: Participant) -> None:
        """Let a participant in who waits in the lobby."""
        await self._do_to(participant, "admit")

    async def reject(self, participant: Participant) -> None:
        """Turn a participant away who waits in the lobby."""
        await self._do_to(participant, "reject")

    async def promote(self, participant: Participant) -> None:
        """Make an attendee a leader."""
        await self._do_to(participant, "promote")

    async def demote(self, participant: Participant) -> None:
        """Make a leader an attendee."""
        await self._do_to(participant, "demote")

    async def _do_to(self, participant: Participant, rel: str, of: str | None = None) -> None:
        roster = await self._present()
        member = roster.members.get(participant.href)
        part = member.own if member is not None and of is None else None
        if member is not None and of is not None:
            part = member.media.get(of)
        if part is None or part.body is None:
            why = "has left the conversation" if member is None else f"uses no {of or 'such medium'}"
            raise TooLate(f"{rel}: {participant} {why}. Nothing was sent.", provider="ucwa")
        await self._door.post(part.body, rel, of=str(participant))

    # The audience

    async def lock_audience_mute(self) -> None:
        """Mute all attendees, and keep them from unmuting themselves."""
        await self._do("enableAudienceMuteLock")

    async def unlock_audience_mute(self) -> None:
        """Let attendees unmute themselves."""
        await self._do("disableAudienceMuteLock")

    async def enable_audience_messaging(self) -> None:
        """Let attendees write messages."""
        await self._do("enableAudienceMessaging")

    async def disable_audience_messaging(self) -> None:
        """Keep attendees from writing messages."""
        await self._do("disableAudienceMessaging")

    async def _do(self, rel: str) -> None:
        await self._door.post(await self._newest(rel), rel, of="the conversation")

    async def _newest(self, rel: str) -> Resource:
        """The conversation, read where what is known of it does not offer that link."""
        known = self._door.resources.get(self._ref)
        return known if known is not None and known.link(rel) is not None else await self._read()

    # The conference

    async def add_participant(self, to: str, *, timeout: float = 45.0) -> Participant | None:
        """Invite somebody into the conversation, which becomes a conference; return who has joined.

        Media that the application brings itself are moved into the conference with `escalate`, before or afterwards.
        `to` is a number or SIP address. None is returned where the server does not tell who took the invitation.
        Raises `Refused`, with the reason as `termination`, where it was not taken, and `AnswerLost` where nothing tells
        its outcome within `timeout` seconds.
        """
        target = address(to)
        door = self._door
        conversation = await self._newest("addParticipant")
        with door.outcomes.expect() as awaited:
            body = {"operationId": awaited.id, "to": target}
            await door.ask(awaited, conversation, "addParticipant", of="the conversation", body=body)
            what = f"addParticipant of {target}"
            invitation = await door.outcomes.success(awaited, what=what, rel="participantInvitation", timeout=timeout)
        key = self._door.resources.key(invitation.link("acceptedByParticipant") or invitation.link("participant"))
        return next((found for found in await self.participants() if found.href == key), None)

    async def escalate(self, offer: str, *, video: bool = False, timeout: float = 45.0) -> None:
        """Make a conference of a call of two whose media are the application's own.

        `offer` is an SDP body for the media with the conference, whose answer becomes the call's `remote_sdp`. With
        `video`, audio and video move. Raises `Refused`, with the reason as `termination`, where it fails; the call of
        two may then go on. Raises `AnswerLost` where nothing tells the outcome within `timeout` seconds.
        """
        rel = "escalateAudioVideo" if video else "escalateAudio"
        resources = self._door.resources
        modality = resources.modality(self._ref, "audioVideo")
        if modality is None or modality.link(rel) is None:
            conversation = await self._read()
            place = conversation.link("audioVideo")
            modality = await self._door.get(place, "audioVideo") if place is not None else None
        if modality is None:
            raise TooLate(f"{rel}: the conversation has no audio and video. Nothing was sent.", provider="ucwa")
        with self._door.outcomes.expect() as awaited:
            operation = Operation(
                id=awaited.id,
                purpose=Purpose.ESCALATE,
                slots=frozenset(),
                to=resources.partner(self._ref) or "",
                ref=self._ref,
            )
            query = (("operationId", awaited.id), ("sessionContext", awaited.id))
            await self._door.ask(awaited, modality, rel, of="the call", query=query, sdp=offer, operation=operation)
            await self._door.outcomes.success(awaited, what=rel, rel="audioVideoInvitation", timeout=timeout)

    async def online_meeting(self) -> OnlineMeeting:
        """Read the meeting behind a conference. Raises `TooLate` where the conversation is none."""
        conversation = await self._newest("onlineMeeting")
        href = conversation.link("onlineMeeting")
        body = await self._door.get(href, "onlineMeeting") if href is not None else None
        if body is None:
            raise TooLate("onlineMeeting: the conversation is no conference now", provider="ucwa")
        return online_meeting(body)
