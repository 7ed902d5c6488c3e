"""A project folder of its own for a test, and an engine that does what the test says."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from moltghost.config import AgentSpec, StackName, read_agent, stack_file
from moltghost.engines.interface import Engine, Op, Preview, Protected, Result, StackSummary, Step
from moltghost.environments.environment import Environment
from moltghost.environments.factory import open_environment
from moltghost.lifecycle.agents.change import AgentChange, plan_wanted, read_wanted
from moltghost.lifecycle.agents.patch import AgentPatch
from moltghost.progress import Event, Report
from tests.examples import EXAMPLES, STACK

README_FILE = """\
# Our agent. Ask team-a before you change it.
config:
  moltghost:spec:
    kind: agent
    owner: team-a  # who pays
    # The model that everybody likes.
    model: llama3.1-70b-q4
    context: 32k
"""


def project(folder: Path, agent: str | None = README_FILE) -> Path:
    """A project with environment `local` and, unless None, this config of `my-agent`."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("Pulumi.yaml", "Pulumi.local.yaml", "Pulumi.platform.local.yaml"):
        shutil.copy(EXAMPLES / name, folder / name)
    if agent is not None:
        stack_file(folder, STACK).write_text(agent, encoding="utf-8")
    return folder


def environment(folder: Path, cluster: Any = None, name: str = "local") -> Environment:
    """An environment of a project; with `cluster`, that one is its cluster."""
    found = open_environment(folder, name)
    if cluster is not None:
        found.client = cluster
    return found


def change_of(
    folder: Path,
    stack: StackName,
    values: dict[str, Any],
    *,
    running: AgentSpec | None,
    must_exist: bool = False,
) -> AgentChange:
    """A change of an agent in a project, planned and not held against a cluster."""
    wanted = read_wanted(folder, stack, AgentPatch.of_words(values), must_exist=must_exist)
    return plan_wanted(environment(folder), wanted, running)


def files(folder: Path) -> dict[str, str]:
    """Every file of a project with its content, but for locks, which say nothing once free."""
    return {
        str(file.relative_to(folder)): file.read_text(encoding="utf-8")
        for file in sorted(folder.rglob("*"))
        if file.is_file() and file.suffix != ".lock"
    }


@dataclass
class FakeEngine:
    """An engine that reads the config that it is given, as a real one does, and no more.

    Args:
        on_up: called for each `up` with its number, from 1; may raise.
    """

    project: Path
    on_up: Callable[[int], None] = lambda _number: None
    name: str = "fake"
    ups: list[AgentSpec | None] = field(default_factory=list)
    configs: list[Path | None] = field(default_factory=list)
    destroyed: list[tuple[str, Protected]] = field(default_factory=list)
    known: list[str] = field(default_factory=list)
    applied: dict[str, AgentSpec | None] = field(default_factory=dict)
    """What each stack's last `up` that succeeded made."""

    def preview(self, stack: str, *, config: Path | None = None, report: Report) -> Preview:
        same = stack in self.applied and self.applied[stack] == self._read(stack, config)
        step = Step(urn="u", type="t", name="n", op=Op.SAME if same else Op.UPDATE)
        return Preview(stack=stack, steps=(step,), outputs={})

    def up(
        self,
        stack: str,
        *,
        config: Path | None = None,
        report: Report,
        expect: Preview | None = None,
    ) -> Result:
        report(Event(task=f"up {stack}", state="started"))
        self.configs.append(config)
        self.ups.append(self._read(stack, config))
        self.on_up(len(self.ups))
        self.applied[stack] = self.ups[-1]
        report(Event(task=f"up {stack}", state="done"))
        if stack not in self.known:
            self.known.append(stack)
        return Result(stack=stack, steps=(), outputs={}, seconds=1.25)

    def destroy(self, stack: str, *, protected: Protected, report: Report) -> Result:
        again = (stack, protected) in self.destroyed
        self.destroyed.append((stack, protected))
        steps = () if again else (Step(urn="u", type="t", name="n", op=Op.DELETE),)
        return Result(stack=stack, steps=steps, outputs={}, seconds=1.0)

    def forget(self, stack: str) -> int:
        self.known.remove(stack)
        return 1

    def outputs(self, stack: str, *, show_secrets: bool = False) -> dict[str, Any]:
        return {}

    def stacks(self) -> list[StackSummary]:
        return [
            StackSummary(name=name, engine=self.name, updated=datetime.now(UTC), resource_count=1)
            for name in self.known
        ]

    def _read(self, stack: str, config: Path | None) -> AgentSpec | None:
        name = StackName.parse(stack)
        return read_agent(self.project, name, config) if name.layer == "agent" else None


_: type[Engine] = FakeEngine
