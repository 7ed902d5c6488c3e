"""Nodes of every sort: node groups, launch templates, Karpenter's node classes, their networks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from .networks import internet_in
from .reading import get, has, is_true, items
from .rule import CRITICAL, HIGH, Config, rule
from .subject import Subject

NODE_GROUP = "aws:eks/nodeGroup:NodeGroup"
LAUNCH_TEMPLATE = "aws:ec2/launchTemplate:LaunchTemplate"
NODE_CLASS = "kubernetes:karpenter.k8s.aws/v1:EC2NodeClass"
SUBNET = "aws:ec2/subnet:Subnet"
_GROUP = "aws:ec2/securityGroup:SecurityGroup"
_DEFAULT_GROUP = "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup"
_GROUP_RULE = "aws:ec2/securityGroupRule:SecurityGroupRule"
_INGRESS = "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule"


@rule(
    why="One request from a pod would otherwise yield the node's AWS credentials.",
    fix="set metadataOptions to httpTokens required and httpPutResponseHopLimit 1",
    severity=HIGH,
    types=(LAUNCH_TEMPLATE, NODE_CLASS),
    sources=("CKV_AWS_79", "CKV_AWS_341", "AWS-0130"),
    schema={
        "hopLimit": {
            "type": "integer",
            "default": 1,
            "description": "Network hops an answer may take. The EBS CSI documentation asks "
            "for 2; passing it the region does without.",
        }
    },
)
def node_imdsv2_hop_limit(node: Subject, config: Config) -> Iterator[str]:
    """Instance metadata needs a token and answers only on the node itself."""
    inside = "spec.metadataOptions" if node.is_kubernetes else "metadataOptions"
    # Karpenter's own defaults are required and 1 (v1 API); EC2's are not.
    usual = ("required", 1) if node.is_kubernetes else ("optional", 0)
    if get(node.props, f"{inside}.httpTokens", usual[0]) != "required":
        yield "pods reach the node's credentials by IMDSv1: httpTokens is not required"
    hops = int(get(node.props, f"{inside}.httpPutResponseHopLimit", usual[1]))
    if not 1 <= hops <= config["hopLimit"]:
        yield f"its hop limit for instance metadata is {hops or 'not set'}"


@rule(
    why="Prompts, replies and weights pass through them.",
    fix="set ebs.encrypted to true in every block device mapping",
    severity=HIGH,
    types=(LAUNCH_TEMPLATE, NODE_CLASS),
    sources=("CKV_AWS_3", "AWS-0026", "AWS-0008"),
)
def node_ebs_encrypted(node: Subject, _config: Config) -> Iterator[str]:
    """The volumes of nodes are encrypted."""
    inside = "spec.blockDeviceMappings" if node.is_kubernetes else "blockDeviceMappings"
    devices = items(node.props, inside)
    # Karpenter's default volumes are encrypted, EC2's are as the account has it.
    if not devices and not node.is_kubernetes:
        yield "it names no block devices, so their encryption is left to the account"
    for device in devices:
        if has(device, "ebs") and not is_true(get(device, "ebs.encrypted")):
            yield f"its volume {get(device, 'deviceName', '?')} is not encrypted"


@rule(
    why="remoteAccess opens port 22 to the world unless told otherwise; SSM leaves a record.",
    fix="remove remoteAccess and keyName; use SSM Session Manager",
    severity=HIGH,
    types=(NODE_GROUP, LAUNCH_TEMPLATE),
    sources=("CKV_AWS_100",),
)
def node_no_remote_access(node: Subject, _config: Config) -> Iterator[str]:
    """Nobody logs in to nodes with SSH."""
    if has(node.props, "remoteAccess"):
        yield "it opens SSH with remoteAccess"
    if has(node.props, "keyName"):
        yield "it puts an SSH key on every node"


@rule(
    why="What can't be reached can't be attacked; models run on private nodes.",
    fix="use private subnets and turn off public addresses",
    severity=HIGH,
    types=(LAUNCH_TEMPLATE, NODE_CLASS, SUBNET),
    sources=("CKV_AWS_88", "C-0229"),
)
def node_no_public_ip(node: Subject, _config: Config) -> Iterator[str]:
    """Nodes have no public addresses."""
    if node.type == SUBNET and get(node.props, "mapPublicIpOnLaunch") is True:
        yield "it gives every machine a public address"
    if node.type == NODE_CLASS and get(node.props, "spec.associatePublicIPAddress") is True:
        yield "its nodes get public addresses"
    for interface in items(node.props, "networkInterfaces"):
        if is_true(get(interface, "associatePublicIpAddress")):
            yield "its nodes get public addresses"


@rule(
    why="Nothing here serves the public directly.",
    fix="name the networks or the security group that may come in",
    severity=CRITICAL,
    types=(_GROUP, _DEFAULT_GROUP, _GROUP_RULE, _INGRESS),
    sources=("CKV_AWS_24", "CKV_AWS_260"),
)
def sg_no_open_ingress(group: Subject, _config: Config) -> Iterator[str]:
    """No security group lets the whole internet in."""
    for cidr in internet_in(_ingress_sources(group)):
        yield f"it lets {cidr} in"


def _ingress_sources(group: Subject) -> Iterator[Any]:
    if group.type in (_GROUP, _DEFAULT_GROUP):
        blocks: Sequence[Any] = items(group.props, "ingress")
    elif group.type == _GROUP_RULE and get(group.props, "type") != "ingress":
        return
    else:
        blocks = [group.props]
    for block in blocks:
        yield from items(block, "cidrBlocks")
        yield from items(block, "ipv6CidrBlocks")
        yield from (get(block, key) for key in ("cidrIpv4", "cidrIpv6") if has(block, key))
