"""What the API server itself refuses: an agent's pod that breaks out of its plan, one rule each.

Every case takes the pod of the real Deployment, breaks one thing, and asks the server (dry run).
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

from moltghost.kube.client import Client
from moltghost.kube.errors import ApiError
from tests.e2e.conftest import Moltghost

pytestmark = pytest.mark.e2e

Pod = dict[str, Any]
NAMESPACE = "agent-walled"


@pytest.fixture(scope="module")
def templates(moltghost: Moltghost) -> dict[str, Pod]:
    """Pods as the Deployments of a real agent would make them."""
    moltghost.deploy("walled", "llama3.1-8b-q4")
    found = {}
    for item in moltghost.cluster.client.list("apps/v1", "Deployment", namespace=NAMESPACE):
        template = item["spec"]["template"]
        name = item["metadata"]["name"]
        found[name] = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {**template["metadata"], "name": f"try-{name}", "namespace": NAMESPACE},
            "spec": template["spec"],
        }
    assert set(found) == {"model-server", "runtime"}
    return found


def test_the_pods_of_an_agent_are_admitted_without_a_warning(
    moltghost: Moltghost, templates: dict[str, Pod]
) -> None:
    said: list[str] = []
    client = Client(moltghost.cluster.status.kubeconfig, on_warning=said.append)
    # The quota has room for one more model server: that of an update.
    for pod in templates.values():
        client.create(pod, manager="test", dry_run=True)
    client.close()
    assert said == []


def _set(*path: str | int, value: Any) -> Callable[[Pod], None]:
    def change(pod: Pod) -> None:
        target: Any = pod
        for key in path[:-1]:
            target = target[key]
        target[path[-1]] = value

    return change


def _drop(*path: str | int) -> Callable[[Pod], None]:
    def change(pod: Pod) -> None:
        target: Any = pod
        for key in path[:-1]:
            target = target[key]
        del target[path[-1]]

    return change


_OTHER_GPU_TYPE = {
    "karpenter.sh/nodepool": "l40s",
    "node.kubernetes.io/instance-type": "g6e.48xlarge",
}

BREAKS: dict[str, tuple[str, Callable[[Pod], None], str]] = {
    "another pool": (
        "model-server",
        _set("spec", "nodeSelector", "karpenter.sh/nodepool", value="h100"),
        "selects a pool of the agent's plan",
    ),
    "no pool": ("model-server", _drop("spec", "nodeSelector"), "selects a pool"),
    "another instance type": (
        "model-server",
        _set("spec", "nodeSelector", value=_OTHER_GPU_TYPE),
        "selects the instance type of the agent's plan",
    ),
    "no anti-affinity": (
        "model-server",
        _drop("spec", "affinity", "podAntiAffinity"),
        "keeps off nodes with another agent's model server",
    ),
    "anti-affinity in its own namespace only": (
        "model-server",
        _drop(
            "spec",
            "affinity",
            "podAntiAffinity",
            "requiredDuringSchedulingIgnoredDuringExecution",
            0,
            "namespaceSelector",
        ),
        "keeps off nodes with another agent's model server",
    ),
    "anti-affinity against itself": (
        "model-server",
        _set(
            "spec",
            "affinity",
            "podAntiAffinity",
            "requiredDuringSchedulingIgnoredDuringExecution",
            0,
            "labelSelector",
            "matchExpressions",
            0,
            "values",
            value=["somebody-else"],
        ),
        "keeps off nodes with another agent's model server",
    ),
    "every taint tolerated": (
        "model-server",
        _set("spec", "tolerations", value=[{"operator": "Exists"}]),
        "tolerates the GPU taint only",
    ),
    "the runtime on GPU nodes": (
        "runtime",
        _set("spec", "tolerations", value=[{"key": "nvidia.com/gpu", "operator": "Exists"}]),
        "tolerates the GPU taint only",
    ),
    "a node by name": (
        "runtime",
        _set("spec", "nodeName", value="kwok-anything"),
        "placed by the scheduler",
    ),
    "a node affinity": (
        "runtime",
        _set("spec", "affinity", value={"nodeAffinity": {}}),
        "names its nodes by nodeSelector",
    ),
    "a system priority": (
        "runtime",
        _set("spec", "priorityClassName", value="system-cluster-critical"),
        "priority class",
    ),
    "a service account token": (
        "runtime",
        _set("spec", "automountServiceAccountToken", value=True),
        "has no service account token",
    ),
    "another agent's label": (
        "runtime",
        _set("metadata", "labels", "moltghost.dev/agent", value="somebody-else"),
        "carries the namespace's agent and owner labels",
    ),
    "another owner's label": (
        "model-server",
        _set("metadata", "labels", "moltghost.dev/owner", value="somebody-else"),
        "carries the namespace's agent and owner labels",
    ),
    "root": (
        "runtime",
        _set("spec", "securityContext", "runAsUser", value=0),
        "violates PodSecurity",
    ),
    "a host path": (
        "runtime",
        _set("spec", "volumes", 0, value={"name": "state", "hostPath": {"path": "/"}}),
        "violates PodSecurity",
    ),
    "more memory than its share": (
        "runtime",
        _set("spec", "containers", 0, "resources", "limits", "memory", value="900Gi"),
        "maximum memory usage per Container",
    ),
}


@pytest.mark.parametrize("what", BREAKS)
def test_a_pod_that_leaves_the_plan_is_refused_with_the_rule_named(
    what: str, moltghost: Moltghost, templates: dict[str, Pod]
) -> None:
    source, change, message = BREAKS[what]
    pod = copy.deepcopy(templates[source])
    change(pod)
    with pytest.raises(ApiError, match=message):
        moltghost.cluster.client.create(pod, manager="test", dry_run=True)


def test_a_third_model_server_is_more_than_the_quota_of_an_update_allows(
    moltghost: Moltghost, templates: dict[str, Pod]
) -> None:
    pod = copy.deepcopy(templates["model-server"])
    pod["spec"]["initContainers"][1]["resources"]["requests"]["nvidia.com/gpu"] = "2"
    pod["spec"]["initContainers"][1]["resources"]["limits"]["nvidia.com/gpu"] = "2"
    with pytest.raises(ApiError, match="exceeded quota: agent"):
        moltghost.cluster.client.create(pod, manager="test", dry_run=True)


def test_nobody_but_an_agent_may_ask_for_a_gpu(
    moltghost: Moltghost, templates: dict[str, Pod]
) -> None:
    pod = copy.deepcopy(templates["model-server"])
    pod["metadata"]["namespace"] = "default"
    pod["spec"]["serviceAccountName"] = "default"
    with pytest.raises(ApiError, match="GPUs are for agents"):
        moltghost.cluster.client.create(pod, manager="test", dry_run=True)


@pytest.mark.parametrize(
    ("labels", "annotations", "message"),
    [
        ({}, {}, "carries the label moltghost.dev/agent=NAME"),
        ({"moltghost.dev/agent": "other"}, {}, "carries the label moltghost.dev/agent=NAME"),
        ({"moltghost.dev/agent": "bare"}, {}, "names its owner"),
        (
            {"moltghost.dev/agent": "bare", "moltghost.dev/owner": "me"},
            {},
            "enforces Pod Security 'restricted'",
        ),
        (
            {
                "moltghost.dev/agent": "bare",
                "moltghost.dev/owner": "me",
                "pod-security.kubernetes.io/enforce": "restricted",
            },
            {},
            "names the pools and instance types",
        ),
    ],
)
def test_a_namespace_that_calls_itself_an_agents_has_an_agents_walls(
    moltghost: Moltghost, labels: dict[str, str], annotations: dict[str, str], message: str
) -> None:
    namespace = {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": "agent-bare", "labels": labels, "annotations": annotations},
    }
    with pytest.raises(ApiError, match=message):
        moltghost.cluster.client.create(namespace, manager="test", dry_run=True)


def test_a_field_that_kubernetes_does_not_know_is_an_error(
    moltghost: Moltghost, templates: dict[str, Pod]
) -> None:
    pod = copy.deepcopy(templates["runtime"])
    pod["spec"]["containers"][0]["securityContex"] = {}
    with pytest.raises(ApiError, match="securityContex"):
        moltghost.cluster.client.create(pod, manager="test", dry_run=True)
