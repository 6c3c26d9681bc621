"""Audio and video over the client's own media: offers, answers, and each medium added and stopped by itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from telco_bridge.media import Modality

from . import addresses, links, sdp
from .answering import accept_with_answer, accept_with_phone_audio, decline, send_provisional_answer
from .answers import Answer
from .diagnostics import diagnose
from .directory import Handler, Place
from .errors import JSON, conflict
from .escalation import escalate
from .inputs import Ask
from .invitation import Invitation, Wanted
from .modality import CallModality
from .outcomes import NOT_ACCEPTABLE
from .session import MediaSession
from .settings import Stop

if TYPE_CHECKING:
    from .conversation import Conversation

__all__ = ["TERMINATION_REASONS", "AudioVideo", "asked_media"]

TERMINATION_REASONS = (
    "Unknown",
    "UserInitiatedAction",
    "SharerLeftConference",
    "ConversationSuspendedLossNetwork",
    "MidCallFailureOneInternalOneExternal",
    "MidCallFailureBothInternal",
    "InternalFailure",
    "CallEstablishFailureOneInternalOneExternal",
    "CallEstablishFailureBothInternal",
    "FailedStartAudioStream",
    "Cancel",
    "MediaTimeout",
    "MediaConnectivityFailure",
    "CodecMismatch",
    "UnsupportedMedia",
    "InvalidMediaAnswer",
)
"""UCWA's `CallTerminationReason`: what a client may say when it stops media."""

_AUDIO = frozenset({Modality.AUDIO})
_VIDEO = frozenset({Modality.VIDEO})


@dataclass(frozen=True, slots=True)
class Asked:
    """What the last invitation was about: the media, the description that offers them, and the session's name."""

    media: frozenset[Modality] = frozenset()
    offer: str | None = None
    context: str | None = None


def asked_media(ask: Ask, verb: frozenset[Modality]) -> tuple[frozenset[Modality], str | None]:
    """Return the media that a verb asks for and the offer holds. UCWA's tables do not require an offer."""
    offer = ask.media_offer()
    if offer is None:
        return verb, None
    media = verb & sdp.offered_media(offer)
    if not media:
        ask.wrong("sdp")
    return media, offer


