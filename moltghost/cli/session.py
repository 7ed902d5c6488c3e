"""What `--engine` stands for: the engine of an environment, for this run of the command."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import click

from moltghost.cli.options import ENGINE_KEY
from moltghost.engines.interface import Engine
from moltghost.engines.selection import engine


def engine_for(project: Path, environment: str) -> Engine:
    """The engine that carries out an environment's stacks, as ``--engine`` says.

    Raises:
        Refused: another engine has them, or there is no Pulumi CLI for the stock one.
    """
    return engines_of(environment)(project)


def engines_of(environment: str) -> Callable[[Path], Engine]:
    """What makes engines as `engine_for` does, in other threads and processes too."""
    wanted = click.get_current_context().meta.get(ENGINE_KEY, "auto")
    return partial(engine, environment=environment, wanted=wanted)
