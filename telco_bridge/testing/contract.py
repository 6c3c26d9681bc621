"""The class that a plugin's author inherits from."""

from __future__ import annotations

import functools
import json
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from typing import cast

import pytest

if find_spec("trio") is None:
    # Otherwise half of the tests would fail, each in words of its own.
    raise ModuleNotFoundError("No module named 'trio'", name="trio")

_MODULES = ("abilities", "audio", "calls", "inbound", "reasons", "secrecy", "services", "streams", "trouble", "truth")
pytest.register_assert_rewrite(*(f"telco_bridge.testing.{name}" for name in _MODULES))

from .. import _discovery  # noqa: E402
from ..provider import CONTRACT  # noqa: E402
from .abilities import AbilityPromises  # noqa: E402
from .audio import AudioPromises  # noqa: E402
from .calls import CallPromises  # noqa: E402
from .harness import Harness  # noqa: E402
from .inbound import InboundPromises  # noqa: E402
from .promises import PROPERTY, Promise  # noqa: E402
from .reasons import ReasonPromises  # noqa: E402
from .secrecy import SecrecyPromises  # noqa: E402
from .services import ServicePromises  # noqa: E402
from .streams import StreamPromises  # noqa: E402
from .trouble import TroublePromises  # noqa: E402
from .truth import TruthPromises  # noqa: E402

__all__ = ["ProviderContract"]


@pytest.mark.anyio
class ProviderContract(
    CallPromises,
    AbilityPromises,
    ReasonPromises,
    TruthPromises,
    TroublePromises,
    SecrecyPromises,
    StreamPromises,
    AudioPromises,
    ServicePromises,
    InboundPromises,
):
    """Every promise of the contract, as tests. Inherit from it, and give it one fixture:

        class TestAcme(ProviderContract):
            @pytest.fixture(scope="class")
            @classmethod
            def harness(cls) -> Iterator[Harness]:
                with SandboxHarness("acme") as harness:
                    yield harness

    Every test runs on asyncio and on trio. A promise that does not apply, because the provider declares that it cannot
    do what it is about, is skipped with the reason. A failure names the provider and the promise.
    """  # noqa: D400, D415 - the first line leads to the example

    @pytest.fixture(scope="class")
    @classmethod
    def harness(cls) -> Harness:
        """Supply the provider under test."""
        raise NotImplementedError(f"{cls.__name__} needs a fixture `harness` that returns a Harness")

    @pytest.fixture(params=["asyncio", "trio"])
    def anyio_backend(self, request: pytest.FixtureRequest) -> str:
        """Run every promise on both event loops."""
        return str(request.param)

    @pytest.fixture(autouse=True)
    def _begun(self, request: pytest.FixtureRequest, harness: Harness, anyio_backend: str) -> None:
        """Begin a test, and let its report carry what a certificate needs."""
        harness.begin()
        promise: object = getattr(request.function, "promise", None)
        if isinstance(promise, Promise):
            node = cast("pytest.Item", request.node)
            node.user_properties.append((PROPERTY, json.dumps(_facts(harness, promise, anyio_backend))))


def _facts(harness: Harness, promise: Promise, backend: str) -> dict[str, object]:
    plugin = harness.plugin
    return {
        "title": harness.title,
        "provider": plugin.name,
        "promise": promise.name,
        "backends": [backend],
        "versions": _versions(plugin.name),
        "support": {capability: [s.level, s.note] for capability, s in plugin.support.items()},
    }


@functools.cache
def _versions(provider: str) -> dict[str, str]:
    """The versions that a certificate is about. A provider that is not installed has none of its own."""
    try:
        core = version("telco-bridge")
    except PackageNotFoundError:
        core = "unknown"
    found = next((one for one in _discovery.installed() if one.name == provider), None)
    own = {found.distribution: found.version} if found is not None else {}
    return {**own, "telco-bridge": core, "contract": str(CONTRACT)}
