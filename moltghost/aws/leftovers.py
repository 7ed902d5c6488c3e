"""What an environment that was taken down has left in EC2: machines, disks, network interfaces."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from moltghost.aws.clients import Clients
from moltghost.aws_errors import trouble
from moltghost.errors import Failed

if TYPE_CHECKING:
    from collections.abc import Mapping

PERMISSIONS = (
    "ec2:DescribeInstances",
    "ec2:DescribeVolumes",
    "ec2:DescribeNetworkInterfaces",
)
# Instances that cost or may cost again; what is shutting down is on its way.
_ALIVE = ["pending", "running", "stopping", "stopped"]
# The VPC CNI tags its interfaces so (amazon-vpc-cni-k8s, awsutils.go, clusterNameTagKey).
_INTERFACE_TAG = "cluster.k8s.amazonaws.com/name"


@dataclass(frozen=True, kw_only=True)
class Leftovers:
    """Ids of what is still there and belongs to nobody any more."""

    region: str
    instances: tuple[str, ...] = ()
    volumes: tuple[str, ...] = ()
    """Disks that no machine has."""
    interfaces: tuple[str, ...] = ()
    """Interfaces that no machine has: they keep subnets and security groups from going."""

    @property
    def notes(self) -> tuple[str, ...]:
        """What is left beside machines, with the command that removes it."""
        found = []
        if self.volumes:
            found.append(
                f"{len(self.volumes)} disks are left, and cost. "
                + self._each(self.volumes, "delete-volume --volume-id")
            )
        if self.interfaces:
            found.append(
                f"{len(self.interfaces)} network interfaces are left; subnets stay with them. "
                + self._each(self.interfaces, "delete-network-interface --network-interface-id")
            )
        return tuple(found)

    @property
    def end_instances(self) -> str:
        """The command that ends the machines."""
        ids = " ".join(self.instances)
        return f"aws ec2 terminate-instances --region {self.region} --instance-ids {ids}"

    def _each(self, ids: tuple[str, ...], action: str) -> str:
        return f"for id in {' '.join(ids)}; do aws ec2 {action} $id --region {self.region}; done"


def find_leftovers(clients: Clients, cluster_name: str, tags: Mapping[str, str]) -> Leftovers:
    """Ask EC2 what carries the environment's tags and is in nobody's hands.

    Args:
        clients: of the environment's region.
        cluster_name: the cluster's name; EKS and Karpenter tag nodes with it.
        tags: tags of everything in the environment.

    Raises:
        Failed: EC2 gave no answer, so nothing can be said.
    """
    own = [{"Name": f"tag:{key}", "Values": [value]} for key, value in tags.items()]
    node = {"Name": "tag-key", "Values": [f"kubernetes.io/cluster/{cluster_name}"]}
    interface = {"Name": f"tag:{_INTERFACE_TAG}", "Values": [cluster_name]}
    free = {"Name": "status", "Values": ["available"]}
    alive = {"Name": "instance-state-name", "Values": _ALIVE}
    ec2 = clients.ec2()
    try:
        return Leftovers(
            region=clients.region,
            instances=tuple(
                each["InstanceId"]
                for group in _pages(ec2, "describe_instances", "Reservations", [node, alive])
                for each in group.get("Instances", [])
            ),
            volumes=tuple(
                each["VolumeId"]
                for each in _pages(ec2, "describe_volumes", "Volumes", [*own, free])
            ),
            interfaces=tuple(
                each["NetworkInterfaceId"]
                for each in _pages(
                    ec2, "describe_network_interfaces", "NetworkInterfaces", [interface, free]
                )
            ),
        )
    except (BotoCoreError, ClientError) as error:
        why = trouble(error, PERMISSIONS)
        raise Failed(
            f"whether EC2 instances of {cluster_name} are left can't be said: {why.found}",
            f"{why.remedy}; then the same command again, or look at "
            f"aws ec2 describe-instances --region {clients.region} --filters "
            f"Name=tag-key,Values=kubernetes.io/cluster/{cluster_name}",
        ) from error


def _pages(client: Any, operation: str, key: str, filters: list[Any]) -> Iterator[dict[str, Any]]:
    for page in client.get_paginator(operation).paginate(Filters=filters):
        yield from page.get(key, [])
