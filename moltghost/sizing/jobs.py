"""Nodes for pods without a GPU: the runtime, and the job that builds a model store."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

from moltghost.errors import Refused
from moltghost.models.facts import InstanceType
from moltghost.models.hardware import instance_type, instance_types
from moltghost.models.names import ModelChoice
from moltghost.sizing.resources import SCRATCH_BYTES, Resources, shortfalls
from moltghost.sizing.weights import layout
from moltghost.units import GIB

# llama-quantize holds a tensor as F16 and F32 at a time; the largest of the catalogue (405B,
# 0.87e9 elements) takes 5.2 GB, its result and the uploads the rest.
BUILD_MEMORY_BYTES = 16 * GIB
BUILD_CPU = 3  # leaves room for the daemon sets on the smallest build node (4 vCPU)
_OUTPUT_COPIES = 2  # Ollama's `create` copies its result into the store
_SOURCE = "F16"


@dataclass(frozen=True, slots=True)
class BuildJob:
    """The job that fills the weights store with one model.

    Attributes:
        source_bytes: what it downloads to quantize; 0 where the file itself is pulled.
        output_bytes: the model file it publishes.
        instance_type: the cheapest type that has room, and its price.
    """

    source_bytes: int
    output_bytes: int
    resources: Resources
    instance_type: str
    usd_per_hour: Decimal


def build_types() -> tuple[str, ...]:
    """CPU types of the catalogue with an instance store."""
    return tuple(t.type for t in instance_types().values() if not t.gpu and t.nvme_gb)


def runtime_types() -> tuple[str, ...]:
    """CPU types of the catalogue without one."""
    return tuple(t.type for t in instance_types().values() if not t.gpu and not t.nvme_gb)


def size_build(
    choice: ModelChoice, *, quantize: bool, types: Iterable[str] | None = None
) -> BuildJob:
    """What building a model's store takes: disk for the source and twice the output.

    Args:
        choice: the model and the quantization to publish.
        quantize: make it from the F16 source, instead of pulling the finished file.
        types: the pool's instance types; the catalogue's by default.

    Raises:
        Refused: no type has that much disk.
    """
    output = layout(choice.model, choice.quantization).file_bytes
    source = layout(choice.model, _SOURCE).file_bytes if quantize else 0
    wanted = Resources(
        cpu=BUILD_CPU,
        memory_bytes=BUILD_MEMORY_BYTES,
        ephemeral_storage_bytes=source + _OUTPUT_COPIES * output + SCRATCH_BYTES,
        gpu_count=0,
    )
    kind = cheapest_node(wanted, build_types() if types is None else types)
    return BuildJob(source, output, wanted, kind.type, kind.usd_per_hour or Decimal(0))


def cheapest_node(wanted: Resources, types: Iterable[str]) -> InstanceType:
    """The cheapest of some types that has room for a pod beside the daemon sets.

    Raises:
        Refused: none has; the message says what is missing on the largest.
    """
    kinds = [instance_type(name) for name in types]
    priced = [k for k in kinds if k.usd_per_hour is not None]
    fitting = [k for k in priced if not shortfalls(wanted, k)]
    if fitting:
        return min(fitting, key=lambda k: (k.usd_per_hour, k.type))
    if not priced:
        raise Refused("the pool has no instance type with a price", "add one to the pool")
    largest = max(priced, key=lambda k: (k.nvme_gb, k.memory_mib))
    missing = "; ".join(str(s) for s in shortfalls(wanted, largest))
    raise Refused(
        f"no type of the pool has room: {largest.type} lacks {missing}",
        "add a larger instance type to the pool",
    )
