"""EC2 instance types as the pack knows them: family, GPUs, NVMe, price; and who asks for which."""

from __future__ import annotations

import json
from collections import ChainMap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import cache
from pathlib import Path

from .nodes import LAUNCH_TEMPLATE, NODE_GROUP
from .reading import get, has, items
from .subject import Subject

NODE_POOL = "kubernetes:karpenter.sh/v1:NodePool"
HOURS_PER_MONTH = 730
_TYPE_LABEL = "node.kubernetes.io/instance-type"
# Families with NVIDIA GPUs (EC2 user guide, accelerated computing).
_GPU_FAMILIES = {
    *("g4dn", "g5", "g6", "g6e", "g6f", "gr6", "g7e", "p3", "p3dn"),
    *("p4d", "p4de", "p5", "p5e", "p5en", "p6-b200", "p6e-gb200"),
}


@dataclass(frozen=True)
class InstanceType:
    """Facts of one type."""

    type: str
    gpus: int
    nvme: bool
    usd_per_hour: Decimal | None


@cache
def instance_types() -> Mapping[str, InstanceType]:
    """The types of ``facts/instance_types.json`` by name."""
    file = Path(__file__).parent / "facts" / "instance_types.json"
    return {
        each["type"]: InstanceType(
            each["type"],
            each["gpus"],
            each["nvme"],
            Decimal(each["usd_per_hour"]) if each["usd_per_hour"] else None,
        )
        for each in json.loads(file.read_text(encoding="utf-8"))["instance_types"]
    }


def family(type_: str) -> str:
    """``p5`` of ``p5.48xlarge``."""
    return type_.partition(".")[0]


def has_gpu(type_: str) -> bool:
    """Whether machines of a type have NVIDIA GPUs."""
    return family(type_) in _GPU_FAMILIES


def types_of(nodes: Subject) -> tuple[str, ...]:
    """The instance types that a node group, launch template or NodePool names."""
    if nodes.type == NODE_GROUP:
        return tuple(str(each) for each in items(nodes.props, "instanceTypes"))
    if nodes.type == LAUNCH_TEMPLATE:
        return (str(get(nodes.props, "instanceType")),) if has(nodes.props, "instanceType") else ()
    return requirement(nodes, _TYPE_LABEL)


def node_sources(subjects: Sequence[Subject]) -> Iterator[Subject]:
    """Node groups and NodePools of a stack; a group has the type that its launch template names."""
    templates = {each.urn: each for each in subjects if each.type == LAUNCH_TEMPLATE}
    for nodes in subjects:
        if nodes.type == NODE_POOL:
            yield nodes
        elif nodes.type == NODE_GROUP:
            found = [
                kind for urn in nodes.needs if urn in templates for kind in types_of(templates[urn])
            ]
            own = has(nodes.props, "instanceTypes") or not found
            given = {"instanceTypes": found}
            yield nodes if own else replace(nodes, props=ChainMap(given, nodes.props))  # type: ignore[arg-type]


def requirement(pool: Subject, key: str) -> tuple[str, ...]:
    """The values of a NodePool's requirement that lists what may be."""
    for each in items(pool.props, "spec.template.spec.requirements"):
        if get(each, "key") == key and get(each, "operator") == "In":
            return tuple(str(value) for value in items(each, "values"))
    return ()


def holds_gpus(nodes: Subject) -> bool:
    """Whether any of the types has GPUs; a pool that leaves its types open may have some."""
    return any(has_gpu(each) for each in types_of(nodes)) or _asks_for_gpu_family(nodes)


def _asks_for_gpu_family(nodes: Subject) -> bool:
    if nodes.type != NODE_POOL:
        return False
    named = requirement(nodes, "karpenter.k8s.aws/instance-family")
    return any(each in _GPU_FAMILIES for each in named) or bool(
        requirement(nodes, "karpenter.k8s.aws/instance-gpu-name")
        or requirement(nodes, "karpenter.k8s.aws/instance-gpu-manufacturer")
    )
