"""How long the engines take for one agent, each on a cluster of its own.

Run: python -m benchmarks.engine [STACK]. For the embedded engine, and for the stock one where the
Pulumi CLI is on PATH, it boots an embedded cluster in a temporary folder, brings up `local`,
`platform.local` and the agent from a copy of the project, and removes everything again. Times are
seconds of wall clock in this process, the best of several runs where a step can be repeated; `up`
includes its preview and waiting for simulated pods, `up without a change` is the engine's own
overhead. `preview, own process` adds starting Python and importing the Pulumi SDK. Both engines ask
the policy pack.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.timing import machine, seconds, table

if TYPE_CHECKING:
    from moltghost.engines.interface import Engine
    from moltghost.ownership import EngineName

PROJECT = Path(__file__).parents[1]
EXAMPLES = PROJECT / "examples"
REPEATS = 5
ONE_PREVIEW = """
import sys
from pathlib import Path
from moltghost.engines.selection import engine
from moltghost.progress import silent
engine(Path(sys.argv[1]), "local", sys.argv[3]).preview(sys.argv[2], report=silent)
"""


def measure(project: Path, stack: str, engine: Engine, name: EngineName) -> dict[str, float]:
    """The times of one agent's life."""
    from moltghost.progress import silent

    repeats = REPEATS if name == "embedded" else 2  # the CLI takes its time
    times = {
        "up of the environment": seconds(
            lambda: [engine.up(each, report=silent) for each in ("local", "platform.local")], 1
        )
    }

    def preview() -> None:
        engine.preview(stack, report=silent)

    def up() -> None:
        engine.up(stack, report=silent)

    def process() -> None:
        command = [sys.executable, "-c", ONE_PREVIEW, str(project), stack, name]
        subprocess.run(command, check=True, cwd=project)

    times["preview, nothing there"] = seconds(preview, repeats)
    times["up"] = seconds(up, 1)
    times["preview without a change"] = seconds(preview, repeats)
    times["up without a change"] = seconds(up, repeats)
    times["preview, own process"] = seconds(process, repeats)
    times["destroy, namespace and volume kept"] = seconds(
        lambda: engine.destroy(stack, protected="keep", report=silent), 1
    )
    times["up on the kept volume"] = seconds(up, 1)
    return times


def copied(folder: Path) -> Path:
    """The project without what the CLI would write to: it notes salts down in stack files."""
    project = folder / "project"
    project.mkdir()
    for file in (*EXAMPLES.glob("Pulumi*.yaml"), EXAMPLES / "__main__.py"):
        shutil.copy(file, project)
    (project / "policies").symlink_to(PROJECT / "policies")
    (project / ".venv").symlink_to(sys.prefix)
    return project


def measured(name: EngineName, stack: str) -> dict[str, float]:
    """The times of one engine, on a cluster and with a state of its own."""
    with tempfile.TemporaryDirectory(prefix="moltghost-benchmark-") as folder:
        backend = Path(folder) / "backend"
        backend.mkdir()
        os.environ["MOLTGHOST_STATE"] = folder
        os.environ["PULUMI_BACKEND_URL"] = f"file://{backend}"
        from moltghost.engines.selection import engine
        from moltghost.local.cluster.cluster import EmbeddedCluster

        project = copied(Path(folder))
        cluster = EmbeddedCluster()
        try:
            cluster.up()
            return measure(project, stack, engine(project, "local", name), name)
        finally:
            cluster.down()


def main() -> None:
    """Measure and print."""
    from moltghost.engines.stock.installation import find_cli

    stack = sys.argv[1] if len(sys.argv) > 1 else "my-agent.local"
    names: list[EngineName] = ["embedded", *(["stock"] if find_cli() else [])]
    found = {name: measured(name, stack) for name in names}
    rows = [(step, *(f"{found[name][step]:.2f} s" for name in names)) for step in found["embedded"]]
    print(f"{machine()}\n\n{table(rows, ('what', *names))}")


if __name__ == "__main__":
    main()
