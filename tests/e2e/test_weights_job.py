"""The job of a model store against the real API server: accepted as it is, and joined."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from moltghost.components.weights_job import weights_job
from moltghost.errors import Failed, Refused
from moltghost.kube.client import Client
from moltghost.kube.transport import Object
from moltghost.lifecycle.weights.job import begin
from moltghost.weights_store.bucket import Key
from tests.e2e.conftest import Moltghost
from tests.lifecycle.weights.jobs import plan

pytestmark = pytest.mark.e2e

NAMESPACE = "moltghost-weights"
KEY = Key("access", "secret")


UP = """
from pathlib import Path
from moltghost.engines.selection import engine
from moltghost.progress import silent
engine(Path("."), "local", "embedded").up("platform.local", report=silent)
"""


@pytest.fixture(autouse=True, scope="module")
def a_node_that_is_away(moltghost: Moltghost) -> None:
    """An environment whose config has the machine's own node, on a cluster where it isn't."""
    file = moltghost.project / "Pulumi.local.yaml"
    document = json.loads(file.read_text())
    document["config"]["moltghost:spec"]["machine"] = True
    file.write_text(json.dumps(document))
    subprocess.run(
        [sys.executable, "-c", UP], cwd=moltghost.project, env=moltghost.environ, check=True
    )


@pytest.fixture
def cluster(moltghost: Moltghost) -> Iterator[tuple[Client, list[str]]]:
    """A client of the environment's cluster, and what the API server warned it of."""
    warnings: list[str] = []
    client = Client(moltghost.cluster.status.kubeconfig, on_warning=warnings.append)
    yield client, warnings
    client.delete("batch/v1", "Job", plan().name, NAMESPACE, propagation="Foreground")
    eventually(lambda: client.get("batch/v1", "Job", plan().name, NAMESPACE) is None)
    client.close()


def eventually(holds: object, seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    assert callable(holds)
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def pods(client: Client) -> list[Object]:
    return client.list("v1", "Pod", NAMESPACE, labels={"batch.kubernetes.io/job-name": plan().name})


def test_pod_security_restricted_lets_the_jobs_pod_in_without_a_warning(
    cluster: tuple[Client, list[str]],
) -> None:
    client, warnings = cluster
    assert begin(client, plan(), KEY) is False
    eventually(lambda: len(pods(client)) == 1)
    assert warnings == []
    [pod] = pods(client)
    assert pod["spec"]["automountServiceAccountToken"] is False
    assert not any("serviceAccountToken" in str(each) for each in pod["spec"]["volumes"])
    assert pod["spec"]["nodeSelector"] == {"karpenter.sh/nodepool": "machine"}
    time.sleep(2)
    [pod] = pods(client)
    assert "nodeName" not in pod["spec"], "never on a simulated node, where it would not run"


def test_the_key_goes_with_the_job(cluster: tuple[Client, list[str]]) -> None:
    client, _ = cluster
    begin(client, plan(), KEY)
    assert client.get("v1", "Secret", plan().name, NAMESPACE) is not None
    client.delete("batch/v1", "Job", plan().name, NAMESPACE, propagation="Foreground")
    eventually(lambda: client.get("v1", "Secret", plan().name, NAMESPACE) is None)


def test_one_is_created_and_the_next_joins_unless_it_builds_something_else(
    cluster: tuple[Client, list[str]],
) -> None:
    client, _ = cluster
    assert begin(client, plan(), KEY) is False
    uid = client.get("batch/v1", "Job", plan().name, NAMESPACE)["metadata"]["uid"]  # type: ignore[index]
    assert begin(client, plan(), KEY) is True
    assert client.get("batch/v1", "Job", plan().name, NAMESPACE)["metadata"]["uid"] == uid  # type: ignore[index]
    with pytest.raises(Refused, match="is being built from"):
        begin(client, plan("cd" * 32), KEY)


def test_a_job_that_somebody_put_in_the_place_of_ones_own_is_not_started(
    cluster: tuple[Client, list[str]],
) -> None:
    client, _ = cluster

    def make_room(_joined: bool) -> None:
        client.delete("batch/v1", "Job", plan().name, NAMESPACE, propagation="Foreground")
        eventually(lambda: client.get("batch/v1", "Job", plan().name, NAMESPACE) is None)
        client.create(weights_job(plan(), with_key=False), manager="moltghost")

    with pytest.raises(Failed, match="another command removed the job"):
        begin(client, plan(), None, make_room)
    job = client.get("batch/v1", "Job", plan().name, NAMESPACE)
    assert job
    assert job["spec"]["suspend"] is True


def test_without_the_machines_own_node_nothing_begins(moltghost: Moltghost) -> None:
    if moltghost.cluster.client.get("v1", "Node", "machine"):
        pytest.skip("this machine is a node")
    told = moltghost("weights", "add", "gemma3-270m-q4", code=2)
    assert "environment local has no node machine" in told
    assert moltghost.json("weights", "list")["stores"] == []
