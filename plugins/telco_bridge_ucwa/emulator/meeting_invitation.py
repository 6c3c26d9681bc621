"""An invitation into a meeting: it reaches every client of the user that is available, until one of them decides."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from .answering import DECLINE_REASONS
from .answers import Answer
from .conference import Conference
from .errors import conflict
from .inputs import Ask
from .invitation import Invitation, Wanted
from .outcomes import CALLER_GAVE_UP, DECLINED_ELSEWHERE, DECLINED_HERE, ELSEWHERE, MISSED, Outcome
from .party import Party, name_of

if TYPE_CHECKING:
    from .application import Application
    from .conversation import Conversation
    from .pool import Pool

__all__ = ["MeetingInvitation"]


class MeetingInvitation:
    """What a party of a conference sends to the user, at most one invitation for each client."""

    def __init__(self, pool: Pool, conference: Conference, inviter: str, *, subject: str) -> None:
        self._pool = pool
        self._conference = conference
        self._inviter = inviter
        self._subject = subject
        self._open: dict[Conversation, Invitation] = {}

    def send(self, applications: Sequence[Application]) -> None:
        """Come in, in the emulator's loop. Whoever invites is in the meeting."""
        known = {party.uri for party in self._conference.parties}
        if self._inviter not in known:
            inviter = Party(self._inviter, name_of(self._inviter), role="Leader", organizer=True)
            self._conference.enter(inviter)
        for application in applications:
            if application.me.available:
                self._reach(application)
        self._pool.after(self._pool.settings.ring_timeout, lambda: self._settle(MISSED))

    def withdraw(self) -> None:
        """Whoever invites takes it back."""
        self._settle(CALLER_GAVE_UP)

    def _reach(self, application: Application) -> None:
        wanted = Wanted(
            to=self._inviter,
            operation_id=None,
            importance="Normal",
            subject=self._subject,
            thread_id=self._pool.guid().replace("-", ""),
        )
        conversation = application.communication.open_meeting(wanted, incoming=True)
        invitation = self._open[conversation] = Invitation(
            conversation,
            wanted,
            rel="onlineMeetingInvitation",
            incoming=True,
            answers={
                "accept": lambda _: self._accept(conversation),
                "decline": lambda ask: self._decline(ask, conversation),
            },
            extra={"onlineMeetingUri": self._conference.uri, "availableModalities": ["Audio", "Video"]},
        )
        conversation.invited(invitation, given_up=lambda: self._leave(conversation, DECLINED_HERE))

    def _accept(self, conversation: Conversation) -> Answer:
        invitation = self._undecided(conversation)
        invitation.taken = True

        def enter() -> None:
            if self._open.pop(conversation, None) is not None:
                invitation.updated()
                conversation.enter(self._conference, waits=False)
                self._settle(ELSEWHERE)

        return Answer(204, then=enter)

    def _decline(self, ask: Ask, conversation: Conversation) -> Answer:
        reason = ask.choice("reason", DECLINE_REASONS)
        ask.check()
        self._undecided(conversation)

        def refuse() -> None:
            self._leave(conversation, DECLINED_HERE)
            if reason == "Global":
                self._settle(DECLINED_ELSEWHERE)

        return Answer(204, then=refuse)

    def _undecided(self, conversation: Conversation) -> Invitation:
        invitation = self._open.get(conversation)
        if invitation is None or invitation.taken:
            raise conflict("The invitation was decided already.")
        return invitation

    def _leave(self, conversation: Conversation, outcome: Outcome) -> None:
        if self._open.pop(conversation, None) is not None:
            conversation.not_taken(outcome)

    def _settle(self, outcome: Outcome) -> None:
        """Nobody can take it any more."""
        for conversation in list(self._open):
            self._leave(conversation, outcome)
