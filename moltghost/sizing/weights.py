"""Bytes of a model file, tensor by tensor, by the rules of llama.cpp's quantizer.

`layout` answers for a catalogue model; the rest of the library only needs a `WeightLayout`, so a
file that is not in the catalogue can be described by its own tensor table.

Rules: ggml-org/llama.cpp `src/llama-quant.cpp`@007dbbf3 (`llama_tensor_get_type`), checked
against the published sizes of 26 library files: what remains is metadata.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from moltghost.models.catalogue import block_types, file_types
from moltghost.models.facts import Model, Shape

if TYPE_CHECKING:
    from moltghost.models.gguf import GgufTensor

# llama.cpp: these attention tensors get more bits in models of eight experts, where they are small.
_EIGHT_EXPERTS = 8
# llama.cpp: 80-layer models share attn_v among 8 heads, so it is worth another bit.
_SHARED_V_LAYERS = 80
_EDGE = 8  # the first and last eighth of the layers keep more bits
_Q4_K_S_V_LAYERS = 4
# A row that is no multiple of the 256-element block takes a 32-element type (same source).
_FALLBACK = {"Q4_K": "Q5_0", "Q5_K": "Q5_1", "Q6_K": "Q8_0"}
_MIXED = ("Q4_K_M", "Q5_K_M")
_GGUF_NAME = re.compile(r"(?:blk\.(?P<layer>\d+)\.)?(?P<name>.+?)(?:\.weight)?$")


@dataclass(frozen=True, slots=True)
class Tensor:
    """One tensor: `rows` rows of `columns` elements, `copies` times (experts).

    Attributes:
        layer: index of its layer, None outside the layers.
        active: share of it that one token reads.
    """

    name: str
    columns: int
    rows: int
    type: str
    layer: int | None = None
    copies: int = 1
    active_copies: int = 1

    @property
    def elements(self) -> int:
        """Elements over all copies."""
        return self.columns * self.rows * self.copies

    @property
    def size_bytes(self) -> int:
        """Bytes over all copies."""
        return self._bytes(self.copies)

    @property
    def read_bytes(self) -> int:
        """Bytes that one generated token reads."""
        return self._bytes(self.active_copies)

    def _bytes(self, copies: int) -> int:
        elements, size = block_types()[self.type]
        return self.columns // elements * size * self.rows * copies


@dataclass(frozen=True, slots=True)
class WeightLayout:
    """Where the bytes of a model file are.

    Attributes:
        file_bytes: the file: published size where known, else tensors and metadata.
        tensor_bytes: all tensors.
        token_embd_bytes: token embedding; on the host where it is not tied.
        output_bytes: what follows the layers on the last GPU (output matrix, norm, rope tables);
            with tied embeddings that includes the token embedding.
        layer_bytes: bytes of each layer.
        read_bytes: weight bytes that one generated token reads.
        parameters, active_parameters: elements of all tensors, and those one token uses.
    """

    file_bytes: int
    tensor_bytes: int
    token_embd_bytes: int
    output_bytes: int
    layer_bytes: tuple[int, ...]
    read_bytes: int
    parameters: int
    active_parameters: int

    @property
    def gpu_bytes(self) -> int:
        """Bytes on the GPUs with all layers offloaded."""
        return sum(self.layer_bytes) + self.output_bytes


@cache
def layout(model: Model, quantization: str) -> WeightLayout:
    """The layout of a model's file: by the rules, or by the file's own table where it was read.

    Args:
        model: of the catalogue, or described by its GGUF.
        quantization: one of its quantizations.
    """
    file = model.files[quantization]
    if file.tensors:
        table = tuple(_from_gguf(t, model.shape) for t in file.tensors)
    else:
        table = tuple(tensors(model.shape, quantization, file.tensor_types))
    found = layout_of(table, tied=model.shape.tied_embeddings)
    size = file.published_bytes or found.tensor_bytes + model.gguf_metadata_bytes
    return WeightLayout(
        file_bytes=size,
        tensor_bytes=found.tensor_bytes,
        token_embd_bytes=found.token_embd_bytes,
        output_bytes=found.output_bytes,
        layer_bytes=found.layer_bytes,
        read_bytes=found.read_bytes,
        parameters=found.parameters,
        active_parameters=found.active_parameters,
    )


def _from_gguf(tensor: GgufTensor, shape: Shape) -> Tensor:
    """A tensor of a file; what belongs to no layer of the model counts as output."""
    match = _GGUF_NAME.match(tensor.name)
    layer = int(match["layer"]) if match and match["layer"] else None
    columns, rows = tensor.dimensions[0], tensor.elements // tensor.dimensions[0]
    name = match["name"] if match else tensor.name
    copies = tensor.dimensions[2] if name.endswith("_exps") and len(tensor.dimensions) > 2 else 1
    return Tensor(
        name,
        columns,
        rows // copies,
        tensor.type,
        layer if layer is not None and layer < shape.layers else None,
        copies=copies,
        active_copies=min(copies, shape.experts_used or 1),
    )


def layout_of(table: tuple[Tensor, ...], *, tied: bool) -> WeightLayout:
    """The layout of any tensor table; `file_bytes` is that of the tensors alone.

    Args:
        table: all tensors of the file.
        tied: there is no output matrix, the token embedding serves as one.
    """
    layers = [0] * (1 + max((t.layer for t in table if t.layer is not None), default=-1))
    for tensor in table:
        if tensor.layer is not None:
            layers[tensor.layer] += tensor.size_bytes
    outside = [t for t in table if t.layer is None]
    embedding = sum(t.size_bytes for t in outside if t.name == "token_embd")
    on_host = 0 if tied else embedding
    total = sum(t.size_bytes for t in table)
    used = [t for t in table if tied or t.name != "token_embd"]
    return WeightLayout(
        file_bytes=total,
        tensor_bytes=total,
        token_embd_bytes=embedding,
        output_bytes=sum(t.size_bytes for t in outside) - on_host,
        layer_bytes=tuple(layers),
        read_bytes=sum(t.read_bytes for t in used),
        parameters=sum(t.elements for t in table if not t.name.startswith("rope_")),
        active_parameters=sum(t.columns * t.rows * t.active_copies for t in used),
    )


def tensors(
    shape: Shape, quantization: str, overrides: Mapping[str, str] | None = None
) -> Iterator[Tensor]:
    """Every tensor of a model, with the type that llama-quantize gives it.

    Args:
        shape: the architecture.
        quantization: file type, `Q4_K_M`.
        overrides: tensor name -> type, for files that were not made by llama-quantize's rules.
    """
    rules = _Rules(shape, quantization, overrides or {})
    yield rules.tensor("token_embd", shape.hidden, shape.vocab)
    yield _floats("output_norm", shape.hidden)
    if not shape.tied_embeddings:
        yield rules.tensor("output", shape.hidden, shape.vocab)
    for name in _ROPE_TENSORS[shape.rope_tensors]:
        yield _floats(name, shape.head_dim // 2)
    for layer in range(shape.layers):
        yield from _attention(shape, rules, layer)
        yield from _feed_forward(shape, rules, layer)


_ROPE_TENSORS: dict[str | None, tuple[str, ...]] = {
    None: (),
    "llama3": ("rope_freqs",),
    "phi3-long": ("rope_factors_long", "rope_factors_short"),
}


# Architectures with a norm behind attention and one behind the feed-forward.
_POST_NORMS = ("gemma2", "gemma3")


def _attention(shape: Shape, rules: _Rules, layer: int) -> Iterator[Tensor]:
    query, key_value = shape.heads * shape.head_dim, shape.kv_width
    yield _floats("attn_norm", shape.hidden, layer)
    if shape.architecture == "phi3":
        yield rules.tensor("attn_qkv", shape.hidden, query + 2 * key_value, layer)
    else:
        for name, width in (("attn_q", query), ("attn_k", key_value), ("attn_v", key_value)):
            yield rules.tensor(name, shape.hidden, width, layer)
            if shape.qkv_bias:
                yield _floats(f"{name}.bias", width, layer)
    if shape.qk_norm:
        yield _floats("attn_q_norm", shape.head_dim, layer)
        yield _floats("attn_k_norm", shape.head_dim, layer)
    yield rules.tensor("attn_output", query, shape.hidden, layer)
    if shape.architecture in _POST_NORMS:
        yield _floats("post_attention_norm", shape.hidden, layer)


def _feed_forward(shape: Shape, rules: _Rules, layer: int) -> Iterator[Tensor]:
    yield _floats("ffn_norm", shape.hidden, layer)
    if shape.experts:
        yield _floats("ffn_gate_inp", shape.hidden, layer, rows=shape.experts)
    if shape.architecture == "phi3":
        yield rules.tensor("ffn_up", shape.hidden, 2 * shape.ffn, layer)
    else:
        yield rules.tensor("ffn_gate", shape.hidden, shape.ffn, layer)
        yield rules.tensor("ffn_up", shape.hidden, shape.ffn, layer)
    yield rules.tensor("ffn_down", shape.ffn, shape.hidden, layer)
    if shape.architecture in _POST_NORMS:
        yield _floats("post_ffw_norm", shape.hidden, layer)


def _floats(name: str, columns: int, layer: int | None = None, rows: int = 1) -> Tensor:
    """Norms, biases, rope tables and the experts' router stay F32 in every file."""
    return Tensor(name, columns, rows, "F32", layer)


