"""The shape of the house: who may import whom, what an import costs, what is public."""

from __future__ import annotations

import ast
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

import telco_bridge
import telco_bridge.provider

ROOT = Path(__file__).parent.parent
CORE = ROOT / "telco_bridge"
PLUGINS = ("telco_bridge_ucwa", "telco_bridge_signalwire")
LIBRARIES = ("telco_bridge_laml",)

LAYERS = (
    ("_connect", "errors", "clock", "termination", "capabilities", "media"),
    ("audio",),
    ("commands", "reports"),
    ("views",),
    ("_stamps",),
    ("events",),
    ("_streams",),
    ("transitions", "recordings", "mediastream"),
    ("eventlog", "config"),
    ("provider",),
    ("_aiohttp", "http", "switchboard", "mediagate"),
    ("connection", "reconciliation"),
    ("channel", "dispatch"),
    ("callaudio", "callfacts"),
    ("callrecording",),
    ("call", "dialing"),
    ("arrivals",),
    ("_discovery",),
    ("bridge",),
    ("mediasocket",),
    ("mediaserver",),
    ("_counter",),
    ("web", "serving"),
    ("sandbox",),
    ("testing",),
    ("cli",),
)
"""Bottom to top: a module imports from lower layers, or from its own."""

HEIGHT = {name: height for height, layer in enumerate(LAYERS) for name in layer}


def sources(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*.py") if "__pycache__" not in path.parts)


def is_for_types(node: ast.stmt) -> bool:
    return isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)


def imports(path: Path) -> list[str]:
    """What the module imports when it is imported, as absolute names."""
    found: list[str] = []
    package = path.relative_to(ROOT).with_suffix("").parts[:-1]

    def walk(body: list[ast.stmt]) -> None:
        for node in body:
            if isinstance(node, ast.Import):
                found.extend(alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                base = ".".join(package[: len(package) - node.level + 1]) if node.level else ""
                module = ".".join(part for part in (base, node.module) if part)
                found.extend(f"{module}.{alias.name}" for alias in node.names)
            elif isinstance(node, ast.If | ast.Try | ast.With | ast.ClassDef) and not is_for_types(node):
                walk(node.body)

    walk(ast.parse(path.read_text()).body)
    return found


def every_import(path: Path) -> list[str]:
    """Everything that the module imports anywhere, deferred imports included."""
    found: list[str] = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found.extend(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
            found.extend(f"{node.module}.{alias.name}" for alias in node.names)
    return found


def core_module(name: str) -> str | None:
    parts = name.split(".")
    return parts[1] if parts[0] == "telco_bridge" and len(parts) > 1 and parts[1] in HEIGHT else None


@pytest.mark.parametrize("path", sources(CORE), ids=lambda path: str(path.relative_to(CORE)))
def test_modules_import_only_from_below(path: Path) -> None:
    own = path.relative_to(CORE).parts[0].removesuffix(".py")
    if own == "__init__":
        return

    above = [name for name in imports(path) if (m := core_module(name)) and HEIGHT[m] > HEIGHT[own]]

    assert own in HEIGHT, f"{own} has no place in the layers"
    assert above == []


@pytest.mark.parametrize("plugin", PLUGINS)
def test_plugins_import_the_contract_and_never_each_other(plugin: str) -> None:
    allowed = ("telco_bridge.provider", "telco_bridge.http")
    for path in sources(ROOT / "plugins" / plugin):
        emulator = "emulator" in path.relative_to(ROOT / "plugins" / plugin).parts
        doors = (
            (*allowed, "telco_bridge.sandbox", "telco_bridge.media", "telco_bridge.audio")
            if emulator
            else (*allowed, "telco_bridge.sandbox")
        )
        for name in every_import(path):
            if name.split(".")[0] == "telco_bridge":
                assert name.startswith(doors), f"{path.name} imports {name}"
            assert name.split(".")[0] not in set(PLUGINS) - {plugin}, f"{path.name} imports {name}"


def test_the_core_never_names_a_provider() -> None:
    for path in sources(CORE):
        if path.relative_to(CORE).parts[0] == "cli":
            continue
        words = [
            node.value
            for node in ast.walk(ast.parse(path.read_text()))
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and " " not in node.value
        ]
        assert not {"ucwa", "signalwire"} & {word.lower() for word in words}, path


@pytest.mark.parametrize("module", ["telco_bridge", "telco_bridge.bridge", "telco_bridge.provider"])
def test_importing_the_library_loads_nothing_heavy(module: str) -> None:
    heavy = ("httpx", "starlette", "typer", "rich", "pydantic", "uvicorn", "websockets", "pluggy", *PLUGINS)
    code = f"import sys, {module}; print([name for name in {heavy!r} if name in sys.modules])"

    loaded = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout

    assert loaded.strip() == "[]"


@pytest.mark.parametrize("name", ["ucwa", "signalwire"])
def test_loading_a_plugin_loads_no_http(name: str) -> None:
    code = f"import sys; from telco_bridge import _discovery; _discovery.load({name!r}); print('httpx' in sys.modules)"

    loaded = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout

    assert loaded.strip() == "False"


PUBLIC = (
    "telco_bridge",
    "telco_bridge.provider",
    "telco_bridge.sandbox",
    "telco_bridge.testing",
    "telco_bridge.http",
    "telco_bridge.errors",
)


@pytest.mark.parametrize("module", PUBLIC)
def test_public_names_are_sorted_and_there(module: str) -> None:
    public = importlib.import_module(module)

    names = list(public.__all__)

    assert names == sorted(names, key=lambda name: (not name.isupper(), not name[0].isupper(), name))
    assert not [name for name in names if not hasattr(public, name)]


@pytest.mark.parametrize("module", PUBLIC)
def test_public_classes_and_functions_promise_something(module: str) -> None:
    public = importlib.import_module(module)

    silent = [name for name in public.__all__ if callable(getattr(public, name)) and not getattr(public, name).__doc__]

    assert silent == []


def test_every_public_name_has_one_home() -> None:
    homes = [name for names in telco_bridge._HOMES.values() for name in names]

    assert sorted(homes) == sorted(telco_bridge.__all__)
    with pytest.raises(AttributeError, match="no attribute 'Nobody'"):
        getattr(telco_bridge, "Nobody")  # noqa: B009 - a name that the type checker must not see


def test_every_error_is_in_the_tree_of_the_module_docstring() -> None:
    errors = importlib.import_module("telco_bridge.errors")

    assert errors.__doc__ is not None
    assert [name for name in errors.__all__ if name not in errors.__doc__] == []
    assert set(errors.__all__) <= set(telco_bridge.__all__)


def test_no_module_is_longer_than_a_sitting() -> None:
    folders = [CORE, *(ROOT / "plugins" / plugin for plugin in PLUGINS)]
    long = [path.name for folder in folders for path in sources(folder) if len(path.read_text().splitlines()) > 600]

    assert long == []
