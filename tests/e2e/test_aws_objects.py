"""The Kubernetes objects of environments on AWS, before a real API server with Karpenter's
definitions for AWS: strict validation, CEL rules, Pod Security and our own admission policies.

Nodes and pools of AWS need AWS; what can be had here is the schema, and Karpenter with simulated
nodes for the way down.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from moltghost.kube.client import Client
from moltghost.kube.draining import drain_pools
from moltghost.kube.errors import ApiError
from moltghost.progress import Event
from tests.components.aws_stacks import declared
from tests.e2e.aws_definitions import definitions
from tests.e2e.cluster_fixture import RunningCluster
from tests.e2e.deployers import give_rights, kubectl_as
from tests.wire import whole

pytestmark = pytest.mark.e2e

MANAGER = "test"
CASES = ["platform.dev", "platform.prod", "agent"]
NAMESPACES = {"moltghost-system", "moltghost-weights", "agent-my-agent"}
_PATIENCE_SECONDS = 60


def objects(case: str) -> list[dict[str, Any]]:
    """What a stack declares for the cluster, releases of charts apart."""
    found = [whole(each.inputs) for each in declared(case) if each.token.startswith("kubernetes:")]
    plain = [each for each in found if "apiVersion" in each and "chart" not in each]
    assert len(plain) > 10
    return plain


def until(look: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while not (found := look()):
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.2)
    return found


@pytest.fixture(scope="module")
def warnings() -> list[str]:
    return []


@pytest.fixture(scope="module")
def client(running_cluster: RunningCluster, warnings: list[str]) -> Iterator[Client]:
    """A client of a cluster that knows what Karpenter for AWS knows, with our namespaces."""
    found = Client(running_cluster.status.kubeconfig, on_warning=warnings.append)
    for definition in definitions():
        found.apply(definition, manager=MANAGER)
    until(lambda: _served(found))
    for case in CASES:
        for each in objects(case):
            if each["kind"] == "Namespace":
                found.apply(each, manager=MANAGER)
    warnings.clear()
    yield found
    found.close()


def _served(client: Client) -> bool:
    # The definitions of NodePool and NodeClaim were there; the new one is served a moment later.
    try:
        return client.list("karpenter.k8s.aws/v1", "EC2NodeClass") == []
    except Exception:  # not yet
        return False


@pytest.mark.parametrize("case", CASES)
def test_every_object_is_accepted_without_an_error_or_a_warning(
    client: Client, warnings: list[str], case: str
) -> None:
    warnings.clear()
    refused = []
    for each in objects(case):
        if each["kind"] == "Namespace":
            assert each["metadata"]["name"] in NAMESPACES
            continue
        try:
            client.create(each, manager=MANAGER, dry_run=True)
        except ApiError as error:
            refused.append(f"{each['kind']} {each['metadata'].get('name')}: {error.message}")
    assert refused == []
    assert warnings == []


def test_every_pool_has_a_node_class_that_it_names() -> None:
    for case in ("platform.dev", "platform.prod"):
        kinds = [(each["kind"], each) for each in objects(case)]
        classes = {each["metadata"]["name"] for kind, each in kinds if kind == "EC2NodeClass"}
        named = {
            each["spec"]["template"]["spec"]["nodeClassRef"]["name"]
            for kind, each in kinds
            if kind == "NodePool"
        }
        assert named == classes
        assert named


def _node_class() -> dict[str, Any]:
    (found,) = (
        each
        for each in objects("platform.prod")
        if each["kind"] == "EC2NodeClass" and each["metadata"]["name"] == "h100"
    )
    return copy.deepcopy(found)


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        (("spec", "bogus"), 1, 'unknown field "spec.bogus"'),
        (("spec", "instanceStorePolicy"), "RAID1", "supported values"),
        (("spec", "role"), "moltghost", "role"),
        (("spec", "amiSelectorTerms"), [{"alias": "al2023"}], "alias"),
        (("spec", "metadataOptions", "httpPutResponseHopLimit"), 0, "greater than or equal to 1"),
        (("spec", "tags", "kubernetes.io/cluster/x"), "owned", "tag"),
        (("spec", "subnetSelectorTerms"), [], "subnetSelectorTerms"),
    ],
    ids=lambda value: ".".join(value) if isinstance(value, tuple) else None,
)
def test_a_node_class_with_a_slip_is_refused(
    client: Client, path: tuple[str, ...], value: Any, said: str
) -> None:
    broken = _node_class()
    target = broken
    for key in path[:-1]:
        target = target[key]
    target[path[-1]] = value
    with pytest.raises(ApiError, match=said):
        client.create(broken, manager=MANAGER, dry_run=True)


@pytest.fixture
def deployer(client: Client, running_cluster: RunningCluster) -> Callable[..., str]:
    """kubectl as somebody who deploys team-a's agents, with what the platform gives them."""
    assert client.get("v1", "Namespace", "agent-my-agent")
    give_rights(running_cluster)
    return kubectl_as(running_cluster, "somebody", "team-a")


