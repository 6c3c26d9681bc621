from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import Phase, settings


@pytest.fixture(scope="session", autouse=True)
def few_examples() -> Iterator[None]:
    """Each of nearly a hundred providers is shown fewer causes than the one provider of an author."""
    generate = (Phase.explicit, Phase.generate)
    quick = settings(max_examples=20, phases=generate, deadline=None, database=None, derandomize=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("telco_bridge.testing.reasons._quick", quick)
        yield
