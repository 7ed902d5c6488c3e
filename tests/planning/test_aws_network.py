"""The network's plan: every zone has room, nothing overlaps, and S3 is the only way out."""

from __future__ import annotations

import ipaddress
import json
from itertools import combinations
from typing import Any

import pytest

from moltghost.errors import Refused
from tests.planning.aws import ACCOUNT, cloud_plan

ZONES = ["use1-az1", "use1-az2", "use1-az4", "use1-az6"]


@pytest.mark.parametrize("cidr", ["10.40.0.0/16", "10.0.0.0/17", "192.168.0.0/16"])
@pytest.mark.parametrize("zones", [2, 3, 4])
def test_subnets_lie_in_the_network_apart_and_one_per_tier_and_zone(cidr: str, zones: int) -> None:
    network = cloud_plan(vpc_cidr=cidr, zone_ids=ZONES[:zones]).network
    blocks = [ipaddress.ip_network(subnet.cidr) for subnet in network.subnets]
    assert all(block.subnet_of(ipaddress.ip_network(cidr)) for block in blocks)
    assert not any(one.overlaps(other) for one, other in combinations(blocks, 2))
    for tier in ("isolated", "private", "edge", "control"):
        assert [each.zone_id for each in network.tier(tier)] == ZONES[:zones]
    assert all(ipaddress.ip_network(each.cidr).prefixlen <= 20 for each in network.tier("isolated"))


def test_the_public_addresses_are_all_but_the_special_ones() -> None:
    public = [ipaddress.ip_network(each) for each in cloud_plan().network.public_cidrs]

    def reached(address: str) -> bool:
        return any(ipaddress.ip_address(address) in network for network in public)

    assert all(map(reached, ("52.216.0.1", "3.5.0.1", "16.15.192.1", "8.8.8.8")))
    special = ("10.40.0.1", "169.254.169.254", "169.254.170.23", "172.20.0.1", "100.64.0.1")
    assert not any(map(reached, (*special, "127.0.0.1", "192.168.1.1", "224.0.0.1")))


def test_the_s3_endpoint_lets_through_the_weights_and_the_layers_of_images_only() -> None:
    policy = _endpoint("s3")
    resources = {each for statement in policy["Statement"] for each in statement["Resource"]}
    bucket = f"arn:aws:s3:::moltghost-weights-prod-{ACCOUNT}"
    assert resources == {
        bucket,
        f"{bucket}/*",
        "arn:aws:s3:::prod-us-east-1-starport-layer-bucket/*",
    }
    assert all("Delete" not in action for each in policy["Statement"] for action in each["Action"])


def test_every_endpoint_has_a_policy_that_names_its_actions() -> None:
    for endpoint in cloud_plan().network.endpoints:
        for statement in json.loads(endpoint.policy)["Statement"]:
            assert statement["Action"], endpoint.service
            assert not any("*" in action for action in statement["Action"])


def test_an_endpoint_lets_through_what_the_roles_use() -> None:
    actions = {action for each in _endpoint("ec2")["Statement"] for action in each["Action"]}
    assert {"ec2:RunInstances", "ec2:CreateNetworkInterface", "ec2:TerminateInstances"} <= actions
    assert "ec2:CreateVpc" not in actions


def test_a_single_nat_gateway_serves_the_zones_without_one() -> None:
    network = cloud_plan(nat="single").network
    assert network.nat_zones == ("use1-az4",)
    assert network.nat_zone("use1-az6") == "use1-az4"
    assert cloud_plan().network.nat_zone("use1-az6") == "use1-az6"


def test_the_resolver_knows_the_sources_of_models_and_of_weights_but_not_all_of_s3() -> None:
    names = cloud_plan().network.dns_allowed
    assert f"moltghost-weights-prod-{ACCOUNT}.s3.us-east-1.amazonaws.com" in names
    assert {"huggingface.co", "registry.ollama.ai"} <= set(names)
    assert not {"*", "*.amazonaws.com", "*.s3.us-east-1.amazonaws.com"} & set(names)


@pytest.mark.parametrize(
    ("region", "zones", "account"),
    [
        ("us-east-1", "use1", "602401143452"),
        ("eu-central-1", "euc1", "602401143452"),
        ("eu-central-2", "euc2", "900612956339"),
        ("il-central-1", "ilc1", "066635153087"),
        ("ap-southeast-3", "apse3", "296578399912"),
        ("ca-west-1", "caw1", "761377655185"),
    ],
)
def test_the_resolver_knows_the_registry_of_ekss_own_images(
    region: str, zones: str, account: str
) -> None:
    plan = cloud_plan(region=region, zone_ids=[f"{zones}-az1", f"{zones}-az2"])
    registries = [name for name in plan.network.dns_allowed if ".dkr.ecr." in name]
    assert registries == [
        f"{ACCOUNT}.dkr.ecr.{region}.amazonaws.com",
        f"{account}.dkr.ecr.{region}.amazonaws.com",
    ]


def test_a_region_whose_registry_is_not_known_is_refused() -> None:
    with pytest.raises(Refused, match="own images in region cn-north-1 isn't known") as caught:
        cloud_plan(region="cn-north-1", zone_ids=["cnn1-az1", "cnn1-az2"])
    assert "take one of af-south-1" in caught.value.hint


def _endpoint(service: str) -> dict[str, Any]:
    found = {each.service: each.policy for each in cloud_plan().network.endpoints}
    policy: dict[str, Any] = json.loads(found[service])
    return policy
