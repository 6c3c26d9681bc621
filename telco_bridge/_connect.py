"""The front door. It opens the house only when somebody enters, so that importing the library stays cheap."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from .bridge import Bridge
    from .clock import Clock

__all__ = ["connect"]


def connect(
    config: str | Path | Mapping[str, object] | None = None,
    *,
    profile: str | None = None,
    clock: Clock | None = None,
) -> Bridge:
    """Return a bridge to the configured provider. Nothing is connected until it is entered with `async with`.

    `config` is a TOML file, a mapping, or None for the file named by `TELCO_BRIDGE_CONFIG`. `clock` replaces the
    machine's time, for tests. Raises `ConfigError` or `PluginError`.
    """
    from . import _discovery
    from . import config as configuration
    from .bridge import Bridge

    settings = configuration.load(config, profile=profile)
    if isinstance(settings.provider, str):
        plugin = _discovery.load(settings.provider)
    else:
        plugin = _discovery.check(settings.provider, name=None, origin="the given provider")
    options = configuration.validate(plugin.config_model, settings.options, settings.prefix, settings.source)
    return Bridge(plugin, options, settings, clock=clock)
