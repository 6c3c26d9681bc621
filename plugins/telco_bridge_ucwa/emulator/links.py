"""Which links each resource offers in each state. A link is a permission, so these tables are the emulator's policy.

UCWA documents what each link does and leaves to the server when it is there. What is not emulated is not offered:
conferences (`addParticipant`, `escalateAudio`), `replaceWithPhoneAudio`, renegotiation, messaging.
"""

from __future__ import annotations

from telco_bridge.media import Modality

__all__ = [
    "COMMUNICATION",
    "CONVERSATION",
    "CONVERSATION_OVER",
    "ME_AVAILABLE",
    "ME_LURKING",
    "audio_video",
    "incoming_invitation",
    "invitation",
    "phone_audio",
]

COMMUNICATION = ("conversations", "startPhoneAudio", "startAudio", "startVideo", "startAudioVideo")

ME_LURKING = ("makeMeAvailable",)
ME_AVAILABLE = ("reportMyActivity", "presence", "note", "location")

CONVERSATION = ("localParticipant", "participants", "phoneAudio", "audioVideo")
CONVERSATION_OVER = ("localParticipant", "participants")

_ADD_MEDIA = ("addAudio", "addVideo", "addAudioVideo")


def phone_audio(state: str, *, held: bool, conversation_lives: bool, invited: bool = False) -> tuple[str, ...]:
    """Return what phone audio offers. Being on hold has no state: `resumePhoneAudio` in place of `holdPhoneAudio`."""
    match state:
        case "Connected":
            return ("stopPhoneAudio", "resumePhoneAudio" if held else "holdPhoneAudio")
        case "Connecting" if invited:
            return ()
        case "Connecting" | "Transferring":
            return ("stopPhoneAudio",)
        case "Disconnected" if conversation_lives:
            return ("addPhoneAudio",)
        case _:
            return ()


def audio_video(
    state: str, media: frozenset[Modality], *, conversation_lives: bool, invited: bool = False
) -> tuple[str, ...]:
    """Return what audio and video offer. The stop links name what may be renegotiated away."""
    match state:
        case "Connected":
            audio, video = Modality.AUDIO in media, Modality.VIDEO in media
            stops = (("stopAudio",) if audio else ()) + (("stopVideo",) if video else ()) + ("stopAudioVideo",)
            adds = (() if audio else ("addAudio",)) + (() if video else ("addVideo",))
            return (*stops, *adds, "audioVideoSession", "reportMediaDiagnostics")
        case "Connecting":
            # Whoever is called has nothing to stop yet: the invitation says what may be done.
            return () if invited else ("stopAudioVideo",)
        case "Disconnected" if conversation_lives:
            return _ADD_MEDIA
        case _:
            return ()


def invitation(*, pending: bool) -> tuple[str, ...]:
    """Return what an invitation offers to whoever made it."""
    return ("cancel",) if pending else ()


def incoming_invitation(rel: str, *, pending: bool, on_the_phone: bool) -> tuple[str, ...]:
    """Return what an invitation offers to whom it invites.

    UCWA documents that a call to the user's phone cannot be accepted by a program, though its tables list `accept`.
    `on_the_phone` says that a call to the application may be taken on the user's phone.
    """
    if not pending:
        return ()
    if rel == "phoneAudioInvitation":
        return ("decline",)
    phone = ("acceptWithPhoneAudio",) if on_the_phone else ()
    return ("acceptWithAnswer", *phone, "sendProvisionalAnswer", "decline", "reportMediaDiagnostics")
