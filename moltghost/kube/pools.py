"""Pools as they are in a cluster: how many nodes each has of how many it may have."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from decimal import Decimal

from lightkube.utils.quantity import parse_quantity

from moltghost.errors import Refused
from moltghost.kube.client import Client
from moltghost.kube.pod_diagnosis import Object, condition
from moltghost.labels import (
    AGENT_LABEL,
    GPU_RESOURCE,
    INSTANCE_TYPE_LABEL,
    MODEL_SERVER,
    NAME_LABEL,
    OWNER_LABEL,
)
from moltghost.units import format_bytes

_NODE_POOL = ("karpenter.sh/v1", "NodePool")
_POOL_LABEL = "karpenter.sh/nodepool"
# Karpenter puts it on a node that it is about to remove.
_DISRUPTED_TAINT = "karpenter.sh/disrupted"
_ENDED_PHASES = ("Succeeded", "Failed")
_MODEL_SERVERS = {NAME_LABEL: MODEL_SERVER}


class NoRoom(Refused):
    """A pool or node is full, as it is now."""


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
    """The cluster's pools by name; idle nodes are looked for only where a pool is at its limit."""
    pools, nodes = client.list(*_NODE_POOL), client.list("v1", "Node")
    counted = {item["metadata"]["name"]: pool_status(item, nodes) for item in pools}
    if all(each.nodes < each.max_nodes or not each.nodes for each in counted.values()):
        return counted
    taken = {pod["spec"].get("nodeName") for pod in client.list("v1", "Pod", labels=_MODEL_SERVERS)}
    idle = [node for node in nodes if node["metadata"]["name"] not in taken]
    return {
        name: replace(each, idle_types=tuple(_type(node) for node in idle if _stays(node, name)))
        for name, each in counted.items()
    }


def pool_status(pool: Object, nodes: Iterable[Object]) -> PoolStatus:
    """A pool's status, without its idle nodes, from its NodePool and the cluster's nodes.

    Karpenter's count has nodes that are only on their way, and is some seconds late with others.
    """
    name = pool["metadata"]["name"]
    told = int(pool.get("status", {}).get("nodes") or 0)
    return PoolStatus(
        name=name,
        nodes=max(told, sum(_stays(node, name) for node in nodes)),
        max_nodes=int(pool["spec"].get("limits", {}).get("nodes", 0)),
    )


def _type(node: Object) -> str:
    return str(node["metadata"]["labels"].get(INSTANCE_TYPE_LABEL, ""))


def _stays(node: Object, pool: str) -> bool:
    """Whether a node is of a pool and isn't about to go."""
    return node["metadata"].get("labels", {}).get(_POOL_LABEL) == pool and not _leaving(node)


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
        NoRoom: the pool is at its limit.
    """
    if nodes <= pool.room_for(instance_type):
        return
    raise _full(pool, environment, f"{purpose} needs {nodes} more {instance_type}")


def has_place_beside(
    client: Client,
    pool: str,
    instance_type: str,
    *,
    owner: str,
    share: tuple[int, int, int],
    but_not: str | None = None,
) -> bool:
    """Whether a model server fits on a node where all others are of its owner, and share.

    Args:
        client: the pool's cluster.
        pool: the pool.
        instance_type: of the node.
        owner: the agent's owner.
        share: what it requests: CPU in thousandths, memory in bytes, GPUs.
        but_not: a namespace whose nodes don't count, as of an agent that moves away.
    """
    pods = client.list("v1", "Pod")
    nodes = [node for node in client.list("v1", "Node") if _takes_pods(node, pool)]
    for node in nodes:
        here = _running_on(node, pods)
        servers = [pod for pod in here if _is_model_server(pod)]
        shared = all(_shares(pod, owner) for pod in servers)
        left_behind = any(pod["metadata"]["namespace"] == but_not for pod in servers)
        if not servers or not shared or left_behind or _type(node) != instance_type:
            continue
        free = (*free_resources(node, here), int(_free(node, here, GPU_RESOURCE)))
        if all(wanted <= there for wanted, there in zip(share, free, strict=True)):
            return True
    return False


def _is_model_server(pod: Object) -> bool:
    labels = pod["metadata"].get("labels", {})
    return all(labels.get(key) == value for key, value in _MODEL_SERVERS.items())


def _shares(pod: Object, owner: str) -> bool:
    """Whether a model server lets its owner's others on its node: what it keeps off says so."""
    terms = (
        pod["spec"]
        .get("affinity", {})
        .get("podAntiAffinity", {})
        .get("requiredDuringSchedulingIgnoredDuringExecution", ())
    )
    rules = [
        rule
        for term in terms
        for rule in term.get("labelSelector", {}).get("matchExpressions", ())
        if rule["key"] == AGENT_LABEL
    ]
    return pod["metadata"]["labels"].get(OWNER_LABEL) == owner and not rules


