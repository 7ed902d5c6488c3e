"""A fleet on simulated nodes: deployed, updated, destroyed, and what that takes per agent.

Run: python -m benchmarks.fleet [AGENTS] [BATCHES]. It boots a cluster in a folder of its own
(MOLTGHOST_STATE if that is set), deploys the agents in equal batches, so that growth can be seen,
gives each another model, destroys all, and fails if anything is left or if Karpenter took another
instance type than the plan's. Time is wall clock; CPU and memory (proportional set size) are
sampled from /proc, of the command with its workers and of the cluster's programs.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.timing import machine, table
from moltghost.kube.agents import SIMULATED_ANNOTATION
from moltghost.kube.client import Client

PROJECT = Path(__file__).parents[1]
EXAMPLES = PROJECT / "examples"
COMMAND = Path(sys.executable).with_name("moltghost")
FILES = ("Pulumi.yaml", "__main__.py", "Pulumi.local.yaml", "Pulumi.platform.local.yaml")
# Mostly small models, as fleets have; every other deploy moves to another pool when updated.
MODELS = (
    "llama3.1-8b-q4",
    "qwen2.5-7b-q4",
    "mistral-nemo-12b-q4",
    "phi3-mini-q8",
    "phi3-medium-q8",
    "llama3.1-8b-q4",
    "qwen2.5-7b-q4",
    "llama3.1-70b-q4",
    "qwen2.5-32b-q4",
    "phi3-mini-q8",
)
SAMPLE_SECONDS = 1.0
TICKS = os.sysconf("SC_CLK_TCK")
MIB = 1 << 20
LEFT_SECONDS = 600
SETTLE_SECONDS = 60
READS = 5
PARALLEL = "16"


@dataclass
class Usage:
    """CPU seconds and peak memory by program, while something runs."""

    cpu: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    peak: dict[str, int] = field(default_factory=lambda: defaultdict(int))


class Sampler:
    """Reads what the processes of one state folder take."""

    def __init__(self, state: Path) -> None:
        self._mark = str(state).encode()
        self._names: dict[int, str] = {}

    @contextmanager
    def sampled(self) -> Iterator[Usage]:
        usage, stop = Usage(), threading.Event()
        first: dict[int, float] = {}
        last: dict[int, float] = {}

        def look() -> None:
            while True:
                memory: dict[str, int] = defaultdict(int)
                for pid, name in self._processes():
                    try:
                        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
                        rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
                    except (OSError, ProcessLookupError):
                        continue
                    seconds = (int(fields[11]) + int(fields[12])) / TICKS
                    first.setdefault(pid, 0.0 if name == "moltghost" else seconds)
                    last[pid] = seconds
                    pss = next(line for line in rollup.splitlines() if line.startswith("Pss:"))
                    memory[name] += int(pss.split()[1]) * 1024
                for name, size in memory.items():
                    usage.peak[name] = max(usage.peak[name], size)
                if stop.wait(SAMPLE_SECONDS):
                    return

        thread = threading.Thread(target=look)
        thread.start()
        try:
            yield usage
        finally:
            stop.set()
            thread.join()
            for pid, seconds in last.items():
                usage.cpu[self._names[pid]] += seconds - first[pid]

    def _processes(self) -> Iterator[tuple[int, str]]:
        for folder in Path("/proc").iterdir():
            if not folder.name.isdigit() or int(folder.name) == os.getpid():
                continue
            pid = int(folder.name)
            try:
                started_with = (folder / "environ").read_bytes() + (folder / "cmdline").read_bytes()
                if self._mark not in started_with:
                    continue
                program = (folder / "exe").readlink().name
            except (OSError, ProcessLookupError):
                continue
            # The cluster's programs are all of Go; the command and its workers are Python's.
            self._names[pid] = "moltghost" if program.startswith("python") else program
            yield pid, self._names[pid]


class Fleet:
    """The command in a project whose pools have room for the fleet."""

    def __init__(self, folder: Path, state: Path, agents: int) -> None:
        self.project, self.state, self.agents = folder, state, agents
        for name in FILES:
            shutil.copy(EXAMPLES / name, folder)
        shutil.copytree(PROJECT / "policies", folder / "policies")
        room = agents + int(PARALLEL)
        names = ("l40s", "a100-40", "a100-80", "h100", "cpu")
        pools = {name: {"max_nodes": room} for name in names}
        spec = {"kind": "platform", "pools": {**pools, "weights": {"max_nodes": 1}}}
        platform = folder / "Pulumi.platform.local.yaml"
        platform.write_text(json.dumps({"config": {"moltghost:spec": spec}}))
        bounds = folder / "policies/config/local.json"
        policies = json.loads(bounds.read_text())
        policies["gpu-scale-bounds"] = {"maxNodes": room}
        policies.setdefault("image-pinned", {"registries": ["moltghost.local/*"]})
        policies["monthly-ceiling"] = {"maxUsdPerMonth": 10**9}
        bounds.write_text(json.dumps(policies))

    def __call__(self, *args: str, code: int = 0) -> str:
        done = subprocess.run(
            [COMMAND, *args],
            cwd=self.project,
            env={**os.environ, "MOLTGHOST_STATE": str(self.state)},
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
        )
        assert done.returncode == code, f"{args}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def file(self, name: str, numbers: range, shift: int = 0) -> str:
        agents = {
            f"fleet-{number:03d}": {"model": MODELS[(number + shift) % len(MODELS)]}
            for number in numbers
        }
        defaults = {"owner": "team-a", "context": "32k"}
        path = self.project / name
        path.write_text(
            json.dumps({"environment": "local", "defaults": defaults, "agents": agents})
        )
        return str(path)

    def apply(self, file: str) -> list[dict[str, Any]]:
        """Apply a file, and check that every agent is where its plan says."""
        plan = json.loads(self("fleet", "apply", file, "--dry-run", "--json"))
        told = json.loads(self("fleet", "apply", file, "--parallel", PARALLEL, "--yes", "--json"))
        assert not told["failed"] and not told["not_begun"], told
        self.check(plan["agents"])
        return list(told["agents"])

    def check(self, planned: list[dict[str, Any]]) -> None:
        client = Client(self.state / "cluster/kubeconfig")
        nodes = {each["metadata"]["name"]: each for each in client.list("v1", "Node")}
        labels = {"app.kubernetes.io/name": "model-server"}
        where = {}
        for pod in client.list("v1", "Pod", labels=labels):
            if "deletionTimestamp" not in pod["metadata"]:
                found = nodes[pod["spec"]["nodeName"]]["metadata"]["labels"]
                place = (
                    found["karpenter.sh/nodepool"],
                    found["node.kubernetes.io/instance-type"],
                )
                where[pod["metadata"]["labels"]["moltghost.dev/agent"]] = place
        for each in planned:
            assert where[each["agent"]] == (each["pool"], each["instance_type"]), each
        ready = {
            each["agent"]: each["ready"] for each in json.loads(self("agent", "list", "--json"))
        }
        assert all(ready[each["agent"]] for each in planned)

    def nothing_left(self) -> float:
        """Seconds until Karpenter has given back the last GPU node; fails if something is left."""
        client, began = Client(self.state / "cluster/kubeconfig"), time.monotonic()
        homes = [each["metadata"]["name"] for each in client.list("v1", "Namespace")]
        assert not [name for name in homes if name.startswith("agent-")]
        assert not client.list("v1", "Pod")
        assert not list((self.state / "projects/moltghost/stacks").glob("fleet-*.json"))
        while client.list("karpenter.sh/v1", "NodeClaim") or simulated_nodes(client):
            assert time.monotonic() - began < LEFT_SECONDS, "nodes are left"
            time.sleep(1)
        return time.monotonic() - began


def simulated_nodes(client: Client) -> list[str]:
    """All nodes but this machine's own, which stays."""
    nodes = (node["metadata"] for node in client.list("v1", "Node"))
    return [node["name"] for node in nodes if SIMULATED_ANNOTATION in node.get("annotations", {})]


