"""Exemptions: which problem of which object is accepted, why, and until when.

They are named in the config of the rule, never in code. One is about one problem, in the words of
the report, of one object, so that nothing else that becomes wrong with the object is covered, and
no other object that happens to share a name. An exemption that has expired is itself a violation,
so that none is forgotten.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

from .subject import Subject, known

SCHEMA: dict[str, Any] = {
    "type": "array",
    "default": [],
    "description": "Single problems of single objects that are accepted, each with a reason and "
    "an expiry date.",
    "items": {
        "type": "object",
        "required": ["kind", "name", "problem", "reason", "expires"],
        "additionalProperties": False,
        "properties": {
            "kind": {
                "type": "string",
                "description": "Kind of a Kubernetes object (DaemonSet), else the type token.",
            },
            "namespace": {"type": "string", "description": "Namespace of the object, if any."},
            "name": {
                "type": "string",
                "description": "Name of the Kubernetes object, else the logical name.",
            },
            "problem": {"type": "string", "description": "The problem as the report says it."},
            "reason": {"type": "string", "minLength": 1},
            "expires": {"type": "string", "format": "date"},
        },
    },
}
_FIELDS = ("kind", "namespace", "name", "problem", "reason", "expires")


@dataclass(frozen=True)
class Exemption:
    """One exemption from one rule."""

    kind: str
    namespace: str
    name: str
    problem: str
    reason: str
    expires: str

    def covers(self, subject: Subject) -> bool:
        """Whether it is about an object; the logical name of a Kubernetes object doesn't count."""
        kind = subject.kind if subject.is_builtin else subject.type
        name = known(subject.props, "metadata.name") if subject.is_kubernetes else subject.name
        own = (kind, subject.namespace, name)
        return own == (self.kind, self.namespace, self.name)

    @property
    def fault(self) -> str:
        """What is wrong with the exemption itself; empty if nothing is."""
        if not self.reason.strip():
            return "an exemption covers it that gives no reason"
        if _parsed(self.expires) is None:
            return "an exemption covers it whose expiry is no date (YYYY-MM-DD)"
        return ""

    def holds(self, on: date) -> bool:
        """Whether its problem is accepted on a day."""
        return not self.fault and not self.expired(on)

    def expired(self, on: date) -> bool:
        """Whether it no longer holds; its last day still counts."""
        expires = _parsed(self.expires)
        return expires is not None and expires < on


def exemptions_of(config: Mapping[str, Any] | None) -> Iterator[Exemption]:
    """The exemptions in the config of a rule."""
    for entry in (config or {}).get("exemptions") or ():
        values = {field: str(entry.get(field, "")) for field in _FIELDS}
        yield Exemption(**values)


def today() -> date:
    """The day by which exemptions are judged, in UTC."""
    return datetime.now(UTC).date()


def _parsed(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None
