"""Promises of settings: secrets stay secret, and what is no setting is refused."""

from __future__ import annotations

import logging

import pytest
from pydantic import SecretStr

from .._connect import connect
from ..errors import ConfigError
from ..provider import Capability
from .harness import FarEnd, Harness
from .promises import Level, promise, skip
from .tap import trial

__all__ = ["SecrecyPromises"]


class SecrecyPromises:
    """What every plugin promises of its settings."""

    @promise(Level.BASIC, needs=(Capability.DIAL, Capability.HANG_UP))
    async def test_no_secret_is_shown(self, harness: Harness, caplog: pytest.LogCaptureFixture) -> None:
        """No secret is shown: not in the log, in no representation, and in no error."""
        options = harness.options
        secrets = {name: v.get_secret_value() for name, v in options if isinstance(v, SecretStr)}
        if not secrets:
            skip("this set-up has no secrets")
        caplog.set_level(logging.DEBUG)
        shown: dict[str, str] = {"the settings": f"{options!r} {options}"}
        async with trial(harness) as line:
            call = await line.bridge.dial(harness.address(FarEnd.ANSWERS))
            await call.answered()
            session = line.tap.session
            shown["the session"] = f"{session!r} {line.bridge!r} {line.bridge.health!r}"
            shown["the call"] = f"{call!r} {call.view!r} {call.native!r}"
            for nonsense in ("call me", "+"):
                try:
                    await line.bridge.dial(nonsense)
                except Exception as error:  # noqa: BLE001 - whatever it is, it must not show a secret
                    shown[f"the error of dialling {nonsense!r}"] = f"{error!r} {error} {error.__cause__!r}"
            await call.hangup()
            shown["the reports"] = "\n".join(repr(fact) for fact in line.tap.facts)
        shown["the log"] = caplog.text

        leaks = [
            f"{name} is shown in {where}" for name, s in secrets.items() for where, text in shown.items() if s in text
        ]
        assert not leaks

    @promise(Level.BASIC)
    async def test_what_is_no_setting_is_refused(self, harness: Harness) -> None:
        """What is no setting of the provider is refused with its name."""
        with pytest.raises(ConfigError, match="no_such_setting"):
            connect({**harness.settings, "no_such_setting": 1})
