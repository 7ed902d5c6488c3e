"""Progress as people see it: a live list on a terminal, a line for each change elsewhere."""

from __future__ import annotations

import sys
import threading
import time
from dataclasses import dataclass, field
from types import TracebackType

from rich.console import Console, RenderableType
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from moltghost.progress import Event
from moltghost.units import format_duration

# Without a terminal, a task that goes on says so this often.
_HEARTBEAT_SECONDS = 30.0
# ... and news about it first after two seconds, then no more often than this.
_FIRST_LINE_SECONDS, _LINE_SECONDS = 2.0, 15.0
_MARKS = {"done": ("ok", "green"), "cached": ("", "dim"), "failed": ("failed", "red")}


@dataclass
class _Task:
    name: str
    started: float = field(default_factory=time.monotonic)
    detail: str = ""
    fraction: float | None = None
    last_line: float = field(default_factory=time.monotonic)
    told: bool = False


class Progress:
    """Shows events on stderr, so that stdout stays for data. Use as a context manager."""

    def __init__(self, *, quiet: bool = False) -> None:
        self._quiet = quiet
        self._lock = threading.Lock()
        self._running: dict[str, _Task] = {}
        self._live: Live | None = None

    def __enter__(self) -> Progress:
        if not self._quiet and sys.stderr.isatty():
            self._live = Live(
                get_renderable=self._render,
                console=Console(stderr=True),
                refresh_per_second=8,
                transient=True,
            )
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._live:
            self._live.stop()

    def report(self, event: Event) -> None:
        """Take one event; called from any thread."""
        if self._quiet:
            return
        with self._lock:
            if event.state in _MARKS:
                self._finish(event)
            else:
                self._go_on(event)

    def _go_on(self, event: Event) -> None:
        task = self._running.setdefault(event.task, _Task(event.task))
        changed = event.detail != task.detail
        task.detail, task.fraction = event.detail or task.detail, event.fraction
        if self._live:
            return
        now = time.monotonic()
        quiet_for = now - task.last_line
        # What ends soon is told once, when it has ended.
        pause = _LINE_SECONDS if task.told else _FIRST_LINE_SECONDS
        news = changed and event.detail and quiet_for >= pause
        if news or quiet_for >= _HEARTBEAT_SECONDS:
            task.last_line, task.told = now, True
            self._line(task.name, "...", task.detail, now - task.started)

    def _finish(self, event: Event) -> None:
        task = self._running.pop(event.task, _Task(event.task))
        mark, _ = _MARKS[event.state]
        # What was there already is not news, unless there is something to say about it.
        if event.state != "cached" or event.detail:
            self._line(event.task, mark, event.detail, time.monotonic() - task.started)

    def _line(self, task: str, mark: str, detail: str, elapsed: float) -> None:
        took = f"({format_duration(elapsed)})" if elapsed >= 1 else ""
        how = " ".join(part for part in (mark, took) if part)
        text = "  " + ": ".join(part for part in (task, how, detail) if part)
        if self._live:
            style = next((style for label, style in _MARKS.values() if label == mark), "")
            self._live.console.print(Text(text, style=style))
        else:
            sys.stderr.write(text + "\n")
            sys.stderr.flush()

    def _render(self) -> RenderableType:
        table = Table.grid(padding=(0, 1))
        with self._lock:
            for task in self._running.values():
                share = f"{task.fraction:.0%}" if task.fraction is not None else ""
                table.add_row(
                    Spinner("dots"),
                    task.name,
                    share,
                    format_duration(time.monotonic() - task.started),
                    task.detail,
                )
        return table
