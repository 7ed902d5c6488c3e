"""Nodes for pods without a GPU: the runtime, and the job that builds a model store."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

from moltghost.errors import Refused
from moltghost.models.hardware import instance_type, instance_types
from moltghost.models.hardware_facts import InstanceType
from moltghost.models.names import ModelChoice
from moltghost.sizing.resources import SCRATCH_BYTES, Resources, shortfalls
from moltghost.sizing.tensors import tensors
from moltghost.sizing.weights import layout
from moltghost.units import GIB

# What every type of the pool has. llama-quantize holds a tensor as F16 and as F32 at a time, which
# is 12.6 GB for the embeddings of 405B; all experts of a layer are one tensor, up to 32 GB.
BUILD_MEMORY_BYTES = 16 * GIB
_QUANTIZING_BYTES_PER_ELEMENT = 2 + 4
BUILD_CPU = 3  # leaves room for the daemon sets on the smallest build node (4 vCPU)
# On a machine that does other things as well: it takes what cores are idle, and the memory that
# the work itself needs.
_MACHINE_CPU, _MACHINE_BASE_BYTES = 0.2, GIB
# The machine's Ollama 0.17 quantizes in its own process (server/quantization.go): a tensor in a
# buffer that grows as it is read, as F32, and quantized. 1.75 GB measured at 168 M elements.
_MACHINE_BYTES_PER_ELEMENT = 12
# Ollama's `create` writes its result to a temporary file and copies that into the store; a file
# that isn't to be quantized goes the same way (server/create.go, reference 2.4).
_OUTPUT_COPIES = 2
_SOURCE = "F16"


@dataclass(frozen=True, slots=True)
class BuildJob:
    """The job that fills the weights store with one model.

    Attributes:
        source_bytes: what it downloads.
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
    choice: ModelChoice,
    *,
    quantize: bool,
    source_bytes: int = 0,
    types: Iterable[str] | None = None,
) -> BuildJob:
    """What building a model's store takes: disk for the source and twice the output.

    Args:
        choice: the model and the quantization to publish.
        quantize: make it from a source of full precision, instead of taking the finished file.
        source_bytes: of the file that it starts from; 0 computes them.
        types: the pool's instance types; the catalogue's by default.

    Raises:
        Refused: no type has that much disk.
    """
    source, output = _files(choice, quantize=quantize, source_bytes=source_bytes)
    held = _QUANTIZING_BYTES_PER_ELEMENT * _largest_tensor(choice) if quantize else 0
    memory = max(BUILD_MEMORY_BYTES, -(-held // GIB) * GIB + GIB)
    wanted = _wanted(source, output, BUILD_CPU, memory)
    kind = cheapest_node(wanted, build_types() if types is None else types)
    return BuildJob(source, output, wanted, kind.type, kind.usd_per_hour or Decimal(0))


def size_build_on_machine(
    choice: ModelChoice, *, quantize: bool, source_bytes: int = 0
) -> Resources:
    """The same on this machine's own node, which is not chosen but there."""
    source, output = _files(choice, quantize=quantize, source_bytes=source_bytes)
    held = _MACHINE_BYTES_PER_ELEMENT * _largest_tensor(choice) if quantize else 0
    memory = _MACHINE_BASE_BYTES + held
    return _wanted(source, output, _MACHINE_CPU, memory)


def _files(choice: ModelChoice, *, quantize: bool, source_bytes: int) -> tuple[int, int]:
    """Bytes of the source and of the output."""
    output = layout(choice.model, choice.quantization).file_bytes
    expected = layout(choice.model, _SOURCE).file_bytes if quantize else output
    return source_bytes or expected, output


def _wanted(source: int, output: int, cpu: float, memory: int) -> Resources:
    return Resources(
        cpu=cpu,
        memory_bytes=memory,
        ephemeral_storage_bytes=source + _OUTPUT_COPIES * output + SCRATCH_BYTES,
        gpu_count=0,
    )


def _largest_tensor(choice: ModelChoice) -> int:
    """Elements of the largest tensor, which is quantized in one piece."""
    return max(each.elements for each in tensors(choice.model.shape, _SOURCE))


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
