"""The way in: the root that everybody may read, the user resource behind a token, and the applications."""

from __future__ import annotations

from .answers import Answer
from .application import Application, Client
from .directory import Place
from .errors import JSON
from .inputs import Ask
from .pool import Pool

__all__ = ["Discovery"]

_XFRAME = "<!DOCTYPE html><html><head><title>xframe</title></head><body></body></html>"


class Discovery:
    """Autodiscovery, and the factory of applications that it leads to."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        place = pool.directory.place
        entry = pool.entry
        self.root = place("root", path="/", absolute=True, base=entry, guarded=False, get=self._get_root)
        self.user = place(
            "user", absolute=True, base=entry, query={"originalDomain": "sandbox.test"}, get=self._get_user
        )
        self.xframe = place("xframe", absolute=True, base=entry, guarded=False, get=self._get_xframe)
        self.applications = place("applications", absolute=True, post=self._create)

    @staticmethod
    def _leading_to(me: Place, *places: Place) -> JSON:
        return {"_links": {"self": me.link(), **{place.rel: place.link() for place in places}}}

    def _get_root(self, _: Ask) -> Answer:
        return Answer(200, self._leading_to(self.root, self.user, self.xframe))

    def _get_user(self, _: Ask) -> Answer:
        return Answer(200, self._leading_to(self.user, self.applications, self.xframe))

    @staticmethod
    def _get_xframe(_: Ask) -> Answer:
        return Answer(200, html=_XFRAME)

    def _create(self, ask: Ask) -> Answer:
        culture = ask.text("culture", maximum=100, required=True)
        user_agent = ask.text("userAgent", maximum=100, required=True)
        endpoint_id = ask.text("endpointId", maximum=100, required=True)
        instance_id = ask.text("instanceId", maximum=100)
        kind = ask.text("type", maximum=100)
        ask.check()
        client = Client(culture or "", user_agent or "", endpoint_id or "", instance_id, kind)
        for application in self._pool.applications:
            if instance_id is not None and application.client == client:
                return Answer(200, application.body())
        application = Application(self._pool, client)
        self._pool.applications.append(application)
        return Answer(201, application.body())
