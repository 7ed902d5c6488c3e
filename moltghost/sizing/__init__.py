"""Sizing: from (model, quantization, context) to GPUs, memory, storage, EC2 type, price and speed.

Pure functions: no I/O beyond reading the catalogue once, no Pulumi, no AWS. `size` answers the
whole question; the modules answer its parts.
"""

from moltghost.sizing.answer import Candidate, JsonValue, Placement, Sizing, to_json
from moltghost.sizing.cost import Cost
from moltghost.sizing.floors import Floor, floor_of
from moltghost.sizing.footprint import Footprint, GpuShare
from moltghost.sizing.jobs import (
    BuildJob,
    build_types,
    cheapest_node,
    runtime_types,
    size_build,
)
from moltghost.sizing.nodes import NodeResources, allocatable, capacity
from moltghost.sizing.request import Pool, SizingRequest, default_pools
from moltghost.sizing.resources import LoadTimes, Resources
from moltghost.sizing.sizing import size
from moltghost.sizing.throughput import Speed

__all__ = [
    "BuildJob",
    "Candidate",
    "Cost",
    "Floor",
    "Footprint",
    "GpuShare",
    "JsonValue",
    "LoadTimes",
    "NodeResources",
    "Placement",
    "Pool",
    "Resources",
    "Sizing",
    "SizingRequest",
    "Speed",
    "allocatable",
    "build_types",
    "capacity",
    "cheapest_node",
    "default_pools",
    "floor_of",
    "runtime_types",
    "size",
    "size_build",
    "to_json",
]
