"""The Conference resource: what is known of one conference, how the API shows it, and what its callback is told."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from telco_bridge.sandbox.exchange import Leg
from telco_bridge.sandbox.playout import Speaker

from .callbacks import Callback, Lane
from .calls import API_VERSION
from .dates import rfc2822
from .participants import Participant
from .progress import document_fields
from .recordings import RecordingOrder
from .space import Space
from .webhooks import Subscription

__all__ = ["Conference", "ConferenceStatus", "tell_conference"]

_REGION = "us1"


class ConferenceStatus(StrEnum):
    """How far a conference has come."""

    INIT = "init"
    IN_PROGRESS = "in-progress"
    COMPLETED = "completed"


_EVENTS = {
    "conference-start": "start",
    "conference-end": "end",
    "participant-join": "join",
    "participant-leave": "leave",
    "participant-mute": "mute",
    "participant-unmute": "mute",
    "participant-hold": "hold",
    "participant-unhold": "hold",
    "participant-speech-start": "speaker",
    "participant-speech-stop": "speaker",
}
"""What is told, and the word by which a document asks for it."""


@dataclass(slots=True, kw_only=True)
class Conference:
    """One conference. The emulator's loop is its only writer."""

    number: int
    sid: str
    friendly_name: str
    lane: Lane
    created: float
    updated: float
    subscription: Subscription
    most: int | None = None
    """How many participants are admitted."""
    status: ConferenceStatus = ConferenceStatus.INIT
    started: float | None = None
    ended: float | None = None
    participants: dict[str, Participant] = field(default_factory=dict[str, Participant])
    """Those who are present, by the SIDs of their calls."""
    speaker: Speaker = field(default_factory=Speaker)
    record: RecordingOrder | None = None
    """How it is to be recorded from its start on; None where it is not."""
    recorded: dict[str, str] = field(default_factory=dict[str, str])
    """What the callback of its end tells of its recording: `RecordingUrl` and `RecordingFileSize`."""

    @property
    def over(self) -> bool:
        """Whether it has ended."""
        return self.status is ConferenceStatus.COMPLETED

    @property
    def resource_word(self) -> str:
        """What the API calls it."""
        return "Conference"

    @property
    def leg(self) -> Leg | None:
        """There is none: the mixed sound is not simulated."""
        return None

    @property
    def duration(self) -> int:
        """Whole seconds between start and end; 0 before the end."""
        return 0 if self.started is None or self.ended is None else int(self.ended - self.started)

    def resource(self, space: Space) -> dict[str, object]:
        """Return the conference as the API shows it."""
        path = f"Conferences/{self.sid}"
        return {
            "sid": self.sid,
            "account_sid": space.project,
            "date_created": rfc2822(self.created),
            "date_updated": rfc2822(self.updated),
            "friendly_name": self.friendly_name,
            "status": self.status.value,
            "api_version": API_VERSION,
            "region": _REGION,
            "uri": space.uri(f"{path}.json"),
            "subresource_uris": {
                "participants": space.uri(f"{path}/Participants.json"),
                "recordings": space.uri(f"{path}/Recordings.json"),
            },
        }


def tell_conference(conference: Conference, space: Space, event: str, participant: Participant) -> None:
    """Tell the conference's status callback of an event that concerns a participant, if it has asked for that one."""
    subscription = conference.subscription
    if subscription.webhook is None or _EVENTS[event] not in subscription.events:
        return
    fields = document_fields(participant.call, space) | {
        "ConferenceSid": conference.sid,
        "FriendlyName": conference.friendly_name,
        "StatusCallbackEvent": event,
        "EventName": event,
        "Timestamp": rfc2822(space.now()),
        "Muted": _word(participant.muted),
        "Hold": _word(participant.hold),
        "StartConferenceOnEnter": _word(participant.order.start_on_enter),
        "EndConferenceOnExit": _word(participant.order.end_on_exit),
    }
    if event == "conference-end":
        fields |= {"Duration": str(conference.duration), **conference.recorded}
    conference.lane.tell(
        Callback(
            name=f"callback {event}",
            webhook=subscription.webhook,
            fields=fields,
            word_field="StatusCallbackEvent",
        )
    )


def _word(value: bool) -> str:  # noqa: FBT001 - the value is the message
    return "true" if value else "false"
