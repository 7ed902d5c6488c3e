"""The command as a user waits for it, each run in a process of its own.

Run: python -m benchmarks.command. It boots a cluster in a temporary folder with the cached
programs, brings up `local` and the README's agent, and removes everything again.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.timing import machine, seconds, table

PROJECT = Path(__file__).parents[1]
EXAMPLES = PROJECT / "examples"
COMMAND = Path(sys.executable).with_name("moltghost")
FILES = ("Pulumi.yaml", "__main__.py", "Pulumi.local.yaml", "Pulumi.platform.local.yaml")


class Bench:
    """The command in a project and a state folder of its own."""

    def __init__(self, folder: Path) -> None:
        self._project = folder / "project"
        self._project.mkdir()
        for name in (*FILES, "Pulumi.my-agent.local.yaml"):
            shutil.copy(EXAMPLES / name, self._project)
        self._environ = {**os.environ, "MOLTGHOST_STATE": str(folder / "state")}

    def __call__(self, *args: str) -> None:
        subprocess.run(
            [COMMAND, *args],
            cwd=self._project,
            env=self._environ,
            check=True,
            capture_output=True,
            stdin=subprocess.DEVNULL,
        )


def measure(bench: Bench) -> list[tuple[str, str]]:
    """What a user waits for, in the order of a first session."""
    rows = [
        ("`moltghost --help`", seconds(lambda: bench("--help"))),
        ("`moltghost models`", seconds(lambda: bench("models"))),
        ("`moltghost size llama3.1-70b-q4`", seconds(lambda: bench("size", "llama3.1-70b-q4"))),
        ("`moltghost plan my-agent.local`", seconds(lambda: bench("plan", "my-agent.local"))),
        ("boot of the cluster from nothing", seconds(lambda: bench("local", "up"), 1)),
        ("`moltghost local up`, warm", seconds(lambda: bench("local", "up"), 3)),
        ("`moltghost up local`, first", seconds(lambda: bench("up", "local", "--yes"), 1)),
    ]
    up_agent = ("up", "my-agent.local", "--yes")
    rows += [
        ("`moltghost up my-agent.local`, first", seconds(lambda: bench(*up_agent), 1)),
        ("`moltghost preview my-agent.local`", seconds(lambda: bench("preview", up_agent[1]), 3)),
        ("`moltghost up my-agent.local`, no change", seconds(lambda: bench(*up_agent), 3)),
        ("`moltghost agent list`", seconds(lambda: bench("agent", "list"), 3)),
        (
            "warm `make up`: environment and agent, no change",
            seconds(lambda: (bench("up", "local", "--yes"), bench(*up_agent)), 3),
        ),
        (
            "`moltghost agent update --model qwen2.5-72b-q4`",
            seconds(
                lambda: bench("agent", "update", "my-agent", "--model", "qwen2.5-72b-q4", "-y"), 1
            ),
        ),
    ]
    return [(what, f"{took:.2f} s") for what, took in rows]


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory(prefix="moltghost-bench-") as folder:
        bench = Bench(Path(folder))
        try:
            rows = measure(bench)
        finally:
            bench("local", "down", "--yes")
    print(f"{machine()}\n\n{table(rows)}")


if __name__ == "__main__":
    main()
