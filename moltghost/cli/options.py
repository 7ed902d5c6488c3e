"""Options that several commands share, and what they stand for."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from moltghost.errors import Refused

if TYPE_CHECKING:
    from moltghost.engines.interface import Engine

F = TypeVar("F", bound=Callable[..., Any])

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON for machines.")
yes_option = click.option("-y", "--yes", is_flag=True, help="Don't ask, do it.")
env_option = click.option(
    "-e",
    "--env",
    "environment",
    envvar="MOLTGHOST_ENV",
    default="local",
    show_default=True,
    help="Environment of the agent.",
)


def project_folder(ctx: click.Context) -> Path:
    """The folder with ``Pulumi.yaml``: given, this one or one above, else the checkout itself.

    Raises:
        Refused: there is none.
    """
    if given := ctx.find_root().obj:
        here = [Path(given)]
    else:
        here = [Path.cwd(), *Path.cwd().parents, Path(__file__).parents[2]]
    for folder in here:
        if (folder / "Pulumi.yaml").is_file() and (folder / "infra").is_dir():
            return folder
    raise Refused(
        f"no MoltGhost project in {here[0]}: no Pulumi.yaml with an infra folder beside it",
        "go to your checkout, or name it with -C FOLDER",
    )


def engine_for(project: Path) -> Engine:
    """The engine that carries out the project's stacks."""
    from moltghost.engines.embedded.engine import EmbeddedEngine
    from moltghost.policy.gate import require_compliance

    return EmbeddedEngine(project, analyze=require_compliance)


def confirm(question: str, *, yes: bool) -> None:
    """Ask on a terminal; without one, ``--yes`` has to be there.

    Raises:
        Refused: the answer is no, or nobody can be asked.
    """
    if yes:
        return
    if not is_terminal():
        raise Refused("nobody can be asked: this is no terminal", "add --yes to do it unasked")
    if not click.confirm(question, err=True):
        raise Refused("nothing was changed, as you said")


def is_terminal() -> bool:
    """Whether somebody can be asked."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def wants_color() -> bool:
    """Whether output may have colour (https://no-color.org)."""
    return not os.environ.get("NO_COLOR")
