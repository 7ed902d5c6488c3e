from __future__ import annotations

from .stand_in import cli, project

__all__ = ["cli", "project"]
