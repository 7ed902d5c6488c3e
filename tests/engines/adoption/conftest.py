from __future__ import annotations

from tests.engines.stock.stand_in import cli, project

__all__ = ["cli", "project"]
