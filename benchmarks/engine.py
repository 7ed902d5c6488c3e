"""How long the embedded engine takes for one agent, on a cluster of its own.

Run: python -m benchmarks.engine [STACK]. It boots an embedded cluster in a temporary folder,
brings up `local`, `platform.local` and the agent, and removes everything again. Times are seconds
of wall clock in this process, the best of several runs where a step can be repeated; `up` includes
waiting for simulated pods, `up without a change` is the engine's own overhead. `preview, own
process` adds starting Python and importing the Pulumi SDK.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.timing import machine, seconds, table

PROJECT = Path(__file__).parents[1]
REPEATS = 5
ONE_PREVIEW = """
import sys
from pathlib import Path
from moltghost.engines.embedded.engine import EmbeddedEngine
from moltghost.progress import silent
EmbeddedEngine(Path(sys.argv[1])).preview(sys.argv[2], report=silent)
"""


def measure(stack: str) -> dict[str, float]:
    """The times of one agent's life."""
    from moltghost.engines.embedded.engine import EmbeddedEngine
    from moltghost.progress import silent

    engine = EmbeddedEngine(PROJECT)
    engine.up("local", report=silent)
    engine.up("platform.local", report=silent)

    def preview() -> None:
        engine.preview(stack, report=silent)

    def up() -> None:
        engine.up(stack, report=silent)

    def process() -> None:
        command = [sys.executable, "-c", ONE_PREVIEW, str(PROJECT), stack]
        subprocess.run(command, check=True, cwd=PROJECT)

    times = {"preview, nothing there": seconds(preview, REPEATS), "up": seconds(up, 1)}
    times["preview without a change"] = seconds(preview, REPEATS)
    times["up without a change"] = seconds(up, REPEATS)
    times["preview, own process"] = seconds(process, REPEATS)
    times["destroy, namespace and volume kept"] = seconds(
        lambda: engine.destroy(stack, keep_protected=True, report=silent), 1
    )
    times["up on the kept volume"] = seconds(up, 1)
    return times


def main() -> None:
    """Measure and print."""
    stack = sys.argv[1] if len(sys.argv) > 1 else "my-agent.local"
    with tempfile.TemporaryDirectory(prefix="moltghost-benchmark-") as folder:
        os.environ["MOLTGHOST_STATE"] = folder
        from moltghost.local.cluster import EmbeddedCluster

        cluster = EmbeddedCluster()
        try:
            cluster.up()
            times = measure(stack)
        finally:
            cluster.down()
    rows = [(name, f"{took:.2f} s") for name, took in times.items()]
    print(f"{machine()}\n\n{table(rows)}")


if __name__ == "__main__":
    main()
