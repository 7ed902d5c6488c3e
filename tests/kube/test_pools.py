from __future__ import annotations

import pytest

from moltghost.errors import ExitCode, Refused
from moltghost.kube.karpenter import pool_statuses
from moltghost.kube.pod_diagnosis import LiveObject
from moltghost.kube.pools import (
    free_resources,
    has_place_beside,
    pods_that_fit,
    require_room,
    require_room_for_pod,
)
from tests.kube.clusters import (
    client,
    node,
    node_pool,
    pool,
    ready_pod,
    requesting,
    sharing_pod,
    workload,
)

P5 = "p5.4xlarge"
GIB = 1024**3


def test_a_pools_nodes_are_counted_by_karpenters_own_status() -> None:
    found = pool_statuses(client(node_pool("h100", 4, 3), node_pool("cpu", 8, 0)))
    assert found["h100"] == pool("h100", 3, 4)
    assert (found["h100"].room_for(P5), found["cpu"].room_for("m7i.large")) == (1, 8)


def test_a_node_that_karpenter_has_not_counted_yet_counts() -> None:
    nodes = (node("one"), node("two"), node("going", leaving=True), node("other", pool="cpu"))
    assert pool_statuses(client(node_pool("h100", 4, 1), *nodes))["h100"].nodes == 2


def test_a_pool_that_karpenter_has_not_seen_yet_is_empty() -> None:
    assert pool_statuses(client(node_pool("h100", 4, None)))["h100"].room_for(P5) == 4


def test_a_pool_over_its_limit_has_no_room_rather_than_less_than_none() -> None:
    assert pool("h100", 5, 4).room_for(P5) == 0


@pytest.mark.parametrize(
    ("items", "room"),
    [
        ((node("idle"),), 1),
        ((node("idle"), node("idle-too")), 2),
        # A model server is on it, or about to be.
        ((node("taken"), ready_pod(node="taken")), 0),
        ((node("other-type", "p5.48xlarge"),), 0),
        ((node("other-pool", pool="cpu"),), 0),
        # Karpenter is taking it away.
        ((node("going", taints=("karpenter.sh/disrupted",)),), 0),
        ((node("going", leaving=True),), 0),
    ],
)
def test_an_idle_node_of_the_type_is_room_in_a_full_pool(
    items: tuple[LiveObject, ...], room: int
) -> None:
    pools = pool_statuses(client(node_pool("h100", 4, 4), *items))
    assert pools["h100"].room_for(P5) == room


@pytest.mark.parametrize(("nodes", "wanted"), [(0, 4), (3, 1), (4, 0)])
def test_what_fits_is_let_through(nodes: int, wanted: int) -> None:
    require_room(pool("h100", nodes, 4), wanted, P5, environment="local", purpose="it")


@pytest.mark.parametrize(("nodes", "wanted"), [(4, 1), (3, 2)])
def test_a_full_pool_is_refused_with_what_it_holds_and_the_ways_out(
    nodes: int, wanted: int
) -> None:
    with pytest.raises(Refused, match="pool h100 of environment local is full") as refused:
        require_room(pool("h100", nodes, 4), wanted, P5, environment="local", purpose="the surge")
    assert f"the surge needs {wanted} more p5.4xlarge" in refused.value.message
    assert f"{nodes} of 4 nodes are in use" in refused.value.message
    assert "Pulumi.platform.local.yaml" in refused.value.hint
    assert "moltghost up local" in refused.value.hint
    assert "moltghost agent destroy" in refused.value.hint
    assert refused.value.exit_code == ExitCode.REFUSED


P4DE = "p4de.24xlarge"
BIG = {"cpu": "95", "memory": "1100Gi", "nvidia.com/gpu": "8"}


@pytest.mark.parametrize(
    ("pods", "fits"),
    [
        ((sharing_pod("p4de", 4),), True),
        ((sharing_pod("p4de", 4), sharing_pod("p4de", 4, agent="two")), False),
        ((sharing_pod("p4de", 4, owner="team-b"),), False),
        ((sharing_pod("p4de", 4, apart="moltghost.dev/agent"),), False),  # a node for itself
        ((sharing_pod("p4de", 4, agent="mover"),), False),
        ((), False),  # an idle node is counted elsewhere
    ],
)
def test_a_shared_node_has_a_place_for_its_owners_next_agent(
    pods: tuple[LiveObject, ...], fits: bool
) -> None:
    cluster = client(node("p4de", P4DE, pool="a100-80", allocatable=BIG), *pods)
    share = (5000, 235 * GIB, 4)
    found = has_place_beside(
        cluster, nodes_of("a100-80"), owner="team-a", share=share, but_not="agent-mover"
    )
    assert found == fits
    assert not has_place_beside(cluster, nodes_of("h100"), owner="team-a", share=share)
    other_type = nodes_of("a100-80") | {"node.kubernetes.io/instance-type": "p4d.24xlarge"}
    assert not has_place_beside(cluster, other_type, owner="team-a", share=share)


