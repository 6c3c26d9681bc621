"""A call from outside: it rings at every client of the user that is available, until one of them decides."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from telco_bridge.media import Modality
from telco_bridge.sandbox.clock import Timer
from telco_bridge.sandbox.exchange import Leg, LegEvent, LegState, Side

from .answers import Answer
from .conversation import Conversation
from .errors import JSON
from .invitation import Invitation, Wanted
from .outcomes import CALLER_GAVE_UP, DECLINED_ELSEWHERE, DECLINED_HERE, ELSEWHERE, FORWARDED, MISSED, REPLACED, Outcome

if TYPE_CHECKING:
    from .application import Application
    from .modality import CallModality
    from .pool import Pool

__all__ = ["Arrival", "listen"]

_AUDIO = frozenset({Modality.AUDIO})


def listen(pool: Pool, applications: Sequence[Application]) -> None:
    """Take the calls that the network has for the user, by SIP address or by number, to those of the applications."""
    for address in (pool.settings.uri, pool.settings.phone_number):
        pool.exchange.register(address, lambda leg: Arrival(pool, leg, applications).announce())


class Arrival:
    """One call from outside, with the invitations that it has become: at most one for each client."""

    def __init__(
        self, pool: Pool, leg: Leg, applications: Sequence[Application] = (), *, replaces: CallModality | None = None
    ) -> None:
        self._pool = pool
        self._applications = applications
        self._replaces = replaces
        self._leg = leg
        self._ringing: list[CallModality] = []
        self._decided = False
        self._patience: Timer | None = None

    def announce(self) -> None:
        """Ring, in the emulator's loop. Called by the network."""
        self._leg.watcher = self._watch
        self._pool.post(self._ring)

    # What the clients decide.

    def accept(self, modality: CallModality, invitation: Invitation, media: frozenset[Modality]) -> None:
        """Answer with these media; every other client is told that it was answered elsewhere.

        Nothing happens where the caller has gone away meanwhile, of which news is on its way.
        """
        with self._pool.exchange.lock:
            if self._decided or self._leg.state is LegState.DOWN:
                return
            self._decide()
            modality.take(self._leg, invitation, media)
        self._tell_others(modality, ELSEWHERE)
        if self._replaces is not None:
            self._replaces.cut(REPLACED)

    def decline(self, modality: CallModality, *, everywhere: bool) -> None:
        """Refuse the call at one client, or for the user."""
        if everywhere:
            self._decide()
            self._tell_others(modality, DECLINED_ELSEWHERE)
            self._leg.refuse(603, "Decline")
        self._leave(modality, DECLINED_HERE)

    def hand_over(self, audio_video: CallModality, phone: CallModality) -> None:
        """A client wants the call answered on the user's phone, which rings in its place."""
        self._ringing[self._ringing.index(audio_video)] = phone
        phone.invitation, audio_video.invitation = audio_video.invitation, None
        phone.arrival, audio_video.arrival = self, None
        phone.state, audio_video.state = "Connecting", "Disconnected"

    def left(self, modality: CallModality) -> None:
        """A client leaves the conversation without a word about the call."""
        self._leave(modality, DECLINED_HERE)

    def forget(self, modality: CallModality) -> None:
        """A client has gone away. The call goes on to ring wherever else the user may be."""
        self._ringing.remove(modality)

    # What the user does elsewhere.

    def answer_elsewhere(self) -> None:
        """The user takes it on a phone of which no client here knows."""
        self._settle(ELSEWHERE)
        self._leg.answer()

    def decline_elsewhere(self) -> None:
        """The user refuses it on such a phone."""
        self._settle(DECLINED_ELSEWHERE, 603, "Decline")

    def forward(self) -> None:
        """Somebody to whom the user forwards calls takes it."""
        self._settle(FORWARDED, 480, "Temporarily Unavailable")

    # What the network tells.

    def _watch(self, leg: Leg, event: LegEvent) -> None:
        if event is LegEvent.CLEARED and leg.clearing is not None and leg.clearing.by is not Side.CALLEE:
            self._pool.post(lambda: self._settle(CALLER_GAVE_UP))

    def _ring(self) -> None:
        if self._leg.state is LegState.DOWN:
            return
        reached = [application for application in self._applications if self._reaches(application)]
        if self._replaces is not None:
            reached = [self._replaces.conversation.application] if self._replaces.live else []
        if not reached:
            self._leg.refuse(480, "Temporarily Unavailable", by=Side.NETWORK)
            return
        self._patience = self._pool.after(
            self._pool.settings.ring_timeout, lambda: self._settle(MISSED, 480, "Temporarily Unavailable")
        )
        for application in reached:
            self._ring_at(application)
        self._leg.ring()

    def _reaches(self, application: Application) -> bool:
        communication = application.communication
        takes = communication.prefers_phone or bool(self._leg.media & communication.voip_modalities)
        return application.me.available and takes

    def _ring_at(self, application: Application) -> None:
        communication = application.communication
        wanted = Wanted(
            to=self._leg.caller if ":" in self._leg.caller else f"tel:{self._leg.caller}",
            operation_id=None,
            importance="Normal",
            subject="",
            thread_id=self._pool.guid().replace("-", ""),
        )
        replaced = self._replaces
        by_phone = communication.prefers_phone if replaced is None else replaced.pstn
        offered = _AUDIO if by_phone else self._leg.media
        if not by_phone and replaced is None:
            offered &= communication.voip_modalities
        conversation = communication.receive(wanted, offered)
        also = self._succession(conversation)
        modality = conversation.phone_audio if by_phone else conversation.audio_video
        self._ringing.append(modality)
        if by_phone:
            phone = conversation.phone_audio
            invitation = phone.invited(also)
            phone.ring(invitation, self)
            phone.updated()
            phone.ring_own_phone(lambda: self._picked_up(conversation, invitation))
        else:
            conversation.audio_video.ring(conversation.audio_video.invited(offered, also), self)

    def _succession(self, conversation: Conversation) -> dict[str, str]:
        """The links that name the call whose place this one takes, and who hands it over."""
        if self._replaces is None:
            return {}
        rel, mover = self._replaces.place.rel, self._replaces.conversation.remote
        contact: JSON = {"rel": "contact", "uri": mover.uri, "name": mover.name}
        place = conversation.keep(
            "transferredBy", get=lambda ask: Answer(200, {**contact, "_links": {"self": ask.place.link()}})
        )
        links = {f"replaces{rel[0].upper()}{rel[1:]}": self._replaces.place.link(), "transferredBy": place.link()}
        return {name: str(link["href"]) for name, link in links.items()}

    def _picked_up(self, conversation: Conversation, invitation: Invitation) -> None:
        self.accept(conversation.phone_audio, invitation, _AUDIO)

    # The end of ringing.

    def _decide(self) -> None:
        self._decided = True
        if self._patience is not None:
            self._patience.cancel()

    def _settle(self, outcome: Outcome, sip: int | None = None, phrase: str = "") -> None:
        """It rings nowhere any more."""
        if self._decided:
            return
        self._decide()
        if sip is not None:
            self._leg.refuse(sip, phrase, by=Side.CALLEE)
        self._tell_others(None, outcome)

    def _tell_others(self, decider: CallModality | None, outcome: Outcome) -> None:
        others = [modality for modality in self._ringing if modality is not decider]
        self._ringing = []
        for modality in others:
            modality.lost(outcome)

    def _leave(self, modality: CallModality, outcome: Outcome) -> None:
        if modality in self._ringing:
            self._ringing.remove(modality)
        if not self._ringing and not self._decided:
            self._decide()
            self._leg.refuse(480, "Temporarily Unavailable")
        modality.lost(outcome)
