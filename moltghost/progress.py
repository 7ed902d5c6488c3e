"""Progress as data: who works reports events, the command draws them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

State = Literal["started", "running", "done", "cached", "failed"]


@dataclass(frozen=True, kw_only=True)
class Event:
    """One step of one task.

    Args:
        task: what is being done; equal for all events of one task, e.g. ``build etcd``.
        state: ``cached`` is done without work.
        detail: what is going on now, or how it ended.
        fraction: share done in 0..1 where it is known.
    """

    task: str
    state: State
    detail: str = ""
    fraction: float | None = None


Report = Callable[[Event], None]


def silent(_event: Event) -> None:
    """A ``Report`` for callers that show nothing."""
