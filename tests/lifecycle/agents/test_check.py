from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest

from moltghost.config import read_agent
from moltghost.errors import ExitCode, Refused
from moltghost.kube.client import Client
from moltghost.kube.pod_diagnosis import LiveObject
from moltghost.lifecycle.agents.room import check_room
from tests.examples import STACK, agent_spec
from tests.kube.clusters import client, node, node_pool, sharing_pod, workload
from tests.lifecycle.projects import README_FILE, change_of, project

SCALE: dict[str, Any] = {"gpu": "h100", "memory": "160gb"}


def pools(**used: int) -> Client:
    """A cluster whose pools may have four nodes each and have these."""
    names = ("l40s", "a100-40", "a100-80", "h100", "cpu", "weights")
    return client(*(node_pool(name, 4, used.get(name.replace("-", "_"), 0)) for name in names))


def checked(folder: Path, cluster: Client, values: dict[str, Any], *, deployed: bool) -> None:
    made = project(folder)
    running = read_agent(made, STACK) if deployed else None
    check_room(change_of(made, STACK, values, running=running), cluster)


def test_room_for_one_more_node_is_enough_for_a_deploy(tmp_path: Path) -> None:
    checked(tmp_path, pools(h100=3), {}, deployed=False)


def test_a_deploy_into_a_full_pool_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="pool h100 of environment local is full: the model server"):
        checked(tmp_path, pools(h100=4), {}, deployed=False)


def test_an_update_without_room_for_its_surge_is_refused_with_in_place_offered(
    tmp_path: Path,
) -> None:
    with pytest.raises(Refused, match="the update's surge needs 1 more p5") as refused:
        checked(tmp_path, pools(h100=4), {"model": "qwen2.5-72b-q4"}, deployed=True)
    assert "--strategy in-place" in refused.value.hint


def test_a_node_that_another_agent_left_idle_is_room_for_a_surge(tmp_path: Path) -> None:
    idle = node("h100-idle", pool="h100")
    cluster = client(node_pool("h100", 4, 4), idle)
    checked(tmp_path, cluster, {"model": "qwen2.5-72b-q4"}, deployed=True)


def test_the_surge_is_looked_for_in_the_pool_of_the_new_plan(tmp_path: Path) -> None:
    checked(tmp_path, pools(h100=4), {"model": "llama3.1-8b-q4"}, deployed=True)


@pytest.mark.parametrize(("gpus", "fits"), [(2, True), (7, False)])
def test_a_shared_node_with_room_is_enough_for_an_owners_next_agent(
    gpus: int, fits: bool, tmp_path: Path
) -> None:
    big = {"cpu": "190", "memory": "2000Gi", "nvidia.com/gpu": "8"}
    shared = node("shared", "p5.48xlarge", pool="h100", allocatable=big)
    pools = (node_pool("h100", 4, 4), node_pool("cpu", 4, 0))
    cluster = client(*pools, shared, sharing_pod("shared", gpus))
    refused = nullcontext() if fits else pytest.raises(Refused, match=r"pool h100 .* is full")
    with refused:
        checked(tmp_path, cluster, {**SCALE, "sharing": "owner"}, deployed=False)


def test_in_place_in_the_same_pool_needs_no_room(tmp_path: Path) -> None:
    values = {"model": "qwen2.5-72b-q4", "strategy": "in-place"}
    checked(tmp_path, pools(h100=4), values, deployed=True)


def test_in_place_into_another_pool_that_is_full_is_refused_before_the_old_pod_stops(
    tmp_path: Path,
) -> None:
    values = {"model": "llama3.1-8b-q4", "strategy": "in-place"}
    with pytest.raises(Refused, match="pool l40s of environment local is full"):
        checked(tmp_path, pools(l40s=4), values, deployed=True)


def test_no_change_needs_no_room(tmp_path: Path) -> None:
    checked(tmp_path, pools(h100=4), {}, deployed=True)


@pytest.mark.parametrize("deployed", [True, False])
def test_a_pool_that_is_planned_and_not_in_the_cluster_is_named(
    deployed: bool, tmp_path: Path
) -> None:
    with pytest.raises(Refused, match="has no pool h100 in its cluster") as refused:
        checked(tmp_path, client(node_pool("l40s")), SCALE, deployed=deployed)
    assert "moltghost up local" in refused.value.hint


