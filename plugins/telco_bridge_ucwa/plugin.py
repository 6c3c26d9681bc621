"""The door of the UCWA provider. Importing it loads no HTTP library."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING

from telco_bridge.provider import Host, ProviderPlugin, ProviderSession, ReadProfile, hookimpl

from .config import UcwaConfig
from .reasons import REASONS, explain
from .support import SUPPORT, possible, together

if TYPE_CHECKING:
    from typer import Typer

    from telco_bridge.sandbox.emulator import Emulator
    from telco_bridge.sandbox.exchange import Exchange

__all__ = ["telco_bridge_provider"]


@hookimpl
def telco_bridge_provider() -> ProviderPlugin[UcwaConfig]:
    """Return the provider `ucwa`."""
    return ProviderPlugin(
        name="ucwa",
        config_model=UcwaConfig,
        support=SUPPORT,
        explain=explain,
        possible=possible,
        together=together,
        connect=_connect,
        reasons=REASONS,
        emulator=_emulator,
        commands=_commands,
    )


def _connect(config: UcwaConfig, host: Host) -> AbstractAsyncContextManager[ProviderSession]:
    from .session import open_session

    return open_session(config, host)


def _commands(app: Typer, profiles: ReadProfile[UcwaConfig]) -> None:
    from .tools import add_commands

    add_commands(app, profiles)


def _emulator(exchange: Exchange) -> Emulator:
    from .emulator import UcwaEmulator

    return UcwaEmulator(exchange)
