"""What a check found: one of four statuses, a fact, and what to do."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class Status(StrEnum):
    """How a check ended. ``unknown`` is never as good as ``ok``: the question has no answer."""

    OK = "ok"
    WARNING = "warning"
    BLOCKER = "blocker"
    UNKNOWN = "unknown"


@dataclass(frozen=True, kw_only=True)
class Check:
    """One answer.

    Attributes:
        id: stable name, with what it is about after a dot: ``quota.L-417A185B``.
        status: see `Status`.
        found: what is so, in one sentence.
        remedy: what to do, with the command where there is one; empty when all is well.
    """

    id: str
    status: Status
    found: str
    remedy: str = ""


def ok(name: str, found: str) -> Check:
    """All is well."""
    return Check(id=name, status=Status.OK, found=found)


def warning(name: str, found: str, remedy: str) -> Check:
    """It works now, and something will stop it later or limits it."""
    return Check(id=name, status=Status.WARNING, found=found, remedy=remedy)


def blocker(name: str, found: str, remedy: str) -> Check:
    """It can't work."""
    return Check(id=name, status=Status.BLOCKER, found=found, remedy=remedy)


def unknown(name: str, found: str, remedy: str) -> Check:
    """The question has no answer: no permission, throttled, no answer in time."""
    return Check(id=name, status=Status.UNKNOWN, found=found, remedy=remedy)


def blocked(checks: Iterable[Check]) -> bool:
    """Whether something in the answers makes it impossible."""
    return any(check.status is Status.BLOCKER for check in checks)
