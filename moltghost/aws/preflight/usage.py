"""How many vCPU of each EC2 quota are in use.

A quota counts running on-demand instances and reservations whether used or not, so an unused
reservation is use, and an instance in one is counted once. Capacity Blocks count in neither.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from moltghost.aws.facts import Usage, quota_code
from moltghost.aws.preflight.probe import Context
from moltghost.models import instance_types

if TYPE_CHECKING:
    from mypy_boto3_ec2.type_defs import InstanceTypeDef

PERMISSIONS = ("ec2:DescribeInstances", "ec2:DescribeCapacityReservations")
_COUNTED_STATES = ["pending", "running"]


def vcpus(instance_type: str) -> int | None:
    """Count of vCPU of a type by the catalogue, or None."""
    kind = instance_types().get(instance_type)
    return kind.vcpu if kind else None


@dataclass
class Use:
    """What is in use.

    Attributes:
        vcpus: quota code -> vCPU.
        reserved: reservation id -> nodes of it that the request may take: the free ones, or all
            where the environment's own nodes may be what fills them.
    """

    vcpus: Counter[str] = field(default_factory=Counter)
    reserved: dict[str, int] = field(default_factory=dict)


def use(context: Context) -> Use:
    """What is in use of the account's quotas and reservations.

    Where the whole environment is asked about, its own nodes don't count as use: they are part of
    what it needs.

    Raises:
        ClientError, BotoCoreError: AWS gave no answer.
    """
    found = Use()
    _count_instances(context, found.vcpus)
    _count_reservations(context, found)
    return found


def own_nodes(context: Context) -> Counter[str]:
    """Instance type -> nodes of the environment's own that run and cost; blocks are prepaid.

    Raises:
        ClientError, BotoCoreError: AWS gave no answer.
    """
    return Counter(
        str(instance["InstanceType"])
        for instance in _running(context)
        if _is_own(context, instance) and instance.get("InstanceLifecycle") != "capacity-block"
    )


def _running(context: Context) -> Iterator[InstanceTypeDef]:
    pages = (
        context.clients.ec2()
        .get_paginator("describe_instances")
        .paginate(Filters=[{"Name": "instance-state-name", "Values": _COUNTED_STATES}])
    )
    for page in pages:
        for reservation in page.get("Reservations", []):
            yield from reservation.get("Instances", [])


def _is_own(context: Context, instance: InstanceTypeDef) -> bool:
    """EKS and Karpenter both tag their nodes so."""
    own = f"kubernetes.io/cluster/{context.request.cluster_name}"
    return any(tag.get("Key") == own for tag in instance.get("Tags", []))


def _count_instances(context: Context, used: Counter[str]) -> None:
    whole = context.request.scope == "environment"
    for instance in _running(context):
        lifecycle = str(instance.get("InstanceLifecycle", ""))
        if lifecycle == "capacity-block" or (whole and _is_own(context, instance)):
            continue
        usage: Usage = "spot" if lifecycle == "spot" else "on_demand"
        kind = str(instance["InstanceType"])
        options = instance.get("CpuOptions", {})
        running = options.get("CoreCount", 0) * options.get("ThreadsPerCore", 0)
        if code := quota_code(kind, usage):
            used[code] += vcpus(kind) or running


def _count_reservations(context: Context, found: Use) -> None:
    pages = (
        context.clients.ec2()
        .get_paginator("describe_capacity_reservations")
        .paginate(Filters=[{"Name": "state", "Values": ["active"]}])
    )
    whole = context.request.scope == "environment"
    for page in pages:
        for item in page.get("CapacityReservations", []):
            kind, free = item["InstanceType"], item.get("AvailableInstanceCount", 0)
            room = item.get("TotalInstanceCount", 0) if whole else free
            found.reserved[item["CapacityReservationId"]] = room
            code = quota_code(kind, "on_demand")
            if code and item.get("ReservationType", "default") == "default":
                found.vcpus[code] += free * (vcpus(kind) or 0)
