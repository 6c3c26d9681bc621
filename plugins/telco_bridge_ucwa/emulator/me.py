"""The signed-in user: from looking on to being available."""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import addresses, links
from .answers import Answer
from .channel import Event, Priority
from .errors import JSON, UcwaError, conflict
from .inputs import Ask

if TYPE_CHECKING:
    from .application import Application

__all__ = ["MODALITIES", "Me"]

MODALITIES = ("Audio", "Video", "PhoneAudio", "ApplicationSharing", "Messaging", "DataCollaboration", "PanoramicVideo")
_OLD_MODALITIES = frozenset({"PhoneAudio", "Messaging"})
_AVAILABILITIES = ("Online", "Busy", "DoNotDisturb", "BeRightBack", "Away", "Offwork")


class Me:
    """The `me` resource. Its links change when the user becomes available."""

    def __init__(self, application: Application) -> None:
        self._application = application
        self.available = False
        self.active_at = application.pool.now()
        """When the user was active last."""
        self.availability = "Offline"
        place = application.place
        self.place = place("me", get=lambda _: Answer(200, self.body()))
        self._links = {
            "makeMeAvailable": place("makeMeAvailable", post=self._make_available),
            "reportMyActivity": place("reportMyActivity", post=self._report_activity),
            "presence": place("presence", get=lambda _: self._own("presence", {"availability": self.availability})),
            "note": place("note", get=lambda _: self._own("note", {"message": "", "type": "Personal"})),
            "location": place("location", get=lambda _: self._own("location", {"location": ""})),
        }

    @property
    def uri(self) -> str:
        """Who it is: the user, or a guest whom nobody knows."""
        guest = self._application.client.guest
        return self._application.pool.settings.uri if guest is None else f"sip:{guest}@anonymous.invalid"

    def body(self) -> JSON:
        """Return the resource."""
        settings = self._application.pool.settings
        if self._application.client.guest is not None:
            # UCWA documents that nothing else is told of a guest, whose name comes with the meeting that it joins.
            return {"rel": "me", "uri": self.uri, "name": "", "_links": {"self": self.place.link()}}
        offered = links.ME_AVAILABLE if self.available else links.ME_LURKING
        shown = {rel: self._links[rel].link() for rel in self._application.pool.offers(offered)}
        return {
            "rel": "me",
            "uri": self.uri,
            "name": settings.name,
            "emailAddresses": [settings.username],
            "workPhoneNumber": f"tel:{settings.phone_number}",
            "_links": {"self": self.place.link(), **shown},
        }

    def _make_available(self, ask: Ask) -> Answer:
        self._require_user()
        modalities = ask.choices("supportedModalities", MODALITIES)
        formats = ask.choices("supportedMessageFormats", ("Plain", "Html"))
        preference = ask.choice("audioPreference", ("PhoneAudio", "VoipAudio"))
        sign_in = ask.choice("signInAs", _AVAILABILITIES)
        number = ask.text("phoneNumber", maximum=100)
        ask.check()
        if self.available:
            raise conflict("The user is available already.", "AlreadyExists")
        if not self._application.pool.settings.takes_voip and not _OLD_MODALITIES.issuperset(modalities or ()):
            raise UcwaError(403, "Forbidden", None, "Only messages and phone audio are taken.")
        own = addresses.own_number(number) if number is not None else None
        self.available, self.active_at = True, self._application.pool.now()
        self.availability = sign_in or "Online"
        self._application.communication.take(
            modalities=modalities, formats=formats, preference=preference, phone_number=own
        )
        return Answer(204, then=self._announce)

    def _announce(self) -> None:
        emit = self._application.channel.emit
        low = Priority.MEDIUM
        emit(Event(sender=self.place, target=self.place, type="updated", priority=low))
        for rel in ("presence", "note", "location"):
            emit(Event(sender=self.place, target=self._links[rel], type="added", priority=low))
        self._application.communication.updated()

    def _report_activity(self, _: Ask) -> Answer:
        self._require_user()
        self._require_available()
        self.active_at = self._application.pool.now()
        return Answer(204)

    def _own(self, rel: str, properties: JSON) -> Answer:
        self._require_available()
        return Answer(200, {"rel": rel, **properties, "_links": {"self": self._links[rel].link()}})

    def _require_user(self) -> None:
        if self._application.client.guest is not None:
            raise UcwaError(403, "Forbidden", "AnonymousNotAllowed", "Guests are not available to others.")

    def _require_available(self) -> None:
        if not self.available:
            raise conflict("The user is not available yet.", "MakeMeAvailableRequired")
