"""Settings: from a TOML file with profiles, from a mapping, or from the environment."""

from __future__ import annotations

import difflib
import os
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar, cast

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from .errors import ConfigError

if TYPE_CHECKING:
    from .provider import ProviderPlugin

__all__ = ["LifecycleSettings", "Settings", "WebSettings", "load", "validate"]

M = TypeVar("M", bound=BaseModel)

TABLES = ("lifecycle", "web")
"""The tables of the core, beside the settings of the provider."""


class LifecycleSettings(BaseModel):
    """How hard the bridge works for the truth. Times are in seconds."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    cause_grace: float = Field(default=2.0, ge=0, description="wait for the reason of an end that came without one")
    confirm_timeout: float = Field(default=10.0, gt=0, description="wait for a command to become a fact")
    close_timeout: float = Field(default=10.0, gt=0, description="hang up and sign out when the bridge closes")
    sweep_interval: float = Field(default=30.0, gt=0, description="between reads of all calls where events arrive")
    reads_per_second: float = Field(default=20.0, gt=0, description="the budget of all reads together")
    orphan_after: float = Field(default=120.0, gt=0, description="give up a dial whose outcome is unknown")
    event_capacity: int = Field(default=10_000, ge=100, description="events kept for readers and replays")


class WebSettings(BaseModel):
    """Where providers reach the bridge."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    listen: str | None = Field(default=None, description="HOST:PORT to serve on; port 0 takes a free one")
    public_url: str | None = Field(
        default=None, description="the address that the provider uses, without a final slash"
    )

    @field_validator("listen")
    @classmethod
    def _host_and_port(cls, value: str | None) -> str | None:
        if value is not None:
            host, colon, port = value.rpartition(":")
            if not (colon and host and port.isdecimal() and int(port) < 65536):
                raise ValueError("write HOST:PORT, for example 127.0.0.1:8080")
        return value

    @field_validator("public_url")
    @classmethod
    def _absolute(cls, value: str | None) -> str | None:
        if value is not None:
            if not value.startswith(("https://", "http://")) or set("@?#") & set(value):
                raise ValueError(
                    "write an absolute URL without credentials or query, for example https://bridge.example.net/telco"
                )
            return value.rstrip("/")
        return value


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """One profile, read and checked as far as the core can: the provider's own options are checked by its plugin."""

    provider: str | ProviderPlugin[BaseModel]
    options: Mapping[str, object] = field(repr=False)
    lifecycle: LifecycleSettings = field(default_factory=LifecycleSettings)
    web: WebSettings = field(default_factory=WebSettings)
    source: str = "the settings"
    """The file, or `the mapping`."""
    prefix: str = ""
    """The path of the profile in it, with a final dot; empty where there are no profiles."""


def load(
    config: str | Path | Mapping[str, object] | None,
    *,
    profile: str | None = None,
    environ: Mapping[str, str] | None = None,
) -> Settings:
    """Return the chosen profile of a file (path), a mapping, or the file named by `TELCO_BRIDGE_CONFIG`.

    The profile is, in this order: the argument, `TELCO_BRIDGE_PROFILE`, the file's `profile`, the only one there is. A
    value `{ env = "NAME" }`, or `{ env = "NAME", default = … }`, is taken from the environment.

    Raises `ConfigError` with the file, the path of the setting, and what is allowed there.
    """
    environ = os.environ if environ is None else environ
    if config is None:
        config = environ.get("TELCO_BRIDGE_CONFIG")
        if not config:
            raise ConfigError(
                "no configuration: pass a file or a mapping to connect(), or set TELCO_BRIDGE_CONFIG to a TOML file"
            )
    _check_source(config)
    where, document = (
        ("the mapping", config) if isinstance(config, Mapping) else (str(config), _read_file(Path(config)))
    )
    if profile is None and ("profiles" in document or not isinstance(config, Mapping)):
        # A mapping without profiles is a program's own choice, which the environment does not touch.
        profile = environ.get("TELCO_BRIDGE_PROFILE") or None
    prefix, chosen = _choose(document, profile, where)
    settings = _resolve(chosen, environ, prefix, where)
    provider = settings.get("provider")
    if provider is None:
        raise ConfigError(f"{where}: {prefix}provider is missing; write the name of an installed provider")
    if not isinstance(provider, str) and not isinstance(config, Mapping):
        raise ConfigError(f"{where}: {prefix}provider must be the name of an installed provider")
    if isinstance(provider, str) and not provider:
        raise ConfigError(f"{where}: {prefix}provider is empty; write the name of an installed provider")
    return Settings(
        provider=cast("str | ProviderPlugin[BaseModel]", provider),
        options={name: value for name, value in settings.items() if name not in ("provider", *TABLES)},
        lifecycle=validate(LifecycleSettings, settings.get("lifecycle", {}), f"{prefix}lifecycle.", where),
        web=validate(WebSettings, settings.get("web", {}), f"{prefix}web.", where),
        source=where,
        prefix=prefix,
    )


