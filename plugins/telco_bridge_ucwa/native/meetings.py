"""Meetings: what is known of one, and the way into it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from telco_bridge.provider import Refused

from ..inputs import checked_text
from ..wire import Resource

__all__ = ["Importance", "OnlineMeeting", "join_inputs", "online_meeting"]

_LONGEST_NAME = 250


class Importance(StrEnum):
    """How much a conversation matters, as the other side is shown."""

    NORMAL = "Normal"
    URGENT = "Urgent"
    EMERGENCY = "Emergency"


@dataclass(frozen=True, slots=True, kw_only=True)
class OnlineMeeting:
    """The meeting behind a conference. None is what the server did not say; `native` are all of its properties.

    `uri` is what others join by, `join_url` the page that leads there. `leaders` and `attendees` are the addresses of
    who was invited as such, whether or not they have come.
    """

    uri: str | None = None
    id: str | None = None
    conference_id: str | None = None
    subject: str | None = None
    description: str | None = None
    join_url: str | None = None
    organizer_uri: str | None = None
    organizer_name: str | None = None
    access_level: str | None = None
    leaders: frozenset[str] = frozenset()
    attendees: frozenset[str] = frozenset()
    native: Mapping[str, object]


def online_meeting(body: Resource) -> OnlineMeeting:
    """Return the meeting that the resource describes. Total over whatever a server may send."""
    return OnlineMeeting(
        uri=body.text("onlineMeetingUri"),
        id=body.text("onlineMeetingId"),
        conference_id=body.text("conferenceId"),
        subject=body.text("subject"),
        description=body.text("description"),
        join_url=body.text("joinUrl"),
        organizer_uri=body.text("organizerUri"),
        organizer_name=body.text("organizerName"),
        access_level=body.text("accessLevel"),
        leaders=body.words("leaders") or frozenset(),
        attendees=body.words("attendees") or frozenset(),
        native=dict(body.properties),
    )


def join_inputs(
    *,
    uri: str | None = None,
    subject: str | None = None,
    importance: Importance | None = None,
    thread_id: str | None = None,
    display_name: str | None = None,
) -> dict[str, object]:
    """Return the body of a join or start. Raises `Refused` for what UCWA would not take."""
    if uri is not None and not uri.lower().startswith("sip:"):
        raise Refused(
            f"{uri!r} is no conference URI; those begin with sip: and hold ;gruu;opaque=app:conf. Nothing was sent.",
            provider="ucwa",
        )
    given: dict[str, str | None] = {
        "onlineMeetingUri": uri,
        "subject": subject,
        "importance": importance,
        "threadId": thread_id,
        "anonymousDisplayName": display_name,
    }
    longest = {"subject": _LONGEST_NAME, "anonymousDisplayName": _LONGEST_NAME}
    return {
        name: checked_text(name, value, longest=longest.get(name)) for name, value in given.items() if value is not None
    }
