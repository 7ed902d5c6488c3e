"""The AWS part of the platform layer: what pools, volumes and GPUs stand on."""

from __future__ import annotations

import pulumi
import pulumi_kubernetes as k8s

from moltghost.components.aws.addons import Addons
from moltghost.components.aws.deployers import Deployers
from moltghost.components.aws.ec2_node_class import Ec2NodeClass
from moltghost.components.aws.gpu_support import GpuSupport
from moltghost.components.aws.karpenter import Karpenter
from moltghost.components.system_policies import SystemPolicies
from moltghost.components.weights_namespace import WeightsNamespace
from moltghost.infra.aws_access import aws_provider
from moltghost.planning.aws.platform import AwsPlatform


def declare_aws_platform(
    plan: AwsPlatform, labels: dict[str, str], cluster: k8s.Provider
) -> dict[str, pulumi.Resource]:
    """Declare it in the order that strict network policies demand.

    Namespaces, then policies of every system pod, then CoreDNS and the other add-ons, then
    Karpenter, then node classes.

    Returns:
        What each pool has to come after, by the pool's name.
    """
    inside = pulumi.ResourceOptions(provider=cluster)
    scope = plan.scope
    gpus = GpuSupport("gpus", plan.device_plugin_image, plan.dcgm_image, labels, inside)
    weights = WeightsNamespace("weights", labels, inside)
    policies = SystemPolicies(
        "flows", plan.policies, labels, [gpus.namespace, weights.namespace], inside
    )
    both = pulumi.ResourceOptions(providers=[aws_provider(scope), cluster])
    addons = Addons("addons", plan.addons, scope.name, scope.tags, policies.ready, both)
    karpenter = Karpenter(
        "karpenter",
        plan.karpenter_crds,
        plan.karpenter,
        [*policies.ready, *addons.ready],
        inside,
    )
    Deployers("deployers", plan.deployers_group, labels, inside)
    return {
        each.name: Ec2NodeClass(each.name, each, labels, [karpenter.controller], inside).node_class
        for each in plan.node_classes
    }
