"""The cloud layer on AWS as it is declared: order, protection, encryption, tags, access."""

from __future__ import annotations

import base64
import json
from email import message_from_string
from typing import Any

import pytest

from tests.components.aws_stacks import STACKS, Declared, by_type, declared, needs_all
from tests.wire import knows, problems

CLOUDS = ["dev", "prod", "capacity"]
AWS = [
    pytest.param(case, each, id=f"{case}/{each.token.rpartition(':')[2]}/{each.name}")
    for case in STACKS
    for each in declared(case)
    if each.token.startswith("aws:")
]
# Types that carry no tags in the AWS API.
UNTAGGED = {
    "cloudwatch/eventTarget",
    "ec2/route",
    "ec2/routeTableAssociation",
    "ecr/lifecyclePolicy",
    "eks/accessPolicyAssociation",
    "iam/rolePolicy",
    "iam/rolePolicyAttachment",
    "kms/alias",
    "route53/resolverFirewallConfig",
    "route53/resolverFirewallRule",
    "s3/bucketLifecycleConfiguration",
    "s3/bucketOwnershipControls",
    "s3/bucketPolicy",
    "s3/bucketPublicAccessBlock",
    "s3/bucketServerSideEncryptionConfiguration",
    "s3/bucketVersioning",
    "scheduler/schedule",
    "sns/topicPolicy",
    "sns/topicSubscription",
    "sqs/queuePolicy",
}


@pytest.mark.parametrize(("case", "each"), AWS)
def test_every_input_is_one_that_the_sdk_has(case: str, each: Declared) -> None:
    assert knows(each.token)
    assert problems(each.token, each.inputs) == []


@pytest.mark.parametrize(("case", "each"), AWS)
def test_everything_that_can_be_tagged_says_which_environment_pays_for_it(
    case: str, each: Declared
) -> None:
    if each.token.split(":")[1] in UNTAGGED:
        assert "tags" not in each.inputs
        return
    environment = "dev" if "dev" in case else "prod"
    assert each.inputs["tags"]["moltghost.dev/environment"] == environment
    if case == "agent":
        assert each.inputs["tags"]["moltghost.dev/agent"] == "my-agent"
        assert each.inputs["tags"]["moltghost.dev/owner"] == "team-a"


@pytest.mark.parametrize("case", CLOUDS)
def test_what_nodes_need_exists_before_nodes(case: str) -> None:
    addons = {each.urn for each in by_type(case, "aws:eks/addon:Addon")}
    doors = {each.urn for each in by_type(case, "aws:ec2/vpcEndpoint:VpcEndpoint")}
    routes = {each.urn for each in by_type(case, "aws:ec2/route:Route")}
    (role,) = (e for e in by_type(case, "aws:iam/role:Role") if e.name == "node-role")
    policies = {
        each.urn
        for each in by_type(case, "aws:iam/rolePolicyAttachment:RolePolicyAttachment")
        if each.name.startswith("node-role-")
    }
    policies |= {
        each.urn
        for each in by_type(case, "aws:iam/rolePolicy:RolePolicy")
        if each.name == "node-role-policy"
    }
    assert len(policies) == 2
    for group in by_type(case, "aws:eks/nodeGroup:NodeGroup"):
        before = needs_all(case, group)
        assert addons | doors | routes | policies | {role.urn} <= before


@pytest.mark.parametrize("case", CLOUDS)
def test_only_the_add_ons_that_nodes_need_are_in_the_cloud_layer(case: str) -> None:
    names = {each.inputs["addonName"] for each in by_type(case, "aws:eks/addon:Addon")}
    assert names == {"vpc-cni", "kube-proxy", "eks-pod-identity-agent"}


@pytest.mark.parametrize("case", CLOUDS)
def test_weights_keys_and_cluster_are_protected(case: str) -> None:
    for token in ("kms/key:Key", "kms/alias:Alias", "s3/bucket:Bucket", "eks/cluster:Cluster"):
        assert all(each.protect for each in by_type(case, f"aws:{token}")), token


