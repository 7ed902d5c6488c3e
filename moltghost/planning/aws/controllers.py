"""What the cluster's own controllers may do: Karpenter, the network plugin and the disk driver.

Karpenter's statements follow those of its getting-started template (docs/CloudFormation of
aws/karpenter-provider-aws, 1.14), with instance profiles made here instead of by it.
"""

from __future__ import annotations

from moltghost.planning.aws.iam import ANYTHING, Statement
from moltghost.planning.aws.names import AwsScope
from moltghost.planning.karpenter import GROUP, NODE_POOL_LABEL

_DESCRIBE = "EC2's Describe actions know no resource"
_LAUNCHES = ("ec2:RunInstances", "ec2:CreateFleet")


def karpenter_statements(scope: AwsScope, node_role: str, profile: str) -> tuple[Statement, ...]:
    """What Karpenter may do: launch, tag and end its own cluster's nodes, and no other's."""
    return (
        *_launching(scope),
        *_tagging(scope),
        *_reading(scope),
        Statement(
            sid="EndOwnNodes",
            actions=("ec2:TerminateInstances", "ec2:DeleteLaunchTemplate"),
            resources=_ec2(scope, "instance", "launch-template"),
            conditions=_own(scope, "aws:ResourceTag"),
        ),
        Statement(
            sid="Interruptions",
            actions=("sqs:DeleteMessage", "sqs:GetQueueUrl", "sqs:ReceiveMessage"),
            resources=(scope.arn("sqs", f"{scope.name}-interruptions"),),
        ),
        Statement(
            sid="GiveNodesTheirRole",
            actions=("iam:PassRole",),
            resources=(scope.role_arn(node_role),),
            conditions={"StringEquals": {"iam:PassedToService": ("ec2.amazonaws.com",)}},
        ),
        Statement(
            sid="ReadProfile",
            actions=("iam:GetInstanceProfile",),
            resources=(scope.iam_arn(f"instance-profile/{profile}"),),
        ),
        Statement(
            sid="ListProfiles",
            actions=("iam:ListInstanceProfiles",),
            resources=(ANYTHING,),
            why_any_resource="a List action of IAM; Karpenter's collection of old profiles asks",
        ),
        Statement(
            sid="FindCluster", actions=("eks:DescribeCluster",), resources=(scope.cluster_arn,)
        ),
    )


def _launching(scope: AwsScope) -> tuple[Statement, ...]:
    region = scope.region
    return (
        Statement(
            sid="LaunchFrom",
            actions=_LAUNCHES,
            resources=(
                f"arn:aws:ec2:{region}::image/*",
                f"arn:aws:ec2:{region}::snapshot/*",
                *_ec2(scope, "security-group", "subnet", "capacity-reservation"),
            ),
        ),
        Statement(
            sid="LaunchByOwnTemplate",
            actions=_LAUNCHES,
            resources=_ec2(scope, "launch-template"),
            conditions=_own(scope, "aws:ResourceTag"),
        ),
        Statement(
            sid="LaunchTagged",
            actions=(*_LAUNCHES, "ec2:CreateLaunchTemplate"),
            resources=_ec2(
                scope, "fleet", "instance", "volume", "network-interface", "launch-template"
            ),
            conditions=_own(scope, "aws:RequestTag"),
        ),
    )


def _tagging(scope: AwsScope) -> tuple[Statement, ...]:
    created = _own(scope, "aws:RequestTag")
    created["StringEquals"]["ec2:CreateAction"] = (
        "RunInstances",
        "CreateFleet",
        "CreateLaunchTemplate",
    )
    return (
        Statement(
            sid="TagWhatIsCreated",
            actions=("ec2:CreateTags",),
            resources=_ec2(
                scope, "fleet", "instance", "volume", "network-interface", "launch-template"
            ),
            conditions=created,
        ),
        Statement(
            sid="TagOwnNodes",
            actions=("ec2:CreateTags",),
            resources=_ec2(scope, "instance"),
            conditions={
                **_own(scope, "aws:ResourceTag"),
                "ForAllValues:StringEquals": {
                    "aws:TagKeys": ("eks:eks-cluster-name", f"{GROUP}/nodeclaim", "Name")
                },
            },
        ),
    )


def _reading(scope: AwsScope) -> tuple[Statement, ...]:
    return (
        Statement(
            sid="DescribeOffers",
            actions=(
                "ec2:DescribeCapacityReservations",
                "ec2:DescribeImages",
                "ec2:DescribeInstances",
                "ec2:DescribeInstanceStatus",
                "ec2:DescribeInstanceTypeOfferings",
                "ec2:DescribeInstanceTypes",
                "ec2:DescribeLaunchTemplates",
                "ec2:DescribeSecurityGroups",
                "ec2:DescribeSpotPriceHistory",
                "ec2:DescribeSubnets",
            ),
            resources=(ANYTHING,),
            conditions={"StringEquals": {"aws:RequestedRegion": (scope.region,)}},
            why_any_resource=_DESCRIBE,
        ),
        Statement(
            sid="FindImages",
            actions=("ssm:GetParameter",),
            resources=(f"arn:aws:ssm:{scope.region}::parameter/aws/service/eks/optimized-ami/*",),
        ),
        Statement(
            sid="Prices",
            actions=("pricing:GetProducts",),
            resources=(ANYTHING,),
            why_any_resource="the price list knows no resource",
        ),
    )


