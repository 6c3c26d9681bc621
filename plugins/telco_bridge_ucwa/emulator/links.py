"""Which links each resource offers in each state. A link is a permission, so these tables are the emulator's policy.

UCWA documents what each link does and leaves to the server when it is there. What is not emulated is not offered: the
sharing of screens, and conversations that begin with messages.
"""

from __future__ import annotations

from telco_bridge.media import Modality

__all__ = [
    "APPLICATION",
    "COMMUNICATION",
    "COMMUNICATION_OF_A_GUEST",
    "ME_AVAILABLE",
    "ME_LURKING",
    "audio_video",
    "conversation",
    "incoming_invitation",
    "invitation",
    "media_session",
    "messaging",
    "participant",
    "participant_media",
    "phone_audio",
    "renegotiation",
]

COMMUNICATION = (
    "conversations",
    "startPhoneAudio",
    "startAudio",
    "startVideo",
    "startAudioVideo",
    "joinOnlineMeeting",
    "startOnlineMeeting",
    "mediaPolicies",
    "mediaRelayAccessToken",
)
COMMUNICATION_OF_A_GUEST = ("conversations", "joinOnlineMeeting")

APPLICATION = ("policies", "batch", "reportMyNetwork")

ME_LURKING = ("makeMeAvailable",)
ME_AVAILABLE = ("reportMyActivity", "presence", "note", "location")

_CONVERSATION = ("localParticipant", "participants", "phoneAudio", "audioVideo", "messaging")
_CONVERSATION_OVER = ("localParticipant", "participants")
_CONFERENCE = ("addParticipant", "leaders", "attendees", "onlineMeeting")

_ADD_MEDIA = ("addAudio", "addVideo", "addAudioVideo")


def conversation(state: str, *, leads: bool, locked: bool, writes: bool) -> tuple[str, ...]:
    """Return what a conversation offers. `leads` says that the user is a leader of the conference.

    `locked` and `writes` are what the conference's audience may do: stay muted, and write messages.
    """
    match state:
        case "Disconnected":
            return _CONVERSATION_OVER
        case "Connected":
            # Real servers offer it to two who talk: whoever is added makes a conference of it.
            return (*_CONVERSATION, "addParticipant")
        case "Conferenced" if leads:
            lock = "disableAudienceMuteLock" if locked else "enableAudienceMuteLock"
            messaging = "disableAudienceMessaging" if writes else "enableAudienceMessaging"
            return (*_CONVERSATION, *_CONFERENCE, "lobby", lock, messaging)
        case "Conferenced":
            return (*_CONVERSATION, *_CONFERENCE)
        case "InLobby":
            return ("localParticipant",)
        case _:
            return _CONVERSATION


def participant(*, leads: bool, local: bool, role: str, in_lobby: bool) -> tuple[str, ...]:
    """Return what the user may do about a participant: who leads a conference decides about all others."""
    if not leads or local:
        return ()
    if in_lobby:
        return ("admit", "reject")
    return ("eject", "demote" if role == "Leader" else "promote")


def participant_media(
    modality: Modality, *, in_conference: bool, leads: bool, local: bool, muted: bool, locked: bool
) -> tuple[str, ...]:
    """Return how a participant's medium may be muted: by a conference alone, the own one or whom one leads."""
    if not in_conference or not (leads or local) or (locked and local and muted):
        return ()
    return (f"{'unmute' if muted else 'mute'}{modality.value.capitalize()}",)


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
    state: str,
    media: frozenset[Modality],
    *,
    conversation_lives: bool,
    invited: bool = False,
    between_two: bool = True,
    has_phone: bool = False,
) -> tuple[str, ...]:
    """Return what audio and video offer. The stop links name what may be renegotiated away."""
    match state:
        case "Connected":
            audio, video = Modality.AUDIO in media, Modality.VIDEO in media
            stops = (("stopAudio",) if audio else ()) + (("stopVideo",) if video else ()) + ("stopAudioVideo",)
            adds = (() if audio else ("addAudio",)) + (() if video else ("addVideo",))
            escalate = "escalateAudioVideo" if video else "escalateAudio"
            two = (escalate,) if between_two else ()
            phone = ("replaceWithPhoneAudio",) if audio and has_phone and between_two else ()
            freeze = ("videoFreeze",) if video else ()
            session = ("audioVideoSession", "audioVideoPolicies", "reportMediaDiagnostics")
            return (*stops, *adds, *two, *phone, *freeze, *session)
        case "Transferring":
            return ("stopAudioVideo", "audioVideoSession", "reportMediaDiagnostics")
        case "Connecting":
            # Whoever is called has nothing to stop yet: the invitation says what may be done.
            return () if invited else ("stopAudioVideo",)
        case "Disconnected" if conversation_lives:
            return _ADD_MEDIA
        case _:
            return ()


def messaging(state: str, conversation: str, *, invited: bool) -> tuple[str, ...]:
    """Return what messaging offers. `conversation` is the state of that, `invited` that the other party asks for it."""
    match state:
        case "Connected":
            return ("stopMessaging", "sendMessage", "setIsTyping")
        case "Connecting":
            return () if invited else ("stopMessaging",)
        case "Disconnected" if conversation in ("Connected", "Conferencing", "Conferenced"):
            return ("addMessaging",)
        case _:
            return ()


def media_session(state: str) -> tuple[str, ...]:
    """Return what the session of a connected call offers."""
    return ("resumeAudio", "resumeAudioVideo") if state == "Suspended" else ("renegotiations",)


def renegotiation(*, incoming: bool, pending: bool) -> tuple[str, ...]:
    """Return what an offer of other media offers: to whom it is made, for as long as it is undecided."""
    return ("answer", "dismiss") if incoming and pending else ()


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
    if rel in ("messagingInvitation", "onlineMeetingInvitation"):
        return ("accept", "decline")
    phone = ("acceptWithPhoneAudio",) if on_the_phone else ()
    return ("acceptWithAnswer", *phone, "sendProvisionalAnswer", "decline", "reportMediaDiagnostics")