@pytest.mark.parametrize("case", CLOUDS)
def test_what_a_destroy_would_fail_on_or_leave_open_is_protected_as_well(case: str) -> None:
    # A repository with images and a policy that somebody has can't be deleted, and a bucket that
    # stays must not lose its encryption, its policy or its versions.
    kept = ("ecr/repository:Repository", "ecr/lifecyclePolicy:LifecyclePolicy", "iam/policy:Policy")
    for token in kept:
        assert all(each.protect for each in by_type(case, f"aws:{token}")), token
    around = [e for e in declared(case) if e.token.startswith("aws:s3/")]
    assert len(around) == 7
    assert all(each.protect for each in around)


@pytest.mark.parametrize("case", CLOUDS)
def test_the_cluster_is_private_encrypted_and_reached_by_access_entries_only(case: str) -> None:
    (cluster,) = by_type(case, "aws:eks/cluster:Cluster")
    inputs = cluster.inputs
    assert inputs["vpcConfig"]["endpointPrivateAccess"] is True
    assert inputs["vpcConfig"]["endpointPublicAccess"] is False
    assert inputs["accessConfig"] == {
        "authenticationMode": "API",
        "bootstrapClusterCreatorAdminPermissions": False,
    }
    assert inputs["bootstrapSelfManagedAddons"] is False
    assert inputs["deletionProtection"] is True
    assert inputs["encryptionConfig"]["resources"] == ["secrets"]
    assert len(inputs["enabledClusterLogTypes"]) == 5
    groups = by_type(case, "aws:cloudwatch/logGroup:LogGroup")
    assert all(each.inputs["retentionInDays"] and each.inputs["kmsKeyId"] for each in groups)
    (logs,) = (e for e in groups if e.inputs["name"].startswith("/aws/eks/"))
    assert logs.urn in needs_all(case, cluster)


@pytest.mark.parametrize("case", CLOUDS)
def test_the_network_plugin_enforces_policies_from_the_first_packet(case: str) -> None:
    (cni,) = (e for e in by_type(case, "aws:eks/addon:Addon") if e.inputs["addonName"] == "vpc-cni")
    values = json.loads(cni.inputs["configurationValues"])
    assert values["enableNetworkPolicy"] == "true"
    assert values["env"]["NETWORK_POLICY_ENFORCING_MODE"] == "strict"


@pytest.mark.parametrize("case", CLOUDS)
def test_nodes_keep_their_credentials_from_pods_and_their_disks_encrypted(case: str) -> None:
    for template in by_type(case, "aws:ec2/launchTemplate:LaunchTemplate"):
        inputs = template.inputs
        assert inputs["metadataOptions"] == {
            "httpEndpoint": "enabled",
            "httpTokens": "required",
            "httpPutResponseHopLimit": 1,
        }
        for mapping in inputs["blockDeviceMappings"]:
            assert mapping["ebs"]["encrypted"] == "true"
            assert mapping["ebs"]["kmsKeyId"]
        kinds = {each["resourceType"] for each in inputs["tagSpecifications"]}
        assert kinds == {"instance", "volume", "network-interface"}
        assert "keyName" not in inputs


def node_config(template: Declared) -> dict[str, Any]:
    text = base64.b64decode(template.inputs["userData"]).decode()
    (part,) = message_from_string(text).get_payload()
    assert part.get_content_type() == "application/node.eks.aws"
    document: dict[str, Any] = json.loads(part.get_payload())
    assert document["apiVersion"] == "node.eks.aws/v1alpha1"
    assert document["kind"] == "NodeConfig"
    return document


def test_nodes_of_a_fixed_gpu_group_put_kubelet_and_containerd_on_nvme() -> None:
    templates = {e.name: e for e in by_type("capacity", "aws:ec2/launchTemplate:LaunchTemplate")}
    assert node_config(templates["block-template"])["spec"] == {
        "instance": {"localStorage": {"strategy": "RAID0"}}
    }
    assert node_config(templates["system-template"])["spec"] == {}


