"""What the plans of environments and agents ask of preflight."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from moltghost.aws.preflight import preflight
from moltghost.aws.request import PreflightRequest
from moltghost.config import AgentSpec, AwsCloudSpec, StackName, read_environment
from moltghost.environments.aws_request import AwsPlans
from moltghost.models import instance_types
from moltghost.planning.agent import plan_agent
from moltghost.planning.aws.cloud import AwsCloudPlan
from moltghost.planning.cloud import plan_cloud
from moltghost.planning.platform import plan_platform
from moltghost.planning.update import plan_change
from tests.aws.projects import BLOCK, RESERVED, project
from tests.aws.simulated import SimulatedAccount, offerings
from tests.examples import EXAMPLES

STACK = StackName.parse("my-agent.prod")


def plans(folder: Path, name: str = "prod") -> AwsPlans:
    config = read_environment(folder, name)
    cloud = plan_cloud(config)
    assert isinstance(config.cloud, AwsCloudSpec)
    assert isinstance(cloud, AwsCloudPlan)
    return AwsPlans(config.cloud, cloud, plan_platform(config))


def spec(**changes: Any) -> AgentSpec:
    values = {"kind": "agent", "owner": "team-a", "model": "llama3.1-8b-q4", "context": "32k"}
    return AgentSpec.model_validate({**values, **changes})


@pytest.mark.parametrize("name", ["dev", "prod"])
def test_a_shipped_environment_has_no_blocker_in_an_account_where_all_is_well(
    name: str, account: SimulatedAccount
) -> None:
    asked = plans(EXAMPLES, name).environment_request()
    account.answer(
        "DescribeInstanceTypeOfferings",
        offerings({kind.type: kind.zone_ids[asked.region] for kind in instance_types().values()}),
    )
    account.answer(
        "GetCallerIdentity",
        {"Account": asked.account_id, "Arn": f"arn:aws:iam::{asked.account_id}:role/deployer"},
    )

    found = preflight(asked, account.clients(asked.region))

    assert {check.id for check in found if check.status in ("blocker", "unknown")} == set()


def test_an_environment_asks_for_its_pools_system_nodes_images_keys_and_costs(
    tmp_path: Path,
) -> None:
    asked = plans(project(tmp_path), "prod").environment_request()

    assert {need.name: (need.nodes, need.nodes_now) for need in asked.needs} == {
        "system nodes": (2, 2),
        "pool l40s": (2, 1),
        "pool h100": (3, 1),
        "pool cpu": (3, 1),
    }
    assert any("/nvidia/amazon-eks-node-al2023-x86_64-nvidia-" in p for p in asked.ami_parameters)
    assert any("/standard/amazon-eks-node-" in p for p in asked.ami_parameters)
    assert len(asked.images) == 6
    assert asked.holdings is not None
    assert asked.holdings.interface_endpoints == 20
    assert asked.holdings.keys == 4
    assert [arn.rpartition("/")[2] for arn in asked.principals] == ["admin"]
    assert asked.permissions_boundary == ""


def test_the_image_of_a_fixed_group_is_asked_for_as_its_group_names_it(tmp_path: Path) -> None:
    older = BLOCK.replace("1.36.2-20260818", "1.35.9-20260701")
    asked = plans(project(tmp_path, older), "prod").environment_request()

    (image,) = [each for each in asked.ami_parameters if "20260701" in each]
    assert image.endswith("/nvidia/amazon-eks-node-al2023-x86_64-nvidia-1.35-v20260701/image_id")


def test_reservations_go_to_their_pool_and_a_block_to_its_group(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    pooled = plans(project(tmp_path / "a", RESERVED), "prod").environment_request()
    grouped = plans(project(tmp_path / "b", BLOCK), "prod").environment_request()

    held = {need.name: need for need in pooled.needs if need.reservation_ids}
    assert {name: need.capacity for name, need in held.items()} == {"pool h100": "on-demand"}
    block = {need.name: need for need in grouped.needs if need.reservation_ids}
    assert {name: need.capacity for name, need in block.items()} == {
        "block nodes": "capacity-block"
    }
    assert block["block nodes"].zone_ids == ("use1-az2",)


def change(folder: Path, old: AgentSpec, new: AgentSpec) -> PreflightRequest:
    environment = read_environment(folder, "prod")
    plan, update = plan_change(STACK, old, new, environment)
    return plans(folder).agent_request(plan, update, plan_agent(STACK, old, environment))


def test_a_surge_needs_the_new_node_and_frees_the_old_one(tmp_path: Path) -> None:
    asked = change(project(tmp_path), spec(gpu="l40s"), spec(gpu="h100"))

    (need,) = asked.needs
    assert (need.name, need.instance_types, need.nodes_now) == ("pool h100", ("p5.4xlarge",), 1)
    assert asked.frees == ("g6e.2xlarge",)


def test_an_update_in_place_needs_no_node_beside_the_old_one(tmp_path: Path) -> None:
    asked = change(
        project(tmp_path), spec(gpu="l40s"), spec(gpu="l40s", context="64k", strategy="in-place")
    )

    assert (asked.needs, asked.frees) == ((), ())


def test_a_larger_node_in_place_is_asked_for_and_the_old_one_given_back_first() -> None:
    larger = spec(gpu="l40s", memory="192gb", strategy="in-place")
    asked = change(EXAMPLES, spec(gpu="l40s"), larger)

    (need,) = asked.needs
    assert (need.instance_types, need.nodes_now) == (("g6e.12xlarge",), 1)
    assert (asked.frees, asked.frees_first) == (("g6e.xlarge",), True)


def test_a_paused_agent_has_no_node_to_give_back(tmp_path: Path) -> None:
    asked = change(project(tmp_path), spec(gpu="h100", paused=True), spec(gpu="h100"))

    assert [need.instance_types for need in asked.needs] == [("p5.4xlarge",)]
    assert asked.frees == ()
