"""The platform layer on AWS: policies before CoreDNS, pools as in `local`, pods that can start."""

from __future__ import annotations

import json
from typing import Any

import pytest

from moltghost.planning.pools import gpu_labels
from tests.components.aws_stacks import Declared, by_type, declared, needs_all
from tests.network import Endpoint, allowed
from tests.rendering import render
from tests.wire import knows, problems

PLATFORMS = ["platform.dev", "platform.prod"]
NODE_POOL = "kubernetes:karpenter.sh/v1:NodePool"
NODE_CLASS = "kubernetes:karpenter.k8s.aws/v1:EC2NodeClass"
KUBERNETES = [
    pytest.param(each, id=f"{case}/{each.resource.kind}/{each.name}")
    for case in (*PLATFORMS, "agent")
    for each in declared(case)
    if each.token.startswith("kubernetes:") and knows(each.token)
]
# Pods of add-ons and releases that aren't on the host's network: labels as their makers give.
SYSTEM_PODS = {
    "coredns": Endpoint("coredns", "kube-system", {"k8s-app": "kube-dns"}),
    "metrics-server": Endpoint(
        "metrics-server", "kube-system", {"app.kubernetes.io/name": "metrics-server"}
    ),
    "ebs-csi-controller": Endpoint(
        "ebs-csi-controller", "kube-system", {"app": "ebs-csi-controller"}
    ),
    "ebs-csi-node": Endpoint("ebs-csi-node", "kube-system", {"app": "ebs-csi-node"}),
    "karpenter": Endpoint("karpenter", "kube-system", {"app.kubernetes.io/name": "karpenter"}),
    "device-plugin": Endpoint(
        "device-plugin", "moltghost-system", {"app.kubernetes.io/name": "nvidia-device-plugin"}
    ),
    "dcgm": Endpoint("dcgm", "moltghost-system", {"app.kubernetes.io/name": "dcgm-exporter"}),
}


@pytest.mark.parametrize("each", KUBERNETES)
def test_every_input_is_one_that_the_sdk_has(each: Declared) -> None:
    assert problems(each.token, each.inputs) == []


@pytest.mark.parametrize("case", PLATFORMS)
def test_policies_stand_before_core_dns_and_the_other_add_ons(case: str) -> None:
    policies = {each.urn for each in by_type(case, "kubernetes:networking.k8s.io/v1:NetworkPolicy")}
    addons = by_type(case, "aws:eks/addon:Addon")
    assert {each.inputs["addonName"] for each in addons} == {
        "coredns",
        "aws-ebs-csi-driver",
        "metrics-server",
    }
    for addon in addons:
        assert policies <= needs_all(case, addon)


@pytest.mark.parametrize("case", PLATFORMS)
def test_karpenter_comes_after_core_dns_and_pools_after_their_node_class(case: str) -> None:
    addons = {each.urn for each in by_type(case, "aws:eks/addon:Addon")}
    releases = {each.name: each for each in by_type(case, "kubernetes:helm.sh/v3:Release")}
    assert addons <= needs_all(case, releases["karpenter"])
    assert releases["karpenter-crd"].urn in needs_all(case, releases["karpenter"])
    assert releases["karpenter"].inputs["skipCrds"] is True
    assert all(each.inputs["version"] == "1.15.0" for each in releases.values())
    classes = {each.inputs["metadata"]["name"]: each for each in by_type(case, NODE_CLASS)}
    for pool in by_type(case, NODE_POOL):
        before = needs_all(case, pool)
        assert {classes[pool.inputs["metadata"]["name"]].urn, releases["karpenter"].urn} <= before


def test_pools_are_those_of_local_but_for_node_class_and_zones() -> None:
    local = {
        each.object_name: each.inputs for each in render("platform.local") if each.type == NODE_POOL
    }
    prod = {
        each.inputs["metadata"]["name"]: each.inputs for each in by_type("platform.prod", NODE_POOL)
    }
    assert local.keys() == prod.keys()
    for name in local:
        ours, theirs = _comparable(prod[name]), _comparable(local[name])
        assert ours == theirs, name


def _comparable(pool: dict[str, Any]) -> str:
    text = json.loads(json.dumps(pool))
    for labels in (text["metadata"]["labels"], text["spec"]["template"]["metadata"]["labels"]):
        del labels["moltghost.dev/environment"]
    spec = text["spec"]["template"]["spec"]
    spec["nodeClassRef"] = None
    spec["requirements"] = [r for r in spec["requirements"] if "zone" not in r["key"]]
    return json.dumps(text, sort_keys=True)


