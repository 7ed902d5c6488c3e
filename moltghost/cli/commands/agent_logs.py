"""`moltghost agent logs`."""

from __future__ import annotations

import json

import click

from moltghost.cli.options import env_option, json_option, project_folder
from moltghost.config import StackName
from moltghost.environments.factory import open_environment
from moltghost.errors import Refused
from moltghost.lifecycle.agents.logs import container_logs, read


@click.command()
@click.argument("name")
@click.option(
    "-c",
    "--container",
    "containers",
    multiple=True,
    help="Only this one, e.g. ollama; can be given several times.",
)
@click.option(
    "-n",
    "--lines",
    type=click.IntRange(1, 100_000),
    default=20,
    show_default=True,
    help="The last so many lines of each container.",
)
@click.option("-f", "--follow", is_flag=True, help="Follow one container's log until it ends.")
@env_option
@json_option
@click.pass_context
def logs(
    ctx: click.Context,
    name: str,
    containers: tuple[str, ...],
    lines: int,
    follow: bool,
    environment: str,
    as_json: bool,
) -> None:
    """Print what the containers of agent NAME wrote: weights, ollama, loader, gate, openclaw.

    OpenClaw's log holds the agent's replies: treat it as you treat them.

    \b
    Examples:
      moltghost agent logs my-agent
      moltghost agent logs my-agent --container ollama --lines 200
      moltghost agent logs my-agent --container loader --follow
    """
    client = open_environment(project_folder(ctx), environment).client
    found = container_logs(client, StackName.of_agent(name, environment), containers)
    if follow and len(found) != 1:
        names = ", ".join(dict.fromkeys(each.container for each in found))
        raise Refused(f"--follow takes one container of {names}", "name it with --container")
    for each in found:
        # A terminal needs the heading to tell containers apart; one alone needs none.
        if len(found) > 1 and not as_json:
            click.secho(f"{each.pod}/{each.container}", bold=True)
        if not each.started:
            click.echo(f"{each.pod}/{each.container} has not started yet", err=True)
            continue
        for line in read(client, each, lines=lines, follow=follow):
            if as_json:
                row = {"pod": each.pod, "container": each.container, "line": line}
                click.echo(json.dumps(row))
            else:
                click.echo(line)
