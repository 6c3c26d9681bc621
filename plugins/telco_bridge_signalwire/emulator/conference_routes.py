"""Where the operations on conferences, participants and conference streams are found."""

from __future__ import annotations

from starlette.routing import Route

from .app import at
from .conference_api import ConferenceOperations, ConferenceStreamOperations, ParticipantOperations
from .conferencing import Conferences
from .joining import Joining
from .space import Space
from .streams import Streams

__all__ = ["conference_routes"]


def conference_routes(space: Space, conferences: Conferences, joining: Joining, streams: Streams) -> list[Route]:
    """Return where the operations on conferences are found."""
    rooms = ConferenceOperations(space, conferences, joining)
    participants = ParticipantOperations(space, rooms, conferences, joining)
    copies = ConferenceStreamOperations(space, rooms, streams)
    return [
        *at(space, "Conferences", ("GET", "GET Conferences", rooms.list)),
        *at(
            space,
            "Conferences/{conference}",
            ("GET", "GET Conferences/{sid}", rooms.read),
            ("POST", "POST Conferences/{sid}", rooms.update),
        ),
        *at(space, "Conferences/{conference}/Participants", ("GET", "GET Participants", participants.list)),
        *at(
            space,
            "Conferences/{conference}/Participants/{call}",
            ("GET", "GET Participants/{sid}", participants.read),
            ("POST", "POST Participants/{sid}", participants.update),
            ("DELETE", "DELETE Participants/{sid}", participants.kick),
        ),
        *at(space, "Conferences/{conference}/Streams", ("POST", "POST conference Streams", copies.create)),
        *at(
            space,
            "Conferences/{conference}/Streams/{stream}",
            ("POST", "POST conference Streams/{sid}", copies.stop),
        ),
    ]
