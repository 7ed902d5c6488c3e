"""Config of an AWS environment: what can't work is refused with what to write instead."""

from __future__ import annotations

from typing import Any

import pytest

from moltghost.config_aws import zone_prefix
from moltghost.errors import Refused
from tests.planning.aws import (
    BLOCK,
    FIXED,
    RESERVATION,
    cloud_plan,
    cloud_spec,
    with_capacity,
)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"zone_ids": ["use1-az3", "use1-az4"]}, "EKS can't put its control plane into use1-az3"),
        ({"zone_ids": ["use1-az4"]}, "EKS needs 2 zones at least"),
        ({"zone_ids": ["use1-az4", "use1-az4"]}, "EKS needs 2 zones at least"),
        ({"zone_ids": ["use1-az4", "use1-az6", "use1-az4"]}, "a zone is listed twice"),
        ({"zone_ids": ["use1-az4", "euc1-az1"]}, "euc1-az1 is not in us-east-1; .* use1-"),
        ({"zone_ids": ["us-east-1a", "us-east-1b"]}, r"zone_ids\.0: String should match"),
        ({"region": "mars-1"}, "region: 'mars-1' isn't a region; write it like us-east-1"),
        ({"vpc_cidr": "10.0.0.0/20"}, "vpc_cidr: 10.0.0.0/20 doesn't hold a /20 for each zone"),
        ({"vpc_cidr": "52.0.0.0/16"}, "52.0.0.0/16 is not private IPv4 space"),
        ({"vpc_cidr": "172.20.0.0/16"}, "overlaps the cluster's services"),
        ({"vpc_cidr": "ten"}, "write a network like 10.40.0.0/16"),
        ({"account_id": "12345"}, "account_id: String should match"),
        ({"admins": []}, "admins: Tuple should have at least 1 item"),
        (
            {"admins": ["bob"]},
            r"admins\.0: 'bob' isn't a role; write arn:aws:iam::ACCOUNT:role/NAME",
        ),
        ({"endpoint": {"public_cidrs": ["0.0.0.0/0"]}}, "opens the API server to everyone"),
        ({"endpoint": {"private_cidrs": ["52.0.0.0/16"]}}, "52.0.0.0/16 is not private space"),
        ({"endpoint": {"private_cidrs": ["0.0.0.0/0"]}}, "0.0.0.0/0 is not private space"),
        ({"monthly_ceiling_usd": 0}, "monthly_ceiling_usd: Input should be greater than 0"),
        ({"log_retention_days": 7}, "log_retention_days: Input should be 30"),
        ({"reservations": [{**BLOCK, "ends": None}]}, "a capacity-block has an end"),
        ({"reservations": [{**RESERVATION, "ends": "2027-01-01"}]}, "an on-demand one has none"),
        (
            {"reservations": [{**BLOCK, "ends": "2027-01-01T00:00:00"}]},
            "write 'ends' with its zone",
        ),
        ({"reservations": [{**BLOCK, "zone_id": "use1-az1"}]}, "has no subnet in use1-az1"),
        ({"fixed_groups": {"block": FIXED}}, "is not under 'reservations'"),
        (
            {"reservations": [BLOCK], "fixed_groups": {"block": {**FIXED, "nodes": 3}}},
            "holds 2 nodes, not 3",
        ),
        (
            {
                "reservations": [BLOCK],
                "fixed_groups": {"block": {**FIXED, "instance_type": "p5.4xlarge"}},
            },
            "is for p5.48xlarge in use1-az4, not for p5.4xlarge",
        ),
        (
            {
                "reservations": [BLOCK],
                "fixed_groups": {"block": {**FIXED, "release_version": "1.37.0-20261001"}},
            },
            "nodes of 1.37.0-20261001 can't join a cluster of 1.36",
        ),
        (
            {
                "reservations": [BLOCK],
                "fixed_groups": {"block": {**FIXED, "release_version": "1.32.9-20260101"}},
            },
            "may be 3 minor versions older",
        ),
        ({"bogus": 1}, "bogus: there is no such field; there are"),
    ],
)
def test_a_spec_that_cannot_work_is_refused_with_its_place(
    changes: dict[str, Any], said: str
) -> None:
    with pytest.raises(Refused, match=said):
        cloud_spec(**changes)


def test_a_provider_that_is_not_known_is_refused() -> None:
    with pytest.raises(Refused, match=r"provider: must be embedded or aws"):
        cloud_spec(provider="gcp")


def test_a_version_without_pinned_add_ons_is_refused() -> None:
    with pytest.raises(Refused, match=r"kubernetes_version 1\.29 has no pinned") as caught:
        cloud_plan(kubernetes_version="1.29")
    assert "take one of 1.36" in caught.value.hint


def test_a_fixed_group_of_a_type_that_its_pool_has_not_is_refused() -> None:
    group = {**FIXED, "instance_type": "g6e.xlarge", "reservation": None}
    with pytest.raises(Refused, match=r"g6e\.xlarge isn't a type of pool h100") as caught:
        cloud_plan(fixed_groups={"odd": group})
    assert "p5.48xlarge" in caught.value.hint


def test_a_newer_image_or_kubernetes_replaces_no_node_of_a_fixed_group() -> None:
    """EKS would drain them in turn, and an agent's pod can't be evicted."""
    before = cloud_plan(**with_capacity())
    after = cloud_plan(**with_capacity(), ami_release="20261101")
    assert after.system_nodes.release_version == "1.36.2-20261101"
    assert after.fixed_groups == before.fixed_groups


@pytest.mark.parametrize(
    ("region", "prefix"),
    [
        ("us-east-1", "use1"),
        ("eu-central-1", "euc1"),
        ("ap-northeast-1", "apne1"),
        ("ap-southeast-2", "apse2"),
        ("ca-central-1", "cac1"),
        ("il-central-1", "ilc1"),
    ],
)
def test_zone_ids_start_with_the_short_name_of_their_region(region: str, prefix: str) -> None:
    assert zone_prefix(region) == prefix
