"""What UCWA can do beyond the neutral words, typed: `bridge.native(UcwaApplication)` is where it begins."""

from __future__ import annotations

from .admission import Admission, StillWaiting
from .application import NamedCall, UcwaApplication
from .audiovideo import UcwaAudioVideo
from .communication import CommunicationSettings, MessageFormat, Policy, UcwaCommunication
from .conversation import UcwaConversation
from .conversationview import Audience, ConversationState, ConversationView
from .mediarelays import MediaRelay, MediaRelayAccess
from .mediaviews import AudioVideoPolicies, AudioVideoView, RemoteProposal, RenegotiationDecline, VideoSources
from .meetinginvitations import MeetingInvitation
from .meetings import Importance, OnlineMeeting
from .messages import Message
from .messaging import MessagingInvitation, MessagingView, UcwaMessaging
from .modality import ModalityState
from .participants import MediaFlow, Participant, ParticipantMedia, Role, SourceNetwork
from .phoneaudio import PhoneAudioView, UcwaPhoneAudio
from .sessions import MediaAnswer, MediaSession, SessionState

__all__ = [
    "Admission",
    "Audience",
    "AudioVideoPolicies",
    "AudioVideoView",
    "CommunicationSettings",
    "ConversationState",
    "ConversationView",
    "Importance",
    "MediaAnswer",
    "MediaFlow",
    "MediaRelay",
    "MediaRelayAccess",
    "MediaSession",
    "MeetingInvitation",
    "Message",
    "MessageFormat",
    "MessagingInvitation",
    "MessagingView",
    "ModalityState",
    "NamedCall",
    "OnlineMeeting",
    "Participant",
    "ParticipantMedia",
    "PhoneAudioView",
    "Policy",
    "RemoteProposal",
    "RenegotiationDecline",
    "Role",
    "SessionState",
    "SourceNetwork",
    "StillWaiting",
    "UcwaApplication",
    "UcwaAudioVideo",
    "UcwaCommunication",
    "UcwaConversation",
    "UcwaMessaging",
    "UcwaPhoneAudio",
    "VideoSources",
]
