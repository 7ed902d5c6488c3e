"""GPU cards, EC2 instance types, their prices and quotas."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from functools import cache
from types import MappingProxyType
from typing import Any

from moltghost.errors import Refused
from moltghost.models.data_files import read
from moltghost.models.hardware_facts import CardSpeed, GpuKind, InstanceType, PriceSource, Quota


@cache
def gpu_kinds() -> Mapping[str, GpuKind]:
    """Kind (`h100`) -> facts."""
    return MappingProxyType({r["kind"]: GpuKind(**r) for r in read("gpus")["gpus"]})


def gpu_kind(kind: str) -> GpuKind:
    """Facts of one kind.

    Raises:
        Refused: there is no such kind.
    """
    try:
        return gpu_kinds()[kind.lower()]
    except KeyError:
        raise Refused(
            f"there is no GPU kind {kind!r}",
            f"choose one of {', '.join(gpu_kinds())}",
        ) from None


@cache
def instance_types() -> Mapping[str, InstanceType]:
    """Name (`p5.48xlarge`) -> facts, GPU types first."""
    records = read("instances")["instance_types"]
    return MappingProxyType({r["type"]: _instance_type(r) for r in records})


def instance_type(name: str) -> InstanceType:
    """Facts of one type.

    Raises:
        Refused: the catalogue doesn't have it.
    """
    try:
        return instance_types()[name]
    except KeyError:
        raise Refused(
            f"the catalogue has no instance type {name!r}",
            f"it has {', '.join(instance_types())}",
        ) from None


@cache
def price_source() -> PriceSource:
    """Region, terms and date of every price in the catalogue."""
    return PriceSource(**read("instances")["price"])


@cache
def quotas() -> Mapping[str, Quota]:
    """Quota code -> quota."""
    records = read("instances")["quotas"]
    return MappingProxyType(
        {code: Quota(code, r["name"], r["default_vcpu"], r["class"]) for code, r in records.items()}
    )


@cache
def card_speeds() -> Mapping[str, CardSpeed]:
    """GPU kind -> measured speed. A kind that is missing has no figures to go by."""
    return MappingProxyType(
        {
            r["kind"]: CardSpeed(
                kind=r["kind"],
                small=tuple(r["bandwidth_share"]["small"]),
                large=tuple(r["bandwidth_share"]["large"]),
                prefill_tflops=tuple(r["prefill_tflops"]),
                measured=r["measured"],
            )
            for r in read("speed")["cards"]
        }
    )


def several_gpus_low() -> float:
    """Lowest share of one GPU's decode speed seen when the layers were split over several."""
    return float(read("speed")["several_gpus_low"])


def _instance_type(record: dict[str, Any]) -> InstanceType:
    gpu, nvme, network = record["gpu"], record["nvme"], record["network"]
    price = record["usd_per_hour"]
    return InstanceType(
        type=record["type"],
        vcpu=record["vcpu"],
        memory_mib=record["memory_mib"],
        gpu=gpu["kind"] if gpu else None,
        gpu_count=gpu["count"] if gpu else 0,
        nvme_gb=nvme["total_gb"] if nvme else 0,
        nvme_disks=nvme["disks"] if nvme else 0,
        network_gbps=network["gbps"],
        network_burst_only=network["burst_only"],
        enis_on_card0=network["enis_on_card0"],
        ipv4_per_eni=network["ipv4_per_eni"],
        efa_max=network["efa_max"],
        eni_pods=record["max_pods"]["eni"],
        recommended_pods=record["max_pods"]["eks_recommended"],
        usage_classes=tuple(record["usage_classes"]),
        usd_per_hour=Decimal(price) if price else None,
        quota_on_demand=record["quota"]["on_demand"],
        quota_spot=record["quota"]["spot"],
        regions=tuple(record["regions"]),
        zone_ids=MappingProxyType({r: tuple(z) for r, z in record["zone_ids"].items()}),
        doubts=tuple(record["doubts"]),
    )
