from __future__ import annotations

from functools import cache
from itertools import product

import pytest

from moltghost.errors import Refused
from moltghost.models.catalogue import models
from moltghost.planning.agent import AgentPlan
from moltghost.planning.environment import WeightsStore
from moltghost.planning.isolation import IsolationPlan, plan_isolation
from moltghost.planning.model_server import ModelServerPlan
from tests.examples import agent_plan

TOO_LARGE = "kimi-k2"  # its Q4_K_M is 621 GB, and eight H100 have 640 less what the engine needs
SMALL = {"model": "llama3.1-8b-q4", "context": "32k"}


@cache
def plans() -> tuple[AgentPlan, ...]:
    """A plan for every model of the catalogue that has one, at its Q4 and 32k."""
    found = []
    for model in models():
        try:
            found.append(agent_plan(model=f"{model.id}-q4"))
        except Refused:
            assert model.max_context < 32768 or model.id == TOO_LARGE, model.id
    return tuple(found)


def some_plans() -> tuple[AgentPlan, ...]:
    """Every third of them: all their pairs are tried."""
    return plans()[::3]


def test_every_model_of_the_catalogue_with_a_context_of_32k_has_a_plan() -> None:
    fitting = [m for m in models() if m.max_context >= 32768 and m.id != TOO_LARGE]
    assert len(plans()) == len(fitting) >= 60
    assert len(some_plans()) >= 20


def requested(server: ModelServerPlan) -> dict[str, int]:
    memory = sum(share.memory_bytes for share in server.shares)
    disk = sum(share.ephemeral_bytes for share in server.shares)
    return {
        "requests.cpu": sum(share.cpu_millis for share in server.shares),
        "requests.memory": memory,
        "limits.memory": memory,
        "requests.ephemeral-storage": disk,
        "limits.ephemeral-storage": disk,
        "requests.nvidia.com/gpu": server.gpu_count,
    }


def amount(quantity: str) -> int:
    """Thousandths of a core, or a plain number."""
    return int(quantity.removesuffix("m"))


def assert_room(walls: IsolationPlan, *servers: ModelServerPlan) -> None:
    for resource in requested(servers[0]):
        needed = sum(requested(server)[resource] for server in servers)
        assert amount(walls.quota[resource]) >= needed, resource


def test_the_quota_has_room_for_every_pair_of_old_and_new_model() -> None:
    for old, new in product(some_plans(), repeat=2):
        walls = plan_isolation(
            new.model_server, old.model_server, new.runtime, WeightsStore(url="")
        )
        assert_room(walls, old.model_server, new.model_server)
        assert_room(walls, new.model_server, new.model_server)


def test_a_first_deploys_quota_has_room_for_a_surge_of_the_same_model() -> None:
    for plan in plans():
        assert_room(plan.isolation, plan.model_server, plan.model_server)


def test_the_quota_has_no_room_for_a_third_model_server() -> None:
    plan = agent_plan()
    assert amount(plan.isolation.quota["requests.nvidia.com/gpu"]) == 2
    assert int(plan.isolation.quota["pods"]) <= 4


def test_quota_counts_the_runtime_as_well() -> None:
    plan = agent_plan()
    walls, server = plan.isolation.quota, requested(plan.model_server)
    runtime = plan.runtime.share
    assert amount(walls["requests.cpu"]) >= 2 * server["requests.cpu"] + runtime.cpu_millis
    assert amount(walls["limits.memory"]) >= 2 * server["limits.memory"] + runtime.memory_bytes


def test_one_volume_and_no_load_balancer_or_node_port() -> None:
    plan = agent_plan()
    quota = plan.isolation.quota
    assert quota["persistentvolumeclaims"] == "1"
    assert int(quota["requests.storage"]) == plan.runtime.volume_bytes
    assert plan.isolation.volume_max_bytes == plan.runtime.volume_bytes
    assert (quota["services.loadbalancers"], quota["services.nodeports"]) == ("0", "0")


def test_the_largest_container_of_old_and_new_is_allowed() -> None:
    for old, new in product(some_plans(), repeat=2):
        walls = plan_isolation(
            new.model_server, old.model_server, new.runtime, WeightsStore(url="")
        )
        largest = max(
            old.model_server.ollama_share.memory_bytes,
            new.model_server.ollama_share.memory_bytes,
            new.runtime.share.memory_bytes,
        )
        assert int(walls.container_max["memory"]) == largest


@pytest.mark.parametrize(
    ("previous", "pools", "types"),
    [
        (None, {"h100", "cpu"}, {"p5.4xlarge"}),
        (SMALL, {"h100", "l40s", "cpu"}, {"p5.4xlarge", "g6e.xlarge"}),
        (
            {"model": "llama3.1-70b-q4", "context": "32k", "memory": "160gb", "gpu": "h100"},
            {"h100", "cpu"},
            {"p5.4xlarge", "p5.48xlarge"},
        ),
    ],
)
def test_the_namespace_is_pinned_to_the_nodes_of_its_old_and_new_plan(
    previous: dict[str, object] | None, pools: set[str], types: set[str]
) -> None:
    isolation = agent_plan(previous=previous).isolation
    assert set(isolation.pools) == pools
    assert set(isolation.instance_types) == types
    assert len(isolation.pools) == len(set(isolation.pools))


def test_only_the_addresses_and_the_port_of_the_weights_store_are_named() -> None:
    isolation = agent_plan().isolation
    assert isolation.weights_egress_cidrs == ("198.18.0.0/15",)
    assert isolation.weights_port == 7070
