"""The monthly ceiling, held against what runs and what was asked for.

Pools may allow more than the ceiling, since nobody runs them full all month; that is a warning.
What stops a change is the rate: what runs now, with what the change adds, for a month.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from decimal import Decimal

from moltghost.aws.cost import EnvironmentCost, environment_cost, month
from moltghost.aws.preflight.cluster import EXTENDED_SUPPORT, SUPPORT_PERMISSIONS, support_of
from moltghost.aws.preflight.probe import Context, Probe, joined
from moltghost.aws.preflight.usage import own_nodes
from moltghost.aws.prices import PERMISSIONS, Price, prices
from moltghost.aws.request import Holdings, PreflightRequest
from moltghost.checks import Check, blocker, ok, unknown, warning

_NOTHING = Decimal(0)


def _ceiling(context: Context) -> Sequence[Check]:
    name, request = "monthly-ceiling", context.request
    limit, holdings = request.monthly_ceiling_usd, request.holdings
    file = f"Pulumi.{request.environment}.yaml"
    if limit is None or holdings is None:
        return [warning(name, "the environment has no monthly ceiling", f"set one in {file}")]
    running = own_nodes(context)
    known = prices([*holdings.instance_types, *running, *request.frees], context.clients)
    extended = support_of(context).get("versionStatus") == EXTENDED_SUPPORT
    cost = environment_cost(holdings, known, extended_support=extended)
    rate = month(_rate(request, holdings, cost, running, known))
    found = (
        f"{rate:.2f} of {limit:.2f} $/month at the rate of what runs and what was asked for, "
        f"{cost.full_usd_per_month:.2f} with every pool full; {_sources(known.values())}"
    )
    if rate > limit:
        return [blocker(name, found, f"free nodes first, or raise monthly_ceiling_usd in {file}")]
    if unpriced := sorted({*cost.unpriced, *running} - set(known)):
        types = joined(unpriced)
        return [unknown(name, f"{found}; no price of {types}", f"take {types} out of its pool")]
    if request.scope == "environment" and cost.full_usd_per_month > limit:
        pools = f"Pulumi.platform.{request.environment}.yaml"
        return [
            warning(
                name,
                found,
                f"lower max_nodes or narrow instance_types in {pools}, or rely on each deploy "
                "being held to the ceiling",
            )
        ]
    return [ok(name, found)]


def _rate(
    request: PreflightRequest,
    holdings: Holdings,
    cost: EnvironmentCost,
    running: Counter[str],
    known: Mapping[str, Price],
) -> Decimal:
    """Dollars per hour: what is always there, other nodes that run, and what an agent adds."""
    always: Counter[str] = Counter()
    for need in holdings.fixed:
        if need.capacity != "capacity-block":
            always[need.instance_types[0]] += need.nodes
    rate = cost.idle_usd_per_hour + _price(running - always, known)
    if request.scope == "environment":
        return rate
    added: Counter[str] = Counter()
    for need in request.needs:
        added[need.instance_types[0]] += need.nodes_now
    return rate + _price(added, known) - _price(Counter(request.frees), known)


def _price(nodes: Mapping[str, int], known: Mapping[str, Price]) -> Decimal:
    return sum(
        (count * known[kind].usd_per_hour for kind, count in nodes.items() if kind in known),
        _NOTHING,
    )


def _sources(known: Collection[Price]) -> str:
    """Where the prices come from and of which days, with why where it isn't the API."""
    origins = sorted({f"{price.source} of {price.as_of}" for price in known})
    notes = sorted({price.note for price in known if price.note})
    others = f" (and {len(notes) - 1} more)" if len(notes) > 1 else ""
    why = f" ({notes[0]}{others})" if notes else ""
    return f"prices: {joined(origins)}{why}"


CEILING = Probe(
    "monthly-ceiling", ("ec2:DescribeInstances", *SUPPORT_PERMISSIONS, *PERMISSIONS), _ceiling
)
