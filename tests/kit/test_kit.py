"""The kit itself: what it needs, what it costs, and what it says to somebody who uses it wrongly."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import cast

import pytest

from telco_bridge import Call
from telco_bridge.provider import Command
from telco_bridge.sandbox import Exchange
from telco_bridge.testing import FarEnd, Harness, SandboxHarness, Trouble

from .examination import ALONE


def said_by(code: str) -> str:
    """What a fresh interpreter prints, errors too."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


@pytest.mark.parametrize("name", ["ProviderContract", "promises_of"])
@pytest.mark.parametrize("missing", ["pytest"])
def test_without_pytest_it_says_what_to_install(missing: str, name: str) -> None:
    said = said_by(f"import sys; sys.modules[{missing!r}] = None\nfrom telco_bridge.testing import {name}")

    assert said.endswith(f"ImportError: {missing} is missing: pip install 'telco-bridge[testing]'\n")


@pytest.mark.parametrize("missing", ["hypothesis", "trio"])
def test_without_what_the_promises_need_it_says_what_to_install(missing: str) -> None:
    said = said_by(f"import sys; sys.modules[{missing!r}] = None\nfrom telco_bridge.testing import ProviderContract")

    assert said.endswith(f"ImportError: {missing} is missing: pip install 'telco-bridge[testing]'\n")


def test_what_is_missing_for_another_reason_is_told_as_it_is() -> None:
    said = said_by("import sys; sys.modules['anyio'] = None\nfrom telco_bridge.testing import ProviderContract")

    assert "ModuleNotFoundError: import of anyio halted" in said


def test_a_harness_needs_neither_pytest_nor_hypothesis() -> None:
    block = "import sys; sys.modules['pytest'] = sys.modules['hypothesis'] = None"

    assert said_by(f"{block}\nfrom telco_bridge.testing import Harness, SandboxHarness; print(Harness)") == (
        "<class 'telco_bridge.testing.harness.Harness'>\n"
    )


def test_loading_the_pytest_plugin_imports_nothing_heavy() -> None:
    heavy = ("httpx", "hypothesis", "pydantic", "trio", "uvicorn", "telco_bridge.bridge", "telco_bridge.sandbox")

    said = said_by(
        f"import sys, telco_bridge.testing.pytest_plugin\nprint([name for name in {heavy!r} if name in sys.modules])"
    )

    assert said == "[]\n"


def test_a_run_without_a_provider_imports_nothing_heavy_either(tmp_path: Path) -> None:
    (tmp_path / "test_other.py").write_text("def test_something_else():\n    pass\n")
    heavy = ("hypothesis", "telco_bridge.bridge", "telco_bridge.testing.contract")

    said = said_by(
        "import sys, pytest\n"
        "options = ['-q', '-p', 'telco_bridge.testing.pytest_plugin', '-p', 'no:hypothesispytest']\n"
        f"pytest.main([{str(tmp_path)!r}, *options, '--certificate', {str(tmp_path / 'none')!r}])\n"
        f"print([name for name in {heavy!r} if name in sys.modules])"
    )

    assert said.endswith("[]\n")
    assert "1 passed" in said


def test_a_name_that_it_has_not_is_an_attribute_error() -> None:
    import telco_bridge.testing

    with pytest.raises(AttributeError, match=r"telco_bridge\.testing.*Nonsense"):
        telco_bridge.testing.Nonsense  # noqa: B018 - asking for it is the point


def test_every_name_that_it_promises_is_there() -> None:
    import telco_bridge.testing as kit

    assert [name for name in kit.__all__ if not hasattr(kit, name)] == []
    assert list(kit.__all__) == sorted(kit.__all__, key=lambda name: (not name[0].isupper(), name))


def test_a_test_class_without_a_harness_says_what_it_lacks(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "test_bare.py").write_text(
        "from telco_bridge.testing import ProviderContract\n\n\nclass TestBare(ProviderContract):\n    pass\n"
    )
    alone = [option for option in ALONE if option not in ("-pno:terminal", "--capture=no")]

    pytest.main([*alone, str(tmp_path), "-k", "test_every_capability_is_declared and asyncio"])

    assert "NotImplementedError: TestBare needs a fixture `harness` that returns a Harness" in capfd.readouterr().out


class Bare(Harness):
    """Supplies only what every harness must."""

    settings = cast("Mapping[str, object]", {"provider": "simulator", "web": {}, "speed": 5})

    def address(self, far_end: FarEnd) -> str:
        return "+15550100"

    def begin(self) -> None: ...

    def placed(self) -> int:
        return 0

    def up(self) -> int:
        return 0

    def sent(self) -> int:
        return 0

    async def inject(self, trouble: Trouble, *, on: type[Command] | None = None, times: int | None = 1) -> None: ...

    async def calm(self) -> None: ...


async def test_what_a_harness_does_not_supply_is_named_with_what_it_is_for() -> None:
    bare, call = Bare(), cast("Call", None)

    with pytest.raises(NotImplementedError, match=r"^Bare\.call_in: let somebody call one of the bridge's numbers$"):
        await bare.call_in()
    with pytest.raises(NotImplementedError, match=r"^Bare\.press: let the far end press keys$"):
        await bare.press(call, "1")
    with pytest.raises(NotImplementedError, match=r"^Bare\.heard: return the digits that the far end has heard$"):
        bare.heard(call)


def test_a_harness_knows_the_plugin_and_its_own_settings() -> None:
    bare = Bare()

    assert (bare.title, bare.plugin.name, bare.nowhere()) == ("simulator", "simulator", None)
    assert bare.options == bare.plugin.config_model.model_validate({"speed": 5})


async def test_a_harness_of_a_sandbox_says_which_trouble_its_emulator_cannot_make() -> None:
    with SandboxHarness("simulator", speed=100) as harness:
        with pytest.raises(NotImplementedError, match=r"^simulator: its emulator cannot make rate_limit; teach it, or"):
            await harness.inject(Trouble.RATE_LIMITED)
        with pytest.raises(NotImplementedError, match=r"^simulator: give the harness a `number` whose calls arrive"):
            await harness.call_in()


def test_a_harness_begins_with_a_silent_network() -> None:
    with SandboxHarness("simulator", speed=100) as harness:
        exchange: Exchange = harness.sandbox.exchange
        exchange.call(caller="+15550001", callee="+15550103", watcher=lambda leg, event: None)
        assert (harness.placed(), harness.up()) == (1, 1)
        assert harness.sent() > 0

        harness.begin()

        assert (harness.placed(), harness.up(), harness.sent()) == (0, 0, 0)
