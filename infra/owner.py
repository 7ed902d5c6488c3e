"""Keeps the Pulumi CLI off stacks of the embedded engine, before a resource is declared.

The command checks this before it starts the CLI; a plain ``pulumi up`` meets it here. The embedded
engine needs no such check: it refuses whatever it didn't make itself.
"""

from __future__ import annotations

from moltghost.config import EnvironmentConfig, StackName
from moltghost.kube.client import Client
from moltghost.kube.errors import ApiError, Unreachable
from moltghost.kube.kubeconfig import kubeconfig_path
from moltghost.labels import ENGINE_ANNOTATION
from moltghost.ownership import EngineName, belongs_to, embedded_stacks
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
        Refused: the stack belongs to the embedded engine.
    """
    if engine != "stock":
        return
    if str(name) in embedded_stacks():
        raise belongs_to("embedded", str(name), "stock")
    owner = _written_on(namespace, environment) if namespace else None
    if owner and owner != "stock":
        raise belongs_to(owner, str(name), "stock")


def _written_on(namespace: str, environment: EnvironmentConfig) -> str | None:
    """The owner that a namespace names; ``None`` where there is no cluster or namespace yet."""
    kubeconfig = kubeconfig_path(plan_cloud(environment)).expanduser()
    if not kubeconfig.is_file():
        return None
    client = Client(kubeconfig)
    try:
        live = client.get("v1", "Namespace", namespace)
    except (ApiError, Unreachable):
        return None  # the provider will say what is wrong with the cluster
    finally:
        client.close()
    owner: str | None = (
        (live or {}).get("metadata", {}).get("annotations", {}).get(ENGINE_ANNOTATION)
    )
    return owner
