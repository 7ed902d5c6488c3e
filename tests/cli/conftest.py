from __future__ import annotations

from pathlib import Path

import pytest

from moltghost import paths
from moltghost.cli.commands import stack
from moltghost.engines.embedded import engine as embedded
from tests.cli.command import Command
from tests.examples import agent_spec
from tests.kube.clusters import FakeCluster, deployment, node, node_pool, ready_pod
from tests.lifecycle.projects import FakeEngine, project


@pytest.fixture
def moltghost(
    tmp_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Command:
    """The command in a project with environment `local` and agent `my-agent`."""
    monkeypatch.setenv("MOLTGHOST_STATE", str(tmp_path_factory.mktemp("state")))
    return Command(project(tmp_path), monkeypatch, capsys)


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeEngine:
    """The engine of all commands."""
    found = FakeEngine(tmp_path)
    for module in (embedded, stack):
        monkeypatch.setattr(module, "EmbeddedEngine", lambda _project, **_options: found)
    return found


@pytest.fixture
def cluster(moltghost: Command, monkeypatch: pytest.MonkeyPatch) -> FakeCluster:
    """A running cluster with empty pools."""
    names = ("l40s", "a100-40", "a100-80", "h100", "cpu", "weights")
    found = FakeCluster(*(node_pool(name, 4, 0) for name in names))
    kubeconfig = paths.kubeconfig()
    kubeconfig.parent.mkdir(parents=True, exist_ok=True)
    kubeconfig.write_text("of the fake cluster")
    monkeypatch.setattr("moltghost.environments.environment.Client", lambda _kubeconfig: found)
    return found


@pytest.fixture
def deployed(cluster: FakeCluster, engine: FakeEngine) -> FakeCluster:
    """The cluster with `my-agent` in it, ready, as its config says."""
    cluster.items += [deployment(), ready_pod(), node()]
    engine.known.append("my-agent.local")
    engine.applied["my-agent.local"] = agent_spec()
    return cluster
