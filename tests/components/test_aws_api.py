"""What is declared, held against AWS's own API models: names, types, patterns of enums.

Pulumi's SDK takes any string where AWS knows a closed set of values. This turns a resource's
inputs into the parameters of the API call that would make it, and validates those with botocore.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import botocore.session
import pytest
from botocore.model import ListShape, MapShape, Shape, StructureShape
from botocore.validate import ParamValidator

from tests.components.aws_stacks import STACKS, Declared, declared

_SESSION = botocore.session.get_session()


@dataclass(frozen=True)
class Call:
    """The API call that makes a resource, and where its words differ from Pulumi's."""

    service: str
    operation: str
    renamed: Mapping[str, str] = field(default_factory=dict)
    left_out: frozenset[str] = frozenset({"tags"})
    inside: str = ""
    """The parameter that all inputs go into, where there is one."""
    also: Mapping[str, Any] = field(default_factory=dict)

    def shape(self) -> StructureShape:
        model = _SESSION.get_service_model(self.service).operation_model(self.operation)
        assert model.input_shape
        return model.input_shape


CALLS: dict[str, Call] = {
    "aws:eks/cluster:Cluster": Call(
        "eks",
        "CreateCluster",
        {"vpcConfig": "resourcesVpcConfig"},
        frozenset({"enabledClusterLogTypes"}),
    ),
    "aws:eks/nodeGroup:NodeGroup": Call(
        "eks",
        "CreateNodegroup",
        {"nodeGroupName": "nodegroupName", "nodeRoleArn": "nodeRole", "subnetIds": "subnets"},
    ),
    "aws:eks/addon:Addon": Call(
        "eks",
        "CreateAddon",
        {"resolveConflictsOnCreate": "resolveConflicts"},
        frozenset({"resolveConflictsOnUpdate"}),
    ),
    "aws:eks/accessEntry:AccessEntry": Call("eks", "CreateAccessEntry"),
    "aws:eks/accessPolicyAssociation:AccessPolicyAssociation": Call("eks", "AssociateAccessPolicy"),
    "aws:eks/podIdentityAssociation:PodIdentityAssociation": Call(
        "eks", "CreatePodIdentityAssociation"
    ),
    "aws:ec2/launchTemplate:LaunchTemplate": Call(
        "ec2",
        "CreateLaunchTemplate",
        left_out=frozenset({"tags", "updateDefaultVersion", "name"}),
        inside="LaunchTemplateData",
        also={"LaunchTemplateName": "template"},
    ),
    "aws:ec2/vpc:Vpc": Call(
        "ec2",
        "CreateVpc",
        left_out=frozenset({"tags", "enableDnsSupport", "enableDnsHostnames"}),
    ),
    "aws:ec2/subnet:Subnet": Call(
        "ec2", "CreateSubnet", left_out=frozenset({"tags", "mapPublicIpOnLaunch"})
    ),
    "aws:ec2/vpcEndpoint:VpcEndpoint": Call(
        "ec2", "CreateVpcEndpoint", {"policy": "PolicyDocument"}
    ),
    "aws:ec2/eip:Eip": Call("ec2", "AllocateAddress"),
    "aws:ecr/repository:Repository": Call(
        "ecr",
        "CreateRepository",
        {"name": "repositoryName", "encryptionConfigurations": "encryptionConfiguration"},
    ),
    "aws:kms/key:Key": Call(
        "kms",
        "CreateKey",
        left_out=frozenset({"tags", "enableKeyRotation", "deletionWindowInDays"}),
    ),
    "aws:cloudwatch/metricAlarm:MetricAlarm": Call(
        "cloudwatch", "PutMetricAlarm", {"name": "AlarmName"}
    ),
    "aws:cloudwatch/logGroup:LogGroup": Call(
        "logs", "CreateLogGroup", {"name": "logGroupName"}, frozenset({"retentionInDays"})
    ),
    "aws:route53/resolverFirewallRule:ResolverFirewallRule": Call(
        "route53resolver", "CreateFirewallRule", also={"CreatorRequestId": "x"}
    ),
    "aws:scheduler/schedule:Schedule": Call("scheduler", "CreateSchedule"),
    "aws:cloudwatch/eventRule:EventRule": Call("events", "PutRule"),
    "aws:ec2/natGateway:NatGateway": Call("ec2", "CreateNatGateway"),
    "aws:ecr/lifecyclePolicy:LifecyclePolicy": Call(
        "ecr",
        "PutLifecyclePolicy",
        {"repository": "repositoryName", "policy": "lifecyclePolicyText"},
    ),
    "aws:iam/role:Role": Call(
        "iam",
        "CreateRole",
        {"name": "RoleName", "assumeRolePolicy": "AssumeRolePolicyDocument"},
    ),
    "aws:iam/rolePolicy:RolePolicy": Call(
        "iam",
        "PutRolePolicy",
        {"name": "PolicyName", "role": "RoleName", "policy": "PolicyDocument"},
    ),
    "aws:iam/rolePolicyAttachment:RolePolicyAttachment": Call(
        "iam", "AttachRolePolicy", {"role": "RoleName"}
    ),
    "aws:iam/policy:Policy": Call(
        "iam", "CreatePolicy", {"name": "PolicyName", "policy": "PolicyDocument"}
    ),
    "aws:iam/instanceProfile:InstanceProfile": Call(
        "iam",
        "CreateInstanceProfile",
        {"name": "InstanceProfileName"},
        frozenset({"tags", "role"}),
    ),
    "aws:kms/alias:Alias": Call("kms", "CreateAlias", {"name": "AliasName"}),
    "aws:route53/resolverFirewallRuleGroup:ResolverFirewallRuleGroup": Call(
        "route53resolver", "CreateFirewallRuleGroup", also={"CreatorRequestId": "x"}
    ),
    "aws:route53/resolverFirewallRuleGroupAssociation:ResolverFirewallRuleGroupAssociation": Call(
        "route53resolver", "AssociateFirewallRuleGroup", also={"CreatorRequestId": "x"}
    ),
    "aws:route53/resolverFirewallConfig:ResolverFirewallConfig": Call(
        "route53resolver", "UpdateFirewallConfig"
    ),
    "aws:s3/bucketVersioning:BucketVersioning": Call("s3", "PutBucketVersioning"),
    "aws:sns/topicSubscription:TopicSubscription": Call(
        "sns", "Subscribe", {"topic": "TopicArn", "endpoint": "Endpoint"}
    ),
}
# Types whose provider makes several calls, or wraps its inputs in maps and XML of its own; their
# inputs are ids, flags and documents, which the SDK's types and tests/planning hold.
NOT_ONE_CALL = {
    "budgets/budget",
    "cloudwatch/eventTarget",
    "ec2/defaultSecurityGroup",
    "ec2/flowLog",
    "ec2/internetGateway",
    "ec2/route",
    "ec2/routeTable",
    "ec2/routeTableAssociation",
    "ec2/securityGroup",
    "route53/resolverFirewallDomainList",
    "s3/bucket",
    "s3/bucketLifecycleConfiguration",
    "s3/bucketOwnershipControls",
    "s3/bucketPolicy",
    "s3/bucketPublicAccessBlock",
    "s3/bucketServerSideEncryptionConfiguration",
    "sns/topic",
    "sns/topicPolicy",
    "sqs/queue",
    "sqs/queuePolicy",
    "vpc/securityGroupIngressRule",
}
CASES = [
    pytest.param(each, id=f"{case}/{each.token.rpartition(':')[2]}/{each.name}")
    for case in STACKS
    for each in declared(case)
    if each.token in CALLS
]


