"""An agent's identity on AWS: its model server reads one store of the weights, and no more."""

from __future__ import annotations

from collections.abc import Sequence

import pulumi
import pulumi_aws as aws
import pulumi_kubernetes as k8s
from pulumi_kubernetes.networking import v1 as net

from moltghost.components.aws.options import child_of
from moltghost.components.aws.role import Role
from moltghost.labels import MODEL_SERVER, selector
from moltghost.planning.agent import AgentPlan
from moltghost.planning.aws.agent import AwsAgent


class AgentRole(pulumi.ComponentResource):
    """Role, Pod Identity, and the flow to the agent that hands out its credentials."""

    def __init__(
        self,
        name: str,
        plan: AgentPlan,
        identity: AwsAgent,
        namespace_ready: Sequence[pulumi.Resource],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("moltghost:aws:AgentRole", name, None, opts)
        role = Role("agent-role", identity.role, identity.tags, child_of(self))
        association = aws.eks.PodIdentityAssociation(
            "agent-identity",
            cluster_name=identity.scope.name,
            namespace=identity.namespace,
            service_account=identity.service_account,
            role_arn=role.arn,
            tags=identity.tags,
            opts=child_of(self, after=role.ready),
        )
        flow = net.NetworkPolicy(
            "model-server-to-pod-identity",
            metadata=k8s.meta.v1.ObjectMetaArgs(
                name="model-server-to-pod-identity", namespace=plan.namespace, labels=plan.labels
            ),
            spec=net.NetworkPolicySpecArgs(
                pod_selector=k8s.meta.v1.LabelSelectorArgs(
                    match_labels=selector(MODEL_SERVER, plan.agent)
                ),
                policy_types=["Ingress", "Egress"],
                egress=[
                    net.NetworkPolicyEgressRuleArgs(
                        to=[
                            net.NetworkPolicyPeerArgs(
                                ip_block=net.IPBlockArgs(cidr=identity.identity_cidr)
                            )
                        ],
                        ports=[
                            net.NetworkPolicyPortArgs(protocol="TCP", port=identity.identity_port)
                        ],
                    )
                ],
            ),
            opts=child_of(self, after=namespace_ready),
        )
        self.ready: list[pulumi.Resource] = [association, flow]
        """Credentials are injected when a pod is made, so the model server comes after these."""
        self.register_outputs({})
