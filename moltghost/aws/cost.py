"""What an environment and an agent on AWS cost, by the hour and the month. Pure arithmetic.

A month has 730 hours, AWS's own convention. Traffic, storage and logs are not in it: they depend
on use.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from moltghost.aws.facts import fee
from moltghost.aws.prices import Price
from moltghost.aws.request import NodeNeed
from moltghost.sizing.cost import HOURS_PER_MONTH

if TYPE_CHECKING:
    from moltghost.sizing.cost import Cost

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
        pools: each pool when full, at the price of its dearest type.
        surge: on top while updates run in every pool at once.
        unpriced: types that no source has a price for; the sums are too low by them.
    """

    fixed: tuple[CostLine, ...]
    pools: tuple[CostLine, ...]
    surge: tuple[CostLine, ...]
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
    def surge_usd_per_hour(self) -> Decimal:
        """On top of it while every pool has an update running."""
        return _sum(self.surge)

    @property
    def idle_usd_per_month(self) -> Decimal:
        """The idle price for a month."""
        return month(self.idle_usd_per_hour)

    @property
    def full_usd_per_month(self) -> Decimal:
        """The price of full pools for a month; a surge lasts minutes and is not in it."""
        return month(self.full_usd_per_hour)


@dataclass(frozen=True, kw_only=True)
class AgentCost:
    """What one agent costs while it runs.

    Attributes:
        model_server_usd_per_hour: its node, or its GPUs' share where it shares one.
        idle_usd_per_hour: part of that which the model leaves unused.
        surge_usd_per_hour: on top of it while an update runs old and new side by side.
    """

    model_server_usd_per_hour: Decimal
    idle_usd_per_hour: Decimal
    surge_usd_per_hour: Decimal

    @property
    def usd_per_month(self) -> Decimal:
        """For a month without an update."""
        return month(self.model_server_usd_per_hour)


def month(usd_per_hour: Decimal) -> Decimal:
    """Dollars for a month of 730 hours, to the cent."""
    return (usd_per_hour * HOURS_PER_MONTH).quantize(_CENT)


def environment_cost(
    fixed_nodes: Sequence[NodeNeed],
    pools: Sequence[NodeNeed],
    prices: Mapping[str, Price],
    *,
    nat_gateways: int,
    interface_endpoints: int,
) -> EnvironmentCost:
    """What an environment costs idle, full and surging.

    Args:
        fixed_nodes: nodes that are always there, such as the system group's.
        pools: what scales from zero.
        prices: by instance type.
        nat_gateways: zonal gateways, or zones of a regional one.
        interface_endpoints: VPC endpoints times their zones.
    """
    needs = (*fixed_nodes, *pools)
    priced = {need.name: _dearest(need, prices) for need in needs}
    return EnvironmentCost(
        fixed=(
            _fee_line("EKS control plane", "eks_control_plane", 1),
            _fee_line("NAT gateways", "nat_gateway", nat_gateways),
            _fee_line("interface endpoints", "interface_endpoint", interface_endpoints),
            *(_node_line(need, need.nodes, priced[need.name]) for need in fixed_nodes),
        ),
        pools=tuple(_node_line(need, need.nodes, priced[need.name]) for need in pools),
        surge=tuple(_node_line(need, need.surge_nodes, priced[need.name]) for need in pools),
        unpriced=tuple(
            sorted({kind for need in needs for kind in need.instance_types if kind not in prices})
        ),
    )


def agent_cost(cost: Cost) -> AgentCost:
    """What an agent costs by its sizing."""
    return AgentCost(
        model_server_usd_per_hour=cost.usd_per_hour,
        idle_usd_per_hour=cost.idle_usd_per_hour,
        surge_usd_per_hour=cost.surge_usd_per_hour,
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
