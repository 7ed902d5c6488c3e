"""What people may do in AWS who deploy agents and nothing else, and what no agent's role exceeds.

An agent's stack makes an IAM role, and who may make roles could make one that may do anything.
The boundary is the wall: a deployer can make a role only with it, so that the worst that such a
role can do is to read the weights.

Why: docs/decisions/0023 and docs/decisions/0059.
"""

from __future__ import annotations

from moltghost.labels import AGENT_LABEL, ENVIRONMENT_LABEL
from moltghost.planning.aws.iam import ANYTHING, Statement
from moltghost.planning.aws.names import AwsScope
from moltghost.planning.aws.weights import reader_statements, record_statements
from moltghost.planning.base import Plan
from moltghost.store_layout import STORES

_ROLES_WITH_BOUNDARY = ("iam:CreateRole", "iam:PutRolePolicy", "iam:DeleteRolePolicy")
# What the provider asks of a role, and what ends one. None of it gives a role more rights.
_ROLES = (
    "iam:DeleteRole",
    "iam:GetRole",
    "iam:GetRolePolicy",
    "iam:ListAttachedRolePolicies",
    "iam:ListInstanceProfilesForRole",
    "iam:ListRolePolicies",
    "iam:TagRole",
    "iam:UntagRole",
    "iam:UpdateAssumeRolePolicy",
    "iam:UpdateRole",
    "iam:UpdateRoleDescription",
)
# `moltghost preflight`, which every deploy asks; docs/guide/preflight.md lists the same.
_PREFLIGHT = (
    "ec2:DescribeAvailabilityZones",
    "ec2:DescribeCapacityReservations",
    "ec2:DescribeImages",
    "ec2:DescribeInstanceTypeOfferings",
    "ec2:DescribeInstances",
    "ec2:DescribeRegions",
    "ec2:DescribeSubnets",
    "eks:DescribeClusterVersions",
    "pricing:GetProducts",
    "servicequotas:GetAWSDefaultServiceQuota",
    "servicequotas:GetServiceQuota",
)


class PolicyPlan(Plan):
    """A policy of the account's own, to attach or to hold roles to."""

    name: str
    description: str
    statements: tuple[Statement, ...]


def agents_boundary_name(scope: AwsScope) -> str:
    """Name of the policy that no agent's role exceeds."""
    return f"{scope.name}-agents-boundary"


def agents_boundary_arn(scope: AwsScope) -> str:
    """ARN of the policy that no agent's role exceeds."""
    return scope.iam_arn(f"policy/{agents_boundary_name(scope)}")


def plan_agents_boundary(scope: AwsScope, bucket: str) -> PolicyPlan:
    """The most that an agent's role may do: read the stores of this environment."""
    return PolicyPlan(
        name=agents_boundary_name(scope),
        description=f"No role of an agent in {scope.name} may do more than this",
        statements=reader_statements(scope, bucket, STORES),
    )


def plan_deployers_policy(scope: AwsScope, bucket: str) -> PolicyPlan:
    """What deployers attach to themselves: agents' roles and identities, and questions."""
    return PolicyPlan(
        name=f"{scope.name}-deployers",
        description=f"To deploy agents in {scope.name}, with no access to the platform",
        statements=(*_agent_roles(scope), *_identities(scope), *_questions(scope, bucket)),
    )


def _agent_roles(scope: AwsScope) -> tuple[Statement, ...]:
    roles = (scope.iam_arn(f"role/{scope.name}-agent-*"),)
    return (
        Statement(
            sid="MakeAgentRolesWithinBoundary",
            actions=_ROLES_WITH_BOUNDARY,
            resources=roles,
            conditions={"StringEquals": {"iam:PermissionsBoundary": (agents_boundary_arn(scope),)}},
        ),
        Statement(sid="SeeAndEndAgentRoles", actions=_ROLES, resources=roles),
        Statement(
            sid="GiveAgentRolesToPods",
            actions=("iam:PassRole",),
            resources=roles,
            conditions={"StringEquals": {"iam:PassedToService": ("pods.eks.amazonaws.com",)}},
        ),
    )


def _identities(scope: AwsScope) -> tuple[Statement, ...]:
    """Associations that carry an agent's tag; those of the platform carry none."""
    ours = (scope.arn("eks", f"podidentityassociation/{scope.name}/*"),)
    asked = {f"aws:RequestTag/{AGENT_LABEL}": (ANYTHING,)}
    return (
        Statement(
            sid="MakeIdentities",
            actions=("eks:CreatePodIdentityAssociation",),
            resources=(scope.cluster_arn,),
            conditions={"StringLike": asked},
        ),
        Statement(
            sid="ChangeIdentitiesOfAgents",
            actions=(
                "eks:DeletePodIdentityAssociation",
                "eks:UpdatePodIdentityAssociation",
                "eks:TagResource",
                "eks:UntagResource",
            ),
            resources=ours,
            conditions={"StringLike": {f"aws:ResourceTag/{AGENT_LABEL}": (ANYTHING,)}},
        ),
        # EKS asks for this too where an association is made with tags, of the association that is
        # to be and not only of the cluster (aws/karpenter-provider-aws#5544 met it). At its making
        # it has no tag yet; all that is the platform's has this one, so that nobody can tag it as
        # an agent's and then remove it.
        Statement(
            sid="TagNewIdentities",
            actions=("eks:TagResource",),
            resources=ours,
            conditions={
                "StringLike": asked,
                "Null": {f"aws:ResourceTag/{ENVIRONMENT_LABEL}": ("true",)},
            },
        ),
        Statement(
            sid="SeeIdentities",
            actions=("eks:DescribePodIdentityAssociation",),
            resources=ours,
        ),
        Statement(
            sid="SeeCluster",
            actions=("eks:DescribeCluster", "eks:ListPodIdentityAssociations"),
            resources=(scope.cluster_arn,),
        ),
    )


def _questions(scope: AwsScope, bucket: str) -> tuple[Statement, ...]:
    keys = (
        scope.alias("cluster"),
        scope.alias("weights"),
        scope.alias("disks"),
        scope.alias("logs"),
    )
    return (
        Statement(
            sid="AskTheAccount",
            actions=_PREFLIGHT,
            resources=(ANYTHING,),
            why_any_resource="these read, and know no resource",
        ),
        Statement(
            sid="AskForImages",
            actions=("ecr:DescribeImages",),
            resources=(scope.arn("ecr", f"repository/{scope.name}/*"),),
        ),
        Statement(
            sid="AskForNodeImages",
            actions=("ssm:GetParameter",),
            resources=(f"arn:aws:ssm:{scope.region}::parameter/aws/service/eks/optimized-ami/*",),
        ),
        *record_statements(scope, bucket),
        Statement(
            sid="AskForKeys",
            actions=("kms:DescribeKey",),
            resources=(scope.arn("kms", "key/*"),),
            conditions={"ForAnyValue:StringEquals": {"kms:ResourceAliases": keys}},
        ),
    )
