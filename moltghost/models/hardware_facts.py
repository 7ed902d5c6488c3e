"""The types of the facts about hardware: cards, instance types, prices and quotas.

Sizes in MiB or GB carry the unit of their source; everything that code computes is in bytes.
Records are singletons of the catalogue, so the large ones compare and hash by identity.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from moltghost.units import MIB


@dataclass(frozen=True, slots=True)
class GpuKind:
    """A GPU card as EC2 offers it.

    Attributes:
        kind: its name in commands and pools (`h100`).
        nominal_gb: the size it is sold by; floors and `--memory` count it.
        ec2_mib: memory that DescribeInstanceTypes reports.
        free_at_cuda_init_mib: memory that a CUDA process finds free when it starts.
        free_is_estimate: that number was not read from a log.
        bandwidth_gb_s: vendor's memory bandwidth in 10^9 bytes per second; None = not known.
    """

    kind: str
    name: str
    nominal_gb: int
    ec2_mib: int
    free_at_cuda_init_mib: int
    free_is_estimate: bool
    basis: str
    bandwidth_gb_s: int | None
    compute_capability: str | None

    @property
    def free_at_cuda_init_bytes(self) -> int:
        """Memory that a CUDA process finds free when it starts."""
        return self.free_at_cuda_init_mib * MIB


@dataclass(frozen=True, slots=True, eq=False)
class InstanceType:
    """An EC2 instance type.

    Attributes:
        gpu: kind of its cards, None for a CPU type; `gpu_count` is then 0.
        nvme_gb: instance store in 10^9 bytes over all disks, 0 without.
        eni_pods: pods by ENI addresses, `enis_on_card0 * (ipv4_per_eni - 1) + 2`.
        recommended_pods: the same under EKS's cap of 110 (below 30 vCPU) or 250.
        usd_per_hour: Linux on demand in the region of `price_source()`; None = not offered there.
        quota_on_demand: code of the vCPU quota it counts in.
        zone_ids: region -> zone ids that offer it.
    """

    type: str
    vcpu: int
    memory_mib: int
    gpu: str | None
    gpu_count: int
    nvme_gb: int
    nvme_disks: int
    network_gbps: float
    network_burst_only: bool
    enis_on_card0: int
    ipv4_per_eni: int
    efa_max: int
    eni_pods: int
    recommended_pods: int
    usage_classes: tuple[str, ...]
    usd_per_hour: Decimal | None
    quota_on_demand: str
    quota_spot: str | None
    regions: tuple[str, ...]
    zone_ids: Mapping[str, tuple[str, ...]]
    doubts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PriceSource:
    """Where and when the prices of the catalogue were read."""

    region: str
    currency: str
    operating_system: str
    terms: str
    as_of: str
    source: str


@dataclass(frozen=True, slots=True)
class Quota:
    """An EC2 vCPU quota per region. `usage` is `on_demand` or `spot`."""

    code: str
    name: str
    default_vcpu: int
    usage: str


@dataclass(frozen=True, slots=True)
class CardSpeed:
    """What llama.cpp gets out of a card, as intervals (low, high).

    Attributes:
        small, large: share of the memory bandwidth that decoding reaches, by model size.
        prefill_tflops: 10^12 operations per second while reading a prompt.
        measured: False where another card's figures were taken over.
    """

    kind: str
    small: tuple[float, float]
    large: tuple[float, float]
    prefill_tflops: tuple[float, float]
    measured: bool
