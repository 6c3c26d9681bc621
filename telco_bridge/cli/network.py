"""`telco-bridge sandbox`: a phone network on this machine, and how to reach it."""

from __future__ import annotations

import json
import shlex
import signal
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, cast

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from .. import _discovery
from ..errors import PluginError, TelcoBridgeError
from ..sandbox import DIRECTORY, Behaviour, Sandbox, WireRecord
from . import examples
from .ladder import POLLS

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["directory", "emulated", "serve"]

_WEB = {"listen": "127.0.0.1:0"}


def emulated() -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the installed providers that bring an emulator, and one line for each that cannot be loaded."""
    names: list[str] = []
    problems: list[str] = []
    for found in _discovery.installed():
        try:
            if _discovery.load(found.name).emulator is not None:
                names.append(found.name)
        except PluginError as error:
            problems.append(str(error))
    order = list(examples.profiles())
    return tuple(sorted(names, key=lambda name: order.index(name) if name in order else len(order))), tuple(problems)


def serve(console: Console, names: Sequence[str], *, speed: float, quiet: bool) -> None:
    """Serve these providers' emulators, all of them by default, until the process is interrupted."""
    if not names:
        names, problems = emulated()
        for problem in problems:
            console.print(Text(f"left out: {problem}", "bad"))
    if not names:
        raise TelcoBridgeError("no installed provider brings an emulator; `telco-bridge providers` lists them")
    with _interruption() as interrupted, Sandbox(*names, speed=speed) as sandbox:
        _introduce(console, sandbox, names, speed)
        for name, emulator in sandbox.emulators.items():
            if not quiet:
                emulator.wire.listen(partial(_tell, console, name))
        while not interrupted():
            time.sleep(0.1)
    console.print(Text("\nthe network is closed", "quiet"))


@contextmanager
def _interruption() -> Generator[Callable[[], bool]]:
    """Tell whether Ctrl-C was pressed, without letting it break into whatever runs just then."""
    pressed: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, _frame: pressed.append(number))
    try:
        yield lambda: bool(pressed)
    finally:
        signal.signal(signal.SIGINT, before)


def _introduce(console: Console, sandbox: Sandbox, names: Sequence[str], speed: float) -> None:
    pace = "" if speed == 1 else f", its time runs {speed:g} times as fast"
    console.print()
    console.print(
        Text.assemble("  ", ("a phone network on this machine", "bold"), pace, ("   Ctrl-C ends it", "quiet"))
    )
    console.print(directory())
    for name in names:
        emulator = sandbox.emulators.get(name)
        console.print(Text.assemble("# ", (name, "provider"), f" {emulator.url}" if emulator is not None else ""))
        for line in _toml(name, sandbox.profile(name)):
            console.print(Text(line), soft_wrap=True)
        console.print()
    variables = [pair for name in names for pair in examples.exported(name, sandbox.profile(name)).items()]
    if variables:
        console.print(Text.assemble("# the same for ", ("examples/telco.toml", "bold")))
        for variable, value in variables:
            console.print(Text(f"export {variable}={shlex.quote(value)}"), soft_wrap=True)
        console.print()


def directory() -> Table:
    """Return the table of the magic numbers, each with its SIP twin."""
    twins: dict[Behaviour, list[str]] = {}
    for address, behaviour in DIRECTORY.items():
        twins.setdefault(behaviour, []).append(address)
    table = Table(box=SIMPLE_HEAD, header_style="bold")
    for column in ("number", "SIP address", "when it is called"):
        table.add_column(column)
    for behaviour, addresses in twins.items():
        number = next((address for address in addresses if address.startswith("+")), "")
        twin = next((address for address in addresses if address.startswith("sip:")), "")
        table.add_row(Text(number, "provider"), twin, behaviour.what)
    return table


def _toml(name: str, settings: Mapping[str, object]) -> list[str]:
    """The settings as a profile that can be pasted; what only this process knows is left out."""
    lines = [f"[profiles.{name}]"]
    lines += [f"{key} = {_toml_value(value)}" for key, value in settings.items() if _travels(value)]
    web = examples.profiles().get(name, {"web": _WEB}).get("web")
    if isinstance(web, Mapping) and name != "simulator":
        lines.append(f"[profiles.{name}.web]")
        lines += [f"{key} = {_toml_value(value)}" for key, value in cast("Mapping[str, object]", web).items()]
    return lines


def _travels(value: object) -> bool:
    return isinstance(value, str | bool | int | float | list | tuple)


def _toml_value(value: object) -> str:
    # Basic strings, booleans, numbers and arrays are written in TOML as in JSON.
    return json.dumps(value)


def _tell(console: Console, name: str, record: WireRecord) -> None:
    """Print what went over the wire; called in the emulator's thread."""
    if record.line in POLLS:
        return
    sent = record.sent_by == "bridge"
    console.print(
        Text.assemble(
            (f"{name:<12}", "provider"),
            ("──▶ " if sent else "◀── ", "sent" if sent else "heard"),
            record.line,
            (f"  {record.answer}", "quiet"),
        ),
        soft_wrap=True,
    )
