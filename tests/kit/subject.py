"""What an author writes, collected by name only: the provider under test comes from whoever runs it."""

from __future__ import annotations

import pytest

from telco_bridge.testing import Harness, ProviderContract


class TestSubject(ProviderContract):
    @pytest.fixture
    def harness(self, subject: Harness) -> Harness:
        return subject

    @pytest.fixture(params=["asyncio"])
    def anyio_backend(self, request: pytest.FixtureRequest) -> str:
        return str(request.param)
