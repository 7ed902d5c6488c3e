from __future__ import annotations

import json
import re
from typing import Any

import pytest
import yaml

from moltghost.local.simulated import kwok
from moltghost.local.simulated.instance_types import capacities
from moltghost.local.simulated.simulated_types import catalogue_node_types


@pytest.fixture(scope="module")
def stages() -> dict[str, dict[str, Any]]:
    parsed = [yaml.safe_load(stage) for stage in kwok.stages(catalogue_node_types())]
    return {stage["metadata"]["name"]: stage for stage in parsed}


def test_nodes_pods_and_volumes_are_played(stages: dict[str, dict[str, Any]]) -> None:
    assert set(stages) == {path.stem for path in kwok.STAGES.glob("*.yaml")}
    assert {stage["spec"]["resourceRef"]["kind"] for stage in stages.values()} == {
        "Node",
        "Pod",
        "PersistentVolume",
        "PersistentVolumeClaim",
    }


def test_a_node_gets_the_capacity_of_its_type(stages: dict[str, dict[str, Any]]) -> None:
    template = stages["node-initialize"]["spec"]["next"]["statusTemplate"]
    table = re.search(r"fromJson `(.*?)`", template)
    assert table
    assert json.loads(table[1]) == capacities(catalogue_node_types())
    assert "@" not in template


def test_a_simulated_node_says_so(stages: dict[str, dict[str, Any]]) -> None:
    assert "osImage: simulated" in stages["node-initialize"]["spec"]["next"]["statusTemplate"]


def test_only_nodes_marked_as_simulated_are_played() -> None:
    options = kwok.configuration()["options"]
    assert isinstance(options, dict)
    assert options["manageNodesWithAnnotationSelector"] == "kwok.x-k8s.io/node=fake"


@pytest.mark.parametrize("name", ["volume-provision", "volume-delete"])
def test_volumes_are_played_for_the_documented_provisioner_only(
    stages: dict[str, dict[str, Any]], name: str
) -> None:
    expressions = stages[name]["spec"]["selector"]["matchExpressions"]
    values = [e["values"] for e in expressions if "provision" in e["key"]]
    assert values == [[kwok.VOLUME_PROVISIONER]]
