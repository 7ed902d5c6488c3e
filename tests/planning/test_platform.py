from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from moltghost import paths
from moltghost.config import (
    POOL_NAMES,
    EmbeddedCloudSpec,
    EnvironmentConfig,
    PlatformSpec,
    read_environment,
)
from moltghost.errors import Refused
from moltghost.kube.kubeconfig import kubeconfig_path
from moltghost.models import instance_types
from moltghost.planning.cloud import plan_cloud
from moltghost.planning.images import pinned_images
from moltghost.planning.platform import PoolPlan, plan_platform
from moltghost.planning.pools import NodesPlan
from tests.examples import EXAMPLES, LOCAL, NO_MACHINE, agent_plan

GPU_POOLS = POOL_NAMES[:-2]


def environment(**pools: dict[str, Any]) -> EnvironmentConfig:
    platform = PlatformSpec.model_validate({"kind": "platform", "pools": pools})
    return EnvironmentConfig("dev", NO_MACHINE.cloud, platform)


EVERY_POOL = environment(**{name: {"max_nodes": 1} for name in POOL_NAMES})


def pool(name: str) -> PoolPlan:
    return plan_platform(EVERY_POOL).pool(name)


def test_an_environment_has_the_pools_of_its_config_in_a_fixed_order() -> None:
    assert [each.name for each in plan_platform(EVERY_POOL).pools] == list(POOL_NAMES)
    some = plan_platform(environment(weights={"max_nodes": 1}, l40s={"max_nodes": 2}))
    assert [(each.name, each.max_nodes) for each in some.pools] == [("l40s", 2), ("weights", 1)]


@pytest.mark.parametrize(
    ("name", "types"),
    [
        (
            "l40s",
            {"g6e.xlarge", "g6e.2xlarge", "g6e.4xlarge", "g6e.8xlarge", "g6e.16xlarge"}
            | {"g6e.12xlarge", "g6e.24xlarge", "g6e.48xlarge"},
        ),
        ("a100-40", {"p4d.24xlarge"}),
        ("a100-80", {"p4de.24xlarge"}),
        ("h100", {"p5.4xlarge", "p5.48xlarge"}),
        ("h200", {"p5en.48xlarge"}),
        (
            "rtx-pro-6000",
            {"g7e.2xlarge", "g7e.4xlarge", "g7e.8xlarge"}
            | {"g7e.12xlarge", "g7e.24xlarge", "g7e.48xlarge"},
        ),
    ],
)
def test_a_gpu_pool_offers_every_type_with_its_card(name: str, types: set[str]) -> None:
    assert set(pool(name).instance_types) == types


@pytest.mark.parametrize("name", POOL_NAMES)
def test_every_type_of_every_pool_has_a_price(name: str) -> None:
    assert pool(name).instance_types
    for kind in pool(name).instance_types:
        assert instance_types()[kind].usd_per_hour


@pytest.mark.parametrize("name", GPU_POOLS)
def test_gpu_nodes_keep_everything_else_off_and_tell_the_device_plugin(name: str) -> None:
    [taint] = pool(name).taints
    assert (taint.key, taint.value, taint.effect) == ("nvidia.com/gpu", "present", "NoSchedule")
    assert pool(name).karpenter.labels == {"nvidia.com/gpu.present": "true"}
    assert pool(name).gpu == name


def test_runtimes_go_to_nodes_without_taint_and_weights_jobs_to_their_own() -> None:
    assert pool("cpu").taints == ()
    assert [taint.key for taint in pool("weights").taints] == ["moltghost.dev/pool"]
    assert pool("cpu").gpu is pool("weights").gpu is None


@pytest.mark.parametrize("name", POOL_NAMES)
def test_reserved_capacity_comes_before_on_demand_and_spot_never(name: str) -> None:
    assert pool(name).karpenter.capacity_types == ("reserved", "on-demand")


@pytest.mark.parametrize("name", GPU_POOLS)
def test_a_drained_node_outlasts_the_longest_stream_on_it(name: str) -> None:
    assert pool(name).karpenter.termination_grace_seconds > (
        agent_plan().model_server.termination_grace_seconds
    )


def test_a_pool_is_narrowed_to_the_types_of_the_config() -> None:
    plan = plan_platform(environment(l40s={"max_nodes": 1, "instance_types": ["g6e.xlarge"]}))
    assert plan.pool("l40s").instance_types == ("g6e.xlarge",)