def test_each_pool_has_a_node_class_with_nvme_where_its_types_have_it() -> None:
    classes = {
        e.inputs["metadata"]["name"]: e.inputs["spec"] for e in by_type("platform.prod", NODE_CLASS)
    }
    raid = {name for name, spec in classes.items() if spec.get("instanceStorePolicy") == "RAID0"}
    assert raid == {"l40s", "a100-40", "a100-80", "h100", "weights"}
    for spec in classes.values():
        assert spec["metadataOptions"]["httpPutResponseHopLimit"] == 1
        assert spec["metadataOptions"]["httpTokens"] == "required"
        assert spec["associatePublicIPAddress"] is False
        (alias,) = (term["alias"] for term in spec["amiSelectorTerms"])
        assert alias.startswith("al2023@v2")
        for mapping in spec["blockDeviceMappings"]:
            assert mapping["ebs"]["encrypted"] is True
            assert mapping["ebs"]["kmsKeyID"]
        assert "userData" not in spec


def test_only_the_jobs_that_fill_the_store_run_where_the_internet_is() -> None:
    classes = {
        e.inputs["metadata"]["name"]: e.inputs["spec"] for e in by_type("platform.prod", NODE_CLASS)
    }
    tiers = {
        name: spec["subnetSelectorTerms"][0]["tags"]["moltghost.dev/tier"]
        for name, spec in classes.items()
    }
    assert {name for name, tier in tiers.items() if tier == "private"} == {"weights"}


def _policies(case: str = "platform.prod") -> list[dict[str, Any]]:
    return [e.inputs for e in by_type(case, "kubernetes:networking.k8s.io/v1:NetworkPolicy")]


@pytest.mark.parametrize("pod", SYSTEM_PODS.values(), ids=SYSTEM_PODS)
def test_every_system_pod_is_selected_in_both_directions(pod: Endpoint) -> None:
    stranger = Endpoint("stranger", address="203.0.113.1")
    other = Endpoint("other", "agent-x", {"app.kubernetes.io/name": "runtime"})
    selecting = [
        each
        for each in _policies()
        if each["metadata"]["namespace"] == pod.namespace
        and each["spec"]["podSelector"].get("matchLabels", {}).items() <= pod.labels.items()
    ]
    assert selecting
    assert all(set(each["spec"]["policyTypes"]) == {"Ingress", "Egress"} for each in selecting)
    assert not allowed(_policies(), stranger, pod, 9999)
    assert not allowed(_policies(), pod, other, 9999)


def test_system_pods_reach_what_they_need() -> None:
    api = Endpoint("api", address="172.20.0.1")
    resolver = Endpoint("resolver", address="10.40.0.2")
    identity = Endpoint("identity", address="169.254.170.23")
    metadata = Endpoint("metadata", address="169.254.169.254")
    policies = _policies()
    dns = SYSTEM_PODS["coredns"]
    agent = Endpoint("agent", "agent-x", {"app.kubernetes.io/name": "model-server"})
    assert allowed(policies, agent, dns, 53, "UDP")
    assert allowed(policies, dns, resolver, 53, "UDP")
    for name in ("coredns", "metrics-server", "ebs-csi-controller", "ebs-csi-node", "karpenter"):
        assert allowed(policies, SYSTEM_PODS[name], api, 443), name
    for name in ("ebs-csi-controller", "karpenter"):
        assert allowed(policies, SYSTEM_PODS[name], identity, 80), name
    for name, pod in SYSTEM_PODS.items():
        assert not allowed(policies, pod, metadata, 80), name


def test_karpenter_alone_of_the_system_goes_out_to_the_internet() -> None:
    outside = Endpoint("pricing", address="52.94.0.1")
    out = {n for n, pod in SYSTEM_PODS.items() if allowed(_policies(), pod, outside, 443)}
    assert out == {"karpenter"}


def test_daemon_sets_of_gpus_run_on_nodes_with_gpus_of_every_kind() -> None:
    for daemon in by_type("platform.prod", "kubernetes:apps/v1:DaemonSet"):
        pod = daemon.inputs["spec"]["template"]["spec"]
        assert pod["nodeSelector"] == gpu_labels()
        (toleration,) = pod["tolerations"]
        assert (toleration["key"], toleration["value"]) == ("nvidia.com/gpu", "present")
        (container,) = pod["containers"]
        assert container["image"].startswith("111122223333.dkr.ecr.us-east-1.amazonaws.com/")
        assert "nvidia.com/gpu" not in json.dumps(container["resources"])


def test_volumes_are_encrypted_gp3_in_the_zone_of_their_pod() -> None:
    (storage,) = by_type("platform.prod", "kubernetes:storage.k8s.io/v1:StorageClass")
    assert storage.inputs["metadata"]["name"] == "moltghost"
    assert storage.inputs["provisioner"] == "ebs.csi.aws.com"
    assert storage.inputs["parameters"]["type"] == "gp3"
    assert storage.inputs["parameters"]["encrypted"] == "true"
    assert storage.inputs["volumeBindingMode"] == "WaitForFirstConsumer"


