"""The catalogue: models, GPU cards and EC2 instance types as facts with their sources.

The facts are JSON files in `data/`, each with the source of every number. They are read once, on
first use, and kept; later calls do no I/O. Nothing here computes a size (that is
`moltghost.sizing`) and nothing imports pydantic, Pulumi or boto3, so importing it is cheap.
"""

from moltghost.models.catalogue import family_names, models
from moltghost.models.facts import (
    Doubt,
    FileType,
    GpuKind,
    InstanceType,
    Model,
    PriceSource,
    Quota,
    Shape,
    SlidingWindow,
)
from moltghost.models.hardware import (
    gpu_kind,
    gpu_kinds,
    instance_type,
    instance_types,
    price_source,
    quotas,
)
from moltghost.models.names import ModelChoice, find_model

__all__ = [
    "Doubt",
    "FileType",
    "GpuKind",
    "InstanceType",
    "Model",
    "ModelChoice",
    "PriceSource",
    "Quota",
    "Shape",
    "SlidingWindow",
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
