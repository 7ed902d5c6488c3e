"""What the tests of the rules and of their running share."""

from __future__ import annotations

import pytest

from moltghost.policy.pack import Pack
from tests.policies.declare import PROJECT


@pytest.fixture(scope="session")
def pack() -> Pack:
    return Pack(PROJECT / "policies")
