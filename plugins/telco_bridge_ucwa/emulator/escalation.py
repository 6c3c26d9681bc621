"""How a conversation becomes a conference: somebody is added, or the client moves its own media there."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from telco_bridge.media import Modality
from telco_bridge.sandbox.clock import Timer
from telco_bridge.sandbox.exchange import Clearing, Leg, LegEvent

from . import addresses, sdp
from .answers import Answer
from .errors import conflict, invalid
from .inputs import Ask
from .invitation import Invitation
from .outcomes import CANCELLED, ESCALATION_FAILED, TIMEOUT, Outcome, of_clearing
from .party import Party, name_of

if TYPE_CHECKING:
    from .audio_video import AudioVideo
    from .conversation import Conversation

__all__ = ["Calling", "add_participant", "escalate"]

_PATIENCE = 30.0
"""UCWA documents that participants' invitations fail after about that many seconds."""


def escalate(ask: Ask, audio_video: AudioVideo, verb: frozenset[Modality]) -> Answer:
    """Move the client's own media into a conference, with a session description for it in the body."""
    conversation = audio_video.conversation
    operation_id = ask.text("operationId", maximum=50, required=True)
    session_context = ask.text("sessionContext", maximum=50, required=True)
    try:
        offer = ask.body.decode("utf-8-sig")
        media = verb & sdp.offered_media(offer)
    except ValueError:
        offer, media = "", frozenset[Modality]()
    if not media:
        # A real server answers this and nothing else where it does not like the description.
        ask.wrong("sdp")
    ask.check()
    audio_video.require(ask.place.rel)
    if audio_video.invitation is not None:
        raise conflict("Media are being added already.", "AlreadyExists")
    conversation.application.communication.claim(operation_id)
    wanted = replace(conversation.wanted, operation_id=operation_id)
    invitation = audio_video.invite(wanted, media, offer, session_context)
    audio_video.invitation = invitation

    def begin() -> None:
        if audio_video.invitation is invitation:
            invitation.started()
            conversation.escalate(moved)

    def moved() -> None:
        if conversation.conference is None and audio_video.invitation is invitation:
            audio_video.invitation = None
            invitation.failed(ESCALATION_FAILED)

    return Answer(201, invitation.body(), then=begin)


def add_participant(ask: Ask, conversation: Conversation) -> Answer:
    """Call somebody into the conversation."""
    to = ask.text("to", required=True) or ""
    operation_id = ask.text("operationId", maximum=50)
    ask.check()
    conversation.require("addParticipant")
    target = addresses.any_target(to)
    if any(party.uri == target for party in conversation.others):
        raise invalid(to="Invalid")
    conversation.application.communication.claim(operation_id)
    calling = Calling(conversation, target, operation_id)
    return Answer(201, headers=[("Location", calling.invitation.place.href)], then=calling.begin)


class Calling:
    """Somebody is called into a conference, by a call of its own, for as long as the inviting side is in it."""

    def __init__(self, conversation: Conversation, target: str, operation_id: str | None) -> None:
        self._conversation = conversation
        self._pool = conversation.pool
        self._party = Party(target, name_of(target))
        self._leg: Leg | None = None
        self._patience: Timer | None = None
        self.invitation = Invitation(
            conversation,
            replace(conversation.wanted, to=target, operation_id=operation_id),
            rel="participantInvitation",
            cancel=conversation.keep("cancel", post=self._cancel),
        )
        conversation.callings.append(self)

    def begin(self) -> None:
        """Tell of the invitation; a call of two becomes a conference first."""
        if self.invitation.pending:
            self.invitation.started()
            self._conversation.escalate(self._call)

    def _call(self) -> None:
        if not self.invitation.pending:
            return
        if self._conversation.conference is None:
            self._fail(ESCALATION_FAILED)
            return
        self._patience = self._pool.after(_PATIENCE, lambda: self._fail(TIMEOUT))
        words = self._conversation.media
        media = frozenset(modality for modality in (Modality.AUDIO, Modality.VIDEO) if modality.value.title() in words)
        self._leg = self._pool.exchange.call(
            caller=self._pool.settings.uri,
            callee=self._party.uri,
            media=media or frozenset({Modality.AUDIO}),
            watcher=self._watch,
        )

    def _cancel(self, _: Ask) -> Answer:
        if not self.invitation.pending:
            raise conflict("The invitation was decided already.")
        return Answer(204, then=self._give_up)

    def _give_up(self) -> None:
        if self.invitation.pending:
            self._fail(CANCELLED)

    def withdraw(self) -> None:
        """Call no longer, because the inviting side leaves, and tell so."""
        self._fail(CANCELLED if self._conversation.conference is not None else ESCALATION_FAILED)

    def let_go(self) -> None:
        """Call no longer, and tell nobody."""
        self._settle()
        self.invitation.pending = False
        leg, self._leg = self._leg, None
        if leg is not None:
            leg.hang_up(by=leg.ours)

    def _fail(self, outcome: Outcome) -> None:
        self.let_go()
        self.invitation.failed(outcome)

    def _watch(self, leg: Leg, event: LegEvent) -> None:
        media, clearing = leg.media, leg.clearing
        self._pool.post(lambda: self._heard(leg, event, media, clearing))

    def _heard(self, leg: Leg, event: LegEvent, media: frozenset[Modality], clearing: Clearing | None) -> None:
        conference = self._conversation.conference
        if leg is not self._leg:
            return
        match event:
            case LegEvent.RINGING:
                self.invitation.alerting()
            case LegEvent.ANSWERED if conference is not None:
                self._settle()
                self._leg = None
                self._party.uses = set(media)
                conference.enter(self._party)
                conference.call(self._party, leg)
                self.invitation.taker = self._conversation.participant(self._party)
                self.invitation.succeeded()
            case LegEvent.CLEARED if clearing is not None:
                self._fail(of_clearing(clearing, pstn=False))
            case _:
                pass

    def _settle(self) -> None:
        if self in self._conversation.callings:
            self._conversation.callings.remove(self)
        if self._patience is not None:
            self._patience.cancel()