def validate(model: type[M], values: object, prefix: str, where: str) -> M:
    """Return the model of these values. Raises `ConfigError` that names every wrong setting, and no value."""
    try:
        return model.model_validate(values)
    except ValidationError as error:
        problems = [
            _problem(model, problem["loc"], problem["type"], problem["msg"], prefix) for problem in error.errors()
        ]
    raise ConfigError(f"{where}: " + "; ".join(problems))


def _check_source(config: object) -> None:
    if not isinstance(config, str | Path | Mapping) or config == "":
        raise ConfigError(f"the configuration is {config!r}; pass a path to a TOML file, or a mapping")


def _problem(model: type[BaseModel], loc: Sequence[int | str], kind: str, message: str, prefix: str) -> str:
    path = (prefix + ".".join(str(part) for part in loc)).rstrip(".")
    if kind == "extra_forbidden" and len(loc) > 1:
        return f"{path} is not a setting"
    if kind == "extra_forbidden":
        # A provider's settings stand beside the tables of the core, which may be what was meant.
        beside = () if model in (LifecycleSettings, WebSettings) else TABLES
        allowed = sorted({*model.model_fields, *beside})
        near = difflib.get_close_matches(str(loc[-1]), allowed, n=1)
        hint = f"did you mean {near[0]}? " if near else ""
        return f"{path} is not a setting ({hint}allowed: {', '.join(allowed)})"
    if kind in ("list_type", "tuple_type"):
        return f"{path}: write a list"
    if kind == "too_short" and message.endswith("not 0"):
        return f"{path}: is empty"
    if kind == "missing":
        return f"{path} is missing"
    return f"{path}: {message.removeprefix('Value error, ')}" if path else message.removeprefix("Value error, ")


def _read_file(path: Path) -> Mapping[str, object]:
    try:
        with path.open("rb") as file:
            return tomllib.load(file)
    except FileNotFoundError:
        raise ConfigError(f"there is no file {path}") from None
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not TOML: {error}") from error


def _choose(document: Mapping[str, object], profile: str | None, where: str) -> tuple[str, Mapping[str, object]]:
    """Return the path prefix and the table of the chosen profile."""
    if "profiles" not in document:
        if profile is not None:
            raise ConfigError(f"{where}: profile {profile!r} was asked for, but there are no profiles here")
        return "", document
    unknown = sorted(set(document) - {"profile", "profiles"})
    if unknown:
        raise ConfigError(f"{where}: {', '.join(unknown)} is not known here (allowed: profile, profiles)")
    profiles = document["profiles"]
    if not isinstance(profiles, Mapping) or not profiles:
        raise ConfigError(f"{where}: profiles must hold at least one table [profiles.NAME]")
    known = cast("Mapping[str, object]", profiles)
    wanted = profile if profile is not None else document.get("profile")
    if wanted is None:
        if len(known) > 1:
            raise ConfigError(f"{where}: choose one of the profiles {', '.join(sorted(known))}")
        wanted = next(iter(known))
    if not isinstance(wanted, str) or wanted not in known:
        raise ConfigError(f"{where}: there is no profile {wanted!r}; there are {', '.join(sorted(known))}")
    table = known[wanted]
    if not isinstance(table, Mapping):
        raise ConfigError(f"{where}: profiles.{wanted} must be a table")
    return f"profiles.{wanted}.", cast("Mapping[str, object]", table)


def _resolve(table: Mapping[str, object], environ: Mapping[str, str], prefix: str, where: str) -> Mapping[str, object]:
    """Return the table with every reference to the environment replaced by its value."""
    return {str(name): _resolve_value(value, environ, f"{prefix}{name}", where) for name, value in table.items()}


def _resolve_value(value: object, environ: Mapping[str, str], path: str, where: str) -> object:
    if isinstance(value, list):
        items = cast("list[object]", value)
        return [_resolve_value(item, environ, f"{path}.{index}", where) for index, item in enumerate(items)]
    if not isinstance(value, Mapping):
        return value
    table = cast("Mapping[str, object]", value)
    if "env" not in table or not set(table) <= {"env", "default"}:
        return _resolve(table, environ, f"{path}.", where)
    name = table["env"]
    if isinstance(name, str) and name in environ:
        return environ[name]
    if "default" in table:
        return table["default"]
    raise ConfigError(f"{where}: {path} is taken from the environment variable {name}, which is not set")
