"""Agents of several projects in one environment: each name is one project's."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from moltghost.config import StackName
from moltghost.errors import Refused
from moltghost.kube.agents import AgentStatus
from moltghost.kube.client import Client
from moltghost.labels import PROJECT_ANNOTATION, agent_namespace
from moltghost.ownership import of_another_project
from moltghost.project import read_project


def require_own(project: Path, stack: StackName, client: Client) -> None:
    """Make sure that an agent's name isn't another project's, before its change is planned.

    Raises:
        Refused: it is, or its namespace doesn't say whose it is; one that an agent has left
            behind counts as well.
    """
    home = agent_namespace(stack.agent)
    for live in client.list("v1", "Namespace", fields={"metadata.name": home}):
        owner = live["metadata"].get("annotations", {}).get(PROJECT_ANNOTATION)
        if not owner:
            raise Refused(
                f"namespace {home} is there already and names no project, so whose it is isn't "
                "known",
                "choose another name; or delete the namespace if nothing needs it",
            )
        if owner != read_project(project).name:
            raise of_another_project(owner, stack.agent)


def own(agents: Iterable[AgentStatus], project: Path) -> list[AgentStatus]:
    """Those of an environment's agents that are the project's."""
    name = read_project(project).name
    return [each for each in agents if each.project == name]
