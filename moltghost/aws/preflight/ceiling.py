"""The monthly ceiling, held against what the environment costs at most."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from decimal import Decimal

from moltghost.aws.cost import environment_cost
from moltghost.aws.preflight.probe import Context, Probe, joined
from moltghost.aws.preflight.result import Check, blocker, ok, unknown, warning
from moltghost.aws.prices import PERMISSIONS, Price, prices

# From here on a person should hear of it before the ceiling does.
_NEARLY = Decimal("0.8")


def _ceiling(context: Context) -> Sequence[Check]:
    name, request = "monthly-ceiling", context.request
    file = f"Pulumi.{request.environment}.yaml"
    limit, holdings = request.monthly_ceiling_usd, request.holdings
    if limit is None or holdings is None:
        return [warning(name, "the environment has no monthly ceiling", f"set one in {file}")]
    known = prices(holdings.instance_types, context.clients)
    cost = environment_cost(holdings, known)
    planned = cost.full_usd_per_month
    found = (
        f"at most {planned:.2f} of {limit:.2f} $/month with every pool full, "
        f"{cost.idle_usd_per_month:.2f} with all at zero; {_sources(known.values())}"
    )
    lower = f"lower max_nodes in Pulumi.platform.{request.environment}.yaml, or raise "
    lower += f"monthly_ceiling_usd in {file}"
    if planned > limit:
        return [blocker(name, found, lower)]
    if cost.unpriced:
        types = joined(cost.unpriced)
        return [unknown(name, f"{found}; no price of {types}", f"take {types} out of its pool")]
    if planned > limit * _NEARLY:
        return [warning(name, found, lower)]
    return [ok(name, found)]


def _sources(known: Collection[Price]) -> str:
    """Where the prices come from and of which days, with why where it isn't the API."""
    origins = sorted({f"{price.source} of {price.as_of}" for price in known})
    notes = sorted({price.note for price in known if price.note})
    others = f" (and {len(notes) - 1} more)" if len(notes) > 1 else ""
    why = f" ({notes[0]}{others})" if notes else ""
    return f"prices: {joined(origins)}{why}"


CEILING = Probe("monthly-ceiling", PERMISSIONS, _ceiling)
