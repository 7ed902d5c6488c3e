"""The main job with `pulumi preview`, `up` and `destroy` alone, without our command."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from moltghost.engines.stock.installation import find_cli

from .cluster_fixture import RunningCluster
from .conftest import EXAMPLES, REPOSITORY
from .stock_cli import needs_cli

pytestmark = [pytest.mark.e2e, needs_cli]

STACKS = ("local", "platform.local", "my-agent.local")
AGENT = "my-agent.local"
HOME = "agent-my-agent"


class Pulumi:
    """The CLI in a copy of the project, on a backend and with settings of its own."""

    def __init__(self, folder: Path, cluster: RunningCluster) -> None:
        self.project = folder / "project"
        self.project.mkdir()
        for name in ("Pulumi.yaml", "__main__.py", *(f"Pulumi.{each}.yaml" for each in STACKS)):
            shutil.copy(EXAMPLES / name, self.project)
        (self.project / ".venv").symlink_to(Path(sys.prefix))
        (folder / "backend").mkdir()
        self.environ = {
            **os.environ,
            "MOLTGHOST_STATE": str(cluster.state),
            "PULUMI_BACKEND_URL": f"file://{folder / 'backend'}",
            "PULUMI_CONFIG_PASSPHRASE": "of the test",
            "PYTHONPATH": str(REPOSITORY),
        }

    def __call__(self, *args: str) -> str:
        """Run it, expect that it succeeds, and return what it printed."""
        done = subprocess.run(
            [str(find_cli()), "--non-interactive", *args],
            cwd=self.project,
            env=self.environ,
            capture_output=True,
            text=True,
            timeout=240,
            stdin=subprocess.DEVNULL,
        )
        assert done.returncode == 0, f"pulumi {args}:\n{done.stdout}{done.stderr}"
        return done.stdout

    def up(self, stack: str, *options: str) -> str:
        return self("up", "--yes", "--skip-preview", "--stack", stack, *options)


@pytest.fixture
def pulumi(tmp_path: Path, running_cluster: RunningCluster) -> Pulumi:
    return Pulumi(tmp_path, running_cluster)


def test_platform_and_agent_come_up_stay_as_they_are_are_repaired_and_go(
    pulumi: Pulumi, running_cluster: RunningCluster
) -> None:
    client = running_cluster.client
    for stack in STACKS:
        pulumi("stack", "init", stack, "--no-select")
        pulumi("preview", "--stack", stack)
        pulumi.up(stack)
    server = client.get("apps/v1", "Deployment", "model-server", HOME)
    assert server is not None
    assert server["status"]["readyReplicas"] == 1
    for stack in STACKS:
        pulumi.up(stack, "--expect-no-changes")

    body = {"spec": {"replicas": 3}}
    client.patch("apps/v1", "Deployment", "runtime", HOME, body, manager="kubectl-edit")
    client.delete("v1", "Service", "runtime", HOME)
    pulumi.up(AGENT)
    runtime = client.get("apps/v1", "Deployment", "runtime", HOME)
    assert runtime is not None
    assert runtime["spec"]["replicas"] == 1
    assert client.get("v1", "Service", "runtime", HOME)
    pulumi.up(AGENT, "--expect-no-changes")

    pulumi("destroy", "--exclude-protected", "--yes", "--skip-preview", "--stack", AGENT)
    assert client.list("apps/v1", "Deployment", HOME) == []
    [claim] = client.list("v1", "PersistentVolumeClaim", HOME)
    volume = claim["metadata"]["uid"]
    pulumi.up(AGENT)  # and finds its memory again
    [claim] = client.list("v1", "PersistentVolumeClaim", HOME)
    assert claim["metadata"]["uid"] == volume

    pulumi("state", "unprotect", "--all", "--yes", "--stack", AGENT)
    for stack in reversed(STACKS):
        pulumi("destroy", "--yes", "--skip-preview", "--stack", stack)
    assert client.get("v1", "Namespace", HOME) is None
    assert client.list("karpenter.sh/v1", "NodePool") == []
