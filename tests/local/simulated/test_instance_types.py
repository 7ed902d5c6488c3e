from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from moltghost.local.simulated.instance_types import NodeType, capacities, karpenter_instance_types
from moltghost.local.simulated.simulated_types import catalogue_node_types
from moltghost.models.hardware import instance_type
from moltghost.planning.embedded import EMBEDDED_ZONES
from moltghost.sizing.nodes import NodeResources, allocatable, capacity
from moltghost.units import GIB, MIB

L40S = NodeType(
    name="g6e.2xlarge",
    arch="amd64",
    zones=("local-a", "local-b"),
    price_usd_per_hour=Decimal("2.24208"),
    capacity=NodeResources(8000, 60 * GIB, 450 * 10**9, 58, 1),
    allocatable=NodeResources(7910, 58 * GIB, 400 * 10**9, 58, 1),
)
CPU = NodeType(
    name="m7i.large",
    arch="amd64",
    zones=("local-a",),
    price_usd_per_hour=Decimal("0.1008"),
    capacity=NodeResources(2000, 7 * GIB, 20 * GIB, 29, 0),
    allocatable=NodeResources(1930, 6 * GIB, 17 * GIB, 29, 0),
)


def written(*types: NodeType) -> list[dict[str, Any]]:
    return json.loads(karpenter_instance_types(types))


def test_what_the_provider_subtracts_is_added_so_that_pods_find_what_eks_leaves() -> None:
    (resources,) = (entry["resources"] for entry in written(L40S))
    assert resources["cpu"] == "8010m"  # less the provider's fixed 100m
    assert int(resources["memory"]) == 58 * GIB + 10 * MIB  # less the provider's fixed 10Mi


def test_disk_pods_and_gpus_pass_unchanged() -> None:
    (resources,) = (entry["resources"] for entry in written(L40S))
    assert int(resources["ephemeral-storage"]) == 400 * 10**9
    assert resources["pods"] == "58"
    assert resources["nvidia.com/gpu"] == "1"


def test_a_type_without_gpus_has_no_gpu_resource() -> None:
    (entry,) = written(CPU)
    assert "nvidia.com/gpu" not in entry["resources"]
    assert "nvidia.com/gpu" not in capacities([CPU])["m7i.large"]


def test_there_is_one_on_demand_offering_per_zone_at_the_price() -> None:
    (entry,) = written(L40S)
    offered = [
        {r["key"]: r["values"] for r in offering["Requirements"]} for offering in entry["offerings"]
    ]
    assert offered == [
        {"karpenter.sh/capacity-type": ["on-demand"], "topology.kubernetes.io/zone": [zone]}
        for zone in ("local-a", "local-b")
    ]
    assert {offering["Price"] for offering in entry["offerings"]} == {2.24208}


def test_capacity_is_the_whole_node() -> None:
    assert capacities([L40S]) == {
        "g6e.2xlarge": {
            "cpu": "8000m",
            "memory": str(60 * GIB),
            "ephemeral-storage": str(450 * 10**9),
            "pods": "58",
            "nvidia.com/gpu": "1",
        }
    }


def test_every_priced_type_of_the_catalogue_is_there_with_sizings_numbers() -> None:
    types = {node_type.name: node_type for node_type in catalogue_node_types()}
    assert {"g6e.xlarge", "p4d.24xlarge", "p4de.24xlarge", "p5.48xlarge", "m7i.large"} <= set(types)
    for name, node_type in types.items():
        assert node_type.allocatable == allocatable(instance_type(name))
        assert node_type.capacity == capacity(instance_type(name))
        assert node_type.zones == EMBEDDED_ZONES


def test_a_type_without_a_price_is_left_out() -> None:
    assert instance_type("p5e.48xlarge").usd_per_hour is None
    assert "p5e.48xlarge" not in {node_type.name for node_type in catalogue_node_types()}


@pytest.mark.parametrize("name", ["p5.48xlarge", "p4d.24xlarge"])
def test_allocatable_is_less_than_capacity(name: str) -> None:
    (node_type,) = (found for found in catalogue_node_types() if found.name == name)
    assert node_type.allocatable.memory_bytes < node_type.capacity.memory_bytes
    assert node_type.allocatable.cpu_millis < node_type.capacity.cpu_millis
