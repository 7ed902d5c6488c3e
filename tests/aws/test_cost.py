from __future__ import annotations

from decimal import Decimal

from moltghost.aws.cost import EnvironmentCost, agent_cost, environment_cost
from moltghost.aws.prices import Price
from moltghost.models import instance_type
from moltghost.sizing.cost import cost
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


def of(*pools: object) -> EnvironmentCost:
    return environment_cost(
        [SYSTEM],
        list(pools),  # type: ignore[arg-type]
        PRICES,
        nat_gateways=2,
        interface_endpoints=20,
    )


def test_an_idle_environment_costs_its_control_plane_gateways_endpoints_and_system_nodes() -> None:
    found = of(POOL)

    assert found.idle_usd_per_hour == Decimal("0.10") + Decimal("0.09") + Decimal("0.20") + (
        2 * Decimal("0.1008")
    )
    assert found.idle_usd_per_month == Decimal("431.87")
    assert {line.what: line.approximate for line in found.fixed} == {
        "EKS control plane": False,
        "NAT gateways": True,
        "interface endpoints": True,
        "system nodes (m7i.large)": False,
    }


def test_a_full_pool_costs_its_dearest_type_on_every_node_and_surge_comes_on_top() -> None:
    found = of(POOL)

    assert found.full_usd_per_hour - found.idle_usd_per_hour == 2 * Decimal("55.04")
    assert found.surge_usd_per_hour == Decimal("55.04")
    assert found.pools[0].source == "pricing-api of 2026-11-20"


def test_a_type_without_a_price_is_named_not_taken_for_free() -> None:
    assert of(need(kind="x99.large")).unpriced == ("x99.large",)


def test_a_capacity_block_was_paid_when_it_was_bought() -> None:
    block = need("group reserved", kind="p5.48xlarge", capacity="capacity-block")

    assert of(block).full_usd_per_hour == of().full_usd_per_hour
    assert of(block).pools[0].source == "prepaid"


def test_an_agent_pays_its_node_idle_gpus_included() -> None:
    sized = cost(instance_type("p4d.24xlarge"), Decimal("21.957642"), 2, dedicated=True)

    found = agent_cost(sized)

    assert found.model_server_usd_per_hour == Decimal("21.957642")
    assert found.idle_usd_per_hour == Decimal("21.957642") - Decimal("5.48941")
    assert found.surge_usd_per_hour == found.model_server_usd_per_hour
    assert found.usd_per_month == Decimal("16029.08")
