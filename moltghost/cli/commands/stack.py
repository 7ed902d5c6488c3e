"""`moltghost stack ...`: which engine has which stack, and what the embedded one recorded."""

from __future__ import annotations

import json

import click

from moltghost.cli.options import confirm, json_option, project_folder, yes_option
from moltghost.cli.views.progress import Progress
from moltghost.config import StackName
from moltghost.engines.embedded.engine import EmbeddedEngine
from moltghost.lifecycle.adoption import adopt_environment, stacks_to_adopt
from moltghost.ownership import EngineName


@click.group()
def stack() -> None:
    """Move stacks between engines, and repair the embedded engine's records."""


@stack.command()
@click.argument("environment")
@click.option(
    "--engine",
    type=click.Choice(["stock", "embedded"]),
    required=True,
    help="Who is to own the stacks: the Pulumi CLI (stock), or the embedded engine.",
)
@yes_option
@json_option
@click.pass_context
def adopt(
    ctx: click.Context, environment: str, engine: EngineName, yes: bool, as_json: bool
) -> None:
    """Move all stacks of ENVIRONMENT to another engine. Changes nothing that runs.

    Stacks read each other, so an environment moves as a whole: its layers, then its agents. Each
    one's state is taken over, and the new engine must find nothing to change; otherwise the stack
    stays where it is.

    \b
    Example:
      moltghost stack adopt local --engine stock
    """
    project = project_folder(ctx)
    names = stacks_to_adopt(project, environment, engine)
    if names:
        confirm(f"Give {', '.join(names)} to the {engine} engine?", yes=yes)
    with Progress(quiet=as_json) as progress:
        adopted = adopt_environment(project, names, engine, progress.report)
    if as_json:
        click.echo(json.dumps({"environment": environment, "engine": engine, "adopted": adopted}))
        return
    for name, count in adopted.items():
        click.echo(f"stack {name}: {count} resources, nothing to change")
    if not names:
        click.echo(f"environment {environment} is the {engine} engine's already")


@stack.command()
@click.argument("stack")
@yes_option
@json_option
@click.pass_context
def forget(ctx: click.Context, stack: str, yes: bool, as_json: bool) -> None:
    """Drop the record of STACK, whose cluster no longer exists. Deletes nothing in any cluster.

    \b
    Example:
      moltghost stack forget my-agent.local
    """
    name = str(StackName.parse(stack))
    engine = EmbeddedEngine(project_folder(ctx))
    counts = {summary.name: summary.resource_count for summary in engine.stacks()}
    # What the engine doesn't know it refuses by itself; there is nothing to ask then.
    if name in counts:
        confirm(
            f"Forget stack {name} ({_objects(counts[name])})? Where its cluster is still there, "
            "they stay in it, and nothing here manages them any more.",
            yes=yes,
        )
    forgotten = engine.forget(name)
    if as_json:
        click.echo(json.dumps({"stack": name, "forgotten": forgotten}))
    else:
        click.echo(
            f"stack {name}: {_objects(forgotten)} forgotten; config stays: Pulumi.{name}.yaml"
        )


def _objects(count: int) -> str:
    return f"{count} object{'' if count == 1 else 's'}"
