"""The AWS part of an agent: who its model server is to AWS, and who may deploy it."""

from __future__ import annotations

from collections.abc import Sequence

import pulumi
import pulumi_kubernetes as k8s

from moltghost.components.aws.agent_deployers import AgentDeployers
from moltghost.components.aws.agent_role import AgentRole
from moltghost.infra.aws_access import aws_provider
from moltghost.planning.agent import AgentPlan
from moltghost.planning.aws.agent import AwsAgent


def declare_identity(
    plan: AgentPlan,
    identity: AwsAgent,
    namespace_ready: Sequence[pulumi.Resource],
    cluster: k8s.Provider,
) -> list[pulumi.Resource]:
    """Declare the agent's role.

    Returns:
        What the model server has to come after.
    """
    both = pulumi.ResourceOptions(providers=[aws_provider(identity.scope), cluster])
    return AgentRole("identity", plan, identity, namespace_ready, both).ready


def declare_deployers(
    plan: AgentPlan, namespace: pulumi.Resource, cluster: k8s.Provider
) -> pulumi.Resource:
    """Declare what the agent's owner may read of it; without it nobody sees a Secret end."""
    opts = pulumi.ResourceOptions(provider=cluster)
    return AgentDeployers("deployers", plan, namespace, opts).binding
