"""Exemptions: which resource needn't follow a rule, why, and until when.

They are named in the config of the rule, never in code. An exemption that has expired is itself a
violation, so that none is forgotten.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from fnmatch import fnmatchcase
from typing import Any

SCHEMA: dict[str, Any] = {
    "type": "array",
    "default": [],
    "description": "Resources that needn't follow the rule, each with a reason and an expiry date.",
    "items": {
        "type": "object",
        "required": ["resource", "reason", "expires"],
        "additionalProperties": False,
        "properties": {
            "resource": {
                "type": "string",
                "description": "Title (DaemonSet kube-system/x), logical name or URN; * matches.",
            },
            "reason": {"type": "string", "minLength": 1},
            "expires": {"type": "string", "format": "date"},
        },
    },
}


@dataclass(frozen=True)
class Exemption:
    """One exemption from one rule."""

    resource: str
    reason: str
    expires: str

    def covers(self, names: tuple[str, ...]) -> bool:
        """Whether it is about a resource with one of these names."""
        return any(fnmatchcase(name, self.resource) for name in names)

    @property
    def fault(self) -> str:
        """What is wrong with the exemption itself; empty if nothing is."""
        if not self.reason.strip():
            return "an exemption covers it that gives no reason"
        if _parsed(self.expires) is None:
            return "an exemption covers it whose expiry is no date (YYYY-MM-DD)"
        return ""

    def expired(self, on: date) -> bool:
        """Whether it no longer holds; its last day still counts."""
        expires = _parsed(self.expires)
        return expires is not None and expires < on


def exemptions_of(config: Mapping[str, Any] | None) -> Iterator[Exemption]:
    """The exemptions in the config of a rule."""
    for entry in (config or {}).get("exemptions") or ():
        yield Exemption(
            resource=str(entry.get("resource", "")),
            reason=str(entry.get("reason", "")),
            expires=str(entry.get("expires", "")),
        )


def today() -> date:
    """The day by which exemptions are judged, in UTC."""
    return datetime.now(UTC).date()


def _parsed(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None
