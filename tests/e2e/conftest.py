"""Fixtures of the end-to-end tests: a cluster, the environment `local` on it, and the command."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.cluster_fixture import (
    RunningCluster,
    clusters,
    run_cluster,
    running_cluster,
)
from tests.e2e.groups import place_of

__all__ = ["clusters", "running_cluster"]

FOLDER = Path(__file__).parent
REPOSITORY = FOLDER.parents[1]
EXAMPLES = REPOSITORY / "examples"
COMMAND = Path(sys.executable).with_name("moltghost")
_FILES = ("Pulumi.yaml", "__main__.py", "Pulumi.local.yaml", "Pulumi.platform.local.yaml")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the files into their order."""
    items.sort(key=lambda item: place_of(item.path) if FOLDER in item.path.parents else -1)


@dataclass
class Moltghost:
    """The command, as a user calls it, in a project of its own."""

    project: Path
    cluster: RunningCluster
    deployed: list[str] = field(default_factory=list)

    @property
    def environ(self) -> dict[str, str]:
        """The environment of the command: its state is the test's."""
        return {
            **os.environ,
            "MOLTGHOST_STATE": str(self.cluster.state),
            "MOLTGHOST_ENGINE": "embedded",
        }

    def __call__(self, *args: str, code: int = 0, timeout: float = 240) -> str:
        """Run it, expect its exit code, and return what it printed to stdout."""
        done = subprocess.run(
            [COMMAND, *args],
            cwd=self.project,
            env=self.environ,
            capture_output=True,
            text=True,
            timeout=timeout,
            stdin=subprocess.DEVNULL,
        )
        assert done.returncode == code, (
            f"{args} ended with {done.returncode}:\n{done.stdout}{done.stderr}"
        )
        return done.stdout if code == 0 else done.stderr

    def json(self, *args: str) -> Any:
        return json.loads(self(*args, "--json"))

    def start(self, *args: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [COMMAND, *args],
            cwd=self.project,
            env=self.environ,
            text=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def deploy(self, name: str, model: str, *options: str) -> dict[str, Any]:
        """Deploy an agent at 32k; it is removed with its data when the module ends."""
        self.deployed.append(name)
        status: dict[str, Any] = self.json(
            "deploy",
            name,
            "--model",
            model,
            "--context",
            "32k",
            "--owner",
            "team-a",
            "--yes",
            *options,
        )
        return status


@contextmanager
def _command(
    cluster: RunningCluster, project: Path, environment: dict[str, Any]
) -> Iterator[Moltghost]:
    """The command in a copy of the project, with environment `local` up."""
    for name in _FILES:
        shutil.copy(EXAMPLES / name, project)
    spec = {"kind": "cloud", "provider": "embedded", **environment}
    (project / "Pulumi.local.yaml").write_text(json.dumps({"config": {"moltghost:spec": spec}}))
    command = Moltghost(project, cluster)
    command("up", "local", "--yes", timeout=2400)  # it builds what isn't built
    yield command
    # Most were destroyed by their test, and each command takes a second or two.
    left = {file.name for file in cluster.state.glob("projects/*/stacks/*.local.json")}
    for name in dict.fromkeys(command.deployed):
        if f"{name}.local.json" not in left:
            continue
        subprocess.run(
            [COMMAND, "agent", "destroy", name, "--delete-data", "--yes"],
            cwd=project,
            env=command.environ,
            capture_output=True,
            timeout=120,
            check=False,
        )


@pytest.fixture(scope="module")
def moltghost(
    running_cluster: RunningCluster, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Moltghost]:
    """The command, with an environment whose nodes are all simulated."""
    with _command(running_cluster, tmp_path_factory.mktemp("project"), {}) as command:
        yield command


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Moltghost]:
    """The command, with an environment that has this machine as a node, on its own cluster."""
    state, project = tmp_path_factory.mktemp("state"), tmp_path_factory.mktemp("project")
    with (
        run_cluster(state, machine=True) as cluster,
        _command(cluster, project, {"machine": True}) as command,
    ):
        yield command
