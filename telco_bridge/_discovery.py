"""Finding provider plugins: listed without importing any, loaded one at a time."""

from __future__ import annotations

import importlib.util
import logging
import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.metadata import EntryPoint, distributions
from typing import TYPE_CHECKING, cast

from .errors import PluginConflict, PluginContractError, PluginLoadError, PluginNotFound
from .provider import CONTRACT, ProviderPlugin

if TYPE_CHECKING:
    from pydantic import BaseModel

__all__ = ["GROUP", "Installed", "check", "installed", "load"]

_log = logging.getLogger("telco_bridge")

GROUP = "telco_bridge"
"""The entry-point group. An entry's name is the provider's name, its value a module with the hook."""


@dataclass(frozen=True, slots=True)
class Installed:
    """One entry point: who offers which provider. `problem` says why it cannot work, as far as a look tells."""

    name: str
    distribution: str
    version: str
    module: str
    problem: str | None = None


def installed(*, path: Iterable[str] | None = None) -> tuple[Installed, ...]:
    """Return every provider that is installed, broken ones included, importing none of them.

    `path` are the folders to look in, `sys.path` by default.
    """
    return tuple(_describe(name, offers) for name, offers in sorted(_offers(path).items()))


def load(name: str, *, path: Iterable[str] | None = None) -> ProviderPlugin[BaseModel]:
    """Return the provider of that name, checked against the contract.

    Raises `PluginNotFound`, `PluginConflict`, `PluginLoadError` or `PluginContractError`, naming distribution, version
    and cause. Other providers are not affected.
    """
    offers = _offers(path)
    found = offers.get(name)
    if found is None:
        there = ", ".join(sorted(offers)) or "none"
        raise PluginNotFound(f"no provider {name!r} is installed; installed are: {there}")
    described = _describe(name, found)
    if len(found) > 1:
        raise PluginConflict(f"provider {name!r} is offered twice: {described.problem}; uninstall one of them")
    entry = found[0][0]
    origin = f"provider {name!r} of {described.distribution} {described.version}"
    try:
        module = entry.load()
    except (Exception, SystemExit) as error:
        # Foreign code runs on import and may raise anything; the cause is chained and nobody else is harmed.
        raise PluginLoadError(f"{origin} cannot be imported: {type(error).__name__}: {error}") from error
    return _shake_hands(module, name, origin)


def check(plugin: object, *, name: str | None, origin: str) -> ProviderPlugin[BaseModel]:
    """Return the plugin if it keeps the contract as far as a look tells; raise `PluginContractError` if not."""
    if not isinstance(plugin, ProviderPlugin):
        what = f"{origin} is" if name is None else f"{origin}: telco_bridge_provider() returned"
        raise PluginContractError(f"{what} a {type(plugin).__name__}, not a ProviderPlugin")
    provider = cast("ProviderPlugin[BaseModel]", plugin)
    if name is not None and provider.name != name:
        raise PluginContractError(f"{origin} calls itself {provider.name!r}; its entry point must have that name")
    if provider.contract != CONTRACT:
        raise PluginContractError(
            f"{origin} keeps contract {provider.contract}; this telco_bridge keeps contract {CONTRACT}. "
            "Install a version of the plugin made for it."
        )
    return provider


def _shake_hands(module: object, name: str, origin: str) -> ProviderPlugin[BaseModel]:
    import pluggy

    specification = pluggy.HookspecMarker(GROUP)

    class Handshake:
        @specification
        def telco_bridge_provider(self) -> object:
            """Return the `ProviderPlugin` that this module offers."""

    manager = pluggy.PluginManager(GROUP)
    manager.add_hookspecs(Handshake)
    try:
        manager.register(module)
        manager.check_pending()
    except pluggy.PluginValidationError as error:
        raise PluginContractError(f"{origin}: {error}") from error
    try:
        answers = cast("list[object]", manager.hook.telco_bridge_provider())
    except Exception as error:
        # The hook is foreign code, like the import.
        raise PluginLoadError(f"{origin}: telco_bridge_provider() raised {type(error).__name__}: {error}") from error
    if len(answers) != 1:
        raise PluginContractError(f"{origin}: its module has no @hookimpl function telco_bridge_provider()")
    return check(answers[0], name=name, origin=origin)


_Offer = tuple[EntryPoint, str, str]


def _offers(path: Iterable[str] | None) -> dict[str, list[_Offer]]:
    found: defaultdict[str, list[_Offer]] = defaultdict(list)
    seen: set[str] = set()
    for distribution in distributions() if path is None else distributions(path=list(path)):
        try:
            entries = [entry for entry in distribution.entry_points if entry.group == GROUP]
            title = str(distribution.metadata["Name"]) if entries else ""
        except Exception as error:  # noqa: BLE001
            # Any distribution of this machine may be damaged, and damage must not spread from it.
            _log.warning("the entry points of %s cannot be read: %s", distribution, error)
            continue
        # One distribution may lie on the path twice: an editable install, or an older one behind a newer.
        if entries and (normal := re.sub(r"[-_.]+", "-", title).lower()) not in seen:
            seen.add(normal)
            for entry in entries:
                found[entry.name].append((entry, title, distribution.version))
    return dict(found)


def _describe(name: str, offers: list[_Offer]) -> Installed:
    entry, title, version = offers[0]
    if len(offers) > 1:
        problem: str | None = " and ".join(f"{owner} {release}" for _, owner, release in offers)
        return Installed(name, title, version, entry.value, f"conflict: {problem}")
    top = entry.value.partition(":")[0].partition(".")[0].strip()
    try:
        missing = importlib.util.find_spec(top) is None
    except (ImportError, ValueError):
        missing = True
    return Installed(name, title, version, entry.value, f"there is no module {top}" if missing else None)
