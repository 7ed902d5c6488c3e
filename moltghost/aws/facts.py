"""Facts about AWS that no call returns: quota families, home regions, fees.

They live in `facts.json`, each with its source.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from importlib.resources import files
from typing import Any, Literal

Usage = Literal["on_demand", "spot"]

# "p5en.48xlarge" -> letters "p", generation "5"; "u-6tb1.metal" has neither form.
_FAMILY = re.compile(r"(?P<letters>[a-z]+)(?P<generation>\d+)[a-z0-9-]*\.")


@dataclass(frozen=True)
class Fee:
    """An hourly fee. ``exact`` is False for one that differs by region or grows with traffic."""

    usd_per_hour: Decimal
    source: str
    exact: bool


@cache
def facts() -> dict[str, Any]:
    """The whole file."""
    text = files("moltghost.aws").joinpath("facts.json").read_text(encoding="utf-8")
    content: dict[str, Any] = json.loads(text)
    return content


def quota_code(instance_type: str, usage: Usage) -> str | None:
    """Code of the vCPU quota that a type counts in, or None where none is known."""
    match = _FAMILY.match(instance_type)
    if match is None:
        return None
    codes: dict[str, str] = facts()["quota_families"][usage]
    generation = match["letters"] + match["generation"]
    return codes.get(generation) or codes.get(match["letters"])


def home_region(partition: str) -> str:
    """A region that is enabled in every account of the partition."""
    regions: dict[str, str] = facts()["home_regions"]
    return regions.get(partition, regions["aws"])


def fee(name: str) -> Fee:
    """An hourly fee by its key in the file, without the unit at its end."""
    record = facts()["fees"][f"{name}_usd_per_hour"]
    return Fee(Decimal(record["usd"]), record["source"], record["exact"])
