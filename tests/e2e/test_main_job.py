"""The main job: deploy, list, scale, update and destroy agents, on Karpenter's simulated nodes."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest

from tests.e2e.conftest import Moltghost

pytestmark = pytest.mark.e2e

# The product text's models at its Q4 (Phi-3: Q8), with the instance type that sizing decides.
PRODUCT_MODELS = {
    "llama3.1-8b-q4": "g6e.xlarge",
    "llama3.1-70b-q4": "p5.4xlarge",
    "llama3.1-405b-q4": "p4de.24xlarge",
    "qwen2.5-7b-q4": "g6e.xlarge",
    "qwen2.5-32b-q4": "p5.4xlarge",
    "qwen2.5-72b-q4": "p5.4xlarge",
    "mistral-nemo-12b-q4": "g6e.xlarge",
    "mixtral-8x22b-q4": "g6e.12xlarge",
    "phi3-mini-q8": "g6e.xlarge",
    "phi3-medium-q8": "g6e.xlarge",
}


ONE_OF_EACH_TYPE = {
    model: PRODUCT_MODELS[model]
    for model in ("llama3.1-8b-q4", "llama3.1-70b-q4", "llama3.1-405b-q4", "mixtral-8x22b-q4")
}
assert {*ONE_OF_EACH_TYPE.values()} == {*PRODUCT_MODELS.values()}


def node_of(moltghost: Moltghost, agent: str) -> dict[str, Any]:
    """The node of an agent's model server, asked of the API server itself."""
    client = moltghost.cluster.client
    [pod] = client.list(
        "v1", "Pod", namespace=f"agent-{agent}", labels={"app.kubernetes.io/name": "model-server"}
    )
    node = client.get("v1", "Node", pod["spec"]["nodeName"])
    assert node is not None
    return node


def agent_name(model: str) -> str:
    return model.replace(".", "-")


@pytest.mark.parametrize(
    "models",
    [
        pytest.param(ONE_OF_EACH_TYPE, id="one of each type"),
        pytest.param(PRODUCT_MODELS, id="all", marks=pytest.mark.long),
    ],
)
def test_every_model_of_the_product_text_runs_on_the_instance_type_that_its_plan_says(
    moltghost: Moltghost, models: dict[str, str]
) -> None:
    def deployed_type(model: str) -> str:
        name = agent_name(model)
        status = moltghost.deploy(name, model)
        planned = moltghost.json("plan", f"{name}.local")["sizing"]["placement"]
        labels = node_of(moltghost, name)["metadata"]["labels"]
        assert status["ready"], status
        assert status["node"]["simulated"], status
        assert labels["karpenter.sh/nodepool"] == planned["pool"]
        assert labels["node.kubernetes.io/instance-type"] == planned["instance_type"]
        return str(status["node"]["instance_type"])

    with ThreadPoolExecutor(2) as pool:
        types = dict(zip(models, pool.map(deployed_type, models), strict=True))
    assert types == models
    listed = {each["agent"]: each for each in moltghost.json("agent", "list")}
    assert all(listed[agent_name(model)]["ready"] for model in models)
    for model in models:
        moltghost("agent", "destroy", agent_name(model), "--delete-data", "--yes")


def test_an_agent_scales_to_two_h100s_and_then_takes_another_model_without_a_gap(
    moltghost: Moltghost,
) -> None:
    status = moltghost.deploy("mover", "llama3.1-70b-q4")
    assert status["node"]["instance_type"] == "p5.4xlarge"
    moltghost.cluster.embedded.set_simulated_ready_delay(20)
    try:
        with watched(moltghost, "mover") as ready:
            scaled = moltghost.json(
                "agent", "scale", "mover", "--gpu", "h100", "--memory", "160gb", "--yes"
            )
        assert (scaled["node"]["instance_type"], min(ready)) == ("p5.48xlarge", 1)
        placement = moltghost.json("plan", "mover.local")["sizing"]["placement"]
        assert (placement["gpu_count"], placement["node_gpu_count"]) == (2, 8)

        with watched(moltghost, "mover") as ready:
            updated = moltghost.json(
                "agent", "update", "mover", "--model", "qwen2.5-72b-q4", "--yes"
            )
        assert (updated["model"], updated["quantization"]) == ("qwen2.5-72b", "Q4_K_S")
        assert min(ready) == 1
        # --gpu and --memory given earlier still hold, and the new pod used the node's free GPUs.
        assert updated["node"] == scaled["node"]

        # The same watch sees the gap that an update in place announces.
        with watched(moltghost, "mover") as ready:
            moltghost.json(
                "agent",
                "update",
                "mover",
                "--model",
                "llama3.1-70b-q4",
                "--strategy",
                "in-place",
                "--yes",
            )
        assert min(ready) == 0
    finally:
        moltghost.cluster.embedded.set_simulated_ready_delay(1)


