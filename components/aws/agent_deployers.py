"""What an agent's owner may do in its namespace, and nowhere else in the cluster."""

from __future__ import annotations

import pulumi
import pulumi_kubernetes as k8s
from pulumi_kubernetes.rbac import v1 as rbac

from moltghost.components.aws.deployers import IN_AGENTS, RBAC
from moltghost.components.aws.options import child_of
from moltghost.labels import OWNER_LABEL, owner_group
from moltghost.planning.agent import AgentPlan


class AgentDeployers(pulumi.ComponentResource):
    """What the owner's group has in the namespace of its agent alone."""

    def __init__(
        self,
        name: str,
        plan: AgentPlan,
        namespace: pulumi.Resource,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("moltghost:aws:AgentDeployers", name, None, opts)
        self.binding = rbac.RoleBinding(
            "deployers-in-agent",
            metadata=k8s.meta.v1.ObjectMetaArgs(
                name=IN_AGENTS, namespace=plan.namespace, labels=plan.labels
            ),
            role_ref=rbac.RoleRefArgs(api_group=RBAC, kind="ClusterRole", name=IN_AGENTS),
            subjects=[
                rbac.SubjectArgs(
                    api_group=RBAC, kind="Group", name=owner_group(plan.labels[OWNER_LABEL])
                )
            ],
            opts=child_of(self, after=[namespace]),
        )
        self.register_outputs({})
