"""What telco_bridge finds. Importing this module does no I/O and loads no HTTP; open `support.py` next."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING

from telco_bridge.provider import Host, ProviderPlugin, ProviderSession, hookimpl

from .config import PROVIDER, AcmeConfig
from .reasons import REASONS, explain
from .support import SUPPORT, possible

if TYPE_CHECKING:
    from telco_bridge.sandbox import Emulator, Exchange

__all__ = ["telco_bridge_provider"]


@hookimpl
def telco_bridge_provider() -> ProviderPlugin[AcmeConfig]:
    """Return everything that is known of Acme before a connection is made."""
    return ProviderPlugin(
        name=PROVIDER,
        config_model=AcmeConfig,
        support=SUPPORT,
        explain=explain,
        possible=possible,
        connect=_connect,
        reasons=REASONS,
        emulator=_emulator,
    )


def _connect(config: AcmeConfig, host: Host) -> AbstractAsyncContextManager[ProviderSession]:
    from .session import connect

    return connect(config, host)


def _emulator(exchange: Exchange) -> Emulator:
    # Replace this by an emulator of your own: a subclass of `telco_bridge.sandbox.Emulator` that serves Acme's API.
    from telco_bridge.sandbox import ToyCarrier

    return ToyCarrier(exchange, provider=PROVIDER)