def test_a_type_without_the_pools_card_is_refused_with_those_that_have_it() -> None:
    wrong = environment(h100={"max_nodes": 1, "instance_types": ["g6e.xlarge", "p5.4xlarge"]})
    with pytest.raises(Refused, match=r"pool h100 of environment dev can't have g6e\.xlarge\n") as (
        refused
    ):
        plan_platform(wrong)
    assert "p5.4xlarge, p5.48xlarge" in refused.value.hint


def test_a_pool_that_is_not_there_is_refused_with_those_that_are() -> None:
    plan = plan_platform(environment(l40s={"max_nodes": 1}))
    with pytest.raises(Refused, match="environment dev has no pool 'h100'") as refused:
        plan.pool("h100")
    assert "it has l40s" in refused.value.hint
    assert "Pulumi.platform.dev.yaml" in refused.value.hint


def test_pools_without_nodes_are_not_sized_for() -> None:
    plan = plan_platform(
        environment(l40s={"max_nodes": 0}, h100={"max_nodes": 1}, cpu={"max_nodes": 1})
    )
    assert [each.name for each in plan.for_models] == ["h100"]


def test_the_machines_own_node_is_sized_for_where_the_cloud_has_one() -> None:
    plan = plan_platform(LOCAL)
    assert [(each.name, each.gpu) for each in plan.for_models][-1] == ("machine", None)
    assert "machine" not in [each.name for each in plan.pools]
    [taint] = plan.nodes("machine").taints
    assert (taint.key, taint.value, taint.effect) == ("moltghost.dev/pool", "machine", "NoSchedule")
    with pytest.raises(Refused, match="no pool 'machine'"):
        plan_platform(NO_MACHINE).nodes("machine")


def test_the_embedded_cluster_is_simulated_and_its_kubeconfig_is_ours() -> None:
    cloud = plan_cloud(LOCAL)
    assert cloud.simulated_nodes
    assert kubeconfig_path(cloud) == paths.kubeconfig()
    assert cloud.node_class.kind == "KWOKNodeClass"


@pytest.mark.parametrize("name", ["local", "prod"])
def test_a_plan_is_the_same_on_every_machine(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def plans(home: str) -> str:
        for variable in ("HOME", "MOLTGHOST_STATE", "XDG_STATE_HOME"):
            monkeypatch.setenv(variable, home)
        where = read_environment(EXAMPLES, name)
        return plan_cloud(where).model_dump_json() + plan_platform(where).model_dump_json()

    one = plans("/home/one")
    assert "/home/one" not in one
    assert one == plans("/home/two")


def test_a_plan_says_what_each_node_of_a_pool_leaves_for_pods() -> None:
    [h100] = [each for each in pool("h100").nodes if each.name == "p5.48xlarge"]
    assert h100.gpu_count == 8
    assert 0 < h100.cpu_millis < 192_000
    assert h100.memory_bytes < 2048 * 1024**3


def test_a_pod_says_the_labels_of_its_pool_and_of_its_type() -> None:
    wanted = pool("h100").scheduling("p5.4xlarge")
    assert wanted.node_selector == {
        "karpenter.sh/nodepool": "h100",
        "node.kubernetes.io/instance-type": "p5.4xlarge",
    }
    assert wanted.annotations == {"karpenter.sh/do-not-disrupt": "true"}
    theirs = NodesPlan(name="gpus", selector={"example.com/gpu": "a100"}, runtime_class="nvidia")
    assert theirs.scheduling("p5.4xlarge").node_selector == {"example.com/gpu": "a100"}
    assert theirs.scheduling().runtime_class == "nvidia"


def test_a_kubeconfig_of_the_users_replaces_the_embedded_one() -> None:
    spec = EmbeddedCloudSpec(kind="cloud", provider="embedded", kubeconfig="~/.kube/config")
    cloud = plan_cloud(EnvironmentConfig("local", spec, LOCAL.platform))
    assert kubeconfig_path(cloud) == Path("~/.kube/config")
    assert cloud.kubeconfig.path == "~/.kube/config"


def test_every_image_has_a_version_and_none_is_latest() -> None:
    for name, image in pinned_images().model_dump().items():
        repository, _, version = image.rpartition(":")
        assert "/" in repository, name
        assert version[0].isdigit(), f"{name}: {version}"