FULL_CPU_POOL = (node_pool("h100", 4, 0), node_pool("cpu", 1, 1))


def cpu_node(**more: Any) -> LiveObject:
    return node("cpu-1", "m7i.large", pool="cpu", **more)


def test_a_first_deploy_whose_runtime_has_no_room_is_refused(tmp_path: Path) -> None:
    cluster = client(*FULL_CPU_POOL, cpu_node(), workload("cpu-1", "1600m", "1Gi"))
    with pytest.raises(Refused, match="pool cpu of environment local is full") as refused:
        checked(tmp_path, cluster, {}, deployed=False)
    assert "the runtime needs 500m CPU and 2.0 GiB on one node" in refused.value.message
    assert "raise max_nodes of cpu in Pulumi.platform.local.yaml" in refused.value.hint
    assert refused.value.exit_code == ExitCode.REFUSED


def test_a_runtime_fits_beside_others_on_a_full_pools_node(tmp_path: Path) -> None:
    cluster = client(*FULL_CPU_POOL, cpu_node(), workload("cpu-1", "500m", "2Gi"))
    checked(tmp_path, cluster, {}, deployed=False)


def test_what_an_earlier_try_left_of_the_runtime_is_its_own_room(tmp_path: Path) -> None:
    own = workload("cpu-1", "1600m", "4Gi", namespace="agent-my-agent")
    checked(tmp_path, client(*FULL_CPU_POOL, cpu_node(), own), {}, deployed=False)


def test_an_update_needs_no_more_room_for_the_runtime(tmp_path: Path) -> None:
    cluster = client(*FULL_CPU_POOL, cpu_node(), workload("cpu-1", "1930m", "4Gi"))
    checked(tmp_path, cluster, {"model": "qwen2.5-72b-q4"}, deployed=True)


def test_a_cluster_without_the_runtimes_pool_is_named(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="has no pool cpu in its cluster"):
        checked(tmp_path, client(node_pool("h100")), {}, deployed=False)


def test_a_config_edited_by_hand_needs_room_for_its_surge(tmp_path: Path) -> None:
    edited = README_FILE.replace("llama3.1-70b-q4", "qwen2.5-72b-q4")
    change = change_of(project(tmp_path, edited), STACK, {}, running=agent_spec())
    check_room(change, pools(h100=3))
    with pytest.raises(Refused, match="the update's surge needs 1 more p5"):
        check_room(change, pools(h100=4))


HELLO_FILE = """\
config:
  moltghost:spec:
    kind: agent
    owner: team-a
    model: gemma3-270m-q4
    context: 32k
    gpu: none
"""


def machine(*, ready: bool = True, cpu: str = "1900m", memory: str = "20Gi") -> LiveObject:
    return node(
        "machine",
        "machine",
        simulated=False,
        pool="machine",
        ready=ready,
        allocatable={"cpu": cpu, "memory": memory},
    )


def checked_hello(
    folder: Path, cluster: Client, values: dict[str, Any], *, deployed: bool = False
) -> None:
    made = project(folder, HELLO_FILE)
    running = read_agent(made, STACK) if deployed else None
    check_room(change_of(made, STACK, values, running=running), cluster)


def test_an_agent_on_the_machine_needs_no_pool_but_the_node(tmp_path: Path) -> None:
    checked_hello(tmp_path, client(machine()), {})


def test_without_the_machines_own_node_it_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="has no node machine: containers don't run") as refused:
        checked_hello(tmp_path, pools(), {})
    assert "moltghost local status" in refused.value.hint


def test_a_node_that_is_not_ready_is_refused_with_its_own_words(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="isn't ready: container runtime is down"):
        checked_hello(tmp_path, client(machine(ready=False)), {})


def test_a_full_machine_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="node machine is full: the agent needs 900m CPU"):
        checked_hello(tmp_path, client(machine(cpu="800m")), {})


def test_an_update_on_the_machine_needs_room_for_its_surge_only(tmp_path: Path) -> None:
    checked_hello(tmp_path, client(machine(cpu="450m")), {"context": "16k"}, deployed=True)
    taken = workload("machine", "100m", "100Mi")
    with pytest.raises(Refused, match="the update's surge needs 400m CPU"):
        checked_hello(
            tmp_path / "again",
            client(machine(cpu="450m"), taken),
            {"context": "16k"},
            deployed=True,
        )
