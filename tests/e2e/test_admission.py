"""What the API server itself refuses: an agent's pod that breaks out of its plan, one rule each.

Every case takes the pod of the real Deployment, breaks one thing, and asks the server (dry run).
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable
from typing import Any

import pytest

from moltghost.kube.client import Client
from moltghost.kube.errors import ApiError
from tests.e2e.conftest import Moltghost
from tests.e2e.deployers import give_rights, kubectl_as

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

_TERM = (
    "spec",
    "affinity",
    "podAntiAffinity",
    "requiredDuringSchedulingIgnoredDuringExecution",
    0,
)
_SELF = {"key": "moltghost.dev/agent", "operator": "In", "values": ["walled"]}


def _add(*path: str | int, value: Any) -> Callable[[Pod], None]:
    """To a list, which is made where there is none."""

    def change(pod: Pod) -> None:
        target: Any = pod
        for key in path[:-1]:
            target = target[key]
        target.setdefault(path[-1], []).append(value)

    return change


def _projected(source: dict[str, Any]) -> Callable[[Pod], None]:
    volume = {"name": "identity", "projected": {"sources": [source]}}
    return _add("spec", "volumes", value=volume)


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
    "anti-affinity to pods with a label that none has": (
        "model-server",
        _set(*_TERM, "labelSelector", "matchLabels", "no", value="pod"),
        "keeps off nodes with another agent's model server",
    ),
    "anti-affinity to every pod, which is another term than ours": (
        "model-server",
        _drop(*_TERM, "labelSelector", "matchLabels"),
        "keeps off nodes with another agent's model server",
    ),
    "anti-affinity to others that are itself": (
        "model-server",
        _add(*_TERM, "labelSelector", "matchExpressions", value=_SELF),
        "keeps off nodes with another agent's model server",
    ),
    "anti-affinity to pods of another revision": (
        "model-server",
        _set(*_TERM, "mismatchLabelKeys", value=["pod-template-hash"]),
        "keeps off nodes with another agent's model server",
    ),
    "anti-affinity to pods of the same revision": (
        "model-server",
        _set(*_TERM, "matchLabelKeys", value=["pod-template-hash"]),
        "keeps off nodes with another agent's model server",
    ),
    "a name that the others don't keep away from": (
        "model-server",
        _set("metadata", "labels", "app.kubernetes.io/name", value="something"),
        "is seen by the others' anti-affinity",
    ),
    "no name at all": (
        "model-server",
        _drop("metadata", "labels", "app.kubernetes.io/name"),
        "is seen by the others' anti-affinity",
    ),
    "all devices of the node, by a variable": (
        "runtime",
        _add("spec", "containers", 0, "env", value={"name": "NVIDIA_VISIBLE_DEVICES"}),
        "no variable NVIDIA_",
    ),
    "all devices of the node, by a variable of an init container": (
        "model-server",
        _add(
            "spec",
            "initContainers",
            0,
            "env",
            value={"name": "NVIDIA_VISIBLE_DEVICES", "value": "all"},
        ),
        "no variable NVIDIA_",
    ),
    "variables from elsewhere": (
        "runtime",
        _add("spec", "containers", 0, "envFrom", value={"configMapRef": {"name": "devices"}}),
        "names each variable",
    ),
    "a device by a claim": (
        "runtime",
        _add("spec", "resourceClaims", value={"name": "gpu", "resourceClaimTemplateName": "a-gpu"}),
        "no resourceClaims",
    ),
    "a projected token": (
        "runtime",
        _projected({"serviceAccountToken": {"path": "token"}}),
        "no projected token or certificate",
    ),
    "a projected token of Pod Identity, without AWS": (
        "runtime",
        _projected({"serviceAccountToken": {"path": "t", "audience": "pods.eks.amazonaws.com"}}),
        "no projected token or certificate",
    ),
    "a piece of a GPU": (
        "runtime",
        _set("spec", "containers", 0, "resources", "limits", "nvidia.com/mig-1g.5gb", value="1"),
        "selects the instance type of the agent's plan",
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
    # Asking for one brings its toleration with it, so either wall may be the first to answer.
    with pytest.raises(ApiError, match=r"GPU(s| nodes) are for agents"):
        moltghost.cluster.client.create(pod, manager="test", dry_run=True)


OUTSIDERS: dict[str, tuple[Callable[[Pod], None], str]] = {
    "every taint tolerated": (
        _set("spec", "tolerations", value=[{"operator": "Exists"}]),
        "GPU nodes are for agents",
    ),
    "every taint of the GPU nodes' effect tolerated": (
        _set("spec", "tolerations", value=[{"operator": "Exists", "effect": "NoSchedule"}]),
        "GPU nodes are for agents",
    ),
    "the GPU taint tolerated": (
        _set("spec", "tolerations", value=[{"key": "nvidia.com/gpu", "operator": "Exists"}]),
        "GPU nodes are for agents",
    ),
    "a node by name": (_set("spec", "nodeName", value="kwok-anything"), "no nodeName"),
    "a device by a claim": (
        _add("spec", "resourceClaims", value={"name": "gpu", "resourceClaimTemplateName": "a-gpu"}),
        "claims a device",
    ),
}


def _outsider() -> Pod:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "outsider", "namespace": "default"},
        "spec": {"containers": [{"name": "main", "image": "example.invalid/nothing:1"}]},
    }


def test_a_pod_elsewhere_that_stays_off_gpu_nodes_is_admitted(moltghost: Moltghost) -> None:
    pod = _outsider()
    alive = {"operator": "Exists", "effect": "NoExecute"}
    pod["spec"]["tolerations"] = [alive, {"key": "moltghost.dev/pool", "value": "machine"}]
    moltghost.cluster.client.create(pod, manager="test", dry_run=True)


@pytest.mark.parametrize("what", OUTSIDERS)
def test_a_pod_elsewhere_finds_no_way_onto_gpu_nodes(what: str, moltghost: Moltghost) -> None:
    change, message = OUTSIDERS[what]
    pod = _outsider()
    change(pod)
    with pytest.raises(ApiError, match=message):
        moltghost.cluster.client.create(pod, manager="test", dry_run=True)


SERVICES: dict[str, tuple[dict[str, Any], str]] = {
    "another's address": ({"externalIPs": ["10.0.0.2"]}, "no externalIPs"),
    "a port of every node": ({"type": "NodePort"}, "type ClusterIP"),
    "a door to the internet": ({"type": "LoadBalancer"}, "type ClusterIP"),
    "another name": ({"type": "ExternalName", "externalName": "example.com"}, "type ClusterIP"),
}


def _service(spec: dict[str, Any]) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "door", "namespace": NAMESPACE},
        "spec": {"ports": [{"port": 80}], **spec},
    }


@pytest.mark.usefixtures("templates")
@pytest.mark.parametrize("what", SERVICES)
def test_a_service_of_an_agent_takes_no_traffic_but_its_own(
    what: str, moltghost: Moltghost
) -> None:
    spec, message = SERVICES[what]
    client = moltghost.cluster.client
    client.create(_service({}), manager="test", dry_run=True)
    with pytest.raises(ApiError, match=message):
        client.create(_service(spec), manager="test", dry_run=True)


@pytest.mark.usefixtures("templates")
def test_a_secret_in_an_agents_namespace_is_filled_with_no_accounts_token(
    moltghost: Moltghost,
) -> None:
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": "token",
            "namespace": NAMESPACE,
            "annotations": {"kubernetes.io/service-account.name": "runtime"},
        },
        "type": "kubernetes.io/service-account-token",
    }
    with pytest.raises(ApiError, match="has the type Opaque"):
        moltghost.cluster.client.create(secret, manager="test", dry_run=True)


_RESTRICTED = {
    "moltghost.dev/agent": "bare",
    "moltghost.dev/owner": "me",
    "pod-security.kubernetes.io/enforce": "restricted",
}
_PINNED = {**_RESTRICTED, "pod-security.kubernetes.io/enforce-version": "v1.36"}


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
        (_RESTRICTED, {}, "in the version v1.36"),
        (
            {**_PINNED, "pod-security.kubernetes.io/enforce-version": "v1.0"},
            {},
            "in the version v1.36",
        ),
        (_PINNED, {}, "names the pools and instance types"),
        (
            _PINNED,
            {"moltghost.dev/pools": "cpu,weights", "moltghost.dev/instance-types": ""},
            "none whose nodes reach the internet",
        ),
        (
            _PINNED,
            {"moltghost.dev/pools": "a-pool-of-others", "moltghost.dev/instance-types": ""},
            "may use the environment's pools",
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


Kubectl = Callable[..., str]
_BINDING: dict[str, Any] = {
    "apiVersion": "rbac.authorization.k8s.io/v1",
    "kind": "RoleBinding",
    "metadata": {"name": "moltghost-deployers-in-agents", "namespace": NAMESPACE},
    "roleRef": {
        "apiGroup": "rbac.authorization.k8s.io",
        "kind": "ClusterRole",
        "name": "moltghost-deployers-in-agents",
    },
    "subjects": [
        {
            "apiGroup": "rbac.authorization.k8s.io",
            "kind": "Group",
            "name": "moltghost.dev:owner:team-a",
        }
    ],
}
_PAUSED = '{"spec": {"replicas": 0}}'
_NOT_THEIRS = "changes only those of an owner whose group they are in"


@pytest.fixture(scope="module")
def people(moltghost: Moltghost, templates: dict[str, Pod]) -> dict[str, Kubectl]:
    """Deployers of two teams; the agent is team-a's, whose stack has bound the role."""
    assert templates
    cluster = moltghost.cluster
    give_rights(cluster)
    cluster.client.apply(_BINDING, manager="test")
    found = {team: kubectl_as(cluster, f"one-of-{team}", team) for team in ("team-a", "team-b")}
    deadline = time.monotonic() + 30
    # A new wall takes a moment to be asked.
    while _NOT_THEIRS not in found["team-b"]("annotate", "namespace", NAMESPACE, "a=b"):
        assert time.monotonic() < deadline, "the wall isn't asked"
        time.sleep(0.2)
    return found