def test_a_capacity_block_is_used_as_aws_wants_it_and_never_bought() -> None:
    groups = {e.name: e for e in by_type("capacity", "aws:eks/nodeGroup:NodeGroup")}
    templates = {e.name: e for e in by_type("capacity", "aws:ec2/launchTemplate:LaunchTemplate")}
    group, template = groups["block"].inputs, templates["block-template"].inputs
    assert group["capacityType"] == "CAPACITY_BLOCK"
    assert "instanceTypes" not in group
    assert template["instanceType"] == "p5.48xlarge"
    assert template["instanceMarketOptions"] == {"marketType": "capacity-block"}
    target = template["capacityReservationSpecification"]["capacityReservationTarget"]
    assert target == {"capacityReservationId": "cr-0123456789abcdef0"}
    assert len(group["subnetIds"]) == 1
    assert groups["block"].ignored == ("scalingConfig.desiredSize",)
    assert groups["system"].ignored == ()
    bought = {"capacityReservation", "capacityBlockReservation"}
    assert not any(e.token.split("/")[-1].split(":")[0] in bought for e in declared("capacity"))


def test_the_end_of_a_capacity_block_is_announced_twice() -> None:
    schedules = by_type("capacity", "aws:scheduler/schedule:Schedule")
    assert {each.inputs["scheduleExpression"] for each in schedules} == {
        "at(2027-01-30T11:30:00)",
        "at(2027-01-31T09:30:00)",
    }


@pytest.mark.parametrize("case", CLOUDS)
def test_no_subnet_gives_public_addresses_and_isolated_nodes_have_no_way_out(case: str) -> None:
    subnets = by_type(case, "aws:ec2/subnet:Subnet")
    assert not any(each.inputs["mapPublicIpOnLaunch"] for each in subnets)
    tables = {each.inputs["routeTableId"] for each in by_type(case, "aws:ec2/route:Route")}
    closed = {
        each.inputs["routeTableId"]
        for each in by_type(case, "aws:ec2/routeTableAssociation:RouteTableAssociation")
        if each.name.startswith(("routes-of-isolated", "routes-of-control"))
    }
    assert closed
    assert not closed & tables


@pytest.mark.parametrize("case", CLOUDS)
def test_no_rule_lets_the_internet_in(case: str) -> None:
    for rule in by_type(case, "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule"):
        assert rule.inputs["cidrIpv4"].startswith("10.")
    (default,) = by_type(case, "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup")
    assert not default.inputs.get("ingress")
    assert not default.inputs.get("egress")


def test_a_network_of_yours_reaches_the_api_server_and_no_other_port() -> None:
    rules = {
        each.name: each.inputs
        for each in by_type("capacity", "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule")
    }
    rule = rules["api-from-0"]
    assert (rule["cidrIpv4"], rule["fromPort"], rule["toPort"]) == ("10.9.0.0/16", 443, 443)
    assert rule["securityGroupId"] == "sg-of-cluster"


@pytest.mark.parametrize("case", CLOUDS)
def test_the_weights_store_is_private_versioned_and_cleans_up_aborted_uploads(case: str) -> None:
    (block,) = by_type(case, "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock")
    flags = {key: value for key, value in block.inputs.items() if key != "bucket"}
    assert flags
    assert all(flags.values())
    (versions,) = by_type(case, "aws:s3/bucketVersioning:BucketVersioning")
    assert versions.inputs["versioningConfiguration"] == {"status": "Enabled"}
    (rules,) = by_type(case, "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration")
    assert any("abortIncompleteMultipartUpload" in rule for rule in rules.inputs["rules"])
    (policy,) = by_type(case, "aws:s3/bucketPolicy:BucketPolicy")
    denied = {each["Sid"] for each in json.loads(policy.inputs["policy"])["Statement"]}
    assert denied == {"OnlyTls", "OnlyThisAccount"}


@pytest.mark.parametrize("case", list(STACKS))
def test_no_secret_is_in_any_aws_resource(case: str) -> None:
    text = json.dumps([e.inputs for e in declared(case) if e.token.startswith("aws:")])
    for word in ("not-a-real-token", "password", "secret_key", "AKIA"):
        assert word not in text
