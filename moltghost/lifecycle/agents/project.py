"""Agents of several projects in one environment: each name is one project's."""

from __future__ import annotations

from pathlib import Path

from moltghost.config import StackName
from moltghost.kube.client import Client
from moltghost.labels import PROJECT_ANNOTATION
from moltghost.ownership import of_another_project
from moltghost.project import read_project


def require_own(project: Path, stack: StackName, client: Client) -> None:
    """Make sure that an agent's name isn't another project's, before its change is planned.

    Raises:
        Refused: it is; a namespace that an agent has left behind counts as well.
    """
    named = {"metadata.name": f"agent-{stack.agent}"}
    for live in client.list("v1", "Namespace", fields=named):
        owner = live["metadata"].get("annotations", {}).get(PROJECT_ANNOTATION)
        if owner and owner != read_project(project).name:
            raise of_another_project(owner, stack.agent)
