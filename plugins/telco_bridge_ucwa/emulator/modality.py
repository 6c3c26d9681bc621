"""What phone audio and audio with video share: one call through the network, and the invitation that made it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING

from telco_bridge.media import Modality
from telco_bridge.sandbox.clock import Timer
from telco_bridge.sandbox.exchange import Clearing, Leg, LegEvent, Side

from .answers import Answer
from .derived import derive
from .directory import Place
from .errors import JSON, conflict
from .inputs import Ask
from .invitation import Invitation
from .outcomes import CANCELLED, REMOTE_HANG_UP, TIMEOUT, Outcome, of_clearing

if TYPE_CHECKING:
    from .arrival import Arrival
    from .conversation import Conversation

__all__ = ["CallModality"]


class CallModality(ABC):
    """A modality resource that stands on a call through the network.

    Its state is changed by what the network tells; commands only ask the network.
    """

    pstn = False

    def __init__(self, conversation: Conversation, rel: str) -> None:
        self.conversation = conversation
        self.pool = conversation.pool
        self.place = conversation.keep(rel, get=self._get)
        self.state = "Disconnected"
        self.media: frozenset[Modality] = frozenset()
        self.leg: Leg | None = None
        self.invitation: Invitation | None = None
        self.arrival: Arrival | None = None
        """The call from outside that rings here, until it is decided."""
        self._outcome: Outcome | None = None
        self._timers: list[Timer] = []
        self.places: dict[str, Place] = {}

    @property
    def live(self) -> bool:
        """Whether there is a call, or an attempt at one."""
        return self.state != "Disconnected"

    @property
    @abstractmethod
    def offered(self) -> tuple[str, ...]:
        """The links that the state allows."""

    @abstractmethod
    def connected(self, media: frozenset[Modality], invitation: Invitation) -> None:
        """The other party has answered with these media."""

    @abstractmethod
    def media_changed(self, media: frozenset[Modality]) -> None:
        """The sides have agreed on other media."""

    @abstractmethod
    def alerted(self, invitation: Invitation) -> None:
        """The other party is being alerted."""

    def inherit(self, other: CallModality) -> None:
        """Take over the call that another modality has let ring."""
        self.leg, other.leg = other.leg, None
        if self.leg is not None:
            self.leg.watcher = self._watch

    @abstractmethod
    def held(self, held: bool) -> None:  # noqa: FBT001 - the value is the message
        """The other party was put on hold, or taken back."""

    def body(self) -> JSON:
        """Return the resource."""
        shown = {rel: self.places[rel].link() for rel in self.pool.offers(self.offered) if rel in self.places}
        around = {"self": self.place.link(), "conversation": self.conversation.place.link()}
        return {"rel": self.place.rel, "state": self.state, **self.properties(), "_links": {**around, **shown}}

    def properties(self) -> JSON:
        """Return the properties beside the state."""
        return {}

    def updated(self, reason: JSON | None = None) -> None:
        """Tell that the state or the links changed."""
        self.conversation.tell(self.place, "updated", body=self.body(), reason=reason)

    def _get(self, _: Ask) -> Answer:
        return Answer(200, self.body())

    def require(self, *rels: str) -> None:
        """Refuse a command whose link is not offered now."""
        offered = self.pool.offers(self.offered)
        if not any(rel in offered for rel in rels):
            raise conflict(f"{self.place.rel} is {self.state} and does not allow that now.")

    # The way to a call.

    def expect(self, invitation: Invitation) -> None:
        """An invitation has been accepted for processing; nobody has been told of it yet."""
        self.invitation = invitation
        self.state = "Connecting"

    def begin(self, invitation: Invitation) -> None:
        """The invitation goes out: tell so, and give up when nobody takes it in time."""
        self._outcome = None
        invitation.started()
        self.conversation.announce()
        self.updated()
        self.later(self.pool.settings.ring_timeout, lambda: self._give_up(TIMEOUT))
        self.invite_target(invitation)

    def ring(self, invitation: Invitation, arrival: Arrival) -> None:
        """Somebody calls: tell so, and leave it to the client."""
        self.expect(invitation)
        self.arrival = arrival
        self._outcome = None
        invitation.started()
        self.conversation.announce()
        self.conversation.remote.join()

    def take(self, leg: Leg, invitation: Invitation, media: frozenset[Modality]) -> None:
        """The call from outside is answered here, with these media."""
        self.arrival = None
        self.invitation = invitation
        self.state = "Connecting"
        self.leg = leg
        leg.watcher = self._watch
        leg.answer(media)

    def lost(self, outcome: Outcome) -> None:
        """The call from outside is not answered here any more."""
        self.arrival = None
        self._attempt_failed(outcome)

    @abstractmethod
    def invite_target(self, invitation: Invitation) -> None:
        """Take the steps that lead to the call."""

    def dial(self, invitation: Invitation, media: frozenset[Modality]) -> None:
        """Call the other party."""
        self.leg = self.pool.exchange.call(
            caller=self.pool.settings.uri, callee=invitation.wanted.to, media=media, watcher=self._watch
        )

    def later(self, seconds: float, action: Callable[[], None]) -> None:
        """Run the action at that time, unless the call has ended or the attempt is settled before."""
        self._timers.append(self.pool.after(seconds, action))

    def _settle(self) -> None:
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()

    def _give_up(self, outcome: Outcome) -> None:
        """End an attempt that nobody has taken."""
        if self.invitation is None or self.state != "Connecting":
            return
        self._outcome = outcome
        if self.leg is not None:
            self.leg.hang_up(by=self.leg.ours)
        else:
            self._attempt_failed(outcome)

    # What the network tells.

    def _watch(self, leg: Leg, event: LegEvent) -> None:
        """Take a fact of the network's, in its thread, with what was true at that moment."""
        media, held, clearing = leg.media, leg.held, leg.clearing
        self.pool.post(lambda: self._heard(leg, event, media, held, clearing))

    def _heard(
        self,
        leg: Leg,
        event: LegEvent,
        media: frozenset[Modality],
        held: bool,  # noqa: FBT001 - a fact among others
        clearing: Clearing | None,
    ) -> None:
        if leg is not self.leg:
            return
        match event:
            case LegEvent.RINGING if self.invitation is not None:
                self.invitation.alerting()
                self.alerted(self.invitation)
            case LegEvent.ANSWERED if self.invitation is not None:
                invitation, self.invitation = self.invitation, None
                self._settle()
                taker = self.pool.settings.answered_by.get(invitation.wanted.to) if leg.ours is Side.CALLER else None
                if taker is None:
                    self.connected(media, invitation)
                else:
                    derive(self, taker, media, invitation)
            case LegEvent.MEDIA:
                self.media_changed(media)
            case LegEvent.HELD:
                self.held(held)
            case LegEvent.CLEARED if clearing is not None:
                self._cleared(clearing)
            case _:
                pass

    def _cleared(self, clearing: Clearing) -> None:
        ours, self.leg = self.leg.ours if self.leg is not None else Side.CALLER, None
        if self.state == "Connecting":
            self._attempt_failed(self._outcome or of_clearing(clearing, pstn=self.pstn))
            return
        if self.invitation is not None:
            invitation, self.invitation = self.invitation, None
            invitation.failed(CANCELLED)
        by_us = self.state == "Disconnecting" or clearing.by is ours
        self._over(None if by_us else REMOTE_HANG_UP)

    def _attempt_failed(self, outcome: Outcome) -> None:
        invitation, self.invitation = self.invitation, None
        if invitation is not None:
            invitation.failed(outcome)
        self._over(None)

    def _over(self, reason: JSON | None) -> None:
        """Nothing is left of the call: tell so, the media of each party, then the conversation."""
        self._settle()
        self.leg = None
        self.state = "Disconnected"
        ended, self.media = self.media, frozenset()
        self.updated(reason)
        self.left_over()
        for modality in sorted(ended):
            self.drop(modality)
        self.conversation.modality_ended(reason, had_media=bool(ended))

    @abstractmethod
    def left_over(self) -> None:
        """Tell what else has ended with the call."""

    def use(self, modality: Modality) -> None:
        """Both parties begin to use a medium; in a conference, the user alone."""
        for party in self.conversation.parties:
            party.use(modality)

    def drop(self, modality: Modality) -> None:
        """Both parties use a medium no longer; in a conference, the user alone."""
        for party in reversed(self.conversation.parties):
            party.drop(modality)

    # The way out.

    def end(self) -> None:
        """End the call, or the attempt at one, from this side."""
        match self.state:
            case "Connecting" if self.arrival is not None:
                self.arrival.left(self)
            case "Connecting":
                self._give_up(CANCELLED)
            case "Connected" | "Transferring":
                self.state = "Disconnecting"
                self.hang_up()
            case _:
                pass

    def hang_up(self) -> None:
        """Let go of the call that is up."""
        if self.leg is not None:
            self.leg.hang_up(by=self.leg.ours)

    def join_conference(self, focus: str) -> Leg | None:
        """Let this side's call go to the conference, and return the one to the other party."""
        before = self.leg
        if before is None or self.state not in ("Connected", "Transferring"):
            return None
        caller = self.pool.settings.uri
        self.leg = self.pool.exchange.call(caller=caller, callee=focus, media=before.media, watcher=self._watch)
        if before.held:
            # Nobody is on hold in a conference that was called anew.
            before.set_held(False)
            self.held(False)  # noqa: FBT003 - the value is the message
        return before

    def transferring(self) -> None:
        """The call is being moved to somebody."""
        if self.state == "Connected":
            self.state = "Transferring"
            self.updated()

    def transfer_failed(self, reason: JSON) -> None:
        """The call is moved to nobody, and goes on as it was."""
        if self.state == "Transferring":
            self.state = "Connected"
            self.updated(reason)

    def give_way(self, reason: JSON) -> None:
        """The call goes on elsewhere."""
        self._over(reason)

    def cut(self, reason: JSON) -> None:
        """End the call for this side, because it was removed from the conference."""
        leg, self.leg = self.leg, None
        if leg is not None:
            leg.hang_up(by=leg.far)
        invitation, self.invitation = self.invitation, None
        if invitation is not None:
            invitation.failed(CANCELLED)
        self._over(reason)

    def abandon(self) -> None:
        """Let go of everything, and tell nobody."""
        self._settle()
        leg, self.leg = self.leg, None
        arrival, self.arrival = self.arrival, None
        self.invitation = None
        self.state = "Disconnected"
        self.media = frozenset()
        if arrival is not None:
            # Others may still answer it; this client is asked no more.
            arrival.forget(self)
        if leg is not None:
            leg.hang_up(by=leg.ours)
