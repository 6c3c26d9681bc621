"""What the core finds: the SignalWire plugin. Importing this module does no I/O and loads no HTTP."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING

from telco_bridge.provider import (
    Capture,
    Diagnosis,
    Host,
    ProviderPlugin,
    ProviderSession,
    ReadProfile,
    hookimpl,
)

from .config import PROVIDER, SignalWireConfig
from .reasons import REASONS, explain
from .support import SUPPORT, possible

if TYPE_CHECKING:
    from typer import Typer

    from telco_bridge.sandbox.emulator import Emulator
    from telco_bridge.sandbox.exchange import Exchange

__all__ = ["telco_bridge_provider"]


@hookimpl
def telco_bridge_provider() -> ProviderPlugin[SignalWireConfig]:
    """Return everything that is known of SignalWire before a connection is made."""
    return ProviderPlugin(
        name=PROVIDER,
        config_model=SignalWireConfig,
        support=SUPPORT,
        explain=explain,
        possible=possible,
        connect=_connect,
        reasons=REASONS,
        emulator=_emulator,
        diagnose=_diagnose,
        commands=_commands,
    )


def _connect(config: SignalWireConfig, host: Host) -> AbstractAsyncContextManager[ProviderSession]:
    from telco_bridge_laml.session import connect

    return connect(config, host)


def _emulator(exchange: Exchange) -> Emulator:
    from .emulator import SignalWireEmulator

    return SignalWireEmulator(exchange, allow_loopback_ws=True)


def _diagnose(config: SignalWireConfig, capture: Capture) -> Diagnosis:
    from .diagnosis import diagnose

    return diagnose(config, capture)


def _commands(app: Typer, profiles: ReadProfile[SignalWireConfig]) -> None:
    from .tools import add_commands

    add_commands(app, profiles)
