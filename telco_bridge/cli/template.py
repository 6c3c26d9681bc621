"""`telco-bridge new-plugin`: a distribution of one's own, copied from one that works."""

from __future__ import annotations

import re
import shlex
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from rich.text import Text

from .. import _discovery
from ..errors import TelcoBridgeError

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["FOLDER", "show", "write"]

FOLDER = Path(__file__).parent / "scaffold"
"""The distribution that is copied: a real one, of a provider called acme."""

_TOPS = ("pyproject.toml", "README.md", "telco_bridge_acme", "tests")
_SUFFIXES = (".md", ".py", ".toml", ".typed")
"""What belongs to it, beside what tools and interpreters leave behind."""

_NAME = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", re.ASCII)
_TAKEN = frozenset({"provider"})
"""Words that would give a class the name of one of the library's."""


def write(name: str, into: Path) -> Path:
    """Write a plugin for a provider of that name into a new folder, whole or not at all; return the folder.

    Raises `TelcoBridgeError` for a name that cannot be, and where it cannot be written.
    """
    _check(name)
    folder = into / f"telco-bridge-{name.replace('_', '-')}"
    if folder.exists() or folder.is_symlink():
        raise TelcoBridgeError(f"{folder} is there already; move it away, or choose another folder with --into")
    if not into.is_dir():
        raise TelcoBridgeError(f"{into} is no folder; make it first, or choose another with --into")
    try:
        with tempfile.TemporaryDirectory(prefix=".telco-bridge-", dir=into) as workshop:
            made = Path(workshop) / folder.name
            for source in _sources():
                target = made / _renamed(source.relative_to(FOLDER).as_posix(), name)
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_text(_renamed(source.read_text(encoding="utf-8"), name), encoding="utf-8")
            made.rename(folder)
    except OSError as error:
        raise TelcoBridgeError(f"{folder} cannot be written: {error.strerror}. Nothing was left there.") from error
    return folder


def show(console: Console, folder: Path) -> None:
    """Print what was written, and what to do next."""
    written = sorted(path for path in folder.rglob("*") if path.is_file())
    lines = [Text(f"{folder}/", "provider")]
    lines += [Text(f"  {path.relative_to(folder).as_posix()}") for path in written]
    lines += [Text(), Text("next:")]
    commands = (f"cd {shlex.quote(str(folder))}", "python -m pip install -e '.[testing]'", "python -m pytest")
    lines += [Text(f"  {command}", "app") for command in commands]
    for line in lines:
        console.print(line, soft_wrap=True)


def _check(name: str) -> None:
    if _NAME.fullmatch(name) is None:
        raise TelcoBridgeError(
            f"{name!r} cannot be a provider's name: write a lower-case word of letters, digits and single _, such as "
            "acme or acme_europe"
        )
    if name in _TAKEN:
        raise TelcoBridgeError(f"{name!r} is a word of the library's own; name the provider by its company or product")
    found = next((one for one in _discovery.installed() if one.name.lower().replace("-", "_") == name), None)
    if found is not None:
        raise TelcoBridgeError(
            f"provider {found.name!r} is there already, in {found.distribution} {found.version}; choose another name"
        )


def _sources() -> list[Path]:
    found = [path for top in _TOPS for path in (FOLDER / top, *(FOLDER / top).rglob("*"))]
    sources = [path for path in found if path.suffix in _SUFFIXES and path.is_file()]
    if not sources:
        raise TelcoBridgeError(f"the template is not installed: there is nothing in {FOLDER}")
    return sources


def _renamed(text: str, name: str) -> str:
    """Return the text with every form of the template's name replaced by that of the new one."""
    dashed = name.replace("_", "-")
    forms = {
        "telco-bridge-acme": f"telco-bridge-{dashed}",
        "acme.example": f"{dashed}.example",
        "acme": name,
        "Acme": "".join(part.capitalize() for part in name.split("_")),
        "ACME": name.upper(),
    }
    return re.sub("|".join(map(re.escape, forms)), lambda found: forms[found.group()], text)
