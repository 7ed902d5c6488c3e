"""The repository's own pack."""

from __future__ import annotations

from tests.policies.fixtures import pack, while_exemptions_hold

__all__ = ["pack", "while_exemptions_hold"]
