from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from moltghost.kube.agents import agent_status, list_agents
from moltghost.kube.pod_diagnosis import LiveObject
from moltghost.kube.pods import Stage
from tests.examples import agent_spec
from tests.kube.clusters import (
    DONE,
    INITIALIZING,
    RUNNING,
    FakeCluster,
    client,
    condition,
    deployment,
    namespace,
    node,
    pod,
    ready_pod,
    waiting,
)

OLD, NEW = "2026-11-22T10:00:00Z", "2026-11-22T10:30:00Z"
NODES: dict[str, LiveObject] = {
    "h100-x7k2p": node(),
    "h100-new": node("h100-new", "p5.48xlarge"),
    "real": node("real", "g6e.xlarge", simulated=False),
}
QUOTA = "pods is forbidden: exceeded quota: agent, requested: requests.nvidia.com/gpu=2"


def test_an_agent_that_serves() -> None:
    found = agent_status(deployment(), [ready_pod()], NODES, "my-platform")
    assert (found.agent, found.environment, found.owner) == ("my-agent", "local", "team-a")
    assert (found.model, found.quantization, found.context) == ("llama3.1-70b", "Q4_K_M", 32768)
    assert (found.stage, found.ready, found.updating, found.reason) == (
        Stage.READY,
        True,
        False,
        "",
    )
    assert found.node_usd_per_hour == Decimal("6.88")
    assert found.node is not None
    assert (found.node.name, found.node.instance_type) == ("h100-x7k2p", "p5.4xlarge")
    assert found.node.simulated


def test_a_node_that_is_real_is_not_called_simulated() -> None:
    found = agent_status(deployment(), [ready_pod(node="real")], NODES, "my-platform")
    assert found.node is not None
    assert not found.node.simulated


def test_an_agent_whose_pod_waits_for_a_node() -> None:
    waiting_pod = pod(unschedulable="0/3 nodes are available")
    found = agent_status(deployment(), [waiting_pod], NODES, "my-platform")
    assert (found.stage, found.reason) == (Stage.SCHEDULING, "0/3 nodes are available")
    assert (found.ready, found.updating, found.node) == (False, False, None)


def test_while_an_update_is_on_its_way_the_old_pod_serves() -> None:
    old = ready_pod("old", created=OLD)
    new = pod(
        "new",
        created=NEW,
        node="h100-new",
        containers={"weights": RUNNING, "ollama": INITIALIZING},
    )
    for pods in ([old, new], [new, old]):
        found = agent_status(deployment(), pods, NODES, "my-platform")
        assert (found.stage, found.ready, found.updating) == (Stage.DOWNLOAD, True, True)
        assert found.node is not None
        assert found.node.name == "h100-x7k2p", "where the answers come from"


def test_an_update_whose_new_pod_fails_says_so_while_the_old_one_serves() -> None:
    new = pod("new", created=NEW, containers={"weights": waiting("CrashLoopBackOff", "", 1)})
    found = agent_status(deployment(), [ready_pod("old", created=OLD), new], NODES, "my-platform")
    assert (found.stage, found.ready, found.updating) == (Stage.FAILED, True, True)
    assert found.reason == "container weights waits: CrashLoopBackOff: exit code 1"


def test_an_update_is_over_when_the_old_pod_only_drains() -> None:
    old = ready_pod("old", created=OLD, leaving=True)
    new = ready_pod("new", created=NEW, node="h100-new")
    found = agent_status(deployment(), [old, new], NODES, "my-platform")
    assert (found.stage, found.ready, found.updating) == (Stage.READY, True, False)
    assert found.node is not None
    assert found.node.name == "h100-new"


def test_in_place_the_old_pod_drains_and_nothing_serves() -> None:
    found = agent_status(deployment(), [ready_pod(leaving=True)], NODES, "my-platform")
    assert not found.ready
    assert (found.stage, found.updating, found.node) == (Stage.ABSENT, False, None)


def test_a_pod_that_the_quota_keeps_out_is_a_failure_with_the_api_servers_words() -> None:
    refused = deployment("my-agent", condition("ReplicaFailure", "True", message=QUOTA))
    found = agent_status(refused, [], NODES, "my-platform")
    assert (found.stage, found.reason, found.ready) == (Stage.FAILED, QUOTA, False)


