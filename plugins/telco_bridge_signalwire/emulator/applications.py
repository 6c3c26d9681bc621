"""`Applications`: settings that calls and numbers refer to by one SID."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from starlette.routing import Route

from .app import at
from .calls import API_VERSION
from .dates import rfc2822
from .directory import Application
from .errors import ApiError
from .operations import Asked, Reply
from .paging import cut_page
from .settings import SMS, VOICE, read_settings, show_settings
from .space import Space

__all__ = ["application_routes"]

_SETTINGS = (*VOICE, *SMS, "SmsStatusCallback", "SmsStatusCallbackMethod")
_LONGEST_NAME = 64


class ApplicationOperations:
    """The operations on applications."""

    def __init__(self, space: Space) -> None:
        self._space = space
        self._applications = space.directory.applications

    def list(self, asked: Asked) -> Reply:
        """List applications, newest first."""
        name = asked.form.get("FriendlyName")
        chosen = [known for known in self._applications.values() if not name or known.friendly_name == name]
        page, envelope = cut_page(chosen, asked.form, self._space.uri("Applications.json"))
        return Reply(body={**envelope, "applications": [self._resource(application) for application in page]})

    def create(self, asked: Asked) -> Reply:
        """Add an application."""
        now = self._space.now()
        application = Application(
            number=self._space.directory.next_number(),
            friendly_name=_name(asked.form.get("FriendlyName")),
            created=now,
            updated=now,
            settings=read_settings(asked.form, self._space, _SETTINGS, {}),
        )
        self._applications[application.sid] = application
        return Reply(status=201, body=self._resource(application))

    def read(self, asked: Asked) -> Reply:
        """Show one application."""
        return Reply(body=self._resource(self._find(asked)))

    def update(self, asked: Asked) -> Reply:
        """Change an application, and with it what everything that refers to it does with the next call."""
        application = self._find(asked)
        given = asked.form.get("FriendlyName")
        changed = replace(
            application,
            # The published schema requires the name here; Twilio's clients leave it out.
            friendly_name=application.friendly_name if given is None else _name(given),
            updated=self._space.now(),
            settings=read_settings(asked.form, self._space, _SETTINGS, application.settings),
        )
        self._applications[changed.sid] = changed
        return Reply(body=self._resource(changed), before=self._resource(application))

    def delete(self, asked: Asked) -> Reply:
        """Remove an application. Calls to the numbers that refer to it fail from then on."""
        del self._applications[self._find(asked).sid]
        return Reply(status=204)

    def _find(self, asked: Asked) -> Application:
        application = self._applications.get(asked.path["application"])
        if application is None:
            raise ApiError(20404)
        return application

    def _resource(self, application: Application) -> Mapping[str, object]:
        return {
            "sid": application.sid,
            "account_sid": self._space.project,
            "api_version": API_VERSION,
            "date_created": rfc2822(application.created),
            "date_updated": rfc2822(application.updated),
            "friendly_name": application.friendly_name,
            "uri": self._space.uri(f"Applications/{application.sid}.json"),
            **show_settings(application.settings, _SETTINGS),
            "voice_caller_id_lookup": None,
            "message_status_callback": application.settings.get("sms_status_callback"),
        }


def application_routes(space: Space) -> list[Route]:
    """Return where the operations on applications are found."""
    applications = ApplicationOperations(space)
    return [
        *at(
            space,
            "Applications",
            ("GET", "GET Applications", applications.list),
            ("POST", "POST Applications", applications.create),
        ),
        *at(
            space,
            "Applications/{application}",
            ("GET", "GET Applications/{sid}", applications.read),
            ("POST", "POST Applications/{sid}", applications.update),
            ("DELETE", "DELETE Applications/{sid}", applications.delete),
        ),
    ]


def _name(given: str | None) -> str:
    if not given or len(given) > _LONGEST_NAME:
        raise ApiError(10000, "FriendlyName is invalid" if given else "FriendlyName is required")
    return given
