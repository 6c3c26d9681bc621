"""The way in: the root that everybody may read, the user resource behind a token, and the applications."""

from __future__ import annotations

from .answers import Answer
from .application import Application, Client
from .conference import Conferences
from .directory import Place
from .errors import JSON, UcwaError
from .inputs import Ask
from .pool import Pool
from .tickets import Tickets

__all__ = ["Discovery"]

_XFRAME = "<!DOCTYPE html><html><head><title>xframe</title></head><body></body></html>"


class Discovery:
    """Autodiscovery, and the factory of applications that it leads to."""

    def __init__(self, pool: Pool, tickets: Tickets) -> None:
        self._pool = pool
        self._tickets = tickets
        self.running: list[Application] = []
        """The applications that run, oldest first."""
        self.conferences = Conferences(pool)
        place = pool.directory.place
        entry = pool.entry
        self.root = place("root", path="/", absolute=True, base=entry, guarded=False, get=self._get_root)
        self.user = place(
            "user", absolute=True, base=entry, query={"originalDomain": "sandbox.test"}, get=self._get_user
        )
        self.xframe = place("xframe", absolute=True, base=entry, guarded=False, get=self._get_xframe)
        self.applications = self._place_applications()
        self.guests = place("anonApplications", absolute=True, post=self._create_for_guest)

    def expire(self) -> None:
        """Give the applications another address; the one before is forbidden from now on."""
        # UCWA documents a plain 403 as a reason to look for the applications again.
        self.applications.handlers = {"POST": _forbid}
        self.applications = self._place_applications()

    def _place_applications(self) -> Place:
        return self._pool.directory.place("applications", absolute=True, post=self._create)

    @staticmethod
    def _leading_to(me: Place, *places: Place) -> JSON:
        return {"_links": {"self": me.link(), **{place.rel: place.link() for place in places}}}

    def _get_root(self, _: Ask) -> Answer:
        return Answer(200, self._leading_to(self.root, self.user, self.xframe))

    def _get_user(self, ask: Ask) -> Answer:
        applications = self.applications if self._tickets.guest(ask) is None else self.guests
        return Answer(200, self._leading_to(self.user, applications, self.xframe))

    @staticmethod
    def _get_xframe(_: Ask) -> Answer:
        return Answer(200, html=_XFRAME)

    def _create_for_guest(self, ask: Ask) -> Answer:
        guest = self._tickets.guest(ask)
        if guest is None:
            raise UcwaError(403, "Forbidden", None, "Only guests make applications here.")
        culture = ask.text("culture", maximum=100, required=True)
        user_agent = ask.text("userAgent", maximum=100, required=True)
        ask.check()
        client = Client(culture or "", user_agent or "", self._pool.guid(), None, None, guest=guest)
        return self._made(client)

    def _create(self, ask: Ask) -> Answer:
        if self._tickets.guest(ask) is not None:
            raise UcwaError(403, "Forbidden", "AnonymousNotAllowed", "Guests make no applications here.")
        culture = ask.text("culture", maximum=100, required=True)
        user_agent = ask.text("userAgent", maximum=100, required=True)
        endpoint_id = ask.text("endpointId", maximum=100, required=True)
        instance_id = ask.text("instanceId", maximum=100)
        kind = ask.text("type", maximum=100)
        ask.check()
        client = Client(culture or "", user_agent or "", endpoint_id or "", instance_id, kind)
        for application in self.running:
            if application.client == client:
                # UCWA documents the same application for the same words; who else reads its events is replaced.
                return Answer(200, application.body())
        return self._made(client)

    def _made(self, client: Client) -> Answer:
        allowed = self._pool.settings.applications_allowed
        if allowed is not None and len(self.running) >= allowed:
            raise UcwaError(410, "Gone", "TooManyApplications", "The user has too many applications.")
        application = Application(self._pool, client, among=self.running, conferences=self.conferences)
        self.running.append(application)
        return Answer(201, application.body())


def _forbid(_: Ask) -> Answer:
    raise UcwaError(403, "Forbidden", None, "The address is good no longer.")