@contextmanager
def watched(moltghost: Moltghost, agent: str) -> Iterator[list[int]]:
    """Collect the model server's ready replicas, ten times a second, while the body runs."""
    seen: list[int] = []
    stop = threading.Event()

    def look() -> None:
        while not stop.is_set():
            found = moltghost.cluster.client.get(
                "apps/v1", "Deployment", "model-server", f"agent-{agent}"
            )
            assert found is not None
            seen.append(found["status"].get("readyReplicas", 0))
            time.sleep(0.1)

    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        yield seen
    finally:
        stop.set()
        watcher.join()
    assert len(seen) > 50, "the watch hardly looked"


def test_two_agents_never_share_a_node_unless_their_owner_lets_them(moltghost: Moltghost) -> None:
    options = ("--gpu", "h100", "--memory", "160gb")
    for name in ("apart-1", "apart-2"):
        moltghost.deploy(name, "llama3.1-8b-q4", *options)
    nodes = {node_of(moltghost, name)["metadata"]["name"] for name in ("apart-1", "apart-2")}
    assert len(nodes) == 2
    for name in ("apart-1", "apart-2"):
        moltghost("agent", "destroy", name, "--delete-data", "--yes")

    for name in ("beside-1", "beside-2"):
        moltghost.deploy(name, "llama3.1-8b-q4", *options, "--sharing", "owner")
    nodes = {node_of(moltghost, name)["metadata"]["name"] for name in ("beside-1", "beside-2")}
    assert len(nodes) == 1
    for name in ("beside-1", "beside-2"):
        moltghost("agent", "destroy", name, "--delete-data", "--yes")


def test_a_destroyed_agent_keeps_namespace_and_volume_and_finds_them_again(
    moltghost: Moltghost,
) -> None:
    client = moltghost.cluster.client
    moltghost.deploy("memory", "llama3.1-8b-q4")
    volume = client.get("v1", "PersistentVolumeClaim", "runtime-state", "agent-memory")
    assert volume is not None

    moltghost("agent", "destroy", "memory", "--yes")
    assert remaining(moltghost, "agent-memory") == {"PersistentVolumeClaim/runtime-state"}

    moltghost("up", "memory.local", "--yes")
    again = client.get("v1", "PersistentVolumeClaim", "runtime-state", "agent-memory")
    assert again is not None
    assert again["metadata"]["uid"] == volume["metadata"]["uid"]

    moltghost("agent", "destroy", "memory", "--delete-data", "--yes")
    assert client.get("v1", "Namespace", "agent-memory") is None
    assert not client.list("v1", "Node", labels={"moltghost.dev/agent": "memory"})


def test_karpenter_removes_the_nodes_of_agents_that_are_gone(moltghost: Moltghost) -> None:
    moltghost.deploy("leaver", "llama3.1-405b-q4")
    node = node_of(moltghost, "leaver")["metadata"]["name"]
    moltghost("agent", "destroy", "leaver", "--delete-data", "--yes")
    deadline = time.monotonic() + 180
    while moltghost.cluster.client.get("v1", "Node", node) is not None:
        assert time.monotonic() < deadline, f"node {node} is still there"
        time.sleep(1)


def remaining(moltghost: Moltghost, namespace: str) -> set[str]:
    """What is in a namespace, but for what Kubernetes itself puts into each."""
    kinds = (
        ("apps/v1", "Deployment"),
        ("networking.k8s.io/v1", "NetworkPolicy"),
        ("policy/v1", "PodDisruptionBudget"),
        ("v1", "ConfigMap"),
        ("v1", "LimitRange"),
        ("v1", "PersistentVolumeClaim"),
        ("v1", "Pod"),
        ("v1", "ResourceQuota"),
        ("v1", "Secret"),
        ("v1", "Service"),
        ("v1", "ServiceAccount"),
    )
    found = {
        f"{kind}/{item['metadata']['name']}"
        for api, kind in kinds
        for item in moltghost.cluster.client.list(api, kind, namespace=namespace)
        if "deletionTimestamp" not in item["metadata"]
    }
    return found - {"ConfigMap/kube-root-ca.crt", "ServiceAccount/default"}
