"""The stages of a build, from the lines of the job's log to events."""

from __future__ import annotations

import json
from typing import Any

from moltghost.progress import Event, Report, State, transfer_detail

STAGES = ("select", "download", "quantize", "publish")
_WAITING = "node"


class Stages:
    """Turns lines into events; a stage is done when the next one begins.

    Lines are JSON objects with ``stage`` and either ``message`` or ``done``, ``total``, ``rate``
    (bytes a second) and ``eta`` (seconds). Lines of a log that is read again change nothing.
    """

    def __init__(self, report: Report) -> None:
        self._report = report
        self._now = ""
        self._passed: set[str] = set()

    def waiting(self, reason: str) -> None:
        """The pod isn't running yet, for that reason."""
        self._enter(_WAITING)
        self._tell(_WAITING, "running", reason)

    def line(self, text: str) -> None:
        """Take one line of the log; what is no progress is passed over."""
        try:
            found: Any = json.loads(text)
        except ValueError:
            return
        stage = found.get("stage") if isinstance(found, dict) else None
        if stage in STAGES and stage not in self._passed:
            self._enter(stage)
            self._tell(stage, "running", *_detail(found))

    def end(self, state: State) -> None:
        """The build has ended."""
        if self._now:
            self._tell(self._now, state, "")
            self._now = ""

    def _enter(self, stage: str) -> None:
        if stage == self._now:
            return
        if self._now:
            self._passed.add(self._now)
            self._tell(self._now, "done", "")
        self._now = stage
        self._tell(stage, "started", "")

    def _tell(self, stage: str, state: State, detail: str, fraction: float | None = None) -> None:
        self._report(Event(task=stage, state=state, detail=detail, fraction=fraction))


def _detail(line: dict[str, Any]) -> tuple[str, float | None]:
    total, done = _number(line.get("total")), _number(line.get("done"))
    if "done" not in line:
        return str(line.get("message", "")), None
    eta = line.get("eta")
    left = _number(eta) if eta is not None else None
    detail = transfer_detail(int(done), int(total), _number(line.get("rate")), left)
    return detail, min(done / total, 1.0) if total else None


def _number(value: Any) -> float:
    return float(value) if isinstance(value, int | float) else 0.0