def require_room_for_pod(
    client: Client,
    pool: PoolStatus,
    *,
    cpu_millis: int,
    memory_bytes: int,
    namespace: str,
    environment: str,
    purpose: str,
) -> None:
    """Make sure that a pod fits on a node that the pool has, or that one may be added for it.

    Args:
        client: the pool's cluster.
        pool: the pool.
        cpu_millis: what the pod requests.
        memory_bytes: what the pod requests.
        namespace: the pod's; what is there of an earlier try gives way to it.
        environment: for the message.
        purpose: for the message: what the pod is.

    Raises:
        NoRoom: the pool is at its limit and its nodes are taken.
    """
    if pool.nodes < pool.max_nodes:
        return
    pods = [pod for pod in client.list("v1", "Pod") if pod["metadata"]["namespace"] != namespace]
    for node in client.list("v1", "Node"):
        if _takes_pods(node, pool.name):
            cpu, memory = free_resources(node, pods)
            if cpu_millis <= cpu and memory_bytes <= memory:
                return
    needed = f"{cpu_millis}m CPU and {format_bytes(memory_bytes)} on one node"
    raise _full(pool, environment, f"{purpose} needs {needed}")


def pods_that_fit(client: Client, pool: str, *, cpu_millis: int, memory_bytes: int) -> int:
    """How many pods of that size the nodes that a pool has would still take."""
    pods = client.list("v1", "Pod")
    free = (
        free_resources(node, pods) for node in client.list("v1", "Node") if _takes_pods(node, pool)
    )
    return sum(max(0, min(cpu // cpu_millis, memory // memory_bytes)) for cpu, memory in free)


def require_node(client: Client, name: str, *, environment: str) -> Object:
    """A node that takes pods, by its name.

    Raises:
        Refused: it isn't there, or it isn't ready.
    """
    for node in client.list("v1", "Node"):
        if node["metadata"]["name"] == name:
            if condition(node, "Ready").get("status") == "True":
                return node
            why = condition(node, "Ready").get("message") or "it has not reported yet"
            raise Refused(
                f"node {name} of environment {environment} isn't ready: {why}",
                "moltghost local status shows its processes; moltghost local up starts them again",
            )
    raise Refused(
        f"environment {environment} has no node {name}: containers don't run on this machine",
        "moltghost local status says why; without it, agents with GPUs are scheduled on simulated "
        "nodes",
    )


def require_room_on_node(
    client: Client,
    node: Object,
    *,
    cpu_millis: int,
    memory_bytes: int,
    purpose: str,
) -> None:
    """Make sure that pods that request so much in total fit beside those that are there.

    Raises:
        NoRoom: they don't.
    """
    cpu, memory = free_resources(node, client.list("v1", "Pod"))
    if cpu_millis <= cpu and memory_bytes <= memory:
        return
    raise NoRoom(
        f"node {node['metadata']['name']} is full: {purpose} needs {cpu_millis}m CPU and "
        f"{format_bytes(memory_bytes)}, and {cpu}m and {format_bytes(memory)} are free",
        "take a smaller model or context, or free some room with moltghost agent destroy",
    )


def free_resources(node: Object, pods: Iterable[Object]) -> tuple[int, int]:
    """CPU in thousandths and memory in bytes that the pods on a node leave for others."""
    here = _running_on(node, pods)
    cpu, memory = (_free(node, here, resource) for resource in ("cpu", "memory"))
    return int(cpu * 1000), int(memory)


def _free(node: Object, here: Iterable[Object], resource: str) -> Decimal:
    there = node.get("status", {}).get("allocatable", {}).get(resource, "0")
    return _quantity(there) - sum(_requested(pod, resource) for pod in here)


def _running_on(node: Object, pods: Iterable[Object]) -> list[Object]:
    return [
        pod
        for pod in pods
        if pod["spec"].get("nodeName") == node["metadata"]["name"]
        and pod.get("status", {}).get("phase") not in _ENDED_PHASES
    ]


def _requested(pod: Object, resource: str) -> Decimal:
    """A pod's request as the scheduler counts it: sidecars run beside all that comes after them."""
    spec = pod["spec"]
    beside = peak = Decimal(0)
    for each in spec.get("initContainers", ()):
        amount = _amount(each, resource)
        peak = max(peak, beside + amount)
        if each.get("restartPolicy") == "Always":
            beside += amount
    running = sum((_amount(each, resource) for each in spec["containers"]), beside)
    return max(running, peak)


def _amount(container: Object, resource: str) -> Decimal:
    requests = container.get("resources", {}).get("requests", {})
    return _quantity(requests.get(resource, "0"))


def _quantity(text: str) -> Decimal:
    found = parse_quantity(text)
    assert found is not None  # noqa: S101 only of None
    return found


def _takes_pods(node: Object, pool: str) -> bool:
    return _stays(node, pool) and not node.get("spec", {}).get("unschedulable", False)


def _full(pool: PoolStatus, environment: str, need: str) -> NoRoom:
    return NoRoom(
        f"pool {pool.name} of environment {environment} is full: {need}, "
        f"{pool.nodes} of {pool.max_nodes} nodes are in use",
        f"raise max_nodes of {pool.name} in Pulumi.platform.{environment}.yaml and run "
        f"moltghost up {environment}, or free a node with moltghost agent destroy "
        "(Karpenter removes it a minute later)",
    )
