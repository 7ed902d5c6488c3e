"""A cluster that answers from a list of objects, and the objects that it usually has."""

from __future__ import annotations

import json
from collections.abc import Mapping
from copy import deepcopy
from typing import Any, cast

from moltghost.config import AgentSpec
from moltghost.kube.client import Client
from moltghost.kube.pod_diagnosis import LiveObject
from moltghost.kube.pools import PoolStatus
from tests.examples import agent_spec

GPU_NODE = "h100-x7k2p"


class FakeCluster:
    """`list` and `cluster_uid` of `Client`, and nothing else."""

    def __init__(self, *items: LiveObject) -> None:
        self.items = list(items)
        self.calls: list[str] = []

    def cluster_uid(self) -> str:
        return "6c7b8a"

    def list(
        self,
        _api: str,
        kind: str,
        namespace: str | None = None,
        *,
        labels: Mapping[str, str] | None = None,
        fields: Mapping[str, str] | None = None,
    ) -> list[LiveObject]:
        self.calls.append(kind)
        wanted = (labels or {}).items()
        return [
            item
            for item in self.items
            if item["kind"] == kind
            and wanted <= item["metadata"].get("labels", {}).items()
            and namespace in (None, item["metadata"].get("namespace"))
            and (not fields or fields == {"metadata.name": item["metadata"]["name"]})
        ]


def client(*items: LiveObject) -> Client:
    return cast("Client", FakeCluster(*items))


def condition(kind: str, status: str, **more: str) -> dict[str, str]:
    return {"type": kind, "status": status, **more}


LABELS = {
    "app.kubernetes.io/managed-by": "moltghost",
    "app.kubernetes.io/name": "model-server",
    "moltghost.dev/environment": "local",
    "moltghost.dev/agent": "my-agent",
    "moltghost.dev/owner": "team-a",
}
FACTS = {
    "moltghost.dev/model": "llama3.1-70b",
    "moltghost.dev/quantization": "Q4_K_M",
    "moltghost.dev/context": "32768",
}
PRICES = {
    "moltghost.dev/usd-per-hour": "6.88",
    "moltghost.dev/node-usd-per-hour": "6.88",
}


def namespace(agent: str = "my-agent", project: str = "moltghost") -> dict[str, Any]:
    """An agent's namespace, which says whose the agent is."""
    return {
        "kind": "Namespace",
        "metadata": {
            "name": f"agent-{agent}",
            "labels": {**LABELS, "moltghost.dev/agent": agent},
            "annotations": {"moltghost.dev/project": project},
        },
    }


def deployment(
    agent: str = "my-agent", *conditions: LiveObject, spec: AgentSpec | None = None, **facts: str
) -> dict[str, Any]:
    """A model server's Deployment.

    Args:
        spec: what the agent was last applied with, by default the README's agent.
        facts: further annotations of ours.
    """
    applied = json.dumps((spec or agent_spec()).as_written(), sort_keys=True)
    annotations = {**FACTS, **PRICES, "moltghost.dev/spec": applied}
    return {
        "kind": "Deployment",
        "metadata": {
            "name": "model-server",
            "namespace": f"agent-{agent}",
            "labels": {**LABELS, "moltghost.dev/agent": agent},
            "annotations": {
                **annotations,
                **{f"moltghost.dev/{key}": value for key, value in facts.items()},
            },
        },
        "status": {"conditions": list(conditions)},
    }


def pod(
    name: str = "model-server-7d9-abcde",
    *,
    agent: str = "my-agent",
    created: str = "2026-11-22T10:00:00Z",
    node: str | None = GPU_NODE,
    leaving: bool = False,
    ready: bool = False,
    phase: str = "Pending",
    containers: Mapping[str, LiveObject] | None = None,
    unschedulable: str = "",
    facts: Mapping[str, str] | None = None,
    **status: str,
) -> dict[str, Any]:
    """A model server's pod.

    Args:
        containers: state of each container that the kubelet has reported, by name.
        unschedulable: the scheduler's message; without it the pod has a node.
        status: further fields of the status.
    """
    scheduled = (
        condition("PodScheduled", "False", reason="Unschedulable", message=unschedulable)
        if unschedulable
        else condition("PodScheduled", "True")
    )
    statuses = [{"name": key, **state} for key, state in (containers or {}).items()]
    metadata: dict[str, Any] = {
        "name": name,
        "namespace": f"agent-{agent}",
        "creationTimestamp": created,
        "labels": {**LABELS, "moltghost.dev/agent": agent},
        "annotations": {**FACTS, **(facts or {})},
    }
    if leaving:
        metadata["deletionTimestamp"] = "2026-11-22T11:00:00Z"
    return {
        "kind": "Pod",
        "metadata": metadata,
        "spec": {} if unschedulable else {"nodeName": node},
        "status": {
            "phase": phase,
            "conditions": [scheduled, condition("Ready", "True" if ready else "False")],
            "initContainerStatuses": [each for each in statuses if each["name"] != "gate"],
            "containerStatuses": [each for each in statuses if each["name"] == "gate"],
            **status,
        },
    }


