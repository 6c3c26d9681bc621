"""`IncomingPhoneNumbers`: the project's numbers, and who answers calls to them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace

from starlette.routing import Route

from .app import at
from .calls import API_VERSION, formatted
from .dates import rfc2822
from .directory import PhoneNumber
from .errors import ApiError
from .forms import Form
from .operations import Asked, Reply
from .paging import cut_page
from .settings import SMS, VOICE, read_settings, show_settings
from .space import Space

__all__ = ["number_routes"]

_SETTINGS = (*VOICE, *SMS, "VoiceApplicationSid", "SmsApplicationSid")
_E164 = re.compile(r"\+\d{5,17}")
_SCOPE = "Numbers"


class NumberOperations:
    """The operations on phone numbers. `admit` lets calls to a number reach the project."""

    def __init__(self, space: Space, admit: Callable[[str], None]) -> None:
        self._space = space
        self._admit = admit

    def list(self, asked: Asked) -> Reply:
        """List numbers, the latest first."""
        chosen = [number for number in self._space.directory.numbers.values() if _matches(number, asked.form)]
        page, envelope = cut_page(chosen, asked.form, self._space.uri("IncomingPhoneNumbers.json"))
        return Reply(body={**envelope, "incoming_phone_numbers": [self._resource(number) for number in page]})

    def buy(self, asked: Asked) -> Reply:
        """Let the project own another number. Whatever is not its own already may be bought."""
        form, now = asked.form, self._space.now()
        address = form.get("PhoneNumber") or ""
        if not _E164.fullmatch(address):
            raise ApiError(10000, "PhoneNumber is required" if not address else "PhoneNumber is invalid")
        if self._space.directory.number(address) is not None:
            raise ApiError(10000, "PhoneNumber has already been taken")
        _check_mode(form)
        number = PhoneNumber(
            number=self._space.directory.next_number(),
            phone_number=address,
            friendly_name=form.get("FriendlyName") or formatted(address),
            created=now,
            updated=now,
            settings=read_settings(form, self._space, _SETTINGS, {}),
        )
        self._space.directory.keep_number(number)
        self._admit(address)
        return Reply(status=201, body=self._resource(number))

    def read(self, asked: Asked) -> Reply:
        """Show one number."""
        return Reply(body=self._resource(self._find(asked)))

    def update(self, asked: Asked) -> Reply:
        """Let somebody else answer the calls to a number."""
        number = self._find(asked)
        _check_mode(asked.form)
        changed = replace(
            number,
            friendly_name=asked.form.get("FriendlyName") or number.friendly_name,
            updated=self._space.now(),
            settings=read_settings(asked.form, self._space, _SETTINGS, number.settings),
        )
        self._space.directory.keep_number(changed)
        return Reply(body=self._resource(changed), before=self._resource(number))

    def release(self, asked: Asked) -> Reply:
        """Own a number no more. Calls to it are refused from then on."""
        number = self._find(asked)
        if self._space.now() - number.created < self._space.switches.release_cooldown:
            raise ApiError(10000, "The phone number was purchased too recently", status=409)
        self._space.directory.release(number)
        return Reply(status=204)

    def _find(self, asked: Asked) -> PhoneNumber:
        for number in self._space.directory.numbers.values():
            if number.sid == asked.path["number"]:
                return number
        raise ApiError(20404)

    def _resource(self, number: PhoneNumber) -> Mapping[str, object]:
        project = self._space.project
        return {
            "sid": number.sid,
            "account_id": project,
            "account_sid": project,
            "phone_number": number.phone_number,
            "friendly_name": number.friendly_name,
            "country_code": "US" if number.phone_number.startswith("+1") else "",
            **show_settings(number.settings, _SETTINGS),
            "voice_caller_id_lookup": None,
            "address_requirements": "none",
            "address_sid": None,
            "beta": False,
            # Messages and faxes are not simulated.
            "capabilities": {"voice": True, "sms": False, "mms": False, "fax": False},
            "emergency_address_sid": None,
            "emergency_status": "Inactive",
            "identity_sid": None,
            "origin": "signalwire",
            "trunk_sid": None,
            "api_version": API_VERSION,
            "date_created": rfc2822(number.created),
            "date_updated": rfc2822(number.updated),
            "uri": self._space.uri(f"IncomingPhoneNumbers/{number.sid}.json"),
        }


def number_routes(space: Space, admit: Callable[[str], None]) -> list[Route]:
    """Return where the operations on phone numbers are found. They want a token of another scope than calls do."""
    numbers = NumberOperations(space, admit)
    return [
        *at(
            space,
            "IncomingPhoneNumbers",
            ("GET", "GET IncomingPhoneNumbers", numbers.list),
            ("POST", "POST IncomingPhoneNumbers", numbers.buy),
            scope=_SCOPE,
        ),
        *at(
            space,
            "IncomingPhoneNumbers/{number}",
            ("GET", "GET IncomingPhoneNumbers/{sid}", numbers.read),
            ("POST", "POST IncomingPhoneNumbers/{sid}", numbers.update),
            ("DELETE", "DELETE IncomingPhoneNumbers/{sid}", numbers.release),
            scope=_SCOPE,
        ),
    ]


def _check_mode(form: Form) -> None:
    if form.get("VoiceReceiveMode") not in (None, "", "voice", "fax"):
        raise ApiError(10000, "VoiceReceiveMode is invalid")


def _matches(number: PhoneNumber, form: Form) -> bool:
    """Whether the number passes the filters. SignalWire documents that of the number as a pattern: a part will do."""
    part, name = form.get("PhoneNumber"), form.get("FriendlyName")
    return (not part or part.strip("*") in number.phone_number) and (not name or name == number.friendly_name)
