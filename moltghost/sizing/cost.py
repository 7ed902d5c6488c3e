"""Prices of a placement in US dollars, exact decimals."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from moltghost.models.hardware import price_source
from moltghost.models.hardware_facts import InstanceType

HOURS_PER_MONTH = 730  # AWS's own convention: 365 * 24 / 12
_CENT = Decimal("0.01")
_PRICE = Decimal("0.00001")


@dataclass(frozen=True, slots=True)
class Cost:
    """What a placement costs while it runs.

    Attributes:
        usd_per_hour, usd_per_month: what this agent pays: the node when dedicated, else its GPUs.
        idle_gpu_count, idle_usd_per_hour: of the node, what the model leaves unused.
        surge_usd_per_hour: on top of it while an update runs old and new side by side; 0 where a
            node of its own has room for both, at most the price of a node where it is shared.
        surge_vcpu, surge_quota: vCPU that this needs beside what runs, and of which quota.
        region, as_of, source: of the prices.
    """

    usd_per_hour: Decimal
    usd_per_month: Decimal
    idle_gpu_count: int
    idle_usd_per_hour: Decimal
    surge_usd_per_hour: Decimal
    surge_vcpu: int
    surge_quota: str
    region: str
    as_of: str
    source: str


def gpu_share(node_usd_per_hour: Decimal, gpus: int, of: int) -> Decimal:
    """The price of `gpus` of a node's `of` GPUs, to a thousandth of a cent."""
    return (node_usd_per_hour * gpus / of).quantize(_PRICE)


def cost(kind: InstanceType, price: Decimal, gpus: int, *, dedicated: bool) -> Cost:
    """What `gpus` GPUs of a node of this type cost.

    Args:
        kind: the instance type.
        price: of the whole node per hour.
        gpus: GPUs that the model takes.
        dedicated: the node serves this agent alone.
    """
    share = gpu_share(price, gpus, kind.gpu_count)
    pays = price if dedicated else share
    # Nobody knows beforehand what others leave of a shared node.
    surges = not dedicated or 2 * gpus > kind.gpu_count
    terms = price_source()
    return Cost(
        usd_per_hour=pays,
        usd_per_month=(pays * HOURS_PER_MONTH).quantize(_CENT),
        idle_gpu_count=kind.gpu_count - gpus,
        idle_usd_per_hour=price - share,
        surge_usd_per_hour=price if surges else Decimal(0),
        surge_vcpu=kind.vcpu if surges else 0,
        surge_quota=kind.quota_on_demand,
        region=terms.region,
        as_of=terms.as_of,
        source=terms.source,
    )
