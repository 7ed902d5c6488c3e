"""The EKS cluster and who may reach it."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from moltghost.components.aws.options import child_of
from moltghost.components.aws.role import Role
from moltghost.planning.aws.cluster import AccessPlan, ClusterPlan

_HTTPS = 443


@dataclass(frozen=True, kw_only=True)
class ClusterInputs:
    """What the cluster needs from other resources."""

    subnet_ids: list[pulumi.Input[str]]
    secrets_key: pulumi.Input[str]
    logs_key: pulumi.Input[str]


class Cluster(pulumi.ComponentResource):
    """A cluster that only named principals reach, with nothing in it that wasn't asked for."""

    def __init__(
        self,
        name: str,
        plan: ClusterPlan,
        inputs: ClusterInputs,
        tags: dict[str, str],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("moltghost:aws:Cluster", name, None, opts)
        self._plan, self._tags = plan, tags
        role = Role("cluster-role", plan.role, tags, child_of(self))
        # EKS would make it without an end and without our key.
        logs = aws.cloudwatch.LogGroup(
            "cluster-log-group",
            name=plan.log_group,
            retention_in_days=plan.log_retention_days,
            kms_key_id=inputs.logs_key,
            tags=tags,
            opts=child_of(self),
        )
        self.cluster = self._cluster(role, inputs, [*role.ready, logs])
        for number, cidr in enumerate(plan.private_cidrs):
            self._let_in(number, cidr)
        self.access = [
            resource
            for number, each in enumerate(plan.access)
            for resource in self._access(number, each)
        ]
        self.register_outputs({})

    def _cluster(
        self, role: Role, inputs: ClusterInputs, after: list[pulumi.Resource]
    ) -> aws.eks.Cluster:
        plan = self._plan
        return aws.eks.Cluster(
            "cluster",
            name=plan.name,
            version=plan.version,
            role_arn=role.arn,
            bootstrap_self_managed_addons=False,
            deletion_protection=True,
            access_config=aws.eks.ClusterAccessConfigArgs(
                authentication_mode="API", bootstrap_cluster_creator_admin_permissions=False
            ),
            vpc_config=aws.eks.ClusterVpcConfigArgs(
                subnet_ids=inputs.subnet_ids,
                endpoint_private_access=True,
                endpoint_public_access=bool(plan.public_cidrs),
                public_access_cidrs=list(plan.public_cidrs) or None,
            ),
            kubernetes_network_config=aws.eks.ClusterKubernetesNetworkConfigArgs(
                ip_family="ipv4", service_ipv4_cidr=plan.service_cidr
            ),
            encryption_config=aws.eks.ClusterEncryptionConfigArgs(
                resources=["secrets"],
                provider=aws.eks.ClusterEncryptionConfigProviderArgs(key_arn=inputs.secrets_key),
            ),
            enabled_cluster_log_types=list(plan.logs),
            # AWS would upgrade it by itself on the day that STANDARD ends, untested and with the
            # add-ons and the Karpenter of the version before; this costs more, and says so before.
            upgrade_policy=aws.eks.ClusterUpgradePolicyArgs(support_type="EXTENDED"),
            tags=self._tags,
            opts=child_of(self, after=after, protect=True),
        )

    def _let_in(self, number: int, cidr: str) -> None:
        """EKS makes the group, and lets in nobody but its members."""
        group = self.cluster.vpc_config.apply(lambda config: config.cluster_security_group_id)
        aws.vpc.SecurityGroupIngressRule(
            f"api-from-{number}",
            security_group_id=group,
            description="To the API server from a network of yours",
            cidr_ipv4=cidr,
            ip_protocol="tcp",
            from_port=_HTTPS,
            to_port=_HTTPS,
            tags=self._tags,
            opts=child_of(self),
        )

    def _access(self, number: int, plan: AccessPlan) -> list[pulumi.Resource]:
        name = f"{'admin' if plan.policy else 'deployer'}-{number}"
        entry = aws.eks.AccessEntry(
            name,
            cluster_name=self.cluster.name,
            principal_arn=plan.principal,
            type="STANDARD",
            kubernetes_groups=list(plan.groups) or None,
            tags=self._tags,
            opts=child_of(self),
        )
        if not plan.policy:
            return [entry]
        policy = aws.eks.AccessPolicyAssociation(
            f"{name}-policy",
            cluster_name=self.cluster.name,
            principal_arn=plan.principal,
            policy_arn=plan.policy,
            access_scope=aws.eks.AccessPolicyAssociationAccessScopeArgs(type="cluster"),
            opts=child_of(self, after=[entry]),
        )
        return [entry, policy]
