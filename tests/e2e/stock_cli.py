"""The real Pulumi CLI in tests: they run where it is, and say why where it isn't."""

from __future__ import annotations

import pytest

from moltghost.engines.stock.installation import find_cli

needs_cli = pytest.mark.skipif(
    find_cli() is None, reason="the stock engine needs the Pulumi CLI, and it isn't on PATH"
)
