"""Online meetings as a client meets them: made or joined by its application, and behind a conference conversation."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from .answers import Answer
from .conference import Conference
from .directory import Place
from .errors import JSON, UcwaError, conflict, not_found
from .inputs import Ask
from .invitation import Invitation, Wanted

if TYPE_CHECKING:
    from .communication import Communication
    from .conversation import Conversation

__all__ = ["join_meeting", "meeting_body", "places_of"]

_VIEWS = ("leaders", "attendees", "lobby")


def join_meeting(ask: Ask, communication: Communication, importances: tuple[str, ...], *, guest: bool) -> Answer:
    """Join a meeting by its URI, or make one where none is given."""
    pool = communication.pool
    uri = ask.text("onlineMeetingUri") if ask.place.rel == "joinOnlineMeeting" else None
    operation_id = ask.text("operationId", maximum=50)
    importance = ask.choice("importance", importances) or "Normal"
    subject = ask.text("subject", maximum=250) or ""
    thread_id = ask.text("threadId") or pool.guid().replace("-", "")
    display_name = ask.text("anonymousDisplayName", maximum=250, required=guest)
    ask.check()
    scheduled = pool.settings.conference_uri
    if guest and uri != scheduled:
        raise UcwaError(403, "Forbidden", None, "The meeting is another one than the token is for.")
    if uri is not None and uri != scheduled and uri not in communication.conferences:
        raise not_found("Nobody knows that meeting.", "DestinationNotFound")
    communication.claim(operation_id)
    conference = communication.conferences.hold(uri=uri, subject=subject)
    wanted = Wanted(
        to=conference.uri, operation_id=operation_id, importance=importance, subject=subject, thread_id=thread_id
    )
    conversation = communication.open_meeting(wanted)
    if guest:
        own = conversation.local.party
        own.uri, own.name = conversation.application.me.uri, display_name or ""
        own.anonymous, own.network = True, "Everyone"

    def cancel(_: Ask) -> Answer:
        if not invitation.pending:
            raise conflict("The user is in the meeting already.")
        return Answer(204, then=conversation.give_up)

    invitation = Invitation(
        conversation,
        wanted,
        rel="onlineMeetingInvitation",
        cancel=conversation.keep("cancel", post=cancel),
        extra={"onlineMeetingUri": conference.uri, "anonymousDisplayName": display_name},
    )
    waits = guest and pool.settings.guests_wait
    return Answer(
        201,
        headers=[("Location", invitation.place.href)],
        then=lambda: conversation.join(conference, invitation, waits=waits),
    )


def meeting_body(conversation: Conversation, place: Place) -> JSON:
    """Return the `onlineMeeting` resource of a conversation in a conference."""
    conference = conversation.conference
    assert conference is not None  # noqa: S101 - its place is made with the conference
    return {
        "rel": "onlineMeeting",
        "onlineMeetingUri": conference.uri,
        "onlineMeetingId": conference.id,
        "conferenceId": str(int.from_bytes(conference.id.encode()[-3:], "big")),
        "subject": conference.subject,
        "organizerUri": conference.organizer,
        "accessLevel": "Everyone",
        "leaders": [party.uri for party in conference.parties if party.role == "Leader"],
        "attendees": [party.uri for party in conference.parties if party.role == "Attendee"],
        "_links": {"self": place.link(), "conversation": conversation.place.link()},
    }


def places_of(conversation: Conversation, conference: Conference) -> dict[str, Place]:
    """Give what a conversation has of its conference addresses."""

    def command(rel: str, act: Callable[[], None]) -> Place:
        def do(ask: Ask) -> Answer:
            conversation.require(ask.place.rel)
            return Answer(204, then=act)

        return conversation.keep(rel, post=do)

    def view(rel: str) -> Place:
        return conversation.keep(rel, get=lambda ask: Answer(200, _view_body(conversation, ask.place)))

    return {
        **{rel: view(rel) for rel in _VIEWS},
        "onlineMeeting": conversation.keep(
            "onlineMeeting", get=lambda ask: Answer(200, meeting_body(conversation, ask.place))
        ),
        "enableAudienceMuteLock": command("enableAudienceMuteLock", lambda: conference.lock_audience(locked=True)),
        "disableAudienceMuteLock": command("disableAudienceMuteLock", lambda: conference.lock_audience(locked=False)),
        "enableAudienceMessaging": command(
            "enableAudienceMessaging", lambda: conference.let_audience_write(allowed=True)
        ),
        "disableAudienceMessaging": command(
            "disableAudienceMessaging", lambda: conference.let_audience_write(allowed=False)
        ),
    }


def _view_body(conversation: Conversation, place: Place) -> JSON:
    """Return a view: the lobby with its participants inside, as UCWA documents, the others with links to them."""
    people = conversation.conference.people(conversation) if conversation.conference is not None else []
    shown = [conversation.participant(party) for party in people if party.view == place.rel]
    if place.rel == "lobby":
        embedded: JSON = {"_embedded": {"participant": [one.body() for one in shown]}} if shown else {}
        return {"rel": place.rel, "_links": {"self": place.link()}, **embedded}
    return {"rel": place.rel, "_links": {"self": place.link(), "participant": [one.place.link() for one in shown]}}
