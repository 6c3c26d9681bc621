"""Audio and video over the client's own media: offers, answers, and each medium added and stopped by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from telco_bridge.media import Modality

from . import addresses, links, sdp
from .answering import accept_with_answer, accept_with_phone_audio, decline, send_provisional_answer
from .answers import Answer
from .directory import Handler, Place
from .errors import JSON, conflict
from .inputs import Ask
from .invitation import Invitation, Wanted
from .modality import CallModality
from .outcomes import NOT_ACCEPTABLE
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
        self._asked: frozenset[Modality] = frozenset()
        self._offer: str | None = None
        self._session_context: str | None = None
        self._session: Place | None = None
        self.places = {
            "stopAudio": self._command("stopAudio", lambda ask: self._stop(ask, _AUDIO)),
            "stopVideo": self._command("stopVideo", lambda ask: self._stop(ask, _VIDEO)),
            "stopAudioVideo": self._command("stopAudioVideo", lambda ask: self._stop(ask, _AUDIO | _VIDEO)),
            "addAudio": self._command("addAudio", lambda ask: self._add(ask, _AUDIO)),
            "addVideo": self._command("addVideo", lambda ask: self._add(ask, _VIDEO)),
            "addAudioVideo": self._command("addAudioVideo", lambda ask: self._add(ask, _AUDIO | _VIDEO)),
            "reportMediaDiagnostics": self._command("reportMediaDiagnostics", lambda _: Answer(204)),
        }

    def _command(self, rel: str, handler: Handler) -> Place:
        """Real servers put parameters of their own into such links; they must come back."""
        query = {"conversation": self.pool.directory.word(8)} if rel.startswith("add") else None
        return self.conversation.keep(rel, query=query, post=handler)

    @property
    def offered(self) -> tuple[str, ...]:
        return links.audio_video(
            self.state,
            self.media,
            conversation_lives=self.conversation.lives,
            invited=self.arrival is not None,
        )

    def properties(self) -> JSON:
        return {"supportsReplaces": "Enabled" if self.state == "Connected" else "None"}

    def body(self) -> JSON:
        if self._session is not None:
            self.places["audioVideoSession"] = self._session
        return super().body()

    def invite(
        self, wanted: Wanted, media: frozenset[Modality], offer: str | None, session_context: str | None
    ) -> Invitation:
        """Return the invitation to a call with these media."""
        self._asked, self._offer, self._session_context = media, offer, session_context
        return Invitation(
            self.conversation,
            wanted,
            rel="audioVideoInvitation",
            modality=self.place,
            cancel=self.places["stopAudioVideo"],
            extra={"sessionContext": session_context},
        )

    def invited(self, media: frozenset[Modality]) -> Invitation:
        """Return the invitation to a call that the client may answer by itself, or have answered on the phone."""
        self._asked, self._offer, self._session_context = media, None, None
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
                "reportMediaDiagnostics": lambda _: Answer(204),
            },
            extra={"bandwidthControlId": self.pool.guid(), "privateLine": False},
            data={"mediaOffer": offer.uri},
        )

    def answer_with(self, session_context: str) -> None:
        """The client has answered in a session of that name."""
        self._session_context = session_context

    def invite_target(self, invitation: Invitation) -> None:
        self.dial(invitation, self._asked)

    # What the network tells.

    def connected(self, media: frozenset[Modality], invitation: Invitation) -> None:
        if not media:
            self.invitation = invitation
            self._give_up(NOT_ACCEPTABLE)
            return
        self.state = "Connected"
        self.media = media
        self.conversation.joined()
        self._session = self.conversation.keep("audioVideoSession", get=self._get_session)
        self._tell_answer(invitation)
        self.conversation.remote.join()
        self.updated()
        self._tell_session("added")
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
        if self._session is not None:
            self._tell_session("deleted")
            self.pool.directory.retire(self._session)
            self._session = None

    def _tell_answer(self, invitation: Invitation) -> None:
        """Deliver the other party's session description, in the name of the invitation."""
        if self._offer is None:
            return
        answer = sdp.answer_to(self._offer, self.media, session=self.pool.chance.randrange(1, 10**9))
        place = self.conversation.keep("audioVideoNegotiation", get=lambda _: Answer(200, body))
        shown: JSON = {
            "self": place.link(),
            "audioVideoInvitation": invitation.place.link(),
            "mediaAnswer": {"href": sdp.data_uri(answer)},
        }
        if self._session is not None:
            shown["audioVideoSession"] = self._session.link()
        body: JSON = {"rel": "audioVideoNegotiation", "remoteEndpoint": self._remote_endpoint, "_links": shown}
        if self._session_context is not None:
            body["sessionContext"] = self._session_context
        self.conversation.application.emit(invitation.place, place, "updated", body=body)

    # The media session.

    @property
    def _remote_endpoint(self) -> str:
        return f"{self.conversation.remote.uri};epid=1"

    def _get_session(self, _: Ask) -> Answer:
        return Answer(200, self._session_body())

    def _session_body(self) -> JSON:
        session = self._session
        assert session is not None  # noqa: S101 - its place is retired before the session is dropped
        body: JSON = {"rel": "session", "state": "Established", "remoteEndpoint": self._remote_endpoint}
        if self._session_context is not None:
            body["sessionContext"] = self._session_context
        around = {"audioVideo": self.place.link(), "conversation": self.conversation.place.link()}
        body["_links"] = {"self": session.link(), **around}
        return body

    def _tell_session(self, type: str) -> None:  # noqa: A002 - UCWA's own word
        session = self._session
        if session is not None:
            application = self.conversation.application
            body = None if type == "deleted" else self._session_body()
            application.emit(application.communication.place, session, type, body=body)

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

    def _renegotiate(self, invitation: Invitation) -> None:
        invitation.started()
        self.later(self.pool.settings.add_media_takes, lambda: self._far_side_decides(invitation))

    def _far_side_decides(self, invitation: Invitation) -> None:
        """The other party takes more media if it takes them at all."""
        if self.invitation is not invitation or self.leg is None:
            return
        takes_video = self.pool.exchange.behaviour(self.conversation.remote.uri).video
        if Modality.VIDEO in self._asked and not takes_video:
            self.invitation = None
            invitation.failed(NOT_ACCEPTABLE)
            return
        self.leg.set_media(self.media | self._asked)
