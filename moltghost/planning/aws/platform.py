"""The AWS part of a platform's plan: what a pool, a volume or a GPU stands on there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from moltghost.config_aws import AwsCloudSpec
from moltghost.labels import DEPLOYERS_GROUP, SYSTEM_LABEL
from moltghost.planning.aws.cloud import AwsCloudPlan
from moltghost.planning.aws.cluster import AddonPlan
from moltghost.planning.aws.controllers import disk_driver_statements
from moltghost.planning.aws.facts import karpenter_chart, kubernetes_release, node_images
from moltghost.planning.aws.flows import plan_flows
from moltghost.planning.aws.iam import RolePlan, trust_of_pods
from moltghost.planning.aws.names import AwsScope
from moltghost.planning.aws.node_class import Ec2NodeClassPlan, plan_node_class
from moltghost.planning.aws.nodes import SYSTEM_TAINT
from moltghost.planning.aws.storage import mirrored
from moltghost.planning.base import Plan
from moltghost.planning.flows import SystemPolicy

_ON_SYSTEM_NODES: dict[str, Any] = {
    "nodeSelector": {SYSTEM_LABEL: "true"},
    "tolerations": [
        {"key": SYSTEM_TAINT.key, "operator": "Exists"},
    ],
}
_KARPENTER_CPU, _KARPENTER_MEMORY = "1", "1Gi"  # Karpenter's getting-started guide


class ReleasePlan(Plan):
    """A Helm release by version; nothing in it is left to a default that matters."""

    name: str
    namespace: str
    chart: str
    version: str
    values: dict[str, Any]


class AwsPlatform(Plan):
    """What the platform layer has on AWS beside what it has everywhere."""

    scope: AwsScope
    policies: tuple[SystemPolicy, ...]
    addons: tuple[AddonPlan, ...]
    """Add-ons whose pods need network policies first, CoreDNS foremost."""
    karpenter_crds: ReleasePlan
    karpenter: ReleasePlan
    node_classes: tuple[Ec2NodeClassPlan, ...]
    device_plugin_image: str
    dcgm_image: str
    deployers_group: str = DEPLOYERS_GROUP


def plan_aws_platform(
    cloud: AwsCloudPlan, spec: AwsCloudSpec, pools: Mapping[str, tuple[str, ...]]
) -> AwsPlatform:
    """Decide the AWS part of the platform.

    Args:
        cloud: the plan of the layer below.
        spec: its config.
        pools: instance types by pool.
    """
    images = {
        name: mirrored(cloud.scope, source, spec.image_digests)
        for name, source in node_images().items()
    }
    chart = karpenter_chart()
    return AwsPlatform(
        scope=cloud.scope,
        policies=plan_flows(cloud),
        addons=_addons(cloud, spec),
        karpenter_crds=ReleasePlan(
            name="karpenter-crd",
            namespace=cloud.karpenter.namespace,
            chart=chart.crd_chart,
            version=chart.version,
            values={},
        ),
        karpenter=ReleasePlan(
            name="karpenter",
            namespace=cloud.karpenter.namespace,
            chart=chart.chart,
            version=chart.version,
            values=_karpenter_values(cloud),
        ),
        node_classes=tuple(
            plan_node_class(pool, types, cloud, spec) for pool, types in pools.items()
        ),
        device_plugin_image=images["k8s-device-plugin"],
        dcgm_image=images["dcgm-exporter"],
    )


def _karpenter_values(cloud: AwsCloudPlan) -> dict[str, Any]:
    resources = {"cpu": _KARPENTER_CPU, "memory": _KARPENTER_MEMORY}
    return {
        "replicas": 2,
        "serviceAccount": {"name": cloud.karpenter.service_account},
        "settings": {
            "clusterName": cloud.cluster_name,
            "interruptionQueue": cloud.karpenter.queue,
            # Replaces nodes by force, the only way it has: never under a model server.
            "featureGates": {"nodeRepair": False, "spotToSpotConsolidation": False},
        },
        # CoreDNS runs on the system nodes, which don't come from Karpenter.
        "dnsPolicy": "ClusterFirst",
        "controller": {
            "resources": {"requests": resources, "limits": resources},
            # It would ask the instance, which pods can't.
            "env": [{"name": "AWS_REGION", "value": cloud.scope.region}],
        },
        **_ON_SYSTEM_NODES,
    }


def _addons(cloud: AwsCloudPlan, spec: AwsCloudSpec) -> tuple[AddonPlan, ...]:
    versions = kubernetes_release(spec.kubernetes_version).addons
    account = "ebs-csi-controller-sa"
    return (
        AddonPlan(name="coredns", version=versions["coredns"], values=_ON_SYSTEM_NODES),
        AddonPlan(
            name="aws-ebs-csi-driver",
            version=versions["aws-ebs-csi-driver"],
            values={
                "controller": {
                    **_ON_SYSTEM_NODES,
                    "extraVolumeTags": cloud.tags,
                    # Tags volumes as the cluster's, which is all that the driver's role may touch.
                    "k8sTagClusterId": cloud.cluster_name,
                    "region": cloud.scope.region,
                },
                "node": {"tolerateAllTaints": True},
            },
            service_account=account,
            role=RolePlan(
                name=cloud.scope.role_name("ebs-csi"),
                trust=(trust_of_pods(cloud.scope, "kube-system", account),),
                statements=disk_driver_statements(cloud.scope),
                boundary=cloud.boundary,
            ),
        ),
        AddonPlan(
            name="metrics-server", version=versions["metrics-server"], values=_ON_SYSTEM_NODES
        ),
    )
