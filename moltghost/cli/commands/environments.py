"""`moltghost environment ...`: what concerns every agent of an environment."""

from __future__ import annotations

import json

import click

from moltghost.cli.commands.preflight import show_doubts
from moltghost.cli.options import confirm, engine_option, json_option, project_folder, yes_option
from moltghost.cli.session import engines_of
from moltghost.cli.views.progress import Progress
from moltghost.cli.views.tables import print_table
from moltghost.environments.factory import open_environment
from moltghost.lifecycle.agents.roll import of_others, plan_roll
from moltghost.lifecycle.agents.roll import roll as roll_agents


@click.group()
def environment() -> None:
    """What concerns every agent of an environment."""


@environment.command()
@click.argument("name", default="local")
@click.option("--from", "begin_with", metavar="AGENT", help="Start with this agent.")
@yes_option
@json_option
@engine_option
@click.pass_context
def roll(ctx: click.Context, name: str, begin_with: str | None, yes: bool, as_json: bool) -> None:
    """Move the project's agents in environment NAME to fresh nodes one by one, without a gap.

    New nodes have the AMI and Kubernetes version that the environment's stacks now name. It stops
    at the first agent that can't be moved, and says how to continue. Agents of other projects that
    share the environment are named and left to them.

    \b
    Examples:
      moltghost environment roll dev
      moltghost environment roll dev --from my-agent
    """
    opened = open_environment(project_folder(ctx), name)
    moves = plan_roll(opened, begin_with=begin_with)
    if not as_json:
        print_table(
            ("agent", "model", "type", "$/h more while both run"),
            [
                (
                    each.stack.agent,
                    f"{each.plan.model_server.model} {each.plan.model_server.quantization}",
                    each.plan.model_server.instance_type,
                    f"{each.update.surge.usd_per_hour:.2f}" if each.update.surge else "0.00",
                )
                for each in moves
            ],
            right=("$/h more while both run",),
        )
        if theirs := of_others(opened):
            click.echo(f"\nleft to their projects: {', '.join(theirs)}")
    count = f"{len(moves)} agent{'' if len(moves) == 1 else 's'}"
    confirm(f"Move {count} of {name} to fresh nodes, one after the other?", yes=yes)
    moved: list[str] = []
    with Progress(quiet=as_json) as progress:
        roll_agents(
            opened,
            moves,
            engines_of(name),
            progress.report,
            look=lambda each: show_doubts(each.checks, as_json=as_json),
            done=moved.append,
        )
    click.echo(json.dumps({"moved": moved}) if as_json else f"{count} moved: {', '.join(moved)}")
