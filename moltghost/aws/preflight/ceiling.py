"""The monthly ceiling, held against what the plan costs at most."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from moltghost.aws.preflight.probe import Context, Probe
from moltghost.aws.preflight.result import Check, blocker, ok, unknown, warning

# From here on a person should hear of it before the ceiling does.
_NEARLY = Decimal("0.8")


def _ceiling(context: Context) -> Sequence[Check]:
    name, request = "monthly-ceiling", context.request
    ceiling, planned = request.monthly_ceiling_usd, request.planned_monthly_usd
    file = f"Pulumi.{request.environment}.yaml"
    if ceiling is None:
        cost = f"; at most {planned:.2f} $/month" if planned is not None else ""
        return [
            warning(name, f"the environment has no monthly ceiling{cost}", f"set one in {file}")
        ]
    if planned is None:
        return [
            unknown(
                name,
                f"the ceiling is {ceiling:.2f} $/month, but the plan's cost isn't known",
                "a type without a price is planned; take it out or run it where prices can be read",
            )
        ]
    found = f"at most {planned:.2f} of {ceiling:.2f} $/month"
    if planned > ceiling:
        return [blocker(name, found, f"lower max_nodes, or raise the ceiling in {file}")]
    if planned > ceiling * _NEARLY:
        return [warning(name, found, f"lower max_nodes, or raise the ceiling in {file}")]
    return [ok(name, found)]


CEILING = Probe("monthly-ceiling", (), _ceiling)
