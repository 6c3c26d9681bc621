"""The conformance kit: what every provider promises, as tests that a plugin's author inherits.

    class TestAcme(ProviderContract):
        @pytest.fixture(scope="class")
        @classmethod
        def harness(cls) -> Iterator[Harness]:
            with SandboxHarness("acme", operations={Dial: "POST /calls"}) as harness:
                yield harness

`pytest -p telco_bridge.testing.pytest_plugin --certificate=DIR` also prints and writes the certificate. Needs the extra
`telco-bridge[testing]`.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .certificate import Certificate, Outcome, Result
    from .contract import ProviderContract
    from .harness import Caller, FarEnd, Harness, StartOptions, Trouble
    from .promises import Level, Promise, PromiseBroken, promise, promises_of
    from .sandboxed import SandboxHarness

__all__ = [
    "Caller",
    "Certificate",
    "FarEnd",
    "Harness",
    "Level",
    "Outcome",
    "Promise",
    "PromiseBroken",
    "ProviderContract",
    "Result",
    "SandboxHarness",
    "StartOptions",
    "Trouble",
    "promise",
    "promises_of",
]

_HOMES = {
    "certificate": ("Certificate", "Outcome", "Result"),
    "contract": ("ProviderContract",),
    "harness": ("Caller", "FarEnd", "Harness", "StartOptions", "Trouble"),
    "promises": ("Level", "Promise", "PromiseBroken", "promise", "promises_of"),
    "sandboxed": ("SandboxHarness",),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> object:
    home = _HOME_OF.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        # Only now, so that the pytest plugin beside it is loaded without what the kit needs.
        return getattr(importlib.import_module(f".{home}", __name__), name)
    except ModuleNotFoundError as error:
        if error.name in ("pytest", "hypothesis", "trio"):
            raise ImportError(f"{error.name} is missing: pip install 'telco-bridge[testing]'") from error
        raise
