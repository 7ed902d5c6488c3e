"""`moltghost preflight`: whether an environment or an agent can come up. Changes nothing."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from moltghost.cli.options import engine_for, json_option, project_folder
from moltghost.config import StackName
from moltghost.errors import ExitCode, Refused

if TYPE_CHECKING:
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
    from moltghost.lifecycle.preflight import check_agent, check_environment

    project = project_folder(ctx)
    if agent:
        stack = StackName.of_agent(agent, environment)
        checks = check_agent(project, stack, engine_for(project))
    else:
        checks = check_environment(project, _environment_name(environment))
    if as_json:
        click.echo(json.dumps({"checks": [asdict(check) for check in checks]}))
    else:
        show_checks(checks)
    if blocked(checks):
        ctx.exit(ExitCode.REFUSED)


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
