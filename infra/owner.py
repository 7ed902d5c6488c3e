"""Keeps the Pulumi CLI off what isn't its own, before a resource is declared.

That are stacks of the embedded engine, and agents of another project: applied server-side, their
objects would be taken over without a word.

The command checks this before it starts the CLI; a plain ``pulumi up`` meets it here. The embedded
engine needs no such check: it refuses whatever it didn't make itself.
"""

from __future__ import annotations

import pulumi

from moltghost.config import EnvironmentConfig, StackName
from moltghost.kube.client import Client
from moltghost.kube.errors import ApiError, Unreachable
from moltghost.kube.kubeconfig import kubeconfig_path
from moltghost.labels import ENGINE_ANNOTATION, PROJECT_ANNOTATION
from moltghost.ownership import EngineName, belongs_to, embedded_stacks, of_another_project
from moltghost.planning.cloud import plan_cloud


def require_owner(
    name: StackName,
    environment: EnvironmentConfig,
    engine: EngineName,
    namespace: str | None = None,
) -> None:
    """Make sure that the Pulumi CLI may apply a stack.

    Args:
        name: the stack.
        environment: its environment.
        engine: the one that runs the program.
        namespace: the agent's namespace, which says who owns it; ``None`` for other stacks.

    Raises:
        Refused: the stack belongs to the embedded engine, or the agent to another project.
    """
    if engine != "stock":
        return
    project = pulumi.get_project()
    if str(name) in embedded_stacks(project):
        raise belongs_to("embedded", str(name), "stock")
    notes = _written_on(namespace, environment) if namespace else {}
    if notes.get(PROJECT_ANNOTATION, project) != project:
        raise of_another_project(notes[PROJECT_ANNOTATION], name.agent)
    if notes.get(ENGINE_ANNOTATION, "stock") != "stock":
        raise belongs_to(notes[ENGINE_ANNOTATION], str(name), "stock")


def _written_on(namespace: str, environment: EnvironmentConfig) -> dict[str, str]:
    """The marks on a namespace; none where there is no cluster or namespace yet."""
    kubeconfig = kubeconfig_path(plan_cloud(environment)).expanduser()
    if not kubeconfig.is_file():
        return {}
    client = Client(kubeconfig)
    try:
        live = client.get("v1", "Namespace", namespace)
    except (ApiError, Unreachable):
        return {}  # the provider will say what is wrong with the cluster
    finally:
        client.close()
    notes: dict[str, str] = (live or {}).get("metadata", {}).get("annotations", {})
    return notes
