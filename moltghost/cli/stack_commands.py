"""`moltghost stack ...`: the records that the embedded engine keeps of stacks."""

from __future__ import annotations

import json

import click

from moltghost.cli.options import confirm, json_option, project_folder, yes_option
from moltghost.config import StackName


@click.group()
def stack() -> None:
    """Mend the records that the embedded engine keeps of stacks."""


@stack.command()
@click.argument("stack")
@yes_option
@json_option
@click.pass_context
def forget(ctx: click.Context, stack: str, yes: bool, as_json: bool) -> None:
    """Drop the record of STACK, whose cluster is gone. Deletes nothing in any cluster.

    \b
    Example:
      moltghost stack forget my-agent.local
    """
    from moltghost.engines.embedded.engine import EmbeddedEngine

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