def node_statements(scope: AwsScope) -> tuple[Statement, ...]:
    """What a node itself does: nodeadm finds its name, size and cluster; agents hand out roles.

    AmazonEKSWorkerNodePolicy allows more to read; AmazonEKSWorkerNodeMinimalPolicy is made for
    Auto Mode, whose nodes ask less.
    """
    return (
        Statement(
            sid="Describe",
            actions=("ec2:DescribeInstances", "ec2:DescribeInstanceTypes"),
            resources=(ANYTHING,),
            conditions={"StringEquals": {"aws:RequestedRegion": (scope.region,)}},
            why_any_resource=_DESCRIBE,
        ),
        Statement(
            sid="FindCluster", actions=("eks:DescribeCluster",), resources=(scope.cluster_arn,)
        ),
        Statement(
            sid="PodIdentity",
            actions=("eks-auth:AssumeRoleForPodIdentity",),
            resources=(scope.cluster_arn,),
        ),
    )


def network_plugin_statements(scope: AwsScope) -> tuple[Statement, ...]:
    """What the VPC CNI may do: AmazonEKS_CNI_Policy, narrowed to the account and region."""
    return (
        Statement(
            sid="Describe",
            actions=(
                "ec2:DescribeInstances",
                "ec2:DescribeInstanceTypes",
                "ec2:DescribeNetworkInterfaces",
                "ec2:DescribeSubnets",
                "ec2:DescribeTags",
            ),
            resources=(ANYTHING,),
            conditions={"StringEquals": {"aws:RequestedRegion": (scope.region,)}},
            why_any_resource=_DESCRIBE,
        ),
        Statement(
            sid="Addresses",
            actions=(
                "ec2:AssignPrivateIpAddresses",
                "ec2:AttachNetworkInterface",
                "ec2:CreateNetworkInterface",
                "ec2:DeleteNetworkInterface",
                "ec2:DetachNetworkInterface",
                "ec2:ModifyNetworkInterfaceAttribute",
                "ec2:UnassignPrivateIpAddresses",
            ),
            resources=_ec2(scope, "network-interface", "instance", "subnet", "security-group"),
        ),
        Statement(
            sid="TagInterfaces",
            actions=("ec2:CreateTags",),
            resources=_ec2(scope, "network-interface"),
        ),
    )


def disk_driver_statements(scope: AwsScope) -> tuple[Statement, ...]:
    """What the EBS driver may do: volumes that it made for this cluster, and no other's."""
    cluster = f"kubernetes.io/cluster/{scope.name}"
    own = {"StringEquals": {f"aws:ResourceTag/{cluster}": ("owned",)}}
    return (
        Statement(
            sid="Describe",
            actions=(
                "ec2:DescribeAvailabilityZones",
                "ec2:DescribeInstances",
                "ec2:DescribeInstanceTypes",
                "ec2:DescribeTags",
                "ec2:DescribeVolumes",
                "ec2:DescribeVolumesModifications",
                "ec2:DescribeVolumeStatus",
            ),
            resources=(ANYTHING,),
            conditions={"StringEquals": {"aws:RequestedRegion": (scope.region,)}},
            why_any_resource=_DESCRIBE,
        ),
        Statement(
            sid="CreateVolumes",
            actions=("ec2:CreateVolume",),
            resources=_ec2(scope, "volume"),
            conditions={"StringEquals": {f"aws:RequestTag/{cluster}": ("owned",)}},
        ),
        Statement(
            sid="TagNewVolumes",
            actions=("ec2:CreateTags",),
            resources=_ec2(scope, "volume"),
            conditions={"StringEquals": {"ec2:CreateAction": ("CreateVolume",)}},
        ),
        Statement(
            sid="OwnVolumes",
            actions=("ec2:DeleteVolume", "ec2:ModifyVolume"),
            resources=_ec2(scope, "volume"),
            conditions=own,
        ),
        Statement(
            sid="AttachVolumes",
            actions=("ec2:AttachVolume", "ec2:DetachVolume"),
            resources=_ec2(scope, "volume"),
            conditions=own,
        ),
        Statement(
            sid="AttachToNodes",
            actions=("ec2:AttachVolume", "ec2:DetachVolume"),
            resources=_ec2(scope, "instance"),
            conditions=own,
        ),
    )


def _ec2(scope: AwsScope, *kinds: str) -> tuple[str, ...]:
    """Resources of these kinds; fleets have no account, reservations may be shared by another."""
    return tuple(
        f"arn:aws:ec2:{scope.region}:*:{kind}/*"
        if kind in ("fleet", "capacity-reservation")
        else scope.arn("ec2", f"{kind}/*")
        for kind in kinds
    )


def _own(scope: AwsScope, tag: str) -> dict[str, dict[str, tuple[str, ...]]]:
    """Only what carries the cluster's tag and belongs to one of its pools."""
    return {
        "StringEquals": {f"{tag}/kubernetes.io/cluster/{scope.name}": ("owned",)},
        "StringLike": {f"{tag}/{NODE_POOL_LABEL}": (ANYTHING,)},
    }
