"""Pools as they are in a cluster: how many nodes each has of how many it may have."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from moltghost.errors import Refused
from moltghost.kube.client import Client
from moltghost.kube.pods import Object

_NODE_POOL = ("karpenter.sh/v1", "NodePool")
_POOL_LABEL = "karpenter.sh/nodepool"
# Karpenter puts it on a node that it is about to remove.
_DISRUPTED_TAINT = "karpenter.sh/disrupted"
_MODEL_SERVERS = {"app.kubernetes.io/name": "model-server"}


@dataclass(frozen=True)
class PoolStatus:
    """One pool's nodes, by its NodePool's limit and status.

    Args:
        name: the pool.
        nodes: nodes that count against the limit.
        max_nodes: the limit.
        idle_types: instance types of nodes that no model server is on and that stay for now.
    """

    name: str
    nodes: int
    max_nodes: int
    idle_types: tuple[str, ...] = ()

    def room_for(self, instance_type: str) -> int:
        """Nodes of that type to be had: those that may be added, and idle ones."""
        return max(0, self.max_nodes - self.nodes) + self.idle_types.count(instance_type)


def pool_statuses(client: Client) -> dict[str, PoolStatus]:
    """The cluster's pools by name."""
    nodes = client.list("v1", "Node")
    servers = client.list("v1", "Pod", labels=_MODEL_SERVERS)
    return {
        item["metadata"]["name"]: pool_status(item, nodes, servers)
        for item in client.list(*_NODE_POOL)
    }


def pool_status(pool: Object, nodes: Iterable[Object], servers: Iterable[Object]) -> PoolStatus:
    """A pool's status from its NodePool, the cluster's nodes and its model servers' pods."""
    name = pool["metadata"]["name"]
    taken = {pod["spec"].get("nodeName") for pod in servers}
    return PoolStatus(
        name=name,
        nodes=int(pool.get("status", {}).get("nodes") or 0),
        max_nodes=int(pool["spec"].get("limits", {}).get("nodes", 0)),
        idle_types=tuple(
            node["metadata"]["labels"].get("node.kubernetes.io/instance-type", "")
            for node in nodes
            if node["metadata"].get("labels", {}).get(_POOL_LABEL) == name
            and node["metadata"]["name"] not in taken
            and not _leaving(node)
        ),
    )


def _leaving(node: Object) -> bool:
    taints = node.get("spec", {}).get("taints", ())
    return "deletionTimestamp" in node["metadata"] or any(
        taint["key"] == _DISRUPTED_TAINT for taint in taints
    )


def require_room(
    pool: PoolStatus, nodes: int, instance_type: str, *, environment: str, purpose: str
) -> None:
    """Make sure that ``nodes`` of a type are to be had in the pool.

    Raises:
        Refused: the pool is at its limit.
    """
    if nodes <= pool.room_for(instance_type):
        return
    raise Refused(
        f"pool {pool.name} of environment {environment} is full: {purpose} needs {nodes} more "
        f"{instance_type}, {pool.nodes} of {pool.max_nodes} nodes are in use",
        f"raise max_nodes of {pool.name} in Pulumi.platform.{environment}.yaml and run "
        f"moltghost up {environment}, or free a node with moltghost agent destroy "
        "(Karpenter removes it a minute later)",
    )
