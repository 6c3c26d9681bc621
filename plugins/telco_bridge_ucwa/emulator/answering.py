"""What a client may do about an invitation: take it by itself, have it taken on the phone, or refuse it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from telco_bridge.media import Modality

from . import sdp
from .answers import Answer
from .errors import conflict, invalid
from .inputs import Ask

if TYPE_CHECKING:
    from .arrival import Arrival
    from .audio_video import AudioVideo
    from .invitation import Invitation
    from .modality import CallModality

__all__ = [
    "DECLINE_REASONS",
    "accept_with_answer",
    "accept_with_phone_audio",
    "decline",
    "send_provisional_answer",
]

DECLINE_REASONS = (
    "Unknown",
    "Local",
    "Global",
    "MediaAllocationFailure",
    "EncryptionMismatch",
    "IPv6NotSupported",
    "MediaConnectivityFailure",
    "CodecMismatch",
    "UnsupportedMedia",
    "InvalidMediaOffer",
    "InsufficientBandwidth",
    "InsufficientBandwidthRerouteOverPstn",
)
"""UCWA's `CallDeclineReason`."""

_AUDIO = frozenset({Modality.AUDIO})


def accept_with_answer(ask: Ask, audio_video: AudioVideo, offer: sdp.Alternatives) -> Answer:
    """Take the call with the client's own media."""
    session_context, media = _description(ask, offer)
    arrival, invitation = _undecided(audio_video)
    invitation.taken = True

    def take() -> None:
        if audio_video.arrival is arrival:
            invitation.updated()
            audio_video.answer_with(session_context)
            arrival.accept(audio_video, invitation, media)

    return Answer(204, then=take)


def send_provisional_answer(ask: Ask, audio_video: AudioVideo, offer: sdp.Alternatives) -> Answer:
    """Let media flow before the call is answered."""
    _description(ask, offer)
    _undecided(audio_video)
    return Answer(204)


def accept_with_phone_audio(_: Ask, audio_video: AudioVideo) -> Answer:
    """Ring the user's own phone; whoever picks it up there has taken the call."""
    arrival, invitation = _undecided(audio_video)
    phone = audio_video.conversation.phone_audio
    invitation.taken = True

    def ring() -> None:
        if audio_video.arrival is arrival:
            invitation.updated()
            arrival.hand_over(audio_video, phone)
            audio_video.updated()
            phone.updated()
            phone.ring_own_phone(lambda: arrival.accept(phone, invitation, _AUDIO))

    return Answer(204, then=ring)


def decline(ask: Ask, modality: CallModality) -> Answer:
    """Refuse the call: `Global` for the user, with any other reason at this client alone."""
    reason = ask.choice("reason", DECLINE_REASONS)
    ask.check()
    arrival, _ = _undecided(modality)

    def refuse() -> None:
        if modality.arrival is arrival:
            arrival.decline(modality, everywhere=reason == "Global")

    return Answer(204, then=refuse)


def _undecided(modality: CallModality) -> tuple[Arrival, Invitation]:
    arrival, invitation = modality.arrival, modality.invitation
    if arrival is None or invitation is None or invitation.taken:
        raise conflict("The invitation was decided already.")
    return arrival, invitation


def _description(ask: Ask, offer: sdp.Alternatives) -> tuple[str, frozenset[Modality]]:
    session_context = ask.text("sessionContext", maximum=50, required=True)
    processed = ask.text("processedOfferId", maximum=100)
    if processed is not None and processed not in offer.content_ids:
        ask.wrong("processedOfferId")
    ask.check()
    if not ask.headers.get("content-type", "").startswith("application/sdp"):
        raise invalid(sdp="Required")
    try:
        media = sdp.offered_media(ask.body.decode("utf-8-sig")) & offer.media
    except ValueError:
        media = frozenset[Modality]()
    if not media:
        raise invalid(sdp="Invalid")
    return session_context or "", media
