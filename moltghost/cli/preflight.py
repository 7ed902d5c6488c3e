"""`moltghost preflight`: whether an environment or an agent can come up. Changes nothing."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from moltghost.cli.options import json_option, project_folder
from moltghost.config import StackName
from moltghost.errors import ExitCode, Refused

if TYPE_CHECKING:
    from moltghost.aws.cost import CostLine, EnvironmentCost
    from moltghost.aws.preflight import Check


@click.command()
@click.argument("environment")
@click.option("--agent", metavar="NAME", help="Ask for what this agent's config needs.")
@json_option
@click.pass_context
def preflight(ctx: click.Context, environment: str, agent: str | None, as_json: bool) -> None:
    """Ask whether ENVIRONMENT can come up, or an agent in it. Changes nothing, buys nothing.

    On AWS: credentials, region and zones, offerings, quotas, reservations, addresses, versions,
    images, weights store, reachability and the monthly ceiling. What has no answer is `unknown`
    and says why. On this machine there are only the pools to look at. Exits with 2 on a blocker.

    \b
    Examples:
      moltghost preflight prod
      moltghost preflight prod --agent my-agent
    """
    from moltghost.aws.preflight import blocked
    from moltghost.lifecycle.preflight import check_agent, check_environment, cost_at_most

    project = project_folder(ctx)
    if agent:
        stack = StackName.of_agent(agent, environment)
        checks = check_agent(project, stack)
    else:
        checks = check_environment(project, _environment_name(environment))
    cost = None if agent else cost_at_most(project, environment)
    if as_json:
        answer: dict[str, Any] = {"checks": [asdict(check) for check in checks]}
        if cost:
            answer["cost"] = _cost_json(cost)
        click.echo(json.dumps(answer))
    else:
        show_checks(checks)
        if cost:
            show_cost(cost)
    if blocked(checks):
        ctx.exit(ExitCode.REFUSED)


def show_doubts(checks: list[Check], *, as_json: bool) -> None:
    """What is neither well nor a blocker, before people are asked."""
    doubts = [check for check in checks if check.status != "ok"]
    if doubts and not as_json:
        show_checks(doubts)


def _environment_name(text: str) -> str:
    name = StackName.parse(text)
    if name.layer == "cloud":
        return name.environment
    asked = f" --agent {name.agent}" if name.layer == "agent" else ""
    raise Refused(
        f"{text} is a stack, not an environment", f"moltghost preflight {name.environment}{asked}"
    )


def show_checks(checks: list[Check]) -> None:
    """Print what was found, then what to do about all that isn't ok."""
    from moltghost.cli.tables import print_table

    print_table(
        ("status", "check", "found"),
        [(str(check.status), check.id, check.found) for check in checks],
    )
    _show_remedies(checks)
    counts = [
        f"{sum(check.status == status for check in checks)} {status}"
        for status in dict.fromkeys(check.status for check in checks)
    ]
    click.echo(f"\n{', '.join(counts)}")


def _show_remedies(checks: list[Check]) -> None:
    """One line for each thing to do, the gravest first; several checks may ask for the same."""
    asking: dict[tuple[str, str], list[str]] = {}
    for status in ("blocker", "unknown", "warning"):
        for check in checks:
            if check.status == status and check.remedy:
                asking.setdefault((status, check.remedy), []).append(check.id)
    if asking:
        click.echo("\nWhat to do:")
    for (status, remedy), names in asking.items():
        click.echo(f"  {status} {', '.join(names)}: {remedy}")


def show_cost(cost: EnvironmentCost) -> None:
    """Print what an environment costs while no agent runs, and with every pool full."""
    from moltghost.cli.tables import print_table

    click.echo()
    print_table(
        ("cost", "at most", "$/h", "price"),
        [_cost_row(line) for line in (*cost.fixed, *cost.pools)],
        right=("at most", "$/h"),
    )
    click.echo(
        f"\n{cost.idle_usd_per_hour:.2f} $/h ({cost.idle_usd_per_month:,.2f} $/month) with every "
        f"pool empty, {cost.full_usd_per_hour:.2f} $/h ({cost.full_usd_per_month:,.2f} $/month) "
        "with every pool full; traffic, disks and logs come on top"
    )


def _cost_row(line: CostLine) -> tuple[str, str, str, str]:
    about = "about " if line.approximate else ""
    return line.what, str(line.count), f"{about}{line.usd_per_hour:.3f}", line.source


def _cost_json(cost: EnvironmentCost) -> dict[str, Any]:
    lines = [
        {**asdict(line), "usd_per_hour": float(line.usd_per_hour)}
        for line in (*cost.fixed, *cost.pools)
    ]
    return {
        "idle_usd_per_hour": float(cost.idle_usd_per_hour),
        "idle_usd_per_month": float(cost.idle_usd_per_month),
        "full_usd_per_hour": float(cost.full_usd_per_hour),
        "full_usd_per_month": float(cost.full_usd_per_month),
        "lines": lines,
        "unpriced": list(cost.unpriced),
    }