@pytest.mark.parametrize("each", CASES)
def test_aws_would_understand_what_is_declared(each: Declared) -> None:
    call = CALLS[each.token]
    shape = call.shape()
    target = shape.members[call.inside] if call.inside else shape
    inputs = {key: value for key, value in each.inputs.items() if key not in call.left_out}
    found = _parameters(target, inputs, call.renamed)
    parameters = {**({call.inside: found} if call.inside else found), **call.also}
    report = ParamValidator().validate(parameters, shape)
    assert not report.has_errors(), report.generate_report()
    assert list(_unknown_values(shape, parameters)) == []


def test_every_kind_of_call_is_tried() -> None:
    tried = {each.token for case in STACKS for each in declared(case)}
    assert set(CALLS) <= tried
    rest = {each.split(":")[1] for each in tried - set(CALLS) if each.startswith("aws:")}
    assert rest == NOT_ONE_CALL


def test_a_wrong_value_is_found() -> None:
    shape = CALLS["aws:eks/nodeGroup:NodeGroup"].shape()
    assert list(_unknown_values(shape, {"capacityType": "NOPE"})) == [
        "capacityType: 'NOPE' is none of ['ON_DEMAND', 'SPOT', 'CAPACITY_BLOCK']"
    ]
    with pytest.raises(LookupError, match="no parameter for bogusKey"):
        _parameters(shape, {"scalingConfig": {"bogusKey": 1}}, {})


def _parameters(shape: Shape, value: Any, renamed: Mapping[str, str]) -> Any:
    """Pulumi's inputs in the words and types of the API."""
    if isinstance(shape, StructureShape):
        if isinstance(value, list):
            # Where the API has one object, Pulumi's SDK may have a list of at most one.
            (value,) = value
        return {
            name: _parameters(shape.members[name], item, renamed)
            for key, item in value.items()
            for name in [_member(shape, key, renamed)]
        }
    if isinstance(shape, ListShape):
        pair = list(getattr(shape.member, "members", ()))
        if isinstance(value, dict) and pair in (["Key", "Value"], ["Name", "Value"]):
            return [{pair[0]: key, pair[1]: item} for key, item in value.items()]
        items = value if isinstance(value, list) else [value]
        return [_parameters(shape.member, item, renamed) for item in items]
    if isinstance(shape, MapShape):
        return dict(value)
    if shape.type_name == "boolean" and isinstance(value, str):
        return {"true": True, "false": False}[value]
    if shape.type_name == "integer" and isinstance(value, float):
        return int(value)
    return value


def _member(shape: StructureShape, key: str, renamed: Mapping[str, str]) -> str:
    """The API's name of an input: the same but for case, number, or an explicit other word."""
    wanted = renamed.get(key, key).lower()
    for name in shape.members:
        if name.lower() in (wanted, wanted.removesuffix("s"), f"{wanted}s"):
            return str(name)
    raise LookupError(f"{shape.name} has no parameter for {key}")


def _unknown_values(shape: Shape, value: Any, path: str = "") -> Iterator[str]:
    """Strings that are none of an enum's; botocore's validation leaves them to the service."""
    if isinstance(shape, StructureShape):
        for name, item in value.items():
            yield from _unknown_values(shape.members[name], item, f"{path}.{name}".lstrip("."))
    elif isinstance(shape, ListShape):
        for index, item in enumerate(value):
            yield from _unknown_values(shape.member, item, f"{path}[{index}]")
    elif isinstance(value, str) and getattr(shape, "enum", None) and value not in shape.enum:
        yield f"{path}: {value!r} is none of {shape.enum}"
