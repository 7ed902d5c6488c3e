"""How many vCPU of each EC2 quota are in use.

A quota counts running on-demand instances and reservations whether used or not, so an unused
reservation is use, and an instance in one is counted once. Capacity Blocks count in neither.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from moltghost.aws.facts import Usage, quota_code
from moltghost.aws.preflight.probe import Context
from moltghost.models import instance_types

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


def _count_instances(context: Context, used: Counter[str]) -> None:
    request = context.request
    own = f"kubernetes.io/cluster/{request.cluster_name}"
    pages = (
        context.clients.ec2()
        .get_paginator("describe_instances")
        .paginate(Filters=[{"Name": "instance-state-name", "Values": _COUNTED_STATES}])
    )
    for page in pages:
        for reservation in page.get("Reservations", []):
            for instance in reservation.get("Instances", []):
                tags = {tag.get("Key") for tag in instance.get("Tags", [])}
                lifecycle = str(instance.get("InstanceLifecycle", ""))
                if lifecycle == "capacity-block":
                    continue
                if request.scope == "environment" and own in tags:
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
