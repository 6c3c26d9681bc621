"""Providers that do not take care of their settings."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Any

from pydantic import model_validator

from telco_bridge.provider import CallReport, Dial, Refused, Source
from telco_bridge.sandbox import Leg

from ..line import Line, LineConfig, Plugin
from .table import breaks


@breaks("test_no_secret_is_shown")
class ShowsItsSecretInItsName(Line):
    """The representation of a session holds its settings, secret and all."""

    def __repr__(self) -> str:
        return f"<Line with {self._config.pin.get_secret_value()}>"


@breaks("test_no_secret_is_shown")
class LogsItsSecret(Line):
    """What is sent is logged, secret and all."""

    def _dial(self, command: Dial) -> None:
        logging.getLogger("line").debug("dial %s with pin %s", command.to, self._config.pin.get_secret_value())
        super()._dial(command)


@breaks("test_no_secret_is_shown")
class ShowsItsSecretInErrors(Line):
    """An error quotes the request, secret and all."""

    def _dial(self, command: Dial) -> None:
        try:
            super()._dial(command)
        except Refused as refused:
            raise Refused(f"{refused} (pin={self._config.pin.get_secret_value()})") from refused


@breaks("test_no_secret_is_shown")
class ShowsItsSecretInTheRecord(Line):
    """The native record of a call holds the request, secret and all."""

    def _describe(self, leg: Leg, source: Source, *, as_of: float | None = None) -> CallReport:
        told = super()._describe(leg, source, as_of=as_of)
        return replace(told, native={**(told.native or {}), "pin": self._config.pin.get_secret_value()})


@breaks("test_no_secret_is_shown")
def shows_the_secret_among_the_settings(line: Plugin) -> Plugin:
    """The representation of the settings is meant to be helpful."""

    class Helpful(LineConfig):
        def __repr__(self) -> str:
            return f"Helpful(pin={self.pin.get_secret_value()})"

    return replace(line, config_model=Helpful)


@breaks("test_what_is_no_setting_is_refused")
def drops_what_it_does_not_know(line: Plugin) -> Plugin:
    """Settings that it does not know are left out before they are checked."""

    class Lenient(LineConfig):
        @model_validator(mode="before")
        @classmethod
        def _left_out(cls, given: dict[str, Any]) -> dict[str, Any]:
            return {name: value for name, value in given.items() if name in cls.model_fields}

    return replace(line, config_model=Lenient)
