from __future__ import annotations

import re
from typing import Any

import pytest

from tests.components.cases import agent, platform, pods
from tests.examples import POOLS
from tests.rendering import objects

LONGEST_DRAIN_SECONDS = 645
# Labels that KWOK's nodes carry as well as EC2's.
REQUIREMENTS = {
    "node.kubernetes.io/instance-type",
    "topology.kubernetes.io/zone",
    "kubernetes.io/arch",
    "karpenter.sh/capacity-type",
}
of_pools = pytest.mark.parametrize("name", POOLS)


def node_pool(name: str) -> dict[str, Any]:
    return objects(platform(), "NodePool")[name]


def requirement(name: str, key: str) -> list[str]:
    [found] = [
        each
        for each in node_pool(name)["spec"]["template"]["spec"]["requirements"]
        if each["key"] == key
    ]
    assert found["operator"] == "In"
    values = found["values"]
    assert isinstance(values, list)
    return values


def test_local_has_the_six_pools_as_node_pools() -> None:
    found = [each for each in platform() if each.type == "kubernetes:karpenter.sh/v1:NodePool"]
    assert sorted(each.object_name for each in found) == sorted(POOLS)


@of_pools
def test_nodes_are_only_removed_when_they_are_empty(name: str) -> None:
    disruption = node_pool(name)["spec"]["disruption"]
    assert disruption["consolidationPolicy"] == "WhenEmpty"
    for reason in ("Drifted", "Underutilized"):
        budgets = [b for b in disruption["budgets"] if reason in b.get("reasons", [reason])]
        assert "0" in {budget["nodes"] for budget in budgets}
    assert node_pool(name)["spec"]["template"]["spec"]["expireAfter"] == "Never"


@of_pools
def test_a_node_that_is_drained_outlasts_the_longest_stream(name: str) -> None:
    grace = node_pool(name)["spec"]["template"]["spec"]["terminationGracePeriod"]
    assert int(grace.removesuffix("s")) > LONGEST_DRAIN_SECONDS


@of_pools
def test_every_pool_is_limited_in_whole_nodes(name: str) -> None:
    assert int(node_pool(name)["spec"]["limits"]["nodes"]) >= 1


@of_pools
def test_a_pool_asks_only_for_what_simulated_nodes_have_too(name: str) -> None:
    spec = node_pool(name)["spec"]["template"]["spec"]
    assert {each["key"] for each in spec["requirements"]} == REQUIREMENTS
    assert requirement(name, "karpenter.sh/capacity-type") == ["reserved", "on-demand"]
    assert requirement(name, "kubernetes.io/arch") == ["amd64"]
    assert spec["nodeClassRef"]["kind"] == "KWOKNodeClass"


@pytest.mark.parametrize("name", ["l40s", "a100-40", "a100-80", "h100"])
def test_gpu_nodes_are_tainted_and_labelled_as_the_device_plugin_expects(name: str) -> None:
    template = node_pool(name)["spec"]["template"]
    assert template["spec"]["taints"] == [
        {"key": "nvidia.com/gpu", "value": "present", "effect": "NoSchedule"}
    ]
    assert template["metadata"]["labels"]["nvidia.com/gpu.present"] == "true"


@pytest.mark.parametrize(("name", "taints"), [("cpu", []), ("weights", ["moltghost.dev/pool"])])
def test_pools_without_gpus_are_not_labelled_as_if_they_had_some(
    name: str, taints: list[str]
) -> None:
    template = node_pool(name)["spec"]["template"]
    assert [taint["key"] for taint in template["spec"]["taints"]] == taints
    assert "nvidia.com/gpu.present" not in template["metadata"]["labels"]


def test_every_pod_of_every_agent_finds_its_pool_its_type_and_its_taint() -> None:
    for where, template in pods():
        pod = template["spec"]
        pool = pod["nodeSelector"]["karpenter.sh/nodepool"]
        if where.startswith("on-cpu"):
            assert pool == "machine", "no pool of Karpenter's, so it is the node's own taint"
            assert [each["value"] for each in pod["tolerations"]] == ["machine"]
            continue
        if kind := pod["nodeSelector"].get("node.kubernetes.io/instance-type"):
            assert kind in requirement(pool, "node.kubernetes.io/instance-type"), where
        tolerated = {each["key"] for each in pod.get("tolerations", ())}
        taints = node_pool(pool)["spec"]["template"]["spec"]["taints"]
        assert {taint["key"] for taint in taints} <= tolerated, where


