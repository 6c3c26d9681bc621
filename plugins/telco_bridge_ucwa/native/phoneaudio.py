"""Phone audio beyond the neutral words: the audio that the server carries between two phones."""

from __future__ import annotations

from dataclasses import dataclass

from ..modalities import held_by
from ..resources import PHONE
from ..wire import Resource
from .modality import ModalityState, UcwaModality
from .participants import word_in

__all__ = ["PhoneAudioView", "UcwaPhoneAudio"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PhoneAudioView:
    """Phone audio at one moment. `held` is None where the links do not tell; `offered` are the names of its links."""

    state: ModalityState = ModalityState.UNKNOWN
    native_state: str | None = None
    held: bool | None = None
    offered: frozenset[str] = frozenset()


class UcwaPhoneAudio(UcwaModality):
    """The phone audio of a conversation: `bridge.native(UcwaApplication).conversation(call).phone_audio`.

    A method whose link the server does not offer now raises `TooLate`, and nothing is sent; every method raises
    `ProviderError` where the server says no or cannot be reached.
    """

    rel = "phoneAudio"

    @property
    def view(self) -> PhoneAudioView:
        """Phone audio as events last told of it. Raises `TooLate` where nothing is known of it."""
        return _view(self._known())

    async def refresh(self) -> PhoneAudioView:
        """Read it now. Raises `TooLate` where the conversation is over."""
        return _view(await self._read())

    async def add(self, *, to: str | None = None, phone_number: str | None = None, timeout: float = 90.0) -> None:
        """Ring the user's own phone, then `to`, by default the other party; return once both talk.

        Raises `Refused`, with the reason as its `termination`, where they do not, and `AnswerLost` where nothing tells
        that within `timeout` seconds.
        """
        native = {"to": to, "phoneNumber": phone_number}
        await self._invite(
            "addPhoneAudio", frozenset({PHONE}), native, invitation="phoneAudioInvitation", timeout=timeout
        )

    async def hold(self) -> None:
        """Put the other party on hold."""
        await self._do("holdPhoneAudio")

    async def resume(self) -> None:
        """Take the other party back."""
        await self._do("resumePhoneAudio")

    async def stop(self) -> None:
        """Take both phones down. UCWA takes no reason for that."""
        await self._do("stopPhoneAudio")


def _view(body: Resource) -> PhoneAudioView:
    word = body.text("state")
    return PhoneAudioView(
        state=word_in(ModalityState, word),
        native_state=word,
        held=held_by(body),
        offered=frozenset(body.links) - {"self", "conversation"},
    )
