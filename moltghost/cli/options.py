"""Options that several commands share, and what they stand for."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, TypeVar

import click

from moltghost.errors import Refused
from moltghost.models.project_models import NO_MODELS, ProjectModels, project_models

ENGINE_KEY = "moltghost.engine"
"""Where `engine_option` keeps its value, in the context's ``meta``."""

F = TypeVar("F", bound=Callable[..., Any])

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON for machines.")
yes_option = click.option("-y", "--yes", is_flag=True, help="Go ahead without asking.")
env_option = click.option(
    "-e",
    "--env",
    "environment",
    envvar="MOLTGHOST_ENV",
    default="local",
    show_default=True,
    help="Environment of the agent.",
)


def _keep_engine(ctx: click.Context, _option: click.Parameter, value: str) -> None:
    ctx.meta[ENGINE_KEY] = value


engine_option = click.option(
    "--engine",
    envvar="MOLTGHOST_ENGINE",
    type=click.Choice(["auto", "stock", "embedded"]),
    default="auto",
    show_default=True,
    expose_value=False,
    callback=_keep_engine,
    help="What carries it out: the Pulumi CLI (stock), or the embedded engine.",
)


def project_folder(ctx: click.Context) -> Path:
    """The folder with ``Pulumi.yaml``: given, else this one or one above.

    Raises:
        Refused: there is none.
    """
    if folder := _project_or_none(ctx):
        return folder
    raise Refused(
        f"no MoltGhost project in {Path(ctx.find_root().obj or Path.cwd())}: "
        "there is no Pulumi.yaml",
        "go to your project's folder, or name it with -C FOLDER; moltghost init FOLDER makes one",
    )


def _project_or_none(ctx: click.Context) -> Path | None:
    given = ctx.find_root().obj
    here = [Path(given)] if given else [Path.cwd(), *Path.cwd().parents]
    return next((folder for folder in here if (folder / "Pulumi.yaml").is_file()), None)


def models_here(ctx: click.Context) -> ProjectModels:
    """The models of the project that one is in; the catalogue's alone where there is none.

    Raises:
        Refused: the folder that was given has no project, or a record of it isn't valid.
    """
    if ctx.find_root().obj is None and _project_or_none(ctx) is None:
        return NO_MODELS
    return project_models(project_folder(ctx))


def usd_per_hour(text: str) -> Decimal:
    """Dollars an hour, as people write them.

    Raises:
        Refused: it isn't a price.
    """
    try:
        amount = Decimal(text.removeprefix("$"))
    except InvalidOperation:
        amount = Decimal(0)
    if not amount.is_finite() or amount <= 0:
        raise Refused(f"{text!r} isn't a price", "write dollars per hour, like --within 7.50")
    return amount


def confirm(question: str, *, yes: bool) -> None:
    """Ask on a terminal; without one, ``--yes`` has to be there.

    Raises:
        Refused: the answer is no, or there is no terminal to ask on.
    """
    if yes:
        return
    if not is_terminal():
        raise Refused("can't ask for confirmation: not a terminal", "add --yes to go ahead without")
    if not click.confirm(question, err=True):
        raise Refused("cancelled; nothing was changed")


def is_terminal() -> bool:
    """Whether somebody can be asked."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def wants_color() -> bool:
    """Whether output may have colour (https://no-color.org)."""
    return not os.environ.get("NO_COLOR")