CHANGES_OF_OTHERS: dict[str, tuple[str, ...]] = {
    "more pools": ("annotate", "namespace", NAMESPACE, "--overwrite", "moltghost.dev/pools=h100"),
    "the namespace away": ("delete", "namespace", NAMESPACE),
    "the quota away": ("delete", "-n", NAMESPACE, "resourcequota", "agent"),
    "the limits away": ("delete", "-n", NAMESPACE, "limitrange", "agent"),
    "a network policy away": ("delete", "-n", NAMESPACE, "networkpolicy", "default-deny"),
    "a server paused": ("patch", "-n", NAMESPACE, "deployment", "runtime", "-p", _PAUSED),
    "a secret more": ("create", "-n", NAMESPACE, "secret", "generic", "x", "--from-literal=a=b"),
}


@pytest.mark.parametrize("what", CHANGES_OF_OTHERS)
def test_a_deployer_changes_nothing_of_another_owners_agent(
    what: str, people: dict[str, Kubectl]
) -> None:
    arguments = (*CHANGES_OF_OTHERS[what], "--dry-run=server")
    assert _NOT_THEIRS in people["team-b"](*arguments)
    assert _NOT_THEIRS not in people["team-a"](*arguments)


def test_an_agent_is_neither_taken_from_its_owner_nor_given_away(
    people: dict[str, Kubectl],
) -> None:
    label = ("label", "namespace", NAMESPACE, "--overwrite", "moltghost.dev/owner=team-b")
    for team in people.values():
        assert _NOT_THEIRS in team(*label, "--dry-run=server")


