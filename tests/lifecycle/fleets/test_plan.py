"""A fleet before it changes: planned as a whole, priced, and held against the pools."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from moltghost.config import AgentSpec
from moltghost.config_fleet import Fleet
from moltghost.errors import Refused
from moltghost.kube.client import Client
from moltghost.lifecycle.fleets.plan import FleetPlan, plan_fleet
from tests.examples import agent_spec
from tests.kube.clusters import client, deployment, namespace, node, node_pool, ready_pod, workload
from tests.lifecycle.projects import environment, project

SMALL = {"model": "llama3.1-8b-q4"}  # one g6e.xlarge of pool l40s, 1.861 $/h
LARGE = {"model": "llama3.1-70b-q4"}  # one p5.4xlarge of pool h100, 6.88 $/h


def pools(*items: dict[str, Any], max_nodes: int = 4, **used: int) -> Client:
    names = ("l40s", "a100-40", "a100-80", "h100", "cpu", "weights")
    known = (node_pool(name, max_nodes, used.get(name.replace("-", "_"), 0)) for name in names)
    return client(*known, *items)


def fleet(**agents: dict[str, Any]) -> Fleet:
    specs: dict[str, AgentSpec] = {
        name.replace("_", "-"): agent_spec(**values) for name, values in agents.items()
    }
    return Fleet(file=Path("agents.yaml"), environment="local", agents=specs)


def planned(
    folder: Path, described: Fleet, cluster: Client | None = None, parallel: int = 16
) -> FleetPlan:
    at = environment(project(folder, None), cluster or pools())
    return plan_fleet(at, described, parallel=parallel)


def needs(plan: FleetPlan) -> dict[str, tuple[int, int]]:
    return {each.instance_type: (each.kept, each.surge) for each in plan.needs.servers}


def test_new_agents_need_a_node_each_and_share_nodes_for_their_runtimes(tmp_path: Path) -> None:
    plan = planned(tmp_path, fleet(a=SMALL, b=SMALL, c=LARGE))
    assert [change.update.action for change in plan.changes] == ["create"] * 3
    assert needs(plan) == {"g6e.xlarge": (2, 0), "p5.4xlarge": (1, 0)}
    assert {each.instance_type: each.vcpus for each in plan.needs.servers} == {
        "g6e.xlarge": 8,
        "p5.4xlarge": 16,
    }
    runtimes = plan.needs.runtimes
    assert runtimes is not None
    assert (runtimes.runtimes, runtimes.placed, runtimes.fewest) == (3, 0, 1)
    assert runtimes.fewest <= runtimes.most <= 3
    assert (plan.usd_per_hour, plan.usd_per_hour_before) == (Decimal("10.602"), 0)
    assert plan.needs.surge_usd_per_hour == 0


def test_runtimes_find_room_on_the_nodes_that_are_there(tmp_path: Path) -> None:
    there = node("cpu-1", "m7i.large", pool="cpu", allocatable={"cpu": "1930m", "memory": "7200Mi"})
    taken = workload("cpu-1", "500m", "2Gi")
    plan = planned(tmp_path, fleet(a=SMALL, b=SMALL, c=SMALL), pools(there, taken, cpu=1))
    runtimes = plan.needs.runtimes
    assert runtimes is not None
    # 1430m and 5.0 GiB are free: two runtimes of 500m and 2 GiB.
    assert (runtimes.placed, runtimes.fewest) == (2, 1)


def test_agents_that_run_already_surge_as_many_at_a_time_as_are_changed_side_by_side(
    tmp_path: Path,
) -> None:
    names = [f"a{number}" for number in range(5)]
    running = [deployment(name) for name in names] + [ready_pod(agent=name) for name in names]
    described = fleet(**{name: {"model": "qwen2.5-72b-q4"} for name in names})
    plan = planned(tmp_path, described, pools(*running, max_nodes=9, h100=5), parallel=3)
    assert {change.update.action for change in plan.changes} == {"update"}
    assert needs(plan) == {"p5.4xlarge": (0, 3)}
    assert plan.needs.surge_usd_per_hour == 3 * Decimal("6.88")
    assert plan.needs.runtimes is None


def test_an_agent_that_moves_to_another_pool_takes_a_node_there_for_good(tmp_path: Path) -> None:
    plan = planned(tmp_path, fleet(a=SMALL), pools(deployment("a"), ready_pod(agent="a"), h100=1))
    assert needs(plan) == {"g6e.xlarge": (1, 0)}


def test_agents_of_one_owner_that_share_nodes_need_fewer(tmp_path: Path) -> None:
    shared = {"model": "llama3.1-8b-q4", "gpu": "h100", "memory": "160gb", "sharing": "owner"}
    plan = planned(tmp_path, fleet(a=shared, b=shared, c=shared, d=shared, e=shared))
    [need] = plan.needs.servers
    # Two of the eight GPUs each: four agents on one node, the fifth on another.
    assert (need.instance_type, need.kept) == ("p5.48xlarge", 2)


def test_what_the_file_leaves_out_has_its_default_again(tmp_path: Path) -> None:
    before = agent_spec(gpu="h100", memory="160gb", parallel=2)
    cluster = pools(deployment("a", spec=before), ready_pod(agent="a"), h100=1)
    plan = planned(tmp_path, fleet(a=LARGE), cluster)
    assert plan.changes[0].new.gpu is None
    assert plan.changes[0].new.parallel == 1
    assert plan.changes[0].new.previous == before.model_part


def test_agents_of_the_project_that_the_file_does_not_have_are_told(tmp_path: Path) -> None:
    ours = [deployment("ours"), ready_pod(agent="ours"), namespace("ours")]
    theirs = [deployment("theirs"), ready_pod(agent="theirs"), namespace("theirs", "team-b")]
    plan = planned(tmp_path, fleet(a=SMALL), pools(*ours, *theirs, h100=2))
    assert [each.agent for each in plan.others] == ["ours"]


def test_every_agent_that_cannot_be_planned_is_named_before_anything_changes(
    tmp_path: Path,
) -> None:
    described = fleet(good=SMALL, typo={"model": "lama-8b"}, wide={**SMALL, "context": "1m"})
    with pytest.raises(Refused, match=r"2 of the 3 agents in agents\.yaml can't be planned") as no:
        planned(tmp_path, described)
    assert "\n  typo: " in no.value.message
    assert "\n  wide: " in no.value.message
    assert "good" not in no.value.message


def test_a_fleet_that_the_pools_have_no_room_for_is_refused_with_every_pool(tmp_path: Path) -> None:
    described = fleet(a=SMALL, b=SMALL, c=LARGE, d=LARGE)
    with pytest.raises(Refused, match="doesn't fit into environment local, nothing was") as no:
        planned(tmp_path, described, pools(l40s=3, h100=3, cpu=4))
    assert no.value.message.splitlines()[1:] == [
        "  pool h100: 2 more nodes are needed; 3 of 4 are in use",
        "  pool l40s: 2 more nodes are needed; 3 of 4 are in use",
        "  pool cpu: 1 to 2 more nodes for runtimes are needed; 4 of 4 are in use",
    ]
    assert "raise max_nodes in Pulumi.platform.local.yaml" in no.value.hint
    assert "--parallel" not in no.value.hint


def test_surges_that_find_no_room_are_fewer_with_less_at_a_time(tmp_path: Path) -> None:
    names = ["a", "b", "c"]
    running = [deployment(name) for name in names] + [ready_pod(agent=name) for name in names]
    described = fleet(**{name: {"model": "qwen2.5-72b-q4"} for name in names})
    cluster = pools(*running, h100=3)
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    with pytest.raises(Refused, match="pool h100: 3 more nodes, 3 of them for surges") as no:
        planned(tmp_path / "one", described, cluster)
    assert "change fewer agents at a time with --parallel" in no.value.hint
    assert planned(tmp_path / "two", described, cluster, parallel=1).changes


def test_a_pool_that_the_cluster_lacks_is_named(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="environment local has no pool l40s in its cluster"):
        planned(tmp_path, fleet(a=SMALL), client(node_pool("cpu", 4, 0)))
