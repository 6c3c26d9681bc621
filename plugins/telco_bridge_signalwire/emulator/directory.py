"""Who answers calls to the project: its phone numbers and applications, and what each of them does with a call."""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field

from telco_bridge.sandbox.numbers import normalize

from .webhooks import Script, Subscription, Webhook

__all__ = ["Application", "Directory", "PhoneNumber", "Routed", "VoiceRoute"]


@dataclass(frozen=True, slots=True, kw_only=True)
class VoiceRoute:
    """What a phone number or an application does with calls."""

    sid: str
    script: Script | None = None
    subscription: Subscription = field(default_factory=Subscription)


@dataclass(frozen=True, slots=True, kw_only=True)
class Routed:
    """Something that calls are routed by. Its settings have the names of the API's answers; what is absent is unset."""

    number: int
    sid: str = field(default_factory=lambda: str(uuid.uuid4()))
    friendly_name: str
    created: float
    updated: float
    settings: Mapping[str, str] = field(default_factory=dict[str, str])

    @property
    def script(self) -> Script | None:
        """Where the documents of its calls come from; None where nothing is set."""
        document = self._webhook("voice_url", "voice_method")
        fallback = self._webhook("voice_fallback_url", "voice_fallback_method")
        return None if document is None else Script(document=document, fallback=fallback)

    @property
    def callback(self) -> Webhook | None:
        """What is told of its calls."""
        return self._webhook("status_callback", "status_callback_method")

    def _webhook(self, url: str, method: str) -> Webhook | None:
        address = self.settings.get(url)
        return None if address is None else Webhook(url=address, method=self.settings.get(method, "POST"))


@dataclass(frozen=True, slots=True, kw_only=True)
class PhoneNumber(Routed):
    """A number that the project owns."""

    phone_number: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Application(Routed):
    """What numbers and calls may name in place of addresses of their own."""


class Directory:
    """The numbers and applications of one project. Each of its entries is replaced as a whole, from any thread."""

    def __init__(self) -> None:
        self.numbers: dict[str, PhoneNumber] = {}
        """By their addresses, as the network spells them."""
        self.applications: dict[str, Application] = {}
        """By their SIDs."""
        self._numbers = itertools.count(1)

    def next_number(self) -> int:
        """Return the number of the next entry: each is greater than those before it."""
        return next(self._numbers)

    def number(self, address: str) -> PhoneNumber | None:
        """Return the number of that address."""
        return self.numbers.get(normalize(address))

    def keep_number(self, number: PhoneNumber) -> None:
        """Add a number, or replace it."""
        self.numbers[normalize(number.phone_number)] = number

    def release(self, number: PhoneNumber) -> None:
        """Own a number no more."""
        self.numbers.pop(normalize(number.phone_number), None)

    def route(self, address: str) -> VoiceRoute | None:
        """Return what the number of that address does with calls; None where the project does not own it.

        An application that it names takes the place of its own documents, and of its callback where it has one.
        """
        number = self.number(address)
        if number is None:
            return None
        named = number.settings.get("voice_application_sid")
        application = self.applications.get(named) if named is not None else None
        script = number.script if named is None else None if application is None else application.script
        callback = number.callback if application is None or application.callback is None else application.callback
        return VoiceRoute(sid=number.sid, script=script, subscription=Subscription(webhook=callback, of_number=True))

    def application(self, sid: str) -> VoiceRoute | None:
        """Return what that application does with calls; None where there is none of that SID."""
        known = self.applications.get(sid)
        if known is None:
            return None
        return VoiceRoute(sid=known.sid, script=known.script, subscription=Subscription(webhook=known.callback))
