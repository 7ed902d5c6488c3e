"""Bytes of a model file, and where they go.

`layout` answers for a catalogue model; the rest of the library only needs a `WeightLayout`, so a
file that is not in the catalogue can be described by its own tensor table.
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING

from moltghost.models.facts import Model
from moltghost.models.shape import Shape
from moltghost.sizing.tensors import Tensor, table_of
from moltghost.units import MIB

if TYPE_CHECKING:
    from moltghost.models.gguf import GgufTensor

_GGUF_NAME = re.compile(r"(?:blk\.(?P<layer>\d+)\.)?(?P<name>.+?)(?:\.weight)?$")
# Looked up row by row, so they stay in system memory (llama.cpp's LLM_TENSOR_LAYER_INPUT).
_LOOKED_UP = ("token_embd", "per_layer_token_embd")
# Vision tower, projector and audio tower in a file of Ollama's own library.
VISION_PREFIXES = ("v.", "mm.", "a.")
# What a published file has beyond its tensors is metadata up to here. More is tensors that the
# rules don't explain (other types, layers that predict further tokens): counted on the last GPU.
_METADATA_BYTES = 16 * MIB


@dataclass(frozen=True, slots=True)
class WeightLayout:
    """Where the bytes of a model file are.

    Attributes:
        file_bytes: the file: published size where known, else tensors and metadata.
        tensor_bytes: all tensors.
        token_embd_bytes: embeddings that a token's row is looked up in; on the host, the token
            embedding on a GPU too where it is tied.
        output_bytes: what follows the layers on the last GPU (output matrix, norm, rope tables);
            with tied embeddings that includes the token embedding.
        layer_bytes: bytes of each layer.
        read_bytes: weight bytes that one generated token reads.
        parameters, active_parameters: elements of all tensors, and those one token uses.
        vision_bytes: the vision tower, which isn't among them.
    """

    file_bytes: int
    tensor_bytes: int
    token_embd_bytes: int
    output_bytes: int
    layer_bytes: tuple[int, ...]
    read_bytes: int
    parameters: int
    active_parameters: int
    vision_bytes: int = 0

    @property
    def gpu_bytes(self) -> int:
        """Bytes on the GPUs with all layers offloaded."""
        return sum(self.layer_bytes) + self.output_bytes + self.vision_bytes


@cache
def layout(model: Model, quantization: str) -> WeightLayout:
    """The layout of a model's file: by the rules, or by the file's own table where it was read.

    Args:
        model: of the catalogue, or described by its GGUF.
        quantization: one of its quantizations.
    """
    file, shape = model.files[quantization], model.shape
    if file.tensors:
        text = (t for t in file.tensors if not t.name.startswith(VISION_PREFIXES))
        found = layout_of(tuple(_from_gguf(t, shape) for t in text), tied=shape.tied_embeddings)
    else:
        found = _by_rules(shape, quantization, file.tensor_types)
    rest = _unexplained(model)
    expected = found.tensor_bytes + model.gguf_metadata_bytes + model.vision_bytes + rest
    return replace(
        found,
        file_bytes=file.published_bytes or expected,
        output_bytes=found.output_bytes + rest,
        vision_bytes=model.vision_bytes,
    )


def _unexplained(model: Model) -> int:
    """What the library's file has beyond tensors, metadata and vision tower.

    Files that nobody measured are taken to have it too, which errs high.
    """
    file = model.files.get(model.ollama_default)
    if file is None or file.tensors or not file.published_bytes:
        return 0
    plain = _by_rules(model.shape, file.quantization, file.tensor_types)
    beyond = file.published_bytes - plain.tensor_bytes
    beyond -= model.gguf_metadata_bytes + model.vision_bytes
    return beyond if beyond > _METADATA_BYTES else 0


def file_bytes(model: Model, quantization: str) -> int:
    """The size of a model's file: published, else computed."""
    return model.files[quantization].published_bytes or layout(model, quantization).file_bytes


def _by_rules(shape: Shape, quantization: str, overrides: Mapping[str, str]) -> WeightLayout:
    """By the quantizer's rules; layers that are alike are counted once."""
    table = table_of(shape, quantization, overrides)
    kinds: dict[Hashable, _Sums] = {}
    layers = []
    for layer in range(shape.layers):
        kind = table.kind_of(layer)
        if kind not in kinds:
            kinds[kind] = _Sums.of(tuple(table.layer(layer)))
        layers.append(kinds[kind])
    return _layout(tuple(table.outside()), layers, tied=shape.tied_embeddings)


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
    count = 1 + max((t.layer for t in table if t.layer is not None), default=-1)
    layers: list[list[Tensor]] = [[] for _ in range(count)]
    for tensor in table:
        if tensor.layer is not None:
            layers[tensor.layer].append(tensor)
    outside = tuple(t for t in table if t.layer is None)
    return _layout(outside, [_Sums.of(each) for each in layers], tied=tied)


@dataclass(frozen=True, slots=True)
class _Sums:
    """Of some tensors."""

    size_bytes: int
    read_bytes: int
    parameters: int
    active_parameters: int

    @classmethod
    def of(cls, some: Sequence[Tensor]) -> _Sums:
        return cls(
            sum(t.size_bytes for t in some),
            sum(t.read_bytes for t in some),
            sum(t.elements for t in some if not t.name.startswith("rope_")),
            sum(t.columns * t.rows * t.active_copies for t in some),
        )


def _layout(outside: tuple[Tensor, ...], layers: Sequence[_Sums], *, tied: bool) -> WeightLayout:
    looked_up = [t for t in outside if t.name in _LOOKED_UP]
    host_only = [t for t in looked_up if t.name != "token_embd" or not tied]
    computed = _Sums.of([t for t in outside if t not in host_only])
    used = [computed, *layers]
    total = sum(t.size_bytes for t in outside) + sum(each.size_bytes for each in layers)
    return WeightLayout(
        file_bytes=total,
        tensor_bytes=total,
        token_embd_bytes=sum(t.size_bytes for t in looked_up),
        output_bytes=computed.size_bytes,
        layer_bytes=tuple(each.size_bytes for each in layers),
        read_bytes=sum(each.read_bytes for each in used),
        parameters=_Sums.of(outside).parameters + sum(each.parameters for each in layers),
        active_parameters=sum(each.active_parameters for each in used),
    )
