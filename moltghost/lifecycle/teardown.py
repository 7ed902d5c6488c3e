"""Taking an environment down: agents before it, its nodes first, what is protected not at all.

Why: docs/decisions/0024.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from moltghost.aws.clients import Clients
from moltghost.aws.leftovers import find_leftovers
from moltghost.config import AwsCloudSpec, Environment, StackName
from moltghost.engines.interface import Engine, Protected
from moltghost.errors import Failed, Refused
from moltghost.kube.client import Client
from moltghost.kube.draining import drain_pools
from moltghost.labels import AGENT_LABEL, ENVIRONMENT_LABEL
from moltghost.lifecycle.environments import (
    connect,
    is_embedded,
    layer_stacks,
    refuse_while_agents,
)
from moltghost.lifecycle.kubeconfig import kubeconfig_of
from moltghost.planning.aws.names import AwsScope
from moltghost.planning.karpenter import NODE_TERMINATION_GRACE_SECONDS
from moltghost.progress import Report
from moltghost.project import read_project

# After its grace a node still has to detach volumes and end; EC2 takes minutes for large types.
_MARGIN_SECONDS = 900


@dataclass(frozen=True, kw_only=True)
class TakenDown:
    """What went, what stays, and what a person should still look at."""

    removed: tuple[str, ...]
    kept: str = ""
    notes: tuple[str, ...] = ()


def require_no_agents(project: Path, environment: Environment, engine: Engine) -> None:
    """An environment goes only after its agents, also those that another engine deployed.

    Raises:
        Refused: agents or their data are there; or the environment isn't this engine's; or, on
            AWS, the cluster can't be asked.
    """
    refuse_while_agents(engine, environment.name)
    if is_embedded(environment):
        _refuse_others(project, environment.name)
    if not isinstance(environment.cloud, AwsCloudSpec):
        return
    layers = layer_stacks(environment.name)
    known = _known(engine)
    if not known & set(layers):
        raise Refused(
            f"engine {engine.name} has no stack of environment {environment.name}",
            f"it was never up, or another engine has it: pulumi destroy --stack {layers[1]}, "
            "after docs/runbooks/aws-remove.md",
        )
    if layers[1] in known:
        kubeconfig_of(environment, engine)
        if there := _namespaces(connect(project, environment.name), environment.name):
            raise Refused(
                f"the cluster of environment {environment.name} still has agents or their data: "
                f"{', '.join(there)}",
                "moltghost agent destroy NAME --delete-data removes one for good; one that "
                "another machine deployed is destroyed from there",
            )


def _refuse_others(project: Path, environment: str) -> None:
    """Refuse while other projects have stacks in the embedded cluster, which is removed whole."""
    from moltghost.lifecycle.embedded import recorded_stacks

    own = read_project(project).name
    others = [f"{stack} of {name}" for name, stack in recorded_stacks() if name != own]
    if others:
        raise Refused(
            f"the cluster of environment {environment} still has stacks of other projects: "
            f"{', '.join(others)}",
            "moltghost agent destroy NAME --delete-data, in that project's folder, removes one",
        )


def take_down(project: Path, environment: Environment, engine: Engine, report: Report) -> TakenDown:
    """Remove an environment's layers, platform first. Can be repeated after a failure.

    On AWS what is protected stays: keys, weights, and the cluster with what it needs. No EC2
    instance does; EC2 itself is asked.

    Raises:
        Refused: nothing was changed.
        Failed: something is left; the message says what.
    """
    removed: list[str] = []
    known, (cloud, platform) = _known(engine), layer_stacks(environment.name)
    on_aws = isinstance(environment.cloud, AwsCloudSpec)
    if on_aws and platform in known:
        seconds = NODE_TERMINATION_GRACE_SECONDS + _MARGIN_SECONDS
        client = connect(project, environment.name)
        nodes = drain_pools(client, report, timeout_seconds=seconds)
        removed += [f"node {each}" for each in nodes]
    for stack in (platform, cloud):
        if stack in known:
            protected: Protected = "keep" if on_aws and stack == cloud else "refuse"
            result = engine.destroy(str(stack), protected=protected, report=report)
            removed += [step.title or step.name for step in result.steps]
    if isinstance(environment.cloud, AwsCloudSpec):
        return _looked_at(environment.name, environment.cloud, tuple(removed))
    if is_embedded(environment):
        from moltghost.lifecycle.embedded import remove_cluster
        from moltghost.local.cluster.cluster import EmbeddedCluster

        removed += remove_cluster(EmbeddedCluster())
    return TakenDown(removed=tuple(removed))


def _looked_at(name: str, spec: AwsCloudSpec, removed: tuple[str, ...]) -> TakenDown:
    scope = AwsScope(environment=name, account_id=spec.account_id, region=spec.region)
    left = find_leftovers(Clients(spec.region), scope.name, scope.tags)
    if left.instances:
        raise Failed(
            f"environment {name} has left {len(left.instances)} EC2 instances, which cost: "
            f"{', '.join(left.instances)}",
            f"{left.end_instances}; docs/runbooks/aws-remove.md says what else to look at",
        )
    return TakenDown(
        removed=removed,
        kept="the cluster's control plane, its network, the keys and the weights stay: they are "
        f"protected. moltghost up {name} brings the rest back; docs/runbooks/aws-remove.md "
        "removes them for good",
        notes=left.notes,
    )


def _known(engine: Engine) -> set[StackName]:
    return {StackName.parse(each.name) for each in engine.stacks()}


def _namespaces(client: Client, environment: str) -> list[str]:
    labels = {ENVIRONMENT_LABEL: environment}
    return sorted(
        each["metadata"]["labels"][AGENT_LABEL]
        for each in client.list("v1", "Namespace", labels=labels)
        if AGENT_LABEL in each["metadata"]["labels"]
    )
