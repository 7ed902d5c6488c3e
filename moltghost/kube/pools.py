"""Pools as they are in a cluster: how many nodes each has of how many it may have."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal

from lightkube.utils.quantity import parse_quantity

from moltghost.errors import Refused
from moltghost.kube.client import Client
from moltghost.kube.pod_diagnosis import LiveObject, condition
from moltghost.labels import (
    AGENT_LABEL,
    GPU_RESOURCE,
    MODEL_SERVER,
    NAME_LABEL,
    OWNER_LABEL,
)
from moltghost.planning.karpenter import DISRUPTED_TAINT_KEY
from moltghost.units import format_bytes

_ENDED_PHASES = ("Succeeded", "Failed")
MODEL_SERVERS = {NAME_LABEL: MODEL_SERVER}


class NoRoom(Refused):
    """A pool or node is full, as it is now."""


@dataclass(frozen=True)
class PoolStatus:
    """One pool's nodes, of how many it may have.

    Args:
        name: the pool.
        nodes: nodes that count against the limit.
        max_nodes: the limit.
        selector: labels of its nodes.
        idle_types: instance types of nodes that no model server is on and that stay for now.
    """

    name: str
    nodes: int
    max_nodes: int
    selector: Mapping[str, str]
    idle_types: tuple[str, ...] = ()

    def room_for(self, instance_type: str) -> int:
        """Nodes of that type to be had: those that may be added, and idle ones."""
        return max(0, self.max_nodes - self.nodes) + self.idle_types.count(instance_type)


def stays(node: LiveObject, selector: Mapping[str, str]) -> bool:
    """Whether a node is of a pool and isn't about to go."""
    return _has_labels(node, selector) and not _leaving(node)


def _has_labels(item: LiveObject, wanted: Mapping[str, str]) -> bool:
    labels = item["metadata"].get("labels", {})
    return all(labels.get(key) == value for key, value in wanted.items())


def _leaving(node: LiveObject) -> bool:
    taints = node.get("spec", {}).get("taints", ())
    return "deletionTimestamp" in node["metadata"] or any(
        taint["key"] == DISRUPTED_TAINT_KEY for taint in taints
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
    selector: Mapping[str, str],
    *,
    owner: str,
    share: tuple[int, int, int],
    but_not: str | None = None,
) -> bool:
    """Whether a model server fits on a node where all others are of its owner, and share.

    Args:
        client: the pool's cluster.
        selector: labels of the nodes that would do.
        owner: the agent's owner.
        share: what it requests: CPU in thousandths, memory in bytes, GPUs.
        but_not: a namespace whose nodes don't count, as of an agent that moves away.
    """
    pods = client.list("v1", "Pod")
    nodes = [node for node in client.list("v1", "Node") if _takes_pods(node, selector)]
    for node in nodes:
        here = _running_on(node, pods)
        servers = [pod for pod in here if _is_model_server(pod)]
        shared = all(_shares(pod, owner) for pod in servers)
        left_behind = any(pod["metadata"]["namespace"] == but_not for pod in servers)
        if not servers or not shared or left_behind:
            continue
        free = (*free_resources(node, here), int(_free(node, here, GPU_RESOURCE)))
        if all(wanted <= there for wanted, there in zip(share, free, strict=True)):
            return True
    return False


def _is_model_server(pod: LiveObject) -> bool:
    return _has_labels(pod, MODEL_SERVERS)


def _shares(pod: LiveObject, owner: str) -> bool:
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
        if _takes_pods(node, pool.selector):
            cpu, memory = free_resources(node, pods)
            if cpu_millis <= cpu and memory_bytes <= memory:
                return
    needed = f"{cpu_millis}m CPU and {format_bytes(memory_bytes)} on one node"
    raise _full(pool, environment, f"{purpose} needs {needed}")


def pods_that_fit(
    client: Client, selector: Mapping[str, str], *, cpu_millis: int, memory_bytes: int
) -> int:
    """How many pods of that size the nodes with these labels would still take."""
    pods = client.list("v1", "Pod")
    free = (
        free_resources(node, pods)
        for node in client.list("v1", "Node")
        if _takes_pods(node, selector)
    )
    return sum(max(0, min(cpu // cpu_millis, memory // memory_bytes)) for cpu, memory in free)


def require_node(client: Client, name: str, *, environment: str) -> LiveObject:
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
    node: LiveObject,
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


def free_resources(node: LiveObject, pods: Iterable[LiveObject]) -> tuple[int, int]:
    """CPU in thousandths and memory in bytes that the pods on a node leave for others."""
    here = _running_on(node, pods)
    cpu, memory = (_free(node, here, resource) for resource in ("cpu", "memory"))
    return int(cpu * 1000), int(memory)


def _free(node: LiveObject, here: Iterable[LiveObject], resource: str) -> Decimal:
    there = node.get("status", {}).get("allocatable", {}).get(resource, "0")
    return _quantity(there) - sum(_requested(pod, resource) for pod in here)


def _running_on(node: LiveObject, pods: Iterable[LiveObject]) -> list[LiveObject]:
    return [
        pod
        for pod in pods
        if pod["spec"].get("nodeName") == node["metadata"]["name"]
        and pod.get("status", {}).get("phase") not in _ENDED_PHASES
    ]


def _requested(pod: LiveObject, resource: str) -> Decimal:
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


def _amount(container: LiveObject, resource: str) -> Decimal:
    requests = container.get("resources", {}).get("requests", {})
    return _quantity(requests.get(resource, "0"))


def _quantity(text: str) -> Decimal:
    found = parse_quantity(text)
    assert found is not None  # noqa: S101 only of None
    return found


def _takes_pods(node: LiveObject, selector: Mapping[str, str]) -> bool:
    return stays(node, selector) and not node.get("spec", {}).get("unschedulable", False)


def _full(pool: PoolStatus, environment: str, need: str) -> NoRoom:
    return NoRoom(
        f"pool {pool.name} of environment {environment} is full: {need}, "
        f"{pool.nodes} of {pool.max_nodes} nodes are in use",
        f"raise max_nodes of {pool.name} in Pulumi.platform.{environment}.yaml and run "
        f"moltghost up {environment}, or free a node with moltghost agent destroy "
        "(Karpenter removes it a minute later)",
    )
