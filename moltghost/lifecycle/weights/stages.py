"""The stages of a build, from the lines of the job's log to events."""

from __future__ import annotations

from moltghost.kube.container_progress import parse
from moltghost.progress import Event, Report, State

STAGES = ("select", "download", "quantize", "publish")
_WAITING = "node"


class Stages:
    """Turns lines into events; a stage is done when the next one begins.

    Lines of a log that is read again change nothing.
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
        said = parse(text)
        if said and said.stage in STAGES and said.stage not in self._passed:
            self._enter(said.stage)
            self._tell(said.stage, "running", said.detail, said.fraction)

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
