"""The plan of the EKS cluster: who reaches it, what it logs, and the add-ons that nodes need."""

from __future__ import annotations

import json

from pydantic import Field

from moltghost.config_aws import AwsCloudSpec
from moltghost.labels import DEPLOYERS_GROUP, owner_group
from moltghost.planning.aws.controllers import network_plugin_statements
from moltghost.planning.aws.facts import KubernetesRelease
from moltghost.planning.aws.iam import RolePlan, aws_managed, trust_of_pods, trust_of_service
from moltghost.planning.aws.names import AwsScope
from moltghost.planning.base import Plan

SERVICE_CIDR = "172.20.0.0/16"
CONTROL_PLANE_LOGS = ("api", "audit", "authenticator", "controllerManager", "scheduler")
# EKS access policies: EKS user guide, "Review access policy permissions".
_ADMIN_POLICY = "arn:aws:eks::aws:cluster-access-policy/AmazonEKSClusterAdminPolicy"


class AddonPlan(Plan):
    """An EKS add-on by version, with its role where it calls AWS."""

    name: str
    version: str
    values: dict[str, object] = Field(default_factory=dict)
    service_account: str = ""
    role: RolePlan | None = None

    @property
    def configuration(self) -> str | None:
        """The values as EKS takes them."""
        return json.dumps(self.values, sort_keys=True) if self.values else None


class AccessPlan(Plan):
    """An IAM principal's way into the cluster."""

    principal: str
    policy: str = ""
    groups: tuple[str, ...] = ()


class ClusterPlan(Plan):
    """The cluster as far as it is decided before it exists."""

    name: str
    version: str
    role: RolePlan
    service_cidr: str
    public_cidrs: tuple[str, ...]
    private_cidrs: tuple[str, ...]
    """Networks beside the VPC whose packets the cluster's security group lets in."""
    logs: tuple[str, ...]
    log_group: str
    log_retention_days: int
    access: tuple[AccessPlan, ...]
    addons: tuple[AddonPlan, ...]
    """What nodes need to become ready; the others follow in the platform layer."""


def plan_cluster(scope: AwsScope, spec: AwsCloudSpec, release: KubernetesRelease) -> ClusterPlan:
    """Decide the cluster."""
    return ClusterPlan(
        name=scope.name,
        version=spec.kubernetes_version,
        role=RolePlan(
            name=scope.role_name("cluster"),
            trust=(trust_of_service("eks", _from_account(scope)),),
            managed_policies=aws_managed("AmazonEKSClusterPolicy"),
            boundary=spec.permissions_boundary,
        ),
        service_cidr=SERVICE_CIDR,
        public_cidrs=spec.endpoint.public_cidrs,
        private_cidrs=spec.endpoint.private_cidrs,
        logs=CONTROL_PLANE_LOGS,
        log_group=f"/aws/eks/{scope.name}/cluster",
        log_retention_days=spec.log_retention_days,
        access=(
            *(AccessPlan(principal=arn, policy=_ADMIN_POLICY) for arn in spec.admins),
            # What they may do is a Role of Kubernetes, in the platform layer.
            *(
                AccessPlan(principal=arn, groups=(DEPLOYERS_GROUP, *map(owner_group, owners)))
                for arn, owners in _owners_of(spec).items()
            ),
        ),
        addons=_node_addons(scope, spec, release),
    )


def _owners_of(spec: AwsCloudSpec) -> dict[str, list[str]]:
    """Each deployer with the owners that they deploy for; EKS has one entry for a principal."""
    found: dict[str, list[str]] = {}
    for owner, principals in sorted(spec.deployers.items()):
        for arn in principals:
            found.setdefault(arn, []).append(owner)
    return found


def _from_account(scope: AwsScope) -> dict[str, dict[str, tuple[str, ...]]]:
    return {"StringEquals": {"aws:SourceAccount": (scope.account_id,)}}


def _node_addons(
    scope: AwsScope, spec: AwsCloudSpec, release: KubernetesRelease
) -> tuple[AddonPlan, ...]:
    return (
        AddonPlan(
            name="vpc-cni",
            version=release.addons["vpc-cni"],
            values={
                "enableNetworkPolicy": "true",
                "nodeAgent": {"enablePolicyEventLogs": "true"},
                # No pod talks before its policies are in place; standard mode allows all at first.
                "env": {"NETWORK_POLICY_ENFORCING_MODE": "strict"},
            },
            service_account="aws-node",
            role=RolePlan(
                name=scope.role_name("vpc-cni"),
                trust=(trust_of_pods(scope, "kube-system", "aws-node"),),
                statements=network_plugin_statements(scope),
                boundary=spec.permissions_boundary,
            ),
        ),
        AddonPlan(name="kube-proxy", version=release.addons["kube-proxy"]),
        AddonPlan(name="eks-pod-identity-agent", version=release.addons["eks-pod-identity-agent"]),
    )