def test_a_surge_that_the_quota_keeps_out_is_told_while_the_old_pod_serves() -> None:
    refused = deployment("my-agent", condition("ReplicaFailure", "True", message=QUOTA))
    found = agent_status(refused, [ready_pod()], NODES, "my-platform")
    assert (found.stage, found.reason, found.ready) == (Stage.FAILED, QUOTA, True)


def test_while_an_update_is_on_its_way_the_model_shown_is_the_one_that_answers() -> None:
    updated = deployment("my-agent", model="qwen2.5-72b")
    new = pod("new", created=NEW, facts={"moltghost.dev/model": "qwen2.5-72b"})
    found = agent_status(updated, [ready_pod("old", created=OLD), new], NODES, "my-platform")
    assert found.model == "llama3.1-70b"


def test_price_and_config_are_the_agents_and_not_a_pods() -> None:
    applied = agent_spec(model="qwen2.5-72b-q4")
    updated = deployment(spec=applied, **{"node-usd-per-hour": "55.04", "usd-per-hour": "13.76"})
    stale = {"moltghost.dev/node-usd-per-hour": "1", "moltghost.dev/spec": "{}"}
    found = agent_status(updated, [ready_pod(facts=stale)], NODES, "my-platform")
    assert (found.node_usd_per_hour, found.usd_per_hour) == (Decimal("55.04"), Decimal("13.76"))
    assert json.loads(found.spec) == applied.as_written()


def test_a_deployment_without_pods_is_absent() -> None:
    found = agent_status(deployment(), [], NODES, "my-platform")
    assert (found.stage, found.ready, found.node) == (Stage.ABSENT, False, None)


def test_a_node_that_has_just_gone_is_no_node() -> None:
    assert agent_status(deployment(), [ready_pod(node="gone")], NODES, "my-platform").node is None


def test_agents_are_listed_by_name_each_with_its_own_pods() -> None:
    cluster = client(
        deployment("zeta"),
        deployment("alpha"),
        ready_pod(agent="zeta"),
        pod(agent="alpha", unschedulable="no room"),
        node(),
    )
    found = list_agents(cluster)
    assert [(each.agent, each.ready) for each in found] == [("alpha", False), ("zeta", True)]


def test_one_agent_is_asked_for_by_its_label() -> None:
    cluster = client(deployment("zeta"), deployment("alpha"))
    assert [each.agent for each in list_agents(cluster, "zeta")] == ["zeta"]
    assert list_agents(cluster, "nobody") == []


def test_many_agents_take_as_many_calls_as_one() -> None:
    cluster = FakeCluster(*(deployment(f"agent-{number}") for number in range(50)))
    assert len(list_agents(cluster)) == 50  # type: ignore[arg-type]
    assert sorted(cluster.calls) == ["Deployment", "Namespace", "Node", "Pod"]


def test_an_agent_is_of_the_project_that_its_namespace_names() -> None:
    cluster = client(deployment("a"), namespace("a", "team-b"), deployment("b"))
    assert [each.project for each in list_agents(cluster)] == ["team-b", ""]
    assert [each.project for each in list_agents(cluster, "a")] == ["team-b"]


def test_deployments_of_others_are_not_agents() -> None:
    foreign: dict[str, Any] = {
        "kind": "Deployment",
        "metadata": {"name": "model-server", "namespace": "x", "labels": {}},
    }
    assert list_agents(client(foreign)) == []


@pytest.mark.parametrize("pods", [[ready_pod()], []])
def test_json_has_the_keys_that_scripts_rely_on(pods: list[LiveObject]) -> None:
    found = json.loads(json.dumps(agent_status(deployment(), pods, NODES, "my-platform").to_json()))
    assert set(found) >= {
        "agent",
        "environment",
        "model",
        "context",
        "stage",
        "ready",
        "node",
        "usd_per_hour",
    }
    assert found["usd_per_hour"] == 6.88
    if pods:
        assert set(found["node"]) == {"name", "instance_type", "simulated"}
    assert found["stage"] in set(Stage)


def test_a_pod_that_waits_after_its_weights_is_loading() -> None:
    found = agent_status(
        deployment(), [pod(containers={"weights": DONE, "ollama": RUNNING})], NODES, "my-platform"
    )
    assert found.stage == Stage.LOAD
