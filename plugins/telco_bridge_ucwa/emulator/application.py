"""One running client: its resources, its event channel, and its end."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from telco_bridge.sandbox.clock import Timer

from . import links
from .answers import Answer
from .arrival import listen
from .channel import Channel, Event, Priority
from .communication import Communication
from .conference import Conferences
from .directory import Handler, Place
from .errors import JSON, UcwaError, conflict, not_found
from .inputs import Ask
from .me import Me
from .pool import Pool

__all__ = ["Application", "Client"]


@dataclass(frozen=True, slots=True)
class Client:
    """What a client says of itself when it creates an application."""

    culture: str
    user_agent: str
    endpoint_id: str
    instance_id: str | None
    type: str | None
    guest: str | None = None
    """Who it is that may only join a meeting; None: the user."""


class Application:
    """The `application` resource, and everything that lives and ends with it. It is `among` all others that run."""

    def __init__(self, pool: Pool, client: Client, *, among: list[Application], conferences: Conferences) -> None:
        self.pool = pool
        self.client = client
        self.conferences = conferences
        self._among = among
        self.gone: UcwaError | None = None
        self._id = pool.digits()
        self._etag = pool.digits()
        self._self = self.place("application", get=lambda _: Answer(200, self.body()), delete=self._delete)
        self._links = {
            "policies": self.place("policies", get=self._policies),
            "batch": self.place("batch", post=_not_here),
            "reportMyNetwork": self.place("reportMyNetwork", post=lambda _: Answer(204)),
        }
        self._hubs = {rel: self.place(rel, get=self._hub) for rel in ("people", "onlineMeetings")}
        self.channel = Channel(pool, self, idle=self._resumes, abandon=self._abandon)
        self.me = Me(self)
        self.communication = Communication(self)
        listen(pool, among)
        self._watch: Timer = pool.after(min(pool.settings.inactive_after, pool.settings.activity_within), self._expire)

    def place(
        self,
        rel: str,
        *,
        query: Mapping[str, str] | None = None,
        get: Handler | None = None,
        post: Handler | None = None,
        put: Handler | None = None,
        delete: Handler | None = None,
    ) -> Place:
        """Give something of this application an address."""
        return self.pool.directory.place(rel, owner=self, query=query, get=get, post=post, put=put, delete=delete)

    def emit(
        self,
        sender: Place,
        target: Place,
        type: str,  # noqa: A002 - UCWA's own word
        *,
        body: JSON | None = None,
        inside: Place | None = None,
        title: str | None = None,
        status: str | None = None,
        reason: JSON | None = None,
        priority: Priority = Priority.HIGH,
    ) -> None:
        """Tell the client something. Bodies travel along only where this server embeds them."""
        self.channel.emit(
            Event(
                sender=sender,
                target=target,
                type=type,
                inside=inside,
                title=title,
                status=status,
                reason=reason,
                body=body if self.pool.settings.embedded else None,
                priority=priority,
            )
        )

    def body(self) -> JSON:
        """Return the resource with its four embedded ones."""
        client = self.client
        given: JSON = {
            "culture": client.culture,
            "userAgent": client.user_agent,
            "type": client.type,
            "endpointId": client.endpoint_id,
            "id": self._id,
            "instanceId": client.instance_id,
        }
        shown = {rel: self._links[rel].link() for rel in self.pool.offers(links.APPLICATION)}
        return {
            "rel": "application",
            **{name: value for name, value in given.items() if value is not None},
            "etag": self._etag,
            "_links": {"self": self._self.link(), "events": self.channel.link(), **shown},
            "_embedded": {
                "me": self.me.body(),
                **{rel: self._hub_body(place) for rel, place in self._hubs.items()},
                "communication": self.communication.body(),
            },
        }

    def close(self, error: UcwaError) -> None:
        """End everything; whatever is asked of this application from now on gets that answer."""
        if self.gone is not None:
            return
        self.gone = error
        self._watch.cancel()
        self._abandon()
        self.channel.close(error)
        self._among.remove(self)
        self.pool.directory.release(self, error)

    def _delete(self, _: Ask) -> Answer:
        self.close(not_found("The application was deleted.", "ApplicationNotFound"))
        return Answer(204)

    def _expire(self) -> None:
        """UCWA documents that the server drops an application for which nobody polls in time.

        It drops one whose user is available and was not reported active either, unless there is a call.
        """
        settings, now = self.pool.settings, self.pool.now()
        polled = self.channel.polled_at
        silent = 0.0 if polled is None else now - polled
        at_rest = self.me.available and not self.communication.conversations
        inactive = now - self.me.active_at if at_rest else 0.0
        left = min(settings.inactive_after - silent, settings.activity_within - inactive)
        if left <= 0.0:
            self.close(UcwaError(410, "Gone", "InactiveApplicationExpired", "The application was inactive too long."))
        else:
            self._watch = self.pool.after(left, self._expire)

    def _resumes(self, silence: float) -> bool:
        """Whether the client was silent so long that the server has closed what was open, and now says `resume`."""
        limit = self.pool.settings.resume_after
        return limit is not None and silence >= limit

    def _abandon(self) -> None:
        for conversation in list(self.communication.conversations):
            conversation.abandon()

    def _hub(self, ask: Ask) -> Answer:
        return Answer(200, self._hub_body(ask.place))

    @staticmethod
    def _hub_body(place: Place) -> JSON:
        return {"rel": place.rel, "_links": {"self": place.link()}}

    def _policies(self, ask: Ask) -> Answer:
        return Answer(200, {"rel": "policies", "telephonyMode": "Uc", "_links": {"self": ask.place.link()}})


def _not_here(_: Ask) -> Answer:
    raise conflict("This server does not support that.")
