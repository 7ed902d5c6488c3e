"""Agents as they are in a cluster, read in a handful of list calls however many there are."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from decimal import Decimal
from typing import Any

from moltghost.kube.client import Client
from moltghost.kube.container_progress import last_words
from moltghost.kube.pod_diagnosis import LiveObject, condition
from moltghost.kube.pods import Stage, is_ready, progress
from moltghost.labels import (
    AGENT_LABEL,
    CONTEXT_ANNOTATION,
    ENVIRONMENT_LABEL,
    INSTANCE_TYPE_LABEL,
    MANAGED_BY,
    MANAGED_BY_LABEL,
    MODEL_ANNOTATION,
    MODEL_SERVER,
    NAME_LABEL,
    NODE_USD_PER_HOUR_ANNOTATION,
    OWNER_LABEL,
    PROJECT_ANNOTATION,
    QUANTIZATION_ANNOTATION,
    SPEC_ANNOTATION,
    USD_PER_HOUR_ANNOTATION,
    agent_namespace,
)

_SERVERS = {MANAGED_BY_LABEL: MANAGED_BY, NAME_LABEL: MODEL_SERVER}
# KWOK marks the nodes that it simulates.
SIMULATED_ANNOTATION = "kwok.x-k8s.io/node"


@dataclass(frozen=True)
class NodeFact:
    """The node that an agent's model server is on."""

    name: str
    instance_type: str
    simulated: bool


@dataclass(frozen=True)
class AgentStatus:
    """One agent as the cluster has it.

    Args:
        project: the one whose stack it is, as its namespace says; empty where it doesn't.
        ready: it answers.
        updating: a new model server is on its way while the old one still serves.
        node: of what is shown; None while it has none.
        spec: the agent's config as it was last applied, as JSON.
        detail: how far its stage is, in bytes and time left; asked for one agent only.
    """

    agent: str
    environment: str
    owner: str
    project: str
    model: str
    quantization: str
    context: int
    stage: Stage
    reason: str
    ready: bool
    updating: bool
    node: NodeFact | None
    usd_per_hour: Decimal
    node_usd_per_hour: Decimal
    spec: str
    detail: str = ""

    def to_json(self) -> dict[str, Any]:
        """Keys that scripts rely on."""
        facts = asdict(self)
        del facts["spec"]
        return {
            **facts,
            "usd_per_hour": float(self.usd_per_hour),
            "node_usd_per_hour": float(self.node_usd_per_hour),
        }


def list_agents(client: Client, agent: str | None = None) -> list[AgentStatus]:
    """All agents of the cluster, or the one called ``agent``; sorted by name.

    One agent costs the same however many others there are.
    """
    labels = {**_SERVERS, **({AGENT_LABEL: agent} if agent else {})}
    home = agent_namespace(agent) if agent else None
    # Side by side, since of hundreds of agents each list is megabytes.
    with ThreadPoolExecutor(4) as pool:
        asked_projects = pool.submit(_projects, client, home)
        asked = pool.submit(client.list, "apps/v1", "Deployment", home, labels=labels)
        asked_pods = pool.submit(client.list, "v1", "Pod", home, labels=labels)
        asked_nodes = None if home else pool.submit(client.list, "v1", "Node")
        deployments = asked.result()
        pods: dict[str, list[LiveObject]] = defaultdict(list)
        for pod in asked_pods.result():
            pods[pod["metadata"]["namespace"]].append(pod)
        nodes = asked_nodes.result() if asked_nodes else _nodes(client, pods[str(home)])
        projects = asked_projects.result()
    by_name = {node["metadata"]["name"]: node for node in nodes}
    found = [
        agent_status(each, pods[name], by_name, projects.get(name, ""))
        for each, name in ((each, each["metadata"]["namespace"]) for each in deployments)
    ]
    if home:
        found = [_with_detail(client, each, pods[home]) for each in found]
    return sorted(found, key=lambda status: status.agent)


