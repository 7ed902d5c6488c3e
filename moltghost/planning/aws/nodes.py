"""The plan of nodes that don't come from Karpenter: the system's, and fixed groups of GPUs."""

from __future__ import annotations

from typing import Literal

from moltghost.config_aws import AwsCloudSpec, FixedGroupSpec, ReservationSpec, kubelet_version
from moltghost.errors import Refused
from moltghost.labels import SYSTEM_LABEL
from moltghost.models import instance_types
from moltghost.planning.aws.facts import KubernetesRelease
from moltghost.planning.aws.nodeconfig import LocalStorage, NodeConfig
from moltghost.planning.base import Plan
from moltghost.planning.karpenter import NODE_POOL_LABEL
from moltghost.planning.pools import Taint, gpu_labels, gpu_taints

# Images and logs on the root disk; on nodes with NVMe both lie there instead.
SYSTEM_ROOT_GIB = 50
GPU_ROOT_GIB = 100
ROOT_IOPS = 3000  # gp3's own, without extra charge
ROOT_THROUGHPUT_MIB = 250
ROOT_DEVICE = "/dev/xvda"
SYSTEM_TAINT = Taint(key="CriticalAddonsOnly", value="true")

AmiType = Literal["AL2023_x86_64_STANDARD", "AL2023_x86_64_NVIDIA"]
CapacityType = Literal["ON_DEMAND", "CAPACITY_BLOCK"]
_EFFECTS = {"NoSchedule": "NO_SCHEDULE"}


class NodeGroupPlan(Plan):
    """One managed node group with its launch template."""

    name: str
    tier: Literal["private", "isolated"]
    zone_ids: tuple[str, ...]
    instance_type: str
    ami_type: AmiType
    release_version: str
    capacity_type: CapacityType
    nodes: int
    max_nodes: int
    labels: dict[str, str]
    taints: tuple[Taint, ...]
    root_gib: int
    node_config: NodeConfig
    reservation: ReservationSpec | None = None
    repair: bool
    """Whether EKS replaces a node that it finds broken."""

    @property
    def kubernetes_version(self) -> str:
        """The kubelet's minor version; EKS takes a newer image only together with it."""
        return kubelet_version(self.release_version)

    @property
    def scaled_by_eks(self) -> tuple[str, ...]:
        """Inputs that EKS changes by itself: it empties a Capacity Block's group before its end.

        Any other group's size is what the config says; were it left alone, a raised minimum would
        be above the size, which EKS refuses.
        """
        return ("scalingConfig.desiredSize",) if self.capacity_type == "CAPACITY_BLOCK" else ()

    @property
    def eks_taints(self) -> list[dict[str, str]]:
        """The taints in the words of the EKS API."""
        return [
            {"key": each.key, "value": each.value, "effect": _EFFECTS[each.effect]}
            for each in self.taints
        ]


def plan_system_nodes(spec: AwsCloudSpec, release: KubernetesRelease) -> NodeGroupPlan:
    """The nodes of Karpenter and the add-ons, spread over the zones."""
    wanted = spec.system_nodes
    _known_cpu_type(wanted.instance_type)
    return NodeGroupPlan(
        name="system",
        tier="private",
        zone_ids=spec.zone_ids,
        instance_type=wanted.instance_type,
        ami_type="AL2023_x86_64_STANDARD",
        release_version=f"{release.ami_kubernetes}-{ami_release(spec, release)}",
        capacity_type="ON_DEMAND",
        nodes=wanted.count,
        max_nodes=wanted.count + 1,  # room for the one that an update brings up first
        labels={SYSTEM_LABEL: "true"},
        taints=(SYSTEM_TAINT,),
        root_gib=SYSTEM_ROOT_GIB,
        node_config=NodeConfig(),
        repair=True,
    )


def plan_fixed_groups(spec: AwsCloudSpec) -> tuple[NodeGroupPlan, ...]:
    """Groups of constant size, on reserved capacity or on demand.

    Raises:
        Refused: a group's type isn't its pool's.
    """
    reserved = {each.id: each for each in spec.reservations}
    return tuple(
        _fixed_group(name, group, reserved.get(group.reservation or ""))
        for name, group in sorted(spec.fixed_groups.items())
    )


def _fixed_group(
    name: str,
    group: FixedGroupSpec,
    reservation: ReservationSpec | None,
) -> NodeGroupPlan:
    kind = instance_types().get(group.instance_type)
    if kind is None or kind.gpu != group.pool:
        raise Refused(
            f"fixed group {name}: {group.instance_type} isn't a type of pool {group.pool}",
            f"its types are {', '.join(_types_of(group.pool))}",
        )
    block = reservation is not None and reservation.kind == "capacity-block"
    return NodeGroupPlan(
        name=name,
        tier="isolated",
        zone_ids=(group.zone_id,),
        instance_type=group.instance_type,
        ami_type="AL2023_x86_64_NVIDIA",
        release_version=group.release_version,
        capacity_type="CAPACITY_BLOCK" if block else "ON_DEMAND",
        nodes=group.nodes,
        max_nodes=max(group.nodes, 1),
        # Agents select their pool by this label, which Karpenter gives to its own nodes.
        labels={**gpu_labels(), NODE_POOL_LABEL: group.pool},
        taints=gpu_taints(),
        root_gib=GPU_ROOT_GIB,
        node_config=NodeConfig(local_storage=LocalStorage(strategy="RAID0")),
        reservation=reservation,
        # A block's nodes can't be replaced by others, and repair stops above 20 % unhealthy.
        repair=not block,
    )


def karpenter_reservations(spec: AwsCloudSpec) -> tuple[ReservationSpec, ...]:
    """Reservations that no fixed group takes."""
    taken = {group.reservation for group in spec.fixed_groups.values()}
    return tuple(each for each in spec.reservations if each.id not in taken)


def ami_release(spec: AwsCloudSpec, release: KubernetesRelease) -> str:
    """The release date of the images."""
    return spec.ami_release or release.ami_release


def _known_cpu_type(name: str) -> None:
    cpu = [kind.type for kind in instance_types().values() if not kind.gpu]
    if name not in cpu:
        raise Refused(
            f"system_nodes.instance_type {name} isn't a type of the catalogue without a GPU",
            f"take one of {', '.join(cpu)}",
        )


def _types_of(pool: str) -> list[str]:
    return [kind.type for kind in instance_types().values() if kind.gpu == pool]
