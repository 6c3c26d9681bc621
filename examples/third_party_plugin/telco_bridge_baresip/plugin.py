"""What the core finds: the baresip plugin. Importing this module starts nothing."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager

from telco_bridge.provider import Host, ProviderPlugin, ProviderSession, hookimpl

from .config import PROVIDER, BaresipConfig
from .reasons import REASONS, explain
from .support import SUPPORT, possible

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
    )


def _connect(config: BaresipConfig, host: Host) -> AbstractAsyncContextManager[ProviderSession]:
    from .session import connect

    return connect(config, host)
