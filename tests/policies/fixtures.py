"""What the tests of the rules and of their running share."""

from __future__ import annotations

import sys
from datetime import date

import pytest

from moltghost.policy.pack import Pack
from tests.policies.declare import PROJECT


@pytest.fixture(scope="session")
def pack() -> Pack:
    return Pack(PROJECT / "policies")


@pytest.fixture
def while_exemptions_hold(pack: Pack, monkeypatch: pytest.MonkeyPatch) -> None:
    """A day before the documented exemptions end, so that no test fails by the calendar."""
    rules = sys.modules[type(pack.rules[0]).__module__]
    monkeypatch.setattr(rules, "today", lambda: date(2026, 12, 1))
