"""Finding provider plugins: listed without importing any, loaded one at a time."""

from __future__ import annotations

import importlib.util
import logging
import re
from collections import abc, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import EntryPoint, distributions
from typing import TYPE_CHECKING, Annotated, Literal, cast, get_args, get_origin

from .capabilities import Capability, Support, SupportLevel
from .errors import PluginConflict, PluginContractError, PluginLoadError, PluginNotFound
from .provider import CONTRACT, ProviderPlugin, ReasonRow

if TYPE_CHECKING:
    from pydantic import BaseModel

__all__ = ["GROUP", "Installed", "check", "installed", "load"]

_log = logging.getLogger("telco_bridge")

GROUP = "telco_bridge"
"""The entry-point group. An entry's name is the provider's name, its value a module with the hook."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")
_SECRETS = frozenset({"password", "passphrase", "passwd", "secret", "token", "credential", "credentials"})
_SECRET_KEYS = frozenset({"api", "signing", "private", "secret", "access", "auth"})


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
    """Return the plugin if it keeps the contract as far as a look tells.

    Raises `PluginContractError` with everything that is wrong, and how to mend it.
    """
    if not isinstance(plugin, ProviderPlugin):
        what = f"{origin} is" if name is None else f"{origin}: telco_bridge_provider() returned"
        raise PluginContractError(f"{what} a {type(plugin).__name__}, not a ProviderPlugin")
    provider = cast("ProviderPlugin[BaseModel]", plugin)
    if provider.contract != CONTRACT:
        # What another contract asks for is not known here, so the rest is not looked at.
        raise PluginContractError(
            f"{origin} keeps contract {provider.contract}; this telco_bridge keeps contract {CONTRACT}. "
            "Install a version of the plugin made for it."
        )
    problems = [*_problems_of_name(provider.name, name), *_problems(provider)]
    if problems:
        raise PluginContractError(f"{origin} {'; '.join(problems)}")
    return provider


def _problems_of_name(own: object, entry: str | None) -> Iterator[str]:
    if not isinstance(own, str) or _NAME.fullmatch(own) is None:
        yield f"has the name {own!r}: write a word of letters, digits, - and _, which fits into TOML and URLs"
    elif entry is not None and own != entry:
        yield f"calls itself {own!r}; its entry point must have that name"


def _problems(plugin: ProviderPlugin[BaseModel]) -> Iterator[str]:
    """Look at every field, as at values of an unknown type: nobody has checked the author's code."""
    yield from _problems_of_settings(plugin.config_model)
    yield from _problems_of_support(plugin.support)
    for field in ("explain", "possible", "connect"):
        value: object = getattr(plugin, field)
        if not callable(value):
            yield f"has {_a(value)} as {field}: give a function"
    emulator: object = plugin.emulator
    if emulator is not None and not callable(emulator):
        yield f"has {_a(emulator)} as emulator: give a function that takes an Exchange, or None"
    optional = {
        "together": "a CallView",
        "diagnose": "a configuration and a Capture",
        "commands": "a Typer and a ReadProfile",
    }
    for field, given in optional.items():
        value = getattr(plugin, field)
        if value is not None and not callable(value):
            yield f"has {_a(value)} as {field}: give a function that takes {given}, or None"
    yield from _problems_of_reasons(plugin.reasons)


def _problems_of_support(support: object) -> Iterator[str]:
    if not isinstance(support, Mapping):
        yield f"has {_a(support)} as support: give a mapping of Capability to Support"
        return
    for key, value in cast("Mapping[object, object]", support).items():
        if not isinstance(key, Capability):
            yield f"supports {key!r}, which is no Capability: write Capability.DIAL and the like"
        elif not isinstance(value, Support):
            yield f"has {_a(value)} as its support of {key}: write Support(SupportLevel.FULL) and the like"
        elif not isinstance(cast("object", value.level), SupportLevel):
            yield f"supports {key} at the level {value.level!r}: write SupportLevel.FULL and the like"


def _problems_of_reasons(reasons: object) -> Iterator[str]:
    if not isinstance(reasons, Sequence) or isinstance(reasons, str):
        yield f"has {_a(reasons)} as reasons: give a tuple of ReasonRow"
        return
    others = [row for row in cast("Sequence[object]", reasons) if not isinstance(row, ReasonRow)]
    if others:
        yield f"has {_a(others[0])} among its reasons: give ReasonRows only"


# Settings


def _problems_of_settings(model: object) -> Iterator[str]:
    from pydantic import BaseModel

    if not (isinstance(model, type) and issubclass(model, BaseModel)):
        what = f"the class {model.__name__}" if isinstance(model, type) else _a(model)
        yield f"has {what} as config_model: give a class derived from pydantic.BaseModel"
        return
    if model.model_config.get("extra") != "forbid":
        yield (
            f"takes settings that it does not know, in silence: "
            f'give {model.__name__} a model_config = ConfigDict(extra="forbid")'
        )
    for path in _open_secrets(model, "", frozenset()):
        yield (
            f"keeps the setting {path} as a plain str, and its name says that it is a secret, which logs and errors "
            "would show: make it a pydantic.SecretStr, or give it another name if it is none"
        )


def _open_secrets(model: type[BaseModel], prefix: str, seen: frozenset[type[BaseModel]]) -> Iterator[str]:
    """The paths of all settings, nested ones too, that are secrets by their name and text by their type."""
    from pydantic import BaseModel

    for name, field in model.model_fields.items():
        path = f"{prefix}{field.alias or name}"
        types = set(_leaves(field.annotation))
        if str in types and (_says_secret(name) or _says_secret(field.alias or "")):
            yield path
        for inner in types:
            if isinstance(inner, type) and issubclass(inner, BaseModel) and inner not in seen:
                yield from _open_secrets(inner, f"{path}.", seen | {model, inner})


def _leaves(annotation: object) -> Iterator[object]:
    """The types of which a value may consist. The keys of a mapping are names, not values."""
    supertype: object = getattr(annotation, "__supertype__", None)
    inner: tuple[object, ...] = (supertype,) if supertype is not None else get_args(annotation)
    origin = get_origin(annotation)
    if origin is Literal or origin is cast("object", abc.Callable):
        # Words that are written down, and what is no value at all.
        return
    if origin is Annotated or (isinstance(origin, type) and issubclass(origin, Mapping)):
        inner = inner[:1] if origin is Annotated else inner[1:]
    if not inner:
        yield annotation
    for part in inner:
        yield from _leaves(part)


def _says_secret(name: str) -> bool:
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower().replace("-", "_").split("_")
    return words[-1] in _SECRETS or (words[-1] == "key" and len(words) > 1 and words[-2] in _SECRET_KEYS)


def _a(value: object) -> str:
    return "None" if value is None else f"a {type(value).__name__}"


# Installed distributions


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
