"""The hub of calls: what the user can start, and the conversations that go on."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, cast

from telco_bridge.media import Modality

from . import addresses, links
from .answers import Answer
from .audio_video import asked_media
from .channel import Priority
from .conversation import Conversation
from .errors import JSON, UcwaError, conflict, invalid
from .inputs import Ask
from .invitation import Invitation, Wanted
from .me import MODALITIES
from .media_settings import media_policies, media_relay_access
from .meeting import join_meeting

if TYPE_CHECKING:
    from .application import Application
    from .conference import Conferences
    from .pool import Pool

__all__ = ["IMPORTANCES", "Communication"]

IMPORTANCES = ("Normal", "Urgent", "Emergency")
_UNSET: JSON = {
    "supportedModalities": [],
    "supportedMessageFormats": [],
    # UCWA documents VoipAudio as the default; real servers answer PhoneAudio.
    "audioPreference": "PhoneAudio",
    "conversationHistory": "Disabled",
}
_INVITATIONS_REMEMBERED = 1_000
_IDS_REMEMBERED = 10_000
_PLEASE = "please pass this in a PUT request"
_AUDIO = frozenset({Modality.AUDIO})
_VIDEO = frozenset({Modality.VIDEO})
_MEDIA = {"Audio": Modality.AUDIO, "Video": Modality.VIDEO}


class Communication:
    """The `communication` resource: settings, and the links that start calls."""

    def __init__(self, application: Application) -> None:
        self._application = application
        self.conversations: list[Conversation] = []
        self._operations: dict[str, None] = {}
        self._invitations: deque[Invitation] = deque()
        self._put_token = application.pool.guid()
        self.etag = application.pool.digits()
        self._settings: JSON = _UNSET | {"supportedMessageFormats": ["Plain"]}
        place = application.place
        self.place = place("communication", get=self._get, put=self._put)
        self._links = {
            "conversations": place("conversations", query={"filter": "active"}, get=self._list),
            "startPhoneAudio": place("startPhoneAudio", post=self._start_phone_audio),
            "startAudio": place("startAudio", post=lambda ask: self._start_media(ask, _AUDIO)),
            "startVideo": place("startVideo", post=lambda ask: self._start_media(ask, _VIDEO)),
            "mediaPolicies": place("mediaPolicies", get=media_policies),
            "mediaRelayAccessToken": place(
                "mediaRelayAccessToken", get=lambda ask: media_relay_access(ask, application.pool)
            ),
            "startAudioVideo": place("startAudioVideo", post=lambda ask: self._start_media(ask, _AUDIO | _VIDEO)),
            "joinOnlineMeeting": place("joinOnlineMeeting", post=self._join),
            "startOnlineMeeting": place("startOnlineMeeting", post=self._join),
        }

    @property
    def pool(self) -> Pool:
        """The pool that the application runs on."""
        return self._application.pool

    @property
    def conferences(self) -> Conferences:
        """The meetings of the server."""
        return self._application.conferences

    @property
    def phone_number(self) -> str | None:
        """The user's own phone, where the client named it."""
        number = self._settings.get("phoneNumber")
        return number if isinstance(number, str) else None

    @property
    def prefers_phone(self) -> bool:
        """Whether calls from outside ring the user's own phone."""
        return self._settings["audioPreference"] == "PhoneAudio"

    @property
    def has_phone(self) -> bool:
        """Whether the client takes part in calls on the user's own phone."""
        return "PhoneAudio" in self._supported

    @property
    def voip_modalities(self) -> frozenset[Modality]:
        """The media that the client takes by itself."""
        return frozenset(_MEDIA[word] for word in self._supported if word in _MEDIA)

    @property
    def formats(self) -> list[str]:
        """The formats of messages that the client takes."""
        return cast("list[str]", self._settings["supportedMessageFormats"])

    @property
    def _supported(self) -> list[str]:
        return cast("list[str]", self._settings["supportedModalities"])

    def receive(self, wanted: Wanted, offered: frozenset[Modality]) -> Conversation:
        """Open a conversation that comes from outside."""
        conversation = Conversation(self._application, wanted, incoming=offered)
        self.conversations.append(conversation)
        return conversation

    def body(self) -> JSON:
        """Return the resource."""
        offered = links.COMMUNICATION if self._application.client.guest is None else links.COMMUNICATION_OF_A_GUEST
        shown = {rel: self._links[rel].link() for rel in self._application.pool.offers(offered)}
        if "startAudioVideo" in shown:
            shown["startAudioVideo"]["revision"] = "2"
        return {
            "rel": "communication",
            self._put_token: _PLEASE,
            **self._settings,
            "etag": self.etag,
            "_links": {"self": self.place.link(), **shown},
        }

    def take(
        self,
        *,
        modalities: list[str] | None,
        formats: list[str] | None,
        preference: str | None,
        phone_number: str | None,
    ) -> None:
        """Take the settings that making the user available carries."""
        given: JSON = {
            "supportedModalities": modalities,
            "supportedMessageFormats": formats,
            "audioPreference": preference,
            "phoneNumber": phone_number,
        }
        self._settings |= {name: value for name, value in given.items() if value is not None}
        self.etag = self._application.pool.digits()

    def updated(self) -> None:
        """Tell that the settings or links changed."""
        self._application.emit(self.place, self.place, "updated", body=self.body(), priority=Priority.MEDIUM)

    def _get(self, _: Ask) -> Answer:
        return Answer(200, self.body(), headers=[("ETag", f'"{self.etag}"')])

    def _put(self, ask: Ask) -> Answer:
        """Replace the settings: everything must come back, the token among it, under the right etag."""
        match = ask.headers.get("if-match")
        if match is None:
            raise UcwaError(428, "PreconditionRequired", None, "If-Match is missing.")
        if match != f'"{self.etag}"':
            raise UcwaError(412, "PreconditionFailed", None, "The resource has changed.")
        modalities = ask.choices("supportedModalities", MODALITIES)
        formats = ask.choices("supportedMessageFormats", ("Plain", "Html"))
        preference = ask.choice("audioPreference", ("PhoneAudio", "VoipAudio"))
        number = ask.text("phoneNumber", maximum=100)
        if self._put_token not in ask.inputs:
            ask.wrong(self._put_token, "Required")
        ask.check()
        own = addresses.own_number(number) if number is not None else None
        self._settings = dict(_UNSET)
        self.take(modalities=modalities, formats=formats, preference=preference, phone_number=own)
        answer = self._get(ask)
        answer.then = self.updated
        return answer

    def _list(self, _: Ask) -> Answer:
        place = self._links["conversations"]
        if self._application.pool.settings.embedded:
            bodies = [conversation.body() for conversation in self.conversations]
            embedded: JSON = {"_embedded": {"conversation": bodies}} if bodies else {}
            return Answer(200, {"rel": "conversations", "_links": {"self": place.link()}, **embedded})
        hrefs = [conversation.place.link() for conversation in self.conversations]
        shown: JSON = {"self": place.link(), **({"conversation": hrefs} if hrefs else {})}
        return Answer(200, {"rel": "conversations", "_links": shown})

    # Starting calls.

    def wanted(self, ask: Ask) -> Wanted:
        """Read what every start and add asks. Raises the documented refusals later, when `check` is called."""
        return Wanted(
            to=ask.text("to", required=True) or "",
            operation_id=ask.text("operationId", maximum=50),
            importance=ask.choice("importance", IMPORTANCES) or "Normal",
            subject=ask.text("subject", maximum=250) or "",
            thread_id=ask.text("threadId") or self._application.pool.guid().replace("-", ""),
        )

    def claim(self, operation_id: str | None) -> None:
        """Take an operation id, which may be used once per application."""
        if operation_id is not None:
            if operation_id in self._operations:
                raise conflict("An operation of that id exists already.", "AlreadyExists")
            self._operations[operation_id] = None
            if len(self._operations) > _IDS_REMEMBERED:
                del self._operations[next(iter(self._operations))]

    def invited(self, invitation: Invitation) -> None:
        """Remember an invitation, so that it can be fetched when it is decided, too: the newest of them."""
        self._invitations.append(invitation)
        while len(self._invitations) > _INVITATIONS_REMEMBERED and not self._invitations[0].pending:
            self._invitations.popleft().retire()

    def own_phone(self, ask: Ask) -> str:
        """Return the user's own number that phone audio rings: the request's, else the one given before."""
        number = ask.text("phoneNumber", maximum=100)
        if number is not None:
            return addresses.own_number(number)
        if self.phone_number is None:
            raise invalid(phoneNumber="Required")
        return self.phone_number

    def open_meeting(self, wanted: Wanted, *, incoming: bool = False) -> Conversation:
        """Open a conversation that leads into a meeting; `incoming` says that somebody invites the user there."""
        offered = frozenset[Modality]() if incoming else None
        conversation = Conversation(self._application, wanted, incoming=offered, meeting=True)
        self.conversations.append(conversation)
        return conversation

    def _join(self, ask: Ask) -> Answer:
        return join_meeting(ask, self, IMPORTANCES, guest=self._application.client.guest is not None)

    def derive(self, wanted: Wanted) -> Conversation:
        """Open a conversation with whoever answers in somebody else's place."""
        return self._open(wanted)

    def _open(self, wanted: Wanted) -> Conversation:
        conversation = Conversation(self._application, wanted)
        self.conversations.append(conversation)
        return conversation

    def _start_phone_audio(self, ask: Ask) -> Answer:
        wanted = self.wanted(ask)
        ask.check()
        target = addresses.phone_target(wanted.to)
        own = self.own_phone(ask)
        self.claim(wanted.operation_id)
        phone_audio = self._open(wanted.aimed(target)).phone_audio
        invitation = phone_audio.invite(wanted.aimed(target), own)
        phone_audio.expect(invitation)
        return Answer(201, headers=[("Location", invitation.place.href)], then=lambda: phone_audio.begin(invitation))

    def _start_media(self, ask: Ask, verb: frozenset[Modality]) -> Answer:
        wanted = self.wanted(ask)
        media, offer = asked_media(ask, verb)
        session_context = ask.text("sessionContext", maximum=50)
        ask.check()
        target = addresses.any_target(wanted.to)
        self.claim(wanted.operation_id)
        audio_video = self._open(wanted.aimed(target)).audio_video
        invitation = audio_video.invite(wanted.aimed(target), media, offer, session_context)
        audio_video.expect(invitation)
        return Answer(201, headers=[("Location", invitation.place.href)], then=lambda: audio_video.begin(invitation))
