"""A fleet while it changes: a live table of each agent's stage, one line per agent elsewhere."""

from __future__ import annotations

import sys
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from types import TracebackType

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from moltghost.lifecycle.fleets.jobs import News, Outcome
from moltghost.units import format_duration

_REFRESH_PER_SECOND = 4
_HEADER_LINES = 4  # of the table itself, and the line of counts
_STYLES = {"done": "green", "unchanged": "dim", "queued": "dim"}


@dataclass
class _Agent:
    name: str
    stage: str = "queued"
    detail: str = ""
    began: float = field(default_factory=time.monotonic)
    seconds: float | None = None


class FleetProgress:
    """Shows how far each agent is, on stderr. Use as a context manager."""

    def __init__(self, agents: Sequence[str], *, quiet: bool) -> None:
        self._agents = {name: _Agent(name) for name in agents}
        self._quiet = quiet
        self._lock = threading.Lock()
        self._live: Live | None = None

    def __enter__(self) -> FleetProgress:
        if not self._quiet and sys.stderr.isatty():
            self._live = Live(
                get_renderable=self._render,
                console=Console(stderr=True),
                refresh_per_second=_REFRESH_PER_SECOND,
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

    def watch(self, name: str, said: News | Outcome) -> None:
        """Take what became of an agent; called from any thread."""
        with self._lock:
            agent = self._agents[name]
            if isinstance(said, News):
                if agent.stage == "queued":
                    agent.began = time.monotonic()
                agent.stage, agent.detail = said.phase, said.detail or agent.detail
                return
            agent.stage, agent.detail, agent.seconds = said.ending, said.message, said.seconds
            if not self._quiet and not self._live:
                self._line(agent)

    def _line(self, agent: _Agent) -> None:
        ended = len([each for each in self._agents.values() if each.seconds is not None])
        first, _, _ = agent.detail.partition("\n")
        text = f"  {ended}/{len(self._agents)} {agent.name}: {agent.stage}"
        took = f" ({format_duration(agent.seconds or 0)})"
        sys.stderr.write(f"{text}{took}{': ' + first if first else ''}\n")
        sys.stderr.flush()

    def _render(self) -> RenderableType:
        table = Table.grid(padding=(0, 2))
        with self._lock:
            agents = list(self._agents.values())
            height = self._live.console.height if self._live else len(agents)
            for each in _most_telling(agents, height - _HEADER_LINES):
                since = each.seconds if each.seconds is not None else time.monotonic() - each.began
                table.add_row(
                    each.name,
                    Text(each.stage, style=_style(each.stage)),
                    "" if each.stage == "queued" else format_duration(since),
                    Text(each.detail.partition("\n")[0], overflow="ellipsis", no_wrap=True),
                )
        counts = Counter(each.stage for each in agents)
        summary = ", ".join(f"{count} {stage}" for stage, count in counts.items())
        return Group(table, Text(f"\n{len(agents)} agents: {summary}"))


def _most_telling(agents: Sequence[_Agent], rows: int) -> list[_Agent]:
    """All of them if they fit; else those that run, those that failed, then the others."""
    if len(agents) <= rows:
        return list(agents)
    order = {"queued": 2, "unchanged": 4, "done": 3, "failed": 1, "refused": 1, "interrupted": 1}
    return sorted(agents, key=lambda each: order.get(each.stage, 0))[: max(1, rows)]


def _style(stage: str) -> str:
    return _STYLES.get(stage, "red" if stage in ("failed", "refused", "interrupted") else "cyan")
