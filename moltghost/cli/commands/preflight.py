"""`moltghost preflight`: whether an environment or an agent can come up. Changes nothing."""

from __future__ import annotations

import json
import shutil
import sys
import textwrap
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from moltghost.checks import Check, blocked
from moltghost.cli.options import json_option, project_folder
from moltghost.cli.views.tables import print_table
from moltghost.config import StackName
from moltghost.environments.factory import open_environment
from moltghost.errors import ExitCode, Refused
from moltghost.lifecycle.agents.preflight import check_agent

if TYPE_CHECKING:
    from moltghost.aws.cost import CostLine, EnvironmentCost


@click.command()
@click.argument("environment")
@click.option("--agent", metavar="NAME", help="Ask for what this agent's config needs.")
@json_option
@click.pass_context
def preflight(ctx: click.Context, environment: str, agent: str | None, as_json: bool) -> None:
    """Ask whether ENVIRONMENT can come up, or an agent in it. Doesn't change or buy anything.

    On AWS: credentials, region and zones, offerings, quotas, reservations, addresses, versions,
    images, weights store, reachability and the monthly ceiling. A check without an answer is
    `unknown`, with the reason. On this machine, checks only the pools. Exits with 2 on a blocker.

    \b
    Examples:
      moltghost preflight prod
      moltghost preflight prod --agent my-agent
    """
    name = environment if agent else _environment_name(environment)
    opened = open_environment(project_folder(ctx), name)
    if agent:
        checks, cost = check_agent(opened, StackName.of_agent(agent, name)), None
    else:
        checks, cost = opened.check(), opened.cost_at_most()
    if as_json:
        answer: dict[str, Any] = {"checks": [asdict(check) for check in checks]}
        if cost:
            answer["cost"] = _cost_json(cost)
        click.echo(json.dumps(answer))
    else:
        show_well(checks)
        if cost:
            show_cost(cost)
        show_troubles(checks)
        show_verdict(checks, f"agent {agent}" if agent else f"environment {environment}")
    if blocked(checks):
        ctx.exit(ExitCode.REFUSED)


def show_doubts(checks: Sequence[Check], *, as_json: bool) -> None:
    """What is neither well nor a blocker, before people are asked."""
    doubts = [check for check in checks if check.status != "ok"]
    if doubts and not as_json:
        show_troubles(doubts)


def _environment_name(text: str) -> str:
    name = StackName.parse(text)
    if name.layer == "cloud":
        return name.environment
    asked = f" --agent {name.agent}" if name.layer == "agent" else ""
    raise Refused(
        f"{text} is a stack, not an environment", f"moltghost preflight {name.environment}{asked}"
    )


def show_well(checks: list[Check]) -> None:
    """Print what is well, as a table: nobody has to do anything about it."""
    print_table(
        ("ok", "found"),
        [(check.id, check.found) for check in checks if check.status == "ok"],
        whole=("ok",),
    )


def show_troubles(checks: list[Check]) -> None:
    """Print what isn't well, the gravest last, each with what to do; the end is what one sees."""
    grouped: dict[tuple[str, str], list[Check]] = {}
    for status in ("warning", "unknown", "blocker"):
        for check in checks:
            if check.status == status:
                grouped.setdefault((status, check.remedy), []).append(check)
    for (status, remedy), found in grouped.items():
        click.echo()
        for check in found:
            _wrapped(f"{click.style(status, bold=True)} {check.id}: {check.found}")
        # A command is copied from here, so it isn't folded.
        click.echo(f"  do: {remedy}")


def _wrapped(text: str) -> None:
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else 10_000
    click.echo(textwrap.fill(text, width, subsequent_indent="  "))


def show_verdict(checks: list[Check], what: str) -> None:
    """Print in one line whether it can come up."""
    numbers = {
        status: sum(check.status == status for check in checks)
        for status in ("blocker", "unknown", "warning")
    }
    said = ", ".join(
        f"{number} {status}{'s' if number > 1 else ''}"
        for status, number in numbers.items()
        if number
    )
    if numbers["blocker"]:
        line = f"{what} can't come up: {said}"
    elif said:
        line = f"nothing was found that stops {what}; look at {said}"
    else:
        line = f"nothing stops {what}: all {len(checks)} checks are ok"
    click.secho(f"\n{line}", bold=True)


def show_cost(cost: EnvironmentCost) -> None:
    """Print what an environment costs while no agent runs, and with every pool full."""
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
