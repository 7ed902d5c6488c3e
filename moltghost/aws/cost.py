"""What an environment on AWS costs, by the hour and the month. Pure arithmetic.

A month has 730 hours, AWS's own convention. Traffic, storage and logs are not in it: they depend
on use. What one agent costs is in its sizing (`moltghost.sizing.cost`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from moltghost.aws.facts import fee
from moltghost.aws.prices import Price
from moltghost.aws.request import Holdings, NodeNeed
from moltghost.sizing.cost import HOURS_PER_MONTH

_CENT = Decimal("0.01")
_NOTHING = Decimal(0)


@dataclass(frozen=True, kw_only=True)
class CostLine:
    """One thing that costs.

    Attributes:
        what: it, as a person calls it.
        count: how many of it.
        usd_per_hour: of all of them together.
        approximate: the price differs by region or grows with traffic.
        source: of the price, with its day.
    """

    what: str
    count: int
    usd_per_hour: Decimal
    approximate: bool
    source: str


@dataclass(frozen=True, kw_only=True)
class EnvironmentCost:
    """What an environment costs.

    Attributes:
        fixed: what is there without any agent.
        pools: each pool when full, surge included, at the price of its dearest type.
        unpriced: types that no source has a price for; the sums are too low by them.
    """

    fixed: tuple[CostLine, ...]
    pools: tuple[CostLine, ...]
    unpriced: tuple[str, ...]

    @property
    def idle_usd_per_hour(self) -> Decimal:
        """With every pool at zero nodes."""
        return _sum(self.fixed)

    @property
    def full_usd_per_hour(self) -> Decimal:
        """With every pool full."""
        return _sum(self.fixed) + _sum(self.pools)

    @property
    def idle_usd_per_month(self) -> Decimal:
        """The idle price for a month."""
        return month(self.idle_usd_per_hour)

    @property
    def full_usd_per_month(self) -> Decimal:
        """The price of full pools for a month."""
        return month(self.full_usd_per_hour)


def month(usd_per_hour: Decimal) -> Decimal:
    """Dollars for a month of 730 hours, to the cent."""
    return (usd_per_hour * HOURS_PER_MONTH).quantize(_CENT)


def environment_cost(
    holdings: Holdings, prices: Mapping[str, Price], *, extended_support: bool = False
) -> EnvironmentCost:
    """What an environment costs idle and full.

    Args:
        holdings: what it consists of.
        prices: by instance type.
        extended_support: whether its Kubernetes version has left standard support.
    """
    fixed_nodes, pools = holdings.fixed, holdings.pools
    needs = (*fixed_nodes, *pools)
    priced = {need.name: _dearest(need, prices) for need in needs}
    return EnvironmentCost(
        fixed=(
            _fee_line("EKS control plane", "eks_control_plane", 1),
            *([_fee_line("EKS extended support", "eks_extended_support", 1)] * extended_support),
            _fee_line("NAT gateways", "nat_gateway", holdings.nat_gateways),
            _fee_line("interface endpoints", "interface_endpoint", holdings.interface_endpoints),
            _fee_line("KMS keys", "kms_key", holdings.keys),
            *(_node_line(need, need.nodes, priced[need.name]) for need in fixed_nodes),
        ),
        pools=tuple(
            _node_line(need, need.nodes + need.surge_nodes, priced[need.name]) for need in pools
        ),
        unpriced=tuple(sorted(set(holdings.instance_types) - set(prices))),
    )


def _dearest(need: NodeNeed, prices: Mapping[str, Price]) -> Price | None:
    known = [prices[kind] for kind in need.instance_types if kind in prices]
    return max(known, key=lambda price: price.usd_per_hour, default=None)


def _node_line(need: NodeNeed, nodes: int, price: Price | None) -> CostLine:
    if need.capacity == "capacity-block":
        # The whole block was paid when it was bought.
        return CostLine(
            what=need.name, count=nodes, usd_per_hour=_NOTHING, approximate=False, source="prepaid"
        )
    if price is None:
        return CostLine(
            what=need.name, count=nodes, usd_per_hour=_NOTHING, approximate=True, source="no price"
        )
    return CostLine(
        what=f"{need.name} ({price.instance_type})",
        count=nodes,
        usd_per_hour=nodes * price.usd_per_hour,
        approximate=bool(price.note),
        source=f"{price.source} of {price.as_of}",
    )


def _fee_line(what: str, name: str, count: int) -> CostLine:
    known = fee(name)
    return CostLine(
        what=what,
        count=count,
        usd_per_hour=count * known.usd_per_hour,
        approximate=not known.exact,
        source=known.source,
    )


def _sum(lines: Sequence[CostLine]) -> Decimal:
    return sum((line.usd_per_hour for line in lines), _NOTHING)
