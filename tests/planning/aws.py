"""Environments on AWS that tests plan."""

from __future__ import annotations

from typing import Any

from moltghost.config import (
    AwsCloudSpec,
    EnvironmentConfig,
    PlatformSpec,
    StackName,
    parse_spec,
)
from moltghost.planning.aws.cloud import AwsCloudPlan
from moltghost.planning.cloud import plan_cloud
from tests.examples import POOLS

ACCOUNT = "111122223333"
BLOCK = {
    "id": "cr-0123456789abcdef0",
    "kind": "capacity-block",
    "instance_type": "p5.48xlarge",
    "zone_id": "use1-az4",
    "count": 2,
    "ends": "2027-01-31T11:30:00Z",
}
RESERVATION = {
    "id": "cr-0fedcba9876543210",
    "kind": "on-demand",
    "instance_type": "g6e.12xlarge",
    "zone_id": "use1-az6",
    "count": 1,
}
FIXED = {
    "pool": "h100",
    "instance_type": "p5.48xlarge",
    "nodes": 2,
    "zone_id": "use1-az4",
    "release_version": "1.36.2-20260818",
    "reservation": BLOCK["id"],
}


def cloud_values(**changes: Any) -> dict[str, Any]:
    """A cloud spec as it stands in a stack's config."""
    base = {
        "kind": "cloud",
        "provider": "aws",
        "account_id": ACCOUNT,
        "region": "us-east-1",
        "zone_ids": ["use1-az4", "use1-az6"],
        "admins": [f"arn:aws:iam::{ACCOUNT}:role/admin"],
        "deployers": {"team-a": [f"arn:aws:iam::{ACCOUNT}:role/deployer"]},
        "monthly_ceiling_usd": 5000,
    }
    return {key: value for key, value in {**base, **changes}.items() if value is not None}


def cloud_spec(**changes: Any) -> AwsCloudSpec:
    spec = parse_spec(cloud_values(**changes), StackName.parse("prod"))
    assert isinstance(spec, AwsCloudSpec)
    return spec


def environment(pools: tuple[str, ...] = POOLS, **changes: Any) -> EnvironmentConfig:
    platform = {"kind": "platform", "pools": {name: {"max_nodes": 4} for name in pools}}
    return EnvironmentConfig("prod", cloud_spec(**changes), PlatformSpec.model_validate(platform))


def cloud_plan(**changes: Any) -> AwsCloudPlan:
    plan = plan_cloud(environment(**changes))
    assert isinstance(plan, AwsCloudPlan)
    return plan


def with_capacity() -> dict[str, Any]:
    """A Capacity Block for a fixed group, and a reservation for Karpenter."""
    return {"reservations": [BLOCK, RESERVATION], "fixed_groups": {"block": FIXED}}
