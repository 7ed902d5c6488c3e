"""What holds for every object of every component."""

from __future__ import annotations

import re

from tests.components.cases import LONG_NAME, agent_objects, everything, kubernetes_objects, pods
from tests.wire import knows, problems

CLUSTER_WIDE = {
    "KWOKNodeClass",
    "Namespace",
    "NodePool",
    "PriorityClass",
    "StorageClass",
    "ValidatingAdmissionPolicy",
    "ValidatingAdmissionPolicyBinding",
}
IN_A_NAMESPACE = {
    "ConfigMap",
    "Deployment",
    "LimitRange",
    "NetworkPolicy",
    "PersistentVolumeClaim",
    "PodDisruptionBudget",
    "ResourceQuota",
    "Secret",
    "Service",
    "ServiceAccount",
}
DNS_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
LABEL_VALUE = re.compile(r"([A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?)?")


def test_the_cases_have_every_kind_of_object_in_them() -> None:
    assert {each.kind for _, each in kubernetes_objects()} == CLUSTER_WIDE | IN_A_NAMESPACE


def test_every_object_says_who_manages_it_and_in_which_environment() -> None:
    for where, resource in kubernetes_objects():
        labels = resource.inputs["metadata"]["labels"]
        assert labels["app.kubernetes.io/managed-by"] == "moltghost", where
        assert labels["moltghost.dev/environment"] == "local", where


def test_every_object_of_an_agent_names_agent_and_owner() -> None:
    for where, resource in agent_objects():
        labels = resource.inputs["metadata"]["labels"]
        agent = LONG_NAME if where.startswith("long/") else "my-agent"
        owner = "team-b" if where.startswith("shared/") else "team-a"
        assert labels["moltghost.dev/agent"] == agent, where
        assert labels["moltghost.dev/owner"] == owner, where


def test_every_pod_carries_the_labels_of_its_agent() -> None:
    for where, pod in pods():
        assert set(pod["metadata"]["labels"]) >= {
            "app.kubernetes.io/managed-by",
            "app.kubernetes.io/name",
            "moltghost.dev/environment",
            "moltghost.dev/agent",
            "moltghost.dev/owner",
        }, where


def test_every_object_has_a_fixed_name_that_kubernetes_takes() -> None:
    for where, resource in kubernetes_objects():
        assert DNS_LABEL.fullmatch(resource.object_name), where


def test_every_label_is_valid() -> None:
    for where, resource in kubernetes_objects():
        for key, value in resource.inputs["metadata"]["labels"].items():
            assert LABEL_VALUE.fullmatch(value), f"{where} {key}"


def test_every_object_is_where_it_belongs() -> None:
    for where, resource in kubernetes_objects():
        metadata = resource.inputs["metadata"]
        if resource.kind in CLUSTER_WIDE:
            assert "namespace" not in metadata, where
        else:
            agent = metadata["labels"].get("moltghost.dev/agent")
            space = f"agent-{agent}" if agent else "moltghost-weights"
            assert metadata["namespace"] == space, where


def test_no_two_objects_of_an_agent_have_the_same_kind_and_name() -> None:
    names = [
        (where.partition("/")[0], each.kind, each.object_name)
        for where, each in kubernetes_objects()
    ]
    assert len(names) == len(set(names))


def test_what_goes_over_the_wire_is_what_the_sdk_knows() -> None:
    unknown = set()
    for where, resource in kubernetes_objects():
        if knows(resource.type):
            assert problems(resource.type, resource.inputs) == [], where
        else:
            unknown.add(resource.kind)
    assert unknown == {"NodePool", "KWOKNodeClass"}, "only custom resources are not in the SDK"


def test_a_field_that_the_sdk_does_not_know_would_be_found() -> None:
    deployment = next(each for _, each in kubernetes_objects() if each.kind == "Deployment")
    spec = deployment.inputs["spec"]
    pod = {**spec["template"], "spec": {**spec["template"]["spec"], "securityContex": {}}}
    broken = {**deployment.inputs, "spec": {**spec, "template": pod}}
    assert problems(deployment.type, broken) == [
        "spec.template.spec.securityContex: no such field of PodSpecArgs"
    ]


def test_random_resources_too_are_what_their_sdk_knows() -> None:
    found = [each for _, each in everything() if each.type.startswith("random:")]
    assert found
    for resource in found:
        # The mock adds the result, which is an output.
        inputs = {key: value for key, value in resource.inputs.items() if key != "result"}
        assert problems(resource.type, inputs) == []


def test_services_are_reachable_in_the_cluster_only() -> None:
    services = [each for _, each in kubernetes_objects() if each.kind == "Service"]
    assert services
    for service in services:
        assert service.inputs["spec"]["type"] == "ClusterIP"
        assert not {"externalIPs", "loadBalancerIP", "externalName"} & set(service.inputs["spec"])


def test_every_service_finds_its_port_in_the_one_pod_that_it_selects() -> None:
    for where, service in agent_objects():
        if service.kind != "Service":
            continue
        case = where.partition("/")[0]
        selector = service.inputs["spec"]["selector"].items()
        [pod] = [
            each
            for place, each in pods()
            if place.startswith(f"{case}/") and selector <= each["metadata"]["labels"].items()
        ]
        names = {
            port["name"]
            for container in pod["spec"]["containers"]
            for port in container.get("ports", ())
        }
        assert {port["targetPort"] for port in service.inputs["spec"]["ports"]} <= names, where
