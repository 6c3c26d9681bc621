"""The settings with which the user takes part in communication."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

import httpx

from telco_bridge.provider import AnswerLost, ProviderError, Refused, TooLate

from ..body import Unreadable, body_in
from ..config import AudioPreference, SupportedModality
from ..inputs import LONGEST_NUMBER, checked_text
from ..parties import address
from ..wire import Resource, parse_resource
from .door import Door

__all__ = ["CommunicationSettings", "MessageFormat", "Policy", "UcwaCommunication"]


class Policy(StrEnum):
    """Whether something is switched on."""

    NONE = "None"
    DISABLED = "Disabled"
    ENABLED = "Enabled"
    UNKNOWN = "Unknown"


class MessageFormat(StrEnum):
    """A format that messages may have."""

    PLAIN = "Plain"
    HTML = "Html"


@dataclass(frozen=True, slots=True, kw_only=True)
class CommunicationSettings:
    """The settings at one moment.

    `audio_preference` says where incoming audio calls ring; None where the server did not say, or said something new.
    `phone_number` is the user's own phone. The sets hold the server's words, `native` are all of its properties, and
    `offered` the names of its links: what the user may start, such as `startPhoneAudio`.
    """

    audio_preference: AudioPreference | None = None
    phone_number: str | None = None
    supported_modalities: frozenset[str] = frozenset()
    supported_message_formats: frozenset[str] = frozenset()
    conversation_history: Policy = Policy.UNKNOWN
    video_based_screen_sharing: Policy = Policy.UNKNOWN
    offered: frozenset[str] = frozenset()
    native: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class _Version:
    """The settings as the server sent them, and what it calls this version of them."""

    resource: Resource
    body: Mapping[str, object]
    etag: str | None


class UcwaCommunication:
    """What the user's `communication` says: `bridge.native(UcwaApplication).communication`.

    Every method raises `ProviderError` where the server says no or cannot be reached.
    """

    def __init__(self, door: Door) -> None:
        self._door = door

    async def settings(self) -> CommunicationSettings:
        """Read the settings now."""
        return _settings((await self._read()).resource)

    async def change(
        self,
        *,
        audio_preference: AudioPreference | None = None,
        phone_number: str | None = None,
        supported_modalities: Iterable[SupportedModality] | None = None,
        supported_message_formats: Iterable[MessageFormat] | None = None,
        conversation_history: Policy | None = None,
        video_based_screen_sharing: Policy | None = None,
    ) -> CommunicationSettings:
        """Change what is given, leave the rest as it is, and return the settings that are in force then.

        Where somebody else changes them at the same time, they are read again and the change is sent once more.
        Raises `Refused` for what the server would not take, before anything is sent, and for what it does not take.
        """
        number = _number(phone_number)
        if Policy.UNKNOWN in (conversation_history, video_based_screen_sharing):
            raise Refused("Unknown is no policy that can be set. Nothing was sent.", provider="ucwa")
        given: Mapping[str, object | None] = {
            "audioPreference": audio_preference,
            "phoneNumber": number,
            "supportedModalities": None if supported_modalities is None else sorted(set(supported_modalities)),
            "supportedMessageFormats": (
                None if supported_message_formats is None else sorted(set(supported_message_formats))
            ),
            "conversationHistory": conversation_history,
            "videoBasedScreenSharing": video_based_screen_sharing,
        }
        changes = {name: value for name, value in given.items() if value is not None}
        answer = await self._put(changes)
        if answer.status_code == 412:
            answer = await self._put(changes)
        if not answer.is_success:
            raise self._door.links.refusal(answer, "PUT communication")
        if not answer.content:
            return await self.settings()
        return _settings(self._version(answer, "PUT communication").resource)

    async def _put(self, changes: Mapping[str, object]) -> httpx.Response:
        """Replace the settings, all of them: what is not sent back, known here or not, would be lost."""
        version = await self._read()
        kept = {name: value for name, value in version.body.items() if name not in ("_links", "_embedded")}
        return await self._door.send("PUT", self._href(), "communication", json={**kept, **changes}, etag=version.etag)

    async def _read(self) -> _Version:
        answer = await self._door.send("GET", self._href(), "communication")
        if answer.status_code != 200:
            raise self._door.links.refusal(answer, "GET communication")
        return self._version(answer, "GET communication")

    def _href(self) -> str:
        known = self._door.resources.only("communication")
        if known is None or known.href is None:
            raise TooLate("communication: the server has not told of it. Nothing was sent.", provider="ucwa")
        return known.href

    def _version(self, answer: httpx.Response, what: str) -> _Version:
        try:
            body = body_in(answer)
        except Unreadable as error:
            fact = ProviderError if what.startswith("GET") else AnswerLost
            raise fact(f"{what}: {error}", provider="ucwa", status=answer.status_code) from error
        resource = parse_resource(body, rel="communication")
        # Real servers quote it in the header and not in the body.
        told = answer.headers.get("etag", "").removeprefix("W/").strip('"')
        return _Version(resource, body, told or resource.text("etag"))


def _settings(resource: Resource) -> CommunicationSettings:
    preference = resource.text("audioPreference")
    return CommunicationSettings(
        audio_preference=AudioPreference(preference) if preference in set(AudioPreference) else None,
        phone_number=resource.text("phoneNumber"),
        supported_modalities=resource.words("supportedModalities") or frozenset(),
        supported_message_formats=resource.words("supportedMessageFormats") or frozenset(),
        conversation_history=_policy(resource, "conversationHistory"),
        video_based_screen_sharing=_policy(resource, "videoBasedScreenSharing"),
        offered=frozenset(resource.links) - {"self"},
        native=resource.properties,
    )


def _number(phone_number: str | None) -> str | None:
    if phone_number is None:
        return None
    number = address(checked_text("phone_number", phone_number, longest=LONGEST_NUMBER))
    if not number.startswith("tel:"):
        raise Refused(f"{phone_number!r} is no phone number. Write +14255550100. Nothing was sent.", provider="ucwa")
    return number.removeprefix("tel:")


def _policy(resource: Resource, name: str) -> Policy:
    word = resource.text(name)
    return Policy(word) if word in set(Policy) else Policy.UNKNOWN
