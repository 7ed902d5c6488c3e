"""Reads the catalogue's data files: JSON beside the code, each read once."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

_DATA = Path(__file__).parent / "data"


@cache
def read(name: str) -> dict[str, Any]:
    """The content of `data/<name>.json`. Callers don't change it."""
    content: dict[str, Any] = json.loads((_DATA / f"{name}.json").read_text(encoding="utf-8"))
    return content
