"""The platform layer: what runs in the cluster for every agent."""

from __future__ import annotations

import pulumi
import pulumi_kubernetes as k8s

from components.admission import AdmissionPolicies
from components.node_pool import NodePool
from components.storage import AgentStorage
from infra.layers import cluster_provider, output_of
from moltghost.config import StackName
from moltghost.planning.platform import PlatformPlan


def declare_platform(plan: PlatformPlan) -> None:
    """Declare pools, storage, priorities and admission policies."""
    cloud = StackName(plan.environment, "cloud")
    kubeconfig = output_of(cloud, "kubeconfig")
    opts = pulumi.ResourceOptions(provider=cluster_provider(kubeconfig))
    node_class = _node_class(plan, opts)
    for pool in plan.pools:
        NodePool(
            pool.name,
            pool,
            plan.labels,
            pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(depends_on=[node_class])),
        )
    AgentStorage("storage", plan, opts)
    _priority_class(plan, opts)
    AdmissionPolicies("admission", plan, opts)
    pulumi.export("kubeconfig", kubeconfig)
    pulumi.export("pools", [pool.name for pool in plan.pools])


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