@dataclass(frozen=True, slots=True)
class _Rules:
    shape: Shape
    quantization: str
    overrides: Mapping[str, str]

    def tensor(self, name: str, columns: int, rows: int, layer: int | None = None) -> Tensor:
        experts = self.shape.experts if name.startswith("ffn_") else 0
        return Tensor(
            name,
            columns,
            rows,
            self._type(name, columns, layer),
            layer,
            copies=experts or 1,
            active_copies=self.shape.experts_used if experts else 1,
        )

    def _type(self, name: str, columns: int, layer: int | None) -> str:
        if name in self.overrides:
            return self.overrides[name]
        wanted = self._wanted(name, layer)
        elements, _ = block_types()[wanted]
        return wanted if columns % elements == 0 else _FALLBACK[wanted]

    def _wanted(self, name: str, layer: int | None) -> str:
        base = file_types()[self.quantization].base
        if base == "F16":
            return base
        if name == "output" or (name == "token_embd" and self.shape.tied_embeddings):
            return "Q8_0" if base == "Q8_0" else "Q6_K"
        if layer is None:
            return base
        match name:
            case "attn_v" | "attn_qkv":
                return self._value(base, layer)
            case "attn_k" if self.shape.experts == _EIGHT_EXPERTS:
                return "Q8_0"
            case "attn_output" if self.shape.experts == _EIGHT_EXPERTS:
                return "Q5_K" if self.quantization in ("Q4_K_S", "Q4_K_M") else base
            case "ffn_down":
                return self._down(base, layer)
        return base

    def _value(self, base: str, layer: int) -> str:
        if self.shape.experts == _EIGHT_EXPERTS:
            return "Q8_0"
        if self.quantization in _MIXED and self._keeps_more(layer):
            return "Q6_K"
        if self.quantization == "Q4_K_S" and layer < _Q4_K_S_V_LAYERS:
            return "Q5_K"
        if self.shape.layers == _SHARED_V_LAYERS and base == "Q4_K":
            return "Q5_K"
        return base

    def _down(self, base: str, layer: int) -> str:
        if self.quantization in _MIXED and self._keeps_more(layer):
            return "Q6_K"
        if self.quantization == "Q4_K_S" and layer < self.shape.layers // _EDGE:
            return "Q5_K"
        return base

    def _keeps_more(self, layer: int) -> bool:
        """`use_more_bits` of llama-quant.cpp."""
        edge, layers = self.shape.layers // _EDGE, self.shape.layers
        return layer < edge or layer >= _EDGE_LAST * layers // _EDGE or (layer - edge) % 3 == 2


_EDGE_LAST = 7
