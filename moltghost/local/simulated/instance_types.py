"""Instance types in the form that Karpenter's KWOK cloud provider reads.

A simulated node's *allocatable* is to equal what EKS leaves on the real one. The provider derives
it as ``resources - 100m CPU - 10 MiB memory`` (its fixed ``KubeReserved``, see ``newInstanceType``
in karpenter v1.15 ``kwok/cloudprovider/helpers.go``), so that much is added here.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from decimal import Decimal

from moltghost.labels import GPU_RESOURCE, ZONE_LABEL
from moltghost.planning.karpenter import CAPACITY_TYPE_LABEL
from moltghost.sizing.nodes import NodeResources
from moltghost.units import MIB

PROVIDER_RESERVED_CPU_MILLIS = 100
PROVIDER_RESERVED_MEMORY_BYTES = 10 * MIB

# There are no reservations on this machine, and no pool uses spot.
CAPACITY_TYPE = "on-demand"


@dataclass(frozen=True, kw_only=True)
class NodeType:
    """An instance type that Karpenter can create a simulated node of.

    Args:
        name: such as ``g6e.xlarge``.
        arch: Kubernetes' word, ``amd64`` or ``arm64``.
        zones: where it is offered.
        price_usd_per_hour: what Karpenter compares.
        capacity: what the node has; counts against a NodePool's limits.
        allocatable: what the node leaves to pods.
    """

    name: str
    arch: str
    zones: tuple[str, ...]
    price_usd_per_hour: Decimal
    capacity: NodeResources
    allocatable: NodeResources


def karpenter_instance_types(types: Iterable[NodeType]) -> str:
    """Content of the provider's instance types file (``INSTANCE_TYPES_FILE_PATH``)."""
    return json.dumps([_instance_type(node_type) for node_type in types], indent=1) + "\n"


def capacities(types: Iterable[NodeType]) -> dict[str, dict[str, str]]:
    """Capacity of a node by instance type, as Kubernetes quantities."""
    return {node_type.name: _quantities(node_type.capacity) for node_type in types}


def _instance_type(node_type: NodeType) -> dict[str, object]:
    left = node_type.allocatable
    before_provider = replace(
        left,
        cpu_millis=left.cpu_millis + PROVIDER_RESERVED_CPU_MILLIS,
        memory_bytes=left.memory_bytes + PROVIDER_RESERVED_MEMORY_BYTES,
    )
    return {
        "name": node_type.name,
        "architecture": node_type.arch,
        "operatingSystems": ["linux"],
        "resources": _quantities(before_provider),
        "offerings": [_offering(zone, node_type) for zone in node_type.zones],
    }


def _quantities(resources: NodeResources) -> dict[str, str]:
    quantities = {
        "cpu": f"{resources.cpu_millis}m",
        "memory": str(resources.memory_bytes),
        "ephemeral-storage": str(resources.ephemeral_storage_bytes),
        "pods": str(resources.pods),
    }
    return quantities | ({GPU_RESOURCE: str(resources.gpus)} if resources.gpus else {})


def _offering(zone: str, node_type: NodeType) -> dict[str, object]:
    requirements = {
        CAPACITY_TYPE_LABEL: CAPACITY_TYPE,
        ZONE_LABEL: zone,
    }
    return {
        # The provider reads a JSON number.
        "Price": float(node_type.price_usd_per_hour),
        "Available": True,
        "Requirements": [
            {"key": key, "operator": "In", "values": [value]} for key, value in requirements.items()
        ],
    }
