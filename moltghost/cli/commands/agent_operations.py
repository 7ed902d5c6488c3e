"""`moltghost agent history|rollback|move|pause|resume`: back, elsewhere, off and on again."""

from __future__ import annotations

import json

import click

from moltghost.cli.change import change_agent
from moltghost.cli.options import env_option, json_option, project_folder, yes_option
from moltghost.cli.views.tables import print_table
from moltghost.config import StackName
from moltghost.environments.factory import open_environment
from moltghost.kube.history import revisions
from moltghost.lifecycle.agents.change import no_such_agent
from moltghost.lifecycle.agents.operations import move_patch, pause_patch, rollback_patch
from moltghost.lifecycle.agents.running import running_agent
from moltghost.units import format_context


@click.command()
@click.argument("name")
@env_option
@json_option
@click.pass_context
def history(ctx: click.Context, name: str, environment: str, as_json: bool) -> None:
    """List what agent NAME ran, newest first, as far as its cluster keeps it.

    \b
    Example:
      moltghost agent history my-agent
    """
    stack = StackName.of_agent(name, environment)
    found = revisions(open_environment(project_folder(ctx), environment).client, name)
    if not found:
        raise no_such_agent(stack)
    if as_json:
        click.echo(json.dumps([each.to_json() for each in found]))
        return
    print_table(
        ("revision", "since", "model", "context", ""),
        [
            (
                str(each.number),
                each.since,
                f"{each.model} {each.quantization}",
                format_context(each.context),
                "runs now" if each.current else "",
            )
            for each in found
        ],
        right=("revision",),
    )


@click.command()
@click.argument("name")
@click.option("--to", type=int, metavar="REVISION", help="Which; by default what ran before.")
@env_option
@yes_option
@json_option
@click.pass_context
def rollback(
    ctx: click.Context, name: str, to: int | None, environment: str, yes: bool, as_json: bool
) -> None:
    """Bring back what agent NAME ran before; what runs now serves until that is proven.

    \b
    Examples:
      moltghost agent rollback my-agent
      moltghost agent rollback my-agent --to 3
    """
    stack = StackName.of_agent(name, environment)
    opened = open_environment(project_folder(ctx), environment)
    running = running_agent(opened.client, stack)
    patch = rollback_patch(running, stack, revisions(opened.client, name), to)
    change_agent(opened, stack, patch, yes=yes, as_json=as_json, must_exist=True)


@click.command()
@click.argument("name")
@env_option
@yes_option
@json_option
@click.pass_context
def move(ctx: click.Context, name: str, environment: str, yes: bool, as_json: bool) -> None:
    """Bring agent NAME's model up on another node, then leave the old one, without a gap.

    The way to drain a node, or to get nodes with a new AMI or Kubernetes version.

    \b
    Example:
      moltghost agent move my-agent
    """
    stack = StackName.of_agent(name, environment)
    opened = open_environment(project_folder(ctx), environment)
    patch = move_patch(running_agent(opened.client, stack), stack)
    change_agent(opened, stack, patch, yes=yes, as_json=as_json, must_exist=True)


@click.command()
@click.argument("name")
@env_option
@yes_option
@json_option
@click.pass_context
def pause(ctx: click.Context, name: str, environment: str, yes: bool, as_json: bool) -> None:
    """Stop agent NAME's pods, so that its nodes cost nothing; its memory stays.

    \b
    Example:
      moltghost agent pause my-agent
    """
    _pause(ctx, name, environment, paused=True, yes=yes, as_json=as_json)


@click.command()
@click.argument("name")
@env_option
@yes_option
@json_option
@click.pass_context
def resume(ctx: click.Context, name: str, environment: str, yes: bool, as_json: bool) -> None:
    """Start a paused agent again.

    \b
    Example:
      moltghost agent resume my-agent
    """
    _pause(ctx, name, environment, paused=False, yes=yes, as_json=as_json)


def _pause(
    ctx: click.Context, name: str, environment: str, *, paused: bool, yes: bool, as_json: bool
) -> None:
    stack = StackName.of_agent(name, environment)
    opened = open_environment(project_folder(ctx), environment)
    patch = pause_patch(running_agent(opened.client, stack), stack, paused=paused)
    change_agent(opened, stack, patch, yes=yes, as_json=as_json, must_exist=True)


COMMANDS = (history, rollback, move, pause, resume)
