"""The catalogue: models, GPU cards and EC2 instance types as facts with their sources.

The facts are JSON files in `data/`, each with the source of every number. They are read once, on
first use, and kept; later calls do no I/O. Nothing here computes a size (that is
`moltghost.sizing`) and nothing imports pydantic, Pulumi or boto3, so importing it is cheap.
"""

from moltghost.models.catalogue import family_names, models
from moltghost.models.facts import Agents, Doubt, FileType, Fitness, Model, Thinking
from moltghost.models.hardware import (
    gpu_kind,
    gpu_kinds,
    instance_type,
    instance_types,
    price_source,
    quotas,
)
from moltghost.models.hardware_facts import GpuKind, InstanceType, PriceSource, Quota
from moltghost.models.names import ModelChoice, find_model
from moltghost.models.shape import Shape, SlidingWindow

__all__ = [
    "Agents",
    "Doubt",
    "FileType",
    "Fitness",
    "GpuKind",
    "InstanceType",
    "Model",
    "ModelChoice",
    "PriceSource",
    "Quota",
    "Shape",
    "SlidingWindow",
    "Thinking",
    "family_names",
    "find_model",
    "gpu_kind",
    "gpu_kinds",
    "instance_type",
    "instance_types",
    "models",
    "price_source",
    "quotas",
]
