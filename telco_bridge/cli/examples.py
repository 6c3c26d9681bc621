"""The example program and its configuration, which the demo runs as they are."""

from __future__ import annotations

import importlib.util
import os
import tomllib
from collections.abc import Awaitable, Callable, Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, cast

from ..errors import TelcoBridgeError
from ..sandbox import Exchange

if TYPE_CHECKING:
    from ..bridge import Bridge
    from ..termination import Termination

__all__ = ["Application", "application", "environment", "exported", "folder", "profiles", "variable"]

_HERE = Path(__file__).parent


class Application(Protocol):
    """The application function of `examples/stop_audio.py`."""

    def __call__(self, bridge: Bridge, *, say: Callable[[str], None]) -> Awaitable[Termination]: ...


def folder() -> Path:
    """Return where the examples are: inside the installed package, or in the checkout beside it.

    Raises `TelcoBridgeError` where they are not there.
    """
    places = (_HERE / "files", _HERE.parent.parent / "examples")
    for place in places:
        if (place / "stop_audio.py").is_file():
            return place
    raise TelcoBridgeError(f"the examples are not installed: there is no stop_audio.py in {places[0]} or {places[1]}")


def application() -> Application:
    """Return the function that the example runs, from the example's own file."""
    path = folder() / "stop_audio.py"
    specification = importlib.util.spec_from_file_location("telco_bridge_example", path)
    if specification is None or specification.loader is None:
        raise TelcoBridgeError(f"{path} cannot be imported")
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return cast("Application", module.stop_audio)


def profiles() -> dict[str, dict[str, object]]:
    """Return the profiles of `examples/telco.toml`, references to the environment still in them; none without it."""
    try:
        path = folder() / "telco.toml"
    except TelcoBridgeError:
        return {}
    document = tomllib.loads(path.read_text(encoding="utf-8"))
    return cast("dict[str, dict[str, object]]", document["profiles"])


def variable(provider: str, setting: str) -> str:
    """Return the environment variable in which `examples/telco.toml` expects a setting of a sandbox."""
    return f"TELCO_SANDBOX_{provider}_{setting}".upper().replace("-", "_")


def exported(provider: str, profile: Mapping[str, object]) -> dict[str, str]:
    """Return the environment that leads the example's profile to a sandbox.

    An exchange travels by its name, to readers in this process.
    """
    words = {name: value.name if isinstance(value, Exchange) else value for name, value in profile.items()}
    return {
        variable(provider, setting): value
        for setting, value in words.items()
        if setting != "provider" and isinstance(value, str)
    }


@contextmanager
def environment(variables: Mapping[str, str]) -> Generator[None]:
    """Set these variables of the process, and put back afterwards what was there."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
