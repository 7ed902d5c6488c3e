"""The catalogue's instance types as simulated node types."""

from __future__ import annotations

from moltghost.local.simulated.instance_types import NodeType
from moltghost.models.hardware import instance_types
from moltghost.planning.embedded import EMBEDDED_ZONES
from moltghost.sizing.nodes import allocatable, capacity

# Every instance type of the catalogue is x86-64.
_ARCHITECTURE = "amd64"


def catalogue_node_types() -> tuple[NodeType, ...]:
    """Every type with a price, offered in every zone of the embedded cluster."""
    return tuple(
        NodeType(
            name=kind.type,
            arch=_ARCHITECTURE,
            zones=EMBEDDED_ZONES,
            price_usd_per_hour=kind.usd_per_hour,
            capacity=capacity(kind),
            allocatable=allocatable(kind),
        )
        for kind in instance_types().values()
        if kind.usd_per_hour is not None
    )
