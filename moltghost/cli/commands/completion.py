"""Completion scripts."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from moltghost.errors import Refused


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print the completion script of a shell.

    \b
    Example (bash):
      eval "$(moltghost completion bash)"
    """
    found = get_completion_class(shell)
    if found is None:
        raise Refused(f"no completion for {shell!r}", "use bash, zsh or fish")
    root = ctx.find_root().command
    click.echo(found(root, {}, "moltghost", "_MOLTGHOST_COMPLETE").source())