def nodes_of(pool: str) -> dict[str, str]:
    return {"karpenter.sh/nodepool": pool, "node.kubernetes.io/instance-type": P4DE}


def test_nodes_that_karpenter_did_not_make_are_found_by_whatever_labels_they_have() -> None:
    theirs = node("gpu-1", "bare-metal", pool="", allocatable=BIG)
    theirs["metadata"]["labels"]["example.com/gpu"] = "a100"
    cluster = client(theirs, node("h100-1", pool="h100", allocatable=BIG))
    ask = {"cpu_millis": 5000, "memory_bytes": 200 * GIB}
    assert pods_that_fit(cluster, {"example.com/gpu": "a100"}, **ask) == 5
    assert pods_that_fit(cluster, {"example.com/gpu": "h100"}, **ask) == 0


CPU_NODE = node("cpu-1", "m7i.large", pool="cpu")  # 1930m and 7200Mi are allocatable


def ask_for_pod(*items: LiveObject, nodes: int = 1, cpu_millis: int = 500) -> None:
    require_room_for_pod(
        client(*items),
        pool("cpu", nodes, 1),
        cpu_millis=cpu_millis,
        memory_bytes=2 * GIB,
        namespace="agent-my-agent",
        environment="local",
        purpose="the runtime",
    )


@pytest.mark.parametrize(
    ("pods", "free"),
    [
        ((), (1930, 7200 * 1024**2)),
        ((workload("cpu-1", "500m", "2Gi"),), (1430, 5152 * 1024**2)),
        ((workload("cpu-1", "1", "1024"), workload("cpu-1", "250m", "1k")), (680, 7549745176)),
        # Neither here nor anywhere.
        ((workload("cpu-2", "1", "1Gi"), workload(None, "1", "1Gi")), (1930, 7200 * 1024**2)),
        ((workload("cpu-1", "1", "1Gi", phase="Succeeded"),), (1930, 7200 * 1024**2)),
        # An init container ends before the others start; a sidecar runs beside them.
        (
            (workload("cpu-1", "500m", "2Gi", init=(requesting("900m", "1Gi"),)),),
            (1030, 5152 * 1024**2),
        ),
        (
            (workload("cpu-1", "500m", "2Gi", init=(requesting("900m", "1Gi", sidecar=True),)),),
            (530, 4128 * 1024**2),
        ),
        (
            (
                workload(
                    "cpu-1",
                    "100m",
                    "0",
                    init=(requesting("200m", "0", sidecar=True), requesting("700m", "0")),
                ),
            ),
            (1030, 7200 * 1024**2),
        ),
    ],
)
def test_what_is_free_on_a_node_is_what_the_scheduler_would_say(
    pods: tuple[LiveObject, ...], free: tuple[int, int]
) -> None:
    assert free_resources(CPU_NODE, pods) == free


def test_a_pod_without_requests_takes_nothing() -> None:
    greedy = workload("cpu-1", "1", "1Gi")
    greedy["spec"]["containers"] = [{"name": "one"}]
    assert free_resources(CPU_NODE, [greedy]) == (1930, 7200 * 1024**2)


def test_a_node_that_has_not_said_yet_what_it_has_is_no_room() -> None:
    new = node("cpu-1", pool="cpu")
    del new["status"]
    with pytest.raises(Refused, match="pool cpu of environment local is full"):
        ask_for_pod(new)


def test_a_node_that_may_be_added_is_room_for_a_pod() -> None:
    ask_for_pod(nodes=0)


def test_a_pod_may_fill_a_node_to_the_last_thousandth() -> None:
    ask_for_pod(CPU_NODE, workload("cpu-1", "1430m", "0"))
    with pytest.raises(Refused, match="pool cpu of environment local is full"):
        ask_for_pod(CPU_NODE, workload("cpu-1", "1431m", "0"))


@pytest.mark.parametrize(
    "items",
    [
        (),
        (CPU_NODE, workload("cpu-1", "100m", "6Gi")),
        (node("h100-1", pool="h100"),),
        (node("cpu-1", pool="cpu", leaving=True),),
        (node("cpu-1", pool="cpu", taints=("karpenter.sh/disrupted",)),),
        (node("cpu-1", pool="cpu", unschedulable=True),),
        # What is free on two nodes together is free on neither.
        (
            CPU_NODE,
            node("cpu-2", pool="cpu"),
            workload("cpu-1", "1600m", "0"),
            workload("cpu-2", "1600m", "0"),
        ),
    ],
)
def test_a_full_pool_whose_nodes_are_taken_has_no_room_for_a_pod(
    items: tuple[LiveObject, ...],
) -> None:
    with pytest.raises(Refused, match=r"needs 500m CPU and 2\.0 GiB on one node") as no:
        ask_for_pod(*items)
    assert "1 of 1 nodes are in use" in no.value.message
    assert "raise max_nodes of cpu" in no.value.hint