def _with_detail(client: Client, status: AgentStatus, pods: Iterable[LiveObject]) -> AgentStatus:
    """The status with what the pod that is on its way says of it."""
    if status.stage not in (Stage.DOWNLOAD, Stage.LOAD):
        return status
    coming = (each for each in pods if "deletionTimestamp" not in each["metadata"])
    words = (last_words(client, each) for each in coming if not is_ready(each))
    return replace(status, detail=next(filter(None, words), ""))


def _projects(client: Client, home: str | None) -> dict[str, str]:
    """Whose the agents' namespaces are, or the one asked for, by the namespace's name."""
    fields = {"metadata.name": home} if home else None
    found = client.list("v1", "Namespace", labels={MANAGED_BY_LABEL: MANAGED_BY}, fields=fields)
    return {
        each["metadata"]["name"]: each["metadata"]
        .get("annotations", {})
        .get(PROJECT_ANNOTATION, "")
        for each in found
    }


def _nodes(client: Client, pods: Iterable[LiveObject]) -> list[LiveObject]:
    """The nodes that these pods are on."""
    names = {name for pod in pods if (name := pod["spec"].get("nodeName"))}
    return [
        node for name in names for node in client.list("v1", "Node", fields={"metadata.name": name})
    ]


def agent_status(
    deployment: LiveObject,
    pods: Iterable[LiveObject],
    nodes: Mapping[str, LiveObject],
    project: str,
) -> AgentStatus:
    """An agent's status from its model server's Deployment, its pods, the nodes and its project."""
    metadata = deployment["metadata"]
    labels, plan = metadata["labels"], metadata.get("annotations", {})
    newest_first = sorted(
        pods,
        key=lambda pod: (pod["metadata"]["creationTimestamp"], pod["metadata"]["name"]),
        reverse=True,
    )
    serving = next((pod for pod in newest_first if is_ready(pod)), None)
    coming = next((pod for pod in newest_first if "deletionTimestamp" not in pod["metadata"]), None)
    stage, reason = _stage(deployment, coming)
    # What answers, not what is on its way: during an update they are two models.
    shown = serving or coming
    facts = (shown or deployment)["metadata"].get("annotations", {})
    return AgentStatus(
        agent=labels[AGENT_LABEL],
        environment=labels.get(ENVIRONMENT_LABEL, ""),
        owner=labels.get(OWNER_LABEL, ""),
        project=project,
        model=facts.get(MODEL_ANNOTATION, ""),
        quantization=facts.get(QUANTIZATION_ANNOTATION, ""),
        context=int(facts.get(CONTEXT_ANNOTATION, 0)),
        stage=stage,
        reason=reason,
        ready=serving is not None,
        updating=serving is not None and serving is not coming,
        node=_node(shown, nodes),
        usd_per_hour=Decimal(plan.get(USD_PER_HOUR_ANNOTATION, "0")),
        node_usd_per_hour=Decimal(plan.get(NODE_USD_PER_HOUR_ANNOTATION, "0")),
        spec=plan.get(SPEC_ANNOTATION, ""),
    )


def _stage(deployment: LiveObject, newest: LiveObject | None) -> tuple[Stage, str]:
    if newest is None and deployment.get("spec", {}).get("replicas", 1) == 0:
        return Stage.PAUSED, ""
    failure = condition(deployment, "ReplicaFailure")
    # The pod that could not be created is none, or the one that is to replace what serves.
    if failure.get("status") == "True" and (newest is None or is_ready(newest)):
        return Stage.FAILED, failure.get("message", "")
    if newest is None:
        return Stage.ABSENT, ""
    found = progress(newest)
    return found.stage, found.reason


def _node(pod: LiveObject | None, nodes: Mapping[str, LiveObject]) -> NodeFact | None:
    name = pod["spec"].get("nodeName") if pod else None
    node = nodes.get(name) if name else None
    if not name or node is None:
        return None
    metadata = node["metadata"]
    return NodeFact(
        name=name,
        instance_type=metadata.get("labels", {}).get(INSTANCE_TYPE_LABEL, ""),
        simulated=SIMULATED_ANNOTATION in metadata.get("annotations", {}),
    )
