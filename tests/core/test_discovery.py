"""Finding plugins: listed without importing any, and a broken one is nobody's trouble but its user's."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from telco_bridge import PluginConflict, PluginContractError, PluginLoadError, PluginNotFound
from telco_bridge._discovery import Installed, installed, load

GOOD = """
from pydantic import BaseModel, ConfigDict
from telco_bridge.provider import ProviderPlugin, Termination, hookimpl

class Config(BaseModel):
    model_config = ConfigDict(extra="forbid")

@hookimpl
def telco_bridge_provider():
    return ProviderPlugin(
        name="{name}",
        config_model=Config,
        support={{}},
        explain=lambda cause, view: Termination(),
        possible=lambda view: frozenset(),
        connect=lambda config, host: None,
        contract={contract},
    )
"""

Install = Callable[..., None]


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.syspath_prepend(str(tmp_path))
    before = set(sys.modules)
    yield [str(tmp_path)]  # type: ignore[misc]
    for name in set(sys.modules) - before:
        if name.startswith("acme"):
            del sys.modules[name]


@pytest.fixture
def install(tmp_path: Path) -> Install:
    """Make a distribution in the folder, with one provider."""

    def make(
        name: str = "acme",
        *,
        module: str | None = None,
        code: str | None = None,
        distribution: str | None = None,
        version: str = "1.2",
        contract: int = 1,
        folder: Path = tmp_path,
    ) -> None:
        module, distribution = module or f"{name}_plugin", distribution or f"telco-{name}"
        info = folder / f"{distribution.replace('-', '_')}-{version}.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n")
        (info / "entry_points.txt").write_text(f"[telco_bridge]\n{name} = {module}\n")
        if code != "":
            (folder / f"{module}.py").write_text(code or GOOD.format(name=name, contract=contract))

    return make


def test_a_plugin_is_found_by_the_name_of_its_entry_point(install: Install, path: list[str]) -> None:
    install("acme")

    assert load("acme", path=path).name == "acme"


def test_a_plugin_that_is_not_installed_is_told_with_those_that_are(install: Install, path: list[str]) -> None:
    install("acme")
    install("acme2")

    with pytest.raises(PluginNotFound, match=r"^no provider 'nobody' is installed; installed are: acme, acme2$"):
        load("nobody", path=path)


def test_nothing_installed_is_said(path: list[str]) -> None:
    with pytest.raises(PluginNotFound, match="installed are: none"):
        load("acme", path=path)


def test_listing_imports_nothing(install: Install, path: list[str]) -> None:
    install("acme", code="raise RuntimeError('imported')")

    assert installed(path=path) == (Installed("acme", "telco-acme", "1.2", "acme_plugin"),)
    assert "acme_plugin" not in sys.modules


def test_listing_tells_what_is_missing(install: Install, path: list[str]) -> None:
    install("acme", code="")

    (listed,) = installed(path=path)

    assert listed.problem == "there is no module acme_plugin"


def test_two_distributions_with_one_name_are_both_named(install: Install, path: list[str]) -> None:
    install("acme", distribution="telco-acme", version="1.2")
    install("acme", distribution="acme-fork", version="3.0", module="acme_fork")

    with pytest.raises(PluginConflict, match=r"telco-acme 1\.2") as caught:
        load("acme", path=path)

    assert "acme-fork 3.0" in str(caught.value)
    (listed,) = installed(path=path)
    assert listed.problem is not None
    assert listed.problem.startswith("conflict: ")


def test_a_distribution_that_lies_behind_a_newer_one_is_no_conflict(
    install: Install, path: list[str], tmp_path: Path
) -> None:
    install("acme", version="2.0")
    install("acme", version="1.0", folder=tmp_path / "old", module="acme_old")

    plugins = installed(path=[*path, str(tmp_path / "old")])

    assert plugins == (Installed("acme", "telco-acme", "2.0", "acme_plugin"),)


def test_a_broken_import_names_distribution_version_and_cause(install: Install, path: list[str]) -> None:
    install("acme", code="import nothing_of_that_name")

    with pytest.raises(
        PluginLoadError, match=r"provider 'acme' of telco-acme 1\.2 cannot be imported: Module"
    ) as caught:
        load("acme", path=path)

    assert isinstance(caught.value.__cause__, ModuleNotFoundError)


def test_an_import_that_exits_harms_nobody(install: Install, path: list[str]) -> None:
    install("acme", code="import sys; sys.exit(1)")

    with pytest.raises(PluginLoadError, match="SystemExit"):
        load("acme", path=path)


def test_an_entry_point_without_a_module_is_told(install: Install, path: list[str]) -> None:
    install("acme", code="")

    with pytest.raises(PluginLoadError, match="No module named 'acme_plugin'"):
        load("acme", path=path)


def test_a_plugin_with_another_name_is_refused(install: Install, path: list[str]) -> None:
    install("acme", code=GOOD.format(name="other", contract=1))

    with pytest.raises(
        PluginContractError,
        match=r"^provider 'acme' of telco-acme 1\.2 calls itself 'other'; its entry point must have that name$",
    ):
        load("acme", path=path)


def test_a_plugin_of_another_contract_is_refused(install: Install, path: list[str]) -> None:
    install("acme", contract=2)

    with pytest.raises(
        PluginContractError, match=r"telco-acme 1\.2 keeps contract 2; this telco_bridge keeps contract 1"
    ):
        load("acme", path=path)


@pytest.mark.parametrize(
    ("code", "sentence"),
    [
        ("x = 1", "has no @hookimpl function telco_bridge_provider"),
        ("def telco_bridge_provider(): ...", "has no @hookimpl function telco_bridge_provider"),
        (
            "from telco_bridge.provider import hookimpl\n@hookimpl\ndef telco_bridge_providr(): ...",
            "unknown hook 'telco_bridge_providr'",
        ),
        (
            "from telco_bridge.provider import hookimpl\n@hookimpl\ndef telco_bridge_provider(config): ...",
            r"\{'config'\} are declared in the hookimpl",
        ),
        (
            "from telco_bridge.provider import hookimpl\n@hookimpl\ndef telco_bridge_provider(): return 'acme'",
            "returned a str, not a ProviderPlugin",
        ),
        (
            "from telco_bridge.provider import hookimpl\n@hookimpl\ndef telco_bridge_provider(): return None",
            "returned nothing|has no @hookimpl function",
        ),
    ],
)
def test_a_handshake_that_goes_wrong_says_how(install: Install, path: list[str], code: str, sentence: str) -> None:
    install("acme", code=code)

    with pytest.raises(PluginContractError, match=sentence) as caught:
        load("acme", path=path)

    assert "telco-acme 1.2" in str(caught.value)


def test_a_hook_that_raises_is_told_with_its_cause(install: Install, path: list[str]) -> None:
    head = "from telco_bridge.provider import hookimpl\n@hookimpl\n"
    install("acme", code=head + "def telco_bridge_provider(): raise LookupError('no key')")

    with pytest.raises(PluginLoadError, match=r"telco_bridge_provider\(\) raised LookupError: no key") as caught:
        load("acme", path=path)

    assert isinstance(caught.value.__cause__, LookupError)


def test_a_broken_plugin_does_not_harm_the_others(install: Install, path: list[str]) -> None:
    install("acme", code="raise RuntimeError")
    install("acme2")

    assert load("acme2", path=path).name == "acme2"
    assert [plugin.name for plugin in installed(path=path)] == ["acme", "acme2"]


@pytest.mark.parametrize("garbage", ["[console_scripts]\nno equals sign\n", "[telco_bridge]\nacme\n", "\0\xff["])
def test_a_distribution_that_cannot_be_read_does_not_harm_the_others(
    install: Install, path: list[str], tmp_path: Path, garbage: str
) -> None:
    install("acme2")
    info = tmp_path / "broken-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: broken\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(garbage)

    assert load("acme2", path=path).name == "acme2"


def test_the_distributions_that_come_along_are_found() -> None:
    assert {"simulator", "ucwa", "signalwire"} <= {plugin.name for plugin in installed()}
    assert load("simulator").name == "simulator"