def test_who_deploys_agents_changes_nothing_outside_their_namespaces() -> None:
    roles = {
        each.inputs["metadata"]["name"]: each.inputs["rules"]
        for each in by_type("platform.prod", "kubernetes:rbac.authorization.k8s.io/v1:ClusterRole")
    }
    for rule in roles["moltghost-deployers"]:
        assert "*" not in (*rule["apiGroups"], *rule["resources"], *rule["verbs"])
        if "secrets" in rule["resources"]:
            assert not {"get", "list", "watch"} & set(rule["verbs"])
        if {"create", "delete"} & set(rule["verbs"]):
            assert not {"nodepools", "nodes", "clusterroles"} & set(rule["resources"])
    (binding,) = by_type(
        "platform.prod", "kubernetes:rbac.authorization.k8s.io/v1:ClusterRoleBinding"
    )
    walls = [e for e in declared("platform.prod") if e.name.startswith("deployers-wall")]
    assert len(walls) == 2
    assert {each.urn for each in walls} <= needs_all("platform.prod", binding)


def test_an_agents_credentials_are_there_before_its_model_server() -> None:
    (identity,) = by_type("agent", "aws:eks/podIdentityAssociation:PodIdentityAssociation")
    servers = {e.name: e for e in by_type("agent", "kubernetes:apps/v1:Deployment")}
    assert identity.urn in needs_all("agent", servers["model-server"])
    policies = [e.inputs for e in by_type("agent", "kubernetes:networking.k8s.io/v1:NetworkPolicy")]
    labels = {"app.kubernetes.io/name": "model-server", "moltghost.dev/agent": "my-agent"}
    pod = Endpoint("server", "agent-my-agent", labels)
    runtime = Endpoint("runtime", "agent-my-agent", {**labels, "app.kubernetes.io/name": "runtime"})
    credentials = Endpoint("credentials", address="169.254.170.23")
    s3 = Endpoint("s3", address="52.216.0.1")
    assert allowed(policies, pod, credentials, 80)
    assert allowed(policies, pod, s3, 443)
    assert not allowed(policies, runtime, credentials, 80)
    assert not allowed(policies, runtime, s3, 443)


def test_agents_pull_their_images_from_the_environments_own_registry() -> None:
    for deployment in by_type("agent", "kubernetes:apps/v1:Deployment"):
        pod = deployment.inputs["spec"]["template"]["spec"]
        for container in (*pod.get("initContainers", ()), *pod["containers"]):
            assert container["image"].startswith(
                "111122223333.dkr.ecr.us-east-1.amazonaws.com/moltghost-prod/"
            )


@pytest.mark.parametrize("stack", ["local", "platform.local"])
def test_local_has_nothing_of_aws(stack: str) -> None:
    assert not [each for each in render(stack) if "aws" in each.type]


def test_every_agent_pod_has_a_pool_that_it_can_land_on() -> None:
    pools = {
        each.inputs["metadata"]["name"]: each.inputs["spec"]["template"]["spec"]
        for each in by_type("platform.prod", NODE_POOL)
    }
    for deployment in by_type("agent", "kubernetes:apps/v1:Deployment"):
        pod = deployment.inputs["spec"]["template"]["spec"]
        pool = pools[pod["nodeSelector"]["karpenter.sh/nodepool"]]
        offered = {
            each["key"]: each["values"] for each in pool["requirements"] if each["operator"] == "In"
        }
        wanted = pod["nodeSelector"].get("node.kubernetes.io/instance-type")
        assert wanted is None or wanted in offered["node.kubernetes.io/instance-type"]
        tolerated = {(each["key"], each["value"]) for each in pod.get("tolerations", ())}
        assert {(each["key"], each["value"]) for each in pool["taints"]} <= tolerated


def test_a_groups_image_comes_with_its_kubernetes_version() -> None:
    """EKS refuses an image of another version than the group's."""
    for each in by_type("capacity", "aws:eks/nodeGroup:NodeGroup"):
        assert each.inputs["releaseVersion"].startswith(f"{each.inputs['version']}.")


def test_a_fixed_groups_nodes_look_like_its_pools() -> None:
    (group,) = (e for e in by_type("capacity", "aws:eks/nodeGroup:NodeGroup") if e.name == "block")
    (pool,) = (
        e for e in by_type("platform.prod", NODE_POOL) if e.inputs["metadata"]["name"] == "h100"
    )
    template = pool.inputs["spec"]["template"]
    assert group.inputs["labels"]["karpenter.sh/nodepool"] == "h100"
    assert gpu_labels().items() <= group.inputs["labels"].items()
    assert gpu_labels().items() <= template["metadata"]["labels"].items()
    effects = {"NoSchedule": "NO_SCHEDULE"}
    assert group.inputs["taints"] == [
        {**taint, "effect": effects[taint["effect"]]} for taint in template["spec"]["taints"]
    ]
