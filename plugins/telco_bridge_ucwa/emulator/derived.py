"""Conversations that are derived from others, because somebody else answered than the one who was called."""

from __future__ import annotations

from typing import TYPE_CHECKING

from telco_bridge.media import Modality

from .outcomes import DERIVED

if TYPE_CHECKING:
    from .invitation import Invitation
    from .modality import CallModality

__all__ = ["derive"]


def derive(modality: CallModality, taker: str, media: frozenset[Modality], invitation: Invitation) -> None:
    """Let the call go on with whoever has answered it, in a conversation of their own, and the one before end."""
    communication = modality.conversation.application.communication
    conversation = communication.derive(invitation.wanted.aimed(taker))
    other = conversation.phone_audio if modality.pstn else conversation.audio_video
    other.inherit(modality)
    invitation.derive(other)
    conversation.announce()
    other.connected(media, invitation)
    modality.give_way(DERIVED)
