"""The repository's own pack."""

from __future__ import annotations

from tests.policies.fixtures import pack

__all__ = ["pack"]
