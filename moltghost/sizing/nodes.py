"""What a node of an EC2 type has, and what EKS and Karpenter leave of it for pods.

Source of every formula: aws/karpenter-provider-aws@1d927085 `pkg/providers/instancetype/types.go`
(`memory`, `ephemeralStorage`, `ENILimitedPods`, `kubeReservedResources`, `evictionThreshold`), so
that what sizing calls fitting is what Karpenter calls fitting.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from moltghost.models.hardware_facts import InstanceType
from moltghost.units import GB, GIB, MIB

VM_MEMORY_OVERHEAD_PER_MILLE = 75  # VM_MEMORY_OVERHEAD_PERCENT 0.075, Karpenter's default
# kube-reserved CPU: (from, to, hundred-thousandths) of millicores.
_CPU_TIERS = ((0, 1000, 6000), (1000, 2000, 1000), (2000, 4000, 500), (4000, 1 << 31, 250))
_KUBE_RESERVED_MIB, _KUBE_RESERVED_MIB_PER_POD = 255, 11
_EVICTION_MEMORY_BYTES = 100 * MIB
_KUBE_RESERVED_DISK_BYTES = GIB
_EVICTION_DISK_PERCENT = 10
DEFAULT_ROOT_VOLUME_BYTES = 20 * GIB  # Karpenter's DefaultEBS, for types without instance store


@dataclass(frozen=True, slots=True)
class NodeResources:
    """Amounts of one node. `pods` counts every pod, daemon sets included."""

    cpu_millis: int
    memory_bytes: int
    ephemeral_storage_bytes: int
    pods: int
    gpus: int


@cache
def capacity(
    kind: InstanceType, root_volume_bytes: int = DEFAULT_ROOT_VOLUME_BYTES
) -> NodeResources:
    """What Karpenter says that a node of this type has.

    Memory is the nominal size less 7.5 % for the hypervisor and kernel. Ephemeral storage is the
    whole instance store (`instanceStorePolicy: RAID0`), else the root volume.
    """
    overhead_mib = -(-kind.memory_mib * VM_MEMORY_OVERHEAD_PER_MILLE // 1000)
    return NodeResources(
        cpu_millis=kind.vcpu * 1000,
        memory_bytes=(kind.memory_mib - overhead_mib) * MIB,
        ephemeral_storage_bytes=kind.nvme_gb * GB or root_volume_bytes,
        pods=kind.eni_pods,
        gpus=kind.gpu_count,
    )


@cache
def allocatable(
    kind: InstanceType, root_volume_bytes: int = DEFAULT_ROOT_VOLUME_BYTES
) -> NodeResources:
    """What is left for pods, daemon sets included.

    `pods` is EKS's recommendation where that is less than the addresses allow; the memory reserved
    for the kubelet follows the addresses, as Karpenter reckons it.
    """
    whole = capacity(kind, root_volume_bytes)
    reserved_mib = _KUBE_RESERVED_MIB + _KUBE_RESERVED_MIB_PER_POD * kind.eni_pods
    disk = whole.ephemeral_storage_bytes
    eviction_disk = -(-disk * _EVICTION_DISK_PERCENT // 100)
    return NodeResources(
        cpu_millis=whole.cpu_millis - _reserved_cpu_millis(whole.cpu_millis),
        memory_bytes=whole.memory_bytes - reserved_mib * MIB - _EVICTION_MEMORY_BYTES,
        ephemeral_storage_bytes=disk - eviction_disk - _KUBE_RESERVED_DISK_BYTES,
        pods=min(whole.pods, kind.recommended_pods),
        gpus=whole.gpus,
    )


def _reserved_cpu_millis(cpu_millis: int) -> int:
    """6 % of the first core, 1 % of the second, 0.5 % of the next two, 0.25 % of the rest."""
    return sum(
        max(0, min(cpu_millis, end) - start) * share // 100_000 for start, end, share in _CPU_TIERS
    )
