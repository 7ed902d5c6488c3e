"""The platform layer: what runs in the cluster for every agent."""

from __future__ import annotations

import pulumi
import pulumi_kubernetes as k8s

from moltghost.components.admission import AdmissionPolicies
from moltghost.components.node_pool import NodePool
from moltghost.components.storage import AgentStorage
from moltghost.components.system_policies import SystemPolicies
from moltghost.components.weights_namespace import WeightsNamespace
from moltghost.config import StackName
from moltghost.infra.layers import cluster_provider, output_of
from moltghost.planning.platform import PlatformPlan


def declare_platform(plan: PlatformPlan) -> None:
    """Declare pools, storage, priorities and admission policies."""
    cloud = StackName(plan.environment, "cloud")
    kubeconfig = output_of(cloud, "kubeconfig")
    cluster = cluster_provider(kubeconfig)
    opts = pulumi.ResourceOptions(provider=cluster)
    node_classes = _node_classes(plan, cluster, opts)
    for pool in plan.pools:
        after = pulumi.ResourceOptions(depends_on=[node_classes[pool.name]])
        NodePool(pool.name, pool, plan.labels, pulumi.ResourceOptions.merge(opts, after))
    AgentStorage("storage", plan, opts)
    _priority_class(plan, opts)
    AdmissionPolicies("admission", plan, opts)
    if plan.weights_jobs:
        weights = WeightsNamespace("weights", plan.labels, opts)
        flows = [plan.weights_jobs]
        SystemPolicies("flows", flows, plan.labels, [weights.namespace], opts)
    pulumi.export("kubeconfig", kubeconfig)
    pulumi.export("pools", [pool.name for pool in plan.pools])


def _node_classes(
    plan: PlatformPlan, cluster: k8s.Provider, opts: pulumi.ResourceOptions
) -> dict[str, pulumi.Resource]:
    """The node class of each pool; simulated pools share one."""
    if plan.aws:
        # Loading AWS's SDK takes a second that no other environment has to wait for.
        from moltghost.infra.aws_platform import declare_aws_platform

        return declare_aws_platform(plan.aws, plan.labels, cluster)
    shared = _node_class(plan, opts)
    return {pool.name: shared for pool in plan.pools}


def _node_class(plan: PlatformPlan, opts: pulumi.ResourceOptions) -> pulumi.Resource:
    return k8s.apiextensions.CustomResource(
        "node-class",
        api_version=f"{plan.node_class.group}/{plan.node_class.version}",
        kind=plan.node_class.kind,
        metadata=k8s.meta.v1.ObjectMetaArgs(name=plan.node_class.name, labels=plan.labels),
        opts=opts,
    )


def _priority_class(plan: PlatformPlan, opts: pulumi.ResourceOptions) -> None:
    """Agents are above nothing and push nobody out: what doesn't fit waits."""
    k8s.scheduling.v1.PriorityClass(
        "priority",
        metadata=k8s.meta.v1.ObjectMetaArgs(name=plan.priority_class, labels=plan.labels),
        value=1000,
        preemption_policy="Never",
        global_default=False,
        description="Pods of agents",
        opts=opts,
    )