def test_a_deployer_lists_secrets_where_an_agents_stack_lets_it_and_lets_itself_in_nowhere_else(
    deployer: Callable[..., str],
) -> None:
    (binding,) = (each for each in objects("agent") if each["kind"] == "RoleBinding")
    elsewhere = copy.deepcopy(binding)
    elsewhere["metadata"]["namespace"] = "kube-system"
    # The wall takes a moment to be asked.
    until(lambda: "agent-NAME" in deployer("create", "--dry-run=server", "-f-", given=elsewhere))
    assert "agent-NAME" in deployer("create", "-f-", given=elsewhere)
    other = copy.deepcopy(binding)
    other["metadata"]["name"], other["roleRef"]["name"] = "admins", "cluster-admin"
    assert "attempting to grant RBAC permissions not currently held" in deployer(
        "create", "-f-", given=other
    )

    assert "forbidden" in deployer("get", "secrets", "-n", "agent-my-agent")
    assert "created" in deployer("create", "-f-", given=binding)
    until(lambda: "No resources found" in deployer("get", "secrets", "-n", "agent-my-agent"))
    assert "forbidden" in deployer("get", "secrets", "-n", "kube-system")
    reach = ("auth", "can-i", "create", "pods", "--subresource", "portforward", "-n")
    assert deployer(*reach, "agent-my-agent") == "yes\n"
    assert deployer(*reach, "kube-system") == "no\n"


def test_the_way_down_gives_back_every_node_of_a_pool(client: Client) -> None:
    labels = {"app.kubernetes.io/managed-by": "moltghost"}
    kwok = {"group": "karpenter.kwok.sh", "kind": "KWOKNodeClass", "name": "way-down"}
    (declared_pool,) = (
        copy.deepcopy(each)
        for each in objects("platform.prod")
        if each["kind"] == "NodePool" and each["metadata"]["name"] == "cpu"
    )
    spec = declared_pool["spec"]["template"]["spec"]
    spec["nodeClassRef"] = kwok
    spec["requirements"] = [each for each in spec["requirements"] if "zone" not in each["key"]]
    client.apply(
        {
            "apiVersion": "karpenter.kwok.sh/v1alpha1",
            "kind": "KWOKNodeClass",
            "metadata": {"name": "way-down"},
        },
        manager=MANAGER,
    )
    client.apply(declared_pool, manager=MANAGER)
    client.apply(_pod(), manager=MANAGER)
    # Simulated nodes are taken back only once Karpenter has registered them.
    until(
        lambda: [
            each
            for each in client.list("karpenter.sh/v1", "NodeClaim")
            if each.get("status", {}).get("nodeName")
        ]
    )

    events: list[Event] = []
    nodes = drain_pools(client, events.append, timeout_seconds=120)

    assert len(nodes) == 1
    assert client.list("karpenter.sh/v1", "NodePool", labels=labels) == []
    assert client.list("karpenter.sh/v1", "NodeClaim") == []
    # The claim is gone when the machine is; its Node object follows.
    until(lambda: not client.list("v1", "Node", labels={"karpenter.sh/nodepool": "cpu"}))
    assert events[-1].detail == "1 nodes given back"
    assert drain_pools(client, events.append, timeout_seconds=1) == []


def _pod() -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "way-down", "namespace": "default"},
        "spec": {
            "nodeSelector": {"karpenter.sh/nodepool": "cpu"},
            "automountServiceAccountToken": False,
            "terminationGracePeriodSeconds": 1,
            "containers": [
                {
                    "name": "main",
                    "image": "example.invalid/nothing:1",
                    "resources": {"requests": {"cpu": "1"}},
                }
            ],
        },
    }
