"""What deployers may do in the cluster, held against what deploying an agent asks of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.components.aws_stacks import Declared, by_type, declared, needs_all

RBAC = "kubernetes:rbac.authorization.k8s.io/v1"
# Pulumi's provider creates and applies, and waits for a deletion by an informer of the kind.
CHANGED = ("get", "create", "patch", "delete", "list", "watch")
SEEN = ("get", "list", "watch")
# What it looks at beside the object itself: provider/pkg/await of pulumi-kubernetes.
AWAITED = {
    "Deployment": [("apps", "replicasets"), ("", "pods"), ("", "persistentvolumeclaims")],
    "PersistentVolumeClaim": [("storage.k8s.io", "storageclasses")],
}


def rules(namespace: str) -> Iterator[dict[str, Any]]:
    """Rules that hold in a namespace: of all, and of what an agent's stack binds in its own."""
    roles = {
        each.inputs["metadata"]["name"]: each.inputs["rules"]
        for each in by_type("platform.prod", f"{RBAC}:ClusterRole")
    }
    bound = by_type("platform.prod", f"{RBAC}:ClusterRoleBinding")
    bound += [
        each
        for each in by_type("agent", f"{RBAC}:RoleBinding")
        if each.inputs["metadata"]["namespace"] == namespace
    ]
    for each in bound:
        if {"moltghost.dev:deployers", "moltghost.dev:owner:team-a"} & {
            who["name"] for who in each.inputs["subjects"]
        }:
            yield from roles[each.inputs["roleRef"]["name"]]


def may(verb: str, group: str, resource: str, namespace: str = "agent-my-agent") -> bool:
    return any(
        verb in each["verbs"]
        and group in each["apiGroups"]
        and resource in each["resources"]
        and not each.get("resourceNames")
        for each in rules(namespace)
    )


def place(each: Declared) -> tuple[str, str]:
    """API group and plural of an object's kind."""
    version = each.token.split(":")[1]
    group = version.rpartition("/")[0]
    kind = each.resource.kind.lower()
    plural = f"{kind[:-1]}ies" if kind.endswith("y") else f"{kind}s"
    return ("" if group == "core" else group), plural


OBJECTS = [
    pytest.param(each, id=f"{each.resource.kind}/{each.name}")
    for each in declared("agent")
    if each.token.startswith("kubernetes:")
]


@pytest.mark.parametrize("each", OBJECTS)
def test_a_deployer_may_do_with_an_object_of_an_agent_what_the_provider_does(
    each: Declared,
) -> None:
    assert [verb for verb in CHANGED if not may(verb, *place(each))] == []
    for group, resource in AWAITED.get(each.resource.kind, ()):
        assert [verb for verb in SEEN if not may(verb, group, resource)] == []
    assert may("list", "", "events") and may("watch", "", "events")


def test_the_wall_stands_around_every_kind_that_a_deployer_changes() -> None:
    (wall,) = [
        each
        for each in by_type(
            "platform.prod", "kubernetes:admissionregistration.k8s.io/v1:ValidatingAdmissionPolicy"
        )
        if each.name == "deployers-wall"
    ]
    (held,) = wall.inputs["spec"]["matchConstraints"]["resourceRules"]
    assert held["operations"] == ["CREATE", "UPDATE", "DELETE"]
    changing = [each for each in rules("kube-system") if {"create", "delete"} & {*each["verbs"]}]
    assert {group for each in changing for group in each["apiGroups"]} == set(held["apiGroups"])
    assert {what for each in changing for what in each["resources"]} == set(held["resources"])


def test_secrets_and_logs_are_read_and_pods_reached_in_the_namespaces_of_agents_alone() -> None:
    for verb in ("get", "list", "watch"):
        assert may(verb, "", "secrets")
        assert not may(verb, "", "secrets", "kube-system")
    assert may("get", "", "pods/log")
    assert not may("get", "", "pods/log", "kube-system")
    assert may("create", "", "pods/portforward")
    assert not may("create", "", "pods/portforward", "kube-system")
    assert not may("create", "batch", "jobs")  # weights are the admins' business
    bindable = [each for each in rules("kube-system") if "bind" in each["verbs"]]
    assert [each["resourceNames"] for each in bindable] == [["moltghost-deployers-in-agents"]]


def test_what_sees_a_secret_end_stands_from_before_it_is_made_until_it_is_gone() -> None:
    (binding,) = by_type("agent", f"{RBAC}:RoleBinding")
    for secret in by_type("agent", "kubernetes:core/v1:Secret"):
        assert binding.urn in needs_all("agent", secret)
