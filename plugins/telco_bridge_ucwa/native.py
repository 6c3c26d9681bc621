"""What a UCWA application can do beyond the neutral words, typed: `bridge.native(UcwaApplication)`."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Protocol

from telco_bridge.provider import AnswerLost, Refused, TooLate

from .audiovideo import UcwaAudioVideo
from .communication import CommunicationSettings, MessageFormat, Policy, UcwaCommunication
from .conversation import UcwaConversation
from .conversationview import Audience, ConversationState, ConversationView
from .door import Door
from .mediarelays import MediaRelay, MediaRelayAccess, media_policies, media_relay_access
from .mediaviews import AudioVideoPolicies, AudioVideoView, RemoteProposal, RenegotiationDecline, VideoSources
from .meetings import Importance, OnlineMeeting, join_inputs
from .modality import ModalityState
from .participants import MediaFlow, Participant, ParticipantMedia, Role, SourceNetwork
from .phoneaudio import PhoneAudioView, UcwaPhoneAudio
from .roster import Rosters
from .sessions import MediaAnswer, MediaSession, SessionState
from .wire import Resource

__all__ = [
    "Audience",
    "AudioVideoPolicies",
    "AudioVideoView",
    "CommunicationSettings",
    "ConversationState",
    "ConversationView",
    "Importance",
    "MediaAnswer",
    "MediaFlow",
    "MediaRelay",
    "MediaRelayAccess",
    "MediaSession",
    "MessageFormat",
    "ModalityState",
    "NamedCall",
    "OnlineMeeting",
    "Participant",
    "ParticipantMedia",
    "PhoneAudioView",
    "Policy",
    "RemoteProposal",
    "RenegotiationDecline",
    "Role",
    "SessionState",
    "SourceNetwork",
    "UcwaApplication",
    "UcwaAudioVideo",
    "UcwaCommunication",
    "UcwaConversation",
    "UcwaPhoneAudio",
    "VideoSources",
]


class NamedCall(Protocol):
    """A call, such as a `telco_bridge.Call`."""

    @property
    def native_id(self) -> str | None: ...


class UcwaApplication:
    """The native side of a UCWA bridge: `bridge.native(UcwaApplication)`.

    Conversations with their participants, conferences, and meetings. Links are followed and never made up; a method
    whose link the server does not offer raises, and nothing is sent.
    """

    def __init__(self, door: Door) -> None:
        self._door = door
        self._rosters = Rosters(door.application)

    def conversation(self, call: NamedCall) -> UcwaConversation:
        """Return the conversation that carries the call now. Raises `TooLate` while the call has none."""
        if call.native_id is None:
            raise TooLate("conversation: the call has no conversation yet", provider="ucwa")
        return UcwaConversation(self._door, self._rosters, call.native_id)

    @property
    def communication(self) -> UcwaCommunication:
        """The settings with which the user takes part in communication."""
        return UcwaCommunication(self._door)

    async def media_relays(self) -> MediaRelayAccess | None:
        """Fetch credentials for the media relays; None where the server offers none, as real servers may."""
        return await media_relay_access(self._door)

    async def media_policies(self) -> Mapping[str, object] | None:
        """Read the port ranges, bit rates and encryption that media must keep to; None where the server offers none."""
        return await media_policies(self._door)

    async def join_meeting(
        self,
        uri: str | None = None,
        *,
        subject: str | None = None,
        importance: Importance | None = None,
        thread_id: str | None = None,
        display_name: str | None = None,
        timeout: float = 45.0,
    ) -> UcwaConversation:
        """Join a meeting by its conference URI, and return once the user is in its roster; without `uri`, a new one.

        The conversation has no media yet: `UcwaConversation.native` tells how it becomes a call. A guest has to give a
        `display_name`. Raises `Refused` where the server does not offer it, or the meeting does not take the user (with
        the reason as `termination`), and `AnswerLost` where nothing has told the outcome within `timeout` seconds: the
        user may still wait in the lobby, and may be let in later. `math.inf` waits for as long as it takes.
        """
        inputs = join_inputs(
            uuid.uuid4().hex,
            uri=uri,
            subject=subject,
            importance=importance,
            thread_id=thread_id,
            display_name=display_name,
        )
        return await self._enter("joinOnlineMeeting", inputs, timeout)

    async def start_meeting(
        self,
        *,
        subject: str | None = None,
        importance: Importance | None = None,
        thread_id: str | None = None,
        timeout: float = 45.0,
    ) -> UcwaConversation:
        """Make an ad-hoc meeting, and return once the user is in its roster. Raises what `join_meeting` raises."""
        inputs = join_inputs(uuid.uuid4().hex, subject=subject, importance=importance, thread_id=thread_id)
        return await self._enter("startOnlineMeeting", inputs, timeout)

    async def _enter(self, rel: str, inputs: dict[str, object], timeout: float) -> UcwaConversation:
        door = self._door
        communication = await self._communication(rel)
        with door.outcomes.expect(str(inputs["operationId"])) as operation:
            answer = await door.post(communication, rel, body=inputs)
            door.outcomes.place(operation, answer)
            invitation = await door.outcomes.success(
                operation, what=rel, rel="onlineMeetingInvitation", timeout=timeout
            )
        ref = door.resources.key(invitation.link("conversation"))
        if ref is None and invitation.href is not None:
            read = await door.get(invitation.href, "onlineMeetingInvitation")
            ref = door.resources.key(read.link("conversation")) if read is not None else None
        if ref is None:
            raise AnswerLost(f"{rel}: the server does not tell the conversation", provider="ucwa")
        return UcwaConversation(door, self._rosters, ref)

    async def _communication(self, rel: str) -> Resource:
        known = self._door.resources.only("communication")
        if known is None or known.link(rel) is None:
            await self._door.application.refresh("communication")
            known = self._door.resources.only("communication")
        if known is None or known.link(rel) is None:
            raise Refused(
                f"the server does not offer {rel} to this user (a missing licence or policy). Nothing was sent.",
                provider="ucwa",
            )
        return known