def test_the_storage_class_makes_volumes_where_their_pod_is() -> None:
    found = objects(platform(), "StorageClass")["moltghost"]
    assert found["volumeBindingMode"] == "WaitForFirstConsumer"
    assert found["allowVolumeExpansion"] is True
    assert found["provisioner"]


def test_agents_use_the_storage_and_priority_class_of_the_platform() -> None:
    [priority] = objects(platform(), "PriorityClass").values()
    claim = objects(agent("readme"), "PersistentVolumeClaim")["runtime-state"]
    assert claim["spec"]["storageClassName"] in objects(platform(), "StorageClass")
    assert {pod["spec"]["priorityClassName"] for _, pod in pods()} == {priority["metadata"]["name"]}


def test_agents_push_nobody_out() -> None:
    [priority] = objects(platform(), "PriorityClass").values()
    assert priority["preemptionPolicy"] == "Never"
    assert priority["globalDefault"] is False


def test_every_admission_policy_is_bound_and_denies() -> None:
    policies = objects(platform(), "ValidatingAdmissionPolicy")
    bindings = objects(platform(), "ValidatingAdmissionPolicyBinding")
    assert set(policies) == {binding["spec"]["policyName"] for binding in bindings.values()}
    for binding in bindings.values():
        assert binding["spec"]["validationActions"] == ["Deny"]
        # Nothing narrows what the policy itself matches.
        assert set(binding["spec"]) == {"policyName", "validationActions"}
    for policy in policies.values():
        assert policy["spec"]["failurePolicy"] == "Fail"


def test_every_rule_says_what_it_wants() -> None:
    for name, policy in objects(platform(), "ValidatingAdmissionPolicy").items():
        assert policy["spec"]["validations"], name
        for rule in policy["spec"]["validations"]:
            assert len(rule["message"]) > 30, name
            assert rule["expression"].count("(") == rule["expression"].count(")"), name


def test_every_variable_of_a_rule_is_defined() -> None:
    for name, policy in objects(platform(), "ValidatingAdmissionPolicy").items():
        defined = {variable["name"] for variable in policy["spec"].get("variables", ())}
        for rule in policy["spec"]["validations"]:
            assert set(re.findall(r"variables\.(\w+)", rule["expression"])) <= defined, name


def test_the_namespace_carries_what_the_admission_policies_read() -> None:
    text = str(objects(platform(), "ValidatingAdmissionPolicy"))
    space = objects(agent("updated"), "Namespace")["agent-my-agent"]["metadata"]
    for key in ("moltghost.dev/pools", "moltghost.dev/instance-types"):
        assert key in text
    annotations = space["annotations"]
    assert set(annotations["moltghost.dev/pools"].split(",")) == {"h100", "l40s", "cpu"}
    assert set(annotations["moltghost.dev/instance-types"].split(",")) == {
        "p5.4xlarge",
        "g6e.xlarge",
    }


@pytest.mark.parametrize(("case", "sharing"), [("readme", "dedicated"), ("shared", "owner")])
def test_the_namespace_is_restricted_and_says_whether_nodes_are_shared(
    case: str, sharing: str
) -> None:
    labels = objects(agent(case), "Namespace")["agent-my-agent"]["metadata"]["labels"]
    for mode in ("enforce", "audit", "warn"):
        assert labels[f"pod-security.kubernetes.io/{mode}"] == "restricted"
        assert re.fullmatch(r"v1\.\d+", labels[f"pod-security.kubernetes.io/{mode}-version"])
    assert labels["moltghost.dev/sharing"] == sharing


def test_service_accounts_have_no_token() -> None:
    accounts = objects(agent("readme"), "ServiceAccount")
    assert set(accounts) == {"model-server", "runtime"}
    for account in accounts.values():
        assert account["automountServiceAccountToken"] is False
