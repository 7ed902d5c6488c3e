"""Sizing: from (model, quantization, context) to GPUs, memory, storage, EC2 type, price and speed.

Pure functions: no I/O beyond reading the catalogue once, no Pulumi, no AWS. `size` answers the
whole question; the modules answer its parts.
"""

from moltghost.sizing.answer import Candidate, JsonValue, Placement, Sizing, to_json
from moltghost.sizing.capacity import (
    Affordable,
    Gpus,
    QuantizationFit,
    best_quantization,
    largest_context,
    models_within,
    most_slots,
    parse_gpus,
    what_fits,
)
from moltghost.sizing.cost import Cost
from moltghost.sizing.floors import Floor, floor_of
from moltghost.sizing.footprint import Footprint, GpuShare
from moltghost.sizing.jobs import (
    BuildJob,
    build_types,
    cheapest_node,
    runtime_types,
    size_build,
    size_build_on_machine,
)
from moltghost.sizing.nodes import NodeResources, allocatable, capacity
from moltghost.sizing.recommendations import Recommendation, recommend
from moltghost.sizing.request import NO_GPU, Pool, SizingRequest, default_pools, machine_pool
from moltghost.sizing.resources import LoadTimes, Resources
from moltghost.sizing.sizing import size
from moltghost.sizing.throughput import Speed

__all__ = [
    "NO_GPU",
    "Affordable",
    "BuildJob",
    "Candidate",
    "Cost",
    "Floor",
    "Footprint",
    "GpuShare",
    "Gpus",
    "JsonValue",
    "LoadTimes",
    "NodeResources",
    "Placement",
    "Pool",
    "QuantizationFit",
    "Recommendation",
    "Resources",
    "Sizing",
    "SizingRequest",
    "Speed",
    "allocatable",
    "best_quantization",
    "build_types",
    "capacity",
    "cheapest_node",
    "default_pools",
    "floor_of",
    "largest_context",
    "machine_pool",
    "models_within",
    "most_slots",
    "parse_gpus",
    "recommend",
    "runtime_types",
    "size",
    "size_build",
    "size_build_on_machine",
    "to_json",
    "what_fits",
]
