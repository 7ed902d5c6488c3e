"""What Karpenter says of its pools: limits, nodes on their way, types of idle nodes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from moltghost.kube.client import Client
from moltghost.kube.pod_diagnosis import LiveObject
from moltghost.kube.pools import MODEL_SERVERS, PoolStatus, stays
from moltghost.labels import INSTANCE_TYPE_LABEL
from moltghost.planning.karpenter import API_VERSION, NODE_POOL_LABEL


def pool_statuses(client: Client) -> dict[str, PoolStatus]:
    """The cluster's pools by name; idle nodes are looked for only where a pool is at its limit."""
    pools, nodes = client.list(API_VERSION, "NodePool"), client.list("v1", "Node")
    counted = {item["metadata"]["name"]: pool_status(item, nodes) for item in pools}
    if all(each.nodes < each.max_nodes or not each.nodes for each in counted.values()):
        return counted
    taken = {pod["spec"].get("nodeName") for pod in client.list("v1", "Pod", labels=MODEL_SERVERS)}
    idle = [node for node in nodes if node["metadata"]["name"] not in taken]
    return {
        name: replace(
            each, idle_types=tuple(_type(node) for node in idle if stays(node, each.selector))
        )
        for name, each in counted.items()
    }


def pool_status(pool: LiveObject, nodes: Iterable[LiveObject]) -> PoolStatus:
    """A pool's status, without its idle nodes, from its NodePool and the cluster's nodes.

    Karpenter's count has nodes that are only on their way, and is some seconds late with others.
    """
    name = pool["metadata"]["name"]
    selector = {NODE_POOL_LABEL: name}
    told = int(pool.get("status", {}).get("nodes") or 0)
    return PoolStatus(
        name=name,
        selector=selector,
        nodes=max(told, sum(stays(node, selector) for node in nodes)),
        max_nodes=int(pool["spec"].get("limits", {}).get("nodes", 0)),
    )


def _type(node: LiveObject) -> str:
    return str(node["metadata"]["labels"].get(INSTANCE_TYPE_LABEL, ""))