class AudioVideo(CallModality):
    """The `audioVideo` resource of one conversation: one call through the network that carries either or both."""

    def __init__(self, conversation: Conversation) -> None:
        super().__init__(conversation, "audioVideo")
        self.asked = Asked()
        self.session: MediaSession | None = None
        self.places = {
            "stopAudio": self._command("stopAudio", lambda ask: self._stop(ask, _AUDIO)),
            "stopVideo": self._command("stopVideo", lambda ask: self._stop(ask, _VIDEO)),
            "stopAudioVideo": self._command("stopAudioVideo", lambda ask: self._stop(ask, _AUDIO | _VIDEO)),
            "addAudio": self._command("addAudio", lambda ask: self._add(ask, _AUDIO)),
            "addVideo": self._command("addVideo", lambda ask: self._add(ask, _VIDEO)),
            "addAudioVideo": self._command("addAudioVideo", lambda ask: self._add(ask, _AUDIO | _VIDEO)),
            "escalateAudio": self._escalation("escalateAudio", _AUDIO),
            "escalateAudioVideo": self._escalation("escalateAudioVideo", _AUDIO | _VIDEO),
            "replaceWithPhoneAudio": self._command("replaceWithPhoneAudio", self._replace),
            "audioVideoPolicies": self.conversation.keep("audioVideoPolicies", get=_policies),
            "videoFreeze": self._command("videoFreeze", lambda _: Answer(204)),
            "reportMediaDiagnostics": self._command("reportMediaDiagnostics", lambda ask: diagnose(ask, self.pool)),
        }

    def _command(self, rel: str, handler: Handler) -> Place:
        """Real servers put parameters of their own into such links; they must come back."""
        query = {"conversation": self.pool.directory.word(8)} if rel.startswith("add") else None
        return self.conversation.keep(rel, query=query, post=handler)

    def _escalation(self, rel: str, verb: frozenset[Modality]) -> Place:
        query = {"conversation": self.pool.directory.word(8), "context": "escalate"}
        return self.conversation.keep(rel, query=query, post=lambda ask: escalate(ask, self, verb))

    @property
    def offered(self) -> tuple[str, ...]:
        return links.audio_video(
            self.state,
            self.media,
            conversation_lives=self.conversation.lives,
            invited=self.arrival is not None,
            between_two=self.conversation.state == "Connected",
            has_phone=self.conversation.application.communication.has_phone,
        )

    def properties(self) -> JSON:
        replaces = "Enabled" if self.state == "Connected" else "None"
        return {"supportsReplaces": replaces, "videoSourcesAllowed": "Everyone"}

    def body(self) -> JSON:
        if self.session is not None:
            self.places["audioVideoSession"] = self.session.place
        return super().body()

    def invite(
        self, wanted: Wanted, media: frozenset[Modality], offer: str | None, session_context: str | None
    ) -> Invitation:
        """Return the invitation to a call with these media."""
        self.asked = Asked(media, offer, session_context)
        return Invitation(
            self.conversation,
            wanted,
            rel="audioVideoInvitation",
            modality=self.place,
            cancel=self.places["stopAudioVideo"],
            extra={"sessionContext": session_context},
        )

    def invited(self, media: frozenset[Modality], also: Mapping[str, str] | None = None) -> Invitation:
        """Return the invitation to a call that the client may answer by itself, or have answered on the phone.

        `also` are links that it has besides.
        """
        self.asked = Asked(media)
        offer = sdp.Alternatives(media, chance=self.pool.chance)
        return Invitation(
            self.conversation,
            self.conversation.wanted,
            rel="audioVideoInvitation",
            modality=self.place,
            incoming=True,
            answers={
                "acceptWithAnswer": lambda ask: accept_with_answer(ask, self, offer),
                "acceptWithPhoneAudio": lambda ask: accept_with_phone_audio(ask, self),
                "sendProvisionalAnswer": lambda ask: send_provisional_answer(ask, self, offer),
                "decline": lambda ask: decline(ask, self),
                "reportMediaDiagnostics": lambda ask: diagnose(ask, self.pool),
            },
            extra={"bandwidthControlId": self.pool.guid(), "privateLine": False},
            data={"mediaOffer": offer.uri, **(also or {})},
        )

    def answer_with(self, session_context: str) -> None:
        """The client has answered in a session of that name."""
        self.asked = replace(self.asked, context=session_context)

    def invite_target(self, invitation: Invitation) -> None:
        self.dial(invitation, self.asked.media)

    def inherit(self, other: CallModality) -> None:
        super().inherit(other)
        if isinstance(other, AudioVideo):
            self.asked = other.asked

    # What the network tells.

    def alerted(self, invitation: Invitation) -> None:
        """Endpoints of the other party let media flow early."""
        for number in range(self.pool.settings.provisional_answers):
            self._tell_answer(invitation, "mediaProvisionalAnswer", media=self.asked.media, endpoint=number + 1)

    def connected(self, media: frozenset[Modality], invitation: Invitation) -> None:
        if not media:
            self.invitation = invitation
            self._give_up(NOT_ACCEPTABLE)
            return
        self.state = "Connected"
        self.media = media
        self.conversation.joined()
        if self.session is not None:
            self.session.close()
        self.session = MediaSession(self, context=self.asked.context)
        self._tell_answer(invitation)
        self.conversation.remote.join()
        self.updated()
        self.session.tell("added")
        for modality in sorted(media):
            self.use(modality)
        self.conversation.changed()
        invitation.succeeded()

    def media_changed(self, media: frozenset[Modality]) -> None:
        if self.state != "Connected":
            return
        if not media:
            self.end()
            return
        gained, lost = media - self.media, self.media - media
        self.media = media
        for modality in sorted(lost):
            self.drop(modality)
        invitation = self.invitation if gained else None
        if invitation is not None:
            self.invitation = None
            self._settle()
            self._tell_answer(invitation)
        self.updated()
        for modality in sorted(gained):
            self.use(modality)
        self.conversation.changed()
        if invitation is not None:
            invitation.succeeded()

    def held(self, held: bool) -> None:  # noqa: FBT001 - the value is the message
        """Nothing to tell: UCWA knows hold of audio and video only as a renegotiation by the client."""

    def left_over(self) -> None:
        if self.session is not None:
            self.session.close()
            self.session = None

    def _tell_answer(
        self,
        invitation: Invitation,
        name: str = "mediaAnswer",
        *,
        media: frozenset[Modality] | None = None,
        endpoint: int = 1,
    ) -> None:
        """Deliver a session description of the other party's, in the name of the invitation."""
        if self.asked.offer is None:
            return
        taken = self.media if media is None else media
        answer = sdp.answer_to(self.asked.offer, taken, session=self.pool.chance.randrange(1, 10**9))
        place = self.conversation.keep("audioVideoNegotiation", get=lambda _: Answer(200, body))
        shown: JSON = {
            "self": place.link(),
            "audioVideoInvitation": invitation.place.link(),
            name: {"href": sdp.data_uri(answer)},
        }
        if self.session is not None:
            shown["audioVideoSession"] = self.session.place.link()
        remote = f"{self.conversation.remote.uri};epid={endpoint}"
        body: JSON = {"rel": "audioVideoNegotiation", "remoteEndpoint": remote, "_links": shown}
        if self.asked.context is not None:
            body["sessionContext"] = self.asked.context
        self.conversation.application.emit(invitation.place, place, "updated", body=body)

    # What the client commands.

    def _stop(self, ask: Ask, media: frozenset[Modality]) -> Answer:
        """Stop one medium or both. The reason may come in the query or in the body, which wins."""
        reason = ask.choice("reason", TERMINATION_REASONS)
        ask.check()
        verb = ask.place.rel
        self.require(verb)
        where = "absent"
        if reason is not None:
            where = "body" if any(name.lower() == "reason" for name in ask.object()) else "query"
        self.pool.stops.append(Stop(self.pool.now(), verb, reason or "Unknown", where, self.conversation.place.href))
        remaining = self.media - media
        if self.state == "Connecting":
            return Answer(204, then=self.end)
        if not remaining:
            self.state = "Disconnecting"
            return Answer(204, then=self.hang_up)
        leg = self.leg

        def renegotiate() -> None:
            if leg is not None:
                leg.set_media(remaining, why=reason)

        return Answer(204, then=renegotiate)

    def _add(self, ask: Ask, verb: frozenset[Modality]) -> Answer:
        communication = self.conversation.application.communication
        wanted = communication.wanted(ask)
        media, offer = asked_media(ask, verb)
        session_context = ask.text("sessionContext", maximum=50)
        ask.check()
        self.require(ask.place.rel)
        if self.invitation is not None:
            raise conflict("Media are being added already.", "AlreadyExists")
        target = addresses.any_target(wanted.to)
        communication.claim(wanted.operation_id)
        invitation = self.invite(wanted.aimed(target), media, offer, session_context)
        located = [("Location", invitation.place.href)]
        if self.state == "Connected":
            self.invitation = invitation
            return Answer(201, headers=located, then=lambda: self._renegotiate(invitation))
        self.expect(invitation)
        return Answer(201, headers=located, then=lambda: self.begin(invitation))

    def _replace(self, ask: Ask) -> Answer:
        """Carry the audio of the call on the user's own phone from now on."""
        conversation = self.conversation
        communication, phone = conversation.application.communication, conversation.phone_audio
        wanted = communication.wanted(ask)
        ask.check()
        self.require("replaceWithPhoneAudio")
        if phone.live:
            raise conflict("The phone is being called already.", "AlreadyExists")
        target = addresses.any_target(wanted.to)
        own = communication.own_phone(ask)
        communication.claim(wanted.operation_id)
        invitation = phone.replace(self, wanted.aimed(target), own)
        return Answer(201, headers=[("Location", invitation.place.href)], then=lambda: phone.begin(invitation))

    def _renegotiate(self, invitation: Invitation) -> None:
        invitation.started()
        self.later(self.pool.settings.add_media_takes, lambda: self._far_side_decides(invitation))

    def _far_side_decides(self, invitation: Invitation) -> None:
        """The other party takes more media if it takes them at all."""
        if self.invitation is not invitation or self.leg is None:
            return
        takes_video = self.pool.exchange.behaviour(self.conversation.remote.uri).video
        if Modality.VIDEO in self.asked.media and not takes_video:
            self.invitation = None
            invitation.failed(NOT_ACCEPTABLE)
            return
        self.leg.set_media(self.media | self.asked.media)


def _policies(ask: Ask) -> Answer:
    policies: JSON = {"rel": "audioVideoPolicies", "joinScheduledOnlineMeeting": "Enabled", "multiView": "Disabled"}
    return Answer(200, {**policies, "_links": {"self": ask.place.link()}})
