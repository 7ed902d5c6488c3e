"""Progress as data: who works reports events, the command draws them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from moltghost.units import format_bytes, format_duration

State = Literal["started", "running", "done", "cached", "failed"]

_REPORT_EVERY_SECONDS = 0.25


@dataclass(frozen=True, kw_only=True)
class Event:
    """One step of one task.

    Args:
        task: what is being done; equal for all events of one task, e.g. ``build etcd``.
        state: ``cached`` needed no work; it is shown only if it has a detail.
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


def transfer_detail(done: int, total: int, rate: float, eta: float | None) -> str:
    """``1.2 GiB of 4.9 GiB, 180.0 MiB/s, 21 s left``.

    Args:
        done: bytes.
        total: bytes; 0 where it isn't known.
        rate: bytes per second; 0 where it isn't known yet.
        eta: seconds; None where it isn't known.
    """
    parts = [f"{format_bytes(done)} of {format_bytes(total)}" if total else format_bytes(done)]
    if rate > 0:
        parts.append(f"{format_bytes(round(rate))}/s")
    if eta is not None and done < total:
        parts.append(f"{format_duration(eta)} left")
    return ", ".join(parts)


class Meter:
    """Counts the bytes of one task from many threads, and reports them with rate and ETA.

    Args:
        report: told of it, a few times a second at most.
        task: the events' task.
        total: bytes.
        kept: bytes that were there before; they count as done, not for the rate.
    """

    def __init__(self, report: Report, task: str, total: int, kept: int = 0) -> None:
        self._report, self._task, self._total = report, task, total
        self._kept, self._done = kept, kept
        self._began = self._told = time.monotonic()
        self._lock = threading.Lock()
        report(Event(task=task, state="started", detail=self._detail(self._began)))

    def add(self, count: int) -> None:
        """Count bytes; negative ones were for nothing."""
        with self._lock:
            self._done += count
            now = time.monotonic()
            if now - self._told < _REPORT_EVERY_SECONDS:
                return
            self._told = now
            event = Event(
                task=self._task,
                state="running",
                detail=self._detail(now),
                fraction=min(self._done / self._total, 1.0) if self._total else None,
            )
        self._report(event)

    def end(self, state: State = "done", detail: str = "") -> None:
        """Report how it ended."""
        text = detail or self._detail(time.monotonic())
        self._report(Event(task=self._task, state=state, detail=text))

    def _detail(self, now: float) -> str:
        seconds = now - self._began
        rate = (self._done - self._kept) / seconds if seconds > 0 else 0.0
        eta = (self._total - self._done) / rate if rate > 0 else None
        return transfer_detail(self._done, self._total, rate, eta)
