"""Taint and label of nodes with GPUs, the same whatever makes the node."""

from __future__ import annotations

from moltghost.labels import GPU_RESOURCE, POOL_TAINT_KEY
from moltghost.planning.base import Plan

GPU_TAINT_VALUE = "present"


class Taint(Plan):
    """A node taint."""

    key: str
    value: str
    effect: str = "NoSchedule"


def gpu_taints() -> tuple[Taint, ...]:
    """Keeps what needs no GPU off; NVIDIA's own daemon sets tolerate exactly this one."""
    return (Taint(key=GPU_RESOURCE, value=GPU_TAINT_VALUE),)


def pool_taint(pool: str) -> Taint:
    """Keeps everything off a pool's nodes that wasn't planned for that pool."""
    return Taint(key=POOL_TAINT_KEY, value=pool)


def gpu_labels() -> dict[str, str]:
    """What NVIDIA's device plugin selects its nodes by."""
    return {"nvidia.com/gpu.present": "true"}
