"""Which type llama-quantize gives a tensor: its own rules, replayed.

Source: ggml-org/llama.cpp `src/llama-quant.cpp`@007dbbf3 (`llama_tensor_get_type`), the same in
b10488; checked against the published sizes of library files: what remains is metadata.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from moltghost.models.catalogue import block_types, file_types
from moltghost.models.shape import DeltaNet, Mixer, Shape

# llama.cpp: these attention tensors get more bits in models of eight experts, where they are small.
_EIGHT_EXPERTS = 8
# llama.cpp: 80-layer models share attn_v among 8 heads, so it is worth another bit.
_SHARED_V_LAYERS = 80
_EDGE, _EDGE_LAST = 8, 7  # the first and last eighth of the layers keep more bits
_Q4_K_S_V_LAYERS = 4
# A row that is no multiple of the 256-element block takes a 32-element type (same source), and one
# that is no multiple of 32 either stays unquantized.
_FALLBACK = {"Q4_K": "Q5_0", "Q5_K": "Q5_1", "Q6_K": "Q8_0"}
_UNQUANTIZED = "F16"
_MIXED = ("Q4_K_M", "Q5_K_M")
_EXPERTS_ONLY = "MXFP4"  # llama.cpp's MXFP4_MOE: experts in MXFP4, everything else in Q8_0


@dataclass(frozen=True, slots=True)
class Quantizer:
    """The rules for one model and file type.

    Attributes:
        overrides: tensor name -> type, for files that were not made by llama-quantize's rules;
            `*` is every matrix that isn't named and isn't one of the experts'.
        places: layers with a matrix for values, or one for queries, keys and values, and which of
            them it is: the engine counts these.
    """

    shape: Shape
    quantization: str
    overrides: Mapping[str, str]
    places: Mapping[int, int]

    @classmethod
    def of(cls, shape: Shape, quantization: str, overrides: Mapping[str, str]) -> Quantizer:
        """The rules for a shape."""
        layers = (layer for layer in range(shape.layers) if _has_value(shape, layer))
        places = {layer: place for place, layer in enumerate(layers)}
        return cls(shape, quantization, overrides, places)

    @property
    def unquantized(self) -> str:
        """The type of matrices that are never quantized."""
        return self.overrides.get("*", _UNQUANTIZED)

    def kind_of(self, layer: int) -> tuple[str, ...]:
        """Types of the tensors that aren't alike in every layer."""
        if self.quantization not in (*_MIXED, "Q4_K_S"):
            return ()
        down = self._down("", layer)
        values = self._value("", layer) if layer in self.places else ""
        return down, values

    def type_of(self, name: str, columns: int, layer: int | None) -> str:
        """A matrix's type."""
        if name in self.overrides:
            return self.overrides[name]
        if "*" in self.overrides and not name.endswith("_exps"):
            return self.overrides["*"]
        wanted = self._wanted(name, layer)
        if columns % block_types()[wanted][0]:
            wanted = _FALLBACK.get(wanted, _UNQUANTIZED)
        return wanted if columns % block_types()[wanted][0] == 0 else _UNQUANTIZED

    def _wanted(self, name: str, layer: int | None) -> str:
        base = file_types()[self.quantization].base
        if base == _UNQUANTIZED:
            return base
        if name == "output" or (name == "token_embd" and self.shape.tied_embeddings):
            return "Q8_0" if base in ("Q8_0", _EXPERTS_ONLY) else "Q6_K"
        if base == _EXPERTS_ONLY:
            return base if name.endswith("_exps") else "Q8_0"
        if layer is None:
            return base
        eight = self.shape.experts == _EIGHT_EXPERTS
        if name in ("attn_v", "attn_qkv"):
            return self._value(base, layer)
        if name.startswith("ffn_down"):
            return self._down(base, layer)
        if eight and name == "attn_k":
            return "Q8_0"
        if eight and name == "attn_output" and self.quantization in ("Q4_K_S", "Q4_K_M"):
            return "Q5_K"
        return base

    def _value(self, base: str, layer: int) -> str:
        if self.shape.experts == _EIGHT_EXPERTS:
            return "Q8_0"
        # The engine counts these tensors, which isn't counting layers where some have none.
        place, count = self.places[layer], len(self.places)
        if self.quantization in _MIXED and _keeps_more(place, count):
            return "Q6_K"
        if self.quantization == "Q4_K_S" and place < _Q4_K_S_V_LAYERS:
            return "Q5_K"
        if self.shape.layers == _SHARED_V_LAYERS and base == "Q4_K":
            return "Q5_K"
        return base

    def _down(self, base: str, layer: int) -> str:
        if self.quantization in _MIXED and _keeps_more(layer, self.shape.layers):
            return "Q6_K"
        if self.quantization == "Q4_K_S" and layer < self.shape.layers // _EDGE:
            return "Q5_K"
        return base


def _keeps_more(place: int, count: int) -> bool:
    """`use_more_bits` of llama-quant.cpp."""
    edge = count // _EDGE
    return place < edge or place >= _EDGE_LAST * count // _EDGE or (place - edge) % 3 == 2


def _has_value(shape: Shape, layer: int) -> bool:
    kind = shape.mixer(layer)
    if kind is Mixer.RECURRENT:
        return isinstance(shape.recurrent, DeltaNet)
    if kind is Mixer.FULL:
        return not (shape.full_k_is_v or shape.mla)
    return kind is Mixer.WINDOW
