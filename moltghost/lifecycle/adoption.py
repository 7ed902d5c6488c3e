"""An environment changes its engine: its layers first, then its agents."""

from __future__ import annotations

from pathlib import Path

from moltghost.config import StackName
from moltghost.engines.adoption.adoption import Adoption
from moltghost.errors import Refused
from moltghost.ownership import EngineName
from moltghost.progress import Report, silent

_ORDER = ("cloud", "platform", "agent")


def stacks_to_adopt(project: Path, environment: str, engine: EngineName) -> list[str]:
    """The stacks of an environment that the other engine has, in the order to move them.

    Raises:
        Refused: there is no Pulumi CLI, or no stack of the environment in either engine.
    """
    cloud = StackName.parse(environment)
    if cloud.layer != "cloud":
        raise Refused(
            f"{environment} isn't an environment, and stacks move with all that they read",
            f"moltghost stack adopt {cloud.environment} --engine {engine}",
        )
    adoption = Adoption(project, silent)
    other: EngineName = "embedded" if engine == "stock" else "stock"
    found = _of_environment(adoption.names(other), environment)
    if not found and not _of_environment(adoption.names(engine), environment):
        raise Refused(
            f"environment {environment} has no stacks yet",
            f"moltghost up {environment} --engine {engine} makes them",
        )
    return [str(name) for name in found]


def adopt_environment(
    project: Path, names: list[str], engine: EngineName, report: Report
) -> dict[str, int]:
    """Move stacks, all or none: an environment whose stacks are torn apart can't be used.

    Returns:
        How many resources each stack has.

    Raises:
        Refused: a stack isn't complete; those that were moved are back.
        Failed: the new engine would change a stack; those that were moved are back.
    """
    adoption = Adoption(project, report)
    other: EngineName = "embedded" if engine == "stock" else "stock"
    moved: dict[str, int] = {}
    for name in names:
        try:
            moved[name] = adoption.adopt(name, engine)
        except BaseException:
            for each in moved:  # layers first: what reads them finds them
                adoption.adopt(each, other)
            raise
    return moved


def _of_environment(names: list[str], environment: str) -> list[StackName]:
    parsed = [StackName.parse(name) for name in names]
    ours = [name for name in parsed if name.environment == environment]
    return sorted(ours, key=lambda name: (_ORDER.index(name.layer), name.agent))