def measure(fleet: Fleet, batches: int) -> list[tuple[str, ...]]:
    sampler, rows = Sampler(fleet.state), []

    def timed(what: str, count: int, work: Any) -> Any:
        began = time.monotonic()
        with sampler.sampled() as usage:
            result = work()
        took = time.monotonic() - began
        own = usage.cpu.pop("moltghost", 0.0)
        memory = usage.peak.pop("moltghost", 0)
        rows.append(
            (
                what,
                f"{took:.0f} s",
                f"{took / count:.2f} s",
                f"{own / count:.2f} s",
                f"{sum(usage.cpu.values()) / count:.2f} s",
                f"{memory / MIB:.0f} MiB",
                f"{sum(usage.peak.values()) / MIB:.0f} MiB",
            )
        )
        print(*rows[-1], sep=" | ", flush=True)
        return result

    def read(what: str, *args: str) -> None:
        """Time a command that changes nothing, without the sampler, which would hold it up."""
        times = []
        for _ in range(READS):
            began = time.monotonic()
            fleet(*args)
            times.append(time.monotonic() - began)
        rows.append((f"{what}, median of {READS}", f"{statistics.median(times):.2f} s", *[""] * 5))
        print(*rows[-1], min(times), max(times), sep=" | ", flush=True)

    size = fleet.agents // batches
    fleet("up", "local", "--yes")
    for number in range(batches):
        batch = range(number * size, (number + 1) * size)
        file = fleet.file(f"batch-{number}.yaml", batch)
        deploy = partial(fleet.apply, file)
        timed(f"deploy agents {batch.start + 1} to {batch.stop}", size, deploy)
    everyone = range(fleet.agents)
    # What the deploys left to do for the cluster's programs isn't the command's time.
    time.sleep(SETTLE_SECONDS)
    same = fleet.file("same.yaml", everyone)
    read("`agent list`", "agent", "list")
    read("`agent status` of one", "agent", "status", "fleet-000")
    read("`fleet apply --dry-run`", "fleet", "apply", same, "--dry-run")
    told = timed(f"apply {fleet.agents} again, no change", fleet.agents, lambda: fleet.apply(same))
    assert {each["outcome"] for each in told} == {"unchanged"}
    other = fleet.file("other.yaml", everyone, shift=1)
    timed(f"give {fleet.agents} another model", fleet.agents, lambda: fleet.apply(other))
    destroy = ("fleet", "destroy", other, "--delete-data", "--parallel", PARALLEL, "--yes")
    timed(f"destroy {fleet.agents}", fleet.agents, lambda: fleet(*destroy))
    timed("until the last node is gone", 1, fleet.nothing_left)
    return rows


HEADERS = (
    "what",
    "all",
    "per agent",
    "CPU of the command",
    "CPU of the cluster",
    "memory of the command",
    "memory of the cluster",
)


def main() -> None:
    """Measure and print."""
    agents = int(sys.argv[1]) if len(sys.argv) > 1 else 300
    batches = int(sys.argv[2]) if len(sys.argv) > 2 else 3
    with tempfile.TemporaryDirectory(prefix="moltghost-fleet-") as folder:
        state = Path(os.environ.get("MOLTGHOST_STATE") or f"{folder}/state")
        project = Path(folder) / "project"
        project.mkdir()
        fleet = Fleet(project, state, agents)
        try:
            rows = measure(fleet, batches)
        finally:
            fleet("local", "down", "--yes")
    print(f"{machine()}\n\n{table(rows, HEADERS)}")


if __name__ == "__main__":
    main()
