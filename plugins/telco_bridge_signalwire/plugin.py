"""What the core finds: the SignalWire plugin. Importing this module does no I/O and loads no HTTP."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING

from telco_bridge.provider import Host, ProviderPlugin, ProviderSession, hookimpl

from .config import PROVIDER, SignalWireConfig
from .reasons import REASONS, explain
from .support import SUPPORT, possible

if TYPE_CHECKING:
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
    )


def _connect(config: SignalWireConfig, host: Host) -> AbstractAsyncContextManager[ProviderSession]:
    from .session import connect

    return connect(config, host)


def _emulator(exchange: Exchange) -> Emulator:
    from .emulator import SignalWireEmulator

    return SignalWireEmulator(exchange, allow_loopback_ws=True)
