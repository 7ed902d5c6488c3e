from __future__ import annotations

from decimal import Decimal

from moltghost.aws.cost import EnvironmentCost, environment_cost
from moltghost.aws.prices import Price
from moltghost.aws.request import Holdings, NodeNeed
from tests.aws.requests import SYSTEM, need
from tests.aws.simulated import REGION

PRICES = {
    kind: Price(
        instance_type=kind,
        region=REGION,
        usd_per_hour=Decimal(usd),
        as_of="2026-11-20",
        source="pricing-api",
    )
    for kind, usd in {"p5.4xlarge": "6.88", "p5.48xlarge": "55.04", "m7i.large": "0.1008"}.items()
}
POOL = need(instance_types=("p5.4xlarge", "p5.48xlarge"), nodes=2, surge_nodes=1)


def holdings(*pools: NodeNeed) -> Holdings:
    return Holdings(fixed=(SYSTEM,), pools=pools, nat_gateways=2, interface_endpoints=20, keys=4)


def of(*pools: NodeNeed) -> EnvironmentCost:
    return environment_cost(holdings(*pools), PRICES)


def test_an_idle_environment_costs_all_that_is_there_without_an_agent() -> None:
    found = of(POOL)

    assert found.idle_usd_per_hour == Decimal("0.10") + Decimal("0.09") + Decimal("0.20") + (
        4 * Decimal("0.00137") + 2 * Decimal("0.1008")
    )
    assert found.idle_usd_per_month == Decimal("435.87")
    assert {line.what: line.approximate for line in found.fixed} == {
        "EKS control plane": False,
        "NAT gateways": True,
        "interface endpoints": True,
        "KMS keys": True,
        "system nodes (m7i.large)": False,
    }


def test_extended_support_is_a_line_of_its_own() -> None:
    found = environment_cost(holdings(), PRICES, extended_support=True)

    assert found.idle_usd_per_hour - of().idle_usd_per_hour == Decimal("0.50")
    assert "EKS extended support" in {line.what for line in found.fixed}


def test_a_full_pool_costs_its_dearest_type_on_every_node_surge_included() -> None:
    found = of(POOL)

    assert found.full_usd_per_hour - found.idle_usd_per_hour == 3 * Decimal("55.04")
    assert found.pools[0].source == "pricing-api of 2026-11-20"


def test_a_type_without_a_price_is_named_not_taken_for_free() -> None:
    assert of(need(kind="x99.large")).unpriced == ("x99.large",)


def test_a_capacity_block_was_paid_when_it_was_bought() -> None:
    block = need("group reserved", kind="p5.48xlarge", capacity="capacity-block")

    assert of(block).full_usd_per_hour == of().full_usd_per_hour
    assert of(block).pools[0].source == "prepaid"
