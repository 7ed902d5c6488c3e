"""Taint and label of nodes with GPUs, the same whatever makes the node."""

from __future__ import annotations

from moltghost.planning.base import Plan

GPU_TAINT_KEY = "nvidia.com/gpu"
GPU_TAINT_VALUE = "present"


class Taint(Plan):
    """A node taint."""

    key: str
    value: str
    effect: str = "NoSchedule"


def gpu_taints() -> tuple[Taint, ...]:
    """Keeps what needs no GPU off; NVIDIA's own daemon sets tolerate exactly this one."""
    return (Taint(key=GPU_TAINT_KEY, value=GPU_TAINT_VALUE),)


def gpu_labels() -> dict[str, str]:
    """What NVIDIA's device plugin selects its nodes by."""
    return {"nvidia.com/gpu.present": "true"}
