"""Which engine carries out the stacks of an environment.

Stacks read each other's outputs, and each engine sees only its own: an environment has one engine.

Why: docs/decisions/0030.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from moltghost.config import StackName
from moltghost.engines.stock.installation import find_cli
from moltghost.errors import Refused
from moltghost.ownership import EngineName, belongs_to, embedded_stacks
from moltghost.project import Project, read_project

if TYPE_CHECKING:
    from moltghost.engines.interface import Engine

Wanted = Literal["auto", "stock", "embedded"]


def choose(project: Project, environment: str, wanted: Wanted) -> EngineName:
    """The engine for an environment: the one that has its stacks, else the CLI if it is there.

    Args:
        project: whose stacks; another one that has the environment counts as well.
        environment: the environment's name.
        wanted: what the user asked for.

    Raises:
        Refused: another engine than the one that was asked for has stacks of the environment.
    """
    theirs = [
        stack
        for name in project.names
        for stack in embedded_stacks(name)
        if _is_of(stack, environment)
    ]
    if wanted == "stock" and theirs:
        raise belongs_to("embedded", theirs[0], "stock")
    if wanted != "auto":
        return wanted
    if theirs:
        return "embedded"
    return "stock" if find_cli() else "embedded"


def engine(project: Path, environment: str, wanted: Wanted) -> Engine:
    """The engine, ready to use.

    Raises:
        Refused: there is no CLI for the stock engine, or the environment has another engine.
    """
    if choose(read_project(project), environment, wanted) == "stock":
        from moltghost.engines.stock.engine import StockEngine

        return StockEngine(project)
    if wanted == "embedded" and find_cli():
        _refuse_stocks(project, environment)
    from moltghost.engines.embedded.engine import EmbeddedEngine
    from moltghost.policy.gate import require_compliance

    return EmbeddedEngine(project, analyze=require_compliance)


def _refuse_stocks(project: Path, environment: str) -> None:
    """Refuse what the CLI has; where it can't be asked, the marks in the cluster still say it."""
    from moltghost.engines.stock.engine import StockEngine

    try:
        names = [each.name for each in StockEngine(project).stacks()]
    except Refused:
        return
    for name in names:
        if _is_of(name, environment):
            raise belongs_to("stock", name, "embedded")


def _is_of(stack: str, environment: str) -> bool:
    try:
        return StackName.parse(stack).environment == environment
    except Refused:
        return False  # a stack of the project that is none of ours
