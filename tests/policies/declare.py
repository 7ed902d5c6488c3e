"""Resources of the real SDKs as the analyzer sees them: declared in this process, made nowhere."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path

import pulumi

from moltghost.engines.embedded import declared_resources as declaring
from moltghost.engines.embedded.monitor import Monitor
from moltghost.engines.embedded.program import run_program
from moltghost.engines.interface import AnalyzedResource
from moltghost.engines.pulumi.project import Project, StackConfig

PROJECT = Path(__file__).parents[2]
EXAMPLES = PROJECT / "examples"
Program = Callable[[pulumi.ResourceOptions], None]

_PROGRAM = """
from tests.policies import declare
declare.CURRENT()
"""
CURRENT: Callable[[], None]


def declare_all(programs: Mapping[str, Program], folder: Path) -> dict[str, list[AnalyzedResource]]:
    """What each program declares. All run at once; each has a component of its own as parent."""
    global CURRENT

    def run() -> None:
        for name, program in programs.items():
            group = pulumi.ComponentResource("test:index:Group", name)
            program(pulumi.ResourceOptions(parent=group))

    CURRENT = run
    (folder / "__main__.py").write_text(_PROGRAM)
    project = Project(
        name="moltghost", folder=folder, program=folder, stack_files=folder, declared={}
    )
    collector = declaring._Collector("test", "moltghost")
    monitor = Monitor(collector, dry_run=True)
    config = StackConfig(values={}, secret_keys=frozenset())
    run_program(project, "test", config, monitor, collector, dry_run=True)
    found: dict[str, list[AnalyzedResource]] = {name: [] for name in programs}
    for resource in collector.resources:
        found[resource.parent.rpartition("::")[2]].append(resource)
    return found


PRODUCTION_AGENT = "an-agent.prod"
_AGENT = {"kind": "agent", "owner": "team-a", "model": "llama3.1-70b-q4", "context": "32k"}


@cache
def declared(stack: str) -> tuple[AnalyzedResource, ...]:
    """The resources of one of the repository's stacks, or of an agent in its `prod`."""
    if stack != PRODUCTION_AGENT:
        return declaring.declared_resources(EXAMPLES, stack)
    with tempfile.TemporaryDirectory() as folder:
        for file in [*EXAMPLES.glob("Pulumi*.yaml"), EXAMPLES / "__main__.py"]:
            shutil.copy(file, folder)
        write_production_agent(Path(folder))
        return declaring.declared_resources(Path(folder), stack)


def write_production_agent(folder: Path) -> None:
    """Its stack file: JSON is YAML."""
    document = {"config": {"moltghost:spec": _AGENT}}
    (folder / f"Pulumi.{PRODUCTION_AGENT}.yaml").write_text(json.dumps(document))
