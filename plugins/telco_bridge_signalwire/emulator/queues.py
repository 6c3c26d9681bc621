"""`Queues`: they can be made and looked at. Nobody waits in them, as `<Enqueue>` is not executed."""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from starlette.routing import Route

from .app import at
from .calls import API_VERSION
from .dates import rfc2822
from .errors import ApiError
from .forms import Form
from .operations import Asked, Reply
from .paging import Numbered, cut_page
from .space import Space

__all__ = ["queue_routes"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Queue:
    """One queue."""

    number: int
    sid: str = field(default_factory=lambda: str(uuid.uuid4()))
    friendly_name: str
    max_size: int | None
    created: float
    updated: float


class QueueOperations:
    """The operations on queues and their members."""

    def __init__(self, space: Space) -> None:
        self._space = space
        self._queues: dict[str, Queue] = {}

    def list(self, asked: Asked) -> Reply:
        """List queues, newest first."""
        page, envelope = cut_page(list(self._queues.values()), asked.form, self._space.uri("Queues.json"))
        return Reply(body={**envelope, "queues": [self._resource(queue) for queue in page]})

    def create(self, asked: Asked) -> Reply:
        """Add a queue. Its name is its own."""
        now = self._space.now()
        queue = Queue(
            number=self._space.directory.next_number(),
            friendly_name=self._name(asked.form.get("FriendlyName")),
            max_size=_size(asked.form),
            created=now,
            updated=now,
        )
        self._queues[queue.sid] = queue
        return Reply(status=201, body=self._resource(queue))

    def read(self, asked: Asked) -> Reply:
        """Show one queue."""
        return Reply(body=self._resource(self._find(asked)))

    def update(self, asked: Asked) -> Reply:
        """Change a queue's name or size."""
        queue, given = self._find(asked), asked.form.get("FriendlyName")
        size = _size(asked.form)
        changed = replace(
            queue,
            friendly_name=queue.friendly_name if given in (None, queue.friendly_name) else self._name(given),
            max_size=queue.max_size if size is None else size,
            updated=self._space.now(),
        )
        self._queues[queue.sid] = changed
        return Reply(body=self._resource(changed), before=self._resource(queue))

    def delete(self, asked: Asked) -> Reply:
        """Remove a queue."""
        del self._queues[self._find(asked).sid]
        return Reply(status=204)

    def members(self, asked: Asked) -> Reply:
        """List who waits in a queue: nobody."""
        queue = self._find(asked)
        nobody: list[Numbered] = []
        _, envelope = cut_page(nobody, asked.form, self._space.uri(f"Queues/{queue.sid}/Members.json"))
        return Reply(body={**envelope, "queue_members": []})

    def member(self, asked: Asked) -> Reply:
        """Show, or take out of the queue, who does not wait in it."""
        self._find(asked)
        raise ApiError(20404)

    def _find(self, asked: Asked) -> Queue:
        queue = self._queues.get(asked.path["queue"])
        if queue is None:
            raise ApiError(20404)
        return queue

    def _name(self, given: str | None) -> str:
        if not given or not re.fullmatch(r"\w+", given):
            raise ApiError(10000, "FriendlyName is invalid" if given else "FriendlyName is required")
        if any(queue.friendly_name == given for queue in self._queues.values()):
            raise ApiError(10000, "FriendlyName has already been taken")
        return given

    def _resource(self, queue: Queue) -> Mapping[str, object]:
        return {
            "sid": queue.sid,
            "account_sid": self._space.project,
            "friendly_name": queue.friendly_name,
            "max_size": queue.max_size,
            "current_size": 0,
            "average_wait_time": 0,
            "date_created": rfc2822(queue.created),
            "date_updated": rfc2822(queue.updated),
            "api_version": API_VERSION,
            "uri": self._space.uri(f"Queues/{queue.sid}.json"),
        }


def queue_routes(space: Space) -> list[Route]:
    """Return where the operations on queues are found."""
    queues = QueueOperations(space)
    return [
        *at(space, "Queues", ("GET", "GET Queues", queues.list), ("POST", "POST Queues", queues.create)),
        *at(
            space,
            "Queues/{queue}",
            ("GET", "GET Queues/{sid}", queues.read),
            ("POST", "POST Queues/{sid}", queues.update),
            ("DELETE", "DELETE Queues/{sid}", queues.delete),
        ),
        *at(space, "Queues/{queue}/Members", ("GET", "GET Members", queues.members)),
        *at(
            space,
            "Queues/{queue}/Members/{call}",
            ("GET", "GET Members/{sid}", queues.member),
            ("POST", "POST Members/{sid}", queues.member),
        ),
    ]


def _size(form: Form) -> int | None:
    text = form.get("MaxSize")
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and int(text) > 0):
        raise ApiError(10000, "MaxSize is invalid")
    return int(text)
