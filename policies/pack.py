"""The pack: every rule of every area."""

from __future__ import annotations

from pulumi_policy import Policy

from . import (
    agents,
    cluster,
    cost,
    data,
    doors,
    escalation,
    gate,
    gpu,
    identity,
    images,
    namespaces,
    nodes,
    walls,
    workloads,
)
from .rule import Rule

NAME = "moltghost"
DESCRIPTION = "EKS clusters, GPU nodes and the namespaces of private agents"

_AREAS = (
    *(cluster, nodes, gpu, identity, escalation, data),
    *(namespaces, doors, workloads, images, agents, gate, walls, cost),
)

RULES: tuple[Rule, ...] = tuple(
    each for area in _AREAS for each in vars(area).values() if isinstance(each, Rule)
)

AREAS: dict[str, str] = {
    area.__name__.rpartition(".")[2]: (area.__doc__ or "").partition("\n")[0] for area in _AREAS
}
"""What each area is about."""


def policies() -> list[Policy]:
    """The rules for the SDK."""
    return [rule.to_policy() for rule in RULES]