def test_a_deployer_lets_themselves_into_no_other_owners_agent(
    people: dict[str, Kubectl],
) -> None:
    mine = copy.deepcopy(_BINDING)
    mine["metadata"]["name"] = "in"
    mine["subjects"][0]["name"] = "moltghost.dev:owner:team-b"
    create = ("create", "--dry-run=server", "-f-")
    assert _NOT_THEIRS in people["team-b"](*create, given=mine)
    # Its own people let nobody else in either.
    assert "to its owner's group and to nobody else" in people["team-a"](*create, given=mine)
    mine["subjects"] = [{"kind": "ServiceAccount", "name": "default", "namespace": "default"}]
    assert "to its owner's group and to nobody else" in people["team-a"](*create, given=mine)


def test_secrets_and_logs_are_for_the_agents_owner_alone(people: dict[str, Kubectl]) -> None:
    ours, theirs = people["team-a"], people["team-b"]
    secrets = ours("get", "secrets", "-n", NAMESPACE, "-o", "name").split()
    assert len(secrets) == 2
    assert "forbidden" not in ours("get", "-n", NAMESPACE, secrets[0])
    assert "forbidden" in theirs("get", "-n", NAMESPACE, secrets[0])
    for what in (
        ("get", "pods", "--subresource=log"),
        ("create", "pods", "--subresource=portforward"),
    ):
        assert ours("auth", "can-i", *what, "-n", NAMESPACE) == "yes\n"
        assert theirs("auth", "can-i", *what, "-n", NAMESPACE) == "no\n"
        assert ours("auth", "can-i", *what, "-n", "kube-system") == "no\n"
    for team in people.values():
        assert "forbidden" in team("get", "secret", "anything", "-n", "kube-system")


def test_a_deployer_makes_a_namespace_for_their_own_owner_alone(
    people: dict[str, Kubectl],
) -> None:
    space = {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {
            "name": "agent-bare",
            "labels": {**_PINNED, "moltghost.dev/owner": "team-a"},
            "annotations": {"moltghost.dev/pools": "cpu", "moltghost.dev/instance-types": ""},
        },
    }
    create = ("create", "--dry-run=server", "-f-")
    assert "created" in people["team-a"](*create, given=space)
    assert _NOT_THEIRS in people["team-b"](*create, given=space)


@pytest.mark.parametrize("what", SERVICES)
def test_a_deployers_service_takes_no_others_traffic(what: str, people: dict[str, Kubectl]) -> None:
    spec, message = SERVICES[what]
    said = people["team-a"]("create", "--dry-run=server", "-f-", given=_service(spec))
    assert message in said


def test_a_field_that_kubernetes_does_not_know_is_an_error(
    moltghost: Moltghost, templates: dict[str, Pod]
) -> None:
    pod = copy.deepcopy(templates["runtime"])
    pod["spec"]["containers"][0]["securityContex"] = {}
    with pytest.raises(ApiError, match="securityContex"):
        moltghost.cluster.client.create(pod, manager="test", dry_run=True)
