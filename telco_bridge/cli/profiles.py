"""The profile that a command is told to use: the same rules as for `connect()`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from .. import _discovery
from .. import config as configuration
from ..errors import ConfigError
from ..provider import Profile, ProviderPlugin

if TYPE_CHECKING:
    from pydantic import BaseModel

__all__ = ["chosen", "read"]


def chosen(config: Path | None, profile: str | None) -> tuple[ProviderPlugin[BaseModel], Profile[BaseModel]]:
    """Return the profile and its provider. Raises `ConfigError` or `PluginError`."""
    settings = _settings(config, profile)
    plugin = _discovery.load(str(settings.provider))
    return plugin, _checked(plugin, settings)


def read(
    plugin: ProviderPlugin[BaseModel], config: Path | None = None, *, profile: str | None = None
) -> Profile[BaseModel]:
    """Return a profile of this provider. Raises `ConfigError`, also where it is one of another provider."""
    settings = _settings(config, profile)
    if settings.provider != plugin.name:
        where = f"{settings.source}: {settings.prefix}provider"
        raise ConfigError(f"{where} is {settings.provider!r}; choose a profile of {plugin.name!r} with --profile")
    return _checked(plugin, settings)


def _settings(config: Path | None, profile: str | None) -> configuration.Settings:
    try:
        return configuration.load(config, profile=profile)
    except ConfigError as error:
        if config is None and str(error).startswith("no configuration"):
            raise ConfigError("no configuration: name a TOML file with --config, or set TELCO_BRIDGE_CONFIG") from error
        raise


def _checked(plugin: ProviderPlugin[BaseModel], settings: configuration.Settings) -> Profile[BaseModel]:
    options = configuration.validate(plugin.config_model, settings.options, settings.prefix, settings.source)
    return Profile(config=options, public_url=settings.web.public_url)
