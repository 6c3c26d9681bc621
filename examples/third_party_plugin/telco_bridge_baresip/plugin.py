"""What the core finds: the baresip plugin. Importing this module starts nothing."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING

from telco_bridge.provider import Host, ProviderPlugin, ProviderSession, hookimpl

from .config import PROVIDER, BaresipConfig
from .reasons import REASONS, explain
from .support import SUPPORT, possible

if TYPE_CHECKING:
    from telco_bridge.sandbox import Emulator, Exchange

__all__ = ["telco_bridge_provider"]


@hookimpl
def telco_bridge_provider() -> ProviderPlugin[BaresipConfig]:
    """Return everything that is known of baresip before it is started."""
    return ProviderPlugin(
        name=PROVIDER,
        config_model=BaresipConfig,
        support=SUPPORT,
        explain=explain,
        possible=possible,
        connect=_connect,
        reasons=REASONS,
        emulator=_emulator,
    )


def _connect(config: BaresipConfig, host: Host) -> AbstractAsyncContextManager[ProviderSession]:
    from .session import connect

    return connect(config, host)


def _emulator(exchange: Exchange) -> Emulator:
    from .emulator import BaresipEmulator

    return BaresipEmulator(exchange)
