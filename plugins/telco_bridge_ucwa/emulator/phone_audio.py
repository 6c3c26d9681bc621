"""Phone audio: the server rings the user's own phone, then calls the other party, and joins the two."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from telco_bridge.media import Modality

from . import addresses, links
from .answering import decline
from .answers import Answer
from .inputs import Ask
from .invitation import Invitation, Wanted
from .modality import CallModality
from .outcomes import CANCELLED, REPLACED

if TYPE_CHECKING:
    from .conversation import Conversation

__all__ = ["PhoneAudio"]

_AUDIO = frozenset({Modality.AUDIO})


class PhoneAudio(CallModality):
    """The `phoneAudio` resource of one conversation, which serves one call after another."""

    pstn = True

    def __init__(self, conversation: Conversation) -> None:
        super().__init__(conversation, "phoneAudio")
        self._held = False
        self._replaced: CallModality | None = None
        keep = conversation.keep
        self.places = {
            "stopPhoneAudio": keep("stopPhoneAudio", post=self._stop),
            "holdPhoneAudio": keep("holdPhoneAudio", post=lambda _: self._hold("holdPhoneAudio")),
            "resumePhoneAudio": keep("resumePhoneAudio", post=lambda _: self._hold("resumePhoneAudio")),
            "addPhoneAudio": keep("addPhoneAudio", query={"conversation": self.pool.directory.word(8)}, post=self._add),
        }

    @property
    def offered(self) -> tuple[str, ...]:
        return links.phone_audio(
            self.state,
            held=self._held,
            conversation_lives=self.conversation.lives,
            invited=self.arrival is not None,
        )

    def invite(self, wanted: Wanted, own_number: str) -> Invitation:
        """Return the invitation to a call from the user's own phone."""
        return Invitation(
            self.conversation,
            wanted,
            rel="phoneAudioInvitation",
            modality=self.place,
            cancel=self.places["stopPhoneAudio"],
            extra={"phoneNumber": own_number},
        )

    def invite_target(self, invitation: Invitation) -> None:
        """Ring the user's own phone first; nobody is told when it is picked up."""
        self._held = False
        picked_up = self.pool.settings.own_phone_answers_after
        if picked_up is not None:
            self.later(picked_up, lambda: self._picked_up(invitation))

    def replace(self, modality: CallModality, wanted: Wanted, own_number: str) -> Invitation:
        """Return the invitation to carry the audio of another modality's call on the user's own phone."""
        self._replaced = modality
        invitation = self.invite(wanted, own_number)
        self.expect(invitation)
        return invitation

    def _picked_up(self, invitation: Invitation) -> None:
        replaced = self._replaced
        if replaced is not None and not replaced.live:
            # The other party has gone meanwhile, and is not called anew.
            self._give_up(CANCELLED)
            return
        if replaced is None or replaced.media != _AUDIO:
            self.dial(invitation, _AUDIO)
            return
        # The call itself goes over to the phone.
        self._replaced = None
        self.inherit(replaced)
        self.invitation = None
        self._settle()
        replaced.give_way(REPLACED)
        self.connected(_AUDIO, invitation)

    def invited(self, also: Mapping[str, str] | None = None) -> Invitation:
        """Return the invitation to a call that rings the user's own phone, because the user wants it so.

        `also` are links that it has besides.
        """
        return Invitation(
            self.conversation,
            self.conversation.wanted,
            rel="phoneAudioInvitation",
            modality=self.place,
            incoming=True,
            answers={"decline": lambda ask: decline(ask, self)},
            data=also,
        )

    def ring_own_phone(self, picked_up: Callable[[], None]) -> None:
        """Let the user's own phone ring, for as long as the call is not decided."""
        self._held = False
        after = self.pool.settings.own_phone_answers_after
        if after is not None:
            self.later(after, picked_up)

    def alerted(self, invitation: Invitation) -> None:
        """Nothing: what sounds early is heard on the phone."""

    def connected(self, media: frozenset[Modality], invitation: Invitation) -> None:
        self.state = "Connected"
        self.media = media
        replaced, self._replaced = self._replaced, None
        if replaced is not None and replaced.leg is not None:
            replaced.leg.set_media(replaced.media - media)
        self.conversation.joined()
        self.conversation.remote.join()
        self.use(Modality.AUDIO)
        self.updated()
        self.conversation.changed()
        invitation.succeeded()

    def media_changed(self, media: frozenset[Modality]) -> None:
        """A phone carries audio or nothing: without audio the call is over."""
        if not media and self.state == "Connected":
            self.end()

    def held(self, held: bool) -> None:  # noqa: FBT001 - the value is the message
        self._held = held
        if self.state == "Connected":
            self.updated()

    def left_over(self) -> None:
        self._replaced = None

    def _stop(self, _: Ask) -> Answer:
        self.require("stopPhoneAudio")
        if self.state == "Connecting":
            return Answer(204, then=self.end)
        self.state = "Disconnecting"
        return Answer(204, then=self._disconnect)

    def _disconnect(self) -> None:
        """Both legs are taken down, which takes the server a moment in which the state can be seen."""
        self.updated()
        self.later(self.pool.settings.hang_up_takes, self.hang_up)

    def _hold(self, rel: str) -> Answer:
        self.require(rel)
        leg = self.leg

        def change() -> None:
            if leg is not None:
                leg.set_held(rel == "holdPhoneAudio")

        return Answer(204, then=change)

    def _add(self, ask: Ask) -> Answer:
        communication = self.conversation.application.communication
        wanted = communication.wanted(ask)
        ask.check()
        self.require("addPhoneAudio")
        target = addresses.phone_target(wanted.to)
        own = communication.own_phone(ask)
        communication.claim(wanted.operation_id)
        invitation = self.invite(wanted.aimed(target), own)
        self.expect(invitation)
        return Answer(201, headers=[("Location", invitation.place.href)], then=lambda: self.begin(invitation))
