"""One rule of an admission policy."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Rule:
    """One validation: a CEL expression that must hold, and what to say when it doesn't."""

    expression: str
    message: str
