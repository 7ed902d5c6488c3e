"""Pools as pods meet them, whatever made their nodes: a selector, taints, and what a node has."""

from __future__ import annotations

from pydantic import Field

from moltghost.labels import GPU_RESOURCE, POOL_TAINT_KEY
from moltghost.planning.base import Plan

GPU_TAINT_VALUE = "present"


class Taint(Plan):
    """A node taint."""

    key: str
    value: str
    effect: str = "NoSchedule"


class Scheduling(Plan):
    """What a pod says to land on the nodes that were planned for it, and to stay there."""

    node_selector: dict[str, str]
    tolerations: tuple[Taint, ...] = ()
    runtime_class: str | None = None
    annotations: dict[str, str] = Field(default_factory=dict)
    """What keeps whoever manages the nodes from ending the pod."""


class NodesPlan(Plan):
    """The nodes of one pool."""

    name: str
    """Of the pool."""
    selector: dict[str, str]
    """Labels that all of its nodes have, and no others."""
    type_label: str | None = None
    """The label whose value is a node's type; None where all nodes are alike."""
    taints: tuple[Taint, ...] = ()
    runtime_class: str | None = None
    """RuntimeClass of pods with GPUs, where it isn't the nodes' default."""
    pod_annotations: dict[str, str] = Field(default_factory=dict)

    def scheduling(self, node_type: str | None = None) -> Scheduling:
        """How a pod gets onto a node of the pool, or of one type in it."""
        of_type = {self.type_label: node_type} if self.type_label and node_type else {}
        return Scheduling(
            node_selector={**self.selector, **of_type},
            tolerations=self.taints,
            runtime_class=self.runtime_class,
            annotations=self.pod_annotations,
        )


class NodeType(Plan):
    """One kind of node that a pool has, and what of it is left for pods."""

    name: str
    gpu_count: int
    cpu_millis: int
    memory_bytes: int
    ephemeral_storage_bytes: int


def gpu_taints() -> tuple[Taint, ...]:
    """Keeps what needs no GPU off; NVIDIA's own daemon sets tolerate exactly this one."""
    return (Taint(key=GPU_RESOURCE, value=GPU_TAINT_VALUE),)


def pool_taint(pool: str) -> Taint:
    """Keeps everything off a pool's nodes that wasn't planned for that pool."""
    return Taint(key=POOL_TAINT_KEY, value=pool)


def gpu_labels() -> dict[str, str]:
    """What NVIDIA's device plugin selects its nodes by."""
    return {"nvidia.com/gpu.present": "true"}
