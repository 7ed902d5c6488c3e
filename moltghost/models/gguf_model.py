"""A model that isn't in the catalogue, described by its GGUF file alone."""

from __future__ import annotations

from collections import Counter
from types import MappingProxyType

from moltghost.errors import Refused
from moltghost.models.architectures import why_not
from moltghost.models.capabilities import Capabilities, capabilities_of
from moltghost.models.catalogue import gguf_file_types
from moltghost.models.facts import Agents, Fitness, Model, ModelFile, Thinking
from moltghost.models.gguf import GgufFile
from moltghost.models.gguf_shape import Facts, shape_of
from moltghost.models.names import ModelChoice

_NOT_STATED = "not stated"
_DEFAULT_CONTEXT = 4096  # where the file doesn't say what it was trained for
# `general.type` of files that are no model (gguf's GGUFType), and keys that give them away.
_TYPES = {
    "adapter": "an adapter (LoRA), which belongs to a model; merge it into one and convert that",
    "mmproj": "a vision tower (mmproj), which belongs to a language model; size that one's file",
    "imatrix": "an importance matrix, which only helps to quantize a model",
}
_KEYS = {
    "adapter.type": "adapter",
    "imatrix.datasets": "imatrix",
    "imatrix.chunk_count": "imatrix",
    "clip.has_vision_encoder": "mmproj",
    "clip.projector_type": "mmproj",
}
# Tensors that only embedding models and rerankers end with.
_RERANKER = ("cls.weight", "cls.output.weight")
_VISION_PREFIXES = ("v.", "mm.", "a.")


def model_of(file: GgufFile) -> ModelChoice:
    """The model of a file, to be sized as one of the catalogue.

    Raises:
        Refused: the file has no language model, or one whose memory isn't modelled; the message
            says what it is.
    """
    _require_chat_model(file)
    facts, can = Facts(file), own_capabilities(file)
    quantization = _quantization(file)
    name = file.path.name.removesuffix(".gguf")
    record = ModelFile(
        quantization, None, False, published_bytes=file.file_bytes, tensors=file.tensors
    )
    text = [t for t in file.tensors if not t.name.startswith(_VISION_PREFIXES)]
    model = Model(
        id=name,
        aliases=(),
        ollama_names=(),
        family=facts.architecture,
        parameters=sum(t.elements for t in text if not t.name.startswith("rope_")),
        max_context=facts.number("context_length", _DEFAULT_CONTEXT),
        shape=shape_of(file),
        gguf_metadata_bytes=0,
        licence=facts.text("general.license", _NOT_STATED),
        licence_note=None,
        gated=None,
        gated_note=None,
        tools=can.tools,
        tools_note=can.evidence,
        thinking=Thinking(can.thinking, note=can.evidence),
        vision_bytes=sum(t.size_bytes for t in file.tensors) - sum(t.size_bytes for t in text),
        agents=fitness_of(can),
        least_ollama=None,
        hf_repo="",
        ollama_default=quantization,
        files=MappingProxyType({quantization: record}),
        default_quantization=quantization,
        q4=quantization,
        notes=(),
        doubts=(),
        sources=(str(file.path),),
    )
    return ModelChoice(model, quantization)


def own_capabilities(file: GgufFile) -> Capabilities:
    """What the template in a file says that its model can do."""
    return capabilities_of(file.chat_template)


def fitness_of(can: Capabilities) -> Agents:
    """How far a model that isn't in the catalogue is known to work as an agent."""
    if can.tools:
        return Agents(Fitness.UNTESTED, f"it isn't in the catalogue; {can.evidence}")
    return Agents(Fitness.UNFIT, f"it can't call tools: {can.evidence}")


def _require_chat_model(file: GgufFile) -> None:
    metadata = file.metadata
    stated = metadata.get("general.type", "")
    kind = stated if isinstance(stated, str) and stated in _TYPES else ""
    kind = kind or next((kind for key, kind in _KEYS.items() if key in metadata), "")
    if kind:
        raise _not_a_model(file, _TYPES[kind])
    architecture = Facts(file).architecture
    if what := why_not(architecture):
        raise _not_a_model(file, what)
    if not file.tensors:
        raise _not_a_model(file, "a vocabulary without weights")
    names = {tensor.name for tensor in file.tensors}
    if names.intersection(_RERANKER):
        raise _not_a_model(file, "a reranker, which scores texts and can't chat")
    prefix = metadata.get("general.architecture")
    pooling = metadata.get(f"{prefix}.pooling_type", 0)
    if isinstance(pooling, int) and pooling > 0:
        raise _not_a_model(file, "an embedding model (it has a pooling type), which can't chat")


def _not_a_model(file: GgufFile, what: str) -> Refused:
    return Refused(
        f"{file.path} can't be sized: it is {what}",
        "give the GGUF of a language model; `moltghost models --recommended` lists some",
    )


def _quantization(file: GgufFile) -> str:
    """What the file says it is, else the block type that holds most of its elements."""
    stated = file.metadata.get("general.file_type")
    if isinstance(stated, int) and stated in gguf_file_types():
        return gguf_file_types()[stated]
    held: Counter[str] = Counter()
    for tensor in file.tensors:
        held[tensor.type] += tensor.elements
    return held.most_common(1)[0][0]