def ready_pod(name: str = "model-server-7d9-abcde", **more: Any) -> dict[str, Any]:
    return pod(
        name,
        ready=True,
        phase="Running",
        containers={
            "weights": DONE,
            "ollama": RUNNING,
            "loader": RUNNING,
            "gate": RUNNING,
        },
        **more,
    )


def sharing_pod(
    node: str,
    gpus: int,
    *,
    agent: str = "other",
    owner: str = "team-a",
    apart: str = "moltghost.dev/owner",
) -> dict[str, Any]:
    """A model server that keeps others off its node by the label ``apart``."""
    made = ready_pod(node=node, agent=agent)
    made["metadata"]["labels"]["moltghost.dev/owner"] = owner
    term = {"labelSelector": {"matchExpressions": [{"key": apart, "operator": "NotIn"}]}}
    required = {"requiredDuringSchedulingIgnoredDuringExecution": [term]}
    made["spec"]["affinity"] = {"podAntiAffinity": required}
    requests = {"cpu": "5", "memory": "50Gi", "nvidia.com/gpu": str(gpus)}
    made["spec"]["containers"] = [{"name": "ollama", "resources": {"requests": requests}}]
    return made


def node(
    name: str = GPU_NODE,
    instance_type: str = "p5.4xlarge",
    *,
    simulated: bool = True,
    pool: str = "h100",
    taints: tuple[str, ...] = (),
    leaving: bool = False,
    unschedulable: bool = False,
    allocatable: Mapping[str, str] | None = None,
    ready: bool = True,
) -> dict[str, Any]:
    return {
        "kind": "Node",
        "metadata": {
            "name": name,
            "labels": {
                "node.kubernetes.io/instance-type": instance_type,
                "karpenter.sh/nodepool": pool,
            },
            "annotations": {"kwok.x-k8s.io/node": "fake"} if simulated else {},
            **({"deletionTimestamp": "2026-11-22T11:00:00Z"} if leaving else {}),
        },
        "spec": {
            "taints": [{"key": key, "effect": "NoSchedule"} for key in taints],
            **({"unschedulable": True} if unschedulable else {}),
        },
        "status": {
            "allocatable": dict(allocatable or {"cpu": "1930m", "memory": "7200Mi"}),
            "conditions": [
                condition("Ready", "True")
                if ready
                else condition("Ready", "False", message="container runtime is down")
            ],
        },
    }


def workload(
    node: str | None,
    cpu: str,
    memory: str,
    *,
    namespace: str = "agent-other",
    phase: str = "Running",
    init: tuple[LiveObject, ...] = (),
) -> dict[str, Any]:
    """A pod that requests so much; it is bound to ``node`` unless that is None."""
    return {
        "kind": "Pod",
        "metadata": {"name": "runtime-0", "namespace": namespace, "labels": {}},
        "spec": {
            "initContainers": list(init),
            "containers": [requesting(cpu, memory)],
            **({"nodeName": node} if node else {}),
        },
        "status": {"phase": phase},
    }


def requesting(cpu: str, memory: str, *, sidecar: bool = False) -> dict[str, Any]:
    """A container that requests so much."""
    return {
        "name": "openclaw",
        "resources": {"requests": {"cpu": cpu, "memory": memory}},
        **({"restartPolicy": "Always"} if sidecar else {}),
    }


def node_pool(name: str, max_nodes: int | None = 4, nodes: int | None = 0) -> dict[str, Any]:
    limits = {} if max_nodes is None else {"limits": {"nodes": str(max_nodes)}}
    status = {} if nodes is None else {"status": {"nodes": nodes}}
    return {"kind": "NodePool", "metadata": {"name": name}, "spec": limits, **status}


SINCE = {"startedAt": "2026-11-22T10:05:00Z"}
DONE: dict[str, Any] = {"state": {"terminated": {"exitCode": 0, "reason": "Completed"}}}
RUNNING: dict[str, Any] = {"started": True, "ready": True, "state": {"running": SINCE}}
STARTED_NOT_PROVEN: dict[str, Any] = {"started": False, "state": {"running": SINCE}}


def waiting(reason: str, message: str = "", last_exit_code: int | None = None) -> dict[str, Any]:
    found: dict[str, Any] = {"state": {"waiting": {"reason": reason, "message": message}}}
    if last_exit_code is not None:
        found["lastState"] = {"terminated": {"exitCode": last_exit_code}}
    return deepcopy(found)


INITIALIZING = waiting("PodInitializing")


def pool(name: str, nodes: int, max_nodes: int, *idle_types: str) -> PoolStatus:
    """A pool as Karpenter's status has it."""
    return PoolStatus(name, nodes, max_nodes, {"karpenter.sh/nodepool": name}, idle_types)
