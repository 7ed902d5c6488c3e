"""The plan of a pool's EC2 side: image, disks, network and reservations of its nodes."""

from __future__ import annotations

from moltghost.config_aws import AwsCloudSpec
from moltghost.labels import POOL_TAG, TIER_TAG
from moltghost.models import instance_types
from moltghost.planning.aws.cloud import AwsCloudPlan
from moltghost.planning.aws.facts import kubernetes_release
from moltghost.planning.aws.network import Tier
from moltghost.planning.aws.nodes import (
    GPU_ROOT_GIB,
    ROOT_DEVICE,
    ROOT_IOPS,
    ROOT_THROUGHPUT_MIB,
    SYSTEM_ROOT_GIB,
    ami_release,
    karpenter_reservations,
)
from moltghost.planning.base import Plan


class Ec2NodeClassPlan(Plan):
    """An ``EC2NodeClass``: how AWS makes the nodes of one pool."""

    name: str
    ami_alias: str
    instance_profile: str
    subnet_tags: dict[str, str]
    security_group_tags: dict[str, str]
    instance_store_policy: str | None
    """``RAID0`` puts kubelet and containerd on NVMe, so that ``emptyDir`` lies there."""
    root_device: str = ROOT_DEVICE
    root_gib: int
    root_iops: int = ROOT_IOPS
    root_throughput_mib: int = ROOT_THROUGHPUT_MIB
    disk_key: str
    reservations: tuple[str, ...]
    tags: dict[str, str]


def plan_node_class(
    pool: str, types: tuple[str, ...], cloud: AwsCloudPlan, spec: AwsCloudSpec
) -> Ec2NodeClassPlan:
    """Decide the EC2 side of a pool of these instance types."""
    known = instance_types()
    with_nvme = all(known[each].nvme_gb for each in types)
    # The jobs of the weights pool download from model hubs; nothing else goes out.
    tier: Tier = "private" if pool == "weights" else "isolated"
    release = kubernetes_release(spec.kubernetes_version)
    return Ec2NodeClassPlan(
        name=pool,
        ami_alias=f"al2023@v{ami_release(spec, release)}",
        instance_profile=cloud.karpenter.instance_profile,
        subnet_tags={**cloud.tags, TIER_TAG: tier},
        security_group_tags={"aws:eks:cluster-name": cloud.cluster_name},
        instance_store_policy="RAID0" if with_nvme else None,
        root_gib=GPU_ROOT_GIB if with_nvme else SYSTEM_ROOT_GIB,
        disk_key=cloud.storage.parameters["kmsKeyId"],
        reservations=tuple(
            each.id for each in karpenter_reservations(spec) if each.instance_type in types
        ),
        tags={**cloud.tags, POOL_TAG: pool},
    )
